//! The ledger: every write the application made, *invoked → ok | failed | unknown*, on disk before it counts as
//! acknowledged. It is the only source for what should be in a store after a recovery.

mod file;
mod history;
mod inside;
mod planned;
mod record;
mod recorder;
mod watch;

pub use file::{LedgerError, read};
pub use history::{Baseline, History, Write, WriteOutcome};
pub use inside::Inside;
pub use planned::Planned;
pub use record::{Change, Entry, EntryKind, Id, Key, Name, Operation, State, WriteId};
pub use recorder::{Invocation, Ledger};
pub use watch::{Expectation, Watch};
