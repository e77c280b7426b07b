//! The checksum of a page, as PostgreSQL's `checksum_impl.h` computes it: 32 sums of FNV-1a over the columns of the page, folded into
//! 16 bits.

/// PostgreSQL's default size of a page, and the only one that is read here.
pub const PAGE_BYTES: usize = 8_192;
const PRIME: u32 = 16_777_619;
const SUMS: usize = 32;
/// Where the page keeps its own checksum, which counts as zero.
const OWN: std::ops::Range<usize> = 8..10;
const OFFSETS: [u32; SUMS] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

/// The checksum that the page should carry; `block` is its number in the relation, across all of its files. A page of another size than
/// [`PAGE_BYTES`] has none that means anything.
pub fn checksum(page: &[u8], block: u32) -> u16 {
    let mut sums = OFFSETS;
    let mut own = [0; 4 * SUMS];
    for (row, bytes) in page.chunks_exact(4 * SUMS).take(PAGE_BYTES / (4 * SUMS)).enumerate() {
        let bytes = if row == 0 {
            own.copy_from_slice(bytes);
            own[OWN].fill(0);
            &own[..]
        } else {
            bytes
        };
        for (sum, word) in sums.iter_mut().zip(bytes.chunks_exact(4)) {
            *sum = mixed(*sum, u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        }
    }
    for _ in 0..2 {
        sums.iter_mut().for_each(|sum| *sum = mixed(*sum, 0));
    }
    let all = sums.iter().fold(0, |all, sum| all ^ sum) ^ block;
    // The remainder is below 65,535, so that the result is never 0.
    u16::try_from(all % 65_535).unwrap_or_default() + 1
}

fn mixed(sum: u32, value: u32) -> u32 {
    let mixed = sum ^ value;
    mixed.wrapping_mul(PRIME) ^ (mixed >> 17)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_depends_on_every_bit_but_its_own_and_on_the_place() {
        let page: Vec<u8> = (0..PAGE_BYTES).map(|at| u8::try_from(at * 7 % 256).unwrap_or_default()).collect();
        let right = checksum(&page, 3);
        assert_ne!(right, checksum(&page, 4), "a page of another place");
        for at in [0, 7, 10, 24, 127, 128, 4_000, PAGE_BYTES - 1] {
            let mut other = page.clone();
            other[at] ^= 1;
            assert_ne!(right, checksum(&other, 3), "byte {at}");
        }
        let mut other = page;
        other[OWN].fill(0xff);
        assert_eq!(right, checksum(&other, 3));
    }
}
