//! Runs programs in a place: on this machine, in a container or over SSH, as one of its users, with an environment of their own and
//! in a process group of their own. The engine's capabilities and the simulator's testbeds both run programs through here.

mod account;
mod command;
mod group;
mod output;

pub use account::Account;
pub use command::{command, quoted};
pub use group::Group;
pub use output::output;
