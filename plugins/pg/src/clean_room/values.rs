//! Values that an intruder has replaced: which rows have them, and putting older ones in their place.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    backup::seal::{
        random_values::{RandomShare, ValueColumn},
        randomness::looks_random,
    },
    server::identifier::quote_identifier,
};

/// So many rows are asked for, or mended, in one statement.
const AT_ONCE: usize = 2_000;

/// A column with values that were replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HitColumn {
    /// The column.
    pub column: ValueColumn,
    /// The column of its table's primary key, and its type.
    pub key: (String, String),
}

/// A version of a value in a copy.
#[derive(Debug, Clone, PartialEq)]
pub enum Version {
    /// It is still encrypted; the transaction that wrote this version of its row.
    Encrypted(u32),
    /// It is readable.
    Good(Value),
}

/// The columns that had no random value when they were recorded, and have some now. Fails with `pg-cannot-tell` where one had some before
/// and has many more now: which ones were replaced cannot be told by looking at them.
pub fn hit(
    connection: &impl Connection,
    recorded: &[RandomShare],
    now: &[RandomShare],
) -> Result<Vec<HitColumn>, Failure> {
    let mut hit = Vec::new();
    for share in now.iter().filter(|share| share.random > 0) {
        let before = recorded.iter().find(|before| before.column == share.column);
        let had = before.map_or(0, |before| before.random);
        if had == 0 {
            hit.push(HitColumn { key: key(connection, &share.column)?, column: share.column.clone() });
        } else if share.random > had + had / 2 {
            let message = format!(
                "{} has {} values that look random and had {had} when it was sealed: which of them were replaced cannot be told by \
                 looking at them",
                share.column.plain(),
                share.random
            );
            return Err(Failure::permanent("pg-cannot-tell", message));
        }
    }
    Ok(hit)
}

fn key(connection: &impl Connection, column: &ValueColumn) -> Result<(String, String), Failure> {
    let rows = connection.query(
        "SELECT a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, i.indnkeyatts::bigint AS columns
           FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
          WHERE i.indrelid = $1::text::regclass AND i.indisprimary",
        &[Value::from(column.table().sql())],
    )?;
    match rows.first().map(|row| row.get::<i64>("columns")).transpose()? {
        Some(1) => Ok((rows.one()?.get("name")?, rows.one()?.get("type")?)),
        _ => {
            let message = format!(
                "{} has encrypted values, and its table has no primary key of one column by which a row is found again",
                column.plain()
            );
            Err(Failure::permanent("pg-no-key", message))
        }
    }
}

impl HitColumn {
    /// What a copy has of these rows, by key; rows that are not there are left out.
    pub fn versions(
        &self,
        connection: &impl Connection,
        keys: &[String],
    ) -> Result<BTreeMap<String, Version>, Failure> {
        let (name, ty) = (quote_identifier(&self.key.0), &self.key.1);
        let column = quote_identifier(&self.column.column);
        let value = if self.column.bytes { column } else { format!("{column}::text") };
        let sql = format!(
            "SELECT {name}::text AS key, xmin::text::bigint AS writer, {value} AS value FROM ONLY {} WHERE {name} = ANY ($1::text[]::{ty}[])",
            self.column.table().sql()
        );
        let mut versions = BTreeMap::new();
        for some in keys.chunks(AT_ONCE) {
            for row in connection.query(&sql, &[Value::from(some.to_vec())])?.iter() {
                let value = row.value("value")?.clone();
                let is_encrypted = match &value {
                    Value::Text(text) => looks_random(text.as_bytes()),
                    Value::Bytes(bytes) => looks_random(bytes),
                    _ => false,
                };
                let version = if is_encrypted { Version::Encrypted(row.get("writer")?) } else { Version::Good(value) };
                versions.insert(row.get("key")?, version);
            }
        }
        Ok(versions)
    }

    /// The rows of a copy that this transaction wrote last, by key.
    pub fn written_by(&self, connection: &impl Connection, xid: u32) -> Result<Vec<String>, Failure> {
        let (name, table) = (quote_identifier(&self.key.0), self.column.table().sql());
        let sql = format!("SELECT {name}::text AS key FROM ONLY {table} WHERE xmin = '{xid}'::xid");
        connection.query(&sql, &[])?.iter().map(|row| row.get("key")).collect()
    }

    /// Puts these values in their place; how many rows there were.
    pub fn mend(&self, server: &impl Connection, values: &[(String, Value)]) -> Result<u64, Failure> {
        let (name, ty) = (quote_identifier(&self.key.0), &self.key.1);
        let column = quote_identifier(&self.column.column);
        let of = if self.column.bytes { "decode(v.value, 'hex')" } else { "v.value" };
        let sql = format!(
            "UPDATE ONLY {} AS lifeboat_row SET {column} = {of}
               FROM unnest($1::text[], $2::text[]) AS v (key, value) WHERE lifeboat_row.{name} = v.key::{ty}",
            self.column.table().sql()
        );
        let mut mended = 0;
        for some in values.chunks(AT_ONCE) {
            let text = |value: &Value| match value {
                Value::Text(text) => Some(text.clone()),
                Value::Bytes(bytes) => Some(crate::call::digest::hexadecimal(bytes)),
                _ => None,
            };
            let with_text = some.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?)));
            let (keys, texts): (Vec<String>, Vec<String>) = with_text.unzip();
            mended += server.execute(&sql, &[Value::from(keys), Value::from(texts)])?;
            let nulls: Vec<String> =
                some.iter().filter(|(_, value)| text(value).is_none()).map(|(key, _)| key.clone()).collect();
            if !nulls.is_empty() {
                let sql = format!(
                    "UPDATE ONLY {} AS lifeboat_row SET {column} = NULL WHERE lifeboat_row.{name} = ANY ($1::text[]::{ty}[])",
                    self.column.table().sql()
                );
                mended += server.execute(&sql, &[Value::from(nulls)])?;
            }
        }
        Ok(mended)
    }
}
