//! Files that lie in a folder in another form, as those of a compressed archive do: the `restore_command` that the binding gives
//! that folder makes plain ones of them.
//!
//! The command is the operator's; a plugin names files only. What it fetches goes where the plugin may write, or into a folder of
//! the call's own below `work`. A program on the machine holds that folder, and removes it as soon as its input ends: at the end
//! of the call, and also where the engine is killed.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use lifeboat_core::action::Effect;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin},
    sync::Mutex,
};

use super::{
    command::{self, Stdin},
    denied, failed,
    files::{self, More, RESOLVE},
    parts,
    place::Place,
};
use crate::{
    call::CallContext,
    wit::lifeboat::machine::machine::{Error, Fetched},
};

/// The folder of a binding below which the call's own folder lies.
const WORK: &str = "work";
/// What a command writes to, for `%p`: below the folder in which it runs, as in PostgreSQL.
const TARGET: &str = "lifeboat-fetching";
/// A program that holds a folder is ended by force after so long.
const HOLDING_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long removing a call's folder is waited for.
const LETTING_GO_MAX: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How a failed command begins its part of the answer.
const FAILED: char = '!';

/// Makes a folder, says which, and removes it when its input ends. One that an earlier start of this machine has left is removed
/// too: nothing else can outlive the program.
const HOLD: &str = r#"umask 077
root=$(realpath -e -- "$1") || exit 1
boot=$(cut -c1-8 /proc/sys/kernel/random/boot_id)
host=$(uname -n)
for it in "$root/.lifeboat-fetched-$host"-*; do
    case $it in *-"$boot"-*) ;; *) rm -rf -- "$it" ;; esac
done
own=$(mktemp -d "$root/.lifeboat-fetched-$host-$boot-XXXXXXXX") || exit 1
echo "$own"
exec >/dev/null
cat >/dev/null
exec rm -rf -- "$own""#;

/// `$4` is the call's own folder, or empty: what lies there is not fetched twice. Then come pairs of a name and the command that
/// fetches it. Only what came whole gets the name. A command has five minutes for a file, and writes no more than the largest
/// segment has (1 GiB, in blocks of 512 bytes).
const FETCH: &str = r#"cd -- "$real" 2>/dev/null || exit 44
kept=$4
shift 4
umask 077
ulimit -f 2097152 2>/dev/null
while [ $# -gt 1 ]; do
    name=$1 command=$2
    shift 2
    [ -f "$name" ] || [ -z "$kept" ] || ln -- "$kept/$name" "$name" 2>/dev/null
    if [ ! -f "$name" ]; then
        rm -rf -- lifeboat-fetching
        timeout -s KILL 300 sh -c "$command" </dev/null >/dev/null 2>.said
        code=$?
        why=
        case $code in
        0) { [ -f lifeboat-fetching ] && [ ! -L lifeboat-fetching ]; } || why="ended with 0 and wrote no file" ;;
        137) why="was killed; it may take 5 minutes" ;;
        153) why="wrote more than 1 GiB" ;;
        *) why="ended with $code" ;;
        esac
        if [ "$why" ]; then
            said=$(tail -n 3 -- .said | tail -c 600 | tr '\n' ' ')
            rm -rf -- lifeboat-fetching .said
            printf '!%s: %s\n' "$why" "$said"
            exit 0
        fi
        rm -f -- .said
        mv -T -- lifeboat-fetching "$name" || exit 1
    fi
    stat -c %s -- "$name" || exit 1
done"#;

/// `$4` and what follows are names.
const DISCARD: &str = r#"cd -- "$real" 2>/dev/null || exit 44
shift 3
exec rm -f -- "$@""#;

/// The folders of a call, one a machine.
#[derive(Default)]
pub(super) struct Folders(Mutex<BTreeMap<String, Held>>);

/// A folder, held by a program.
struct Held {
    path: String,
    child: Child,
    lifeline: Option<ChildStdin>,
}

impl Folders {
    /// Removes them, as far as they can be removed now; the programs that hold them continue where it takes longer.
    pub(super) async fn let_go(&self) {
        let mut held = std::mem::take(&mut *self.0.lock().await);
        for folder in held.values_mut() {
            drop(folder.lifeline.take());
        }
        for folder in held.values_mut() {
            let _gone = tokio::time::timeout(LETTING_GO_MAX, folder.child.wait()).await;
        }
    }

    /// Where the call has had something fetched on that machine.
    pub(super) async fn path(&self, machine: &str) -> Option<String> {
        self.0.lock().await.get(machine).map(|folder| folder.path.clone())
    }

    /// The folder of the call on that machine; it is made where there is none.
    async fn on(&self, context: &CallContext, place: &Place<'_>) -> Result<String, Error> {
        let mut held = self.0.lock().await;
        if let Some(folder) = held.get(place.role) {
            return Ok(folder.path.clone());
        }
        let root = place.folder(WORK)?;
        // What is fetched there is nothing of the machine's, but it is written.
        place.allowed(&format!("{root}/x"), Effect::Mutate)?;
        let folder = hold(context, place, &root).await?;
        let path = folder.path.clone();
        held.insert(place.role.to_owned(), folder);
        Ok(path)
    }
}

