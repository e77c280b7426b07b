//! A machine that a call may use: its binding, and what the call may do with it.

use std::collections::BTreeSet;

use lifeboat_core::{
    action::Effect,
    bindings::{Machine, System, Via},
    failure::Reason,
    name::RoleName,
};

use super::{arguments, denied, failed, folder, identity, start};
use crate::{call::CallContext, wit::lifeboat::machine::machine::Error};

/// Programs that every machine has and plugins need, found on its PATH.
const EVERYWHERE: &[(&str, Effect)] = &[("cp", Effect::Mutate), ("sha256sum", Effect::Read)];

/// A machine within a call.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) role: &'a str,
    pub(super) machine: &'a Machine,
    /// Whether programs of the host run by root there, whoever the binding's user is.
    pub(super) as_root: bool,
    source: &'a str,
    line: u32,
}

/// A program that may be run.
pub(super) struct Runnable {
    pub(super) path: String,
    pub(super) effect: Effect,
}

impl<'a> Place<'a> {
    /// The machine that plays a role, where the call may do that much with it.
    pub(super) fn of(context: &'a CallContext, role: &'a str, needed: Effect) -> Result<Self, Error> {
        context.grants.check(role, needed).map_err(|reason| Error::Denied(reason.into()))?;
        let source = context.bindings.source.as_str();
        let binding = RoleName::new(role).ok().and_then(|role| context.bindings.targets.get(&role));
        match binding.map(|binding| (&binding.system, binding.line)) {
            Some((System::Machine(machine), line)) => Ok(Self { role, machine, as_root: false, source, line }),
            Some(_) => Err(failed("host-refused-role", format!("the target `{role}` is not a machine"))),
            None => Err(failed("host-refused-role", format!("{source} does not bind the target `{role}`"))),
        }
    }

    /// As [`Place::of`], with proof that it is the machine meant.
    pub(super) async fn enter(context: &'a CallContext, role: &'a str, needed: Effect) -> Result<Self, Error> {
        if context.grants.would_hold_back(role, needed) {
            // A dry-run finds the wrong machine too.
            identity::prove(context, &Self::of(context, role, Effect::Read)?, needed).await?;
        }
        let place = Self::of(context, role, needed)?;
        identity::prove(context, &place, needed).await?;
        if needed > Effect::Read {
            context.sessions.machine.on_machine(context, role).await?;
            context.change().map_err(|reason| Error::Denied(reason.into()))?;
        }
        Ok(place)
    }

    /// The same, with programs that root runs.
    pub(super) fn run_by_root(&self) -> Self {
        Self { as_root: true, ..*self }
    }

    pub(super) fn folder(&self, name: &str) -> Result<String, Error> {
        self.machine.folders.get(name).map(|folder| folder::normal(&folder.path)).ok_or_else(|| {
            let names: Vec<_> = self.machine.folders.keys().map(String::as_str).collect();
            let message = format!(
                "`{}` has no folder `{name}`; its folders at {}:{} are {}",
                self.role,
                self.source,
                self.line,
                names.join(", ")
            );
            denied("machine-folder", message)
        })
    }

    pub(super) fn ports(&self) -> Vec<u16> {
        self.machine.ports.keys().copied().collect()
    }

    /// Where an instance must listen: here, the addresses under which the binding lists the ports; elsewhere everywhere,
    /// because the engine comes from outside.
    pub(super) fn listen_address(&self) -> String {
        if self.machine.via != Via::Local {
            return "*".to_owned();
        }
        let hosts: BTreeSet<_> = self.machine.ports.values().filter_map(|address| address.rsplit_once(':')).collect();
        let hosts: BTreeSet<_> = hosts.into_iter().map(|(host, _)| host.trim_matches(['[', ']'])).collect();
        if hosts.is_empty() { "127.0.0.1".to_owned() } else { Vec::from_iter(hosts).join(",") }
    }

    /// The program, where the binding allows it.
    pub(super) fn program(&self, name: &str) -> Result<Runnable, Error> {
        if let Some(program) = self.machine.programs.get(name) {
            return Ok(Runnable { path: program.path.clone(), effect: program.effect });
        }
        let everywhere = EVERYWHERE.iter().find(|(known, _)| *known == name);
        everywhere.map(|(name, effect)| Runnable { path: (*name).to_owned(), effect: *effect }).ok_or_else(|| {
            let message = format!(
                "`{}` does not allow the program `{name}`; to allow it, add it to `programs` at {}:{}",
                self.role, self.source, self.line
            );
            denied("machine-program", message)
        })
    }

    /// The words that run a program; refuses arguments that reach outside of the binding.
    pub(super) fn words(&self, name: &str, program: &Runnable, given: &[String]) -> Result<Vec<String>, Error> {
        let start = start::folder(self.machine, program.effect);
        let paths = arguments::check(self.machine, name, &start, given).map_err(|problem| {
            let message = format!("{problem}; the folders of `{}` are at {}:{}", self.role, self.source, self.line);
            denied("machine-argument", message)
        })?;
        Ok(start::words(&start, &paths, &program.path, given))
    }

    /// The path, where a folder of the binding allows it.
    pub(super) fn allowed(&self, path: &str, needed: Effect) -> Result<folder::Allowed, Error> {
        folder::allowed(&self.machine.folders, path, needed).map_err(|refusal| {
            let message = format!("{refusal}; the folders of `{}` are at {}:{}", self.role, self.source, self.line);
            Error::Denied(Reason::new("machine-path", message).into())
        })
    }
}
