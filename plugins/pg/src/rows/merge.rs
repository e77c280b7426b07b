//! Putting rows back into one table, as statements. The order is: stage the exact rows, set those aside whose parents are
//! gone, insert what does not conflict, look at what did, move sequences forward.
//!
//! Rows that a rule of the table refuses do not end the merge (see [`Pieces`]).

use crate::{
    rows::{
        cleared::{self, Cleared},
        content,
        obstacle::Triggers,
        pieces::Pieces,
        preparation::Matched,
        relation::{Reference, Table},
    },
    server::identifier::{quote_identifier, quote_identifiers, quote_literal},
};

/// The column of a staging table with the place of the row in the copy.
pub const PLACE: &str = "lifeboat place";

/// Tables of the transaction that the statements of all tables share.
pub const SHARED: [&str; 2] = [
    // By which transaction ids rows went back.
    "CREATE TEMPORARY TABLE lifeboat_marks (position int, inserted bigint) ON COMMIT DROP",
    // What did not go back, and why: `gone`, `refused`, `taken` or `differs`.
    "CREATE TEMPORARY TABLE lifeboat_left (position int, place tid, kind text, digest text, why text) ON COMMIT DROP",
];

/// A table, and the name of its staging table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge<'a> {
    /// Where rows go, and where they come from.
    pub matched: &'a Matched,
    /// Which table of the merge it is.
    pub position: usize,
}

impl<'a> Merge<'a> {
    /// The table with that position in the order of the merge.
    pub fn new(matched: &'a Matched, position: usize) -> Self {
        Self { matched, position }
    }

    /// The temporary table that rows go through.
    pub fn stage(&self) -> String {
        format!("lifeboat_stage_{}", self.position)
    }

