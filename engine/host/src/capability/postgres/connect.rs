//! Opening connections: address and login from the bindings, encryption, and the proof that the server is the one meant.

use std::{path::Path, sync::Arc, time::Duration};

use lifeboat_core::{
    action::Effect,
    bindings::{Postgres, System, Tls},
    failure::Reason,
    name::RoleName,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::ExposeSecret;
use tokio_postgres::{Config, NoTls, config::SslMode, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::Instrument;

use super::{
    connection::{AtStake, Connection, Encryption},
    denied, invalid, read_only,
};
use crate::{
    call::CallContext,
    capability::{machine, tls},
    wit::lifeboat::postgres::postgres::{Error, SqlError},
};

/// A server that does not answer for so long is not there.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// What every session says itself, because the role, the database or the server's file could say otherwise, and then what is read
/// or done would mean something else: time limits that are for the application (a call has its own), how transactions are isolated,
/// and how values become texts and are read again.
const IN_EVERY_SESSION: &[(&str, &str)] = &[
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("default_transaction_isolation", "read\\ committed"),
    ("default_transaction_deferrable", "off"),
    ("DateStyle", "ISO,MDY"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("lc_monetary", "C"),
    ("xmloption", "content"),
    ("array_nulls", "on"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
    // A look-up of many keys is estimated as dear, and compiling it costs more than it.
    ("jit", "off"),
];
/// What a session on a restored copy turns off besides, because its catalog could turn it on for the login or the database. A
/// copy is evidence, too: a policy that hides rows from the login is an error there, not fewer rows. Servers before 15.8 and 17 do
/// not know all of these, and some are for superusers alone: [`copy`] leaves out what is refused. Names are looked up in
/// `pg_catalog` alone: what its catalog put before it, or made the path of the login, is not called by a query that means
/// something else.
const ON_A_COPY: &[(&str, &str)] = &[
    ("search_path", "pg_catalog"),
    ("row_security", "off"),
    ("session_preload_libraries", ""),
    ("local_preload_libraries", ""),
    ("temp_tablespaces", ""),
    ("default_tablespace", ""),
    ("restrict_nonsystem_relation_kind", "foreign-table"),
    ("event_triggers", "off"),
];

/// Since 17 a transaction can have a limit too. A login that names a setting that its server does not know is refused; this is not.
const UNLIMITED: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
  WHERE name = 'transaction_timeout' AND setting <> '0'";

/// A connection to the server that plays a role.
pub(super) async fn role(context: &CallContext, role: &str) -> Result<Connection, Error> {
    let effect = context.grants.allowed(role).map_err(denied)?;
    let server = postgres(context, role)?;
    let mut config = login(context, server)?;
    config.host(&server.host).port(server.port);
    let mut settings = IN_EVERY_SESSION.to_vec();
    if read_only(effect) {
        settings.push(("default_transaction_read_only", "on"));
    }
    config.options(options(&settings));
    let connection = open(context, config, encryption(&server.tls)?, effect, role).await?;
    connection.command(context, AtStake::Nothing, UNLIMITED).await?;
    identify(context, &connection, server, role).await?;
    if !read_only(effect) {
        context.sessions.postgres.on_server(context, role).await?;
    }
    Ok(connection)
}

/// A connection to a server that was started on a port of a machine.
pub(super) async fn instance(
    context: &CallContext,
    machine: &str,
    port: u16,
    login_as: &str,
    socket: Option<&str>,
) -> Result<Connection, Error> {
    let effect = context.grants.allowed(machine).map_err(denied)?;
    let mut config = login(context, postgres(context, login_as)?)?;
    match socket {
        Some(folder) => {
            let folder = machine::socket(context, machine, folder).map_err(denied)?;
            config.host_path(folder).port(port);
        }
        None => {
            let (host, port) = address(context, machine, port)?;
            config.host(host).port(port);
        }
    }
    copy(context, config, effect, machine).await
}

/// Where the engine reaches a port of a machine.
fn address(context: &CallContext, machine: &str, port: u16) -> Result<(String, u16), Error> {
    let address = match system(context, machine)? {
        System::Machine(machine) => machine.ports.get(&port),
        _ => return Err(invalid("host-refused-role", format!("the target `{machine}` is not a machine"))),
    };
    let address = address.ok_or_else(|| {
        let message = format!("port {port} is not among the `ports` of `{machine}` in {}", context.bindings.source);
        denied(Reason::new("machine-port", message))
    })?;
    address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?)))
        .ok_or_else(|| invalid("machine-port", format!("`{address}` is not of the form host:port")))
}

/// A session on a copy, with as many of the options as its server and its login take.
async fn copy(context: &CallContext, mut config: Config, effect: Effect, machine: &str) -> Result<Connection, Error> {
    let mut wanted = [IN_EVERY_SESSION, ON_A_COPY].concat();
    // The server's own default is to read only.
    wanted.push(("default_transaction_read_only", if read_only(effect) { "on" } else { "off" }));
    loop {
        config.options(options(&wanted));
        let opened = open(context, config.clone(), Encryption::Plain, effect, machine).await;
        let refused = match &opened {
            Err(Error::Sql(error)) => wanted.iter().position(|(name, _)| is_refused(error, name)),
            _ => None,
        };
        match refused {
            Some(position) => wanted.remove(position),
            None => {
                let connection = opened?.with_databases(config);
                connection.command(context, AtStake::Nothing, UNLIMITED).await?;
                return Ok(connection);
            }
        };
    }
}

/// Settings as a client gives them at its login. A blank in a value stands behind a backslash.
fn options(settings: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| format!("-c {name}={value}");
    settings.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A connection to another database of a copy.
pub(super) async fn beside(
    context: &CallContext,
    connection: &Connection,
    database: &str,
) -> Result<Connection, Error> {
    let Some(config) = connection.beside() else {
        let message = format!("the binding of `{}` names its only database; no other can be opened", connection.role());
        return Err(denied(Reason::new("host-refused-role", message)));
    };
    let mut config = config.clone();
    config.dbname(database);
    copy(context, config, connection.effect(), connection.role()).await
}

/// Whether the login failed because the server does not know a setting, or the login may not give it.
fn is_refused(error: &SqlError, setting: &str) -> bool {
    let states = [SqlState::UNDEFINED_OBJECT.code(), SqlState::INSUFFICIENT_PRIVILEGE.code()];
    states.contains(&error.state.as_str()) && error.message.contains(&format!("\"{setting}\""))
}

fn system<'a>(context: &'a CallContext, role: &str) -> Result<&'a System, Error> {
    let binding = RoleName::new(role).ok().and_then(|role| context.bindings.targets.get(&role));
    binding.map(|binding| &binding.system).ok_or_else(|| {
        invalid("host-refused-role", format!("{} does not bind the target `{role}`", context.bindings.source))
    })
}

