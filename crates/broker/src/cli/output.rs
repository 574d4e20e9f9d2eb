//! Tables, sizes, JSON and progress.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::error::CliError;

/// A table with aligned columns. Columns whose every cell is a number or a size stand at the right.
#[derive(Debug)]
pub struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(headers: &[&'static str]) -> Self {
        Self { headers: headers.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with one cell for every column.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as text, a line for every row.
    pub fn render(&self) -> String {
        let columns: Vec<Column> = (0..self.headers.len()).map(|index| Column::of(self, index)).collect();
        let mut text = String::new();
        let headers: Vec<String> = self.headers.iter().map(|header| (*header).to_owned()).collect();
        for row in std::iter::once(&headers).chain(&self.rows) {
            let mut line = String::new();
            for (cell, column) in row.iter().zip(&columns) {
                column.pad(cell, &mut line);
                line.push_str("  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Prints the table, or `nothing` to standard error when it has no rows.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn print(&self, nothing: &str) -> Result<(), CliError> {
        if self.rows.is_empty() {
            eprintln!("{nothing}");
            return Ok(());
        }
        print(&self.render())
    }
}

struct Column {
    width: usize,
    right: bool,
}

impl Column {
    fn of(table: &Table, index: usize) -> Self {
        let cells = || table.rows.iter().filter_map(|row| row.get(index));
        let header = table.headers.get(index).map_or(0, |header| header.chars().count());
        let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0).max(header);
        let numeric =
            |cell: &String| cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        let quantity = |cell: &String| cell.chars().all(|c| c.is_ascii_alphanumeric() || ". -".contains(c));
        Self { width, right: cells().all(|cell| numeric(cell) && quantity(cell) && cell.len() <= 24) }
    }

    fn pad(&self, cell: &str, line: &mut String) {
        let missing = " ".repeat(self.width.saturating_sub(cell.chars().count()));
        if self.right {
            line.push_str(&missing);
        }
        line.push_str(cell);
        if !self.right {
            line.push_str(&missing);
        }
    }
}

/// Prints text to standard output.
///
/// # Errors
/// [`CliError::Closed`] when nobody reads any more.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints one JSON document.
///
/// # Errors
/// [`CliError::Closed`] when nobody reads any more.
pub fn print_json(value: &Value) -> Result<(), CliError> {
    print(&format!("{value:#}\n"))
}

/// A number of bytes for people: `512 B`, `1.5 KiB`, `3.0 GiB`.
pub fn size(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes.unsigned_abs() < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value.abs() < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// Numbers with commas between, or `-` for none.
pub fn numbers(values: &[i32]) -> String {
    if values.is_empty() {
        return "-".to_owned();
    }
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Text, or `-` for none.
pub fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// A running count on standard error, invisible unless that is a terminal.
pub fn counter(what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{pos} {msg} ({per_sec})") {
        bar.set_style(style);
    }
    bar.with_message(what)
}
