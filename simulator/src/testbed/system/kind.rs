//! A kind of system, and what is needed to build one.

use std::{collections::BTreeMap, future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use lifeboat_core::{document::Object, types::TargetKind};
use serde::de::DeserializeOwned;

use super::System;
use crate::{
    proxy::Proxy,
    testbed::{error::TestbedError, network::End, server::Server, site::Site, spec::SystemSpec},
};

/// The systems that are already built, by name.
pub(in crate::testbed) type Built = BTreeMap<String, Arc<dyn System>>;

type Building<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn System>, TestbedError>> + Send + 'a>>;

/// A kind of system: a line of the table.
pub struct SystemKind {
    /// Its name in a drill file.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: &'static Object,
    /// The parameters that name another system, each with the kinds that the system may have.
    pub names: &'static [(&'static str, &'static [&'static str])],
    /// The kind of target that it is for runbooks.
    pub target: TargetKind,
    /// Its part in an application.
    pub part: SystemPart,
    /// Builds one; the system that it names is already built.
    pub(in crate::testbed) build: for<'a> fn(Order<'a>) -> Building<'a>,
}

/// The part of a system in an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemPart {
    /// Keeps its records.
    Store,
    /// Has a copy of the records of the server that this parameter names.
    Standby {
        /// The parameter.
        of: &'static str,
    },
    /// Directs it to a server.
    Switch,
    /// None.
    None,
}

/// A system to be built.
#[derive(Clone, Copy)]
pub(in crate::testbed) struct Order<'a> {
    pub(in crate::testbed) name: &'a str,
    pub(in crate::testbed) spec: &'a SystemSpec,
    pub(in crate::testbed) site: &'a Site<'a>,
    pub(in crate::testbed) built: &'a Built,
}

impl Order<'_> {
    /// Its parameters, which match the table.
    pub(super) fn parameters<T: DeserializeOwned>(&self) -> Result<T, TestbedError> {
        self.spec.parameters().map_err(|error| self.wrong(error.to_string()))
    }

    /// The server of that name.
    pub(super) fn server(&self, name: &str) -> Result<&Server, TestbedError> {
        let found = self.built.get(name).and_then(|system| system.server());
        found.ok_or_else(|| self.wrong(format!("`{name}` is not a server")))
    }

    /// Where the switch of that name listens.
    pub(super) fn switch(&self, name: &str) -> Result<SocketAddr, TestbedError> {
        let found = self.built.get(name).and_then(|system| system.switch()).map(Proxy::address);
        found.ok_or_else(|| self.wrong(format!("`{name}` is not a switch")))
    }

    pub(super) fn end(&self, region: Option<String>) -> End {
        End { region, system: Some(self.name.to_owned()) }
    }

    fn wrong(&self, message: String) -> TestbedError {
        TestbedError::System { name: self.name.to_owned(), message }
    }
}
