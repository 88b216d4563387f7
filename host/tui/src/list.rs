//! A list: rows in columns, what of them is shown and in which order, which one is selected, and which are marked.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::page::{Column, PageDescriptor, Row, Search};
use crate::paint::{BOLD, TextStyle, Theme, draw_cell, draw_text, row_rect};
use crate::search::RowSearch;
use crate::text::width;

/// The widest that a column gets by itself; the last one takes what is left.
const MAX_COLUMN_WIDTH: usize = 36;

/// The least that the last column keeps.
const MIN_LAST_COLUMN_WIDTH: usize = 12;

/// The order of a list by one of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SortOrder {
    column: usize,
    is_descending: bool,
}

/// How words narrow the list.
enum Filter {
    /// The text that words are looked for in, of each row.
    Words(Vec<String>),
    Fuzzy(Box<RowSearch>),
}

/// The state of a list.
pub(crate) struct List {
    descriptor: &'static PageDescriptor,
    rows: Vec<Row>,
    filter: Filter,
    /// The width of each column in cells.
    widths: Vec<usize>,
    query: String,
    /// The value of each facet that rows must have; none if all are shown.
    facets: Vec<Option<String>>,
    shows_hidden: bool,
    order: Option<SortOrder>,
    /// The ids of the marked rows.
    marked: HashSet<String>,
    /// The rows that are shown, in their order.
    visible: Vec<usize>,
    selected: usize,
    top: usize,
    /// How many rows fit on the screen.
    page: usize,
}

impl List {
    pub(crate) fn new(descriptor: &'static PageDescriptor) -> Self {
        let mut list = Self {
            descriptor,
            rows: Vec::new(),
            filter: Filter::Words(Vec::new()),
            widths: Vec::new(),
            query: String::new(),
            facets: vec![None; descriptor.facets.len()],
            shows_hidden: descriptor.hidden_rows.is_none(),
            order: None,
            marked: HashSet::new(),
            visible: Vec::new(),
            selected: 0,
            top: 0,
            page: 1,
        };
        list.prepare();
        list
    }

    /// Puts rows in place of those before. The selected one stays so if it is still there. Returns whether any differs.
    pub(crate) fn set_rows(&mut self, rows: Vec<Row>) -> bool {
        if rows == self.rows {
            return false;
        }
        let selected = self.selected_id();
        self.rows = rows;
        self.prepare();
        if !self.marked.is_empty() {
            let ids: HashSet<&str> = self.rows.iter().map(|row| row.id.as_str()).collect();
            self.marked.retain(|id| ids.contains(id.as_str()));
        }
        self.refine(selected.as_deref());
        true
    }

    /// Computes what depends on the rows alone.
    fn prepare(&mut self) {
        let text = |row: &Row| [row.cells.join(" "), row.search_text.clone()].join(" ").to_lowercase();
        self.filter = match self.descriptor.search {
            Search::Fuzzy => Filter::Fuzzy(Box::new(RowSearch::new(&self.rows))),
            Search::Filter | Search::Backend => Filter::Words(self.rows.iter().map(text).collect()),
        };
        // A mark of the order stands behind a name.
        self.widths = self.descriptor.columns.iter().map(|column| width(column.name)).collect();
        for row in &self.rows {
            for (widest, cell) in self.widths.iter_mut().zip(&row.cells) {
                *widest = (*widest).max(width(cell).min(MAX_COLUMN_WIDTH));
            }
        }
    }

    fn selected_id(&self) -> Option<String> {
        self.current().map(|row| row.id.clone())
    }

