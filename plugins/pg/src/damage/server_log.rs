//! Who ran a transaction, by the server's own log, if that can be read: in the folder `log` of the machine's binding. The WAL does
//! not say it. A server is not asked for its log: a login that may read files through it may read all of them. Only a bounded part of
//! the log around the commit is read, and what is not found is left out.

use lifeboat_plugin::{
    Connection, Failure, Machine, Runtime,
    machine::{Entry, EntryKind},
    postgres::Value,
};

use crate::{
    damage::log_line::{self, Client, Format, Prefix},
    rows::content,
    server,
};

/// Folder of a binding that contains the server's log, if that is on the machine.
const LOG: &str = "log";
/// How many transactions are looked up.
const LOOKED_UP_MAX: usize = 10;
/// Of each of so many files: the one that was written at the commit, and the next one.
const FILES_MAX: usize = 2;
/// So much before the commit is read, and so much after it: a record can be written late.
const BEFORE_BYTES: u64 = 2 << 20;
const AFTER_BYTES: u64 = 256 << 10;
/// So much is read at once, and so much to see when it was written.
const PIECE_BYTES: u64 = 1 << 20;
const PROBE_BYTES: u64 = 16 << 10;

/// A file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    name: String,
    bytes: u64,
    modified_ms: u64,
}

/// The location of the log.
struct Place<'a, C: Machine + Runtime> {
    caps: &'a C,
    machine: &'a str,
    folder: String,
}

/// The log, as far as it can be read.
pub struct ServerLog<'a, C: Machine + Runtime, P: Connection> {
    connection: &'a P,
    place: Place<'a, C>,
    /// Each file with how it is written, the oldest first.
    files: Vec<(File, Format)>,
}

impl<'a, C: Machine + Runtime, P: Connection> ServerLog<'a, C, P> {
    /// `None` if it cannot be read, or does not name transactions.
    pub fn open(connection: &'a P, caps: &'a C, machine: &'a str) -> Option<Self> {
        let place = Place { caps, machine, folder: caps.folder(machine, LOG).ok()? };
        let prefix = server::setting(connection, "log_line_prefix").ok()??;
        let prefix = Prefix::parse(&prefix).map(Format::Text);
        let format = |name: &str| match name.rsplit_once('.') {
            Some((_, "csv")) => Some(Format::Csv),
            Some((_, "json")) => Some(Format::Json),
            _ => prefix.clone(),
        };
        let mut files: Vec<_> =
            place.list().ok()?.into_iter().filter_map(|file| Some((format(&file.name)?, file))).collect();
        files.sort_by(|(_, one), (_, other)| (one.modified_ms, &one.name).cmp(&(other.modified_ms, &other.name)));
        let files: Vec<_> = files.into_iter().map(|(format, file)| (file, format)).collect();
        (!files.is_empty()).then_some(Self { connection, place, files })
    }

    /// Who ran each of these transactions, which committed then (RFC 3339).
    pub fn clients(&self, transactions: &[(u32, String)]) -> Vec<Option<Client>> {
        let known = transactions.iter().take(LOOKED_UP_MAX);
        known.map(|(xid, committed)| self.client(*xid, committed).ok().flatten().map(harmless)).collect()
    }

    fn client(&self, xid: u32, committed: &str) -> Result<Option<Client>, Failure> {
        let rows = self.connection.query(
            "SELECT floor(extract(epoch FROM t.at) * 1000)::bigint AS ms,
                    to_char((t.at + interval '2 seconds') AT TIME ZONE current_setting('log_timezone'), 'YYYY-MM-DD HH24:MI:SS') AS text
               FROM (SELECT $1::text::timestamptz AS at) AS t",
            &[Value::from(committed)],
        )?;
        let (ms, text): (i64, String) = (rows.one()?.get("ms")?, rows.one()?.get("text")?);
        let ms = u64::try_from(ms).unwrap_or_default();
        for kind in [Format::is_json, Format::is_csv, Format::is_text] {
            // Some file systems record the time of a write in whole seconds.
            let files = self.files.iter().filter(|(file, format)| kind(format) && file.modified_ms + 1_000 >= ms);
            for (file, format) in files.take(FILES_MAX) {
                let end = (self.position(file, &text)? + AFTER_BYTES).min(file.bytes);
                let part = self.read(file, end.saturating_sub(BEFORE_BYTES + AFTER_BYTES), end)?;
                if let Some(client) = format.client_of(xid, &part) {
                    return Ok(Some(client));
                }
            }
        }
        Ok(None)
    }

    /// About where the first record later than that begins. A log is written in the order of time.
    fn position(&self, file: &File, later_than: &str) -> Result<u64, Failure> {
        let (mut low, mut high) = (0, file.bytes);
        while high - low > PROBE_BYTES {
            let middle = low + (high - low) / 2;
            let piece = self.read(file, middle, (middle + PROBE_BYTES).min(high))?;
            // The rest of a record that begins before says nothing.
            let begin = piece.iter().position(|byte| *byte == b'\n').unwrap_or_default();
            match log_line::time(&piece[begin..]) {
                Some((_, time)) if time.as_str() > later_than => high = middle,
                // A long statement without a time in it belongs to what is before.
                _ => low = middle + 1,
            }
        }
        Ok(high)
    }

    fn read(&self, file: &File, from: u64, to: u64) -> Result<Vec<u8>, Failure> {
        let mut part = Vec::new();
        let mut at = from;
        while at < to {
            let piece = self.place.read(&file.name, at, PIECE_BYTES.min(to - at))?;
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            part.extend(piece);
        }
        Ok(part)
    }
}

impl<C: Machine + Runtime> Place<'_, C> {
    fn list(&self) -> Result<Vec<File>, Failure> {
        let entries = self.caps.list_folder(self.machine, &self.folder)?;
        let files = entries.into_iter().filter(|entry| entry.kind == EntryKind::File);
        let file = |entry: Entry| File { name: entry.name, bytes: entry.size, modified_ms: entry.modified_ms };
        Ok(files.map(file).collect())
    }

    fn read(&self, name: &str, from: u64, bytes: u64) -> Result<Vec<u8>, Failure> {
        let length = u32::try_from(bytes).unwrap_or(u32::MAX);
        let names = [name.to_owned()];
        Ok(self.caps.read_parts(self.machine, &self.folder, &names, from, length)?.pop().unwrap_or_default())
    }
}

fn harmless(client: Client) -> Client {
    Client { application: content::clean(&client.application), user: client.user.map(|user| content::clean(&user)) }
}
