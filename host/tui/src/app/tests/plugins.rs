//! Tests of the page of plugins.

use ratatui::buffer::CellWidth;

use super::*;
use crate::pages::plugins::{Plugin, PluginsPage};

fn plugin(name: &str) -> Plugin {
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
                "github (http) https://api.github.example/mcp".to_owned(),
                "issues (stdio) npx -y @acme/issues --stdio".to_owned(),
            ],
            notes: vec!["asks for GITHUB_TOKEN".to_owned()],
            is_installed: true,
            is_enabled: true,
            ..plugin("github")
        },
        Plugin { market: "acme".to_owned(), id: "time@acme".to_owned(), kinds: None, ..plugin("time") },
        Plugin { broken_reason: Some("no plugin.json".to_owned()), ..plugin("rusty") },
        Plugin { kinds: Some(vec!["commands".to_owned()]), ..plugin("words-only") },
    ]
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
        kinds: Some(vec![nasty.to_owned(), "mcp".to_owned(), "x".repeat(10_000)]),
        source: "y".repeat(10_000),
        homepage: Some("\u{1b}]8;;https://evil.example\u{1b}\\link".to_owned()),
        servers: vec![format!("{nasty} ({nasty}) {nasty}"); 300],
        notes: vec![nasty.to_owned(); 300],
        broken_reason: Some(nasty.to_owned()),
        is_installed: true,
        is_enabled: true,
    }
}

/// A page of plugins on a screen in memory.
fn plugins(all: Vec<Plugin>, size: (u16, u16)) -> (Screen, Arc<PluginsPage>) {
    let page = Arc::new(PluginsPage::new(ground()));
    let mut screen = Screen::new(vec![page.clone()], Theme { color: true, ascii: false }, size);
    screen.app.initial_job();
    read(&mut screen, &page, all);
    (screen, page)
}

/// Shows plugins that were read, with what is known of the selected one.
fn read(screen: &mut Screen, page: &Arc<PluginsPage>, all: Vec<Plugin>) {
    let listed = page.content(all);
    let effect = screen.app.handle_reply(Reply::List(0, Ok(listed)));
    answer(screen, effect);
}

/// Does the jobs that look at plugins.
fn answer(screen: &mut Screen, mut effect: Option<Effect>) {
    while let Some(Effect::Start(job @ Job::Inspect(..))) = effect {
        effect = screen.app.handle_reply(screen.app.worker()(job, &crate::prompter::noop_job_handle()));
    }
    screen.draw();
}

fn press(screen: &mut Screen, keys: &str) {
    for key in keys.chars() {
        let effect = screen.key(KeyCode::Char(key));
        answer(screen, effect);
    }
}

#[test]
fn the_plugins() {
    let page = Arc::new(PluginsPage::new(ground()));
    let listed = page.content(three());
    let detail = page.detail("github@official");
    assert_snapshot!(shots(page, &listed, &detail));
}

#[test]
fn an_empty_list_says_what_to_do() {
    let (mut screen, _) = plugins(Vec::new(), (60, 20));
    let frame = screen.frame();
    assert!(frame.contains("No plugins: `aiw plugin marketplace update`, or u on the"), "{frame}");
}

#[test]
fn a_search_narrows_as_one_types_and_the_closest_comes_first() {
    let (mut screen, _) = plugins(vec![plugin("gadget-hit"), plugin("github"), plugin("time")], (100, 24));
    press(&mut screen, "/git");
    let frame = screen.frame();
    assert!(frame.contains("› github") && frame.contains("gadget-hit") && !frame.contains("› time"), "{frame}");
    assert!(frame.contains("/git") && frame.contains("github@official"), "{frame}");
    press(&mut screen, "h");
    assert!(!screen.frame().contains("gadget-hit"));
    press(&mut screen, "xyz");
    assert!(screen.frame().contains("nothing has these words; Esc shows all"));
    let effect = screen.key(KeyCode::Esc);
    answer(&mut screen, effect);
    assert!(screen.frame().contains("gadget-hit") && screen.app.panel().list.query().is_empty());
    // What it is about counts too, as it stands there.
    press(&mut screen, "/ABOUT TIM");
    assert!(screen.frame().contains("› time") && screen.app.panel().list.counts().1 == 1);
}

