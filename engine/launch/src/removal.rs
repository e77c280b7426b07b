//! Runs that remove what another run has left: their calls are made in the name of the run and the step that made it, because nothing
//! else may remove it.

use std::sync::Arc;

use lifeboat_core::{
    failure::Reason,
    name::{RunId, StepId},
    run::Run,
};
use lifeboat_runtime::{
    holder::Holder,
    invoke::{Answer, Invoke, Pending, Request},
};

/// The id of the runbook of such a run.
pub const RUNBOOK: &str = "COPIES";
/// The name of the input that has the run.
pub const OF_RUN: &str = "of_run";
/// The name of the input that has the step.
pub const OF_STEP: &str = "of_step";

/// The run and the step whose copy a run removes; `None` of every other run.
pub fn removes(run: &Run) -> Option<(RunId, StepId)> {
    let (_, facts) = run.started.as_ref().filter(|(_, facts)| facts.runbook.id == RUNBOOK)?;
    let input = |name: &str| facts.inputs[name].as_str();
    Some((RunId::new(input(OF_RUN)?).ok()?, StepId::parse(input(OF_STEP)?).ok()?))
}

/// The plugins for a run that is resumed: those of a removal are called in the name of the run that made the copy.
pub(crate) fn as_owner(invoke: Arc<dyn Invoke>, run: &Run) -> Arc<dyn Invoke> {
    match removes(run) {
        Some((owner, step)) => on_behalf(invoke, &owner, &step),
        None => invoke,
    }
}

/// Calls plugins as the run and the step that made the copy.
pub fn on_behalf(invoke: Arc<dyn Invoke>, run: &RunId, step: &StepId) -> Arc<dyn Invoke> {
    Arc::new(OnBehalf { invoke, run: run.clone(), step: step.clone() })
}

struct OnBehalf {
    invoke: Arc<dyn Invoke>,
    run: RunId,
    step: StepId,
}

impl Invoke for OnBehalf {
    fn invoke(&self, mut request: Request) -> Pending<Answer> {
        request.run = self.run.clone();
        request.call.step = self.step.clone();
        self.invoke.invoke(request)
    }

    fn hold(&self, holder: Holder) -> Pending<Result<Vec<Reason>, Reason>> {
        self.invoke.hold(holder)
    }

    fn let_go(&self) -> Pending<()> {
        self.invoke.let_go()
    }
}
