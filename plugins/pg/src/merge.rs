//! Putting rows back into one table, as statements. The order is: stage the exact rows, drop those whose parents are gone,
//! insert what does not conflict, look at what did, move sequences forward.

use crate::{
    identifier::{quote_identifier, quote_identifiers, quote_literal},
    relation::{Reference, Table},
};

/// A table, and the name of its staging table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge<'a> {
    /// Where rows go.
    pub table: &'a Table,
    /// The temporary table that they go through.
    pub stage: String,
}

impl<'a> Merge<'a> {
    /// The table with that position in the order of the merge.
    pub fn new(table: &'a Table, position: usize) -> Self {
        Self { table, stage: format!("lifeboat_stage_{position}") }
    }

    fn columns(&self) -> String {
        quote_identifiers(&self.table.written())
    }

    /// Makes the staging table.
    pub fn create_stage(&self) -> String {
        let (stage, columns, table) = (&self.stage, self.columns(), self.table.name.sql());
        format!("CREATE TEMPORARY TABLE {stage} ON COMMIT DROP AS SELECT {columns} FROM ONLY {table} WITH NO DATA")
    }

    /// The rows at these places, asked of the copy.
    ///
    /// The places are a text that is cast: of an array that it can count, the planner holds a look-up of each place for
    /// dearer than reading the whole table, and reads all of it for every batch. Of one that it can not count it expects a
    /// few, and looks them up, which is the faster way however close together or far apart they lie.
    pub fn fetch(&self, places: &str) -> String {
        let (columns, table) = (self.columns(), self.table.name.sql());
        format!("SELECT {columns} FROM ONLY {table} WHERE ctid = ANY ({}::text::tid[])", quote_literal(places))
    }

    /// Tells the planner how large the staging table is.
    pub fn analyze(&self) -> String {
        format!("ANALYZE {}", self.stage)
    }

    /// Removes staged rows whose parent is neither in the server nor, for a table that references itself, staged. A row
    /// with a null in its foreign key has no parent to miss.
    pub fn drop_orphans(&self, reference: &Reference) -> String {
        let stage = &self.stage;
        let given = reference.columns.iter().map(|name| format!("s.{} IS NOT NULL", quote_identifier(name)));
        let pairs = reference.columns.iter().zip(&reference.parent_columns);
        let equal =
            pairs.map(|(child, parent)| format!("p.{} = s.{}", quote_identifier(parent), quote_identifier(child)));
        let (given, equal) = (join(given), join(equal));
        let parent = reference.parent.sql();
        let mut sql =
            format!("DELETE FROM {stage} AS s WHERE {given} AND NOT EXISTS (SELECT FROM {parent} AS p WHERE {equal})");
        if reference.parent == self.table.name {
            sql.push_str(&format!(" AND NOT EXISTS (SELECT FROM {stage} AS p WHERE {equal})"));
        }
        sql
    }

    /// Puts the staged rows back. What is there already, under the primary key or another unique one, stays as it is.
    pub fn insert(&self) -> String {
        let (columns, table, stage) = (self.columns(), self.table.name.sql(), &self.stage);
        format!(
            "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {stage} ON CONFLICT DO NOTHING"
        )
    }

    /// Of the staged rows that were not put back: how many are there with the same content (`same`), how many are not
    /// (`conflicts`), and keys of a few of those (`sample`). `$1` is the transaction's id as the row headers have it.
    pub fn leftovers(&self) -> String {
        let (stage, table) = (&self.stage, self.table.name.sql());
        let equal = join(self.table.key.iter().map(|name| {
            let name = quote_identifier(name);
            format!("t.{name} = s.{name}")
        }));
        let content = |from: &str| {
            let names = self.table.written();
            let values: Vec<_> = names.iter().map(|name| format!("{from}.{}", quote_identifier(name))).collect();
            format!("ROW({})::text", values.join(", "))
        };
        let key: Vec<_> = self.table.key.iter().map(|name| format!("s.{}", quote_identifier(name))).collect();
        let first = quote_identifier(self.table.key.first().map_or("", String::as_str));
        format!(
            "SELECT count(*) FILTER (WHERE l.same) AS same, count(*) FILTER (WHERE NOT l.same) AS conflicts,
                    coalesce((array_agg(l.key) FILTER (WHERE NOT l.same))[1:10], '{{}}')::text[] AS sample
               FROM (SELECT ROW({key})::text AS key, coalesce({ours} = {theirs}, false) AS same
                       FROM {stage} AS s LEFT JOIN ONLY {table} AS t ON {equal}
                      WHERE t.{first} IS NULL OR t.xmin::text <> $1::text) AS l",
            key = key.join(", "),
            ours = content("s"),
            theirs = content("t"),
        )
    }

    /// Moves each sequence forward to the largest value that was put back, never back. Returns a row for each that moved.
    pub fn advance_sequences(&self) -> Vec<String> {
        let columns = self.table.columns.iter().filter(|column| !column.generated);
        let statement = |(column, sequence): (&String, &String)| {
            let (name, stage) = (quote_identifier(column), &self.stage);
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

fn join(conditions: impl Iterator<Item = String>) -> String {
    conditions.collect::<Vec<_>>().join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identifier::TableName, relation::Column};

    #[test]
    fn statements_for_a_table_with_everything() {
        let column = |name: &str, generated: bool, sequence: Option<&str>| Column {
            name: name.to_owned(),
            ty: "bigint".to_owned(),
            generated,
            sequence: sequence.map(str::to_owned),
        };
        let name = |name: &str| TableName { schema: "public".to_owned(), name: name.to_owned() };
        let reference = |column: &str, parent: &str| Reference {
            columns: vec![column.to_owned()],
            parent: name(parent),
            parent_columns: vec!["id".to_owned()],
        };
        let table = Table {
            name: name("orders"),
            columns: vec![
                column("id", false, Some("public.orders_id_seq")),
                column("account_id", false, None),
                column("parent", false, None),
                column("total", true, None),
            ],
            key: vec!["id".to_owned()],
            references: vec![reference("account_id", "account"), reference("parent", "orders")],
            insert_triggers: vec![],
        };
        let merge = Merge::new(&table, 1);
        let mut statements = vec![merge.create_stage(), merge.fetch("{\"(0,1)\"}"), merge.analyze()];
        statements.extend(table.references.iter().map(|reference| merge.drop_orphans(reference)));
        statements.extend([merge.insert(), merge.leftovers()]);
        statements.extend(merge.advance_sequences());
        insta::assert_snapshot!(statements.join(";\n"));
    }
}
