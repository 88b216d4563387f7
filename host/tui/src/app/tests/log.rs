//! Tests of a log on the whole screen.

use aiw_processes::{LogEntry, Stream};

use super::*;
use crate::page::{LogHandle, LogReader, LogUpdate};

/// A log whose lines a test gives.
struct Lines {
    lines: Vec<OutputLine>,
    names: Vec<String>,
}

impl LogReader for Lines {
    fn read(&mut self, _: bool) -> Result<LogUpdate, String> {
        let lines = std::mem::take(&mut self.lines);
        Ok(LogUpdate { lines, names: self.names.clone(), directories: vec!["/logs".into()] })
    }
}

/// Returns lines of two programs, with colours, of both streams.
fn log_lines(count: usize) -> Vec<OutputLine> {
    let line = |n: usize| {
        let stream = [Stream::Stdout, Stream::Stderr, Stream::Aiw][n % 3];
        let text = format!(
            "line {n} \u{1b}[31mred\u{1b}[0m \u{1b}[2J{}",
            "and so on ".repeat(20 * usize::from(n.is_multiple_of(4)))
        );
        let entry =
            LogEntry { time: 1_767_225_600_000 + n as u64, stream, bytes: text.into_bytes(), is_complete: true };
        OutputLine::from_entry(&entry, n % 2)
    };
    (0..count).map(line).collect()
}

/// Opens a log of fruit on the whole screen.
fn open_log(screen: &mut Screen, lines: Vec<OutputLine>) -> LogHandle {
    let handle = LogHandle::new(Lines { lines, names: vec!["web".into(), "database".into()] });
    screen.keys("p");
    let opened = Ok(Outcome::Log("all fruit".into(), handle.clone()));
    let Some(Effect::Start(read)) = screen.app.handle_reply(Reply::Action(0, 'p', opened)) else {
        panic!("it is not read")
    };
    let reply = screen.app.worker()(read, &crate::prompter::noop_job_handle());
    assert_eq!(screen.app.handle_reply(reply), None);
    handle
}

#[test]
fn a_log_has_the_whole_screen_with_streams_names_colours_and_times() {
    for size in [MIN_SIZE, (80, 24), (100, 24), (200, 24)] {
        let mut screen = Screen::of_fruit();
        screen.terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        open_log(&mut screen, log_lines(9));
        let wrapped = screen.frame();
        screen.keys("wt");
        let cut = screen.frame();
        screen.key(KeyCode::Right);
        let moved = screen.frame();
        assert_snapshot!(format!("log_{}", size.0), format!("{wrapped}\n{cut}\n{}", moved.lines().nth(2).unwrap()));
        let buffer = screen.terminal.backend().buffer();
        assert!(!buffer_text(buffer).contains('\u{1b}'));
    }
    let mut screen = Screen::of_fruit();
    open_log(&mut screen, log_lines(9));
    let red = screen.draw().content.iter().filter(|cell| cell.fg == Color::Indexed(1)).count();
    assert_eq!(red, 9 * 3);
    screen.app.theme = Theme::default();
    assert!(screen.draw().content.iter().all(|cell| cell.fg == Color::Reset));
    assert_eq!(screen.app.subscription().map(|heeded| heeded.log_dirs), None);
}

#[test]
fn a_log_follows_its_end_until_the_user_scrolls_and_is_read_on() {
    let mut screen = Screen::of_fruit();
    let handle = open_log(&mut screen, log_lines(100));
    assert!(screen.frame().contains("line 99") && screen.frame().contains("100 lines · following"));
    let more = |screen: &mut Screen, first: usize, count: usize| {
        let lines = log_lines(first + count).split_off(first);
        let update = LogUpdate { lines, names: vec!["web".into(), "database".into()], directories: Vec::new() };
        assert_eq!(
            screen.app.handle_changes(&[Topic::Logs].into()),
            Some(Effect::Start(Job::ReadLog(0, handle.clone(), false)))
        );
        // While it is read, another change waits.
        assert_eq!(screen.app.handle_changes(&[Topic::Tasks].into()), None);
        let next = screen.app.handle_reply(Reply::Log(0, handle.clone(), Ok(update)));
        assert_eq!(next, Some(Effect::Start(Job::ReadLog(0, handle.clone(), true))));
        screen.app.handle_reply(Reply::Log(
            0,
            handle.clone(),
            Ok(LogUpdate { names: vec!["web".into(), "database".into()], ..Default::default() }),
        ));
        screen.frame()
    };
    assert!(more(&mut screen, 100, 10).contains("line 109"));
    screen.key(KeyCode::Up);
    let before = screen.frame();
    assert!(!before.contains("line 109") && before.contains("f or End follows"));
    assert!(!more(&mut screen, 110, 10).contains("line 119"));
    screen.keys("f");
    assert!(screen.frame().contains("line 119"));
    // What is long gone is dropped, and the place on the screen stays.
    screen.keys("g");
    let wraps = WRAP_CALL_COUNT.get();
    let frame = more(&mut screen, 120, 12_000);
    assert!(frame.contains("10000 lines") && WRAP_CALL_COUNT.get() - wraps < 12_100, "{frame}");
    screen.keys("/line 12119");
    assert!(screen.frame().contains("line 12119"));
    screen.key(KeyCode::Enter);
    assert!(screen.frame().contains("line 1 of 1 with: line 12119"), "{}", screen.frame());
    // Esc ends the search, then the log.
    screen.key(KeyCode::Esc);
    assert!(screen.app.panel().log.is_some());
    assert_eq!(screen.key(KeyCode::Esc), Some(Effect::Start(Job::List(0, String::new()))));
    assert!(screen.frame().contains("apple") && screen.app.panel().log.is_none());
    // Its last lines come too late.
    assert_eq!(screen.app.handle_reply(Reply::Log(0, handle, Ok(Default::default()))), None);
}
