//! Row versions that a transaction wrote itself, and what each of them stands for. A transaction can write millions, so each
//! takes few bytes: a file is a number, and nothing is aligned.

use std::collections::HashMap;

use crate::waldump::{Filenode, Place};

/// Number of the file, block, offset.
type Packed = [u8; 10];

/// Stands for no place.
const NONE: Packed = [0xFF; 10];

/// Places with the place that each had before the transaction; none where the transaction inserted the row.
#[derive(Debug, Default)]
pub struct Written {
    files: Vec<Filenode>,
    numbers: HashMap<Filenode, u32>,
    origins: HashMap<Packed, Packed>,
}

impl Written {
    /// A row version was written.
    pub fn insert(&mut self, place: Place, origin: Option<Place>) {
        let place = self.pack(place);
        let origin = origin.map_or(NONE, |origin| self.pack(origin));
        self.origins.insert(place, origin);
    }

    /// A row version ended; returns what it stood for, where the transaction had written it.
    pub fn remove(&mut self, place: Place) -> Option<Option<Place>> {
        let packed = self.find(place)?;
        let origin = self.origins.remove(&packed)?;
        Some(self.unpack(origin))
    }

    /// Whether the transaction wrote it.
    pub fn contains(&self, place: Place) -> bool {
        self.find(place).is_some_and(|packed| self.origins.contains_key(&packed))
    }

    /// What those that are left stand for, where they were there before.
    pub fn origins(&self) -> impl Iterator<Item = Place> + '_ {
        self.origins.values().filter_map(|packed| self.unpack(*packed))
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

    fn unpack(&self, packed: Packed) -> Option<Place> {
        let [a, b, c, d, e, f, g, h, i, j] = packed;
        let file = *self.files.get(u32::from_be_bytes([a, b, c, d]) as usize)?;
        Some(Place { file, block: u32::from_be_bytes([e, f, g, h]), offset: u16::from_be_bytes([i, j]) })
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

    proptest! {
        /// It is a map, whatever it looks like inside.
        #[test]
        fn it_is_what_a_map_would_be(steps in prop::collection::vec((places(), prop::option::of(prop::option::of(places()))), 0..60)) {
            let (mut written, mut model) = (Written::default(), HashMap::new());
            for (place, step) in steps {
                prop_assert_eq!(written.contains(place), model.contains_key(&place));
                match step {
                    Some(origin) => {
                        written.insert(place, origin);
                        model.insert(place, origin);
                    }
                    None => prop_assert_eq!(written.remove(place), model.remove(&place)),
                }
            }
            let mut left: Vec<Place> = written.origins().collect();
            let mut expected: Vec<Place> = model.into_values().flatten().collect();
            left.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(left, expected);
        }
    }
}
