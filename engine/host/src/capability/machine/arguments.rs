//! What may stand in a program's arguments: paths only below allowed folders, no way up, no option that runs another program.
//! Decided on the text alone; what links do to the paths is checked on the machine, right before the program starts.

use lifeboat_core::{action::Effect, bindings::Machine};

use super::{
    folder::{self, Allowed, Refusal},
    identity,
};

/// Options of `tar` that run programs of the caller's choice.
const TAR_REFUSED: &[&str] = &[
    "--to-command",
    "--checkpoint-action",
    "--use-compress-program",
    "-I",
    "--rsh-command",
    "--rmt-command",
    "--info-script",
    "--new-volume-script",
    "-F",
];

/// Programs that every machine has, and the options that they may be given.
const PLAIN: &[(&str, &[&str])] = &[("cp", &["-a", "--archive", "--reflink=auto", "-T", "--"]), ("sha256sum", &["--"])];

/// PostgreSQL's programs that write wherever an argument names a path.
const WRITERS: &[&str] = &["pg_basebackup", "pg_ctl", "initdb", "pg_dump"];
/// Options of theirs whose value is not theirs: `pg_ctl` hands it to the server.
const HANDED_ON: &[&str] = &["-o", "--options"];

/// Programs of theirs that ask a server, and the options whose value says where its socket lies.
const ASKS: (&[&str], &[&str]) = (&["pg_basebackup", "pg_dump"], &["-h", "--host"]);

/// The paths that the arguments name, each with the folder that allows it; the text says which argument keeps to no allowed
/// folder or program. Relative paths are those below `start`, the folder in which the program runs.
pub(super) fn check(
    machine: &Machine,
    program: &str,
    start: &str,
    arguments: &[String],
) -> Result<Vec<Allowed>, String> {
    let mut named = Vec::new();
    for (position, argument) in arguments.iter().enumerate() {
        check_text(program, position, argument)?;
        let before = position.checked_sub(1).map_or("", |before| arguments[before].as_str());
        let last = position + 1 == arguments.len();
        let needed = needed(program, before, argument, last);
        for path in absolute_paths(argument).map(folder::normal) {
            if !machine.programs.values().any(|program| program.path == path) {
                named.push(allowed(machine, argument, &path, needed)?);
            }
        }
        for path in relative_paths(argument) {
            let path = folder::normal(&format!("{start}/{path}"));
            if path.ends_with(&format!("/{}", identity::FILE)) {
                return Err(format!("the argument `{argument}`: {}", Refusal::Identity(path)));
            }
            named.push(Allowed { root: start.to_owned(), path });
        }
    }
    Ok(named)
}

fn allowed(machine: &Machine, argument: &str, path: &str, needed: Effect) -> Result<Allowed, String> {
    folder::allowed(&machine.folders, path, needed).map_err(|refusal| format!("the argument `{argument}`: {refusal}"))
}

fn check_text(program: &str, position: usize, argument: &str) -> Result<(), String> {
    if argument.contains('\0') {
        return Err("an argument contains a zero byte".to_owned());
    }
    if argument.contains("..") {
        return Err(format!("the argument `{argument}` contains `..`"));
    }
    if program == "tar" && runs_programs(argument, position) {
        return Err(format!("the option `{argument}` of tar is refused: it can run other programs"));
    }
    // These run wherever no binding says otherwise, so they get only what is certain to stay below the folders.
    if let Some((_, options)) = PLAIN.iter().find(|(name, _)| *name == program)
        && !argument.starts_with('/')
        && !options.contains(&argument)
    {
        return Err(format!("`{program}` accepts only absolute paths and {options:?}, not `{argument}`"));
    }
    Ok(())
}

/// What the program may do where a path in this argument points, as far as that is known.
fn needed(program: &str, before: &str, argument: &str, last: bool) -> Effect {
    let handed_on = HANDED_ON.contains(&before) || HANDED_ON.iter().any(|option| argument.starts_with(option));
    let (asking, socket) = ASKS;
    let asked = asking.contains(&program)
        && (socket.contains(&before) || socket.iter().any(|option| argument.starts_with(option)));
    let writes = (program == "cp" && last) || (WRITERS.contains(&program) && !handed_on && !asked);
    if writes { Effect::Mutate } else { Effect::Read }
}

/// `tar` takes short options in one word, with or without a dash where they come first: `-xIsh`, `xIsh`.
fn runs_programs(argument: &str, position: usize) -> bool {
    let short = !argument.starts_with("--") && (argument.starts_with('-') || position == 0);
    (short && argument.contains(['I', 'F'])) || TAR_REFUSED.iter().any(|option| names_option(argument, option))
}

/// GNU tools take unambiguous beginnings of long options.
fn names_option(argument: &str, option: &str) -> bool {
    if !option.starts_with("--") {
        return argument.starts_with(option);
    }
    let name = argument.split('=').next().unwrap_or_default();
    name.len() >= 4 && option.starts_with(name)
}

/// Every absolute path in an argument: `/a`, `-D/a`, `--target=/a`, `copy='cp /a/%f "%p"'`.
fn absolute_paths(argument: &str) -> impl Iterator<Item = &str> {
    let bytes = argument.as_bytes();
    let short_option = bytes.len() > 2 && bytes[0] == b'-' && bytes[1].is_ascii_alphabetic();
    argument.match_indices('/').filter_map(move |(at, _)| {
        let inside = at > 0 && is_path_byte(bytes[at - 1]) && !(at == 2 && short_option);
        let rest = &argument[at..];
        let end = rest.find(|c: char| c.is_whitespace() || "'\";,():=|<>&".contains(c)).unwrap_or(rest.len());
        (!inside).then_some(&rest[..end])
    })
}

