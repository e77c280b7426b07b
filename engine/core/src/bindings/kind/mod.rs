//! The kinds of system that can play a role. Everything that one kind is apart from the others stands in its file; a kind is known
//! to all the rest by its line in the table below.

mod access;
mod endpoint;
mod fact;
mod hold;
mod machine;
mod notify;
mod postgres;
mod protection;
mod table;

use self::{
    fact::{Fact, text},
    table::{Kind, kinds},
};
pub use self::{hold::Hold, protection::Protection};

kinds! {
    /// A PostgreSQL server, reached over its protocol.
    postgres::Postgres,
    /// A place where programs run and files lie: this machine, a container, a host over SSH.
    machine::Machine,
    /// A channel to people.
    notify::Notify,
    /// The place where the application's traffic is directed.
    endpoint::Endpoint,
}
