//! The roles of a copy, and what is set for them, as statements for another server. Passwords are not among them.

use lifeboat_plugin::{Connection, Failure, postgres::Row};

use crate::server::identifier::{quote_identifier, quote_literal};

/// Roles that the server itself does not bring.
const ROLES: &str = "
SELECT r.rolname::text AS name,
       concat_ws(' ', CASE WHEN r.rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, CASE WHEN r.rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
                 CASE WHEN r.rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
                 CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, CASE WHEN r.rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
                 CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, 'CONNECTION LIMIT ' || r.rolconnlimit,
                 'VALID UNTIL ' || quote_literal(r.rolvaliduntil::text)) AS attributes
  FROM pg_catalog.pg_roles AS r WHERE r.rolname !~ '^pg_' AND r.oid <> 10 ORDER BY 1";
const MEMBERS: &str = "
SELECT g.rolname::text AS role, m.rolname::text AS member, a.admin_option AS admin
  FROM pg_catalog.pg_auth_members AS a JOIN pg_catalog.pg_roles AS g ON g.oid = a.roleid JOIN pg_catalog.pg_roles AS m ON m.oid = a.member
 WHERE m.rolname !~ '^pg_' ORDER BY 1, 2";
const SETTINGS: &str = "
SELECT coalesce(r.rolname::text, '') AS role, coalesce(d.datname::text, '') AS database, o.option_name AS name, o.option_value AS value
  FROM pg_catalog.pg_db_role_setting AS s LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
  LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase CROSS JOIN LATERAL pg_catalog.pg_options_to_table(s.setconfig) AS o
 WHERE s.setdatabase = 0 OR d.datname = pg_catalog.current_database() ORDER BY 1, 2, 3";
const OWNER: &str = "
SELECT d.datname::text AS name, r.rolname::text AS owner, d.datacl IS NOT NULL AS has_rights
  FROM pg_catalog.pg_database AS d JOIN pg_catalog.pg_roles AS r ON r.oid = d.datdba WHERE d.datname = pg_catalog.current_database()";
/// Settings whose value is a list that is stored with its quotes.
const LISTS: [&str; 6] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "shared_preload_libraries",
    "local_preload_libraries",
    "unix_socket_directories",
];

/// The statements, and what is not among them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The names of the roles that are made.
    pub made: Vec<String>,
    /// In their order.
    pub statements: Vec<String>,
    /// What is left to people.
    pub left_out: Vec<String>,
}

/// Those of a copy that the other server does not have.
pub fn missing(copy: &impl Connection, server: &impl Connection) -> Result<Roles, Failure> {
    let there: Vec<String> = names(server)?;
    let mut roles = Roles::default();
    for row in copy.query(ROLES, &[])?.iter() {
        let (name, attributes): (String, String) = (row.get("name")?, row.get("attributes")?);
        if !there.contains(&name) {
            roles.statements.push(format!("CREATE ROLE {} WITH {attributes}", quote_identifier(&name)));
            roles.made.push(name);
        }
    }
    for row in copy.query(MEMBERS, &[])?.iter() {
        let (role, member): (String, String) = (row.get("role")?, row.get("member")?);
        let admin = if row.get("admin")? { " WITH ADMIN OPTION" } else { "" };
        roles.statements.push(format!("GRANT {} TO {}{admin}", quote_identifier(&role), quote_identifier(&member)));
    }
    for row in copy.query(SETTINGS, &[])?.iter() {
        roles.statements.push(setting(&row)?);
    }
    let found = copy.query(OWNER, &[])?;
    let row = found.one()?;
    let (database, owner): (String, String) = (row.get("name")?, row.get("owner")?);
    roles.statements.push(format!(
        "ALTER DATABASE {} OWNER TO {}",
        quote_identifier(&database),
        quote_identifier(&owner)
    ));
    if row.get("has_rights")? {
        roles.left_out.push(format!("rights on the database {database} itself (GRANT … ON DATABASE)"));
    }
    Ok(roles)
}

fn names(server: &impl Connection) -> Result<Vec<String>, Failure> {
    let rows = server.query("SELECT rolname::text AS name FROM pg_catalog.pg_roles", &[])?;
    rows.iter().map(|row| row.get("name")).collect()
}

fn setting(row: &Row<'_>) -> Result<String, Failure> {
    let (role, database): (String, String) = (row.get("role")?, row.get("database")?);
    let (name, value): (String, String) = (row.get("name")?, row.get("value")?);
    let of = match (role.as_str(), database.as_str()) {
        ("", "") => "ROLE ALL".to_owned(),
        ("", database) => format!("DATABASE {}", quote_identifier(database)),
        (role, "") => format!("ROLE {}", quote_identifier(role)),
        (role, database) => format!("ROLE {} IN DATABASE {}", quote_identifier(role), quote_identifier(database)),
    };
    let is_list = LISTS.contains(&name.to_ascii_lowercase().as_str());
    let value = if is_list && !value.is_empty() { value } else { quote_literal(&value) };
    let name: Vec<String> = name.split('.').map(quote_identifier).collect();
    Ok(format!("ALTER {of} SET {} TO {value}", name.join(".")))
}
