//! Faults: each has a file, and a line in this table.

mod archive_damage;
mod backup_damage;
mod changing;
mod delay;
mod deletion;
mod emptying;
mod error;
#[expect(clippy::module_inception, reason = "the trait is what the module is about")]
mod fault;
mod host_crash;
mod index_incomplete;
mod mistake;
mod packet_loss;
mod page_damage;
mod partition;
mod ransomware;
mod region_cut_off;
mod region_lost;
mod way;

use lifeboat_core::document::Object;

pub use error::FaultError;
pub use fault::{Bite, DAMAGED, Fault, FaultKind, Intrusion, Planted, Scene, Struck, Wanted};

/// Every kind.
pub const FAULTS: [FaultKind; 14] = [
    deletion::KIND,
    emptying::KIND,
    changing::KIND,
    ransomware::KIND,
    page_damage::KIND,
    index_incomplete::KIND,
    backup_damage::KIND,
    archive_damage::KIND,
    host_crash::KIND,
    region_lost::KIND,
    region_cut_off::KIND,
    partition::KIND,
    delay::KIND,
    packet_loss::KIND,
];

/// The parameters by kind, as the grammar needs them.
pub(crate) static PARAMETERS: [(&str, &Object); FAULTS.len()] = parameters();

const fn parameters() -> [(&'static str, &'static Object); FAULTS.len()] {
    let mut parameters = [(FAULTS[0].name, FAULTS[0].parameters); FAULTS.len()];
    let mut place = 1;
    while place < FAULTS.len() {
        parameters[place] = (FAULTS[place].name, FAULTS[place].parameters);
        place += 1;
    }
    parameters
}

/// The kind of that name.
pub fn kind(name: &str) -> Option<FaultKind> {
    FAULTS.into_iter().find(|kind| kind.name == name)
}
