//! Chance from a seed: the same numbers on every machine. Each purpose has a stream of its own, so that one fault less leaves
//! everything else as it was, and a counterexample can be shrunk.

/// SplitMix64, by Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// The stream of a seed for one purpose, which is named by words and numbers.
    pub(super) fn of(seed: u64, purpose: &str, about: &str, number: u64) -> Self {
        let mut state = seed ^ 0x5851_f42d_4c95_7f2d;
        for byte in purpose.bytes().chain([0]).chain(about.bytes()) {
            // FNV-1a; `next` mixes it well.
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut stream = Self(state ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        stream.next();
        stream
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the limit; 0 where that is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// A number below the length of something.
    pub(super) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// Heads or tails.
    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// One of them; there must be one.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.place(from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix() {
        let mut chance = Chance(1_234_567);
        let numbers = [chance.next(), chance.next(), chance.next()];
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn streams_differ_by_every_part_of_their_purpose() {
        let first = |seed, purpose, about, number| Chance::of(seed, purpose, about, number).next();
        let one = first(1, "latency", "merge", 1);
        assert_eq!(one, first(1, "latency", "merge", 1));
        for other in [
            first(2, "latency", "merge", 1),
            first(1, "outputs", "merge", 1),
            first(1, "latency", "find", 1),
            first(1, "latency", "merge", 2),
        ] {
            assert_ne!(one, other);
        }
    }
}
