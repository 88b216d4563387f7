//! `aiw plugin browse` on a real terminal.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use aiw_tests::{Environment, Market};
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// A screen that does not show it by then never will.
const HANGS: Duration = Duration::from_secs(30);

/// The program on a terminal of its own.
struct Terminal {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// The terminal's modes before the program had it.
    modes: String,
}

impl Terminal {
    fn start(env: &Environment, arguments: &[&str]) -> Self {
        let size = PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let modes = modes(&*pair.master);
        let (binary, variables) = env.parts();
        let mut command = CommandBuilder::new(binary);
        command.args(arguments);
        command.env_clear();
        for (name, value) in variables {
            command.env(name, value);
        }
        command.env("TERM", "xterm-256color");
        command.cwd(env.path(""));
        let child = pair.slave.spawn_command(command).unwrap();
        // Held by the program alone, so that its end is the terminal's end.
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(24, 100, 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let seen = screen.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                seen.lock().unwrap().process(&piece[..read]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: pair.master, child, keys, screen, modes }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn shown(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen is as it should be.
    fn wait(&self, what: &str, is: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !is(&self.shown()) {
            assert!(start.elapsed() < HANGS, "{what} is not shown:\n{}", self.shown());
            sleep(Duration::from_millis(10));
        }
    }

    fn wait_for(&self, text: &str) {
        self.wait(text, |shown| shown.contains(text));
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// The program ends by itself and leaves the terminal as it found it.
    fn ends(&mut self) -> ExitStatus {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < HANGS, "it does not end:\n{}", self.shown());
            sleep(Duration::from_millis(10));
        };
        let start = Instant::now();
        while self.screen.lock().unwrap().screen().alternate_screen() {
            assert!(start.elapsed() < HANGS, "the alternate screen stays");
            sleep(Duration::from_millis(10));
        }
        let parser = self.screen.lock().unwrap();
        assert!(!parser.screen().hide_cursor(), "the cursor stays hidden");
        assert!(!parser.screen().bracketed_paste(), "pasting stays bracketed");
        drop(parser);
        assert_eq!(modes(&*self.master), self.modes);
        status
    }
}

fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios())
}

fn market() -> Environment {
    let env = Environment::new();
    let market = Market::new(env.path("m"), "m")
        .plugin("alpha", "1.0.0", json!({"alpha": {"command": "true", "args": ["${ALPHA_REGION}"]}}))
        .plugin("beta", "1.0.0", json!({"beta": {"type": "http", "url": "https://b.example/mcp"}}))
        .file("plugins/skills-only/skills/x/SKILL.md", "")
        .entry(json!({"name": "skills-only", "source": "./plugins/skills-only"}));
    env.add(market.root()).ok();
    env
}

#[test]
fn a_plugin_is_found_installed_and_removed_in_place() {
    let env = market();
    let mut terminal = Terminal::start(&env, &["plugin", "browse"]);
    terminal.wait("the list", |shown| shown.contains("alpha") && shown.contains("beta"));
    assert!(terminal.screen.lock().unwrap().screen().alternate_screen());
    assert!(!terminal.shown().contains("skills-only"), "{}", terminal.shown());

    terminal.press("/");
    terminal.press("bet");
    terminal.wait("the search", |shown| shown.contains("beta") && !shown.contains("alpha"));
    terminal.press("\r");

    terminal.press("i");
    terminal.wait_for("Install beta@m? (y/n)");
    assert!(terminal.shown().contains("https://b.example/mcp"), "{}", terminal.shown());
    assert_eq!(env.read("mcp.json"), "", "nothing before the answer");
    terminal.press("y");
    terminal.wait_for("installed beta@m");
    assert_eq!(env.mcp()["mcpServers"]["beta"]["url"], "https://b.example/mcp");

    terminal.wait("the list read again", |shown| shown.contains('✓'));
    terminal.press("d");
    terminal.wait_for("(y/n)");
    terminal.press("y");
    terminal.wait_for("removed beta@m");
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));

    terminal.press("q");
    assert!(terminal.ends().success());
}

