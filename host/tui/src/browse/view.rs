//! Draws the state, including only the rows on the screen.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use super::app::{BrowseApp, Focus, InstallForm, Mode};
use super::row::RowMark;
use crate::paint::{
    BOLD, Line, TextStyle, Theme, draw_cell, draw_divider, draw_input as typed_line, draw_key_hints as key_line,
    draw_lines, draw_text, format_progress, paragraph, row_rect,
};
use crate::text::wrap;

/// If there are fewer columns, only the list or the details are shown.
const MIN_TWO_PANE_WIDTH: u16 = 80;
const KEY_HELP: &[(&str, &str)] = &[
    ("↑ ↓ j k", "move"),
    ("PgUp PgDn", "move a page"),
    ("Home End g G", "first, last"),
    ("/", "search as you type; Enter keeps it, Esc clears it"),
    ("m", "market: each in turn"),
    ("c", "category: each in turn"),
    ("t", "kind of what plugins bring: each in turn"),
    ("a", "all plugins, or those with MCP servers or not inspected yet"),
    ("i", "install: shows what it would add, then asks"),
    ("d", "remove: asks"),
    ("e", "enable or disable"),
    ("r", "read the list again"),
    ("Enter Esc", "details and back; arrows scroll them"),
    ("Ctrl-Z", "to the background"),
    ("q Esc Ctrl-C", "leave"),
    ("", ""),
    ("✓", "installed, enabled"),
    ("•", "installed, disabled"),
    ("!", "broken"),
    ("?", "not inspected yet"),
];

/// The areas of the screen. An area that does not fit is empty.
struct Areas {
    title: Rect,
    list: Rect,
    rule: Rect,
    details: Rect,
    /// The list, rule and details together.
    body: Rect,
    status: Rect,
    keys: Rect,
}

impl Areas {
    fn of(screen: Rect, focus: Focus) -> Self {
        let row = |y: u16| Rect { y: screen.y + y, height: 1, ..screen };
        let height = screen.height;
        // The list is the last to be dropped: without it nothing can be done.
        let title = if height >= 3 { row(0) } else { Rect::ZERO };
        let keys = if height >= 4 { row(height - 1) } else { Rect::ZERO };
        let status = if height >= 2 { row(height - 1 - keys.height) } else { Rect::ZERO };
        let body =
            Rect { y: screen.y + title.height, height: height - title.height - status.height - keys.height, ..screen };
        let (list, rule, details) = if body.width >= MIN_TWO_PANE_WIDTH {
            let left = (body.width / 2).min(72);
            let rule = Rect { x: body.x + left, width: 1, ..body };
            let right = Rect { x: rule.x + 2, width: body.width - left - 2, ..body };
            (Rect { width: left, ..body }, rule, right)
        } else if focus == Focus::List {
            (body, Rect::ZERO, Rect::ZERO)
        } else {
            (Rect::ZERO, Rect::ZERO, body)
        };
        Self { title, list, rule, details, body, status, keys }
    }
}

/// Draws one frame. Also tells the state what fits, which is known only here.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &mut BrowseApp) {
    let area = frame.area();
    if let Some(cursor) = draw_in(frame.buffer_mut(), area, app) {
        frame.set_cursor_position(cursor);
    }
}

/// Draws into an area. Returns the position of the cursor, if there is one.
pub(crate) fn draw_in(buffer: &mut Buffer, area: Rect, app: &mut BrowseApp) -> Option<Position> {
    let areas = Areas::of(area, app.focus);
    app.set_page_size(if areas.list.is_empty() { areas.body.height } else { areas.list.height });
    let theme = Theme { color: app.color, ascii: false };
    title(buffer, areas.title, app, theme);
    match &app.mode {
        Mode::Help => {
            let lines = help(usize::from(areas.body.width));
            app.scroll = draw_lines(buffer, areas.body, &lines, app.scroll);
        }
        Mode::Confirm(_) => {
            let (scroll, below) = question(buffer, areas.body, app, theme);
            app.scroll = scroll;
            if below > 0 {
                draw_text(buffer, areas.status, 0, &format!("▼ {below} more lines below"), BOLD);
            }
        }
        Mode::Form(fill) => value(buffer, areas.body, fill),
        Mode::List | Mode::Search => {
            list(buffer, areas.list, app, theme);
            let focused = app.focus == Focus::Details;
            draw_divider(buffer, areas.rule, focused);
            if !areas.details.is_empty() {
                app.scroll = details(buffer, areas.details, app, theme);
            }
        }
    }
    let cursor = status(buffer, areas.status, app, theme);
    keys(buffer, areas.keys, app);
    cursor
}

