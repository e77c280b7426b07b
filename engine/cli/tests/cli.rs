//! The command line as a user meets it: the real binary, its output and its exit codes.

#[expect(clippy::unwrap_used, reason = "a test that cannot run its binary has failed")]
mod screen;

use screen::{Screen, check, fixture, lifeboat};

#[test]
fn help_of_every_command() {
    check("help", &lifeboat(&["--help"]));
    for command in [
        "check",
        "plan",
        "test",
        "run",
        "resume",
        "approve",
        "reject",
        "skip",
        "retry",
        "resolve",
        "pause",
        "abort",
        "status",
        "runs",
        "history",
        "coverage",
        "metrics",
        "copies",
        "leases",
        "drill",
        "report",
        "verify-journal",
        "plugins",
        "schema",
        "explain",
        "completions",
    ] {
        check(&format!("help_{command}"), &lifeboat(&[command, "--help"]));
    }
    check("help_leases_take-over", &lifeboat(&["leases", "take-over", "--help"]));
    check("help_copies_remove", &lifeboat(&["copies", "remove", "--help"]));
}

#[test]
fn the_command_line_is_wrong() {
    check("usage_unknown_command", &lifeboat(&["chek"]));
    check("usage_input", &lifeboat(&["run", "x.yaml", "--bindings", "y.yaml", "--input", "novalue"]));
    check("usage_remove", &lifeboat(&["drill", "dr-003", "--remove", "somewhere"]));
    check("usage_decision", &lifeboat(&["resume", "last", "--decide", "merge=perhaps"]));
}

#[test]
fn check_reports_everything_at_once() {
    check("check_clean", &lifeboat(&["check", &fixture("good.yaml"), &fixture("bindings.yaml")]));
    check("check_wrong", &lifeboat(&["check", &fixture("wrong.yaml"), &fixture("good.yaml")]));
    check("check_wrong_json", &lifeboat(&["check", "--json", &fixture("wrong.yaml")]));
    check("check_wrong_github", &lifeboat(&["check", "--format", "github", &fixture("wrong.yaml")]));
    check("check_missing_file", &lifeboat(&["check", "no-such-file.yaml"]));
}

#[test]
fn everything_that_is_wrong_with_a_drill_is_told_at_once() {
    for name in ["drill", "timeline", "faults", "runbooks"] {
        let file = fixture(&format!("wrong-{name}.yaml"));
        check(&format!("check_wrong_{name}"), &lifeboat(&["check", &file]));
    }
    // A drill shows the same, and what is wrong with the runbooks themselves.
    check("drill_wrong", &lifeboat(&["drill", &fixture("wrong-runbooks.yaml")]));
}

#[test]
fn warnings_are_errors_where_that_is_asked() {
    check("check_warning", &lifeboat(&["check", &fixture("warning.yaml")]));
    check("check_warning_strict", &lifeboat(&["check", "--strict", &fixture("warning.yaml")]));
}

#[test]
fn check_holds_bindings_against_the_runbook() {
    let arguments = ["check", "--bindings", &fixture("other-bindings.yaml"), &fixture("good.yaml")];
    check("check_bindings", &lifeboat(&arguments));
}

#[test]
fn a_plan_in_every_format() {
    for format in ["tree", "dot", "mermaid", "json"] {
        check(&format!("plan_{format}"), &lifeboat(&["plan", "--format", format, &fixture("good.yaml")]));
    }
    let arguments = ["plan", "--bindings", &fixture("bindings.yaml"), &fixture("good.yaml")];
    check("plan_bindings", &lifeboat(&arguments));
    check("plan_wrong", &lifeboat(&["plan", &fixture("wrong.yaml")]));
}

#[test]
fn a_runbook_is_played_and_the_paths_that_were_taken_are_shown() {
    let screen = Screen::new();
    let runbook = screen.copy("good.yaml");
    check("test_held", &screen.lifeboat(&["test", "--cases", "300", &runbook]));
    check("test_untested", &screen.lifeboat(&["test", "--cases", "300", "--faults", "crash", &runbook]));
    check("test_wrong", &lifeboat(&["test", &fixture("wrong.yaml")]));
    check("test_unknown_fault", &lifeboat(&["test", "--faults", "crash,tired", &fixture("good.yaml")]));
    check("test_unknown_case", &lifeboat(&["test", "--case", "17 tired@find#1", &fixture("good.yaml")]));
    let bound = ["test", "--bindings", &fixture("other-bindings.yaml"), &fixture("good.yaml")];
    check("test_bindings", &lifeboat(&bound));
}

