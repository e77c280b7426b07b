//! For whom a drill was held, in the words of its report.

use lifeboat_core::name::{RunId, StepId};

/// For the step of a run.
pub(super) fn for_step(step: &StepId, run: &RunId) -> String {
    format!("step `{step}` of run `{run}`")
}

/// The step of that run for which a drill was held, with the item of its list; `None` where it was held for another run, or by a person.
pub(super) fn step_of<'a>(held_for: &'a str, run: &RunId) -> Option<&'a str> {
    held_for.strip_prefix("step `")?.strip_suffix(&format!("` of run `{run}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_knows_its_run() {
        let run = |name: &str| RunId::new(name).unwrap();
        let held_for = for_step(&StepId::parse("rehearse[1]").unwrap(), &run("qd-001-20261121-7f3a"));
        assert_eq!(step_of(&held_for, &run("qd-001-20261121-7f3a")), Some("rehearse[1]"));
        assert_eq!(step_of(&held_for, &run("qd-001-20261121-7f3")), None);
        assert_eq!(step_of("somebody", &run("qd-001-20261121-7f3a")), None);
    }
}
