//! Lists for people: columns that fit a terminal, and lines that go on below where they don't.

use clap::builder::styling::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The terminal that standard output is.
#[derive(Debug, Clone, Copy)]
pub struct OutputScreen {
    /// Its width, where it has one.
    pub columns: Option<usize>,
    /// Whether it shows colour.
    pub color: bool,
}

/// The style of the headers of a list.
pub const HEADER: Style = Style::new().bold();

/// The headers of a last column that is never cut: it says why something is as it is, or is an address.
const REASON_COLUMNS: [&str; 4] = ["WHY", "ENDED", "TOKEN PAGE", ""];

/// The headers of columns that are never cut, as one word says most of a row.
const STATE_COLUMNS: [&str; 2] = ["STATE", "STATUS"];

/// The widths that a reason and another last column keep before they go below their row, and the least that other
/// columns keep: at first, and at last.
const MIN_REASON_WIDTH: usize = 32;
const MIN_LAST_WIDTH: usize = 24;
const MIN_WIDTH: usize = 10;
const MIN_SHRUNK_WIDTH: usize = 4;
const MIN_STATE_WIDTH: usize = 14;

/// How far a line that goes on below is moved in.
const INDENT_WIDTH: usize = 4;

/// Columns, as wide as their longest cell; the last one runs on.
pub fn align_columns(rows: &[Vec<String>]) -> Vec<String> {
    let widths = widths(rows.iter().map(Vec::as_slice));
    rows.iter().map(|row| row_line(row, &widths, |_| Style::new())).collect()
}

fn widths<'a>(rows: impl Iterator<Item = &'a [String]>) -> Vec<usize> {
    rows.fold(Vec::new(), |mut widths, row| {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
        widths
    })
}

fn row_line(row: &[String], widths: &[usize], style: impl Fn(usize) -> Style) -> String {
    let mut line = String::new();
    let used = row.iter().rposition(|cell| !cell.trim_end().is_empty()).map_or(0, |last| last + 1);
    for (column, (cell, width)) in row.iter().zip(widths).take(used).enumerate() {
        let style = style(column);
        let cell = if column + 1 == used { cell.trim_end() } else { cell };
        line.push_str(&format!("{style}{cell}{style:#}"));
        if column + 1 < used {
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
        }
    }
    line
}

/// The lines of the header and of the rows of a list on a terminal. A column without a word in it is left out.
///
/// Fits rows to the screen. Names and reasons are never cut: one too long for its row is printed below it. The rest
/// gives way first.
pub fn format_table(
    headers: &[&str],
    rows: &[Vec<String>],
    screen: OutputScreen,
    style: impl Fn(usize, usize) -> Style,
) -> (Vec<String>, Vec<String>) {
    if rows.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let used: Vec<usize> = (0..headers.len())
        .filter(|column| rows.iter().any(|row| row.get(*column).is_some_and(|cell| !cell.trim().is_empty())))
        .collect();
    let mut headers: Vec<String> =
        used.iter().filter_map(|column| headers.get(*column)).map(|header| (*header).to_owned()).collect();
    let cell =
        |row: &Vec<String>, column: usize| row.get(column).map_or_else(String::new, |c| aiw_core::printable(c).into());
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| used.iter().map(|column| cell(row, *column)).collect()).collect();
    let paint = |style: Style| if screen.color { style } else { Style::new() };
    let styled = |row: usize, column: usize| paint(used.get(column).map_or(Style::new(), |used| style(row, *used)));
    let mut widths = widths(rows.iter().chain([&headers]).map(Vec::as_slice));
    // One name that takes most of a line should not move everything else below.
    let name = named_by(&headers).unwrap_or_default();
    let most = screen.columns.map_or(usize::MAX, |columns| columns * 2 / 3);
    if widths[name] > most && name + 1 < headers.len() {
        let names = rows.iter().map(|row| row[name].width()).filter(|width| *width <= most);
        widths[name] = names.max().unwrap_or_default().max(headers[name].width());
    }
    let fitted = screen.columns.and_then(|columns| Some((columns, Fitted::of(&headers, &mut widths, columns)?)));
    let Some((columns, fitted)) = fitted else {
        let all = rows.iter().enumerate().map(|(at, row)| row_line(row, &widths, |column| styled(at, column)));
        let header = row_line(&headers, &widths, |_| paint(HEADER)) + "\n";
        return (vec![header], all.map(|line| line + "\n").collect());
    };
    let last = headers.len() - 1;
    let lead = " ".repeat(INDENT_WIDTH);
    let header_below = if fitted.is_below { std::mem::take(&mut headers[last]) } else { String::new() };
    let fit =
        |row: &mut [String]| row.iter_mut().zip(&widths).for_each(|(cell, width)| *cell = truncate_cell(cell, *width));
    fit(&mut headers);
    let mut header = vec![row_line(&headers, &widths, |_| paint(HEADER)) + "\n"];
    if !header_below.is_empty() && !fitted.has_reason {
        let style = paint(HEADER);
        header.push(format!("{style}{lead}{header_below}{style:#}\n"));
    }
    let mut lines = Vec::new();
    for (at, mut row) in rows.into_iter().enumerate() {
        let is_long = fitted.is_below || (fitted.has_reason && row[last].width() > widths[last]);
        let below = if is_long { std::mem::take(&mut row[last]) } else { String::new() };
        // A name that leaves no room for the rest stands above it.
        if row[fitted.name].width() > widths[fitted.name] {
            let above = row[..=fitted.name].to_vec();
            lines.push(row_line(&above, &widths, |column| styled(at, column)));
            row[..=fitted.name].iter_mut().for_each(String::clear);
        }
        fit(&mut row);
        if row.iter().any(|cell| !cell.trim().is_empty()) {
            lines.push(row_line(&row, &widths, |column| styled(at, column)));
        }
        let style = styled(at, last);
        let below = match fitted.has_reason {
            _ if below.is_empty() => Vec::new(),
            true => wrap_text(&lead, &below, columns),
            false => vec![format!("{lead}{}", truncate_cell(&below, columns.saturating_sub(INDENT_WIDTH)))],
        };
        lines.extend(below.iter().map(|line| format!("{style}{line}{style:#}")));
    }
    (header, lines.into_iter().map(|line| line + "\n").collect())
}

