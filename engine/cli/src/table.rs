//! Plain tables: columns as wide as they must be, two blanks between them, nothing at the end of a line.

use std::io;

use crate::{
    output::data,
    wrap::{self, chars},
};

/// Writes a table to standard output; the first row is the heading. On a terminal what does not fit stays in its column.
pub(crate) fn show(rows: &[Vec<String>]) {
    lines_within(rows, wrap::width(io::stdout())).into_iter().for_each(data);
}

/// The lines of a table; the first row is the heading.
pub(crate) fn lines(rows: &[Vec<String>]) -> Vec<String> {
    lines_within(rows, None)
}

fn lines_within(rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| chars(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let hang = widths.iter().rev().skip(1).map(|width| width + 2).sum();
    let line = |row: &Vec<String>| line(row, &widths);
    let fit = |line: String| width.map_or_else(|| line.clone(), |width| wrap::hanging(&line, width, hang));
    rows.iter().map(line).map(fit).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        // A cell is what others said, too: more lines would look like more rows.
        line.push_str(&cell.replace('\n', " "));
        line.push_str(&" ".repeat(width - chars(cell) + 2));
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let table = super::lines(&[
            row(&["RUN", "STATE"]),
            row(&["dr-003", "\u{1b}[1mok\u{1b}[0m"]),
            row(&["x", "two\nlines"]),
        ]);
        assert_eq!(table, ["RUN     STATE", "dr-003  \u{1b}[1mok\u{1b}[0m", "x       two lines"]);
    }

    #[test]
    fn what_does_not_fit_stays_in_its_column() {
        let rows = [vec!["restore".to_owned(), "failed: the archive ends before the target".to_owned()]];
        let table = super::lines_within(&rows, Some(32));
        assert_eq!(table, ["restore  failed: the archive\n         ends before the target"]);
    }
}
