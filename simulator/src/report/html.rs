//! `report.html`: one self-contained page, for an auditor, on a phone or on paper. What it says comes from the chapters of the report; here
//! is how that looks.

use lifeboat_present::{
    drill::{Proof, chapters, proof, reasons, sentence},
    page::{self, Page, push},
    xml::escape,
};

use super::{DrillReport, EpisodeReport, time_line};
use crate::measurement::{Interval, Verdict};

const NOT_MEASURED: &str = "not measured";

/// The page.
pub fn render(report: &DrillReport) -> String {
    let (mut head, mut results) = (String::new(), String::new());
    self::head(&mut head, report);
    self::results(&mut results, report);
    let foot = format!(
        "Run <code>{}</code>, seed {}, Lifeboat {}. The same as data: <code>report.json</code> beside this page.",
        escape(&report.run),
        report.seed,
        escape(&report.version)
    );
    let page = Page {
        title: &format!("{}: {}", report.drill, report.verdict),
        printed: &format!("{} · {}", report.drill, report.run),
        head: &head,
        results: &results,
        chapters: &chapters(report),
        picture: &time_line::draw(report),
        no_picture: "There is no picture: no probe was recorded.",
        foot: &foot,
    };
    page.render()
}

fn head(html: &mut String, report: &DrillReport) {
    push(
        html,
        format_args!(
            "<header><h1>Drill {}</h1>\n<div class=\"verdict {1}\"><strong>{1}</strong><p>{2}</p>{3}</div></header>\n",
            escape(&report.drill),
            report.verdict,
            escape(&sentence(report)),
            against(report)
        ),
    );
}

/// Why the verdict is what it is: everything that stands against `met`.
fn against(report: &DrillReport) -> String {
    let against = reasons(report);
    let passed = report.verdict == Verdict::Met && proof(report) == Proof::Passed;
    if against.is_empty() {
        let all = "<p class=\"dim\">Every objective is met and every check held.</p>";
        return if passed { all.to_owned() } else { String::new() };
    }
    let items: String = against.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
    format!("<ul class=\"dim\">{items}</ul>")
}

/// The numbers that are looked for first, for each recovery.
fn results(html: &mut String, report: &DrillReport) {
    if report.episodes.is_empty() {
        return;
    }
    html.push_str("<section aria-label=\"Results\">");
    for episode in &report.episodes {
        if report.episodes.len() > 1 {
            push(html, format_args!("<h2>{}</h2>", escape(&episode.runbook.id)));
        }
        cards(html, report, episode);
    }
    html.push_str("</section>\n");
}

fn cards(html: &mut String, report: &DrillReport, EpisodeReport { rto, rpo, .. }: &EpisodeReport) {
    let writes = &report.writes;
    let lost = writes.lost.map_or_else(|| NOT_MEASURED.to_owned(), |lost| lost.to_string());
    let cards = [
        (
            format!("Recovery time (RTO), from {}", escape(&rto.clock)),
            interval(rto.judged_s),
            proven(report, rto.verdict),
        ),
        ("Recovery point (RPO)".to_owned(), interval(rpo.actual_s), proven(report, rpo.verdict)),
        (
            "Acknowledged writes lost".to_owned(),
            lost,
            format!("of {} · {} unknown", writes.acknowledged, writes.unknown),
        ),
    ];
    html.push_str(&page::cards(&cards));
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(|| NOT_MEASURED.to_owned(), |interval| interval.to_string())
}

/// A number of an unmeasured drill may lie within the objective; that is no pass, and must not look like one.
fn proven(report: &DrillReport, part: Verdict) -> String {
    let (class, words) = match (part, report.verdict) {
        (Verdict::Met, Verdict::Unmeasured) => (Verdict::Unmeasured, "within it, but not proven".to_owned()),
        _ => (part, format!("objective {part}")),
    };
    format!("<span class=\"{class}\">{words}</span>")
}
