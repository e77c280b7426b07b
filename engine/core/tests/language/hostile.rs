//! Files that try to harm: an error with a code, in bounded time and memory, never a panic.

use lifeboat_core::{bindings, diagnostic::SourceFile, runbook::compile};
use proptest::prelude::*;

use crate::{catalogue::catalogue, text};

fn codes(source: &str) -> Vec<&'static str> {
    let compiled = compile(&text(source), &catalogue());
    assert_eq!(compiled.plan, None, "{}", source.chars().take(100).collect::<String>());
    compiled.diagnostics.iter().map(|finding| finding.code).collect()
}

#[test]
fn hostile_yaml_is_refused_with_a_code() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (now, before) in "bcdefghij".chars().zip("abcdefghi".chars()) {
        bomb += &format!("{now}: &{now} [{}]\n", vec![format!("*{before}"); 9].join(", "));
    }
    for (source, wanted) in [
        (bomb, "LB0004"),
        ("[".repeat(100_000), "LB0004"),
        (format!("{}x{}", "[".repeat(1_000), "]".repeat(1_000)), "LB0004"),
        ("- ".repeat(100_000), "LB0004"),
        ("{a: ".repeat(100_000), "LB0004"),
        ("lifeboat: 1\nlifeboat: 1\n".to_owned(), "LB0005"),
        ("a: &a\n  b: 1\nc:\n  <<: *a\n".to_owned(), "LB0001"),
        ("a: 'not closed\n".to_owned(), "LB0001"),
        ("a: *nothing\n".to_owned(), "LB0001"),
        ("%YAML 3.0\n---\na: 1\n".to_owned(), "LB0001"),
        ("\u{0}".to_owned(), "LB0001"),
        (String::new(), "LB0012"),
        ("just a text".to_owned(), "LB0012"),
    ] {
        let short: String = source.chars().take(60).collect();
        let found = compile(&text(&source), &catalogue()).diagnostics;
        assert!(codes(&source).contains(&wanted), "{short}: {found:?}");
    }
}

#[test]
fn a_file_with_more_steps_or_problems_than_anybody_reads_is_refused_at_once() {
    let steps = vec!["a"; 300_000].join(",");
    let source = format!("lifeboat: 1\nid: T\nname: T\nsteps: [{steps}]\n");
    let found = compile(&text(&source), &catalogue()).diagnostics;
    assert!(found.len() <= 1_003, "{}", found.len());
    assert!(found.iter().any(|finding| finding.code == "LB0071"));
    let rendered = lifeboat_core::diagnostic::render(&text(&source[..60_000]), &found[..3], false);
    assert!(rendered.contains("LB"), "{rendered}");

    let circle: String = (0..9_000)
        .map(|step| format!("  - {{ id: s{step}, needs: [s{}], approve: {{ message: x }} }}\n", (step + 1) % 9_000))
        .collect();
    assert!(codes(&format!("lifeboat: 1\nid: T\nname: T\nsteps:\n{circle}")).contains(&"LB0022"));
    let many: String = (0..10_001).map(|step| format!("  - {{ id: s{step}, approve: {{ message: x }} }}\n")).collect();
    assert_eq!(codes(&format!("lifeboat: 1\nid: T\nname: T\nsteps:\n{many}")), ["LB0044"]);
    let wrong: String = (0..5_000).map(|need| format!("{}{need}, ", "w".repeat(90))).collect();
    let source = format!(
        "lifeboat: 1\nid: T\nname: T\nsteps:\n  - {{ id: {}, approve: {{ message: x }} }}\n  - {{ id: b, needs: [{wrong}], approve: {{ message: x }} }}\n",
        "i".repeat(1 << 20)
    );
    assert!(codes(&source).contains(&"LB0071"));
}

#[test]
fn yaml_1_1_booleans_are_texts() {
    for word in ["yes", "no", "on", "off", "y", "Yes"] {
        let source = format!(
            "lifeboat: 1\nid: T\nname: T\ntargets: {{ db: {{ kind: postgres, access: write }} }}\nsteps:\n  - {{ id: a, uses: test/write, with: {{ server: db, flag: {word} }} }}\n"
        );
        assert_eq!(codes(&source), ["LB0026"], "{word}");
    }
}

#[test]
fn files_that_are_too_large_or_not_utf8_are_not_read() {
    let large = SourceFile::from_bytes("x", &vec![b'a'; 50 << 20]).expect_err("too large");
    assert_eq!(large.code, "LB0002");
    let wrong = SourceFile::from_bytes("x", b"a: 1\nb: \xff\n").expect_err("not UTF-8");
    assert_eq!((wrong.code, wrong.span.line), ("LB0003", 2));
}

#[test]
fn hostile_expressions_are_refused() {
    let long = format!("1{}", " + 1".repeat(2_000));
    for expression in [
        "(".repeat(2_000),
        format!("{}1{}", "(".repeat(500), ")".repeat(500)),
        format!("{}true", "!".repeat(3_000)),
        format!("{}1", "-".repeat(3_000)),
        format!("{}1", "true ? 1 : ".repeat(300)),
        format!("a{}", "[0]".repeat(1_300)),
        long,
        "\"".to_owned(),
        "'\\".to_owned(),
        "}}{{".to_owned(),
    ] {
        let source = format!(
            "lifeboat: 1\nid: T\nname: T\nsteps:\n  - id: a\n    approve: {{ message: x }}\n    when: {}\n",
            serde_json::to_string(&expression).expect("JSON")
        );
        let codes = codes(&source);
        assert!(codes.iter().all(|code| ["LB0030", "LB0031"].contains(code)), "{codes:?} {expression}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_panics(source in "\\PC{0,200}") {
        let file = text(&source);
        compile(&file, &catalogue());
        bindings::parse(&file);
    }

    #[test]
    fn no_damage_to_a_real_file_panics(cut in 0..2000_usize, length in 0..40_usize, insert in "[\\[\\]{}:,'\"$*&|>\\- a\n]{0,8}") {
        let good = include_str!("../files/good.yaml");
        let boundary = |at: usize| (at.min(good.len())..=good.len()).find(|at| good.is_char_boundary(*at)).unwrap_or(0);
        let (from, to) = (boundary(cut), boundary(cut + length));
        let file = text(&format!("{}{insert}{}", &good[..from], &good[to..]));
        let compiled = compile(&file, &catalogue());
        let _ = lifeboat_core::diagnostic::render(&file, &compiled.diagnostics, true);
        prop_assert!(compiled.plan.is_some() || !compiled.diagnostics.is_empty());
        // The words of the parsers are for whoever configures a parser.
        let foreign = ["policy", "Options", "breach", "while parsing", "did not find", "token", "mismatched", "ANTLR"];
        for finding in &compiled.diagnostics {
            prop_assert!(!foreign.iter().any(|word| finding.message.contains(word)), "{finding:?}");
        }
    }
}
