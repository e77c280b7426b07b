//! `pg/repair-pages`: replaces damaged pages of a server by their last version from a copy, with the server stopped.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Machine, Outcome, postgres::Value};
use serde::Deserialize;
use serde_json::json;

use crate::{
    call::digest,
    copy::{marker, run_files},
    pages::{self, ListedPage, PageRange},
    repair::{Pair, Proof, ReplacedPage, Replacement, ServerFiles, check_cluster, judge, touched_since},
    server::{self, Capabilities},
    wal::{
        cluster::{self, Facts},
        segment::Lsn,
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    host: String,
    machine: String,
    instance: String,
    pages: Vec<ListedPage>,
}

pub(super) fn action() -> Action {
    Action::new(
        "repair-pages",
        Effect::Destroy,
        "Replaces damaged pages of a server by those of a promoted copy, which must be their last version: the damaged page \
         has the same position in the WAL, or, where its header is unreadable, no WAL behind the copy's end touches it. One page \
         for which that cannot be shown, and nothing is written. The server is stopped for it, its damaged files are kept, and it \
         is started again.",
    )
    .parameter("server", "target<postgres:write>", "The server.")
    .parameter(
        "host",
        "target<machine:destroy>",
        "The machine that the server runs on. The folder `data` of its binding is the server's data folder, and its programs \
         include `dd`.",
    )
    .parameter("machine", "target<machine:write>", "The machine of the copy.")
    .parameter("instance", "string", "The copy, restored to the end of the archive and promoted.")
    .parameter(
        "pages",
        ListedPage::LIST,
        "The pages, as `pg/find-corruption` lists them; those of indexes and maps are left to `pg/reindex` and `pg/rebuild-maps`.",
    )
    .output("repaired", "int", "How many pages were replaced.")
    .output("kept", "list<string>", "The damaged files as they were, on the server's machine.")
    .output("proofs", "list<string>", "For each page, why the copy has its last version.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let host = parameters.host.as_str();
    let path = |kind: &str, end: &str| run_files::path(call, caps, host, kind, end);
    let (plan_path, images) = (path("repair", ".json")?, path("repair", ".pages")?);
    let (kept_prefix, log) = (path("damaged", "-")?, path("repair", ".log")?);
    let original = ServerFiles::find(caps, host)?;
    let mut plan = match Replacement::find(caps, host, &plan_path)? {
        Some(plan) => plan,
        None => {
            let (plan, content) = planned(caps, &parameters, &original)?;
            // Whatever keeps the files from being read there is known before the server is stopped.
            original.look(&plan)?;
            caps.write_file(host, &images, &content)?;
            plan.keep(caps, host, &plan_path)?;
            plan
        }
    };
    if !plan.done && !plan.pages.is_empty() {
        original.stop()?;
        let written = original.write(&plan, &images, &kept_prefix);
        // Whatever became of the pages, a server that does not run helps nobody.
        original.start(&log)?;
        plan.kept = written?;
    }
    if !plan.done {
        confirm(caps, &parameters, &plan)?;
        plan.done = true;
        plan.keep(caps, host, &plan_path)?;
    }
    let proofs: Vec<String> = plan.pages.iter().map(|page| format!("{}: {}", page.name(), page.proof)).collect();
    let summary = format!("{} pages have their last version again", plan.pages.len());
    Outcome::new(json!({ "repaired": plan.pages.len(), "kept": plan.kept, "proofs": proofs }), summary)
}

/// Everything that is decided before anything is changed: which page takes the place of which, and why.
fn planned<C: Capabilities>(
    caps: &C,
    parameters: &Parameters,
    original: &ServerFiles<'_, C>,
) -> Result<(Replacement, Vec<u8>), Failure> {
    let connection = caps.open(&parameters.server)?;
    let facts = cluster::facts(&connection)?;
    check_cluster(original, facts.system_identifier)?;
    let copy = Copy::open(caps, parameters, facts.system_identifier)?;
    let checksums = server::setting(&connection, "data_checksums")?.is_some_and(|value| value == "on");
    let meant: Vec<&ListedPage> = parameters.pages.iter().filter(|page| page.has_rows()).collect();
    copy.has_the_same_files(&meant)?;
    let spans: Vec<PageRange> = meant.iter().map(|page| span(page)).collect();
    let damaged = pages::read(&connection, &spans)?;
    let whole = pages::read(&copy.connection, &spans)?;
    // Behind everything that the damaged pages can say.
    let wal = Wal { facts: &facts, from: copy.reached, to: end_of_wal(&connection)? };
    let (mut plan, mut images) = (Replacement::default(), Vec::new());
    let mut doubtful: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for ((page, damaged), whole) in meant.iter().zip(&damaged).zip(&whole) {
        let is_sound = !pages::is_empty(damaged) && pages::problem(damaged, page.block, checksums).is_none();
        // What lies between pages that had rows, and never had any, is empty again when they are written.
        let is_hole = damaged.is_empty() && pages::is_empty(whole);
        if is_sound || is_hole {
            continue;
        }
        let name = format!("page {} of {}", page.block, page.relation);
        let proof =
            judge(&Pair { name: &name, block: page.block, damaged, copy: whole }, (wal.from, wal.to), checksums)?;
        if proof == Proof::NothingLater {
            doubtful.entry(&page.file).or_default().push(page.block);
        }
        let planned = ReplacedPage {
            relation: page.relation.clone(),
            file: page.file.clone(),
            block: page.block,
            damaged: digest::of(damaged),
            whole: digest::of(whole),
            proof: proof.to_string(),
        };
        plan.add(planned, whole, &mut images);
    }
    for (file, blocks) in doubtful {
        wal.has_nothing_later(original, file, &blocks)?;
    }
    Ok((plan, images))
}

fn end_of_wal(connection: &impl Connection) -> Result<Lsn, Failure> {
    let rows = connection.query("SELECT pg_catalog.pg_current_wal_flush_lsn()::text AS lsn", &[])?;
    let end: String = rows.one()?.get("lsn")?;
    end.parse()
        .map_err(|_| Failure::permanent("pg-odd-answer", format!("the server says that its WAL ends at `{end}`")))
}

fn span(page: &ListedPage) -> PageRange {
    PageRange { relation: 0, file: page.file.clone(), block: page.block, count: 1 }
}

/// The WAL behind the end of the copy's.
struct Wal<'a> {
    facts: &'a Facts,
    from: Lsn,
    to: Lsn,
}

impl Wal<'_> {
    fn has_nothing_later<C: Machine>(
        &self,
        original: &ServerFiles<'_, C>,
        file: &str,
        blocks: &[u32],
    ) -> Result<(), Failure> {
        let wal = format!("{}/pg_wal", original.data);
        let filenode = filenode(file).ok_or_else(|| {
            let message = format!("{file} is no file of a relation");
            Failure::permanent("pg-odd-answer", message)
        })?;
        let (part, timeline) = ((self.from, self.to), self.facts.timeline);
        let touched = touched_since(original.caps, original.machine, &wal, timeline, part, &filenode)?;
        match blocks.iter().find(|block| touched.contains(block)) {
            None => Ok(()),
            Some(block) => {
                let message = format!(
                    "page {block} of {file} was changed behind {}, where the WAL of the copy ends: putting the copy's page in its \
                     place would lose what was written since",
                    self.from
                );
                Err(Failure::permanent("pg-page-stale", message))
            }
        }
    }
}

