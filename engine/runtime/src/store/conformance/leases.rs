//! What holds of leases.

use super::{Form, Seen, ensure, failed, refused, script::Script};
use crate::{
    lease::{Claim, LeaseState, ListedLease},
    store::{Leases, Store},
};

const RESOURCE: &str = "postgres:7423000000000000001";
const OTHER: &str = "machine:local:/srv";

fn scripts() -> [Script; 2] {
    [Script::new("store-20270115-000a", 0), Script::new("store-20270115-000b", 1)]
}

/// The lease of the resource, as anybody sees it.
async fn lease<S: Store>(store: &S) -> Result<ListedLease, String> {
    let leases = store.leases().await.map_err(failed)?;
    leases.into_iter().find(|lease| lease.resource == RESOURCE).ok_or_else(|| "the lease is not listed".to_owned())
}

fn claim() -> Claim {
    Claim { user: "ada".to_owned(), reason: "its machine burnt down".to_owned(), holder_is_dead: false }
}

pub(super) async fn a_lease_is_one_runs<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let [mut a, mut b] = scripts();
    let mut first = a.begin(&store, &[RESOURCE, OTHER]).await?;
    let taken = first.leases.take().await.map_err(failed)?;
    ensure(taken.resources == [RESOURCE, OTHER], || format!("{:?} were taken", taken.resources))?;
    let kept = taken.fence.check();
    ensure(kept.is_ok(), || format!("who has the leases may change nothing: {kept:?}"))?;

    let mut second = b.begin(&store.clone(), &[RESOURCE]).await?;
    refused("a lease that a live run has", second.leases.take().await, &["run-lease-held"])?;
    drop(first);
    refused("a lease of a run that is not over", second.leases.take().await, &["run-lease-unfinished"])?;
    let state = lease(&store).await?.state;
    ensure(matches!(&state, LeaseState::Unfinished(holder) if holder.run == a.id), || format!("it is {state:?}"))?;

    let (_, mut first) = store.own(&a.id).await.map_err(failed)?;
    let again = first.leases.take().await.map_err(failed)?;
    ensure(again.fence.check().is_ok(), || "the run does not get its own lease back".to_owned())?;
    ensure(taken.fence.check().is_err(), || "the engine before may still change something".to_owned())?;
    first.leases.release().await;
    let state = lease(&store).await?.state;
    ensure(state == LeaseState::Free, || format!("what was given back is {state:?}"))?;
    let taken = second.leases.take().await.map_err(failed)?;
    ensure(taken.fence.check().is_ok(), || "the next run does not have the lease".to_owned())?;
    ensure(again.fence.check().is_err(), || "who gave it back may still change something".to_owned())
}

pub(super) async fn a_lease_that_was_taken_over_is_lost<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let [mut a, mut b] = scripts();
    refused("taking over what nobody ever had", store.take_over(RESOURCE, &claim()).await, &["run-lease-free"])?;
    let mut first = a.begin(&store, &[RESOURCE]).await?;
    let taken = first.leases.take().await.map_err(failed)?;
    refused("taking over from a live run", store.take_over(RESOURCE, &claim()).await, &["run-lease-held"])?;
    drop(first);
    let losses = store.clone().take_over(RESOURCE, &claim()).await.map_err(failed)?;
    let from = losses.iter().map(|loss| &loss.take_over.from.run);
    ensure(from.eq([&a.id]), || format!("{losses:?} was taken over"))?;

    let fence = taken.fence.check();
    let is_lost = fence.as_ref().is_err_and(|lost| lost.code == "run-lease-lost");
    ensure(is_lost, || format!("who lost the lease is told {fence:?}"))?;
    let (_, mut first) = store.own(&a.id).await.map_err(failed)?;
    refused("a lease that was taken over from the run", first.leases.take().await, &["run-lease-lost"])?;
    let listed = lease(&store).await?;
    ensure(listed.state == LeaseState::Free && listed.taken_over == losses, || format!("it is {listed:?}"))?;
    let mut second = b.begin(&store, &[RESOURCE]).await?;
    second.leases.take().await.map(drop).map_err(failed)
}

pub(super) async fn tokens_only_grow<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let mut tokens = Vec::new();
    for turn in 0..4 {
        let mut script = Script::new(&format!("store-20270115-000{turn}"), turn);
        let mut owned = script.begin(&store, &[RESOURCE]).await?;
        owned.leases.take().await.map_err(failed)?;
        tokens.push(lease(&store).await?.token);
        if turn % 2 == 0 {
            owned.leases.release().await;
            continue;
        }
        drop(owned);
        store.take_over(RESOURCE, &claim()).await.map_err(failed)?;
        tokens.push(lease(&store).await?.token);
    }
    ensure(tokens.is_sorted_by(|a, b| a < b), || format!("the tokens were {tokens:?}"))
}
