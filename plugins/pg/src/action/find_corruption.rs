//! `pg/find-corruption`: reads every page of a database as it is on disk, and says what the damaged ones call for.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    pages::{
        self, BadPage, Found, ListedPage, Mismatches, PAGE_BYTES, Problem, REPAIRED_MAX, Relation, RelationKind, Remedy,
    },
    repair::{ServerFiles, check_cluster},
    server::{self, Capabilities, databases::some},
    wal::cluster,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    host: Option<String>,
    #[serde(default)]
    entries: bool,
    #[serde(default)]
    repairable: bool,
    #[serde(default)]
    sound: bool,
}

pub(super) fn action() -> Action {
    Action::new(
        "find-corruption",
        // It changes nothing. The host lets functions that read the server's files through with a grant to change alone.
        Effect::Mutate,
        "Reads every page of every table, visibility map, index and sequence of the login's database as it is on disk, past the \
         server's memory, and compares it with its checksum. Says what the damage calls for: `none`, `rebuild-maps` (only visibility \
         maps are damaged), `reindex` (only indexes and maps), `page-repair` (pages with rows), or `restore` (a file is lost and no \
         index tells which pages it had, or more than a thousand pages with rows are damaged). A page that is empty, or behind the \
         end of its file, is damaged if an index has an entry for it. Changes nothing; where pages are empty it asks the server for \
         a checkpoint. Without data checksums only broken headers and lost pages are seen.",
    )
    .parameter("server", "target<postgres:write>", "The server; its login must be allowed to read the server's files.")
    .optional(
        "host",
        "target<machine:read>",
        "The machine that the server runs on: fail at once if its folder `data` is not the data folder of this server.",
    )
    .optional(
        "entries",
        "bool",
        "Also hold every B-tree index against its table, by the extension amcheck, which is made if it is missing: an index that \
         lacks rows is found by nothing else (false). Takes as long as reading all tables and indexes once more.",
    )
    .optional("repairable", "bool", "Fail if the choice is `restore` (false).")
    .optional("sound", "bool", "Fail if anything is damaged (false).")
    .output("choice", "string", "`none`, `rebuild-maps`, `reindex`, `page-repair` or `restore`.")
    .output("reason", "string", "Why.")
    .output("damaged", "int", "How many pages are damaged.")
    .output(
        "bad",
        ListedPage::LIST,
        "The first thousand of them, those with rows first. `kind`: `heap`, `index`, `sequence`, `map`; `problem`: `checksum`, `header`, `zeroed`, `missing` (its file ends before), `lost`, `mismatch` (an index as a whole).",
    )
    .output("tables", "list<string>", "The relations with rows among them.")
    .output(
        "from_copy",
        "list<string>",
        "The same relations where their pages must come from a copy, that is, where the choice is `page-repair`; none otherwise.",
    )
    .output("indexes", "list<string>", "The indexes among them, as `pg/reindex` takes them.")
    .output("mismatches", "list<string>", "What amcheck says of indexes that do not match their tables.")
    .output("maps", "list<string>", "The tables whose visibility maps are among them, as `pg/rebuild-maps` takes them.")
    .output("relations", "int", "How many relations were read.")
    .output("pages", "int", "How many pages.")
    .output("checksums", "bool", "Whether the cluster has data checksums.")
    .output("left_out", "list<string>", "What was not read, and why.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let connection = caps.open(&parameters.server)?;
    check_page_size(&connection)?;
    if let Some(host) = &parameters.host {
        // Known now, and not after an hour of restoring.
        check_cluster(&ServerFiles::find(caps, host)?, cluster::facts(&connection)?.system_identifier)?;
    }
    let checksums = server::setting(&connection, "data_checksums")?.is_some_and(|value| value == "on");
    let (relations, mut left_out) = pages::relations(&connection)?;
    if relations.is_empty() {
        let message = "the database has no relation to read: nothing was verified";
        return Err(Failure::permanent("pg-nothing-to-read", message));
    }
    if !checksums {
        left_out.push("content: the cluster has no data checksums, so only broken headers are seen".to_owned());
    }
    let Found { mut bad, pages } = pages::search(caps, &connection, &relations, checksums)?;
    let mut mismatches = Mismatches::default();
    if parameters.entries {
        let database = server::login(&connection, &[])?.database;
        mismatches = pages::mismatches(caps, &connection, &database, &relations, &bad)?;
    }
    bad.extend(mismatches.bad);
    left_out.extend(mismatches.left_out);
    let (choice, reason) = pages::remedy(&relations, &bad);
    if parameters.sound && choice != Remedy::None {
        let message = format!("{} of {pages} pages are damaged: {}", bad.len(), some(&described(&relations, &bad)));
        return Err(Failure::permanent("pg-pages-damaged", message));
    }
    if parameters.repairable && choice == Remedy::Restore {
        return Err(Failure::permanent("pg-beyond-repair", format!("no repair of single pages helps: {reason}")));
    }
    let summary = format!("{} of {pages} pages are damaged: {reason}; choice: {}", bad.len(), choice.name());
    let tables = named(&relations, &bad, RelationKind::has_rows);
    let from_copy = if choice == Remedy::PageRepair { tables.clone() } else { Vec::new() };
    let outputs = json!({
        "choice": choice.name(),
        "reason": reason,
        "damaged": bad.len(),
        "bad": listed(&relations, &bad),
        "tables": tables,
        "from_copy": from_copy,
        "maps": named(&relations, &bad, |kind| kind == RelationKind::Map),
        "indexes": named(&relations, &bad, |kind| kind == RelationKind::Index),
        "mismatches": mismatches.words,
        "relations": relations.len(),
        "pages": pages,
        "checksums": checksums,
        "left_out": left_out,
    });
    Outcome::new(outputs, summary)
}

fn check_page_size(connection: &impl Connection) -> Result<(), Failure> {
    let size = server::setting(connection, "block_size")?.unwrap_or_default();
    if size == PAGE_BYTES.to_string() {
        return Ok(());
    }
    let message = format!("the server has pages of {size} bytes; only pages of {PAGE_BYTES} bytes can be read");
    Err(Failure::permanent("pg-page-size", message))
}

/// The damaged pages in words, those of a relation together.
fn described(relations: &[Relation], bad: &[BadPage]) -> Vec<String> {
    bad.chunk_by(|one, other| one.relation == other.relation && one.problem == other.problem)
        .map(|same| {
            let name = &relations[same[0].relation].name;
            match (same[0].problem, same) {
                (problem @ (Problem::Lost | Problem::Mismatch), _) => format!("{name} has {problem}"),
                (problem, [only]) => format!("page {} of {name} has {problem}", only.block),
                (problem, _) => {
                    let last = same[same.len() - 1].block;
                    format!("{} pages of {name} ({} to {last}) have {problem}", same.len(), same[0].block)
                }
            }
        })
        .collect()
}

fn listed(relations: &[Relation], bad: &[BadPage]) -> Vec<ListedPage> {
    let (rows, others): (Vec<&BadPage>, Vec<&BadPage>) =
        bad.iter().partition(|bad| relations[bad.relation].kind.has_rows());
    let first = rows.into_iter().chain(others).take(REPAIRED_MAX);
    first.map(|bad| ListedPage::of(&relations[bad.relation], bad)).collect()
}

fn named<'a>(relations: &'a [Relation], bad: &[BadPage], is_meant: fn(RelationKind) -> bool) -> Vec<&'a str> {
    let mut places: Vec<usize> = bad.iter().map(|bad| bad.relation).collect();
    places.sort_unstable();
    places.dedup();
    places
        .into_iter()
        .map(|place| &relations[place])
        .filter(|it| is_meant(it.kind))
        .map(|it| it.name.as_str())
        .collect()
}
