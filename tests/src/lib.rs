//! What the end-to-end tests share: the built binary, and where the repository lies.

pub mod bindings;
pub mod finding;
pub mod killing;
pub mod rehearsal;
pub mod scene;
pub mod source;
pub mod ssh;
pub mod stand;
pub mod two_regions;
pub mod webhook;
pub mod workflow;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in a folder of the repository")
}

/// The `lifeboat` binary of this checkout, built once a test process: cargo builds binaries for tests of their own package
/// only. Benchmarks get the release build; `LIFEBOAT_BINARY` names another one.
pub fn lifeboat() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(binary) = std::env::var_os("LIFEBOAT_BINARY") {
            return binary.into();
        }
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--locked", "--package", "lifeboat", "--message-format=json", "--profile", profile])
            .current_dir(repository())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "cargo build: {}", String::from_utf8_lossy(&output.stderr));
        executable(&output.stdout).expect("cargo names the executable that it built")
    })
}

fn executable(messages: &[u8]) -> Option<PathBuf> {
    String::from_utf8_lossy(messages)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .find(|path| path.file_stem().is_some_and(|name| name == "lifeboat"))
}
