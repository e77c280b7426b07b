//! The databases of a restored copy. A backup contains all of them, so what is verified is verified in each.

use lifeboat_plugin::{Connection, Failure};

/// The databases of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Databases {
    /// Those that are looked into, by name.
    pub open: Vec<String>,
    /// Those that are not, with the reason.
    pub closed: Vec<String>,
}

/// Asks for the databases: all of them, or these, each of which must be there.
pub fn list(connection: &impl Connection, wanted: Option<&[String]>) -> Result<Databases, Failure> {
    // -2 marks a database whose removal was interrupted (version 15.5 and later): nobody can connect to it.
    let rows = connection.query(
        "SELECT d.datname::text AS name, d.datallowconn AS allowed, d.datconnlimit = -2 AS invalid
           FROM pg_catalog.pg_database AS d ORDER BY d.datname",
        &[],
    )?;
    let mut found = Databases::default();
    for row in rows.iter() {
        let name: String = row.get("name")?;
        if wanted.is_some_and(|wanted| !wanted.contains(&name)) {
            continue;
        }
        match (row.get("allowed")?, row.get("invalid")?) {
            (_, true) => found.closed.push(format!("the database {name}, whose removal was interrupted")),
            (false, _) if name == "template0" => {}
            (false, _) => found.closed.push(format!("the database {name}, which allows no connections")),
            (true, false) => found.open.push(name),
        }
    }
    let missing = wanted.into_iter().flatten().find(|name| !found.open.contains(name));
    match missing {
        Some(name) => {
            Err(Failure::permanent("pg-read-failed", format!("the copy has no database `{name}` that can be read")))
        }
        None => Ok(found),
    }
}

/// What one database said: `Ok(Err(_))` is a problem to be told with all others; a connection that is lost ends the action.
pub fn told<T>(result: Result<T, Failure>) -> Result<Result<T, String>, Failure> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Permanent(reason)) => Ok(Err(reason.message)),
        Err(other) => Err(other),
    }
}

/// The first few of a list, and how many more there are.
pub fn some(all: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    if all.len() > SHOWN { format!("{shown}; and {} more", all.len() - SHOWN) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::some;

    #[test]
    fn a_long_list_is_cut() {
        let list = |length: usize| (0..length).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(some(&list(2)), "0; 1");
        assert_eq!(some(&list(12)), "0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more");
    }
}
