//! The `machine` capability: allow-listed programs and files below allowed folders, on this machine, in a container or over
//! SSH. One implementation serves all three: everything, file operations too, is a program behind a command prefix.

mod arguments;
mod command;
mod confined;
mod fetch;
mod files;
mod folder;
mod identity;
mod lease;
mod lines;
mod parts;
mod place;
mod process;
mod running;
mod server;
mod session;
mod start;
mod stranger;
mod trial;
mod wall;

#[cfg(test)]
mod tests;

#[expect(unreachable_pub, reason = "the generated bindings re-export it from public modules of a private one")]
pub use process::Process;

pub(crate) use session::{Own, Session};

use std::sync::atomic::Ordering;

use lifeboat_core::{action::Effect, bindings::Via, failure::Reason};
use place::Place;
use wasmtime::component::Resource;

use super::Outward;
use crate::{
    call::{CallContext, CallState, CutOff},
    secret::Secrets,
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
        _ => Err(denied("machine-path", format!("a socket on `{machine}` cannot be reached from this machine"))),
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

impl Outward for Error {
    fn scrubbed(self, secrets: &Secrets) -> Self {
        match self {
            Self::Denied(reason) => Self::Denied(reason.scrubbed(secrets)),
            Self::Unreachable(reason) => Self::Unreachable(reason.scrubbed(secrets)),
            Self::Failed(reason) => Self::Failed(reason.scrubbed(secrets)),
            Self::NotFound(text) => Self::NotFound(secrets.scrub(text)),
            Self::NoSpace(text) => Self::NoSpace(secrets.scrub(text)),
            Self::TimedOut(text) => Self::TimedOut(secrets.scrub(text)),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Denied(reason) | Self::Unreachable(reason) | Self::Failed(reason) => reason.code(),
            Self::NotFound(_) => "machine-not-found",
            Self::NoSpace(_) => "machine-no-space",
            Self::TimedOut(_) => "machine-timed-out",
        }
    }
}

impl wit::Host for CallState {
    async fn folder(&mut self, machine: String, name: String) -> wasmtime::Result<Result<String, Error>> {
        self.context
            .serve("machine.folder", async {
                Place::of(&self.context, &machine, Effect::Read).and_then(|place| place.folder(&name))
            })
            .await
    }

    async fn ports(&mut self, machine: String) -> wasmtime::Result<Result<Vec<u16>, Error>> {
        self.context
            .serve("machine.ports", async {
                Place::of(&self.context, &machine, Effect::Read).map(|place| place.ports())
            })
            .await
    }

    async fn listen_address(&mut self, machine: String) -> wasmtime::Result<Result<String, Error>> {
        self.context
            .serve("machine.listen-address", async {
                Place::of(&self.context, &machine, Effect::Read).map(|place| place.listen_address())
            })
            .await
    }

    async fn run(
        &mut self,
        machine: String,
        program: String,
        arguments: Vec<String>,
        stdin: Option<String>,
    ) -> wasmtime::Result<Result<Output, Error>> {
        self.context.serve("machine.run", process::run(&self.context, &machine, &program, &arguments, stdin)).await
    }

    async fn spawn(
        &mut self,
        machine: String,
        program: String,
        arguments: Vec<String>,
        keep: Vec<Vec<String>>,
    ) -> wasmtime::Result<Result<Resource<Process>, Error>> {
        let spawned = async {
            if self.context.own.machine.processes.load(Ordering::Relaxed) >= PROCESSES_MAX {
                let message = format!("a call may run at most {PROCESSES_MAX} programs at a time");
                return Err(failed("machine-processes", message));
            }
            process::spawn(&self.context, &machine, &program, &arguments, &keep).await
        };
        match self.context.serve("machine.spawn", spawned).await? {
            Ok(process) => {
                self.context.own.machine.processes.fetch_add(1, Ordering::Relaxed);
                Ok(Ok(self.table.push(process)?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn read_file(&mut self, machine: String, path: String) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        self.context.serve("machine.read-file", files::read(&self.context, &machine, &path)).await
    }

    async fn read_parts(
        &mut self,
        machine: String,
        folder: String,
        names: Vec<String>,
        offset: u64,
        length: u32,
    ) -> wasmtime::Result<Result<Vec<Vec<u8>>, Error>> {
        self.context
            .serve("machine.read-parts", parts::read(&self.context, &machine, &folder, &names, (offset, length)))
            .await
    }

    async fn write_file(
        &mut self,
        machine: String,
        path: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("machine.write-file", files::write(&self.context, &machine, &path, content)).await
    }

    async fn create_file(
        &mut self,
        machine: String,
        path: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("machine.create-file", files::create(&self.context, &machine, &path, content)).await
    }

    async fn list_folder(&mut self, machine: String, path: String) -> wasmtime::Result<Result<Vec<Entry>, Error>> {
        self.context.serve("machine.list-folder", files::list(&self.context, &machine, &path)).await
    }

    async fn create_folder(&mut self, machine: String, path: String) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("machine.create-folder", files::create_folder(&self.context, &machine, &path)).await
    }

    async fn remove(&mut self, machine: String, path: String) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("machine.remove", files::remove(&self.context, &machine, &path)).await
    }

    async fn survey(&mut self, machine: String, path: String) -> wasmtime::Result<Result<Tree, Error>> {
        self.context.serve("machine.survey", files::survey(&self.context, &machine, &path)).await
    }

    async fn clear(
        &mut self,
        machine: String,
        path: String,
        names: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("machine.clear", files::clear(&self.context, &machine, &path, &names)).await
    }

    async fn find_wall(
        &mut self,
        machine: String,
        server: Server,
        wanted: Option<String>,
    ) -> wasmtime::Result<Result<Wall, Error>> {
        self.context.serve("machine.find-wall", trial::wall(&self.context, &machine, &server, wanted.as_deref())).await
    }

    async fn start_server(
        &mut self,
        machine: String,
        server: Server,
        wall: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("machine.start-server", server::start(&self.context, &machine, &server, &wall)).await
    }

    async fn server_runs(&mut self, machine: String, data: String) -> wasmtime::Result<Result<bool, Error>> {
        self.context.serve("machine.server-runs", server::runs(&self.context, &machine, &data)).await
    }

    async fn stop_server(&mut self, machine: String, data: String) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("machine.stop-server", server::stop(&self.context, &machine, &data)).await
    }

    async fn port_is_free(&mut self, machine: String, port: u16) -> wasmtime::Result<Result<bool, Error>> {
        self.context.serve("machine.port-is-free", server::port_is_free(&self.context, &machine, port)).await
    }

    async fn is_fetched(&mut self, machine: String, folder: String) -> wasmtime::Result<Result<bool, Error>> {
        self.context.serve("machine.is-fetched", async { fetch::is_fetched(&self.context, &machine, &folder) }).await
    }

    async fn fetch(
        &mut self,
        machine: String,
        folder: String,
        names: Vec<String>,
        into: Option<String>,
    ) -> wasmtime::Result<Result<Fetched, Error>> {
        self.context.serve("machine.fetch", fetch::fetch(&self.context, &machine, &folder, &names, into)).await
    }

    async fn discard(&mut self, machine: String, names: Vec<String>) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("machine.discard", fetch::discard(&self.context, &machine, &names)).await
    }

    async fn free_space(&mut self, machine: String, path: String) -> wasmtime::Result<Result<u64, Error>> {
        self.context.serve("machine.free-space", files::free_space(&self.context, &machine, &path)).await
    }
}

impl wit::HostProcess for CallState {
    async fn read_lines(
        &mut self,
        process: Resource<Process>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let context = self.context.clone();
        self.context
            .serve("machine.process.read-lines", self.table.get_mut(&process)?.read_lines(&context, max as usize))
            .await
    }

    async fn wait(&mut self, process: Resource<Process>) -> wasmtime::Result<Result<Output, Error>> {
        let context = self.context.clone();
        self.context.serve("machine.process.wait", self.table.get_mut(&process)?.wait(&context)).await
    }

    async fn drop(&mut self, process: Resource<Process>) -> wasmtime::Result<()> {
        self.table.delete(process)?;
        self.context.own.machine.processes.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}
