//! The run comes to its end, or waits for a person who was asked. It never hangs, and no engine falls over a case.

use lifeboat_core::event::Event;

use super::Evidence;
use crate::virtual_world::lives::LifeEnd;

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    for end in evidence.lives {
        match end {
            LifeEnd::Hung(why) => return Err(format!("the run hangs: {why}")),
            LifeEnd::Defect(what) => return Err(format!("the engine found a defect in itself: {what}")),
            LifeEnd::Waiting(steps) => {
                let asked = |event: &Event| {
                    let question = matches!(
                        event,
                        Event::ApprovalRequested { .. } | Event::HandsRequested { .. } | Event::OperatorAsked { .. }
                    );
                    question && event.step().is_some_and(|step| steps.contains(step))
                };
                let paused = |event: &Event| matches!(event, Event::RunPaused { .. });
                if !evidence.records.iter().any(|record| asked(&record.event) || paused(&record.event)) {
                    return Err("the run waits, and nobody was asked anything".to_owned());
                }
            }
            _ => {}
        }
    }
    match evidence.lives.last() {
        Some(LifeEnd::Finished(_)) if evidence.outcome().is_some() => Ok(()),
        Some(LifeEnd::Finished(_)) => Err("the engine says that the run is over, and its journal does not".to_owned()),
        // What damaged journals mean is another rule's business.
        Some(LifeEnd::Damaged(_)) => Ok(()),
        _ => Err("the run has no end".to_owned()),
    }
}
