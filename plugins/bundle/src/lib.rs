//! The plugins that Lifeboat ships, as components: what the binary, the simulator and the tests give to the host.
//!
//! `build.rs` compiles and encodes them. The same sources give the same bytes on every machine.

mod components;

pub use components::{COMPONENTS, HOSTILE};
