//! The drill as a picture: probes, the outage, steps with the critical path, and the named instants on one axis.

use jiff::Timestamp;

use super::{
    DrawnProbe, DrillReport, Instants,
    page::{escape, push},
};
use crate::measurement::ProbeKind;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 150.0;
const ROW: f64 = 18.0;
/// Height of a line of names.
const LEVEL: f64 = 11.0;
/// No letter of a name is wider on average.
const LETTER: f64 = 7.0;

/// The span that is shown, in seconds on the observer's clock.
struct Axis {
    from: f64,
    until: f64,
}

impl Axis {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds - self.from) / (self.until - self.from).max(0.001) * (WIDTH - LEFT - 10.0)
    }
}

/// The picture as SVG; empty where there were no probes.
pub(super) fn draw(report: &DrillReport) -> String {
    let last = report.probe_log.iter().map(|probe| probe.ended_s).max_by(f64::total_cmp);
    let (Some(start), Some(until)) = (report.clock_start, last) else { return String::new() };
    let first = report.probe_log.iter().map(|probe| probe.started_s).min_by(f64::total_cmp);
    let axis = Axis { from: first.unwrap_or(0.0), until };
    let seconds = |at: Timestamp| at.duration_since(start).as_secs_f64();
    let steps: Vec<_> = report.steps().filter(|step| step.started.is_some()).collect();
    let flags = flags(report, &axis, seconds);
    let levels = flags.iter().map(|flag| flag.level + 1).max().unwrap_or(0);
    let top = 19.0 + LEVEL * levels as f64;
    let height = top + 8.0 + ROW * (ProbeKind::ALL.len() + steps.len()) as f64 + 26.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Time line of the drill\">");
    for episode in &report.episodes {
        outage(&mut svg, &episode.instants, &axis, (top - 18.0, height - 22.0), seconds);
    }
    flags.iter().for_each(|flag| flag.draw(&mut svg, height - 22.0));
    let mut y = top;
    for (number, kind) in ProbeKind::ALL.into_iter().enumerate() {
        label(&mut svg, kind.title(), y);
        lane(&mut svg, report.probe_log.iter().filter(|probe| probe.lane == number), &axis, y);
        y += ROW;
    }
    for step in steps {
        let from = step.started.map_or(axis.from, seconds);
        let width = (step.seconds.unwrap_or(0.0) / (axis.until - axis.from) * (WIDTH - LEFT)).max(2.0);
        let colour = match (step.state.as_str(), step.on_critical_path) {
            ("failed", _) => "#b3261e",
            (_, true) => "#274c77",
            (_, false) => "#9db4c8",
        };
        label(&mut svg, &step.id, y);
        push(
            &mut svg,
            format_args!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"11\" rx=\"2\" fill=\"{colour}\"><title>{} {:.2} s</title></rect>",
                axis.x(from),
                y - 9.0,
                escape(&step.id),
                step.seconds.unwrap_or(0.0)
            ),
        );
        y += ROW;
    }
    ticks(&mut svg, &axis, y);
    svg.push_str("</svg>");
    svg
}

/// The outage as a band.
fn outage(svg: &mut String, instants: &Instants, axis: &Axis, between: (f64, f64), seconds: impl Fn(Timestamp) -> f64) {
    let Some(onset) = instants.t_onset else { return };
    let until = instants.t_stable.map_or(axis.until, &seconds);
    let (left, right) = (axis.x(seconds(onset)), axis.x(until));
    let (top, bottom) = between;
    push(
        svg,
        format_args!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#fbe3e1\"/>",
            right - left,
            bottom - top
        ),
    );
}

/// A named instant: a line, and its name on a level of its own where neighbours are close.
#[derive(Debug)]
struct Flag {
    name: &'static str,
    x: f64,
    level: usize,
}

impl Flag {
    fn left(&self) -> f64 {
        (self.x + 2.0).min(WIDTH - self.width())
    }

    fn width(&self) -> f64 {
        LETTER * self.name.len() as f64
    }

    fn draw(&self, svg: &mut String, bottom: f64) {
        let (x, left) = (self.x, self.left());
        let base = 10.0 + LEVEL * self.level as f64;
        push(
            svg,
            format_args!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\" stroke=\"#b3261e\" stroke-dasharray=\"2 2\"/><text x=\"{left:.1}\" y=\"{base}\">{}</text>",
                base + 2.0,
                self.name
            ),
        );
    }
}

fn flags(report: &DrillReport, axis: &Axis, seconds: impl Fn(Timestamp) -> f64) -> Vec<Flag> {
    let named = report.episodes.iter().map(|episode| &episode.instants).flat_map(|instants| {
        [
            ("T_c", instants.damage),
            ("onset", instants.t_onset),
            ("detect", instants.t_detect),
            ("start", instants.t_start),
            ("restored", instants.t_restored),
            ("stable", instants.t_stable),
        ]
    });
    stagger(named.filter_map(|(name, at)| Some((name, axis.x(seconds(at?))))).collect())
}

/// Puts each name below those that reach over its own place: then no name covers another, and no line crosses a name.
fn stagger(mut named: Vec<(&'static str, f64)>) -> Vec<Flag> {
    named.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut flags: Vec<Flag> = Vec::new();
    for (name, x) in named {
        let mut flag = Flag { name, x, level: 0 };
        let over = flags.iter().filter(|earlier| earlier.left() + earlier.width() > flag.left());
        flag.level = over.map(|earlier| earlier.level + 1).max().unwrap_or(0);
        flags.push(flag);
    }
    flags
}

/// One lane of probes: a stroke each, drawn in two paths so that the page stays small.
fn lane<'a>(svg: &mut String, probes: impl Iterator<Item = &'a DrawnProbe> + Clone, axis: &Axis, y: f64) {
    for (ok, colour, top) in [(true, "#0a7d38", 7.0), (false, "#b3261e", 10.0)] {
        let mut path = String::new();
        for probe in probes.clone().filter(|probe| probe.ok == ok) {
            push(&mut path, format_args!("M{:.1} {y}v-{top}", axis.x(probe.started_s)));
        }
        push(svg, format_args!("<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"1\" fill=\"none\"/>"));
    }
}

fn label(svg: &mut String, text: &str, y: f64) {
    push(svg, format_args!("<text x=\"0\" y=\"{y}\">{}</text>", escape(text)));
}

fn ticks(svg: &mut String, axis: &Axis, y: f64) {
    let span = axis.until - axis.from;
    let step = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0].into_iter().find(|step| span / step <= 16.0).unwrap_or(1800.0);
    let mut at = 0.0;
    while at <= span {
        push(
            svg,
            format_args!("<text x=\"{:.1}\" y=\"{y}\" fill=\"#5b6670\">{at:.0} s</text>", axis.x(axis.from + at)),
        );
        at += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_close_instants_stand_below_each_other() {
        let check = |places: &[f64], expected: &[usize]| {
            let flags = stagger(places.iter().map(|x| ("detect", *x)).collect());
            assert_eq!(flags.iter().map(|flag| flag.level).collect::<Vec<_>>(), expected, "{places:?}");
        };
        check(&[200.0, 300.0, 400.0], &[0, 0, 0]);
        check(&[200.0, 201.0, 202.0, 203.0], &[0, 1, 2, 3]);
        // The fourth would be free of the first, but its line must not cross the names of the two before it.
        check(&[200.0, 220.0, 240.0, 250.0, 400.0], &[0, 1, 2, 3, 0]);
        // At the edge the name moves in.
        check(&[930.0, 958.0], &[0, 1]);
    }
}
