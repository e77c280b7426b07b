//! The rows that a transaction removed: which they are, and the copy that still has them.

use lifeboat_plugin::{Action, Failure, Machine};
use serde::Deserialize;

use crate::{
    copy::marker,
    rows::{exact_set::ExactSet, set_file, whole_tables},
    server::Capabilities,
};

/// Parameters of every action that reads an exact set, and needs no copy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSet {
    /// Where the set lies.
    pub machine: String,
    /// The exact set.
    pub set_file: String,
    /// Its digest.
    pub set_digest: String,
}

impl WrittenSet {
    /// Their names.
    pub const NAMES: [&str; 3] = ["machine", "set_file", "set_digest"];

    /// Declares them.
    pub fn declare(action: Action, machine_doc: &str) -> Action {
        declare_set(action.parameter("machine", "target<machine:read>", machine_doc))
    }

    /// Reads the set; fails where it is not the one with that digest.
    pub fn read(&self, caps: &impl Machine) -> Result<ExactSet, Failure> {
        set_file::read(caps, &self.machine, &self.set_file, &self.set_digest)
    }
}

fn declare_set(action: Action) -> Action {
    action.parameter("set_file", "string", "The exact set, as `pg/find-damage` wrote it.").parameter(
        "set_digest",
        "string",
        "Its digest.",
    )
}

/// Parameters of every action that reads removed rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The machine of the copy.
    pub machine: String,
    /// The copy.
    pub instance: String,
    /// The exact set.
    pub set_file: String,
    /// Its digest.
    pub set_digest: String,
}

impl Source {
    /// Their names.
    pub const NAMES: [&str; 4] = ["machine", "instance", "set_file", "set_digest"];

    /// Declares them; what is done on the machine differs.
    pub fn declare(action: Action, machine_type: &str, machine_doc: &str) -> Action {
        let copy = "The copy, as `pg/restore` named it, replayed to just before the commit.";
        declare_set(action.parameter("machine", machine_type, machine_doc).parameter("instance", "string", copy))
    }

    /// Reads the set and connects to the copy. Fails where the set is not the one with that digest, and where the copy does
    /// not stand exactly before the set's transaction.
    pub fn open<C: Capabilities>(&self, caps: &C) -> Result<(ExactSet, C::Connection), Failure> {
        let machine = self.machine.as_str();
        let mut set = set_file::read(caps, machine, &self.set_file, &self.set_digest)?;
        let marker = marker::read(caps, machine, &self.instance)?;
        let copy = marker.open(caps, machine, &marker::folder(caps, machine, &self.instance)?)?;
        set_file::check_copy(&copy, &set)?;
        whole_tables::fill(&copy, &mut set)?;
        Ok((set, copy))
    }

    /// Connects to the second copy, from just after a change, if one is named; nothing and an empty name are none. Fails where it
    /// does not stand exactly there.
    pub fn open_after<C: Capabilities>(
        &self,
        caps: &C,
        set: &ExactSet,
        after: Option<&str>,
    ) -> Result<Option<C::Connection>, Failure> {
        let Some(after) = after.filter(|after| !after.is_empty()) else { return Ok(None) };
        let machine = self.machine.as_str();
        let (marker, folder) = (marker::read(caps, machine, after)?, marker::folder(caps, machine, after)?);
        let copy = marker.open(caps, machine, &folder)?;
        set_file::check_copy_after(&copy, &caps.read_file(machine, &marker::record(&folder))?, set)?;
        Ok(Some(copy))
    }

    /// Declares the parameter that names that copy.
    pub fn declare_after(action: Action) -> Action {
        let doc = "A second copy, replayed to just after the commit: what the transaction wrote. Needed where it changed rows.";
        action.optional("after", "string", doc)
    }
}
