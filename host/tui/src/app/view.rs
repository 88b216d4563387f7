//! Draws the application: the names of the screens, what one shows, a message and the keys.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use super::panel::{Focus, Panel};
use super::state::{ClickAreas, MIN_SCREEN_SIZE, Mode, Screens, Tab};
use crate::browse;
use crate::page::PageDescriptor;
use crate::paint::{
    BOLD, Line, TextStyle, Theme, draw_divider, draw_input, draw_key_hints, draw_lines, draw_text, format_progress,
    paragraph, row_rect,
};
use crate::text::{width, wrap};

/// With so many columns, a list and its details stand side by side.
const MIN_SPLIT_WIDTH: u16 = 120;

/// With so many rows for both, details stand below their list.
const MIN_STACKED_HEIGHT: u16 = 20;

/// How many screens have a key.
const MAX_KEYED_PAGES: usize = 10;

/// The most lines of what is said.
const MAX_NOTE_LINES: usize = 6;

/// The keys that are the same in all screens, for the help.
const KEY_HELP: [(&str, &str); 13] = [
    ("Tab Shift-Tab", "the next screen, the one before"),
    ("↑ ↓ j k", "move; PgUp, PgDn, Home, End, g, G go further"),
    ("Enter → l", "to the details, which the arrows scroll then"),
    ("Esc ← h", "back"),
    ("/", "show what has these words; Esc shows all"),
    ("/ n N", "in the details: find words, next, before"),
    ("F5 Ctrl-R", "read again; what changes is read by itself"),
    ("M", "the mouse: to select here, or to select text"),
    ("Ctrl-Z", "to the background"),
    ("?", "this help"),
    ("q Ctrl-C", "leave"),
    ("", ""),
    ("y", "yes, where a question is asked; every other key is a no"),
];

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
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut Screens) {
    let area = frame.area();
    let theme = app.theme;
    app.is_too_small = area.width < MIN_SCREEN_SIZE.0 || area.height < MIN_SCREEN_SIZE.1;
    let cursor = if app.is_too_small {
        too_small(frame.buffer_mut(), area);
        None
    } else {
        screen(frame.buffer_mut(), area, app)
    };
    theme.replace_non_ascii(frame.buffer_mut());
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

fn too_small(buffer: &mut Buffer, area: Rect) {
    let (columns, rows) = MIN_SCREEN_SIZE;
    let said = format!("this needs {columns} × {rows} cells, and has {} × {}; q leaves", area.width, area.height);
    let lines: Vec<Line<'_>> = wrap(&said, usize::from(area.width)).into_iter().map(Line::plain).collect();
    draw_lines(buffer, area, &lines, 0);
}

fn screen(buffer: &mut Buffer, area: Rect, app: &mut Screens) -> Option<Position> {
    let (areas, theme) = (Areas::of(area), app.theme);
    app.click_areas = ClickAreas { tabs: tabs(buffer, areas.tabs, app), ..ClickAreas::default() };
    if let Some(asking) = app.prompts.front_mut() {
        let below = asking.draw(buffer, areas.body);
        draw_key_hints(buffer, areas.keys, asking.key_hints().iter().copied());
        if let Some((prompt, shown)) = asking.input_line() {
            let x = draw_input(buffer, areas.status, prompt, &shown);
            return Some(Position { x: areas.status.x + x, y: areas.status.y });
        }
        if below > 0 {
            draw_text(buffer, areas.status, 0, &format!("▼ {below} more lines below"), BOLD);
        }
        return None;
    }
    match &app.mode {
        Mode::Help => {
            app.scroll = help(buffer, areas.body, app);
            draw_key_hints(buffer, areas.keys, [("↑↓", "scroll"), ("Esc", "back")]);
            return None;
        }
        Mode::Confirm(question, ..) => {
            draw_text(buffer, areas.status, 0, question, theme.tone(TextStyle::Bad));
            draw_key_hints(buffer, areas.keys, [("y", "yes"), ("n", "no")]);
            app.is_confirm_seen = true;
        }
        Mode::List | Mode::Filter => {}
    }
    let at = app.active_tab;
    match app.tabs.get_mut(at)? {
        Tab::Plugins(browser) => {
            let own = Rect { y: areas.body.y, height: area.height - 1, ..area };
            return browse::draw_in(buffer, own, browser);
        }
        Tab::Page(panel) => {
            (app.click_areas.list, app.click_areas.detail) = body(buffer, areas.body, panel, theme);
        }
    }
    if let Mode::Confirm(..) = app.mode {
        return None;
    }
    footer(buffer, areas.keys, app);
    status(buffer, areas.status, app)
}

/// Returns a screen's name behind the key that opens it, if one does.
fn numbered(at: usize, title: &str) -> String {
    let key = if at < MAX_KEYED_PAGES { ((at + 1) % 10).to_string() } else { String::new() };
    format!("{key} {title}").trim().to_owned()
}

/// The names of the screens above all, from long to short.
#[derive(Clone, Copy, PartialEq)]
enum TabNames {
    /// The titles, each cut to so many letters. Cut to fewer than four, some are the same.
    Truncated(usize),
    /// Three letters.
    Short,
    /// Three letters, for the open screen too.
    AllShort,
    /// The keys alone.
    Keys,
}

impl TabNames {
    const ALL: [Self; 6] =
        [Self::Truncated(usize::MAX), Self::Truncated(5), Self::Truncated(4), Self::Short, Self::AllShort, Self::Keys];

    fn of(self, at: usize, about: &PageDescriptor, is_open: bool) -> String {
        let is_whole = is_open && self != Self::AllShort;
        match self {
            _ if is_whole => numbered(at, about.title),
            Self::Truncated(most) => numbered(at, &about.title.chars().take(most).collect::<String>()),
            // Without a key it needs a name.
            Self::Keys if at < MAX_KEYED_PAGES => numbered(at, ""),
            Self::Short | Self::AllShort | Self::Keys => numbered(at, about.short_title),
        }
    }
}

/// Draws the names of the screens, as long as there is room for.
fn tabs(buffer: &mut Buffer, area: Rect, app: &Screens) -> Vec<Rect> {
    let abouts = || app.tabs.iter().map(Tab::descriptor).enumerate();
    let all = |names: &TabNames| {
        abouts().map(|(at, about)| width(&names.of(at, about, at == app.active_tab)) + 2).sum::<usize>()
    };
    let names = TabNames::ALL.into_iter().find(|names| all(names) <= usize::from(area.width)).unwrap_or(TabNames::Keys);
    let mut x = 0;
    let mut places = Vec::new();
    for (at, about) in abouts() {
        let is_open = at == app.active_tab;
        let shown = names.of(at, about, is_open);
        let style = if is_open { BOLD.add_modifier(Modifier::REVERSED) } else { Style::new() };
        let end = draw_text(buffer, area, x, &format!(" {shown} "), style);
        places.push(Rect { x: area.x + x, width: end - x, ..area });
        x = end;
    }
    places
}

/// Draws a page. Returns where its list and its details are.
fn body(buffer: &mut Buffer, area: Rect, panel: &mut Panel, theme: Theme) -> (Rect, Rect) {
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
    } else if area.width >= MIN_SPLIT_WIDTH {
        let left = (area.width * 9 / 20).min(96);
        let rule = Rect { x: area.x + left, width: 1, ..area };
        (Rect { width: left - 1, ..area }, rule, Rect { x: rule.x + 2, width: area.width - left - 2, ..area })
    } else if area.height >= MIN_STACKED_HEIGHT {
        let rows = u16::try_from(panel.list.counts().1 + 1).unwrap_or(u16::MAX).clamp(5, area.height * 2 / 5);
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
        None => (panel.page.descriptor().empty_message, TextStyle::Plain),
    };
    for (y, line) in wrap(said, usize::from(area.width.saturating_sub(2))).into_iter().enumerate() {
        let Some(area) = row_rect(area, y + 1) else { break };
        draw_text(buffer, area, 1, line, theme.tone(tone));
    }
}

