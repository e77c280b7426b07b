//! What must hold before rows are put back: every table still fits, can be recognised by key, and has an order.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    rows::{
        exact_set::ExactSet,
        obstacle::{self, GIVE_A_DEFAULT, Obstacle, Triggers},
        relation::{self, Column, Table},
        surroundings,
    },
    server::identifier::{TableName, quote_identifier},
};

/// A table of the set, and where the copy has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// As it is today, with the columns that the copy has too, or that are computed.
    pub now: Table,
    /// Its name in the copy.
    pub then: TableName,
    /// For each column that is written: its value in the copy, as SQL.
    pub sources: BTreeMap<String, String>,
    /// Columns that were added since and get their default.
    pub added: Vec<String>,
    /// Columns of the copy that are dropped today: their values go nowhere.
    pub dropped: Vec<String>,
}

/// The tables of a set in the order in which rows go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Parents first, as far as there is such an order.
    pub tables: Vec<Matched>,
    /// Foreign keys that can be deferred close a circle.
    pub circle: bool,
}

/// The tables of the set, parents first. Fails with everything that is in the way.
pub fn prepare<C: Connection>(primary: &C, copy: &C, set: &ExactSet, triggers: Triggers) -> Result<Prepared, Failure> {
    let superuser = may_skip_triggers(primary)?;
    let mut tables = BTreeMap::new();
    let mut obstacles: Vec<_> = surroundings::other_encoding(primary, copy)?.into_iter().collect();
    for name in set.tables.keys() {
        let Some((oid, now)) = relation::describe(primary, name)? else {
            return Err(gone(name));
        };
        let then = relation::by_oid(copy, oid)?.ok_or_else(|| gone(name))?;
        obstacles.extend(obstacle::of_table(&now, triggers, superuser));
        let (matched, misfits) = match_columns(now, &then, |then, now| is_same_on_disk(primary, then, now))?;
        obstacles.extend(misfits);
        tables.insert(name.clone(), matched);
    }
    let described: Vec<_> = tables.values().map(|matched| matched.now.clone()).collect();
    let order = order(primary, &described, set)?;
    obstacles.extend(order.obstacle);
    obstacle::refuse(&obstacles)?;
    let tables = order.names.into_iter().filter_map(|name| tables.remove(&name)).collect();
    Ok(Prepared { tables, circle: order.circle })
}

/// A table of rows that were only changed, and its OID; none where its rows cannot be recognised, or do not fit any more.
pub fn match_changed<C: Connection>(
    primary: &C,
    copy: &C,
    name: &TableName,
) -> Result<Option<(i64, Matched)>, Failure> {
    let Some((oid, now)) = relation::describe(primary, name)? else { return Ok(None) };
    let Some(then) = relation::by_oid(copy, oid)? else { return Ok(None) };
    let (matched, misfits) = match_columns(now, &then, |then, now| Ok(then == now))?;
    Ok((misfits.is_empty() && !matched.now.key.is_empty()).then_some((oid, matched)))
}

/// Whether the login may write as a replica does, for which ordinary triggers do not fire.
pub fn may_skip_triggers(primary: &impl Connection) -> Result<bool, Failure> {
    let rows = primary.query(
        "SELECT current_setting('is_superuser') = 'on'
                OR has_parameter_privilege(current_user, 'session_replication_role', 'SET') AS allowed",
        &[],
    )?;
    rows.one()?.get("allowed")
}

fn gone(name: &TableName) -> Failure {
    let message = format!(
        "there is no table {} in both the server and the copy; it was dropped or created again since: restore a copy \
         and put its rows back by hand",
        name.plain()
    );
    Failure::permanent("pg-no-table", message)
}

/// Holds the columns of today against those of the copy: by number, so that a new name is no other column.
pub fn match_columns(
    now: Table,
    then: &Table,
    same_on_disk: impl Fn(&str, &str) -> Result<bool, Failure>,
) -> Result<(Matched, Vec<Obstacle>), Failure> {
    let name = now.name.plain();
    let then_by_number: BTreeMap<i64, &Column> = then.columns.iter().map(|column| (column.number, column)).collect();
    let numbers: BTreeSet<i64> = now.columns.iter().map(|column| column.number).collect();
    let (mut sources, mut added, mut misfits, mut columns) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
    for column in &now.columns {
        match then_by_number.get(&column.number) {
            _ if column.generated => {}
            None if column.required => misfits.push(without_value(&name, column)),
            None => added.push(column.name.clone()),
            Some(before) if before.ty == column.ty => {
                sources.insert(column.name.clone(), quote_identifier(&before.name));
            }
            Some(before) if same_on_disk(&before.ty, &column.ty)? => {
                let ty = column.base.as_ref().unwrap_or(&column.ty);
                sources.insert(column.name.clone(), format!("{}::{ty}", quote_identifier(&before.name)));
            }
            Some(before) => misfits.push(of_other_type(&name, before, column)),
        }
        if column.generated || sources.contains_key(&column.name) {
            columns.push(column.clone());
        }
    }
    let dropped = then.columns.iter().filter(|column| !column.generated && !numbers.contains(&column.number));
    let dropped = dropped.map(|column| column.name.clone()).collect();
    let then = then.name.clone();
    Ok((Matched { now: Table { columns, ..now }, then, sources, added, dropped }, misfits))
}

fn without_value(table: &str, column: &Column) -> Obstacle {
    Obstacle::new(
        "pg-schema-changed",
        table,
        format!(
            "has a column {} that was added since, is NOT NULL and has no default: rows from before have no value for it",
            column.name
        ),
        GIVE_A_DEFAULT,
    )
}

