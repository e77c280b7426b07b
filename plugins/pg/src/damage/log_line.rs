//! Records of a server's log: which transaction a record belongs to, and the name that its client gave. PostgreSQL writes them as CSV,
//! as JSON, or as text behind a prefix of the operator's choice.
//!
//! A client can give any name, so the name proves nothing.

use serde_json::Value;

/// How a log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// `csvlog`.
    Csv,
    /// `jsonlog`.
    Json,
    /// `stderr`, with this prefix.
    Text(Prefix),
}

/// Who wrote a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// `application_name`.
    pub application: String,
    /// The role; none where the format does not say.
    pub user: Option<String>,
}

/// Columns of `csvlog`, as PostgreSQL 13 and later write them.
const CSV_USER: usize = 1;
const CSV_XID: usize = 10;
const CSV_APPLICATION: usize = 22;
/// More of a record is not read: statements can be long.
const RECORD_BYTES_MAX: usize = 1 << 20;

impl Format {
    /// Whether it is JSON.
    pub fn is_json(&self) -> bool {
        *self == Self::Json
    }

    /// Whether it is CSV.
    pub fn is_csv(&self) -> bool {
        *self == Self::Csv
    }

    /// Whether it is text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// The client of the last record of this transaction in a part of a log, which may begin and end within a record.
    pub fn client_of(&self, xid: u32, part: &[u8]) -> Option<Client> {
        let begins =
            std::iter::once(0).chain(part.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
        begins.filter_map(|at| self.client(xid, part.get(at..)?)).next_back()
    }

    fn client(&self, xid: u32, rest: &[u8]) -> Option<Client> {
        let line = || rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match self {
            Self::Csv if time(&rest[..rest.len().min(TIME_CHARS)])?.0 == 0 => {
                csv(xid, &rest[..rest.len().min(RECORD_BYTES_MAX)])
            }
            Self::Csv => None,
            Self::Json => json(xid, line()),
            Self::Text(prefix) => prefix.client(xid, line()),
        }
    }
}

fn client(application: &str, user: Option<&str>) -> Option<Client> {
    // A program without a name is not distinguished from one whose name is unknown.
    let application = application.trim();
    let user = user.map(str::trim).filter(|user| !user.is_empty());
    (!application.is_empty()).then(|| Client { application: application.to_owned(), user: user.map(str::to_owned) })
}

fn json(xid: u32, line: &[u8]) -> Option<Client> {
    // Most lines are others': reading all of each would take long.
    let wanted = format!("\"txid\":{xid}");
    line.windows(wanted.len()).any(|window| window == wanted.as_bytes()).then_some(())?;
    let record: Value = serde_json::from_slice(line).ok()?;
    (record["txid"].as_u64() == Some(u64::from(xid))).then_some(())?;
    client(record["application_name"].as_str()?, record["user"].as_str())
}

fn csv(xid: u32, rest: &[u8]) -> Option<Client> {
    let mut fields: Vec<Vec<u8>> = vec![Vec::new()];
    let (mut quoted, mut bytes) = (false, rest.iter().peekable());
    loop {
        let byte = *bytes.next()?;
        match byte {
            b'"' if quoted && bytes.peek() == Some(&&b'"') => {
                bytes.next();
                fields.last_mut()?.push(byte);
            }
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                // Of another transaction, or a line that only looks like the begin of a record.
                if fields.len() == CSV_XID + 1 && fields.last()?.as_slice() != xid.to_string().as_bytes() {
                    return None;
                }
                fields.push(Vec::new());
            }
            b'\n' if !quoted => break,
            _ => fields.last_mut()?.push(byte),
        }
    }
    let field = |at: usize| fields.get(at).map(|field| String::from_utf8_lossy(field).into_owned());
    client(&field(CSV_APPLICATION)?, field(CSV_USER).as_deref())
}

/// `log_line_prefix`, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(String),
    Escape(char),
}

impl Prefix {
    /// None where it does not say the time, the transaction and the application.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut tokens, mut chars) = (Vec::new(), text.chars());
        let mut literal = String::new();
        while let Some(each) = chars.next() {
            if each != '%' {
                literal.push(each);
                continue;
            }
            // A number between them pads the value.
            let escape = chars.find(|each| !each.is_ascii_digit() && *each != '-')?;
            match escape {
                '%' => literal.push('%'),
                'q' => {}
                _ => {
                    if !literal.is_empty() {
                        tokens.push(Token::Literal(std::mem::take(&mut literal)));
                    }
                    tokens.push(Token::Escape(escape));
                }
            }
        }
        if !literal.is_empty() {
            tokens.push(Token::Literal(literal));
        }
        let has =
            |wanted: &[char]| tokens.iter().any(|token| matches!(token, Token::Escape(it) if wanted.contains(it)));
        (has(&['t', 'm']) && has(&['x']) && has(&['a'])).then_some(Self(tokens))
    }

    fn client(&self, xid: u32, line: &[u8]) -> Option<Client> {
        let line = String::from_utf8_lossy(line.get(..line.len().min(4_096))?);
        let (mut rest, mut found, mut application, mut user) = (line.as_ref(), None, None, None);
        for (at, token) in self.0.iter().enumerate() {
            match token {
                // A value can be padded.
                Token::Literal(literal) => {
                    let padded = || rest.trim_start_matches(' ').strip_prefix(literal.as_str());
                    rest = rest.strip_prefix(literal.as_str()).or_else(padded)?;
                }
                Token::Escape(escape) => {
                    let value = value(*escape, rest, self.0.get(at + 1))?;
                    rest = &rest[value.len()..];
                    match escape {
                        'x' => found = value.trim().parse::<u32>().ok(),
                        'a' => application = Some(value),
                        'u' => user = Some(value),
                        _ => {}
                    }
                }
            }
        }
        (found == Some(xid)).then_some(())?;
        client(application.filter(|name| *name != "[unknown]")?, user.filter(|name| *name != "[unknown]"))
    }
}

