//! What is defined in a database (tables, functions, triggers, rights), as `pg_dump` prints it from a copy.

use lifeboat_plugin::{Connection, Failure, Machine, Postgres, machine};

use crate::{
    call::digest::short_hash,
    copy::{
        instance::{self, Instance},
        marker::{self, Marker},
    },
    server::{
        self,
        identifier::{quote_identifier, quote_literal},
    },
};

/// What is made before the rows are there, and what after them: indexes, foreign keys, triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Tables, types, functions, rights.
    BeforeRows,
    /// Indexes, constraints, triggers, event triggers.
    AfterRows,
}

impl Section {
    fn option(self) -> &'static str {
        match self {
            Self::BeforeRows => "--section=pre-data",
            Self::AfterRows => "--section=post-data",
        }
    }
}

/// A copy from which is dumped. It takes the login of `pg_dump` by its socket without a password while that runs: plugins see none.
pub struct DumpSource<'a, C> {
    caps: &'a C,
    machine: &'a str,
    folder: String,
    marker: Marker,
}

impl<'a, C: Machine + Postgres> DumpSource<'a, C> {
    /// Fails with `pg-no-socket` where the copy has no socket: over the network others could log in too.
    pub fn find(caps: &'a C, machine: &'a str, instance: &str) -> Result<Self, Failure> {
        let marker = marker::read(caps, machine, instance)?;
        let folder = marker::folder(caps, machine, instance)?;
        let name = format!(".s.PGSQL.{}", marker.port);
        if !caps.list_folder(machine, &format!("{folder}/socket"))?.iter().any(|entry| entry.name == name) {
            let message = format!(
                "the copy {instance} has no socket in {folder}/socket, and pg_dump needs to log in without a password for a \
                 moment, which nobody may do over the network: the path of the folder `work` of `{machine}` is too long for one"
            );
            return Err(Failure::permanent("pg-no-socket", message));
        }
        Ok(Self { caps, machine, folder, marker })
    }

    /// A connection to the copy.
    pub fn open(&self) -> Result<C::Connection, Failure> {
        Ok(self.marker.open(self.caps, self.machine, &self.folder)?)
    }

    /// Dumps both sections into files, and returns their content.
    pub fn dump(&self, before: &str, after: &str) -> Result<(String, String), Failure> {
        let connection = self.open()?;
        let login = server::login(&connection, &[])?;
        let access = instance::host_access(&login.user, self.marker.by_socket);
        let trusting = format!("local all {} trust\n{access}", quote_identifier(&login.user));
        let dumped = self.configure(&connection, &trusting).and_then(|()| {
            let dump = |section: Section, path: &str| self.run(section, (&login.user, &login.database), path);
            Ok((dump(Section::BeforeRows, before)?, dump(Section::AfterRows, after)?))
        });
        self.configure(&connection, &access)?;
        dumped
    }

    fn configure(&self, connection: &C::Connection, access: &str) -> Result<(), Failure> {
        let instance = Instance { caps: self.caps, machine: self.machine, folder: &self.folder, startup: None };
        self.caps.write_file(self.machine, &format!("{}/pg_hba.conf", instance.data()), access.as_bytes())?;
        connection.query("SELECT pg_catalog.pg_reload_conf() AS reloaded", &[])?;
        Ok(())
    }

    fn run(&self, section: Section, (user, database): (&str, &str), path: &str) -> Result<String, Failure> {
        let (port, socket) = (self.marker.port.to_string(), format!("{}/socket", self.folder));
        let arguments = [
            section.option(),
            "--no-password",
            "--no-subscriptions",
            "-h",
            &socket,
            "-p",
            &port,
            "-U",
            user,
            "-d",
            database,
            "-f",
            path,
        ];
        let arguments = arguments.map(str::to_owned);
        let output = self.caps.run(self.machine, "pg_dump", &arguments, None)?;
        if !output.succeeded() {
            let says = output.last_lines(4);
            let message = format!("pg_dump ended with {}: {says}", output.exit);
            // The server may not have read its new file yet.
            let early = says.contains("password") || says.contains("pg_hba.conf");
            return Err(if early {
                Failure::transient("pg-dump-failed", message)
            } else {
                Failure::permanent("pg-dump-failed", message)
            });
        }
        match self.caps.read_file(self.machine, path) {
            Ok(content) => Ok(plain(&String::from_utf8_lossy(&content))),
            Err(machine::Error::NotFound(path)) => {
                Err(Failure::permanent("pg-dump-failed", format!("pg_dump wrote no {path}")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Without the two commands that are meant for `psql`, which carry a random word: a line of a function's body is not one of them.
pub fn plain(dump: &str) -> String {
    let word = dump.lines().find_map(|line| line.strip_prefix("\\restrict ")).unwrap_or_default();
    let is_meta = |line: &&str| {
        !word.is_empty() && [format!("\\restrict {word}"), format!("\\unrestrict {word}")].contains(&(*line).to_owned())
    };
    dump.lines().filter(|line| !is_meta(line)).map(|line| format!("{line}\n")).collect()
}

/// All statements of a dump as one.
pub fn as_one_statement(dump: &str) -> String {
    let tag = format!("$lifeboat_{}$", short_hash(dump));
    format!("DO {tag} BEGIN EXECUTE {}; END {tag}", quote_literal(dump))
}

/// The tables of a database that hold rows of their own, but for those of extensions.
pub const TABLES: &str = "
SELECT n.nspname::text AS schema, c.relname::text AS name,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum) AS columns
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence IN ('p', 'u') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1, 2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_psql_alone_knows_is_left_out() {
        let dump = "\\restrict x1\nCREATE TABLE t ();\n\\restrict y\n\\unrestrict x1\n";
        assert_eq!(plain(dump), "CREATE TABLE t ();\n\\restrict y\n");
        assert_eq!(plain("SELECT 1;\n"), "SELECT 1;\n");
    }

    #[test]
    fn a_dump_cannot_end_its_statement() {
        let statement = as_one_statement("SELECT 'it''s'; $lifeboat$ \\");
        assert!(statement.starts_with("DO $lifeboat_") && statement.contains("E'SELECT ''it''''s''; $lifeboat$ \\\\'"));
    }
}
