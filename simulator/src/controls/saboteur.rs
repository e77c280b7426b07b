//! Stands between the engine and the plugins and breaks one thing.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::{
    action::{Action, Catalogue},
    failure::{Failure, Reason},
    input::{Done, Purpose},
    types::Type,
};
use lifeboat_runtime::{
    holder::Holder,
    invoke::{Answer, Invoke, Pending, Request},
};
use serde_json::{Map, Value, json};

use super::{Breakage, Control};
use crate::{
    ledger::{Change, Key, Operation, Planned, State},
    store::{Answer as Written, Endpoint},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What the saboteur needs to know about the disaster.
#[derive(Debug, Clone)]
pub struct Known {
    /// The facts of the fault, by name.
    pub facts: BTreeMap<String, Value>,
    /// The records that it removed, in order.
    pub removed: Vec<Key>,
    /// The records that it changed, in order.
    pub changed: Vec<Key>,
    /// How it reaches the store.
    pub observer: Arc<dyn Endpoint>,
}

/// An [`Invoke`] that passes on every call except those of the step that it breaks.
pub struct Saboteur {
    inner: Arc<dyn Invoke>,
    control: Control,
    catalogue: Catalogue,
    known: Arc<OnceLock<Known>>,
}

impl Saboteur {
    /// Breaks what the control says; `known` must be set before the engine starts.
    pub fn new(inner: Arc<dyn Invoke>, control: Control, catalogue: Catalogue, known: Arc<OnceLock<Known>>) -> Self {
        Self { inner, control, catalogue, known }
    }
}

impl Invoke for Saboteur {
    fn invoke(&self, mut request: Request) -> Pending<Answer> {
        // Each item of a list is a step of its own: `settle[0]`.
        let (step, _item) = request.call.step.as_str().split_once('[').unwrap_or((request.call.step.as_str(), ""));
        let is_meant = self.control.step.as_deref() == Some(step);
        let known = self.known.get().filter(|_| is_meant && request.call.purpose == Purpose::Run);
        match (&self.control.breakage, known) {
            (Breakage::Does(_), Some(_)) => {
                let outputs = self.catalogue.get(&request.call.action).map(claims).unwrap_or_default();
                let done = Done { outputs, summary: "did nothing and reports success".to_owned() };
                Box::pin(std::future::ready(Answer::Ran(Ok(done))))
            }
            (Breakage::With(parameters), Some(known)) => {
                for (name, value) in parameters {
                    request.call.parameters[name] = filled(value, &known.facts);
                }
                self.inner.invoke(request)
            }
            (Breakage::LeavesOut(left), Some(known)) => {
                let of_it = |keys: &[Key], leave: fn(&Key) -> Planned| -> Vec<Planned> {
                    let keys = keys.iter().filter(|key| key.collection == left.collection);
                    keys.step_by(left.each.max(1)).map(leave).collect()
                };
                let writes = [of_it(&known.removed, deleted), of_it(&known.changed, spoiled)].concat();
                Box::pin(leave_out(self.inner.invoke(request), writes, Arc::clone(&known.observer)))
            }
            _ => self.inner.invoke(request),
        }
    }

    fn hold(&self, holder: Holder) -> Pending<Result<Vec<Reason>, Reason>> {
        self.inner.hold(holder)
    }

    fn let_go(&self) -> Pending<()> {
        self.inner.let_go()
    }
}

/// The value with each `{ fact: NAME }` in it replaced by what is known under that name.
fn filled(value: &Value, facts: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::Object(fields) => match fields.get("fact").and_then(Value::as_str).filter(|_| fields.len() == 1) {
            Some(fact) => facts.get(fact).cloned().unwrap_or_default(),
            None => fields.iter().map(|(name, value)| (name.clone(), filled(value, facts))).collect(),
        },
        Value::Array(items) => items.iter().map(|item| filled(item, facts)).collect(),
        other => other.clone(),
    }
}

/// Outputs of the declared types that claim nothing in particular.
fn claims(action: &Action) -> Value {
    let outputs = action.outputs.iter().filter(|field| field.required);
    outputs.map(|field| (field.name.clone(), empty(&field.ty))).collect::<Map<_, _>>().into()
}

fn empty(ty: &Type) -> Value {
    match ty {
        Type::String | Type::Target { .. } => json!(""),
        Type::Bool => json!(true),
        Type::Int | Type::Float => json!(0),
        Type::Timestamp => json!(Timestamp::UNIX_EPOCH),
        Type::Duration => json!("0s"),
        Type::Json | Type::Map(_) => json!({}),
        Type::List(_) => json!([]),
        Type::OneOf(cases) => cases.first().map_or(Value::Null, |(name, ty)| json!({ name.as_str(): empty(ty) })),
        Type::Record(fields) => {
            let required = fields.iter().filter(|field| field.required);
            required.map(|field| (field.name.clone(), empty(&field.ty))).collect::<Map<_, _>>().into()
        }
    }
}

/// Removes or changes some of the records again before the step is known to have ended, as if the step had left them out.
async fn leave_out(running: Pending<Answer>, writes: Vec<Planned>, observer: Arc<dyn Endpoint>) -> Answer {
    let answer = running.await;
    if !matches!(answer, Answer::Ran(Ok(_))) {
        return answer;
    }
    match write_all(&writes, observer.as_ref()).await {
        Ok(()) => answer,
        Err(problem) => Answer::Ran(Err(Failure::Permanent(Reason::new("drill-sabotage", problem)))),
    }
}

async fn write_all(writes: &[Planned], observer: &dyn Endpoint) -> Result<(), String> {
    let mut client = observer.connect(CONNECT_WITHIN).await.map_err(|error| error.to_string())?;
    let mut taken = 0;
    for planned in writes {
        match client.write(planned, 0).await {
            Written::Done(_) => taken += 1,
            Written::Refused(_) => {}
            Written::Unknown(problem) => return Err(problem),
        }
    }
    if taken == 0 { Err("the sabotage found no record to leave out".to_owned()) } else { Ok(()) }
}

fn deleted(key: &Key) -> Planned {
    let Key { collection, id } = key.clone();
    let changes = vec![Change { collection: collection.clone(), id: Some(id.clone()), after: None }];
    Planned { operation: Operation::Delete, collection, id: Some(id), parent: None, changes }
}

/// A content that no write of the application has put there.
fn spoiled(key: &Key) -> Planned {
    let Key { collection, id } = key.clone();
    let after = Some(State { version: 0, parent: None });
    let changes = vec![Change { collection: collection.clone(), id: Some(id.clone()), after }];
    Planned { operation: Operation::Update, collection, id: Some(id), parent: None, changes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_filled_in_wherever_they_stand() {
        let facts = BTreeMap::from([("after_damage".to_owned(), json!("2026-11-30T12:00:00Z"))]);
        let value = json!({ "target": { "time": { "fact": "after_damage" } }, "list": [{ "fact": "nobody" }, 3] });
        let expected = json!({ "target": { "time": "2026-11-30T12:00:00Z" }, "list": [null, 3] });
        assert_eq!(filled(&value, &facts), expected);
    }
}
