//! The report of a drill in chapters.

mod course;
mod head;
mod measured;
mod origin;
mod points;
mod proven;
mod reasons;
mod written;

pub use self::{points::verdict as point_verdict, reasons::reasons};
use super::{DrillReport, Interval};
use crate::{
    Text,
    chapter::{Chapter, NOT_MEASURED, words},
};

/// All chapters, in the order in which they are read.
pub fn chapters(report: &DrillReport) -> Vec<Chapter> {
    let all = [
        Some(head::held(report)),
        Some(head::not_covered(report)),
        Some(measured::objectives(report)),
        measured::standbys(report),
        measured::routines(report),
        Some(measured::runs(report)),
        Some(course::time_line(report)),
        course::steps(report),
        Some(written::writes(report)),
        Some(written::probes(report)),
        Some(proven::checks(report)),
        proven::checklist(report),
        Some(proven::controls(report)),
        Some(origin::origin(report)),
    ];
    all.into_iter().flatten().collect()
}

fn interval(interval: Option<Interval>) -> Text {
    words(interval.map_or_else(|| NOT_MEASURED.to_owned(), |interval| interval.to_string()))
}

/// A number that was counted, or that it was not.
fn counted(count: Option<usize>) -> String {
    count.map_or_else(|| NOT_MEASURED.to_owned(), |count| count.to_string())
}
