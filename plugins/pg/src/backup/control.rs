//! What pg_controldata says about a data folder.

use std::collections::BTreeMap;

use lifeboat_plugin::{Failure, Machine};

use crate::wal::{cluster::Facts, segment::SegmentSize};

/// Lines of pg_controldata: label and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control(BTreeMap<String, String>);

/// Runs pg_controldata on a data folder or a base backup.
pub fn read(caps: &impl Machine, machine: &str, folder: &str) -> Result<Control, Failure> {
    let output = caps.run(machine, "pg_controldata", &["-D".to_owned(), folder.to_owned()], None)?;
    if !output.succeeded() {
        let message = format!("pg_controldata on {folder}: {}", output.last_lines(3));
        return Err(Failure::permanent("pg-backup-damaged", message));
    }
    Ok(parse(&output.stdout))
}

fn parse(text: &str) -> Control {
    let line = |line: &str| line.split_once(':').map(|(label, value)| (label.to_owned(), value.trim().to_owned()));
    Control(text.lines().filter_map(line).collect())
}

impl Control {
    /// The cluster it belongs to.
    pub fn system_identifier(&self) -> Option<u64> {
        self.0.get("Database system identifier")?.parse().ok()
    }

    /// What the server was doing when it last wrote its control file: `in production`, `in archive recovery`, `shut down`.
    pub fn state(&self) -> Option<&str> {
        self.0.get("Database cluster state").map(String::as_str)
    }

    /// Fails with `pg-backup-foreign` where it is another cluster's.
    pub fn check_identifier(&self, folder: &str, expected: u64) -> Result<(), Failure> {
        match self.system_identifier() {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(Failure::permanent(
                "pg-backup-foreign",
                format!("{folder} is a backup of the cluster {found}, not of {expected}"),
            )),
            None => Err(Failure::permanent(
                "pg-backup-damaged",
                format!("pg_controldata does not say which cluster {folder} belongs to"),
            )),
        }
    }

    /// Limits that replay needs: the larger of those when the backup was made and those of today.
    pub fn limits(&self, today: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
        let label = |name: &str| match name {
            "max_prepared_transactions" => "max_prepared_xacts setting".to_owned(),
            "max_locks_per_transaction" => "max_locks_per_xact setting".to_owned(),
            other => format!("{other} setting"),
        };
        let larger = |(name, value): (&String, &i64)| {
            let then = self.0.get(&label(name)).and_then(|value| value.parse().ok()).unwrap_or(0);
            (name.clone(), then.max(*value))
        };
        today.iter().map(larger).collect()
    }

    /// What identifies the cluster and how its WAL is cut. Which timeline is followed is the caller's choice: a backup does not
    /// know which ones follow it.
    pub fn facts(&self, folder: &str, timeline: u32) -> Result<Facts, Failure> {
        let odd = |what: &str| {
            Failure::permanent("pg-backup-damaged", format!("pg_controldata does not say the {what} of {folder}"))
        };
        let number = |label: &str| self.0.get(label).and_then(|value| value.parse::<u64>().ok());
        Ok(Facts {
            system_identifier: self.system_identifier().ok_or_else(|| odd("cluster"))?,
            segment_size: number("Bytes per WAL segment")
                .and_then(SegmentSize::new)
                .ok_or_else(|| odd("segment size"))?,
            timeline,
            version: 0,
            database: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "pg_control version number:            1300\n\
                        Database system identifier:           7423390164517263455\n\
                        max_connections setting:              200\n\
                        max_prepared_xacts setting:           7\n\
                        Time of latest checkpoint:            Sat 21 Nov 2026 03:55:28 AM UTC\n";

    #[test]
    fn limits_are_the_larger_ones() {
        let today = [("max_connections".to_owned(), 100), ("max_prepared_transactions".to_owned(), 9)].into();
        let expect = [("max_connections".to_owned(), 200), ("max_prepared_transactions".to_owned(), 9)].into();
        assert_eq!(parse(TEXT).limits(&today), expect);
    }

    #[test]
    fn another_cluster_is_refused() {
        let check = |control: &Control, identifier: u64, expect: Option<&str>| {
            let found = control.check_identifier("/b", identifier).err();
            assert_eq!(found.as_ref().map(Failure::code), expect);
        };
        check(&parse(TEXT), 7_423_390_164_517_263_455, None);
        check(&parse(TEXT), 7, Some("pg-backup-foreign"));
        check(&parse(""), 7, Some("pg-backup-damaged"));
    }
}
