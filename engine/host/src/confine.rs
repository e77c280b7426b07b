//! A process that gives up what it does not need and becomes another program: the wall by Landlock around a restored server.
//!
//! What Landlock does not hold, and this not either: changing modes and owners, UDP, sockets in the file system; TCP before
//! Linux 6.7 and signals before 6.12.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The hidden command of the engine's program that calls [`become_confined`].
pub const COMMAND: &str = "confine";

static LAUNCHER: OnceLock<PathBuf> = OnceLock::new();

/// Says that this process is the program with the command [`COMMAND`], so that servers can be started by it.
pub fn set_launcher(program: PathBuf) {
    // The first one stays: there is one program in a process.
    let _ = LAUNCHER.set(program);
}

pub(crate) fn launcher() -> Option<&'static Path> {
    LAUNCHER.get().map(PathBuf::as_path)
}

/// What a confined program may do.
#[derive(Debug, Clone)]
pub struct Confined {
    /// Files and folders that it writes.
    pub write: Vec<PathBuf>,
    /// Files and folders that it reads and runs programs from; one that is not there is left out.
    pub read: Vec<PathBuf>,
    /// The number of user and group that it runs as, for root.
    pub user: Option<(u32, u32)>,
    /// The program and its arguments.
    pub program: Vec<OsString>,
}

/// Becomes the program. Returns only where that fails, with the reason: nothing is ever started without its confinement.
#[cfg(target_os = "linux")]
pub fn become_confined(confined: &Confined) -> String {
    use std::os::unix::process::CommandExt;

    let Some((program, arguments)) = confined.program.split_first() else { return "no program was given".to_owned() };
    if let Err(problem) = confine(confined) {
        return format!("the kernel cannot confine programs: {problem}");
    }
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    if let Some((user, group)) = confined.user {
        // As root, this drops the supplementary groups too.
        command.uid(user).gid(group);
    }
    format!("`{}` cannot be started: {}", program.display(), command.exec())
}

/// Elsewhere there is no Landlock.
#[cfg(not(target_os = "linux"))]
pub fn become_confined(_confined: &Confined) -> String {
    "the kernel does not support Landlock".to_owned()
}

#[cfg(target_os = "linux")]
fn confine(confined: &Confined) -> Result<(), landlock::RulesetError> {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
        path_beneath_rules,
    };

    // Before the third version, what lies outside can be truncated.
    let least = AccessFs::from_all(ABI::V3);
    let all = AccessFs::from_all(ABI::V5);
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(least)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?
        .add_rules(path_beneath_rules(&confined.write, all))?
        .add_rules(path_beneath_rules(&confined.read, AccessFs::from_read(ABI::V5)))?
        .restrict_self()
        .map(drop)
}
