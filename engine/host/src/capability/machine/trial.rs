//! Which wall a machine offers, found by trial: a program behind it must fail to reach what lies outside.

use lifeboat_programs::quoted;

use super::{
    confined, failed,
    place::Place,
    server::{FOLDER, Subject, subject},
    stranger,
    wall::{self, Kind},
};
use crate::{
    call::CallContext,
    wit::lifeboat::machine::machine::{Error, Server, Wall},
};

/// The longest path of a socket that the kernel takes, with its zero byte.
const SOCKET_PATH_MAX: usize = 108;
const LONGEST_SOCKET: &str = "/.s.PGSQL.65535.lock";

/// Tries to get out. A file is made beside the server's folders for it, of the binding's user as those of the original are:
/// without it the trial would prove nothing.
const TRY: &str = r#"probe=$folder/outside.$$
trap 'rm -f -- "$probe" "$probe.reached"' EXIT
: >"$probe" && chown "$owner" -- "$probe" || exit 1
said=$(behind "$@" /bin/sh -c "$escape" sh "$probe" "$(readlink /proc/self/ns/pid)" "$net" "$$" 2>&1)
[ -e "$probe.reached" ] && said="a file outside can be written
$said"
printf '%s\n' "$said""#;

/// How a wall is built.
pub(super) struct Barrier<'a> {
    /// Who builds it.
    pub(super) place: Place<'a>,
    /// A function of the shell that becomes its words, behind the wall.
    pub(super) behind: String,
    /// What goes before a program and its arguments.
    pub(super) words: Vec<String>,
    /// Leaves the trial where it cannot be built.
    needs: String,
    /// Tries to get out.
    escape: &'static str,
}

impl<'a> Subject<'a> {
    /// How the wall is built; none where this engine cannot build it there.
    pub(super) fn barrier(&self, kind: Kind) -> Result<Option<Barrier<'a>>, Error> {
        let made = |place, behind, words, needs, escape| Ok(Some(Barrier { place, behind, words, needs, escape }));
        match kind {
            Kind::Closed | Kind::Files => {
                let needs = wall::NEEDS_BUBBLEWRAP.to_owned();
                let words = self.layout.options(kind);
                made(self.place, wall::behind_bubblewrap(), words, needs, wall::ESCAPE)
            }
            Kind::StrangerAlone | Kind::Stranger => {
                let Some(place) = self.place.by_root() else { return Ok(None) };
                let needs = stranger::needs(&self.layout.reads);
                made(place, stranger::behind(kind), Vec::new(), needs, stranger::ESCAPE)
            }
            Kind::Confined => {
                let Some(behind) = confined::behind() else { return Ok(None) };
                // Root reaches the program wherever it lies, and is the binding's user when it has become the server.
                let place = self.place.by_root().unwrap_or(self.place);
                let words = confined::options(&place, &self.layout);
                let words = words.map_err(|problem| failed("machine-wall", problem))?;
                made(place, behind, words, String::new(), confined::ESCAPE)
            }
            Kind::None => {
                let behind = format!("behind() {{\n    {} \"$@\"\n}}\n", wall::BARE);
                made(self.place, behind, Vec::new(), String::new(), "")
            }
        }
    }

    /// Empty where the wall holds, or why it does not.
    pub(super) async fn trial(&self, context: &CallContext, kind: Kind) -> Result<String, Error> {
        if kind == Kind::None {
            return Ok(String::new());
        }
        if kind.has_socket(&self.place) && self.layout.socket().len() + LONGEST_SOCKET.len() >= SOCKET_PATH_MAX {
            return Ok(format!("the path {} is too long for a socket", self.layout.socket()));
        }
        let Some(barrier) = self.barrier(kind)? else {
            let what = if kind.is_stranger() {
                "running as another user requires root"
            } else {
                "it belongs to another program"
            };
            return Ok(what.to_owned());
        };
        let net = if kind.holds_network() { "net=$(readlink /proc/self/ns/net)\n" } else { "net=\n" };
        let escape = format!("escape={}\n", quoted(barrier.escape));
        let parts = [FOLDER, &self.make_folders(), net, &escape, &barrier.behind, &barrier.needs, TRY];
        let said = self.script(context, &barrier.place, &parts, &barrier.words).await?;
        let said = said.trim();
        Ok(match said.strip_suffix("tried") {
            Some(reached) => reached.trim().replace('\n', "; "),
            None => format!("cannot build it: {}", said.lines().last().unwrap_or("no reason is given")),
        })
    }
}

/// The strongest wall that holds, or the one that is wanted.
pub(super) async fn wall(
    context: &CallContext,
    machine: &str,
    server: &Server,
    wanted: Option<&str>,
) -> Result<Wall, Error> {
    let subject = subject(context, machine, server).await?;
    let kinds = Kind::of(&subject.place);
    let mut lacking = Vec::new();
    for kind in kinds.iter().filter(|kind| wanted.is_none_or(|wanted| wanted == kind.name())) {
        let problem = subject.trial(context, *kind).await?;
        if problem.is_empty() {
            return Ok(Wall {
                name: kind.name().to_owned(),
                files: *kind != Kind::None,
                folders: kind.has_folders(),
                network: kind.holds_network(),
                socket: kind.has_socket(&subject.place),
                lacking: if wanted == Some("none") {
                    "the step asks for no wall".to_owned()
                } else {
                    lacking.join("; ")
                },
            });
        }
        lacking.push(format!("`{}`: {problem}", kind.name()));
    }
    match wanted {
        Some(_) if !lacking.is_empty() => {
            Err(failed("machine-wall", format!("the requested wall does not hold: {}", lacking.join("; "))))
        }
        _ => {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            let wanted = wanted.unwrap_or_default();
            let message = format!("unknown wall `{wanted}` on `{machine}`; available are {}", names.join(", "));
            Err(failed("machine-wall", message))
        }
    }
}
