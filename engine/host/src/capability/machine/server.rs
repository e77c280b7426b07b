//! Restored servers: started behind a wall, watched and ended by the folder that their processes work in. What their pid files
//! say is never believed: that of a copied backup names the original, and behind a wall numbers are others.

use lifeboat_core::action::Effect;
use lifeboat_programs::quoted;

use super::{
    arguments, denied, failed,
    files::{self, More, RESOLVE},
    folder::{self, Allowed},
    place::Place,
    start, stranger,
    wall::{Kind, Layout},
};
use crate::{
    call::CallContext,
    wit::lifeboat::machine::machine::{Error, Server},
};

/// The program whose effect in the binding is that of starting and ending servers; `postgres` lies beside it.
const CONTROL: &str = "pg_ctl";
const SERVER: &str = "postgres";
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Leaves in `found` the processes that work in `$real`. Names of programs tell a server from a person's shell in that folder.
const FIND: &str = r#"find_server() {
    found=
    for it in /proc/[0-9]*; do
        if [ "$it/cwd" -ef "$real" ]; then
            name=
            { read -r name <"$it/comm"; } 2>/dev/null
            [ "$name" = postgres ] && found="$found ${it#/proc/}"
        fi
    done
}
"#;
/// What a server has left belongs to the binding's user again before anybody hears that it has ended.
const RUNS: &str = r#"needs_root "$real"
find_server
if [ "$found" ]; then echo runs; else give_back && echo none; fi"#;
/// The first process is the parent of the others: told to quit, it ends them. What is left after a while is killed.
const STOP: &str = r#"needs_root "$real"
find_server
for it in $found; do
    parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$it/status" 2>/dev/null)
    case " $found " in *" $parent "*) ;; *) kill -QUIT "$it" 2>/dev/null ;; esac
done
n=0
while find_server; [ "$found" ] && [ $n -lt 600 ]; do
    [ $n = 100 ] && kill -KILL $found 2>/dev/null
    sleep 0.1
    n=$((n + 1))
done
[ -z "$found" ] || { echo "processes$found still run" >&2; exit 1; }
give_back"#;

