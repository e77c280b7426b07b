//! The engine's end: takes requests and gives back what became of them.

use std::{collections::BTreeMap, fs, io, path::Path, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use lifeboat_core::{
    name::RunId,
    operator::{Refusal, Request},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
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
const CONNECTIONS_MAX: u32 = 16;
/// An engine that ends waits so long for answers to be written. Who has connected and says nothing is not waited for any longer.
const FAREWELL: Duration = Duration::from_secs(2);

/// A request, and where its answer goes.
#[derive(Debug)]
pub struct Arrived {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Answer>,
    /// When it is not to be done any more.
    pub(crate) expires: Option<Timestamp>,
}

/// The client that waits for the result of a request.
#[derive(Debug)]
pub struct Asked(oneshot::Receiver<Answer>);

impl Asked {
    /// What became of it; a refusal where the owner ended before it took the request.
    pub async fn answered(self) -> Answer {
        self.0.await.unwrap_or_else(|_| Err(ending()))
    }
}

impl Arrived {
    /// A request, which must not be carried out after it expires, or when no client waits for it.
    pub fn new(request: Request, expires: Option<Timestamp>) -> (Self, Asked) {
        let (answer, asked) = oneshot::channel();
        (Self { request, answer, expires }, Asked(asked))
    }

    /// What is wanted, and by whom.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Says what became of it.
    pub fn answer(self, answer: Answer) {
        // Who went away can look at the journal.
        let _ = self.answer.send(answer);
    }

    /// The request, if a client still waits for its result.
    pub(crate) fn wanted(self, now: Timestamp) -> Option<(Request, oneshot::Sender<Answer>)> {
        let expired = self.expires.is_some_and(|expires| expires <= now);
        if expired {
            // A client that is still there asks again.
            let _ = self.answer.send(Err(late()));
            return None;
        }
        (!self.answer.is_closed()).then_some((self.request, self.answer))
    }
}

/// The socket of a live run; it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    listening: AbortHandle,
    /// One is taken by each connection.
    places: Arc<Semaphore>,
}

/// Connections that are still served after the server has stopped listening.
#[derive(Debug)]
pub(crate) struct Served(Arc<Semaphore>);

impl Served {
    /// Waits until everybody has the answer to what they asked: an engine that ends at once would take it along.
    pub(crate) async fn answered(self) {
        let _ = tokio::time::timeout(FAREWELL, self.0.acquire_many(CONNECTIONS_MAX)).await;
    }
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
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
        let listening = tokio::spawn(listen(listener, desk, places.clone())).abort_handle();
        Ok(Self { path: socket::path(folder), listening, places })
    }

    /// Stops listening. What was asked before is still answered.
    pub(crate) fn close(self) -> Served {
        Served(self.places.clone())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.listening.abort();
        // The next engine replaces one that stays behind.
        let _ = fs::remove_file(&self.path);
    }
}

async fn listen(listener: UnixListener, desk: Arc<Desk>, places: Arc<Semaphore>) {
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
        Ok(Ok(_)) => tokio::select! {
            // First, so that a request from a client that has gone is recognised.
            biased;
            () = gone(&mut reader) => return Ok(()),
            answer = desk.answer(&line, uid) => answer,
        },
        Ok(Err(error)) => return Err(error),
        Err(_) => Err(Refusal::new("run-control", "no request was received")),
    };
    // Without an answer, the other end sees that the engine has gone.
    let mut line = serde_json::to_vec(&Reply::new(answer))?;
    line.push(b'\n');
    write.write_all(&line).await?;
    write.shutdown().await
}

/// Returns when the other end has closed. Nothing is said after the request.
async fn gone(reader: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 64];
    while reader.read(&mut rest).await.is_ok_and(|read| read > 0) {}
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
        let unknown = |_| Refusal::new("run-control", "the engine cannot determine who you are");
        let (who, groups) = lookup.await.map_err(unknown)?;
        let request = Request { who, groups, command: call.command };
        let (arrived, asked) = Arrived::new(request, call.expires);
        (self.deliver)(arrived);
        asked.answered().await
    }
}