/// Draws what is known of a thing: the facts, and below them its lines.
fn details(buffer: &mut Buffer, area: Rect, panel: &mut Panel, theme: Theme) {
    let Some(detail) = panel.detail() else { return };
    let room = usize::from(area.width);
    let mut facts = Vec::new();
    detail.facts.iter().for_each(|fact| paragraph(&mut facts, fact, room, theme));
    if detail.lines.is_empty() {
        let first = panel.scroll.unwrap_or(0);
        let furthest = facts.len().saturating_sub(usize::from(area.height));
        draw_lines(buffer, area, &facts, first);
        panel.max_scroll = furthest;
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
    lines(buffer, area, panel);
}

/// Draws lines: those that the user scrolled to, or else the last ones of logs, and the first ones of another text.
fn lines(buffer: &mut Buffer, area: Rect, panel: &mut Panel) {
    panel.wrap(usize::from(area.width));
    let height = usize::from(area.height);
    let furthest = panel.wrapped_count().saturating_sub(height);
    let follows = panel.detail().is_some_and(|detail| detail.log_dir.is_some());
    let first = panel.scroll.unwrap_or(if follows { furthest } else { 0 }).min(furthest);
    let seen: Vec<Line<'_>> = panel.wrapped_lines(first, height).map(Line::plain).collect();
    draw_lines(buffer, area, &seen, 0);
    for (y, piece) in panel.wrapped_lines(first, height).enumerate() {
        for place in panel.text_search.match_ranges(piece) {
            let cells = |text: &str| u16::try_from(width(text)).unwrap_or(u16::MAX);
            let x = cells(&piece[..place.start]);
            let Some(line) = row_rect(area, y).filter(|line| x < line.width) else { continue };
            let found = Rect { x: line.x + x, width: cells(&piece[place]).min(line.width - x), ..line };
            buffer.set_style(found, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    (panel.scroll, panel.max_scroll) = (panel.scroll.map(|scroll| scroll.min(furthest)), furthest);
}

fn help(buffer: &mut Buffer, area: Rect, app: &Screens) -> usize {
    let Some(tab) = app.tabs.get(app.active_tab) else { return 0 };
    let room = usize::from(area.width);
    let mut own: Vec<(String, &str)> = Vec::new();
    if let Tab::Page(panel) = tab {
        own.extend(panel.page.descriptor().actions.iter().map(|action| (action.key.to_string(), action.help)));
    }
    let command =
        format!("`{}` prints it in lines, for other programs and screen readers", tab.descriptor().cli_command);
    let mut lines = Vec::new();
    Line::push_key_help(&mut lines, tab.descriptor().title, &command, room);
    own.iter().for_each(|(key, help)| Line::push_key_help(&mut lines, key, help, room));
    lines.push(Line::plain(""));
    let names = app.tabs.iter().enumerate().map(|(at, tab)| numbered(at, tab.descriptor().title));
    let names = names.collect::<Vec<_>>().join(", ");
    Line::push_key_help(&mut lines, "screens", &names, room);
    KEY_HELP.iter().for_each(|(key, help)| Line::push_key_help(&mut lines, key, help, room));
    draw_lines(buffer, area, &lines, app.scroll)
}

fn footer(buffer: &mut Buffer, area: Rect, app: &Screens) {
    let Some(Tab::Page(panel)) = app.tabs.get(app.active_tab) else { return };
    if app.mode == Mode::Filter {
        let (esc, arrows) = if panel.is_text_focused() { ("end", "scroll") } else { ("all", "move") };
        draw_key_hints(buffer, area, [("Enter", "keep"), ("Esc", esc), ("↑↓", arrows)]);
        return;
    }
    let letters: Vec<(String, &str)> = panel.actions().map(|one| (one.key.to_string(), one.name)).collect();
    let moves: &[(&str, &str)] = match panel.focus {
        Focus::List => &[("/", "find"), ("Enter", "details")],
        Focus::Detail if panel.has_text_query() => &[("n N", "next, before"), ("Esc", "end")],
        Focus::Detail => &[("↑↓", "scroll"), ("/", "find"), ("Esc", "back")],
    };
    let own =
        letters.iter().map(|(key, name)| (key.as_str(), *name)).chain(moves.iter().copied()).chain([("q", "quit")]);
    // The way to all others is always there.
    let rest = 8.min(area.width);
    draw_key_hints(buffer, Rect { width: area.width - rest, ..area }, own);
    draw_key_hints(buffer, Rect { x: area.x + area.width - rest + 1, width: rest - 1, ..area }, [("?", "help")]);
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
fn status(buffer: &mut Buffer, area: Rect, app: &Screens) -> Option<Position> {
    let theme = app.theme;
    let Some(Tab::Page(panel)) = app.tabs.get(app.active_tab) else { return None };
    if app.mode == Mode::Filter {
        let x = draw_input(buffer, area, "/", panel.query());
        return Some(Position { x: area.x + x, y: area.y });
    }
    let mut x = 0;
    let elsewhere = app.tabs.iter().find_map(|tab| match tab {
        Tab::Plugins(browser) => browser.progress(),
        Tab::Page(_) => None,
    });
    if let Some(line) = elsewhere.filter(|_| app.running_actions.is_empty()) {
        x = draw_text(buffer, area, 0, &line, theme.tone(TextStyle::Faint)) + 2;
    } else if let Some(work) = app.running_actions.last() {
        let others = app.running_actions.len() - 1;
        let title = if others > 0 { format!("{} and {others} more", work.title) } else { work.title.clone() };
        let step = &app.step;
        let line = format_progress(&title, app.ticks, &step.label, step.done, step.total);
        x = draw_text(buffer, area, 0, &line, theme.tone(TextStyle::Faint)) + 2;
    }
    if let Some(status) = &app.status {
        let style = theme.tone(if status.is_error { TextStyle::Bad } else { TextStyle::Good });
        let text = if status.is_error { format!("! {}", status.text) } else { status.text.clone() };
        said(buffer, area, x, &text, style);
    } else if x == 0 {
        let (all, shown) = panel.list.counts();
        let query = panel.query();
        let line = match (query.is_empty(), all) {
            (false, _) if panel.is_text_focused() => match panel.text_search.match_position(panel.match_line()) {
                (_, 0) => format!("no line has: {query}"),
                (at, lines) => format!("line {at} of {lines} with: {query}"),
            },
            (true, 0) => String::new(),
            (true, all) => format!("{all}"),
            (false, all) => format!("{shown} of {all} with: {query}"),
        };
        draw_text(buffer, area, 0, &line, theme.tone(TextStyle::Faint));
    }
    None
}
