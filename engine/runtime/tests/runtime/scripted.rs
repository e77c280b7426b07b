//! Plugins and people that do what a test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::future::FutureExt;
use lifeboat_core::{
    event::{Mode, Person},
    failure::{Failure, Reason},
    input::{Done, Observation, Purpose, Question},
    name::{RunId, StepId},
    plan::Plan,
    run::Run,
};
use lifeboat_runtime::{
    home::Home,
    invoke::{Answer, Invoke, Level, Note, Pending, Request},
    people::{Nobody, People, Reply, ReplyAnswer},
    report::{Report, Reporter, Silent},
    session::{NewRun, Surroundings},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// What the plugin does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Logs a line and answers.
    Succeed,
    /// Fails for good.
    Fail,
    /// Fails, and may go well the next time.
    FailForNow,
    /// Panics.
    Panic,
    /// Never ends by itself; ends when it is cancelled.
    Hang,
    /// Takes effect and then never ends by itself.
    HangAfterEffect,
    /// Does not end before it is told to, and then says that it is done.
    SucceedAtTheLast,
    /// Lets the engine be told to stop, and answers.
    SucceedAsItStops,
}

/// A plugin that acts by step, and remembers.
#[derive(Default)]
pub(crate) struct Plugin {
    acts: Mutex<BTreeMap<String, Act>>,
    calls: Mutex<Vec<(StepId, Purpose)>>,
    effects: Mutex<Vec<StepId>>,
    /// Fires when a call hangs.
    pub(crate) hangs: CancellationToken,
}

impl Plugin {
    /// From now on the calls of that step do this.
    pub(crate) fn act(&self, step: &str, act: Act) {
        self.acts.lock().unwrap().insert(step.to_owned(), act);
    }

    /// The step's action took effect before.
    pub(crate) fn happened(&self, step: &str) {
        self.effects.lock().unwrap().push(StepId::new(step).unwrap());
    }

    /// The calls so far.
    pub(crate) fn calls(&self, step: &str, purpose: Purpose) -> usize {
        self.calls.lock().unwrap().iter().filter(|(id, of)| id.as_str() == step && *of == purpose).count()
    }
}

/// Shares one plugin between sessions.
pub(crate) struct Shared(pub(crate) Arc<Plugin>);

impl Invoke for Shared {
    lifeboat_runtime::holds_nothing!();

    fn invoke(&self, request: Request) -> Pending<Answer> {
        let plugin = Arc::clone(&self.0);
        let step = request.call.step.clone();
        plugin.calls.lock().unwrap().push((step.clone(), request.call.purpose));
        if request.call.purpose == Purpose::Observe {
            let happened = plugin.effects.lock().unwrap().contains(&step);
            let observed = if happened { Observation::Done(done()) } else { Observation::NotDone };
            return std::future::ready(Answer::Observed(Ok(observed))).boxed();
        }
        let act = plugin.acts.lock().unwrap().get(step.as_str()).copied().unwrap_or(Act::Succeed);
        if !matches!(act, Act::Fail | Act::FailForNow | Act::Panic | Act::Hang) {
            plugin.effects.lock().unwrap().push(step);
        }
        async move {
            match act {
                Act::Succeed => {
                    let fields = vec![("rows".to_owned(), "7".to_owned())];
                    (request.notes)(Note::Log { level: Level::Info, message: "working\nhard".to_owned(), fields });
                    Answer::Ran(Ok(done()))
                }
                Act::FailForNow => Answer::Ran(Err(Failure::Transient(Reason::new("test-failed", "as planned")))),
                Act::Fail => Answer::Ran(Err(Failure::Permanent(Reason::new("test-failed", "as planned")))),
                Act::Panic => panic!("the plugin host is broken"),
                Act::SucceedAsItStops => {
                    plugin.hangs.cancel();
                    Answer::Ran(Ok(done()))
                }
                Act::SucceedAtTheLast => {
                    plugin.hangs.cancel();
                    request.cancel.cancelled().await;
                    Answer::Ran(Ok(done()))
                }
                Act::Hang | Act::HangAfterEffect => {
                    plugin.hangs.cancel();
                    request.cancel.cancelled().await;
                    Answer::Ran(Err(Failure::Interrupted(Reason::new("test-cancelled", "it was cancelled"))))
                }
            }
        }
        .boxed()
    }
}

