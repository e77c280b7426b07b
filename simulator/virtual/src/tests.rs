//! The virtual world as a whole: it tests everything that there is, says the same each time, and finds what is broken.

use std::num::NonZero;

use lifeboat_core::{
    event::{Event, Outcome},
    mutant::{Mutant, activate},
    plan::Variant,
};

use super::{
    Answered, Case, Explored, Selection, Settings, explore,
    fixture::{EVERYTHING, TWO_PEOPLE, UNSEEN, nested, played, subject},
    judge::judge,
    lives::{LifeEnd, play_and_tell},
    play, story,
};

fn settings(cases: u64, threads: usize) -> Settings {
    Settings { cases, seed: 1, faults: Selection::all(), threads: NonZero::new(threads).unwrap() }
}

#[test]
fn every_path_through_every_kind_of_step_is_tested_and_every_invariant_holds() {
    for runbook in [EVERYTHING, TWO_PEOPLE, UNSEEN] {
        let explored = explore(&subject(runbook), &settings(3_000, 2));
        assert_holds(&explored);
        assert_eq!(explored.coverage.untested(), []);
    }
}

fn assert_holds(explored: &Explored) {
    if let Some(found) = explored.counterexamples.first() {
        panic!("{}: {}\n{}\n{}", found.broken.code, found.broken.why, found.case, found.story);
    }
}

#[test]
fn lists_called_runbooks_variants_and_handlers_are_tested_like_all_else() {
    for variant in Variant::ALL {
        let explored = explore(&played(nested(variant)), &settings(2_500, 2));
        assert_holds(&explored);
        let untested = explored.coverage.untested();
        let untested: Vec<String> = untested.iter().map(|(step, path)| format!("{step} {path}")).collect();
        // Its list is always empty: nothing is ever called for it, and it fails only where somebody left out what the list is of.
        let never: Vec<&String> = untested.iter().filter(|path| *path != "spare failed").collect();
        assert_eq!(never, ["spare timed out", "spare crashed", "spare taken over", "spare interrupted"], "{variant:?}");
    }
}

#[test]
fn lists_and_called_runbooks_that_were_interrupted_come_to_the_same_end() {
    for variant in Variant::ALL {
        let settings = Settings {
            faults: Selection::of(["crash", "stop", "disk-full", "permanent"]).unwrap(),
            ..settings(2_000, 2)
        };
        assert_holds(&explore(&played(nested(variant)), &settings));
    }
}

/// Two lists beside one another: which begins first depends on what goes wrong before them.
const TWO_LISTS: &str = r#"
lifeboat: 1
id: T-5
name: Two lists
targets:
  server: { kind: postgres, access: write }
steps:
  - id: survey
    uses: test/survey
    with: { server: server }
  - id: left
    uses: test/look
    with: { server: server }
  - id: right
    needs: [survey]
    uses: test/look
    with: { server: server }
  - id: left_copies
    needs: [left]
    for_each: "${{ steps.survey.outputs.names }}"
    uses: test/tell
    with: { server: server, text: "${{ item }}" }
  - id: right_copies
    needs: [right]
    for_each: "${{ steps.survey.outputs.names }}"
    uses: test/tell
    with: { server: server, text: "${{ item }}" }
"#;

#[test]
fn lists_that_begin_in_another_order_come_to_the_same_end() {
    assert_holds(&explore(&subject(TWO_LISTS), &settings(1_000, 2)));
}

#[test]
fn a_fault_reaches_one_item_of_a_list() {
    let subject = played(nested(Variant::Planned));
    let mut reached = 0;
    for seed in 1..=10 {
        let case: Case = format!("{seed} permanent@copy[1]#1").parse().unwrap();
        let (played, broken) = judge(&subject, &case);
        assert_eq!(broken, [], "{case}");
        let lost = played.records.iter().filter_map(|record| match &record.event {
            Event::StepFailed { step, .. } if step.as_str().starts_with("copy[") => Some(step.to_string()),
            _ => None,
        });
        let lost: Vec<String> = lost.collect();
        let items = played.run.steps.iter().filter(|step| step.id.as_str().starts_with("copy[")).count();
        let wanted: &[&str] = if items > 1 { &["copy[1]"] } else { &[] };
        assert_eq!(lost, wanted, "{case}");
        reached += lost.len();
    }
    assert!(reached > 0, "no case has two items");
}

#[test]
fn the_result_is_the_same_on_any_number_of_threads() {
    let subject = subject(EVERYTHING);
    let coverage = |threads| explore(&subject, &settings(500, threads)).coverage;
    assert_eq!(coverage(1), coverage(3));
}

#[test]
fn a_case_gives_the_same_journal_each_time_and_another_seed_another_one() {
    let subject = subject(EVERYTHING);
    let journal = |text: &str| play(&subject, &text.parse::<Case>().unwrap()).journal;
    let text = "7 crash-during@9 answer-lost@write#1";
    assert_eq!(journal(text), journal(text));
    assert_ne!(journal(text), journal("8 crash-during@9 answer-lost@write#1"));
    assert_ne!(journal(text), journal("7 crash-during@9"));
}

