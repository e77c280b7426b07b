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
pub use list::{Listed, Standing};
pub use load::Loaded;
pub use run_folder::ChangedFile;
pub(crate) use run_folder::{Resources, RunFolder, sync_folder};
pub use store::{FolderDesk, FolderLeases, FolderLog};
