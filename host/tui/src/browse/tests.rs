//! Tests of the whole browser: keys in, frames out.

use aiw_core::{Question, Secret};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use insta::assert_snapshot;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, CellWidth};
use ratatui::style::Color;

use super::app::{BrowseApp, Effect, Focus, Job, LoadedList, Mode, Reply};
use super::{BrowserOptions, Plugin, PluginServer, Preview, view};
use crate::StepProgress;
use crate::paint::buffer_text;

pub(crate) fn plugin(name: &str) -> Plugin {
    Plugin {
        id: format!("{name}@official"),
        name: name.to_owned(),
        market: "official".to_owned(),
        version: Some("1.2.0".to_owned()),
        description: format!("All about {name}, for those who need it"),
        source: format!("github:acme/{name}"),
        kinds: Some(vec!["mcp".to_owned()]),
        ..Plugin::default()
    }
}

fn three() -> Vec<Plugin> {
    vec![
        Plugin {
            kinds: Some(vec!["mcp".to_owned(), "skills".to_owned()]),
            category: Some("development".to_owned()),
            homepage: Some("https://github.example/".to_owned()),
            servers: vec![
                PluginServer {
                    name: "github".to_owned(),
                    transport: "http".to_owned(),
                    target: "https://api.github.example/mcp".to_owned(),
                },
                PluginServer {
                    name: "issues".to_owned(),
                    transport: "stdio".to_owned(),
                    target: "npx -y @acme/issues --stdio".to_owned(),
                },
            ],
            notes: vec!["asks for GITHUB_TOKEN".to_owned()],
            installed: true,
            enabled: true,
            ..plugin("github")
        },
        Plugin { market: "acme".to_owned(), id: "time@acme".to_owned(), kinds: None, ..plugin("time") },
        Plugin { broken_reason: Some("no plugin.json".to_owned()), ..plugin("rusty") },
        Plugin { kinds: Some(vec!["commands".to_owned()]), ..plugin("words-only") },
    ]
}

/// A browser on a screen in memory.
struct Screen {
    app: BrowseApp,
    terminal: Terminal<TestBackend>,
}

impl Screen {
    fn of(plugins: Vec<Plugin>, width: u16, height: u16) -> Self {
        Self::with(BrowserOptions { color: true, ..BrowserOptions::default() }, plugins, width, height)
    }

    fn with(options: BrowserOptions, plugins: Vec<Plugin>, width: u16, height: u16) -> Self {
        let (mut app, job) = BrowseApp::new(options);
        assert_eq!(job, Job::Load);
        assert_eq!(app.handle_reply(Reply::Loaded(Ok(Box::new(LoadedList::new(plugins))))), None);
        Self { app, terminal: Terminal::new(TestBackend::new(width, height)).unwrap() }
    }

