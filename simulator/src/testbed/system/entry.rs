//! What runs leave in a system.

/// An entry of the folder in which copies are restored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkEntry {
    /// Its name.
    pub name: String,
    /// Whether it is a plain file; a copy is not.
    pub is_file: bool,
    /// Whether it is a small plain file that names one of the runs.
    pub names_run: bool,
}
