//! Parameters, outputs and failures.

use std::collections::BTreeMap;

use lifeboat_plugin::{Call, Failure, Outcome, Reason, http, machine, postgres};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<i64>,
    #[serde(default)]
    names: BTreeMap<String, Vec<String>>,
}

proptest! {
    #[test]
    fn parameters_and_outputs_survive_the_boundary(
        server: String,
        rows: Option<i64>,
        names in prop::collection::btree_map(any::<String>(), any::<Vec<String>>(), 0..4),
    ) {
        let parameters = Parameters { server, rows, names };
        let document = serde_json::to_value(&parameters).expect("JSON can be written");
        prop_assert_eq!(&Call::example("any", &document).parameters::<Parameters>().unwrap(), &parameters);
        prop_assert_eq!(Outcome::new(&parameters, "done").unwrap().decode::<Parameters>().unwrap(), parameters);
    }
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    let cases = [
        (json!({}), "missing field `server`"),
        (json!({ "server": 7 }), "invalid type: integer `7`, expected a string"),
        (json!({ "server": "p", "row": 1 }), "unknown field `row`, expected one of `server`, `rows`, `names`"),
        (json!({ "server": "p", "rows": "1" }), "invalid type: string \"1\", expected i64"),
    ];
    for (parameters, expected) in cases {
        let failure = Call::example("find", &parameters).parameters::<Parameters>().unwrap_err();
        assert!(matches!(failure, Failure::InvalidInput(_)));
        assert_eq!(failure.code(), "plugin-parameters");
        assert!(failure.reason().message.contains(expected), "{}", failure.reason().message);
    }
}

#[test]
fn outputs_that_are_no_json_are_a_failure() {
    let outputs = BTreeMap::from([(vec![1], "a key must be a text")]);
    assert_eq!(Outcome::new(outputs, "done").unwrap_err().code(), "plugin-outputs");
}

fn sql(state: &str) -> postgres::Error {
    let error = postgres::SqlError {
        state: state.to_owned(),
        message: "no".to_owned(),
        detail: Some("because".to_owned()),
        hint: None,
    };
    postgres::Error::Sql(error)
}

fn kind(failure: &Failure) -> &'static str {
    match failure {
        Failure::InvalidInput(_) => "invalid_input",
        Failure::Denied(_) => "denied",
        Failure::Transient(_) => "transient",
        Failure::Permanent(_) => "permanent",
        Failure::Interrupted(_) => "interrupted",
    }
}

#[test]
fn every_error_of_a_capability_has_its_place() {
    let reason = || Reason::new("code", "why");
    let cases: [(Failure, &str); 20] = [
        (postgres::Error::Denied(reason()).into(), "denied code: why"),
        (postgres::Error::Connection(reason()).into(), "transient code: why"),
        (postgres::Error::Invalid(reason()).into(), "permanent code: why"),
        (sql("40001").into(), "transient pg-sql: no (SQLSTATE 40001); because"),
        (sql("40P01").into(), "transient pg-sql: no (SQLSTATE 40P01); because"),
        (sql("55P03").into(), "transient pg-sql: no (SQLSTATE 55P03); because"),
        (sql("57P03").into(), "transient pg-sql: no (SQLSTATE 57P03); because"),
        (sql("53300").into(), "transient pg-sql: no (SQLSTATE 53300); because"),
        (sql("08006").into(), "transient pg-sql: no (SQLSTATE 08006); because"),
        (sql("57014").into(), "permanent pg-sql: no (SQLSTATE 57014); because"),
        (sql("23505").into(), "permanent pg-sql: no (SQLSTATE 23505); because"),
        (machine::Error::Denied(reason()).into(), "denied code: why"),
        (machine::Error::Unreachable(reason()).into(), "transient code: why"),
        (machine::Error::NotFound("/a".to_owned()).into(), "permanent machine-not-found: not found: /a"),
        (machine::Error::NoSpace("/a".to_owned()).into(), "permanent machine-no-space: no space left: /a"),
        (machine::Error::TimedOut("cp".to_owned()).into(), "interrupted machine-timed-out: timed out: cp"),
        (machine::Error::Failed(reason()).into(), "permanent code: why"),
        (http::Error::Denied(reason()).into(), "denied code: why"),
        (http::Error::Connection(reason()).into(), "transient code: why"),
        (http::Error::Invalid(reason()).into(), "permanent code: why"),
    ];
    for (failure, expected) in cases {
        let story = format!("{} {}: {}", kind(&failure), failure.code(), failure.reason().message);
        assert_eq!(story, expected);
        let told = failure.clone().while_doing("copying");
        assert_eq!((kind(&told), told.code()), (kind(&failure), failure.code()));
        assert_eq!(told.reason().message, format!("copying: {}", failure.reason().message));
    }
}
