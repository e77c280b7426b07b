//! The JSON schemas: they hold for the files that compile and refuse the ones that do not.

use lifeboat_core::schema;
use serde_json::Value;

use crate::file;

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&file(name).text).expect(name)
}

#[test]
fn the_schemas_hold_for_real_files() {
    for (schema, good, bad) in
        [(schema::runbook(), "good.yaml", "mistakes.yaml"), (schema::bindings(), "bindings.yaml", "bad-bindings.yaml")]
    {
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let problems: Vec<String> = validator.iter_errors(&yaml(good)).map(|error| error.to_string()).collect();
        assert_eq!(problems, Vec::<String>::new(), "{good}");
        assert!(!validator.is_valid(&yaml(bad)), "{bad}");
    }
}

#[test]
fn the_schemas_are_what_editors_have() {
    insta::assert_json_snapshot!("runbook-schema", schema::runbook());
    insta::assert_json_snapshot!("bindings-schema", schema::bindings());
}
