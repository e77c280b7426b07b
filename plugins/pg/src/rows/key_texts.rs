//! The key of a table as texts: how a copy names its rows, and how they are looked up on the server.

use crate::{rows::preparation::Matched, server::identifier::quote_identifier};

/// Pieces of statements. The table is `t`, and given keys are `k (k1, …)`.
pub struct KeyTexts {
    /// Of a copy: the columns of the key as texts `k1`, ….
    pub texts: String,
    /// An array of texts for each column, as parameters.
    pub arrays: String,
    /// `k1, …`.
    pub names: String,
    /// That a row of the table has a given key.
    pub equal: String,
    /// The same of one key, given as parameters.
    pub one: String,
}

impl KeyTexts {
    /// For a table as it lies in that copy.
    pub fn of(matched: &Matched) -> Self {
        let table = &matched.now;
        let (mut texts, mut arrays, mut names, mut equal, mut one) = (vec![], vec![], vec![], vec![], vec![]);
        for (position, name) in (1..).zip(&table.key) {
            let ty = table.column(name).map_or("text", |column| column.ty.as_str());
            let source = matched.sources.get(name).cloned().unwrap_or_else(|| quote_identifier(name));
            texts.push(format!("({source})::text AS k{position}"));
            arrays.push(format!("${position}::text[]"));
            names.push(format!("k{position}"));
            equal.push(format!("t.{} = k.k{position}::{ty}", quote_identifier(name)));
            one.push(format!("t.{} = ${position}::text::{ty}", quote_identifier(name)));
        }
        Self {
            texts: texts.join(", "),
            arrays: arrays.join(", "),
            names: names.join(", "),
            equal: equal.join(" AND "),
            one: one.join(" AND "),
        }
    }
}