fn postgres<'a>(context: &'a CallContext, role: &str) -> Result<&'a Postgres, Error> {
    match system(context, role)? {
        System::Postgres(server) => Ok(server),
        _ => Err(invalid("host-refused-role", format!("the target `{role}` is not a PostgreSQL server"))),
    }
}

pub(super) fn login(context: &CallContext, server: &Postgres) -> Result<Config, Error> {
    let mut config = Config::new();
    config
        .user(&server.user)
        .dbname(&server.database)
        .application_name(format!("lifeboat/{}", context.key))
        .connect_timeout(CONNECT_MAX)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3);
    if let Some(reference) = &server.password {
        let password = context.secrets.resolve(reference).map_err(|reason| Error::Invalid(reason.into()))?;
        config.password(password.expose_secret());
    }
    Ok(config)
}

pub(super) fn encryption(tls: &Tls) -> Result<Encryption, Error> {
    let wrong = |problem: String| invalid("host-tls", problem);
    let root_cert = match tls {
        Tls::Disable => return Ok(Encryption::Plain),
        Tls::VerifyFull { root_cert } => root_cert,
    };
    tls::install_provider();
    let connector = match root_cert {
        Some(path) => MakeRustlsConnect::new(
            ClientConfig::builder()
                .with_root_certificates(roots(Path::new(path)).map_err(wrong)?)
                .with_no_client_auth(),
        ),
        None => MakeRustlsConnect::with_native_certs()
            .map(|(connector, _)| connector)
            .map_err(|_| wrong("this machine has no root certificates; set `root_cert` to a file".to_owned()))?,
    };
    Ok(Encryption::Tls(Arc::new(connector)))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let named =
        |error: &dyn std::fmt::Display| format!("cannot read the root certificates in {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| named(&error))? {
        roots.add(certificate.map_err(|error| named(&error))?).map_err(|error| named(&error))?;
    }
    if roots.is_empty() { Err(named(&"there is none")) } else { Ok(roots) }
}

pub(super) async fn open(
    context: &CallContext,
    mut config: Config,
    encryption: Encryption,
    effect: Effect,
    role: &str,
) -> Result<Connection, Error> {
    let connecting = async {
        match &encryption {
            Encryption::Plain => {
                let (client, link) = config.ssl_mode(SslMode::Disable).connect(NoTls).await?;
                Ok((client, tokio::spawn(async move { link.await.err() })))
            }
            Encryption::Tls(connector) => {
                let (client, link) = config.ssl_mode(SslMode::Require).connect(connector.as_ref().clone()).await?;
                Ok((client, tokio::spawn(async move { link.await.err() })))
            }
        }
    };
    match context.bounded(connecting.instrument(tracing::debug_span!("connect", role))).await {
        Ok(Ok((client, link))) => Ok(Connection::new(client, link, encryption, effect, role)),
        Ok(Err(error)) => Err(super::connection::failed(&error, role)),
        Err(cut) => Err(Error::Connection(cut.reason().into())),
    }
}

/// Compares the server's `system_identifier` with the binding's.
async fn identify(context: &CallContext, connection: &Connection, server: &Postgres, role: &str) -> Result<(), Error> {
    let Some(expected) = &server.system_identifier else {
        if connection.effect() < Effect::Destroy {
            return Ok(());
        }
        let message = format!(
            "refusing to destroy: nothing proves that `{role}` is the intended server; {} does not set its \
             `system_identifier`",
            context.bindings.source
        );
        return Err(denied(Reason::new("host-identity-missing", message)));
    };
    let found = connection.system_identifier(context).await?;
    if found == *expected {
        return Ok(());
    }
    let message = format!(
        "the server behind `{role}` has the system identifier {found}, and {} expects {expected}: it is another server",
        context.bindings.source
    );
    Err(denied(Reason::new("host-identity-mismatch", message)))
}
