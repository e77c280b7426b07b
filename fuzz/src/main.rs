//! libFuzzer over one of the targets, which the variable `LIFEBOAT_FUZZ` names.
#![no_main]

mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("LIFEBOAT_FUZZ").unwrap_or_default();
    let known = || targets::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let found = targets::ALL.iter().find(|(target, _)| *target == name);
    found.map(|(_, target)| *target).unwrap_or_else(|| panic!("LIFEBOAT_FUZZ names no target; there are {}", known()))
});

fuzz_target!(|data: &[u8]| (*TARGET)(data));