    /// Changes what is shown. The selected row stays so if it is among it.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let selected = self.selected_id();
        change(self);
        self.refine(selected.as_deref());
    }

    /// Returns how many rows there are, and how many are shown.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.rows.len(), self.visible.len())
    }

    pub(crate) fn query(&self) -> &str {
        &self.query
    }

    /// Leaves the rows that have these words.
    pub(crate) fn set_query(&mut self, query: String) {
        let is_ranked = matches!(self.filter, Filter::Fuzzy(_)) && !query.is_empty();
        self.change(|list| list.query = query);
        if is_ranked {
            // The best match.
            self.selected = 0;
        }
    }

    /// Shows the rows of the next value of the facet that a key has, or those that are left out. Returns whether it has one.
    pub(crate) fn narrow(&mut self, key: char) -> bool {
        if self.descriptor.hidden_rows.is_some_and(|hidden| hidden.key == key) {
            self.set_shows_hidden(!self.shows_hidden);
            return true;
        }
        let Some(at) = self.descriptor.facets.iter().position(|facet| facet.key == key) else { return false };
        let values: BTreeSet<&String> = self.rows.iter().filter_map(|row| row.facets.get(at)).flatten().collect();
        let now = self.facets[at].as_ref();
        // Each in turn, then none.
        let next = values.into_iter().find(|value| now.is_none_or(|now| *value > now)).cloned();
        self.change(|list| list.facets[at] = next);
        true
    }

    pub(crate) fn set_shows_hidden(&mut self, shows: bool) {
        self.change(|list| list.shows_hidden = shows);
    }

    /// Returns what narrows the list besides words.
    pub(crate) fn narrowed_by(&self) -> Vec<String> {
        let hidden = self.descriptor.hidden_rows.filter(|_| !self.shows_hidden).map(|hidden| hidden.shown.to_owned());
        let facets = self.descriptor.facets.iter().zip(&self.facets);
        let facets = facets.filter_map(|(facet, value)| Some(format!("{} {}", facet.name, value.as_ref()?)));
        hidden.into_iter().chain(facets).collect()
    }

    /// Shows the rows of all values again. Returns whether some were left out.
    pub(crate) fn widen(&mut self) -> bool {
        let is_narrow = self.facets.iter().any(Option::is_some);
        self.change(|list| list.facets.fill(None));
        is_narrow
    }

    /// Orders the rows by the next column, and after the last one as they were read.
    pub(crate) fn sort_by_next(&mut self) {
        let next = self.order.map_or(0, |order| order.column + 1);
        let order = (next < self.descriptor.columns.len()).then_some(SortOrder { column: next, is_descending: false });
        self.change(|list| list.order = order);
    }

    /// Orders the rows by the column with this name. Returns whether there is one.
    pub(crate) fn sort_by(&mut self, name: &str) -> bool {
        let column = self.descriptor.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        let order = column.map(|column| SortOrder { column, is_descending: false });
        self.change(|list| list.order = order.or(list.order));
        order.is_some()
    }

    /// Turns the order round.
    pub(crate) fn reverse(&mut self) {
        let order = self.order.unwrap_or(SortOrder { column: 0, is_descending: false });
        self.change(|list| list.order = Some(SortOrder { is_descending: !order.is_descending, ..order }));
    }

    fn refine(&mut self, selected: Option<&str>) {
        let rows = &self.rows;
        let passes = |at: &usize| {
            let Some(row) = rows.get(*at) else { return false };
            let has = |(at, value): (usize, &Option<String>)| {
                value.as_ref().is_none_or(|value| row.facets.get(at).is_some_and(|values| values.contains(value)))
            };
            (self.shows_hidden || !row.is_hidden) && self.facets.iter().enumerate().all(has)
        };
        self.visible = match &mut self.filter {
            Filter::Fuzzy(search) => {
                search.set_query(&self.query);
                search.hits().filter(passes).collect()
            }
            Filter::Words(texts) => {
                let words: Vec<String> = self.query.split_whitespace().map(str::to_lowercase).collect();
                let has_all =
                    |at: &usize| texts.get(*at).is_some_and(|text| words.iter().all(|word| text.contains(word)));
                (0..rows.len()).filter(has_all).filter(passes).collect()
            }
        };
        if let Some(SortOrder { column, is_descending }) = self.order {
            let key = |at: &usize| SortKey::new(rows.get(*at).and_then(|row| row.cells.get(column)).map_or("", |c| c));
            self.visible.sort_by_cached_key(key);
            if is_descending {
                // Empty cells are last in each order.
                let is_empty =
                    |at: &usize| rows.get(*at).and_then(|row| row.cells.get(column)).is_none_or(String::is_empty);
                let filled = self.visible.iter().take_while(|at| !is_empty(at)).count();
                self.visible[..filled].reverse();
            }
        } else if self.descriptor.has_failed_first
            && (self.query.is_empty() || self.descriptor.search == Search::Filter)
        {
            self.visible.sort_by_key(|at| rows.get(*at).is_none_or(|row| row.tone != TextStyle::Bad));
        }
        let is_it = |at: &usize| rows.get(*at).is_some_and(|row| Some(row.id.as_str()) == selected);
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

    /// Marks the selected row, or takes its mark away, and selects the next one.
    pub(crate) fn mark_selected(&mut self) {
        let Some(id) = self.selected_id() else { return };
        if !self.marked.remove(&id) {
            self.marked.insert(id);
        }
        self.handle_key(KeyCode::Down);
    }

    /// Marks all rows that are shown, or takes all marks away if all of them have one.
    pub(crate) fn mark_all(&mut self) {
        let shown: HashSet<String> =
            self.visible.iter().filter_map(|at| self.rows.get(*at)).map(|row| row.id.clone()).collect();
        self.marked = if shown.is_subset(&self.marked) { HashSet::new() } else { shown };
    }

    /// Takes all marks away. Returns whether there were any.
    pub(crate) fn unmark(&mut self) -> bool {
        !std::mem::take(&mut self.marked).is_empty()
    }

    /// Returns the marked rows that are shown, in their order.
    pub(crate) fn marked(&self) -> Vec<&Row> {
        if self.marked.is_empty() {
            return Vec::new();
        }
        let shown = self.visible.iter().filter_map(|at| self.rows.get(*at));
        shown.filter(|row| self.marked.contains(&row.id)).collect()
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

    /// Returns the columns that there is room for, with their widths. The one that orders the rows is always there.
    fn fitted(&self, room: usize) -> Vec<(usize, Column, usize)> {
        let is_ordering = |at: usize| self.order.is_some_and(|order| order.column == at);
        let columns = self.descriptor.columns.iter().zip(&self.widths).enumerate();
        let mut all: Vec<_> = columns
            .map(|(at, (column, cells))| {
                let least = width(column.name) + 2 * usize::from(is_ordering(at));
                (at, *column, (*cells).max(least) + 2)
            })
            .collect();
        let needs = |all: &[(usize, Column, usize)]| {
            all.iter().rev().skip(1).map(|(.., cells)| cells).sum::<usize>()
                + all.last().map_or(0, |_| MIN_LAST_COLUMN_WIDTH)
        };
        while needs(&all) > room {
            let is_dropped = |(at, column, _): &(usize, Column, usize)| column.is_optional && !is_ordering(*at);
            let Some(extra) = all.iter().rposition(is_dropped) else { break };
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
        // A choice has no header.
        let is_named = self.descriptor.columns.iter().any(|column| !column.name.is_empty());
        let above = usize::from(is_named);
        self.fit(usize::from(area.height).saturating_sub(above));
        let columns = self.fitted(usize::from(area.width.saturating_sub(2)));
        let mut x = 2;
        for (at, one, cells) in columns.iter().filter(|_| is_named) {
            let name = match self.order.filter(|order| order.column == *at) {
                Some(order) => format!("{} {}", one.name, if order.is_descending { "▼" } else { "▲" }),
                None => one.name.to_owned(),
            };
            draw_cell(buffer, header, &mut x, &name, *cells, BOLD);
        }
        for (y, place) in (self.top..self.visible.len()).take(self.page).enumerate() {
            let (Some(area), Some(shown)) =
                (row_rect(area, y + above), self.visible.get(place).and_then(|at| self.rows.get(*at)))
            else {
                break;
            };
            let mut x = 2;
            for (at, one, cells) in &columns {
                let style = if one.is_state { theme.tone(shown.tone) } else { Style::new() };
                draw_cell(buffer, area, &mut x, shown.cells.get(*at).map_or("", String::as_str), *cells, style);
            }
            if self.marked.contains(&shown.id) {
                draw_text(buffer, area, 1, "•", theme.tone(TextStyle::Warn).patch(BOLD));
            }
            if place == self.selected {
                draw_text(buffer, area, 0, "›", BOLD);
                let modifier = if is_focused { Modifier::REVERSED } else { Modifier::BOLD };
                buffer.set_style(area, Style::new().add_modifier(modifier));
            }
        }
    }
}

/// What cells are ordered by: numbers with their units by size, behind them other texts, and empty cells last.
#[derive(Debug, Clone, PartialEq)]
struct SortKey {
    amount: Option<f64>,
    text: String,
}

impl SortKey {
    fn new(cell: &str) -> Self {
        Self { amount: amount(cell), text: cell.to_lowercase() }
    }
}

impl Eq for SortKey {}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let texts = || (self.text.is_empty(), &self.text).cmp(&(other.text.is_empty(), &other.text));
        match (self.amount, other.amount) {
            (Some(one), Some(two)) => one.total_cmp(&two),
            (one, two) => two.is_some().cmp(&one.is_some()).then_with(texts),
        }
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Returns the size of `12 %`, `240 MB`, `3m05s`, `2h ago` and the like; none for a text that is not a number with units.
fn amount(cell: &str) -> Option<f64> {
    /// Units, the longer of two with the same beginning first. Times are in seconds, sizes in bytes.
    const UNITS: [(&str, f64); 12] = [
        ("ms", 1e-3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("KB", 1e3),
        ("kB", 1e3),
        ("%", 1.0),
        ("B", 1.0),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3_600.0),
        ("d", 86_400.0),
        ("", 1.0),
    ];
    if cell == "just now" {
        return Some(0.0);
    }
    let mut rest = cell.trim_start_matches("< ").trim_start_matches("in ").trim_end_matches(" ago");
    let mut sum = 0.0;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].trim_start();
        let (name, size) = UNITS.iter().find(|(name, _)| unit.starts_with(name))?;
        sum += number * size;
        rest = unit[name.len()..].trim_start();
        if rest.is_empty() {
            return Some(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_ordered_by_what_they_mean() {
        let ordered = |mut cells: Vec<&'static str>| {
            cells.sort_by_key(|cell| SortKey::new(cell));
            cells
        };
        assert_eq!(ordered(vec!["10", "9", "", "100"]), ["9", "10", "100", ""]);
        assert_eq!(ordered(vec!["2h ago", "just now", "3d ago", "5m ago"]), ["just now", "5m ago", "2h ago", "3d ago"]);
        assert_eq!(ordered(vec!["1h05m", "2m30s", "< 1m", "4.5s"]), ["4.5s", "< 1m", "2m30s", "1h05m"]);
        assert_eq!(ordered(vec!["2 GB", "240 MB"]), ["240 MB", "2 GB"]);
        assert_eq!(
            ordered(vec!["web", "Api", "2026-11-05 10:11", "2026-11-04 09:00"]),
            ["2026-11-04 09:00", "2026-11-05 10:11", "Api", "web"]
        );
    }
}