#[test]
fn a_counterexample_is_told_and_kept_beside_the_runbook() {
    let screen = Screen::new();
    let runbook = screen.copy("undo-once.yaml");
    check("test_broken", &screen.lifeboat(&["test", "--cases", "600", &runbook]));
    let kept = runbook.replace(".yaml", ".lifeboat-seeds");
    check("test_kept", &std::fs::read_to_string(&kept).unwrap());
    check("test_replayed", &screen.lifeboat(&["test", "--cases", "0", &runbook]));
    check("test_junit", &screen.lifeboat(&["test", "--cases", "0", "--format", "junit", &runbook]));
    check("test_json", &screen.lifeboat(&["test", "--cases", "0", "--format", "json", &runbook]));
    std::fs::write(&kept, "test-same-end x\n").unwrap();
    check("test_kept_wrong", &screen.lifeboat(&["test", &runbook]));
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_two_processes() {
    let journals = || {
        let screen = Screen::new();
        let folder = screen.folder("journals");
        let mut arguments = vec!["test", "--cases", "60", "--seed", "5", "--journals", &folder];
        let workflows = screen::shipped_runbooks();
        arguments.extend(workflows.iter().map(String::as_str));
        screen.stdout(&arguments);
        screen::files(&folder)
    };
    let (first, second) = (journals(), journals());
    assert!(first.len() >= 60 && first.iter().all(|(_, bytes)| !bytes.is_empty()), "{}", first.len());
    assert_eq!(first, second);
}

#[test]
fn run_shows_all_missing_inputs_before_anything_starts() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("good.yaml"), fixture("bindings.yaml"));
    check("run_inputs", &screen.lifeboat(&["run", &runbook, "--bindings", &bindings]));
    assert!(screen.runs().is_empty(), "no run was made");
}

#[test]
fn only_a_testbed_is_removed() {
    check("drill_remove", &lifeboat(&["drill", "--remove", "no-such-folder"]));
}

#[test]
fn run_shows_what_is_wrong_with_both_files() {
    let arguments = ["run", &fixture("wrong.yaml"), "--bindings", &fixture("wrong-bindings.yaml")];
    check("run_wrong", &lifeboat(&arguments));
}

#[test]
fn a_run_waits_for_a_person_and_is_resumed_with_the_answers() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("people.yaml"), fixture("people-bindings.yaml"));
    check("people_run", &screen.lifeboat(&["run", &runbook, "--bindings", &bindings]));
    check("people_status", &screen.lifeboat(&["status"]));
    check("people_runs", &screen.lifeboat(&["runs"]));
    check("people_wrong_answer", &screen.lifeboat(&["resume", "last", "--approve", "nobody"]));
    check("people_still_waiting", &screen.lifeboat(&["resume", "last", "--approve", "sign_off"]));
    let done = ["resume", "last", "--evidence", "dns.ticket=OPS-12", "--json"];
    check("people_done", &screen.lifeboat(&done));
    check("people_over", &screen.lifeboat(&["resume", "last"]));
    check("people_report", &screen.lifeboat(&["report"]));
}

#[test]
fn a_run_that_waits_is_told_from_any_terminal() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("people.yaml"), fixture("people-bindings.yaml"));
    screen.lifeboat(&["run", &runbook, "--bindings", &bindings]);
    check("operator_pause", &screen.lifeboat(&["pause", "last", "--reason", "looking around"]));
    check("operator_paused_twice", &screen.lifeboat(&["pause", "last"]));
    check("operator_approve", &screen.lifeboat(&["approve", "last", "--comment", "it is one"]));
    check("operator_no_reason", &screen.lifeboat(&["skip", "last", "dns"]));
    check("operator_skip_json", &screen.lifeboat(&["skip", "last", "dns", "--reason", "not ours", "--json"]));
    check("operator_status", &screen.lifeboat(&["status"]));
    check("operator_status_json", &screen.stdout(&["status", "--json"]));
    check("operator_runs", &screen.lifeboat(&["runs"]));
    check("operator_runs_json", &screen.stdout(&["runs", "--json"]));
    check("operator_resume", &screen.lifeboat(&["resume", "last"]));
    check("operator_refused_json", &screen.lifeboat(&["retry", "last", "dns", "--json"]));
    check("operator_nothing_failed", &screen.lifeboat(&["retry", "last"]));
}

