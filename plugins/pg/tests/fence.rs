//! `pg/fence` against a scripted host: what proves that the old primary writes no more, what proves nothing, and what is never touched.

mod scripted;

use lifeboat_plugin::{
    Effect, Failure,
    fake::{Fake, ended},
};
use scripted::{IDENTIFIER, cluster, outputs, run};
use serde_json::{Value, json};

const SIGNAL: &str = "/data/standby.signal";

/// A host whose data folder says so of itself.
fn host(identifier: u64, state: &'static str) -> Fake {
    let fake = cluster();
    fake.machine.add_folder("data", "/data").expect("a folder");
    let control =
        format!("Database system identifier:           {identifier}\nDatabase cluster state:               {state}\n");
    fake.machine.add_program("pg_controldata", Effect::Read, move |_, _| ended(0, &control, ""));
    fake
}

fn fence(fake: &Fake) -> Result<Value, Failure> {
    run(fake, "fence", &json!({ "host": "old_host", "server": "standby" })).map(|outcome| outputs(&outcome))
}

#[test]
fn a_host_that_is_not_that_of_the_old_primary_proves_nothing_and_is_left_alone() {
    let proven = |fake: &Fake| fence(fake).expect("an answer")["proven"] == true;
    for state in ["in production", "shut down", "in crash recovery"] {
        let fake = host(IDENTIFIER, state);
        assert!(proven(&fake) && fake.machine.files().exists(SIGNAL), "{state}");
        assert!(proven(&fake), "{state}: a second time");
    }
    let elsewhere = host(IDENTIFIER + 1, "in production");
    assert!(!proven(&elsewhere) && !elsewhere.machine.files().exists(SIGNAL), "another cluster");
    assert!(!proven(&cluster()), "a host that is not bound as one");
    let gone = cluster();
    gone.machine.add_folder("data", "/data").expect("a folder");
    gone.machine.add_program("pg_controldata", Effect::Read, |_, _| ended(1, "", "could not open file"));
    assert!(!proven(&gone), "a data folder that is gone");
}

#[test]
fn a_standby_is_refused_and_what_only_reads_changes_nothing() {
    for state in ["in archive recovery", "shut down in recovery"] {
        let fake = host(IDENTIFIER, state);
        let refused = fence(&fake).expect_err("it may be the one that is promoted next");
        assert_eq!(refused.code(), "pg-fence-standby");
        assert!(!fake.machine.files().exists(SIGNAL));
    }
    let fake = host(IDENTIFIER, "in production");
    fake.grant(Effect::Read);
    assert!(matches!(fence(&fake), Err(Failure::Denied(_))), "a dry-run");
    assert!(!fake.machine.files().exists(SIGNAL));
}
