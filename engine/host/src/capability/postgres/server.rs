//! A real PostgreSQL server for tests, in a temporary folder on loopback, gone with its value.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use lifeboat_core::bindings::{Postgres, SecretRef, System, Tls};
use tempfile::TempDir;

pub(super) const PASSWORD: &str = "planted-secret-3f9a";

pub(super) struct Server {
    folder: TempDir,
    pub(super) port: u16,
}

fn bin() -> PathBuf {
    let mut versions: Vec<_> =
        fs::read_dir("/usr/lib/postgresql").unwrap().flatten().map(|entry| entry.path()).collect();
    versions.sort();
    versions.pop().expect("PostgreSQL is installed").join("bin")
}

/// Servers refuse to run as root.
fn run(program: &str, arguments: &[&str]) {
    let path = bin().join(program);
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
        command
    } else {
        Command::new(path)
    };
    let output = command.args(arguments).current_dir("/").output().unwrap();
    assert!(
        output.status.success(),
        "{program}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Server {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder, port };
        let data = server.data();
        run("initdb", &["-D", &data, "-U", "app", "-A", "scram-sha-256", "-N", "--pwfile", &server.password()]);
        let options = format!("-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off");
        run("pg_ctl", &["-D", &data, "-w", "-l", &format!("{data}.log"), "-o", &options, "start"]);
        server
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn password(&self) -> String {
        self.folder.path().join("password").display().to_string()
    }

    pub(super) fn system(&self) -> Postgres {
        Postgres {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            database: "postgres".to_owned(),
            user: "app".to_owned(),
            password: Some(SecretRef::File(self.password())),
            tls: Tls::Disable,
            system_identifier: None,
            archive_interval: None,
        }
    }

    pub(super) fn bound(&self) -> System {
        System::Postgres(self.system())
    }

    pub(super) fn stop(&self) {
        run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "stop"]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if PathBuf::from(self.data()).join("postmaster.pid").exists() {
            self.stop();
        }
    }
}
