//! The postgres capability against a real server.

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    action::Effect,
    bindings::{Machine, Postgres, SecretRef, System, Via},
    name::RunId,
};
use lifeboat_runtime::{holder::Holder, invoke::Note};

use super::{
    connect,
    connection::Connection,
    copy,
    server::{PASSWORD, Server},
};
use crate::{
    call::CallContext,
    fixture::{Fixture, bindings, role},
    wit::lifeboat::postgres::postgres::{Error, Isolation, Value},
};

fn code(error: &Error) -> &str {
    match error {
        Error::Denied(reason) | Error::Connection(reason) | Error::Invalid(reason) => &reason.code,
        Error::Sql(error) => &error.state,
    }
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, expect: &str) {
    match result {
        Ok(_) => panic!("`{expect}` was expected"),
        Err(error) => assert_eq!(code(&error), expect, "{error:?}"),
    }
}

fn fixture(server: &Server) -> Fixture {
    Fixture::new(bindings([("db", server.bound())]))
}

async fn open(context: &CallContext) -> Connection {
    connect::role(context, "db").await.unwrap()
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

async fn values(context: &CallContext, connection: &Connection, sql: &str, parameters: &[Value]) -> Vec<Value> {
    connection.query(context, sql, parameters).await.unwrap().rows.into_iter().flatten().collect()
}

/// One server for all: starting one takes longer than everything that is asked of it.
#[tokio::test(flavor = "multi_thread")]
async fn against_a_real_server() {
    let server = Server::start();
    values_go_both_ways(&server).await;
    a_read_grant_reads(&server).await;
    transactions_keep_their_promise(&server).await;
    rows_stream_between_connections(&server).await;
    without_its_lease_a_run_only_reads(&server).await;
    engines_of_two_state_folders_do_not_change_one_server(&server).await;
    a_server_proves_that_it_is_the_one_meant(&server).await;
    an_instance_is_reached_by_a_port_of_its_machine(&server).await;
    a_statement_is_cut_off_on_the_server_too(&server).await;
    a_wrong_login_is_no_lost_connection(&server).await;
    a_lost_server_is_a_lost_connection(&server).await;
}

/// An engine of its own state folder that works on a run.
struct Engine {
    fixture: Fixture,
    holder: Holder,
}

impl Engine {
    fn of(run: &str, system: Postgres) -> Self {
        let fixture = Fixture::new(bindings([("db", System::Postgres(system))]));
        Self { fixture, holder: Holder::this_process(&RunId::new(run).unwrap()) }
    }

    fn context(&self) -> CallContext {
        self.fixture.context(&[("db", Effect::Mutate)])
    }

    async fn hold(&self) -> Result<(), String> {
        let changed = [role("db")].into();
        let held = self.fixture.sessions.hold(&self.context(), &changed, &self.holder).await;
        held.map(|told| assert_eq!(told, [])).map_err(|reason| format!("{}: {}", reason.code, reason.message))
    }
}

async fn engines_of_two_state_folders_do_not_change_one_server(server: &Server) {
    let other_database = Postgres { database: "template1".to_owned(), ..server.system() };
    let (first, second) = (Engine::of("dr-003-a", server.system()), Engine::of("dr-003-b", server.system()));
    let elsewhere = Engine::of("dr-003-c", other_database);
    assert_eq!(first.hold().await, Ok(()));
    let context = first.context();
    let db = open(&context).await;
    for other in [&second, &elsewhere] {
        let refusal = other.hold().await.unwrap_err();
        let named = format!(
            "run-lease-held: the server behind `db` is in use by the run `dr-003-a`, process {}@",
            std::process::id()
        );
        assert!(refusal.starts_with(&named.replace('@', " on ")), "{refusal}");
        // Nothing is held for a run that was refused, and one that only reads asks nobody.
        assert!(connect::role(&other.fixture.context(&[("db", Effect::Read)]), "db").await.is_ok());
    }

    // Its connection is lost, and it takes the server again before it changes anything.
    let ends =
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'lifeboat lease %'";
    let free = fixture(server).context(&[("db", Effect::Mutate)]);
    values(&free, &open(&free).await, ends, &[]).await;
    db.execute(&context, "CREATE TEMP TABLE kept ()", &[]).await.unwrap();
    assert!(second.hold().await.is_err(), "it is held again");

    // While it is lost another run takes it: the first one changes nothing more.
    values(&free, &open(&free).await, ends, &[]).await;
    assert_eq!(second.hold().await, Ok(()));
    refused(db.execute(&context, "CREATE TEMP TABLE lost ()", &[]).await, "run-lease-lost");
    assert_eq!(context.refused().map(|reason| reason.code.as_str()), Some("run-lease-lost"));
    refused(connect::role(&first.context(), "db").await, "run-lease-lost");
    second.fixture.sessions.let_go().await;
}

async fn values_go_both_ways(server: &Server) {
    let context = fixture(server).context(&[("db", Effect::Mutate)]);
    let db = open(&context).await;
    let cases: &[(&str, Value, Value)] = &[
        ("$1::bool", text("true"), Value::Boolean(true)),
        ("$1::int2", text("-7"), Value::Integer(-7)),
        ("$1::int8", Value::Integer(i64::MAX), Value::Integer(i64::MAX)),
        ("$1::float8", Value::Float(0.1), Value::Float(0.1)),
        ("$1::text", text("ä ' \" \\"), text("ä ' \" \\")),
        ("$1::bytea", Value::Bytes(vec![0, 255]), Value::Bytes(vec![0, 255])),
        (
            "$1::text[]",
            Value::Texts(vec!["a,b".into(), "\"\\".into()]),
            Value::Texts(vec!["a,b".into(), "\"\\".into()]),
        ),
        ("cardinality($1::int8[])", Value::Texts(vec!["1".into(), "2".into()]), Value::Integer(2)),
        ("$1::timestamptz", text("2026-01-02T03:04:05.000006Z"), text("2026-01-02T03:04:05.000006Z")),
        ("$1::timestamptz", text("1999-12-31T23:59:59Z"), text("1999-12-31T23:59:59.000000Z")),
        ("$1::jsonb", text("{\"a\": 1}"), text("{\"a\": 1}")),
        ("$1::uuid", text("0e984725-c51c-4bf4-9960-e1c80e27aba0"), text("0e984725-c51c-4bf4-9960-e1c80e27aba0")),
        ("$1::pg_lsn", text("16/B374D848"), text("16/B374D848")),
        ("$1::tid", text("(4294967295,65535)"), text("(4294967295,65535)")),
        ("$1::xid", text("4294967295"), Value::Integer(4_294_967_295)),
        ("$1::oid", text("16384"), Value::Integer(16384)),
        ("$1::int4", Value::Null, Value::Null),
    ];
    for (expression, parameter, expect) in cases {
        let found = values(&context, &db, &format!("SELECT {expression}"), std::slice::from_ref(parameter)).await;
        assert_eq!(format!("{found:?}"), format!("{:?}", [expect]), "{expression}");
    }
    let rows = db.query(&context, "SELECT 1 AS one, 'x'::name", &[]).await.unwrap();
    assert_eq!(
        rows.columns.iter().map(|c| (c.name.as_str(), c.type_.as_str())).collect::<Vec<_>>(),
        [("one", "int4"), ("name", "name")]
    );
    refused(db.query(&context, "SELECT 1.5::numeric AS price", &[]).await, "pg-type");
    refused(db.query(&context, "SELECT $1::int4", &[]).await, "pg-parameters");
    refused(db.query(&context, "SELECT $1::int4", &[text("seven")]).await, "22P02");
    refused(db.query(&context, "SELECT generate_series(1, 100001)", &[]).await, "pg-rows");
    assert!(!context.is_uncertain());
    let name =
        values(&context, &db, "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()", &[]).await;
    assert_eq!(format!("{name:?}"), format!("{:?}", [text("lifeboat/run/step")]));
}

async fn a_read_grant_reads(server: &Server) {
    let context = fixture(server).context(&[("db", Effect::Mutate)]);
    open(&context).await.execute(&context, "CREATE TABLE kept (id int PRIMARY KEY)", &[]).await.unwrap();
    let context = fixture(server).context(&[("db", Effect::Read)]);
    let db = open(&context).await;
    assert_eq!(values(&context, &db, "SELECT count(*) FROM kept", &[]).await.len(), 1);
    refused(db.execute(&context, "INSERT INTO kept VALUES (1)", &[]).await, "host-refused-effect");
    refused(db.query(&context, "INSERT INTO kept VALUES (1) RETURNING id", &[]).await, "host-refused-statement");
    refused(db.query(&context, "SELECT pg_switch_wal()", &[]).await, "host-refused-statement");
    refused(
        db.query(&context, "WITH new AS (INSERT INTO kept VALUES (1) RETURNING id) SELECT * FROM new", &[]).await,
        "25006",
    );
    refused(db.query(&context, "SELECT 1; INSERT INTO kept VALUES (1)", &[]).await, "42601");
    db.begin(&context, Isolation::RepeatableRead).await.unwrap();
    refused(db.query(&context, "SELECT * FROM kept FOR UPDATE", &[]).await, "25006");
    db.rollback(&context).await.unwrap();
    assert!(!context.has_changed());
    refused(connect::role(&context, "other").await, "host-refused-role");
}

async fn without_its_lease_a_run_only_reads(server: &Server) {
    let fixture = fixture(server);
    let context = fixture.context(&[("db", Effect::Mutate)]);
    let (db, late) = (open(&context).await, open(&context).await);
    db.execute(&context, "CREATE TABLE leased (id int)", &[]).await.unwrap();
    db.execute(
        &context,
        "CREATE FUNCTION add() RETURNS int LANGUAGE sql AS 'INSERT INTO leased VALUES (7) RETURNING 7'",
        &[],
    )
    .await
    .unwrap();
    late.begin(&context, Isolation::ReadCommitted).await.unwrap();
    late.execute(&context, "INSERT INTO leased VALUES (1)", &[]).await.unwrap();
    fixture.fence.lose();

    let lost = "run-lease-lost";
    refused(db.execute(&context, "INSERT INTO leased VALUES (2)", &[]).await, lost);
    refused(db.query(&context, "INSERT INTO leased VALUES (3) RETURNING id", &[]).await, lost);
    refused(db.query(&context, "WITH new AS (INSERT INTO leased VALUES (4) RETURNING id) TABLE new", &[]).await, lost);
    refused(db.query(&context, "SELECT add()", &[]).await, lost);
    refused(copy::between(&context, &late, "SELECT 5", &db, "leased", &[]).await, lost);
    refused(late.query(&context, "SELECT add()", &[]).await, lost);
    refused(late.commit(&context).await, lost);
    let count = "SELECT count(*) FROM leased";
    assert_eq!(format!("{:?}", values(&context, &db, count, &[]).await), format!("{:?}", [Value::Integer(0)]));
    assert_eq!(format!("{:?}", values(&context, &late, count, &[]).await), format!("{:?}", [Value::Integer(0)]));
}

async fn transactions_keep_their_promise(server: &Server) {
    let context = fixture(server).context(&[("db", Effect::Mutate)]);
    let (db, other) = (open(&context).await, open(&context).await);
    db.begin(&context, Isolation::ReadCommitted).await.unwrap();
    assert_eq!(db.execute(&context, "INSERT INTO kept SELECT generate_series(1, 3)", &[]).await.unwrap(), 3);
    refused(db.begin(&context, Isolation::ReadCommitted).await, "pg-transaction");
    refused(db.execute(&context, "COMMIT", &[]).await, "host-refused-statement");
    db.rollback(&context).await.unwrap();
    refused(db.commit(&context).await, "pg-transaction");

    db.begin(&context, Isolation::Serializable).await.unwrap();
    db.execute(&context, "INSERT INTO kept VALUES ($1)", &[text("7")]).await.unwrap();
    db.commit(&context).await.unwrap();
    assert_eq!(
        format!("{:?}", values(&context, &other, "SELECT id FROM kept", &[]).await),
        format!("{:?}", [Value::Integer(7)])
    );

    db.begin(&context, Isolation::ReadCommitted).await.unwrap();
    db.execute(&context, "INSERT INTO kept VALUES (8)", &[]).await.unwrap();
    refused(db.execute(&context, "INSERT INTO kept VALUES (7)", &[]).await, "23505");
    refused(db.commit(&context).await, "25P02");
    assert_eq!(values(&context, &other, "SELECT id FROM kept", &[]).await.len(), 1);
    assert!(context.has_changed() && !context.is_uncertain());
}

async fn rows_stream_between_connections(server: &Server) {
    let (context, notes) = fixture(server).noted(&[("db", Effect::Mutate)]);
    let (source, destination) = (open(&context).await, open(&context).await);
    let create = "CREATE TABLE copied (id int8 PRIMARY KEY, \"Odd \"\"name\" text, at timestamptz)";
    destination.execute(&context, create, &[]).await.unwrap();
    let columns = ["id", "Odd \"name", "at"].map(str::to_owned);
    let query = "SELECT n::int8, repeat('x', 50), now() FROM generate_series(1, 200000) AS n -- all";
    let copied = copy::between(&context, &source, query, &destination, "public.copied", &columns).await.unwrap();
    assert_eq!(copied, 200_000);
    let count = values(&context, &source, "SELECT count(*), count(DISTINCT id) FROM copied", &[]).await;
    assert_eq!(format!("{count:?}"), format!("{:?}", [Value::Integer(200_000), Value::Integer(200_000)]));
    for note in notes.lock().unwrap().iter() {
        assert!(matches!(note, Note::Progress { unit, .. } if unit == "rows"), "{note:?}");
    }

    // Rows larger than a frame, and no row at all.
    let query = "SELECT 300000 + n::int8, repeat('x', 200000), now() FROM generate_series(1, 5) AS n";
    assert_eq!(copy::between(&context, &source, query, &destination, "copied", &columns).await.unwrap(), 5);
    let lengths = "SELECT sum(length(\"Odd \"\"name\")) FROM copied";
    let found = values(&context, &source, lengths, &[]).await;
    assert_eq!(format!("{found:?}"), format!("{:?}", [Value::Integer(200_000 * 50 + 5 * 200_000)]));
    let none = format!("{query} WHERE n > 5");
    assert_eq!(copy::between(&context, &source, &none, &destination, "copied", &columns).await.unwrap(), 0);
    // A row that is refused when many frames were sent.
    let query = "SELECT 400000 + n % 199999, repeat('x', 50), now() FROM generate_series(1::int8, 200000) AS n";
    refused(copy::between(&context, &source, query, &destination, "copied", &columns).await, "23505");

    let id = ["id".to_owned()];
    let copy = |query, table| copy::between(&context, &source, query, &destination, table, &id);
    refused(copy("SELECT 5::int8", "copied").await, "23505");
    refused(copy("SELECT 1) TO PROGRAM 'id' --", "copied").await, "host-refused-statement");
    refused(copy("SELECT 1", "copied (id) FROM PROGRAM 'id' --").await, "pg-name");
    refused(copy("SELECT 1/0::int8", "copied").await, "22012");
    assert_eq!(copy("SELECT 200001::int8", "copied").await.unwrap(), 1);

    let reading = fixture(server).context(&[("db", Effect::Read)]);
    let target = open(&reading).await;
    refused(copy::between(&reading, &source, "SELECT 1", &target, "copied", &id).await, "host-refused-effect");
}

async fn a_server_proves_that_it_is_the_one_meant(server: &Server) {
    let context = fixture(server).context(&[("db", Effect::Read)]);
    let found = open(&context).await.system_identifier(&context).await.unwrap();
    let opened = async |identifier: Option<&str>, effect| {
        let system = Postgres { system_identifier: identifier.map(str::to_owned), ..server.system() };
        let context = Fixture::new(bindings([("db", System::Postgres(system))])).context(&[("db", effect)]);
        connect::role(&context, "db").await.map(drop)
    };
    for effect in [Effect::Read, Effect::Mutate, Effect::Destroy] {
        opened(Some(&found), effect).await.unwrap();
        refused(opened(Some("7000000000000000000"), effect).await, "host-identity-mismatch");
    }
    opened(None, Effect::Mutate).await.unwrap();
    refused(opened(None, Effect::Destroy).await, "host-identity-missing");
}

async fn an_instance_is_reached_by_a_port_of_its_machine(server: &Server) {
    let machine = Machine {
        via: Via::Local,
        user: None,
        programs: Default::default(),
        folders: Default::default(),
        ports: [(54330, format!("127.0.0.1:{}", server.port))].into(),
        identity: None,
    };
    let elsewhere = Postgres { host: "192.0.2.1".to_owned(), ..server.system() };
    let bound = bindings([("db", System::Postgres(elsewhere)), ("lab", System::Machine(machine))]);
    let context = Fixture::new(bound).context(&[("lab", Effect::Mutate)]);
    let instance = connect::instance(&context, "lab", 54330, "db", None).await.unwrap();
    assert_eq!(instance.execute(&context, "CREATE TEMP TABLE here ()", &[]).await.unwrap(), 0);
    a_policy_hides_no_row_of_an_instance(server, &context, &instance).await;
    refused(connect::instance(&context, "lab", 54331, "db", None).await, "machine-port");
    refused(connect::role(&context, "db").await, "host-refused-role");
}

async fn a_policy_hides_no_row_of_an_instance(server: &Server, context: &CallContext, instance: &Connection) {
    for sql in [
        "CREATE TABLE public.hidden AS SELECT 1 AS id",
        "ALTER TABLE public.hidden ENABLE ROW LEVEL SECURITY",
        "CREATE ROLE nobody",
        "GRANT SELECT ON public.hidden TO nobody",
        "SET ROLE nobody",
    ] {
        instance.execute(context, sql, &[]).await.unwrap();
    }
    refused(instance.query(context, "SELECT id FROM public.hidden", &[]).await, "42501");
    let to_role = fixture(server).context(&[("db", Effect::Mutate)]);
    let role = open(&to_role).await;
    role.execute(&to_role, "SET ROLE nobody", &[]).await.unwrap();
    assert!(values(&to_role, &role, "SELECT id FROM hidden", &[]).await.is_empty(), "a server's policies are its own");
}

async fn a_statement_is_cut_off_on_the_server_too(server: &Server) {
    let mut fixture = fixture(server);
    fixture.deadline = Some(Timestamp::now() + SignedDuration::from_millis(500));
    let context = fixture.context(&[("db", Effect::Mutate)]);
    let db = open(&context).await;
    refused(db.execute(&context, "DELETE FROM kept WHERE pg_sleep(600) IS NULL", &[]).await, "host-deadline");
    assert!(context.is_uncertain());

    fixture.deadline = None;
    let context = fixture.context(&[("db", Effect::Read)]);
    let (db, watch) = (open(&context).await, open(&context).await);
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' AND pid <> pg_backend_pid()";
    let cancel = fixture.cancel.clone();
    let waiting = db.query(&context, "SELECT pg_sleep(600)", &[]);
    let cancelling = async {
        // Cancelled only when the server is known to be at it.
        while format!("{:?}", values(&context, &watch, sleeping, &[]).await) != format!("{:?}", [Value::Integer(1)]) {}
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(waiting, cancelling);
    refused(result, "host-cancelled");
    assert!(!context.is_uncertain());
    let after = self::fixture(server).context(&[("db", Effect::Read)]);
    let watch = open(&after).await;
    while format!("{:?}", values(&after, &watch, sleeping, &[]).await) != format!("{:?}", [Value::Integer(0)]) {}
}

async fn a_wrong_login_is_no_lost_connection(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "wrong-planted").unwrap();
    let with = async |system| {
        let context = Fixture::new(bindings([("db", System::Postgres(system))])).context(&[("db", Effect::Read)]);
        connect::role(&context, "db").await.map(drop)
    };
    let wrong = SecretRef::File(path.display().to_string());
    let result = with(Postgres { password: Some(wrong), ..server.system() }).await;
    assert!(!format!("{result:?}").contains("wrong-planted"));
    refused(result, "28P01");
    let unset = SecretRef::Env("LIFEBOAT_TEST_NOT_SET".to_owned());
    refused(with(Postgres { password: Some(unset), ..server.system() }).await, "host-secret");
    refused(with(Postgres { database: "nowhere".to_owned(), ..server.system() }).await, "3D000");
}

async fn a_lost_server_is_a_lost_connection(server: &Server) {
    let context = fixture(server).context(&[("db", Effect::Mutate)]);
    let (idle, busy) = (open(&context).await, open(&context).await);
    busy.begin(&context, Isolation::ReadCommitted).await.unwrap();
    busy.execute(&context, "INSERT INTO kept VALUES (99)", &[]).await.unwrap();
    server.stop();
    refused(idle.query(&context, "SELECT 1", &[]).await, "pg-connection");
    refused(busy.execute(&context, "INSERT INTO kept VALUES (100)", &[]).await, "pg-connection");
    assert!(!context.is_uncertain(), "its transaction is gone with the server");
    let result = busy.commit(&context).await;
    assert!(matches!(result, Err(Error::Connection(_) | Error::Sql(_))), "{result:?}");
    let result = connect::role(&context, "db").await.map(drop);
    assert!(!format!("{result:?}").contains(PASSWORD));
    refused(result, "pg-connection");
}
