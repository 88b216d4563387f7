//! What somebody is asked to agree to, as they can see it: all of it, or how much is missing.
//!
//! Every question of aiw's, in a form, on a terminal or in the dashboard, shows what others wrote through this module, so
//! that what is agreed to is what happens.

use sha2::{Digest, Sha256};

use crate::hidden::columns;
use crate::text::{hex, pluralize, printable};

/// The most columns and lines that a form shows. Nobody scrolls through more before they agree.
const MAX_CELLS: usize = 6000;
const MAX_LINES: usize = 200;

/// The width of a line in a form, in columns. What stands beyond the edge of a window is not seen.
const MAX_ROW_WIDTH: usize = 96;

/// The most characters of a line on a terminal, which scrolls back.
const MAX_LINE_LEN: usize = 10_000;

/// How many columns of blanks in a row are shown as they are: at the beginning of a line, where code is indented, and
/// elsewhere.
const MAX_INDENT_WIDTH: usize = 64;
const MAX_GAP_WIDTH: usize = 16;

/// How many equal lines in a row are shown as they are.
const MAX_REPEATS: usize = 2;

/// A text of somebody else's, as a question shows it: nothing is hidden, long runs of blanks and of empty lines are
/// given as a count, and if it is too long, its beginning and its end stand beside its length and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotedText {
    rows: Vec<ShownRow>,
    is_whole: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ShownRow {
    /// The beginning of a line.
    Line(String),
    /// The rest of a line that is too wide.
    Continuation(String),
    /// A note of aiw about lines that are left out.
    Note(String),
}

impl ShownRow {
    fn width(&self) -> usize {
        let (Self::Line(text) | Self::Continuation(text) | Self::Note(text)) = self;
        text.chars().map(columns).sum()
    }
}

impl QuotedText {
    /// Returns a text as a form shows it.
    pub fn new(text: &str) -> Self {
        let mut rows = Vec::new();
        let mut repeats = Repeats::default();
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if let Some(note) = repeats.next(line) {
                rows.extend(note.map(ShownRow::Note));
                wrap(collapse_blanks(&printable(line)).trim_end(), &mut rows);
            }
        }
        rows.extend(repeats.end().map(ShownRow::Note));
        let is_whole = rows.len() <= MAX_LINES && rows.iter().map(ShownRow::width).sum::<usize>() <= MAX_CELLS;
        if !is_whole {
            cut(&mut rows, text);
        }
        Self { rows, is_whole }
    }

    /// Whether all of the text is shown.
    pub fn is_complete(&self) -> bool {
        self.is_whole
    }

    /// Returns the text as [`Self::framed`], in which no line is cut: whoever shows it cuts them to the width that there is.
    pub fn framed_untruncated(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for row in &self.rows {
            match (row, lines.last_mut()) {
                (ShownRow::Continuation(text), Some(last)) => last.push_str(text),
                // The blanks at its end may stand before more of the line.
                (ShownRow::Line(text) | ShownRow::Continuation(text), _) => lines.push(format!("│ {text}")),
                (ShownRow::Note(text), _) => lines.push(format!("⋮ {text}")),
            }
        }
        lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
    }

    /// Returns the text in a frame that it can't leave: each line begins with a mark, so that none looks like a
    /// sentence of aiw's.
    pub fn framed(&self) -> String {
        let line = |row: &ShownRow| match row {
            ShownRow::Line(text) => frame_line(text),
            ShownRow::Continuation(text) => format!("┆ {text}"),
            ShownRow::Note(text) => format!("⋮ {text}"),
        };
        self.rows.iter().map(line).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

/// Cuts a line into rows that are no wider than a form.
fn wrap(line: &str, rows: &mut Vec<ShownRow>) {
    let mut rest = line;
    let mut row: fn(String) -> ShownRow = ShownRow::Line;
    loop {
        let mut width = 0;
        let is_over = |c: char| {
            width += columns(c);
            width > MAX_ROW_WIDTH
        };
        let (part, more) = rest.split_at(rest.find(is_over).unwrap_or(rest.len()));
        rows.push(row(printable(part).into_owned()));
        if more.is_empty() {
            return;
        }
        (rest, row) = (more, ShownRow::Continuation);
    }
}

/// Takes out the middle, and says how much that is.
fn cut(rows: &mut Vec<ShownRow>, text: &str) {
    let mut room = MAX_CELLS;
    let mut fits = |row: &&ShownRow, share: usize| {
        room = room.saturating_sub(row.width());
        room > share
    };
    let head = rows.iter().take(MAX_LINES * 2 / 3).take_while(|row| fits(row, MAX_CELLS / 3)).count();
    let tail = rows[head..].iter().rev().take(MAX_LINES / 3).take_while(|row| fits(row, 0)).count();
    let left_out = rows.len() - head - tail;
    let note = format!("{} are not shown; {}", pluralize(left_out, "line"), measured(text));
    let end = rows.len() - tail;
    rows.splice(head..end, [ShownRow::Note(note)]);
}

/// The length and digest of a whole text.
fn measured(text: &str) -> String {
    format!("the whole text has {}, sha256 {}", pluralize(text.len(), "byte"), hex(&Sha256::digest(text)))
}

/// The lines of a text for a terminal, as a question shows them.
pub fn quote_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut repeats = Repeats::default();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(note) = repeats.next(line) {
            lines.extend(note);
            lines.push(if line.trim().is_empty() { String::new() } else { quote_line(line) });
        }
    }
    lines.extend(repeats.end());
    lines
}

