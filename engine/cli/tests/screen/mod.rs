//! Runs the binary with a state folder of its own, and shows what a user would see, without what differs each time.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    process::{self, Output},
};

use assert_cmd::Command;
use lifeboat_core::{event::Person, name::RunId};
use lifeboat_runtime::{home::Home, identity::this_person, lock::RunLock};
use tempfile::TempDir;

/// A state folder; removed afterwards.
pub(crate) struct Screen {
    home: TempDir,
}

/// Exit code and output of the binary in a fresh state folder.
pub(crate) fn lifeboat(arguments: &[&str]) -> String {
    Screen::new().lifeboat(arguments)
}

/// The path of a file beside the tests, relative to the package.
pub(crate) fn fixture(name: &str) -> String {
    format!("tests/fixtures/{name}")
}

impl Screen {
    /// The folders share their compiled plugins: compiling them for each call would take most of the time.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/lifeboat-cache");
        fs::create_dir_all(cache).unwrap();
        std::os::unix::fs::symlink(cache, home.path().join("cache")).unwrap();
        Self { home }
    }

    /// Exit code, standard output and standard error.
    pub(crate) fn lifeboat(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let part = |name: &str, bytes: &[u8]| {
            let text = self.steady(&String::from_utf8_lossy(bytes));
            if text.trim().is_empty() { String::new() } else { format!("---- {name} ----\n{}\n", text.trim_end()) }
        };
        let code = output.status.code().unwrap();
        format!("exit code {code}\n{}{}", part("stdout", &output.stdout), part("stderr", &output.stderr))
    }

    /// Standard output alone, of a call that works.
    pub(crate) fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code where nobody reads what is printed.
    pub(crate) fn unread(&self, arguments: &[&str]) -> Option<i32> {
        let nobody = || {
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            writer
        };
        let mut command = process::Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("LIFEBOAT_HOME", self.home.path());
        command.stdin(process::Stdio::null()).stdout(nobody()).stderr(nobody());
        command.status().unwrap().code()
    }

    /// A copy of a file beside the tests, so that what is written beside it goes away with it.
    pub(crate) fn copy(&self, name: &str) -> String {
        let path = self.home.path().join(name);
        fs::copy(fixture(name), &path).unwrap();
        path.display().to_string()
    }

    /// The path of a folder that goes away afterwards.
    pub(crate) fn folder(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// The runs in the state folder.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.home.path().join("runs")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Works on the only run, as another engine would, until the lock is dropped.
    pub(crate) fn hold_run(&self) -> RunLock {
        let runs = self.runs();
        assert_eq!(runs.len(), 1);
        let name = runs[0].file_name().unwrap().to_str().unwrap();
        RunLock::take(&runs[0], &RunId::new(name).unwrap()).unwrap()
    }

    /// Changes a byte in the middle of the only journal.
    pub(crate) fn damage_journal(&self) {
        let runs = self.runs();
        assert_eq!(runs.len(), 1);
        let path = runs[0].join("journal.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let damaged = text.replacen("\"started\"", "\"startled\"", 1).replacen("Accidental", "Incidental", 1);
        assert_ne!(text, damaged, "the journal was changed");
        fs::write(&path, damaged).unwrap();
    }

    /// A drill was held, as its line in the history says.
    pub(crate) fn held(&self, at: &str, verdict: &str, rto_s: f64) {
        let length = |seconds: f64| serde_json::json!({ "low": seconds, "high": seconds });
        let line = serde_json::json!({ "at": at, "drill": "DR-003", "run": "dr-003-20260103-7f3a", "verdict": verdict,
            "backend": "process", "rto_s": length(rto_s), "rpo_s": length(0.0), "lost": 0 });
        Home::open(self.home.path()).unwrap().add_to_history(&line).unwrap();
    }

    /// A drill was held and took so many seconds.
    pub(crate) fn took(&self, at: &str, length_s: f64) {
        let line = serde_json::json!({ "at": at, "drill": "DR-003", "run": "dr-003-20260103-7f3a", "verdict": "met",
            "backend": "process", "length_s": length_s });
        Home::open(self.home.path()).unwrap().add_to_history(&line).unwrap();
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("LIFEBOAT_HOME", self.home.path())
            .env("SUDO_USER", "ada")
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100")
            .env_remove("RUST_BACKTRACE");
        command.output().unwrap()
    }

    /// The state folder is another one each time.
    fn steady(&self, text: &str) -> String {
        let text = text.replace(&self.home.path().display().to_string(), "HOME");
        // Only root acts for the user behind `sudo`.
        match this_person() {
            Person::User { name } if name != "ada" => text.replace(&format!("by {name}"), "by ada"),
            _ => text,
        }
    }
}

/// The runbooks that ship with the binary.
pub(crate) fn shipped_runbooks() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workflows");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// The name and the bytes of every file in a folder.
pub(crate) fn files(folder: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// Compares with the snapshot, with what differs from call to call replaced by words.
pub(crate) fn check(name: &str, shown: &str) {
    const VARYING: [(&str, &str); 12] = [
        (r"\d+d \d\dh ago", "LONG ago"),
        (r"\b[a-z0-9-]+-\d{8}-[0-9a-f]{4}\b", "RUN"),
        (r"sha256:[0-9a-f]{64}", "sha256:DIGEST"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIMESTAMP"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE TIME"),
        (r"\b\d\d:\d\d:\d\d\b", "TIME"),
        (r"\b(\d+ms|\d+\.\ds|\d+m \d\ds left)( *)", "LENGTH "),
        (r#""(seconds|left_s)": [0-9.e-]+"#, r#""$1": SECONDS"#),
        (r#"time="[0-9.]+""#, r#"time="SECONDS""#),
        (r"process \d+ of \S+ on \S+", "process PID of USER on HOST"),
        (r"by ada on \S+", "by ada on HOST"),
        (r"`kill \d+`", "`kill PID`"),
    ];
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("../snapshots");
    VARYING.iter().for_each(|(pattern, word)| settings.add_filter(pattern, *word));
    settings.bind(|| insta::assert_snapshot!(name, shown));
}
