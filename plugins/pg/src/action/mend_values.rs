//! `pg/mend-values`: the last readable version of each value that an intruder has encrypted, taken from before the transaction that did it.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome, postgres::Value};
use serde::Deserialize;
use serde_json::json;

use super::short_lived_copy::Copies;
use crate::{
    backup::{
        base_backup::{self, BACKUPS},
        seal::{random_values, sealed},
    },
    clean_room::values::{self, HitColumn, Version},
    copy::marker,
    server::{Capabilities, databases::some},
};

const STOPS: usize = 60;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: String,
    instance: String,
    clean: String,
    reference: String,
    stops_at_most: Option<usize>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    accept: Vec<String>,
    archive: Option<String>,
    backups: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "mend-values",
        Effect::Destroy,
        "Puts the last readable version of each encrypted value into a server that has all other rows and values of a \
         copy already. Encrypted are values that look random in columns where none did when they were recorded. Which \
         transaction encrypted a value is found by going back: a copy is restored to just before the transaction that \
         wrote the row last; where the value is readable there, that transaction did it, and this is its last version; \
         where it is not, the row was only carried on, and the next older transaction is looked at. What else such a \
         transaction wrote into these columns goes back too, whatever it looks like. What was made encrypted has no older version and is left and named. Nothing else of a row is changed.",
    )
    .parameter("server", "target<postgres:read>", "The original; only asked who it is.")
    .parameter("machine", "target<machine:destroy>", "Where copies are made, and where the instance is.")
    .parameter("instance", "string", "The copy, as `pg/restore` named it, whose rows the server has.")
    .parameter("clean", "target<postgres:write>", "The server whose values are mended, before it has triggers.")
    .parameter("reference", "string", "The backup whose seal says in which columns no value looked random.")
    .optional("stops_at_most", "int", "So many transactions are looked at (60).")
    .optional("settings", "map<string>", "Further settings of the copies, as in `pg/restore`.")
    .optional("accept", "list<string>", "As in `pg/restore`.")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output("mended", "int", "How many values are readable again.")
    .output("transactions", "list<int>", "The transactions that encrypted values.")
    .output("stops", "int", "How many transactions were looked at.")
    .output("left", "list<string>", "Values that have no readable version, by row.")
    .output("text", "string", "The same in words.")
    .idempotent()
}

/// What was there before of a column, by key.
type Older = (HitColumn, BTreeMap<String, Version>);

/// Encrypted values whose last readable version is not known yet: by the transaction that wrote their row, the keys of each column.
type Pending = BTreeMap<u32, Keys>;

/// Rows of each column, by key.
type Keys = BTreeMap<HitColumn, Vec<String>>;

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    base_backup::check_name(&parameters.reference)?;
    let missing =
        || Failure::permanent("pg-no-backup", format!("there is no base backup {folder}/{}", parameters.reference));
    let backup = base_backup::read(caps, machine, &folder, &parameters.reference)?.ok_or_else(missing)?;
    let seal = sealed::read(caps, machine, &folder, &backup)?;
    let marker = marker::read(caps, machine, &parameters.instance)?;
    let copy = marker.open(caps, machine, &marker::folder(caps, machine, &parameters.instance)?)?;
    let shares = random_values::shares(caps, &copy)?;
    let hit = values::hit(&copy, seal.random.as_deref().unwrap_or_default(), &shares)?;
    let mut pending = Pending::new();
    for column in &hit {
        for value in column.column.random_values(&copy, &column.key.0)? {
            pending.entry(value.writer).or_default().entry(column.clone()).or_default().push(value.key);
        }
    }
    let copies = Copies {
        call,
        caps,
        machine,
        server: &parameters.server,
        settings: &parameters.settings,
        accept: &parameters.accept,
        archive: parameters.archive.as_deref(),
        backups: parameters.backups.as_deref(),
    };
    let clean = caps.open(&parameters.clean)?;
    let mut mending = Mending { copies, end: &copy, clean: &clean, done: Done::default() };
    mending.go_back(pending, parameters.stops_at_most.unwrap_or(STOPS))?;
    let Done { mended, transactions, stops, left } = mending.done;
    still_encrypted(&clean, &hit, left.len())?;
    let mut text = format!(
        "{mended} values of {} columns have their last readable version again; {} transactions had encrypted them, {stops} were looked at",
        hit.len(),
        transactions.len()
    );
    if !left.is_empty() {
        text = format!("{text}; without a readable version: {}", some(&left));
    }
    let outputs = json!({
        "mended": mended,
        "transactions": transactions,
        "stops": stops,
        "left": left,
        "text": text,
    });
    Outcome::new(outputs, text.clone())
}

