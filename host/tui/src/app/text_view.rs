//! A text on the screen: its lines, wrapped or cut, where it is scrolled to, and what is looked for in it.

use std::ops::Range;

use aiw_home::rfc3339;
use aiw_processes::Stream;
use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::find::TextSearch;
use crate::output::OutputLine;
use crate::paint::{TextStyle, Theme, draw_text, row_rect};
use crate::text::{char_width, width, wrap};

/// The widest that the names of programs get.
const MAX_NAME_WIDTH: usize = 24;

/// How many cells the text moves sideways at once.
const SIDEWAYS_STEP: usize = 16;

/// The colours of names.
const NAME_COLORS: [Color; 5] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue];

/// What stands before the lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Margin {
    /// Whether the streams are marked.
    pub(super) has_marks: bool,
    pub(super) has_times: bool,
    /// The names of the programs; none where there is one.
    pub(super) names: Vec<String>,
}

impl Margin {
    fn name_width(&self) -> usize {
        self.names.iter().map(|name| width(name)).max().unwrap_or(0).min(MAX_NAME_WIDTH)
    }

    fn width(&self) -> usize {
        let name = if self.names.is_empty() { 0 } else { self.name_width() + 1 };
        name + 9 * usize::from(self.has_times) + 2 * usize::from(self.has_marks)
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, line: &OutputLine, theme: Theme) {
        let Some(origin) = line.origin else { return };
        let mut x = 0;
        if self.has_times {
            let time = rfc3339(origin.time);
            draw_text(buffer, area, x, time.get(11..19).unwrap_or_default(), theme.tone(TextStyle::Faint));
            x += 9;
        }
        if let Some(name) = self.names.get(origin.source) {
            let room = Rect { width: area.width.min(x + self.name_width() as u16), ..area };
            draw_text(buffer, room, x, name, theme.paint(NAME_COLORS[origin.source % NAME_COLORS.len()]));
            x += self.name_width() as u16 + 1;
        }
        if self.has_marks {
            let (mark, tone) = match origin.stream {
                Stream::Stdout => ("│", TextStyle::Plain),
                Stream::Stderr => ("!", TextStyle::Warn),
                Stream::Aiw => ("·", TextStyle::Faint),
            };
            draw_text(buffer, area, x, mark, theme.tone(tone));
        }
    }
}

/// A text on the screen. Its lines are with the thing that is shown.
pub(super) struct TextView {
    /// The first line on the screen that is shown; none if it follows the end, or stands at the beginning.
    pub(super) scroll: Option<usize>,
    /// The largest of these.
    pub(super) max_scroll: usize,
    /// Whether the end is shown as long as nobody scrolls.
    pub(super) follows: bool,
    pub(super) is_wrapped: bool,
    pub(super) margin: Margin,
    /// The first cell of lines that are cut.
    column: usize,
    /// How many lines fit.
    height: usize,
    pub(super) search: TextSearch,
    /// For each line on the screen, the line that it is a piece of, and the bytes of that.
    pieces: Vec<(usize, Range<usize>)>,
    /// How many lines have pieces.
    laid_out: usize,
    /// The cells for text, and whether it was wrapped, when that was done.
    layout: Option<(usize, bool)>,
}

impl TextView {
    pub(super) fn new(follows: bool) -> Self {
        Self {
            scroll: None,
            max_scroll: 0,
            follows,
            is_wrapped: true,
            margin: Margin::default(),
            column: 0,
            height: 1,
            search: TextSearch::default(),
            pieces: Vec::new(),
            laid_out: 0,
            layout: None,
        }
    }

    /// Forgets how the lines stood on the screen: they have changed.
    pub(super) fn invalidate(&mut self) {
        self.layout = None;
    }

    /// Shows another text from its beginning, or its end.
    pub(super) fn reset(&mut self) {
        self.search = TextSearch::default();
        (self.scroll, self.column) = (None, 0);
    }

    /// Takes note that the first lines are gone.
    pub(super) fn drop_front(&mut self, lines: usize) {
        let gone = self.pieces.partition_point(|(line, _)| *line < lines);
        self.pieces.drain(..gone);
        self.pieces.iter_mut().for_each(|(line, _)| *line -= lines);
        self.laid_out = self.laid_out.saturating_sub(lines);
        self.scroll = self.scroll.map(|scroll| scroll.saturating_sub(gone));
        self.search.invalidate();
    }

    /// Lays the lines out for a width, unless that is done. Those of a long log are wrapped once for a width, and not for each
    /// frame.
    pub(super) fn lay_out(&mut self, lines: &[OutputLine], room: usize) {
        let layout = (room.saturating_sub(self.margin.width()), self.is_wrapped);
        if self.layout != Some(layout) {
            (self.layout, self.laid_out) = (Some(layout), 0);
            self.pieces.clear();
            self.search.invalidate();
        }
        for (at, line) in lines.iter().enumerate().skip(self.laid_out) {
            let text = line.text.as_str();
            if text.is_empty() || !self.is_wrapped {
                self.pieces.push((at, 0..text.len()));
                continue;
            }
            let begins = |piece: &str| piece.as_ptr() as usize - text.as_ptr() as usize;
            let pieces = wrap(text, layout.0).into_iter();
            self.pieces.extend(pieces.map(|piece| (at, begins(piece)..begins(piece) + piece.len())));
        }
        self.laid_out = lines.len();
        let pieces = self.pieces.iter().filter_map(|(line, piece)| lines.get(*line)?.text.get(piece.clone()));
        self.search.search(pieces);
    }

