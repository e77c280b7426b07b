//! From a program of a call to the command that runs it on its machine: not longer than the call, and not longer than the engine.

use std::time::Duration;

use lifeboat_core::bindings::Machine;
use tokio::process::Command;

/// Runs `"$@"` and ends it, with everything that it started in its group, as soon as standard input ends: when the engine
/// closes it, and also when the engine is killed, on this machine and across `docker exec` and `ssh`. A program that outlived
/// its engine would work against the resumed run.
const LIFELINE: &str = r#"exec 3<&0
"$@" </dev/null 3<&- &
child=$!
( read -r _ <&3; kill -KILL 0 ) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$child"
code=$?
kill -KILL "$watch" 2>/dev/null
exit "$code""#;

/// What a program's standard input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdin {
    /// The program reads it.
    Data,
    /// It keeps the program alive.
    Lifeline,
}

/// The command that runs `words` (program and arguments) on the machine, by root or by the binding's user, for so long at most.
pub(super) fn on(
    (machine, as_root): (&Machine, bool),
    words: &[String],
    stdin: Stdin,
    longest: Duration,
) -> Result<Command, String> {
    let mut inner: Vec<String> = ["timeout", "-s", "KILL"].map(str::to_owned).to_vec();
    inner.push(format!("{:.3}", longest.as_secs_f64()));
    if stdin == Stdin::Lifeline {
        inner.extend(["sh", "-c", LIFELINE, "sh"].map(str::to_owned));
    }
    inner.extend_from_slice(words);
    let user = if as_root { Some("root") } else { machine.user.as_deref() };
    lifeboat_programs::command(&machine.via, user, &inner, &[])
}

#[cfg(test)]
mod tests {
    use lifeboat_core::bindings::Via;

    use super::*;

    #[test]
    fn a_program_has_a_time_limit_and_the_user_that_was_asked_for() {
        let container = Machine {
            via: Via::Container { engine: "docker".to_owned(), name: "pg".to_owned() },
            user: Some("postgres".to_owned()),
            programs: Default::default(),
            folders: Default::default(),
            ports: Default::default(),
            identity: None,
        };
        let line = |as_root| {
            let words = ["cat".to_owned()];
            let built = on((&container, as_root), &words, Stdin::Data, Duration::from_millis(1500)).unwrap();
            let arguments = built.as_std().get_args().map(|word| word.to_string_lossy().into_owned());
            arguments.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line(false), "exec -i -e LC_ALL=C -e TZ=UTC -u postgres pg timeout -s KILL 1.500 cat");
        assert!(line(true).contains(" -u root pg timeout "));
    }
}
