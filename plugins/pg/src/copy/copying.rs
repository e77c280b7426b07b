//! Makes a copy's files from a backup's, so that the two share no file: every link out of the backup is checked before a byte is
//! copied.

use std::collections::VecDeque;

use lifeboat_plugin::{
    Connection, Failure, Machine, Process,
    machine::{self, EntryKind},
};

use crate::copy::instance::Instance;

/// The space that is needed beyond the copy's own size, in percent: for fetched WAL and the log.
const SPARE_PERCENT: u64 = 10;
/// Where a data folder keeps its tablespaces.
const TABLESPACES: &str = "pg_tblspc";

/// Where a data folder keeps its databases, a folder each.
const DATABASES: &str = "base";
/// Where it keeps its WAL: a copy replays that of the archive.
const WAL: &str = "pg_wal/";
/// How `cp` copies.
const COPY: [&str; 2] = ["-a", "--reflink=auto"];
/// How many programs copy at once.
const AT_ONCE: usize = 4;

/// What a copy must not take over from files that were copied from a running server: its process, its replication, the rest of
/// its sessions, what it has not archived yet, and the settings of its recovery.
const LEFT_OUT: [&str; 18] = [
    "postmaster.pid",
    "postmaster.opts",
    "current_logfiles",
    "standby.signal",
    "recovery.signal",
    "recovery.conf",
    "tablespace_map",
    "postgresql.auto.conf",
    "pg_hba.conf",
    "pg_ident.conf",
    "pg_replslot/",
    "pg_dynshmem/",
    "pg_notify/",
    "pg_serial/",
    "pg_snapshots/",
    "pg_stat_tmp/",
    "pg_subtrans/",
    "pg_wal/archive_status/",
];

/// A tablespace of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tablespace {
    /// Its OID.
    pub oid: u32,
    /// The folder that the server uses, or that is copied.
    pub folder: String,
}

/// The tablespaces that the original uses now.
pub fn tablespaces(connection: &impl Connection) -> Result<Vec<Tablespace>, Failure> {
    let rows = connection.query(
        "SELECT oid::bigint AS oid, pg_tablespace_location(oid) AS folder FROM pg_tablespace
          WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY oid",
        &[],
    )?;
    rows.iter().map(|row| Ok(Tablespace { oid: row.get("oid")?, folder: row.get("folder")? })).collect()
}

/// What is copied, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The backup's folder, with every link followed: a link itself would be copied as one.
    source: String,
    /// Folders outside it that contain its tablespaces.
    tablespaces: Vec<Tablespace>,
    /// The size of all of it.
    bytes: u64,
}

