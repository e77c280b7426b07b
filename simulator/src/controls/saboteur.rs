//! Stands between the engine and the plugins and breaks one thing.

use std::{
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
use lifeboat_runtime::invoke::{Answer, Invoke, Pending, Request};
use serde_json::{Map, Value, json};
use tokio_postgres::Config;

use super::Sabotage;
use crate::workload::connect;

/// What the saboteur needs to know of the disaster.
#[derive(Debug, Clone)]
pub struct Facts {
    /// A moment after the damage.
    pub after_damage: Timestamp,
    /// Rows of `order_items` that the sabotaged merge leaves out.
    pub skipped_items: Vec<i64>,
    /// How it reaches the primary.
    pub observer: Config,
}

/// An [`Invoke`] that passes every call on, but for the one that it breaks.
pub struct Saboteur {
    inner: Arc<dyn Invoke>,
    sabotage: Sabotage,
    catalogue: Catalogue,
    facts: Arc<OnceLock<Facts>>,
}

impl Saboteur {
    /// Breaks what `sabotage` says; `facts` must be set before the engine starts.
    pub fn new(inner: Arc<dyn Invoke>, sabotage: Sabotage, catalogue: Catalogue, facts: Arc<OnceLock<Facts>>) -> Self {
        Self { inner, sabotage, catalogue, facts }
    }
}

impl Invoke for Saboteur {
    fn invoke(&self, mut request: Request) -> Pending<Answer> {
        let action = request.call.action.to_string();
        let runs = request.call.purpose == Purpose::Run;
        match (self.sabotage, action.as_str(), self.facts.get()) {
            (Sabotage::WrongTargetTime, "pg/restore", Some(facts)) if runs => {
                request.call.parameters["target"] = json!({ "time": facts.after_damage });
                self.inner.invoke(request)
            }
            (Sabotage::NoOpRestore, "pg/merge-missing", _) if runs => {
                let outputs = self.catalogue.get(&request.call.action).map(claims).unwrap_or_default();
                let done = Done { outputs, summary: "did nothing and says that all is well".to_owned() };
                Box::pin(std::future::ready(Answer::Ran(Ok(done))))
            }
            (Sabotage::OverwrittenKeys, "pg/settle-conflicts", _) if runs => {
                request.call.parameters["decision"] = json!("take");
                self.inner.invoke(request)
            }
            (Sabotage::SkippedRows, "pg/merge-missing", Some(facts)) if runs => {
                Box::pin(skip(self.inner.invoke(request), facts.clone()))
            }
            _ => self.inner.invoke(request),
        }
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

/// Takes some of the merged rows away again before the step is known to have ended: as if the merge had left them out.
async fn skip(merging: Pending<Answer>, facts: Facts) -> Answer {
    let answer = merging.await;
    if !matches!(answer, Answer::Ran(Ok(_))) {
        return answer;
    }
    match take_away(&facts).await {
        Ok(()) => answer,
        Err(problem) => Answer::Ran(Err(Failure::Permanent(Reason::new("drill-sabotage", problem)))),
    }
}

async fn take_away(facts: &Facts) -> Result<(), String> {
    let client = connect(&facts.observer, Duration::from_secs(5)).await.map_err(|error| error.to_string())?;
    let sql = "DELETE FROM public.order_items WHERE id = ANY($1)";
    let taken = client.execute(sql, &[&facts.skipped_items]).await.map_err(|error| error.to_string())?;
    if taken == 0 { Err("the sabotage found no row to leave out".to_owned()) } else { Ok(()) }
}
