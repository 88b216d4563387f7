//! `aiw plugin browse` on a real terminal.

use std::thread::sleep;
use std::time::Duration;

use aiw_tests::{Environment, Market};
use portable_pty::PtySize;
use rustix::process::Signal;
use serde_json::json;

use crate::terminal::Terminal;

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
    hint: `aiw plugin search` prints a list
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(env.run(&["plugin", "browse", "--json"]).whole(), @r#"
    {
      "error": {
        "kind": "user",
        "message": "browsing has no JSON output",
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
