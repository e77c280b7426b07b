//! Did you mean …?

/// Longer names are not compared.
const NAME_BYTES_MAX: usize = 400;

/// The name that the text most probably should have been, if one is close enough.
pub(crate) fn closest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text: String = text.chars().take(100).collect();
    let allowed = (text.chars().count() / 3).clamp(1, 3);
    // One of quite another length is far, and long to compare with.
    names
        .into_iter()
        .filter(|name| name.len() <= NAME_BYTES_MAX)
        .filter(|name| name.len().abs_diff(text.len()) <= 4 * allowed || is_part(&text, name))
        .map(|name| (strsim::damerau_levenshtein(&text, name), name))
        .filter(|(distance, name)| *distance <= allowed || is_part(&text, name))
        .min()
        .map(|(_, name)| name)
}

/// `restore` for `pg/restore`, `table` for `damaged_table`.
fn is_part(text: &str, name: &str) -> bool {
    text.len() >= 4 && name.split(['/', '_', '-']).count() > 1 && (name.ends_with(text) || name.starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        for (text, wanted) in [
            ("atempts", Some("attempts")),
            ("timout", Some("timeout")),
            ("restore", Some("pg/restore")),
            ("of", Some("on")),
            ("completely_else", None),
        ] {
            assert_eq!(closest(text, ["attempts", "timeout", "pg/restore", "on"]), wanted, "{text}");
        }
    }
}
