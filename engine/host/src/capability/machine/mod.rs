//! The `machine` capability: allow-listed programs and files below allowed folders, on this machine, in a container or over
//! SSH. One implementation serves all three: everything, file operations too, is a program behind a command prefix.

mod account;
mod arguments;
mod command;
mod confined;
mod fetch;
mod files;
mod folder;
mod identity;
pub(crate) mod lease;
mod lines;
mod parts;
mod place;
mod process;
mod running;
mod server;
mod start;
mod stranger;
mod trial;
mod wall;

#[cfg(test)]
mod tests;

#[expect(unreachable_pub, reason = "the generated bindings re-export it from public modules of a private one")]
pub use process::Process;

pub(crate) use fetch::Folders;

use lifeboat_core::{action::Effect, bindings::Via, failure::Reason};
use place::Place;
use wasmtime::component::Resource;

use crate::{
    call::{CallContext, CallState, CutOff},
    wit::lifeboat::machine::machine::{self as wit, Entry, Error, Fetched, Output, Server, Tree, Wall},
};

/// Programs that one call may have running at a time.
const PROCESSES_MAX: usize = 8;

fn denied(code: &str, message: impl Into<String>) -> Error {
    Error::Denied(Reason::new(code, message).into())
}

fn failed(code: &str, message: impl Into<String>) -> Error {
    Error::Failed(Reason::new(code, message).into())
}

/// The folder of a socket on this machine, where the binding allows it.
pub(super) fn socket(context: &CallContext, machine: &str, folder: &str) -> Result<String, Reason> {
    let place = Place::of(context, machine, Effect::Read);
    let found = place.and_then(|place| match place.machine.via {
        Via::Local => Ok(place.allowed(folder, Effect::Read)?.path),
        _ => Err(denied("machine-path", format!("a socket on `{machine}` cannot be reached from here"))),
    });
    found.map_err(|error| match error {
        Error::Denied(reason) | Error::Unreachable(reason) | Error::Failed(reason) => {
            Reason::new(reason.code, reason.message)
        }
        Error::NotFound(text) | Error::NoSpace(text) | Error::TimedOut(text) => Reason::new("machine-path", text),
    })
}

/// A wait that was cut off; what was changing may or may not be done.
fn cut(context: &CallContext, cut: CutOff, effect: Effect, what: &str) -> Error {
    if effect > Effect::Read {
        context.note_uncertain();
    }
    Error::TimedOut(format!("{what}: {}", cut.reason().message))
}

impl CallState {
    /// Errors as the guest may see them: without secrets.
    fn machine_outward<T>(&self, result: Result<T, Error>) -> wasmtime::Result<Result<T, Error>> {
        let scrub = |text: String| self.context.secrets.scrub(text);
        let clean = |reason: wit::Reason| wit::Reason { code: reason.code, message: scrub(reason.message) };
        Ok(result.map_err(|error| match error {
            Error::Denied(reason) => Error::Denied(clean(reason)),
            Error::Unreachable(reason) => Error::Unreachable(clean(reason)),
            Error::Failed(reason) => Error::Failed(clean(reason)),
            Error::NotFound(text) => Error::NotFound(scrub(text)),
            Error::NoSpace(text) => Error::NoSpace(scrub(text)),
            Error::TimedOut(text) => Error::TimedOut(scrub(text)),
        }))
    }
}

impl wit::Host for CallState {
    async fn folder(&mut self, machine: String, name: String) -> wasmtime::Result<Result<String, Error>> {
        let found = Place::of(&self.context, &machine, Effect::Read).and_then(|place| place.folder(&name));
        self.machine_outward(found)
    }

    async fn ports(&mut self, machine: String) -> wasmtime::Result<Result<Vec<u16>, Error>> {
        let found = Place::of(&self.context, &machine, Effect::Read).map(|place| place.ports());
        self.machine_outward(found)
    }

    async fn listen_address(&mut self, machine: String) -> wasmtime::Result<Result<String, Error>> {
        let address = Place::of(&self.context, &machine, Effect::Read).map(|place| place.listen_address());
        self.machine_outward(address)
    }

    async fn run(
        &mut self,
        machine: String,
        program: String,
        arguments: Vec<String>,
        stdin: Option<String>,
    ) -> wasmtime::Result<Result<Output, Error>> {
        let output = process::run(&self.context, &machine, &program, &arguments, stdin).await;
        self.machine_outward(output)
    }

    async fn spawn(
        &mut self,
        machine: String,
        program: String,
        arguments: Vec<String>,
        keep: Vec<Vec<String>>,
    ) -> wasmtime::Result<Result<Resource<Process>, Error>> {
        if self.processes >= PROCESSES_MAX {
            let message = format!("a call may have {PROCESSES_MAX} programs running at a time");
            return Ok(Err(failed("machine-processes", message)));
        }
        match process::spawn(&self.context, &machine, &program, &arguments, &keep).await {
            Ok(process) => {
                self.processes += 1;
                Ok(Ok(self.table.push(process)?))
            }
            Err(error) => self.machine_outward(Err(error)),
        }
    }

