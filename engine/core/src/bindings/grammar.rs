//! The keys of a bindings file.

use crate::grammar::{Field, Object, Shape, optional, required};

const ACCESS: &[&str] = &["read", "write", "destroy"];

/// The whole file.
pub(crate) static BINDINGS: Object = Object {
    what: "a bindings file",
    one_of: &[],
    fields: &[
        required("lifeboat", "Version of the language: 1.", Shape::Version),
        required("targets", "Which real system plays each role.", Shape::Names(&Shape::ByKind(SYSTEMS))),
        optional(
            "people",
            "Who may answer for each role: login names, and `group:NAME` for groups of the operating system.",
            Shape::Names(&Shape::List(&Shape::Text)),
        ),
    ],
};

const SYSTEMS: &[(&str, &Object)] =
    &[("postgres", &POSTGRES), ("machine", &MACHINE), ("notify", &NOTIFY), ("endpoint", &ENDPOINT)];

const fn access() -> Field {
    optional("access", "The most that any runbook may do with it; left out: read.", Shape::Word(ACCESS))
}

static POSTGRES: Object = Object {
    what: "a `postgres` target",
    one_of: &[],
    fields: &[
        access(),
        required("host", "Host name or address.", Shape::Text),
        optional("port", "TCP port; left out: 5432.", Shape::Int(1, 65535)),
        required("database", "Database.", Shape::Text),
        required("user", "Role to log in as.", Shape::Text),
        optional("password", "Its password, as `env:NAME` or `file:/path`.", Shape::Secret),
        optional("tls", "Encryption; left out: verify-full.", Shape::Word(&["disable", "verify-full"])),
        optional("root_cert", "PEM file of root certificates; left out: the platform's.", Shape::Path),
        optional("system_identifier", "Proves that it is the server that is meant.", Shape::Text),
        optional("archive_interval", "How often a WAL segment is archived at the latest.", Shape::Duration),
    ],
};

static MACHINE: Object = Object {
    what: "a `machine` target",
    one_of: &[],
    fields: &[
        access(),
        optional("via", "How to get there; left out: local.", Shape::WordOr(&["local"], &VIA)),
        optional("user", "The user that programs run as.", Shape::Text),
        optional("postgres_bin", "Folder of PostgreSQL's programs, which are then allowed.", Shape::Path),
        optional("programs", "Further programs that may be run.", Shape::Names(&Shape::Object(&PROGRAM))),
        optional("folders", "Folders that may be used.", Shape::Names(&Shape::Object(&FOLDER))),
        optional(
            "ports",
            "Ports for instances there: the address as the engine reaches it.",
            Shape::Ports(&Shape::HostPort),
        ),
        optional("identity", "Content of `.lifeboat-identity` in the folder `work`.", Shape::Text),
    ],
};

static VIA: Object = Object {
    what: "`via`",
    one_of: &["container", "ssh"],
    fields: &[
        optional("container", "A container of the local engine.", Shape::Object(&CONTAINER)),
        optional("ssh", "A host over SSH.", Shape::Object(&SSH)),
    ],
};

static CONTAINER: Object = Object {
    what: "`container`",
    one_of: &[],
    fields: &[
        optional("engine", "Its command line; left out: docker.", Shape::Word(&["docker", "podman"])),
        required("name", "Name or id.", Shape::Text),
    ],
};

static SSH: Object = Object {
    what: "`ssh`",
    one_of: &[],
    fields: &[required("host", "As `ssh` takes it; everything else is in `ssh_config`.", Shape::Text)],
};

static PROGRAM: Object = Object {
    what: "a program",
    one_of: &[],
    fields: &[
        required("path", "Absolute path on the machine.", Shape::Path),
        required("access", "What running it can do.", Shape::Word(ACCESS)),
    ],
};

static FOLDER: Object = Object {
    what: "a folder",
    one_of: &[],
    fields: &[
        required("path", "Absolute path on the machine.", Shape::Path),
        optional("access", "What may be done in it; left out: read.", Shape::Word(ACCESS)),
        optional(
            "restore_command",
            "Shell command that fetches the file `%f` of a WAL archive and writes it, plain, to `%p`, as in PostgreSQL: for \
             archives whose segments are compressed, or lie in folders of their own.",
            Shape::RestoreCommand,
        ),
    ],
};

static NOTIFY: Object = Object {
    what: "a `notify` target",
    one_of: &[],
    fields: &[
        optional("access", "Left out: write.", Shape::Word(ACCESS)),
        required("channel", "Which format it takes.", Shape::Word(&["webhook", "slack"])),
        required("url", "Where to post; a reference where the address is a secret.", Shape::Url),
        optional("secret", "Key of the signature.", Shape::Secret),
    ],
};

static ENDPOINT: Object = Object {
    what: "an `endpoint` target",
    one_of: &["http", "command"],
    fields: &[
        access(),
        optional("http", "A resource: GET shows the address, PUT sets it.", Shape::Object(&HTTP)),
        optional("command", "Programs of the operator.", Shape::Object(&COMMAND)),
    ],
};

static HTTP: Object = Object { what: "`http`", one_of: &[], fields: &[required("url", "Its URL.", Shape::Url)] };

static COMMAND: Object = Object {
    what: "`command`",
    one_of: &[],
    fields: &[
        required("show", "Prints the address: program and arguments.", Shape::List(&Shape::Text)),
        required("switch", "Gets the new address as its last argument.", Shape::List(&Shape::Text)),
    ],
};
