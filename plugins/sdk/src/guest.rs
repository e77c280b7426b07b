//! The capabilities inside a component: every method is one call of the host.

use std::panic;

use crate::{
    bindings::lifeboat::{
        endpoint::endpoint as endpoint_import, http::http as http_import, machine::machine as machine_import,
        postgres::postgres as postgres_import, runtime::runtime as runtime_import,
    },
    capability::{endpoint, http, machine, postgres, runtime},
};

/// The host, as a component sees it. Outside of WebAssembly its methods panic.
#[derive(Debug, Clone, Copy)]
pub struct Guest;

/// Writes the message of a panic into the run's log: the trap that follows says only `unreachable`.
pub fn report_panics() {
    panic::set_hook(Box::new(|info| {
        runtime_import::log(runtime_import::Level::Error, &format!("the plugin panicked: {info}"), &[]);
    }));
}

impl runtime::Runtime for Guest {
    fn log(&self, level: runtime::Level, message: &str, fields: &[(&str, &str)]) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        runtime_import::log(level, message, &fields);
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str, message: &str) {
        runtime_import::progress(done, total, unit, message);
    }

    fn now_ms(&self) -> u64 {
        runtime_import::now_ms()
    }

    fn sleep_ms(&self, ms: u64) -> bool {
        runtime_import::sleep_ms(ms)
    }

    fn cancelled(&self) -> bool {
        runtime_import::cancelled()
    }
}

impl postgres::Postgres for Guest {
    type Connection = postgres_import::Connection;

    fn open(&self, role: &str) -> Result<Self::Connection, postgres::Error> {
        postgres_import::open(role)
    }

    fn open_instance(
        &self,
        machine: &str,
        port: u16,
        login_as: &str,
        socket: Option<&str>,
    ) -> Result<Self::Connection, postgres::Error> {
        postgres_import::open_instance(machine, port, login_as, socket)
    }

    fn copy_between(
        &self,
        source: &Self::Connection,
        query: &str,
        destination: &Self::Connection,
        table: &str,
        columns: &[String],
    ) -> Result<u64, postgres::Error> {
        postgres_import::copy_between(source, query, destination, table, columns)
    }
}

impl postgres::Connection for postgres_import::Connection {
    fn query(&self, sql: &str, parameters: &[postgres::Value]) -> Result<postgres::Rows, postgres::Error> {
        postgres_import::Connection::query(self, sql, parameters)
    }

    fn execute(&self, sql: &str, parameters: &[postgres::Value]) -> Result<u64, postgres::Error> {
        postgres_import::Connection::execute(self, sql, parameters)
    }

    fn begin(&self, isolation: postgres::Isolation) -> Result<(), postgres::Error> {
        postgres_import::Connection::begin(self, isolation)
    }

    fn commit(&self) -> Result<(), postgres::Error> {
        postgres_import::Connection::commit(self)
    }

    fn rollback(&self) -> Result<(), postgres::Error> {
        postgres_import::Connection::rollback(self)
    }

    fn beside(&self, database: &str) -> Result<Self, postgres::Error> {
        postgres_import::Connection::beside(self, database)
    }
}

impl machine::Machine for Guest {
    type Process = machine_import::Process;

    fn folder(&self, machine: &str, name: &str) -> Result<String, machine::Error> {
        machine_import::folder(machine, name)
    }

    fn ports(&self, machine: &str) -> Result<Vec<u16>, machine::Error> {
        machine_import::ports(machine)
    }

    fn listen_address(&self, machine: &str) -> Result<String, machine::Error> {
        machine_import::listen_address(machine)
    }

    fn run(
        &self,
        machine: &str,
        program: &str,
        arguments: &[String],
        stdin: Option<&str>,
    ) -> Result<machine::Output, machine::Error> {
        machine_import::run(machine, program, arguments, stdin)
    }

    fn spawn(
        &self,
        machine: &str,
        program: &str,
        arguments: &[String],
        keep: &[Vec<String>],
    ) -> Result<Self::Process, machine::Error> {
        machine_import::spawn(machine, program, arguments, keep)
    }

