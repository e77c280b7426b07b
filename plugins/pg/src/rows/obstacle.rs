//! What keeps rows from going back into a table, each with its way out.

use lifeboat_plugin::Failure;
use serde::{Deserialize, Serialize};

use crate::rows::relation::{Table, Trigger};

/// The way out where a column has no value for rows from before.
pub const GIVE_A_DEFAULT: &str =
    "give it a default during the recovery (`ALTER TABLE … ALTER COLUMN … SET DEFAULT …`), then retry this step";

/// What user triggers on a table mean for a merge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Triggers {
    /// They forbid it: their effect the second time is unknown.
    #[default]
    Refuse,
    /// They fire.
    Fire,
    /// They do not fire.
    Skip,
}

/// One reason why rows of a table cannot go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// The code that `lifeboat explain` knows.
    pub code: String,
    /// The table, or what else it concerns.
    pub table: String,
    /// What is in the way.
    pub what: String,
    /// What a person can do.
    pub way_out: String,
}

impl Obstacle {
    /// An obstacle; `table` as people read it.
    pub fn new(code: &str, table: &str, what: impl Into<String>, way_out: &str) -> Self {
        let (code, table, way_out) = (code.to_owned(), table.to_owned(), way_out.to_owned());
        Self { code, table, what: what.into(), way_out }
    }

    fn sentence(&self) -> String {
        format!("{} {}: {}", self.table, self.what, self.way_out)
    }
}

/// All of them in one failure: with its own code where there is one, with `pg-obstacles` where there are several.
pub fn refuse(obstacles: &[Obstacle]) -> Result<(), Failure> {
    match obstacles {
        [] => Ok(()),
        [one] => Err(Failure::permanent(&one.code, one.sentence())),
        several => {
            let listed: Vec<_> =
                several.iter().map(|obstacle| format!("[{}] {}", obstacle.code, obstacle.sentence())).collect();
            let message = format!("{} obstacles keep the rows from going back:\n{}", several.len(), listed.join("\n"));
            Err(Failure::permanent("pg-obstacles", message))
        }
    }
}

/// What the catalog of the server alone says about a table into which rows go back.
pub fn of_table(table: &Table, triggers: Triggers, superuser: bool) -> Vec<Obstacle> {
    let wanted = (triggers, superuser);
    of_event(table, "INSERT", (&table.insert_triggers, &table.insert_rules), wanted)
}

/// The same about a table in which values go back.
pub fn of_changed_table(table: &Table, triggers: Triggers, superuser: bool) -> Vec<Obstacle> {
    let wanted = (triggers, superuser);
    of_event(table, "UPDATE", (&table.update_triggers, &table.update_rules), wanted)
}

fn of_event(
    table: &Table,
    event: &str,
    (triggers, rules): (&[Trigger], &[String]),
    (wanted, superuser): (Triggers, bool),
) -> Vec<Obstacle> {
    let name = table.name.plain();
    let mut found = Vec::new();
    if table.key.is_empty() {
        found.push(Obstacle::new(
            "pg-no-primary-key",
            &name,
            "has neither a primary key nor a unique index on NOT NULL columns, so a row that is already there cannot \
             be recognised",
            "give it one (`ALTER TABLE … ADD PRIMARY KEY …`), then retry this step",
        ));
    }
    found.extend(of_triggers(&name, event, triggers, wanted, superuser));
    if !rules.is_empty() {
        found.push(Obstacle::new(
            "pg-rules",
            &name,
            format!("has rules on {event} ({}), which replace what is put back by something else", rules.join(", ")),
            "disable them during the recovery (`ALTER TABLE … DISABLE RULE …`), then retry this step",
        ));
    }
    found
}

