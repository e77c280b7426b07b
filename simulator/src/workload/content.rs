//! What a row's columns hold: a pure function of the write that put them there, so that every row can be checked against the
//! ledger without the ledger holding the content.

use crate::ledger::{Table, WriteId};

/// Who put a row's columns there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The initial load; the row's key.
    Loaded(i64),
    /// A write.
    Written(WriteId),
}

/// The origin of a row that says it is from that write.
pub fn origin(write: WriteId, id: i64) -> Origin {
    if write == 0 { Origin::Loaded(id) } else { Origin::Written(write) }
}

/// The names of the columns that [`columns`] fills, with their types.
pub(super) fn names(table: Table) -> [(&'static str, &'static str); 3] {
    match table {
        Table::Customers => [("email", "text"), ("full_name", "text"), ("segment", "text")],
        Table::Orders => [("status", "text"), ("total_cents", "bigint"), ("note", "text")],
        Table::OrderItems => [("sku", "text"), ("quantity", "integer"), ("price_cents", "bigint")],
    }
}

/// The content of a row in PostgreSQL's text form.
pub fn columns(table: Table, origin: Origin) -> [String; 3] {
    let (token, number) = match origin {
        Origin::Loaded(id) => (format!("l{id}"), mix(id.unsigned_abs())),
        Origin::Written(write) => (format!("w{write}"), mix(write ^ 0x5851_f42d_4c95_7f2d)),
    };
    let pick = |words: &[&str], salt: u32| words[(number.rotate_left(salt) % words.len() as u64) as usize].to_owned();
    match table {
        Table::Customers => {
            let name = format!("{} {}", pick(&GIVEN, 7), pick(&FAMILY, 19));
            [format!("{token}@example.com"), name, pick(&["retail", "trade", "public"], 31)]
        }
        Table::Orders => {
            let status = pick(&["placed", "paid", "shipped", "returned"], 5);
            let note = format!("reference {token}-{:08x}{}", number >> 32, attachment(number));
            [status, (number % 1_000_000).to_string(), note]
        }
        Table::OrderItems => {
            let sku = format!("SKU-{:06}-{token}", number % 1_000_000);
            [sku, (1 + number % 12).to_string(), (100 + (number >> 20) % 90_000).to_string()]
        }
    }
}

/// One order in some hundred carries a text too long for its page, which the server stores elsewhere and in pieces.
fn attachment(number: u64) -> String {
    if !number.is_multiple_of(LARGE_EACH) {
        return String::new();
    }
    let word = |place: u64| format!("{:016x}", mix(number.wrapping_add(place)));
    (0..LARGE_WORDS).map(word).collect()
}

const LARGE_EACH: u64 = 509;
const LARGE_WORDS: u64 = 1_500;

const GIVEN: [&str; 8] = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Radia", "Leslie", "Frances"];
const FAMILY: [&str; 7] = ["Lovelace", "Hopper", "Liskov", "Knuth", "Perlman", "Lamport", "Allen"];

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring numbers give unrelated ones.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
