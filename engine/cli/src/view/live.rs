//! The live view: finished events stay as lines above, each step in progress has a line that moves, and the last line has the
//! run and what is left of its RTO.

use std::{
    collections::BTreeMap,
    fmt,
    io::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use jiff::Timestamp;
use lifeboat_core::{
    event::Event,
    name::StepId,
    plan::Objectives,
    run::{Budget, Run, StepRun},
    text::one_line,
};
use lifeboat_present::{
    Tone, budget,
    narration::{Line, asks, narrate},
    step::is_active,
};
use lifeboat_runtime::{
    invoke::{Note, StepNote},
    report::{Report, Reporter},
};

use super::{
    View,
    lines::{note_text, refused},
};
use crate::{
    output::{QUIET, STRONG, hanging, painted, style, styled},
    wrap,
};

/// Longest message shown beside a step in progress.
const MESSAGE_BYTES_MAX: usize = 1000;
const TICK: Duration = Duration::from_millis(120);

/// A moving view on standard error.
pub(super) struct Live {
    /// What the run is measured by; `None` where nothing is counted down.
    objectives: Option<Objectives>,
    /// Whether a prompt follows each question and shows it whole.
    prompts: bool,
    screen: MultiProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    header: Option<ProgressBar>,
    /// What the header counts down.
    budget: Option<Budget>,
    active: BTreeMap<StepId, ProgressBar>,
    /// Of the longest name of a step.
    width: Option<usize>,
    /// What happened while the view stood aside; `None` while it does not.
    held_back: Option<Vec<String>>,
}

impl Live {
    pub(super) fn new(objectives: Option<Objectives>, prompts: bool) -> Self {
        Self { objectives, prompts, screen: MultiProgress::new(), state: Mutex::new(State::default()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a line above what moves, or keeps it for later.
    fn print(&self, state: &mut State, line: String) {
        match &mut state.held_back {
            Some(held_back) => held_back.push(line),
            // The terminal is gone where this fails; the run matters more than its picture.
            None => drop(self.screen.println(wrap::wrapped(&line, wrap::width(std::io::stderr())))),
        }
    }

    fn show_header(&self, state: &mut State, run: &Run) {
        let Some((_, facts)) = &run.started else { return };
        let budget = self.objectives.as_ref().and_then(|objectives| run.budget(objectives));
        let header = state.header.get_or_insert_with(|| {
            let bar = self.screen.add(ProgressBar::new(run.steps.len() as u64));
            bar.set_style(header_style(budget));
            bar.set_prefix(facts.run.to_string());
            bar.enable_steady_tick(TICK);
            bar
        });
        if state.budget != budget {
            state.budget = budget;
            header.set_style(header_style(budget));
        }
        header.set_length(run.steps.len() as u64);
        header.set_position((run.steps.len() - run.unfinished()) as u64);
    }

    /// Removes everything that moves: the run is over. A drill may show another one afterwards.
    fn take_down(&self, state: &mut State) {
        for bar in std::mem::take(&mut state.active).into_values().chain(state.header.take()) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    /// Starts, changes or removes the moving line of a step.
    fn show_step(&self, state: &mut State, step: &StepRun, width: usize, text: &str) {
        if !is_active(&step.state) {
            if let Some(bar) = state.active.remove(&step.id) {
                bar.finish_and_clear();
                self.screen.remove(&bar);
            }
            return;
        }
        let bar = state.active.entry(step.id.clone()).or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            let bar = match &state.header {
                Some(header) => self.screen.insert_before(header, bar),
                None => self.screen.add(bar),
            };
            bar.set_style(step_style());
            bar.set_prefix(format!("{:width$}", step.id.as_str()));
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.set_message(one_line(text, MESSAGE_BYTES_MAX));
    }

    fn show_note(&self, state: &mut State, said: &StepNote) {
        let Some(text) = note_text(said) else { return };
        match &said.note {
            Note::Progress { .. } => {
                if let Some(bar) = state.active.get(&said.step) {
                    bar.set_message(text);
                }
            }
            Note::Log { .. } => {
                let line = format!("  {} {}", styled(QUIET, &said.step), styled(QUIET, hanging(&text)));
                self.print(state, line);
            }
        }
    }
}

/// A line that stays: symbol, step, text.
fn lasting(line: &Line, width: usize) -> String {
    let step = line.step.as_ref().map(|step| format!("{:width$} ", step.as_str())).unwrap_or_default();
    format!("{} {}{}", styled(style(line.tone), line.tone.symbol()), styled(STRONG, step), hanging(&line.text))
}

impl Reporter for Live {
    fn report(&self, report: &Report, run: &Run) {
        let state = &mut *self.state();
        let width =
            *state.width.get_or_insert_with(|| run.steps.iter().map(|step| step.id.as_str().len()).max().unwrap_or(0));
        match report {
            Report::Recorded(recorded) => {
                let line = narrate(&recorded.event, recorded.at, run);
                // What only moves on is shown by the moving line; everything else stays.
                let lasts = line.tone != Tone::Plain || line.step.is_none();
                if lasts && !(self.prompts && asks(&recorded.event)) {
                    self.print(state, lasting(&line, width));
                }
                if let Event::RunFinished { .. } = recorded.event {
                    self.take_down(state);
                    return;
                }
                self.show_header(state, run);
                let step = line.step.and_then(|id| run.find(&id));
                if let Some(step) = step {
                    self.show_step(state, step, width, &line.text);
                }
            }
            Report::Refused(refusal) => self.print(state, refused(refusal)),
            Report::Note(said) => self.show_note(state, said),
        }
    }
}

impl View for Live {
    fn moves(&self) -> bool {
        true
    }

    fn stand_aside(&self) {
        let mut state = self.state();
        state.held_back.get_or_insert_default();
        drop(self.screen.clear());
        self.screen.set_draw_target(ProgressDrawTarget::hidden());
    }

    fn go_on(&self) {
        let mut state = self.state();
        self.screen.set_draw_target(ProgressDrawTarget::stderr());
        for line in state.held_back.take().unwrap_or_default() {
            self.print(&mut state, line);
        }
    }

    fn after_echo(&self) {
        let state = self.state();
        if state.held_back.is_some() {
            return;
        }
        // What is shown fills its last line, so the echo stands on a line of its own. Where something moves the cursor must
        // be back on its last line, or its first line would stay.
        let back: &[u8] = if state.header.is_some() { b"\r\x1b[K\x1b[A" } else { b"\r\x1b[K" };
        drop(std::io::stderr().write_all(back));
    }

    fn say(&self, text: &str) {
        let mut state = self.state();
        self.print(&mut state, text.to_owned());
    }

    fn close(&self) {
        self.take_down(&mut self.state());
        drop(self.screen.clear());
    }
}

fn step_style() -> ProgressStyle {
    // A template that does not parse would be a defect of this file; the plain spinner is good enough then.
    ProgressStyle::with_template("{spinner} {prefix:.bold} {elapsed:>4} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn header_style(budget: Option<Budget>) -> ProgressStyle {
    let left = move |_: &ProgressState, text: &mut dyn fmt::Write| {
        let left = budget.map(|budget| painted(&budget::text(&budget, Timestamp::now()))).unwrap_or_default();
        // Writing into the line's buffer does not fail; were it to, the line would be shorter.
        let _ = text.write_str(&left);
    };
    ProgressStyle::with_template("  {prefix:.bold}  {pos}/{len} steps  {budget}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("budget", left)
}
