//! A drill in one plain sentence, for whoever reads nothing else. It says first whether the drill passed, and names a number as what it
//! is: an upper bound where it is a promise, a lower one where it is a reproach.

#[cfg(test)]
mod tests;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    CheckKind, DrillReport, EpisodeReport, Fidelity, Interval, LagReport, Proof, RoutineReport, Verdict, proof,
};

/// The sentence.
pub fn sentence(report: &DrillReport) -> String {
    let (what, was) = rehearsed(report);
    let ended = match proof(report) {
        Proof::Passed => "passed",
        Proof::Failed => "failed",
        Proof::None => "proved nothing",
    };
    let when = day(report).map_or_else(String::new, |day| format!("On {day} "));
    let told = format!("{when}{what} {was} {} and {ended}: {}", on(report), clauses(&facts(report)));
    // Names come from files, and a sentence has no lines.
    let told = told.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    capital(&(told.collect::<Vec<_>>().join(" ") + "."))
}

/// The day on which it was held, in UTC. Reports of earlier versions say only when something happened in it.
fn day(report: &DrillReport) -> Option<String> {
    let instants = report.episodes.iter().map(|episode| &episode.instants);
    let happened = instants.flat_map(|it| [it.damage, it.t_onset, it.t_start, it.t_stable]).flatten();
    let watched = report.lags.iter().map(|lag| lag.from).chain(report.routines.iter().map(|routine| routine.from));
    let from: Option<Timestamp> = report.held.as_ref().map(|held| held.from).or_else(|| happened.chain(watched).min());
    from.map(|from| from.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What was rehearsed, and the verb for it.
fn rehearsed(report: &DrillReport) -> (String, &'static str) {
    let recoveries: Vec<String> = report.episodes.iter().map(recovery).collect();
    match recoveries.len() {
        0 => (format!("the drill {}{}", report.drill, with_faults(report)), "was held"),
        1 => (joined(&recoveries), "was rehearsed"),
        _ => (joined(&recoveries), "were rehearsed"),
    }
}

fn recovery(episode: &EpisodeReport) -> String {
    let mut faults: Vec<String> = episode.faults.iter().map(|fault| spaced(&fault.kind)).collect();
    faults.dedup();
    let id = &episode.runbook.id;
    if faults.is_empty() {
        format!("the recovery {id}")
    } else {
        format!("the recovery from {} ({id})", joined(&faults))
    }
}

/// What struck in a drill that recovers nothing. Earlier versions only say what was not healed while a standby was watched.
fn with_faults(report: &DrillReport) -> String {
    let struck = report.faults.iter().map(|fault| &fault.kind);
    let open = report.lags.iter().flat_map(|lag| &lag.faults).filter(|_| report.faults.is_empty());
    let mut faults: Vec<String> = Vec::new();
    for fault in struck.chain(open).map(|fault| spaced(fault)) {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    if faults.is_empty() { String::new() } else { format!(" with {}", joined(&faults)) }
}

/// `host crash` for `host-crash`.
fn spaced(kind: &str) -> String {
    kind.replace('-', " ")
}

/// What it was rehearsed on: never on production.
fn on(report: &DrillReport) -> String {
    let systems = &report.testbed.systems;
    let doubles = systems.iter().filter(|system| system.fidelity != Fidelity::Real);
    let doubles: Vec<String> = doubles.map(|system| system.role.clone()).collect();
    match doubles.len() {
        _ if systems.is_empty() => "on a testbed of unnamed systems".to_owned(),
        0 => "on a testbed of real systems".to_owned(),
        some if some < systems.len() => {
            format!("on a testbed of real systems, with a stand-in for {},", joined(&doubles))
        }
        _ => "on a testbed of stand-ins alone".to_owned(),
    }
}

fn facts(report: &DrillReport) -> Vec<String> {
    let several = report.episodes.len() > 1;
    let mut facts: Vec<String> = report.episodes.iter().map(|episode| back(episode, several)).collect();
    facts.extend(watched(&report.lags));
    facts.extend(executed(&report.routines));
    if !facts.is_empty() {
        facts.extend(lost(report));
        facts.extend(damaged(report));
    }
    facts.extend(doubts(report));
    if facts.is_empty() { vec!["nothing was measured".to_owned()] } else { facts }
}

/// When the service was back.
fn back(episode: &EpisodeReport, several: bool) -> String {
    let rto = &episode.rto;
    let since = match rto.clock.as_str() {
        "detect" => "the outage was noticed",
        "declare" => "the disaster was declared",
        _ => "the outage began",
    };
    let of = if several { format!(" in {}", episode.runbook.id) } else { String::new() };
    let Some(Interval { low, high }) = rto.judged_s else {
        return format!("how long the service was down{of} was not measured");
    };
    let allowed = allowed(rto.objective_s);
    match (high, rto.verdict) {
        (None, _) => format!("the service was still not back{of} {} after {since} ({allowed})", at_least(low)),
        (Some(_), Verdict::Missed) => {
            format!("the service was back{of} no sooner than {} after {since} ({allowed})", at_least(low))
        }
        (Some(high), Verdict::Unmeasured) if rto.objective_s.is_some() => format!(
            "the service was back{of} between {} and {} after {since} ({allowed}; whether that was kept is open)",
            at_least(low),
            at_most(high)
        ),
        (Some(high), _) => format!("the service was back{of} within {} after {since} ({allowed})", at_most(high)),
    }
}

fn allowed(objective_s: Option<f64>) -> String {
    objective_s.map_or_else(|| "no objective is set".to_owned(), |seconds| format!("{} is allowed", exact(seconds)))
}

/// What became of what was acknowledged.
fn lost(report: &DrillReport) -> Vec<String> {
    let writes = &report.writes;
    let (Some(lost), Some(loaded)) = (writes.lost, writes.lost_loaded_rows) else {
        let some = writes.lost.unwrap_or(0) + writes.lost_loaded_rows.unwrap_or(0);
        let seen = (some > 0).then(|| format!("{some} records were lost"));
        return seen.into_iter().chain(["what was lost was not measured in full".to_owned()]).collect();
    };
    let mut said = Vec::new();
    if lost > 0 {
        let (writes, were) = if lost == 1 { ("write", "was") } else { ("writes", "were") };
        said.push(format!("{lost} acknowledged {writes} {were} lost{}", reach(report)));
    }
    if loaded > 0 {
        said.push(format!("{loaded} of the records loaded before are missing"));
    }
    if said.is_empty() {
        said.push("nothing that was acknowledged was lost".to_owned());
    }
    said
}

/// How far back the losses reach, in the recovery that lost most.
fn reach(report: &DrillReport) -> String {
    let high = |rpo: &Interval| rpo.high.unwrap_or(f64::INFINITY);
    let rpos = report.episodes.iter().filter_map(|episode| Some((episode.rpo.actual_s?, &episode.rpo)));
    let Some((actual, rpo)) = rpos.max_by(|one, other| high(&one.0).total_cmp(&high(&other.0))) else {
        return String::new();
    };
    let allowed = allowed(rpo.objective_s);
    match (actual.high, rpo.verdict) {
        (Some(high), Verdict::Met) => format!(", reaching back at most {} ({allowed})", at_most(high)),
        _ => format!(", reaching back at least {} ({allowed})", at_least(actual.low)),
    }
}

/// What is wrong with what is there.
fn damaged(report: &DrillReport) -> Vec<String> {
    let residual = report.residual_damage().filter(|left| *left > 0);
    let unlooked = report.episodes.iter().any(|episode| {
        let has_damage = episode.faults.iter().any(|fault| !fault.bite.is_empty()) && report.writes.damaged_rows > 0;
        has_damage && episode.rpo.residual_damage.is_none()
    });
    let unexpected = report.writes.unexpected.filter(|count| *count > 0);
    [
        residual.map(|left| format!("{left} damaged records are still not right")),
        unlooked.then(|| "whether damage is left was not measured".to_owned()),
        unexpected.map(|count| format!("{count} records are there that should not be")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How far behind standbys were.
fn watched(lags: &[LagReport]) -> Vec<String> {
    if lags.is_empty() {
        return Vec::new();
    }
    let count = |verdict: Verdict| lags.iter().filter(|lag| lag.verdict == verdict).count();
    let parts = [(Verdict::Met, "passed"), (Verdict::Missed, "failed"), (Verdict::Unmeasured, "proved nothing")];
    let ended: Vec<(usize, &str)> =
        parts.map(|(verdict, word)| (count(verdict), word)).into_iter().filter(|(count, _)| *count > 0).collect();
    let mut said = vec![match ended.as_slice() {
        [(1, word)] => format!("a standby was watched once, which {word}"),
        [(all, word)] => format!("a standby was watched {all} times, all of which {word}"),
        parts => {
            let parts: Vec<String> = parts.iter().map(|(count, word)| format!("{count} {word}")).collect();
            format!("a standby was watched {} times, of which {}", lags.len(), joined(&parts))
        }
    }];
    let highs: Option<Vec<f64>> = lags.iter().map(|lag| lag.longest_s?.high).collect();
    if let Some(longest) = highs.and_then(|highs| highs.into_iter().reduce(f64::max)) {
        said.push(format!("it was never more than {} behind", at_most(longest)));
    }
    said
}

/// How the runbooks ended that recover nothing.
fn executed(routines: &[RoutineReport]) -> Vec<String> {
    let right = |routine: &&RoutineReport| routine.verdict == Verdict::Met;
    let (failing, green): (Vec<_>, Vec<_>) = routines.iter().partition(|routine| routine.fails_with.is_some());
    let count = |of: &[&RoutineReport]| of.iter().copied().filter(right).count();
    let said = [
        (!failing.is_empty())
            .then(|| format!("the damage was found and named {} of {} times", count(&failing), failing.len())),
        (!green.is_empty()).then(|| format!("{} of {} runs without damage succeeded", count(&green), green.len())),
    ];
    said.into_iter().flatten().collect()
}

/// What stands against the drill beside its numbers.
fn doubts(report: &DrillReport) -> Vec<String> {
    let names = |is: &dyn Fn(&super::Check) -> bool| {
        let mut names: Vec<String> = Vec::new();
        for check in report.checks.iter().filter(|check| is(check)) {
            if !names.contains(&check.name) {
                names.push(check.name.clone());
            }
        }
        names
    };
    let wrong = names(&|check| check.kind == CheckKind::Result && check.measured && !check.passed);
    let unknown = names(&|check| !check.passed && (check.kind == CheckKind::Evidence || !check.measured));
    let controls = |measured: bool| -> Vec<String> {
        let green = report.controls.iter().filter(|it| !it.turned_red && it.measured == measured);
        green.map(|control| control.name.clone()).collect()
    };
    let quiet = report.control_run.as_ref().is_some_and(|run| !run.passed);
    [
        counted(&wrong, "check did not hold", "checks did not hold"),
        counted(&unknown, "check could not be relied on", "checks could not be relied on"),
        counted(&controls(true), "known breakage was not seen", "known breakages were not seen"),
        counted(&controls(false), "control showed nothing", "controls showed nothing"),
        quiet.then(|| "the run without a fault did not pass".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn counted(names: &[String], one: &str, many: &str) -> Option<String> {
    let words = if names.len() == 1 { one } else { many };
    (!names.is_empty()).then(|| format!("{} {words} ({})", names.len(), names.join(", ")))
}

/// `a`, `a and b`, `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// The same of whole clauses, which have commas of their own.
fn clauses(parts: &[String]) -> String {
    match parts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{}, and {last}", rest.join(", ")),
    }
}

/// An upper bound for people: never less than it is.
fn at_most(seconds: f64) -> String {
    length(seconds, f64::ceil)
}

/// A lower bound for people: never more than it is.
fn at_least(seconds: f64) -> String {
    length(seconds, f64::floor)
}

fn exact(seconds: f64) -> String {
    length(seconds, f64::round)
}

/// `0.03 s`, `3.4 s`, `1 min 05 s`, `1 h`, `1 h 02 min`.
fn length(seconds: f64, rounded: fn(f64) -> f64) -> String {
    let to = |digits: f64| rounded((seconds * digits * 1e6).round() / 1e6) / digits;
    let parts = |whole: f64, (unit, large): (f64, &str), small: &str| {
        let (first, rest) = ((whole / unit).floor(), whole % unit);
        if rest == 0.0 { format!("{first:.0} {large}") } else { format!("{first:.0} {large} {rest:02.0} {small}") }
    };
    match seconds {
        _ if to(100.0) == to(100.0).trunc() && to(100.0) < 60.0 => format!("{:.0} s", to(100.0)),
        few if few < 1.0 => format!("{:.2} s", to(100.0)),
        few if to(10.0) < 60.0 && few < 60.0 => format!("{:.1} s", to(10.0)),
        some if to(1.0) < 3600.0 && some < 3600.0 => parts(to(1.0), (60.0, "min"), "s"),
        _ => parts(rounded((seconds / 60.0 * 1e6).round() / 1e6), (60.0, "h"), "min"),
    }
}
