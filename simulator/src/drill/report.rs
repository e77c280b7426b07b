//! From evidence to report: measures, checks, and gives the verdict.

use std::{collections::HashMap, thread};

use lifeboat_core::{
    name::RunId,
    plan::{Clock as ObjectiveClock, Objectives},
    run::Run,
};

use super::{
    engine::{Engine, Engines},
    episode::Episode,
    evidence::Evidence,
    holding::Holding,
    lag_report::lag_reports,
    recovery_checks::telling,
    request::DrillRequest,
    routine_report::routine_reports,
    rule::Looked,
    spec::{Moment, RecoverSpec},
    steps::steps,
};
use crate::{
    clock::At,
    fault::{Bite, Struck},
    ledger::{History, Key, WriteOutcome},
    measurement::{
        self, Damage, Instants, Losses, Outage, Probe, ProbeKind, Rpo, Rto, UnexpectedKind, Verdict, losses, outage,
        rpo, rto,
    },
    report::{
        self as document, BiteReport, Check, CheckKind, DrillReport, Environment, EpisodeReport, FaultReport,
        HostReport, LostWrite, NotApplied, PluginReport, ProbeSummary, RpoReport, RtoReport, RunbookReport, Sample,
        Scaled, TestbedReport, WritesReport,
    },
};

/// Measures one holding.
pub(super) fn assemble(
    request: &DrillRequest,
    holding: &Holding,
    run: &RunId,
    engines: &Engines,
    evidence: &Evidence,
) -> DrillReport {
    let losses = evidence.state.as_ref().ok().map(|state| losses(&evidence.history, state));
    let measured: Vec<Measured<'_>> = engines
        .recoveries
        .iter()
        .zip(&evidence.episodes)
        .scan(None, |before, (engine, episode)| {
            let measured = measure(engine, episode, evidence, losses.as_ref(), *before);
            *before = measured.instants.restored.or(*before);
            Some(measured)
        })
        .collect();
    let (checks, not_applied) = all_checks(request, holding, run, evidence, losses.as_ref(), &measured);
    let lags = lag_reports(evidence, request.spec.probes.interval, holding.fault);
    let verdict = measured.iter().fold(verdict(&checks), |verdict, it| verdict.and(it.rto.verdict).and(it.rpo.verdict));
    let verdict = lags.iter().fold(verdict, |verdict, lag| verdict.and(lag.verdict));
    let routines = routine_reports(evidence, &engines.routines);
    let all_held = measured.len() == engines.recoveries.len() && all_held(request, holding, evidence);
    let verdict = if all_held { verdict } else { verdict.and(Verdict::Unmeasured) };
    let run = run.to_string();
    let damage: Vec<Damage> = measured.iter().filter_map(|measured| measured.damage.clone()).collect();
    let after_first_hole = measured.iter().filter_map(|measured| measured.rpo.after_first_hole).max();
    let mut report = DrillReport {
        format: document::FORMAT.to_owned(),
        drill: request.spec.drill.clone(),
        verdict,
        run: run.clone(),
        seed: request.seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        held: None,
        file: Some(request.drill_file()),
        testbed: TestbedReport { backend: request.backend, systems: evidence.systems.clone() },
        writes: writes(evidence, losses.as_ref(), after_first_hole),
        lost_writes: losses.as_ref().map(|losses| lost_writes(evidence, &damage, losses)).unwrap_or_default(),
        episodes: measured.into_iter().map(|measured| measured.report(evidence)).collect(),
        faults: faults(&evidence.rest),
        lags,
        routines,
        checks,
        not_applied: Some(not_applied),
        checklist: request.spec.checklist.clone(),
        controls: Vec::new(),
        control_run: None,
        samples: Vec::new(),
        scaled: scaled(request),
        approvals: approvals(request, engines),
        environment: environment(engines, evidence),
        probes: probes(evidence, request),
        probe_log: evidence.probes.iter().map(Probe::drawn).collect(),
        clock_start: Some(evidence.wall(At(0))),
    };
    let longest = report.longest().map(|episode| (episode.rto.service_s, episode.rpo.actual_s));
    let (rto_s, rpo_s) = longest.unwrap_or_default();
    report.samples = vec![Sample { run, verdict, rto_s, rpo_s }];
    report
}

