//! The questions themselves, on the terminal. Everything here blocks.

use std::collections::BTreeMap;

use inquire::{Confirm, InquireError, Select, Text, validator::Validation};
use lifeboat_core::{event::OperatorAnswer, input::Question, name::StepId, types::Type};
use lifeboat_runtime::people::ReplyAnswer;
use serde_json::{Map, Value};

use super::evidence;
use crate::{
    output::{STRONG, WARN, hint, note, styled},
    view::people,
};

/// What came of a question.
pub(super) enum Answered {
    /// An answer.
    With(ReplyAnswer),
    /// Not now (Esc, or the terminal is gone): the run waits.
    Later,
    /// Ctrl-C: the engine should stop.
    Stop,
}

impl From<Result<ReplyAnswer, InquireError>> for Answered {
    fn from(result: Result<ReplyAnswer, InquireError>) -> Self {
        match result {
            Ok(answer) => Self::With(answer),
            Err(InquireError::OperationInterrupted) => Self::Stop,
            Err(_) => Self::Later,
        }
    }
}

/// Says what is asked, and how it is answered.
pub(super) fn announce(step: &StepId, question: &Question) {
    note(format_args!("{} {}", styled(WARN, "?"), styled(STRONG, step)));
    let (asked, command) = match question {
        Question::Approve { message, .. } => (message, "approve"),
        Question::Hands { instruction, .. } => (instruction, "resolve"),
        Question::Decide { reason } => (reason, "retry` or `lifeboat resolve"),
    };
    note(asked);
    hint(format_args!("press Enter to answer here, or use `lifeboat {command}` in any terminal"));
}

/// Asks and waits for the person.
pub(super) fn ask(question: &Question) -> Answered {
    match question {
        Question::Approve { by, .. } => approve(by),
        Question::Hands { evidence, .. } => hands(evidence),
        Question::Decide { .. } => decide(),
    }
    .into()
}

fn approve(by: &[String]) -> Result<ReplyAnswer, InquireError> {
    let help = format!("by {}; Esc answers later, Ctrl-C stops the run safely", people(by));
    let approved = Confirm::new("Approve? (y/n)").with_help_message(&help).prompt()?;
    let comment = Text::new("Why?").with_help_message("for the journal; may stay empty").prompt()?;
    Ok(ReplyAnswer::Approval { approved, comment: Some(comment).filter(|comment| !comment.trim().is_empty()) })
}

fn hands(wanted: &BTreeMap<String, Type>) -> Result<ReplyAnswer, InquireError> {
    let mut given = Map::new();
    for (name, ty) in wanted {
        let expected = ty.clone();
        let validator = move |text: &str| {
            Ok(match evidence::value(&expected, text) {
                Ok(_) => Validation::Valid,
                Err(problem) => Validation::Invalid(problem.into()),
            })
        };
        let help = format!("{}; Esc answers later, Ctrl-C stops the run safely", String::from(ty.clone()));
        let text = Text::new(&format!("{name}:")).with_help_message(&help).with_validator(validator).prompt()?;
        given.insert(name.clone(), evidence::value(ty, &text).unwrap_or(Value::String(text)));
    }
    if wanted.is_empty() && !Confirm::new("Is it done?").with_help_message("Esc answers later").prompt()? {
        return Err(InquireError::OperationCanceled);
    }
    Ok(ReplyAnswer::Evidence(Value::Object(given)))
}

fn decide() -> Result<ReplyAnswer, InquireError> {
    const AGAIN: &str = "It did not happen, or may safely happen again: run it again";
    const HAPPENED: &str = "It happened: go on";
    const GIVE_UP: &str = "Count the step as failed";
    let choice = Select::new("What became of it?", vec![AGAIN, HAPPENED, GIVE_UP])
        .with_help_message("look at the system first; Esc answers later, Ctrl-C stops the run safely")
        .prompt()?;
    let answer = match choice {
        AGAIN => OperatorAnswer::RunAgain,
        HAPPENED => OperatorAnswer::ItHappened { outputs: outputs()? },
        _ => OperatorAnswer::GiveUp,
    };
    Ok(ReplyAnswer::Decision(answer))
}

/// The outputs of a step that happened unseen; later steps may need them.
fn outputs() -> Result<Value, InquireError> {
    let object = |text: &str| serde_json::from_str::<Map<String, Value>>(text);
    let validator = move |text: &str| {
        Ok(match object(text) {
            Ok(_) => Validation::Valid,
            Err(problem) => Validation::Invalid(format!("a JSON object is needed: {problem}").into()),
        })
    };
    let text = Text::new("Its outputs:").with_initial_value("{}").with_validator(validator).prompt()?;
    Ok(Value::Object(object(&text).unwrap_or_default()))
}