    fn read_file(&self, machine: &str, path: &str) -> Result<Vec<u8>, machine::Error> {
        machine_import::read_file(machine, path)
    }

    fn read_parts(
        &self,
        machine: &str,
        folder: &str,
        names: &[String],
        offset: u64,
        length: u32,
    ) -> Result<Vec<Vec<u8>>, machine::Error> {
        machine_import::read_parts(machine, folder, names, offset, length)
    }

    fn write_file(&self, machine: &str, path: &str, content: &[u8]) -> Result<(), machine::Error> {
        machine_import::write_file(machine, path, content)
    }

    fn create_file(&self, machine: &str, path: &str, content: &[u8]) -> Result<(), machine::Error> {
        machine_import::create_file(machine, path, content)
    }

    fn list_folder(&self, machine: &str, path: &str) -> Result<Vec<machine::Entry>, machine::Error> {
        machine_import::list_folder(machine, path)
    }

    fn create_folder(&self, machine: &str, path: &str) -> Result<(), machine::Error> {
        machine_import::create_folder(machine, path)
    }

    fn remove(&self, machine: &str, path: &str) -> Result<(), machine::Error> {
        machine_import::remove(machine, path)
    }

    fn survey(&self, machine: &str, path: &str) -> Result<machine::Tree, machine::Error> {
        machine_import::survey(machine, path)
    }

    fn clear(&self, machine: &str, path: &str, names: &[String]) -> Result<(), machine::Error> {
        machine_import::clear(machine, path, names)
    }

    fn find_wall(
        &self,
        machine: &str,
        server: &machine::Server,
        wanted: Option<&str>,
    ) -> Result<machine::Wall, machine::Error> {
        machine_import::find_wall(machine, server, wanted)
    }

    fn start_server(&self, machine: &str, server: &machine::Server, wall: &str) -> Result<(), machine::Error> {
        machine_import::start_server(machine, server, wall)
    }

    fn server_runs(&self, machine: &str, data: &str) -> Result<bool, machine::Error> {
        machine_import::server_runs(machine, data)
    }

    fn stop_server(&self, machine: &str, data: &str) -> Result<(), machine::Error> {
        machine_import::stop_server(machine, data)
    }

    fn port_is_free(&self, machine: &str, port: u16) -> Result<bool, machine::Error> {
        machine_import::port_is_free(machine, port)
    }

    fn is_fetched(&self, machine: &str, folder: &str) -> Result<bool, machine::Error> {
        machine_import::is_fetched(machine, folder)
    }

    fn fetch(
        &self,
        machine: &str,
        folder: &str,
        names: &[String],
        into: Option<&str>,
    ) -> Result<machine::Fetched, machine::Error> {
        machine_import::fetch(machine, folder, names, into)
    }

    fn discard(&self, machine: &str, names: &[String]) -> Result<(), machine::Error> {
        machine_import::discard(machine, names)
    }

    fn free_space(&self, machine: &str, path: &str) -> Result<u64, machine::Error> {
        machine_import::free_space(machine, path)
    }
}

impl machine::Process for machine_import::Process {
    fn read_lines(&self, max: u32) -> Result<Vec<String>, machine::Error> {
        machine_import::Process::read_lines(self, max)
    }

    fn wait(&self) -> Result<machine::Output, machine::Error> {
        machine_import::Process::wait(self)
    }
}

impl http::Http for Guest {
    fn channel(&self, role: &str) -> Result<http::Format, http::Error> {
        http_import::channel(role)
    }

    fn post(&self, role: &str, id: &str, body: &str) -> Result<http::Response, http::Error> {
        http_import::post(role, id, body)
    }
}

impl endpoint::Endpoint for Guest {
    fn current(&self, role: &str) -> Result<String, endpoint::Error> {
        endpoint_import::current(role)
    }

    fn switch(&self, role: &str, address: &str) -> Result<(), endpoint::Error> {
        endpoint_import::switch(role, address)
    }
}
