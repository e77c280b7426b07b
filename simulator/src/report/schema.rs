//! The JSON schema of `report.json`, derived from the document itself.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::DrillReport;

/// The schema, draft 2020-12, of what is written. Further fields are allowed, because fields are added over time.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<DrillReport>().to_value();
    schema["title"] = json!("The report of a Lifeboat drill");
    schema
}
