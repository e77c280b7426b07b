//! Values between guests and servers: parameters as text of whatever type the statement wants, results by type.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use crate::{cache::hex, wit::lifeboat::postgres::postgres::Value};

/// Rust's errors as the `postgres-types` traits want them.
type AnyError = Box<dyn std::error::Error + Sync + Send>;

/// A parameter, always sent as text: the server reads it as the type it needs.
#[derive(Debug)]
pub(super) struct Parameter<'a>(pub(super) &'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Boolean(value) => write!(out, "{value}")?,
            Value::Integer(value) => write!(out, "{value}")?,
            Value::Float(value) => write!(out, "{value}")?,
            Value::Text(value) => write!(out, "{value}")?,
            Value::Bytes(value) => write!(out, "\\x{}", hex(value))?,
            Value::Texts(values) => write!(out, "{}", array(values))?,
        }
        Ok(IsNull::No)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn encode_format(&self, _ty: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// An array literal, every element quoted.
fn array(values: &[String]) -> String {
    let quoted: Vec<_> =
        values.iter().map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("{{{}}}", quoted.join(","))
}

/// A column's content as it came over the wire.
pub(super) struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, AnyError> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_ty: &Type) -> Result<Self, AnyError> {
        Ok(Self(None))
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }
}

impl Raw<'_> {
    /// Bytes on the wire.
    pub(super) fn len(&self) -> usize {
        self.0.map_or(0, <[u8]>::len)
    }

    /// The value as a guest sees it.
    pub(super) fn value(&self, ty: &Type) -> Result<Value, AnyError> {
        self.0.map_or(Ok(Value::Null), |raw| decode(ty, raw))
    }
}

/// Whether columns of the type can be handed to a guest.
pub(super) fn is_supported(ty: &Type) -> bool {
    const SUPPORTED: &[Type] = &[
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::OID,
        Type::XID,
        Type::XID8,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::TEXT,
        Type::VARCHAR,
        Type::BPCHAR,
        Type::NAME,
        Type::UNKNOWN,
        Type::CHAR,
        Type::VOID,
        Type::BYTEA,
        Type::TEXT_ARRAY,
        Type::VARCHAR_ARRAY,
        Type::NAME_ARRAY,
        Type::TIMESTAMPTZ,
        Type::JSON,
        Type::JSONB,
        Type::UUID,
        Type::PG_LSN,
        Type::TID,
    ];
    SUPPORTED.contains(ty)
}

fn decode(ty: &Type, raw: &[u8]) -> Result<Value, AnyError> {
    Ok(match *ty {
        Type::BOOL => Value::Boolean(bool::from_sql(ty, raw)?),
        Type::INT2 => Value::Integer(i16::from_sql(ty, raw)?.into()),
        Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
        Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
        Type::OID | Type::XID => Value::Integer(u32::from_be_bytes(raw.try_into()?).into()),
        Type::XID8 => Value::Integer(u64::from_be_bytes(raw.try_into()?).try_into()?),
        Type::FLOAT4 => Value::Float(f32::from_sql(ty, raw)?.into()),
        Type::FLOAT8 => Value::Float(f64::from_sql(ty, raw)?),
        Type::BYTEA => Value::Bytes(raw.to_vec()),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::NAME_ARRAY => Value::Texts(Vec::from_sql(ty, raw)?),
        Type::TIMESTAMPTZ => Value::Text(timestamp(i64::from_be_bytes(raw.try_into()?))?),
        Type::JSONB => Value::Text(text(raw.get(1..).unwrap_or_default())?),
        Type::UUID => Value::Text(uuid(raw)),
        Type::PG_LSN => Value::Text(lsn(u64::from_be_bytes(raw.try_into()?))),
        Type::TID => Value::Text(tid(raw)?),
        _ => Value::Text(text(raw)?),
    })
}

fn text(raw: &[u8]) -> Result<String, AnyError> {
    Ok(std::str::from_utf8(raw)?.to_owned())
}

/// Microseconds since 2000-01-01 as RFC 3339; the two infinities as PostgreSQL writes them.
fn timestamp(micros: i64) -> Result<String, AnyError> {
    const EPOCH_SECONDS: i64 = 946_684_800;
    match micros {
        i64::MAX => Ok("infinity".to_owned()),
        i64::MIN => Ok("-infinity".to_owned()),
        _ => {
            let at = Timestamp::from_second(EPOCH_SECONDS)?.checked_add(SignedDuration::from_micros(micros))?;
            Ok(format!("{at:.6}"))
        }
    }
}

fn uuid(raw: &[u8]) -> String {
    let digits = hex(raw);
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

fn lsn(position: u64) -> String {
    format!("{:X}/{:X}", position >> 32, position & 0xffff_ffff)
}

fn tid(raw: &[u8]) -> Result<String, AnyError> {
    let (block, offset) = raw.split_at_checked(4).ok_or("a tid has six bytes")?;
    Ok(format!("({},{})", u32::from_be_bytes(block.try_into()?), u16::from_be_bytes(offset.try_into()?)))
}
