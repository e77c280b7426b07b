//! Rows with typed access.

use lifeboat_plugin::{
    Failure,
    fake::{Answer, rows},
    postgres::{FromValue, Rows, Value},
    values,
};
use proptest::prelude::*;

fn some_rows(columns: &[&str], values: Vec<Vec<Value>>) -> Rows {
    match rows(columns, values) {
        Answer::Rows(rows) => rows,
        Answer::Count(_) => unreachable!("`rows` makes rows"),
    }
}

fn message(result: Result<impl Sized, Failure>) -> String {
    result.err().map(|failure| format!("{}: {}", failure.code(), failure.reason().message)).unwrap_or_default()
}

#[test]
fn a_value_comes_out_as_its_type_or_not_at_all() {
    let rows = some_rows(&["n", "name", "gone"], vec![values![-7_i64, "x", None::<i64>]]);
    let row = rows.one().unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), -7);
    assert_eq!(row.get::<String>("name").unwrap(), "x");
    assert_eq!(row.get::<Option<i64>>("gone").unwrap(), None);
    let cases = [
        (
            message(row.get::<u64>("n")),
            "plugin-row: column `n`: expected an integer from 0 on, the server sent an integer",
        ),
        (message(row.get::<i64>("name")), "plugin-row: column `name`: expected an integer, the server sent a text"),
        (message(row.get::<i64>("gone")), "plugin-row: column `gone`: expected an integer, the server sent null"),
        (message(row.get::<i64>("m")), "plugin-row: the server sent no column `m`"),
    ];
    for (actual, expected) in cases {
        assert_eq!(actual, expected);
    }
}

#[test]
fn one_row_means_exactly_one() {
    for (count, expected) in [
        (0, "plugin-row: expected one row, the server sent 0"),
        (1, ""),
        (2, "plugin-row: expected one row, the server sent 2"),
    ] {
        let rows = some_rows(&["n"], vec![values![1_i64]; count]);
        assert_eq!(message(rows.one()), expected);
        assert_eq!((rows.len(), rows.is_empty(), rows.first().is_some()), (count, count == 0, count > 0));
        assert_eq!(rows.iter().count(), count);
    }
}

fn round_trip<T: Into<Value> + FromValue + Clone + PartialEq + std::fmt::Debug>(it: &T) -> Result<(), TestCaseError> {
    let value: Value = it.clone().into();
    prop_assert_eq!(T::from_value(&value), Some(it.clone()));
    Ok(())
}

proptest! {
    #[test]
    fn what_goes_into_a_value_comes_out(
        boolean: bool,
        integer: i64,
        small: u32,
        float in -1e300..1e300_f64,
        text: String,
        bytes: Vec<u8>,
        texts: Vec<String>,
        maybe: Option<i64>,
    ) {
        round_trip(&boolean)?;
        round_trip(&integer)?;
        round_trip(&small)?;
        round_trip(&float)?;
        round_trip(&text)?;
        round_trip(&bytes)?;
        round_trip(&texts)?;
        round_trip(&maybe)?;
    }
}
