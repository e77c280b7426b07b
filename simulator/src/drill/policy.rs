//! The named rule that answers a runbook's questions in a drill.

use std::collections::BTreeMap;

use lifeboat_core::{event::Person, input::Question, name::StepId, types::Type};
use lifeboat_runtime::{
    invoke::Pending,
    people::{People, Reply, ReplyAnswer},
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

/// Approves, and gives the evidence that the drill file names. It cannot do work: a step that asks for other evidence, or only
/// for work to be done, keeps the drill waiting and so fails it.
#[derive(Debug, Clone)]
pub struct DrillPolicy {
    /// Its name, as the journal and the report show it.
    pub name: String,
    /// Its comment with each approval.
    pub comment: String,
    /// The evidence that it gives, by name.
    pub evidence: BTreeMap<String, String>,
}

impl DrillPolicy {
    /// All evidence that is asked for, if each piece is text and the drill file has it.
    fn hand_in(&self, wanted: &BTreeMap<String, Type>) -> Option<ReplyAnswer> {
        let text = |(name, ty): (&String, &Type)| {
            let text = (*ty == Type::String).then(|| self.evidence.get(name)).flatten()?;
            Some((name.clone(), Value::from(text.as_str())))
        };
        let evidence: Option<Map<String, Value>> = wanted.iter().map(text).collect();
        evidence.filter(|evidence| !evidence.is_empty()).map(|evidence| ReplyAnswer::Evidence(evidence.into()))
    }
}

impl People for DrillPolicy {
    fn ask(&self, _step: StepId, question: Question, _cancel: CancellationToken) -> Pending<Option<Reply>> {
        let who = Person::Policy { name: self.name.clone() };
        let comment = Some(self.comment.clone());
        let answer = match question {
            Question::Approve { .. } => Some(ReplyAnswer::Approval { approved: true, comment }),
            Question::Hands { evidence, .. } => self.hand_in(&evidence),
            Question::Decide { .. } => None,
        };
        Box::pin(std::future::ready(answer.map(|answer| Reply { who, answer })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> DrillPolicy {
        let evidence = BTreeMap::from([("decision".to_owned(), "keep".to_owned())]);
        DrillPolicy { name: "drill-approves".to_owned(), comment: String::new(), evidence }
    }

    #[test]
    fn it_hands_in_what_the_drill_file_names_and_nothing_else() {
        let wanted = |names: &[(&str, Type)]| {
            let wanted = names.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect();
            policy().hand_in(&wanted)
        };
        let keep = ReplyAnswer::Evidence(serde_json::json!({ "decision": "keep" }));
        assert_eq!(wanted(&[("decision", Type::String)]), Some(keep));
        assert_eq!(wanted(&[]), None);
        assert_eq!(wanted(&[("decision", Type::Int)]), None);
        assert_eq!(wanted(&[("decision", Type::String), ("ticket", Type::String)]), None);
    }
}
