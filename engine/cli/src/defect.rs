//! Panics: each is told to the user and makes the exit code that of a defect, whoever catches it. Nothing is cut short by one:
//! testbeds are torn down, calls answer, and what a step did is journalled.

use std::{
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::exit::Exit;

/// Whether anything has panicked since it was installed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    panicked: Arc<AtomicBool>,
}

impl Watch {
    /// Watches every thread of the process. `tell` is given each panic, and whether it is the first one.
    pub(crate) fn install(tell: impl Fn(&PanicHookInfo<'_>, bool) + Send + Sync + 'static) -> Self {
        let watch = Self::default();
        let panicked = watch.panicked.clone();
        panic::set_hook(Box::new(move |panic| tell(panic, !panicked.swap(true, Ordering::SeqCst))));
        watch
    }

    /// What the process ends with after the work: its own exit code, or that of a defect where anything panicked meanwhile.
    pub(crate) fn exit_after(&self, work: impl FnOnce() -> Exit) -> Exit {
        let ended = panic::catch_unwind(AssertUnwindSafe(work));
        match ended {
            Ok(exit) if !self.panicked.load(Ordering::SeqCst) => exit,
            _ => Exit::Bug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Systems that must not be left standing.
    struct Testbed(Arc<AtomicBool>);

    impl Drop for Testbed {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Runtime::new().unwrap().block_on(work)
    }

    #[test]
    fn a_panic_ends_the_work_in_order_and_the_process_as_a_defect() {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let telling = told.clone();
        let watch = Watch::install(move |panic, first| {
            telling.lock().unwrap().push((panic.payload_as_str().map(str::to_owned), first));
        });
        assert_eq!(watch.exit_after(|| Exit::Waiting), Exit::Waiting);

        // As in a phase of a drill: caught, torn down, and told by an exit code of its own.
        let torn_down = Arc::new(AtomicBool::new(false));
        let caught = watch.exit_after(|| {
            block_on(async {
                let testbed = Testbed(torn_down.clone());
                let phase = panic::catch_unwind(|| panic!("in a phase"));
                drop(testbed);
                if phase.is_err() { Exit::Inconclusive } else { Exit::Done }
            })
        });
        assert_eq!((caught, torn_down.swap(false, Ordering::SeqCst)), (Exit::Bug, true));

        // As in a detached task, whose result is never read.
        watch.panicked.store(false, Ordering::SeqCst);
        let alone = watch.exit_after(|| {
            block_on(async { drop(tokio::spawn(async { panic!("in a task") }).await) });
            Exit::Done
        });
        assert_eq!(alone, Exit::Bug);

        // As if nothing catches it.
        let uncaught = watch.exit_after(|| {
            block_on(async {
                let _testbed = Testbed(torn_down.clone());
                panic!("in the open")
            })
        });
        assert_eq!((uncaught, torn_down.load(Ordering::SeqCst)), (Exit::Bug, true));
        drop(panic::take_hook());
        let told = told.lock().unwrap();
        let mine = |text: &str, first: bool| told.contains(&(Some(text.to_owned()), first));
        assert!(mine("in a phase", true) && mine("in a task", true) && mine("in the open", false), "{told:?}");
    }
}
