//! What [`Fetching`] hands on as it is, and the few things that it does otherwise for an archive of its own.

use lifeboat_plugin::{
    Endpoint, Machine, Postgres, Runtime, endpoint, machine,
    machine::{Entry, Error, Output, Server, Tree, Wall},
    postgres,
    runtime::Level,
};

use super::Fetching;
use crate::server::Capabilities;

impl<C: Capabilities> Runtime for Fetching<'_, C> {
    fn log(&self, level: Level, message: &str, fields: &[(String, String)]) {
        self.inner.log(level, message, fields);
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str, message: &str) {
        self.inner.progress(done, total, unit, message);
    }

    fn now_ms(&self) -> u64 {
        self.inner.now_ms()
    }

    fn sleep_ms(&self, ms: u64) -> bool {
        self.inner.sleep_ms(ms)
    }

    fn cancelled(&self) -> bool {
        self.inner.cancelled()
    }
}

impl<C: Capabilities> Postgres for Fetching<'_, C> {
    type Connection = C::Connection;

    fn open(&self, role: &str) -> Result<Self::Connection, postgres::Error> {
        self.inner.open(role)
    }

    fn open_instance(
        &self,
        machine: &str,
        port: u16,
        login_as: &str,
        socket: Option<&str>,
    ) -> Result<Self::Connection, postgres::Error> {
        self.inner.open_instance(machine, port, login_as, socket)
    }

    fn copy_between(
        &self,
        source: &Self::Connection,
        query: &str,
        destination: &Self::Connection,
        table: &str,
        columns: &[String],
    ) -> Result<u64, postgres::Error> {
        self.inner.copy_between(source, query, destination, table, columns)
    }
}

impl<C: Capabilities> Endpoint for Fetching<'_, C> {
    fn current(&self, role: &str) -> Result<String, endpoint::Error> {
        self.inner.current(role)
    }

    fn switch(&self, role: &str, address: &str) -> Result<(), endpoint::Error> {
        self.inner.switch(role, address)
    }
}

impl<C: Capabilities> Machine for Fetching<'_, C> {
    type Process = C::Process;

    fn folder(&self, machine: &str, name: &str) -> Result<String, Error> {
        let path = self.inner.folder(machine, name)?;
        self.meet(machine, name, &path)?;
        Ok(path)
    }

    fn run(&self, machine: &str, program: &str, arguments: &[String], stdin: Option<&str>) -> Result<Output, Error> {
        let redirected = self.redirected(machine, program, arguments)?;
        self.inner.run(machine, program, redirected.as_deref().unwrap_or(arguments), stdin)
    }

    fn spawn(
        &self,
        machine: &str,
        program: &str,
        arguments: &[String],
        keep: &[Vec<String>],
    ) -> Result<Self::Process, Error> {
        let redirected = self.redirected(machine, program, arguments)?;
        self.inner.spawn(machine, program, redirected.as_deref().unwrap_or(arguments), keep)
    }

    fn read_file(&self, machine: &str, path: &str) -> Result<Vec<u8>, Error> {
        let archive = path.rsplit_once('/').and_then(|(folder, name)| Some((self.at(machine, folder)?, name)));
        let Some((archive, name)) = archive else { return self.inner.read_file(machine, path) };
        let into = self.provide(machine, &archive, &[name.to_owned()])?;
        self.inner.read_file(machine, &format!("{into}/{name}"))
    }

    fn read_parts(
        &self,
        machine: &str,
        folder: &str,
        names: &[String],
        offset: u64,
        length: u32,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let Some(archive) = self.at(machine, folder) else {
            return self.inner.read_parts(machine, folder, names, offset, length);
        };
        let mut parts = Vec::new();
        for some in names.chunks(super::AT_ONCE) {
            let into = self.provide(machine, &archive, some)?;
            parts.extend(self.inner.read_parts(machine, &into, some, offset, length)?);
        }
        Ok(parts)
    }

    fn list_folder(&self, machine: &str, path: &str) -> Result<Vec<Entry>, Error> {
        match self.at(machine, path) {
            Some(archive) => self.list(machine, &archive),
            None => self.inner.list_folder(machine, path),
        }
    }

    fn ports(&self, machine: &str) -> Result<Vec<u16>, Error> {
        self.inner.ports(machine)
    }

    fn listen_address(&self, machine: &str) -> Result<String, Error> {
        self.inner.listen_address(machine)
    }

    fn write_file(&self, machine: &str, path: &str, content: &[u8]) -> Result<(), Error> {
        self.inner.write_file(machine, path, content)
    }

    fn create_file(&self, machine: &str, path: &str, content: &[u8]) -> Result<(), Error> {
        self.inner.create_file(machine, path, content)
    }

    fn create_folder(&self, machine: &str, path: &str) -> Result<(), Error> {
        self.inner.create_folder(machine, path)
    }

    fn remove(&self, machine: &str, path: &str) -> Result<(), Error> {
        self.inner.remove(machine, path)
    }

    fn survey(&self, machine: &str, path: &str) -> Result<Tree, Error> {
        self.inner.survey(machine, path)
    }

    fn clear(&self, machine: &str, path: &str, names: &[String]) -> Result<(), Error> {
        self.inner.clear(machine, path, names)
    }

    fn find_wall(&self, machine: &str, server: &Server, wanted: Option<&str>) -> Result<Wall, Error> {
        self.inner.find_wall(machine, server, wanted)
    }

    fn start_server(&self, machine: &str, server: &Server, wall: &str) -> Result<(), Error> {
        self.inner.start_server(machine, server, wall)
    }

    fn server_runs(&self, machine: &str, data: &str) -> Result<bool, Error> {
        self.inner.server_runs(machine, data)
    }

    fn stop_server(&self, machine: &str, data: &str) -> Result<(), Error> {
        self.inner.stop_server(machine, data)
    }

    fn port_is_free(&self, machine: &str, port: u16) -> Result<bool, Error> {
        self.inner.port_is_free(machine, port)
    }

    fn is_fetched(&self, machine: &str, folder: &str) -> Result<bool, Error> {
        self.inner.is_fetched(machine, folder)
    }

    fn fetch(
        &self,
        machine: &str,
        folder: &str,
        names: &[String],
        into: Option<&str>,
    ) -> Result<machine::Fetched, Error> {
        self.inner.fetch(machine, folder, names, into)
    }

    fn discard(&self, machine: &str, names: &[String]) -> Result<(), Error> {
        self.inner.discard(machine, names)
    }

    fn free_space(&self, machine: &str, path: &str) -> Result<u64, Error> {
        self.inner.free_space(machine, path)
    }
}
