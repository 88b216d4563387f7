//! `cargo xtask picture`: draws the README's terminal picture from the real output of aiw.

use std::fmt::Write as _;

use aiw_tests::command::root;
use anyhow::Result;

use crate::tour;

/// The path of the picture.
const FILE: &str = "docs/terminal.svg";

/// The size of a character cell, in pixels.
const CELL: (usize, usize) = (8, 19);

/// The margin around the text, in pixels.
const MARGIN: usize = 18;

/// The maximum length of a line. Longer lines are cut.
const COLUMNS: usize = 104;

/// Runs the commands of the picture and draws their output.
pub fn draw() -> Result<()> {
    let lines = tour::recorded()?;
    std::fs::write(root().join(FILE), svg(&lines))?;
    println!("wrote {FILE}");
    Ok(())
}

fn svg(lines: &[String]) -> String {
    let width = COLUMNS * CELL.0 + 2 * MARGIN;
    let height = lines.len() * CELL.1 + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16181d\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"13\" xml:space=\"preserve\">\n"
    );
    for (row, line) in lines.iter().enumerate() {
        let y = MARGIN + row * CELL.1 + CELL.1 * 3 / 4;
        let color = if line.starts_with("$ ") { "#8fd18f" } else { "#d7dae0" };
        let mut shown: String = line.chars().take(COLUMNS).collect();
        if line.chars().count() > COLUMNS {
            shown.pop();
            shown.push('…');
        }
        let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"{color}\">{}</text>", escaped(&shown));
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // XML cannot contain control characters.
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_holds_each_line_as_text_that_xml_allows() {
        let picture = svg(&["$ aiw <x> & y".to_owned(), format!("\u{1b}[1m{}", "w".repeat(200))]);
        assert!(picture.contains(">$ aiw &lt;x&gt; &amp; y</text>"));
        assert!(picture.contains("w…</text>") && !picture.contains('\u{1b}'));
        assert_eq!(picture.matches("<text ").count(), 2);
    }
}
