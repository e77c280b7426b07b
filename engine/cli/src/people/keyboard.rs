//! The keyboard of the terminal, while it is in its usual mode: one line at a time, and Ctrl-C is a signal.

use std::io::stdin;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{OptionalActions, Termios, tcgetattr, tcsetattr},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether anybody still wants to know.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Returns when somebody pressed Enter; what they typed before it is no answer, as they may not have read the question. False where
/// the terminal is gone or nobody wants to know any more.
pub(super) async fn somebody(cancel: &CancellationToken) -> bool {
    let stop = cancel.clone();
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let wanted = || !stop.is_cancelled() && !tell.is_closed();
        let there = std::iter::repeat_with(enter_pressed).take_while(|_| wanted()).find_map(|there| there);
        // Nobody may want to know any more.
        let _ = tell.send(there.unwrap_or(false));
    });
    tokio::select! {
        there = told => there.unwrap_or(false),
        () = cancel.cancelled() => false,
    }
}

/// `None` where nothing happened for a moment.
fn enter_pressed() -> Option<bool> {
    let keyboard = stdin();
    let mut ready = [PollFd::new(&keyboard, PollFlags::IN)];
    match poll(&mut ready, Some(&LOOK)) {
        Ok(0) | Err(Errno::INTR) => None,
        Ok(_) => Some(matches!(rustix::io::read(&keyboard, &mut [0_u8; 4096]), Ok(1..))),
        Err(_) => Some(false),
    }
}

/// The mode of the terminal.
pub(super) struct Mode(Option<Termios>);

impl Mode {
    /// As it is.
    pub(super) fn now() -> Self {
        Self(tcgetattr(stdin()).ok())
    }

    /// Sets it again. A prompt that still reads had changed it.
    pub(super) fn restore(self) {
        if let Some(mode) = self.0 {
            // A terminal that is gone has no mode.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &mode);
        }
    }
}