/// An entry of the timeline that never happened was not measured.
fn all_held(request: &DrillRequest, holding: &Holding, evidence: &Evidence) -> bool {
    let watched = request.spec.timeline.iter().filter(|moment| matches!(moment, Moment::Lag(_))).count();
    let routines = request.spec.routines().filter(|routine| holding.fault || routine.fails_with.is_none()).count();
    let anything = !(evidence.episodes.is_empty() && evidence.lagged.is_empty() && evidence.ran.is_empty());
    anything && evidence.lagged.len() == watched && evidence.ran.len() == routines
}

fn approvals(request: &DrillRequest, engines: &Engines) -> String {
    let approvals = &request.spec.approvals;
    if engines.all().next().is_none() {
        return "nobody: no runbook was executed".to_owned();
    }
    format!("the policy `{}` ({})", approvals.policy, approvals.comment)
}

/// The checks of each episode; of a drill without a recovery, those of the whole. Beside them those that do not apply.
fn all_checks(
    request: &DrillRequest,
    holding: &Holding,
    run: &RunId,
    evidence: &Evidence,
    losses: Option<&Losses>,
    measured: &[Measured<'_>],
) -> (Vec<Check>, Vec<NotApplied>) {
    let spec = &request.spec;
    let whole = Looked {
        evidence,
        losses,
        spec,
        holding,
        number: 1,
        episode: &evidence.rest,
        run: run.as_str(),
        recover: None,
        telling: &[],
    };
    let of = |looked: &Looked<'_>| (super::checks::checks(looked), super::checks::not_applied(looked));
    if spec.recoveries().next().is_none() {
        return of(&whole);
    }
    let of_episode = |(number, measured): (usize, &Measured<'_>)| {
        let Measured { engine, episode, .. } = measured;
        let telling = telling(&engine.plan, episode.run().and_then(Run::outcome));
        let (run, recover) = (engine.run.as_str(), Some(&engine.recover));
        of(&Looked { number, episode, run, recover, telling: &telling, ..whole })
    };
    let (checks, not_applied): (Vec<_>, Vec<_>) = (1..).zip(measured).map(of_episode).unzip();
    (checks.concat(), not_applied.concat())
}

/// An episode with what was measured of it.
struct Measured<'a> {
    engine: &'a Engine,
    episode: &'a Episode,
    instants: Instants,
    damage: Option<Damage>,
    outage: Outage,
    rto: Rto,
    rpo: Rpo,
}

/// Measures one episode. `before`: when the recovered state of the previous episode took over; a missing write that was acknowledged
/// before then counts for that episode.
fn measure<'a>(
    engine: &'a Engine,
    episode: &'a Episode,
    evidence: &Evidence,
    losses: Option<&Losses>,
    before: Option<At>,
) -> Measured<'a> {
    let objectives = &engine.plan.objectives;
    let instants = instants(&engine.recover, evidence, episode);
    let damage = damage(episode);
    let probes: Vec<Probe> =
        episode.watched(&evidence.probes).iter().filter(|probe| later(probe.started, before)).cloned().collect();
    let outage = outage(&probes, &evidence.rule, episode.fault());
    let rto = rto(&outage, &instants, objectives.rto, objectives.clock);
    let own = losses.map(|losses| of_episode(&evidence.history, losses, before));
    let mut rpo = rpo(&evidence.history, own.as_ref(), damage.as_ref(), instants.restored, objectives.rpo);
    if episode.out_of_time() && rpo.verdict == Verdict::Missed {
        (rpo.verdict, rpo.missing) =
            (Verdict::Unmeasured, Some("the drill ended the recovery before it was over".to_owned()));
    }
    Measured { engine, episode, instants, damage, outage, rto, rpo }
}

fn later(at: At, before: Option<At>) -> bool {
    before.is_none_or(|before| at > before)
}

/// The losses, without those that count for an earlier recovery.
fn of_episode(history: &History, losses: &Losses, before: Option<At>) -> Losses {
    let mut own = losses.clone();
    if before.is_some() {
        own.lost.retain(|index| history.writes[*index].ended.is_some_and(|ended| later(ended, before)));
        own.unknown_missing.retain(|index| later(history.writes[*index].invoked, before));
        own.lost_loaded.clear();
    }
    own
}

