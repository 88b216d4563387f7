//! Draws the application: the names of the pages, what one shows, a message and the keys.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use super::command_line::CommandLine;
use super::keys::{self, Command};
use super::panel::{Focus, Panel};
use super::state::{ClickAreas, Mode, State};
use crate::paint::{
    BOLD, Line, TextStyle, Theme, draw_divider, draw_input, draw_key_hints, draw_lines, draw_text, format_progress,
    paragraph, row_rect,
};
use crate::text::{width, wrap};

/// With so many columns, a list and its details stand side by side.
const MIN_SPLIT_WIDTH: u16 = 120;

/// With so many rows for both, details stand below their list.
const MIN_STACKED_HEIGHT: u16 = 20;

/// With so many rows, a preview stands below the rows to choose from.
const MIN_PREVIEW_HEIGHT: u16 = 12;

/// With so many columns, as many pages as there is room for are named, and not only the open one.
const MIN_NAMES_WIDTH: u16 = 100;

/// How many pages have a key.
const MAX_KEYED_PAGES: usize = 10;

/// The most lines of what is said.
const MAX_NOTE_LINES: usize = 6;

/// The areas of a screen.
struct Areas {
    tabs: Rect,
    body: Rect,
    status: Rect,
    keys: Rect,
}

impl Areas {
    fn of(screen: Rect) -> Self {
        let row = |y: u16| Rect { y: screen.y + y, height: 1, ..screen };
        let height = screen.height;
        let body = Rect { y: screen.y + 1, height: height - 3, ..screen };
        Self { tabs: row(0), body, status: row(height - 2), keys: row(height - 1) }
    }
}

/// Draws one frame.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let area = frame.area();
    let theme = state.theme;
    state.is_too_small = area.width < state.min_size.0 || area.height < state.min_size.1;
    let cursor = if state.is_too_small {
        too_small(frame.buffer_mut(), area, state);
        None
    } else {
        screen(frame.buffer_mut(), area, state)
    };
    theme.replace_non_ascii(frame.buffer_mut());
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

fn too_small(buffer: &mut Buffer, area: Rect, state: &State) {
    let (columns, rows) = state.min_size;
    let leaves = if state.pick_title.is_some() { "Ctrl-C" } else { "q" };
    let said =
        format!("this needs {columns} × {rows} cells, and has {} × {}; {leaves} leaves", area.width, area.height);
    let lines: Vec<Line<'_>> = wrap(&said, usize::from(area.width)).into_iter().map(Line::plain).collect();
    draw_lines(buffer, area, &lines, 0);
}

fn screen(buffer: &mut Buffer, area: Rect, state: &mut State) -> Option<Position> {
    let (areas, theme) = (Areas::of(area), state.theme);
    if state.pick_title.is_some() {
        pick(buffer, &areas, state);
        return None;
    }
    state.click_areas = ClickAreas { tabs: tabs(buffer, areas.tabs, state), ..ClickAreas::default() };
    if let Some(dialog) = state.dialogs.front_mut() {
        let is_line = dialog.is_line();
        let below = if is_line { 0 } else { dialog.draw(buffer, areas.body) };
        let cursor = dialog.input_line().map(|(prompt, shown)| input(buffer, areas.status, prompt, &shown));
        if below == 0 && cursor.is_none() {
            dialog.draw_answers(buffer, areas.status, theme.tone(TextStyle::Bad));
        } else if cursor.is_none() {
            draw_text(buffer, areas.status, 0, &format!("▼ {below} more lines below"), BOLD);
        }
        draw_key_hints(buffer, areas.keys, dialog.key_hints());
        if !is_line {
            return cursor;
        }
    }
    if let Mode::Help = state.mode {
        state.help_scroll = help(buffer, areas.body, state);
        footer(buffer, areas.keys, state);
        return None;
    }
    let at = state.active;
    let panel = &mut state.panels[at];
    if let Some(log) = &mut panel.log {
        log.draw(buffer, areas.body, theme);
    } else {
        let rows = if area.width >= MIN_SPLIT_WIDTH { None } else { Some(MIN_STACKED_HEIGHT) };
        (state.click_areas.list, state.click_areas.detail) = body(buffer, areas.body, panel, theme, rows);
    }
    if !state.dialogs.is_empty() {
        return None;
    }
    if let Mode::Command(line) = &state.mode {
        candidates(buffer, areas.keys, line);
        return Some(input(buffer, areas.status, ":", &line.typed));
    }
    footer(buffer, areas.keys, state);
    status(buffer, areas.status, state)
}

