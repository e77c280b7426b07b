//! Ctrl-C and friends: the first one stops the engine safely, the second one ends the process.

use tokio_util::sync::CancellationToken;

use crate::{exit::Exit, output::note};

/// A token that fires at the first SIGINT, SIGTERM or SIGHUP.
pub(crate) fn stop() -> CancellationToken {
    let stop = CancellationToken::new();
    let fired = stop.clone();
    tokio::spawn(async move {
        signal().await;
        note("stopping: calls in flight are ended and the run stays as it is; Ctrl-C again ends at once");
        fired.cancel();
        signal().await;
        Exit::Interrupted.now();
    });
    stop
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    // Where a handler can not be installed the signal keeps its default, which ends the process: the journal allows that.
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
