//! Settings of logins that a copy inherits by its catalog and that a login of ours cannot turn off: what a superuser's session may
//! set, another login's may not.

use lifeboat_plugin::{Connection, Failure};

/// The libraries that each session of the login loads, because its role or its database says so. The most special setting wins, as
/// on the server.
const LIBRARIES: &str = "SELECT o.option_value AS libraries,
        'ALTER' || CASE WHEN s.setrole <> 0 THEN ' ROLE ' || quote_ident(session_user) WHEN s.setdatabase = 0 THEN ' ROLE ALL' ELSE '' END
        || CASE WHEN s.setdatabase = 0 THEN '' WHEN s.setrole <> 0 THEN ' IN DATABASE ' || quote_ident(current_database())
                ELSE ' DATABASE ' || quote_ident(current_database()) END AS command
   FROM pg_db_role_setting AS s CROSS JOIN LATERAL pg_options_to_table(s.setconfig) AS o
  WHERE s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
    AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND lower(o.option_name) = 'session_preload_libraries'
    AND NOT has_parameter_privilege(session_user, 'session_preload_libraries', 'SET')
  ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1";

/// What the login's sessions on a copy will load, in words; `None` if they load nothing, or can set that themselves.
pub fn preloaded(primary: &impl Connection) -> Result<Option<String>, Failure> {
    let rows = primary.query(LIBRARIES, &[])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (libraries, command): (String, String) = (row.get("libraries")?, row.get("command")?);
    let libraries = libraries.trim();
    Ok((!libraries.is_empty()).then(|| warning(libraries, &command)))
}

fn warning(libraries: &str, command: &str) -> String {
    format!(
        "`{command} SET session_preload_libraries` makes each session of the login on a copy load the libraries \
         {libraries}, and a login that is no superuser cannot turn that off: if one of them is not installed on the \
         recovery machine, the login cannot connect to the copy. Install them there, or bind a login that is a \
         superuser or has the right to set it (`GRANT SET ON PARAMETER session_preload_libraries TO …`)"
    )
}