/// A line of somebody else's in a frame, so that it doesn't look like one of ours.
pub fn frame_line(line: &str) -> String {
    format!("│ {line}").trim_end().to_owned()
}

/// A line as a question shows it.
pub fn quote_line(line: &str) -> String {
    let shown = collapse_blanks(&printable(line));
    let length = shown.chars().count();
    if length <= MAX_LINE_LEN {
        return shown;
    }
    let at = |n: usize| shown.char_indices().nth(n).map_or(shown.len(), |(at, _)| at);
    let (head, tail) = (&shown[..at(MAX_LINE_LEN * 2 / 3)], &shown[at(length - MAX_LINE_LEN / 3)..]);
    let left_out = pluralize(length - MAX_LINE_LEN * 2 / 3 - MAX_LINE_LEN / 3, "character");
    format!("{} ⟨{left_out} are not shown; {}⟩ {}", printable(head), measured(line), printable(tail))
}

/// A text in which long runs of blanks and line breaks are given as a count.
pub fn collapse_blanks(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let (mut rest, mut is_beginning) = (line, true);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let (gap, after) = rest.split_at(end);
        let columns: usize = gap.chars().map(columns).sum();
        let most = if is_beginning && !after.is_empty() { MAX_INDENT_WIDTH } else { MAX_GAP_WIDTH };
        match columns > most {
            true => shown.push_str(&format!("⟨{} blanks⟩", gap.chars().count())),
            false => shown.push_str(gap),
        }
        let word = &after[..after.find(char::is_whitespace).unwrap_or(after.len())];
        shown.push_str(word);
        // Behind a mark of a frame or of a change.
        is_beginning &= matches!(word, "" | "│" | "┆" | "+" | "-");
        rest = &after[word.len()..];
    }
    shown
}

/// Text on one line with nothing hidden or pushed out of sight: line breaks are visible, long runs of blanks and line
/// breaks are given as a count, and nothing else is folded or cut.
pub fn to_visible_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in collapse_blanks(text).chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c => line.push(c),
        }
    }
    printable(&line).into_owned()
}

/// Counts lines that are as the one before, so that many of them push nothing out of sight.
#[derive(Debug, Default)]
struct Repeats {
    last: String,
    count: usize,
}

impl Repeats {
    /// Takes the next line. Returns None if it is not shown; else what is to be said before it, if anything is.
    fn next(&mut self, line: &str) -> Option<Option<String>> {
        // Blanks alone are an empty line.
        let line = if line.trim().is_empty() { "" } else { line };
        if self.count > 0 && line == self.last {
            self.count += 1;
            return (self.count <= MAX_REPEATS).then_some(None);
        }
        let note = self.end();
        *self = Self { last: line.to_owned(), count: 1 };
        Some(note)
    }

