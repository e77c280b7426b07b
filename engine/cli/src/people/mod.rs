//! How the engine reaches people from the command line: answers given as arguments first, then the terminal, else nobody.

mod answers;
mod confirm;
mod evidence;
mod keyboard;
mod prompt;

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
};

use lifeboat_core::{
    input::Question,
    name::{RunId, StepId},
    operator::may_answer,
};
use lifeboat_runtime::{
    identity,
    invoke::Pending,
    people::{People, Reply, ReplyAnswer},
};
use tokio_util::sync::CancellationToken;

pub(crate) use answers::Answers;
pub(crate) use confirm::confirmed;
pub(crate) use evidence::value as evidence;
pub(crate) use lifeboat_runtime::identity::this_person as current_user;

use self::prompt::Answered;
use crate::{
    output::{WARN, note, styled},
    view::View,
};

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
    run: RunId,
    /// The people of each role, as the bindings of the run name them.
    roles: Arc<BTreeMap<String, Vec<String>>>,
    view: Arc<dyn View>,
    stop: CancellationToken,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Responder {
    /// Gives the prepared answers first, then asks if somebody can be asked.
    pub(crate) fn new(
        prepared: Answers,
        (run, roles): (RunId, BTreeMap<String, Vec<String>>),
        view: Arc<dyn View>,
        stop: CancellationToken,
    ) -> Self {
        let terminal = || Terminal { run, roles: Arc::new(roles), view, stop, turn: Arc::default() };
        Self { prepared: Mutex::new(prepared), terminal: can_be_asked().then(terminal) }
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
        if let Some(why) = may_not(&self.roles, &step, &question) {
            self.view.say(&format!("{} {step}: {}", styled(WARN, "?"), prompt::asked(&question)));
            self.view.say(&format!("{why}; waiting for `lifeboat approve {} {step}` in another terminal", self.run));
            cancel.cancelled().await;
            return None;
        }
        let _turn = self.turn.lock().await;
        if cancel.is_cancelled() {
            return None;
        }
        self.view.stand_aside();
        prompt::announce(&step, &question);
        let answered = prompt::ask(&question, &self.elsewhere(&step, &question), &cancel).await;
        if answered == Answered::CalledOff && !self.stop.is_cancelled() {
            note("it was answered elsewhere");
        }
        self.view.go_on();
        match answered {
            Answered::With(answer) => Some(Reply { who: current_user(), answer }),
            Answered::Later | Answered::CalledOff => None,
        }
    }

    /// The command that answers it in another terminal.
    fn elsewhere(&self, step: &StepId, question: &Question) -> String {
        let command = match question {
            Question::Approve { .. } => "approve",
            Question::Hands { .. } => "resolve",
            Question::Decide { .. } => "retry` or `lifeboat resolve",
        };
        format!("lifeboat {command} {} {step}", self.run)
    }
}

/// Why the person at this terminal is not the one who answers.
fn may_not(roles: &BTreeMap<String, Vec<String>>, step: &StepId, question: &Question) -> Option<String> {
    let Question::Approve { by, approved_by, .. } = question else { return None };
    let who = current_user();
    if approved_by.as_ref() == Some(&who) {
        return Some(format!("you have already approved `{step}`; a second person must approve it too"));
    }
    let groups = identity::groups(roles, &who);
    may_answer(roles, by, (&who, &groups), &format!("`{step}` can only be answered"))
        .err()
        .map(|refusal| refusal.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_answer_is_told_who_may() {
        let step = StepId::new("sign_off").unwrap();
        let question = |by: &[&str], approved_by| Question::Approve {
            by: by.iter().map(|role| (*role).to_owned()).collect(),
            message: "Merge?".to_owned(),
            approved_by,
        };
        let roles = BTreeMap::from([("dba".to_owned(), vec!["nobody-of-that-name".to_owned()])]);
        let check = |question: &Question, part: Option<&str>| {
            let why = may_not(&roles, &step, question);
            assert_eq!(why.is_some(), part.is_some(), "{why:?}");
            assert!(part.is_none_or(|part| why.as_ref().is_some_and(|why| why.contains(part))), "{why:?}");
        };
        check(&question(&[], None), None);
        check(&question(&["dba"], None), Some("nobody-of-that-name; you are"));
        check(&question(&["lead"], None), Some("`people` in the bindings names nobody"));
        check(&question(&[], Some(current_user())), Some("a second person"));
        check(&Question::Decide { reason: String::new() }, None);
    }
}
