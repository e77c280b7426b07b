//! `lifeboat explain`: the page of a code.

use clap::Args;

use crate::{
    exit::Exit,
    output::{data, data_as_is},
    pages::{PAGES, page, title},
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

pub(crate) fn execute(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(code) = &arguments.code else {
        PAGES.iter().for_each(|page| data(format_args!("{:24} {}", page.code, title(page))));
        return Ok(Exit::Done);
    };
    let text = page(code).ok_or_else(|| unknown(code))?;
    data_as_is(format_args!("{}\n", wrap::reflowed(text, wrap::width(std::io::stdout())).trim_end()));
    Ok(Exit::Done)
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
