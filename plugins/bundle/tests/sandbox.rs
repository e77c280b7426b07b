//! What each component can do is what it imports. The decoded WIT is a committed snapshot, so a wider sandbox is a diff that
//! somebody reviews. A plugin without a test of its name here does not compile.

use std::path::Path;

use lifeboat_bundle::{COMPONENTS, foreach_plugin};
use wit_component::{DecodedWasm, WitPrinter};

macro_rules! assert_test_exists {
    ($plugin:ident) => {
        const _: fn() = $plugin;
    };
}
foreach_plugin!(assert_test_exists);

#[test]
fn endpoint() {
    check("endpoint", &["lifeboat:endpoint/", "lifeboat:runtime/"]);
}

#[test]
fn notify() {
    check("notify", &["lifeboat:http/", "lifeboat:runtime/"]);
}

#[test]
fn pg() {
    check("pg", &["lifeboat:machine/", "lifeboat:postgres/", "lifeboat:runtime/"]);
}

#[test]
fn no_folder_of_this_machine_is_in_a_component() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_str().unwrap();
    for (name, bytes) in COMPONENTS {
        for secret in [workspace, "/.cargo/", "/.rustup/", "/target/"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "the component `{name}` names the folder `{secret}`");
        }
    }
}

/// Compares the decoded WIT with the snapshot, and the capabilities with the few that the plugin is meant to have.
fn check(name: &str, capabilities: &[&str]) {
    let (_, bytes) = COMPONENTS.iter().find(|(candidate, _)| *candidate == name).expect("every plugin is in the table");
    let DecodedWasm::Component(resolve, world) = wit_component::decode(bytes).expect("a component") else {
        panic!("`{name}` is no component");
    };
    let imported: Vec<String> = resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect();
    for import in &imported {
        let known = capabilities.iter().chain(&["lifeboat:plugin/types@"]).any(|prefix| import.starts_with(prefix));
        assert!(known, "`{name}` imports `{import}`");
    }
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    let package = resolve.worlds[world].package.expect("a world lies in a package");
    let nested: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != package).collect();
    printer.print(&resolve, package, &nested).expect("what was decoded can be printed");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, printer.output.to_string());
    });
}
