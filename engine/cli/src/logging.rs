//! What operators debug with: spans and events of the engine as lines, where `LIFEBOAT_LOG` asks for them. They go to standard error, and
//! where a live view moves there, into the log of the run. The journal stays the truth; nothing is read back from here.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{self, MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::problem::Problem;

/// Which parts are logged, and from which level on.
const FILTER: &str = "LIFEBOAT_LOG";
/// `text` or `json`.
const FORMAT: &str = "LIFEBOAT_LOG_FORMAT";
/// What all of our targets begin with. Libraries log addresses and headers, which can be secrets: nothing else is ever written.
const OURS: &str = "lifeboat";
/// The parts that log, all of them first.
const PARTS: [&str; 3] = [OURS, "lifeboat_runtime", "lifeboat_host"];
/// What is kept until the log of the run can be written; what comes after it, until then, is lost.
const WAITING_BYTES_MAX: usize = 256 << 10;

/// Begins to log, where the environment asks for it.
pub(crate) fn install() -> Result<(), Problem> {
    let variable = |name| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    let Some(filter) = variable(FILTER) else { return Ok(()) };
    let targets = targets(&filter)?;
    let lines = fmt::layer().with_writer(Lines).with_ansi(false).with_span_events(FmtSpan::CLOSE);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match variable(FORMAT).as_deref() {
        None | Some("text") => lines.boxed(),
        Some("json") => lines.json().boxed(),
        Some(other) => return Err(unusable(format!("{FORMAT} is `{other}`; it must be `text` or `json`"))),
    };
    // No other code in this process wants to be told.
    drop(tracing_subscriber::registry().with(lines.with_filter(targets)).try_init());
    Ok(())
}

/// `debug`, or levels by target: `lifeboat_host=trace,lifeboat_runtime=info`.
fn targets(filter: &str) -> Result<Targets, Problem> {
    // A part without a level would count as one that logs errors.
    if filter.split(',').map(str::trim).any(|part| part.is_empty() || part.starts_with('=') || part.ends_with('=')) {
        return Err(unusable(format!("{FILTER} is `{filter}`, which is incomplete")));
    }
    let given: Targets =
        filter.parse().map_err(|error| unusable(format!("{FILTER} is `{filter}`, which is not a filter: {error}")))?;
    let logs = |target: &str| PARTS.contains(&target.split("::").next().unwrap_or_default());
    if let Some((other, _)) = given.iter().find(|(target, _)| !logs(target)) {
        return Err(unusable(format!(
            "{FILTER} contains `{other}`, which is neither a level nor a part of Lifeboat that logs"
        )));
    }
    let everywhere = given.default_level().map(|level| (OURS.to_owned(), level));
    let named = given.iter().map(|(target, level)| (target.to_owned(), level));
    Ok(everywhere.into_iter().chain(named).collect())
}

fn unusable(message: String) -> Problem {
    Problem::coded("log-filter", message).hint(format!(
        "set `{FILTER}=debug` to log all parts, `{FILTER}=lifeboat_host=trace,lifeboat_runtime=info` \
             for some; unset it to log nothing"
    ))
}

/// Where lines go.
enum Sink {
    StandardError,
    /// They are kept until it is known where they go.
    HeldBack(Vec<u8>),
    Run(RunLog),
}

/// The log of a run. Its folder is there only when the run has begun.
struct RunLog {
    path: PathBuf,
    file: Option<File>,
    waiting: Vec<u8>,
}

static SINK: Mutex<Sink> = Mutex::new(Sink::StandardError);

fn sink() -> MutexGuard<'static, Sink> {
    SINK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on nothing is written to the terminal: a view moves there.
pub(crate) fn hold_back() {
    let mut sink = sink();
    if matches!(*sink, Sink::StandardError) {
        *sink = Sink::HeldBack(Vec::new());
    }
}

/// Whatever is held back, and what comes, goes into this file, which only its owner can read.
pub(crate) fn into_file(path: PathBuf) {
    let mut sink = sink();
    if let Sink::HeldBack(waiting) = &mut *sink {
        let waiting = std::mem::take(waiting);
        *sink = Sink::Run(RunLog { path, file: None, waiting });
    }
}

/// The terminal is free again. What found no file is written there.
pub(crate) fn to_standard_error() {
    let before = std::mem::replace(&mut *sink(), Sink::StandardError);
    let left = match before {
        Sink::StandardError => return,
        Sink::HeldBack(waiting) => waiting,
        Sink::Run(mut log) => match log.open() {
            Ok(_) => return,
            Err(_) => log.waiting,
        },
    };
    drop(io::stderr().write_all(&left));
}

impl RunLog {
    /// The file, with what waited for it in it.
    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            file.write_all(&std::mem::take(&mut self.waiting))?;
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn keep(waiting: &mut Vec<u8>, line: &[u8]) {
    if waiting.len() + line.len() <= WAITING_BYTES_MAX {
        waiting.extend_from_slice(line);
    }
}

/// Writes whole lines to where they go at this moment. A log that cannot be written stops no recovery.
#[derive(Clone, Copy)]
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *sink() {
            Sink::StandardError => drop(io::stderr().write_all(line)),
            Sink::HeldBack(waiting) => keep(waiting, line),
            Sink::Run(log) => match log.open() {
                Ok(file) => drop(file.write_all(line)),
                Err(_) => keep(&mut log.waiting, line),
            },
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_lifeboat_are_ever_logged() {
        let check = |filter: &str, target: &str, level: tracing_subscriber::filter::LevelFilter, expect: bool| {
            let targets = targets(filter).unwrap();
            let level = level.into_level().unwrap();
            assert_eq!(targets.would_enable(target, &level), expect, "{filter}: {target}");
        };
        use tracing_subscriber::filter::LevelFilter as Level;
        check("trace", "lifeboat_host::call", Level::TRACE, true);
        check("trace", "hyper_util::client", Level::ERROR, false);
        check("debug", "lifeboat_runtime::session", Level::TRACE, false);
        check("lifeboat=debug", "lifeboat_runtime::session", Level::DEBUG, true);
        check("info,lifeboat_host=trace", "lifeboat_host::call", Level::TRACE, true);
        check("info,lifeboat_host=trace", "lifeboat_runtime::session", Level::DEBUG, false);
        check("off", "lifeboat_host::call", Level::ERROR, false);
    }

    #[test]
    fn a_filter_that_cannot_be_meant_is_refused() {
        for filter in ["debgu", "hyper=trace", "lifeboat_hots=trace", "lifeboat=loud", "lifeboat=", "=debug"] {
            assert_eq!(targets(filter).map(drop).unwrap_err().code.as_deref(), Some("log-filter"), "{filter}");
        }
    }
}
