//! Every code has its page, under its own title, and every page its code.

use std::{collections::BTreeSet, path::Path};

use lifeboat_core::diagnostic::CODES;

#[test]
#[expect(clippy::disallowed_methods, reason = "the core reads no files; its tests do")]
fn every_code_has_a_page_and_every_page_a_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for code in CODES {
        let page = std::fs::read_to_string(folder.join(format!("{}.md", code.id))).expect(code.id);
        assert_eq!(page.lines().next(), Some(format!("# {}: {}", code.id, code.title).as_str()));
    }
    let names =
        std::fs::read_dir(&folder).expect("the folder of pages").map(|entry| entry.expect("an entry").file_name());
    let pages: BTreeSet<String> = names
        .filter_map(|name| name.to_str()?.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name.starts_with("LB"))
        .collect();
    let codes: BTreeSet<String> = CODES.iter().map(|code| code.id.to_owned()).collect();
    assert_eq!(pages, codes);
    assert_eq!(codes.len(), CODES.len(), "a code is there twice");
}
