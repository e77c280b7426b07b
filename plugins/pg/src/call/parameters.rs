//! Parameters that several actions share.

use lifeboat_plugin::{Call, Failure};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The parameters of these names, and all others. Serde cannot flatten one strict structure into another one, and both
/// must be strict: an unknown parameter is refused.
pub fn split<Shared: DeserializeOwned, Own: DeserializeOwned>(
    call: &Call,
    names: &[&str],
) -> Result<(Shared, Own), Failure> {
    let mut own: Map<String, Value> = call.parameters()?;
    let shared: Map<String, Value> = names.iter().filter_map(|name| own.remove_entry(*name)).collect();
    Ok((decode(call, shared)?, decode(call, own)?))
}

fn decode<T: DeserializeOwned>(call: &Call, parameters: Map<String, Value>) -> Result<T, Failure> {
    Call { parameters: Value::Object(parameters).to_string(), ..call.clone() }.parameters()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shared {
        machine: String,
        instance: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Own {
        timeout: Option<u8>,
    }

    #[test]
    fn every_parameter_has_one_owner() {
        let split = |parameters| split(&Call::example("any", &parameters), &["machine", "instance"]);
        let machine = || Shared { machine: "lab".to_owned(), instance: None };
        assert_eq!(split(json!({"machine": "lab", "timeout": 7})), Ok((machine(), Own { timeout: Some(7) })));
        assert_eq!(split(json!({"machine": "lab"})), Ok((machine(), Own { timeout: None })));
        let refused = |parameters| split(parameters).expect_err("refused").reason().message.clone();
        assert!(refused(json!({"machine": "lab", "port": 1})).contains("unknown field `port`"));
        assert!(refused(json!({"timeout": 7})).contains("missing field `machine`"));
    }
}
