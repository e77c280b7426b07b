//! Watches standbys continuously, each on a path that no network fault reaches: which beats do they have?

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use crate::{
    clock::{At, Clock},
    measurement::Sighting,
    store::{Client, Endpoint},
};

/// A standby, and the path to it.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name.
    pub standby: String,
    /// The observer's path.
    pub endpoint: Arc<dyn Endpoint>,
}

/// Every sighting of a drill. Each is on disk as soon as it is known.
#[derive(Debug)]
pub struct Sightings {
    taken: Mutex<(Vec<Sighting>, io::Result<File>)>,
    count: watch::Sender<usize>,
}

impl Sightings {
    /// A new log in a new file of JSON lines.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create_new(path)?;
        Ok(Self { taken: Mutex::new((Vec::new(), Ok(file))), count: watch::Sender::new(0) })
    }

    /// A copy of those of a standby.
    pub fn of(&self, standby: &str) -> Vec<Sighting> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.0.iter().filter(|sighting| sighting.standby == standby).cloned().collect()
    }

    /// A copy of all.
    pub fn all(&self) -> Vec<Sighting> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Waits until the sightings of a standby satisfy the condition, which is evaluated again after each sighting.
    pub async fn wait_until(&self, standby: &str, mut reached: impl FnMut(&[Sighting]) -> bool) {
        let mut count = self.count.subscribe();
        while !reached(&self.of(standby)) {
            // The sender lives in `self`, so waiting cannot fail.
            drop(count.changed().await);
        }
    }

    /// Whether every sighting is in the file, and the file is on disk.
    ///
    /// # Errors
    /// Why a sighting could not be written.
    pub fn kept(&self) -> io::Result<()> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match &taken.1 {
            Ok(file) => file.sync_all(),
            Err(_) => std::mem::replace(&mut taken.1, Err(io::ErrorKind::Other.into())).map(drop),
        }
    }

    fn push(&self, sighting: Sighting) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // A file with a gap would be no evidence: after a line that could not be written, nothing more is written.
        if let Ok(file) = &mut taken.1 {
            let line = serde_json::to_string(&sighting).map_err(io::Error::from);
            if let Err(error) = line.and_then(|line| writeln!(file, "{line}")) {
                taken.1 = Err(error);
            }
        }
        taken.0.push(sighting);
        let count = taken.0.len();
        drop(taken);
        self.count.send_replace(count);
    }
}

/// The running looks. Dropped, they end at once.
#[derive(Debug)]
pub struct Lookouts(#[expect(dead_code, reason = "the tasks end with it")] JoinSet<()>);

impl Lookouts {
    /// Starts one task per standby.
    pub fn start(
        watched: impl IntoIterator<Item = Watched>,
        interval: Duration,
        answer_within: Duration,
        log: &Arc<Sightings>,
        clock: Clock,
    ) -> Self {
        let mut tasks = JoinSet::new();
        for watched in watched {
            tasks.spawn(look_out(watched, interval, answer_within, Arc::clone(log), clock));
        }
        Self(tasks)
    }
}

async fn look_out(watched: Watched, interval: Duration, within: Duration, log: Arc<Sightings>, clock: Clock) {
    let mut client = None;
    let mut next = clock.now();
    let step = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
    loop {
        sleep_until(clock.deadline(next)).await;
        let started = clock.now();
        let answer = timeout(within, look(&mut client, &watched, within)).await;
        let beats = answer.unwrap_or_else(|_elapsed| Err(format!("no answer within {within:?}")));
        if beats.is_err() {
            client = None;
        }
        let ended = clock.now();
        log.push(Sighting { standby: watched.standby.clone(), started, ended, beats });
        next = At(next.0 + step).max(ended);
    }
}

async fn look(
    client: &mut Option<Box<dyn Client>>,
    watched: &Watched,
    within: Duration,
) -> Result<std::collections::BTreeMap<String, At>, String> {
    if client.as_ref().is_none_or(|client| client.is_closed()) {
        let connected = watched.endpoint.connect(within).await;
        *client = Some(connected.map_err(|error| format!("no connection: {error}"))?);
    }
    let Some(client) = client else { return Err("no connection".to_owned()) };
    client.beats().await.map_err(|error| error.to_string())
}
