//! Statements that put back the values that a change replaced, and that look at them. A column counts by what goes over the wire in
//! binary, as rows do (see [`content`]): what looks equal and is not, such as `1.0` and `1.00`, is not the same.

use crate::{
    rows::{
        content,
        key_texts::KeyTexts,
        merge::{Merge, PLACE, join},
        obstacle::Triggers,
        pieces::Pieces,
        preparation::Matched,
        relation::{Reference, Table},
    },
    server::identifier::quote_identifier,
};

/// Places before and afterwards, which the statements of all tables share.
pub const PAIRS: &str = "CREATE TEMPORARY TABLE lifeboat_pairs (position int, was tid, became tid) ON COMMIT DROP";

/// What is asked about one table whose rows were changed, of a copy, and of the server.
pub struct ValueStatements {
    /// Of a copy: `place`, the key as texts `k1`…, and `digests`, for each column; given places.
    pub fetch: String,
    /// Of the server: `n`, the number of the key, and `digests`; given an array of texts for each column of the key.
    pub look_up: String,
    /// Of a copy: the values for a person, given places.
    pub shown: String,
    /// Of the server: the same, given a key as texts.
    pub shown_now: String,
}

impl ValueStatements {
    /// For a table as it lies in that copy.
    pub fn of(matched: &Matched) -> Self {
        let table = &matched.now;
        let (now, then) = (table.name.sql(), matched.then.sql());
        let KeyTexts { texts, arrays, names, equal, one } = KeyTexts::of(matched);
        let (sources, values) = (content::sources(matched), content::values(table, "t"));
        let at = "WHERE ctid = ANY ($1::text::tid[])";
        Self {
            fetch: format!(
                "SELECT ctid::text AS place, {texts}, {} AS digests FROM ONLY {then} {at}",
                digests(&sources)
            ),
            look_up: format!(
                "SELECT k.n::text AS n, t.digests FROM unnest({arrays}) WITH ORDINALITY AS k ({names}, n)
                  CROSS JOIN LATERAL (SELECT {} AS digests FROM ONLY {now} AS t WHERE {equal} LIMIT 1) AS t",
                digests(&values)
            ),
            shown: format!("SELECT {} AS shown FROM ONLY {then} {at}", content::shown(&sources)),
            shown_now: format!("SELECT {} AS shown FROM ONLY {now} AS t WHERE {one} LIMIT 1", content::shown(&values)),
        }
    }
}

/// Sixteen hexadecimal digits for each value, joined with commas.
fn digests(values: &[String]) -> String {
    let digest = |value: &String| format!("encode(substr(sha256(record_send(ROW({value}))), 1, 8), 'hex')");
    format!("array_to_string(ARRAY[{}], ',')", values.iter().map(digest).collect::<Vec<_>>().join(", "))
}

/// Putting values of one table back, inside the transaction of the merge.
pub struct ValueMerge<'a> {
    /// The rows before, and where they are staged.
    pub before: Merge<'a>,
    /// The rows as the change left them.
    pub after: Merge<'a>,
}