#[test]
fn a_runbook_with_variants_is_run_in_one_of_them() {
    let screen = Screen::new();
    let (runbook, without) = (fixture("variants.yaml"), fixture("people.yaml"));
    let run = |runbook: &str, variant: &[&str]| {
        let bindings = fixture("no-targets.yaml");
        screen.lifeboat(&[&["run", runbook, "--bindings", &bindings], variant].concat())
    };
    check("variant_missing", &run(&runbook, &[]));
    check("variant_unknown", &run(&runbook, &["--variant", "rehearsal"]));
    check("variant_none", &run(&without, &["--variant", "planned"]));
    assert!(screen.runs().is_empty(), "no run was made");
    check("variant_check", &screen.lifeboat(&["check", &runbook]));
    check("variant_plan", &screen.lifeboat(&["plan", &runbook, "--variant", "planned"]));
    check("variant_plan_both", &screen.lifeboat(&["plan", &runbook]));
    check("variant_plan_none", &screen.lifeboat(&["plan", &without, "--variant", "disaster"]));
    check("variant_run", &run(&runbook, &["--variant", "disaster"]));
    check("variant_status", &screen.lifeboat(&["status"]));
    let tested = screen.stdout(&["test", "--cases", "20", &runbook]);
    assert!(tested.contains("DR-001 (planned), 2 steps") && tested.contains("DR-001 (disaster), 2 steps"), "{tested}");
}

#[test]
fn a_drill_step_is_shown_with_its_length_and_a_dry_run_holds_none() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("drill-step.yaml"), fixture("no-targets.yaml"));
    check("drill_step_plan", &screen.lifeboat(&["plan", &runbook]));
    screen.took("2020-01-03T02:00:00Z", 83.2);
    screen.took("2020-01-04T02:00:00Z", 95.0);
    check("drill_step_plan_known", &screen.lifeboat(&["plan", &runbook]));
    let document: serde_json::Value = serde_json::from_str(&screen.stdout(&["plan", "--json", &runbook])).unwrap();
    let expected = serde_json::json!([{ "step": "rehearse", "scenario": "dr-003", "drill": "DR-003", "testbed": "process",
        "usual_length": { "median_s": 89.1, "holdings": 2 }, "held": 2 }]);
    assert_eq!(document["rehearsals"], expected);
    check("drill_step_dry_run", &screen.lifeboat(&["run", &runbook, "--bindings", &bindings, "--dry-run"]));
    let tested = screen.stdout(&["test", "--cases", "50", &runbook]);
    assert!(tested.contains("DR-002, 2 steps"), "{tested}");
}

#[test]
fn a_drill_that_cannot_be_held_is_told_before_anything_runs() {
    let screen = Screen::new();
    let (wrong, bindings) = (fixture("drill-step-wrong.yaml"), fixture("no-targets.yaml"));
    check("drill_step_check", &screen.lifeboat(&["check", &wrong]));
    let refused = screen.lifeboat(&["run", &wrong, "--bindings", &bindings]);
    assert!(refused.starts_with("exit code 3") && refused.contains("error[drill-unknown]"), "{refused}");
    assert!(screen.runs().is_empty(), "no run was made");
}

#[test]
fn a_run_keeps_to_the_called_runbook_that_it_started_with() {
    let screen = Screen::new();
    let (outer, inner) = (screen.copy("outer.yaml"), screen.copy("inner.yaml"));
    screen.lifeboat(&["run", &outer, "--bindings", &fixture("no-targets.yaml")]);
    let changed = std::fs::read_to_string(&inner).unwrap().replace("Point ", "Do not point ");
    std::fs::write(&inner, changed).unwrap();
    check("called_changed", &screen.lifeboat(&["resume", "last", "--approve", "sign_off"]));
    std::fs::remove_file(&inner).unwrap();
    check("called_gone", &screen.lifeboat(&["resume", "last", "--evidence", "move/dns.ticket=OPS-12"]));
}

#[test]
fn work_by_hand_is_reported_from_any_terminal() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("people.yaml"), fixture("people-bindings.yaml"));
    screen.lifeboat(&["run", &runbook, "--bindings", &bindings, "--approve", "sign_off"]);
    check("operator_evidence", &screen.lifeboat(&["resolve", "last"]));
    check("operator_resolve", &screen.lifeboat(&["resolve", "last", "--evidence", "ticket=OPS-12"]));
    check("operator_report", &screen.lifeboat(&["report"]));
    let other = Screen::new();
    other.lifeboat(&["run", &runbook, "--bindings", &bindings]);
    check("operator_abort", &other.lifeboat(&["abort", "last", "--reason", "no incident"]));
}