impl Measured<'_> {
    fn report(self, evidence: &Evidence) -> EpisodeReport {
        let Self { engine, episode, instants, outage, rto, rpo, .. } = self;
        let objectives = &engine.plan.objectives;
        EpisodeReport {
            runbook: RunbookReport { id: engine.plan.runbook.id.clone(), digest: engine.plan.runbook.digest.clone() },
            run: engine.run.to_string(),
            outcome: episode.outcome().to_owned(),
            faults: faults(episode),
            instants: wall_instants(evidence, &instants, &outage, &rpo),
            rto: rto_report(rto, objectives),
            rpo: rpo_report(rpo, objectives),
            steps: steps(&engine.plan, episode.run(), &engine.recover.restored_by),
        }
    }
}

/// What struck, with the proof that it did.
fn faults(episode: &Episode) -> Vec<FaultReport> {
    let bite = |bite: &Bite| BiteReport { what: bite.what.clone(), count: bite.count };
    let fault = |struck: &Struck| FaultReport {
        kind: struck.kind.to_owned(),
        story: struck.story.clone(),
        bite: struck.bite.iter().map(bite).collect(),
    };
    episode.struck.iter().map(fault).collect()
}

/// A wrong result is a miss; missing evidence, or a result that could not be examined, leaves the drill unmeasured, whatever the
/// numbers say.
pub(super) fn verdict(checks: &[Check]) -> Verdict {
    let of = |check: &Check| match (check.passed, check.kind, check.measured) {
        (true, ..) => Verdict::Met,
        (false, CheckKind::Result, true) => Verdict::Missed,
        (false, ..) => Verdict::Unmeasured,
    };
    checks.iter().map(of).reduce(Verdict::and).unwrap_or(Verdict::Unmeasured)
}

/// The combined damage of the faults of an episode.
fn damage(episode: &Episode) -> Option<Damage> {
    let began = episode.fault()?;
    Some(Damage { began, records: episode.struck.iter().flat_map(Struck::damage).collect() })
}

fn instants(recover: &RecoverSpec, evidence: &Evidence, episode: &Episode) -> Instants {
    let restored = episode.step_succeeded(&evidence.clock, &recover.restored_by);
    let detect = episode.detection.map(|detection| detection.at);
    Instants {
        detect,
        // The drill declares at once: how long people take to decide is not what it measures.
        declare: detect,
        start: episode.started(&evidence.clock),
        restored,
        first: restored.and_then(|restored| first_service(evidence, restored)),
        redundant: episode.redundant,
        damage: episode.fault(),
    }
}

/// The first acknowledged write or the first good content probe after that instant, whichever is later.
fn first_service(evidence: &Evidence, after: At) -> Option<At> {
    let write = evidence.history.acknowledged().map(|(at, _)| at).filter(|at| *at > after).min()?;
    let good = |probe: &&measurement::Probe| probe.ok && probe.kind == ProbeKind::Content && probe.ended > after;
    let read = evidence.probes.iter().filter(good).map(|probe| probe.ended).min()?;
    Some(write.max(read))
}

fn wall_instants(evidence: &Evidence, instants: &Instants, outage: &Outage, rpo: &Rpo) -> document::Instants {
    let wall = |at: Option<At>| at.map(|at| evidence.wall(at));
    let (onset, stable) = match outage {
        Outage::Seen { onset, stability, .. } => (Some(onset.point), stability.first),
        Outage::None { .. } | Outage::Unmeasured(_) => (None, None),
    };
    document::Instants {
        t_onset: wall(onset),
        t_detect: wall(instants.detect),
        t_declare: wall(instants.declare),
        t_start: wall(instants.start),
        t_restored: wall(instants.restored),
        t_first: wall(instants.first),
        t_stable: wall(stable),
        t_redundant: wall(instants.redundant),
        t_freeze: wall(rpo.freeze),
        damage: wall(instants.damage),
    }
}