/// How the last column of a list fits its terminal.
struct Fitted {
    /// The column that things are named by. A longer name stands above its row.
    name: usize,
    has_reason: bool,
    /// Whether it stands below each row.
    is_below: bool,
}

/// The column that things are named by: a mark may stand before the name.
fn named_by(headers: &[String]) -> Option<usize> {
    headers.iter().position(|header| !header.is_empty())
}

impl Fitted {
    /// Makes the columns fit. None if the list has only one, which is what things are named by.
    fn of(headers: &[String], widths: &mut [usize], columns: usize) -> Option<Self> {
        let name = named_by(headers)?;
        let last = widths.len().checked_sub(1).filter(|last| *last > name)?;
        let has_reason = REASON_COLUMNS.contains(&headers[last].as_str());
        let over =
            |widths: &[usize], end: usize| (widths[..=end].iter().sum::<usize>() + 2 * end).saturating_sub(columns);
        let shrink = |widths: &mut [usize], end: usize, least: usize| {
            while over(widths, end) > 0 {
                let is_state = |column: &usize| STATE_COLUMNS.contains(&headers[*column].as_str());
                // At last a state loses what explains its word.
                let gives = |column: &usize| {
                    widths[*column] > least
                        && (!is_state(column) || (least < MIN_WIDTH && widths[*column] > MIN_STATE_WIDTH))
                };
                let others = (name + 1..last).filter(gives);
                let Some(widest) = others.max_by_key(|column| widths[*column]) else { return };
                widths[widest] -= 1;
            }
        };
        let whole = widths.to_vec();
        // A reason that is longer than its column stands below its row.
        let least_last = if has_reason { MIN_REASON_WIDTH } else { MIN_LAST_WIDTH };
        widths[last] -= over(widths, last).min(widths[last].saturating_sub(least_last));
        shrink(widths, last, MIN_WIDTH);
        let is_below = over(widths, last) > 0;
        if is_below {
            widths.copy_from_slice(&whole);
            widths[last] = 0;
            shrink(widths, last - 1, MIN_SHRUNK_WIDTH);
            widths[name] -= over(widths, last - 1).min(widths[name].saturating_sub(MIN_WIDTH));
        }
        Some(Self { name, has_reason, is_below })
    }
}

/// The lines of a text that is wrapped at words, to a width: `lead` stands before the first, blanks before the others.
pub fn wrap_text(lead: &str, text: &str, columns: usize) -> Vec<String> {
    wrap_with_indent(lead, lead.width().min(INDENT_WIDTH), text, columns)
}

