//! The application's login, with the password that is kept for it now: like an application that asks a store of secrets for it each time
//! that it connects.

use std::{fs, path::PathBuf, time::Duration};

use async_trait::async_trait;
use tokio_postgres::Config;

use crate::store::{Client, ConnectError, Endpoint, postgres::PostgresEndpoint};

/// A login whose password may be replaced.
#[derive(Debug)]
pub(super) struct KeptLogin {
    /// The login, with the password that it was made with.
    pub(super) login: Config,
    /// The files that may hold another one; the first that is there counts.
    pub(super) files: Vec<PathBuf>,
}

impl KeptLogin {
    fn now(&self) -> Config {
        let kept = self.files.iter().find_map(|file| fs::read_to_string(file).ok());
        let mut login = self.login.clone();
        if let Some(password) = kept {
            login.password(password.trim());
        }
        login
    }
}

#[async_trait]
impl Endpoint for KeptLogin {
    async fn connect(&self, within: Duration) -> Result<Box<dyn Client>, ConnectError> {
        PostgresEndpoint(self.now()).connect(within).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_that_is_kept_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app");
        let mut login = Config::new();
        login.user("app").password("old");
        let kept = KeptLogin { login, files: vec![folder.path().join("none"), file.clone()] };
        assert_eq!(kept.now().get_password(), Some(b"old".as_slice()));
        fs::write(file, "new\n").unwrap();
        assert_eq!(kept.now().get_password(), Some(b"new".as_slice()));
    }
}
