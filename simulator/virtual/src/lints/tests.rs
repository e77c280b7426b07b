//! Each lint finds the runbook that has its flaw, and leaves alone the one that only looks as if it had.

use std::num::NonZero;

use super::{ALL, unreachable::CASES_MIN};
use crate::{Case, Explored, Selection, Settings, explore, fixture::subject, flaws};

/// The steps of a runbook, and what is found in it.
type Row = (&'static str, &'static [&'static str]);

const HEAD: &str = "
lifeboat: 1
id: T-3
name: Flawed
inputs:
  careful: { type: bool, description: Look twice }
targets:
  server: { kind: postgres, access: write }
  machine: { kind: machine, access: destroy }
  spare: { kind: machine, access: destroy }
  people: { kind: notify }
";

/// Faults of calls and people: those of the engine show nothing of a runbook that these do not.
const FAULTS: [&str; 9] = [
    "transient",
    "permanent",
    "slow",
    "never",
    "answer",
    "cannot",
    "person-refuses",
    "person-unanswered",
    "person-absent",
];

fn explored(steps: &str, cases: u64, threads: usize) -> Explored {
    let faults = Selection::of(FAULTS).unwrap();
    let settings = Settings { cases, seed: 1, faults, threads: NonZero::new(threads).unwrap() };
    explore(&subject(&format!("{HEAD}{steps}")), &settings)
}

/// The codes that are found, each with its step.
fn found(steps: &str) -> Vec<String> {
    found_in(steps, 240)
}

fn found_in(steps: &str, cases: u64) -> Vec<String> {
    let flaws = explored(steps, cases, 2).flaws;
    flaws.iter().map(|flaw| format!("{}@{}", flaw.finding.code, flaw.finding.step)).collect()
}

fn check(rows: &[Row]) {
    for (steps, expected) in rows {
        assert_eq!(found(steps), *expected, "{steps}");
    }
}

#[test]
fn whoever_is_asked_has_a_limit() {
    check(&[
        ("steps: [{ id: agree, approve: { message: Now? } }]", &["path-waits-for-ever@agree"]),
        ("steps: [{ id: agree, approve: { message: Now? }, timeout: 1h }]", &[]),
        ("steps: [{ id: agree, approve: { message: Now?, expires: 1h } }]", &[]),
        ("steps: [{ id: by_hand, manual: { instruction: Turn the key } }]", &["path-waits-for-ever@by_hand"]),
        ("steps: [{ id: by_hand, manual: { instruction: Turn the key }, timeout: 1h }]", &[]),
        // A decision about an interrupted attempt waits as long as it takes.
        (
            "steps: [{ id: once, uses: test/once, with: { server: server } }, { id: look, uses: test/look, with: { server: server } }]",
            &[],
        ),
    ]);
}

const RENEW: &str = "
  - { id: agree, approve: { message: Now? }, timeout: 1h }
  - { id: renew, uses: test/renew, with: { machine: machine } }
  - { id: inspect, uses: test/inspect, with: { machine: machine } }
";

#[test]
fn people_hear_of_a_failure_behind_a_destruction() {
    let with = |more: &str| found(&format!("steps:{RENEW}{more}"));
    let told = "  - { id: tell, uses: test/page, with: { channel: people } }\n";
    let untold = ["path-failure-untold@renew"];
    assert_eq!(with(""), untold);
    assert_eq!(with(told), untold, "the last step is skipped where one before it fails");
    for handler in ["on_failure", "finally"] {
        assert_eq!(with(&format!("{handler}:\n{told}")), [""; 0], "{handler}");
    }
    let changed = "  - { id: write, uses: test/tell, with: { server: server, text: x } }\n  - { id: look, uses: test/look, with: { server: server } }\n";
    assert_eq!(found(&format!("steps:\n{changed}{told}")), [""; 0], "nothing is destroyed");
    let taken_back = "
  - id: renew
    uses: test/renew
    with: { machine: machine }
    undo: { uses: test/remove, with: { machine: machine } }
  - { id: inspect, uses: test/inspect, with: { machine: machine }, on_failure: undo }
";
    // Where it is taken back nothing is left of it; if that fails too, people must be told.
    assert_eq!(found(&format!("steps:{taken_back}on_failure:\n{told}")), [""; 0]);
    assert_eq!(found(&format!("steps:{taken_back}")), untold);
}

#[test]
fn an_undo_can_work() {
    let undo = |first: &str, undo: &str, write: &str| {
        format!(
            "steps:
  - {{ id: first, {first}uses: test/look, with: {{ server: server }} }}
  - id: write
    uses: test/write
    with: {{ server: server }}
    undo: {undo}
    on_failure: {write}
  - {{ id: last, uses: test/look, with: {{ server: server }}, on_failure: undo }}
"
        )
    };
    let once = "{ uses: test/once, with: { server: server } }";
    let safe = "{ uses: test/unwrite, with: { server: server } }";
    let others = "{ uses: test/tell, with: { server: server, text: \"${{ steps.first.outputs.rows }} rows\" } }";
    let own = "{ uses: test/tell, with: { server: server, text: \"${{ steps.write.outputs.rows }} rows\" } }";
    let maybe = "when: \"${{ inputs.careful }}\", ";
    let flawed = ["path-undo-fails@write"];
    assert_eq!(found(&undo("", once, "stop")), flawed);
    assert_eq!(found(&undo("", safe, "undo")), [""; 0]);
    assert_eq!(found(&undo(maybe, others, "stop")), flawed, "a step that was skipped has told nothing");
    assert_eq!(found(&undo("", others, "stop")), [""; 0]);
    let repeatable = |write: &str| found(&undo("", own, write).replace("test/write", "test/look"));
    assert_eq!(repeatable("undo"), flawed, "a step that was cut off has told nothing");
    assert_eq!(repeatable("stop"), [""; 0], "nothing is taken back then");
}

const LATE: &str = "path-approval-late@agree";

#[test]
fn an_approval_comes_before_what_it_guards() {
    let renew = "{ id: renew, uses: test/renew, with: { machine: machine } }";
    let agree = "{ id: agree, approve: { message: Now? }, timeout: 1h }";
    let write = "{ id: write, uses: test/tell, with: { server: server, text: x } }";
    let looks = "{ id: look, uses: test/look, with: { server: server } }, { id: inspect, uses: test/inspect, with: { machine: machine } }";
    let page = "on_failure: [{ id: page, uses: test/page, with: { channel: people } }]";
    let found = |steps: &[&str]| found(&format!("steps: [{}]\n{page}", steps.join(", ")));
    assert_eq!(found(&[renew, agree, looks]), [LATE], "nothing is changed behind it");
    let again = "{ id: again, uses: test/renew, with: { machine: machine } }";
    assert_eq!(found(&[renew, agree, again, looks]), [LATE], "only the same again");
    let other = "{ id: other, uses: test/renew, with: { machine: spare } }, { id: see, uses: test/inspect, with: { machine: spare } }";
    assert_eq!(found(&[renew, agree, other, looks]), [""; 0], "it guards another system");
    assert_eq!(found(&[renew, agree, write, looks]), [""; 0], "it guards the server");
    assert_eq!(found(&[agree, renew, looks]), [""; 0]);
    assert_eq!(found(&[write, agree, looks]), [""; 0], "nothing was destroyed");
    let early = "{ id: early, approve: { message: Begin? }, timeout: 1h }";
    assert_eq!(found(&[early, renew, agree, looks]), [""; 0], "somebody had agreed already");
}

#[test]
fn every_step_is_reached() {
    let unreachable = |more: &str| {
        found_in(&format!("steps:\n  - {{ id: look, uses: test/look, with: {{ server: server }} }}\n{more}"), CASES_MIN)
    };
    let again = |when: &str| {
        unreachable(&format!(
            "  - {{ id: again, when: \"${{{{ {when} }}}}\", uses: test/look, with: {{ server: server }} }}\n"
        ))
    };
    assert_eq!(again("steps.look.outputs.rows < 0"), ["path-unreachable@again"]);
    assert_eq!(again("steps.look.outputs.rows > 4321 && inputs.careful"), [""; 0], "it is never skipped for certain");
    let chain = "  - { id: never, when: \"${{ 1 > 2 }}\", uses: test/look, with: { server: server } }
  - { id: broken, uses: test/tell, with: { server: server, text: \"${{ steps.never.outputs.rows }} rows\" } }
  - { id: behind, uses: test/look, with: { server: server } }
  - { id: far_behind, uses: test/look, with: { server: server } }
";
    assert_eq!(unreachable(chain), ["path-unreachable@never"], "of a row the first");
    let handler = "on_failure: [{ id: page, uses: test/page, with: { channel: people } }]\n";
    assert_eq!(unreachable(handler), [""; 0], "a handler waits for a failure");
    let steps = "steps: [{ id: look, when: \"${{ 1 > 2 }}\", uses: test/look, with: { server: server } }]";
    assert_eq!(explored(steps, CASES_MIN - 1, 2).flaws.len(), 0, "too few cases say nothing");
    let calm = Settings {
        cases: CASES_MIN,
        seed: 1,
        faults: Selection::of(["stop"]).unwrap(),
        threads: NonZero::<usize>::MIN,
    };
    let told = format!("{HEAD}steps: [{{ id: look, uses: test/look, with: {{ server: server }} }}]\n{handler}");
    assert_eq!(explore(&subject(&told), &calm).flaws.len(), 0, "nothing failed");
}

#[test]
fn every_step_succeeds_in_some_case() {
    let with = |more: &str| {
        found_in(&format!("steps:\n  - {{ id: look, uses: test/look, with: {{ server: server }} }}\n{more}"), CASES_MIN)
    };
    // Division by zero shows in no type; what needs the step is not named too.
    let broken = "  - { id: broken, uses: test/tell, with: { server: server, text: \"${{ string(1 / 0) }} rows\" } }
  - { id: behind, uses: test/look, with: { server: server } }
";
    assert_eq!(with(broken), ["path-never-succeeds@broken"]);
    let fine = broken.replace("1 / 0", "1 / 1");
    assert_eq!(with(&fine), [""; 0]);
    // A person who always says no, and one who never comes, are another matter: some case has them say yes.
    assert_eq!(with("  - { id: agree, approve: { message: Now? }, timeout: 1h }\n"), [""; 0]);
}

#[test]
fn what_was_changed_is_looked_at() {
    let write = "{ id: write, uses: test/tell, with: { server: server, text: x } }";
    let look = "{ id: look, uses: test/look, with: { server: server } }";
    let page = "{ id: page, uses: test/page, with: { channel: people } }";
    let unseen = ["path-unverified@write"];
    let found = |steps: &[&str]| found(&format!("steps: [{}]", steps.join(", ")));
    assert_eq!(found(&[write]), unseen);
    assert_eq!(found(&[look, write, page]), unseen, "it looked before");
    assert_eq!(found(&[write, page, look]), [""; 0]);
    let beside = "{ id: look, uses: test/look, with: { server: server }, needs: [] }";
    assert_eq!(found(&[write, beside]), unseen, "it may look too early");
    let maybe = "{ id: look, when: \"${{ inputs.careful }}\", uses: test/look, with: { server: server } }";
    assert_eq!(found(&[write, maybe]), unseen, "where it is not careful nothing looks");
    let by_hand = "{ id: see, manual: { instruction: Look, verify: { uses: test/look, with: { server: server } } }, timeout: 1h }";
    assert_eq!(found(&[write, by_hand]), [""; 0], "the check of what a person did looks");
    let each = "{ id: tables, manual: { instruction: Say which, evidence: { names: list<string> } }, timeout: 1h }";
    let looks =
        "{ id: looks, for_each: \"${{ steps.tables.outputs.names }}\", uses: test/look, with: { server: server } }";
    assert_eq!(found(&[each, write, looks]), [""; 0], "and be it for nothing");
    let inspect = "{ id: inspect, uses: test/inspect, with: { machine: machine } }";
    assert_eq!(found(&[write, inspect]), unseen, "it looked elsewhere");
}

#[test]
fn what_is_cleaned_up_is_not_looked_at() {
    let steps = |undo: &str| {
        format!(
            "steps:
  - {{ id: agree, approve: {{ message: Now? }}, timeout: 1h }}
  - {{ id: make, uses: test/renew, with: {{ machine: machine }}{undo} }}
  - {{ id: inspect, uses: test/inspect, with: {{ machine: machine }} }}
  - {{ id: remove, uses: test/remove, with: {{ machine: machine }} }}
on_failure: [{{ id: page, uses: test/page, with: {{ channel: people }} }}]
finally: [{{ id: last, uses: test/tell, with: {{ server: server, text: x }} }}]
"
        )
    };
    assert_eq!(found(&steps(", undo: { uses: test/remove, with: { machine: machine } }")), [""; 0]);
    assert_eq!(found(&steps("")), ["path-unverified@remove"]);
}

#[test]
fn a_step_has_time_for_its_attempts() {
    let look = |timeout: &str, attempts: u32| {
        let steps = format!(
            "steps: [{{ id: look, uses: test/look, with: {{ server: server }}, timeout: {timeout}, \
             retry: {{ attempts: {attempts}, backoff: 2s }} }}]"
        );
        found(&steps)
    };
    let short = ["path-time-too-short@look"];
    assert_eq!(look("{ attempt: 5m, step: 10m }", 3), short);
    assert_eq!(look("{ attempt: 5m, step: 10m }", 2), [""; 0]);
    // Two attempts and the waits of 2 s and 4 s take 10 min 6 s: the third has a second.
    assert_eq!(look("{ attempt: 5m, step: 607s }", 3), [""; 0]);
    assert_eq!(look("{ attempt: 5m, step: 606s }", 3), short);
    assert_eq!(look("{ attempt: 5m, step: 5m }", 2), short);
    assert_eq!(look("{ step: 10m }", 3), [""; 0], "no attempt has a time of its own");
    assert_eq!(look("5m", 3), [""; 0]);
}

#[test]
fn the_flaws_are_the_same_on_any_number_of_threads() {
    let steps = format!("steps:{RENEW}");
    let told = |threads| format!("{:?}", explored(&steps, 300, threads).flaws);
    assert_eq!(told(1), told(3));
}

#[test]
fn a_flaw_is_shown_again_by_its_case() {
    let steps = format!("steps:{RENEW}");
    let subject = subject(&format!("{HEAD}{steps}"));
    for flaw in explored(&steps, 300, 1).flaws {
        let case: Case = flaw.case.to_string().parse().unwrap();
        let again: Vec<_> = flaws(&subject, &case).into_iter().map(|flaw| flaw.finding).collect();
        assert!(again.contains(&flaw.finding), "{case}: {again:?}");
    }
}

#[test]
fn every_lint_has_a_code_of_its_kind() {
    assert!(ALL.iter().all(|lint| lint.code.starts_with("path-") && !lint.says.is_empty()));
}