/// Draws what is typed. Returns the position of the cursor.
fn input(buffer: &mut Buffer, area: Rect, prompt: &str, typed: &str) -> Position {
    let x = draw_input(buffer, area, prompt, typed);
    Position { x: area.x + x, y: area.y }
}

/// Draws the choice of a row, with what is known of it below.
fn pick(buffer: &mut Buffer, areas: &Areas, state: &mut State) {
    let (theme, tables) = (state.theme, state.tables());
    let panel = &mut state.panels[state.active];
    let title = state.pick_title.as_deref().unwrap_or_default();
    let title = match panel.query() {
        "" => title.to_owned(),
        typed => format!("{title}   {} with: {typed}", panel.list.counts().1),
    };
    draw_text(buffer, areas.tabs, 0, &title, BOLD);
    let body_area = Rect { height: areas.body.height + 1, ..areas.body };
    body(buffer, body_area, panel, theme, Some(MIN_PREVIEW_HEIGHT));
    let hints = tables.into_iter().flatten().filter(|one| !one.name.is_empty());
    let hints = hints.map(|one| match one.command {
        Command::Back if !panel.query().is_empty() => (one.hint_label(), "show all"),
        _ => (one.hint_label(), one.name),
    });
    draw_key_hints(buffer, areas.keys, [("type", "to narrow")].into_iter().chain(hints));
}

/// Returns a page's name behind the key that opens it, if one does.
fn numbered(at: usize, title: &str) -> String {
    let key = if at < MAX_KEYED_PAGES { ((at + 1) % 10).to_string() } else { String::new() };
    format!("{key} {title}").trim().to_owned()
}

/// Returns the names of the pages: of the open one in brackets, and of others where there is room. A page without a key always
/// has its name.
fn tab_names(state: &State, room: usize) -> Vec<String> {
    let open = state.active;
    let name = |at: usize, is_named: bool| {
        let title = state.panels.get(at).map_or("", |panel| panel.page.descriptor().title);
        match at == open {
            true => format!("[{}]", numbered(at, title)),
            false => numbered(at, if is_named || at >= MAX_KEYED_PAGES { title } else { "" }),
        }
    };
    let is_wide = room >= usize::from(MIN_NAMES_WIDTH);
    let mut names: Vec<String> = (0..state.panels.len()).map(|at| name(at, is_wide)).collect();
    // Those that are the farthest from the open one lose their names first.
    let mut by_distance: Vec<usize> = (0..names.len()).filter(|at| *at != open).collect();
    by_distance.sort_by_key(|at| at.abs_diff(open));
    while names.iter().map(|name| width(name) + 1).sum::<usize>() > room + 1 {
        let Some(at) = by_distance.pop() else { break };
        names[at] = name(at, false);
    }
    names
}

/// Draws the names of the pages. Returns where each stands.
fn tabs(buffer: &mut Buffer, area: Rect, state: &State) -> Vec<Rect> {
    let mut x = 0;
    let mut places = Vec::new();
    for (at, name) in tab_names(state, usize::from(area.width)).iter().enumerate() {
        let style = if at == state.active { BOLD.add_modifier(Modifier::REVERSED) } else { Style::new() };
        let end = draw_text(buffer, area, x, name, style);
        places.push(Rect { x: area.x + x, width: end + 1 - x, ..area });
        x = end + 1;
    }
    places
}

