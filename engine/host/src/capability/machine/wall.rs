//! What stands between a restored server and everything outside of its own folder: built by the host, never from a guest's
//! words, and proven by a program behind it that fails to reach what lies outside.

use lifeboat_core::bindings::Via;

use super::{
    folder::{is_below, normal},
    place::Place,
};

/// A kind of wall. The strongest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// bubblewrap as the binding's user: own files, processes and network.
    Closed,
    /// The same with the network of the machine, for an engine that comes from another one.
    Files,
    /// Another user with a network of its own.
    StrangerAlone,
    /// Another user.
    Stranger,
    /// Landlock as the binding's user: own files, and what else the kernel can hold.
    Confined,
    /// Nothing.
    None,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Closed, Self::Files, Self::StrangerAlone, Self::Stranger, Self::Confined, Self::None];

    /// Those that fit a machine, the strongest first.
    pub(super) fn of(place: &Place<'_>) -> &'static [Self] {
        match place.machine.via {
            Via::Local => &[Self::Closed, Self::StrangerAlone, Self::Stranger, Self::Confined, Self::None],
            // Nothing confines there without a program of ours, and the engine must reach the network of the copy.
            _ => &[Self::Files, Self::Stranger, Self::None],
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Closed => "bwrap",
            Self::Files => "bwrap-files",
            Self::StrangerAlone => "user-net",
            Self::Stranger => "user",
            Self::Confined => "landlock",
            Self::None => "none",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether a folder of the server can take the place of another one.
    pub(super) fn has_folders(self) -> bool {
        matches!(self, Self::Closed | Self::Files)
    }

    /// Whether nothing behind it reaches another server.
    pub(super) fn holds_network(self) -> bool {
        matches!(self, Self::Closed | Self::StrangerAlone)
    }

    /// Whether the server has no port and is reached by a socket in its folder.
    pub(super) fn has_socket(self, place: &Place<'_>) -> bool {
        self != Self::None && place.machine.via == Via::Local
    }

    pub(super) fn is_stranger(self) -> bool {
        matches!(self, Self::StrangerAlone | Self::Stranger)
    }
}

/// Where everything of a server lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The folder of its own.
    pub(super) folder: String,
    /// Its data folder, in it.
    pub(super) data: String,
    /// The folder of PostgreSQL's programs.
    pub(super) programs: String,
    /// What it reads.
    pub(super) reads: Vec<String>,
    /// Paths that are empty folders of its own.
    pub(super) replaces: Vec<String>,
}

/// Folders that a server needs and that nothing may take the place of.
pub(super) const SYSTEM: &[&str] =
    &["/usr", "/etc", "/proc", "/dev", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix"];
/// Of `/etc`, what programs and the C library look up.
pub(super) const ETC: &[&str] = &[
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "timezone",
    "nsswitch.conf",
    "passwd",
    "group",
    "alternatives",
    "ssl/openssl.cnf",
    "pki/tls/openssl.cnf",
];

impl Layout {
    /// Where its sockets lie.
    pub(super) fn socket(&self) -> String {
        format!("{}/socket", self.folder)
    }

    /// The folder that PostgreSQL lies in; empty where that is the root folder.
    pub(super) fn installation(&self) -> &str {
        self.programs.rsplit_once('/').map_or("", |(above, _)| above)
    }

    /// The folders of its own that take the place of others, in their order.
    pub(super) fn replacements(&self) -> impl Iterator<Item = (String, &String)> {
        self.replaces.iter().enumerate().map(|(at, path)| (format!("{}/replaced/{at}", self.folder), path))
    }

    /// Refuses to take the place of what the server needs.
    pub(super) fn check(&self) -> Result<(), String> {
        let kept = SYSTEM.iter().map(|it| (*it).to_owned());
        let kept: Vec<_> = kept.chain([self.folder.clone(), self.programs.clone()]).chain(self.reads.clone()).collect();
        for path in &self.replaces {
            let odd = !path.starts_with('/')
                || normal(path) == "/"
                || path.contains('\0')
                || path.split('/').any(|part| part == "..");
            let normal = normal(path);
            if odd || kept.iter().any(|kept| is_below(kept, &normal) || is_below(&normal, kept)) {
                return Err(format!("the copy cannot have a folder of its own at `{path}`"));
            }
        }
        Ok(())
    }

    /// The options of bubblewrap; the program and its arguments follow them. [`BEHIND`] puts the system's folders before them.
    pub(super) fn options(&self, kind: Kind) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |some: &[&str]| words.extend(some.iter().map(|word| (*word).to_owned()));
        add(&["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]);
        if kind == Kind::Closed {
            add(&["--unshare-net"]);
        }
        add(&["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", "/usr", "/usr"]);
        add(&["--ro-bind-try", "/nix", "/nix"]);
        for file in ETC {
            let path = format!("/etc/{file}");
            add(&["--ro-bind-try", &path, &path]);
        }
        let programs = self.installation();
        if !programs.is_empty() && !SYSTEM.iter().any(|system| is_below(programs, system)) {
            add(&["--ro-bind", programs, programs]);
        }
        for path in &self.reads {
            add(&["--ro-bind", path, path]);
        }
        for (own, path) in self.replacements() {
            add(&["--bind", &own, path]);
        }
        // Not the folder that holds them: what the engine has written beside them is not the server's.
        for path in [&self.data, &self.socket()] {
            add(&["--bind", path, path]);
        }
        add(&["--chdir", "/", "--"]);
        words
    }
}

/// What a server inherits: nothing of the engine's environment, and no home with files for clients.
pub(super) const BARE: &str = "exec env -i PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C TZ=UTC HOME=/nonexistent";

/// `behind` becomes bubblewrap; its words are [`Layout::options`] and what to run. The system's folders go before them.
pub(super) fn behind_bubblewrap() -> String {
    const LINKS: &str = r#"for it in bin sbin lib lib32 lib64 libx32; do
        if [ -L "/$it" ]; then set -- --symlink "$(readlink "/$it")" "/$it" "$@"
        elif [ -d "/$it" ]; then set -- --ro-bind "/$it" "/$it" "$@"; fi
    done"#;
    format!("behind() {{\n    {LINKS}\n    {BARE} bwrap \"$@\"\n}}\n")
}

/// Leaves the trial where bubblewrap cannot be tried.
pub(super) const NEEDS_BUBBLEWRAP: &str =
    "command -v bwrap >/dev/null || { echo \"bubblewrap is not installed\"; exit 0; }\n";

/// What tries to get out, from behind bubblewrap: `$1` is a file outside, `$2` the namespace of processes outside and `$3` that of
/// the network, empty where it is not held. It says what it could reach, and at last that it has tried.
pub(super) const ESCAPE: &str = r#"[ -e "$1" ] && echo "a file outside can be read"
( : >"$1.reached" ) 2>/dev/null
[ "$(readlink /proc/self/ns/pid)" = "$2" ] && echo "processes outside can be reached"
if [ "$3" ]; then
    [ "$(readlink /proc/self/ns/net)" = "$3" ] && echo "the network can be reached"
    while read -r it _; do case $it in lo:) ;; *:) echo "the network can be reached by $it" ;; esac; done </proc/net/dev
fi
echo tried"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(replaces: &[&str]) -> Layout {
        Layout {
            folder: "/srv/work/lb-1".to_owned(),
            data: "/srv/work/lb-1/data".to_owned(),
            programs: "/opt/pg/bin".to_owned(),
            reads: vec!["/srv/archive".to_owned()],
            replaces: replaces.iter().map(|path| (*path).to_owned()).collect(),
        }
    }

    #[test]
    fn only_what_is_named_is_there() {
        let words = layout(&["/srv/ts"]).options(Kind::Closed).join(" ");
        for expect in [
            "--unshare-net",
            "--ro-bind /srv/archive /srv/archive",
            "--bind /srv/work/lb-1/replaced/0 /srv/ts",
            "--bind /srv/work/lb-1/data /srv/work/lb-1/data",
            "--ro-bind /opt/pg /opt/pg",
        ] {
            assert!(words.contains(expect), "{expect} in {words}");
        }
        assert!(!words.contains("--bind /srv/work/lb-1 ") && !words.contains("--bind / "), "{words}");
        assert!(!layout(&[]).options(Kind::Files).join(" ").contains("--unshare-net"));
    }

    #[test]
    fn nothing_takes_the_place_of_what_the_copy_needs() {
        for path in ["/", "/usr", "/usr/share", "/etc", "/srv", "/srv/work/lb-1/data", "/srv/archive/x", "x", "/a/../b"]
        {
            assert!(layout(&[path]).check().is_err(), "{path}");
        }
        assert_eq!(layout(&["/srv/ts", "/mnt/fast"]).check(), Ok(()));
    }

    #[test]
    fn a_wall_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        assert_eq!(Kind::named("bwrap --bind / /"), None);
    }
}
