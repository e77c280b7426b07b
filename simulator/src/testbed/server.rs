//! A PostgreSQL server of a testbed: made, configured, started, stopped and killed by programs that run in its place.

use std::time::Duration;

use super::{
    error::TestbedError,
    network::End,
    place::{Call, Place},
    roles,
    secrets::Secrets,
};

const START_TIMEOUT_S: u32 = 60;
/// Attempts to start after a kill: the processes of the dead server may need a moment to end.
const RESTART_ATTEMPTS: u32 = 10;

/// A server that is managed by programs in its place.
#[derive(Debug)]
pub struct Server {
    pub(super) place: Place,
    /// Its folder there, with its data, log, archive and sockets.
    pub(super) folder: String,
    /// Folder of PostgreSQL's programs there.
    pub(super) bin: String,
    /// The place in which it runs.
    pub(super) end: End,
    /// Its address within its own region.
    pub(super) near: (String, u16),
    /// Its address for this process, which no network fault can reach.
    pub(super) direct: (String, u16),
    pub(super) reach: Reach,
    pub(super) archive_timeout_s: u32,
    pub(super) wal_segment_mib: Option<u16>,
}

/// From where a server can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// From this machine only, at this address.
    Loopback(String),
    /// From the network of its container.
    Network,
}

/// The server that a standby follows.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) host: String,
    pub(super) port: u16,
    /// The physical slot that keeps the WAL for it; also its name in `pg_stat_replication`.
    pub(super) slot: String,
}

impl Server {
    fn program(&self, name: &str) -> String {
        format!("{}/{name}", self.bin)
    }

    /// A folder or a file of its own.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn data(&self) -> String {
        self.path("data")
    }

    /// Makes the cluster (with data checksums) and writes its configuration.
    pub(super) async fn initialise(&self, secrets: &Secrets) -> Result<(), TestbedError> {
        let data = self.data();
        let password_file = self.path("password");
        self.place.write(&password_file, &secrets.superuser).await?;
        let password_option = format!("--pwfile={password_file}");
        let segments = self.wal_segment_mib.map(|mib| format!("--wal-segsize={mib}"));
        let mut arguments = vec![
            "--pgdata",
            &data,
            "--username=postgres",
            "--auth=scram-sha-256",
            &password_option,
            "--data-checksums",
            "--encoding=UTF8",
            "--no-locale",
            // A cluster that is a second old is not worth waiting for the disk; the server itself syncs.
            "--no-sync",
        ];
        arguments.extend(segments.as_deref());
        self.place.run(&self.program("initdb"), Call::new(&arguments)).await?;
        self.place.run("rm", Call::new(&[&password_file])).await?;
        self.configure(&self.configuration()).await?;
        let owner = self.place.run("id", Call::new(&["-un"])).await?;
        let map = [roles::SUPERUSER, roles::ENGINE].map(|role| format!("owner \"{}\" {role}\n", owner.trim())).concat();
        self.place.write(&format!("{data}/pg_ident.conf"), &map).await?;
        self.place.write(&format!("{data}/pg_hba.conf"), &self.access()).await
    }

    /// Makes the cluster as a copy of another one, which it follows as soon as it starts.
    pub(super) async fn follow(&self, upstream: &Upstream, secrets: &Secrets) -> Result<(), TestbedError> {
        let (data, port) = (self.data(), upstream.port.to_string());
        let mut arguments =
            vec!["--host", &upstream.host, "--port", &port, "--username", roles::ENGINE, "--no-password"];
        arguments.extend(["--pgdata", &data, "--checkpoint=fast", "--wal-method=stream", "--no-sync"]);
        arguments.extend(["--create-slot", "--slot", &upstream.slot]);
        let call = Call { password: Some(&secrets.engine), ..Call::new(&arguments) };
        self.place.run(&self.program("pg_basebackup"), call).await?;
        let password = self.path("upstream-password");
        let line = format!("*:*:*:{}:{}\n", roles::ENGINE, secrets.engine);
        self.place.write(&password, &line).await?;
        let following = format!(
            "host={host} port={port} user={user} application_name={slot} passfile={password} connect_timeout=2",
            host = upstream.host,
            user = roles::ENGINE,
            slot = upstream.slot,
            password = conninfo(&password),
        );
        let following = format!(
            "{own}primary_conninfo = {following}\n\
             primary_slot_name = '{slot}'\n\
             # A path that swallows everything is noticed within seconds, as in a region that watches its standby.\n\
             wal_receiver_timeout = 5s\n\
             wal_receiver_status_interval = 1s\n\
             wal_retrieve_retry_interval = 200ms\n",
            own = self.configuration(),
            following = literal(&following),
            slot = upstream.slot,
        );
        self.configure(&following).await?;
        self.place.write(&format!("{data}/pg_hba.conf"), &self.access()).await?;
        self.place.write(&format!("{data}/standby.signal"), "").await
    }

    /// Adds to the configuration; the last of several lines for a parameter counts.
    async fn configure(&self, lines: &str) -> Result<(), TestbedError> {
        let arguments = ["-c", "cat >> \"$0\"", &format!("{}/postgresql.conf", self.data())];
        let call = Call { stdin: lines.as_bytes(), ..Call::new(&arguments) };
        self.place.run("sh", call).await.map(drop)
    }

    /// What differs from the defaults. Durability is as in production: `fsync` and `synchronous_commit` stay on.
    fn configuration(&self) -> String {
        let listen = match &self.reach {
            Reach::Loopback(address) => address,
            Reach::Network => "*",
        };
        let sockets = self.path("sockets");
        let archive = archive_command(&self.path("archive"));
        format!(
            "\n# lifeboat testbed\n\
             listen_addresses = '{listen}'\n\
             port = {port}\n\
             unix_socket_directories = {sockets}\n\
             password_encryption = 'scram-sha-256'\n\
             max_connections = 200\n\
             wal_level = replica\n\
             archive_mode = on\n\
             archive_timeout = {timeout}\n\
             archive_command = {archive}\n\
             # Kept in the data folder: a killed server leaves nothing behind in the machine's shared memory.\n\
             dynamic_shared_memory_type = mmap\n",
            port = self.near.1,
            sockets = literal(&sockets),
            timeout = self.archive_timeout_s,
            archive = literal(&archive),
        )
    }

    fn access(&self) -> String {
        let from = match self.reach {
            // Each region of a testbed on processes has loopback addresses of its own.
            Reach::Loopback(_) => "127.0.0.0/8",
            Reach::Network => "samenet",
        };
        format!(
            "# The user that runs the server may take backups over its socket without a password.\n\
             local replication all peer map=owner\n\
             local all         all peer map=owner\n\
             host  replication all {from} scram-sha-256\n\
             host  all         all {from} scram-sha-256\n"
        )
    }

    /// Starts it and waits until it serves, crash recovery included.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(&self) -> Result<(), TestbedError> {
        let data = self.data();
        let log = self.path("log");
        let timeout = START_TIMEOUT_S.to_string();
        let arguments = ["start", "-s", "-w", "-t", &timeout, "-D", &data, "-l", &log];
        for attempt in 1..=RESTART_ATTEMPTS {
            match self.place.run(&self.program("pg_ctl"), Call::new(&arguments)).await {
                Ok(_) => return Ok(()),
                Err(_) if attempt < RESTART_ATTEMPTS && self.is_still_in_use(&log).await => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(self.start_failure(&log, &error).await),
            }
        }
        Err(TestbedError::ServerStart { message: format!("{RESTART_ATTEMPTS} attempts failed") })
    }

    async fn is_still_in_use(&self, log: &str) -> bool {
        let tail = self.place.run("tail", Call::new(&["-n", "3", log])).await.unwrap_or_default();
        tail.contains("shared memory block")
    }

    async fn start_failure(&self, log: &str, error: &TestbedError) -> TestbedError {
        let tail = self.place.run("tail", Call::new(&["-n", "20", log])).await.unwrap_or_default();
        TestbedError::ServerStart { message: format!("{error}\n{}", tail.trim_end()) }
    }

    /// Whether it is running.
    pub async fn runs(&self) -> bool {
        self.place.run(&self.program("pg_ctl"), Call::new(&["status", "-D", &self.data()])).await.is_ok()
    }

    /// A fast shutdown: sessions are ended, a checkpoint is written.
    ///
    /// # Errors
    /// If it does not end in time.
    pub async fn stop(&self) -> Result<(), TestbedError> {
        let data = self.data();
        let arguments = ["stop", "-s", "-w", "-t", "60", "-m", "fast", "-D", &data];
        self.place.run(&self.program("pg_ctl"), Call::new(&arguments)).await.map(drop)
    }

    /// `kill -9` of the postmaster; waits until its children have noticed and ended.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill(&self) -> Result<(), TestbedError> {
        self.place.run("sh", Call::new(&["-c", KILL, &self.data()])).await.map(drop)
    }
}