/// As [`wrap_text`], with so many blanks before the other lines.
pub fn wrap_with_indent(lead: &str, indent: usize, text: &str, columns: usize) -> Vec<String> {
    let room = |line: &str| columns.saturating_sub(1).max(lead.width() + 8).saturating_sub(line.width());
    let indent = " ".repeat(indent);
    let mut lines = Vec::new();
    let (mut line, mut is_empty) = (lead.to_owned(), true);
    for word in text.split_whitespace() {
        let mut rest = word;
        loop {
            let gap = if is_empty { "" } else { " " };
            if rest.width() + gap.len() <= room(&line) {
                line.push_str(gap);
                line.push_str(rest);
                is_empty = false;
                break;
            }
            if !is_empty {
                lines.push(std::mem::replace(&mut line, indent.clone()));
                is_empty = true;
                continue;
            }
            // A word that is longer than a line.
            let (part, more) =
                rest.split_at(fitting(rest, room(&line)).max(rest.chars().next().map_or(1, char::len_utf8)));
            line.push_str(part);
            lines.push(std::mem::replace(&mut line, indent.clone()));
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
    }
    if !is_empty || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The lines of a text that ends in a frame: what is too wide for the columns goes on in the frame.
pub fn wrap_framed_text(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(20) - 1;
    let first = split_by_width(text, columns).next().unwrap_or_default();
    let mut lines = vec![first.to_owned()];
    let rest = &text[first.len()..];
    if !rest.is_empty() {
        lines.extend(split_by_width(rest, columns - 2).map(|piece| format!("┆ {piece}")));
    }
    lines
}

/// A text in pieces of at most so many columns, at least one.
pub fn split_by_width(text: &str, columns: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let first = text.chars().next().map_or(0, char::len_utf8);
        let (piece, more) = text.split_at(fitting(text, columns).max(first));
        rest = Some(more).filter(|more| !more.is_empty());
        Some(piece)
    })
}

/// How many bytes of a text take no more columns than there are.
fn fitting(text: &str, columns: usize) -> usize {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(1);
        used <= columns
    };
    text.chars().take_while(fits).map(char::len_utf8).sum()
}

