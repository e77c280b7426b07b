//! What a good drill leaves behind, part by part.

use super::*;

pub(super) fn order(id: i64) -> Key {
    Collection::Orders.key(id)
}

pub(super) fn customer(id: i64) -> Key {
    Collection::Customers.key(id)
}

/// Ten customers who were deleted and made again, and five who stayed, lost an item each, and closed their accounts.
pub(super) fn gone_on() -> GoneOn {
    GoneOn {
        made_again: (0..10).map(|number| (500 + number, 900 + number as u64)).collect(),
        closed: (1..=5).collect(),
    }
}

/// What the deletion took, as far as the checks look at it.
fn deleted_rows() -> FinalState {
    let rows = gone_on().made_again.into_iter().map(|(id, _)| (customer(id), loaded(None)));
    let item = |id: i64| (Collection::OrderItems.key(id), loaded(Some(id)));
    rows.chain((1..=5).map(item)).collect()
}

fn loaded(parent: Option<i64>) -> FinalRecord {
    FinalRecord { write: 0, state: Baseline::state(parent.map(Id::Number)), intact: true }
}

pub(super) fn evidence_of(damaged_customers: i64) -> Evidence {
    let clock = Clock::start();
    let writes = writes();
    let acknowledged = writes.len() as u64;
    let again = gone_on()
        .made_again
        .into_iter()
        .map(|(id, write)| (customer(id), FinalRecord { write, state: Baseline::state(None), intact: true }));
    let state: FinalState = again.chain([(order(MARKER), final_row(1))]).collect();
    Evidence {
        clock,
        history: History { baseline: Baseline::default(), writes },
        state: Ok(state.clone()),
        direct: Ok(state),
        probes: probes(),
        rule: StabilityRule { window: jiff::SignedDuration::from_secs(2), probes_at_least: 2 },
        episodes: vec![episode(&clock, damaged_customers)],
        rest: Episode::default(),
        lagged: Vec::new(),
        ran: Vec::new(),
        sightings: Vec::new(),
        replicas: Vec::new(),
        intruder: None,
        writers: WriterReport { acknowledged: acknowledged - 1 - gone_on().writes(), worst_delay: 0 },
        handed_in: acknowledged,
        backups: vec![backup()],
        backup_ended: At(-1_000),
        marker: order(MARKER),
        work_before: Vec::new(),
        work_after: Ok(vec![
            file(SET_FILE),
            folder(COPY),
            WorkEntry { names_run: true, ..file("merge-653a080757.json") },
        ]),
        inside: Vec::new(),
        others_take_writes: Vec::new(),
        new_backups: Ok(Vec::new()),
        systems: Vec::new(),
        notifications: vec![notification("announce"), notification("report")],
        bindings_digest: String::new(),
        ready: ready(),
        load_at_end: Load::default(),
    }
}

fn episode(clock: &Clock, damaged_customers: i64) -> Episode {
    let bite =
        |collection: Collection, count: u64, wanted| Bite { what: collection.as_str().to_owned(), count, wanted };
    let damaged = u64::try_from(damaged_customers).unwrap();
    Episode {
        steady_from: At(0),
        steady_until: FAULT,
        struck: vec![Struck {
            kind: "a-fault",
            began: FAULT,
            ended: FAULT,
            removed: deleted_rows(),
            changed: FinalState::new(),
            bite: vec![
                bite(Collection::Customers, damaged, Wanted::Exactly(damaged)),
                bite(Collection::Orders, 5, Wanted::Some),
                bite(Collection::OrderItems, 5, Wanted::Some),
            ],
            story: "transaction 742 removed rows".to_owned(),
            told: BTreeMap::new(),
            known: BTreeMap::new(),
            intrusion: None,
        }],
        gone_on: gone_on(),
        executed: Some(executed(clock)),
        ..Episode::default()
    }
}

pub(super) fn ready() -> Readiness {
    Readiness {
        processors: 2,
        load: Load::default(),
        timer_late_median_s: 0.0,
        timer_late_worst_s: 0.0,
        cpu_share: None,
        too_busy: false,
    }
}

pub(super) fn final_row(write: u64) -> FinalRecord {
    FinalRecord { write, state: Baseline::state(Some(Id::Number(1))), intact: true }
}