fn of_other_type(table: &str, before: &Column, column: &Column) -> Obstacle {
    Obstacle::new(
        "pg-schema-changed",
        table,
        format!("has a column {} that is {} today and was {} before the damage", column.name, column.ty, before.ty),
        "change it back, or put the rows back by hand, converted as the change requires",
    )
}

/// Whether a value of one type is one of the other as it lies on disk: another length, or a cast that changes nothing.
fn is_same_on_disk(primary: &impl Connection, then: &str, now: &str) -> Result<bool, Failure> {
    let rows = primary.query(
        "SELECT coalesce(to_regtype($1::text) = to_regtype($2::text), false) OR EXISTS (
                SELECT FROM pg_cast WHERE castsource = to_regtype($1::text) AND casttarget = to_regtype($2::text)
                   AND castmethod = 'b') AS same",
        &[Value::from(then), Value::from(now)],
    )?;
    rows.one()?.get("same")
}

/// In which order rows go back, and what keeps there from being one.
pub struct Order {
    /// Parents first.
    pub names: Vec<TableName>,
    /// Foreign keys that can be deferred close a circle.
    pub circle: bool,
    /// Others do.
    pub obstacle: Option<Obstacle>,
}

/// Orders tables of the set by what they reference.
pub fn order(primary: &impl Connection, tables: &[Table], set: &ExactSet) -> Result<Order, Failure> {
    let (mut all, mut firm) = (BTreeMap::new(), BTreeMap::new());
    for table in tables {
        let edges = parents_in_set(primary, table, set)?;
        let rigid = edges.iter().filter(|(_, deferrable)| !deferrable).map(|(parent, _)| parent.clone()).collect();
        all.insert(table.name.clone(), edges.into_iter().map(|(parent, _)| parent).collect::<Vec<_>>());
        firm.insert(table.name.clone(), rigid);
    }
    if let Ok(names) = relation::parents_first(&all) {
        return Ok(Order { names, circle: false, obstacle: None });
    }
    Ok(match relation::parents_first(&firm) {
        Ok(names) => Order { names, circle: true, obstacle: None },
        Err(circle) => {
            let names: Vec<_> = circle.iter().map(TableName::plain).collect();
            let obstacle = Obstacle::new(
                "pg-reference-circle",
                &names.join(", "),
                "reference each other in a circle of foreign keys that are not deferrable: there is no order in \
                 which rows can go back",
                "make one of them deferrable (`ALTER TABLE … ALTER CONSTRAINT … DEFERRABLE`), then retry this step",
            );
            Order { names: circle, circle: true, obstacle: Some(obstacle) }
        }
    })
}

/// The tables of the set that a table references, and whether that can be checked at the end of a transaction; a
/// partitioned parent stands for its partitions.
fn parents_in_set(primary: &impl Connection, table: &Table, set: &ExactSet) -> Result<Vec<(TableName, bool)>, Failure> {
    let mut parents = Vec::new();
    for reference in &table.references {
        let leaves = match set.tables.contains_key(&reference.parent) {
            true => vec![reference.parent.clone()],
            false => relation::leaves(primary, &reference.parent)?,
        };
        let known = leaves.into_iter().filter(|leaf| set.tables.contains_key(leaf));
        parents.extend(known.map(|leaf| (leaf, reference.deferrable)));
    }
    Ok(parents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column((number, name, ty, generated): &(i64, &str, &str, bool)) -> Column {
        Column {
            name: (*name).to_owned(),
            number: *number,
            ty: (*ty).to_owned(),
            base: None,
            generated: *generated,
            required: false,
            always: false,
            sequence: None,
        }
    }

    fn table(columns: &[(i64, &str, &str, bool)]) -> Table {
        Table {
            name: TableName { schema: "public".to_owned(), name: "t".to_owned() },
            columns: columns.iter().map(column).collect(),
            key: vec!["id".to_owned()],
            ..Table::default()
        }
    }

    /// Sources, added and dropped columns, misfits.
    fn matched(now: Table) -> (String, usize) {
        let then = table(&[(1, "id", "bigint", false), (2, "note", "text", false), (3, "sum", "integer", true)]);
        let fits = |then: &str, now: &str| Ok((then, now) == ("text", "character varying"));
        let (matched, misfits) = match_columns(now, &then, fits).expect("no query fails");
        let sources: Vec<_> = matched.sources.iter().map(|(name, source)| format!("{name}={source}")).collect();
        let text = format!("{} +{} -{}", sources.join(" "), matched.added.join(","), matched.dropped.join(","));
        (text, misfits.len())
    }

    #[test]
    fn columns_are_known_by_their_number() {
        let check = |columns: &[(i64, &str, &str, bool)], expect: &str, misfits: usize| {
            assert_eq!(matched(table(columns)), (expect.to_owned(), misfits), "{columns:?}");
        };
        let id = (1, "id", "bigint", false);
        check(&[id, (2, "note", "text", false), (3, "sum", "integer", true)], "id=\"id\" note=\"note\" + -", 0);
        check(&[id, (2, "remark", "text", false)], "id=\"id\" remark=\"note\" + -", 0);
        check(&[id, (2, "note", "text", false), (4, "new", "text", false)], "id=\"id\" note=\"note\" +new -", 0);
        check(&[id], "id=\"id\" + -note", 0);
        let wider = (2, "note", "character varying", false);
        check(&[id, wider], "id=\"id\" note=\"note\"::character varying + -", 0);
        check(&[(1, "id", "integer", false), (2, "note", "text", false)], "note=\"note\" + -", 1);
        let mut strict = table(&[id, (2, "note", "text", false), (4, "new", "text", false)]);
        strict.columns[2].required = true;
        assert_eq!(matched(strict).1, 1);
    }
}
