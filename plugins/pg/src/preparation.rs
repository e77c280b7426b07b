//! What must hold before rows are put back: every table still fits, can be recognised by key, and has an order.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure};
use serde::Deserialize;

use crate::{
    exact_set::ExactSet,
    identifier::TableName,
    relation::{self, Table},
};

/// What user triggers on INSERT mean for a merge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Triggers {
    /// They forbid it: nobody knows what they would do a second time.
    #[default]
    Refuse,
    /// They fire.
    Fire,
}

/// The tables of the set, parents first.
pub fn prepare<C: Connection>(
    primary: &C,
    copy: &C,
    set: &ExactSet,
    triggers: Triggers,
) -> Result<Vec<Table>, Failure> {
    let mut tables = BTreeMap::new();
    for name in set.tables.keys() {
        let now = relation::describe(primary, name)?.ok_or_else(|| gone(name))?;
        let then = relation::describe(copy, name)?.ok_or_else(|| gone(name))?;
        check(&now, &then, triggers)?;
        // Columns that were added since have no value in the copy: the server gives them their default.
        let known: Vec<_> = now.columns.iter().filter(|column| has(&then, &column.name)).cloned().collect();
        tables.insert(name.clone(), Table { columns: known, ..now });
    }
    let mut parents = BTreeMap::new();
    for table in tables.values() {
        parents.insert(table.name.clone(), parents_in_set(primary, table, set)?);
    }
    let order = relation::parents_first(&parents).map_err(|circle| {
        let names: Vec<_> = circle.iter().map(TableName::plain).collect();
        let message =
            format!("{} reference each other in a circle: there is no order to put rows back", names.join(", "));
        Failure::permanent("pg-reference-circle", message)
    })?;
    Ok(order.into_iter().filter_map(|name| tables.remove(&name)).collect())
}

fn has(table: &Table, column: &str) -> bool {
    table.columns.iter().any(|candidate| candidate.name == column)
}

fn gone(name: &TableName) -> Failure {
    let message = format!("there is no table {} in both the server and the copy", name.plain());
    Failure::permanent("pg-no-table", message)
}

fn check(now: &Table, then: &Table, triggers: Triggers) -> Result<(), Failure> {
    let name = now.name.plain();
    if now.key.is_empty() {
        let message = format!("{name} has no primary key, by which a row that is there already could be recognised");
        return Err(Failure::permanent("pg-no-primary-key", message));
    }
    if triggers == Triggers::Refuse && !now.insert_triggers.is_empty() {
        let message = format!(
            "{name} has triggers on INSERT ({}), which would fire for each row that is put back; say `triggers: fire` if they may",
            now.insert_triggers.join(", ")
        );
        return Err(Failure::permanent("pg-triggers", message));
    }
    for column in then.columns.iter().filter(|column| !column.generated) {
        let today = now.columns.iter().find(|candidate| candidate.name == column.name);
        let today = today.map(|it| (it.ty.as_str(), it.generated));
        if today != Some((column.ty.as_str(), false)) {
            let now = today.map_or("is gone".to_owned(), |(ty, generated)| {
                if generated { "is generated".to_owned() } else { format!("is {ty}") }
            });
            let message =
                format!("column {} of {name} was {} before the damage and {now} today", column.name, column.ty);
            return Err(Failure::permanent("pg-schema-changed", message));
        }
    }
    Ok(())
}

/// The tables of the set that a table references; a partitioned parent stands for its partitions.
fn parents_in_set(primary: &impl Connection, table: &Table, set: &ExactSet) -> Result<Vec<TableName>, Failure> {
    let mut parents = Vec::new();
    for reference in &table.references {
        if set.tables.contains_key(&reference.parent) {
            parents.push(reference.parent.clone());
        } else {
            let leaves = relation::leaves(primary, &reference.parent)?;
            parents.extend(leaves.into_iter().filter(|leaf| set.tables.contains_key(leaf)));
        }
    }
    Ok(parents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relation::Column;

    fn table(columns: &[(&str, &str, bool)]) -> Table {
        let column = |(name, ty, generated): &(&str, &str, bool)| Column {
            name: (*name).to_owned(),
            ty: (*ty).to_owned(),
            generated: *generated,
            sequence: None,
        };
        Table {
            name: TableName { schema: "public".to_owned(), name: "t".to_owned() },
            columns: columns.iter().map(column).collect(),
            key: vec!["id".to_owned()],
            references: vec![],
            insert_triggers: vec![],
        }
    }

    #[test]
    fn only_a_table_that_still_fits_takes_rows_back() {
        let then = table(&[("id", "bigint", false), ("note", "text", false), ("sum", "int", true)]);
        let check = |now: &Table, expect: Option<&str>| {
            let found = check(now, &then, Triggers::Refuse).err();
            assert_eq!(found.as_ref().map(Failure::code), expect, "{now:?}");
        };
        check(&then, None);
        check(&table(&[("id", "bigint", false), ("note", "text", false), ("new", "int", false)]), None);
        check(&table(&[("id", "bigint", false)]), Some("pg-schema-changed"));
        check(&table(&[("id", "integer", false), ("note", "text", false)]), Some("pg-schema-changed"));
        check(&table(&[("id", "bigint", false), ("note", "text", true)]), Some("pg-schema-changed"));
        check(&Table { key: vec![], ..then.clone() }, Some("pg-no-primary-key"));
        check(&Table { insert_triggers: vec!["audit".to_owned()], ..then.clone() }, Some("pg-triggers"));
    }
}