    async fn read_file(&mut self, machine: String, path: String) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let content = files::read(&self.context, &machine, &path).await;
        self.machine_outward(content)
    }

    async fn read_parts(
        &mut self,
        machine: String,
        folder: String,
        names: Vec<String>,
        offset: u64,
        length: u32,
    ) -> wasmtime::Result<Result<Vec<Vec<u8>>, Error>> {
        let parts = parts::read(&self.context, &machine, &folder, &names, (offset, length)).await;
        self.machine_outward(parts)
    }

    async fn write_file(
        &mut self,
        machine: String,
        path: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let written = files::write(&self.context, &machine, &path, content).await;
        self.machine_outward(written)
    }

    async fn create_file(
        &mut self,
        machine: String,
        path: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let created = files::create(&self.context, &machine, &path, content).await;
        self.machine_outward(created)
    }

    async fn list_folder(&mut self, machine: String, path: String) -> wasmtime::Result<Result<Vec<Entry>, Error>> {
        let entries = files::list(&self.context, &machine, &path).await;
        self.machine_outward(entries)
    }

    async fn create_folder(&mut self, machine: String, path: String) -> wasmtime::Result<Result<(), Error>> {
        let created = files::create_folder(&self.context, &machine, &path).await;
        self.machine_outward(created)
    }

    async fn remove(&mut self, machine: String, path: String) -> wasmtime::Result<Result<(), Error>> {
        let removed = files::remove(&self.context, &machine, &path).await;
        self.machine_outward(removed)
    }

    async fn survey(&mut self, machine: String, path: String) -> wasmtime::Result<Result<Tree, Error>> {
        let tree = files::survey(&self.context, &machine, &path).await;
        self.machine_outward(tree)
    }

    async fn clear(
        &mut self,
        machine: String,
        path: String,
        names: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let cleared = files::clear(&self.context, &machine, &path, &names).await;
        self.machine_outward(cleared)
    }

    async fn find_wall(
        &mut self,
        machine: String,
        server: Server,
        wanted: Option<String>,
    ) -> wasmtime::Result<Result<Wall, Error>> {
        let wall = trial::wall(&self.context, &machine, &server, wanted.as_deref()).await;
        self.machine_outward(wall)
    }

    async fn start_server(
        &mut self,
        machine: String,
        server: Server,
        wall: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let started = server::start(&self.context, &machine, &server, &wall).await;
        self.machine_outward(started)
    }

    async fn server_runs(&mut self, machine: String, data: String) -> wasmtime::Result<Result<bool, Error>> {
        let runs = server::runs(&self.context, &machine, &data).await;
        self.machine_outward(runs)
    }

    async fn stop_server(&mut self, machine: String, data: String) -> wasmtime::Result<Result<(), Error>> {
        let stopped = server::stop(&self.context, &machine, &data).await;
        self.machine_outward(stopped)
    }

    async fn port_is_free(&mut self, machine: String, port: u16) -> wasmtime::Result<Result<bool, Error>> {
        let free = server::port_is_free(&self.context, &machine, port).await;
        self.machine_outward(free)
    }

    async fn is_fetched(&mut self, machine: String, folder: String) -> wasmtime::Result<Result<bool, Error>> {
        let fetched = fetch::is_fetched(&self.context, &machine, &folder);
        self.machine_outward(fetched)
    }

    async fn fetch(
        &mut self,
        machine: String,
        folder: String,
        names: Vec<String>,
        into: Option<String>,
    ) -> wasmtime::Result<Result<Fetched, Error>> {
        let fetched = fetch::fetch(&self.context, &machine, &folder, &names, into).await;
        self.machine_outward(fetched)
    }

    async fn discard(&mut self, machine: String, names: Vec<String>) -> wasmtime::Result<Result<(), Error>> {
        let discarded = fetch::discard(&self.context, &machine, &names).await;
        self.machine_outward(discarded)
    }

    async fn free_space(&mut self, machine: String, path: String) -> wasmtime::Result<Result<u64, Error>> {
        let free = files::free_space(&self.context, &machine, &path).await;
        self.machine_outward(free)
    }
}

impl wit::HostProcess for CallState {
    async fn read_lines(
        &mut self,
        process: Resource<Process>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let context = self.context.clone();
        let lines = self.table.get_mut(&process)?.read_lines(&context, max as usize).await;
        self.machine_outward(lines)
    }

    async fn wait(&mut self, process: Resource<Process>) -> wasmtime::Result<Result<Output, Error>> {
        let context = self.context.clone();
        let output = self.table.get_mut(&process)?.wait(&context).await;
        self.machine_outward(output)
    }

    async fn drop(&mut self, process: Resource<Process>) -> wasmtime::Result<()> {
        self.processes = self.processes.saturating_sub(1);
        self.table.delete(process)?;
        Ok(())
    }
}