/// Draws a page. Its details stand below the list if there are `stacked_rows`; beside it, if there are none. Returns where its
/// list and its details are.
fn body(buffer: &mut Buffer, area: Rect, panel: &mut Panel, theme: Theme, stacked_rows: Option<u16>) -> (Rect, Rect) {
    let mut area = area;
    for note in panel.notes.clone().iter().take(3) {
        if let Some(line) = row_rect(area, 0) {
            draw_text(buffer, line, 0, note, theme.tone(TextStyle::Warn));
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
    }
    let is_empty = panel.list.counts().1 == 0;
    let (list, divider, detail) = if is_empty && panel.detail().is_none() {
        (area, Rect::ZERO, Rect::ZERO)
    } else if stacked_rows.is_none() {
        let left = (area.width * 9 / 20).min(96);
        let rule = Rect { x: area.x + left, width: 1, ..area };
        (Rect { width: left - 1, ..area }, rule, Rect { x: rule.x + 2, width: area.width - left - 2, ..area })
    } else if stacked_rows.is_some_and(|rows| area.height >= rows) {
        let rows = u16::try_from(panel.list.counts().1 + 1).unwrap_or(u16::MAX).clamp(5, (area.height * 2 / 5).max(5));
        let rule = Rect { y: area.y + rows, height: 1, ..area };
        (Rect { height: rows, ..area }, rule, Rect { y: rule.y + 1, height: area.height - rows - 1, ..area })
    } else if panel.focus == Focus::List {
        (area, Rect::ZERO, Rect::ZERO)
    } else {
        (Rect::ZERO, Rect::ZERO, area)
    };
    let is_detail = panel.focus == Focus::Detail;
    if !list.is_empty() {
        if is_empty {
            empty(buffer, list, panel, theme);
        } else {
            panel.list.draw(buffer, list, theme, !is_detail);
        }
    }
    if divider.width == 1 {
        draw_divider(buffer, divider, is_detail);
    } else {
        let line = if is_detail { "━" } else { "─" };
        draw_text(buffer, divider, 0, &line.repeat(usize::from(divider.width)), Style::new());
    }
    if !detail.is_empty() {
        details(buffer, detail, panel, theme);
    }
    (list, detail)
}

/// Draws what stands in place of an empty list.
fn empty(buffer: &mut Buffer, area: Rect, panel: &Panel, theme: Theme) {
    let (said, tone) = match &panel.problem {
        Some(problem) => (problem.as_str(), TextStyle::Bad),
        None if !panel.is_read => ("…", TextStyle::Plain),
        None if !panel.query().is_empty() => ("nothing has these words; Esc shows all", TextStyle::Plain),
        None if panel.list.counts().0 > 0 => {
            ("nothing is left of the list; its keys and Esc show more", TextStyle::Plain)
        }
        None => (panel.page.descriptor().empty_message, TextStyle::Plain),
    };
    for (y, line) in wrap(said, usize::from(area.width.saturating_sub(2))).into_iter().enumerate() {
        let Some(area) = row_rect(area, y + 1) else { break };
        draw_text(buffer, area, 1, line, theme.tone(tone));
    }
}

/// Draws what is known of a thing: the facts, and below them its lines.
fn details(buffer: &mut Buffer, area: Rect, panel: &mut Panel, theme: Theme) {
    let Some((detail, text)) = panel.text() else { return };
    let room = usize::from(area.width);
    let mut facts = Vec::new();
    detail.facts.iter().for_each(|fact| paragraph(&mut facts, fact, room, theme));
    if detail.lines.is_empty() {
        text.max_scroll = facts.len().saturating_sub(usize::from(area.height));
        draw_lines(buffer, area, &facts, text.scroll.unwrap_or(0));
        return;
    }
    let above = u16::try_from(facts.len()).unwrap_or(u16::MAX).min(area.height * 2 / 5);
    draw_lines(buffer, Rect { height: above, ..area }, &facts, 0);
    let (below, gap) = if above > 0 { (above + 1, 1) } else { (0, 0) };
    if gap > 0 {
        let line = Rect { y: area.y + above, height: 1, ..area };
        draw_text(buffer, line, 0, &"─".repeat(room), theme.tone(TextStyle::Faint));
    }
    let area = Rect { y: area.y + below, height: area.height - below, ..area };
    text.draw(buffer, area, &detail.lines, theme);
}

fn help(buffer: &mut Buffer, area: Rect, state: &State) -> usize {
    let panel = &state.panels[state.active];
    let about = panel.page.descriptor();
    let room = usize::from(area.width);
    let command = format!("`{}` prints it in lines, for other programs and screen readers", about.cli_command);
    let mut lines = Vec::new();
    Line::push_key_help(&mut lines, about.title, &command, room);
    let is_log = panel.log.is_some();
    let actions = about.actions.iter().map(|one| (one.key.to_string(), one.help));
    let facets = about.facets.iter().map(|one| (one.key.to_string(), one.help));
    let hidden = about.hidden_rows.map(|one| (one.key.to_string(), one.help));
    let own: Vec<(String, &str)> = actions.chain(facets).chain(hidden).filter(|_| !is_log).collect();
    own.iter().for_each(|(key, help)| Line::push_key_help(&mut lines, key, help, room));
    let section = |lines: &mut Vec<Line<'static>>, title: &'static str, table: &'static [keys::Binding]| {
        lines.push(Line::plain(""));
        lines.push(Line { style: BOLD, ..Line::plain(title) });
        let shown = table.iter().filter(|one| !one.help.is_empty() && one.command != Command::Edit);
        shown.for_each(|one| Line::push_key_help(lines, one.keys, one.help, room));
    };
    let mut common = Vec::new();
    section(&mut common, "Everywhere", &keys::PAGE);
    match is_log {
        true => section(&mut common, "The log", &keys::LOG),
        false => {
            section(&mut common, "The list", &keys::LIST);
            section(&mut common, "The details", &keys::TEXT);
        }
    }
    section(&mut common, "A question", &keys::CONFIRM);
    section(&mut common, "A choice: letters narrow it", &keys::SELECT);
    lines.extend(common);
    lines.push(Line::plain(""));
    let names = state.panels.iter().enumerate().map(|(at, panel)| numbered(at, panel.page.descriptor().title));
    let names = names.collect::<Vec<_>>().join(", ");
    Line::push_key_help(&mut lines, "screens", &names, room);
    draw_lines(buffer, area, &lines, state.help_scroll)
}

