//! What screens are drawn with: cells, styles, lines of text.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::text::{char_width, clean, width, wrap};

/// The number of cells for labels in details.
const LABEL_WIDTH: usize = 10;

/// The style of titles and of what is pressed.
pub(crate) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// The style of a line or a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextStyle {
    Title,
    Plain,
    Good,
    Warn,
    Bad,
    Faint,
}

/// The styles: of the terminal's own colours only. Without them, only weight, inversion and underlines remain.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Theme {
    pub(crate) color: bool,
    pub(crate) ascii: bool,
}

impl Theme {
    pub(crate) fn paint(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    pub(crate) fn tone(self, tone: TextStyle) -> Style {
        match tone {
            TextStyle::Title => BOLD,
            TextStyle::Plain => Style::new(),
            TextStyle::Good => self.paint(Color::Green),
            TextStyle::Warn => self.paint(Color::Yellow),
            TextStyle::Bad => self.paint(Color::Red).add_modifier(Modifier::BOLD),
            TextStyle::Faint => self.paint(Color::Cyan),
        }
    }

    /// Puts letters of ASCII in place of all others, if the terminal has no others.
    pub(crate) fn replace_non_ascii(self, buffer: &mut Buffer) {
        for cell in buffer.content.iter_mut().filter(|cell| self.ascii && !cell.symbol().is_ascii()) {
            cell.set_symbol(match cell.symbol() {
                "›" | "▶" | "→" => ">",
                "←" => "<",
                "━" => "=",
                "│" | "┃" => "|",
                "─" | "—" | "–" | "·" => "-",
                "✓" => "+",
                "•" => "*",
                "…" => ".",
                "↑" | "▲" => "^",
                "↓" | "▼" => "v",
                "×" => "x",
                _ => "?",
            });
        }
    }
}

/// A paragraph of details: clean text with a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) label: &'static str,
    pub(crate) text: String,
    pub(crate) tone: TextStyle,
}

impl Fact {
    /// The most characters of a fact.
    const MAX_FACT_LEN: usize = 2_000;

    pub(crate) fn new(label: &'static str, text: impl AsRef<str>) -> Self {
        Self { label, text: clean(text.as_ref(), Self::MAX_FACT_LEN), tone: TextStyle::Plain }
    }

    pub(crate) fn title(text: impl AsRef<str>) -> Self {
        Self { tone: TextStyle::Title, ..Self::new("", text) }
    }

    #[must_use]
    pub(crate) fn with_tone(self, tone: TextStyle) -> Self {
        Self { tone, ..self }
    }
}

/// A line of a scrollable text.
pub(crate) struct Line<'a> {
    pub(crate) label: &'a str,
    pub(crate) indent: usize,
    pub(crate) text: &'a str,
    pub(crate) style: Style,
}

impl<'a> Line<'a> {
    pub(crate) fn plain(text: &'a str) -> Self {
        Self { label: "", indent: 0, text, style: Style::new() }
    }

    /// Breaks clean text into lines of `room` cells. What goes on is moved in by `indent`.
    pub(crate) fn push_wrapped(lines: &mut Vec<Self>, text: &'a str, indent: usize, room: usize, style: Style) {
        let pieces = wrap(text, room.saturating_sub(indent)).into_iter().enumerate();
        lines.extend(pieces.map(|(at, text)| Line {
            label: "",
            indent: if at == 0 { 0 } else { indent },
            text,
            style,
        }));
        if text.is_empty() {
            lines.push(Line { label: "", indent: 0, text: "", style });
        }
    }

    /// Breaks what a key of the help does into lines that stand beside the key.
    pub(crate) fn push_key_help(lines: &mut Vec<Self>, mut label: &'a str, text: &'a str, room: usize) {
        const KEY_WIDTH: usize = 16;

        let line = |label, text| Line { label, indent: KEY_WIDTH, text, style: Style::new() };
        if text.is_empty() || width(label) >= KEY_WIDTH {
            lines.push(line(std::mem::take(&mut label), ""));
        }
        for piece in wrap(text, room.saturating_sub(KEY_WIDTH)) {
            lines.push(line(std::mem::take(&mut label), piece));
        }
    }
}

/// Converts a fact to lines. Its label is in front of the first line if there is room, and otherwise above it.
pub(crate) fn paragraph<'a>(lines: &mut Vec<Line<'a>>, fact: &'a Fact, room: usize, theme: Theme) {
    let style = theme.tone(fact.tone);
    let continues = fact.label.is_empty() && lines.last().is_some_and(|line| line.indent > 0);
    let indent = match (fact.label.is_empty(), room >= LABEL_WIDTH * 3) {
        (false, true) => LABEL_WIDTH,
        (true, true) if continues => LABEL_WIDTH,
        (false, false) => 2,
        (true, false) if continues => 2,
        (true, _) => 0,
    };
    let mut label = fact.label;
    if indent == 2 && !label.is_empty() {
        lines.push(Line { label, indent, text: "", style });
        label = "";
    }
    for text in wrap(&fact.text, room.saturating_sub(indent)) {
        lines.push(Line { label, indent, text, style });
        label = "";
    }
    if indent == 0 {
        lines.push(Line { label: "", indent: 0, text: "", style });
    }
}