/// The request came too late, or the engine took it too late.
fn late() -> Refusal {
    let message = "the request expired before the engine handled it; nothing was recorded, try again";
    Refusal::new("run-control", message)
}

/// The engine ended before it took the request.
pub(crate) fn ending() -> Refusal {
    Refusal::new("run-control", "the engine was ending; nothing was recorded, try again")
}

#[cfg(test)]
mod tests {
    use lifeboat_core::operator::Command;
    use tokio::{runtime::Builder, sync::mpsc};

    use super::*;
    use crate::control::{Sent, send};

    const PAUSE: Command = Command::Pause { reason: None };

    fn arrived(expires: Option<Timestamp>) -> (Arrived, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let who = lifeboat_core::event::Person::Engine;
        let request = Request { who, groups: std::collections::BTreeSet::new(), command: PAUSE };
        (Arrived { request, answer, expires }, answered)
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_wanted() {
        let now = Timestamp::now();
        let second = jiff::SignedDuration::from_secs(1);
        let (request, _waits) = arrived(Some(now + second));
        assert!(request.wanted(now).is_some());
        let (request, gone) = arrived(None);
        drop(gone);
        assert!(request.wanted(now).is_none(), "whoever asked has gone");
        let (request, mut waits) = arrived(Some(now - second));
        assert!(request.wanted(now).is_none(), "its time is over");
        assert!(waits.try_recv().unwrap().is_err_and(|refusal| refusal.message.contains("expired")));
    }

    /// An engine that slept while a client asked and left finds the request and a closed connection.
    #[tokio::test]
    async fn a_request_whose_asker_has_gone_does_not_arrive() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::new("dr-003-a").unwrap();
        let line = br#"{"lifeboat": "control/1", "run": "dr-003-a", "command": {"do": "pause"}}"#;
        let (sender, mut arrivals) = mpsc::unbounded_channel();
        let deliver = move |arrived| drop(sender.send(arrived));
        let control = Control::open(folder.path(), run.clone(), BTreeMap::new(), deliver).unwrap();
        // Nothing of the engine runs between these lines: it has one thread, which is this one.
        let mut asks = std::os::unix::net::UnixStream::connect(socket::path(folder.path())).unwrap();
        std::io::Write::write_all(&mut asks, &[line, &b"\n"[..]].concat()).unwrap();
        drop(asks);
        control.close().answered().await;
        assert!(arrivals.try_recv().is_err(), "nobody waits for it");
    }

    /// The answer goes out although the engine ends, with everything that runs in it, as soon as it has given it.
    #[test]
    fn who_asked_has_the_answer_before_the_engine_ends() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::new("dr-003-a").unwrap();
        let (begun, begins) = std::sync::mpsc::channel();
        let (path, name) = (folder.path().to_owned(), run.clone());
        let asking = std::thread::spawn(move || {
            begins.recv().unwrap();
            let asks = Builder::new_current_thread().enable_all().build().unwrap();
            asks.block_on(send(&path, &name, &PAUSE, PATIENCE)).unwrap()
        });
        let engine = Builder::new_current_thread().enable_all().build().unwrap();
        engine.block_on(async {
            let (sender, mut arrivals) = mpsc::unbounded_channel();
            let deliver = move |arrived| drop(sender.send(arrived));
            let control = Control::open(folder.path(), run, BTreeMap::new(), deliver).unwrap();
            begun.send(()).unwrap();
            let Arrived { answer, .. } = arrivals.recv().await.unwrap();
            answer.send(Ok(Vec::new())).unwrap();
            control.close().answered().await;
        });
        drop(engine);
        let sent = asking.join().unwrap();
        assert!(matches!(&sent, Sent::Answered(Ok(records)) if records.is_empty()), "{sent:?}");
    }
}
