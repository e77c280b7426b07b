//! Coverage as a picture: SVG that stands alone. Each cell says in words and with a sign what its colour says, and the whole is told to
//! those who cannot see it.

use std::fmt::Write as _;

use super::{
    Coverage, CoverageCell,
    sheets::{decisive, measured, tone},
};
use crate::{Tone, elapsed, xml::escape};

const CELL: (usize, usize) = (230, 102);
const LINE: usize = 17;
const HEAD: usize = 64;
/// No letter is wider on average.
const LETTER: usize = 7;
/// Longer lines are cut; the title of the cell has them whole.
const CHARS_MAX: usize = 32;

const STYLE: &str = "svg { --ink: #1d2329; --dim: #5b6670; --paper: #fff; --line: #d8dde3; --good: #0a7d38; --bad: #b3261e; --warn: #8a6100; \
    color-scheme: light dark; font: 12px system-ui, sans-serif } \
    @media screen and (prefers-color-scheme: dark) { svg { --ink: #e4e9ee; --dim: #a3afba; --paper: #13181c; --line: #343d46; --good: #56c98d; \
    --bad: #ff8d84; --warn: #e0b252 } } \
    .paper { fill: var(--paper) } text { fill: var(--ink) } .dim { fill: var(--dim) } .head { font-weight: 600 } \
    rect.cell { fill: var(--paper); stroke: var(--line) } .edge { stroke-width: 4 } \
    .good { fill: var(--good); stroke: var(--good) } .bad { fill: var(--bad); stroke: var(--bad) } \
    .warn { fill: var(--warn); stroke: var(--warn) } .plain { fill: var(--dim); stroke: var(--line) } \
    text.good, text.bad, text.warn, text.plain { stroke: none; font-weight: 600 }";

/// The picture.
pub fn draw(coverage: &Coverage) -> String {
    let longest = coverage.faults.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    let left = (longest * LETTER + 16).max(120);
    let width = left + CELL.0 * coverage.kinds.len().max(1) + 8;
    let height = HEAD + CELL.1 * coverage.faults.len() + 12;
    let at = elapsed::date_and_time(coverage.at);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-labelledby=\"coverage-title coverage-text\">\n<title id=\"coverage-title\">What was rehearsed, on {at} UTC</title>\n\
         <desc id=\"coverage-text\">{}</desc>\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n",
        escape(&told(coverage))
    );
    push(&mut svg, format_args!("<text class=\"head\" x=\"8\" y=\"20\">What was rehearsed, on {at} UTC</text>\n"));
    for (column, kind) in coverage.kinds.iter().enumerate() {
        let x = left + CELL.0 * column + 8;
        push(&mut svg, format_args!("<text class=\"head\" x=\"{x}\" y=\"{}\">{}</text>\n", HEAD - 10, escape(kind)));
    }
    for (row, cells) in coverage.cells.chunks(coverage.kinds.len().max(1)).enumerate() {
        let y = HEAD + CELL.1 * row;
        let fault = cells.first().map(|cell| escape(&cell.fault)).unwrap_or_default();
        push(&mut svg, format_args!("<text class=\"head\" x=\"8\" y=\"{}\">{fault}</text>\n", y + LINE + 4));
        for (column, cell) in cells.iter().enumerate() {
            draw_cell(&mut svg, cell, coverage, (left + CELL.0 * column, y));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = svg.write_fmt(text);
}

fn draw_cell(svg: &mut String, cell: &CoverageCell, coverage: &Coverage, (x, y): (usize, usize)) {
    let class = match tone(cell.state) {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Warn => "warn",
        Tone::Plain => "plain",
    };
    let lines = lines(cell, coverage);
    let (width, height) = (CELL.0 - 8, CELL.1 - 8);
    push(
        svg,
        format_args!(
            "<g><title>{}</title><rect class=\"cell\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>\
             <rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"4\" height=\"{height}\"/>",
            escape(&format!("{} × {}: {}", cell.fault, cell.kind, lines.join("; ")))
        ),
    );
    for (number, line) in lines.iter().take(5).enumerate() {
        let class = if number == 0 { class } else { "dim" };
        let y = y + LINE * (number + 1);
        push(svg, format_args!("<text class=\"{class}\" x=\"{}\" y=\"{y}\">{}</text>", x + 12, escape(&cut(line))));
    }
    svg.push_str("</g>\n");
}

fn cut(line: &str) -> String {
    if line.chars().count() <= CHARS_MAX {
        return line.to_owned();
    }
    line.chars().take(CHARS_MAX - 1).chain(['…']).collect()
}

/// The lines of a cell, the verdict first.
fn lines(cell: &CoverageCell, coverage: &Coverage) -> Vec<String> {
    let head = format!("{} {}", tone(cell.state).symbol(), cell.state.words());
    let Some(exercise) = decisive(cell) else { return vec![head] };
    let mut lines = vec![head];
    match &exercise.last {
        None => lines.push(exercise.drill.clone()),
        Some(last) => {
            lines.push(format!("{}, {} ago", exercise.drill, elapsed::between(last.at, coverage.at)));
            let (rto, rpo) = measured(last);
            if rpo.is_empty() {
                lines.push(rto);
            } else {
                lines.extend([format!("RTO {rto}"), format!("RPO {rpo}")]);
            }
        }
    }
    if !exercise.notes.is_empty() {
        lines.push(exercise.notes.join("; "));
    }
    lines
}

/// The same in words.
fn told(coverage: &Coverage) -> String {
    if coverage.cells.is_empty() {
        return "No drill is known, and none was held.".to_owned();
    }
    let cell = |cell: &CoverageCell| format!("{} on {}: {}.", cell.fault, cell.kind, lines(cell, coverage).join("; "));
    coverage.cells.iter().map(cell).collect::<Vec<_>>().join(" ")
}
