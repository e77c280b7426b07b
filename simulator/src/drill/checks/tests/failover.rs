//! The checks of a failover, each seen failing.

use super::*;
use crate::drill::spec::RecoverSpec;

/// A region was lost, and the other one took over at the end of the step that the evidence has.
struct Failover {
    evidence: Evidence,
    losses: Losses,
    spec: DrillSpec,
    holding: Holding,
}

impl Failover {
    fn good() -> Self {
        let spec = DrillRequest::new("dr-002-sync", "nowhere").unwrap().spec;
        let Case { mut evidence, holding, .. } = Case::good();
        evidence.episodes[0].may_lose_writes = true;
        evidence.inside = vec![At(1_000)];
        evidence.others_take_writes = vec![("east".to_owned(), false)];
        evidence.new_backups = Ok(vec!["recovery/base-1".to_owned()]);
        // A deletion that is lost brings its row back.
        let back = Unexpected { key: order(1), kind: UnexpectedKind::RaisedFromTheDead };
        Self { evidence, losses: Losses { unexpected: vec![back], ..Losses::default() }, spec, holding }
    }

    /// Those of them that do not hold, and whether that is known.
    fn failed(&self) -> Vec<(String, bool)> {
        let Self { evidence, losses, spec, holding } = self;
        let recover = spec.recoveries().next().unwrap();
        let recover = RecoverSpec { restored_by: "merge".to_owned(), ..recover.clone() };
        let looked = Looked {
            evidence,
            losses: Some(losses),
            spec,
            holding,
            number: 1,
            episode: &evidence.episodes[0],
            run: "dr-002-sync-20261130-0001",
            recover: Some(&recover),
            telling: &[],
        };
        let own: Vec<&str> = FAILOVER.iter().map(|rule| rule.name).chain(["rows-equal-ledger"]).collect();
        let checks: Vec<Check> =
            checks(&looked).into_iter().filter(|check| own.contains(&check.name.as_str())).collect();
        assert_eq!(checks.len(), own.len(), "each applies: {checks:#?}");
        checks.into_iter().filter(|check| !check.passed).map(|check| (check.name, check.measured)).collect()
    }
}

#[test]
fn each_check_of_a_failover_fails_where_it_should() {
    assert_eq!(Failover::good().failed(), []);
    type Doctor = fn(&mut Failover);
    let table: [(&str, Doctor, (&str, bool)); 10] = [
        (
            "a younger write is there although an older one is lost",
            |it| {
                it.losses.lost.insert(0);
                it.evidence.state.as_mut().unwrap().insert(order(1008), final_row(9));
            },
            ("lost-writes-are-the-newest", true),
        ),
        (
            "a write of the new primary is lost",
            |it| {
                it.losses.lost.insert(120);
                it.evidence.history.writes[120].ended = Some(At(3_500_000));
            },
            ("lost-writes-are-the-newest", true),
        ),
        ("a commit had waited", |it| assert!(it.losses.lost.insert(119)), ("synchronous-writes-survive", true)),
        (
            "a number was handed out twice",
            |it| it.evidence.history.writes[8].changes[0].id = Some(Id::Number(MARKER)),
            ("keys-given-once", true),
        ),
        (
            "the old primary went on",
            |it| it.evidence.inside.push(At(3_100_000)),
            ("nothing-acknowledged-elsewhere", true),
        ),
        ("it came back", |it| it.evidence.others_take_writes[0].1 = true, ("one-primary", true)),
        ("nothing was backed up", |it| it.evidence.new_backups = Ok(Vec::new()), ("new-timeline-backed-up", true)),
        (
            "nobody could look",
            |it| it.evidence.new_backups = Err("refused".to_owned()),
            ("new-timeline-backed-up", false),
        ),
        (
            "a row that nobody wrote",
            |it| it.losses.unexpected.push(Unexpected { key: order(7), kind: UnexpectedKind::NeverWritten }),
            ("rows-equal-ledger", true),
        ),
        (
            "a row of the load is gone",
            |it| assert!(it.losses.lost_loaded.insert(order(7))),
            ("rows-equal-ledger", true),
        ),
    ];
    for (story, doctor, (name, measured)) in table {
        let mut failover = Failover::good();
        doctor(&mut failover);
        assert!(failover.failed().contains(&(name.to_owned(), measured)), "{story}: {:?}", failover.failed());
    }
}
