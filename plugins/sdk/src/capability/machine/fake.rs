//! A machine of files and scripted programs.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

pub use super::files::Files;
use super::{Entry, Error, Fetched, Link, Output, Server, Tree, Wall};
use crate::{Effect, Reason, fake::Grant};

type Startup = Rc<dyn Fn(&Files, &Server) -> bool>;
type Fetch = Rc<dyn Fn(&Files, &str) -> Result<Vec<u8>, String>>;
type Script = Rc<dyn Fn(&Files, &Invocation) -> Output>;

/// One machine; every role that a test uses is played by it.
#[derive(Default)]
pub struct Machine {
    files: Files,
    folders: RefCell<BTreeMap<String, String>>,
    ports: RefCell<Vec<u16>>,
    programs: RefCell<BTreeMap<String, (Effect, Script)>>,
    invocations: RefCell<Vec<Invocation>>,
    servers: RefCell<BTreeSet<String>>,
    startup: RefCell<Option<Startup>>,
    wall: RefCell<Option<Wall>>,
    taken: RefCell<BTreeSet<u16>>,
    commands: RefCell<BTreeMap<String, Fetch>>,
    grant: Grant,
}

/// A program that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// On which machine.
    pub machine: String,
    /// Which program.
    pub program: String,
    /// With what.
    pub arguments: Vec<String>,
    /// Its standard input.
    pub stdin: Option<String>,
}

impl Invocation {
    /// Whether an argument is exactly this.
    pub fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|candidate| candidate == argument)
    }

    /// The program and its arguments in one line.
    pub fn line(&self) -> String {
        [std::slice::from_ref(&self.program), &self.arguments].concat().join(" ")
    }
}

/// What a program leaves: its exit code and what it printed.
pub fn ended(exit: i32, stdout: &str, stderr: &str) -> Output {
    Output { exit, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

impl Machine {
    /// Allows a folder under a name, and makes it.
    pub fn add_folder(&self, name: &str, path: &str) -> Result<(), Error> {
        self.folders.borrow_mut().insert(name.to_owned(), path.to_owned());
        self.files.create_folder(path)
    }

    /// Allows a program with its effect; `script` is what it does.
    pub fn add_program(&self, name: &str, effect: Effect, script: impl Fn(&Files, &Invocation) -> Output + 'static) {
        self.programs.borrow_mut().insert(name.to_owned(), (effect, Rc::new(script)));
    }

    /// The ports on which instances may be started.
    pub fn set_ports(&self, ports: &[u16]) {
        *self.ports.borrow_mut() = ports.to_vec();
    }

    /// What a server does when it is started; whether it goes on running.
    pub fn on_start(&self, startup: impl Fn(&Files, &Server) -> bool + 'static) {
        *self.startup.borrow_mut() = Some(Rc::new(startup));
    }

    /// The wall that is offered; without one, servers are started behind none.
    pub fn set_wall(&self, wall: Wall) {
        *self.wall.borrow_mut() = Some(wall);
    }

    /// Gives a folder a `restore_command`: the content of a file, or what the command says where it fails.
    pub fn set_restore_command(
        &self,
        folder: &str,
        command: impl Fn(&Files, &str) -> Result<Vec<u8>, String> + 'static,
    ) {
        self.commands.borrow_mut().insert(folder.to_owned(), Rc::new(command));
    }

    /// Something listens on this port.
    pub fn take_port(&self, port: u16) {
        self.taken.borrow_mut().insert(port);
    }

    /// What lies on the machine, without guards.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Every program that was started, in order.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.invocations.borrow().clone()
    }

    /// What the plugin may do here.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    fn guard(&self, needed: Effect, path: &str) -> Result<(), Error> {
        self.grant.check(needed, path).map_err(Error::Denied)?;
        let folders = self.folders.borrow();
        let allowed = folders.values().any(|folder| is_below(path, folder));
        if !allowed || path.split('/').any(|part| part == "..") {
            let message = format!("{path} does not lie below an allowed folder");
            return Err(Error::Denied(Reason::new("machine-path", message)));
        }
        if needed == Effect::Destroy && folders.values().any(|folder| folder == path) {
            return Err(Error::Denied(Reason::new("machine-path", format!("{path} is an allowed folder itself"))));
        }
        Ok(())
    }

    fn note(&self, machine: &str, program: &str, arguments: Vec<String>) {
        let (machine, program) = (machine.to_owned(), program.to_owned());
        self.invocations.borrow_mut().push(Invocation { machine, program, arguments, stdin: None });
    }

    fn execute(&self, invocation: Invocation) -> Result<Output, Error> {
        let found = self.programs.borrow().get(&invocation.program).cloned();
        let Some((effect, script)) = found else {
            let message = format!("`{}` is not in the allow-list", invocation.program);
            return Err(Error::Denied(Reason::new("machine-program", message)));
        };
        self.grant.check(effect, &invocation.line()).map_err(Error::Denied)?;
        self.invocations.borrow_mut().push(invocation.clone());
        Ok(script(&self.files, &invocation))
    }
}