impl ValueMerge<'_> {
    fn table(&self) -> &Table {
        &self.before.matched.now
    }

    fn position(&self) -> usize {
        self.before.position
    }

    /// The table with both versions of each row, column by column: `b1`, `a1`, `b2`, …
    pub fn both(&self) -> String {
        format!("lifeboat_values_{}", self.position())
    }

    /// Fills it with the rows that the change left with other values than they had.
    pub fn create_both(&self) -> String {
        let names = self.table().written();
        let columns: Vec<String> = (1..)
            .zip(&names)
            .map(|(n, name)| format!("b.{0} AS b{n}, a.{0} AS a{n}", quote_identifier(name)))
            .collect();
        let all = |alias: &str| {
            let values: Vec<_> = names.iter().map(|name| format!("{alias}.{}", quote_identifier(name))).collect();
            format!("record_send(ROW({}))", values.join(", "))
        };
        format!(
            "CREATE TEMPORARY TABLE {both} ON COMMIT DROP AS
             SELECT p.was AS place, {columns} FROM lifeboat_pairs AS p
               JOIN {before} AS b ON b.{place} = p.was JOIN {after} AS a ON a.{place} = p.became
              WHERE p.position = {position} AND {then} <> {now} ORDER BY p.was",
            both = self.both(),
            columns = columns.join(", "),
            before = self.before.stage(),
            after = self.after.stage(),
            place = quote_identifier(PLACE),
            position = self.position(),
            then = all("b"),
            now = all("a"),
        )
    }

    /// For each column, whether the change gave it another value anywhere: `c1`, `c2`, …
    pub fn changed_columns(&self) -> String {
        let columns: Vec<_> = (1..=self.table().written().len())
            .map(|n| format!("coalesce(bool_or({}), false) AS c{n}", differ(n)))
            .collect();
        format!("SELECT {} FROM {} AS s", columns.join(", "), self.both())
    }

    /// Gives each row back the values that it had, in those of these columns in which it still has what the change wrote. Without
    /// triggers the server checks no foreign key, so parents are looked up, and locked as its own check does.
    pub fn put_back(&self, columns: &[usize], triggers: Triggers) -> String {
        let table = self.table();
        let (names, values) = (table.written(), content::values(table, "t"));
        let is_still =
            |n: usize| format!("{} AND record_send(ROW({})) = record_send(ROW(s.a{n}))", differ(n), values[n - 1]);
        let set = columns.iter().map(|n| {
            let name = quote_identifier(&names[n - 1]);
            format!("{name} = CASE WHEN {} THEN s.b{n} ELSE t.{name} END", is_still(*n))
        });
        let key = table.key.iter().filter_map(|name| {
            let n = names.iter().position(|column| column == name)? + 1;
            Some(format!("t.{} = s.a{n}", quote_identifier(name)))
        });
        let any: Vec<String> = columns.iter().map(|n| format!("({})", is_still(*n))).collect();
        let parents = table.references.iter().filter(|_| triggers == Triggers::Skip);
        let parents = parents.filter_map(|reference| self.has_parent(reference, columns));
        let work = format!(
            "UPDATE ONLY {name} AS t SET {set} FROM {both} AS s
              WHERE s.ctid >= lifeboat_low AND s.ctid < lifeboat_high AND {conditions}",
            name = table.name.sql(),
            set = set.collect::<Vec<_>>().join(", "),
            both = self.both(),
            conditions = join(key.chain([format!("({})", any.join(" OR "))]).chain(parents)),
        );
        let (stage, position) = (self.both(), self.position());
        Pieces { stage, place: "place".to_owned(), position, again: table.references_itself() }
            .statement(&work, triggers)
    }

    /// The condition under which the older value of a foreign key has its row; none where the change did not touch it.
    fn has_parent(&self, reference: &Reference, columns: &[usize]) -> Option<String> {
        let names = self.table().written();
        let numbers: Vec<usize> = reference
            .columns
            .iter()
            .filter_map(|name| names.iter().position(|column| column == name).map(|at| at + 1))
            .collect();
        numbers.iter().any(|n| columns.contains(n)).then(|| {
            let pairs = reference.parent_columns.iter().zip(&numbers);
            let equal = pairs.map(|(name, n)| format!("p.{} = s.b{n}", quote_identifier(name)));
            let none: Vec<_> = numbers.iter().map(|n| format!("s.b{n} IS NULL")).collect();
            let (parent, equal) = (reference.parent.sql(), join(equal));
            format!("({} OR EXISTS (SELECT FROM {parent} AS p WHERE {equal} FOR KEY SHARE))", none.join(" OR "))
        })
    }

    /// Why rows were refused, and how many: `why`, `rows`.
    pub fn reasons(&self) -> String {
        format!(
            "SELECT why, count(*) AS rows FROM lifeboat_left WHERE position = {} GROUP BY 1 ORDER BY 2 DESC LIMIT 3",
            self.position()
        )
    }
}

/// Which columns of a table other tables reference, by their names; given its quoted name.
pub const REFERENCED: &str =
    "SELECT DISTINCT a.attname::text AS name FROM pg_constraint c, unnest(c.confkey) AS k (attnum)
   JOIN pg_attribute a ON a.attnum = k.attnum
  WHERE c.contype = 'f' AND c.confrelid = to_regclass($1::text) AND a.attrelid = c.confrelid";

fn differ(n: usize) -> String {
    format!("record_send(ROW(s.b{n})) <> record_send(ROW(s.a{n}))")
}

/// Notes where rows were and are, for `position`: arrays of places as texts.
pub fn note_pairs(position: usize) -> String {
    format!(
        "INSERT INTO lifeboat_pairs SELECT {position}, w::tid, b::tid FROM unnest($1::text[], $2::text[]) AS s (w, b)"
    )
}
