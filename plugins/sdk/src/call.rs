//! One call of an action, and its answers.

use serde::{Serialize, de::DeserializeOwned};

pub use crate::bindings::lifeboat::plugin::types::{Call, Observation, Outcome};
use crate::failure::Failure;

impl Call {
    /// A first attempt, for tests: run `test`, key `test/<action>`, no deadline.
    pub fn example(action: &str, parameters: &serde_json::Value) -> Self {
        Self {
            action: action.to_owned(),
            parameters: parameters.to_string(),
            run: "test".to_owned(),
            key: format!("test/{action}"),
            attempt: 1,
            deadline_ms: None,
            dry_run: false,
        }
    }

    /// The parameters as `T`; give it `#[serde(deny_unknown_fields)]`.
    ///
    /// Fails with `plugin-parameters` where they do not fit: `compile` has checked them before, so this means that the
    /// plugin's declaration and its code differ, or that an expression was rendered to something unexpected.
    pub fn parameters<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.parameters).map_err(|error| {
            Failure::invalid_input("plugin-parameters", format!("parameters of `{}`: {error}", self.action))
        })
    }

    /// The failure for an action that the plugin does not have.
    pub fn unknown_action(&self, plugin: &str) -> Failure {
        Failure::invalid_input("plugin-action", format!("the plugin `{plugin}` has no action `{}`", self.action))
    }
}

impl Outcome {
    /// Outputs (something that serialises to a JSON object of the declared outputs) and one line for people.
    ///
    /// Fails with `plugin-outputs` where the outputs cannot be written as JSON.
    pub fn new(outputs: impl Serialize, summary: impl Into<String>) -> Result<Self, Failure> {
        let outputs = serde_json::to_string(&outputs)
            .map_err(|error| Failure::permanent("plugin-outputs", format!("outputs as JSON: {error}")))?;
        Ok(Self { outputs, summary: summary.into() })
    }

    /// The outputs as `T`, for tests and for a plugin that reads its own record of an earlier attempt.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.outputs)
            .map_err(|error| Failure::permanent("plugin-outputs", format!("outputs from JSON: {error}")))
    }
}
