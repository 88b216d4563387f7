//! Panics while a screen is up, on a terminal: this test binary runs itself there.

use std::io::Read;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use ratatui::Frame;

use super::show;
use crate::paint::{BOLD, draw_text};
use crate::screen::{Effect, Screen, StepProgress, Worker};

/// A screen that panics: as it draws once its job is done, or else in its job.
struct Panics {
    draws: bool,
    is_done: bool,
}

impl Screen for Panics {
    type Job = bool;
    type Reply = ();

    fn initial_job(&mut self) -> Option<bool> {
        Some(self.draws)
    }

    fn worker(&self) -> Worker<bool, ()> {
        Arc::new(|draws, _| assert!(draws, "the worker's panic"))
    }

    fn failure_reply(_: bool, _: &str) {}

    fn handle_key(&mut self, key: KeyEvent) -> Option<Effect<bool>> {
        (key.code == KeyCode::Char('q')).then_some(Effect::Quit)
    }

    fn handle_paste(&mut self, _: &str) -> Option<Effect<bool>> {
        None
    }

    fn handle_reply(&mut self, (): ()) -> Option<Effect<bool>> {
        self.is_done = true;
        // The one whose job has panicked is left.
        (!self.draws).then_some(Effect::Quit)
    }

    fn is_working(&self) -> bool {
        false
    }

    fn tick(&mut self, _: Option<StepProgress>) {}

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        draw_text(frame.buffer_mut(), area, 0, "a screen", BOLD);
        assert!(!(self.draws && self.is_done), "the screen's panic");
    }
}

#[test]
#[ignore = "panics on a terminal, for the test below"]
fn draws_and_panics() {
    show(Panics { draws: true, is_done: false }).unwrap();
}

#[test]
#[ignore = "panics on a terminal, for the test below"]
fn works_and_panics() {
    show(Panics { draws: false, is_done: false }).unwrap();
}

#[test]
fn a_panic_gives_the_terminal_back_and_what_it_says_can_be_read() {
    for (name, says, passes) in
        [("draws_and_panics", "the screen's panic", false), ("works_and_panics", "the worker's panic", true)]
    {
        let size = PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let modes = |master: &dyn MasterPty| format!("{:?}", master.get_termios());
        let before = modes(&*pair.master);
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("event_loop::tests::{name}"), "--ignored", "--nocapture"]);
        command.env("TERM", "xterm-256color");
        command.env("RUST_BACKTRACE", "0");
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let (mut written, mut output) = (Vec::new(), pair.master.try_clone_reader().unwrap());
        // A terminal that nobody holds any more ends with an error.
        let _ = output.read_to_end(&mut written);
        let status = child.wait().unwrap();
        let mut terminal = vt100::Parser::new(size.rows, size.cols, 0);
        terminal.process(&written);
        let (screen, shown) = (terminal.screen(), terminal.screen().contents());
        assert!(String::from_utf8_lossy(&written).contains("\u{1b}[?1049h"), "{name}: it had the screen");
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste(), "{name}: {shown}");
        assert_eq!(modes(&*pair.master), before, "{name}");
        assert!(shown.contains(says) && !shown.contains("a screen"), "{name}: {shown}");
        assert_eq!(status.success(), passes, "{name}: {shown}");
    }
}
