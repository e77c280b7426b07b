//! Answers given on the command line, for scripts. Each is used once: a question that comes back needs a person.

use std::str::FromStr;

use clap::Args;
use lifeboat_core::{event::OperatorAnswer, input::Question, name::StepId};
use lifeboat_runtime::people::ReplyAnswer;
use serde_json::{Map, Value};

use super::evidence;
use crate::arguments::step;

/// Answers to questions that the run will ask.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Answers")]
pub(crate) struct Answers {
    /// Approve this step
    #[arg(long, value_name = "STEP", value_parser = step)]
    approve: Vec<StepId>,
    /// Reject this step
    #[arg(long, value_name = "STEP", value_parser = step)]
    reject: Vec<StepId>,
    /// Give evidence for a manual step
    #[arg(long, value_name = "STEP.NAME=VALUE")]
    evidence: Vec<Evidence>,
    /// Report a manual step as done, if it needs no evidence
    #[arg(long, value_name = "STEP", value_parser = step)]
    done: Vec<StepId>,
    /// Decide about an interrupted step: `again`, `give-up`, `happened` or `happened:{"output": …}`
    #[arg(long, value_name = "STEP=DECISION")]
    decide: Vec<Decision>,
}

#[derive(Debug, Clone)]
struct Evidence {
    step: StepId,
    name: String,
    text: String,
}

impl FromStr for Evidence {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || "write it as STEP.NAME=VALUE".to_owned();
        let (place, value) = text.split_once('=').ok_or_else(shape)?;
        let (step, name) = place.split_once('.').ok_or_else(shape)?;
        let step = StepId::parse(step).map_err(|error| error.to_string())?;
        Ok(Self { step, name: name.to_owned(), text: value.to_owned() })
    }
}

#[derive(Debug, Clone)]
struct Decision {
    step: StepId,
    answer: OperatorAnswer,
}

impl FromStr for Decision {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (step, decision) = text.split_once('=').ok_or("write it as STEP=DECISION")?;
        let answer = match decision.split_once(':').unwrap_or((decision, "{}")) {
            ("again", "{}") => OperatorAnswer::RunAgain,
            ("give-up", "{}") => OperatorAnswer::GiveUp,
            ("happened", outputs) => {
                let outputs: Map<String, Value> = serde_json::from_str(outputs)
                    .map_err(|error| format!("the outputs are not a JSON object: {error}"))?;
                OperatorAnswer::ItHappened { outputs: Value::Object(outputs) }
            }
            _ => return Err(format!("`{decision}` is not `again`, `give-up` or `happened`")),
        };
        Ok(Self { step: StepId::parse(step).map_err(|error| error.to_string())?, answer })
    }
}

impl Answers {
    /// Every step that an answer names, so that a wrong name is seen before the run starts.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &StepId> {
        let evidence = self.evidence.iter().map(|evidence| &evidence.step);
        let decide = self.decide.iter().map(|decision| &decision.step);
        self.approve.iter().chain(&self.reject).chain(&self.done).chain(evidence).chain(decide)
    }

    /// Whether no answer was prepared.
    pub(crate) fn are_none(&self) -> bool {
        self.steps().next().is_none()
    }

    /// Takes the answer to that question out, if there is one.
    pub(super) fn take(&mut self, step: &StepId, question: &Question) -> Option<ReplyAnswer> {
        match question {
            Question::Approve { .. } if remove(&mut self.approve, step) => {
                Some(ReplyAnswer::Approval { approved: true, comment: None })
            }
            Question::Approve { .. } if remove(&mut self.reject, step) => {
                Some(ReplyAnswer::Approval { approved: false, comment: None })
            }
            Question::Hands { evidence, .. } => self.take_evidence(step, evidence),
            Question::Decide { .. } => {
                let place = self.decide.iter().position(|decision| decision.step == *step)?;
                Some(ReplyAnswer::Decision(self.decide.remove(place).answer))
            }
            Question::Approve { .. } => None,
        }
    }

    /// All of the evidence or none: half of it would be handed in for the whole.
    fn take_evidence(
        &mut self,
        step: &StepId,
        wanted: &std::collections::BTreeMap<String, lifeboat_core::types::Type>,
    ) -> Option<ReplyAnswer> {
        let text = |name: &str| self.evidence.iter().find(|given| given.step == *step && given.name == name);
        let given: Option<Map<String, Value>> = wanted
            .iter()
            .map(|(name, ty)| Some((name.clone(), evidence::value(ty, &text(name)?.text).ok()?)))
            .collect();
        let given = given?;
        if given.is_empty() && !remove(&mut self.done, step) {
            return None;
        }
        self.evidence.retain(|given| given.step != *step);
        Some(ReplyAnswer::Evidence(Value::Object(given)))
    }
}

fn remove(steps: &mut Vec<StepId>, step: &StepId) -> bool {
    let place = steps.iter().position(|candidate| candidate == step);
    place.map(|place| steps.remove(place)).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;
    use lifeboat_core::types::Type;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        answers: Answers,
    }

    fn answers(line: &str) -> Answers {
        Line::try_parse_from(["test"].into_iter().chain(line.split_whitespace())).unwrap().answers
    }

    fn id(text: &str) -> StepId {
        StepId::new(text).unwrap()
    }

    const APPROVE: Question = Question::Approve { by: Vec::new(), message: String::new(), approved_by: None };

    #[test]
    fn an_answer_is_used_once() {
        let mut answers = answers("--approve sign_off --reject other");
        let yes = ReplyAnswer::Approval { approved: true, comment: None };
        let no = ReplyAnswer::Approval { approved: false, comment: None };
        assert_eq!(answers.take(&id("sign_off"), &APPROVE), Some(yes));
        assert_eq!(answers.take(&id("sign_off"), &APPROVE), None);
        assert_eq!(answers.take(&id("other"), &APPROVE), Some(no));
    }

    #[test]
    fn evidence_is_handed_in_whole_or_not_at_all() {
        let question = |names: &[&str]| Question::Hands {
            instruction: String::new(),
            evidence: names.iter().map(|name| ((*name).to_owned(), Type::String)).collect::<BTreeMap<_, _>>(),
        };
        let mut answers = answers("--evidence dns.ticket=OPS-1 --done phone");
        assert_eq!(answers.take(&id("dns"), &question(&["ticket", "photo"])), None);
        let expected = ReplyAnswer::Evidence(json!({"ticket": "OPS-1"}));
        assert_eq!(answers.take(&id("dns"), &question(&["ticket"])), Some(expected));
        assert_eq!(answers.take(&id("dns"), &question(&[])), None);
        assert_eq!(answers.take(&id("phone"), &question(&[])), Some(ReplyAnswer::Evidence(json!({}))));
    }

    #[test]
    fn a_decision_reads_as_it_is_meant() {
        let question = Question::Decide { reason: String::new() };
        let check = |text: &str, expected: OperatorAnswer| {
            let taken = answers(&format!("--decide merge={text}")).take(&id("merge"), &question);
            assert_eq!(taken, Some(ReplyAnswer::Decision(expected)), "{text}");
        };
        check("again", OperatorAnswer::RunAgain);
        check("give-up", OperatorAnswer::GiveUp);
        check("happened", OperatorAnswer::ItHappened { outputs: json!({}) });
        check(r#"happened:{"rows":3}"#, OperatorAnswer::ItHappened { outputs: json!({"rows": 3}) });
        assert!("merge=perhaps".parse::<Decision>().is_err());
        assert!("merge=happened:3".parse::<Decision>().is_err());
    }
}