/// Then releases the shared memory and removes the lock files: if nothing reaps the dead postmaster, it stays as a zombie, which
/// PostgreSQL takes for a running server, and a server that is not started again would leave its segment behind.
const KILL: &str = r#"
read -r postmaster <"$0/postmaster.pid" && kill -9 "$postmaster" || exit 1
for _ in $(seq 600); do
    alive=no
    for process in /proc/[0-9]*; do
        if [ "$(readlink "$process/cwd" 2>/dev/null)" = "$0" ]; then alive=yes; fi
    done
    if [ $alive = no ]; then
        { read -r _; read -r _; read -r _; read -r port; read -r sockets; read -r _; read -r _ memory; } <"$0/postmaster.pid"
        ipcrm -m "$memory" && rm -f "$sockets/.s.PGSQL.$port" "$sockets/.s.PGSQL.$port.lock" "$0/postmaster.pid"
        exit
    fi
    sleep 0.05
done
echo "processes of the killed server do not end" >&2
exit 1
"#;

/// Copies a segment under another name, syncs it, and renames it: a segment in the archive is whole. An existing segment must be
/// identical; this happens if the server was killed after the copy but before it recorded the copy.
fn archive_command(archive: &str) -> String {
    let to = shell_word(archive).replace('%', "%%");
    format!(
        "if [ -e {to}/%f ]; then cmp -s %p {to}/%f; else cp %p {to}/%f.part && sync {to}/%f.part && \
         mv {to}/%f.part {to}/%f && sync {to}; fi"
    )
}

fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A value of a connection string.
fn conninfo(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// A string in `postgresql.conf`.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_survives_hostile_folders() {
        assert_eq!(shell_word("/a b/it's"), r"'/a b/it'\''s'");
        assert_eq!(literal(r"a'b\c"), r"'a''b\\c'");
        let command = archive_command("/100%/x");
        assert!(command.contains("'/100%%/x'/%f.part"), "{command}");
    }
}