/// What may be a path below the folder in which the program runs: the argument, or the value in `-Dvalue` and `--target=value`.
fn relative_paths(argument: &str) -> impl Iterator<Item = &str> {
    let short = argument.starts_with('-') && !argument.starts_with("--");
    let value = if short { argument.get(2..) } else { argument.split_once('=').map(|(_, value)| value) };
    [Some(argument), value].into_iter().flatten().filter(|path| !path.is_empty() && !path.starts_with('/'))
}

/// Whether a slash after it continues with a path instead of starting one.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_-.%/+@~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use lifeboat_core::bindings::{Folder, Program, Via};

    use super::*;

    fn machine() -> Machine {
        let folder = |name: &str, access| (name.to_owned(), Folder::new(format!("/{name}"), access));
        let postgres = Program { path: "/usr/lib/pg/postgres".to_owned(), effect: Effect::Mutate };
        Machine {
            via: Via::Local,
            user: None,
            programs: [("postgres".to_owned(), postgres)].into(),
            folders: [folder("archive", Effect::Read), folder("jobs", Effect::Destroy)].into(),
            ports: Default::default(),
            identity: None,
        }
    }

    fn checked(program: &str, arguments: &[&str]) -> Result<Vec<String>, String> {
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let allowed = check(&machine(), program, "/jobs", &arguments)?;
        Ok(allowed.into_iter().map(|allowed| format!("{} in {}", allowed.path, allowed.root)).collect())
    }

    #[test]
    fn paths_stay_below_the_folders() {
        let cases = [
            ("pg_waldump", "--start=0/16B3740", true),
            ("pg_waldump", "--path=/archive", true),
            ("pg_waldump", "--path=/archive/", true),
            ("pg_waldump", "/archives/1", false),
            ("pg_waldump", "-p/etc", false),
            ("pg_waldump", "-p/archive/x", true),
            ("pg_ctl", "-orestore_command='cp \"/archive/%f\" \"%p\"'", true),
            ("pg_ctl", "-orestore_command='cp \"/etc/%f\" \"%p\"'", false),
            ("pg_ctl", "-D/jobs//./a/data", true),
            ("pg_ctl", "-D/archive/data", false),
            ("pg_ctl", "/jobs/../etc", false),
            ("pg_ctl", "work/../../etc", false),
            ("pg_ctl", "-l.lifeboat-identity", false),
            ("pg_ctl", "-l/jobs/.lifeboat-identity", false),
            ("pg_ctl", "postgresql://host/base", false),
            ("pg_ctl", "base/16384/2619", true),
            ("pg_ctl", "/usr/lib/pg/postgres", true),
            ("pg_ctl", "/usr/lib/pg/postgres2", false),
            ("pg_ctl", "a:/jobs:/etc", false),
            ("pg_basebackup", "--pgdata=/archive/x", false),
            ("pg_basebackup", "--pgdata=/jobs/x", true),
            ("pg_restore", "/archive/dump", true),
            ("tar", "--checkpoint-action=exec=sh", false),
            ("tar", "--checkpoint-act=exec=sh", false),
            ("tar", "-Igzip", false),
            ("tar", "-xIsh", false),
            ("tar", "xIsh", false),
            ("tar", "--extract", true),
            ("cp", "etc/shadow", false),
            ("cp", "-tetc", false),
            ("cp", "/jobs/a", true),
            ("cp", "/archive/a", false),
            ("cp", "-a", true),
            ("sha256sum", "etc/shadow", false),
            ("sha256sum", "/archive/1", true),
            ("cp", "a\0b", false),
        ];
        for (program, argument, expect) in cases {
            let checked = checked(program, &[argument]);
            assert_eq!(checked.is_ok(), expect, "{program} {argument}: {checked:?}");
        }
    }

    #[test]
    fn what_a_program_reads_may_lie_where_it_must_not_write() {
        assert!(checked("cp", &["-a", "/archive/1", "/jobs/1"]).is_ok());
        assert!(checked("cp", &["-a", "/jobs/1", "/archive/1"]).is_err());
        assert!(checked("pg_basebackup", &["-D", "/jobs/a", "-h", "/archive"]).is_ok());
        assert!(checked("pg_basebackup", &["-h", "/jobs/a", "-D", "/archive"]).is_err());
        assert!(checked("pg_basebackup", &["-h", "/etc", "-D", "/jobs/a"]).is_err());
        assert!(checked("pg_ctl", &["start", "-h", "/archive"]).is_err());
        let settings = "-c archive_cleanup_command='ls /archive'";
        assert!(checked("pg_ctl", &["start", "-D", "/jobs/a", "-o", settings]).is_ok());
        assert!(checked("pg_ctl", &["start", "-D", "/archive/a"]).is_err());
    }

    #[test]
    fn every_path_is_named_for_the_check_on_the_machine() {
        let named = checked("pg_ctl", &["-D", "/jobs/a", "-lb/log", "--pgdata=c"]).unwrap();
        let expect = ["/jobs/-D", "/jobs/a", "/jobs/-lb/log", "/jobs/b/log", "/jobs/--pgdata=c", "/jobs/c"];
        assert_eq!(named, expect.map(|path| format!("{path} in /jobs")));
    }
}
