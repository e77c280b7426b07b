//! A record that is younger than the base backup: only what was archived since can bring it back.

use super::writes::inserted;
use crate::{
    clock::Clock,
    ledger::{Key, Ledger},
    model::Collection,
    store::Client,
    workload::driver::{WorkloadError, write_once},
};

/// Writes one order of a customer that will be damaged. It goes through the ledger like any other write. Returns its key.
///
/// # Errors
/// If it was not acknowledged.
pub async fn write_marker(
    client: &mut dyn Client,
    ledger: &Ledger,
    clock: &Clock,
    customer: i64,
) -> Result<Key, WorkloadError> {
    let planned = inserted(Collection::Orders, Some(customer));
    let written = write_once(client, ledger, clock, u32::MAX, &planned).await?;
    let id = written.and_then(|written| written.id);
    let id = id.ok_or_else(|| WorkloadError::Marker(format!("{} says why", ledger.path().display())))?;
    Ok(Key { collection: Collection::Orders.name(), id })
}