    fn table(&self) -> &'a Table {
        &self.matched.now
    }

    fn columns(&self) -> String {
        quote_identifiers(&self.table().written())
    }

    /// Makes the staging table. Domains are staged as the type under them: what they refuse is seen when the row goes back.
    pub fn create_stage(&self) -> String {
        let (stage, table, place) = (self.stage(), self.table(), quote_identifier(PLACE));
        let named = content::values(table, "t").into_iter().zip(table.written());
        let columns: Vec<_> = named.map(|(value, name)| format!("{value} AS {}", quote_identifier(&name))).collect();
        format!(
            "CREATE TEMPORARY TABLE {stage} ON COMMIT DROP AS SELECT {}, NULL::tid AS {place} FROM ONLY {} AS t WITH NO DATA",
            columns.join(", "),
            table.name.sql()
        )
    }

    /// The rows at these places, asked of the copy.
    ///
    /// The places are a text that is cast: of an array that it can count, the planner holds a look-up of each place for
    /// dearer than reading the whole table, and reads all of it for every batch. Of one that it cannot count it expects a
    /// few, and looks them up, which is the faster way however close together or far apart they lie.
    pub fn fetch(&self, places: &str) -> String {
        let (columns, table) = (content::sources(self.matched).join(", "), self.matched.then.sql());
        format!("SELECT {columns}, ctid FROM ONLY {table} WHERE ctid = ANY ({}::text::tid[])", quote_literal(places))
    }

    /// The columns into which the rows are fetched.
    pub fn staged(&self) -> Vec<String> {
        self.table().written().into_iter().chain([PLACE.to_owned()]).collect()
    }

    /// Tells the planner how large the staging table is.
    pub fn analyze(&self) -> String {
        format!("ANALYZE {}", self.stage())
    }

    /// Sets staged rows aside whose parent is neither in the server nor in one of these staging tables. A row with a null in
    /// its foreign key has no parent to miss.
    pub fn drop_orphans(&self, reference: &Reference, stages: &[String]) -> String {
        let (stage, position, place) = (self.stage(), self.position, quote_identifier(PLACE));
        let given = reference.columns.iter().map(|name| format!("s.{} IS NOT NULL", quote_identifier(name)));
        let parents = [reference.parent.sql()].into_iter().chain(stages.iter().cloned());
        let equal = equal("p", &reference.parent_columns, "s", &reference.columns);
        let missing = parents.map(|parent| format!("NOT EXISTS (SELECT FROM {parent} AS p WHERE {equal})"));
        format!(
            "WITH gone AS (DELETE FROM {stage} AS s WHERE {} RETURNING s.{place} AS place)
             INSERT INTO lifeboat_left SELECT {position}, place, 'gone', NULL, NULL FROM gone",
            join(given.chain(missing)),
        )
    }

    /// Locks the parents of staged rows as the server's own check of a foreign key does.
    pub fn lock_parents(&self, reference: &Reference) -> String {
        let equal = equal("p", &reference.parent_columns, "s", &reference.columns);
        format!(
            "SELECT count(*) AS locked FROM (SELECT FROM {} AS p WHERE EXISTS (SELECT FROM {} AS s WHERE {equal}) FOR KEY SHARE) AS l",
            reference.parent.sql(),
            self.stage()
        )
    }

    /// Puts the staged rows back. What is there already, under the key or another unique one, stays as it is; a row that
    /// the table refuses is set aside with what the server says of it.
    pub fn insert(&self, triggers: Triggers) -> String {
        let (columns, table, stage) = (self.columns(), self.table(), self.stage());
        // `ON CONFLICT` takes no constraint that can be deferred, and without a name it takes all.
        let (absent, otherwise) = if table.deferrable.is_empty() {
            (String::new(), " ON CONFLICT DO NOTHING")
        } else {
            let equal = equal("t", &table.key, "s", &table.key);
            (format!(" AND NOT EXISTS (SELECT FROM ONLY {} AS t WHERE {equal})", table.name.sql()), "")
        };
        let insert = format!(
            "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {stage} AS s
              WHERE s.ctid >= lifeboat_low AND s.ctid < lifeboat_high{absent}{otherwise}",
            table.name.sql()
        );
        Pieces { stage, place: quote_identifier(PLACE), position: self.position, again: table.references_itself() }
            .statement(&insert, triggers)
    }

    /// Of the staged rows that were not put back: sets aside those that have other content in the server, or no row under their
    /// key.
    pub fn keep_conflicts(&self) -> String {
        let (stage, table, position, place) = (self.stage(), self.table(), self.position, quote_identifier(PLACE));
        let first = quote_identifier(table.key.first().map_or("", String::as_str));
        let (then, now) = (self.staged_digest(), content::digest(&content::values(table, "t")));
        format!(
            "INSERT INTO lifeboat_left
             SELECT {position}, s.{place}, CASE WHEN t.{first} IS NULL THEN 'taken' ELSE 'differs' END,
                    CASE WHEN t.{first} IS NOT NULL THEN {now} END, NULL
               FROM {stage} AS s LEFT JOIN ONLY {name} AS t ON {equal}
              WHERE (t.{first} IS NULL OR t.xmin NOT IN (SELECT m.xmin FROM lifeboat_marks AS m))
                AND (t.{first} IS NULL OR {then} <> {now})
                AND NOT EXISTS (SELECT FROM lifeboat_left AS l WHERE l.position = {position} AND l.place = s.{place})",
            name = table.name.sql(),
            equal = equal("t", &table.key, "s", &table.key),
        )
    }

    fn staged_digest(&self) -> String {
        let names = self.table().written();
        let values: Vec<_> = names.iter().map(|name| format!("s.{}", quote_identifier(name))).collect();
        content::digest(&values)
    }

    /// A few rows with other content, both versions as texts.
    pub fn examples(&self) -> String {
        let (table, place) = (self.table(), quote_identifier(PLACE));
        let names = table.written();
        let staged: Vec<_> = names.iter().map(|name| format!("s.{}", quote_identifier(name))).collect();
        let key: Vec<_> = table.key.iter().map(|name| format!("s.{}", quote_identifier(name))).collect();
        format!(
            "SELECT left(ROW({key})::text, 60) AS key, {then} AS then, {now} AS now
               FROM (SELECT place FROM lifeboat_left WHERE position = {position} AND kind = 'differs' ORDER BY place LIMIT 5) AS l
               JOIN {stage} AS s ON s.{place} = l.place JOIN ONLY {name} AS t ON {equal} ORDER BY l.place",
            key = key.join(", "),
            then = content::shown(&staged),
            now = content::shown(&content::values(table, "t")),
            position = self.position,
            stage = self.stage(),
            name = table.name.sql(),
            equal = equal("t", &table.key, "s", &table.key),
        )
    }

    /// Takes the older version of these columns where the row still is what was shown: `lifeboat_shown` has it, by place.
    pub fn take(&self, columns: &[String]) -> String {
        let (table, place) = (self.table(), quote_identifier(PLACE));
        let set: Vec<_> = columns.iter().map(|name| format!("{0} = s.{0}", quote_identifier(name))).collect();
        format!(
            "UPDATE ONLY {name} AS t SET {set} FROM {stage} AS s JOIN lifeboat_shown AS l ON l.place = s.{place}
              WHERE {equal} AND {now} = l.digest",
            name = table.name.sql(),
            set = set.join(", "),
            stage = self.stage(),
            equal = equal("t", &table.key, "s", &table.key),
            now = content::digest(&content::values(table, "t")),
        )
    }

    /// Points foreign keys at their row again that became null, or their default, with it: they still are what they became, and
    /// the row, which waited in that staging table, is back.
    pub fn mend(&self, reference: &Reference, cleared: &Cleared, stage_of_parent: &str) -> String {
        let table = self.table();
        let column = |name: &String| quote_identifier(name);
        let set: Vec<_> = cleared.keys().map(|name| format!("{0} = s.{0}", column(name))).collect();
        let kept = reference.columns.iter().filter(|name| !cleared.contains_key(*name));
        let ty = |name: &String| table.column(name).map_or("text", |column| column.ty.as_str());
        let conditions = [equal("t", &table.key, "s", &table.key)]
            .into_iter()
            .chain(cleared.iter().map(|(name, value)| cleared::is_still("t", name, value.as_ref(), ty(name))))
            .chain(reference.columns.iter().map(|name| format!("s.{} IS NOT NULL", column(name))))
            .chain(kept.map(|name| format!("t.{0} = s.{0}", column(name))));
        let back = equal("p", &reference.parent_columns, "s", &reference.columns);
        format!(
            "UPDATE ONLY {name} AS t SET {set} FROM {stage} AS s WHERE {conditions}
                AND EXISTS (SELECT FROM {parent} AS p WHERE {back}) AND EXISTS (SELECT FROM {stage_of_parent} AS p WHERE {back})",
            name = table.name.sql(),
            set = set.join(", "),
            stage = self.stage(),
            conditions = join(conditions),
            parent = reference.parent.sql(),
        )
    }

    /// How many staged rows are there with other content.
    pub fn count_changed(&self) -> String {
        format!("SELECT count(*) AS differ {}", self.changed())
    }

    /// A few of them, both versions as texts.
    pub fn changed_examples(&self, count: usize) -> String {
        let table = self.table();
        let staged: Vec<_> = table.written().iter().map(|name| format!("s.{}", quote_identifier(name))).collect();
        let key: Vec<_> = table.key.iter().map(|name| format!("s.{}", quote_identifier(name))).collect();
        format!(
            "SELECT left(ROW({})::text, 60) AS key, {} AS then, {} AS now {} ORDER BY s.{} LIMIT {count}",
            key.join(", "),
            content::shown(&staged),
            content::shown(&content::values(table, "t")),
            self.changed(),
            quote_identifier(PLACE)
        )
    }

    fn changed(&self) -> String {
        let table = self.table();
        format!(
            "FROM {} AS s JOIN ONLY {} AS t ON {} WHERE {} <> {}",
            self.stage(),
            table.name.sql(),
            equal("t", &table.key, "s", &table.key),
            self.staged_digest(),
            content::digest(&content::values(table, "t"))
        )
    }

    /// Moves each sequence forward to the largest value that was put back, never back. Returns a row for each that moved.
    pub fn advance_sequences(&self) -> Vec<String> {
        let columns = self.table().columns.iter().filter(|column| !column.generated);
        let statement = |(column, sequence): (&String, &String)| {
            let (name, stage) = (quote_identifier(column), self.stage());
            let sequence = quote_literal(sequence);
            format!(
                "SELECT m.sequence::text AS sequence, setval(m.sequence, m.top) AS value
                   FROM (SELECT {sequence}::regclass AS sequence, max({name})::bigint AS top FROM {stage}) AS m
                   JOIN pg_sequence AS q ON q.seqrelid = m.sequence
                  WHERE q.seqincrement > 0 AND m.top BETWEEN q.seqmin AND q.seqmax
                    AND m.top > coalesce(pg_sequence_last_value(m.sequence), q.seqmin - 1)"
            )
        };
        columns.filter_map(|column| Some((&column.name, column.sequence.as_ref()?))).map(statement).collect()
    }
}

