//! Where recovery is to stop, and whether a backup can get there.

use serde::Deserialize;

use crate::{
    backup::base_backup::Backup,
    server::{Moment, identifier::quote_setting},
    wal::segment::Lsn,
};

/// Where recovery is to stop.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// After everything that the archive has. Always `true`.
    Latest(bool),
    /// As soon as the backup is consistent: the server as it was when the backup ended. Always `true`.
    Immediate(bool),
    /// After the last transaction that committed at or before this.
    Time(String),
    /// After the record that ends at or behind this position.
    Lsn(Lsn),
    /// After the commit of this transaction.
    Xid(i64),
    /// Just before the commit of this transaction.
    BeforeXid(i64),
}

impl Target {
    /// The transaction that decides, as the WAL knows it.
    pub fn xid(&self) -> Option<u32> {
        match self {
            Self::Xid(xid) | Self::BeforeXid(xid) => u32::try_from(xid & 0xFFFF_FFFF).ok(),
            _ => None,
        }
    }

    /// Recovery settings. A time is given as the server printed it in UTC. The latest state is that after the archive's last
    /// record: without a target, recovery would take anything that stops it for the end.
    pub fn settings(&self, moment: Option<&Moment>, last_record: Option<Lsn>) -> Vec<(&'static str, String)> {
        let inclusive = ("recovery_target_inclusive", "on".to_owned());
        match self {
            Self::Latest(_) => {
                let record = last_record.unwrap_or_default();
                vec![("recovery_target_lsn", quote_setting(&record.to_string())), inclusive]
            }
            Self::Immediate(_) => vec![("recovery_target", quote_setting("immediate"))],
            Self::Time(time) => {
                let time = moment.map_or_else(|| time.clone(), |moment| format!("{}+00", moment.text));
                vec![("recovery_target_time", quote_setting(&time)), inclusive]
            }
            Self::Lsn(lsn) => vec![("recovery_target_lsn", quote_setting(&lsn.to_string())), inclusive],
            Self::Xid(_) => vec![("recovery_target_xid", self.quoted_xid()), inclusive],
            Self::BeforeXid(_) => {
                vec![("recovery_target_xid", self.quoted_xid()), ("recovery_target_inclusive", "off".to_owned())]
            }
        }
    }

    fn quoted_xid(&self) -> String {
        quote_setting(&self.xid().unwrap_or_default().to_string())
    }

    /// For people.
    pub fn describe(&self) -> String {
        match self {
            Self::Latest(_) => "the end of the archive".to_owned(),
            Self::Immediate(_) => "the end of the backup".to_owned(),
            Self::Time(time) => format!("time {time}"),
            Self::Lsn(lsn) => format!("position {lsn}"),
            Self::Xid(xid) => format!("the commit of transaction {xid}"),
            Self::BeforeXid(xid) => format!("just before the commit of transaction {xid}"),
        }
    }

    /// Whether the backup was consistent before the target, unless that is a moment. `found` is where the target was found in the
    /// WAL: the commit record of [`Target::xid`], or the end of the archive.
    pub fn is_after(&self, backup: &Backup, found: Option<Lsn>) -> bool {
        // A backup whose manifest cannot be read is taken to end where it began: the server itself refuses a target
        // before consistency.
        let end = backup.end_lsn.unwrap_or(backup.start_lsn);
        match self {
            Self::Immediate(_) => true,
            Self::Time(_) => false,
            Self::Lsn(lsn) => end <= *lsn,
            Self::Latest(_) | Self::Xid(_) | Self::BeforeXid(_) => found.is_some_and(|found| end <= found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(end: u64) -> Backup {
        Backup {
            name: "b".to_owned(),
            label: String::new(),
            start_lsn: Lsn(100),
            end_lsn: Some(Lsn(end)),
            start_time: String::new(),
            timeline: 1,
            size_bytes: 0,
            finished_ms: 0,
            incremental: false,
        }
    }

    #[test]
    fn settings_say_where_to_stop() {
        let moment = Moment { ms: 5, text: "2026-11-21 03:55:29.073844".to_owned() };
        let check = |json: &str, expect: &str| {
            let target: Target = serde_json::from_str(json).expect(json);
            let settings = target.settings(Some(&moment), Some(Lsn(0x300_0060)));
            let text: Vec<_> = settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            assert_eq!(text.join("; "), expect);
        };
        check(r#"{"latest": true}"#, "recovery_target_lsn = '0/3000060'; recovery_target_inclusive = on");
        check(r#"{"immediate": true}"#, "recovery_target = 'immediate'");
        check(
            r#"{"time": "2026-11-21T03:55:29.073844Z"}"#,
            "recovery_target_time = '2026-11-21 03:55:29.073844+00'; recovery_target_inclusive = on",
        );
        check(r#"{"lsn": "0/3000060"}"#, "recovery_target_lsn = '0/3000060'; recovery_target_inclusive = on");
        check(r#"{"xid": 4294967301}"#, "recovery_target_xid = '5'; recovery_target_inclusive = on");
        check(r#"{"before_xid": 734}"#, "recovery_target_xid = '734'; recovery_target_inclusive = off");
    }

    #[test]
    fn a_backup_must_end_before_the_target() {
        let lsn = |lsn| Target::Lsn(Lsn(lsn));
        assert!(Target::Latest(true).is_after(&backup(200), Some(Lsn(200))));
        assert!(!Target::Latest(true).is_after(&backup(200), Some(Lsn(199))));
        assert!(Target::Immediate(true).is_after(&backup(200), None));
        assert!(lsn(200).is_after(&backup(200), None));
        assert!(!lsn(199).is_after(&backup(200), None));
        assert!(Target::BeforeXid(7).is_after(&backup(200), Some(Lsn(201))));
        assert!(!Target::BeforeXid(7).is_after(&backup(200), Some(Lsn(199))));
        assert!(!Target::BeforeXid(7).is_after(&backup(200), None));
    }
}