/// `base/16384/16394` as pg_waldump writes it.
fn filenode(file: &str) -> Option<String> {
    let parts: Vec<&str> = file.split('/').collect();
    match parts.as_slice() {
        ["base", database, node] => Some(format!("1663/{database}/{node}")),
        ["global", node] => Some(format!("1664/0/{node}")),
        ["pg_tblspc", tablespace, _, database, node] => Some(format!("{tablespace}/{database}/{node}")),
        _ => None,
    }
}

/// The copy that has the pages.
struct Copy<S> {
    connection: S,
    /// Where replay ended.
    reached: Lsn,
}

#[derive(Debug, Deserialize)]
struct Restored {
    reached_lsn: Lsn,
}

impl<S: Connection> Copy<S> {
    /// What it has replayed is written to its files first: they are read past its memory.
    fn open<C: Capabilities<Connection = S>>(
        caps: &C,
        parameters: &Parameters,
        identifier: u64,
    ) -> Result<Self, Failure> {
        let Parameters { machine, instance, .. } = parameters;
        let (marker, folder) = (marker::read(caps, machine, instance)?, marker::folder(caps, machine, instance)?);
        if marker.system_identifier != identifier.to_string() {
            let message =
                format!("{instance} is a copy of the cluster {}, not of {identifier}", marker.system_identifier);
            return Err(Failure::permanent("pg-backup-foreign", message));
        }
        let record = marker::record(&folder);
        let restored: Restored = serde_json::from_slice(&caps.read_file(machine, &record)?)
            .map_err(|error| Failure::permanent("pg-marker-damaged", format!("{record}: {error}")))?;
        let connection = marker.open(caps, machine, &folder)?;
        let rows = connection.query("SELECT pg_catalog.pg_is_in_recovery() AS in_recovery", &[])?;
        if rows.one()?.get("in_recovery")? {
            let message =
                format!("{instance} is still in recovery, where its files are behind: restore it with `promote: true`");
            return Err(Failure::permanent("pg-copy-recovering", message));
        }
        connection.execute("CHECKPOINT", &[])?;
        Ok(Self { connection, reached: restored.reached_lsn })
    }

