//! [`Fake`] has every capability by handing each call to the double of that capability.

use super::{Connection, Fake, Process};
use crate::capability::{self, http::Format, runtime::Level};

impl capability::runtime::Runtime for Fake {
    fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        self.runtime.log(level, message, fields);
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str, message: &str) {
        self.runtime.progress(done, total, unit, message);
    }

    fn now_ms(&self) -> u64 {
        self.runtime.now_ms()
    }

    fn sleep_ms(&self, ms: u64) -> bool {
        self.runtime.sleep_ms(ms)
    }

    fn cancelled(&self) -> bool {
        self.runtime.cancelled()
    }
}

impl capability::postgres::Postgres for Fake {
    type Connection = Connection;

    fn open(&self, role: &str) -> Result<Connection, capability::postgres::Error> {
        self.postgres.open(role)
    }

    fn open_instance(
        &self,
        machine: &str,
        port: u16,
        login_as: &str,
        socket: Option<&str>,
    ) -> Result<Connection, capability::postgres::Error> {
        self.postgres.open_instance(machine, port, login_as, socket)
    }

    fn copy_between(
        &self,
        source: &Connection,
        query: &str,
        destination: &Connection,
        table: &str,
        columns: &[String],
    ) -> Result<u64, capability::postgres::Error> {
        self.postgres.copy_between(source, query, destination, table, columns)
    }
}

impl capability::machine::Machine for Fake {
    type Process = Process;

    fn folder(&self, machine: &str, name: &str) -> Result<String, capability::machine::Error> {
        self.machine.folder(machine, name)
    }

    fn ports(&self, machine: &str) -> Result<Vec<u16>, capability::machine::Error> {
        self.machine.ports(machine)
    }

    fn listen_address(&self, machine: &str) -> Result<String, capability::machine::Error> {
        self.machine.listen_address(machine)
    }

    fn run(
        &self,
        machine: &str,
        program: &str,
        arguments: &[String],
        stdin: Option<&str>,
    ) -> Result<capability::machine::Output, capability::machine::Error> {
        self.machine.run(machine, program, arguments, stdin)
    }

    fn spawn(
        &self,
        machine: &str,
        program: &str,
        arguments: &[String],
        keep: &[Vec<String>],
    ) -> Result<Process, capability::machine::Error> {
        self.machine.spawn(machine, program, arguments, keep)
    }

    fn read_file(&self, machine: &str, path: &str) -> Result<Vec<u8>, capability::machine::Error> {
        self.machine.read_file(machine, path)
    }

    fn read_parts(
        &self,
        machine: &str,
        folder: &str,
        names: &[String],
        offset: u64,
        length: u32,
    ) -> Result<Vec<Vec<u8>>, capability::machine::Error> {
        self.machine.read_parts(machine, folder, names, offset, length)
    }

    fn write_file(&self, machine: &str, path: &str, content: &[u8]) -> Result<(), capability::machine::Error> {
        self.machine.write_file(machine, path, content)
    }

    fn create_file(&self, machine: &str, path: &str, content: &[u8]) -> Result<(), capability::machine::Error> {
        self.machine.create_file(machine, path, content)
    }

    fn list_folder(
        &self,
        machine: &str,
        path: &str,
    ) -> Result<Vec<capability::machine::Entry>, capability::machine::Error> {
        self.machine.list_folder(machine, path)
    }

    fn create_folder(&self, machine: &str, path: &str) -> Result<(), capability::machine::Error> {
        self.machine.create_folder(machine, path)
    }

    fn remove(&self, machine: &str, path: &str) -> Result<(), capability::machine::Error> {
        self.machine.remove(machine, path)
    }

    fn survey(&self, machine: &str, path: &str) -> Result<capability::machine::Tree, capability::machine::Error> {
        self.machine.survey(machine, path)
    }

    fn clear(&self, machine: &str, path: &str, names: &[String]) -> Result<(), capability::machine::Error> {
        self.machine.clear(machine, path, names)
    }

    fn find_wall(
        &self,
        machine: &str,
        server: &capability::machine::Server,
        wanted: Option<&str>,
    ) -> Result<capability::machine::Wall, capability::machine::Error> {
        self.machine.find_wall(machine, server, wanted)
    }

    fn start_server(
        &self,
        machine: &str,
        server: &capability::machine::Server,
        wall: &str,
    ) -> Result<(), capability::machine::Error> {
        self.machine.start_server(machine, server, wall)
    }

    fn server_runs(&self, machine: &str, data: &str) -> Result<bool, capability::machine::Error> {
        self.machine.server_runs(machine, data)
    }

    fn stop_server(&self, machine: &str, data: &str) -> Result<(), capability::machine::Error> {
        self.machine.stop_server(machine, data)
    }

    fn port_is_free(&self, machine: &str, port: u16) -> Result<bool, capability::machine::Error> {
        self.machine.port_is_free(machine, port)
    }

    fn is_fetched(&self, machine: &str, folder: &str) -> Result<bool, capability::machine::Error> {
        self.machine.is_fetched(machine, folder)
    }

    fn fetch(
        &self,
        machine: &str,
        folder: &str,
        names: &[String],
        into: Option<&str>,
    ) -> Result<capability::machine::Fetched, capability::machine::Error> {
        self.machine.fetch(machine, folder, names, into)
    }

    fn discard(&self, machine: &str, names: &[String]) -> Result<(), capability::machine::Error> {
        self.machine.discard(machine, names)
    }

    fn free_space(&self, machine: &str, path: &str) -> Result<u64, capability::machine::Error> {
        self.machine.free_space(machine, path)
    }
}

impl capability::http::Http for Fake {
    fn channel(&self, role: &str) -> Result<Format, capability::http::Error> {
        self.http.channel(role)
    }

    fn post(&self, role: &str, id: &str, body: &str) -> Result<capability::http::Response, capability::http::Error> {
        self.http.post(role, id, body)
    }
}

impl capability::endpoint::Endpoint for Fake {
    fn current(&self, role: &str) -> Result<String, capability::endpoint::Error> {
        self.endpoint.current(role)
    }

    fn switch(&self, role: &str, address: &str) -> Result<(), capability::endpoint::Error> {
        self.endpoint.switch(role, address)
    }
}