/// How much of a line an escape stands for: a time and numbers say it themselves, all others end where the next text begins.
fn value<'a>(escape: char, rest: &'a str, next: Option<&Token>) -> Option<&'a str> {
    let end = match (escape, next) {
        ('p' | 'l' | 'x', _) => {
            let begin = rest.len() - rest.trim_start_matches(' ').len();
            begin + rest[begin..].find(|each: char| !each.is_ascii_digit()).unwrap_or(rest.len() - begin)
        }
        (_, Some(Token::Literal(literal))) => rest.find(literal.as_str())?,
        // `%u@%d` has a text between them; two values side by side cannot be told apart.
        (_, Some(Token::Escape(_))) => return None,
        (_, None) => rest.len(),
    };
    rest.get(..end)
}

/// `2026-11-21 03:55:29` has so many characters.
const TIME_CHARS: usize = 19;

/// The first thing in a text that looks like a time, and where it stands.
pub fn time(text: &[u8]) -> Option<(usize, String)> {
    const SHAPE: &[u8] = b"dddd-dd-dd dd:dd:dd";
    let fits = |window: &[u8]| {
        window.iter().zip(SHAPE).all(|(byte, shape)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape })
    };
    let at = text.windows(TIME_CHARS).position(fits)?;
    Some((at, String::from_utf8_lossy(&text[at..at + TIME_CHARS]).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &Format, log: &str, xid: u32, expect: Option<(&str, Option<&str>)>) {
        let found = format.client_of(xid, log.as_bytes());
        let expect = expect
            .map(|(application, user)| Client { application: application.to_owned(), user: user.map(str::to_owned) });
        assert_eq!(found, expect, "{xid} in {log}");
    }

    const CSV: &str = "rest of a record,\"with, \n2026-11-21 03:00:00.000 UTC a line of a message\",,\n\
        2026-11-21 03:55:29.073 UTC,\"app\",\"shop\",77,\"[local]\",69a.4d,3,\"DELETE\",2026-11-21 03:00:00 UTC,4/5,734,LOG,00000,\
        \"duration: 3 ms  statement: DELETE FROM t\n2026-11-21 WHERE \"\"a,b\"\" = ',735,'\",,,,,,,,,\"nightly \"\"clean\"\", job\",\"client backend\",,0\n\
        2026-11-21 03:55:30.000 UTC,\"app\",\"shop\",77,\"[local]\",69a.4d,4,\"COMMIT\",2026-11-21 03:00:00 UTC,4/5,736,LOG,00000,\"x\",,,,,,,,,\"\",\"client backend\",,0\n\
        2026-11-21 03:55:31.000 UTC,\"app\",\"shop\",77,\"[local]\",69a.4d,4,\"COMMIT\",2026-11-21 03:00:00 UTC,4/5,737,LOG,00000,\"cut";

    #[test]
    fn records_of_csv_span_lines() {
        check(&Format::Csv, CSV, 734, Some(("nightly \"clean\", job", Some("app"))));
        for nobody in [735, 736, 737, 77, 0] {
            check(&Format::Csv, CSV, nobody, None);
        }
    }

    #[test]
    fn records_of_json_are_lines() {
        let log = "x\",\"txid\":734}\n{\"timestamp\":\"2026-11-21 03:55:29.073 UTC\",\"user\":\"app\",\"txid\":734,\"message\":\"\\\"txid\\\":735\",\
                   \"application_name\":\"psql\"}\n{\"txid\":7340,\"application_name\":\"other\"}\n{\"txid\":736}";
        check(&Format::Json, log, 734, Some(("psql", Some("app"))));
        for nobody in [735, 736, 73] {
            check(&Format::Json, log, nobody, None);
        }
    }

    #[test]
    fn a_prefix_says_where_a_line_has_what() {
        let text = |prefix: &str| Prefix::parse(prefix).map(Format::Text);
        for lacking in ["%m [%p] ", "%m %x ", "%a %x", "", "%"] {
            assert_eq!(text(lacking), None, "{lacking}");
        }
        let usual = text("%m [%p] %q%u@%d app=%a tx=%x: ").expect("a prefix");
        let log = "2026-11-21 03:55:29.073 UTC [77] app@shop app=psql, by hand tx=734: LOG:  statement: COMMIT\n\
                   \tDELETE tx=735: \n2026-11-21 03:55:30 UTC [78] LOG:  checkpoint\n\
                   2026-11-21 03:55:31 UTC [79] app@shop app=[unknown] tx=736: LOG:  x";
        check(&usual, log, 734, Some(("psql, by hand", Some("app"))));
        for nobody in [735, 736, 77] {
            check(&usual, log, nobody, None);
        }
        let padded = text("%t|%-6p|%10x|%a|").expect("a prefix");
        check(&padded, "2026-11-21 03:55:29 UTC|77    |       734|cron|LOG:  x", 734, Some(("cron", None)));
        // It is unknown where one value ends and the next begins.
        check(&text("%t %x %a%u ").expect("a prefix"), "2026-11-21 03:55:29 UTC 734 cronapp LOG:  x", 734, None);
    }

    #[test]
    fn the_first_time_counts() {
        assert_eq!(
            time(b"{\"timestamp\":\"2026-11-21 03:55:29.073 UTC\""),
            Some((14, "2026-11-21 03:55:29".to_owned()))
        );
        assert_eq!(time(b"2026-11-21 03:55"), None);
    }
}
