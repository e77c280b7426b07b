//! Faults that may have struck and were not healed. Each is here from before it strikes until its healing has succeeded, so that
//! after a panic, an error or a stop it is healed at the end of the drill.

use std::{
    panic::AssertUnwindSafe,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::FutureExt;

/// The faults with their kinds, the oldest first.
#[derive(Debug)]
pub(super) struct OpenFaults<F>(Mutex<Vec<(String, F)>>);

impl<F> Default for OpenFaults<F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<F: Clone> OpenFaults<F> {
    /// It may strike from now on.
    pub(super) fn begin(&self, kind: &str, fault: F) {
        self.faults().push((kind.to_owned(), fault));
    }

    /// Heals the faults of the kind, or all, the youngest first. A failure does not keep the others from being healed; returns the first
    /// error.
    pub(super) async fn heal<E>(&self, kind: Option<&str>, heal: impl AsyncFn(F) -> Result<(), E>) -> Result<(), E> {
        let is_meant = |struck: &String| kind.is_none_or(|kind| struck == kind);
        let mut places: Vec<usize> = (0..)
            .zip(self.faults().iter())
            .filter(|(_, (struck, _))| is_meant(struck))
            .map(|(place, _)| place)
            .collect();
        let mut healed = Ok(());
        while let Some(place) = places.pop() {
            let Some((_, fault)) = self.faults().get(place).cloned() else { continue };
            let ended = heal(fault).await;
            if ended.is_ok() {
                // Only younger faults have been removed so far, so the index is still correct.
                self.faults().remove(place);
            }
            healed = healed.and(ended);
        }
        healed
    }

    /// Does the work and heals whatever is open afterwards, also if the work panicked.
    pub(super) async fn heal_after<T, E>(
        &self,
        work: impl Future<Output = T>,
        heal: impl AsyncFn(F) -> Result<(), E>,
    ) -> (std::thread::Result<T>, Result<(), E>) {
        let worked = AssertUnwindSafe(work).catch_unwind().await;
        (worked, self.heal(None, heal).await)
    }

    /// The kinds of those that are open, the oldest first.
    pub(super) fn kinds(&self) -> Vec<String> {
        self.faults().iter().map(|(kind, _)| kind.clone()).collect()
    }

    fn faults(&self) -> MutexGuard<'_, Vec<(String, F)>> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn what_was_not_healed_stays_and_is_tried_again() {
        let open = OpenFaults::default();
        for (kind, fault) in [("cut", 1), ("slow", 2), ("cut", 3), ("crash", 4)] {
            open.begin(kind, fault);
        }
        let tried = RefCell::new(Vec::new());
        let heal = async |fault: i32| {
            tried.borrow_mut().push(fault);
            if fault == 1 { Err(fault) } else { Ok(()) }
        };
        assert_eq!(open.heal(Some("cut"), &heal).await, Err(1));
        assert_eq!(tried.take(), [3, 1], "the youngest first, and each of them");
        assert_eq!(open.kinds(), ["cut", "slow", "crash"]);
        assert_eq!(open.heal(Some("nothing of it"), &heal).await, Ok(()));
        assert_eq!(open.heal(None, &heal).await, Err(1));
        assert_eq!(tried.take(), [4, 2, 1]);
        assert_eq!(open.heal(None, async |_| Ok::<(), i32>(())).await, Ok(()));
        assert!(open.faults().is_empty());
    }

    #[tokio::test]
    async fn a_fault_that_panics_while_it_strikes_is_healed() {
        let open = OpenFaults::default();
        let striking = async {
            open.begin("cut", 1);
            panic!("in the middle of a strike");
        };
        let healed = RefCell::new(Vec::new());
        let heal = async |fault: i32| {
            healed.borrow_mut().push(fault);
            Err("not yet")
        };
        let (struck, ended): (std::thread::Result<()>, _) = open.heal_after(striking, &heal).await;
        assert!(struck.is_err() && ended == Err("not yet"), "both are known");
        assert_eq!(healed.take(), [1]);
    }

    #[tokio::test]
    async fn what_is_given_up_while_it_heals_stays() {
        let open = OpenFaults::default();
        open.begin("cut", 1);
        let stuck = open.heal(None, async |_| std::future::pending::<Result<(), ()>>().await);
        tokio::select! {
            biased;
            _ = stuck => unreachable!("it never ends"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(open.faults().len(), 1);
    }
}
