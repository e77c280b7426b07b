//! Where a program starts, and the last look at its paths: on the machine, links resolved.

use lifeboat_core::{action::Effect, bindings::Machine};

use super::folder::{self, Allowed};

/// Where a program starts that no folder is meant for: relative paths lead nowhere from there.
const NOWHERE: &str = "/nonexistent";

/// Exit code of the script where it does not start the program.
const NOT_STARTED: i32 = 242;
/// How it says that a path leads out of its folder.
const OUTSIDE: &str = "lifeboat: leads out of its folder: ";
/// How it says that the folder is not there in which the program should start.
const NO_FOLDER: &str = "lifeboat: is no folder: ";

/// `$1` is where to start; then come pairs of an allowed folder and a path below it, then `--` and the program. A name without
/// a slash is only looked at where something has it: most arguments are not paths. The program is the process that the shell
/// was, so that signals and exit codes are its own.
const SCRIPT: &str = r#"start=$1
if [ "$start" = /nonexistent ]; then cd /; else cd -- "$start" 2>/dev/null; fi || {
    printf 'lifeboat: is no folder: %s\n' "$start" >&2
    exit 242
}
shift
folder=
while [ "$1" != -- ]; do
    name=${2#"$start"/}
    case "$name" in
    */*) look=1 ;;
    *) look=; { [ -e "$name" ] || [ -L "$name" ]; } && look=1 ;;
    esac
    if [ "$look" ]; then
        if [ "$1" != "$folder" ]; then folder=$1; root=$(realpath -m -- "$folder") || exit 242; fi
        real=$(realpath -m -- "$2") || exit 242
        case "$real" in
        "$root" | "$root"/*) ;;
        *)
            printf 'lifeboat: leads out of its folder: %s\n' "$2" >&2
            exit 242
            ;;
        esac
    fi
    shift 2
done
shift
exec "$@""#;

/// The folder in which a program with that effect runs: `work`, or else the first one, of those with enough access.
pub(super) fn folder(machine: &Machine, effect: Effect) -> String {
    let work = machine.folders.get("work").into_iter();
    let mut enough = work.chain(machine.folders.values()).filter(|folder| folder.access >= effect);
    enough.next().map_or_else(|| NOWHERE.to_owned(), |found| folder::normal(&found.path))
}

/// The words that run a program in that folder, unless one of the paths leads out of its own.
pub(super) fn words(start: &str, paths: &[Allowed], program: &str, arguments: &[String]) -> Vec<String> {
    let mut words: Vec<String> = ["sh", "-c", SCRIPT, "sh", start].map(str::to_owned).to_vec();
    words.extend(paths.iter().flat_map(|allowed| [allowed.root.clone(), allowed.path.clone()]));
    words.extend(["--".to_owned(), program.to_owned()]);
    words.extend_from_slice(arguments);
    words
}

/// Why a program was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotStarted {
    /// This path leads by a link out of its folder.
    Outside(String),
    /// The folder in which it should start is not there.
    NoFolder(String),
}

/// Whether an end is that of the script and not of the program.
pub(super) fn not_started(code: i32, stderr: &str) -> Option<NotStarted> {
    let said = stderr.lines().last().filter(|_| code == NOT_STARTED)?;
    let outside = said.strip_prefix(OUTSIDE).map(|path| NotStarted::Outside(path.to_owned()));
    outside.or_else(|| Some(NotStarted::NoFolder(said.strip_prefix(NO_FOLDER)?.to_owned())))
}

#[cfg(test)]
mod tests {
    use lifeboat_core::bindings::{Folder, Via};

    use super::*;

    #[test]
    fn a_program_starts_where_it_may_do_what_it_does() {
        let check = |folders: &[(&str, Effect)], effect: Effect, expect: &str| {
            let folder =
                |(name, access): &(&str, Effect)| ((*name).to_owned(), Folder::new(format!("/{name}/"), *access));
            let folders = folders.iter().map(folder).collect();
            let machine = Machine {
                via: Via::Local,
                user: None,
                programs: Default::default(),
                folders,
                ports: Default::default(),
                identity: None,
            };
            assert_eq!(super::folder(&machine, effect), expect);
        };
        check(&[("archive", Effect::Read), ("work", Effect::Destroy)], Effect::Mutate, "/work");
        check(&[("archive", Effect::Read), ("work", Effect::Read)], Effect::Mutate, NOWHERE);
        check(&[("archive", Effect::Read), ("backups", Effect::Mutate)], Effect::Mutate, "/backups");
        check(&[], Effect::Read, NOWHERE);
    }

    #[test]
    fn the_end_of_the_script_is_told_from_that_of_the_program() {
        let outside = format!("{OUTSIDE}/srv/link");
        assert_eq!(not_started(NOT_STARTED, &outside), Some(NotStarted::Outside("/srv/link".to_owned())));
        let no_folder = format!("{NO_FOLDER}/srv/work\n");
        assert_eq!(not_started(NOT_STARTED, &no_folder), Some(NotStarted::NoFolder("/srv/work".to_owned())));
        assert_eq!(not_started(1, &outside), None);
        assert_eq!(not_started(NOT_STARTED, "something else"), None);
    }

    #[test]
    fn the_script_says_what_is_understood() {
        assert!(SCRIPT.contains(OUTSIDE) && SCRIPT.contains(NO_FOLDER));
        assert!(SCRIPT.contains(NOWHERE) && SCRIPT.contains(&format!("exit {NOT_STARTED}")));
    }
}