#[test]
fn a_fault_less_leaves_everything_before_it_as_it_was() {
    let subject = subject(EVERYTHING);
    let records = |text: &str| play(&subject, &text.parse::<Case>().unwrap()).records;
    let (calm, disturbed) = (records("7"), records("7 crash-after@4"));
    assert_eq!(calm[..9], disturbed[..9]);
    assert_ne!(calm, disturbed);
}

#[test]
fn every_fault_can_be_played() {
    let subject = subject(EVERYTHING);
    for text in [
        "1 transient@look#1 transient@look#2",
        "1 slow@make#1 never-answers@observe:make#1",
        "1 crash-unheard@make#1 cannot-tell@observe:make#1",
        "1 person-mistakes@agree#1 person-mistakes@by_hand#1",
        "1 person-unanswered@agree#1",
        "1 permanent@last#1 answer-lost@undo:write#1",
        "1 person-strays@3 person-strays@9",
        "1 wrong-target@make#1",
        "1 operator-pauses@1 operator-pauses@2 operator-skips@3",
        "1 permanent@write#1 operator-resolves@50 crash-after@14",
    ] {
        let (_, broken) = judge(&subject, &text.parse().unwrap());
        assert_eq!(broken, [], "{text}");
    }
}

#[test]
fn every_deliberate_mistake_of_the_engine_is_found_within_a_thousand_cases() {
    let subject = subject(EVERYTHING);
    for (mutant, code) in [
        (Mutant::EffectBeforeEvent, "test-event-before-effect"),
        (Mutant::BlindRepeat, "test-once-only"),
        (Mutant::AnyNeed, "test-needs-first"),
        (Mutant::OldAnswers, "test-success-is-real"),
        (Mutant::ForwardUndo, "test-undo-complete"),
    ] {
        activate(Some(mutant));
        // A mistake is made by the engine on this thread alone.
        let found = explore(&subject, &settings(1_000, 1)).counterexamples;
        activate(None);
        let codes: Vec<_> = found.iter().map(|found| found.broken.code).collect();
        assert!(codes.contains(&code), "{mutant:?} breaks {codes:?}");
    }
}

#[test]
fn two_people_approve_where_it_takes_two_and_one_who_says_it_twice_is_refused() {
    let subject = subject(TWO_PEOPLE);
    for (text, people, refused) in
        [("3", ["ada", "grace"], false), ("3 person-repeats@agree#1 crash-after@7", ["ada", "grace"], true)]
    {
        let case: Case = text.parse().unwrap();
        let played = play_and_tell(&subject, &case);
        let yes = played.records.iter().filter(|record| matches!(record.event, Event::ApprovalAnswered { .. }));
        let who: Vec<String> = yes.filter_map(|record| record.event.who()).map(ToString::to_string).collect();
        assert_eq!(who, people, "{text}");
        let said = played.truth.replies.iter().filter(|reply| reply.good).count();
        assert_eq!(said > 2, refused, "{text}: {:?}", played.truth.replies);
        assert_eq!(judge(&subject, &case).1, [], "{text}");
    }
}

#[test]
fn an_answer_counts_where_no_engine_works_on_the_run() {
    let subject = subject(TWO_PEOPLE);
    let mut unattended = 0;
    for seed in 1..=20 {
        let case: Case = format!("{seed} crash-after@4 person-answers@4").parse().unwrap();
        let (played, broken) = judge(&subject, &case);
        assert_eq!(broken, [], "{case}");
        let told = played.truth.told.first();
        // The journal was as the engine had left it.
        let recorded = told.is_some_and(|told| {
            told.before == played.truth.left[0] && matches!(told.answer, Some((Answered::Recorded, _)))
        });
        unattended += usize::from(recorded);
    }
    assert!(unattended > 0, "nobody answered while no engine worked on the run");
}

#[test]
fn who_can_not_do_what_is_asked_ends_the_run() {
    let played = play(&subject(EVERYTHING), &"3 person-refuses@by_hand#1".parse().unwrap());
    assert_eq!(played.lives, [LifeEnd::Finished(Outcome::Aborted)]);
}

#[test]
fn what_is_refused_leaves_the_journal_as_it_was() {
    let subject = subject(EVERYTHING);
    // The run has succeeded before anybody wants anything.
    let journal = |text: &str| play(&subject, &text.parse::<Case>().unwrap());
    let told = journal("7 operator-skips@90 operator-retries@91 operator-undoes@92 operator-pauses@93");
    assert_eq!(told.journal, journal("7").journal);
    let answers: Vec<_> = told.truth.told.iter().filter_map(|told| told.answer).map(|(answer, _)| answer).collect();
    assert_eq!(answers, [Answered::Refused; 4]);
}

