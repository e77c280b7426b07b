//! Large objects that the transaction removed go back under their own OIDs, with owner and rights.

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    rows::exact_set::Tuples,
    server::{
        Capabilities,
        identifier::{quote_identifier, quote_literal},
    },
};

/// Read and written at once.
const CHUNK_BYTES: i64 = 1 << 20;
const OBJECTS_AT_ONCE: usize = 1_000;

/// The state of large objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objects {
    /// Put back.
    pub restored: u64,
    /// There, with the same content.
    pub present: u64,
    /// Not back: another one has the OID, or the login may not read it in the copy.
    pub left: u64,
}

/// Puts the objects back whose rows of `pg_largeobject_metadata` lie at these places in the copy. One that the transaction
/// had made itself is not there.
pub fn put_back<C: Capabilities>(
    caps: &C,
    primary: &C::Connection,
    copy: &C::Connection,
    places: &Tuples,
) -> Result<Objects, Failure> {
    let mut objects = Objects::default();
    if places.is_empty() {
        return Ok(objects);
    }
    if !is_superuser(primary)? || !is_superuser(copy)? {
        caps.warn(&format!(
            "{} large objects stay in the copy: only a superuser reads those of all owners",
            places.len()
        ));
        return Ok(Objects { left: places.len(), ..objects });
    }
    for (literal, _) in places.batches(OBJECTS_AT_ONCE) {
        let sql = "SELECT oid::bigint AS oid, pg_get_userbyid(lomowner)::text AS owner
                     FROM pg_largeobject_metadata WHERE ctid = ANY ($1::text::tid[])";
        for row in copy.query(sql, &[Value::from(literal)])?.iter() {
            let (oid, owner): (i64, String) = (row.get("oid")?, row.get("owner")?);
            one(primary, copy, oid, &owner, &mut objects)?;
        }
        let done = objects.restored + objects.present + objects.left;
        caps.progress(done, Some(places.len()), "objects", "putting large objects back");
    }
    Ok(objects)
}

fn is_superuser(connection: &impl Connection) -> Result<bool, Failure> {
    connection.query("SELECT current_setting('is_superuser') = 'on' AS allowed", &[])?.one()?.get("allowed")
}

fn one(
    primary: &impl Connection,
    copy: &impl Connection,
    oid: i64,
    owner: &str,
    objects: &mut Objects,
) -> Result<(), Failure> {
    let there = "SELECT EXISTS (SELECT FROM pg_largeobject_metadata WHERE oid = $1::bigint::oid) AS there";
    if primary.query(there, &[Value::from(oid)])?.one()?.get("there")? {
        let same = is_same(primary, copy, oid)?;
        objects.present += u64::from(same);
        objects.left += u64::from(!same);
        return Ok(());
    }
    primary.query("SELECT lo_create($1::bigint::oid)::bigint AS oid", &[Value::from(oid)])?;
    let mut offset = 0;
    loop {
        let chunk = chunk(copy, oid, offset)?;
        let length = i64::try_from(chunk.len()).unwrap_or(CHUNK_BYTES);
        if length > 0 {
            let sql = "SELECT lo_put($1::bigint::oid, $2::bigint, $3::bytea)::text AS put";
            primary.query(sql, &[Value::from(oid), Value::from(offset), Value::from(chunk)])?;
        }
        offset += length;
        if length < CHUNK_BYTES {
            break;
        }
    }
    objects.restored += 1;
    give(primary, copy, oid, owner)
}

fn chunk(connection: &impl Connection, oid: i64, offset: i64) -> Result<Vec<u8>, Failure> {
    let sql = "SELECT lo_get($1::bigint::oid, $2::bigint, $3::bigint::int) AS content";
    connection.query(sql, &[Value::from(oid), Value::from(offset), Value::from(CHUNK_BYTES)])?.one()?.get("content")
}

fn is_same(primary: &impl Connection, copy: &impl Connection, oid: i64) -> Result<bool, Failure> {
    let mut offset = 0;
    loop {
        let (now, then) = (chunk(primary, oid, offset)?, chunk(copy, oid, offset)?);
        if now != then {
            return Ok(false);
        }
        if now.len() < CHUNK_BYTES as usize {
            return Ok(true);
        }
        offset += CHUNK_BYTES;
    }
}

/// Owner and rights as they were. A role that is gone today is left out.
fn give(primary: &impl Connection, copy: &impl Connection, oid: i64, owner: &str) -> Result<(), Failure> {
    let mut statements =
        vec![(owner.to_owned(), format!("ALTER LARGE OBJECT {oid} OWNER TO {}", quote_identifier(owner)))];
    let rights = "SELECT CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END AS grantee, a.privilege_type AS right,
                         a.is_grantable AS grantable
                    FROM pg_largeobject_metadata m, aclexplode(m.lomacl) a WHERE m.oid = $1::bigint::oid AND a.grantee <> m.lomowner";
    for row in copy.query(rights, &[Value::from(oid)])?.iter() {
        let (grantee, right, grantable): (String, String, bool) =
            (row.get("grantee")?, row.get("right")?, row.get("grantable")?);
        let to = if grantee.is_empty() { "PUBLIC".to_owned() } else { quote_identifier(&grantee) };
        let option = if grantable { " WITH GRANT OPTION" } else { "" };
        statements.push((grantee, format!("GRANT {right} ON LARGE OBJECT {oid} TO {to}{option}")));
    }
    for (role, statement) in statements {
        let known = format!(
            "SELECT {0} = '' OR EXISTS (SELECT FROM pg_roles WHERE rolname = {0}) AS known",
            quote_literal(&role)
        );
        if primary.query(&known, &[])?.one()?.get("known")? {
            primary.execute(&statement, &[])?;
        }
    }
    Ok(())
}