/// The folder below `work` for what was fetched.
const FETCHED: &str = ".fetched";

fn is_below(path: &str, folder: &str) -> bool {
    path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

impl super::Machine for Machine {
    type Process = Process;

    fn folder(&self, _machine: &str, name: &str) -> Result<String, Error> {
        let folders = self.folders.borrow();
        folders.get(name).cloned().ok_or_else(|| {
            Error::Denied(Reason::new("machine-folder", format!("the binding names no folder `{name}`")))
        })
    }

    fn ports(&self, _machine: &str) -> Result<Vec<u16>, Error> {
        Ok(self.ports.borrow().clone())
    }

    fn listen_address(&self, _machine: &str) -> Result<String, Error> {
        Ok("127.0.0.1".to_owned())
    }

    fn run(&self, machine: &str, program: &str, arguments: &[String], stdin: Option<&str>) -> Result<Output, Error> {
        self.execute(Invocation {
            machine: machine.to_owned(),
            program: program.to_owned(),
            arguments: arguments.to_vec(),
            stdin: stdin.map(str::to_owned),
        })
    }

    fn spawn(
        &self,
        machine: &str,
        program: &str,
        arguments: &[String],
        keep: &[Vec<String>],
    ) -> Result<Process, Error> {
        let output = self.run(machine, program, arguments, None)?;
        let kept = |line: &&str| keep.is_empty() || keep.iter().any(|all| all.iter().all(|text| line.contains(text)));
        let lines = output.stdout.lines().filter(kept).map(str::to_owned).collect();
        Ok(Process { lines: RefCell::new(lines), output })
    }

    fn read_file(&self, _machine: &str, path: &str) -> Result<Vec<u8>, Error> {
        self.guard(Effect::Read, path)?;
        self.files.read(path)
    }

    fn read_parts(
        &self,
        _machine: &str,
        folder: &str,
        names: &[String],
        offset: u64,
        length: u32,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let part = |name: &String| {
            let path = format!("{folder}/{name}");
            self.guard(Effect::Read, &path)?;
            let content = self.files.read(&path)?;
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let part = content.get(from..from.saturating_add(length as usize)).map(<[u8]>::to_vec);
            part.ok_or_else(|| Error::Failed(Reason::new("machine-file", format!("`{path}` ends before"))))
        };
        names.iter().map(part).collect()
    }

    fn write_file(&self, _machine: &str, path: &str, content: &[u8]) -> Result<(), Error> {
        self.guard(Effect::Mutate, path)?;
        self.files.write(path, content)
    }

    fn create_file(&self, _machine: &str, path: &str, content: &[u8]) -> Result<(), Error> {
        self.guard(Effect::Mutate, path)?;
        self.files.create(path, content)
    }

    fn list_folder(&self, _machine: &str, path: &str) -> Result<Vec<Entry>, Error> {
        self.guard(Effect::Read, path)?;
        self.files.list(path)
    }

    fn create_folder(&self, _machine: &str, path: &str) -> Result<(), Error> {
        self.guard(Effect::Mutate, path)?;
        self.files.create_folder(path)
    }

    fn remove(&self, _machine: &str, path: &str) -> Result<(), Error> {
        self.guard(Effect::Destroy, path)?;
        self.files.remove(path);
        Ok(())
    }

    fn survey(&self, _machine: &str, path: &str) -> Result<Tree, Error> {
        self.guard(Effect::Read, path)?;
        let links = self.files.links(path)?;
        let links = links.into_iter().map(|(path, target)| Link { path, real: target.clone(), target }).collect();
        Ok(Tree { real: path.to_owned(), bytes: self.files.size_of(path), links })
    }

    fn clear(&self, machine: &str, path: &str, names: &[String]) -> Result<(), Error> {
        self.guard(Effect::Destroy, path)?;
        self.note(machine, "clear", [vec![path.to_owned()], names.to_vec()].concat());
        for name in names {
            self.files.remove(&format!("{path}/{}", name.trim_end_matches('/')));
            if let Some(folder) = name.strip_suffix('/') {
                self.files.create_folder(&format!("{path}/{folder}"))?;
            }
        }
        Ok(())
    }

    fn find_wall(&self, _machine: &str, server: &Server, wanted: Option<&str>) -> Result<Wall, Error> {
        self.guard(Effect::Mutate, &server.data)?;
        let none = || Wall {
            name: "none".to_owned(),
            files: false,
            folders: false,
            network: false,
            socket: false,
            lacking: "this machine is scripted".to_owned(),
        };
        let wall = self.wall.borrow().clone().unwrap_or_else(none);
        if wanted.is_some_and(|wanted| wanted != wall.name) {
            let reason = Reason::new("machine-wall", "the wall that is wanted does not hold");
            return Err(Error::Failed(reason));
        }
        Ok(wall)
    }

    fn start_server(&self, machine: &str, server: &Server, wall: &str) -> Result<(), Error> {
        self.guard(Effect::Mutate, &server.data)?;
        let settings = server.settings.iter().map(|(name, value)| format!("{name}={value}"));
        let words = [wall.to_owned(), server.data.clone()].into_iter().chain(settings).collect();
        self.note(machine, "start-server", words);
        let startup = self.startup.borrow().clone();
        if startup.is_none_or(|startup| startup(&self.files, server)) {
            self.servers.borrow_mut().insert(server.data.clone());
        }
        Ok(())
    }

    fn server_runs(&self, _machine: &str, data: &str) -> Result<bool, Error> {
        self.guard(Effect::Read, data)?;
        Ok(self.servers.borrow().contains(data))
    }

    fn stop_server(&self, machine: &str, data: &str) -> Result<(), Error> {
        self.guard(Effect::Mutate, data)?;
        self.note(machine, "stop-server", vec![data.to_owned()]);
        self.servers.borrow_mut().remove(data);
        Ok(())
    }

    fn port_is_free(&self, _machine: &str, port: u16) -> Result<bool, Error> {
        Ok(!self.taken.borrow().contains(&port))
    }

    fn is_fetched(&self, _machine: &str, folder: &str) -> Result<bool, Error> {
        Ok(self.commands.borrow().contains_key(folder))
    }

    fn fetch(&self, machine: &str, folder: &str, names: &[String], into: Option<&str>) -> Result<Fetched, Error> {
        let command = self.commands.borrow().get(folder).cloned();
        let command = command.ok_or_else(|| Error::Denied(Reason::new("machine-fetch", "no restore_command")))?;
        let path = match into {
            Some(path) => {
                self.guard(Effect::Mutate, path)?;
                path.to_owned()
            }
            None => format!("{}/{FETCHED}", self.folder(machine, "work")?),
        };
        self.note(machine, "fetch", names.to_vec());
        let mut sizes = Vec::new();
        self.files.create_folder(&path)?;
        for name in names {
            let fetched = command(&self.files, name)
                .map_err(|why| Error::Failed(Reason::new("machine-fetch", format!("{name}: {why}"))))?;
            self.files.write(&format!("{path}/{name}"), &fetched)?;
            sizes.push(fetched.len() as u64);
        }
        Ok(Fetched { path, sizes })
    }

    fn discard(&self, machine: &str, names: &[String]) -> Result<(), Error> {
        let work = self.folder(machine, "work")?;
        self.note(machine, "discard", names.to_vec());
        for name in names {
            self.files.remove(&format!("{work}/{FETCHED}/{name}"));
        }
        Ok(())
    }

    fn free_space(&self, _machine: &str, path: &str) -> Result<u64, Error> {
        self.guard(Effect::Read, path)?;
        Ok(self.files.free())
    }
}

/// A program that has printed everything already and is being read.
#[derive(Debug)]
pub struct Process {
    lines: RefCell<VecDeque<String>>,
    output: Output,
}

impl super::Process for Process {
    fn read_lines(&self, max: u32) -> Result<Vec<String>, Error> {
        let mut lines = self.lines.borrow_mut();
        let count = lines.len().min(max as usize);
        Ok(lines.drain(..count).collect())
    }

    fn wait(&self) -> Result<Output, Error> {
        Ok(Output { stdout: String::new(), ..self.output.clone() })
    }
}
