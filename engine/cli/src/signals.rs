//! Ctrl-C and friends: the first one stops the engine safely, the second one ends the process.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{exit::Exit, view::View};

/// A token that fires at the first SIGINT, SIGTERM or SIGHUP; the view says so. At the second one the process ends. Programs on
/// machines are in process groups of their own, so that only the engine hears a terminal's Ctrl-C; they end with the engine,
/// because their standard input does.
pub(crate) fn stop(view: Arc<dyn View>) -> CancellationToken {
    let stop = CancellationToken::new();
    let fired = stop.clone();
    // Listening begins here and continues throughout: a signal that comes while the first one is dealt with is the second one.
    let signals = Signals::listen();
    tokio::spawn(async move {
        let Some(mut signals) = signals else { return };
        if signals.next().await == Signal::Interrupt {
            view.after_echo();
        }
        fired.cancel();
        view.say("stopping: calls in flight are ended, and the run can be resumed; press Ctrl-C again to exit at once");
        signals.next().await;
        Exit::Interrupted.now();
    });
    stop
}

/// Which kind it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// Ctrl-C, as a rule.
    Interrupt,
    /// Any other.
    Other,
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Where a handler cannot be installed the signals keep their default, which ends the process: the journal allows that.
    fn listen() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Some(Self {
            interrupt: signal(SignalKind::interrupt()).ok()?,
            terminate: signal(SignalKind::terminate()).ok()?,
            hangup: signal(SignalKind::hangup()).ok()?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Other,
            _ = self.hangup.recv() => Signal::Other,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Option<Self> {
        Some(Self)
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
