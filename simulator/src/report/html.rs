//! `report.html`: one self-contained page, for an auditor, on a phone or on paper. What it says comes from the chapters of the report; here
//! is how that looks.

use lifeboat_present::{
    drill::{Block, Chapter, Proof, chapters, proof, reasons, sentence},
    xml::escape,
};

use super::{
    DrillReport, EpisodeReport,
    page::{paged, push, shown, style, table, wide},
    time_line,
};
use crate::measurement::{Interval, Verdict};

const NOT_MEASURED: &str = "not measured";

/// The page.
pub fn render(report: &DrillReport) -> String {
    let title = format!("{}: {}", escape(&report.drill), report.verdict);
    let chapters = chapters(report);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><style>{}{}</style></head><body>\n",
        style(),
        paged(&format!("{} · {}", report.drill, report.run))
    );
    head(&mut html, report);
    contents(&mut html, &chapters);
    html.push_str("<main>\n");
    results(&mut html, report);
    chapters.iter().for_each(|chapter| section(&mut html, chapter, report));
    html.push_str("</main>\n");
    push(
        &mut html,
        format_args!(
            "<footer>Run <code>{}</code>, seed {}, Lifeboat {}. The same as data: <code>report.json</code> beside this page.</footer>\n",
            escape(&report.run),
            report.seed,
            escape(&report.version)
        ),
    );
    html.push_str("</body></html>\n");
    html
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

fn contents(html: &mut String, chapters: &[Chapter]) {
    html.push_str("<nav aria-label=\"Contents\"><ul>");
    for Chapter { id, title, .. } in chapters {
        push(html, format_args!("<li><a href=\"#{id}\">{}</a></li>", escape(title)));
    }
    html.push_str("</ul></nav>\n");
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
    html.push_str("<div class=\"cards\">");
    for (what, value, more) in cards {
        push(html, format_args!("<div class=\"card\">{what}<b>{value}</b>{more}</div>"));
    }
    html.push_str("</div>\n");
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(|| NOT_MEASURED.to_owned(), |interval| escape(&interval.to_string()))
}

/// A number of an unmeasured drill may lie within the objective; that is no pass, and must not look like one.
fn proven(report: &DrillReport, part: Verdict) -> String {
    let (class, words) = match (part, report.verdict) {
        (Verdict::Met, Verdict::Unmeasured) => (Verdict::Unmeasured, "within it, but not proven".to_owned()),
        _ => (part, format!("objective {part}")),
    };
    format!("<span class=\"{class}\">{words}</span>")
}

fn section(html: &mut String, Chapter { id, title, blocks }: &Chapter, report: &DrillReport) {
    push(
        html,
        format_args!(
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{}</h2>",
            escape(title)
        ),
    );
    blocks.iter().for_each(|block| html.push_str(&self::block(block, report)));
    html.push_str("</section>\n");
}

fn block(block: &Block, report: &DrillReport) -> String {
    match block {
        Block::Words(text) => format!("<p class=\"dim\">{}</p>", shown(text)),
        Block::Table(sheet) => table(sheet),
        Block::TimeLine => {
            let picture = time_line::draw(report);
            let none = "<p class=\"dim\">There is no picture: no probe was recorded.</p>";
            if picture.is_empty() { none.to_owned() } else { wide("Time line", &picture) }
        }
    }
}
