//! Builds the plugins to WebAssembly components, so that they are constants of this crate.
//!
//! A nested cargo compiles them for `wasm32-unknown-unknown` into a target folder of its own (so it never waits for the
//! lock of the outer one), and `wit-component` encodes and validates the result.

#[path = "build/encode.rs"]
mod encode;
#[path = "build/guests.rs"]
mod guests;
#[path = "build/table.rs"]
mod table;

use std::{env, path::PathBuf, process::ExitCode};

/// The plugins, by name; each is the package `plugin-<name>` in `plugins/<name>`.
const PLUGINS: [&str; 3] = ["endpoint", "notify", "pg"];

/// Built beside them for tests of the host, and not in the table.
const HOSTILE: &str = "hostile";

fn main() -> ExitCode {
    match bundle() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn bundle() -> Result<(), String> {
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|error| format!("OUT_DIR: {error}"))?);
    let workspace = guests::workspace()?;
    let built = guests::build(&workspace, &out, &[&PLUGINS[..], &[HOSTILE]].concat())?;
    for guest in &built {
        encode::component(guest, &out)?;
        for source in &guest.sources {
            println!("cargo::rerun-if-changed={}", source.display());
        }
    }
    for file in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "wit", "plugins/sdk/Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }
    for plugin in PLUGINS.iter().chain(&[HOSTILE]) {
        println!("cargo::rerun-if-changed={}", workspace.join("plugins").join(plugin).join("Cargo.toml").display());
    }
    for file in ["build.rs", "build/encode.rs", "build/guests.rs", "build/table.rs"] {
        println!("cargo::rerun-if-changed={file}");
    }
    table::write(&out, &PLUGINS, HOSTILE)
}