/// The marker first, then every kind of write until the fault, and one more during the merge.
pub(super) fn writes() -> Vec<Write> {
    let kinds = [
        (Operation::Insert, Collection::Orders),
        (Operation::Insert, Collection::Customers),
        (Operation::Update, Collection::Customers),
        (Operation::Update, Collection::Orders),
        (Operation::Delete, Collection::Orders),
        (Operation::Insert, Collection::OrderItems),
        (Operation::Update, Collection::OrderItems),
        (Operation::Delete, Collection::OrderItems),
    ];
    let write = |(number, (operation, collection)): (i64, (Operation, Collection)), at: i64| {
        let id = if number == 0 { MARKER } else { 1000 + number };
        let after = (operation != Operation::Delete).then(|| Baseline::state(Some(Id::Number(1))));
        let changes = vec![Change { collection: collection.name(), id: Some(Id::Number(id)), after }];
        let (invoked, ended) = (At(at), Some(At(at + 1)));
        let outcome = WriteOutcome::Ok;
        Write { id: number as u64 + 1, writer: 0, scheduled: invoked, invoked, ended, outcome, operation, changes }
    };
    let before = (0..120).zip(kinds.into_iter().cycle()).map(|(number, kind)| write((number, kind), 8_000 * number));
    before.chain([write((120, kinds[0]), 2_500_000)]).collect()
}

/// Ten of each kind before the fault; then content is missing until it is back.
pub(super) fn probes() -> Vec<Probe> {
    let probe = |kind: ProbeKind, number: i64| {
        let started = At(number * 100_000);
        let ok = kind != ProbeKind::Content || !(10..30).contains(&number);
        Probe {
            kind,
            started,
            ended: At(started.0 + 2_000),
            ok,
            detail: (!ok).then(|| "3 rows are missing".to_owned()),
        }
    };
    (0..60).flat_map(|number| ProbeKind::ALL.map(|kind| probe(kind, number))).collect()
}

pub(super) fn backup() -> BackupInfo {
    BackupInfo {
        label: "drill".into(),
        folder: PathBuf::new(),
        started: Timestamp::UNIX_EPOCH,
        ended: Timestamp::UNIX_EPOCH,
        start_lsn: String::new(),
        start_segment: String::new(),
        bytes: 1,
    }
}

pub(super) fn file(name: &str) -> WorkEntry {
    WorkEntry { name: name.to_owned(), is_file: true, names_run: false }
}

pub(super) fn folder(name: &str) -> WorkEntry {
    WorkEntry { name: name.to_owned(), is_file: false, names_run: false }
}

pub(super) fn notification(step: &str) -> Notification {
    let id = Some(format!("dr-003-20261121-7f3a/{step}"));
    Notification { at: Timestamp::UNIX_EPOCH, id, signature: Signature::Valid, body: json!({}) }
}

pub(super) fn executed(clock: &Clock) -> Executed {
    let known_by = KnownBy::Answer;
    let step = |id: &str, outputs| StepRun {
        id: StepId::new(id).unwrap(),
        state: StepState::Succeeded { outputs, summary: String::new(), known_by },
        attempts: 1,
        failures: 0,
        interruptions: 0,
        engine_ended: None,
        observations: 0,
        undo_attempts: 0,
        undo_failures: 0,
        in_doubt: false,
        on_failure: lifeboat_core::plan::OnFailure::Stop,
        section: lifeboat_core::plan::Section::Steps,
        started: None,
        counted_from: None,
        changed: None,
    };
    let mut state = Run::default();
    let set_file = format!("/srv/lifeboat/{SET_FILE}");
    state.steps = vec![
        step("find", json!({ "set_file": set_file })),
        step("restore", json!({ "instance": COPY })),
        step("merge", json!({ "rows_left": 15 })),
    ];
    let merge = || StepId::new("merge").unwrap();
    let started = Event::StepStarted { step: merge(), attempt: 1, parameters: json!({}), deadline: None };
    let succeeded =
        Event::StepSucceeded { step: merge(), attempt: 1, outputs: json!({}), summary: String::new(), known_by };
    let events = [(2_000_000, started), (3_000_000, succeeded)].map(|(at, event)| Recorded {
        seq: 1,
        at: clock.wall(At(at)),
        previous: String::new(),
        event,
    });
    let run = RunId::new("dr-003-20261121-7f3a").unwrap();
    let how = How::Finished(Outcome::SucceededWithExceptions);
    let ended = Ended { run, how, state: state.clone(), at: Timestamp::UNIX_EPOCH };
    Executed { ended: Ok(ended), events: events.into(), state, out_of_time: false }
}