fn title(buffer: &mut Buffer, area: Rect, app: &BrowseApp, theme: Theme) {
    let position = if app.visible_count() == 0 { 0 } else { app.selected + 1 };
    let mut x = draw_text(buffer, area, 0, "aiw plugins ", BOLD);
    x = draw_text(buffer, area, x, &format!(" {position}/{} of {}", app.visible_count(), app.count()), Style::new());
    let filter = &app.filter;
    let mut part = |name: &str, value: &str| {
        x = draw_text(buffer, area, x, " · ", Style::new());
        x = draw_text(buffer, area, x, name, Style::new());
        x = draw_text(buffer, area, x, value, theme.paint(Color::Yellow).add_modifier(Modifier::UNDERLINED));
    };
    part(
        "",
        match (filter.show_all, app.has_uninspected) {
            (true, _) => "all",
            (false, false) => "with MCP servers",
            (false, true) => "with MCP servers or not inspected yet",
        },
    );
    for (name, value) in [("market ", &filter.market), ("category ", &filter.category), ("kind ", &filter.kind)] {
        if let Some(value) = value {
            part(name, value);
        }
    }
    if !app.query.is_empty() {
        part("search ", &app.query);
    }
}

fn list(buffer: &mut Buffer, area: Rect, app: &BrowseApp, theme: Theme) {
    if app.visible_count() == 0 {
        empty(buffer, area, app, theme);
        return;
    }
    // Marker and mark, then name, market and kinds in shares of the remaining width.
    let room = usize::from(area.width.saturating_sub(4));
    let (name_width, market_width) = match room {
        0..24 => (room, 0),
        24..44 => (room * 3 / 5, room - room * 3 / 5),
        _ => (room * 9 / 20, room * 6 / 20),
    };
    let kinds_width = room - name_width - market_width;
    for (y, position) in (app.top..app.visible_count()).enumerate() {
        let (Some(area), Some(entry)) = (row_rect(area, y), app.row(position)) else { break };
        let selected = position == app.selected;
        draw_text(buffer, area, 0, if selected { "›" } else { " " }, BOLD);
        let (mark, style) = match entry.mark {
            RowMark::None => (" ", Style::new()),
            RowMark::Enabled => ("✓", theme.tone(TextStyle::Good)),
            RowMark::Disabled => ("•", Style::new()),
            RowMark::Broken => ("!", theme.tone(TextStyle::Bad)),
        };
        draw_text(buffer, area, 2, mark, style);
        let mut x = 4;
        draw_cell(buffer, area, &mut x, &entry.name, name_width, Style::new());
        draw_cell(buffer, area, &mut x, &entry.market, market_width, theme.tone(TextStyle::Faint));
        draw_cell(buffer, area, &mut x, &entry.badges, kinds_width, Style::new());
        if selected {
            buffer.set_style(area, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

fn empty(buffer: &mut Buffer, area: Rect, app: &BrowseApp, theme: Theme) {
    let (message, tone) = match (&app.load_error, &app.running_job) {
        (_, Some(work)) if app.count() == 0 => (work.title.as_str(), TextStyle::Plain),
        (Some(error), _) if app.count() == 0 => (error.as_str(), TextStyle::Bad),
        _ if app.count() == 0 => (
            "No plugins: `aiw plugin marketplace update` fetches their lists, `add` adds a marketplace",
            TextStyle::Plain,
        ),
        _ if !app.query.is_empty() => ("Nothing matches, Esc clears the search", TextStyle::Plain),
        _ if !app.filter.show_all => {
            ("Nothing passes the filters, a shows plugins without MCP servers too", TextStyle::Plain)
        }
        _ => ("Nothing passes the filters, m c t change them", TextStyle::Plain),
    };
    let room = usize::from(area.width.saturating_sub(2));
    for (y, line) in wrap(message, room).into_iter().enumerate() {
        let Some(area) = row_rect(area, y) else { break };
        draw_text(buffer, area, 1, line, theme.tone(tone));
    }
}

fn details(buffer: &mut Buffer, area: Rect, app: &BrowseApp, theme: Theme) -> usize {
    let Some(entry) = app.current() else { return 0 };
    let room = usize::from(area.width);
    let mut lines = Vec::new();
    for fact in &entry.facts {
        paragraph(&mut lines, fact, room, theme);
    }
    draw_lines(buffer, area, &lines, app.scroll)
}

fn question(buffer: &mut Buffer, area: Rect, app: &BrowseApp, theme: Theme) -> (usize, usize) {
    let Mode::Confirm(confirm) = &app.mode else { return (app.scroll, 0) };
    let room = usize::from(area.width);
    let mut lines: Vec<Line<'_>> = wrap(&confirm.question, room)
        .into_iter()
        .map(|text| Line { label: "", indent: 0, text, style: BOLD })
        .collect();
    let bad = theme.tone(TextStyle::Bad);
    for warning in &confirm.warnings {
        for (at, text) in wrap(warning, room.saturating_sub(2)).into_iter().enumerate() {
            lines.push(Line { label: if at == 0 { "!" } else { "" }, indent: 2, text, style: bad });
        }
    }
    for line in &confirm.lines {
        for (at, text) in wrap(line, room.saturating_sub(4)).into_iter().enumerate() {
            lines.push(Line { label: "", indent: if at == 0 { 2 } else { 4 }, text, style: Style::new() });
        }
    }
    let scroll = draw_lines(buffer, area, &lines, app.scroll);
    (scroll, lines.len().saturating_sub(scroll + usize::from(area.height)))
}

/// Draws what is asked for. What is typed stands in the status line.
fn value(buffer: &mut Buffer, area: Rect, fill: &InstallForm) {
    let Some(ask) = fill.current() else { return };
    let (at, count) = fill.position();
    let number = if count > 1 { format!(" ({at} of {count})") } else { String::new() };
    let question = match &ask.description {
        None => format!("Value of `{}`{number}", ask.name),
        Some(title) => format!("Value of `{}`, {title}{number}", ask.name),
    };
    let room = usize::from(area.width);
    let style = |text| Line { label: "", indent: 0, text, style: BOLD };
    let mut lines: Vec<Line<'_>> = wrap(&question, room).into_iter().map(style).collect();
    for text in wrap("The plugin's servers need it. Enter without a value leaves it unset for now.", room) {
        lines.push(Line { label: "", indent: 0, text, style: Style::new() });
    }
    draw_lines(buffer, area, &lines, 0);
}

fn help(room: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    KEY_HELP.iter().for_each(|(key, help)| Line::push_key_help(&mut lines, key, help, room));
    lines
}

/// Draws the status line, which shows what is typed, done or said. Returns the position of the cursor.
fn status(buffer: &mut Buffer, area: Rect, app: &BrowseApp, theme: Theme) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let typed = match &app.mode {
        Mode::Search => Some(("/", app.query.as_str())),
        Mode::Form(fill) => Some(fill.input_line()),
        _ => None,
    };
    if let Some((prompt, typed)) = typed {
        let x = typed_line(buffer, area, prompt, typed);
        return Some(Position { x: area.x + x, y: area.y });
    }
    if let Some(work) = &app.running_job {
        let line = format_progress(&work.title, work.ticks, &work.step, work.done, work.total);
        let end = draw_text(buffer, area, 0, &line, theme.tone(TextStyle::Faint));
        if let Some(status) = &app.status {
            draw_text(buffer, area, end, &format!("  {}", status.text), BOLD);
        }
    } else if let Some(status) = &app.status {
        let style = if status.is_error { theme.tone(TextStyle::Bad) } else { theme.tone(TextStyle::Good) };
        let x = if status.is_error { draw_text(buffer, area, 0, "! ", style) } else { 0 };
        draw_text(buffer, area, x, &status.text, style);
    }
    None
}

fn keys(buffer: &mut Buffer, area: Rect, app: &BrowseApp) {
    let keys: &[(&str, &str)] = match (&app.mode, app.focus) {
        (Mode::List, Focus::List) => &[
            ("/", "search"),
            ("i", "install"),
            ("q", "quit"),
            ("?", "help"),
            ("Enter", "details"),
            ("d", "remove"),
            ("m", "market"),
            ("c", "category"),
            ("t", "kind"),
            ("a", "all"),
            ("e", "enable/disable"),
            ("↑↓", "move"),
        ],
        (Mode::List, Focus::Details) => {
            &[("↑↓", "scroll"), ("Esc", "list"), ("i", "install"), ("d", "remove"), ("q", "quit"), ("?", "help")]
        }
        (Mode::Search, _) => &[("Enter", "keep"), ("Esc", "clear"), ("↑↓", "move"), ("Ctrl-C", "quit")],
        (Mode::Help, _) => &[("↑↓", "scroll"), ("Esc", "back")],
        (Mode::Form(_), _) => &[("Enter", "next"), ("Esc", "stop"), ("Ctrl-C", "quit")],
        (Mode::Confirm(_), _) => &[("y", "yes"), ("n", "no"), ("↑↓", "scroll")],
    };
    key_line(buffer, area, keys.iter().copied());
}