#[test]
fn what_was_done_is_shown_before_it_is_done_once_more() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("notify.yaml"), fixture("people-bindings.yaml"));
    screen.lifeboat(&["run", &runbook, "--bindings", &bindings]);
    let by_hand = ["resolve", "last", "announce", "--reason", "told by phone", "--json"];
    check("operator_by_hand", &screen.lifeboat(&by_hand));
    let evidence = [&by_hand[..5], &["--evidence", "call=02:14"]].concat();
    check("operator_reopened", &screen.lifeboat(&evidence));
}

#[test]
fn a_run_does_not_depend_on_who_reads_about_it() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("people.yaml"), fixture("people-bindings.yaml"));
    assert_eq!(screen.unread(&["run", &runbook, "--bindings", &bindings]), Some(5));
    assert_eq!(screen.unread(&["resume", "last", "--reject", "sign_off", "--json"]), Some(1));
}

#[test]
fn a_no_fails_the_run() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("people.yaml"), fixture("people-bindings.yaml"));
    let arguments = ["run", &runbook, "--bindings", &bindings, "--reject", "sign_off"];
    check("people_rejected", &screen.lifeboat(&arguments));
}

#[test]
fn step_by_step_asks_before_each_action() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("good.yaml"), fixture("bindings.yaml"));
    let inputs = ["--input", "damaged_table=public.orders", "--input", "not_before=2026-11-21T12:00:00Z"];
    let arguments = [&["run", &runbook, "--bindings", &bindings, "--step"], &inputs[..]].concat();
    check("step_by_step", &screen.lifeboat(&arguments));
}

#[test]
fn a_run_fails_where_nobody_answers_the_webhook() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("notify.yaml"), fixture("people-bindings.yaml"));
    check("notify_fails", &screen.lifeboat(&["run", &runbook, "--bindings", &bindings]));
    let dry = screen.lifeboat(&["run", &runbook, "--bindings", &bindings, "--dry-run"]);
    assert!(dry.starts_with("exit code 0") && dry.contains("would send"), "{dry}");
}

#[test]
fn a_dry_run_says_what_a_real_run_would_do() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("dry.yaml"), fixture("people-bindings.yaml"));
    let shown = screen.lifeboat(&["run", &runbook, "--bindings", &bindings, "--dry-run"]);
    assert!(shown.starts_with("exit code 0"), "{shown}");
    // What a plugin says may come before or after the line that its step is done; the end is always the same.
    let (_, end) = shown.split_once("\ndry-run: ").unwrap();
    check("dry_run", end);
    check("dry_run_status", &screen.lifeboat(&["status"]));
    let document: serde_json::Value = serde_json::from_str(&screen.stdout(&["status", "--json"])).unwrap();
    assert_eq!(document["outcome"], "dry_run");
    assert_eq!(document["steps"][1]["skipped"]["why"], "would_ask");
    assert_eq!(document["steps"][3]["skipped"]["unknown"][0], "steps.dns.outputs.ticket");
}

#[test]
fn a_run_that_another_engine_holds_is_refused() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("people.yaml"), fixture("people-bindings.yaml"));
    screen.lifeboat(&["run", &runbook, "--bindings", &bindings]);
    let lock = screen.hold_run();
    check("run_locked", &screen.lifeboat(&["resume", "last", "--approve", "sign_off"]));
    drop(lock);
    let freed = screen.lifeboat(&["resume", "last", "--approve", "sign_off"]);
    assert!(freed.starts_with("exit code 5"), "the next question waits: {freed}");
}

#[test]
fn targets_of_an_unfinished_run_are_refused_to_another() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("good.yaml"), fixture("bindings.yaml"));
    let inputs = ["--input", "damaged_table=public.orders", "--input", "not_before=2026-11-21T12:00:00Z"];
    let arguments = [&["run", &runbook, "--bindings", &bindings, "--step"], &inputs[..]].concat();
    screen.lifeboat(&arguments);
    check("lease_unfinished", &screen.lifeboat(&arguments));
    check("leases", &screen.lifeboat(&["leases"]));
}

