//! Plain tables: columns as wide as they must be, two blanks between them, nothing at the end of a line.

/// The lines of a table; the first row is the heading.
pub(crate) fn lines(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| chars(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
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

/// How wide a cell is; styles have no width.
fn chars(cell: &str) -> usize {
    anstream::adapter::strip_str(cell).to_string().chars().count()
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
}
