//! Names of tables and columns that guests hand in, made safe to stand in a statement.

/// A column: `name` or `"name"`, quoted.
pub(super) fn column(name: &str) -> Result<String, String> {
    if is_quoted(name) {
        return Ok(name.to_owned());
    }
    if name.is_empty() || name.contains('\0') {
        return Err(format!("`{name}` is not the name of a column"));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// A table: `name` or `schema.name`, each part plain or in double quotes.
pub(super) fn table(name: &str) -> Result<String, String> {
    let parts = parts(name);
    let valid = matches!(parts.len(), 1 | 2) && parts.iter().all(|part| is_quoted(part) || is_plain(part));
    if valid {
        Ok(name.to_owned())
    } else {
        Err(format!("`{name}` is not the name of a table; quote its parts: \"schema\".\"table\""))
    }
}

/// Split at the dots outside of quotes.
fn parts(name: &str) -> Vec<&str> {
    let mut inside = false;
    name.split(|c| {
        inside ^= c == '"';
        c == '.' && !inside
    })
    .collect()
}

fn is_quoted(part: &str) -> bool {
    let inner = part.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.is_empty() && !inner.contains('\0') && !inner.replace("\"\"", "").contains('"'))
}

fn is_plain(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        let tables = [
            ("orders", true),
            ("public.orders", true),
            ("\"odd \"\"name\"\"\".\"a.b\"", true),
            ("pg_temp.wanted", true),
            ("a.b.c", false),
            ("orders (id) from program 'id' --", false),
            ("\"a\" b", false),
            ("\"a\"; drop table t; \"b\"", false),
            ("", false),
        ];
        for (name, expect) in tables {
            assert_eq!(table(name).is_ok(), expect, "{name}");
        }
        assert_eq!(column("plain").unwrap(), "\"plain\"");
        assert_eq!(column("\"Quoted\"").unwrap(), "\"Quoted\"");
        assert_eq!(column("a\") from program 'id' --").unwrap(), "\"a\"\") from program 'id' --\"");
        assert!(column("").is_err());
    }
}
