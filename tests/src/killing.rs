//! Runs the engine, kills it with `kill -9` at moments drawn by a seed, and continues the run until it ends.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// How a run ended that was killed on its way.
pub struct Survived {
    /// Of the last engine.
    pub status: ExitStatus,
    /// What that one said.
    pub said: String,
    /// After how many lines each of the others was killed.
    pub killed_after: Vec<usize>,
}

/// The seeds of this test: three, or as many as `LIFEBOAT_SEEDS` says.
///
/// # Errors
/// If that is no number.
pub fn seeds() -> Result<std::ops::Range<u64>> {
    let count = match std::env::var("LIFEBOAT_SEEDS") {
        Ok(count) => count.parse().with_context(|| format!("LIFEBOAT_SEEDS is `{count}`"))?,
        Err(_) => 3,
    };
    Ok(0..count)
}

/// Kills the engine one to three times, each after so many lines of what it says, `lines` at most; `resume` continues the run.
///
/// # Errors
/// If the first engine ended before it could be killed: then nothing is shown.
pub fn killed_at_random(seed: u64, lines: usize, first: Command, resume: impl Fn() -> Command) -> Result<Survived> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let kills = random.random_range(1..=3);
    let mut killed_after = Vec::new();
    let mut next = first;
    for _ in 0..kills {
        let after = random.random_range(1..=lines);
        match run_for(next, after)? {
            None => killed_after.push(after),
            Some((status, said)) => {
                ensure!(!killed_after.is_empty(), "it ended before line {after}, unkilled, {status}:\n{said}");
                return Ok(Survived { status, said, killed_after });
            }
        }
        next = resume();
    }
    let (status, said) = run_for(next, usize::MAX)?.context("nobody killed it")?;
    Ok(Survived { status, said, killed_after })
}

/// Runs the engine and kills it after so many lines; `None` where it was killed, or how it ended.
fn run_for(mut command: Command, lines: usize) -> Result<Option<(ExitStatus, String)>> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().context("stderr is piped")?);
    let mut said = String::new();
    for _ in 0..lines {
        if stderr.read_line(&mut said)? == 0 {
            return Ok(Some((child.wait()?, said)));
        }
    }
    child.kill()?;
    let status = child.wait()?;
    stderr.read_to_string(&mut said)?;
    // It may have ended by itself a moment before.
    Ok(status.code().map(|_| (status, said)))
}