/// Writes clean text into the first row of `area`, beginning at its cell `x`. Returns where the text ended.
pub(crate) fn draw_text(buffer: &mut Buffer, area: Rect, x: u16, text: &str, style: Style) -> u16 {
    let area = area.intersection(buffer.area);
    if area.is_empty() || x >= area.width {
        return x;
    }
    let room = usize::from(area.width - x);
    let (end, _) = buffer.set_stringn(area.x + x, area.y, text, room, style);
    end - area.x
}

/// Returns the row `y` of `area`.
pub(crate) fn row_rect(area: Rect, y: usize) -> Option<Rect> {
    let y = u16::try_from(y).ok().filter(|&y| y < area.height)?;
    Some(Rect { y: area.y + y, height: 1, ..area })
}

/// Draws one cell of a table. The text is cut with `…`, and a space is kept before the next cell.
pub(crate) fn draw_cell(buffer: &mut Buffer, area: Rect, x: &mut u16, text: &str, cells: usize, style: Style) {
    let room = cells.saturating_sub(1);
    let start = *x;
    *x += u16::try_from(cells).unwrap_or(u16::MAX - start);
    if room == 0 {
        return;
    }
    if width(text) <= room {
        draw_text(buffer, area, start, text, style);
    } else {
        let cut = wrap_hard(text, room - 1);
        let end = draw_text(buffer, area, start, cut, style);
        draw_text(buffer, area, end, "…", style);
    }
}

/// Returns the longest start of `text` that takes at most `cells`.
fn wrap_hard(text: &str, cells: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += char_width(c);
        if used > cells {
            return &text[..at];
        }
    }
    text
}

/// Draws the lines beginning at `scroll`, but scrolls no further than needed to see the last line. Returns the actual
/// first line.
pub(crate) fn draw_lines(buffer: &mut Buffer, area: Rect, lines: &[Line<'_>], scroll: usize) -> usize {
    let scroll = scroll.min(lines.len().saturating_sub(usize::from(area.height)));
    for (y, line) in lines.iter().skip(scroll).enumerate() {
        let Some(area) = row_rect(area, y) else { break };
        draw_text(buffer, area, 0, line.label, BOLD.patch(line.style));
        draw_text(buffer, area, u16::try_from(line.indent).unwrap_or(u16::MAX), line.text, line.style);
    }
    scroll
}

/// Draws a line between two panes. It is thick if the right one has the focus.
pub(crate) fn draw_divider(buffer: &mut Buffer, area: Rect, is_focused: bool) {
    for y in 0..usize::from(area.height) {
        if let Some(row) = row_rect(area, y) {
            draw_text(buffer, row, 0, if is_focused { "┃" } else { "│" }, Style::new());
        }
    }
}

/// Draws what the user types after a prompt. Returns the column of the cursor.
pub(crate) fn draw_input(buffer: &mut Buffer, area: Rect, prompt: &str, typed: &str) -> u16 {
    // The user is typing at the end, so a long text loses its start.
    let room = usize::from(area.width).saturating_sub(width(prompt) + 1);
    let mut shown = typed;
    while width(shown) > room {
        let mut chars = shown.chars();
        chars.next();
        shown = chars.as_str();
    }
    let x = draw_text(buffer, area, 0, prompt, BOLD);
    draw_text(buffer, area, x, shown, Style::new()).min(area.width.saturating_sub(1))
}

/// Draws keys and their meanings, as many as there is room for.
pub(crate) fn draw_key_hints<'a>(buffer: &mut Buffer, area: Rect, keys: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut x = 0;
    for (key, what) in keys {
        // A key without its meaning is worse than none.
        if usize::from(x) + width(key) + 1 + width(what) > usize::from(area.width) {
            break;
        }
        x = draw_text(buffer, area, x, key, Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED));
        x = draw_text(buffer, area, x, " ", Style::new());
        x = draw_text(buffer, area, x, what, Style::new());
        x = draw_text(buffer, area, x, "  ", Style::new());
    }
}

/// Returns the line that says how far work has come.
pub(crate) fn format_progress(title: &str, ticks: usize, step: &str, done: u64, total: Option<u64>) -> String {
    let wheel = ["|", "/", "-", "\\"];
    let mut line = format!("{} {title}", wheel.get(ticks % wheel.len()).unwrap_or(&"|"));
    if let Some(total) = total.filter(|&total| total > 0) {
        let done = done.min(total);
        let tenths = usize::try_from(u128::from(done) * 10 / u128::from(total)).unwrap_or(10);
        let percent = u128::from(done) * 100 / u128::from(total);
        line.push_str(&format!(" [{}{}] {percent}%", "#".repeat(tenths), "-".repeat(10 - tenths.min(10))));
    } else if done > 0 {
        line.push_str(&format!(" {done}"));
    }
    if !step.is_empty() {
        line.push_str(": ");
        line.push_str(step);
    }
    line
}

/// Returns the characters of a frame, a line each.
#[cfg(test)]
pub(crate) fn buffer_text(buffer: &Buffer) -> String {
    use ratatui::buffer::CellWidth;

    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let cell = &buffer[(x, y)];
            line.push_str(cell.symbol());
            x += cell.cell_width().max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