    fn key(&mut self, code: KeyCode) -> Option<Effect> {
        self.app.handle_key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn control(&mut self, c: char) -> Option<Effect> {
        self.app.handle_key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
    }

    /// Presses a key for each letter. Returns the effect of the last one.
    fn keys(&mut self, keys: &str) -> Option<Effect> {
        keys.chars().map(|c| self.key(KeyCode::Char(c))).last().flatten()
    }

    fn buffer(&mut self) -> Buffer {
        self.terminal.draw(|frame| view::draw(frame, &mut self.app)).unwrap().buffer.clone()
    }

    fn frame(&mut self) -> String {
        buffer_text(&self.buffer())
    }
}

#[test]
fn an_empty_list_says_what_to_do() {
    assert_snapshot!(Screen::of(vec![], 60, 6).frame(), @r#"
        aiw plugins  0/0 of 0 · with MCP servers
         No plugins: `aiw plugin marketplace update` fetches their
         lists, `add` adds a marketplace


        / search  i install  q quit  ? help  Enter details  d remove
        "#);
}

#[test]
fn the_title_says_that_plugins_may_be_unknown() {
    let unknown = Plugin { kinds: None, servers: Vec::new(), ..plugin("unknown") };
    let mut screen = Screen::of(vec![plugin("time"), unknown], 90, 6);
    let title = |screen: &mut Screen| screen.frame().lines().next().unwrap().to_owned();
    assert_eq!(title(&mut screen), "aiw plugins  1/2 of 2 · with MCP servers or not inspected yet");
    screen.keys("/time");
    assert_eq!(title(&mut screen), "aiw plugins  1/1 of 2 · with MCP servers · search time");
}

#[test]
fn values_are_asked_for_before_an_install() {
    let mut screen = Screen::of(vec![plugin("time")], 70, 8);
    screen.keys("i");
    let ask = |name: &str, title: Option<&str>| Question {
        name: name.to_owned(),
        description: title.map(str::to_owned),
        ..Question::default()
    };
    let token = Question { secret: true, ..ask("API_TOKEN", None) };
    let asks = vec![ask("directory", Some("Where it looks")), token];
    screen.app.handle_reply(Reply::Previewed(
        "time@official".to_owned(),
        Ok(Preview { questions: asks, ..Preview::default() }),
    ));
    assert_eq!(screen.keys("y"), None);
    assert_snapshot!(screen.frame(), @"
    aiw plugins  1/1 of 1 · with MCP servers
    Value of `directory`, Where it looks (1 of 2)
    The plugin's servers need it. Enter without a value leaves it unset
    for now.


    >
    Enter next  Esc stop  Ctrl-C quit
    ");
    screen.keys("/tmq");
    screen.key(KeyCode::Backspace);
    screen.app.handle_paste("p\n");
    assert_eq!(screen.key(KeyCode::Enter), None);
    assert_snapshot!(screen.frame(), @"
    aiw plugins  1/1 of 1 · with MCP servers
    Value of `API_TOKEN` (2 of 2)
    The plugin's servers need it. Enter without a value leaves it unset
    for now.


    hidden>
    Enter next  Esc stop  Ctrl-C quit
    ");
    screen.keys("s3cr3t");
    assert!(screen.frame().contains("hidden> ***"), "{}", screen.frame());
    let given = [("directory", "/tmp"), ("API_TOKEN", "s3cr3t")];
    let given = given.map(|(name, value)| (name.to_owned(), Secret::new(value))).to_vec();
    assert_eq!(screen.key(KeyCode::Enter), Some(Effect::Start(Job::Install("time@official".to_owned(), given))));
}

#[test]
fn before_the_list_is_read_it_says_so() {
    let (app, _) = BrowseApp::new(BrowserOptions::default());
    let mut screen = Screen { app, terminal: Terminal::new(TestBackend::new(60, 6)).unwrap() };
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  0/0 of 0 · with MCP servers
         Reading the markets


        | Reading the markets
        / search  i install  q quit  ? help  Enter details  d remove
        "#);
}

#[test]
fn a_list_that_cannot_be_read_says_why() {
    let (mut app, _) = BrowseApp::new(BrowserOptions::default());
    app.handle_reply(Reply::Loaded(Err("no network\u{1b}[2J: the market `acme` does not answer".to_owned())));
    let mut screen = Screen { app, terminal: Terminal::new(TestBackend::new(60, 7)).unwrap() };
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  0/0 of 0 · with MCP servers
         no network\u{1b}[2J: the market `acme` does not answer




        / search  i install  q quit  ? help  Enter details  d remove
        "#);
}

#[test]
fn list_and_details_stand_side_by_side() {
    assert_snapshot!(Screen::of(three(), 110, 20).frame(), @r#"
        aiw plugins  1/3 of 4 · with MCP servers or not inspected yet
        › ✓ github                official       mcp skills    │ github@official
          ! rusty                 official       mcp           │
            time                  acme           ?             │ All about github, for those who need it
                                                               │
                                                               │ state     installed, enabled
                                                               │ version   1.2.0
                                                               │ category  development
                                                               │ brings    mcp, skills
                                                               │ source    github:acme/github
                                                               │ homepage  https://github.example/
                                                               │ servers   github (http)
                                                               │           https://api.github.example/mcp
                                                               │           issues (stdio) npx -y @acme/issues --stdio
                                                               │ notes     asks for GITHUB_TOKEN
                                                               │
                                                               │
                                                               │

        / search  i install  q quit  ? help  Enter details  d remove  m market  c category  t kind  a all
        "#);
}

#[test]
fn on_a_narrow_screen_tab_turns_to_the_details() {
    let mut screen = Screen::of(three(), 50, 14);
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  1/3 of 4 · with MCP servers or not in
        › ✓ github              official     mcp skills
          ! rusty               official     mcp
            time                acme         ?









        / search  i install  q quit  ? help  Enter details
        "#);
    screen.key(KeyCode::Tab);
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  1/3 of 4 · with MCP servers or not in
        github@official

        All about github, for those who need it

        state     installed, enabled
        version   1.2.0
        category  development
        brings    mcp, skills
        source    github:acme/github
        homepage  https://github.example/
        servers   github (http)

        ↑↓ scroll  Esc list  i install  d remove  q quit
        "#);
}

#[test]
fn a_search_narrows_as_one_types() {
    let mut screen = Screen::of(three(), 100, 10);
    screen.keys("/tim");
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  1/1 of 4 · with MCP servers or not inspected yet · search tim
        ›   time                acme         ?            │ time@acme
                                                          │
                                                          │ All about time, for those who need it
                                                          │
                                                          │ state     not installed
                                                          │ version   1.2.0
                                                          │ brings    not inspected yet
        /tim
        Enter keep  Esc clear  ↑↓ move  Ctrl-C quit
        "#);
    assert_eq!(screen.app.visible_count(), 1);
    screen.key(KeyCode::Backspace);
    screen.key(KeyCode::Backspace);
    assert_eq!(screen.app.visible_count(), 3);
    screen.keys("xyz");
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  0/0 of 4 · with MCP servers · search txyz
         Nothing matches, Esc clears the search           │
                                                          │
                                                          │
                                                          │
                                                          │
                                                          │
                                                          │
        /txyz
        Enter keep  Esc clear  ↑↓ move  Ctrl-C quit
        "#);
    screen.key(KeyCode::Esc);
    assert_eq!((screen.app.visible_count(), screen.app.query.as_str()), (3, ""));
}

#[test]
fn filters_go_round_and_stand_in_the_title() {
    let mut screen = Screen::of(three(), 100, 8);
    screen.keys("am");
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  1/1 of 4 · all · market acme
        ›   time                acme         ?            │ time@acme
                                                          │
                                                          │ All about time, for those who need it
                                                          │
                                                          │ state     not installed

        / search  i install  q quit  ? help  Enter details  d remove  m market  c category  t kind  a all
        "#);
    screen.keys("mct");
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  0/0 of 4 · all · market official · category development · kind commands
         Nothing passes the filters, m c t change them    │
                                                          │
                                                          │
                                                          │
                                                          │

        / search  i install  q quit  ? help  Enter details  d remove  m market  c category  t kind  a all
        "#);
    screen.keys("mc");
    assert!(screen.app.filter.market.is_none() && screen.app.filter.category.is_none());
}

#[test]
fn a_broken_plugin_says_why_and_is_not_installed() {
    let mut screen = Screen::of(three(), 100, 12);
    screen.key(KeyCode::Down);
    assert_eq!(screen.keys("i"), None);
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  2/3 of 4 · with MCP servers or not inspected yet
          ✓ github              official     mcp skills   │ rusty@official
        › ! rusty               official     mcp          │
            time                acme         ?            │ ! broken: no plugin.json
                                                          │
                                                          │ All about rusty, for those who need it
                                                          │
                                                          │ state     not installed
                                                          │ version   1.2.0
                                                          │ brings    mcp
        ! `rusty@official` cannot be installed: no plugin.json
        / search  i install  q quit  ? help  Enter details  d remove  m market  c category  t kind  a all
        "#);
}

fn previewed(screen: &mut Screen) {
    screen.key(KeyCode::End);
    assert_eq!(screen.keys("i"), Some(Effect::Start(Job::Preview("time@acme".to_owned()))));
    screen.app.handle_reply(Reply::Previewed(
        "time@acme".to_owned(),
        Ok(Preview {
            lines: vec![
                "server time (stdio) runs: uvx mcp-server-time --local-timezone=Europe/Zurich --and-a-long-tail"
                    .to_owned(),
                "with TIME_TOKEN=\u{1b}]0;evil\u{7}".to_owned(),
            ],
            questions: vec![],
            warnings: vec!["TIME_TOKEN is not set".to_owned()],
        }),
    ));
}

#[test]
fn an_install_shows_what_it_adds_asks_and_shows_its_progress() {
    let mut screen = Screen::of(three(), 80, 10);
    previewed(&mut screen);
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  3/3 of 4 · with MCP servers or not inspected yet
        Install time@acme? (y/n)
        ! TIME_TOKEN is not set
          server time (stdio) runs: uvx mcp-server-time --local-timezone=Europe/Zurich
            --and-a-long-tail
          with TIME_TOKEN=\u{1b}]0;evil\u{7}



        y yes  n no  ↑↓ scroll
        "#);
    assert_eq!(screen.keys("y"), Some(Effect::Start(Job::Install("time@acme".to_owned(), Vec::new()))));
    screen.app.tick(Some(StepProgress { label: "fetching\u{1b}[31m".to_owned(), done: 30, total: Some(100) }));
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  3/3 of 4 · with MCP servers or not inspected yet
          ✓ github               official       │ time@acme
          ! rusty                official       │
        ›   time                 acme           │ All about time, for those who need it
                                                │
                                                │ state     not installed
                                                │ version   1.2.0
                                                │ brings    not inspected yet
        / Installing time@acme [###-------] 30%: fetching\u{1b}[31m
        / search  i install  q quit  ? help  Enter details  d remove  m market
        "#);
    let reload = screen.app.handle_reply(Reply::Done(Ok("Installed `time@acme`".to_owned())));
    assert_eq!(reload, Some(Effect::Start(Job::Load)));
    let mut plugins = three();
    plugins[1].installed = true;
    screen.app.handle_reply(Reply::Loaded(Ok(Box::new(LoadedList::new(plugins)))));
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  3/3 of 4 · with MCP servers or not inspected yet
          ✓ github               official       │ time@acme
          ! rusty                official       │
        › • time                 acme           │ All about time, for those who need it
                                                │
                                                │ state     installed, disabled
                                                │ version   1.2.0
                                                │ brings    not inspected yet
        Installed `time@acme`
        / search  i install  q quit  ? help  Enter details  d remove  m market
        "#);
}

#[test]
fn a_question_is_answered_with_no_by_anything_like_it() {
    for key in [KeyCode::Char('n'), KeyCode::Esc, KeyCode::Char('q')] {
        let mut screen = Screen::of(three(), 80, 10);
        previewed(&mut screen);
        assert_eq!(screen.key(KeyCode::Char('x')), None);
        assert!(matches!(screen.app.mode, Mode::Confirm(_)));
        assert_eq!(screen.key(key), None);
        assert!(matches!(screen.app.mode, Mode::List));
        assert!(screen.app.running_job.is_none());
    }
}

#[test]
fn a_long_preview_says_that_there_is_more() {
    let mut screen = Screen::of(three(), 40, 6);
    screen.key(KeyCode::End);
    screen.keys("i");
    let lines = (1..=9).map(|n| format!("line {n}")).collect();
    screen.app.handle_reply(Reply::Previewed(
        "time@acme".to_owned(),
        Ok(Preview { lines, warnings: vec![], questions: vec![] }),
    ));
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  3/3 of 4 · with MCP servers
        Install time@acme? (y/n)
          line 1
          line 2
        ▼ 7 more lines below
        y yes  n no  ↑↓ scroll
        "#);
    screen.key(KeyCode::End);
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  3/3 of 4 · with MCP servers
          line 7
          line 8
          line 9

        y yes  n no  ↑↓ scroll
        "#);
}

#[test]
fn a_question_never_appears_under_typing_fingers() {
    let mut screen = Screen::of(three(), 80, 10);
    screen.key(KeyCode::End);
    screen.keys("i/ty");
    screen.app.handle_reply(Reply::Previewed("time@acme".to_owned(), Ok(Preview::default())));
    assert!(matches!(screen.app.mode, Mode::Search));
}

#[test]
fn what_is_pasted_presses_no_keys() {
    let mut screen = Screen::of(three(), 80, 10);
    screen.app.handle_paste("iyq");
    assert!(screen.app.running_job.is_none());
    screen.keys("/");
    screen.app.handle_paste("git\nhub\u{1b}[201~");
    assert_eq!(screen.app.query, "git hub\\u{1b}[201~");
}

#[test]
fn removing_asks_and_enabling_does_not() {
    let mut screen = Screen::of(three(), 80, 10);
    assert_eq!(screen.keys("d"), None);
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  1/3 of 4 · with MCP servers or not inspected yet
        Remove github@official? (y/n)
          Its files and everything that it added will be removed






        y yes  n no  ↑↓ scroll
        "#);
    assert_eq!(screen.keys("y"), Some(Effect::Start(Job::Remove("github@official".to_owned()))));
    screen.app.handle_reply(Reply::Done(Err("cannot: \u{202e}busy".to_owned())));
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  1/3 of 4 · with MCP servers or not inspected yet
        › ✓ github               official       │ github@official
          ! rusty                official       │
            time                 acme           │ All about github, for those who need
                                                │ it
                                                │
                                                │ state     installed, enabled
                                                │ version   1.2.0
        ! cannot: \u{202e}busy
        / search  i install  q quit  ? help  Enter details  d remove  m market
        "#);
    assert_eq!(screen.keys("e"), Some(Effect::Start(Job::Enable("github@official".to_owned(), false))));
    assert_eq!(screen.keys("e"), None);
    assert_eq!(screen.app.status.as_ref().unwrap().text, "One thing at a time: Disabling github@official");
}

#[test]
fn leaving_waits_for_a_change_unless_one_insists() {
    let mut screen = Screen::of(three(), 80, 10);
    screen.keys("e");
    assert_eq!(screen.keys("q"), None);
    assert_eq!(screen.app.handle_reply(Reply::Done(Ok("done".to_owned()))), Some(Effect::Quit));

    let mut screen = Screen::of(three(), 80, 10);
    screen.keys("e");
    assert_eq!(screen.control('c'), None);
    assert_eq!(screen.control('c'), Some(Effect::Abandon));

    let mut screen = Screen::of(three(), 80, 10);
    screen.keys("e");
    screen.control('c');
    assert_eq!(screen.app.handle_reply(Reply::Done(Err("failed".to_owned()))), None);
    assert_eq!(screen.keys("q"), Some(Effect::Quit));
}

#[test]
fn reading_or_looking_holds_nobody_back() {
    let (mut app, _) = BrowseApp::new(BrowserOptions::default());
    assert_eq!(app.handle_key(KeyEvent::from(KeyCode::Char('q'))), Some(Effect::Quit));
    let mut screen = Screen::of(three(), 80, 10);
    screen.key(KeyCode::End);
    screen.keys("i");
    assert_eq!(screen.key(KeyCode::Esc), Some(Effect::Quit));
}

#[test]
fn reading_again_keeps_the_place() {
    let mut screen = Screen::of(three(), 80, 10);
    screen.key(KeyCode::End);
    let mut plugins = three();
    plugins.push(plugin("aaa"));
    screen.app.handle_reply(Reply::Loaded(Ok(Box::new(LoadedList::new(plugins)))));
    assert_eq!(screen.app.current().unwrap().id, "time@acme");
}

fn hostile() -> Plugin {
    let nasty = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}gnp\u{202c}\u{200b}\u{feff}\r\n\t日本語🦀👩\u{200d}💻e\u{301}\u{301}\u{301}\u{301}\u{301}\u{61c}";
    Plugin {
        id: format!("{nasty}@{nasty}"),
        name: nasty.to_owned(),
        market: nasty.to_owned(),
        version: Some(nasty.to_owned()),
        description: nasty.repeat(200),
        author: Some(nasty.to_owned()),
        tags: vec![nasty.to_owned()],
        category: Some(nasty.to_owned()),
        kinds: Some(vec![nasty.to_owned(), "x".repeat(10_000)]),
        source: "y".repeat(10_000),
        homepage: Some("\u{1b}]8;;https://evil.example\u{1b}\\link".to_owned()),
        servers: vec![
            PluginServer { name: nasty.to_owned(), transport: nasty.to_owned(), target: nasty.to_owned() };
            300
        ],
        notes: vec![nasty.to_owned(); 300],
        broken_reason: Some(nasty.to_owned()),
        installed: true,
        enabled: true,
    }
}

fn assert_plain(buffer: &Buffer) {
    for (at, cell) in buffer.content.iter().enumerate() {
        for c in cell.symbol().chars() {
            assert!(
                !c.is_control()
                    && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}'),
                "{c:?}"
            );
        }
        assert!(cell.symbol().chars().count() <= 4, "{:?}", cell.symbol());
        // A wide character is followed by a blank. Otherwise the terminal would be one cell off.
        if cell.cell_width() == 2 {
            assert_ne!(at as u16 % buffer.area.width, buffer.area.width - 1);
            assert_eq!(buffer.content[at + 1].symbol(), " ");
        }
    }
}

#[test]
fn hostile_text_is_seen_and_not_obeyed() {
    let mut screen = Screen::of(vec![hostile()], 100, 30);
    assert_snapshot!(screen.frame(), @r#"
        aiw plugins  1/1 of 1 · with MCP servers
        › ! \u{1b}[2J\u{1b}]0;… \u{1b}[2J\u… \u{1b}[2J\u… │ \u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}gnp
                                                          │ \u{202c}\u{200b}\u{feff}
                                                          │ 日本語🦀👩💻é́\u{61c}@\u{1b}[2J\u{1b}]0;title\u{7
                                                          │ }…
                                                          │
                                                          │ ! broken:
                                                          │ \u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}gnp
                                                          │ \u{202c}\u{200b}\u{feff} 日本語🦀👩💻é́\u{61c}
                                                          │
                                                          │ \u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}gnp
                                                          │ \u{202c}\u{200b}\u{feff}
                                                          │ 日本語🦀👩💻é́\u{61c}\u{1b}[2J\u{1b}]0;title\u{7}
                                                          │ \u{9b}31m\u{202e}gnp\u{202c}\u{200b}\u{feff}
                                                          │ 日本語🦀👩💻é́\u{61c}\u{1b}[2J\u{1b}]0;title\u{7}
                                                          │ \u{9b}31m\u{202e}gnp\u{202c}\u{200b}\u{feff}
                                                          │ 日本語🦀👩💻é́\u{61c}\u{1b}[2J\u{1b}]0;title\u{7}
                                                          │ \u{9b}31m\u{202e}gnp\u{202c}\u{200b}\u{feff}
                                                          │ 日本語🦀👩💻é́\u{61c}\u{1b}[2J\u{1b}]0;title\u{7}
                                                          │ \u{9b}31m\u{202e}gnp\u{202c}\u{200b}\u{feff}
                                                          │ 日本語🦀👩💻é́\u{61c}\u{1b}[2J\u{1b}]0;title\u{7}
                                                          │ \u{9b}31m\u{202e}gnp\u{202c}\u{200b}\u{feff}
                                                          │ 日本語🦀👩💻é́\u{61c}\u{1b}[2J\u{1b}]0;title\u{7}
                                                          │ \u{9b}31m\u{202e}gnp\u{202c}\u{200b}\u{feff}
                                                          │ 日本語🦀👩💻é́\u{61c}\u{1b}[2J\u{1b}]0;title\u{7}
                                                          │ \u{9b}31m\u{202e}gnp\u{202c}\u{200b}\u{feff}
                                                          │ 日本語🦀👩💻é́\u{61c}\u{1b}[2J\u{1b}]0;title\u{7}
                                                          │ \u{9b}31m\u{202e}gnp\u{202c}\u{200b}\u{feff}

        / search  i install  q quit  ? help  Enter details  d remove  m market  c category  t kind  a all
        "#);
    for width in [1, 2, 3, 20, 33, 79, 80, 81, 120] {
        let mut screen = Screen::of(vec![hostile(), plugin("time")], width, 12);
        assert_plain(&screen.buffer());
        screen.key(KeyCode::Tab);
        assert_plain(&screen.buffer());
        screen.keys("G");
        assert_plain(&screen.buffer());
        screen.key(KeyCode::Tab);
        screen.keys("d");
        assert_plain(&screen.buffer());
    }
}

#[test]
fn a_tiny_screen_shows_what_fits() {
    assert_snapshot!(Screen::of(three(), 20, 5).frame(), @r#"
        aiw plugins  1/3 of
        › ✓ github
          ! rusty

        / search  i install
        "#);
    assert_snapshot!(Screen::of(three(), 1, 1).frame(), @r#"
        ›
        "#);
    assert_snapshot!(Screen::of(three(), 0, 0).frame(), @"");
}

#[test]
fn the_help_names_every_key() {
    let mut screen = Screen::of(three(), 80, 24);
    screen.keys("?");
    assert_snapshot!(screen.frame(), @"
    aiw plugins  1/3 of 4 · with MCP servers or not inspected yet
    ↑ ↓ j k        move
    PgUp PgDn      move a page
    Home End g G   first, last
    /              search as you type; Enter keeps it, Esc clears it
    m              market: each in turn
    c              category: each in turn
    t              kind of what plugins bring: each in turn
    a              all plugins, or those with MCP servers or not inspected yet
    i              install: shows what it would add, then asks
    d              remove: asks
    e              enable or disable
    r              read the list again
    Enter Esc      details and back; arrows scroll them
    Ctrl-Z         to the background
    q Esc Ctrl-C   leave

    ✓              installed, enabled
    •              installed, disabled
    !              broken
    ?              not inspected yet


    ↑↓ scroll  Esc back
    ");
}

#[test]
fn without_colour_no_cell_has_one_and_nothing_is_lost() {
    let draw = |color| {
        let mut screen = Screen::with(BrowserOptions { color, ..BrowserOptions::default() }, three(), 110, 20);
        let mut buffers = vec![screen.buffer()];
        screen.key(KeyCode::Down);
        screen.keys("i");
        buffers.push(screen.buffer());
        screen.keys("?");
        buffers.push(screen.buffer());
        screen.key(KeyCode::Esc);
        previewed(&mut screen);
        buffers.push(screen.buffer());
        screen.keys("y");
        buffers.push(screen.buffer());
        buffers
    };
    let (plain, colored) = (draw(false), draw(true));
    let reset = |cell: &ratatui::buffer::Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
    assert!(plain.iter().all(|buffer| buffer.content.iter().all(reset)));
    assert!(!colored.iter().all(|buffer| buffer.content.iter().all(reset)));
    for (plain, colored) in plain.iter().zip(&colored) {
        let symbols = |buffer: &Buffer| buffer.content.iter().map(|cell| cell.symbol().to_owned()).collect::<String>();
        assert_eq!(symbols(plain), symbols(colored));
    }
}

#[test]
fn a_resize_keeps_the_selected_row_on_the_screen() {
    let plugins = (0..200).map(|n| plugin(&format!("p{n:03}"))).collect();
    let mut screen = Screen::of(plugins, 60, 40);
    for _ in 0..150 {
        screen.key(KeyCode::Down);
    }
    for (width, height) in [(60, 40), (60, 7), (200, 100), (30, 4), (60, 40)] {
        screen.terminal.backend_mut().resize(width, height);
        assert!(screen.frame().contains("› "), "{width}x{height}");
        assert!(screen.frame().contains("p150"), "{width}x{height}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Key(KeyCode, KeyModifiers),
    Paste(String),
    Size(u16, u16),
    Answer(bool),
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let codes = prop_oneof![
        8 => prop::sample::select("/?mctaidery nqjkgG ".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
        2 => any::<char>().prop_map(KeyCode::Char),
        6 => prop::sample::select(vec![
            KeyCode::Up, KeyCode::Down, KeyCode::PageUp, KeyCode::PageDown, KeyCode::Home, KeyCode::End,
            KeyCode::Tab, KeyCode::Esc, KeyCode::Enter, KeyCode::Backspace, KeyCode::F(5), KeyCode::Delete,
        ]),
    ];
    let modifiers =
        prop_oneof![6 => Just(KeyModifiers::NONE), 1 => Just(KeyModifiers::CONTROL), 1 => Just(KeyModifiers::ALT)];
    prop_oneof![
        20 => (codes, modifiers).prop_map(|(code, modifiers)| Step::Key(code, modifiers)),
        1 => any::<String>().prop_map(Step::Paste),
        3 => (0u16..130, 0u16..40).prop_map(|(width, height)| Step::Size(width, height)),
        4 => any::<bool>().prop_map(Step::Answer),
        2 => any::<u64>().prop_map(Step::Tick),
    ]
}

mod fuzz {
    use super::*;
    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        #[test]
        fn no_keys_on_no_screen_break_anything(steps in prop::collection::vec(step(), 0..60), count in 0usize..40) {
            let plugins = || {
                let mut plugins: Vec<Plugin> = (0..count).map(|n| plugin(&format!("p{n}"))).collect();
                plugins.extend(three());
                plugins.push(hostile());
                plugins
            };
            let mut screen = Screen::of(plugins(), 80, 24);
            let mut job = None;
            for step in steps {
                let effect = match step {
                    Step::Key(code, modifiers) => screen.app.handle_key(KeyEvent::new(code, modifiers)),
                    Step::Paste(text) => { screen.app.handle_paste(&text); None }
                    Step::Size(width, height) => { screen.terminal.backend_mut().resize(width, height); None }
                    Step::Tick(n) => {
                        screen.app.tick(Some(StepProgress { label: "x".to_owned(), done: n, total: Some(n / 3) }));
                        None
                    }
                    Step::Answer(good) => {
                        let outcome = if good { Ok("said".to_owned()) } else { Err("failed".to_owned()) };
                        match job.take() {
                            None => None,
                            Some(Job::Load) => screen.app.handle_reply(Reply::Loaded(outcome.map(|_| Box::new(LoadedList::new(plugins()))))),
                            Some(Job::Preview(id)) => screen.app.handle_reply(Reply::Previewed(id, outcome.map(|said| Preview {
                                questions: vec![Question { name: hostile().name, description: Some(hostile().description), ..Question::default() }],
                                lines: vec![said; 30], warnings: vec![hostile().name],
                            }))),
                            Some(_) => screen.app.handle_reply(Reply::Done(outcome)),
                        }
                    }
                };
                if let Some(Effect::Start(started)) = effect {
                    prop_assert!(job.is_none(), "two jobs at a time");
                    job = Some(started);
                }
                prop_assert_eq!(screen.app.running_job.is_some(), job.is_some());
                assert_plain(&screen.buffer());
                let shown = screen.app.visible_count();
                prop_assert!(screen.app.selected < shown.max(1));
                prop_assert!(screen.app.top <= screen.app.selected);
                prop_assert_eq!(screen.app.current().is_some(), shown > 0);
                prop_assert!(screen.app.focus == Focus::List || !matches!(screen.app.mode, Mode::Search));
            }
        }
    }
}
