//! What a foreign key became when the row that it pointed at was removed: null, or the default of its column. Only if that is
//! certain can it be decided whether it is still so.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    rows::{
        preparation::Matched,
        relation::{Clearing, Reference},
    },
    server::identifier::{quote_identifier, quote_literal},
};

/// The value of each column that the removal changed, as text; none is null.
pub type Cleared = BTreeMap<String, Option<String>>;

/// Kinds of nodes of an expression that gives the same whenever and by whomever it is evaluated, if its functions do.
const FIRM: &str = "{CONST,FUNCEXPR,OPEXPR,RELABELTYPE}";

// Functions of the server itself that are immutable: a default that draws from a sequence, asks for the time or for the user, or
// runs code of the application, can have been another one. OIDs of the application begin at 16384.
const DEFAULTS: &str = "SELECT a.attnum::bigint AS number, pg_get_expr(d.adbin, d.adrelid) AS expression,
        a.attidentity = '' AND CASE WHEN d.adbin IS NULL THEN t.typdefault IS NULL ELSE
            NOT EXISTS (SELECT FROM regexp_matches(d.adbin::text, '\\{([A-Z]+)', 'g') AS m (node)
                         WHERE m.node[1] <> ALL ($3::text::text[]))
            AND NOT EXISTS (SELECT FROM regexp_matches(d.adbin::text, ':(?:op)?funcid (\\d+)', 'g') AS m (id)
                              LEFT JOIN pg_proc p ON p.oid = m.id[1]::oid
                             WHERE p.oid IS NULL OR p.oid >= 16384 OR p.provolatile <> 'i') END AS is_firm
   FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = $1::bigint::oid AND a.attnum = ANY ($2::text::int2[])";

/// What the columns of a reference became, by the catalog of the copy, where the defaults are those of the removal; none where
/// that is not certain.
pub fn cleared(
    copy: &impl Connection,
    oid: i64,
    matched: &Matched,
    reference: &Reference,
) -> Result<Option<Cleared>, Failure> {
    if reference.cleared.is_empty() {
        return Ok(None);
    }
    if reference.clearing == Clearing::Null {
        return Ok(Some(reference.cleared.iter().map(|name| (name.clone(), None)).collect()));
    }
    let numbers: BTreeMap<i64, &String> =
        reference.cleared.iter().filter_map(|name| Some((matched.now.column(name)?.number, name))).collect();
    let list: Vec<_> = numbers.keys().map(i64::to_string).collect();
    let parameters = [Value::from(oid), Value::from(format!("{{{}}}", list.join(","))), Value::from(FIRM)];
    let rows = copy.query(DEFAULTS, &parameters)?;
    let mut all = Cleared::new();
    for row in rows.iter() {
        let Some(name) = numbers.get(&row.get::<i64>("number")?).filter(|_| row.get("is_firm").unwrap_or(false)) else {
            return Ok(None);
        };
        let value = match row.get::<Option<String>>("expression")? {
            Some(expression) => {
                copy.query(&format!("SELECT ({expression})::text AS value"), &[])?.one()?.get("value")?
            }
            None => None,
        };
        all.insert((*name).clone(), value);
    }
    Ok((all.len() == reference.cleared.len()).then_some(all))
}

/// The condition under which a column still is what the removal made of it.
pub fn is_still(alias: &str, name: &str, value: Option<&String>, ty: &str) -> String {
    let column = format!("{alias}.{}", quote_identifier(name));
    match value {
        None => format!("{column} IS NULL"),
        Some(value) => format!("{column} = {}::{ty}", quote_literal(value)),
    }
}
