//! The keyboard of the terminal, in its usual mode: one line at a time, and Ctrl-C is a signal. That works on every terminal, also
//! on one that cannot move its cursor.

use std::io::stdin;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{QueueSelector, tcflush},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether anybody still wants to know.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What came of waiting for a line.
pub(super) enum Typed {
    /// A line, without its end.
    Line(String),
    /// The terminal is gone.
    Gone,
    /// The caller no longer waits.
    CalledOff,
}

/// Discards what was typed so far: the person may not have read the question, and a shell must not get the rest of an answer.
pub(super) fn forget() {
    // A terminal that is gone has nothing to forget.
    let _ = tcflush(stdin(), QueueSelector::IFlush);
}

/// The next line that a person types.
pub(super) async fn line(cancel: &CancellationToken) -> Typed {
    let stop = cancel.clone();
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let wanted = || !stop.is_cancelled() && !tell.is_closed();
        let line = std::iter::repeat_with(ready).take_while(|_| wanted()).find_map(|line| line);
        // The caller may no longer wait.
        let _ = tell.send(line.unwrap_or(Typed::Gone));
    });
    tokio::select! {
        biased;
        () = cancel.cancelled() => {
            forget();
            Typed::CalledOff
        }
        line = told => line.unwrap_or(Typed::Gone),
    }
}

/// `None` where nothing happened for a moment.
fn ready() -> Option<Typed> {
    let keyboard = stdin();
    let mut ready = [PollFd::new(&keyboard, PollFlags::IN)];
    match poll(&mut ready, Some(&LOOK)) {
        Ok(0) | Err(Errno::INTR) => None,
        Ok(_) => Some(read()),
        Err(_) => Some(Typed::Gone),
    }
}

/// A terminal in its usual mode gives a line at a time, and nothing after the end of input.
fn read() -> Typed {
    let mut bytes = [0_u8; 4096];
    match rustix::io::read(stdin(), &mut bytes) {
        Ok(0) | Err(_) => Typed::Gone,
        Ok(length) => Typed::Line(String::from_utf8_lossy(&bytes[..length]).trim().to_owned()),
    }
}
