//! `lifeboat explain`: the page of a code.

use clap::Args;

use crate::{
    exit::Exit,
    output::{data, data_as_is},
    problem::Problem,
    wrap,
};

/// Print what a code means and what to do about it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat explain LB0001\n  lifeboat explain            # list every code")]
pub(crate) struct Arguments {
    /// A code, as shown by an error or a diagnostic [default: list all codes]
    code: Option<String>,
}

/// A page of `docs/errors/`.
struct Page {
    code: &'static str,
    text: &'static str,
}

/// Every page, ordered by code.
const PAGES: &[Page] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

pub(crate) fn execute(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(code) = &arguments.code else {
        PAGES.iter().for_each(|page| data(format_args!("{:24} {}", page.code, title(page))));
        return Ok(Exit::Done);
    };
    let text = page(code).ok_or_else(|| unknown(code))?;
    data_as_is(format_args!("{}\n", wrap::reflowed(text, wrap::width(std::io::stdout())).trim_end()));
    Ok(Exit::Done)
}

/// The page of that code, in whichever case it is written.
pub(crate) fn page(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|page| page.code.eq_ignore_ascii_case(code)).map(|page| page.text)
}

/// What stands after the code in the first line.
fn title(page: &Page) -> &'static str {
    let line = page.text.lines().next().unwrap_or_default().trim_start_matches('#').trim();
    line.strip_prefix(page.code).map_or(line, |rest| rest.trim_start_matches(':').trim())
}

fn unknown(code: &str) -> Problem {
    let problem = Problem::usage(format!("unknown code `{code}`"));
    match nearest(code) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint("`lifeboat explain` lists every code"),
    }
}

/// The code that the writer most likely meant: at most a third of it wrong.
fn nearest(code: &str) -> Option<&'static str> {
    let code = code.to_ascii_lowercase();
    PAGES
        .iter()
        .map(|page| (strsim::osa_distance(&code, &page.code.to_ascii_lowercase()), page.code))
        .filter(|(distance, near)| *distance * 3 <= near.len())
        .min()
        .map(|(_, near)| near)
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
