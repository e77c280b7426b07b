//! The pages of `docs/errors/`, which are built into the binary.

/// A page of `docs/errors/`.
pub(crate) struct Page {
    pub(crate) code: &'static str,
    text: &'static str,
}

/// Every page, ordered by code.
pub(crate) const PAGES: &[Page] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of that code, in whichever case it is written.
pub(crate) fn page(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|page| page.code.eq_ignore_ascii_case(code)).map(|page| page.text)
}

/// What stands after the code in the first line.
pub(crate) fn title(page: &Page) -> &'static str {
    let line = page.text.lines().next().unwrap_or_default().trim_start_matches('#').trim();
    line.strip_prefix(page.code).map_or(line, |rest| rest.trim_start_matches(':').trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_names_its_own_code_and_says_something() {
        for page in PAGES {
            let first = page.text.lines().next().unwrap();
            assert!(first.starts_with(&format!("# {}: ", page.code)), "{}: {first}", page.code);
            assert!(page.text.lines().filter(|line| !line.trim().is_empty()).count() >= 3, "{}: too short", page.code);
        }
    }
}
