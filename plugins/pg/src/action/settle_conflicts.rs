//! `pg/settle-conflicts`: carries out what a person decided about rows that exist with different content than before.
//!
//! A row is changed only if it still has exactly the content that the merge saw: a later change wins.

use std::collections::BTreeSet;

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Observation, Outcome, postgres::Value};
use serde::{Deserialize, Serialize};

use crate::{
    call::parameters,
    copy::run_files,
    rows::{
        exact_set::Tuples,
        left::{Left, Rows},
        merge::Merge,
        obstacle::Triggers,
        preparation::{self, Matched},
        source::Source,
        transaction,
    },
    server::Capabilities,
};

const ROWS_AT_ONCE: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    left_file: String,
    left_digest: String,
    decision: String,
    #[serde(default)]
    triggers: Triggers,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Outputs {
    decision: String,
    rows_taken: u64,
    rows_changed_since: u64,
    rows_left: u64,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Decision {
    Keep,
    Take,
    /// Only these columns: `prefs`, or with their table, `public.settings.prefs`.
    TakeColumns(Vec<String>),
}

impl Decision {
    fn parse(text: &str) -> Result<Self, Failure> {
        let names = |text: &str| text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
        match text.trim().split_once(char::is_whitespace) {
            None if text.trim() == "keep" => Ok(Self::Keep),
            None if text.trim() == "take" => Ok(Self::Take),
            Some(("take", columns)) if names(columns).iter().all(|name| !name.is_empty()) => {
                Ok(Self::TakeColumns(names(columns)))
            }
            _ => Err(Failure::invalid_input(
                "pg-decision",
                format!(
                    "`{text}` is none of `keep` (the newer rows stay), `take` (the older content replaces them) and `take COLUMN, \
                     COLUMN` (in these columns alone)"
                ),
            )),
        }
    }

    /// The columns to take in a table; `None` if it takes none there.
    fn columns(&self, matched: &Matched) -> Vec<String> {
        let table = matched.now.name.plain();
        let may = |name: &String| {
            let always = matched.now.column(name).is_some_and(|column| column.always);
            !matched.now.key.contains(name) && !always
        };
        let wanted = |name: &String| match self {
            Self::Keep => false,
            Self::Take => true,
            Self::TakeColumns(columns) => columns.iter().any(|it| it == name || *it == format!("{table}.{name}")),
        };
        matched.now.written().into_iter().filter(|name| may(name) && wanted(name)).collect()
    }
}

pub(super) fn action() -> Action {
    let action = Action::new(
        "settle-conflicts",
        Effect::Mutate,
        "Carries out what a person decided about rows whose key a merge found with other content: keep the newer \
         rows, or give them back their older content, in all columns or in some. Does not touch a row that was \
         changed after the merge read it. Does not put back missing rows.",
    )
    .parameter("server", "target<postgres:write>", "The server that lost the rows.");
    Source::declare(
        action,
        "target<machine:write>",
        "The machine of the copy; the result is noted in its folder `work`.",
    )
    .parameter("left_file", "string", "The file of the merge that names the rows it left out.")
    .parameter("left_digest", "string", "Its digest.")
    .parameter("decision", "string", "`keep`, `take`, or `take COLUMN, COLUMN`.")
    .optional("triggers", "string", "What user triggers on UPDATE mean: `refuse` (the default), `fire`, or `skip`.")
    .output("decision", "string", "The decision.")
    .output("rows_taken", "int", "Rows that have their older content again.")
    .output(
        "rows_changed_since",
        "int",
        "Rows that were not touched because they were changed after the merge read them.",
    )
    .output("rows_left", "int", "Rows of which the copy has something that the server lacks.")
    .observable()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (source, parameters): (Source, Parameters) = parameters::split(call, &Source::NAMES)?;
    let decision = Decision::parse(&parameters.decision)?;
    let machine = source.machine.as_str();
    let left = Left::read_file(caps, machine, &parameters.left_file, &parameters.left_digest)?;
    if decision == Decision::Keep {
        let outputs = Outputs { decision: parameters.decision, rows_left: left.rows(), ..Outputs::default() };
        return outcome(outputs);
    }
    let primary = caps.open(&parameters.server)?;
    let record_path = record_path(call, caps, machine)?;
    if let Some(done) = transaction::before(caps, &primary, machine, &record_path, &call.key)? {
        return outcome(done);
    }
    let (set, copy) = source.open(caps)?;
    let prepared = preparation::prepare(&primary, &copy, &set, Triggers::Fire)?;
    let superuser = preparation::may_skip_triggers(&primary)?;
    let subjects = subjects(&prepared.tables, &left, &decision)?;
    check_triggers(&subjects, parameters.triggers, superuser)?;

    let xid = transaction::begin(&primary)?;
    if parameters.triggers == Triggers::Skip {
        primary.execute("SET LOCAL session_replication_role = replica", &[])?;
    }
    let (mut shown, mut taken) = (0, 0);
    for (position, (matched, rows, columns)) in subjects.iter().enumerate() {
        shown += rows.shown.len() as u64;
        taken += take(caps, &primary, &copy, &Merge::new(matched, position), rows, columns)?;
    }
    let whole = decision == Decision::Take;
    let outputs = Outputs {
        decision: parameters.decision,
        rows_taken: taken,
        rows_changed_since: shown - taken,
        rows_left: left.rows() - if whole { taken } else { 0 },
    };
    let record = transaction::TransactionRecord { key: call.key.clone(), xid, outputs };
    outcome(transaction::commit(caps, &primary, machine, &record_path, record, refused)?)
}

pub(super) fn observe<C: Capabilities>(call: &Call, caps: &C) -> Result<Observation, Failure> {
    let (source, parameters): (Source, Parameters) = parameters::split(call, &Source::NAMES)?;
    let primary = caps.open(&parameters.server)?;
    let record_path = record_path(call, caps, &source.machine)?;
    match transaction::look_back(caps, &primary, &source.machine, &record_path, &call.key)? {
        transaction::Past::Done(outputs) => outcome(outputs).map(Observation::Done),
        transaction::Past::NotDone => Ok(Observation::NotDone),
        transaction::Past::Unknown(why) => Ok(Observation::Unknown(why)),
    }
}

fn record_path(call: &Call, caps: &impl Capabilities, machine: &str) -> Result<String, Failure> {
    run_files::path(call, caps, machine, "settle", ".json")
}

fn outcome(outputs: Outputs) -> Result<Outcome, Failure> {
    let summary = format!(
        "`{}`: {} rows have their older content again, {} were changed since and stay, {} are left",
        outputs.decision, outputs.rows_taken, outputs.rows_changed_since, outputs.rows_left
    );
    Outcome::new(outputs, summary)
}

type Subject<'a> = (&'a Matched, &'a Rows, Vec<String>);

/// The tables with something to take, and the columns. Fails if a column is in none of them.
fn subjects<'a>(tables: &'a [Matched], left: &'a Left, decision: &Decision) -> Result<Vec<Subject<'a>>, Failure> {
    let mut subjects = Vec::new();
    for matched in tables {
        let Some(rows) = left.tables.get(&matched.now.name).filter(|rows| !rows.shown.is_empty()) else { continue };
        let columns = decision.columns(matched);
        if !columns.is_empty() {
            subjects.push((matched, rows, columns));
        }
    }
    let known: BTreeSet<String> = subjects
        .iter()
        .flat_map(|(matched, _, columns)| {
            columns.iter().flat_map(|name| [name.clone(), format!("{}.{name}", matched.now.name.plain())])
        })
        .collect();
    match decision {
        Decision::TakeColumns(columns) => match columns.iter().find(|name| !known.contains(*name)) {
            Some(name) => Err(Failure::invalid_input(
                "pg-decision",
                format!("no table with rows to settle has a column `{name}` that can be taken"),
            )),
            None => Ok(subjects),
        },
        _ => Ok(subjects),
    }
}

fn check_triggers(subjects: &[Subject<'_>], triggers: Triggers, superuser: bool) -> Result<(), Failure> {
    for (matched, ..) in subjects {
        let names: Vec<_> = matched.now.update_triggers.iter().map(|trigger| trigger.name.as_str()).collect();
        let fine = match triggers {
            Triggers::Fire => true,
            Triggers::Skip => superuser && matched.now.update_triggers.iter().all(|trigger| !trigger.always),
            Triggers::Refuse => false,
        };
        if !names.is_empty() && !fine {
            let message = format!(
                "{} has triggers on UPDATE ({}), which would fire for each row that gets its older content: disable them and \
                 retry this step, or start with `--input triggers=fire`",
                matched.now.name.plain(),
                names.join(", ")
            );
            return Err(Failure::permanent("pg-triggers", message));
        }
    }
    Ok(())
}

fn take<C: Capabilities>(
    caps: &C,
    primary: &C::Connection,
    copy: &C::Connection,
    merge: &Merge<'_>,
    rows: &Rows,
    columns: &[String],
) -> Result<u64, Failure> {
    primary.execute(&merge.create_stage(), &[])?;
    primary.execute("DROP TABLE IF EXISTS pg_temp.lifeboat_shown", &[])?;
    primary.execute("CREATE TEMPORARY TABLE lifeboat_shown (place tid, digest text) ON COMMIT DROP", &[])?;
    let places: Tuples = rows.shown.keys().copied().collect();
    for (places, _) in places.batches(ROWS_AT_ONCE) {
        caps.copy_between(copy, &merge.fetch(&places), primary, &merge.stage(), &merge.staged())?;
    }
    let shown: Vec<_> = rows.shown.iter().collect();
    for some in shown.chunks(ROWS_AT_ONCE) {
        let places: Vec<_> = some.iter().map(|((block, offset), _)| format!("({block},{offset})")).collect();
        let digests: Vec<_> = some.iter().map(|(_, digest)| (*digest).clone()).collect();
        let sql = "INSERT INTO lifeboat_shown SELECT p::tid, d FROM unnest($1::text[], $2::text[]) AS s (p, d)";
        primary.execute(sql, &[Value::from(places), Value::from(digests)])?;
    }
    primary.execute(&merge.take(columns), &[]).map_err(|error| refused(error.into()))
}

/// A row whose older content breaks a rule that the table has today ends the step: nothing was changed.
fn refused(failure: Failure) -> Failure {
    match failure {
        Failure::Permanent(reason)
            if reason.message.contains("SQLSTATE 23") || reason.message.contains("SQLSTATE 22") =>
        {
            let message = format!(
                "the older content of a row breaks a rule that its table has today, so nothing was changed: {}; decide for other \
                 columns, or keep the newer rows",
                reason.message
            );
            Failure::permanent("pg-row-refused", message)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_one_of_three() {
        let check = |text: &str, expect: Option<Decision>| assert_eq!(Decision::parse(text).ok(), expect, "{text}");
        check("keep", Some(Decision::Keep));
        check(" take ", Some(Decision::Take));
        check("take prefs, public.t.a", Some(Decision::TakeColumns(vec!["prefs".to_owned(), "public.t.a".to_owned()])));
        check("take a,", None);
        check("keep a", None);
        check("yes", None);
    }
}
