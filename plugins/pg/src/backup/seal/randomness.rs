//! Whether a value looks like encrypted content: its bytes are spread as random bytes of its alphabet are.
//!
//! It cannot tell ciphertext from what is compressed, or from the digits of a hash: only a change of how many values of a column look
//! random says something, and never alone.

/// Shorter values say nothing: short words and digits pass for random.
pub const SHORTEST: usize = 128;
/// How many standard deviations above its mean chi-square of random bytes never is: with 16 symbols it is above 6 in one of thirty thousand
/// values, and above 10 in one of two hundred million.
const SPREAD: f64 = 10.0;
/// The same for how many different bytes there are; its deviation is taken a little too large.
const VARIETY: f64 = 6.0;

/// Whether it does.
pub fn looks_random(value: &[u8]) -> bool {
    if value.len() < SHORTEST {
        return false;
    }
    let (bytes, alphabet) = reduced(value);
    let mut counts = [0_u32; 256];
    for byte in &bytes {
        counts[usize::from(*byte)] += 1;
    }
    let (length, symbols) = (bytes.len() as f64, f64::from(alphabet));
    // With few bytes, the number of different ones; otherwise chi-square against an even spread.
    if length < symbols {
        let expected = symbols * (1.0 - (1.0 - 1.0 / symbols).powf(length));
        let different = counts.iter().filter(|count| **count > 0).count() as f64;
        (expected - different) / (expected * (1.0 - expected / symbols)).sqrt().max(1.0) < VARIETY
    } else {
        let squares: f64 = counts.iter().map(|count| f64::from(*count).powi(2)).sum();
        (squares * symbols / length - length - (symbols - 1.0)) / (2.0 * (symbols - 1.0)).sqrt() < SPREAD
    }
}

/// The bytes that count, and how many there are in their alphabet: hexadecimal, base64, or all.
fn reduced(value: &[u8]) -> (Vec<u8>, u16) {
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    if value.iter().all(|byte| byte.is_ascii_hexdigit() || is_space(byte)) {
        let digits = value.iter().filter(|byte| !is_space(byte)).map(u8::to_ascii_lowercase);
        return (digits.collect(), 16);
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=\r\n\t".contains(byte);
    if value.iter().all(is_base64) {
        let letters = value.iter().filter(|byte| !is_space(byte) && **byte != b'=');
        return (letters.copied().collect(), 64);
    }
    (value.to_vec(), 256)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::call::digest::hexadecimal;

    /// Bytes that no test can tell from random ones.
    fn random(length: usize) -> Vec<u8> {
        let blocks = (0_u32..).flat_map(|number| Sha256::digest(number.to_le_bytes()).to_vec());
        blocks.take(length).collect()
    }

    fn base64(bytes: &[u8]) -> Vec<u8> {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let letter = |number: u32| LETTERS[(number & 63) as usize];
        let chunks = bytes.chunks_exact(3).map(|chunk| chunk.iter().fold(0, |all, byte| (all << 8) | u32::from(*byte)));
        chunks.flat_map(|bits| [18, 12, 6, 0].map(|shift| letter(bits >> shift))).collect()
    }

    #[test]
    fn ciphertext_looks_random_in_every_form() {
        for length in [128, 192, 600, 4_000] {
            let bytes = random(length);
            assert!(looks_random(&bytes), "{length} raw bytes");
            assert!(looks_random(hexadecimal(&bytes).as_bytes()), "{length} bytes in hexadecimal digits");
            assert!(looks_random(&base64(&bytes)), "{length} bytes in base64");
        }
    }

    /// One miss among so many would leave a value encrypted.
    #[test]
    fn none_of_many_is_missed() {
        let bytes = random(144 * 20_000);
        let missed = bytes.chunks(144).filter(|chunk| !looks_random(hexadecimal(chunk).as_bytes())).count();
        assert_eq!(missed, 0);
    }

    #[test]
    fn text_does_not() {
        let prose =
            "The quick brown fox jumps over the lazy dog, and nobody knows why it does so every single day. ".repeat(3);
        let digits = (0..200).map(|number| (number * 7919 % 1000).to_string()).collect::<Vec<_>>().join(" ");
        let json = r#"{"id": 17, "name": "Ada Lovelace", "tags": ["retail", "trade"], "note": "call back on Monday"}"#
            .repeat(3);
        for text in [prose, digits, json] {
            assert!(!looks_random(text.as_bytes()), "{text}");
        }
        assert!(!looks_random(&base64("the same words in base64 ".repeat(12).as_bytes())), "base64 of prose");
    }

    #[test]
    fn a_short_value_says_nothing() {
        assert!(!looks_random(&random(SHORTEST - 1)));
    }
}
