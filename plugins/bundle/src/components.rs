//! The table that `build.rs` writes.

include!(concat!(env!("OUT_DIR"), "/components.rs"));
