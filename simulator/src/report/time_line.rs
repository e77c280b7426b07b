//! The drill as a picture: probes, the outage, steps with the critical path, and the named instants on one axis.

use jiff::Timestamp;

use super::{
    DrillReport,
    page::{escape, push},
};
use crate::measurement::{Probe, ProbeKind};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 150.0;
const ROW: f64 = 18.0;

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
    let (Some(start), Some(last)) = (report.clock_start, report.probe_log.iter().map(|probe| probe.ended).max()) else {
        return String::new();
    };
    let first = report.probe_log.iter().map(|probe| probe.started.0).min().unwrap_or(0);
    let axis = Axis { from: first as f64 / 1e6, until: last.0 as f64 / 1e6 };
    let seconds = |at: Timestamp| at.duration_since(start).as_secs_f64();
    let steps: Vec<_> = report.steps.iter().filter(|step| step.started.is_some()).collect();
    let height = 60.0 + ROW * (ProbeKind::ALL.len() + steps.len()) as f64 + 26.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Time line of the drill\">");
    outage(&mut svg, report, &axis, height, seconds);
    let mut y = 52.0;
    for kind in ProbeKind::ALL {
        lane(&mut svg, &report.probe_log, kind, &axis, y);
        y += ROW;
    }
    for step in steps {
        let from = step.started.map_or(axis.from, seconds);
        let width = (step.seconds.unwrap_or(0.0) / (axis.until - axis.from) * (WIDTH - LEFT)).max(2.0);
        let colour = if step.on_critical_path { "#274c77" } else { "#9db4c8" };
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

/// The outage as a band, and each named instant as a line with its name, on two levels so that neighbours can be read.
fn outage(svg: &mut String, report: &DrillReport, axis: &Axis, height: f64, seconds: impl Fn(Timestamp) -> f64) {
    let instants = &report.instants;
    if let Some(onset) = instants.t_onset {
        let until = instants.t_stable.map_or(axis.until, &seconds);
        let (left, right) = (axis.x(seconds(onset)), axis.x(until));
        push(
            svg,
            format_args!(
                "<rect x=\"{left:.1}\" y=\"34\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#fbe3e1\"/>",
                right - left,
                height - 56.0
            ),
        );
    }
    let named = [
        ("T_c", instants.damage),
        ("onset", instants.t_onset),
        ("detect", instants.t_detect),
        ("start", instants.t_start),
        ("restored", instants.t_restored),
        ("stable", instants.t_stable),
    ];
    for (number, (name, at)) in named.into_iter().filter_map(|(name, at)| Some((name, at?))).enumerate() {
        let x = axis.x(seconds(at));
        let level = 10.0 + 11.0 * (number % 3) as f64;
        push(
            svg,
            format_args!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#b3261e\" stroke-dasharray=\"2 2\"/><text x=\"{:.1}\" y=\"{level}\">{name}</text>",
                level + 2.0,
                height - 22.0,
                x + 2.0
            ),
        );
    }
}

/// One lane of probes: a stroke each, drawn in two paths so that the page stays small.
fn lane(svg: &mut String, probes: &[Probe], kind: ProbeKind, axis: &Axis, y: f64) {
    label(svg, kind.title(), y);
    for (ok, colour, top) in [(true, "#0a7d38", 7.0), (false, "#b3261e", 10.0)] {
        let mut path = String::new();
        for probe in probes.iter().filter(|probe| probe.kind == kind && probe.ok == ok) {
            push(&mut path, format_args!("M{:.1} {y}v-{top}", axis.x(probe.started.0 as f64 / 1e6)));
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
