//! A page for people: self-contained HTML, for an auditor, on a phone or on paper. What it says comes from chapters; here is how that looks.

use std::fmt::Write as _;

use crate::{
    Part, Text, Tone,
    chapter::{Block, Chapter, Sheet},
    xml::escape,
};

/// What a page has around and in its chapters.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The title of the document, as text.
    pub title: &'a str,
    /// What stands on each printed page, as text.
    pub printed: &'a str,
    /// The head, as HTML.
    pub head: &'a str,
    /// What stands before the chapters, as HTML.
    pub results: &'a str,
    /// The chapters.
    pub chapters: &'a [Chapter],
    /// The course as SVG; empty where there is nothing to draw.
    pub picture: &'a str,
    /// What is said instead.
    pub no_picture: &'a str,
    /// The end, as HTML.
    pub foot: &'a str,
}

impl Page<'_> {
    /// The document.
    pub fn render(&self) -> String {
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title><style>{STYLE}{}</style></head><body>\n{}",
            escape(self.title),
            paged(self.printed),
            self.head
        );
        contents(&mut html, self.chapters);
        html.push_str("<main>\n");
        html.push_str(self.results);
        self.chapters.iter().for_each(|chapter| self.section(&mut html, chapter));
        push(&mut html, format_args!("</main>\n<footer>{}</footer>\n</body></html>\n", self.foot));
        html
    }

    fn section(&self, html: &mut String, Chapter { id, title, blocks }: &Chapter) {
        push(
            html,
            format_args!(
                "<section id=\"{id}\" aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{}</h2>",
                escape(title)
            ),
        );
        blocks.iter().for_each(|block| html.push_str(&self.block(block)));
        html.push_str("</section>\n");
    }

    fn block(&self, block: &Block) -> String {
        match block {
            Block::Words(text) => format!("<p class=\"dim\">{}</p>", shown(text)),
            Block::Table(sheet) => table(sheet),
            Block::TimeLine if self.picture.is_empty() => format!("<p class=\"dim\">{}</p>", escape(self.no_picture)),
            Block::TimeLine => wide("Time line", self.picture),
        }
    }
}

fn contents(html: &mut String, chapters: &[Chapter]) {
    html.push_str("<nav aria-label=\"Contents\"><ul>");
    for Chapter { id, title, .. } in chapters {
        push(html, format_args!("<li><a href=\"#{id}\">{}</a></li>", escape(title)));
    }
    html.push_str("</ul></nav>\n");
}

/// Numbers that are looked for first: what each is as HTML, its value as text, and more about it as HTML.
pub fn cards(cards: &[(String, String, String)]) -> String {
    let mut html = "<div class=\"cards\">".to_owned();
    for (what, value, more) in cards {
        push(&mut html, format_args!("<div class=\"card\">{what}<b>{}</b>{more}</div>", escape(value)));
    }
    html.push_str("</div>\n");
    html
}

/// The class of the page's style for what is meant so.
pub fn class(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Good => Some("met"),
        Tone::Bad => Some("missed"),
        Tone::Warn => Some("unmeasured"),
        Tone::Plain => None,
    }
}

/// A text with its names and tones marked up.
fn shown(text: &Text) -> String {
    let part = |part: &Part| match part {
        Part::Words(words) => escape(words),
        Part::Name(name) => format!("<code>{}</code>", escape(name)),
        Part::Toned(tone, words) => match class(*tone) {
            None => escape(words),
            Some(class) => format!("<span class=\"{class}\">{}</span>", escape(words)),
        },
    };
    text.parts().iter().map(part).collect()
}

/// A table. On a phone each row is a block in which each cell carries the head of its column; the roles keep it a table for those who
/// hear it.
fn table(Sheet { caption, heads, rows }: &Sheet) -> String {
    if rows.is_empty() {
        return format!("<p class=\"dim\">{}: none.</p>", escape(caption));
    }
    let class = if heads.len() > 2 { " class=\"many\"" } else { "" };
    let caption_text = escape(caption);
    let mut html = format!(
        "<table role=\"table\"{class}><caption>{caption_text}</caption><thead role=\"rowgroup\"><tr role=\"row\">"
    );
    for head in heads {
        push(&mut html, format_args!("<th role=\"columnheader\" scope=\"col\">{}</th>", escape(head)));
    }
    html.push_str("</tr></thead><tbody role=\"rowgroup\">");
    for row in rows {
        html.push_str("<tr role=\"row\">");
        for (number, (text, head)) in row.iter().zip(heads).enumerate() {
            cell(&mut html, number, &shown(text), &escape(head));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table>");
    wide(caption, &html)
}

fn cell(html: &mut String, number: usize, cell: &str, head: &str) {
    match (number, cell) {
        (0, _) => push(html, format_args!("<th role=\"rowheader\" scope=\"row\">{cell}</th>")),
        (_, "") => html.push_str("<td role=\"cell\"></td>"),
        _ => push(html, format_args!("<td role=\"cell\" data-label=\"{head}\"><div>{cell}</div></td>")),
    }
}

/// What may be wider than the screen: it is moved sideways by itself, also by keys, and the page is not.
fn wide(name: &str, html: &str) -> String {
    format!("<div class=\"wide\" role=\"group\" aria-label=\"{}\" tabindex=\"0\">{html}</div>\n", escape(name))
}

/// Adds formatted text.
pub fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = html.write_fmt(text);
}

/// What stands on each printed page: that name and the number of the page.
fn paged(name: &str) -> String {
    let name: String = name.chars().map(in_css).collect();
    format!(
        "@page {{ margin: 16mm 14mm 18mm; @bottom-left {{ content: \"{name}\"; font: 9px system-ui, sans-serif; color: #5b6670 }} \
         @bottom-right {{ content: \"page \" counter(page) \" of \" counter(pages); font: 9px system-ui, sans-serif; color: #5b6670 }} }}\n"
    )
}

/// A character within a string of CSS, in which nothing may end the string or the style.
fn in_css(character: char) -> String {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | ' ' | '·' | '.' => character.to_string(),
        other => format!("\\{:x} ", u32::from(other)),
    }
}

