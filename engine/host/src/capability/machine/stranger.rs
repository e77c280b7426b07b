//! The wall by another user: the server runs as a number that owns nothing on the machine but the server's own files. That takes
//! root, so a script of the host does it and gives the files back to the binding's user when the server has ended. No guest ever
//! names what runs as root.

use lifeboat_core::bindings::Via;
use lifeboat_programs::quoted;

use super::{
    place::Place,
    wall::{BARE, Kind},
};

/// The user and group of servers behind this wall. It must not belong to any user or group, which is checked before each use. It
/// is always the same, so that an operator can let it read the archive.
pub(super) const NUMBER: u32 = 58_231;

/// Exit code of a script that must be run again by root.
pub(super) const NEEDS_ROOT: i32 = 46;

/// `needs_root PATH` stops the script where only root can look into the files of a server behind this wall.
pub(super) fn look() -> String {
    format!(
        r#"stranger={NUMBER}
is_strangers() {{ [ "$(stat -c %u -- "$1" 2>/dev/null)" = {NUMBER} ]; }}
needs_root() {{
    above=$1
    while [ ! -e "$above" ] && [ "$above" ]; do above=${{above%/*}}; done
    is_strangers "$above" && [ "$(id -u)" != 0 ] && exit {NEEDS_ROOT}
    true
}}
"#
    )
}

/// Gives what a server has left back to whoever has the folder around it. Links are given back, not followed.
pub(super) const GIVE_BACK: &str = r#"give_back() {
    is_strangers "$real" || return 0
    owner=$(stat -c %u:%g -- "${real%/*}") || exit 1
    for it in "$real" "${real%/*}/socket"; do [ ! -e "$it" ] || chown -Rh -- "$owner" "$it" || exit 1; done
}
"#;

/// Takes the server's files over for the number. The group of its socket's folder is that of the binding's user, whose programs
/// reach the server by it.
pub(super) fn take_over() -> String {
    format!(
        r#"chown -Rh {NUMBER}:{NUMBER} -- "$real" && chown {NUMBER}:"${{owner#*:}}" -- "$folder/socket" || exit 1
chmod 2750 -- "$folder/socket" && chmod go+x -- "$folder" || exit 1
"#
    )
}

/// `behind` becomes another user.
pub(super) fn behind(kind: Kind) -> String {
    let alone = if kind == Kind::StrangerAlone { "unshare --net --ipc -- " } else { "" };
    let user =
        format!("setpriv --reuid={NUMBER} --regid={NUMBER} --clear-groups --no-new-privs --bounding-set=-all --");
    format!("behind() {{\n    {BARE} {alone}{user} \"$@\"\n}}\n")
}

/// Leaves the trial where this wall cannot be tried, or where the server could not read what it must.
pub(super) fn needs(reads: &[String]) -> String {
    let reads: Vec<_> = reads.iter().map(|path| quoted(path)).collect();
    format!(
        r#"[ "$(id -u)" = 0 ] || {{ echo "running as another user requires root"; exit 0; }}
for it in setpriv unshare; do command -v "$it" >/dev/null || {{ echo "the program $it is not installed"; exit 0; }}; done
if grep -q "^[^:]*:[^:]*:{NUMBER}:" /etc/passwd /etc/group; then echo "the number {NUMBER} is a user's"; exit 0; fi
chmod go+x -- "$folder" || exit 1
unread=$(behind /bin/sh -c '[ -x "$1" ] || {{ echo "$1"; exit; }}
    shift
    for it; do
        [ -r "$it" ] && [ -x "$it" ] || {{ echo "$it"; exit; }}
        find "$it/" -maxdepth 1 -type f ! -readable -print -quit
    done' sh "$folder" {} 2>&1)
[ -z "$unread" ] || {{ echo "the user {NUMBER} cannot reach ${{unread%%
*}}"; exit 0; }}
"#,
        reads.join(" ")
    )
}

/// As [`super::wall::ESCAPE`], from another user; `$4` is a process outside.
pub(super) const ESCAPE: &str = r#"( : <"$1" ) 2>/dev/null && echo "a file outside can be read"
( : >>"$1" ) 2>/dev/null && echo "a file outside can be written"
( : >"$1.reached" ) 2>/dev/null
kill -0 "$4" 2>/dev/null && echo "processes outside can be reached"
[ "$(id -G)" = "$(id -u)" ] || echo "it has groups of others"
[ "$3" ] && [ "$(readlink /proc/self/ns/net)" = "$3" ] && echo "the network can be reached"
echo tried"#;

impl Place<'_> {
    /// The machine as root has it, where the engine can be root there.
    pub(super) fn by_root(&self) -> Option<Self> {
        let can = match self.machine.via {
            Via::Local => rustix::process::geteuid().is_root(),
            // Whoever may use a container engine is root in its containers.
            Via::Container { .. } => true,
            Via::Ssh { .. } => self.machine.user.as_deref() == Some("root"),
        };
        can.then(|| self.run_by_root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stronger_one_has_a_network_of_its_own() {
        assert!(behind(Kind::StrangerAlone).contains("unshare --net") && !behind(Kind::Stranger).contains("unshare"));
        for kind in [Kind::StrangerAlone, Kind::Stranger] {
            assert!(behind(kind).contains("--clear-groups") && behind(kind).contains("env -i"));
        }
    }
}
