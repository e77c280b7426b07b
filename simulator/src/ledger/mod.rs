//! The ledger: every write the application made, *invoked → ok | failed | unknown*, on disk before it counts as
//! acknowledged. It is the only source for what should be in the database after a recovery.

mod file;
mod history;
mod record;
mod recorder;
mod watch;

pub use file::{LedgerError, read};
pub use history::{Baseline, History, Write, WriteOutcome};
pub use record::{Entry, EntryKind, Operation, RowChange, RowKey, RowState, Table, WriteId};
pub use recorder::{Invocation, Ledger};
pub use watch::{Expectation, Watch};