#[test]
fn what_an_install_needs_is_said_before_it() {
    let env = market();
    let mut terminal = Terminal::start(&env, &["plugin", "browse", "alpha"]);
    terminal.wait("the search", |shown| shown.contains("alpha") && !shown.contains("beta"));
    terminal.press("i");
    terminal.wait_for("`ALPHA_REGION` is not set");
    terminal.press("n");
    terminal.wait("the list again", |shown| !shown.contains("(y/n)"));
    assert_eq!(env.read("mcp.json"), "");
    terminal.press("\u{3}");
    assert!(terminal.ends().success());
}

#[test]
fn the_screen_follows_its_size() {
    let env = market();
    let mut terminal = Terminal::start(&env, &["plugin", "browse"]);
    terminal.wait_for("beta");
    for (rows, cols) in [(12, 40), (5, 20), (1, 1), (40, 160)] {
        terminal.screen.lock().unwrap().screen_mut().set_size(rows, cols);
        terminal.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        sleep(Duration::from_millis(100));
        assert!(terminal.child.try_wait().unwrap().is_none(), "it ended at {rows}x{cols}");
    }
    terminal.wait("the list", |shown| shown.contains("alpha") && shown.contains("beta"));
    terminal.press("q");
    assert!(terminal.ends().success());
}

#[test]
fn signals_give_the_terminal_back() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let env = market();
        let mut terminal = Terminal::start(&env, &["plugin", "browse"]);
        terminal.wait_for("beta");
        terminal.signal(signal);
        assert_eq!(terminal.ends().exit_code(), code);
    }
}

#[test]
fn all_shows_the_others_too_and_no_colour_is_none() {
    let env = market();
    let mut terminal = Terminal::start(&env, &["plugin", "browse", "--all", "--no-color"]);
    terminal.wait("the list", |shown| shown.contains("alpha") && shown.contains("skills-only"));
    let parser = terminal.screen.lock().unwrap();
    let screen = parser.screen();
    let (rows, columns) = screen.size();
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let cell = screen.cell(row, column).unwrap();
        assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
    }
    drop(parser);
    terminal.press("q");
    assert!(terminal.ends().success());
}

#[test]
fn without_a_terminal_it_fails_with_one_line() {
    let env = market();
    insta::assert_snapshot!(env.run(&["plugin", "browse"]).whole(), @"
    ------- stderr -------
    error: browsing needs a terminal
    hint: `aiw plugin search` prints
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(env.run(&["plugin", "browse", "--json"]).whole(), @r#"
    {
      "error": {
        "kind": "user",
        "message": "browsing has no JSON",
        "hint": "`aiw plugin search --json`"
      }
    }
    ------- stderr -------
    ------- exit code 2 -------
    "#);
}

#[test]
fn an_install_on_a_terminal_asks_and_takes_no_for_no() {
    let env = market();
    let mut terminal = Terminal::start(&env, &["plugin", "install", "alpha"]);
    terminal.wait_for("Install alpha@m? [y/N]");
    terminal.press("n\r");
    assert_eq!(terminal.ends().exit_code(), 2);
    assert_eq!(env.read("mcp.json"), "");

    let mut terminal = Terminal::start(&env, &["plugin", "install", "alpha"]);
    terminal.wait_for("Install alpha@m? [y/N]");
    terminal.press("y\r");
    terminal.wait_for("Value of `ALPHA_REGION`");
    terminal.press("eu\r");
    assert!(terminal.ends().success());
    assert_eq!(env.mcp()["mcpServers"]["alpha"]["args"], json!(["${ALPHA_REGION:-eu}"]));

    env.write_mcp(r#"{"mcpServers": {"beta": {"command": "mine"}}}"#);
    let mut terminal = Terminal::start(&env, &["plugin", "install", "beta"]);
    terminal.wait_for("Install beta@m? [y/N]");
    terminal.press("y\r");
    terminal.wait_for("[o]verwrite, [s]kip, [r]ename");
    terminal.press("r\r");
    assert!(terminal.ends().success());
    assert_eq!(env.mcp()["mcpServers"]["m-beta"], json!(null));
    assert_eq!(env.mcp()["mcpServers"]["beta-beta"]["url"], "https://b.example/mcp");
}

#[test]
fn ctrl_c_at_a_question_ends_with_130() {
    let env = market();
    let mut terminal = Terminal::start(&env, &["plugin", "install", "alpha"]);
    terminal.wait_for("Install alpha@m? [y/N]");
    terminal.press("\u{3}");
    assert_eq!(terminal.ends().exit_code(), 130);
    assert_eq!(env.read("mcp.json"), "");
}
