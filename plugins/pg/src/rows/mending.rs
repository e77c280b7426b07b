//! Rows that the transaction only changed. What it did to them is undone if that is exact: a foreign key that became null or its
//! default because its row was removed (`ON DELETE SET NULL`, `SET DEFAULT`), is so still, and whose row is back. All others are
//! counted and reported.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    rows::{cleared, content, exact_set::Tuples, merge::Merge, obstacle::Triggers, preparation, stages::Stages},
    server::{Capabilities, identifier::TableName},
};

const ROWS_AT_ONCE: usize = 20_000;
/// Examples of one table.
const EXAMPLES: usize = 3;

/// The state of rows that were only changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mended {
    /// Foreign keys that point at their row again.
    pub references: u64,
    /// Rows that are not as they were before.
    pub left: u64,
    /// Both versions of a few.
    pub examples: Vec<String>,
}

/// The mending under way, in the open transaction of the merge.
pub struct Mending<'a, C: Capabilities> {
    /// Streams rows.
    pub caps: &'a C,
    /// With the open transaction.
    pub primary: &'a C::Connection,
    /// Where the rows are as they were.
    pub copy: &'a C::Connection,
    /// What user triggers mean.
    pub triggers: Triggers,
    /// Where the removed rows of the tables wait.
    pub stages: &'a Stages,
    /// Where positions of staging tables go on.
    pub position: usize,
}

impl<C: Capabilities> Mending<'_, C> {
    /// Works through all tables of changed rows.
    pub fn all(&self, changed: &BTreeMap<TableName, Tuples>) -> Result<Mended, Failure> {
        let mut mended = Mended::default();
        for (at, (name, tuples)) in changed.iter().enumerate() {
            match preparation::match_changed(self.primary, self.copy, name)? {
                Some((oid, matched)) => {
                    self.table(oid, &Merge::new(&matched, self.position + at), tuples, &mut mended)?
                }
                None => {
                    mended.left += tuples.len();
                    mended.examples.push(format!(
                        "{}: {} changed rows that cannot be compared",
                        name.plain(),
                        tuples.len()
                    ));
                }
            }
        }
        Ok(mended)
    }

    fn table(&self, oid: i64, merge: &Merge<'_>, tuples: &Tuples, mended: &mut Mended) -> Result<(), Failure> {
        let table = &merge.matched.now;
        self.primary.execute(&merge.create_stage(), &[])?;
        let mut staged = 0;
        for (places, _) in tuples.batches(ROWS_AT_ONCE) {
            let columns = merge.staged();
            staged +=
                self.caps.copy_between(self.copy, &merge.fetch(&places), self.primary, &merge.stage(), &columns)?;
        }
        self.primary.execute(&merge.analyze(), &[])?;
        if self.may_update(merge)? {
            self.role("replica")?;
            for reference in &table.references {
                let Some(cleared) = cleared::cleared(self.copy, oid, merge.matched, reference)? else { continue };
                for stage in self.stages.of_parent(self.primary, &reference.parent)? {
                    mended.references += self.primary.execute(&merge.mend(reference, &cleared, &stage), &[])?;
                }
            }
            self.role("origin")?;
        }
        let rows = self.primary.query(&merge.count_changed(), &[])?;
        let left = rows.one()?.get::<u64>("differ")? + tuples.len().saturating_sub(staged);
        mended.left += left;
        if left > 0 {
            self.tell(merge, left, mended)?;
        }
        Ok(())
    }

    fn role(&self, role: &str) -> Result<(), Failure> {
        if self.triggers == Triggers::Skip {
            self.primary.execute(&format!("SET LOCAL session_replication_role = {role}"), &[])?;
        }
        Ok(())
    }

    /// Whether the login may update the table, and what that does is what it says.
    fn may_update(&self, merge: &Merge<'_>) -> Result<bool, Failure> {
        let table = &merge.matched.now;
        let cleared = table.references.iter().any(|reference| !reference.cleared.is_empty());
        let always = table.update_triggers.iter().any(|trigger| trigger.always);
        let fine = match self.triggers {
            Triggers::Fire => true,
            Triggers::Skip => !always,
            Triggers::Refuse => table.update_triggers.is_empty(),
        };
        if !cleared || !fine {
            return Ok(false);
        }
        let sql = "SELECT has_table_privilege($1::text, 'UPDATE') AS allowed";
        self.primary.query(sql, &[Value::from(table.name.sql())])?.one()?.get("allowed")
    }

    fn tell(&self, merge: &Merge<'_>, left: u64, mended: &mut Mended) -> Result<(), Failure> {
        let (table, columns) = (merge.matched.now.name.plain(), merge.matched.now.written());
        mended.examples.push(format!("{table}: {left} rows that the transaction changed differ from before"));
        for row in self.primary.query(&merge.changed_examples(EXAMPLES), &[])?.iter() {
            let (then, now): (Vec<String>, Vec<String>) = (row.get("then")?, row.get("now")?);
            let key = content::clean(&row.get::<String>("key")?);
            mended.examples.push(format!("{table} {key}: {}", content::difference(&columns, &then, &now)));
        }
        Ok(())
    }
}
