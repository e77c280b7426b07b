//! The content probe: do the sampled records have the content that the ledger expects?

use crate::{
    ledger::{Expectation, Ledger},
    measurement::FinalRecord,
    store::{Client, StoreError},
};

/// Reads the sampled records and compares them. `Ok(Some(_))`: what is wrong.
pub(super) async fn check(client: &mut dyn Client, ledger: &Ledger) -> Result<Option<String>, StoreError> {
    let before = ledger.settled();
    let keys: Vec<_> = before.iter().map(|(key, _)| key.clone()).collect();
    let seen = client.read(&keys).await?;
    let possible = ledger.possible_since(&before);
    let wrong: Vec<String> = keys
        .iter()
        .zip(&possible)
        .filter(|(key, states)| !states.iter().any(|state| shows(state, seen.get(*key))))
        .map(|(key, _)| format!("{key} {}", if seen.contains_key(key) { "differs" } else { "is missing" }))
        .collect();
    Ok((!wrong.is_empty()).then(|| {
        let some = wrong.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("{} of {} sampled rows are not as acknowledged: {some}", wrong.len(), before.len())
    }))
}

fn shows(expected: &Expectation, seen: Option<&FinalRecord>) -> bool {
    match (&expected.state, seen) {
        (None, None) => true,
        (Some(state), Some(seen)) => seen.intact && seen.write == expected.write && seen.state == *state,
        _ => false,
    }
}