fn equal(left: &str, left_columns: &[String], right: &str, right_columns: &[String]) -> String {
    let pairs = left_columns.iter().zip(right_columns);
    join(pairs.map(|(one, other)| format!("{left}.{} = {right}.{}", quote_identifier(one), quote_identifier(other))))
}

pub(crate) fn join(conditions: impl Iterator<Item = String>) -> String {
    conditions.collect::<Vec<_>>().join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rows::relation::{Clearing, Column},
        server::identifier::TableName,
    };

    fn column(number: i64, name: &str, generated: bool, sequence: Option<&str>) -> Column {
        Column {
            name: name.to_owned(),
            number,
            ty: "bigint".to_owned(),
            base: None,
            generated,
            required: false,
            always: false,
            sequence: sequence.map(str::to_owned),
        }
    }

    #[test]
    fn statements_for_a_table_with_everything() {
        let name = |name: &str| TableName { schema: "public".to_owned(), name: name.to_owned() };
        let reference = |column: &str, parent: &str| Reference {
            columns: vec![column.to_owned()],
            parent: name(parent),
            parent_columns: vec!["id".to_owned()],
            deferrable: false,
            cleared: if parent == "orders" { vec![column.to_owned()] } else { vec![] },
            clearing: Clearing::default(),
        };
        let now = Table {
            name: name("orders"),
            columns: vec![
                column(1, "id", false, Some("public.orders_id_seq")),
                column(2, "account_id", false, None),
                column(3, "parent", false, None),
                column(4, "total", true, None),
            ],
            key: vec!["id".to_owned()],
            references: vec![reference("account_id", "account"), reference("parent", "orders")],
            ..Table::default()
        };
        let sources = now.written().into_iter().map(|name| (name.clone(), quote_identifier(&name))).collect();
        let matched = Matched { then: name("orders"), sources, added: vec![], dropped: vec![], now };
        let merge = Merge::new(&matched, 1);
        let stages = [vec![], vec![merge.stage()]];
        let mut statements = vec![merge.create_stage(), merge.fetch("{\"(0,1)\"}"), merge.analyze()];
        let orphans = matched.now.references.iter().zip(&stages);
        statements.extend(orphans.map(|(reference, stages)| merge.drop_orphans(reference, stages)));
        statements.push(merge.lock_parents(&matched.now.references[0]));
        statements.extend([merge.insert(Triggers::Refuse), merge.keep_conflicts(), merge.examples()]);
        statements.push(merge.take(&["account_id".to_owned()]));
        for value in [None, Some("it's 0".to_owned())] {
            let cleared = Cleared::from([("parent".to_owned(), value)]);
            statements.push(merge.mend(&matched.now.references[1], &cleared, "lifeboat_stage_0"));
        }
        statements.extend([merge.count_changed(), merge.changed_examples(3)]);
        statements.extend(merge.advance_sequences());
        insta::assert_snapshot!(statements.join(";\n"));
    }
}