/// Draws the keys of the place that has them, as many as there is room for.
fn footer(buffer: &mut Buffer, area: Rect, state: &State) {
    let panel = &state.panels[state.active];
    let mut own = Vec::new();
    if matches!(state.mode, Mode::Page) && panel.log.is_none() {
        own.extend(panel.own_bindings().into_iter().map(|(key, name, _)| (key.to_string(), name)));
    }
    let is_text = panel.focus == Focus::Detail;
    if is_text && !panel.query().is_empty() && panel.log.is_none() {
        own.insert(0, ("n".to_owned(), "next match"));
    }
    let tables = state.tables();
    // Without a row, there is nothing to look at or to look for.
    let is_empty = panel.list.counts().0 == 0 && panel.log.is_none() && matches!(state.mode, Mode::Page);
    let hints = tables.iter().flat_map(|table| *table).filter(|one| one.is_hint);
    let hints = hints.filter(|one| !is_empty || !matches!(one.command, Command::Inside | Command::Find));
    let common = hints.map(|one| (one.hint_label(), one.name));
    let all = own.iter().map(|(key, name)| (key.as_str(), *name)).chain(common);
    if !matches!(state.mode, Mode::Page) {
        draw_key_hints(buffer, area, all);
        return;
    }
    // The way to all others is always there.
    let rest = 8.min(area.width);
    draw_key_hints(buffer, Rect { width: area.width - rest, ..area }, all);
    draw_key_hints(buffer, Rect { x: area.x + area.width - rest + 1, width: rest - 1, ..area }, [("?", "help")]);
}