#[test]
fn an_engine_ends_with_what_its_store_does_not_confirm_and_the_next_one_finds_what_is_true() {
    let subject = subject(EVERYTHING);
    let calm = play(&subject, &Case::calm(7)).truth.durable;
    let records = |decisions: usize| decisions.checked_sub(1).map_or(0, |last| calm[last].0);
    for (fault, end, is_written) in [
        ("append-refused", LifeEnd::Unwritten, false),
        ("append-unanswered", LifeEnd::Unwritten, true),
        ("second-owner", LifeEnd::Disowned, false),
    ] {
        for decision in 1..=calm.len() {
            let case: Case = format!("7 {fault}@{decision}").parse().unwrap();
            let (played, broken) = judge(&subject, &case);
            assert_eq!((broken.as_slice(), &played.lives[0]), (&[][..], &end), "{case}");
            let written = if is_written { decision } else { decision - 1 };
            assert_eq!(played.truth.left[0], records(written), "{case}");
            let last = played.lives.last().unwrap();
            assert!(matches!(last, LifeEnd::Finished(_)), "{case}: {last:?}");
        }
    }
}

#[test]
fn time_goes_by_while_a_slow_store_writes() {
    let subject = subject(EVERYTHING);
    let records = |text: &str| play(&subject, &text.parse::<Case>().unwrap()).records;
    let (calm, slow) = (records("7"), records("7 append-slow@1"));
    let first = calm.iter().zip(&slow).position(|(calm, slow)| calm.at < slow.at).unwrap();
    assert!(first > 0, "what was decided before is as old as it was");
}

/// An undo that cannot be repeated: cut off, nobody knows how far it came.
const UNDO_ONCE: &str = r#"
lifeboat: 1
id: T-2
name: An undo that is not safe to repeat
targets:
  server: { kind: postgres, access: write }
steps:
  - id: look
    uses: test/look
    with: { server: server }
  - id: write
    uses: test/write
    with: { server: server }
    undo: { uses: test/once, with: { server: server } }
  - id: last
    uses: test/look
    with: { server: server }
    on_failure: undo
"#;

#[test]
fn a_counterexample_is_small_and_reads_as_a_story() {
    let explored = explore(&subject(UNDO_ONCE), &settings(2_000, 2));
    let found: Vec<String> = explored
        .counterexamples
        .iter()
        .map(|found| format!("{}: {}\n{}\n{}", found.broken.code, found.broken.why, found.case, found.story))
        .collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn a_runbook_with_limits_on_time_comes_to_the_same_end_too() {
    // As the one whose undo cannot be repeated, and somebody has to answer in time before that.
    let limited = [
        UNDO_ONCE.replacen(
            "    with: { server: server }\n",
            "    with: { server: server }\n    timeout: { step: 30m }\n",
            1,
        ),
        UNDO_ONCE
            .replace("  - id: write\n", "  - id: agree\n    approve: { message: Now?, expires: 1h }\n  - id: write\n"),
    ];
    for runbook in limited {
        let found = explore(&subject(&runbook), &settings(1_000, 2)).counterexamples;
        let codes: Vec<_> = found.iter().map(|found| found.broken.code).collect();
        assert_eq!(codes, ["test-same-end"], "{runbook}");
    }
}

#[test]
fn every_fault_reads_as_a_sentence() {
    let subject = subject(EVERYTHING);
    let told = |text: &&str| {
        let case: Case = text.parse().unwrap();
        format!("{case}\n{}", story::tell(&play_and_tell(&subject, &case)))
    };
    let stories: Vec<String> = [
        "1",
        "2 answer-lost@make#1 answer-twice@write#1 answer-old@look#1",
        "3 slow@write#1 never-answers@observe:write#1 cannot-tell@observe:write#2",
        "4 crash-in-call@make#1 crash-unheard@write#1 crash-during@6 crash-before@3 crash-after@5",
        "5 permanent@last#1 transient@undo:make#1",
        "6 person-mistakes@by_hand#1 person-unanswered@agree#1",
        "7 disk-full@4 stop@6 second-engine@8 clock-forward@9 clock-back@10",
        "8 person-absent@agree#1 person-strays@7 person-aborts@12",
        "9 crash-unheard@last#1 person-refuses@last#1",
        "10 operator-pauses@3 crash-after@5 operator-pauses@30",
        "11 permanent@write#1 operator-skips@40",
        "12 permanent@write#1 operator-retries@40 operator-resolves@41 person-repeats@agree#1",
        "13 transient@look#1 operator-retries@2 permanent@last#1 operator-undoes@9",
        "14 crash-asked@agree#1 person-refuses@by_hand#1",
        "15 person-answers@5",
        "16 append-slow@3 append-refused@5 append-unanswered@8 second-owner@11",
    ]
    .iter()
    .map(told)
    .collect();
    insta::assert_snapshot!(stories.join("\n"));
}

#[test]
fn an_answer_of_an_engine_that_is_gone_reaches_nobody() {
    let subject = subject(EVERYTHING);
    // One of these stops falls into the check of what was done by hand, which the next engine does once more.
    for decision in 1..30 {
        let text = format!("1 answer-old@verify:by_hand#1 stop@{decision}");
        assert_eq!(judge(&subject, &text.parse().unwrap()).1, [], "{text}");
    }
}
