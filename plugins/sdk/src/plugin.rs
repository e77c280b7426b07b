//! The trait that a plugin implements, and the macro that makes a component of it.

use crate::{Action, Call, Failure, Observation, Outcome};

/// A plugin whose logic works with any `C` that has the capabilities which it names in its bounds.
///
/// ```
/// use lifeboat_plugin::{Action, Call, Effect, Failure, Http, Outcome, Plugin, Runtime};
///
/// struct Siren;
///
/// impl<C: Runtime + Http> Plugin<C> for Siren {
///     const NAME: &'static str = "siren";
///
///     fn actions() -> Vec<Action> {
///         vec![Action::new("sound", Effect::Mutate, "Sounds the siren.").parameter(
///             "siren",
///             "target<notify:write>",
///             "Which siren.",
///         )]
///     }
///
///     fn run(call: &Call, caps: &C) -> Result<Outcome, Failure> {
///         let parameters: std::collections::BTreeMap<String, String> = call.parameters()?;
///         let answer = caps.post(&parameters["siren"], &call.key, "{}")?;
///         Outcome::new(serde_json::json!({}), format!("the siren answered {}", answer.status))
///     }
/// }
///
/// lifeboat_plugin::export!(Siren);
/// ```
pub trait Plugin<C> {
    /// The part before the slash of `plugin/action`.
    const NAME: &'static str;

    /// Every action, with its parameters and outputs.
    fn actions() -> Vec<Action>;

    /// Runs an action.
    fn run(call: &Call, caps: &C) -> Result<Outcome, Failure>;

    /// Says whether an interrupted attempt took effect. Only asked for actions that are declared observable.
    fn observe(call: &Call, caps: &C) -> Result<Observation, Failure> {
        let _ = caps;
        Ok(Observation::Unknown(format!("`{}/{}` cannot be observed", Self::NAME, call.action)))
    }
}

/// Makes a component of a type that implements [`Plugin`]. Outside of WebAssembly it does nothing.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[expect(unsafe_code, reason = "the exports of a component are raw functions, generated from wit/")]
        mod component {
            use super::*;
            use $crate::{bindings::exports::lifeboat::plugin::actions, guest::Guest};

            struct Component;

            impl actions::Guest for Component {
                fn describe() -> Vec<$crate::Action> {
                    <$plugin as $crate::Plugin<Guest>>::actions()
                }

                fn run(call: $crate::Call) -> Result<$crate::Outcome, $crate::Failure> {
                    $crate::guest::report_panics();
                    <$plugin as $crate::Plugin<Guest>>::run(&call, &Guest)
                }

                fn observe(call: $crate::Call) -> Result<$crate::Observation, $crate::Failure> {
                    $crate::guest::report_panics();
                    <$plugin as $crate::Plugin<Guest>>::observe(&call, &Guest)
                }
            }

            $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        }
    };
}
