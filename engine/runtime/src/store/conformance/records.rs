//! What holds of the records of a run, of who may append to them, and of how its owner is reached.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lifeboat_core::operator::{Command, Refusal};

use super::{Form, Seen, ensure, failed, refused, script::Script};
use crate::store::{Arrived, Desk, Log, Owned, Sent, Store};

const RUN: &str = "store-20270115-0001";

pub(super) async fn an_append_that_returned_is_read<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let mut script = Script::new(RUN, 0);
    let mut owned = script.begin(&store, &[]).await?;
    for _ in 0..3 {
        // Another engine reads it while the owner works, and after the owner is gone.
        script.is_read(&store.clone()).await?;
        script.append(&mut owned).await?;
    }
    script.is_read(&store.clone()).await?;
    drop(owned);
    script.is_read(&store).await
}

pub(super) async fn records_are_in_order_and_chained<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let mut script = Script::new(RUN, 0);
    drop(script.begin(&store, &[]).await?);
    for _ in 0..3 {
        // Each owner continues with the chain where the one before left it.
        let (loaded, mut owned) = store.own(&script.id).await.map_err(failed)?;
        script.append(&mut owned).await?;
        let next = store.load(&script.id).await.map_err(failed)?;
        ensure(next.end.seq > loaded.end.seq && next.end.at > loaded.end.at, || "the journal did not grow".to_owned())?;
        let counted = (1..).zip(&next.events).all(|(number, record)| record.seq == number);
        ensure(counted, || format!("the records are not counted from 1 on: {:?}", next.events))?;
    }
    script.is_read(&store).await
}

pub(super) async fn a_run_has_one_owner<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let mut script = Script::new(RUN, 0);
    let mut owned = script.begin(&store, &[]).await?;
    refused("a second owner", store.clone().own(&script.id).await, &["run-locked"])?;
    script.append(&mut owned).await?;
    drop(owned);
    let (_, mut next) = store.clone().own(&script.id).await.map_err(failed)?;
    refused("the owner before, beside the next one,", store.own(&script.id).await, &["run-locked"])?;
    script.append(&mut next).await?;
    script.is_read(&store).await
}

pub(super) async fn who_lost_a_run_appends_nothing<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let mut script = Script::new(RUN, 0);
    let mut first = script.begin(&store, &[]).await?;
    form.lapse(&store, &script.id);
    let (_, mut second) = store.clone().own(&script.id).await.map_err(failed)?;
    let (at, events) = script.stale();
    let late = "an append of who had lost the run";
    refused(late, first.log.append(at, &events).await, &["run-owner-lost"])?;
    script.is_read(&store).await?;
    script.append(&mut second).await?;
    refused(late, first.log.append(at, &events).await, &["run-owner-lost"])?;
    // Who lost it and goes away takes nothing along.
    drop(first);
    script.append(&mut second).await?;
    script.is_read(&store).await
}

pub(super) async fn what_has_begun_is_listed<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let (mut older, mut newer) = (Script::new(RUN, 0), Script::new("store-20270115-0002", 1));
    let names = async |what: &str, wanted: &[&Script]| {
        let listed = store.clone().list().await.map_err(failed)?;
        let listed: Vec<_> = listed.into_iter().map(|listed| listed.run).collect();
        let is_wanted = listed.iter().eq(wanted.iter().map(|script| &script.id));
        ensure(is_wanted, || format!("{what}, {listed:?} are listed"))
    };
    let mut made = store.create(&older.new_run(&[])).await.map_err(failed)?;
    names("with a run that has no event", &[]).await?;
    older.append(&mut made).await?;
    names("with one run", &[&older]).await?;
    let _newer = newer.begin(&store, &[]).await?;
    names("with two runs", &[&newer, &older]).await
}

