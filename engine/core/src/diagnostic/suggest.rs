//! Did you mean …?

/// Longer names are not compared.
const NAME_BYTES_MAX: usize = 400;

/// The name that the text most probably should have been, if one is close enough.
pub fn closest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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

/// Help for a name that is none of these: the closest one, or all. `what`: what they are, in the plural.
pub fn meant<'a>(text: &str, what: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match closest(text, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => format!("there are no {what}"),
        None => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("the {what} are {}", names.join(", "))
        }
    }
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

    #[test]
    fn help_names_the_closest_one_or_all_of_them() {
        assert_eq!(meant("murge", "steps", ["find", "merge"]), "did you mean `merge`?");
        assert_eq!(meant("nowhere", "steps", ["find", "merge"]), "the steps are `find`, `merge`");
        assert_eq!(meant("nowhere", "steps", []), "there are no steps");
    }
}
