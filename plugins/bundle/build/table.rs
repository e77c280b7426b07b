//! The Rust source that names the components.

use std::{fmt::Write as _, fs, path::Path};

/// Writes `components.rs`: the table, and the macro that names every plugin.
pub(crate) fn write(out: &Path, plugins: &[&str], hostile: &str) -> Result<(), String> {
    let path = out.join("components.rs");
    fs::write(&path, source(plugins, hostile)).map_err(|error| format!("{}: {error}", path.display()))
}

fn source(plugins: &[&str], hostile: &str) -> String {
    let (mut rows, mut calls) = (String::new(), String::new());
    for plugin in plugins {
        let _ = writeln!(rows, "    ({plugin:?}, {}),", content(plugin));
        let _ = writeln!(calls, "        $check!({plugin});");
    }
    format!(
        "/// Every plugin: its name and its component.\n\
         pub const COMPONENTS: &[(&str, &[u8])] = &[\n{rows}];\n\n\
         /// A plugin that breaks every promise, for tests of the host. It is not one of [`COMPONENTS`].\n\
         pub const HOSTILE: &[u8] = {};\n\n\
         /// Calls a macro with the name of each plugin, so that code which must exist for each can be demanded at compile time.\n\
         #[macro_export]\n\
         macro_rules! foreach_plugin {{\n    ($check:ident) => {{\n{calls}    }};\n}}\n",
        content(hostile)
    )
}

fn content(plugin: &str) -> String {
    format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{plugin}.wasm\"))")
}
