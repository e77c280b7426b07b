//! One holding of a drill: as it is, as a control, or without a fault.

use std::path::PathBuf;

use crate::{controls::Control, model::Size};

/// A holding.
#[derive(Debug, Clone)]
pub(super) struct Holding {
    /// For the phases that an observer sees; empty for the drill itself.
    pub(super) name: String,
    /// Whether the disaster happens.
    pub(super) fault: bool,
    /// A known breakage.
    pub(super) sabotage: Option<Control>,
    /// How much is loaded.
    pub(super) size: Size,
    /// The engine's state folder of this holding.
    pub(super) home: PathBuf,
    /// Compiled plugins are shared by all holdings.
    pub(super) cache: PathBuf,
}
