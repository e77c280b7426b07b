//! `pg/made-again`: how many rows were made and removed again since a deletion, in the tables that lost rows by it.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::{Deserialize, Serialize};

use crate::{
    call::parameters,
    damage::{
        made_again::MadeAgain,
        search::{ends, passes_over},
        told,
    },
    rows::{exact_set::ExactSet, relation, source::WrittenSet},
    server::{Capabilities, identifier::TableName},
    wal::{
        archive::{self, ARCHIVE, Archive},
        cluster::{self, Facts},
        dump::{Job, Pass, Reader},
        span::Span,
        waldump::Filenode,
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    timeline: Option<u32>,
    archive: Option<String>,
}

#[derive(Debug, Serialize)]
struct Outputs {
    rows: u64,
    tables: Vec<Counted>,
    text: String,
}

#[derive(Debug, Serialize)]
struct Counted {
    table: String,
    rows: u64,
}

pub(super) fn action() -> Action {
    let action = Action::new(
        "made-again",
        Effect::Read,
        "Counts rows that were made and removed again since a deletion, in the tables of its exact set, as far as \
         the WAL archive goes. If one of them had the key of a deleted row, the application has removed that key on \
         purpose since, and putting the row back would be wrong; the WAL does not say which key a row had. Changes \
         nothing.",
    )
    .parameter("server", "target<postgres:read>", "The server that lost the rows.");
    WrittenSet::declare(action, "Where the archive and the exact set lie.")
        .optional(
            "timeline",
            "int",
            "Which timeline is searched (the one that `server` writes on); 0 means that one too.",
        )
        .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
        .output("rows", "int", "Rows that were made and removed again.")
        .output("tables", "list<record{table: string, rows: int}>", "The same by table, if there are any.")
        .output("text", "string", "The same as a sentence for people.")
        .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (written, parameters): (WrittenSet, Parameters) = parameters::split(call, &WrittenSet::NAMES)?;
    let connection = caps.open(&parameters.server)?;
    let set = written.read(caps)?;
    let facts = cluster::facts(&connection)?;
    let timeline = parameters.timeline.filter(|timeline| *timeline != 0).unwrap_or(facts.timeline);
    let facts = Facts { timeline, ..facts };
    let files: BTreeMap<Filenode, TableName> = relation::all_files(&connection)?
        .tables
        .into_iter()
        .filter(|(_, table)| set.tables.contains_key(table))
        .collect();
    let folder = parameters.archive.as_deref().unwrap_or(ARCHIVE);
    let archive = archive::list(caps, &written.machine, folder, &facts)?;
    let reader = Reader { caps, machine: &written.machine, archive: &archive };
    let found = read(&reader, since(&archive, &set)?, &files, &set)?;
    let counts: Vec<(String, u64)> =
        files.iter().filter_map(|(file, table)| Some((table.plain(), *found.gone().get(file)?))).collect();
    let rows = counts.iter().map(|(_, rows)| rows).sum();
    let text = if rows == 0 {
        "No row was made and removed again since then in the tables that lost rows.".to_owned()
    } else {
        format!(
            "Rows were made and removed again since then: {}. If one of them had the key of a row that comes back, that row comes \
             back although it was removed on purpose: the WAL does not say which keys these were.",
            told::by_table(&counts)
        )
    };
    let tables = counts.into_iter().map(|(table, rows)| Counted { table, rows }).collect();
    Outcome::new(Outputs { rows, tables, text: text.clone() }, text)
}

/// From the first commit on: a transaction that inserts the key of a row that is being deleted waits for the end of that deletion.
fn since<'a>(archive: &'a Archive, set: &ExactSet) -> Result<Span<'a>, Failure> {
    let segments = archive.segments.get(archive.position(set.commit)..).unwrap_or_default();
    archive.whole(segments)?;
    Ok(Span { from: Some(set.commit), ..Span::of(segments) })
}

fn read<C: Capabilities>(
    reader: &Reader<'_, C>,
    span: Span<'_>,
    files: &BTreeMap<Filenode, TableName>,
    set: &ExactSet,
) -> Result<MadeAgain, Failure> {
    let ours: Vec<Filenode> = files.keys().copied().collect();
    let mut made_again = MadeAgain::of(ours.iter().copied(), set.transactions.iter().copied());
    let mut passes: Vec<Pass> = passes_over(&ours, &["Heap", "Heap2"], &["INSERT", "DELETE", "UPDATE"]);
    passes.push(ends());
    let jobs: Vec<Job<'_>> = passes.into_iter().map(|pass| Job { pass, spans: vec![span] }).collect();
    reader.read_merged(&jobs, |record| made_again.take(&record))?;
    Ok(made_again)
}
