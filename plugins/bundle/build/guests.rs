//! The nested cargo that compiles the plugins.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const TARGET: &str = "wasm32-unknown-unknown";

/// Optimised for speed (a plugin parses WAL listings line by line), and without anything that only a debugger reads.
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
];

/// What the nested cargo keeps of the outer one's variables: where it finds crates, how it reaches them, and the job server.
const KEPT: [&str; 8] = [
    "CARGO_HOME",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "CARGO_CACHE_",
];

/// A compiled plugin.
pub(crate) struct Guest {
    /// Its name.
    pub(crate) name: String,
    /// The core module.
    pub(crate) module: PathBuf,
    /// Every file of the workspace that went into it.
    pub(crate) sources: Vec<PathBuf>,
}

/// The root of the workspace.
pub(crate) fn workspace() -> Result<PathBuf, String> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    here.ancestors().nth(2).map(Path::to_path_buf).ok_or_else(|| format!("no workspace above {}", here.display()))
}

/// Compiles the plugins.
pub(crate) fn build(workspace: &Path, out: &Path, plugins: &[&str]) -> Result<Vec<Guest>, String> {
    let toolchain = Toolchain::read()?;
    let target_dir = target_dir(out);
    let mut command = Command::new(variable("CARGO")?);
    clear_environment(&mut command);
    command
        .current_dir(workspace)
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", toolchain.flags(workspace, &target_dir))
        .envs(PROFILE);
    for plugin in plugins {
        command.arg("--package").arg(format!("plugin-{plugin}"));
    }
    let status = command.status().map_err(|error| format!("cannot start cargo for the plugins: {error}"))?;
    if !status.success() {
        return Err(format!("the plugins did not compile for {TARGET} ({status}); cargo's messages are above"));
    }
    let release = target_dir.join(TARGET).join("release");
    plugins.iter().map(|plugin| compiled(plugin, &release)).collect()
}

/// `guests` beside the outer build's profiles, so that tests, clippy and releases share what was compiled; within `out`
/// where the folders above it are not the usual `<target>/<profile>/build/<package>/out`.
fn target_dir(out: &Path) -> PathBuf {
    let mut above = out.ancestors().skip(2);
    let usual = above.next().is_some_and(|folder| folder.ends_with("build"));
    let target = above.nth(1).filter(|_| usual);
    target.unwrap_or(out).join("guests")
}

fn compiled(plugin: &str, release: &Path) -> Result<Guest, String> {
    let stem = format!("plugin_{plugin}");
    let listing = release.join(format!("{stem}.d"));
    let text = fs::read_to_string(&listing).map_err(|error| format!("{}: {error}", listing.display()))?;
    Ok(Guest { name: plugin.to_owned(), module: release.join(format!("{stem}.wasm")), sources: sources(&text) })
}

/// The files after the colon of a listing in the manner of make, where a space within a name is written `\ `.
fn sources(listing: &str) -> Vec<PathBuf> {
    let files = listing.lines().filter_map(|line| line.split_once(": ")).map(|(_, files)| files);
    files
        .flat_map(|files| files.replace("\\ ", "\0").split(' ').map(|file| file.replace('\0', " ")).collect::<Vec<_>>())
        .filter(|file| !file.is_empty())
        .map(PathBuf::from)
        .collect()
}

/// Flags, wrappers and profiles of the outer build must not reach the guests: the component is the same whether it is
/// built for a test, for clippy or for a release.
fn clear_environment(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let of_cargo = name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
        let of_rustc = name.starts_with("RUSTC") || matches!(name, "RUSTFLAGS" | "RUSTDOCFLAGS");
        let of_script = matches!(name, "OUT_DIR" | "TARGET" | "HOST" | "OPT_LEVEL" | "DEBUG" | "PROFILE" | "NUM_JOBS");
        if of_cargo || of_rustc || of_script {
            command.env_remove(name);
        }
    }
}

/// What is asked of the compiler before it is used.
struct Toolchain {
    sysroot: PathBuf,
    commit: String,
}

impl Toolchain {
    fn read() -> Result<Self, String> {
        let sysroot = PathBuf::from(ask_rustc(&["--print", "sysroot"])?.trim());
        if !sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            return Err(format!("the plugins need Rust's {TARGET} target: run `rustup target add {TARGET}`"));
        }
        let version = ask_rustc(&["-vV"])?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
        Ok(Self { sysroot, commit: commit.to_owned() })
    }

    /// Names in the component are the same on every machine: no folder of this one is in it. The last prefix that fits
    /// counts, so the inner folders come last.
    fn flags(&self, workspace: &Path, target_dir: &Path) -> String {
        let mut prefixes = vec![
            (workspace.to_path_buf(), "/lifeboat".to_owned()),
            (target_dir.to_path_buf(), "/guests".to_owned()),
            (self.sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{}", self.commit)),
        ];
        if let Some(home) = cargo_home() {
            prefixes.push((home.join("registry/src"), "/crates".to_owned()));
        }
        let flags = prefixes.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
        flags.collect::<Vec<_>>().join("\x1f")
    }
}

fn cargo_home() -> Option<PathBuf> {
    let set = env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))
}

fn ask_rustc(arguments: &[&str]) -> Result<String, String> {
    let rustc = variable("RUSTC")?;
    let output = Command::new(&rustc).args(arguments).output().map_err(|error| format!("{rustc}: {error}"))?;
    String::from_utf8(output.stdout).map_err(|error| format!("{rustc} {}: {error}", arguments.join(" ")))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
