//! Servers that answer by script.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use super::{Column, Error, Isolation, Rows, Value};
use crate::{Effect, Reason, fake::Grant};

/// Keeps the signature of [`rows`] readable.
type Values = Vec<Value>;
type Script = Rc<dyn Fn(&Statement) -> Result<Answer, Error>>;

/// A statement that reached a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The role, or `machine:port` of an instance.
    pub server: String,
    /// Its text with every run of white space as one space. The methods of a connection are `BEGIN`, `COMMIT` and
    /// `ROLLBACK`; `copy_between` is `COPY (query) TO table (columns)` at the destination.
    pub sql: String,
    /// `$1`….
    pub parameters: Vec<Value>,
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Rows, for a query.
    Rows(Rows),
    /// How many rows were touched, for a statement or a copy.
    Count(u64),
}

/// Rows with the names of their columns; the type of every column is `text`, which no logic should depend on.
pub fn rows(columns: &[&str], values: Vec<Values>) -> Answer {
    let columns = columns.iter().map(|name| Column { name: (*name).to_owned(), type_: "text".to_owned() }).collect();
    Answer::Rows(Rows { columns, rows: values })
}

/// A row's values, from anything that a value can be made of: `values![1_i64, "a", None::<i64>]`.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        Vec::<$crate::postgres::Value>::from([$($crate::postgres::Value::from($value)),*])
    };
}

/// Every server that a test uses.
#[derive(Default)]
pub struct Postgres {
    shared: Rc<Shared>,
    refusals: RefCell<BTreeMap<String, Error>>,
}

#[derive(Default)]
struct Shared {
    rules: RefCell<Vec<(String, Script)>>,
    statements: RefCell<Vec<Statement>>,
    grant: Grant,
}

impl Postgres {
    /// Answers statements that contain `needle`. The first rule that fits counts; white space counts as one space.
    pub fn on(&self, needle: &str, script: impl Fn(&Statement) -> Result<Answer, Error> + 'static) {
        self.shared.rules.borrow_mut().push((one_line(needle), Rc::new(script)));
    }

    /// Refuses connections to a server (a role, or `machine:port`).
    pub fn refuse(&self, server: &str, error: Error) {
        self.refusals.borrow_mut().insert(server.to_owned(), error);
    }

    /// Every statement so far, in order.
    pub fn statements(&self) -> Vec<Statement> {
        self.shared.statements.borrow().clone()
    }

    /// What the plugin may do here.
    pub fn grant(&self) -> &Grant {
        &self.shared.grant
    }

    fn connect(&self, server: String) -> Result<Connection, Error> {
        match self.refusals.borrow().get(&server) {
            Some(error) => Err(error.clone()),
            None => Ok(Connection { server, shared: Rc::clone(&self.shared), in_transaction: Cell::new(false) }),
        }
    }
}

impl super::Postgres for Postgres {
    type Connection = Connection;

    fn open(&self, role: &str) -> Result<Connection, Error> {
        self.connect(role.to_owned())
    }

    fn open_instance(
        &self,
        machine: &str,
        port: u16,
        _login_as: &str,
        _socket: Option<&str>,
    ) -> Result<Connection, Error> {
        self.connect(format!("{machine}:{port}"))
    }

    fn copy_between(
        &self,
        _source: &Connection,
        query: &str,
        destination: &Connection,
        table: &str,
        columns: &[String],
    ) -> Result<u64, Error> {
        let sql = format!("COPY ({query}) TO {table} ({})", columns.join(", "));
        destination.changes(&sql)?;
        count(&sql, destination.answer(&sql, &[])?)
    }
}

/// A connection to a scripted server.
pub struct Connection {
    server: String,
    shared: Rc<Shared>,
    in_transaction: Cell<bool>,
}

impl Connection {
    fn changes(&self, sql: &str) -> Result<(), Error> {
        self.shared.grant.check(Effect::Mutate, sql).map_err(Error::Denied)
    }

    fn answer(&self, sql: &str, parameters: &[Value]) -> Result<Answer, Error> {
        let statement = Statement { server: self.server.clone(), sql: one_line(sql), parameters: parameters.to_vec() };
        self.shared.statements.borrow_mut().push(statement.clone());
        let script = {
            let rules = self.shared.rules.borrow();
            rules.iter().find(|(needle, _)| statement.sql.contains(needle)).map(|(_, script)| Rc::clone(script))
        };
        match script {
            Some(script) => script(&statement),
            None => Err(invalid(format!("no answer is scripted for: {}", statement.sql))),
        }
    }

    /// A word of transaction control. It succeeds unless a rule for it fails.
    fn control(&self, word: &str) -> Result<(), Error> {
        let scripted = self.shared.rules.borrow().iter().any(|(needle, _)| word.contains(needle.as_str()));
        if scripted {
            return self.answer(word, &[]).map(drop);
        }
        let statement = Statement { server: self.server.clone(), sql: word.to_owned(), parameters: Vec::new() };
        self.shared.statements.borrow_mut().push(statement);
        Ok(())
    }

    fn end(&self, word: &str) -> Result<(), Error> {
        if !self.in_transaction.replace(false) {
            return Err(invalid(format!("{word} outside of a transaction")));
        }
        self.control(word)
    }
}

impl super::Connection for Connection {
    fn query(&self, sql: &str, parameters: &[Value]) -> Result<Rows, Error> {
        if !reads(sql) {
            self.changes(sql)?;
        }
        match self.answer(sql, parameters)? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Count(_) => Err(invalid(format!("a count is scripted where rows are asked for: {sql}"))),
        }
    }

    fn execute(&self, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        self.changes(sql)?;
        count(sql, self.answer(sql, parameters)?)
    }

    fn begin(&self, _isolation: Isolation) -> Result<(), Error> {
        if self.in_transaction.replace(true) {
            return Err(invalid("BEGIN within a transaction".to_owned()));
        }
        self.control("BEGIN")
    }

    fn commit(&self) -> Result<(), Error> {
        self.changes("COMMIT")?;
        self.end("COMMIT")
    }

    fn rollback(&self) -> Result<(), Error> {
        self.end("ROLLBACK")
    }

    /// Statements there say `server/database`.
    fn beside(&self, database: &str) -> Result<Self, Error> {
        let server = format!("{}/{database}", self.server);
        Ok(Self { server, shared: Rc::clone(&self.shared), in_transaction: Cell::new(false) })
    }
}

impl Drop for Connection {
    /// A server drops the work of a connection that goes away.
    fn drop(&mut self) {
        if self.in_transaction.get() {
            let statement = Statement { server: self.server.clone(), sql: "ROLLBACK".to_owned(), parameters: vec![] };
            self.shared.statements.borrow_mut().push(statement);
        }
    }
}

fn count(sql: &str, answer: Answer) -> Result<u64, Error> {
    match answer {
        Answer::Count(count) => Ok(count),
        Answer::Rows(_) => Err(invalid(format!("rows are scripted where a count is asked for: {sql}"))),
    }
}

fn reads(sql: &str) -> bool {
    let first = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    ["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"].contains(&first.as_str())
}

fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn invalid(message: String) -> Error {
    Error::Invalid(Reason::new("fake-script", message))
}
