//! `pg/find-corruption` and `pg/reindex` against a scripted server.

#[path = "../src/pages/example.rs"]
mod example;
mod scripted;

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use lifeboat_plugin::{
    Failure,
    fake::{Answer, Fake, rows},
    postgres::{Error, SqlError, Value as Sql},
    values,
};
use plugin_pg::pages::{PAGE_BYTES, checksum};
use scripted::{outputs, run};
use serde_json::{Value, json};

const TABLE: &str = "base/5/100";
const INDEX: &str = "base/5/200";

fn page(block: u32) -> Vec<u8> {
    example::page(block, 500 + block)
}

fn flipped(block: u32) -> Vec<u8> {
    example::flipped(page(block))
}

/// A server with a table and an index that have these pages on disk.
fn server(table: &[Vec<u8>], index: &[Vec<u8>], checksums: &'static str) -> Fake {
    let size = |pages: &[Vec<u8>]| i64::try_from(pages.len() * PAGE_BYTES).unwrap_or_default();
    let fake = catalog(size(table), size(index), checksums);
    let files = BTreeMap::from([(TABLE.to_owned(), table.concat()), (INDEX.to_owned(), index.concat())]);
    fake.postgres.on("pg_read_binary_file", move |statement| {
        let [Sql::Texts(paths), Sql::Texts(starts), Sql::Texts(lengths)] = &statement.parameters[..] else {
            panic!("{statement:?}")
        };
        let number = |text: &str| text.parse::<usize>().expect("a number");
        let read = paths.iter().zip(starts).zip(lengths).map(|((path, start), length)| {
            let content = files.get(path.as_str()).cloned().unwrap_or_default();
            let from = number(start).min(content.len());
            let to = (from + number(length)).min(content.len());
            values![content[from..to].to_vec()]
        });
        Ok(rows(&["bytes"], read.collect()))
    });
    fake
}

/// A server with a table and an index of so many bytes.
fn catalog(table_bytes: i64, index_bytes: i64, checksums: &'static str) -> Fake {
    let fake = Fake::default();
    fake.postgres.on("current_setting($1::text, true)", move |statement| {
        let value = if statement.parameters[0] == Sql::from("block_size") { "8192" } else { checksums };
        Ok(rows(&["value"], vec![values![value]]))
    });
    fake.postgres.on("pg_stat_file", move |_| {
        let columns = [
            "name",
            "oid",
            "kind",
            "table_oid",
            "btree",
            "every_row",
            "unlogged",
            "file",
            "bytes",
            "map_bytes",
            "lost",
        ];
        let relation = |name: &str, oid: i64, kind: &str, file: &str, bytes: i64| {
            let is_index = kind == "i";
            let table = is_index.then_some(100_i64);
            values![name, oid, kind, table, is_index, is_index, false, file, bytes, 0_i64, bytes == 0]
        };
        let mut found = vec![
            relation("public.t", 100, "r", TABLE, table_bytes),
            relation("public.t_pkey", 200, "i", INDEX, index_bytes),
        ];
        found.push(values![
            "public.u",
            300_i64,
            "r",
            None::<i64>,
            false,
            false,
            true,
            "base/5/300",
            0_i64,
            0_i64,
            false
        ]);
        Ok(rows(&columns, found))
    });
    fake.postgres.on("CHECKPOINT", |_| Ok(Answer::Count(0)));
    fake.postgres.on("pg_relation_size($1::bigint::oid)", move |_| Ok(rows(&["bytes"], vec![values![table_bytes]])));
    fake.postgres.on("ctid >= $1::text::tid", |_| Ok(rows(&["any"], vec![values![false]])));
    fake
}

fn found(fake: &Fake) -> Value {
    outputs(&run(fake, "find-corruption", &json!({ "server": "primary" })).expect("pages are read"))
}

