//! The checks of standbys, and of a drill without a recovery.

use super::rule::{Looked, Outline, Rule, Scope, Seen, differing, seen};
use crate::{
    fault::Struck,
    measurement::{Outage, outage},
    report::CheckKind,
};

const fn rule(name: &'static str, kind: CheckKind, need: Need, look: fn(&Looked<'_>) -> Seen) -> Rule {
    let Need { possible, applies, needs } = need;
    Rule { name, kind, scope: Scope::Drill, possible, applies, needs, look }
}

/// The checks of a drill that watches standbys or recovers nothing.
pub(super) static STANDBYS: [Rule; 3] = [
    rule("faults-had-effect", CheckKind::Evidence, UNRECOVERED_FAULTS, faults_had_effect),
    rule("service-undisturbed", CheckKind::Result, NOTHING_RECOVERED, service_undisturbed),
    rule("standbys-agree", CheckKind::Result, STANDBYS_WATCHED, standbys_agree),
];

/// When a check applies, and what that needs of a drill.
struct Need {
    possible: fn(&Outline) -> bool,
    applies: fn(&Looked<'_>) -> bool,
    needs: &'static str,
}

const UNRECOVERED_FAULTS: Need = Need {
    possible: |drill| !drill.recovers,
    applies: unrecovered_faults,
    needs: "faults from which nothing is recovered",
};
const NOTHING_RECOVERED: Need = Need {
    possible: |drill| !drill.recovers,
    applies: nothing_is_recovered,
    needs: "a timeline in which nothing is recovered",
};
const STANDBYS_WATCHED: Need =
    Need { possible: |drill| drill.watches_standbys, applies: with_standbys, needs: "a standby that is watched" };

fn nothing_is_recovered(looked: &Looked<'_>) -> bool {
    looked.recover.is_none()
}

fn unrecovered_faults(looked: &Looked<'_>) -> bool {
    nothing_is_recovered(looked) && !looked.episode.struck.is_empty()
}

fn with_standbys(looked: &Looked<'_>) -> bool {
    !looked.spec.watched_standbys().is_empty()
}

fn faults_had_effect(looked: &Looked<'_>) -> Seen {
    let struck = &looked.episode.struck;
    let said: Vec<&str> = struck.iter().map(|struck| struck.story.as_str()).collect();
    seen(struck.iter().all(Struck::has_bitten), said.join("; "))
}

/// If nothing is recovered, the application must not have noticed anything.
fn service_undisturbed(looked: &Looked<'_>) -> Seen {
    match outage(&looked.evidence.probes, &looked.evidence.rule, None) {
        Outage::None { resolution } => {
            Seen::Holds(format!("no probe failed; the longest gap between two probes was {resolution:.2} s"))
        }
        Outage::Unmeasured(missing) => Seen::Unknown(missing.to_string()),
        Outage::Seen { .. } => {
            let failed = looked.evidence.probes.iter().filter(|probe| !probe.ok);
            let first = failed.clone().next().and_then(|probe| probe.detail.as_deref()).unwrap_or("a probe failed");
            let said = format!("{} probes failed, the first: {first}", failed.clone().count());
            // An answer that came too late may have been kept waiting by the machine as well as by the service.
            let within = looked.spec.probes.answer_within.as_secs_f64();
            let only_late = failed.clone().all(|probe| probe.ended.seconds_since(probe.started) >= within);
            if looked.evidence.ready.too_busy && only_late {
                Seen::Unknown(format!("{said}; the machine was too busy to tell whether it was the service"))
            } else {
                Seen::Fails(said)
            }
        }
    }
}

fn standbys_agree(looked: &Looked<'_>) -> Seen {
    let direct = match &looked.evidence.direct {
        Ok(direct) => direct,
        Err(why) => return Seen::Unknown(format!("the store: {why}")),
    };
    let mut said = Vec::new();
    let mut agree = !looked.evidence.replicas.is_empty() && !direct.is_empty();
    for (standby, state) in &looked.evidence.replicas {
        let state = match state {
            Ok(state) => state,
            Err(why) => return Seen::Unknown(format!("{standby}: {why}")),
        };
        let differing = differing(direct, state);
        agree &= differing == 0;
        said.push(format!("{standby}: {} rows, {differing} differ", state.len()));
    }
    seen(agree, format!("{} rows in the store; {}", direct.len(), said.join("; ")))
}
