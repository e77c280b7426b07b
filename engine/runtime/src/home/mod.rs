//! Where Lifeboat keeps its state: `runs/`, `cache/`, `leases/` and `history.jsonl` in one folder.

mod find;
mod folder;
mod leases;
mod list;
mod load;
mod run_folder;
mod run_name;
mod store;

pub use find::Meant;
pub use folder::Home;
pub use run_folder::ChangedFile;
pub(crate) use run_folder::{Resources, RunFolder};
pub use store::{FolderDesk, FolderLeases, FolderLog};

pub use crate::store::{Listed, Loaded, Standing};
