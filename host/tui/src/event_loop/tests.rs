//! Panics while a screen is up, on a terminal: this test binary runs itself there.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::show;
use crate::app::State;
use crate::page::{Detail, ListContent, Page, PageDescriptor};
use crate::paint::Theme;
use crate::screen::ScreenError;

/// A page that panics: as it is drawn once its list was read, or else as it is read.
struct Panics {
    draws: bool,
    is_read: AtomicBool,
}

impl Page for Panics {
    fn descriptor(&self) -> &'static PageDescriptor {
        static PAGE: PageDescriptor = PageDescriptor { title: "a screen", ..PageDescriptor::EMPTY };
        assert!(!self.is_read.load(Ordering::SeqCst), "the screen's panic");
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        assert!(self.draws, "the worker's panic");
        self.is_read.store(true, Ordering::SeqCst);
        Ok(ListContent::default())
    }

    fn detail(&self, _: &str) -> Detail {
        Detail::default()
    }
}

fn show_page(draws: bool) -> Result<(), ScreenError> {
    let page = Arc::new(Panics { draws, is_read: AtomicBool::new(false) });
    show(&mut State::new(vec![page], 0, Theme::default(), false))
}

#[test]
#[ignore = "panics on a terminal, for the test below"]
fn draws_and_panics() {
    show_page(true).unwrap();
}

#[test]
#[ignore = "panics on a terminal, for the test below"]
fn works_and_panics() {
    show_page(false).unwrap();
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
        let (mut keys, mut piece, mut is_left) = (pair.master.take_writer().unwrap(), [0; 4096], false);
        // A terminal that nobody holds any more ends with an error.
        while let Ok(read @ 1..) = output.read(&mut piece) {
            written.extend(&piece[..read]);
            // The one whose job has panicked is left.
            if !is_left && String::from_utf8_lossy(&written).contains("a bug in aiw") {
                keys.write_all(b"q").unwrap();
                is_left = true;
            }
        }
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
