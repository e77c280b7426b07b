//! The kinds of systems: each has a file, and a line in this table.

mod clean_room;
mod client;
mod entry;
mod inbox;
mod kind;
mod machine;
mod postgres;
mod programs;
mod server_host;
mod standby;
mod switch;
#[expect(clippy::module_inception, reason = "the trait is what the module is about")]
mod system;
mod targets;
mod webhook;

use lifeboat_core::document::Object;

use super::spec::SystemSpec;
pub use entry::WorkEntry;
pub use inbox::{Notification, Signature};
pub(super) use kind::{Built, Order};
pub use kind::{SystemKind, SystemPart};
pub use system::{Door, System};
pub(super) use targets::serialise;

/// Every kind.
pub const SYSTEMS: [SystemKind; 8] = [
    postgres::KIND,
    clean_room::KIND,
    standby::KIND,
    server_host::KIND,
    machine::KIND,
    switch::KIND,
    client::KIND,
    webhook::KIND,
];

/// The parameters by kind, as the grammar needs them.
pub(crate) static PARAMETERS: [(&str, &Object); SYSTEMS.len()] = parameters();

const fn parameters() -> [(&'static str, &'static Object); SYSTEMS.len()] {
    let mut parameters = [(SYSTEMS[0].name, SYSTEMS[0].parameters); SYSTEMS.len()];
    let mut place = 1;
    while place < SYSTEMS.len() {
        parameters[place] = (SYSTEMS[place].name, SYSTEMS[place].parameters);
        place += 1;
    }
    parameters
}

/// The systems that a system names: the parameter, the name, and the allowed kinds.
pub fn named(spec: &SystemSpec) -> impl Iterator<Item = (&'static str, &str, &'static [&'static str])> {
    let names = kind(spec.kind()).map(|kind| kind.names).unwrap_or_default();
    names.iter().filter_map(|(key, kinds)| Some((*key, spec.text(key)?, *kinds)))
}

/// The kind of that name.
pub fn kind(name: &str) -> Option<SystemKind> {
    SYSTEMS.into_iter().find(|kind| kind.name == name)
}
