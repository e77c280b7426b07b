//! The shipped runbooks in the virtual world: they hold, and they show each deliberate mistake of the engine.

use lifeboat_core::mutant::{Mutant, activate};
use lifeboat_tests::workflow::{settings, shipped, workflows};
use lifeboat_virtual::explore;

#[test]
fn every_shipped_runbook_holds_has_no_flaw_and_is_tested_on_every_path() {
    for file in workflows() {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let explored = explore(&shipped(&name), &settings(2_000, 2));
        if let Some(found) = explored.counterexamples.first() {
            panic!("{name}: {}: {}\n{}\n{}", found.broken.code, found.broken.why, found.case, found.story);
        }
        if let Some(flaw) = explored.flaws.first() {
            panic!("{name}: {}: {}\n{}\n{}", flaw.finding.code, flaw.finding.why, flaw.case, flaw.story);
        }
        assert_eq!(explored.coverage.untested(), [], "{name}");
    }
}

/// The mistake, a shipped runbook that shows it, and the invariant that says so.
const MISTAKES: [(Mutant, &str, &str); 5] = [
    (Mutant::EffectBeforeEvent, DR_003, "test-event-before-effect"),
    (Mutant::BlindRepeat, DR_003, "test-once-only"),
    (Mutant::AnyNeed, BACKUPS, "test-needs-first"),
    (Mutant::OldAnswers, DR_003, "test-success-is-real"),
    (Mutant::ForwardUndo, BACKUPS, "test-undo-complete"),
];
const DR_003: &str = "dr-003-accidental-deletion.yaml";
const BACKUPS: &str = "backup-verification.yaml";

#[test]
fn each_mistake_of_the_engine_shows_on_a_shipped_runbook_within_a_thousand_cases() {
    assert_eq!(MISTAKES.map(|(mistake, ..)| mistake), Mutant::ALL, "one runbook for each");
    for (mistake, runbook, code) in MISTAKES {
        let subject = shipped(runbook);
        activate(Some(mistake));
        // The mistake is made by the engine on this thread alone.
        let found = explore(&subject, &settings(1_000, 1)).counterexamples;
        activate(None);
        let codes: Vec<_> = found.iter().map(|found| found.broken.code).collect();
        assert!(codes.contains(&code), "{mistake:?} in {runbook} breaks {codes:?}");
    }
}