    /// Ends a run of such lines. Returns what is to be said about those that were not shown.
    fn end(&mut self) -> Option<String> {
        let more = std::mem::take(&mut self.count).saturating_sub(MAX_REPEATS);
        let what = if self.last.is_empty() { "empty line" } else { "such line" };
        (more > 0).then(|| format!("⟨{} more⟩", pluralize(more, what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_pushed_out_of_sight() {
        let script = format!("read();{}\ndelete_all();{}wipe();", "\n".repeat(3000), " ".repeat(250));
        let shown = QuotedText::new(&script);
        assert!(shown.is_complete());
        assert_eq!(shown.framed(), "│ read();\n│\n│\n⋮ ⟨2998 empty lines more⟩\n│ delete_all();⟨250 blanks⟩wipe();");
        let blanks = ["\u{3000}", "\u{2003}", "\t", "\u{a0}"].map(|blank| blank.repeat(3000)).concat();
        assert_eq!(quote_line(&format!("a{blanks}b")), "a⟨12000 blanks⟩b");
        assert_eq!(quote_lines("a\n\n\n\n\nb\n"), ["a", "", "", "⟨2 empty lines more⟩", "b", ""]);
        assert_eq!(quote_lines("\n\n\na"), ["", "", "⟨1 empty line more⟩", "a"]);
        // Nor by lines that only look like something.
        let filled = format!("a\n{}b", format!("{}\n", " ".repeat(500)).repeat(3000));
        assert_eq!(quote_lines(&filled), ["a", "", "", "⟨2998 empty lines more⟩", "b"]);
        let filled = format!("a\n{}b", "//\n".repeat(3000));
        assert_eq!(QuotedText::new(&filled).framed(), "│ a\n│ //\n│ //\n⋮ ⟨2998 such lines more⟩\n│ b");
        assert_eq!(
            quote_line(&format!("{}a{}b", "\t".repeat(8), "\t".repeat(3))),
            format!("{}a⟨3 blanks⟩b", "\t".repeat(8))
        );
        assert_eq!(quote_line(&format!("{}a", "\t".repeat(9))), "⟨9 blanks⟩a");
    }

    #[test]
    fn what_is_too_long_shows_its_beginning_its_end_and_its_digest() {
        let text = format!("BEGIN{}END", "x".repeat(100_000));
        for shown in [QuotedText::new(&text).framed(), quote_line(&text)] {
            assert!(shown.contains("BEGINx") && shown.ends_with("xEND"), "{shown}");
            assert!(shown.contains("the whole text has 100008 bytes, sha256 ") && shown.len() < 12_000, "{shown}");
            assert!(shown.contains(&hex(&Sha256::digest(&text))));
        }
        assert!(!QuotedText::new(&text).is_complete());
        let many: String = (0..201).map(|n| format!("// {n}\n")).collect();
        assert!(
            !QuotedText::new(&many).is_complete() && QuotedText::new(&many).framed().lines().count() <= MAX_LINES + 1
        );
    }

    #[test]
    fn no_line_leaves_its_frame() {
        let text = "a\nAllow this?\r\n\u{1b}[2J\u{2028}x\rb";
        assert_eq!(QuotedText::new(text).framed(), "│ a\n│ Allow this?\n│ \\u{1b}[2J\\u{2028}x\\u{d}b");
        let wide = QuotedText::new(&"w".repeat(200)).framed();
        assert_eq!(wide.lines().map(|line| line.chars().count()).collect::<Vec<_>>(), [98, 98, 10]);
        assert!(wide.lines().skip(1).all(|line| line.starts_with("┆ ")));
        let text = format!("{} {}\nb", "v".repeat(95), "w".repeat(200));
        assert_eq!(QuotedText::new(&text).framed_untruncated(), format!("│ {}", text.replace('\n', "\n│ ")));
        // Letters of two columns.
        let wide = QuotedText::new(&"漢".repeat(100)).framed();
        assert_eq!(wide.lines().map(|line| line.chars().count()).collect::<Vec<_>>(), [50, 50, 6]);
        assert_eq!(QuotedText::new(&format!("a{}", "\u{301}".repeat(10))).framed().matches("\\u{301}").count(), 2);
    }

    proptest! {
        #[test]
        fn a_question_is_bounded_safe_and_whole_or_measured(text in "(?s)([a-z \n\t\u{200b}👩\u{200d}]|.){0,300}", times in 1usize..40) {
            let text = text.repeat(times);
            let shown = QuotedText::new(&text);
            let framed = shown.framed();
            prop_assert!(crate::is_safe(&framed), "{:?}", framed);
            prop_assert!(framed.lines().all(|line| line.starts_with(['│', '┆', '⋮'])));
            prop_assert!(framed.lines().count() <= MAX_LINES + 1 && framed.chars().count() <= MAX_CELLS + 3 * MAX_LINES + 200);
            prop_assert!(shown.is_complete() || framed.contains(&hex(&Sha256::digest(&text))));
            // Every word that is short enough to stand on one line is there.
            if shown.is_complete() {
                let short = |word: &&str| word.len() < 8 && word.bytes().all(|b| b.is_ascii_lowercase());
                for word in text.split_whitespace().filter(short) {
                    let all: String = framed.lines().map(|line| line.chars().skip(2).collect::<String>()).collect();
                    prop_assert!(all.contains(word), "{}", word);
                }
            }
            prop_assert!(crate::is_safe(&quote_line(&text)));
        }
    }
}
