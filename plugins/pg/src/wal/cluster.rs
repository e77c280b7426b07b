//! The cluster that writes the WAL: what identifies it, and how its WAL is cut.

use lifeboat_plugin::{Connection, Failure};

use crate::wal::segment::SegmentSize;

/// What identifies a cluster and how its WAL is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Made when the cluster was; never changes.
    pub system_identifier: u64,
    /// Of its WAL.
    pub segment_size: SegmentSize,
    /// Which it writes on, or which is to be followed.
    pub timeline: u32,
    /// `150014` for 15.14.
    pub version: i64,
    /// OID of the database of the connection.
    pub database: u32,
}

/// Asks the server for its facts. The control file knows of a promotion only after the next checkpoint, so the timeline is the
/// one in the name of the segment that is written; in recovery, the newest of which anything was received or replayed.
pub fn facts(connection: &impl Connection) -> Result<Facts, Failure> {
    let rows = connection.query(
        "SELECT s.system_identifier::text AS system_identifier,
                CASE WHEN pg_is_in_recovery()
                     THEN greatest(c.timeline_id, r.min_recovery_end_timeline,
                                   (SELECT received_tli FROM pg_stat_wal_receiver))::bigint
                     ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END AS timeline,
                current_setting('server_version_num')::bigint AS version,
                (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size') AS segment_size,
                (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database
           FROM pg_control_system() AS s, pg_control_checkpoint() AS c, pg_control_recovery() AS r",
        &[],
    )?;
    let row = rows.one()?;
    let identifier: String = row.get("system_identifier")?;
    let bytes: i64 = row.get("segment_size")?;
    let segment_size = u64::try_from(bytes).ok().and_then(SegmentSize::new);
    Ok(Facts {
        // The catalog's type is a signed integer, the identifier is not.
        system_identifier: identifier.parse::<i64>().map(i64::cast_unsigned).map_err(|_| odd("system_identifier"))?,
        segment_size: segment_size.ok_or_else(|| odd("wal_segment_size"))?,
        timeline: row.get("timeline")?,
        version: row.get("version")?,
        database: row.get("database")?,
    })
}

fn odd(what: &str) -> Failure {
    Failure::permanent("pg-odd-answer", format!("the server returned an impossible value for {what}"))
}
