//! The wall by Landlock: the engine's own program starts the server, after it has given up writing outside of some folders and
//! reading what the server does not need. It takes no privilege, and works only where that program lies: on this machine.

use std::path::Path;

use lifeboat_programs::{Account, quoted};

use super::{
    place::Place,
    wall::{BARE, ETC, Layout, SYSTEM},
};
use crate::confine;

/// `behind` becomes the engine's program, which confines itself and then becomes what follows; `None` where this process is not
/// that program.
pub(super) fn behind() -> Option<String> {
    let launcher = confine::launcher()?;
    Some(format!("behind() {{\n    {BARE} {} \"$@\"\n}}\n", quoted(&launcher.display().to_string())))
}

/// The words for it; the program and its arguments follow them.
pub(super) fn options(place: &Place<'_>, layout: &Layout) -> Result<Vec<String>, String> {
    let mut words = vec![confine::COMMAND.to_owned()];
    if let Some(user) = place.machine.user.as_deref().filter(|_| place.as_root) {
        let account = Account::of(user)?;
        words.push(format!("--user={}:{}", account.uid, account.gid));
    }
    for path in [layout.data.as_str(), layout.socket().as_str(), "/dev/null"] {
        words.push(format!("--write={path}"));
    }
    // The processes of others, with their environments, are in /proc.
    let system = SYSTEM.iter().filter(|path| !matches!(**path, "/etc" | "/proc")).map(|path| (*path).to_owned());
    let etc = ETC.iter().map(|name| format!("/etc/{name}"));
    let own = layout.reads.iter().cloned().chain([layout.installation().to_owned()]);
    let reads = system.chain(etc).chain(own).filter(|path| Path::new(path).is_absolute());
    words.extend(reads.map(|path| format!("--read={path}")));
    words.push("--".to_owned());
    Ok(words)
}

/// As [`super::wall::ESCAPE`], from a program that is confined. What a kernel may not be able to hold (signals, TCP) is not tried,
/// and the wall does not count as one around the network.
pub(super) const ESCAPE: &str = r#"( : <"$1" ) 2>/dev/null && echo "a file outside can be read"
( : >>"$1" ) 2>/dev/null && echo "a file outside can be written"
( : >"$1.reached" ) 2>/dev/null
echo tried"#;
