//! How far something is.

/// `copying 1200/5000 rows (24 %)`; without a total, `reading 7 segments`.
pub fn text(done: u64, total: Option<u64>, unit: &str, message: &str) -> String {
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = u128::from(done) * 100 / u128::from(total);
            format!("{message} {done}/{total} {unit} ({percent} %)")
        }
        None => format!("{message} {done} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_much_of_how_much() {
        assert_eq!(text(1_200, Some(5_000), "rows", "copying"), "copying 1200/5000 rows (24 %)");
        assert_eq!(text(7, None, "segments", "reading"), "reading 7 segments");
        assert_eq!(text(u64::MAX, Some(u64::MAX), "bytes", "x"), format!("x {0}/{0} bytes (100 %)", u64::MAX));
    }
}
