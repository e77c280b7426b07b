//! `pg/compare-definitions`: whether a server defines what a copy defines, by name and text: object ids differ between clusters.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    copy::marker,
    server::{Capabilities, databases::some},
};

/// Everything that carries code or rights, as text. Of roles, all but the one with which a cluster is made.
const READ: &str = "
WITH own AS (SELECT oid, nspname, nspowner, nspacl FROM pg_catalog.pg_namespace
              WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND nspname !~ '^pg_(toast_)?temp_'),
extended AS (SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'),
found(what, text) AS (
 SELECT 'schema ' || n.nspname, n.nspowner::pg_catalog.regrole::text || coalesce(n.nspacl::text, '') FROM own n
 UNION ALL SELECT 'function ' || p.oid::pg_catalog.regprocedure::text,
   concat_ws('|', p.prosrc, p.probin, p.prosecdef, p.proleakproof, p.proconfig, p.proacl, p.proowner::pg_catalog.regrole, p.prolang::bigint < 16384,
             pg_catalog.pg_get_function_result(p.oid), pg_catalog.pg_get_function_arguments(p.oid), p.prokind)
   FROM pg_catalog.pg_proc p JOIN own n ON n.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid)
 UNION ALL SELECT 'relation ' || c.oid::pg_catalog.regclass::text,
   concat_ws('|', c.relkind, c.relpersistence, c.relowner::pg_catalog.regrole, c.relacl, c.reloptions, c.relrowsecurity, c.relforcerowsecurity)
   FROM pg_catalog.pg_class c JOIN own n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
 UNION ALL SELECT 'column ' || c.oid::pg_catalog.regclass::text || '.' || a.attname,
   concat_ws('|', pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attacl,
             pg_catalog.pg_get_expr(d.adbin, d.adrelid))
   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN own n ON n.oid = c.relnamespace
   LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
 UNION ALL SELECT 'index ' || i.indexrelid::pg_catalog.regclass::text, pg_catalog.pg_get_indexdef(i.indexrelid)
   FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN own n ON n.oid = c.relnamespace
 UNION ALL SELECT 'constraint ' || c.conname || ' on ' || c.conrelid::pg_catalog.regclass::text, pg_catalog.pg_get_constraintdef(c.oid)
   FROM pg_catalog.pg_constraint c JOIN own n ON n.oid = c.connamespace
 UNION ALL SELECT 'view ' || c.oid::pg_catalog.regclass::text, pg_catalog.pg_get_viewdef(c.oid)
   FROM pg_catalog.pg_class c JOIN own n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm')
 UNION ALL SELECT 'rule ' || r.rulename || ' on ' || r.ev_class::pg_catalog.regclass::text, pg_catalog.pg_get_ruledef(r.oid)
   FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN own n ON n.oid = c.relnamespace
 UNION ALL SELECT 'trigger ' || t.tgname || ' on ' || t.tgrelid::pg_catalog.regclass::text, pg_catalog.pg_get_triggerdef(t.oid) || t.tgenabled::text
   FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal
 UNION ALL SELECT 'event trigger ' || e.evtname, concat_ws('|', e.evtevent, e.evtfoid::pg_catalog.regprocedure, e.evtenabled, e.evttags)
   FROM pg_catalog.pg_event_trigger e
 UNION ALL SELECT 'policy ' || p.polname || ' on ' || p.polrelid::pg_catalog.regclass::text,
   concat_ws('|', p.polcmd, p.polpermissive, pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
   FROM pg_catalog.pg_policy p
 UNION ALL SELECT 'extension ' || e.extname, e.extversion FROM pg_catalog.pg_extension e
 UNION ALL SELECT 'foreign server ' || s.srvname, concat_ws('|', s.srvoptions, s.srvacl) FROM pg_catalog.pg_foreign_server s
 UNION ALL SELECT 'language ' || l.lanname, l.lanpltrusted::text FROM pg_catalog.pg_language l
 UNION ALL SELECT 'publication ' || p.pubname, p.puballtables::text FROM pg_catalog.pg_publication p
 UNION ALL SELECT 'default rights of ' || d.defaclrole::pg_catalog.regrole::text || ' ' || d.defaclobjtype::text, d.defaclacl::text
   FROM pg_catalog.pg_default_acl d
 UNION ALL SELECT 'role ' || r.rolname,
   concat_ws('|', r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit)
   FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' AND r.oid <> 10
 UNION ALL SELECT 'membership of ' || m.member::pg_catalog.regrole::text || ' in ' || m.roleid::pg_catalog.regrole::text, m.admin_option::text
   FROM pg_catalog.pg_auth_members m
 UNION ALL SELECT 'setting ' || coalesce(nullif(s.setrole, 0)::pg_catalog.regrole::text, 'of all roles') || coalesce(' in ' || d.datname, ''),
   s.setconfig::text FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
)
SELECT what, string_agg(coalesce(text, ''), ';' ORDER BY text COLLATE \"C\") AS text FROM found GROUP BY 1";
/// Names are printed as on a copy, whose sessions look names up in `pg_catalog` alone.
const PATH: &str = "SELECT pg_catalog.set_config('search_path', 'pg_catalog', false) AS path";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    instance: String,
    server: String,
    #[serde(default)]
    own: Vec<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "compare-definitions",
        Effect::Mutate,
        "Compares what a server defines (tables, functions, triggers, rights, roles, settings …) with a copy, by name and \
         text, through the catalog and not through a dump. Fails where either has something that the other has not, or \
         has it differently, and names it. Passwords are not compared. Nothing is changed but a setting of its own session.",
    )
    .parameter("machine", "target<machine:read>", "The machine of the copy.")
    .parameter("instance", "string", "The copy, as `pg/restore` named it.")
    .parameter("server", "target<postgres:write>", "The server.")
    .optional("own", "list<string>", "Roles that the server alone has, such as those of its administrators (none).")
    .output("objects", "int", "How many there are.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let marker = marker::read(caps, machine, &parameters.instance)?;
    let copy = marker.open(caps, machine, &marker::folder(caps, machine, &parameters.instance)?)?;
    let wanted = read(&copy)?;
    let server = caps.open(&parameters.server)?;
    server.query(PATH, &[])?;
    let mut found = read(&server)?;
    for own in &parameters.own {
        found.remove(&format!("role {own}"));
    }
    let differing = differences(&wanted, &found);
    if differing.is_empty() {
        let objects = found.len();
        return Outcome::new(json!({ "objects": objects }), format!("{objects} objects are defined as in the copy"));
    }
    let message = format!("the server does not define what {} does: {}", parameters.instance, some(&differing));
    Err(Failure::permanent("pg-definitions-differ", message))
}

fn read(connection: &impl Connection) -> Result<BTreeMap<String, String>, Failure> {
    let rows = connection.query(READ, &[])?;
    rows.iter().map(|row| Ok((row.get("what")?, row.get("text")?))).collect()
}

fn differences(wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let of_found = found.iter().filter_map(|(what, text)| match wanted.get(what) {
        None => Some(format!("{what} is in the server alone")),
        Some(wanted) if wanted != text => Some(format!("{what} is not the same")),
        Some(_) => None,
    });
    let lacking = wanted.keys().filter(|what| !found.contains_key(*what));
    of_found.chain(lacking.map(|what| format!("{what} is in the copy alone"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_is_named() {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(what, text)| ((*what).to_owned(), (*text).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let wanted = map(&[("role app", "1"), ("table t", "2"), ("view v", "3")]);
        assert_eq!(differences(&wanted, &wanted), Vec::<String>::new());
        let found = map(&[("role app", "1"), ("table t", "9"), ("trigger z", "3")]);
        assert_eq!(
            differences(&wanted, &found),
            ["table t is not the same", "trigger z is in the server alone", "view v is in the copy alone"]
        );
    }
}
