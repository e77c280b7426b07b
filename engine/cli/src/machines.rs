//! Looking at machines for restored copies: a call of a plugin that only reads, and no run.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    bindings::{Bindings, System},
    diagnostic::SourceFile,
    event::Mode,
    input::{Call, Purpose},
    name::{RoleName, RunId},
    plan::Plan,
    runbook,
};
use lifeboat_host::Host;
use lifeboat_present::words;
use lifeboat_runtime::invoke::{Answer, Deadline, Request, Unfenced};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{exit::Exit, problem::Problem};

/// A machine that does not answer is given up after so long.
const ANSWER_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// A copy as its machine shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) name: String,
    /// `running`, `stopped` or `unfinished`.
    pub(crate) state: String,
    pub(crate) size_bytes: u64,
    /// The run that made it; none where nothing says it.
    pub(crate) run: Option<String>,
    pub(crate) step: Option<String>,
    /// The port that it holds.
    pub(crate) port: Option<u64>,
}

/// A machine that was looked at.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) role: RoleName,
    pub(crate) system: System,
    pub(crate) instances: Vec<Instance>,
}

/// The roles of machines in these bindings.
pub(crate) fn roles(bindings: &Bindings) -> Vec<RoleName> {
    let machines = bindings.targets.iter().filter(|(_, binding)| matches!(binding.system, System::Machine(_)));
    machines.map(|(role, _)| role.clone()).collect()
}

/// Asks a machine for the copies on it.
pub(crate) async fn look(host: &Host, bindings: &Bindings, role: &RoleName) -> anyhow::Result<Looked> {
    let mut alone = bindings.clone();
    alone.targets.retain(|other, _| other == role);
    let Some(system) = alone.targets.get(role).map(|binding| binding.system.clone()) else {
        return Err(Problem::new(Exit::File, format!("the bindings do not contain a machine `{role}`")).into());
    };
    let plan = plan(host, role)?;
    let answer = host.bind(&plan, alone)?.invoke(request(&plan)?).await;
    let done = match answer {
        Answer::Ran(Ok(done)) => done,
        Answer::Ran(Err(failure)) => return Err(not_seen(role, &words::failure(&failure))),
        Answer::Observed(_) => return Err(not_seen(role, "the plugin gave an unexpected answer")),
    };
    Ok(Looked { role: role.clone(), system, instances: serde_json::from_value(done.outputs["instances"].clone())? })
}

fn not_seen(role: &RoleName, why: &str) -> anyhow::Error {
    Problem::new(Exit::Failed, format!("cannot look at the machine `{role}`: {why}"))
        .hint("without `--look`, the list follows the journals alone")
        .into()
}

fn plan(host: &Host, role: &RoleName) -> anyhow::Result<Plan> {
    let text = format!(
        "lifeboat: 1\nid: COPIES\nname: Look for copies\ntargets: {{ {role}: {{ kind: machine, access: read }} }}\nsteps:\n  \
         - id: look\n    uses: pg/list-instances\n    with: {{ machine: {role} }}\n"
    );
    let compiled = runbook::compile(&SourceFile { name: "a look at a machine".to_owned(), text }, &host.catalogue());
    compiled.plan.ok_or_else(|| anyhow::anyhow!("cannot plan a look at `{role}`: {:?}", compiled.diagnostics))
}

fn request(plan: &Plan) -> anyhow::Result<Request> {
    let missing = || anyhow::anyhow!("the plan has no step that looks");
    let step = plan.steps.first().ok_or_else(missing)?;
    let action = step.action().ok_or_else(missing)?;
    let role = action.grants.keys().next().ok_or_else(missing)?;
    let deadline = Timestamp::now().checked_add(ANSWER_WITHIN).ok();
    Ok(Request {
        call: Call {
            step: step.id.clone(),
            attempt: 1,
            purpose: Purpose::Run,
            action: action.action.clone(),
            parameters: json!({ "machine": role }),
            grants: action.grants.clone(),
            deadline,
        },
        run: RunId::new("copies-look")?,
        mode: Mode::DryRun,
        deadline: Deadline::fixed(deadline),
        cancel: CancellationToken::new(),
        notes: Arc::new(|_| {}),
        fence: Arc::new(Unfenced),
    })
}