/// A cell of at most this width. A path loses its beginning, anything else its end, at a word where one is near.
pub fn truncate_cell(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    if text.starts_with(['/', '~']) && !text.contains(' ') {
        let ends = text.match_indices('/').map(|(at, _)| &text[at..]);
        if let Some(end) = ends.into_iter().find(|end| end.width() <= room && end.len() > 1) {
            return format!("…{end}");
        }
    }
    let (kept, rest) = text.split_at(fitting(text, room));
    let kept = match kept.rfind(' ').filter(|_| !rest.starts_with(' ')) {
        Some(word) if kept[..word].width() * 2 >= room => &kept[..word],
        _ => kept,
    };
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(
        headers: &[&str],
        rows: &[Vec<String>],
        screen: OutputScreen,
        style: impl Fn(usize, usize) -> Style,
    ) -> Vec<String> {
        let (header, lines) = format_table(headers, rows, screen, style);
        [header, lines].concat()
    }

    fn lines(headers: &[&str], rows: &[Vec<String>], columns: usize) -> String {
        let screen = OutputScreen { columns: Some(columns), color: false };
        let lines = table(headers, rows, screen, |_, _| Style::new());
        assert!(lines.iter().all(|line| line.trim_end().width() <= columns), "{lines:#?}");
        lines.concat()
    }

    fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    #[test]
    fn a_list_fits_its_terminal_and_keeps_whole_what_is_typed() {
        let shown = |columns: usize, prompt: &str| {
            let rows = [row(["a1b2c3d4e5f6", "running", "", "/srv/pages/sub/site", prompt])];
            lines(&["ID", "STATE", "NOTE", "DIRECTORY", "PROMPT"], &rows, columns)
        };
        let prompt = "fix the test that fails on Fridays and tell me why it did";
        assert_eq!(
            shown(80, prompt),
            "ID            STATE    DIRECTORY            PROMPT\n\
             a1b2c3d4e5f6  running  /srv/pages/sub/site  fix the test that fails on Fridays…\n"
        );
        assert_eq!(
            shown(60, prompt),
            "ID            STATE    DIRECTORY    PROMPT\n\
             a1b2c3d4e5f6  running  …/sub/site   fix the test that fails…\n"
        );
        assert!(shown(200, prompt).contains(prompt));
        // Two columns wide, each of them.
        assert!(shown(61, "日本語日本語日本語日本語日本語日本語").contains("日本語日本語日本語日本…"));
    }

    #[test]
    fn a_name_and_a_reason_are_never_cut() {
        let name = "io.github.somebody/a-server-with-a-long-name";
        let why =
            "exited with status 3, five times in a minute: the last lines of its log say why, and port 4180 is in use";
        let words = |shown: &str| shown.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for columns in [60, 80, 120, 200] {
            let rows = [
                row([
                    "1",
                    name,
                    "1.2.3",
                    "npx -y @scope/server --with many options",
                    "It finds what you need, anywhere",
                ]),
                row(["2", "x", "1", "docker", ""]),
            ];
            let shown = lines(&["", "NAME", "VERSION", "RUNS", "DESCRIPTION"], &rows, columns);
            assert!(shown.contains(name) && shown.contains("It finds what you"), "{shown}");
            let rows = [row(["web", "crash-looping", "4321", "npm run dev -- --port 4180", why])];
            let shown = lines(&["ID", "STATE", "PID", "COMMAND", "WHY"], &rows, columns);
            assert!(words(&shown).join(" ").contains(&words(why).join(" ")), "{shown}");
            assert!(shown.contains("crash-looping"), "{shown}");
        }
        // On a line of its own only where it must.
        let rows = [row(["web", "running", "ready"]), row(["db", "failed", why])];
        let shown = lines(&["ID", "STATE", "WHY"], &rows, 80);
        assert!(
            shown.starts_with("ID   STATE    WHY\nweb  running  ready\ndb   failed\n    exited with status 3"),
            "{shown}"
        );
        // A reason of another row cuts nothing that there is room for.
        let rows =
            [row(["web", "running", "npm run dev -- --port 4180", ""]), row(["db", "failed", "pg -D data", why])];
        let shown = lines(&["ID", "STATE", "COMMAND", "WHY"], &rows, 80);
        assert!(shown.contains("npm run dev -- --port 4180"), "{shown}");
    }

    #[test]
    fn what_stands_below_a_row_has_its_heading_below_too() {
        let headers = ["PROVIDER", "REQUESTS", "TASKS", "INPUT", "CACHED", "OUTPUT", "COST"];
        let rows = [row(["a-provider-of-mine", "12", "3", "123.4k", "12.3k", "45.6k", "$1.2345"])];
        assert!(lines(&headers, &rows, 60).contains("\n    COST\n"), "{}", lines(&headers, &rows, 60));
        assert!(lines(&headers, &rows, 80).contains("OUTPUT  COST\n"), "{}", lines(&headers, &rows, 80));
    }

    #[test]
    fn a_name_that_is_wider_than_the_terminal_does_not_move_the_others() {
        let long = "a-server-with-a-name__and_a_tool_whose_name_says_everything_that_it_does_to_a_board";
        let rows = [row([long, "yes", "It does"]), row(["short", "no", "It doesn't"])];
        let shown = |columns| {
            let screen = OutputScreen { columns: Some(columns), color: false };
            table(&["TOOL", "ASKS", "DESCRIPTION"], &rows, screen, |_, _| Style::new())
        };
        for columns in [60, 80] {
            let lines = shown(columns);
            assert_eq!(lines[1].trim_end(), long, "{lines:#?}");
            let others = lines.iter().enumerate().filter(|(at, _)| *at != 1);
            assert!(others.clone().all(|(_, line)| line.trim_end().width() <= columns), "{lines:#?}");
            assert!(others.map(|(_, line)| line.as_str()).collect::<String>().contains("It doesn't"), "{lines:#?}");
        }
    }

    #[test]
    fn a_text_in_pieces_is_whole_and_none_is_wider() {
        let text = "│ a日本語 and\tsome words that go on";
        for columns in [1, 7, 12, 200] {
            let pieces: Vec<&str> = split_by_width(text, columns).collect();
            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().all(|piece| piece.width() <= columns.max(2)), "{pieces:?}");
        }
        assert_eq!(split_by_width("", 9).collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn what_is_too_wide_goes_on_in_its_frame() {
        let text = format!("note:   here: │ {}", "a日本語 ".repeat(30));
        let lines = wrap_framed_text(&text, 40);
        assert!(lines.iter().all(|line| line.width() < 40), "{lines:?}");
        assert!(lines.iter().skip(1).all(|line| line.starts_with("┆ ")), "{lines:?}");
        let whole: String = lines.iter().map(|line| line.strip_prefix("┆ ").unwrap_or(line)).collect();
        assert_eq!(whole, text);
        assert_eq!(wrap_framed_text("│ a", 40), ["│ a"]);
    }

    #[test]
    fn a_line_goes_on_below_at_a_word() {
        assert_eq!(wrap_text("a  ", "one two three", 12), ["a  one two", "   three"]);
        assert_eq!(wrap_text("", "abcdefghijklmnop", 9), ["abcdefgh", "ijklmnop"]);
        assert_eq!(wrap_text("ab: ", "", 9), ["ab:"]);
        assert_eq!(wrap_text("", "日本語日本語", 9), ["日本語日", "本語"]);
    }

    #[test]
    fn what_is_styled_is_only_words() {
        let screen = OutputScreen { columns: Some(80), color: true };
        let rows = [row(["a\u{1b}[2J", "x"])];
        let red = clap::builder::styling::AnsiColor::Red.on_default().bold();
        let lines = table(&["ID", "NAME"], &rows, screen, |_, column| if column == 0 { red } else { HEADER });
        assert_eq!(lines[0], "\u{1b}[1mID\u{1b}[0m          \u{1b}[1mNAME\u{1b}[0m\n");
        assert_eq!(lines[1], "\u{1b}[1m\u{1b}[31ma\\u{1b}[2J\u{1b}[0m  \u{1b}[1mx\u{1b}[0m\n");
    }
}