    /// Returns the first line that is on the screen.
    pub(super) fn first_line(&self) -> usize {
        self.scroll.unwrap_or(if self.follows { self.max_scroll } else { 0 })
    }

    /// Returns the line that the search has gone to, or the first one that is on the screen.
    pub(super) fn match_line(&self) -> usize {
        self.search.current_match.unwrap_or_else(|| self.first_line())
    }

    /// Goes to the next place of the words, or to the one before.
    pub(super) fn go_to_match(&mut self, is_back: bool) {
        let from = if is_back { self.match_line() } else { self.match_line() + 1 };
        self.go_to(from, is_back);
    }

    fn go_to(&mut self, from: usize, is_back: bool) {
        if let Some(line) = self.search.next_match(from, is_back) {
            self.scroll = Some(line);
            self.search.current_match = Some(line);
        }
    }

    /// Looks for words from where the text stood when the first of them was typed.
    pub(super) fn set_query(&mut self, lines: &[OutputLine], query: String) {
        if self.search.query().is_empty() {
            self.search.start_line = self.first_line();
        }
        let from = self.search.start_line;
        self.search.set_query(query);
        if let Some((room, _)) = self.layout {
            self.lay_out(lines, room + self.margin.width());
            self.go_to(from, false);
        }
    }

    /// Scrolls by a key. Returns whether it is one that does.
    pub(super) fn scroll_by(&mut self, code: KeyCode) -> bool {
        let now = self.first_line();
        let next = match code {
            KeyCode::Up | KeyCode::Char('k') => now.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => now + 1,
            KeyCode::PageUp => now.saturating_sub(self.height),
            KeyCode::PageDown | KeyCode::Char(' ') => now + self.height,
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => self.max_scroll,
            _ => return false,
        };
        // At the end of logs, new lines come in by themselves.
        self.scroll = Some(next.min(self.max_scroll)).filter(|next| !self.follows || *next < self.max_scroll);
        self.search.current_match = None;
        true
    }

    /// Moves lines that are cut sideways.
    pub(super) fn move_sideways(&mut self, is_back: bool) {
        let step = if self.is_wrapped { 0 } else { SIDEWAYS_STEP };
        self.column = if is_back { self.column.saturating_sub(step) } else { self.column + step };
    }

    /// Wraps lines, or cuts them. The first one on the screen stays there.
    pub(super) fn toggle_wrap(&mut self, lines: &[OutputLine]) {
        self.is_wrapped = !self.is_wrapped;
        self.column = 0;
        self.keep_place(lines);
    }

    pub(super) fn toggle_times(&mut self, lines: &[OutputLine]) {
        self.margin.has_times = !self.margin.has_times;
        self.keep_place(lines);
    }

    /// Lays the lines out anew, with the same one at the top.
    fn keep_place(&mut self, lines: &[OutputLine]) {
        let first = self.scroll.and_then(|scroll| self.pieces.get(scroll)).map(|(line, _)| *line);
        let Some((room, _)) = self.layout.take() else { return };
        self.lay_out(lines, room + self.margin.width());
        self.scroll = first.map(|first| self.pieces.partition_point(|(line, _)| *line < first));
    }

    /// Draws the lines: those that the user scrolled to, or else the last ones of logs, and the first ones of another text.
    pub(super) fn draw(&mut self, buffer: &mut Buffer, area: Rect, lines: &[OutputLine], theme: Theme) {
        self.lay_out(lines, usize::from(area.width));
        self.height = usize::from(area.height).max(1);
        self.max_scroll = self.pieces.len().saturating_sub(self.height);
        self.scroll = self.scroll.map(|scroll| scroll.min(self.max_scroll));
        let first = self.first_line();
        let margin = u16::try_from(self.margin.width()).unwrap_or(0).min(area.width);
        for (y, (at, piece)) in self.pieces.iter().skip(first).take(self.height).enumerate() {
            let (Some(row), Some(line)) = (row_rect(area, y), lines.get(*at)) else { break };
            if piece.start == 0 {
                self.margin.draw(buffer, row, line, theme);
            }
            let row = Rect { x: row.x + margin, width: row.width - margin, ..row };
            let piece = skip_cells(&line.text, piece, self.column);
            let mut x = 0;
            for (text, style) in line.styled(piece.clone()) {
                let style = if theme.color { style } else { Style { fg: None, bg: None, ..style } };
                x = draw_text(buffer, row, x, text, style);
            }
            let text = line.text.get(piece).unwrap_or_default();
            for found in self.search.match_ranges(text) {
                let cells = |text: &str| u16::try_from(width(text)).unwrap_or(u16::MAX);
                let x = cells(&text[..found.start]);
                if x < row.width {
                    let found = Rect { x: row.x + x, width: cells(&text[found]).min(row.width - x), ..row };
                    buffer.set_style(found, Style::new().add_modifier(Modifier::REVERSED));
                }
            }
        }
    }
}

/// Returns a range of a text without its first cells.
fn skip_cells(text: &str, range: &Range<usize>, cells: usize) -> Range<usize> {
    let mut left = cells;
    for (at, c) in text.get(range.clone()).unwrap_or_default().char_indices() {
        if left == 0 {
            return range.start + at..range.end;
        }
        left = left.saturating_sub(char_width(c));
    }
    if cells == 0 { range.clone() } else { range.end..range.end }
}
