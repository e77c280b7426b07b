//! Row versions that transactions wrote, and what each of them stands for. A transaction can write millions, so each takes few
//! bytes: a file is a number, and nothing is aligned.

use std::collections::HashMap;

use crate::wal::waldump::{Filenode, Place};

/// Number of the file, block, offset.
type Packed = [u8; 10];

/// What stands for [`Origin::Own`] and [`Origin::Others`]: no file has such a number.
const OWN: Packed = [0xFF; 10];
const OTHERS: Packed = [0xFE; 10];

/// Which row a row version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The one that lay there before.
    Before(Place),
    /// One that the transactions in question inserted themselves.
    Own,
    /// One that others inserted meanwhile.
    Others,
}

/// What is known of a row version that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowVersion {
    /// Which row it is.
    pub origin: Origin,
    /// Whether the transactions in question changed it.
    pub changed: bool,
    /// Whether others changed it meanwhile: what lay there before is older than what this is.
    pub outdated: bool,
}

impl RowVersion {
    /// Of a row that no transaction has changed yet.
    pub fn of(origin: Origin) -> Self {
        Self { origin, changed: false, outdated: false }
    }
}

/// Places with what lies there.
#[derive(Debug, Default)]
pub struct Written {
    files: Vec<Filenode>,
    numbers: HashMap<Filenode, u32>,
    versions: HashMap<Packed, (Packed, u8)>,
}

const CHANGED: u8 = 1;
const OUTDATED: u8 = 2;

impl Written {
    /// A row version was written.
    pub fn insert(&mut self, place: Place, version: RowVersion) {
        let place = self.pack(place);
        let origin = match version.origin {
            Origin::Before(origin) => self.pack(origin),
            Origin::Own => OWN,
            Origin::Others => OTHERS,
        };
        let flags = u8::from(version.changed) * CHANGED + u8::from(version.outdated) * OUTDATED;
        self.versions.insert(place, (origin, flags));
    }

    /// A row version ended; returns what it was, if it is known here.
    pub fn remove(&mut self, place: Place) -> Option<RowVersion> {
        let packed = self.find(place)?;
        let version = self.versions.remove(&packed)?;
        self.unpack(version)
    }

    /// Whether it is known here.
    pub fn contains(&self, place: Place) -> bool {
        self.find(place).is_some_and(|packed| self.versions.contains_key(&packed))
    }

    /// Those that are left, with their places.
    pub fn left(&self) -> impl Iterator<Item = (Place, RowVersion)> + '_ {
        self.versions.iter().filter_map(|(place, version)| Some((self.place(*place)?, self.unpack(*version)?)))
    }

    fn pack(&mut self, place: Place) -> Packed {
        let next = self.files.len() as u32;
        let number = *self.numbers.entry(place.file).or_insert(next);
        if number == next {
            self.files.push(place.file);
        }
        packed(number, place)
    }

    fn find(&self, place: Place) -> Option<Packed> {
        self.numbers.get(&place.file).map(|number| packed(*number, place))
    }

    fn place(&self, [a, b, c, d, e, f, g, h, i, j]: Packed) -> Option<Place> {
        let file = *self.files.get(u32::from_be_bytes([a, b, c, d]) as usize)?;
        Some(Place { file, block: u32::from_be_bytes([e, f, g, h]), offset: u16::from_be_bytes([i, j]) })
    }

    fn unpack(&self, (origin, flags): (Packed, u8)) -> Option<RowVersion> {
        let origin = match origin {
            OWN => Origin::Own,
            OTHERS => Origin::Others,
            place => Origin::Before(self.place(place)?),
        };
        Some(RowVersion { origin, changed: flags & CHANGED != 0, outdated: flags & OUTDATED != 0 })
    }
}

fn packed(number: u32, place: Place) -> Packed {
    let [a, b, c, d] = number.to_be_bytes();
    let [e, f, g, h] = place.block.to_be_bytes();
    let [i, j] = place.offset.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Place> {
        (0_u32..3, prop_oneof![0_u32..3, Just(u32::MAX)], prop_oneof![1_u16..3, Just(u16::MAX)]).prop_map(
            |(node, block, offset)| Place { file: Filenode { tablespace: 1663, database: 5, node }, block, offset },
        )
    }

    fn versions() -> impl Strategy<Value = RowVersion> {
        let origin = prop_oneof![places().prop_map(Origin::Before), Just(Origin::Own), Just(Origin::Others)];
        (origin, any::<bool>(), any::<bool>()).prop_map(|(origin, changed, outdated)| RowVersion {
            origin,
            changed,
            outdated,
        })
    }

    proptest! {
        /// It behaves as a map, whatever its internal form.
        #[test]
        fn it_is_what_a_map_would_be(steps in prop::collection::vec((places(), prop::option::of(versions())), 0..60)) {
            let (mut written, mut model) = (Written::default(), HashMap::new());
            for (place, step) in steps {
                prop_assert_eq!(written.contains(place), model.contains_key(&place));
                match step {
                    Some(version) => {
                        written.insert(place, version);
                        model.insert(place, version);
                    }
                    None => prop_assert_eq!(written.remove(place), model.remove(&place)),
                }
            }
            let in_order = |versions: Vec<(Place, RowVersion)>| {
                let mut texts: Vec<String> = versions.iter().map(|version| format!("{version:?}")).collect();
                texts.sort_unstable();
                texts
            };
            prop_assert_eq!(in_order(written.left().collect()), in_order(model.into_iter().collect()));
        }
    }
}
