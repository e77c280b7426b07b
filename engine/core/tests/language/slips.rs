//! What people write who come from another language, and the commonest slips in YAML: our own words, the place, and the fix.

use lifeboat_core::{
    diagnostic::{Diagnostic, SourceFile},
    runbook::compile,
};

use crate::{catalogue::catalogue, text};

/// A runbook with these lines in its only step, and below it.
fn runbook(lines: &str) -> String {
    format!(
        "lifeboat: 1\nid: T\nname: T\ntargets: {{ oncall: {{ kind: notify }} }}\nsteps:\n  - id: a\n    uses: \
         test/tell\n{lines}"
    )
}

fn found(source: &str) -> Vec<Diagnostic> {
    compile(&text(source), &catalogue()).diagnostics
}

/// One of the findings has that code, says that, underlines that, and helps with that.
#[track_caller]
fn check(source: &str, code: &str, says: &str, underlines: &str, helps: &str) {
    let found = found(source);
    let fits = |finding: &&Diagnostic| {
        let help = finding.help.clone().unwrap_or_default() + &finding.label;
        let under = source.get(finding.span.start..finding.span.end).unwrap_or_default();
        finding.code == code && finding.message.contains(says) && under == underlines && help.contains(helps)
    };
    let shown: Vec<_> =
        found.iter().map(|finding| (finding, source.get(finding.span.start..finding.span.end))).collect();
    assert!(found.iter().any(|finding| fits(&finding)), "{source}\n{shown:#?}");
}

#[test]
fn slips_in_yaml_are_named_with_their_place_and_what_to_write() {
    let merge = "a: &a\n  b: 1\nc:\n  <<: *a\n";
    check(merge, "LB0001", "merge keys (`<<`) are not supported", "<<", "write the keys out");
    let twice = runbook("    timeout: 5m\n    timeout: 50m\n");
    check(&twice, "LB0005", "the key `timeout` appears twice", "timeout", "remove one of them");
    let two = format!("{}---\n{}", runbook(""), runbook(""));
    check(&two, "LB0001", "more than one document", "---", "a file of its own");
    let bare = runbook("    with: { channel: oncall, message: ${{ run.id }} }\n");
    check(&bare, "LB0001", "must be in quotes", "${{ run.id }}", "`\"${{ run.id }}\"`");
    let colon = runbook("").replace("name: T", "name: Restore: rows");
    check(&colon, "LB0001", "a value that contains `: ` must be in quotes", "Restore: rows", "`\"Restore: rows\"`");
    let tab = runbook("\ttimeout: 5m\n");
    check(&tab, "LB0001", "this line is indented with a tab", "\t", "indent with spaces");
    let quote = runbook("    title: 'never closed\n");
    assert!(found(&quote)[0].message.contains("is not closed"), "{:?}", found(&quote));
    let alias = runbook("    with: *nothing\n");
    assert!(found(&alias)[0].message.contains("an anchor that does not exist"), "{:?}", found(&alias));
}

#[test]
fn a_file_in_utf_16_is_called_that() {
    let units = |bytes: fn(u16) -> [u8; 2]| "\u{feff}lifeboat: 1\n".encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let (little, big) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
    for bytes in [&little[..], &big[..], &little[2..], &big[2..]] {
        let refusal = SourceFile::from_bytes("x", bytes).expect_err("UTF-16");
        assert_eq!((refusal.code, refusal.message.as_str()), ("LB0003", "the file is UTF-16, not UTF-8"));
        assert!(refusal.help.is_some_and(|help| help.contains("save it as UTF-8")));
    }
}

#[test]
fn words_of_other_languages_lead_to_ours() {
    for (key, ours) in [
        ("if", "when"),
        ("depends_on", "needs"),
        ("dependsOn", "needs"),
        ("run", "uses"),
        ("with_items", "for_each"),
        ("args", "with"),
        ("timeout-minutes", "timeout"),
        ("continue-on-error", "on_failure"),
        ("retries", "retry"),
        ("rollback", "undo"),
        ("name", "title"),
    ] {
        let source = runbook(&format!("    {key}: x\n"));
        check(&source, "LB0010", &format!("no key `{key}`"), key, &format!("did you mean `{ours}`?"));
    }
    let jobs = runbook("").replace("steps:", "jobs:");
    check(&jobs, "LB0010", "no key `jobs`", "jobs", "did you mean `steps`?");
    let versioned = runbook("").replace("test/tell", "test/tell@v1");
    check(&versioned, "LB0023", "`test/tell@v1` is not an action", "test/tell@v1", "remove `@…`");
}

#[test]
fn braces_without_a_dollar_are_plain_text_and_that_is_said() {
    let source = runbook("    with: { channel: oncall, message: \"rows of {{ run.id }}\" }\n");
    check(&source, "LB0048", "is plain text", "{{ run.id }}", "`${{ run.id }}`");
    let fine = runbook("    with: { channel: oncall, message: \"rows of ${{ run.id }}\" }\n");
    assert!(found(&fine).iter().all(|finding| finding.code != "LB0048"), "{:?}", found(&fine));
}

#[test]
fn an_expression_that_cannot_be_read_is_explained() {
    for (expression, says) in [
        ("run.id = 'x'", "`=` is not an operator; use `==`"),
        ("run.id == 'x' and true", "`and` is not an operator; use `&&`"),
        ("not true", "`not` is not an operator; use `!`"),
        ("run.id | upper", "there are no filters"),
        ("run.id == 'x", "a string that begins with ' is not closed"),
        ("(run.id == 'x'", "unexpected end"),
        ("run.id ==", "unexpected end"),
        ("run.id 'x'", "unexpected `'x'`"),
    ] {
        let source = runbook(&format!("    when: {}\n", serde_json::to_string(expression).expect("JSON")));
        let found = found(&source);
        let said = found.iter().find(|finding| finding.code == "LB0030").map(|finding| finding.message.as_str());
        assert!(said.is_some_and(|said| said.contains(says)), "{expression}: {found:?}");
    }
}
