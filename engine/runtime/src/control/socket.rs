//! The socket's place and permissions.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

/// Its name in the run's folder.
const NAME: &str = "control.sock";
/// The operating system takes no longer path of a socket.
const PATH_BYTES_MAX: usize = 100;

/// Makes the socket in a run's folder; one that a dead engine left there is replaced. The caller holds the run's lock.
///
/// Its owner may connect, and its group where the group may write into the folder: they could write the journal as well.
pub(super) fn listen(folder: &Path) -> io::Result<UnixListener> {
    // Made where no other user can reach it, and moved when its permissions are right.
    let private = folder.join(".control");
    let _ = fs::remove_dir_all(&private);
    DirBuilder::new().mode(0o700).create(&private)?;
    let made = private.join(NAME);
    let listener = at_short_path(&made, |path| UnixListener::bind(path))?;
    fs::set_permissions(&made, fs::Permissions::from_mode(mode(folder)?))?;
    fs::rename(&made, path(folder))?;
    fs::remove_dir(&private)?;
    Ok(listener)
}

/// Connects to the socket in a run's folder; `None` where no engine listens there.
pub(super) async fn connect(folder: &Path) -> io::Result<Option<UnixStream>> {
    // Whether a connection is taken is decided at once: nothing is waited for here.
    let stream = at_short_path(&path(folder), |path| std::os::unix::net::UnixStream::connect(path));
    match stream {
        Ok(stream) => {
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream).map(Some)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where it lies.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

fn mode(folder: &Path) -> io::Result<u32> {
    let group_writes = fs::metadata(folder)?.mode() & 0o020 != 0;
    Ok(if group_writes { 0o660 } else { 0o600 })
}

/// Calls with the path, or with a short one to the same place where it is too long.
fn at_short_path<T>(path: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return call(path) };
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return call(path);
    }
    let folder = File::open(folder)?;
    call(&PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn the_group_may_connect_where_it_may_write() {
        let folder = tempfile::tempdir().unwrap();
        for (of_folder, of_socket) in [(0o700, 0o600), (0o755, 0o600), (0o770, 0o660)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(of_folder)).unwrap();
            drop(listen(folder.path()).unwrap());
            assert_eq!(permissions(&path(folder.path())), of_socket);
        }
        assert!(!folder.path().join(".control").exists());
    }

    #[tokio::test]
    async fn nobody_listens_where_the_engine_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(connect(folder.path()).await.unwrap().is_none(), "there never was one");
        let listener = listen(folder.path()).unwrap();
        assert!(connect(folder.path()).await.unwrap().is_some());
        drop(listener);
        // A process that another test has just begun to start holds it too, until it is started.
        let mut tries = 0..100_000;
        while connect(folder.path()).await.unwrap().is_some() {
            assert!(tries.next().is_some(), "a stale socket is nobody");
        }
        listen(folder.path()).unwrap();
    }

    #[tokio::test]
    async fn a_folder_may_be_as_deep_as_it_likes() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("x".repeat(120));
        fs::create_dir(&folder).unwrap();
        let _listener = listen(&folder).unwrap();
        assert!(connect(&folder).await.unwrap().is_some());
    }
}