/// `$4` and what follows is the command line of the server, or what goes before a program behind the wall.
pub(super) const FOLDER: &str = r#"umask 077
folder=${real%/*}
owner=$(stat -c %u:%g -- "$folder") || exit 1
shift 3
"#;
/// Starts the server and waits until it has its sockets, or has ended. Its pid file is looked at for that alone, and made anew.
const LAUNCH: &str = r#"cd /
log=$folder/server.log
find_server
[ -z "$found" ] || { echo "a server runs in $real already" >&2; exit 1; }
rm -f -- "$real/postmaster.pid"
: >>"$log" && chown "$owner" -- "$log" || exit 1
take_over
setsid sh -c "$run" sh "$@" </dev/null >>"$log" 2>&1 &
child=$!
n=0
while kill -0 "$child" 2>/dev/null && [ $n -lt 100 ]; do
    case $(sed -n 8p "$real/postmaster.pid" 2>/dev/null) in starting*|ready*|standby*) break ;; esac
    sleep 0.02
    n=$((n + 1))
done
exit 0"#;
/// A listening socket, and one that is connected from that port, are in the way; one that waits for its end is not.
const PORT: &str = r#"grep -qE "^ *[0-9]+: [0-9A-F]+:$4 [0-9A-F]+:[0-9A-F]+ (0[1-5789ABC])" /proc/net/tcp /proc/net/tcp6 2>/dev/null
case $? in 0) echo taken ;; *) echo free ;; esac"#;

/// A server on its machine.
pub(super) struct Subject<'a> {
    pub(super) place: Place<'a>,
    allowed: Allowed,
    pub(super) effect: Effect,
    pub(super) layout: Layout,
}

pub(super) async fn subject<'a>(
    context: &'a CallContext,
    machine: &'a str,
    server: &Server,
) -> Result<Subject<'a>, Error> {
    let control = Place::of(context, machine, Effect::Read)?.program(CONTROL)?;
    let place = Place::enter(context, machine, control.effect).await?;
    let allowed = place.allowed(&server.data, Effect::Mutate)?;
    let folder = allowed.path.rsplit_once('/').map_or("", |(above, _)| above).to_owned();
    if folder.is_empty() || !folder::is_below(&folder, &allowed.root) || folder == folder::normal(&allowed.root) {
        return Err(denied("machine-path", format!("`{}` is not in a folder of its own", server.data)));
    }
    let programs = control.path.rsplit_once('/').map_or("", |(above, _)| above).to_owned();
    let reads = server.reads.iter().map(|path| Ok(place.allowed(path, Effect::Read)?.path));
    let reads = reads.collect::<Result<_, Error>>()?;
    let layout = Layout { folder, data: allowed.path.clone(), programs, reads, replaces: server.replaces.clone() };
    layout.check().map_err(|problem| failed("machine-wall", problem))?;
    Ok(Subject { place, allowed, effect: control.effect, layout })
}

impl Subject<'_> {
    pub(super) async fn script(
        &self,
        context: &CallContext,
        place: &Place<'_>,
        parts: &[&str],
        words: &[String],
    ) -> Result<String, Error> {
        let parts: Vec<&str> = [[RESOLVE, FIND].as_slice(), parts].concat();
        let more = More { words, longest: ANSWER_BYTES_MAX, input: None };
        let printed = files::scripted(context, place, &self.allowed, &parts, self.effect, more).await?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    pub(super) fn make_folders(&self) -> String {
        let own = self.layout.replacements().map(|(own, _)| own);
        let all = own.chain([self.layout.socket(), self.layout.data.clone()]);
        let make = |path: String| {
            let path = quoted(&path);
            format!("[ -d {path} ] || {{ mkdir -p -- {path} && chown \"$owner\" -- {path}; }} || exit 1\n")
        };
        all.map(make).collect()
    }
}

/// Starts a server behind a wall that [`super::trial::wall`] has found.
pub(super) async fn start(context: &CallContext, machine: &str, server: &Server, wall: &str) -> Result<(), Error> {
    let subject = subject(context, machine, server).await?;
    let kind = Kind::named(wall).ok_or_else(|| failed("machine-wall", format!("unknown wall `{wall}`")))?;
    let problem = subject.trial(context, kind).await?;
    if !problem.is_empty() {
        return Err(failed("machine-wall", format!("the wall `{wall}` does not hold: {problem}")));
    }
    let settings: Vec<_> = server.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let starts_in = start::folder(subject.place.machine, subject.effect);
    arguments::check(subject.place.machine, SERVER, &starts_in, &settings)
        .map_err(|problem| denied("machine-argument", problem))?;
    let Some(barrier) = subject.barrier(kind)? else {
        return Err(failed("machine-wall", format!("the wall `{wall}` no longer holds")));
    };
    let mut words = barrier.words;
    words.extend([format!("{}/{SERVER}", subject.layout.programs), "-D".to_owned(), subject.layout.data.clone()]);
    words.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
    let mut take_over = "take_over() { :; }\n".to_owned();
    if kind.is_stranger() {
        // The programs of the binding's user reach it by the group of its folder, and the last setting wins.
        words.extend(["-c", "unix_socket_permissions=0777"].map(str::to_owned));
        take_over = format!("take_over() {{\n{}}}\n", stranger::take_over());
    }
    let run = format!("run={}\n", quoted(&format!("{}behind \"$@\"", barrier.behind)));
    let parts = [FOLDER, &subject.make_folders(), &take_over, &run, LAUNCH];
    subject.script(context, &barrier.place, &parts, &words).await.map(drop)
}

/// Whether a server runs there.
pub(super) async fn runs(context: &CallContext, machine: &str, data: &str) -> Result<bool, Error> {
    let place = Place::enter(context, machine, Effect::Read).await?;
    let allowed = place.allowed(data, Effect::Read)?;
    let more = More { longest: ANSWER_BYTES_MAX, ..More::default() };
    let look = stranger::look();
    let parts = [RESOLVE, &look, stranger::GIVE_BACK, FIND, RUNS];
    let printed = files::scripted(context, &place, &allowed, &parts, Effect::Read, more).await?;
    Ok(printed.starts_with(b"runs"))
}

/// Ends the server that runs there.
pub(super) async fn stop(context: &CallContext, machine: &str, data: &str) -> Result<(), Error> {
    let effect = Place::of(context, machine, Effect::Read)?.program(CONTROL)?.effect;
    let place = Place::enter(context, machine, effect).await?;
    let allowed = place.allowed(data, Effect::Mutate)?;
    let look = stranger::look();
    let parts = [RESOLVE, &look, stranger::GIVE_BACK, FIND, STOP];
    files::scripted(context, &place, &allowed, &parts, effect, More::default()).await.map(drop)
}

/// Whether a server could listen on the port.
pub(super) async fn port_is_free(context: &CallContext, machine: &str, port: u16) -> Result<bool, Error> {
    let place = Place::enter(context, machine, Effect::Read).await?;
    let anywhere = Allowed { root: "/".to_owned(), path: "/".to_owned() };
    let words = [format!("{port:04X}")];
    let more = More { words: &words, longest: ANSWER_BYTES_MAX, input: None };
    let printed = files::scripted(context, &place, &anywhere, &[PORT], Effect::Read, more).await?;
    Ok(printed.starts_with(b"free"))
}
