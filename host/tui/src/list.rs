//! A list: rows in columns, what of them is shown, and which one is selected.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::page::{Column, Row};
use crate::paint::{BOLD, Theme, draw_cell, draw_text, row_rect};
use crate::text::width;

/// The widest that a column gets by itself; the last one takes what is left.
const MAX_COLUMN_WIDTH: usize = 36;

/// The least that the last column keeps.
const MIN_LAST_COLUMN_WIDTH: usize = 12;

/// The state of a list.
pub(crate) struct List {
    columns: &'static [Column],
    rows: Vec<Row>,
    /// The text that the filter looks at, of each row.
    words: Vec<String>,
    /// The width of each column in cells.
    widths: Vec<usize>,
    query: String,
    /// The rows that pass the filter.
    visible: Vec<usize>,
    selected: usize,
    top: usize,
    /// How many rows fit on the screen.
    page: usize,
}

impl List {
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
            words: Vec::new(),
            widths: columns.iter().map(|column| width(column.name)).collect(),
            query: String::new(),
            visible: Vec::new(),
            selected: 0,
            top: 0,
            page: 1,
        }
    }

    /// Puts rows in place of those before. The selected one stays so if it is still there. Returns whether any differs.
    pub(crate) fn set_rows(&mut self, rows: Vec<Row>) -> bool {
        if rows == self.rows {
            return false;
        }
        let selected = self.current().map(|row| row.id.clone());
        self.words = rows.iter().map(|row| row.cells.join(" ").to_lowercase()).collect();
        self.widths = self.columns.iter().map(|column| width(column.name)).collect();
        for row in &rows {
            for (widest, cell) in self.widths.iter_mut().zip(&row.cells) {
                *widest = (*widest).max(width(cell).min(MAX_COLUMN_WIDTH));
            }
        }
        self.rows = rows;
        self.refine(selected.as_deref());
        true
    }

    /// Returns how many rows there are, and how many pass the filter.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.rows.len(), self.visible.len())
    }

    pub(crate) fn query(&self) -> &str {
        &self.query
    }

    /// Leaves the rows that have all of these words.
    pub(crate) fn set_query(&mut self, query: String) {
        let selected = self.current().map(|row| row.id.clone());
        self.query = query;
        self.refine(selected.as_deref());
    }

    fn refine(&mut self, selected: Option<&str>) {
        let words: Vec<String> = self.query.split_whitespace().map(str::to_lowercase).collect();
        let has_all = |at: &usize| self.words.get(*at).is_some_and(|text| words.iter().all(|word| text.contains(word)));
        self.visible = (0..self.rows.len()).filter(has_all).collect();
        let is_it = |at: &usize| self.rows.get(*at).is_some_and(|row| Some(row.id.as_str()) == selected);
        let place = self.visible.iter().position(is_it);
        self.selected = place.unwrap_or(self.selected).min(self.visible.len().saturating_sub(1));
    }

    /// Returns the selected row.
    pub(crate) fn current(&self) -> Option<&Row> {
        self.rows.get(*self.visible.get(self.selected)?)
    }

    /// Returns the row with this id.
    pub(crate) fn find_by_id(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// Selects the row with this id, if it is shown.
    pub(crate) fn select_id(&mut self, id: &str) {
        self.refine(Some(id));
    }

    /// Selects by a key. Returns whether it is one that does.
    pub(crate) fn handle_key(&mut self, code: KeyCode) -> bool {
        let last = self.visible.len().saturating_sub(1);
        self.selected = match code {
            KeyCode::Up | KeyCode::Char('k') => self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected + 1,
            KeyCode::PageUp => self.selected.saturating_sub(self.page),
            KeyCode::PageDown => self.selected + self.page,
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => return false,
        }
        .min(last);
        true
    }

    /// Selects the row that is drawn so many below the header. Returns whether there is one.
    pub(crate) fn select_at_row(&mut self, y: usize) -> bool {
        let place = self.top + y;
        let is_there = y < self.page && place < self.visible.len();
        if is_there {
            self.selected = place;
        }
        is_there
    }

    /// Scrolls so that the selected row is visible.
    fn fit(&mut self, rows: usize) {
        self.page = rows.max(1);
        self.top = self.top.clamp((self.selected + 1).saturating_sub(self.page), self.selected);
        self.top = self.top.min(self.visible.len().saturating_sub(self.page));
    }

    /// Returns the columns that there is room for, with their widths.
    fn fitted(&self, room: usize) -> Vec<(usize, Column, usize)> {
        let mut all: Vec<_> =
            self.columns.iter().zip(&self.widths).enumerate().map(|(at, (c, w))| (at, *c, w + 2)).collect();
        let needs = |all: &[(usize, Column, usize)]| {
            all.iter().rev().skip(1).map(|(.., cells)| cells).sum::<usize>()
                + all.last().map_or(0, |_| MIN_LAST_COLUMN_WIDTH)
        };
        while needs(&all) > room {
            let Some(extra) = all.iter().rposition(|(_, column, _)| column.is_optional) else { break };
            all.remove(extra);
        }
        let before: usize = all.iter().rev().skip(1).map(|(.., cells)| cells).sum();
        if let Some((.., last)) = all.last_mut() {
            *last = room.saturating_sub(before) + 1;
        }
        all
    }

    /// Draws the header and the rows.
    pub(crate) fn draw(&mut self, buffer: &mut Buffer, area: Rect, theme: Theme, is_focused: bool) {
        let Some(header) = row_rect(area, 0) else { return };
        self.fit(usize::from(area.height.saturating_sub(1)));
        let columns = self.fitted(usize::from(area.width.saturating_sub(2)));
        let mut x = 2;
        for (_, one, cells) in &columns {
            draw_cell(buffer, header, &mut x, one.name, *cells, BOLD);
        }
        for (y, place) in (self.top..self.visible.len()).take(self.page).enumerate() {
            let (Some(area), Some(shown)) =
                (row_rect(area, y + 1), self.visible.get(place).and_then(|at| self.rows.get(*at)))
            else {
                break;
            };
            let mut x = 2;
            for (at, one, cells) in &columns {
                let style = if one.is_state { theme.tone(shown.tone) } else { Style::new() };
                draw_cell(buffer, area, &mut x, shown.cells.get(*at).map_or("", String::as_str), *cells, style);
            }
            if place == self.selected {
                draw_text(buffer, area, 0, "›", BOLD);
                let modifier = if is_focused { Modifier::REVERSED } else { Modifier::BOLD };
                buffer.set_style(area, Style::new().add_modifier(modifier));
            }
        }
    }
}
