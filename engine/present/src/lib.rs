//! What a run, a plan and a drill look like: documents for programs, texts for people. The binary, a server, a scheduler and an
//! exporter of metrics show the same, because all of them ask here.
//!
//! Everything is a pure function of what `lifeboat-core` knows, of the events of a journal, and of the time that the caller gives.
//! Nothing here reads a file or a clock, prints, or knows a terminal: the caller that shows a [`Tone`] decides how it looks.

pub mod axis;
pub mod budget;
pub mod chapter;
pub mod coverage;
pub mod deeds;
pub mod drill;
pub mod dry_run;
pub mod elapsed;
pub mod history;
mod junit;
mod markdown;
pub mod metrics;
pub mod narration;
pub mod page;
pub mod plan;
pub mod progress;
pub mod review;
pub mod run;
pub mod run_report;
pub mod status;
pub mod step;
mod text;
mod values;
pub mod words;
pub mod xml;

pub use text::{Part, Text, Tone};