#[test]
fn the_targets_of_a_dead_run_are_taken_over() {
    let screen = Screen::new();
    check("leases_none", &screen.lifeboat(&["leases"]));
    check("take_over_nothing", &screen.lifeboat(&["leases", "take-over", "last", "--reason", "why not"]));
    let (runbook, bindings) = (fixture("good.yaml"), fixture("bindings.yaml"));
    let inputs = ["--input", "damaged_table=public.orders", "--input", "not_before=2026-11-21T12:00:00Z"];
    let arguments = [&["run", &runbook, "--bindings", &bindings, "--step"], &inputs[..]].concat();
    screen.lifeboat(&arguments);
    let reason = ["--reason", "its machine burnt down"];
    check("take_over_no_reason", &screen.lifeboat(&["leases", "take-over", "last", "--reason", " "]));
    let lock = screen.hold_run();
    let alive = [&["leases", "take-over", "last", "--holder-is-dead"], &reason[..]].concat();
    check("take_over_alive", &screen.lifeboat(&alive));
    drop(lock);
    check("take_over", &screen.lifeboat(&[&["leases", "take-over", "last"], &reason[..]].concat()));
    check("take_over_resume", &screen.lifeboat(&["resume", "last"]));
    check("take_over_runs", &screen.lifeboat(&["runs"]));
    check("take_over_leases", &screen.lifeboat(&["leases", "--all"]));
    let leases: serde_json::Value = serde_json::from_str(&screen.stdout(&["leases", "--json"])).unwrap();
    assert_eq!(leases[0]["taken_over"][0]["take_over"]["reason"], "its machine burnt down");
    assert!(screen.lifeboat(&arguments).starts_with("exit code 5"), "another run may begin");
}

#[test]
fn a_damaged_journal_is_refused() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("people.yaml"), fixture("people-bindings.yaml"));
    screen.lifeboat(&["run", &runbook, "--bindings", &bindings]);
    check("journal_sound", &screen.lifeboat(&["verify-journal", "last"]));
    screen.damage_journal();
    check("journal_verified", &screen.lifeboat(&["verify-journal", "last"]));
    check("journal_damaged", &screen.lifeboat(&["resume", "last"]));
    check("journal_damaged_runs", &screen.lifeboat(&["runs"]));
}

#[test]
fn runs_that_are_not_there() {
    check("runs_none", &lifeboat(&["runs"]));
    check("status_none", &lifeboat(&["status"]));
    check("resume_unknown", &lifeboat(&["resume", "dr-999"]));
}

#[test]
fn the_history_says_how_rehearsals_went_and_what_is_due() {
    let screen = Screen::new();
    check("history_none", &screen.lifeboat(&["history"]));
    screen.lifeboat(&["run", &fixture("people.yaml"), "--bindings", &fixture("people-bindings.yaml")]);
    screen.held("2020-01-03T02:00:00Z", "met", 40.0);
    screen.held("2020-01-04T02:00:00Z", "met", 42.0);
    screen.held("2020-01-05T02:00:00Z", "met", 44.0);
    screen.held("2020-01-06T02:00:00Z", "missed", 63.0);
    check("history", &screen.lifeboat(&["history"]));
    check("history_of_one", &screen.lifeboat(&["history", "dr-003"]));
    check("history_unknown", &screen.lifeboat(&["history", "dr-999"]));
    let document: serde_json::Value = serde_json::from_str(&screen.stdout(&["history", "--json"])).unwrap();
    assert_eq!(document["format"], "lifeboat.history/1");
    let records = document["drills"].as_array().unwrap();
    let drills: Vec<_> = records.iter().map(|drill| &drill["drill"]).collect();
    assert_eq!(drills, ["BV-001", "DR-000", "DR-001", "DR-002", "DR-002-SPLIT", "DR-002-SYNC", "DR-003", "DR-004"]);
    assert_eq!(records.iter().find(|drill| drill["drill"] == "DR-003").unwrap()["rto_median_s"], 43.0);
    assert_eq!(document["held"].as_array().unwrap().len(), 4);
}