#[test]
fn filters_go_round_and_stand_below_the_list() {
    let (mut screen, _) = plugins(three(), (100, 24));
    let status = |screen: &mut Screen| {
        let frame = screen.frame();
        frame.lines().rev().nth(1).unwrap().to_owned()
    };
    assert_eq!(status(&mut screen), "3 of 4 · with MCP servers or not inspected yet");
    press(&mut screen, "a");
    assert_eq!(status(&mut screen), "4");
    press(&mut screen, "m");
    assert_eq!(status(&mut screen), "1 of 4 · market acme");
    press(&mut screen, "mct");
    assert_eq!(status(&mut screen), "0 of 4 · market official · category development · kind commands");
    assert!(screen.frame().contains("nothing is left of the list; its keys and Esc show more"));
    // Each in turn, then none.
    press(&mut screen, "mc");
    assert_eq!(status(&mut screen), "1 of 4 · kind commands");
    screen.key(KeyCode::Esc);
    assert_eq!(status(&mut screen), "4");
}

#[test]
fn only_what_can_be_done_with_a_plugin_has_a_key() {
    let (mut screen, _) = plugins(three(), (100, 24));
    let keys = |screen: &mut Screen| screen.app.panel().actions().map(|one| one.key).collect::<String>();
    // An installed one, a broken one and another one.
    assert_eq!(keys(&mut screen), "de");
    let effect = screen.key(KeyCode::Down);
    answer(&mut screen, effect);
    assert_eq!(keys(&mut screen), "");
    assert!(screen.frame().contains("! broken: no plugin.json"), "{}", screen.frame());
    let effect = screen.key(KeyCode::Down);
    answer(&mut screen, effect);
    assert_eq!(keys(&mut screen), "i");
    let installs = Job::RunAction(0, 'i', vec!["time@acme".to_owned()]);
    assert_eq!(screen.keys("i"), Some(Effect::Start(installs)));
    // A removal asks.
    screen.key(KeyCode::Home);
    assert_eq!(screen.keys("d"), None);
    assert!(screen.frame().contains("Remove github with everything that it added? (y/N)"));
    assert_eq!(screen.keys("y"), Some(Effect::Start(Job::RunAction(0, 'd', vec!["github@official".to_owned()]))));
}

#[test]
fn reading_again_keeps_the_place() {
    let (mut screen, page) = plugins(three(), (80, 24));
    screen.key(KeyCode::End);
    let mut all = three();
    all.push(plugin("aaa"));
    read(&mut screen, &page, all);
    assert_eq!(screen.app.panel().list.current().unwrap().id, "time@acme");
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
    let (mut screen, _) = plugins(vec![hostile()], (120, 24));
    assert_snapshot!(screen.frame());
    for width in [60, 61, 79, 80, 81, 119, 120, 121, 200] {
        let (mut screen, _) = plugins(vec![hostile(), plugin("time")], (width, 20));
        assert_plain(&screen.draw());
        screen.key(KeyCode::Enter);
        assert_plain(&screen.draw());
        screen.keys("G");
        assert_plain(&screen.draw());
        screen.key(KeyCode::Esc);
        screen.keys("d");
        assert_plain(&screen.draw());
    }
}

#[test]
fn a_resize_keeps_the_selected_row_on_the_screen() {
    let all = (0..200).map(|n| plugin(&format!("p{n:03}"))).collect();
    let (mut screen, _) = plugins(all, (60, 40));
    for _ in 0..150 {
        screen.key(KeyCode::Down);
    }
    for (width, height) in [(60, 40), (60, 20), (200, 100), (61, 21), (60, 40)] {
        screen.terminal.backend_mut().resize(width, height);
        let frame = screen.frame();
        assert!(frame.contains("› p150"), "{width}x{height}: {frame}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_keys_on_no_screen_break_anything(
        keys in proptest::collection::vec((any_key(), 50u16..130, 15u16..40), 0..60), count in 0usize..40,
    ) {
        let mut all: Vec<Plugin> = (0..count).map(|n| plugin(&format!("p{n}"))).collect();
        all.extend(three());
        // Its whole length is drawn above, at each width.
        all.push(Plugin { servers: Vec::new(), notes: Vec::new(), source: String::new(), ..hostile() });
        let (mut screen, _) = plugins(all, (80, 24));
        for (key, width, height) in keys {
            screen.terminal.backend_mut().resize(width, height);
            screen.draw();
            let effect = screen.key(key);
            answer(&mut screen, effect);
            assert_plain(&screen.draw());
            let panel = screen.app.panel();
            prop_assert_eq!(panel.list.current().is_some(), panel.list.counts().1 > 0);
        }
    }
}
