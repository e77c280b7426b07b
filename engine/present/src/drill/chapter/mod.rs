//! The report of a drill in chapters, for pages and for text: what they say is decided here, how it looks where it is shown.

mod course;
mod head;
mod measured;
mod origin;
mod points;
mod proven;
mod reasons;
mod written;

use jiff::{Timestamp, tz::TimeZone};

pub use self::reasons::reasons;
use super::{DrillReport, Interval};
use crate::Text;

/// What stands where nothing was measured: never an empty place, and never a 0.
pub(crate) const NOT_MEASURED: &str = "not measured";

/// A part of the report with a title.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// A name for links to it.
    pub id: &'static str,
    /// Its title.
    pub title: String,
    /// What stands in it.
    pub blocks: Vec<Block>,
}

/// What a chapter is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A paragraph.
    Words(Text),
    /// A table.
    Table(Sheet),
    /// The course of the drill as a picture, where one can be drawn.
    TimeLine,
}

/// A table. Each row has a cell for each head.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// What it shows.
    pub caption: String,
    /// The heads of its columns.
    pub heads: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<Text>>,
}

/// All chapters, in the order in which they are read.
pub fn chapters(report: &DrillReport) -> Vec<Chapter> {
    let all = [
        Some(head::held(report)),
        Some(head::not_covered(report)),
        Some(measured::objectives(report)),
        measured::standbys(report),
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

fn chapter(id: &'static str, title: impl Into<String>, blocks: impl IntoIterator<Item = Block>) -> Chapter {
    Chapter { id, title: title.into(), blocks: blocks.into_iter().collect() }
}

fn sheet<const N: usize>(
    caption: impl Into<String>,
    heads: [&'static str; N],
    rows: impl IntoIterator<Item = [Text; N]>,
) -> Block {
    let rows: Vec<[Text; N]> = rows.into_iter().collect();
    // A column in which nothing stands says nothing either.
    let is_told = |column: &usize| *column == 0 || rows.iter().any(|row| !row[*column].to_string().is_empty());
    let told: Vec<usize> = (0..N).filter(is_told).collect();
    let heads = told.iter().map(|column| heads[*column]).collect();
    let rows = rows.iter().map(|row| told.iter().map(|column| row[*column].clone()).collect()).collect();
    Block::Table(Sheet { caption: caption.into(), heads, rows })
}

fn words(text: impl Into<String>) -> Text {
    text.into().into()
}

fn interval(interval: Option<Interval>) -> Text {
    words(interval.map_or_else(|| NOT_MEASURED.to_owned(), |interval| interval.to_string()))
}

/// A number that was counted, or that it was not.
fn counted(count: Option<usize>) -> String {
    count.map_or_else(|| NOT_MEASURED.to_owned(), |count| count.to_string())
}

fn instant(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}