fn done() -> Done {
    Done { outputs: json!({}), summary: "done".to_owned() }
}

/// Somebody who says yes to everything.
pub(crate) struct Agreeable;

impl People for Agreeable {
    fn ask(&self, _step: StepId, _question: Question, _cancel: CancellationToken) -> Pending<Option<Reply>> {
        let answer = ReplyAnswer::Approval { approved: true, comment: None };
        std::future::ready(Some(Reply { who: Person::User { name: "dba".to_owned() }, answer })).boxed()
    }
}

/// Somebody who is there and says nothing.
pub(crate) struct Silence;

impl People for Silence {
    fn ask(&self, _step: StepId, _question: Question, cancel: CancellationToken) -> Pending<Option<Reply>> {
        async move {
            cancel.cancelled().await;
            None
        }
        .boxed()
    }
}

/// Somebody who cannot even be asked.
pub(crate) struct Unreachable;

impl People for Unreachable {
    fn ask(&self, _step: StepId, _question: Question, _cancel: CancellationToken) -> Pending<Option<Reply>> {
        async { panic!("the terminal is broken") }.boxed()
    }
}

/// Remembers what was said.
#[derive(Default)]
pub(crate) struct Listener {
    /// Every note.
    pub(crate) notes: Mutex<Vec<Note>>,
}

impl Reporter for Listener {
    fn report(&self, report: &Report, _run: &Run) {
        if let Report::Note(note) = report {
            self.notes.lock().unwrap().push(note.note.clone());
        }
    }
}

/// A state folder of its own, with a plugin, for one test.
pub(crate) struct Stage {
    /// The state.
    pub(crate) home: Home,
    /// The plugin of every session.
    pub(crate) plugin: Arc<Plugin>,
    _folder: Option<tempfile::TempDir>,
}

impl Stage {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        Self { _folder: Some(folder), ..Self::at(home) }
    }

    /// One whose state is another's.
    pub(crate) fn at(home: Home) -> Self {
        Self { home, plugin: Arc::default(), _folder: None }
    }

    /// Surroundings in which nobody can be asked.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            invoke: Arc::new(Shared(Arc::clone(&self.plugin))),
            people: Arc::new(Nobody),
            reporter: Arc::new(Silent),
            stop: CancellationToken::new(),
        }
    }

    /// Surroundings that stop the engine as soon as a call hangs.
    pub(crate) fn surroundings_until_it_hangs(&self) -> Surroundings {
        Surroundings { stop: self.plugin.hangs.clone(), ..self.surroundings() }
    }

    /// A new run of the plan, which writes to one target.
    pub(crate) fn new_run(&self, plan: &Plan) -> NewRun {
        new_run(self.home.new_run_id(plan, "2026-11-21T03:00:00Z".parse().unwrap()).unwrap(), plan)
    }
}

/// A new run of the plan under that name, which writes to one target.
pub(crate) fn new_run(run: RunId, plan: &Plan) -> NewRun {
    NewRun {
        run,
        plan: plan.clone(),
        runbook_path: None,
        runbook_source: b"lifeboat: 1\n".to_vec(),
        called_sources: Vec::new(),
        bindings_source: b"lifeboat: 1\n".to_vec(),
        inputs: json!({}),
        targets: BTreeMap::new(),
        leases: vec!["postgres:7423".to_owned()],
        mode: Mode::Real,
        who: Person::Engine,
        people: BTreeMap::new(),
        onset: None,
    }
}
