//! Files and folders, by small scripts that run on the machine as the binding's user. Each script resolves links first and
//! stops where they lead out of the folder that allows the path.

use lifeboat_core::action::Effect;
use tokio::io::AsyncReadExt;
use tracing::Instrument;

use super::{
    cut, denied, failed,
    folder::{self, Allowed},
    place::Place,
    running::{self, Exit},
    stranger,
};
use crate::{
    call::CallContext,
    wit::lifeboat::machine::machine::{Entry, EntryKind, Error, Link, Tree},
};

pub(super) const FILE_BYTES_MAX: usize = 16 << 20;
const LISTING_BYTES_MAX: usize = 32 << 20;

/// Exit codes of the scripts.
const OUTSIDE: i32 = 42;
pub(super) const NOT_FOUND: i32 = 44;
const EXISTS: i32 = 45;

/// `$1` is the allowed folder, `$2` the path below it; leaves the real path in `real`. What the shell can do by itself costs no
/// program.
pub(super) const RESOLVE: &str = r#"root=$(cd -P -- "$1" 2>/dev/null && pwd -P) || exit 44
real=$(realpath -m -- "$2") || exit 1
case "$real" in "$root"|"$root"/*) ;; *) exit 42 ;; esac
"#;
/// As `RESOLVE`, but a link at the end of the path stays a link: it is what will be removed.
const RESOLVE_PARENT: &str = r#"root=$(cd -P -- "$1" 2>/dev/null && pwd -P) || exit 44
real=$(realpath -m -- "${2%/*}")/${2##*/} || exit 1
case "$real" in "$root"/*) ;; *) exit 42 ;; esac
"#;
/// A file of a server that runs as another user is read by that user: root would follow a link that the server puts in its place.
const READ: &str = r#"needs_root "$real"
[ -f "$real" ] || exit 44
if is_strangers "$real"; then exec setpriv --reuid="$stranger" --regid="$stranger" --clear-groups head -c 16777217 -- "$real"; fi
exec head -c 16777217 -- "$real""#;
/// The length is compared, so that content cut short with its engine never gets the name.
const RECEIVE: &str = r#"umask 077
folder=${real%/*}
[ -d "$folder" ] || exit 44
new=$folder/.lifeboat-new.$$
trap '[ ! -e "$new" ] || rm -f -- "$new"' EXIT
cat >"$new" || exit 1
[ "$(stat -c %s -- "$new")" = "$3" ] || exit 1
sync -- "$new" || exit 1
"#;
const REPLACE: &str = r#"mv -fT -- "$new" "$real" || exit 1
sync -- "$folder""#;
const LINK: &str = r#"ln -T -- "$new" "$real" || { [ -e "$real" ] && exit 45; exit 1; }
sync -- "$folder""#;
const LIST: &str = r#"[ -d "$real" ] || exit 44
exec find "$real" -mindepth 1 -maxdepth 1 -printf '%y %s %T@ %f\0'"#;
const MAKE_FOLDER: &str = r#"umask 077
exec mkdir -p -- "$real""#;
const REMOVE: &str = r#"exec rm -rf -- "$real""#;
const FREE: &str = r#"while [ ! -e "$real" ]; do real=${real%/*}; done
df -B1 --output=avail -- "$real" | tail -n 1"#;

/// Emptied in one go: `$4` and what follows are names below the folder. A link that lies before a name's last part would lead
/// elsewhere.
const CLEAR: &str = r#"[ -d "$real" ] || exit 44
shift 3
umask 077
for name; do
    path=$real/${name%/}
    [ "$(realpath -m -- "${path%/*}")" = "${path%/*}" ] || exit 42
    if [ "${name%/}" = "$name" ]; then
        [ -d "$path" ] && [ ! -L "$path" ] && { echo "$path is a folder" >&2; exit 1; }
        rm -f -- "$path" || exit 1
    else
        if [ -L "$path" ] || [ ! -d "$path" ]; then rm -f -- "$path" || exit 1; fi
        mkdir -p -- "$path" && find "$path" -mindepth 1 -delete || exit 1
    fi
done"#;
/// Links first, three texts each, then the sum of the sizes.
const SURVEY: &str = r#"needs_root "$real/data"
[ -d "$real" ] || exit 44
find "$real" -type l -printf '%P\0%l\0' -exec sh -c 'realpath -m -z -- "$1"' sh {} \; || exit 1
printf '%s\0' "$real"
du -s -B1 --apparent-size -- "$real" | cut -f1"#;

/// What a script printed.
struct Printed {
    stdout: Vec<u8>,
    exit: Exit,
}

pub(super) async fn read(context: &CallContext, machine: &str, path: &str) -> Result<Vec<u8>, Error> {
    let place = Place::enter(context, machine, Effect::Read).await?;
    read_in(context, &place, path).await
}

/// As [`read`] on a machine that is not proved yet.
pub(super) async fn read_in(context: &CallContext, place: &Place<'_>, path: &str) -> Result<Vec<u8>, Error> {
    let allowed = place.allowed(path, Effect::Read)?;
    let content =
        script(context, place, &allowed, &[RESOLVE, &stranger::look(), READ], Effect::Read, None, FILE_BYTES_MAX + 1)
            .await?;
    if content.len() > FILE_BYTES_MAX {
        return Err(failed("machine-file-size", format!("`{path}` is larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(content)
}

pub(super) async fn write(context: &CallContext, machine: &str, path: &str, content: Vec<u8>) -> Result<(), Error> {
    put(context, machine, path, content, REPLACE).await
}

pub(super) async fn create(context: &CallContext, machine: &str, path: &str, content: Vec<u8>) -> Result<(), Error> {
    put(context, machine, path, content, LINK).await
}

async fn put(context: &CallContext, machine: &str, path: &str, content: Vec<u8>, finish: &str) -> Result<(), Error> {
    let place = Place::enter(context, machine, Effect::Mutate).await?;
    let allowed = place.allowed(path, Effect::Mutate)?;
    if content.len() > FILE_BYTES_MAX {
        return Err(failed("machine-file-size", format!("a file of {} bytes is too large", content.len())));
    }
    script(context, &place, &allowed, &[RESOLVE, RECEIVE, finish], Effect::Mutate, Some(content), 0).await.map(drop)
}

pub(super) async fn list(context: &CallContext, machine: &str, path: &str) -> Result<Vec<Entry>, Error> {
    let place = Place::enter(context, machine, Effect::Read).await?;
    let allowed = place.allowed(path, Effect::Read)?;
    let listing = script(context, &place, &allowed, &[RESOLVE, LIST], Effect::Read, None, LISTING_BYTES_MAX).await?;
    let odd = || failed("machine-listing", format!("cannot read the listing of `{path}`"));
    let mut entries = listing
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty())
        .map(|line| entry(&String::from_utf8_lossy(line)).ok_or_else(odd))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// One line of the listing: kind, size, seconds since 1970 with a fraction, name.
fn entry(line: &str) -> Option<Entry> {
    let mut parts = line.splitn(4, ' ');
    let kind = match parts.next()? {
        "f" => EntryKind::File,
        "d" => EntryKind::Folder,
        _ => EntryKind::Other,
    };
    let size = parts.next()?.parse().ok()?;
    let (seconds, fraction) = parts.next()?.split_once('.')?;
    let millis: u64 = fraction.get(..3)?.parse().ok()?;
    let modified_ms = seconds.parse::<u64>().unwrap_or(0) * 1000 + millis;
    Some(Entry { name: parts.next()?.to_owned(), kind, size, modified_ms })
}

pub(super) async fn create_folder(context: &CallContext, machine: &str, path: &str) -> Result<(), Error> {
    let place = Place::enter(context, machine, Effect::Mutate).await?;
    let allowed = place.allowed(path, Effect::Mutate)?;
    script(context, &place, &allowed, &[RESOLVE, MAKE_FOLDER], Effect::Mutate, None, 0).await.map(drop)
}

pub(super) async fn remove(context: &CallContext, machine: &str, path: &str) -> Result<(), Error> {
    let place = Place::enter(context, machine, Effect::Destroy).await?;
    let allowed = place.allowed(path, Effect::Destroy)?;
    match script(context, &place, &allowed, &[RESOLVE_PARENT, REMOVE], Effect::Destroy, None, 0).await {
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) async fn free_space(context: &CallContext, machine: &str, path: &str) -> Result<u64, Error> {
    let place = Place::enter(context, machine, Effect::Read).await?;
    let allowed = place.allowed(path, Effect::Read)?;
    let printed = script(context, &place, &allowed, &[RESOLVE, FREE], Effect::Read, None, 1024).await?;
    let text = String::from_utf8_lossy(&printed);
    text.trim().parse().map_err(|_| failed("machine-listing", format!("`df` answered `{}`", text.trim())))
}

/// Looks through a folder.
pub(super) async fn survey(context: &CallContext, machine: &str, path: &str) -> Result<Tree, Error> {
    let place = Place::enter(context, machine, Effect::Read).await?;
    let allowed = place.allowed(path, Effect::Read)?;
    let parts = [RESOLVE, &stranger::look(), SURVEY];
    let printed = script(context, &place, &allowed, &parts, Effect::Read, None, LISTING_BYTES_MAX).await?;
    let odd = || failed("machine-listing", format!("cannot read what is in `{path}`"));
    tree(&String::from_utf8_lossy(&printed)).ok_or_else(odd)
}

fn tree(printed: &str) -> Option<Tree> {
    let mut parts: Vec<&str> = printed.split('\0').collect();
    let bytes = parts.pop()?.trim().parse().ok()?;
    let real = parts.pop()?.to_owned();
    let (links, rest) = parts.as_chunks::<3>();
    let link = |[path, target, real]: &[&str; 3]| Link {
        path: (*path).to_owned(),
        target: (*target).to_owned(),
        real: (*real).to_owned(),
    };
    let mut links: Vec<_> = links.iter().map(link).collect();
    links.sort_by(|a, b| a.path.cmp(&b.path));
    rest.is_empty().then_some(Tree { real, bytes, links })
}

/// Empties parts of a folder.
pub(super) async fn clear(context: &CallContext, machine: &str, path: &str, names: &[String]) -> Result<(), Error> {
    let place = Place::enter(context, machine, Effect::Destroy).await?;
    for name in names {
        let allowed = place.allowed(&format!("{path}/{name}"), Effect::Destroy)?;
        if name.is_empty() || name.starts_with('/') || allowed.path == folder::normal(path) {
            return Err(denied("machine-path", format!("`{name}` is not a name below `{path}`")));
        }
    }
    let allowed = place.allowed(path, Effect::Destroy)?;
    let names = More { words: names, ..More::default() };
    scripted(context, &place, &allowed, &[RESOLVE, CLEAR], Effect::Destroy, names).await.map(drop)
}

/// Runs a script over the allowed path; gives what it printed.
pub(super) async fn script(
    context: &CallContext,
    place: &Place<'_>,
    allowed: &Allowed,
    parts: &[&str],
    effect: Effect,
    input: Option<Vec<u8>>,
    longest: usize,
) -> Result<Vec<u8>, Error> {
    scripted(context, place, allowed, parts, effect, More { input, longest, ..More::default() }).await
}

/// What a script is given besides its path.
#[derive(Default)]
pub(super) struct More<'a> {
    /// Its standard input.
    pub(super) input: Option<Vec<u8>>,
    /// `$4` and what follows.
    pub(super) words: &'a [String],
    /// How many bytes of its output are kept.
    pub(super) longest: usize,
}

/// As [`script`], with more.
pub(super) async fn scripted(
    context: &CallContext,
    place: &Place<'_>,
    allowed: &Allowed,
    parts: &[&str],
    effect: Effect,
    more: More<'_>,
) -> Result<Vec<u8>, Error> {
    let by_root = place.by_root().filter(|_| !place.as_root && more.input.is_none());
    let words = more.words;
    let longest = more.longest;
    let printed = run_script(context, place, allowed, parts, effect, more).await?;
    match by_root {
        Some(place) if printed.exit.code == stranger::NEEDS_ROOT => {
            let more = More { words, longest, input: None };
            answered(run_script(context, &place, allowed, parts, effect, more).await?, &place, allowed)
        }
        _ => answered(printed, place, allowed),
    }
}

async fn run_script(
    context: &CallContext,
    place: &Place<'_>,
    allowed: &Allowed,
    parts: &[&str],
    effect: Effect,
    more: More<'_>,
) -> Result<Printed, Error> {
    let More { input, words: given, longest } = more;
    let length = input.as_ref().map_or(0, Vec::len).to_string();
    let mut words =
        ["sh", "-c", &parts.concat(), "sh", &allowed.root, &allowed.path, &length].map(str::to_owned).to_vec();
    words.extend_from_slice(given);
    let span = tracing::trace_span!("program", machine = place.role, program = "sh");
    let (mut running, mut stdout) = running::start(context, place, &words, input)?;
    let work = async {
        let printed = async {
            let mut content = Vec::new();
            let _read = (&mut stdout).take(longest as u64).read_to_end(&mut content).await;
            let _rest = running::tail(stdout, 0).await;
            content
        };
        let (stdout, exit) = tokio::join!(printed, running.exit());
        exit.map(|exit| Printed { stdout, exit })
    };
    match context.bounded(work.instrument(span)).await {
        Ok(printed) => printed,
        Err(why) => {
            running.end().await;
            Err(cut(context, why, effect, &allowed.path))
        }
    }
}

fn answered(printed: Printed, place: &Place<'_>, allowed: &Allowed) -> Result<Vec<u8>, Error> {
    let path = &allowed.path;
    match printed.exit.code {
        0 => Ok(printed.stdout),
        OUTSIDE => {
            Err(denied("machine-path", format!("`{path}` on `{}` leads out of {} by a link", place.role, allowed.root)))
        }
        NOT_FOUND => Err(Error::NotFound(path.clone())),
        stranger::NEEDS_ROOT => {
            let number = stranger::NUMBER;
            let message = format!(
                "`{path}` on `{}` belongs to the user {number} of a restored copy; only root can read it",
                place.role
            );
            Err(failed("machine-wall", message))
        }
        EXISTS => Err(denied("machine-exists", format!("`{path}` already exists on `{}`", place.role))),
        code => {
            let said = printed.exit.stderr.lines().last().unwrap_or("nothing").to_owned();
            Err(failed("machine-file", format!("`{path}` on `{}`: exit code {code}: {said}", place.role)))
        }
    }
}
