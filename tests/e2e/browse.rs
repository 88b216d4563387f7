//! `aiw plugin browse` on a real terminal.

use std::thread::sleep;
use std::time::Duration;

use aiw_tests::{Environment, Market, Server, commit_all, git, git_backend};
use portable_pty::PtySize;
use rustix::process::Signal;
use serde_json::json;

use crate::terminal::Terminal;
use crate::tui::agree;

fn market() -> Environment {
    let env = Environment::new();
    // Without the default marketplace, which a terminal is asked about.
    env.settings(&json!({"extraKnownMarketplaces": {}}));
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
    terminal.wait_for("Install beta@m?");
    assert!(terminal.shown().contains("https://b.example/mcp"), "{}", terminal.shown());
    assert_eq!(env.read("mcp.json"), "", "nothing before the answer");
    agree(&mut terminal);
    terminal.wait_for("Installed beta@m");
    assert_eq!(env.mcp()["mcpServers"]["beta"]["url"], "https://b.example/mcp");

    terminal.wait("the list read again", |shown| shown.contains('✓'));
    terminal.press("d");
    terminal.wait_for("(y/N)");
    terminal.press("y");
    terminal.wait_for("Removed beta@m");
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));

    terminal.press("q");
    assert!(terminal.ends().success());
}

#[test]
fn what_an_install_needs_is_said_before_it() {
    let env = market();
    let mut terminal = Terminal::start(&env, &["plugin", "browse", "alpha"]);
    terminal.wait("the list", |shown| shown.contains("alpha@m") && !shown.contains("beta"));
    terminal.press("i");
    terminal.wait_for("`ALPHA_REGION` is not set");
    terminal.press("n");
    terminal.wait_for("nothing was done");
    assert_eq!(env.read("mcp.json"), "");
    terminal.press("\u{3}");
    assert!(terminal.ends().success());
}

#[test]
fn the_browser_asks_for_what_an_install_needs() {
    let env = market();
    let mut terminal = Terminal::start(&env, &["plugin", "browse", "alpha"]);
    terminal.wait("the list", |shown| shown.contains("alpha@m") && !shown.contains("beta"));
    for key in ["\u{1b}", "y"] {
        terminal.press("i");
        terminal.wait_for("Install alpha@m?");
        agree(&mut terminal);
        terminal.wait_for("Value of `ALPHA_REGION`");
        if key == "y" {
            terminal.press("eux");
            terminal.press("\u{7f}");
            terminal.wait("what is typed", |shown| shown.contains("> eu") && !shown.contains("> eux"));
            terminal.press("\r");
        } else {
            terminal.press(key);
            terminal.wait_for("nothing was done");
            assert_eq!(env.read("mcp.json"), "");
        }
    }
    terminal.wait_for("Installed alpha@m");
    assert_eq!(env.mcp()["mcpServers"]["alpha"]["args"], json!(["${ALPHA_REGION:-eu}"]));
    terminal.press("q");
    terminal.press("q");
    assert!(terminal.ends().success());
    // What is left open is said, with the command that sets it.
    env.run(&["plugin", "remove", "alpha"]).ok();
    let mut terminal = Terminal::start(&env, &["plugin", "browse", "alpha"]);
    terminal.wait("the list", |shown| shown.contains("alpha@m") && !shown.contains("beta"));
    terminal.press("i");
    terminal.wait_for("Install alpha@m?");
    agree(&mut terminal);
    terminal.wait_for("Value of `ALPHA_REGION`");
    terminal.press("\r");
    terminal.wait_for("`ALPHA_REGION` is not set: export it, or");
    assert_eq!(env.json(&["plugin", "list"])["plugins"][0]["missing_env"], json!(["ALPHA_REGION"]));
}

/// A new home whose default marketplace is on a loopback server.
fn new_home() -> (Environment, Server) {
    let env = Environment::new();
    let market = Market::new(env.path("official"), "claude-plugins-official").plugin(
        "alpha",
        "1.0.0",
        json!({"alpha": {"command": "true"}}),
    );
    commit_all(market.root());
    let bare = env.path("srv/anthropics/claude-plugins-official.git");
    git(market.root(), &["clone", "-q", "--bare", ".", &bare.display().to_string()]);
    let server = Server::start(git_backend(env.path("srv")));
    env.settings(&json!({"sources": {"market-github": {"base_url": server.url()}}}));
    (env, server)
}

#[test]
fn a_new_home_offers_its_marketplace_once() {
    let question = "The marketplace `claude-plugins-official` was never fetched. Fetch it now? [y/N]";
    let (env, _server) = new_home();
    let mut terminal = Terminal::start(&env, &["plugin", "search"]);
    terminal.wait_for(question);
    terminal.press("n\r");
    terminal.wait_for("`aiw plugin marketplace update claude-plugins-official` fetches it later");
    assert!(terminal.ends().success());
    // Only a search that finds nothing mentions it again, and nothing asks again.
    for command in ["search", "browse"] {
        let mut terminal = Terminal::start(&env, &["plugin", command]);
        terminal.wait("the list", |shown| shown.contains("No plugins") && !shown.contains("[y/N]"));
        if command == "browse" {
            terminal.press("q");
        }
        assert!(terminal.ends().success());
    }
    let other = Market::new(env.path("m"), "m").plugin("b", "1.0.0", json!({"b": {"command": "true"}}));
    env.add(other.root()).ok();
    assert_eq!(env.run(&["plugin", "search"]).ok().stderr, "");
    assert_eq!(env.json(&["plugin", "search"])["not_fetched"], json!(["claude-plugins-official"]));
    assert!(env.run(&["plugin", "search", "alpha"]).ok().stderr.contains("is not fetched yet"));

    for command in ["search", "browse"] {
        let (env, _server) = new_home();
        // Nobody is asked without a terminal.
        assert!(env.run(&["plugin", "search"]).ok().stderr.contains("is not fetched yet"));
        let mut terminal = Terminal::start(&env, &["plugin", command]);
        terminal.wait_for(question);
        terminal.press("y\r");
        terminal.wait_for("alpha");
        if command == "browse" {
            terminal.press("q");
        }
        assert!(terminal.ends().success());
    }
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
        "kind": "usage",
        "message": "browsing has no JSON output",
        "hint": "`aiw plugin search --json`"
      }
    }
    ------- stderr -------
    ------- exit code 64 -------
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
    terminal.wait_for("Value of ALPHA_REGION");
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
