//! `pg/compare`: the state of the rows that a transaction removed: back with their content, present with other content, without
//! their parent, missing, or lost.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::{Deserialize, Serialize};

use crate::{
    call::parameters,
    rows::{
        comparison::{Compared, Comparison},
        exact_set::{ExactSet, Tuples},
        left::{Left, Rows},
        obstacle::Triggers,
        preparation,
        source::Source,
        value_comparison::{ValueComparison, Values},
    },
    server::{Capabilities, identifier::TableName},
};

/// The most examples that are reported in total.
const EXAMPLES_MAX: usize = 10;
/// Examples of one table of rows that were only changed.
const CHANGED_EXAMPLES: usize = 3;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    missing_at_most: Option<u64>,
    left_file: Option<String>,
    left_digest: Option<String>,
    after: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Outputs {
    rows_removed: u64,
    rows_back: u64,
    conflicts: u64,
    orphans: u64,
    rows_missing: u64,
    rows_unrecoverable: u64,
    rows_gone_again: u64,
    rows_wrong: u64,
    conflicts_text: String,
    changed_differ: u64,
    changed_text: String,
    values: u64,
    values_back: u64,
    values_newer: u64,
    values_gone: u64,
    values_wrong: u64,
    tables: Vec<Counted>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Counted {
    table: String,
    removed: u64,
    back: u64,
    conflicts: u64,
    orphans: u64,
    missing: u64,
    unrecoverable: u64,
}

pub(super) fn action() -> Action {
    let action = Action::new(
        "compare",
        Effect::Read,
        "Looks up every row of the exact set by key and by content: whether the copy has it, and whether the server \
         has it as it was. Changes nothing.",
    )
    .parameter("server", "target<postgres:read>", "The server that lost the rows.");
    Source::declare_after(Source::declare(action, "target<machine:read>", "The machine of the copy."))
        .optional("missing_at_most", "int", "Fail if more rows than this are missing, including those without their parent.")
        .optional("left_file", "string", "The file of a merge that names the rows it left out: these rows are known not to be back.")
        .optional("left_digest", "string", "Its digest.")
        .output("rows_removed", "int", "Rows that the transaction removed: the sum of the next five.")
        .output("rows_back", "int", "Those that the server has with the same content.")
        .output("conflicts", "int", "Those whose key the server has with other content.")
        .output("orphans", "int", "Those that are missing, and whose parent is missing too and does not come back.")
        .output("rows_missing", "int", "All others that the copy has and the server has not.")
        .output(
            "rows_unrecoverable",
            "int",
            "Those that the copy does not have either: the transaction itself inserted them.",
        )
        .output("rows_gone_again", "int", "With `left_file`: rows that were put back and are missing.")
        .output(
            "rows_wrong",
            "int",
            "With `left_file`: rows with other content that the merge does not name and that nobody has written \
             since. The step fails if there is one.",
        )
        .output("conflicts_text", "string", "Both versions of a few rows with other content; empty if there are none.")
        .output(
            "changed_differ",
            "int",
            "Rows that the transaction only changed and that are not as they were before it, or gone.",
        )
        .output("changed_text", "string", "Their number, and both versions of a few; empty if there are none.")
        .output("values", "int", "With `after`: rows whose values the transaction changed, the sum of the next four and of those that \
                                  cannot be compared.")
        .output("values_back", "int", "Those that have all values that they had before.")
        .output("values_newer", "int", "Those of which something was written since.")
        .output("values_gone", "int", "Those that are gone since.")
        .output(
            "values_wrong",
            "int",
            "Those that still have a value that the transaction wrote. With `left_file`, the step fails if there is one that the \
             merge does not name.",
        )
        .output(
            "tables",
            "list<record{table: string, removed: int, back: int, conflicts: int, orphans: int, missing: int, unrecoverable: int}>",
            "The same by table.",
        )
        .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (source, parameters): (Source, Parameters) = parameters::split(call, &Source::NAMES)?;
    let left = match (&parameters.left_file, &parameters.left_digest) {
        (Some(path), Some(digest)) => Some(Left::read_file(caps, &source.machine, path, digest)?),
        (None, None) => None,
        _ => {
            return Err(Failure::invalid_input("pg-which-file", "give both `left_file` and `left_digest`, or neither"));
        }
    };
    let primary = caps.open(&parameters.server)?;
    let (set, copy) = source.open(caps)?;
    let prepared = preparation::prepare(&primary, &copy, &set, Triggers::Fire)?;
    let horizon = left.as_ref().map(|left| left.horizon);
    let mut comparison =
        Comparison { caps, primary: &primary, copy: &copy, horizon, done: 0, total: set.rows() + set.rows_changed() };
    let compared = comparison.all(&prepared.tables, &set.tables)?;
    let mut outputs = count(&compared, left.as_ref());
    match source.open_after(caps, &set, parameters.after.as_deref())? {
        Some(after) => {
            let (caps, primary, before) = (comparison.caps, comparison.primary, comparison.copy);
            let values = ValueComparison { caps, primary, before, after: &after, merged: left.is_some() };
            add_values(&mut outputs, &values.all(&set.became)?, left.as_ref())?;
        }
        None => (outputs.changed_differ, outputs.changed_text) = changed(&mut comparison, &set)?,
    }
    judge(&outputs, left.is_some(), parameters.missing_at_most)?;
    let mut summary = format!(
        "of {} removed rows, {} are back, {} have other content, {} have lost their parent, {} are missing, {} are \
         lost",
        outputs.rows_removed,
        outputs.rows_back,
        outputs.conflicts,
        outputs.orphans,
        outputs.rows_missing,
        outputs.rows_unrecoverable
    );
    if outputs.values > 0 {
        summary = format!(
            "of {} rows with changed values, {} are as before, {} have values of the transaction, {} were written since, {} are gone; \
             {summary}",
            outputs.values, outputs.values_back, outputs.values_wrong, outputs.values_newer, outputs.values_gone
        );
    }
    Outcome::new(outputs, summary)
}

/// Rows that the transaction only changed: how many are not as they were, and what a person is told about them.
fn changed<C: Capabilities>(comparison: &mut Comparison<'_, C>, set: &ExactSet) -> Result<(u64, String), Failure> {
    let (mut differ, mut examples) = (0, Vec::new());
    for (name, tuples) in &set.changed {
        let Some((_, matched)) = preparation::match_changed(comparison.primary, comparison.copy, name)? else {
            differ += tuples.len();
            examples.push(format!("{}: {} changed rows that cannot be compared", name.plain(), tuples.len()));
            continue;
        };
        let compared = comparison.table(&matched, tuples)?;
        differ += compared.removed - compared.back;
        examples.extend(compared.examples.into_iter().take(CHANGED_EXAMPLES));
    }
    if differ == 0 {
        return Ok((0, String::new()));
    }
    examples.truncate(EXAMPLES_MAX);
    let text = format!(
        "Of {} rows that were changed but not removed, {differ} differ from before: {}. The merge restores a \
         reference to a removed row if the reference is still what the removal made of it; every other change stays.",
        set.rows_changed(),
        examples.join("; ")
    );
    Ok((differ, text))
}

/// Values that the transaction changed. After a merge, none may be wrong that the merge does not name.
fn add_values(outputs: &mut Outputs, values: &BTreeMap<TableName, Values>, left: Option<&Left>) -> Result<(), Failure> {
    let (mut examples, mut unnamed) = (Vec::new(), 0);
    for (name, it) in values {
        outputs.values += it.rows;
        outputs.values_back += it.back;
        outputs.values_newer += it.newer;
        outputs.values_gone += it.gone;
        outputs.values_wrong += it.wrong.len() as u64;
        let known = left.and_then(|left| left.tables.get(name)).map(|rows| &rows.wrong);
        unnamed += it.wrong.iter().filter(|place| known.is_none_or(|known| !known.contains(place))).count();
        examples.extend(it.examples.iter().cloned());
    }
    examples.truncate(EXAMPLES_MAX);
    outputs.changed_differ = outputs.values - outputs.values_back;
    if outputs.changed_differ > 0 {
        outputs.changed_text = format!(
            "Of {} rows whose values were changed, {} still have a value that the transaction wrote, {} were written since, {} are \
             gone since: {}. Only the first get their older values back, column by column.",
            outputs.values,
            outputs.values_wrong,
            outputs.values_newer,
            outputs.values_gone,
            if examples.is_empty() { "no example is left".to_owned() } else { examples.join("; ") }
        );
    }
    if left.is_some() && unnamed > 0 {
        let message = format!(
            "{unnamed} rows still have a value that the transaction wrote, and the merge does not name them: {}",
            examples.join("; ")
        );
        return Err(Failure::permanent("pg-values-remain", message));
    }
    Ok(())
}

fn count(compared: &[(TableName, Compared)], left: Option<&Left>) -> Outputs {
    let mut outputs = Outputs::default();
    let mut examples = Vec::new();
    for (name, it) in compared {
        let counted = Counted {
            table: name.plain(),
            removed: it.removed,
            back: it.back,
            conflicts: it.differ.len(),
            orphans: it.orphans.len(),
            missing: it.missing.len() - it.orphans.len(),
            unrecoverable: it.removed - it.found,
        };
        outputs.rows_removed += counted.removed;
        outputs.rows_back += counted.back;
        outputs.conflicts += counted.conflicts;
        outputs.orphans += counted.orphans;
        outputs.rows_missing += counted.missing;
        outputs.rows_unrecoverable += counted.unrecoverable;
        outputs.tables.push(counted);
        examples.extend(it.examples.iter().cloned());
        if let Some(left) = left {
            let nothing = Rows::default();
            let known = left.tables.get(name).unwrap_or(&nothing);
            outputs.rows_gone_again += unknown(&it.missing, known);
            outputs.rows_wrong += unknown(&it.differ_before, known);
        }
    }
    examples.truncate(EXAMPLES_MAX);
    outputs.conflicts_text = examples.join("\n");
    outputs
}

/// Rows that a merge did not name as left.
fn unknown(places: &Tuples, known: &Rows) -> u64 {
    places.iter().filter(|place| !known.gone.contains(place) && !known.kept.contains(place)).count() as u64
}

fn judge(outputs: &Outputs, after_merge: bool, missing_at_most: Option<u64>) -> Result<(), Failure> {
    if after_merge && outputs.rows_wrong > 0 {
        let message = format!(
            "{} rows have other content than before the damage, and the merge does not name them: {}",
            outputs.rows_wrong, outputs.conflicts_text
        );
        return Err(Failure::permanent("pg-rows-differ", message));
    }
    let missing = if after_merge { outputs.rows_gone_again } else { outputs.rows_missing + outputs.orphans };
    match missing_at_most {
        Some(limit) if missing > limit => {
            let tables: Vec<_> = outputs
                .tables
                .iter()
                .map(|it| format!("{} of {} in {}", it.missing + it.orphans, it.removed, it.table))
                .collect();
            let message = format!("{missing} removed rows are missing, at most {limit} may be: {}", tables.join(", "));
            Err(Failure::permanent("pg-rows-missing", message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::left;

    fn compared() -> Vec<(TableName, Compared)> {
        let name = TableName { schema: "public".to_owned(), name: "t".to_owned() };
        let places = |list: &[(u32, u16)]| list.iter().copied().collect::<Tuples>();
        let it = Compared {
            removed: 10,
            found: 9,
            back: 3,
            differ: places(&[(0, 1), (0, 2)]),
            differ_before: places(&[(0, 1)]),
            missing: places(&[(0, 3), (0, 4), (0, 5), (0, 6)]),
            orphans: places(&[(0, 3)]),
            examples: vec!["public.t (1): a was 1, is 2".to_owned()],
        };
        vec![(name, it)]
    }

    #[test]
    fn a_value_that_a_merge_does_not_name_fails_the_step() {
        let name = compared()[0].0.clone();
        let wrong: left::Places = [(0, 1), (0, 2)].into();
        let values = Values { rows: 9, back: 3, newer: 2, gone: 1, unknown: 1, wrong, examples: vec![] };
        let values = BTreeMap::from([(name.clone(), values)]);
        let check = |named: Option<&[(u32, u16)]>, expect: Option<&str>| {
            let left = named.map(|places| {
                let rows = Rows { wrong: places.iter().copied().collect(), ..Rows::default() };
                Left { horizon: 1, tables: [(name.clone(), rows)].into() }
            });
            let mut outputs = Outputs::default();
            let ended = add_values(&mut outputs, &values, left.as_ref());
            assert_eq!(ended.err().as_ref().map(Failure::code), expect, "{named:?}");
            assert_eq!((outputs.values_wrong, outputs.changed_differ), (2, 6));
        };
        check(None, None);
        check(Some(&[(0, 1), (0, 2)]), None);
        check(Some(&[(0, 1)]), Some("pg-values-remain"));
    }

    #[test]
    fn every_row_is_counted_once() {
        let it = count(&compared(), None);
        let parts = [it.rows_back, it.conflicts, it.orphans, it.rows_missing, it.rows_unrecoverable];
        assert_eq!((parts, it.rows_removed), ([3, 2, 1, 3, 1], 10));
        assert_eq!(judge(&it, false, Some(4)), Ok(()));
        assert_eq!(judge(&it, false, Some(3)).expect_err("refused").code(), "pg-rows-missing");
    }

    #[test]
    fn what_a_merge_has_left_is_not_gone_again_and_what_it_has_not_named_is_wrong() {
        let name = compared()[0].0.clone();
        let check = |gone: &[(u32, u16)], kept: &[(u32, u16)], gone_again: u64, wrong: u64| {
            let rows =
                Rows { gone: gone.iter().copied().collect(), kept: kept.iter().copied().collect(), ..Rows::default() };
            let left = Left { horizon: 1, tables: [(name.clone(), rows)].into() };
            let it = count(&compared(), Some(&left));
            assert_eq!((it.rows_gone_again, it.rows_wrong), (gone_again, wrong));
            it
        };
        let wrong = check(&[], &[], 4, 1);
        assert_eq!(judge(&wrong, true, None).expect_err("refused").code(), "pg-rows-differ");
        let known = check(&[(0, 3)], &[(0, 1), (0, 4)], 2, 0);
        assert_eq!(judge(&known, true, Some(2)), Ok(()));
        assert_eq!(judge(&known, true, Some(1)).expect_err("refused").code(), "pg-rows-missing");
    }
}
