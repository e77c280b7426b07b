//! PostgreSQL servers by role, and rows with typed access.

pub(crate) mod fake;

use super::declare::{capability, handle};
pub use crate::bindings::lifeboat::postgres::postgres::{Column, Error, Isolation, Rows, SqlError, Value};
use crate::failure::{Failure, Reason};

capability! {
    /// Opens connections. The host holds addresses and credentials.
    postgres: trait Postgres<
        /// An open connection; it is closed when dropped, and an open transaction is rolled back.
        Connection
    > {
        /// The server that plays a role.
        fn open(&self, role: &str) -> Result<Self::Connection, Error>;
        /// A server that was started on a port of a machine, with the user, password and database of the role `login_as`; by its
        /// socket, where the folder of that is given.
        fn open_instance(
            &self,
            machine: &str,
            port: u16,
            login_as: &str,
            socket: Option<&str>,
        ) -> Result<Self::Connection, Error>;
        /// Streams the rows of `query` into `table (columns)`; returns how many.
        fn copy_between(
            &self,
            source: &Self::Connection,
            query: &str,
            destination: &Self::Connection,
            table: &str,
            columns: &[String],
        ) -> Result<u64, Error>;
    }
}

handle! {
    /// A connection to a server.
    postgres: trait Connection {
        /// One statement that returns rows. Parameters are `$1`…; a text fits a parameter of any type.
        fn query(&self, sql: &str, parameters: &[Value]) -> Result<Rows, Error>;
        /// One statement; how many rows it touched.
        fn execute(&self, sql: &str, parameters: &[Value]) -> Result<u64, Error>;
        /// Opens a transaction.
        fn begin(&self, isolation: Isolation) -> Result<(), Error>;
        /// Ends it and keeps its work. A lost connection here means that nobody knows whether it was kept.
        fn commit(&self) -> Result<(), Error>;
        /// Ends it and drops its work.
        fn rollback(&self) -> Result<(), Error>;
        /// A connection like this one to another database of the same copy; refused for a server that plays a role.
        fn beside(&self, database: &str) -> Result<Self, Error>;
    }
}

// The code of a statement that PostgreSQL refused.
const SQL_CODE: &str = "pg-sql";
// The code of a login that PostgreSQL refused: SQLSTATE class 28.
const LOGIN_CODE: &str = "pg-login";

impl From<Error> for Failure {
    /// A lost connection is transient here. Only the plugin knows whether a COMMIT was in flight: then it says
    /// [`Failure::Interrupted`] itself.
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(reason) => Self::Denied(reason),
            Error::Connection(reason) => Self::Transient(reason),
            Error::Sql(error) if error.is_transient() => Self::transient(SQL_CODE, error.describe()),
            Error::Sql(error) if error.state.starts_with("28") => Self::permanent(LOGIN_CODE, error.describe()),
            Error::Sql(error) => Self::permanent(SQL_CODE, error.describe()),
            Error::Invalid(reason) => Self::Permanent(reason),
        }
    }
}

impl SqlError {
    /// Whether the same statement may work later: serialization failure, deadlock, lock not available, statement time-out,
    /// too many connections, a server that starts or stops, a broken connection.
    pub fn is_transient(&self) -> bool {
        matches!(self.state.as_str(), "40001" | "40P01" | "55P03" | "53300")
            || self.state.starts_with("57P0")
            || self.state.starts_with("08")
    }

    /// SQLSTATE, message, detail and hint in one line.
    pub fn describe(&self) -> String {
        let mut text = format!("{} (SQLSTATE {})", self.message, self.state);
        for more in [&self.detail, &self.hint].into_iter().flatten() {
            text.push_str("; ");
            text.push_str(more);
        }
        text
    }
}

/// One row of [`Rows`].
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [Column],
    values: &'a [Value],
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows in the order in which the server sent them.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { columns: &self.columns, values })
    }

    /// The first row, if any.
    pub fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }

    /// The only row; fails with `plugin-row` where there is none or more than one.
    pub fn one(&self) -> Result<Row<'_>, Failure> {
        match self.len() {
            1 => Ok(Row { columns: &self.columns, values: &self.rows[0] }),
            count => Err(row_failure(format!("expected one row, the server sent {count}"))),
        }
    }
}

impl<'a> Row<'a> {
    /// The value of a column; fails with `plugin-row` where there is no such column.
    pub fn value(&self, column: &str) -> Result<&'a Value, Failure> {
        let position = self.columns.iter().position(|candidate| candidate.name == column);
        position
            .and_then(|position| self.values.get(position))
            .ok_or_else(|| row_failure(format!("the server sent no column `{column}`")))
    }

    /// The value of a column as a Rust type; fails with `plugin-row` where it is of another type, or null for a type
    /// that is no `Option`.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Failure> {
        let value = self.value(column)?;
        T::from_value(value).ok_or_else(|| {
            row_failure(format!("column `{column}`: expected {}, the server sent {}", T::EXPECTED, value.kind()))
        })
    }
}

fn row_failure(message: String) -> Failure {
    Failure::Permanent(Reason::new("plugin-row", message))
}

impl Value {
    /// A word for the variant.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Texts(_) => "a list of texts",
        }
    }
}

/// A Rust type that a column's value can become.
pub trait FromValue: Sized {
    /// What is expected, with its article, for messages.
    const EXPECTED: &'static str;
    /// The value, or none where it is of another type.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($ty:ty, $expected:literal, $pattern:pat => $result:expr) => {
        impl FromValue for $ty {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    $pattern => $result,
                    _ => None,
                }
            }
        }
    };
}

from_value!(bool, "a boolean", Value::Boolean(it) => Some(*it));
from_value!(i64, "an integer", Value::Integer(it) => Some(*it));
from_value!(u64, "an integer from 0 on", Value::Integer(it) => u64::try_from(*it).ok());
from_value!(u32, "an integer from 0 to 2^32 - 1", Value::Integer(it) => u32::try_from(*it).ok());
from_value!(f64, "a float", Value::Float(it) => Some(*it));
from_value!(String, "a text", Value::Text(it) => Some(it.clone()));
from_value!(Vec<u8>, "bytes", Value::Bytes(it) => Some(it.clone()));
from_value!(Vec<String>, "a list of texts", Value::Texts(it) => Some(it.clone()));

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
}

macro_rules! into_value {
    ($ty:ty, $it:ident => $result:expr) => {
        impl From<$ty> for Value {
            fn from($it: $ty) -> Self {
                $result
            }
        }
    };
}

into_value!(bool, it => Value::Boolean(it));
into_value!(i64, it => Value::Integer(it));
into_value!(i32, it => Value::Integer(it.into()));
into_value!(u32, it => Value::Integer(it.into()));
into_value!(f64, it => Value::Float(it));
into_value!(&str, it => Value::Text(it.to_owned()));
into_value!(String, it => Value::Text(it));
into_value!(Vec<u8>, it => Value::Bytes(it));
into_value!(Vec<String>, it => Value::Texts(it));

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(it: Option<T>) -> Self {
        it.map_or(Self::Null, Into::into)
    }
}