    /// A table that was rewritten since has its pages in another file.
    fn has_the_same_files(&self, pages: &[&ListedPage]) -> Result<(), Failure> {
        let mut named: Vec<(&str, &str)> =
            pages.iter().map(|page| (page.relation.as_str(), page.file.as_str())).collect();
        named.dedup();
        for (relation, file) in named {
            let sql = "SELECT pg_catalog.pg_relation_filepath(pg_catalog.to_regclass($1::text)) AS file";
            let found: Option<String> = self.connection.query(sql, &[Value::from(relation)])?.one()?.get("file")?;
            if found.as_deref() != Some(file) {
                let there = found.unwrap_or_else(|| "nowhere".to_owned());
                let message =
                    format!("in the copy {relation} is in {there}, and not in {file}: it was rewritten since");
                return Err(Failure::permanent("pg-page-not-in-copy", message));
            }
        }
        Ok(())
    }
}

/// Reads every page of the plan from the server that runs again.
fn confirm<C: Capabilities>(caps: &C, parameters: &Parameters, plan: &Replacement) -> Result<(), Failure> {
    let connection = caps.open(&parameters.server)?;
    let spans: Vec<PageRange> = plan.pages.iter().map(ReplacedPage::span).collect();
    let checksums = server::setting(&connection, "data_checksums")?.is_some_and(|value| value == "on");
    for (page, bytes) in plan.pages.iter().zip(pages::read(&connection, &spans)?) {
        // The application may have changed it by now.
        if pages::is_empty(&bytes) || pages::problem(&bytes, page.block, checksums).is_some() {
            let message = format!("{} is damaged again", page.name());
            return Err(Failure::permanent("pg-pages-damaged", message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::filenode;

    #[test]
    fn a_file_is_named_as_in_the_wal() {
        let check = |file: &str, expect: Option<&str>| assert_eq!(filenode(file).as_deref(), expect, "{file}");
        check("base/16384/16394", Some("1663/16384/16394"));
        check("global/1262", Some("1664/0/1262"));
        check("pg_tblspc/16390/PG_15_202209061/16384/16394", Some("16390/16384/16394"));
        check("backup_label", None);
    }
}
