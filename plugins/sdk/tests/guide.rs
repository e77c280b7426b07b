//! The plugin that `docs/plugins.md` shows: it compiles, its test runs, and the page shows exactly this file.

#[path = "guide/traffic.rs"]
pub mod traffic;

#[test]
fn the_page_shows_this_plugin() {
    let page = include_str!("../../../docs/plugins.md");
    let source = include_str!("guide/traffic.rs");
    assert!(
        page.contains(&format!("```rust\n{source}```\n")),
        "docs/plugins.md shows another plugin than guide/traffic.rs"
    );
}