fn rto_report(rto: Rto, objectives: &Objectives) -> RtoReport {
    let clock = match objectives.clock {
        ObjectiveClock::Onset => "onset",
        ObjectiveClock::Detect => "detect",
        ObjectiveClock::Declare => "declare",
    };
    RtoReport {
        objective_s: objectives.rto.map(|objective| objective.as_secs_f64()),
        clock: clock.to_owned(),
        service_s: rto.service,
        judged_s: rto.judged,
        procedure_s: rto.procedure,
        decision_s: rto.decision,
        redundancy_s: rto.redundancy,
        verdict: rto.verdict,
        missing: rto.missing,
    }
}

fn rpo_report(rpo: Rpo, objectives: &Objectives) -> RpoReport {
    RpoReport {
        objective_s: objectives.rpo.map(|objective| objective.as_secs_f64()),
        actual_s: rpo.actual,
        pre_fault_s: rpo.pre_fault,
        collateral_s: rpo.collateral,
        residual_damage: rpo.residual_damage,
        resolution_s: rpo.resolution,
        verdict: rpo.verdict,
        missing: rpo.missing,
    }
}

fn writes(evidence: &Evidence, losses: Option<&Losses>, after_first_hole: Option<usize>) -> WritesReport {
    let history = &evidence.history;
    let mut acknowledged: Vec<At> = history.acknowledged().map(|(at, _)| at).collect();
    acknowledged.sort();
    let pauses = acknowledged.windows(2).map(|pair| pair[1].seconds_since(pair[0]));
    let Episode { steady_from: from, steady_until: until, .. } = *evidence.first();
    let steady = until.seconds_since(from).max(0.001);
    let before = evidence.acknowledged_between(from, until);
    let struck = evidence.all_episodes().flat_map(|episode| &episode.struck);
    WritesReport {
        loaded_rows: history.baseline.records.len(),
        damaged_rows: struck.map(|struck| struck.removed.len()).sum(),
        acknowledged: acknowledged.len(),
        failed: history.count(WriteOutcome::Failed),
        lost: losses.map(|losses| losses.lost.len()),
        lost_loaded_rows: losses.map(|losses| losses.lost_loaded.len()),
        after_first_hole,
        unknown: history.count(WriteOutcome::Unknown) + evidence.pending(),
        unknown_found: losses.map(|losses| losses.unknown_found.len()),
        unknown_missing: losses.map(|losses| losses.unknown_missing.len()),
        // A record that is back because its deletion is lost is counted there, where writes may be lost.
        unexpected: losses.map(|losses| match evidence.may_lose_writes() {
            true => losses.unexpected.len() - raised_from_the_dead(losses),
            false => losses.unexpected.len(),
        }),
        raised_from_the_dead: losses.map(raised_from_the_dead),
        rate_before_fault: (before as f64 / steady * 10.0).round() / 10.0,
        longest_pause_s: pauses.fold(0.0, f64::max),
        final_rows: evidence.state.as_ref().ok().map(HashMap::len),
    }
}

fn raised_from_the_dead(losses: &Losses) -> usize {
    losses.unexpected.iter().filter(|row| row.kind == UnexpectedKind::RaisedFromTheDead).count()
}

fn lost_writes(evidence: &Evidence, damage: &[Damage], losses: &Losses) -> Vec<LostWrite> {
    let began = damage.iter().map(|damage| damage.began).min();
    let is_damaged = |key: &Key| damage.iter().any(|damage| damage.records.contains(key));
    let describe = |index: &usize| {
        let write = &evidence.history.writes[*index];
        let keys: Vec<String> =
            write.changes.iter().filter_map(|change| change.key()).map(|key| key.to_string()).collect();
        let damaged = write.changes.iter().filter_map(|change| change.key()).any(|key| is_damaged(&key));
        let why = match (damaged, began.zip(write.ended).map(|(began, ended)| ended < began)) {
            (true, _) => "the fault removed its row, which is not back",
            (false, Some(true)) => "acknowledged before the fault, lost by the fault or the recovery",
            (false, _) => "acknowledged after the fault, lost by the recovery",
        };
        LostWrite {
            write: write.id,
            acknowledged: write.ended.map(|at| evidence.wall(at)),
            what: format!("{:?} {}", write.operation, keys.join(", ")).to_lowercase(),
            why: why.to_owned(),
        }
    };
    losses.lost.iter().take(100).map(describe).collect()
}

