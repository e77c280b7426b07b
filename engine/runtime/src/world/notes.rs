//! What plugins say while they run, on its way to the driver.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lifeboat_core::name::StepId;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::invoke::{Note, StepNote};

/// A plugin that talks faster than the driver reads loses words, never memory.
const NOTES_MAX: usize = 4096;

/// The side of the calls.
#[derive(Clone)]
pub(super) struct NoteSender {
    sender: Sender<StepNote>,
    dropped: Arc<AtomicU64>,
}

/// The side of the driver.
pub(super) struct NoteReceiver {
    receiver: Receiver<StepNote>,
    dropped: Arc<AtomicU64>,
}

pub(super) fn notes() -> (NoteSender, NoteReceiver) {
    let (sender, receiver) = channel(NOTES_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    (NoteSender { sender, dropped: Arc::clone(&dropped) }, NoteReceiver { receiver, dropped })
}

impl NoteSender {
    pub(super) fn of_step(&self, step: &StepId) -> Arc<dyn Fn(Note) + Send + Sync> {
        let (sender, step) = (self.clone(), step.clone());
        Arc::new(move |note| {
            if sender.sender.try_send(StepNote { step: step.clone(), note }).is_err() {
                sender.dropped.fetch_add(1, Ordering::Relaxed);
            }
        })
    }
}

impl NoteReceiver {
    /// The next note. As long as the session lives there is one to come.
    pub(super) async fn next(&mut self) -> StepNote {
        match self.receiver.recv().await {
            Some(note) => note,
            None => std::future::pending().await,
        }
    }

    /// A note that is there already.
    pub(super) fn ready(&mut self) -> Option<StepNote> {
        self.receiver.try_recv().ok()
    }

    /// How many were lost since the last time it was asked, if any.
    pub(super) fn take_dropped(&self) -> Option<u64> {
        Some(self.dropped.swap(0, Ordering::Relaxed)).filter(|&count| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_plugin_that_talks_too_fast_loses_words_and_they_are_counted() {
        let (sender, mut receiver) = notes();
        let say = sender.of_step(&StepId::new("merge").unwrap());
        for done in 0..NOTES_MAX as u64 + 3 {
            say(Note::Progress { done, total: None, unit: "rows".to_owned(), message: String::new() });
        }
        assert_eq!(receiver.take_dropped(), Some(3));
        assert_eq!(receiver.take_dropped(), None);
        assert!(matches!(receiver.next().await.note, Note::Progress { done: 0, .. }));
    }
}