/// Draws the names that what is typed may stand for.
fn candidates(buffer: &mut Buffer, area: Rect, line: &CommandLine) {
    let mut x = 0;
    let all = line.candidates();
    if all.is_empty() {
        draw_text(buffer, area, 0, "nothing has this name", Style::new());
    }
    // The selected one is always among those that are shown.
    let before =
        |at: usize| all[at..line.selected.min(all.len())].iter().map(|one| width(&one.name) + 2).sum::<usize>();
    let first = (0..=line.selected).find(|at| *at >= all.len() || before(*at) + 20 <= usize::from(area.width));
    for (at, one) in all.iter().enumerate().skip(first.unwrap_or(line.selected)) {
        // A piece of a name is none.
        if x > 0 && usize::from(x) + width(&one.name) > usize::from(area.width) {
            break;
        }
        let style = if at == line.selected { BOLD.add_modifier(Modifier::REVERSED) } else { Style::new() };
        x = draw_text(buffer, area, x, &one.name, style) + 2;
    }
}

/// Draws what is said, from a column on. Where a line is too short for it, it stands above too, on what a page shows there.
fn said(buffer: &mut Buffer, area: Rect, x: u16, said: &str, style: Style) {
    let room = usize::from(area.width);
    if usize::from(x) + width(said) <= room {
        draw_text(buffer, area, x, said, style);
        return;
    }
    let lines = wrap(said, room);
    let shown = lines.len().min(MAX_NOTE_LINES);
    // Work that goes on keeps the last line.
    let below = usize::from(x > 0);
    for (at, line) in lines.into_iter().take(shown).enumerate() {
        let up = u16::try_from(shown + below - 1 - at).unwrap_or(0);
        let line_area = Rect { y: area.y.saturating_sub(up), ..area };
        draw_text(buffer, line_area, 0, &" ".repeat(room), Style::new());
        draw_text(buffer, line_area, 0, line, style);
    }
}

/// Draws the line of what is typed, done or said. Returns the position of the cursor.
fn status(buffer: &mut Buffer, area: Rect, state: &State) -> Option<Position> {
    let theme = state.theme;
    let panel = &state.panels[state.active];
    if let Mode::Find = state.mode {
        return Some(input(buffer, area, "/", panel.query()));
    }
    let mut x = 0;
    if let Some(work) = state.running_actions.last() {
        let others = state.running_actions.len() - 1;
        let title = if others > 0 { format!("{} and {others} more", work.title) } else { work.title.clone() };
        let step = &state.step;
        let line = format_progress(&title, state.ticks, &step.label, step.done, step.total);
        x = draw_text(buffer, area, 0, &line, theme.tone(TextStyle::Faint)) + 2;
    }
    if let Some(status) = &state.status {
        let style = theme.tone(if status.is_error { TextStyle::Bad } else { TextStyle::Good });
        let text = if status.is_error { format!("! {}", status.text) } else { status.text.clone() };
        said(buffer, area, x, &text, style);
    } else if x == 0 {
        draw_text(buffer, area, 0, &summary(panel), theme.tone(TextStyle::Faint));
    }
    None
}

/// Returns how much of a page is shown, and what narrows it.
fn summary(panel: &Panel) -> String {
    if let Some(log) = &panel.log {
        return log.status();
    }
    let (all, shown) = panel.list.counts();
    let query = panel.query();
    if !query.is_empty() && panel.is_text_focused() {
        return match panel.text.search.match_position(panel.text.match_line()) {
            (_, 0) => format!("no line has: {query}"),
            (at, lines) => format!("line {at} of {lines} with: {query}"),
        };
    }
    let mut words = match (all, shown) {
        (0, _) => String::new(),
        (all, shown) if all == shown && query.is_empty() => all.to_string(),
        (all, shown) => format!("{shown} of {all}"),
    };
    if !query.is_empty() {
        words = format!("{shown} of {all} with: {query}");
    }
    let marked = panel.list.marked().len();
    let narrowed = panel.list.narrowed_by().into_iter().filter(|_| all > 0);
    let parts = [words].into_iter().chain(narrowed).chain((marked > 0).then(|| format!("{marked} marked")));
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}
