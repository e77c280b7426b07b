//! The course of a run as SVG: a row a step, with its attempts and its waits, and the pauses of the run behind them. What is at work, waits or
//! failed differs in its form and its sign, too, and each mark says in words what it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lifeboat_core::name::StepId;

use super::{
    Told,
    spans::{Doing, PauseSpan, Span, pauses, spans},
};
use crate::{
    axis::{Axis, LEFT, ROW, WIDTH, label},
    elapsed,
    page::push,
    xml::escape,
};

/// More steps are not drawn: nobody could read them.
const STEPS_MAX: usize = 60;
/// Names are cut so that they end before the axis begins.
const NAME_CHARS_MAX: usize = 21;
const TOP: f64 = 22.0;

/// The picture; empty where no step has begun.
pub(super) fn draw(told: &Told<'_>) -> String {
    let spans = spans(told.report.events, told.until);
    // Thousands of items may have one list: its own row says when they were at work.
    let is_drawn = |span: &&Span| !told.report.run.is_item(&span.step);
    let mut rows: BTreeMap<&StepId, usize> = BTreeMap::new();
    let mut names: Vec<&StepId> = Vec::new();
    for span in spans.iter().filter(is_drawn) {
        rows.entry(&span.step).or_insert_with(|| {
            names.push(&span.step);
            names.len() - 1
        });
    }
    if names.is_empty() {
        return String::new();
    }
    let seconds = |at: Timestamp| at.duration_since(told.started).as_secs_f64();
    let axis = Axis { from: 0.0, until: seconds(told.until).max(0.001) };
    let shown = names.len().min(STEPS_MAX);
    let bottom = TOP + ROW * shown as f64;
    let height = bottom + 2.5 * ROW + if names.len() > shown { ROW } else { 0.0 };
    let said = format!(
        "Time line of the run: {shown} of {} steps that began, over {}",
        names.len(),
        elapsed::seconds(axis.until)
    );
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">", escape(&said));
    for pause in pauses(told.report.events, told.until) {
        draw_pause(&mut svg, &pause, &axis, bottom, seconds);
    }
    for (row, name) in names.iter().take(shown).enumerate() {
        label(&mut svg, &cut(name.as_str()), TOP + ROW * row as f64 + 9.0);
    }
    for span in spans.iter().filter(is_drawn) {
        let row = rows[&span.step];
        if row < shown {
            draw_span(&mut svg, span, &axis, TOP + ROW * row as f64, seconds);
        }
    }
    axis.ticks(&mut svg, bottom + 12.0, elapsed::seconds);
    legend(&mut svg, bottom + 12.0 + ROW);
    if names.len() > shown {
        let text = format!("{} more steps are in the table below", names.len() - shown);
        label(&mut svg, &text, bottom + 12.0 + 2.0 * ROW);
    }
    svg.push_str("</svg>");
    svg
}

fn cut(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect()
}

fn draw_pause(svg: &mut String, pause: &PauseSpan, axis: &Axis, bottom: f64, seconds: impl Fn(Timestamp) -> f64) {
    let (left, right) = (axis.x(seconds(pause.from)), axis.x(seconds(pause.until)));
    let (width, height) = ((right - left).max(1.0), bottom - 6.0);
    push(
        svg,
        format_args!(
            "<g><title>paused for {}</title><rect class=\"outage\" x=\"{left:.1}\" y=\"6\" width=\"{width:.1}\" height=\"{height:.1}\"/>\
             <text x=\"{left:.1}\" y=\"16\">paused</text></g>",
            elapsed::between(pause.from, pause.until)
        ),
    );
}

fn draw_span(svg: &mut String, span: &Span, axis: &Axis, y: f64, seconds: impl Fn(Timestamp) -> f64) {
    let (left, right) = (axis.x(seconds(span.from)), axis.x(seconds(span.until)));
    let width = (right - left).max(2.0);
    let (class, what) = look(span.doing);
    let still = if span.is_over { "" } else { ", not over" };
    let title = escape(&format!("{}: {what} for {}{still}", span.step, elapsed::between(span.from, span.until)));
    let mark = match span.doing {
        Doing::BackOff => format!("<path class=\"{class}\" d=\"M{left:.1} {:.1}h{width:.1}\"/>", y + 5.5),
        _ => format!(
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"11\" rx=\"2\"/>"
        ),
    };
    let sign = match span.doing {
        Doing::FailedWork => {
            format!("<text x=\"{:.1}\" y=\"{:.1}\">✘</text>", (left + width + 1.0).min(WIDTH - 9.0), y + 10.0)
        }
        _ => String::new(),
    };
    push(svg, format_args!("<g><title>{title}</title>{mark}{sign}</g>"));
}

/// The class of the page's style, and the words for it.
fn look(doing: Doing) -> (&'static str, &'static str) {
    match doing {
        Doing::Work => ("critical", "at work"),
        Doing::FailedWork => ("failed", "an attempt that failed"),
        Doing::WaitForPerson => ("wait", "waited for a person"),
        Doing::BackOff => ("back", "waited for the next attempt"),
        Doing::Undo => ("step", "undone"),
    }
}

/// What the forms and colours mean.
fn legend(svg: &mut String, y: f64) {
    let all = [Doing::Work, Doing::FailedWork, Doing::WaitForPerson, Doing::BackOff, Doing::Undo];
    let mut x = LEFT;
    for doing in all {
        let (class, what) = look(doing);
        let what = if doing == Doing::FailedWork { format!("{what} ✘") } else { what.to_owned() };
        let mark = match doing {
            Doing::BackOff => format!("<path class=\"{class}\" d=\"M{x:.1} {:.1}h12\"/>", y - 4.5),
            _ => format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"9\"/>", y - 9.0),
        };
        push(svg, format_args!("{mark}<text x=\"{:.1}\" y=\"{y}\">{what}</text>", x + 17.0));
        x += 26.0 + 6.2 * what.chars().count() as f64;
    }
}
