//! Everything in a database and its cluster that carries code, a right or a setting: one hash for each object, so that two readings differ
//! exactly by what somebody changed. Object ids are part of what is hashed: readings are compared within one cluster and its copies, never
//! across clusters.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure, postgres::Row};
use serde::{Deserialize, Serialize};

/// An object, or all objects of a kind that the server itself brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeObject {
    /// Its kind and name: `trigger audit on public.orders`.
    pub what: String,
    /// Of its row in the catalog.
    pub hash: String,
}

/// Names are printed alike whatever the path of the login is.
const PATH: &str = "SELECT pg_catalog.set_config('search_path', 'pg_catalog', true) AS path";

/// What comes with the server has an object id below this, and is hashed together by kind.
const READ: &str = "
WITH found(kind, name, own, hash) AS (
 SELECT 'function', p.oid::pg_catalog.regprocedure::text, p.oid >= 16384, md5(p::text) FROM pg_catalog.pg_proc p
 UNION ALL SELECT 'trigger', t.tgname || ' on ' || t.tgrelid::pg_catalog.regclass::text, t.oid >= 16384, md5(t::text) FROM pg_catalog.pg_trigger t
 UNION ALL SELECT 'event trigger', e.evtname::text, true, md5(e::text) FROM pg_catalog.pg_event_trigger e
 UNION ALL SELECT 'rule', r.rulename || ' on ' || r.ev_class::pg_catalog.regclass::text, r.oid >= 16384, md5(r::text) FROM pg_catalog.pg_rewrite r
 UNION ALL SELECT 'policy', p.polname || ' on ' || p.polrelid::pg_catalog.regclass::text, true, md5(p::text) FROM pg_catalog.pg_policy p
 UNION ALL SELECT 'default', d.adrelid::pg_catalog.regclass::text || ' column ' || d.adnum, d.oid >= 16384, md5(d::text) FROM pg_catalog.pg_attrdef d
 UNION ALL SELECT 'constraint', c.conname || ' on ' || c.conrelid::pg_catalog.regclass::text, c.oid >= 16384, md5(c::text) FROM pg_catalog.pg_constraint c
 UNION ALL SELECT 'index', i.indexrelid::pg_catalog.regclass::text, i.indexrelid >= 16384,
   md5(concat_ws('|', i.indrelid, i.indisunique, i.indisprimary, i.indkey, i.indclass, i.indexprs, i.indpred)) FROM pg_catalog.pg_index i
 UNION ALL SELECT 'operator', o.oid::pg_catalog.regoperator::text, o.oid >= 16384, md5(o::text) FROM pg_catalog.pg_operator o
 UNION ALL SELECT 'cast', c.castsource::pg_catalog.regtype::text || ' to ' || c.casttarget::pg_catalog.regtype::text, c.oid >= 16384, md5(c::text) FROM pg_catalog.pg_cast c
 UNION ALL SELECT 'type', t.oid::pg_catalog.regtype::text, t.oid >= 16384, md5(t::text) FROM pg_catalog.pg_type t
   WHERE t.typnamespace::pg_catalog.regnamespace::text !~ '^pg_(toast_)?temp_'
 UNION ALL SELECT 'language', l.lanname::text, l.oid >= 16384, md5(l::text) FROM pg_catalog.pg_language l
 UNION ALL SELECT 'access method', a.amname::text, a.oid >= 16384, md5(a::text) FROM pg_catalog.pg_am a
 UNION ALL SELECT 'operator class', o.opcname::text, o.oid >= 16384, md5(o::text) FROM pg_catalog.pg_opclass o
 UNION ALL SELECT 'support function', a.amproc::pg_catalog.regprocedure::text, a.oid >= 16384, md5(a::text) FROM pg_catalog.pg_amproc a
 UNION ALL SELECT 'operator of an access method', a.amopopr::pg_catalog.regoperator::text, a.oid >= 16384, md5(a::text) FROM pg_catalog.pg_amop a
 UNION ALL SELECT 'aggregate', a.aggfnoid::text, a.aggfnoid::oid >= 16384, md5(a::text) FROM pg_catalog.pg_aggregate a
 UNION ALL SELECT 'conversion', c.conname::text, c.oid >= 16384, md5(c::text) FROM pg_catalog.pg_conversion c
 UNION ALL SELECT 'extension', e.extname::text, true, md5(e::text) FROM pg_catalog.pg_extension e
 UNION ALL SELECT 'foreign server', s.srvname::text, true, md5(s::text) FROM pg_catalog.pg_foreign_server s
 UNION ALL SELECT 'foreign-data wrapper', f.fdwname::text, true, md5(f::text) FROM pg_catalog.pg_foreign_data_wrapper f
 UNION ALL SELECT 'user mapping', u.umuser || ' on ' || u.umserver, true, md5(u::text) FROM pg_catalog.pg_user_mapping u
 UNION ALL SELECT 'publication', p.pubname::text, true, md5(p::text) FROM pg_catalog.pg_publication p
 UNION ALL SELECT 'subscription', s.subname::text, true, md5(s.subenabled || s.subconninfo) FROM pg_catalog.pg_subscription s
 UNION ALL SELECT 'schema', n.nspname::text, n.oid >= 16384, md5(n::text) FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_(toast_)?temp_'
 UNION ALL SELECT 'default rights', d.defaclrole::pg_catalog.regrole::text || ' ' || d.defaclobjtype::text, true, md5(d::text) FROM pg_catalog.pg_default_acl d
 UNION ALL SELECT 'relation', c.oid::pg_catalog.regclass::text, c.oid >= 16384,
   md5(concat_ws('|', c.relnamespace, c.relowner, c.relam, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.reloptions))
   FROM pg_catalog.pg_class c WHERE c.relnamespace::pg_catalog.regnamespace::text !~ '^pg_(toast_)?temp_' AND c.relkind <> 't'
 UNION ALL SELECT 'column', a.attrelid::pg_catalog.regclass::text || '.' || a.attname, true,
   md5(concat_ws('|', a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated, a.attidentity, a.attisdropped, a.attcollation, a.attacl, a.attstorage))
   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
   WHERE a.attnum > 0 AND a.attrelid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
     AND c.relnamespace::pg_catalog.regnamespace::text !~ '^pg_(toast_)?temp_'
 UNION ALL SELECT 'security label', s.objoid || ' ' || s.provider, true, md5(s::text) FROM pg_catalog.pg_seclabel s
 UNION ALL SELECT 'role', a.rolname::text, a.oid >= 16384, md5(a::text) FROM pg_catalog.pg_authid a
 UNION ALL SELECT 'membership', m.member::pg_catalog.regrole::text || ' in ' || m.roleid::pg_catalog.regrole::text, m.roleid >= 16384 OR m.member >= 16384,
   md5(m.roleid || '|' || m.member || '|' || m.admin_option) FROM pg_catalog.pg_auth_members m
 UNION ALL SELECT 'setting', coalesce('of role ' || nullif(s.setrole, 0)::pg_catalog.regrole::text, 'of all roles')
   || coalesce(' in database ' || d.datname, ''), true, md5(s.setconfig::text)
   FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
 UNION ALL SELECT 'database', d.datname::text, d.oid >= 16384,
   md5(concat_ws('|', d.datdba, d.encoding, d.datcollate, d.datistemplate, d.datallowconn, d.dattablespace, d.datacl)) FROM pg_catalog.pg_database d
 UNION ALL SELECT 'prepared transaction', x.gid, true, md5(x.owner || '|' || x.database) FROM pg_catalog.pg_prepared_xacts x
 UNION ALL SELECT 'tablespace', t.spcname::text, t.oid >= 16384, md5(t::text) FROM pg_catalog.pg_tablespace t
 UNION ALL SELECT 'right on a parameter', p.parname, true, md5(p::text) FROM pg_catalog.pg_parameter_acl p
)
SELECT kind || ' ' || CASE WHEN own THEN name ELSE '(those of the server)' END AS what,
       md5(string_agg(hash, ',' ORDER BY hash COLLATE \"C\")) AS hash
  FROM found GROUP BY 1 ORDER BY 1";

/// Reads it. The connection must be in a transaction, or one whose path is `pg_catalog` already, as on a copy. Needs a superuser: nobody
/// else may read passwords.
pub fn read(connection: &impl Connection) -> Result<Vec<CodeObject>, Failure> {
    connection.query(PATH, &[])?;
    let rows = connection.query(READ, &[])?;
    let object = |row: Row<'_>| Ok(CodeObject { what: row.get("what")?, hash: row.get("hash")? });
    rows.iter().map(object).collect()
}

/// What differs, in words; empty where nothing does.
pub fn differences(recorded: &[CodeObject], now: &[CodeObject]) -> Vec<String> {
    let by_name = |objects: &[CodeObject]| -> BTreeMap<String, String> {
        objects.iter().map(|object| (object.what.clone(), object.hash.clone())).collect()
    };
    let (recorded, now) = (by_name(recorded), by_name(now));
    let new = now.iter().filter_map(|(what, hash)| match recorded.get(what) {
        None => Some(format!("new: {what}")),
        Some(before) if before != hash => Some(format!("changed: {what}")),
        Some(_) => None,
    });
    let gone = recorded.keys().filter(|what| !now.contains_key(*what)).map(|what| format!("gone: {what}"));
    new.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_object() {
        let object = |what: &str, hash: &str| CodeObject { what: what.to_owned(), hash: hash.to_owned() };
        let recorded = [object("role app", "1"), object("role old", "2"), object("schema public", "3")];
        assert_eq!(differences(&recorded, &recorded), Vec::<String>::new());
        let now = [object("role app", "9"), object("schema public", "3"), object("trigger z on t", "4")];
        assert_eq!(
            differences(&recorded, &now),
            ["changed: role app", "new: trigger z on t", "gone: role old"],
            "each of the three kinds"
        );
    }
}
