//! The drill as a picture: probes, the outage, steps with the critical path, and the named instants on one axis.

use jiff::Timestamp;
use lifeboat_present::{
    axis::{Axis, LEFT, ROW, WIDTH, label},
    page::push,
    xml::escape,
};

use super::{DrawnProbe, DrillReport, Instants, StepReport};
use crate::measurement::ProbeKind;

/// Height of a line of names.
const LEVEL: f64 = 11.0;
/// No letter of a name is wider on average.
const LETTER: f64 = 7.0;

/// The picture as SVG; empty where there were no probes.
pub(super) fn draw(report: &DrillReport) -> String {
    let last = report.probe_log.iter().map(|probe| probe.ended_s).max_by(f64::total_cmp);
    let (Some(start), Some(until)) = (report.clock_start, last) else { return String::new() };
    let first = report.probe_log.iter().map(|probe| probe.started_s).min_by(f64::total_cmp);
    let axis = Axis { from: first.unwrap_or(0.0), until };
    let seconds = |at: Timestamp| at.duration_since(start).as_secs_f64();
    let all = report.episodes.iter().enumerate();
    let all = all.flat_map(|(number, episode)| episode.steps.iter().map(move |step| (number, step)));
    let steps: Vec<(usize, &StepReport)> = all.filter(|(_, step)| step.started.is_some()).collect();
    let flags = flags(report, &axis, seconds);
    let levels = flags.iter().map(|flag| flag.level + 1).max().unwrap_or(0);
    let top = 19.0 + LEVEL * levels as f64;
    let height = top + 8.0 + ROW * (ProbeKind::ALL.len() + steps.len()) as f64 + 44.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">", told(report));
    for episode in &report.episodes {
        outage(&mut svg, &episode.instants, &axis, (top - 18.0, height - 50.0), seconds);
    }
    flags.iter().for_each(|flag| flag.draw(&mut svg, height - 50.0));
    let mut y = top;
    for (number, kind) in ProbeKind::ALL.into_iter().enumerate() {
        label(&mut svg, kind.title(), y);
        lane(&mut svg, report.probe_log.iter().filter(|probe| probe.lane == number), &axis, y);
        y += ROW;
    }
    path(&mut svg, &steps, &axis, y, seconds);
    for (_, each) in steps {
        label(&mut svg, &each.id, y);
        step(&mut svg, each, &axis, y, seconds);
        y += ROW;
    }
    axis.ticks(&mut svg, y, |seconds| format!("{seconds:.0} s"));
    legend(&mut svg, y + ROW);
    svg.push_str("</svg>");
    svg
}

/// The picture for those who cannot see it; its numbers stand in the tables.
fn told(report: &DrillReport) -> String {
    let failed = report.probe_log.iter().filter(|probe| !probe.ok).count();
    let steps = report.steps().filter(|step| step.started.is_some()).count();
    format!("Time line of the drill: {} probes, of which {failed} failed, and {steps} steps", report.probe_log.len())
}

fn step(svg: &mut String, step: &StepReport, axis: &Axis, y: f64, seconds: impl Fn(Timestamp) -> f64) {
    let from = step.started.map_or(axis.from, seconds);
    let took = step.seconds.unwrap_or(0.0);
    let width = (axis.x(from + took) - axis.x(from)).max(2.0);
    let class = match (step.state.as_str(), step.on_critical_path) {
        ("failed", _) => "failed",
        (_, true) => "critical",
        (_, false) => "step",
    };
    push(
        svg,
        format_args!(
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"11\" rx=\"2\"><title>{} {took:.2} s</title></rect>",
            axis.x(from),
            y - 9.0,
            escape(&step.id)
        ),
    );
}

/// The critical path of each recovery: from the end of each step on it to the beginning of the next one.
fn path(svg: &mut String, steps: &[(usize, &StepReport)], axis: &Axis, top: f64, seconds: impl Fn(Timestamp) -> f64) {
    let places = steps.iter().enumerate().filter(|(_, (_, step))| step.on_critical_path);
    let mut places: Vec<(usize, f64, f64, f64)> = places
        .filter_map(|(row, (episode, step))| {
            let from = seconds(step.started?);
            Some((*episode, from, from + step.seconds.unwrap_or(0.0), top + ROW * row as f64 - 3.5))
        })
        .collect();
    places.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let mut drawn = String::new();
    for pair in places.windows(2) {
        let ((episode, _, end, y), (next_episode, begin, _, next)) = (pair[0], pair[1]);
        if episode == next_episode {
            push(&mut drawn, format_args!("M{:.1} {y:.1}L{:.1} {next:.1}", axis.x(end), axis.x(begin)));
        }
    }
    push(svg, format_args!("<path class=\"path\" d=\"{drawn}\"/>"));
}

/// What the colours mean.
fn legend(svg: &mut String, y: f64) {
    let entries = [
        ("good", "good probe"),
        ("bad", "failed probe"),
        ("outage", "outage"),
        ("critical", "critical path"),
        ("step", "other step"),
        ("failed", "failed step"),
    ];
    for (number, (class, name)) in entries.into_iter().enumerate() {
        let x = LEFT + 125.0 * number as f64;
        let mark = if matches!(class, "good" | "bad") {
            format!("<path class=\"{class}\" d=\"M{x:.1} {y}v-9m4 9v-9m4 9v-9\"/>")
        } else {
            format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"9\"/>", y - 9.0)
        };
        push(svg, format_args!("{mark}<text x=\"{:.1}\" y=\"{y}\">{name}</text>", x + 17.0));
    }
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
            "<rect class=\"outage\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
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
                "<line class=\"flag\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/><text x=\"{left:.1}\" y=\"{base}\">{}</text>",
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
            ("redundant", instants.t_redundant),
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
    for (ok, class, top) in [(true, "good", 7.0), (false, "bad", 10.0)] {
        let mut path = String::new();
        for probe in probes.clone().filter(|probe| probe.ok == ok) {
            push(&mut path, format_args!("M{:.1} {y}v-{top}", axis.x(probe.started_s)));
        }
        push(svg, format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
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
