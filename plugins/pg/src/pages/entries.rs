//! The entries of a B-tree index, as they lie in its pages: they tell which pages of its table have rows.

use std::collections::BTreeMap;

use super::{
    checksum::PAGE_BYTES,
    page::{HEADER_BYTES, word},
};

/// `BTPageOpaqueData`.
const OPAQUE_BYTES: usize = 16;
const LEAF: u16 = 1;
/// `BTP_DELETED`, `BTP_META`, `BTP_HALF_DEAD`.
const WITHOUT_ENTRIES: u16 = 1 << 2 | 1 << 3 | 1 << 4;
/// `LP_NORMAL`.
const NORMAL: u32 = 1;
/// `INDEX_ALT_TID_MASK`: what is in the place of the row's own place means something else.
const SPECIAL: u16 = 0x2000;
/// `BT_IS_POSTING`: a list of places.
const LIST: u16 = 0x2000;
/// `BT_OFFSET_MASK`: how many places the list has.
const COUNT: u16 = 0x0fff;
const PLACE_BYTES: usize = 6;

/// Numbers of pages, of which most are beside each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Blocks(BTreeMap<u32, u64>);

impl Blocks {
    /// Adds one.
    pub(super) fn insert(&mut self, block: u32) {
        *self.0.entry(block / u64::BITS).or_default() |= 1 << (block % u64::BITS);
    }

    /// Whether it is among them.
    pub(super) fn contains(&self, block: u32) -> bool {
        self.0.get(&(block / u64::BITS)).is_some_and(|bits| bits >> (block % u64::BITS) & 1 == 1)
    }

    /// The largest.
    pub(super) fn last(&self) -> Option<u32> {
        let (word, bits) = self.0.last_key_value()?;
        Some(word * u64::BITS + u64::BITS - 1 - bits.leading_zeros())
    }
}

/// Adds the pages of the table to which the entries of this page of an index lead. One that is no leaf has none. Entries that are marked as
/// dead do not count.
pub(super) fn collect(page: &[u8], blocks: &mut Blocks) {
    let (lower, special) = (usize::from(word(page, 12)), usize::from(word(page, 16)));
    if page.len() != PAGE_BYTES || special != PAGE_BYTES - OPAQUE_BYTES {
        return;
    }
    let is_last = page[special + 4..special + 8] == [0; 4];
    let flags = word(page, special + 12);
    if flags & LEAF == 0 || flags & WITHOUT_ENTRIES != 0 {
        return;
    }
    let pointers = page.get(usize::from(HEADER_BYTES)..lower).unwrap_or_default().chunks_exact(4);
    // The first one is the upper bound of the page, except on the last page, which has none.
    for pointer in pointers.skip(usize::from(!is_last)) {
        let pointer = u32::from_le_bytes([pointer[0], pointer[1], pointer[2], pointer[3]]);
        let (at, kind, length) = (pointer & 0x7fff, pointer >> 15 & 3, pointer >> 17);
        let entry = page.get(at as usize..(at + length) as usize).unwrap_or_default();
        if kind == NORMAL && entry.len() >= PLACE_BYTES + 2 {
            places(entry, blocks);
        }
    }
}

fn places(entry: &[u8], blocks: &mut Blocks) {
    let block = |at: usize| u32::from(word(entry, at)) << 16 | u32::from(word(entry, at + 2));
    let (count, info) = (word(entry, 4), word(entry, 6));
    if info & SPECIAL == 0 {
        return blocks.insert(block(0));
    }
    if count & LIST != 0 {
        let begin = block(0) as usize;
        let all = (0..usize::from(count & COUNT)).map(|number| begin + number * PLACE_BYTES);
        all.filter(|at| at + PLACE_BYTES <= entry.len()).for_each(|at| blocks.insert(block(at)));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A leaf page with an entry for each of these lists of pages; the last one of its index or not.
    pub(crate) fn leaf(entries: &[&[u32]], is_last: bool) -> Vec<u8> {
        let mut page = vec![0; PAGE_BYTES];
        let special = PAGE_BYTES - OPAQUE_BYTES;
        let mut put = |at: usize, value: u16| page[at..at + 2].copy_from_slice(&value.to_le_bytes());
        put(special + 4, u16::from(!is_last));
        put(special + 12, LEAF);
        put(16, u16::try_from(special).unwrap_or_default());
        let mut end = special;
        let mut at = usize::from(HEADER_BYTES);
        for blocks in entries {
            let length = if blocks.len() == 1 { 16 } else { 16 + (blocks.len() * PLACE_BYTES).next_multiple_of(8) };
            end -= length;
            let half = |value: u32| u16::try_from(value & 0xffff).unwrap_or_default();
            let place = |block: u32| [half(block >> 16), half(block), 7];
            let mut words = |at: usize, words: &[u16]| {
                words.iter().enumerate().for_each(|(number, word)| put(at + 2 * number, *word));
            };
            if let [only] = blocks {
                words(end, &[&place(*only)[..], &[16]].concat());
            } else {
                let count = u16::try_from(blocks.len()).unwrap_or_default();
                words(end, &[0, 16, LIST | count, SPECIAL | u16::try_from(length).unwrap_or_default()]);
                let list: Vec<u16> = blocks.iter().flat_map(|block| place(*block)).collect();
                words(end + 16, &list);
            }
            let pointer = u32::try_from(length << 17 | (NORMAL as usize) << 15 | end).unwrap_or_default();
            put(at, half(pointer));
            put(at + 2, half(pointer >> 16));
            at += 4;
        }
        put(12, u16::try_from(at).unwrap_or_default());
        put(14, u16::try_from(end).unwrap_or_default());
        page
    }

    #[test]
    fn entries_lead_to_pages() {
        let check = |page: &[u8], expect: &[u32]| {
            let mut blocks = Blocks::default();
            collect(page, &mut blocks);
            let found: Vec<u32> = (0..200_000).filter(|block| blocks.contains(*block)).collect();
            assert_eq!(found, expect);
            assert_eq!(blocks.last(), expect.last().copied());
        };
        check(&leaf(&[&[3], &[70_000], &[3]], true), &[3, 70_000]);
        check(&leaf(&[&[9], &[3], &[70_000]], false), &[3, 70_000]);
        check(&leaf(&[&[5, 64, 131_072], &[1]], true), &[1, 5, 64, 131_072]);
        check(&vec![0; PAGE_BYTES], &[]);
        check(&crate::pages::example::page(1, 1), &[]);
        let mut inner = leaf(&[&[3]], true);
        inner[PAGE_BYTES - 4] = 0;
        check(&inner, &[]);
        let mut dead = leaf(&[&[3], &[4]], true);
        dead[usize::from(HEADER_BYTES) + 1] |= 0x80;
        dead[usize::from(HEADER_BYTES) + 2] |= 1;
        check(&dead, &[4]);
    }
}
