//! The primary server of a testbed: made, configured, started, stopped and killed by running programs in its place.

use std::time::Duration;

use super::{
    error::TestbedError,
    layout::Inside,
    place::{Call, Place},
    roles,
    secrets::Secrets,
};

const START_TIMEOUT_S: u32 = 60;
/// Attempts to start after a kill: the processes of the dead server may need a moment to notice.
const RESTART_ATTEMPTS: u32 = 10;

/// A server that is managed in its place.
#[derive(Debug)]
pub(super) struct Primary {
    pub(super) place: Place,
    pub(super) inside: Inside,
    /// Folder of PostgreSQL's programs there.
    pub(super) bin: String,
    /// The port it listens on there.
    pub(super) port: u16,
    /// What it listens on there, and who may log in from where.
    pub(super) reach: Reach,
    pub(super) archive_timeout_s: u32,
    pub(super) wal_segment_mib: Option<u16>,
}

/// From where a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// From this machine only.
    Loopback,
    /// From the network of its container.
    Network,
}

impl Primary {
    fn program(&self, name: &str) -> String {
        format!("{}/{name}", self.bin)
    }

    /// Makes the cluster (with data checksums) and writes its configuration.
    pub(super) async fn initialise(&self, secrets: &Secrets) -> Result<(), TestbedError> {
        let data = self.inside.data();
        let password_file = self.inside.folder("primary/password");
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
            // Nothing in a cluster that is a second old is worth waiting for the disk; the server itself syncs.
            "--no-sync",
        ];
        arguments.extend(segments.as_deref());
        self.place.run(&self.program("initdb"), Call::new(&arguments)).await?;
        self.place.run("rm", Call::new(&[&password_file])).await?;
        let arguments = ["-c", "cat >> \"$0\"", &format!("{data}/postgresql.conf")];
        let configuration = self.configuration();
        let call = Call { stdin: configuration.as_bytes(), ..Call::new(&arguments) };
        self.place.run("sh", call).await?;
        let owner = self.place.run("id", Call::new(&["-un"])).await?;
        let map = [roles::SUPERUSER, roles::ENGINE].map(|role| format!("owner \"{}\" {role}\n", owner.trim())).concat();
        self.place.write(&format!("{data}/pg_ident.conf"), &map).await?;
        self.place.write(&format!("{data}/pg_hba.conf"), &self.access()).await
    }

    /// What differs from the defaults. Durability is as in production: `fsync` and `synchronous_commit` stay on.
    fn configuration(&self) -> String {
        let listen = match self.reach {
            Reach::Loopback => "127.0.0.1",
            Reach::Network => "*",
        };
        let sockets = self.inside.folder("sockets");
        let archive = archive_command(&self.inside.folder("archive"));
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
            port = self.port,
            sockets = literal(&sockets),
            timeout = self.archive_timeout_s,
            archive = literal(&archive),
        )
    }

    fn access(&self) -> String {
        let from = match self.reach {
            Reach::Loopback => "127.0.0.1/32",
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
    pub(super) async fn start(&self) -> Result<(), TestbedError> {
        let data = self.inside.data();
        let log = self.inside.folder("primary/log");
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

    /// A fast shutdown: sessions are ended, a checkpoint is written.
    pub(super) async fn stop(&self) -> Result<(), TestbedError> {
        let data = self.inside.data();
        let arguments = ["stop", "-s", "-w", "-t", "60", "-m", "fast", "-D", &data];
        self.place.run(&self.program("pg_ctl"), Call::new(&arguments)).await.map(drop)
    }

    /// `kill -9` of the postmaster; its children end as they notice, which is waited for.
    pub(super) async fn kill(&self) -> Result<(), TestbedError> {
        self.place.run("sh", Call::new(&["-c", KILL, &self.inside.data()])).await.map(drop)
    }
}

/// Afterwards the shared memory is released and the lock files are removed: where nobody reaps it, the dead postmaster stays
/// as a zombie, which PostgreSQL takes for a running server, and a server that is not started again would leave its
/// segment behind.
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

/// Copies a segment under another name, syncs it, and renames it: a segment in the archive is whole. One that is there
/// already must be the same, which happens when the server was killed between the copy and its own note of it.
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
