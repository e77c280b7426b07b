//! How the engine reaches people from the command line: answers given as arguments first, then the terminal, else nobody.

mod answers;
mod evidence;
mod keyboard;
mod prompt;

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
};

use lifeboat_core::{input::Question, name::StepId};
use lifeboat_runtime::{
    invoke::Pending,
    people::{People, Reply, ReplyAnswer},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub(crate) use answers::Answers;
pub(crate) use evidence::value as evidence;
pub(crate) use lifeboat_runtime::identity::this_person as current_user;

use self::prompt::Answered;
use crate::{output::note, view::View};

/// Whether there is a terminal to ask on and to answer from.
pub(crate) fn can_be_asked() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Answers for the person at this terminal.
pub(crate) struct Responder {
    prepared: Mutex<Answers>,
    terminal: Option<Terminal>,
}

/// A terminal that can be asked, one question at a time.
#[derive(Clone)]
struct Terminal {
    view: Arc<dyn View>,
    stop: CancellationToken,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Responder {
    /// Gives the prepared answers first, then asks where somebody can be asked.
    pub(crate) fn new(prepared: Answers, view: Arc<dyn View>, stop: CancellationToken) -> Self {
        let terminal = can_be_asked().then(|| Terminal { view, stop, turn: Arc::default() });
        Self { prepared: Mutex::new(prepared), terminal }
    }

    fn prepared(&self, step: &StepId, question: &Question) -> Option<ReplyAnswer> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).take(step, question)
    }
}

impl People for Responder {
    fn ask(&self, step: StepId, question: Question, cancel: CancellationToken) -> Pending<Option<Reply>> {
        if let Some(answer) = self.prepared(&step, &question) {
            return Box::pin(std::future::ready(Some(Reply { who: current_user(), answer })));
        }
        match self.terminal.clone() {
            Some(terminal) => Box::pin(terminal.ask(step, question, cancel)),
            None => Box::pin(std::future::ready(None)),
        }
    }
}

impl Terminal {
    async fn ask(self, step: StepId, question: Question, cancel: CancellationToken) -> Option<Reply> {
        let _turn = self.turn.lock().await;
        if cancel.is_cancelled() {
            return None;
        }
        self.view.stand_aside();
        prompt::announce(&step, &question);
        let answered =
            if keyboard::somebody(&cancel).await { self.prompt(question, &cancel).await } else { Answered::Later };
        self.view.go_on();
        match answered {
            Answered::With(answer) => Some(Reply { who: current_user(), answer }),
            Answered::Later => None,
            Answered::Stop => {
                self.stop.cancel();
                None
            }
        }
    }

    /// Somebody is at the keyboard. A prompt can not be called off while it reads that: it gets a thread that nobody waits for, and
    /// where the question is answered elsewhere the terminal gets back its mode.
    async fn prompt(&self, question: Question, cancel: &CancellationToken) -> Answered {
        let mode = keyboard::Mode::now();
        let (send, receive) = oneshot::channel();
        let stop = self.stop.clone();
        std::thread::spawn(move || {
            if let Err(Answered::Stop) = send.send(prompt::ask(&question)) {
                stop.cancel();
            }
        });
        tokio::select! {
            answered = receive => answered.unwrap_or(Answered::Later),
            () = cancel.cancelled() => {
                mode.restore();
                note("it was answered elsewhere");
                Answered::Later
            }
        }
    }
}
