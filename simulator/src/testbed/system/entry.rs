//! What runs leave in a system.

/// Something that lies in the folder in which copies are restored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkEntry {
    /// Its name.
    pub name: String,
    /// Whether it is a plain file, which no copy is.
    pub is_file: bool,
    /// Whether it is a small plain file that names one of the runs.
    pub names_run: bool,
}
