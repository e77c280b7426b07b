//! The questions themselves, on the terminal: each is answered with one line.

use lifeboat_core::{event::OperatorAnswer, input::Question, name::StepId, types::Type};
use lifeboat_runtime::people::ReplyAnswer;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{
    evidence,
    keyboard::{self, Typed},
};
use crate::output::{STRONG, WARN, hint, note, prompt, styled};

/// What came of a question.
#[derive(Debug, PartialEq)]
pub(super) enum Answered {
    /// An answer.
    With(ReplyAnswer),
    /// Not now, or the terminal is gone: the run waits.
    Later,
    /// The question was called off: it was answered elsewhere, or the engine stops.
    CalledOff,
}

/// Says what is asked, and how it is answered elsewhere.
pub(super) fn announce(step: &StepId, question: &Question) {
    note(format_args!("{} {}", styled(WARN, "?"), styled(STRONG, step)));
    note(asked(question));
}

/// What a person is asked, in the words of the runbook.
pub(super) fn asked(question: &Question) -> &str {
    match question {
        Question::Approve { message, .. } => message,
        Question::Hands { instruction, .. } => instruction,
        Question::Decide { reason } => reason,
    }
}

/// Asks until there is an answer.
pub(super) async fn ask(question: &Question, elsewhere: &str, cancel: &CancellationToken) -> Answered {
    keyboard::forget();
    hint(format_args!(
        "type `later` to leave it open; `{elsewhere}` answers it from any terminal; Ctrl-C stops the run safely"
    ));
    match question {
        Question::Approve { .. } => line("y or n, optionally followed by a comment: ", cancel, approval).await,
        Question::Hands { evidence, .. } if evidence.is_empty() => line("Is it done? y or n: ", cancel, done).await,
        Question::Hands { evidence, .. } => hands(evidence.iter(), cancel).await,
        Question::Decide { .. } => {
            note("Did it take effect? Examine the system first.");
            note("  again    it had no effect, or repeating it is harmless: run it again");
            note("  happened it took effect: continue; outputs may follow as JSON: happened {\"rows\": 3}");
            note("  give-up  treat the step as failed");
            line("again, happened or give-up: ", cancel, decision).await
        }
    }
}

/// One line that is an answer; what is none is said, and asked again.
async fn line(wanted: &str, cancel: &CancellationToken, read: impl Fn(&str) -> Result<Answered, String>) -> Answered {
    loop {
        prompt(wanted);
        match keyboard::line(cancel).await {
            Typed::Line(text) if text == "later" => return Answered::Later,
            Typed::Line(text) => match read(&text) {
                Ok(answered) => return answered,
                Err(problem) => note(problem),
            },
            Typed::Gone => return Answered::Later,
            Typed::CalledOff => return Answered::CalledOff,
        }
    }
}

/// `y`, `no too many rows`.
fn approval(text: &str) -> Result<Answered, String> {
    let (word, comment) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let approved = yes_or_no(word)?;
    let comment = Some(comment.trim().to_owned()).filter(|comment| !comment.is_empty());
    Ok(Answered::With(ReplyAnswer::Approval { approved, comment }))
}

fn done(text: &str) -> Result<Answered, String> {
    let is_done = yes_or_no(text)?;
    Ok(if is_done { Answered::With(ReplyAnswer::Evidence(Value::Object(Map::new()))) } else { Answered::Later })
}

fn decision(text: &str) -> Result<Answered, String> {
    let (word, outputs) = text.split_once(char::is_whitespace).unwrap_or((text, "{}"));
    let answer = match (word, outputs.trim()) {
        ("again", "{}") => OperatorAnswer::RunAgain,
        ("give-up", "{}") => OperatorAnswer::GiveUp,
        ("happened", outputs) => {
            let outputs: Map<String, Value> =
                serde_json::from_str(outputs).map_err(|error| format!("the outputs are not a JSON object: {error}"))?;
            OperatorAnswer::ItHappened { outputs: Value::Object(outputs) }
        }
        _ => return Err(format!("`{text}` is not `again`, `happened` or `give-up`")),
    };
    Ok(Answered::With(ReplyAnswer::Decision(answer)))
}

/// One line for each thing to hand in.
async fn hands(wanted: impl Iterator<Item = (&String, &Type)>, cancel: &CancellationToken) -> Answered {
    let mut given = Map::new();
    for (name, ty) in wanted {
        let read = |text: &str| {
            let value = evidence::value(ty, text).map_err(|problem| format!("`{name}`: {problem}"))?;
            Ok(Answered::With(ReplyAnswer::Evidence(value)))
        };
        match line(&format!("{name} ({}): ", String::from(ty.clone())), cancel, read).await {
            Answered::With(ReplyAnswer::Evidence(value)) => drop(given.insert(name.clone(), value)),
            other => return other,
        }
    }
    Answered::With(ReplyAnswer::Evidence(Value::Object(given)))
}

/// What a person means with a word.
pub(super) fn yes_or_no(word: &str) -> Result<bool, String> {
    match word.trim_end_matches([',', ':', '.', '!']).to_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err("type y or n, then Enter".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_is_the_answer_and_the_comment() {
        let check = |text: &str, expected: Option<(bool, Option<&str>)>| {
            let expected = expected.map(|(approved, comment)| {
                Answered::With(ReplyAnswer::Approval { approved, comment: comment.map(str::to_owned) })
            });
            assert_eq!(approval(text).ok(), expected, "{text}");
        };
        check("y", Some((true, None)));
        check("Yes, 412 rows as counted", Some((true, Some("412 rows as counted"))));
        check("n  too many rows", Some((false, Some("too many rows"))));
        check("not yet", None);
        check("", None);
    }

    #[test]
    fn a_decision_is_a_word_with_outputs_behind_it() {
        let check = |text: &str, expected: Option<OperatorAnswer>| {
            let expected = expected.map(|answer| Answered::With(ReplyAnswer::Decision(answer)));
            assert_eq!(decision(text).ok(), expected, "{text}");
        };
        check("again", Some(OperatorAnswer::RunAgain));
        check("give-up", Some(OperatorAnswer::GiveUp));
        check("happened", Some(OperatorAnswer::ItHappened { outputs: json!({}) }));
        check(r#"happened {"rows": 3}"#, Some(OperatorAnswer::ItHappened { outputs: json!({"rows": 3}) }));
        check("happened 3", None);
        check("again and again", None);
        check("", None);
    }
}
