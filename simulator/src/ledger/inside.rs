//! Writes that were acknowledged to clients that are not the application, such as those inside of a region that is cut off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::At;

/// When each of them was acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Inside(Arc<Mutex<Vec<At>>>);

impl Inside {
    /// One more.
    pub fn acknowledged(&self, at: At) {
        self.times().push(at);
    }

    /// How many so far.
    pub fn count(&self) -> usize {
        self.times().len()
    }

    /// When, in order.
    pub fn all(&self) -> Vec<At> {
        self.times().clone()
    }

    fn times(&self) -> MutexGuard<'_, Vec<At>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