fn scaled(request: &DrillRequest) -> Vec<Scaled> {
    let windows = request.spec.windows;
    let stable = Scaled {
        name: "stability window".to_owned(),
        drill: format!("{:?}", windows.stable),
        production: format!("{:?}", windows.stable_in_production),
        worst_case: "The drill does not see a relapse after its window.".to_owned(),
    };
    let archive = request.spec.archive().map(|archive| Scaled {
        name: "archive interval".to_owned(),
        drill: format!("{:?}", archive.interval),
        production: format!("{:?}", archive.in_production),
        worst_case: match request.spec.recoveries().next() {
            Some(_) => format!(
                "The runbook archives the current segment itself. If the primary can no longer do that, up to {:?} of \
                 writes are not in the archive.",
                archive.in_production
            ),
            None => format!(
                "This drill recovers nothing from the archive. Up to {:?} of writes are not in it.",
                archive.in_production
            ),
        },
    });
    std::iter::once(stable).chain(archive).collect()
}

fn environment(engines: &Engines, evidence: &Evidence) -> Environment {
    let plugins = engines.all().next().map(|engine| engine.host.plugins()).unwrap_or_default();
    Environment {
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processors: thread::available_parallelism().map_or(1, std::num::NonZero::get),
        bindings_digest: evidence.bindings_digest.clone(),
        host: Some(HostReport {
            before: evidence.ready,
            at_fault: evidence.first().load_at_fault,
            at_end: evidence.load_at_end,
        }),
        plugins: plugins.into_iter().map(|plugin| PluginReport { name: plugin.name, digest: plugin.digest }).collect(),
    }
}

fn probes(evidence: &Evidence, request: &DrillRequest) -> Vec<ProbeSummary> {
    let first = evidence.probes.iter().map(|probe| probe.started).min();
    let last = evidence.probes.iter().map(|probe| probe.ended).max();
    let seconds = first.zip(last).map_or(0.0, |(first, last)| last.seconds_since(first));
    let wanted = (seconds / request.spec.probes.interval.as_secs_f64()) as usize;
    let summary = |kind: ProbeKind| {
        let lane = || evidence.probes.iter().filter(move |probe| probe.kind == kind);
        let starts: Vec<At> = lane().map(|probe| probe.started).collect();
        let pauses = starts.windows(2).map(|pair| pair[1].seconds_since(pair[0]));
        ProbeSummary {
            kind: kind.title().to_owned(),
            made: lane().count(),
            wanted: Some(wanted),
            longest_pause_s: Some(pauses.fold(0.0, f64::max)),
            failed: lane().filter(|probe| !probe.ok).count(),
            first_failure: lane().find(|probe| !probe.ok).and_then(|probe| probe.detail.clone()),
        }
    };
    ProbeKind::ALL.into_iter().map(summary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{Baseline, Operation, Write},
        model::Collection,
    };

    #[test]
    fn without_checks_nothing_is_proven() {
        assert_eq!(verdict(&[]), Verdict::Unmeasured);
    }

    /// A lost write counts once: for the first recovery whose state took over after it was acknowledged.
    #[test]
    fn a_lost_write_counts_for_one_recovery() {
        let write = |id: u64, ended: i64| Write {
            id,
            writer: 0,
            scheduled: At(ended - 1),
            invoked: At(ended - 1),
            ended: Some(At(ended)),
            outcome: WriteOutcome::Ok,
            operation: Operation::Insert,
            changes: Vec::new(),
        };
        let writes = vec![write(1, 1_000_000), write(2, 5_000_000), write(3, 9_000_000)];
        let history = History { baseline: Baseline::default(), writes };
        let all = Losses {
            lost: [0, 1].into(),
            unknown_missing: [2].into(),
            lost_loaded: [Collection::Orders.key(7)].into(),
            ..Losses::default()
        };
        assert_eq!(of_episode(&history, &all, None), all);
        let second = of_episode(&history, &all, Some(At(3_000_000)));
        assert_eq!(second.lost.iter().copied().collect::<Vec<_>>(), [1]);
        assert!(second.lost_loaded.is_empty() && second.unknown_missing.contains(&2));
        let third = of_episode(&history, &all, Some(At(8_999_999)));
        assert!(third.lost.is_empty() && third.unknown_missing.is_empty(), "{third:?}");
    }
}
