//! What every plugin may do: say what it does, know the time, wait, and notice that it should stop.

pub(crate) mod fake;

use super::declare::capability;
pub use crate::bindings::lifeboat::runtime::runtime::Level;

capability! {
    /// The host's services for a running call.
    runtime: trait Runtime {
        /// A line of the run's log, with details by name.
        fn log(&self, level: Level, message: &str, fields: &[(String, String)]);
        /// How far a long piece of work is, in `unit` (`rows`, `bytes`).
        fn progress(&self, done: u64, total: Option<u64>, unit: &str, message: &str);
        /// Milliseconds since 1970 (UTC).
        fn now_ms(&self) -> u64;
        /// Waits; false when the call was cancelled or its deadline reached meanwhile.
        fn sleep_ms(&self, ms: u64) -> bool;
        /// Whether the call should end as soon as it can.
        fn cancelled(&self) -> bool;

        provided {
            /// A line of the run's log without details.
            fn info(&self, message: &str) {
                self.log(Level::Info, message, &[]);
            }

            /// A line of the run's log about something odd.
            fn warn(&self, message: &str) {
                self.log(Level::Warn, message, &[]);
            }
        }
    }
}