/// Searches the backup. Every link out of it is either one of its tablespaces, or refused.
pub fn plan<C: Machine>(caps: &C, machine: &str, source: &str, original: &[Tablespace]) -> Result<Plan, Failure> {
    let tree = caps.survey(machine, source)?;
    let map = match caps.read_file(machine, &format!("{source}/tablespace_map")) {
        Ok(content) => parse_map(&String::from_utf8_lossy(&content)),
        Err(machine::Error::NotFound(_)) => Some(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let map = map.ok_or_else(|| {
        Failure::permanent("pg-backup-damaged", format!("{source}/tablespace_map does not name tablespaces"))
    })?;
    let mut plan = Plan { source: tree.real.clone(), tablespaces: Vec::new(), bytes: tree.bytes };
    for link in &tree.links {
        if let Some(oid) = tablespace_oid(&link.path) {
            plan.tablespaces.push(Tablespace { oid, folder: link.real.clone() });
        } else if link.path != "pg_wal" && !stays_inside(&link.target) {
            return Err(leads_out(source, link));
        }
    }
    let listed = list_tablespaces(caps, machine, source)?;
    let missing = map.into_iter().filter(|entry| !listed.contains(&entry.oid.to_string()));
    plan.tablespaces.extend(missing);
    for tablespace in &mut plan.tablespaces {
        let found = look_at(caps, machine, source, tablespace, original)?;
        plan.bytes += found.bytes;
        tablespace.folder = found.real;
    }
    Ok(plan)
}

fn list_tablespaces<C: Machine>(caps: &C, machine: &str, source: &str) -> Result<Vec<String>, Failure> {
    match caps.list_folder(machine, &format!("{source}/{TABLESPACES}")) {
        Ok(entries) => Ok(entries.into_iter().map(|entry| entry.name).collect()),
        Err(machine::Error::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a relative link stays below the folder that is copied.
fn stays_inside(target: &str) -> bool {
    !target.starts_with('/') && target.split('/').all(|part| part != "..")
}

fn leads_out(source: &str, link: &machine::Link) -> Failure {
    let message = format!(
        "{source}/{} is a link to {}: a copy would share its content with the server or the backup that it belongs to",
        link.path, link.real
    );
    Failure::permanent("pg-links", message)
}

/// `pg_tblspc/16385`.
fn tablespace_oid(path: &str) -> Option<u32> {
    let name = path.strip_prefix(TABLESPACES)?.strip_prefix('/')?;
    name.parse().ok().filter(|_| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `16385 /srv/fast`, a line each; a backslash keeps a newline or another backslash in the path.
fn parse_map(text: &str) -> Option<Vec<Tablespace>> {
    let mut lines = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => lines.last_mut()?.push(characters.next()?),
            '\n' | '\r' => lines.push(String::new()),
            _ => lines.last_mut()?.push(character),
        }
    }
    let entry = |line: &String| {
        let (oid, folder) = line.split_once(' ')?;
        Some(Tablespace { oid: oid.parse().ok()?, folder: folder.to_owned() })
    };
    lines.iter().filter(|line| !line.is_empty()).map(entry).collect()
}

/// A tablespace of the backup may be copied where the binding allows it to be read, no server uses it, and nothing in it leads out.
fn look_at<C: Machine>(
    caps: &C,
    machine: &str,
    source: &str,
    tablespace: &Tablespace,
    original: &[Tablespace],
) -> Result<machine::Tree, Failure> {
    let Tablespace { oid, folder } = tablespace;
    let refused = |why: &str| {
        let message = format!("tablespace {oid} of {source} lies in {folder}: {why}");
        Failure::permanent("pg-tablespaces", message)
    };
    let live = "the server uses that folder now, so it is not part of the backup. Take the backup with \
                `pg_basebackup --tablespace-mapping`, or copy that folder beside the backup and point the link at \
                the copy";
    let is_live = |path: &str| original.iter().any(|it| it.folder.trim_end_matches('/') == path.trim_end_matches('/'));
    if is_live(folder) {
        return Err(refused(live));
    }
    let tree = match caps.survey(machine, folder) {
        Ok(tree) => tree,
        Err(machine::Error::Denied(reason)) => {
            let line = format!(
                "it may not be read there ({}). Add it to the machine's `folders`: `tablespace_{oid}: {{ path: {folder} }}`",
                reason.message
            );
            return Err(refused(&line));
        }
        Err(machine::Error::NotFound(_)) => return Err(refused("it does not exist")),
        Err(error) => return Err(error.into()),
    };
    if is_live(&tree.real) {
        return Err(refused(live));
    }
    match tree.links.iter().find(|link| !stays_inside(&link.target)) {
        Some(link) => Err(leads_out(folder, link)),
        None => Ok(tree),
    }
}

/// Copies everything, each tablespace into a plain folder of the copy, and takes out what a copy must not have.
pub fn copy<C: Machine>(instance: &Instance<'_, C>, plan: &Plan) -> Result<(), Failure> {
    check_space(instance, plan.bytes)?;
    let data = instance.data();
    run_all(instance, &parts(instance, &plan.source, &data)?)?;
    let mut names: Vec<String> = [WAL].iter().chain(&LEFT_OUT).map(|name| (*name).to_owned()).collect();
    names.extend(plan.tablespaces.iter().map(|tablespace| format!("{TABLESPACES}/{}/", tablespace.oid)));
    instance.caps.clear(instance.machine, &data, &names)?;
    let tablespace = |it: &Tablespace| whole(&it.folder, &format!("{data}/{TABLESPACES}/{}", it.oid));
    run_all(instance, &plan.tablespaces.iter().map(tablespace).collect::<Vec<_>>())?;
    let tree = instance.caps.survey(instance.machine, &data)?;
    match tree.links.iter().find(|link| !stays_inside(&link.target)) {
        Some(link) => Err(leads_out(&data, link)),
        None => Ok(()),
    }
}

fn check_space<C: Machine>(instance: &Instance<'_, C>, bytes: u64) -> Result<(), Failure> {
    let needed = bytes + bytes * SPARE_PERCENT / 100;
    let free = instance.caps.free_space(instance.machine, instance.folder)?;
    if free < needed {
        let message = format!("the copy needs {needed} bytes, and {free} are free below {}", instance.folder);
        return Err(Failure::permanent("pg-no-space", message));
    }
    Ok(())
}

/// The arguments of each `cp` that makes a part of the copy: a database each, and all the rest but the WAL, which comes from the
/// archive.
fn parts<C: Machine>(instance: &Instance<'_, C>, source: &str, data: &str) -> Result<Vec<Vec<String>>, Failure> {
    let Instance { caps, machine, .. } = *instance;
    let (from, to) = (format!("{source}/{DATABASES}"), format!("{data}/{DATABASES}"));
    let databases = caps.list_folder(machine, &from)?;
    caps.create_folder(machine, &to)?;
    let (folders, files): (Vec<_>, Vec<_>) = databases.into_iter().partition(|entry| entry.kind == EntryKind::Folder);
    let mut parts: Vec<_> =
        folders.iter().map(|it| whole(&format!("{from}/{}", it.name), &format!("{to}/{}", it.name))).collect();
    let rest = caps
        .list_folder(machine, source)?
        .into_iter()
        .filter(|entry| ![DATABASES, "pg_wal"].contains(&entry.name.as_str()));
    for (entries, from, to) in [(rest.collect::<Vec<_>>(), source, data), (files, &from, &to)] {
        let paths = entries.iter().map(|entry| format!("{from}/{}", entry.name));
        let arguments: Vec<_> = COPY.iter().map(|it| (*it).to_owned()).chain(paths).chain([to.to_owned()]).collect();
        parts.extend(Some(arguments).filter(|_| !entries.is_empty()));
    }
    Ok(parts)
}

/// The arguments that make one folder of another.
fn whole(source: &str, target: &str) -> Vec<String> {
    COPY.iter().chain(&["-T", source, target]).map(|it| (*it).to_owned()).collect()
}

/// Copies the parts, some at a time.
fn run_all<C: Machine>(instance: &Instance<'_, C>, parts: &[Vec<String>]) -> Result<(), Failure> {
    let mut running = VecDeque::new();
    for arguments in parts {
        if running.len() == AT_ONCE {
            finish::<C>(running.pop_front())?;
        }
        running.push_back((arguments, instance.caps.spawn(instance.machine, "cp", arguments, &[])?));
    }
    while !running.is_empty() {
        finish::<C>(running.pop_front())?;
    }
    Ok(())
}

fn finish<C: Machine>(copying: Option<(&Vec<String>, C::Process)>) -> Result<(), Failure> {
    let Some((arguments, process)) = copying else { return Ok(()) };
    while !process.read_lines(1)?.is_empty() {}
    let output = process.wait()?;
    if output.succeeded() {
        return Ok(());
    }
    let says = output.last_lines(3);
    let code = if says.contains("No space left") { "pg-no-space" } else { "pg-copy-failed" };
    Err(Failure::permanent(code, format!("copying to {}: {says}", arguments.last().map_or("", String::as_str))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_tablespaces_is_read() {
        let tablespace = |oid: u32, folder: &str| Tablespace { oid, folder: folder.to_owned() };
        let expect = vec![tablespace(16_385, "/srv/fast"), tablespace(16_386, "/srv/a b\nc\\")];
        assert_eq!(parse_map("16385 /srv/fast\n16386 /srv/a b\\\nc\\\\\n"), Some(expect));
        assert_eq!(parse_map(""), Some(Vec::new()));
        assert_eq!(parse_map("no map"), None);
    }

    #[test]
    fn a_tablespace_has_a_number() {
        assert_eq!(tablespace_oid("pg_tblspc/16385"), Some(16_385));
        for other in ["pg_tblspc/+1", "pg_tblspc/16385/x", "pg_tblspc", "base/16385", "pg_tblspc/x"] {
            assert_eq!(tablespace_oid(other), None, "{other}");
        }
    }

    #[test]
    fn a_link_stays_inside_or_not() {
        for (target, inside) in [("16384", true), ("a/b", true), ("/a", false), ("../a", false), ("a/../../b", false)] {
            assert_eq!(stays_inside(target), inside, "{target}");
        }
    }
}
