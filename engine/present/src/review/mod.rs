//! A review over several drills that one run has held, such as those of a quarter: every point of their check lists with what shows it, and
//! the lessons. A pure function of their reports, of the history before them, and of what the run itself has shown.

mod chapters;
mod lessons;
mod shown_points;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::Serialize;

pub use self::{
    lessons::Lesson,
    shown_points::{Point, Showing},
};
use crate::{
    Tone,
    drill::{DrillReport, Proof, proof},
    history::Holding,
    markdown::{self, inline, line},
    page::{self, Page},
    xml::escape,
};

/// The version of the document.
pub const FORMAT: &str = "lifeboat.review/1";

/// A drill that the run has held.
#[derive(Debug, Clone)]
pub struct Reviewed {
    /// The step that held it.
    pub step: String,
    /// What it measured.
    pub report: DrillReport,
    /// Every holding of this drill on this testbed, this one too, the oldest first.
    pub holdings: Vec<Holding>,
    /// How often the step held it before this one, without a pass.
    pub tried_before: usize,
}

/// What the run itself has shown of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The point, in the words of the check list.
    pub point: String,
    /// What shows it.
    pub evidence: String,
}

/// What is to be reviewed.
#[derive(Debug, Clone)]
pub struct Material {
    /// The run that held the drills.
    pub run: String,
    /// What it is called.
    pub name: String,
    /// The steps of the run that hold drills, in its order.
    pub steps: Vec<String>,
    /// The drills of these steps that have a report.
    pub drills: Vec<Reviewed>,
    /// What the run itself has shown.
    pub evidence: Vec<Evidence>,
    /// The time now.
    pub now: Timestamp,
}

/// The review.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Review {
    /// The version of the document.
    pub format: &'static str,
    /// The run that held the drills.
    pub run: String,
    /// What it is called.
    pub name: String,
    /// When it was written.
    pub at: Timestamp,
    /// The drills, in the order of the run.
    pub drills: Vec<DrillLine>,
    /// The points of the check lists.
    pub points: Vec<Point>,
    /// What should be looked into.
    pub lessons: Vec<Lesson>,
    /// What stands against the whole, in words; none where every drill was a pass and every point is shown.
    pub against: Vec<String>,
}

/// A drill in the review.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DrillLine {
    /// The step that held it.
    pub step: String,
    /// Its name.
    pub drill: String,
    /// Its run, in whose folder the report lies.
    pub run: String,
    /// Its verdict.
    pub verdict: String,
    /// Whether it is a pass: met, and every control seen.
    pub passed: bool,
    /// One sentence about it.
    pub sentence: String,
}

/// Reviews what a run has held.
pub fn review(material: &Material) -> Review {
    let drills: Vec<DrillLine> = material.drills.iter().map(drill_line).collect();
    let points = shown_points::points(material);
    let held = |step: &&String| drills.iter().all(|drill| drill.step != **step);
    let not_held = material.steps.iter().filter(held).map(|step| format!("`{step}` has held no drill"));
    let not_passed = drills.iter().filter(|drill| !drill.passed).map(|drill| {
        if drill.verdict == "met" {
            format!("{} is met, and its controls are not", drill.drill)
        } else {
            format!("{} is {}", drill.drill, drill.verdict)
        }
    });
    let no_controls = material.drills.iter().filter(|drill| drill.report.control_run.is_none());
    let no_controls = no_controls.map(|drill| format!("{} was held without its controls", drill.report.drill));
    let not_shown = points.iter().filter(|point| point.showing != Showing::Shown);
    let not_shown = not_shown.map(|point| format!("\u{201c}{}\u{201d}: {}", point.point, point.showing.words()));
    let none = material.steps.is_empty().then(|| "the run holds no drill".to_owned());
    let unknown = shown_points::unknown(material, &points);
    let against = none.into_iter().chain(not_held).chain(not_passed).chain(no_controls).chain(not_shown).chain(unknown);
    Review {
        format: FORMAT,
        run: material.run.clone(),
        name: material.name.clone(),
        at: material.now,
        against: against.collect(),
        lessons: material.drills.iter().flat_map(lessons::lessons).collect(),
        drills,
        points,
    }
}

fn drill_line(drill: &Reviewed) -> DrillLine {
    DrillLine {
        step: drill.step.clone(),
        drill: drill.report.drill.clone(),
        run: drill.report.run.clone(),
        verdict: drill.report.verdict.to_string(),
        passed: proof(&drill.report) == Proof::Passed,
        sentence: crate::drill::sentence(&drill.report),
    }
}

impl Review {
    /// How many points are shown.
    pub fn shown(&self) -> usize {
        self.points.iter().filter(|point| point.showing == Showing::Shown).count()
    }

    /// One sentence about the whole.
    pub fn sentence(&self) -> String {
        let passed = self.drills.iter().filter(|drill| drill.passed).count();
        format!(
            "{}: {passed} of {} drills passed, {} of {} points of the check list are shown, lessons: {}.",
            self.name,
            self.drills.len(),
            self.shown(),
            self.points.len(),
            self.lessons.len()
        )
    }

    /// The whole for people, in lines.
    pub fn text(&self) -> String {
        let against = self.against.iter().map(|reason| format!("! {reason}"));
        let lessons = self.lessons.iter().map(|it| format!("- {}: {}", it.drill, it.lesson));
        std::iter::once(self.sentence()).chain(against).chain(lessons).collect::<Vec<_>>().join("\n")
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let head = format!("# Review of {}\n\n{}\n", inline(&self.run), line(&inline(&self.sentence())));
        head + &markdown::chapters(&chapters::chapters(self))
    }

    /// As a page.
    pub fn page(&self) -> String {
        let (word, tone) = if self.against.is_empty() { ("complete", Tone::Good) } else { ("not complete", Tone::Bad) };
        let items: String = self.against.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
        let against = if items.is_empty() { String::new() } else { format!("<ul class=\"dim\">{items}</ul>") };
        let head = format!(
            "<header><h1>Review of {}</h1>\n<div class=\"verdict {}\"><strong>{word}</strong><p>{}</p>{against}</div></header>\n",
            escape(&self.run),
            page::class(tone).unwrap_or_default(),
            escape(&self.sentence())
        );
        let foot =
            "The same as data: <code>review.json</code> beside this page. Who signed it is in the journal of the run.";
        let page = Page {
            title: &format!("Review of {}", self.run),
            printed: &format!("Review · {}", self.run),
            head: &head,
            results: "",
            chapters: &chapters::chapters(self),
            picture: "",
            no_picture: "",
            foot,
        };
        page.render()
    }
}
