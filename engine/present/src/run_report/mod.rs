//! What a run did, told to people who were not there: a sentence, chapters, a page, Markdown, a test suite. Everything comes from the
//! journal and its plan; what nobody recorded is named.

mod chapters;
mod html;
mod omissions;
mod picture;
mod recovery_time;
mod spans;
mod suite;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, Outcome, RunStarted},
    plan::Plan,
    run::{Phase, Run},
};

use self::{chapters::chapters, recovery_time::recovery};
pub use self::{html::page, suite::junit};
use crate::{
    Text, Tone,
    drill::Verdict,
    elapsed,
    markdown::{self, inline, line, shown},
    words,
};

/// A run, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub struct RunReport<'a> {
    /// What it executes.
    pub plan: &'a Plan,
    /// Its state.
    pub run: &'a Run,
    /// Its events, each with when it was recorded.
    pub events: &'a [(Timestamp, &'a Event)],
    /// Whether an engine works on it.
    pub live: bool,
    /// The copies that it made and that still exist, in words.
    pub copies: &'a [String],
    /// The hash of the last record of its journal.
    pub journal_hash: &'a str,
    /// How many records the journal has.
    pub records: u64,
    /// `sha256:…` of the bindings it was started with.
    pub bindings_digest: &'a str,
    /// The time now.
    pub now: Timestamp,
}

/// What there is to tell of a run that has begun.
struct Told<'a> {
    report: &'a RunReport<'a>,
    started: Timestamp,
    facts: &'a RunStarted,
    /// Its end; of a run that is not over the last moment of which anything is known.
    until: Timestamp,
    outcome: Option<Outcome>,
}

impl<'a> Told<'a> {
    fn of(report: &'a RunReport<'a>) -> Option<Self> {
        let (started, facts) = report.run.started.as_ref()?;
        let (until, outcome) = match report.run.phase {
            Phase::Finished { at, outcome } => (at, Some(outcome)),
            _ if report.live => (report.now, None),
            _ => (report.events.last().map_or(*started, |(at, _)| *at), None),
        };
        Some(Self { report, started: *started, facts, until: until.max(*started), outcome })
    }

    /// How it ended, or that it has not.
    fn ended(&self) -> Text {
        Text::toned(self.tone(), self.outcome.map_or("not over", words::outcome))
    }

    /// How that is meant. A recovery that missed its objective, or of which nobody knows, does not look like a pass.
    fn tone(&self) -> Tone {
        let ended = self.outcome.map_or(Tone::Warn, words::outcome_tone);
        match recovery(self).map(|recovery| recovery.verdict) {
            Some(Verdict::Missed) => Tone::Bad,
            Some(Verdict::Unmeasured) if ended == Tone::Good => Tone::Warn,
            _ => ended,
        }
    }

    /// One sentence about the whole.
    fn sentence(&self) -> String {
        let (name, id) = (&self.facts.runbook.name, &self.facts.runbook.id);
        let took = elapsed::between(self.started, self.until);
        let whole = match self.outcome {
            Some(outcome) => format!("{name} ({id}) {} after {took}.", words::outcome(outcome)),
            None if self.report.live => format!("{name} ({id}) is under way since {took}."),
            None => format!(
                "{name} ({id}) is not over, and no engine works on it: the last record is {took} after its start."
            ),
        };
        match recovery(self) {
            Some(recovery) => format!("{whole} {}", recovery.sentence()),
            None => whole,
        }
    }
}

/// The report as Markdown; `None` of a run that has not begun.
pub fn markdown(report: &RunReport<'_>) -> Option<String> {
    let told = Told::of(report)?;
    let head = format!(
        "# Run {}: {}\n\n{}\n",
        inline(told.facts.run.as_str()),
        shown(&told.ended()),
        line(&inline(&told.sentence()))
    );
    Some(head + &markdown::chapters(&chapters(&told)))
}
