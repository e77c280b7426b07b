//! The checks of a drill that recovers nothing and watches a standby, each seen failing.

use super::*;

/// Two regions in which all went well.
struct Watch {
    evidence: Evidence,
    spec: DrillSpec,
    holding: Holding,
}

impl Watch {
    fn good() -> Self {
        let spec = DrillRequest::new("standby-lag", "nowhere").unwrap().spec;
        let Case { mut evidence, holding, .. } = Case::good();
        let struck =
            Struck { removed: FinalState::new(), changed: FinalState::new(), ..evidence.episodes[0].struck[0].clone() };
        evidence.rest = Episode { steady_until: FAULT, struck: vec![struck], ..Episode::default() };
        evidence.episodes.clear();
        evidence.probes.iter_mut().for_each(|probe| probe.ok = true);
        evidence.writers.acknowledged = evidence.handed_in - 1;
        evidence.replicas = vec![("west".to_owned(), evidence.direct.clone())];
        Self { evidence, spec, holding }
    }

    fn failed(&self) -> Vec<(String, bool)> {
        let Self { evidence, spec, holding } = self;
        let (losses, episode) = (Losses::default(), &evidence.rest);
        let looked = Looked {
            evidence,
            losses: Some(&losses),
            spec,
            holding,
            number: 1,
            episode,
            run: "standby-lag-20261130-0001",
            recover: None,
            telling: &[],
        };
        let checks = checks(&looked);
        assert!(checks.iter().any(|check| check.name == "standbys-agree"), "{checks:#?}");
        assert!(!checks.iter().any(|check| check.name == "runbook-succeeded"), "there was none: {checks:#?}");
        checks.into_iter().filter(|check| !check.passed).map(|check| (check.name, check.measured)).collect()
    }
}

#[test]
fn each_check_of_a_standby_fails_where_it_should() {
    assert_eq!(Watch::good().failed(), []);
    type Doctor = fn(&mut Watch);
    let table: [(&str, Doctor, (&str, bool)); 9] = [
        (
            "a fault without effect",
            |watch| watch.evidence.rest.struck[0].bite[0].count = 0,
            ("faults-had-effect", true),
        ),
        ("a probe failed", |watch| watch.evidence.probes.last_mut().unwrap().ok = false, ("service-undisturbed", true)),
        (
            "a probe failed at once on a busy machine",
            |watch| {
                watch.evidence.ready.too_busy = true;
                watch.evidence.probes.last_mut().unwrap().ok = false;
            },
            ("service-undisturbed", true),
        ),
        (
            "a probe had no answer in time on a busy machine",
            |watch| {
                watch.evidence.ready.too_busy = true;
                let probe = watch.evidence.probes.last_mut().unwrap();
                (probe.ok, probe.ended) = (false, At(probe.ended.0 + 60_000_000));
            },
            ("service-undisturbed", false),
        ),
        (
            "hardly any probes",
            |watch| watch.evidence.probes.retain(|probe| probe.kind != ProbeKind::FreshWrite),
            ("service-undisturbed", false),
        ),
        (
            "a row is missing on the standby",
            |watch| drop(watch.evidence.replicas[0].1.as_mut().unwrap().remove(&order(MARKER))),
            ("standbys-agree", true),
        ),
        (
            "a row is another one on the standby",
            |watch| watch.evidence.replicas[0].1.as_mut().unwrap().get_mut(&order(MARKER)).unwrap().write = 9_999,
            ("standbys-agree", true),
        ),
        (
            "it could not be read",
            |watch| watch.evidence.replicas[0].1 = Err("refused".to_owned()),
            ("standbys-agree", false),
        ),
        ("nobody looked", |watch| watch.evidence.replicas.clear(), ("standbys-agree", true)),
    ];
    for (story, doctor, (name, measured)) in table {
        let mut watch = Watch::good();
        doctor(&mut watch);
        assert!(watch.failed().contains(&(name.to_owned(), measured)), "{story}: {:?}", watch.failed());
    }
}