#[test]
fn what_is_damaged_is_listed_and_decides() {
    let sound = || vec![page(0), page(1), page(2)];
    let nothing = found(&server(&sound(), &sound(), "on"));
    assert_eq!((&nothing["choice"], &nothing["pages"], &nothing["damaged"]), (&json!("none"), &json!(6), &json!(0)));
    assert_eq!(nothing["left_out"].as_array().map(Vec::len), Some(1), "an unlogged table: {nothing}");

    let index = found(&server(&sound(), &[page(0), flipped(1)], "on"));
    assert_eq!(index["choice"], "reindex");
    assert_eq!((&index["indexes"], &index["tables"]), (&json!(["public.t_pkey"]), &json!([])));
    let bad = json!([{
        "relation": "public.t_pkey", "kind": "index", "file": INDEX, "block": 1, "problem": "checksum", "lsn": "0/1F5"
    }]);
    assert_eq!(index["bad"], bad);

    let heap = found(&server(&[page(0), vec![0; PAGE_BYTES], flipped(2)], &[flipped(0)], "on"));
    assert_eq!((&heap["choice"], &heap["damaged"]), (&json!("page-repair"), &json!(3)));
    assert_eq!((&heap["indexes"], &heap["tables"]), (&json!(["public.t_pkey"]), &json!(["public.t"])));

    assert_eq!(found(&server(&[], &sound(), "on"))["choice"], "restore");
    let blind = found(&server(&[flipped(0)], &sound(), "off"));
    assert_eq!((&blind["choice"], &blind["checksums"]), (&json!("none"), &json!(false)));
    assert_eq!(blind["left_out"].as_array().map(Vec::len), Some(2), "{blind}");
}

#[test]
fn a_database_that_must_be_sound_and_is_not_fails_and_says_where() {
    let fake = server(&[flipped(0), flipped(1), page(2)], &[page(0), flipped(1)], "on");
    let failure = run(&fake, "find-corruption", &json!({ "server": "primary", "sound": true })).expect_err("damaged");
    assert_eq!(failure.code(), "pg-pages-damaged");
    let message = &failure.reason().message;
    assert!(message.contains("2 pages of public.t (0 to 1) have a wrong checksum"), "{message}");
    assert!(message.contains("page 1 of public.t_pkey has a wrong checksum"), "{message}");
}

/// A page that is half written when it is first read is sound a moment later; one that never comes to rest is nothing to judge.
#[test]
fn a_page_that_is_being_written_is_read_again() {
    let reading = |page_of: fn(usize) -> Vec<u8>| {
        let fake = catalog(PAGE_BYTES as i64, PAGE_BYTES as i64, "on");
        let reads = Rc::new(Cell::new(0));
        fake.postgres.on("pg_read_binary_file", move |statement| {
            let Sql::Texts(paths) = &statement.parameters[0] else { panic!("{statement:?}") };
            let read = reads.get();
            reads.set(read + 1);
            Ok(rows(&["bytes"], paths.iter().map(|_| values![page_of(read)]).collect()))
        });
        run(&fake, "find-corruption", &json!({ "server": "primary" }))
    };
    let torn = reading(|read| if read == 0 { flipped(0) } else { page(0) });
    assert_eq!(outputs(&torn.expect("sound"))["choice"], "none");
    let restless = reading(|read| {
        let mut page = flipped(0);
        page[7_001] = u8::try_from(read).unwrap_or_default();
        page
    });
    let failure = restless.expect_err("nothing to judge");
    assert!(matches!(failure, Failure::Transient(_)) && failure.code() == "pg-pages-changing", "{failure:?}");
}

#[test]
fn every_index_is_looked_up_before_the_first_is_made_again() {
    let reindex = |known: &'static str, state: Option<&'static str>, indexes: Value| {
        let fake = Fake::default();
        fake.postgres.on("to_regclass", move |statement| {
            let is_known = statement.parameters[0] == Sql::from(known);
            Ok(rows(&["name"], if is_known { vec![values![known]] } else { Vec::new() }))
        });
        fake.postgres.on("REINDEX INDEX", move |_| match state {
            None => Ok(Answer::Count(0)),
            Some(state) => Err(Error::Sql(SqlError {
                state: state.to_owned(),
                message: "could not create unique index".to_owned(),
                detail: Some("Key (id)=(7) is duplicated.".to_owned()),
                hint: None,
            })),
        });
        let outcome = run(&fake, "reindex", &json!({ "server": "primary", "indexes": indexes }));
        outcome.map(|outcome| outputs(&outcome)["indexes"].clone()).map_err(|failure| failure.code().to_owned())
    };
    assert_eq!(reindex("public.t_pkey", None, json!(["public.t_pkey"])), Ok(json!(1)));
    assert_eq!(reindex("public.t_pkey", None, json!([])), Ok(json!(0)));
    assert_eq!(reindex("public.t_pkey", Some("23505"), json!(["public.t_pkey"])), Err("pg-rows-twice".to_owned()));
    let missing = reindex("public.t_pkey", Some("XX000"), json!(["public.t_pkey", "public.gone"]));
    assert_eq!(missing, Err("pg-no-index".to_owned()), "nothing was made again");
}
