//! What a record holds: a pure function of the write that put it there, so that every record can be checked against the ledger
//! without the ledger holding the content.

use super::collection::Collection;
use crate::ledger::{Id, WriteId};

/// What put a record's content there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The initial load; the record's key.
    Loaded(i64),
    /// A write.
    Written(WriteId),
}

impl Origin {
    /// The origin of a record that names that write.
    pub fn of(write: WriteId, id: &Id) -> Self {
        match id {
            Id::Number(number) if write == 0 => Self::Loaded(*number),
            _ => Self::Written(write),
        }
    }
}

/// The names of the fields that [`content`] fills.
pub fn fields(collection: Collection) -> [&'static str; 3] {
    match collection {
        Collection::Customers => ["email", "full_name", "segment"],
        Collection::Orders => ["status", "total_cents", "note"],
        Collection::OrderItems => ["sku", "quantity", "price_cents"],
    }
}

/// The content of a record as text, field by field.
pub fn content(collection: Collection, origin: Origin) -> [String; 3] {
    let (token, number) = match origin {
        Origin::Loaded(id) => (format!("l{id}"), mix(id.unsigned_abs())),
        Origin::Written(write) => (format!("w{write}"), mix(write ^ 0x5851_f42d_4c95_7f2d)),
    };
    let pick = |words: &[&str], salt: u32| words[(number.rotate_left(salt) % words.len() as u64) as usize].to_owned();
    match collection {
        Collection::Customers => {
            let name = format!("{} {}", pick(&GIVEN, 7), pick(&FAMILY, 19));
            [format!("{token}@example.com"), name, pick(&["retail", "trade", "public"], 31)]
        }
        Collection::Orders => {
            let status = pick(&["placed", "paid", "shipped", "returned"], 5);
            let note = format!("reference {token}-{:08x}{}", number >> 32, attachment(number));
            [status, (number % 1_000_000).to_string(), note]
        }
        Collection::OrderItems => {
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
