//! Small pieces of HTML.

use std::fmt::Write as _;

/// Text with what HTML and XML read as markup replaced.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A table. Cells are HTML already.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut html = String::from(if head.len() > 3 { "<table class=\"many\">" } else { "<table>" });
    html.push_str("<thead><tr>");
    for cell in head {
        push(&mut html, format_args!("<th>{}</th>", escape(cell)));
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            push(&mut html, format_args!("<td>{cell}</td>"));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    wide(&html)
}

/// What may be wider than the screen: it is moved sideways by itself, and the page is not.
pub(super) fn wide(html: &str) -> String {
    format!("<div class=\"wide\">{html}</div>")
}

/// Adds formatted text.
pub(super) fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = html.write_fmt(text);
}

/// The page's look: light, narrow enough for a phone, and in black on white when printed.
pub(super) const STYLE: &str = "
:root { --met: #0a7d38; --missed: #b3261e; --unmeasured: #8a6100; --line: #d8dde3; --soft: #f5f7f9; --ink: #1d2329; --dim: #5b6670 }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 1.2rem; color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.verdict { border-left: .5rem solid; padding: .6rem 1rem; margin: 1rem 0; background: var(--soft) }
.verdict strong { font-size: 1.6rem; text-transform: uppercase; letter-spacing: .04em }
.met { color: var(--met); border-color: var(--met) } .missed { color: var(--missed); border-color: var(--missed) }
.unmeasured { color: var(--unmeasured); border-color: var(--unmeasured) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .8rem }
.card { border: 1px solid var(--line); border-radius: .4rem; padding: .8rem } .card b { display: block; font-size: 1.5rem }
.dim { color: var(--dim); font-size: .88rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem } th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
.wide { overflow-x: auto } code { font-size: .85em; overflow-wrap: anywhere } ul.dim { margin: .3rem 0 0; padding-left: 1.2rem } .wide > .many { min-width: 40rem }
svg { width: 100%; min-width: 46rem; height: auto; font: 11px system-ui, sans-serif }
@media print { svg, .wide > .many { min-width: 0 } body { max-width: none; padding: 0 } .verdict { background: none } h2 { break-after: avoid } tr, .card { break-inside: avoid } }
";