pub(super) async fn a_run_is_made_once<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let mut script = Script::new(RUN, 0);
    for (what, result) in
        [("loading", store.load(&script.id).await.map(drop)), ("owning", store.own(&script.id).await.map(drop))]
    {
        refused(&format!("{what} a run that is not there"), result, &["run-unknown"])?;
    }
    let made = store.create(&script.new_run(&[])).await.map_err(failed)?;
    refused("making a run that another engine makes", store.create(&script.new_run(&[])).await, &["run-locked"])?;
    made.log.discard().await;
    refused("loading a run that was discarded", store.load(&script.id).await, &["run-unknown", "run-never-started"])?;
    drop(script.begin(&store, &[]).await?);
    refused("making a run that has begun", store.create(&script.new_run(&[])).await, &["run-exists"])?;
    script.is_read(&store).await
}

pub(super) async fn a_torn_end_is_told_and_cut_off<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let mut script = Script::new(RUN, 0);
    drop(script.begin(&store, &[]).await?);
    if !form.tear(&store, &script.id) {
        return Ok(());
    }
    let torn = async || store.load(&script.id).await.map(|loaded| loaded.torn_bytes).map_err(failed);
    ensure(torn().await? > 0, || "nothing is torn".to_owned())?;
    script.is_read(&store).await?;
    let (loaded, mut owned) = store.own(&script.id).await.map_err(failed)?;
    ensure(loaded.torn_bytes > 0, || "the owner was not told".to_owned())?;
    script.append(&mut owned).await?;
    let left = store.load(&script.id).await.map_err(failed)?.torn_bytes;
    ensure(left == 0, || format!("{left} bytes stayed behind the end"))?;
    script.is_read(&store).await
}

pub(super) async fn an_append_that_was_cut_short<F: Form>(form: &F) -> Seen {
    for place in 0.. {
        let store = form.make();
        let mut script = Script::new(RUN, 0);
        drop(script.begin(&store, &[]).await?);
        let journal = script.journal().to_vec();
        let Some(left) = script.cuts().nth(place) else {
            return ensure(place > 3, || "a decision of one event has no beginning".to_owned());
        };
        if !form.cut(&store, &script.id, journal.len() - left) {
            return Ok(());
        }
        let whole = journal[..left].iter().filter(|byte| **byte == b'\n').count();
        script.fall_back_to(whole)?;
        if whole == 0 {
            refused("loading a run of which nothing is left", store.load(&script.id).await, &["run-never-started"])?;
            continue;
        }
        script.is_read(&store).await?;
        let (_, mut owned) = store.own(&script.id).await.map_err(failed)?;
        script.append(&mut owned).await?;
        script.is_read(&store).await?;
    }
    Ok(())
}

/// A local store answers at once; one behind a network has so long.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn the_owner_hears_what_a_run_is_told<F: Form>(form: &F) -> Seen {
    let store = form.make();
    let mut script = Script::new(RUN, 0);
    let Owned { log, leases, mut desk } = script.begin(&store, &[]).await?;
    let told = Command::Pause { reason: Some("look first".to_owned()) };
    let tell = async || store.clone().tell(&script.id, &told, PATIENCE).await.map_err(failed);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let no = || Refusal::new("store", "as the promise wants it");
    let deliver = move |arrived: Arrived| {
        hears.lock().unwrap_or_else(PoisonError::into_inner).push(arrived.request().command.clone());
        arrived.answer(Err(no()));
    };
    desk.open(BTreeMap::new(), Box::new(deliver)).await.map_err(|error| format!("nobody is let in: {error}"))?;
    let sent = tell().await?;
    ensure(matches!(&sent, Sent::Answered(Err(refusal)) if *refusal == no()), || format!("it was answered {sent:?}"))?;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure(heard == [told.clone()], || format!("the owner heard {heard:?}"))?;
    desk.close();
    desk.answered().await;
    drop((log, leases, desk));
    let sent = tell().await?;
    ensure(matches!(sent, Sent::Nobody), || format!("nobody owns the run, and it was answered {sent:?}"))
}