async fn hold(context: &CallContext, place: &Place<'_>, root: &str) -> Result<Held, Error> {
    let broken = |problem: String| failed("machine-fetch", format!("on `{}`: {problem}", place.role));
    let words = ["sh", "-c", HOLD, "sh", root].map(str::to_owned);
    let mut command = command::on((place.machine, false), &words, Stdin::Data, HOLDING_MAX).map_err(broken)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| broken(error.to_string()))?;
    let lifeline = child.stdin.take();
    let mut path = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        let read = context.bounded(lines.read_line(&mut path)).await;
        read.map_err(|why| broken(why.reason().message))?.map_err(|error| broken(error.to_string()))?;
    }
    let path = path.trim_end_matches('\n').to_owned();
    if path.is_empty() {
        return Err(broken(format!("cannot make a folder below {root} for fetched files")));
    }
    Ok(Held { path, child, lifeline })
}

/// Whether files of a folder are fetched by its `restore_command`.
pub(super) fn is_fetched(context: &CallContext, machine: &str, folder: &str) -> Result<bool, Error> {
    let place = Place::of(context, machine, Effect::Read)?;
    place.folder(folder)?;
    Ok(command_of(&place, folder).is_some())
}

fn command_of<'a>(place: &Place<'a>, folder: &str) -> Option<&'a str> {
    place.machine.folders.get(folder)?.restore_command.as_deref()
}

/// Fetches files.
pub(super) async fn fetch(
    context: &CallContext,
    machine: &str,
    folder: &str,
    names: &[String],
    into: Option<String>,
) -> Result<Fetched, Error> {
    let effect = if into.is_some() { Effect::Mutate } else { Effect::Read };
    let place = Place::enter(context, machine, effect).await?;
    let command = command_of(&place, folder).ok_or_else(|| {
        denied("machine-fetch", format!("the folder `{folder}` of `{machine}` has no restore_command"))
    })?;
    if let Some(name) = names.iter().find(|name| !parts::is_name(name) || !is_plain(name)) {
        return Err(failed("machine-file", format!("`{name}` is not the name of a file in an archive")));
    }
    let (path, kept) = match into {
        Some(path) => (path, context.own.machine.fetched.path(machine).await),
        None => (context.own.machine.fetched.on(context, &place).await?, None),
    };
    let allowed = place.allowed(&path, effect)?;
    let pairs = names.iter().flat_map(|name| [name.clone(), filled_in(command, name)]);
    let words: Vec<String> = [kept.unwrap_or_default()].into_iter().chain(pairs).collect();
    let more = More { words: &words, longest: ANSWER_BYTES_MAX, input: None };
    let printed = files::scripted(context, &place, &allowed, &[RESOLVE, FETCH], effect, more).await?;
    let sizes = sizes(&String::from_utf8_lossy(&printed), names, folder)?;
    Ok(Fetched { path, sizes })
}

/// Removes files from the call's own folder.
pub(super) async fn discard(context: &CallContext, machine: &str, names: &[String]) -> Result<(), Error> {
    let place = Place::enter(context, machine, Effect::Read).await?;
    if let Some(name) = names.iter().find(|name| !parts::is_name(name)) {
        return Err(failed("machine-file", format!("`{name}` is not the name of a file")));
    }
    let path = context.own.machine.fetched.on(context, &place).await?;
    let allowed = place.allowed(&path, Effect::Read)?;
    let more = More { words: names, ..More::default() };
    files::scripted(context, &place, &allowed, &[RESOLVE, DISCARD], Effect::Read, more).await.map(drop)
}

/// A name goes into a command of a shell as it is.
fn is_plain(name: &str) -> bool {
    name != TARGET && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The command for one file, as PostgreSQL fills it in.
fn filled_in(command: &str, name: &str) -> String {
    let mut filled = String::new();
    let mut rest = command;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        let mark = after.chars().next();
        match mark {
            Some('f') => filled.push_str(name),
            Some('p') => filled.push_str(TARGET),
            Some(other) => filled.push(other),
            None => filled.push('%'),
        }
        rest = &after[mark.map_or(0, char::len_utf8)..];
    }
    filled + rest
}

/// The size of each file that was fetched, or why one could not be.
fn sizes(printed: &str, names: &[String], folder: &str) -> Result<Vec<u64>, Error> {
    let mut sizes = Vec::new();
    for (name, line) in names.iter().zip(printed.lines()) {
        if let Some(why) = line.strip_prefix(FAILED) {
            let why = why.trim_end().trim_end_matches(':');
            if why.contains("No space left on device") {
                return Err(Error::NoSpace(format!("fetching {name}: {why}")));
            }
            return Err(failed("machine-fetch", format!("{name}: the restore_command of `{folder}` {why}")));
        }
        sizes.extend(line.parse::<u64>());
    }
    if sizes.len() != names.len() {
        return Err(failed("machine-listing", "cannot read the fetched files".to_owned()));
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_filled_in_as_postgresql_does() {
        let check = |command: &str, expect: &str| assert_eq!(filled_in(command, "0A"), expect, "{command}");
        check("gunzip <'/a b/%f.gz' >%p", "gunzip <'/a b/0A.gz' >lifeboat-fetching");
        check("date +%%s; get %f \"%p\" 100%", "date +%s; get 0A \"lifeboat-fetching\" 100%");
        check("cp %f%f %p", "cp 0A0A lifeboat-fetching");
        assert!(HOLD.contains(".lifeboat-fetched-") && FETCH.contains(TARGET));
    }

    #[test]
    fn a_name_cannot_become_a_command() {
        for name in ["a b", "a;b", "$(b)", "a/b", "a'b", "lifeboat-fetching", "a\nb"] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(is_plain("00000002.history") && is_plain("000000010000000000000003.00000028.backup"));
    }
}