/// Fails where more values than those that are left look encrypted.
fn still_encrypted(clean: &impl lifeboat_plugin::Connection, hit: &[HitColumn], left: usize) -> Result<(), Failure> {
    let mut found = 0;
    for column in hit {
        found += column.column.random_values(clean, &column.key.0)?.len();
    }
    if found <= left {
        return Ok(());
    }
    let message = format!("{found} values still look encrypted, and {left} have no readable version");
    Err(Failure::permanent("pg-still-encrypted", message))
}

/// What was done so far.
#[derive(Debug, Default)]
struct Done {
    mended: u64,
    transactions: BTreeSet<u32>,
    stops: usize,
    left: Vec<String>,
}

struct Mending<'a, C: Capabilities> {
    copies: Copies<'a, C>,
    /// The copy of the end.
    end: &'a C::Connection,
    clean: &'a C::Connection,
    done: Done,
}

impl<C: Capabilities> Mending<'_, C> {
    /// From the youngest transaction to the oldest one: what an older one wrote is found on the way, and looked at together with the rest
    /// of what that one wrote.
    fn go_back(&mut self, mut pending: Pending, stops_at_most: usize) -> Result<(), Failure> {
        while let Some((xid, columns)) = pending.pop_last() {
            if self.done.stops == stops_at_most {
                let values: usize = pending.values().chain([&columns]).flat_map(BTreeMap::values).map(Vec::len).sum();
                let message = format!(
                    "{stops_at_most} transactions were looked at, and {values} values of {} others are left: set `stops_at_most` higher",
                    pending.len() + 1
                );
                return Err(Failure::permanent("pg-too-many-writers", message));
            }
            self.done.stops += 1;
            let text = format!("before transaction {xid}");
            self.copies.caps.progress(self.done.stops as u64, None, "transactions", &text);
            // What it wrote besides: shorter values, or such as only look like text.
            let others = self.others(xid, &columns)?;
            let older = self.before(xid, &columns, &others)?;
            for (column, versions) in older {
                self.sort(xid, &column, versions, (&columns[&column], &others[&column]), &mut pending)?;
            }
        }
        Ok(())
    }

    /// The rows that a transaction wrote last and whose values do not look encrypted.
    fn others(&self, xid: u32, columns: &Keys) -> Result<Keys, Failure> {
        let others = |(column, keys): (&HitColumn, &Vec<String>)| {
            let encrypted: BTreeSet<&String> = keys.iter().collect();
            let mut others = column.written_by(self.end, xid)?;
            others.retain(|key| !encrypted.contains(key));
            Ok((column.clone(), others))
        };
        columns.iter().map(others).collect()
    }

    /// What was there before the commit of a transaction.
    fn before(&self, xid: u32, columns: &Keys, others: &Keys) -> Result<Vec<Older>, Failure> {
        let target = json!({ "before_xid": xid });
        self.copies.ask(&format!("before-{xid}"), &target, None, |copy| {
            let older = |(column, keys): (&HitColumn, &Vec<String>)| {
                let all = [keys.as_slice(), &others[column]].concat();
                Ok((column.clone(), column.versions(copy, &all)?))
            };
            columns.iter().map(older).collect()
        })
    }

    fn sort(
        &mut self,
        xid: u32,
        column: &HitColumn,
        mut versions: BTreeMap<String, Version>,
        (keys, others): (&[String], &[String]),
        pending: &mut Pending,
    ) -> Result<(), Failure> {
        let mut good = Vec::new();
        for key in keys {
            match versions.remove(key) {
                Some(Version::Good(value)) => good.push((key.clone(), value)),
                // It cannot have been written by itself.
                Some(Version::Encrypted(writer)) if writer != xid => {
                    pending.entry(writer).or_default().entry(column.clone()).or_default().push(key.clone());
                }
                Some(Version::Encrypted(_)) | None => {
                    let (column, name) = (column.column.plain(), &column.key.0);
                    self.done.left.push(format!("{column} of {name} {key}, made by transaction {xid}"));
                }
            }
        }
        if !good.is_empty() {
            good.extend(self.replaced(column, versions, others)?);
            let (wanted, mended) = (good.len() as u64, column.mend(self.clean, &good)?);
            if wanted != mended {
                let message = format!(
                    "{wanted} values of {} have a readable version, and {mended} rows with these keys are in the server",
                    column.column.plain()
                );
                return Err(Failure::permanent("pg-definitions-differ", message));
            }
            self.done.mended += mended;
            self.done.transactions.insert(xid);
        }
        Ok(())
    }

    /// Of the other rows that an intruder's transaction wrote, the values that were something else before it.
    fn replaced(
        &self,
        column: &HitColumn,
        mut before: BTreeMap<String, Version>,
        others: &[String],
    ) -> Result<Vec<(String, Value)>, Failure> {
        let now = column.versions(self.end, others)?;
        let was = |key: &String| match before.remove(key) {
            Some(Version::Good(value)) if now.get(key) != Some(&Version::Good(value.clone())) => {
                Some((key.clone(), value))
            }
            _ => None,
        };
        Ok(others.iter().filter_map(was).collect())
    }
}
