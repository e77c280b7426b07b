//! The report of a run as a page, which looks as the page of a drill does.

use super::{RunReport, Told, chapters::chapters, picture, recovery_time::recovery};
use crate::{
    elapsed,
    page::{Page, cards, class},
    xml::escape,
};

/// The page; `None` of a run that has not begun.
pub fn page(report: &RunReport<'_>) -> Option<String> {
    let told = Told::of(report)?;
    let (run, ended) = (told.facts.run.as_str(), told.ended().to_string());
    let head = format!(
        "<header><h1>Run {}</h1>\n<div class=\"verdict {}\"><strong>{}</strong><p>{}</p></div></header>\n",
        escape(run),
        class(told.tone()).unwrap_or_default(),
        escape(&ended),
        escape(&told.sentence())
    );
    let foot = format!(
        "Run <code>{}</code>, Lifeboat {}, told on {} UTC. The same as data: <code>lifeboat report {} --json</code>.",
        escape(run),
        escape(&told.facts.engine),
        elapsed::date_and_time(report.now),
        escape(run)
    );
    let page = Page {
        title: &format!("{run}: {ended}"),
        printed: &format!("{} · {run}", told.facts.runbook.id),
        head: &head,
        results: &results(&told),
        chapters: &chapters(&told),
        picture: &picture::draw(&told),
        no_picture: "There is no picture: no step has begun.",
        foot: &foot,
    };
    Some(page.render())
}

/// The numbers that are looked for first.
fn results(told: &Told<'_>) -> String {
    let run = told.report.run;
    let time = match recovery(told) {
        Some(recovery) => {
            let came_to = recovery.came_to();
            let tone = came_to.parts().iter().find_map(|part| match part {
                crate::Part::Toned(tone, _) => class(*tone),
                _ => None,
            });
            let more = format!("<span class=\"{}\">{}</span>", tone.unwrap_or_default(), escape(&came_to.to_string()));
            (format!("Recovery time (RTO), since {}", escape(recovery.from)), recovery.time(), more)
        }
        None => ("Time".to_owned(), elapsed::between(told.started, told.until), "without an objective".to_owned()),
    };
    let own = run.steps.iter().filter(|step| !run.is_item(&step.id));
    let (all, over) = (own.clone().count(), own.filter(|step| step.state.is_over()).count());
    let by_people = told.report.events.iter().filter(|(_, event)| event.who().is_some()).count();
    let copies = told.report.copies.len();
    let all = [
        time,
        ("Steps that are over".to_owned(), format!("{over} of {all}"), format!("people acted {by_people} times")),
        (
            "Copies left".to_owned(),
            copies.to_string(),
            if copies == 0 { "nothing to remove" } else { "see below" }.to_owned(),
        ),
    ];
    format!("<section aria-label=\"Results\">{}</section>\n", cards(&all))
}