#[test]
fn coverage_says_what_was_rehearsed_against_what() {
    let screen = Screen::new();
    check("coverage_none", &screen.lifeboat(&["coverage"]));
    screen.lifeboat(&["run", &fixture("people.yaml"), "--bindings", &fixture("people-bindings.yaml")]);
    screen.held("2020-01-03T02:00:00Z", "met", 40.0);
    check("coverage", &screen.lifeboat(&["coverage"]));
    check("coverage_wrong_file", &screen.lifeboat(&["coverage", &fixture("wrong-timeline.yaml")]));
    let document: serde_json::Value = serde_json::from_str(&screen.stdout(&["coverage", "--json"])).unwrap();
    assert_eq!(document["format"], "lifeboat.coverage/1");
    let cells = document["cells"].as_array().unwrap();
    let deletion = |cell: &&serde_json::Value| cell["kind"] == "postgres" && cell["fault"] == "accidental-deletion";
    let deletion = cells.iter().find(deletion).unwrap();
    assert_eq!(deletion["state"], "met_with_notes", "a line of an earlier version says nothing of controls");
    assert_eq!(document["drills"][0]["every_from"], "drill_file");
    assert_eq!(document["not_rehearsed"], serde_json::json!(["DR-000"]));
    let picture = screen.stdout(&["coverage", "--format", "svg"]);
    assert!(picture.starts_with("<svg ") && picture.contains("accidental-deletion"), "{picture}");
}

#[test]
fn metrics_are_written_to_a_file_that_the_collector_reads() {
    let screen = Screen::new();
    let path = screen.folder("lifeboat.prom");
    screen.held("2020-01-03T02:00:00Z", "met", 40.0);
    assert_eq!(screen.stdout(&["metrics", "--textfile", &path, "--label", "cluster=eu"]), "");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("restore_drill_last_timestamp{drill=\"DR-003\",cluster=\"eu\"} 1578016800\n"), "{text}");
    assert!(text.contains("restore_drill_overdue{drill=\"DR-003\",cluster=\"eu\"} 1\n"), "{text}");
    check("metrics_name", &screen.lifeboat(&["metrics", "--textfile", "lifeboat.txt"]));
    check("metrics_label", &screen.lifeboat(&["metrics", "--label", "a=1", "--label", "a=2"]));
    let refused = screen.lifeboat(&["metrics", "--textfile", "no-such-folder/lifeboat.prom"]);
    assert!(refused.starts_with("exit code 1") && refused.contains("cannot be written"), "{refused}");
}

#[test]
fn a_run_has_a_page_of_its_own() {
    let screen = Screen::new();
    let (runbook, bindings) = (fixture("people.yaml"), fixture("people-bindings.yaml"));
    screen.lifeboat(&["run", &runbook, "--bindings", &bindings, "--approve", "sign_off"]);
    screen.lifeboat(&["resolve", "last", "--evidence", "ticket=OPS-12"]);
    screen.lifeboat(&["resume", "last"]);
    let page = screen.stdout(&["report", "last", "--format", "html"]);
    let text = screen.stdout(&["report", "last", "--format", "markdown"]);
    let suite = screen.stdout(&["report", "last", "--format", "junit"]);
    let verified: serde_json::Value =
        serde_json::from_str(&screen.stdout(&["verify-journal", "last", "--json"])).unwrap();
    let hash = verified["hash"].as_str().unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("ticket=OPS-12"), "{page}");
    for (format, told) in [("html", &page), ("markdown", &text), ("junit", &suite)] {
        assert!(told.contains(hash), "{format} has the hash that `verify-journal` shows");
    }
    check("report_html_path", &screen.lifeboat(&["report", "last", "--format", "html-path"]));
}

#[test]
fn explain_knows_codes_and_near_misses() {
    check("explain", &lifeboat(&["explain", "run-locked"]));
    check("explain_near", &lifeboat(&["explain", "run-loked"]));
    check("explain_unknown", &lifeboat(&["explain", "pqxyzw"]));
}

#[test]
fn plugins_say_what_they_do_and_may_reach() {
    check("plugins_notify", &lifeboat(&["plugins", "notify"]));
    check("plugins_drill", &lifeboat(&["plugins", "drill/hold"]));
    check("plugins_unknown", &lifeboat(&["plugins", "mysql"]));
}

#[test]
fn schemas_are_json() {
    for of in ["runbook", "bindings", "drill", "coverage"] {
        let shown = Screen::new().stdout(&["schema", of]);
        let schema: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert!(schema.get("$schema").is_some(), "{of}");
    }
}

#[test]
fn completions_name_every_command() {
    let script = Screen::new().stdout(&["completions", "bash"]);
    for command in ["check", "resume", "drill", "explain"] {
        assert!(script.contains(command), "{command}");
    }
}
