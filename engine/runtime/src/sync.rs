//! Names in folders that survive a power cut.

use std::{fs::File, io, path::Path};

/// A new name in a folder survives a power cut only when the folder itself was synced.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
