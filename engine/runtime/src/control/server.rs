//! The engine's end: takes requests and gives back what became of them.

use std::{collections::BTreeMap, fs, io, path::Path, path::PathBuf, sync::Arc, time::Duration};

use lifeboat_core::{
    name::RunId,
    operator::{Refusal, Request},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, oneshot},
    task::{AbortHandle, spawn_blocking},
};

use super::{
    protocol::{Answer, LINE_BYTES_MAX, Reply, read_call},
    socket,
};
use crate::identity;

/// Who has connected says what they want within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 16;

/// A request, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The socket of a live run; it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    listening: AbortHandle,
}

/// What each connection is served with.
struct Desk {
    run: RunId,
    people: BTreeMap<String, Vec<String>>,
    deliver: Box<dyn Fn(Arrived) + Send + Sync>,
}

impl Control {
    /// Listens in the run's folder. Each request goes to `deliver`.
    pub(crate) fn open(
        folder: &Path,
        run: RunId,
        people: BTreeMap<String, Vec<String>>,
        deliver: impl Fn(Arrived) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = socket::listen(folder)?;
        let desk = Arc::new(Desk { run, people, deliver: Box::new(deliver) });
        let listening = tokio::spawn(listen(listener, desk)).abort_handle();
        Ok(Self { path: socket::path(folder), listening })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.listening.abort();
        // The next engine replaces one that stays behind.
        let _ = fs::remove_file(&self.path);
    }
}

async fn listen(listener: UnixListener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    let _place = place;
                    // Who goes away without an answer can look at the journal.
                    let _ = serve(stream, &desk).await;
                });
            }
            // Too many open files, say: it may pass.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(mut stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (read, mut write) = stream.split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(read.take(LINE_BYTES_MAX));
    let answer = match tokio::time::timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await {
        Ok(Ok(_)) => desk.answer(&line, uid).await,
        Ok(Err(error)) => return Err(error),
        Err(_) => Err(Refusal::new("run-control", "nothing was asked for")),
    };
    // Without an answer the other end sees that nobody is there any more.
    let mut line = serde_json::to_vec(&Reply::new(answer))?;
    line.push(b'\n');
    write.write_all(&line).await?;
    write.shutdown().await
}

impl Desk {
    async fn answer(&self, line: &[u8], uid: u32) -> Answer {
        let call = read_call(line, &self.run)?;
        let people = self.people.clone();
        let lookup = spawn_blocking(move || {
            let who = identity::person(uid, call.sudo_user.as_deref());
            let groups = identity::groups(&people, &who);
            (who, groups)
        });
        let unknown = |_| Refusal::new("run-control", "the engine can not find out who you are");
        let (who, groups) = lookup.await.map_err(unknown)?;
        let (answer, answered) = oneshot::channel();
        (self.deliver)(Arrived { request: Request { who, groups, command: call.command }, answer });
        answered.await.unwrap_or_else(|_| Err(ending()))
    }
}

/// The engine ended before it took the request.
pub(crate) fn ending() -> Refusal {
    Refusal::new("run-control", "the engine was just ending; nothing was recorded, ask again")
}
