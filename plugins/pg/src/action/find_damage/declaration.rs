//! What the action says of itself.

use lifeboat_plugin::{Action, Effect};

pub(in crate::action) fn action() -> Action {
    let action = Action::new(
        "find-damage",
        Effect::Mutate,
        "Finds in the WAL archive which transaction removed rows of a table, or changed them, and writes down exactly \
         which rows of which tables these were, cascades included. Reads the archive with pg_waldump; changes nothing but its file in `work`.",
    )
    .parameter("server", "target<postgres:read>", "The server that lost the rows.")
    .parameter("machine", "target<machine:write>", "Where the archive lies and the exact set is written.")
    .parameter("table", "string", "The table, as in a query: `public.customers`. A partitioned one stands for its partitions.")
    .parameter(
        "since",
        "timestamp",
        "Earliest moment at which the transaction can have committed, as observed from outside. Its start does not \
         matter.",
    )
    .optional(
        "damage",
        "string",
        "What is looked for: `removed` (the default), `changed` (a wrong UPDATE), or `any`: removed rows, and if no transaction removed \
         any, changed ones.",
    )
    .optional("until", "timestamp", "Latest moment at which it can have committed.")
    .optional("xid", "int", "The transaction, if it is known, or if several did similar damage; 0 means unknown.")
    .optional("xids", "list<int>", "Several transactions, which are put back together from one copy before the first of them.")
    .optional("all", "bool", "Take all transactions that removed rows of the table between `since` and `until` together (false).")
    .optional("timeline", "int", "Which timeline is searched (the one that `server` writes on); 0 means that one too.")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("work", "string", "Folder of the binding for the exact set (`work`, where it goes with the run's other files).");
    found(action)
    .output("set_file", "string", "File on the machine with the exact set.")
    .output("set_digest", "string", "`sha256:…` of that file.")
    .output(
        "candidates",
        "list<record{xid: int, commit_time: timestamp, rows: int, tables: list<string>, chosen: bool, early: bool, application?: string, \
         user?: string}>",
        "Transactions that removed rows of the table, largest first, at most 50 of the chosen ones and 20 others; `tables` are those of its \
         partitions and children, `early` says that it committed shortly before `since`, `application` and `user` are there where the \
         server's log can be read and has them.",
    )
    .output("others", "int", "How many of them were not chosen.")
    .output("candidates_text", "string", "The same as sentences for people.")
    .output("segments", "int", "WAL segments that were searched.")
    .idempotent()
}

/// What was found, in numbers and for people.
fn found(action: Action) -> Action {
    action
    .output("damage", "string", "What was found: `removed`, or `changed`.")
    .output(
        "values",
        "int",
        "If `changed` was found, the rows whose values can be put back with a second copy, restored to just after the transaction \
         (`target: { xid: … }`); otherwise 0.",
    )
    .output("xid", "int", "The transaction; of several, the one that committed first.")
    .output("xids", "list<int>", "All that are put back, in the order of their commits.")
    .output("lsn", "string", "Where the commit record of the first one begins.")
    .output("commit_time", "timestamp", "When the first one committed.")
    .output("last_commit_time", "timestamp", "When the last one committed.")
    .output("first_lsn", "string", "Their first removal of a row of the table.")
    .output("rows", "int", "Rows of the table that they removed.")
    .output("rows_total", "int", "Rows that they removed, of all tables.")
    .output("tables", "list<record{table: string, rows: int, updated: int}>", "Rows removed and rows changed, by table.")
    .output("changed", "int", "Rows that they changed and that are still there (ON DELETE SET NULL, UPDATE).")
    .output("objects", "int", "Large objects that they removed.")
    .output("objects_changed", "int", "Parts (2 kB) of large objects that they changed or cut off.")
    .output("unplaced", "int", "Removed rows that others inserted after the first commit: no copy has them.")
    .output("outdated", "int", "Removed rows that others changed after the first commit: the copy has them as they \
                                were before.")
    .output("changes_text", "string", "What they did besides removing rows, as sentences for people.")
    .output(
        "locked",
        "list<string>",
        "Tables of the exact set that the transaction locked against reading until its commit (ALTER TABLE, LOCK TABLE): a copy \
         that is paused before it cannot be read there, so restore it with `promote: true`.",
    )
    .output(
        "emptied",
        "list<string>",
        "Tables that the transaction emptied (TRUNCATE): the WAL names no row of them, so every row that the copy has of them belongs to \
         the exact set, and is not counted here.",
    )
    .output(
        "dropped_files",
        "int",
        "Files of tables and indexes that went with the transaction (TRUNCATE, DROP): rows in them are not in the exact set, but for those \
         of `emptied`.",
    )
}
