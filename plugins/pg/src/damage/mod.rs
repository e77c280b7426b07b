//! Finding what damaged tables: which transactions, what they removed, and what is known about them.

pub mod deleters;
pub mod emptied;
pub mod layout;
pub mod log_line;
pub mod made_again;
pub mod nothing_found;
pub mod removals;
pub mod search;
pub mod server_log;
pub mod several;
pub mod sorting;
pub mod told;
pub mod written;
