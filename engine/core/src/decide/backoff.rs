//! How long to wait before the next attempt: doubled each time, capped, without chance (a run must be repeatable).

use jiff::SignedDuration;

use crate::plan::Retry;

/// The wait after the `failures`-th failure.
pub(super) fn wait(retry: &Retry, failures: u32) -> SignedDuration {
    exponential(retry.backoff, retry.backoff_max, failures)
}

/// `first · 2^(failures − 1)`, at most `most`.
pub(super) fn exponential(first: SignedDuration, most: SignedDuration, failures: u32) -> SignedDuration {
    let factor = 1_i32.checked_shl(failures.saturating_sub(1)).filter(|factor| *factor > 0).unwrap_or(i32::MAX);
    first.checked_mul(factor).unwrap_or(most).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_cap() {
        let wait =
            |failures| exponential(SignedDuration::from_secs(2), SignedDuration::from_secs(9), failures).as_secs();
        assert_eq!([1, 2, 3, 4, 31, 32, 33, u32::MAX].map(wait), [2, 4, 8, 9, 9, 9, 9, 9]);
    }
}
