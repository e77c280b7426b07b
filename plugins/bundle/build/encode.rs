//! From a core module to a component.

use std::{fs, path::Path};

use wit_component::ComponentEncoder;

use crate::guests::Guest;

/// Writes `<name>.wasm` into `out`. What the module does not import is not in the component's import list.
pub(crate) fn component(guest: &Guest, out: &Path) -> Result<(), String> {
    let module = fs::read(&guest.module).map_err(|error| format!("{}: {error}", guest.module.display()))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| format!("the plugin `{}` is not a component: {error:#}", guest.name))?;
    let path = out.join(format!("{}.wasm", guest.name));
    fs::write(&path, component).map_err(|error| format!("{}: {error}", path.display()))
}