/// The page's look: light or dark as the reader's system is, narrow enough for a phone, and in black on white when printed.
const STYLE: &str = "
:root { color-scheme: light dark; --met: #0a7d38; --missed: #b3261e; --unmeasured: #8a6100; --line: #d8dde3; --soft: #f5f7f9; --ink: #1d2329;
  --dim: #5b6670; --paper: #fff; --outage: #fbe3e1; --critical: #274c77; --step: #9db4c8 }
@media screen and (prefers-color-scheme: dark) { :root { --met: #56c98d; --missed: #ff8d84; --unmeasured: #e0b252; --line: #343d46; --soft: #1d242a;
  --ink: #e4e9ee; --dim: #a3afba; --paper: #13181c; --outage: #48262a; --critical: #7db4ea; --step: #4c6175 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 1.2rem; color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem } a { color: inherit }
.verdict { border-left: .5rem solid; padding: .6rem 1rem; margin: 1rem 0; background: var(--soft) } .verdict p { color: var(--ink); margin: .3rem 0 }
.verdict strong { font-size: 1.6rem; text-transform: uppercase; letter-spacing: .04em }
.met { color: var(--met); border-color: var(--met) } .missed { color: var(--missed); border-color: var(--missed) }
.unmeasured { color: var(--unmeasured); border-color: var(--unmeasured) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .8rem }
.card { border: 1px solid var(--line); border-radius: .4rem; padding: .8rem } .card b { display: block; font-size: 1.5rem }
.dim, .verdict .dim { color: var(--dim); font-size: .88rem } ul.dim { margin: .3rem 0 0; padding-left: 1.2rem }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; margin: 0 0 1rem; padding: 0; font-size: .88rem }
footer { border-top: 1px solid var(--line); color: var(--dim); font-size: .88rem; margin-top: 2rem; padding-top: .5rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin-bottom: 1rem }
caption { text-align: left; color: var(--dim); font-size: .88rem; padding: .2rem 0 }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: break-word }
tbody th { font-weight: inherit } .wide { overflow-x: auto } code { font-size: .85em; overflow-wrap: anywhere }
.many { min-width: 40rem } .many tbody th code { overflow-wrap: normal }
svg { width: 100%; min-width: 46rem; height: auto; font: 11px system-ui, sans-serif } svg text { fill: var(--ink) } svg .tick { fill: var(--dim) }
svg .outage { fill: var(--outage) } svg .step { fill: var(--step) } svg .critical { fill: var(--critical) } svg .failed { fill: var(--missed) }
svg .good { stroke: var(--met); fill: none } svg .bad { stroke: var(--missed); fill: none } svg .wait { fill: none; stroke: var(--unmeasured); stroke-dasharray: 4 2 } svg .back { stroke: var(--dim); stroke-dasharray: 1 3 }
  svg .flag { stroke: var(--missed); stroke-dasharray: 2 2 }
svg .path { stroke: var(--critical); fill: none; stroke-dasharray: 3 2 }
@media screen and (max-width: 40rem) {
  .many { min-width: 0 } thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
  table, tbody, caption { display: block } tbody tr { display: block; border-bottom: 1px solid var(--line); padding: .4rem 0 }
  tbody th, td { display: block; border: 0; padding: .1rem 0 } tbody th { font-weight: 600 } td:empty { display: none }
  .many td[data-label] { display: grid; grid-template-columns: 8rem 1fr; gap: .6rem } .many td[data-label]::before { content: attr(data-label); color: var(--dim) }
}
@media print {
  :root { font-size: 12px } svg, .many { min-width: 0 } body { max-width: none; padding: 0; font-size: 12px } .verdict { background: none } nav { display: none }
  .wide { overflow: visible } h2, caption, thead { break-after: avoid } tbody tr:first-child { break-before: avoid } tr, .card, svg { break-inside: avoid } thead { display: table-header-group }
}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_style() {
        let style = paged("a\"; } </style><script>");
        assert!(!style.contains("</style") && !style.contains("a\""), "{style}");
        assert!(paged("DR-003 · dr-003-20261121").contains("\"DR-003 · dr-003-20261121\""));
    }

    #[test]
    fn a_cell_carries_the_head_of_its_column() {
        let rows = vec![vec![Text::from("a<b"), Text::toned(Tone::Bad, "c")]];
        let html = table(&Sheet { caption: "C & D".to_owned(), heads: vec!["one".to_owned(), "two".to_owned()], rows });
        assert!(html.contains("<caption>C &amp; D</caption>"), "{html}");
        assert!(html.contains("<th role=\"rowheader\" scope=\"row\">a&lt;b</th>"), "{html}");
        assert!(
            html.contains("<td role=\"cell\" data-label=\"two\"><div><span class=\"missed\">c</span></div></td>"),
            "{html}"
        );
        let none = table(&Sheet { caption: "Lost".to_owned(), heads: vec!["one".to_owned()], rows: Vec::new() });
        assert_eq!(none, "<p class=\"dim\">Lost: none.</p>");
    }
}
