//! A report in chapters, for pages and for text: what they say is decided where they are made, how it looks where it is shown.

use jiff::{Timestamp, tz::TimeZone};

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
    /// The course of what happened as a picture, where one can be drawn.
    TimeLine,
}

/// A table. Each row has a cell for each head.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// What it shows.
    pub caption: String,
    /// The heads of its columns.
    pub heads: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<Text>>,
}

pub(crate) fn chapter(id: &'static str, title: impl Into<String>, blocks: impl IntoIterator<Item = Block>) -> Chapter {
    Chapter { id, title: title.into(), blocks: blocks.into_iter().collect() }
}

pub(crate) fn sheet<const N: usize>(
    caption: impl Into<String>,
    heads: [&'static str; N],
    rows: impl IntoIterator<Item = [Text; N]>,
) -> Block {
    let rows: Vec<[Text; N]> = rows.into_iter().collect();
    // A column in which nothing stands says nothing either.
    let is_told = |column: &usize| *column == 0 || rows.iter().any(|row| !row[*column].to_string().is_empty());
    let told: Vec<usize> = (0..N).filter(is_told).collect();
    let heads = told.iter().map(|column| heads[*column].to_owned()).collect();
    let rows = rows.iter().map(|row| told.iter().map(|column| row[*column].clone()).collect()).collect();
    Block::Table(Sheet { caption: caption.into(), heads, rows })
}

pub(crate) fn words(text: impl Into<String>) -> Text {
    text.into().into()
}

pub(crate) fn instant(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}