fn of_triggers(table: &str, event: &str, found: &[Trigger], wanted: Triggers, superuser: bool) -> Option<Obstacle> {
    let names = |triggers: &mut dyn Iterator<Item = &Trigger>| {
        triggers.map(|trigger| trigger.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let always = names(&mut found.iter().filter(|trigger| trigger.always));
    let all = names(&mut found.iter());
    match wanted {
        _ if found.is_empty() => None,
        Triggers::Fire => None,
        Triggers::Refuse => Some(Obstacle::new(
            "pg-triggers",
            table,
            format!("has triggers on {event} ({all}), which would fire for each row that is put back"),
            "if they must not fire, disable them (`ALTER TABLE … DISABLE TRIGGER …`) and retry this step, or start \
             with `--input triggers=skip`; if they may, start with `--input triggers=fire`",
        )),
        Triggers::Skip if !superuser => Some(Obstacle::new(
            "pg-triggers",
            table,
            format!(
                "has triggers on {event} ({all}), which only a login that may set `session_replication_role` can skip"
            ),
            "`GRANT SET ON PARAMETER session_replication_role TO` the login, or disable them (`ALTER TABLE … DISABLE TRIGGER …`), \
             then retry this step",
        )),
        Triggers::Skip if !always.is_empty() => Some(Obstacle::new(
            "pg-triggers",
            table,
            format!("has triggers that are enabled as ALWAYS ({always}): they fire even where triggers are skipped"),
            "disable them (`ALTER TABLE … DISABLE TRIGGER …`), then retry this step",
        )),
        Triggers::Skip => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::identifier::TableName;

    fn table() -> Table {
        let name = TableName { schema: "public".to_owned(), name: "t".to_owned() };
        Table { name, key: vec!["id".to_owned()], ..Table::default() }
    }

    fn with_trigger(always: bool) -> Table {
        Table { insert_triggers: vec![Trigger { name: "audit".to_owned(), always }], ..table() }
    }

    #[test]
    fn each_obstacle_has_a_code() {
        let check = |table: &Table, triggers, superuser, expect: &[&str]| {
            let found = of_table(table, triggers, superuser);
            assert_eq!(found.iter().map(|it| it.code.as_str()).collect::<Vec<_>>(), expect, "{table:?}");
        };
        check(&table(), Triggers::Refuse, false, &[]);
        check(&Table { key: vec![], ..table() }, Triggers::Fire, true, &["pg-no-primary-key"]);
        check(&with_trigger(false), Triggers::Refuse, true, &["pg-triggers"]);
        check(&with_trigger(true), Triggers::Fire, false, &[]);
        check(&with_trigger(false), Triggers::Skip, false, &["pg-triggers"]);
        check(&with_trigger(false), Triggers::Skip, true, &[]);
        check(&with_trigger(true), Triggers::Skip, true, &["pg-triggers"]);
        check(&Table { insert_rules: vec!["log".to_owned()], ..table() }, Triggers::Refuse, false, &["pg-rules"]);
        // What happens to rows that are changed is no matter for rows that are put back, nor the other way round.
        let insert = Table { insert_rules: vec!["log".to_owned()], ..with_trigger(true) };
        assert_eq!(of_changed_table(&insert, Triggers::Refuse, false), []);
        let audit = vec![Trigger { name: "audit".to_owned(), always: false }];
        let update = Table { update_rules: vec!["log".to_owned()], update_triggers: audit, ..table() };
        assert_eq!(of_table(&update, Triggers::Refuse, false), []);
        let found = of_changed_table(&update, Triggers::Refuse, false);
        assert_eq!(found.iter().map(|it| it.code.as_str()).collect::<Vec<_>>(), ["pg-triggers", "pg-rules"]);
    }

    #[test]
    fn several_are_told_at_once() {
        let one = of_table(&with_trigger(false), Triggers::Refuse, false);
        assert_eq!(refuse(&one).expect_err("refused").code(), "pg-triggers");
        let two = [one, of_table(&Table { key: vec![], ..table() }, Triggers::Refuse, false)].concat();
        let failure = refuse(&two).expect_err("refused");
        assert_eq!(failure.code(), "pg-obstacles");
        assert!(failure.reason().message.contains("audit") && failure.reason().message.contains("primary key"));
        assert_eq!(refuse(&[]), Ok(()));
    }
}
