//! Ctrl-C and friends: the first one stops the engine safely, the second one ends the process.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{exit::Exit, view::View};

/// A token that fires at the first SIGINT, SIGTERM or SIGHUP; the view says so.
pub(crate) fn stop(view: Arc<dyn View>) -> CancellationToken {
    let stop = CancellationToken::new();
    let fired = stop.clone();
    tokio::spawn(async move {
        if signal().await == Signal::Interrupt {
            view.after_echo();
        }
        view.say("stopping: calls in flight are ended and the run stays as it is; Ctrl-C again ends at once");
        fired.cancel();
        signal().await;
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
async fn signal() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    // Where a handler can not be installed the signal keeps its default, which ends the process: the journal allows that.
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Signal::Interrupt,
        _ = terminate.recv() => Signal::Other,
        _ = hangup.recv() => Signal::Other,
    }
}

#[cfg(not(unix))]
async fn signal() -> Signal {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    Signal::Interrupt
}
