//! Tests of the application: keys in, frames and jobs out, at each size and in each manner of drawing.

mod log;
mod plugins;

use std::fmt::Write as _;
use std::sync::Arc;

use aiw_app::{App, BundledScripts, ClientSession};
use aiw_home::Home;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use insta::assert_snapshot;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::effect::Effect;
use super::jobs::{Job, Reply};
use super::state::{Mode, State};
use crate::context::AppContext;
use crate::output::OutputLine;
use crate::page::{Action, Column, Detail, ListContent, Outcome, Page, PageDescriptor, Row, Search};
use crate::paint::{Fact, TextStyle, Theme, buffer_text};
use crate::progress::ScreenProgress;
use crate::prompt::{Prompt, PromptKind, PromptReply};
use crate::prompter::TuiPrompter;
use crate::screen::JobHandle;
use crate::text::WRAP_CALL_COUNT;
use aiw_app::feed::Topic;

/// The smallest screen of the application.
pub(crate) const MIN_SIZE: (u16, u16) = (60, 20);

/// A page with things that a test gives, and the title and keys of another.
struct Canned(Arc<dyn Page>);

impl Page for Canned {
    fn descriptor(&self) -> &'static PageDescriptor {
        self.0.descriptor()
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        Err("a canned page is not read".to_owned())
    }

    fn detail(&self, _: &str) -> Detail {
        Detail::from_error("a canned page is not read")
    }
}

/// A page of fruit that is searched by its verb.
struct SearchedFruit;

impl Page for SearchedFruit {
    fn descriptor(&self) -> &'static PageDescriptor {
        static ABOUT: PageDescriptor = PageDescriptor {
            title: "Searched",
            slug: "searched",
            cli_command: "aiw fruit search",
            columns: FRUIT.columns,
            empty_message: FRUIT.empty_message,
            search: Search::Backend,
            ..PageDescriptor::EMPTY
        };
        &ABOUT
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        Ok(fruit())
    }

    fn detail(&self, id: &str) -> Detail {
        Detail::new(vec![Fact::title(id)])
    }
}

/// A page of fruit.
struct Fruit;

static FRUIT: PageDescriptor = PageDescriptor {
    title: "Fruit",
    slug: "fruit",
    cli_command: "aiw fruit",
    topics: &[Topic::Tasks],
    columns: &[Column::new("NAME"), Column::state("STATE"), Column::new("ABOUT")],
    empty_message: "no fruit",
    actions: &[
        Action::new('e', "eat", "eat it: asks").with_confirmation("Eat `{}`? (y/N)"),
        Action::new('p', "peel", "peel it"),
        Action::global('w', "wash", "wash all"),
    ],
    ..PageDescriptor::EMPTY
};

impl Page for Fruit {
    fn descriptor(&self) -> &'static PageDescriptor {
        &FRUIT
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        Ok(fruit())
    }

    fn detail(&self, id: &str) -> Detail {
        Detail::new(vec![Fact::title(id)])
    }

    fn run_action(&self, _: char, _: &str, _: &TuiPrompter) -> Result<Outcome, String> {
        Ok(Outcome::Message("done".to_owned()))
    }
}

fn fruit() -> ListContent {
    let row =
        |name: &str, keys| Row::new(name, TextStyle::Good, keys, [name, "ripe", "grows on trees"].map(str::to_owned));
    ListContent::new(vec![row("apple", "ep"), row("banana", "ep"), row("cherry", "e")], [])
}

/// Returns what jobs stand on, over a home that is not there.
pub(crate) fn ground() -> Arc<AppContext> {
    const NO_SCRIPTS: BundledScripts = BundledScripts { component: &[], code: &[], sha256: "" };
    let home = Home::from_root("/nowhere/at/all");
    let client =
        ClientSession::from_app(App::open(home, &[], NO_SCRIPTS, Arc::new(ScreenProgress::default()))).unwrap();
    let doctor = Arc::new(|_: &Home| aiw_app::doctor::Doctor { parts: Vec::new() });
    Arc::new(AppContext::new(client, doctor))
}

/// An application on a screen in memory.
struct Screen {
    app: State,
    terminal: Terminal<TestBackend>,
}

impl Screen {
    fn new(pages: Vec<Arc<dyn Page>>, theme: Theme, (width, height): (u16, u16)) -> Self {
        let app = State::new(pages, 0, theme, true);
        Self { app, terminal: Terminal::new(TestBackend::new(width, height)).unwrap() }
    }

    /// Returns one that shows fruit.
    fn of_fruit() -> Self {
        let tabs: Vec<Arc<dyn Page>> = vec![Arc::new(Fruit), Arc::new(Canned(Arc::new(Fruit)))];
        let mut screen = Self::new(tabs, Theme { color: true, ascii: false }, (80, 24));
        assert_eq!(screen.app.initial_job(), Some(Job::List(0, String::new())));
        assert_eq!(
            screen.app.handle_reply(Reply::List(0, Ok(fruit()))),
            Some(Effect::Start(Job::Inspect(0, "apple".into())))
        );
        let detail = Detail::new(vec![Fact::title("apple")]);
        assert_eq!(screen.app.handle_reply(Reply::Detail(0, "apple".into(), detail)), None);
        screen.draw();
        screen
    }

    fn draw(&mut self) -> Buffer {
        self.terminal.draw(|frame| self.app.draw(frame)).unwrap().buffer.clone()
    }

    fn key(&mut self, code: KeyCode) -> Option<Effect> {
        let effect = self.app.handle_key(KeyEvent::new(code, KeyModifiers::NONE));
        self.draw();
        effect
    }

    fn keys(&mut self, keys: &str) -> Option<Effect> {
        keys.chars().map(|c| self.key(KeyCode::Char(c))).last().flatten()
    }

    fn frame(&mut self) -> String {
        buffer_text(&self.draw())
    }

    fn ask(&mut self, form: PromptKind, lines: usize) -> tokio::sync::oneshot::Receiver<PromptReply> {
        let (answer, given) = tokio::sync::oneshot::channel();
        let lines = (0..lines).map(|n| format!("line {n}")).collect();
        self.app.handle_prompt(Prompt {
            kind: form,
            question: "Really?".into(),
            lines,
            can_go_back: false,
            reply_sender: answer,
        });
        given
    }
}

/// Returns the texts of a frame that have a colour or a weight, each with it.
fn painted(buffer: &Buffer) -> String {
    let mut runs: Vec<(Color, Modifier, String)> = Vec::new();
    for cell in &buffer.content {
        match runs.last_mut() {
            Some((color, modifier, text)) if (*color, *modifier) == (cell.fg, cell.modifier) => {
                text.push_str(cell.symbol());
            }
            _ => runs.push((cell.fg, cell.modifier, cell.symbol().to_owned())),
        }
    }
    let is_plain = |run: &&(Color, Modifier, String)| (run.0, run.1) != (Color::Reset, Modifier::empty());
    let line = |(color, modifier, text): &(Color, Modifier, String)| {
        let modifier = if modifier.is_empty() { String::new() } else { format!(" {modifier:?}") };
        format!("{color:?}{modifier}: {}\n", text.trim())
    };
    let runs: Vec<String> = runs.iter().filter(is_plain).filter(|run| !run.2.trim().is_empty()).map(line).collect();
    runs.concat()
}

/// Draws a page with these things in it at all sizes and in all manners. Returns the frames in colour, and what has which
/// colour; the others differ from them in nothing but that.
pub(crate) fn shots(page: Arc<dyn Page>, listed: &ListContent, detail: &Detail) -> String {
    let shot = |theme: Theme, size: (u16, u16)| {
        let mut screen = Screen::new(vec![Arc::new(Canned(page.clone()))], theme, size);
        screen.app.initial_job();
        let first = listed.rows.first().map(|row| row.id.clone()).unwrap_or_default();
        screen.app.handle_reply(Reply::List(0, Ok(listed.clone())));
        screen.app.panel().list.select_id(&first);
        screen.app.handle_reply(Reply::Detail(0, first, detail.clone()));
        screen.draw()
    };
    let mut all = String::new();
    for size in [MIN_SIZE, (80, 24), (100, 30), (200, 60)] {
        let color = shot(Theme { color: true, ascii: false }, size);
        let mono = shot(Theme { color: false, ascii: false }, size);
        assert_eq!(buffer_text(&color), buffer_text(&mono));
        assert!(mono.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
        let ascii = buffer_text(&shot(Theme { color: true, ascii: true }, size));
        assert!(ascii.is_ascii(), "{ascii}");
        let columns = |text: &str| text.lines().map(crate::text::width).collect::<Vec<_>>();
        assert_eq!(columns(&buffer_text(&color)), columns(&ascii));
        let frame = buffer_text(&color);
        // Lines that say nothing more than the one before are left out.
        let mut lines: Vec<&str> = frame.lines().collect();
        lines.dedup();
        writeln!(all, "== {} x {}\n{}\n", size.0, size.1, lines.join("\n")).unwrap();
        if size == MIN_SIZE {
            writeln!(all, "== colours\n{}", painted(&color)).unwrap();
        }
    }
    all
}

#[test]
fn a_list_moves_filters_and_shows_what_is_known() {
    let mut screen = Screen::of_fruit();
    assert_eq!(screen.key(KeyCode::Down), Some(Effect::Start(Job::Inspect(0, "banana".into()))));
    assert_snapshot!(screen.frame().replace("\n\n\n\n", "\n"));
    // One that is being looked at is not looked at again; the next one follows when its answer is there.
    assert_eq!(screen.key(KeyCode::Down), None);
    let next = screen.app.handle_reply(Reply::Detail(0, "banana".into(), Detail::default()));
    assert_eq!(next, Some(Effect::Start(Job::Inspect(0, "cherry".into()))));
    screen.app.handle_reply(Reply::Detail(0, "cherry".into(), Detail::default()));
    // The selected one stays so while the list narrows; letters are no actions meanwhile.
    assert_eq!(screen.keys("/rr"), None);
    assert!(screen.frame().contains("/rr") && screen.frame().contains("› cherry"));
    assert!(!screen.frame().contains("banana"));
    screen.key(KeyCode::Enter);
    assert!(screen.frame().contains("1 of 3 with: rr"));
    screen.key(KeyCode::Esc);
    assert!(screen.frame().contains("banana") && screen.frame().contains("› cherry"));
    screen.keys("/zebra");
    assert!(screen.frame().contains("nothing has these words"));
}

#[test]
fn what_destroys_asks_and_anything_but_yes_is_a_no() {
    let mut screen = Screen::of_fruit();
    assert_eq!(screen.keys("e"), None);
    assert!(screen.frame().contains("Eat `apple`? (y/N)"));
    for no in [KeyCode::Enter, KeyCode::Esc, KeyCode::Char('n'), KeyCode::Char('e')] {
        assert_eq!(screen.app.dialogs.len(), 1);
        assert_eq!(screen.key(no), None);
        assert!(screen.app.dialogs.is_empty() && !screen.frame().contains("(y/N)"));
        screen.keys("e");
    }
    screen.key(KeyCode::Esc);
    screen.keys("e");
    assert_eq!(screen.keys("y"), Some(Effect::Start(Job::RunAction(0, 'e', vec!["apple".into()]))));
    // It is not begun twice, and is done before the user leaves.
    screen.keys("e");
    assert_eq!(screen.keys("y"), None);
    assert!(screen.frame().contains("that is under way"));
    assert_eq!(screen.keys("q"), None);
    let done = screen.app.handle_reply(Reply::Action(0, 'e', Ok(Outcome::Message("eaten".into()))));
    assert_eq!(done, Some(Effect::Quit));
}

#[test]
fn an_action_that_makes_no_sense_for_a_thing_is_not_there() {
    let mut screen = Screen::of_fruit();
    assert!(screen.frame().contains("p peel"));
    screen.key(KeyCode::End);
    assert!(!screen.frame().contains("p peel"));
    assert_eq!(screen.keys("p"), None);
    assert_eq!(screen.keys("w"), Some(Effect::Start(Job::RunAction(0, 'w', Vec::new()))));
    let read = screen.app.handle_reply(Reply::Action(0, 'w', Err("no\u{1b}[2J water".into())));
    assert_eq!(read, Some(Effect::Start(Job::List(0, String::new()))));
    assert!(screen.frame().contains("! no\\u{1b}[2J water"));
}

#[test]
fn screens_open_by_number_and_by_tab() {
    let mut screen = Screen::of_fruit();
    assert_eq!(screen.keys("2"), Some(Effect::Start(Job::List(1, String::new()))));
    assert_eq!(screen.key(KeyCode::Tab), Some(Effect::Start(Job::List(0, String::new()))));
    // It is being read: the same again is read once more afterwards.
    assert_eq!(screen.key(KeyCode::BackTab), None);
    let again = screen.app.handle_reply(Reply::List(1, Ok(fruit())));
    assert_eq!(again, Some(Effect::Start(Job::List(1, String::new()))));
    assert_eq!(screen.keys("9"), None);
    assert_eq!(screen.app.active, 1);
}

#[test]
fn what_has_not_changed_is_not_drawn() {
    let mut screen = Screen::of_fruit();
    screen.app.needs_redraw();
    let topics = [Topic::Tasks].into();
    assert_eq!(screen.app.handle_changes(&topics), Some(Effect::Start(Job::List(0, String::new()))));
    let look = screen.app.handle_reply(Reply::List(0, Ok(fruit())));
    assert_eq!(look, Some(Effect::Start(Job::Inspect(0, "apple".into()))));
    screen.app.handle_reply(Reply::Detail(0, "apple".into(), Detail::new(vec![Fact::title("apple")])));
    assert!(!screen.app.needs_redraw());
    screen.app.handle_reply(Reply::Detail(0, "apple".into(), Detail::new(vec![Fact::title("pear")])));
    assert!(screen.app.needs_redraw());
    // A topic of logs alone reads no list.
    assert_eq!(screen.app.handle_changes(&[Topic::Logs].into()), Some(Effect::Start(Job::Inspect(0, "apple".into()))));
}

#[test]
fn a_question_is_agreed_to_only_when_all_of_it_was_seen() {
    let mut screen = Screen::of_fruit();
    let mut given = screen.ask(PromptKind::Confirm, 60);
    // What is typed before it is on the screen answers nothing.
    screen.app.handle_key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE));
    screen.draw();
    assert!(screen.frame().contains("more lines below"));
    screen.keys("y");
    assert!(given.try_recv().is_err() && screen.app.dialogs.len() == 1);
    for _ in 0..6 {
        screen.key(KeyCode::PageDown);
    }
    assert!(!screen.frame().contains("more lines below"));
    screen.app.handle_key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::CONTROL));
    assert!(given.try_recv().is_err() && screen.app.dialogs.len() == 1);
    screen.keys("y");
    assert_eq!(given.try_recv(), Ok(PromptReply::Confirmed));
    let mut given = screen.ask(PromptKind::Confirm, 1);
    screen.draw();
    screen.key(KeyCode::Enter);
    assert_eq!(given.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Closed));
}

#[test]
fn a_secret_is_typed_and_never_shown() {
    let mut screen = Screen::of_fruit();
    let mut given = screen.ask(PromptKind::Secret, 0);
    screen.draw();
    screen.keys("sk-123");
    screen.app.handle_paste("456\n");
    let frame = screen.frame();
    assert!(frame.contains("hidden> ***") && !frame.contains("sk-"), "{frame}");
    screen.key(KeyCode::Enter);
    assert_eq!(given.try_recv(), Ok(PromptReply::Text("sk-123456".into())));
    let mut given = screen.ask(PromptKind::Select(vec!["mine".into(), "theirs".into()]), 0);
    screen.draw();
    screen.keys("j");
    screen.key(KeyCode::Enter);
    assert_eq!(given.try_recv(), Ok(PromptReply::Selected(1)));
}

#[test]
fn keys_do_nothing_where_nobody_sees_what_they_do() {
    let mut screen = Screen::of_fruit();
    screen.terminal = Terminal::new(TestBackend::new(59, 20)).unwrap();
    assert_eq!(screen.frame().trim_end(), "this needs 60 × 20 cells, and has 59 × 20; q leaves");
    for key in "ewpx/2?jy".chars() {
        assert_eq!(screen.keys(&key.to_string()), None);
    }
    assert!(matches!(screen.app.mode, Mode::Page) && screen.app.active == 0);
    assert_eq!(screen.keys("q"), Some(Effect::Quit));
    for (width, height) in [(1, 1), (3, 2), (60, 2), (2, 60)] {
        screen.terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        screen.draw();
    }
}

#[test]
fn pasted_text_presses_no_keys() {
    let mut screen = Screen::of_fruit();
    screen.app.handle_paste("ewq2\n");
    assert!(matches!(screen.app.mode, Mode::Page) && screen.app.active == 0 && screen.app.running_actions.is_empty());
    screen.keys("/");
    screen.app.handle_paste("ban\nana \u{1b}[2J");
    assert!(screen.frame().contains("/ban ana \\u{1b}[2J"));
}

#[test]
fn ten_thousand_things_are_moved_through_and_found() {
    let mut screen = Screen::of_fruit();
    let row =
        |n: usize| Row::new(n.to_string(), TextStyle::Good, "e", [format!("fruit-{n}"), "ripe".into(), "x".repeat(50)]);
    screen.app.handle_reply(Reply::List(0, Ok(ListContent::new((0..10_000).map(row).collect(), []))));
    screen.key(KeyCode::End);
    assert!(screen.frame().contains("› fruit-9999"));
    for _ in 0..3 {
        screen.key(KeyCode::PageUp);
    }
    assert!(screen.frame().lines().filter(|line| line.contains("fruit-")).count() > 3);
    screen.keys("/t-777");
    assert!(screen.frame().contains("fruit-7779") && !screen.frame().contains("fruit-9999"));
    screen.key(KeyCode::Enter);
    assert!(screen.frame().contains("11 of 10000 with: t-777"));
}

#[test]
fn words_are_found_in_a_long_text_one_after_the_other() {
    let mut screen = Screen::of_fruit();
    let line = |n: usize| if n % 100 == 50 { format!("line {n}: Error: {n}") } else { format!("line {n}") };
    let (lines, logs) = ((0..1000).map(line).map(OutputLine::plain).collect(), Some("/nowhere".into()));
    screen.app.panel().show(Detail { lines, log_dir: logs, ..Detail::new(Vec::new()) });
    assert!(screen.frame().contains("line 999"));
    // From the end it begins again at the first.
    screen.keys("/error: 9");
    assert!(screen.frame().contains("/error: 9") && screen.frame().contains("line 950: Error: 950"));
    for _ in 0..3 {
        screen.key(KeyCode::Backspace);
    }
    screen.key(KeyCode::Enter);
    let at = |screen: &mut Screen| {
        let frame = screen.frame();
        frame.lines().find_map(|line| Some(line.trim().strip_prefix("line ")?.strip_suffix(" with: error")?.to_owned()))
    };
    assert_eq!(at(&mut screen).as_deref(), Some("1 of 10"));
    screen.keys("nn");
    assert_eq!(at(&mut screen).as_deref(), Some("3 of 10"));
    assert!(screen.frame().contains("line 250: Error") && !screen.frame().contains("line 150: Error"));
    screen.keys("NNN");
    assert_eq!(at(&mut screen).as_deref(), Some("10 of 10"));
    assert!(screen.frame().contains("line 950: Error"));
    // What is found is marked, and nothing else.
    let buffer = screen.terminal.backend().buffer();
    let marked: String = buffer
        .content()
        .iter()
        .filter(|cell| cell.modifier.contains(Modifier::REVERSED))
        .map(|cell| cell.symbol())
        .collect();
    assert!(marked.contains("Error") && !marked.contains("950"), "{marked}");
    // Esc ends the search, then leaves the text.
    screen.key(KeyCode::Esc);
    screen.keys("/nothing like it");
    screen.key(KeyCode::Enter);
    assert!(screen.frame().contains("no line has: nothing like it"));
    screen.key(KeyCode::Esc);
    assert!(screen.frame().contains("line 9") && !screen.frame().contains("no line has"));
    screen.key(KeyCode::Esc);
    assert!(!screen.frame().contains("line 9"));
    // In the list it still narrows the list.
    screen.keys("/cherry");
    assert!(!screen.frame().contains("banana"));
}

#[test]
fn what_is_searched_is_read_again_with_each_word() {
    let tabs: Vec<Arc<dyn Page>> = vec![Arc::new(SearchedFruit)];
    let mut screen = Screen::new(tabs, Theme::default(), (80, 24));
    assert_eq!(screen.app.initial_job(), Some(Job::List(0, String::new())));
    screen.app.handle_reply(Reply::List(0, Ok(fruit())));
    screen.keys("/");
    assert_eq!(screen.keys("a"), Some(Effect::Start(Job::List(0, "a".into()))));
    // While it is being read, the newest words wait.
    assert_eq!(screen.keys("pp"), None);
    assert_eq!(screen.app.handle_paste("le\n"), None);
    let next = screen.app.handle_reply(Reply::List(0, Ok(fruit())));
    assert_eq!(next, Some(Effect::Start(Job::List(0, "apple".into()))));
    // The rows are those that were found: none is left out here.
    screen.app.handle_reply(Reply::List(0, Ok(fruit())));
    assert!(screen.frame().contains("cherry") && screen.frame().contains("/apple"));
    assert_eq!(screen.key(KeyCode::Esc), Some(Effect::Start(Job::List(0, String::new()))));
}

#[test]
fn the_help_names_every_key_and_the_command_that_prints() {
    let mut screen = Screen::of_fruit();
    screen.keys("?");
    assert_snapshot!(screen.frame());
    screen.key(KeyCode::Esc);
    assert!(screen.frame().contains("› apple"));
}

#[test]
fn each_sign_of_the_screens_has_one_of_ascii() {
    let mut screen = Screen::new(vec![Arc::new(Fruit)], Theme { color: true, ascii: true }, (80, 70));
    screen.app.initial_job();
    screen.app.handle_reply(Reply::List(0, Ok(fruit())));
    screen.app.handle_reply(Reply::Detail(0, "apple".into(), Detail::new(vec![Fact::title("apple")])));
    screen.draw();
    screen.key(KeyCode::Enter);
    let frame = screen.frame();
    assert!(frame.contains("=====") && !frame.replace("? help", "").contains('?'), "{frame}");
    screen.keys("?");
    let frame = screen.frame();
    assert!(frame.contains("Enter > l") && frame.contains("Esc < h"), "{frame}");
}

#[test]
fn the_help_is_whole_where_there_are_few_columns() {
    let mut screen = Screen::new(vec![Arc::new(Fruit)], Theme { color: true, ascii: false }, (60, 70));
    screen.app.initial_job();
    screen.keys("?");
    let frame = screen.frame();
    let words: Vec<&str> = frame.split_whitespace().collect();
    let help = words.join(" ");
    for end in ["for other programs and screen readers e", "yes, once all of the question was shown", "1 Fruit"] {
        assert!(help.contains(end), "{frame}");
    }
}

#[test]
fn logs_follow_their_end_until_the_user_scrolls() {
    let mut screen = Screen::of_fruit();
    let logs = |count: usize| {
        let lines = (0..count).map(|n| format!("line {n}"));
        Detail { log_dir: Some("/logs".into()), ..Detail::new(vec![Fact::title("apple")]).with_lines(lines) }
    };
    let looked = |screen: &mut Screen, count| {
        screen.app.handle_reply(Reply::Detail(0, "apple".into(), logs(count)));
        screen.frame()
    };
    assert!(looked(&mut screen, 100).contains("line 99"));
    assert!(looked(&mut screen, 120).contains("line 119"));
    screen.key(KeyCode::Enter);
    screen.key(KeyCode::Up);
    let before = screen.frame();
    assert!(!before.contains("line 119") && looked(&mut screen, 130).contains("line 118"));
    screen.key(KeyCode::End);
    assert!(looked(&mut screen, 140).contains("line 139"));
}

#[test]
fn the_lines_of_a_long_text_are_wrapped_once_for_a_width() {
    let mut screen = Screen::of_fruit();
    let text = |count: usize, what: &str| {
        Detail::new(vec![Fact::title("all")]).with_lines((0..count).map(|n| format!("{what} {n}")))
    };
    let wraps = |screen: &mut Screen, act: &dyn Fn(&mut Screen)| {
        let before = WRAP_CALL_COUNT.get();
        act(screen);
        WRAP_CALL_COUNT.get() - before
    };
    let lines = 20_000;
    let all = |screen: &mut Screen| {
        screen.keys("p");
        screen.app.handle_reply(Reply::Action(0, 'p', Ok(Outcome::Details(text(lines, "a line")))));
        screen.draw();
    };
    assert!(wraps(&mut screen, &all) >= lines);
    // Neither a frame, nor a key, nor news of the thing below it wraps them again.
    let moves = |screen: &mut Screen| {
        for key in [KeyCode::Down, KeyCode::PageDown, KeyCode::End, KeyCode::Home, KeyCode::End] {
            screen.key(key);
        }
        screen.app.handle_reply(Reply::Detail(0, "apple".into(), text(10, "news")));
        screen.draw();
    };
    assert!(wraps(&mut screen, &moves) < 200);
    assert!(screen.frame().contains("a line 19999"));
    // Another width does, and so does another text.
    let narrow = |screen: &mut Screen| {
        screen.terminal = Terminal::new(TestBackend::new(70, 24)).unwrap();
        screen.draw();
    };
    assert!(wraps(&mut screen, &narrow) >= lines);
    screen.key(KeyCode::Esc);
    assert!(screen.frame().contains("news 0"));
    screen.app.handle_reply(Reply::Detail(0, "apple".into(), text(10, "later")));
    assert!(screen.frame().contains("later 0"));
}

/// Returns the names of the pages above the page with this index.
fn names_above(screen: &mut Screen, width: u16, at: usize) -> String {
    screen.terminal.backend_mut().resize(width, 24);
    screen.app.active = at;
    screen.frame().lines().next().unwrap().to_owned()
}

#[test]
fn pages_are_named_where_there_is_room_and_numbered_everywhere() {
    let pages = crate::pages::all(&ground());
    let mut screen = Screen::new(pages.clone(), Theme::default(), (80, 24));
    for (at, page) in pages.iter().enumerate() {
        let open = page.descriptor().title;
        for width in 60..=160 {
            let line = names_above(&mut screen, width, at);
            let names: Vec<&str> = line.split(' ').collect();
            let numbers: String = names
                .iter()
                .filter_map(|name| name.trim_start_matches('[').parse::<u8>().ok())
                .map(|n| n.to_string())
                .collect();
            assert_eq!(numbers, "1234567890", "{width}: {line}");
            let named = pages.iter().filter(|page| line.contains(page.descriptor().title)).count();
            assert!(line.contains(&format!("{open}]")) && line.contains("Sources"), "{width}: {line}");
            match width {
                0..100 => assert!(named <= 2, "{width}: {line}"),
                100..110 => assert!(named >= pages.len() - 2, "{width}: {line}"),
                _ => assert_eq!(named, pages.len(), "{width}: {line}"),
            }
        }
    }
    let lines = [(60, 0), (80, 2), (100, 2), (120, 0)].map(|(width, at)| names_above(&mut screen, width, at));
    assert_snapshot!(lines.join("\n"), @"
    [1 Dashboard] 2 3 4 5 6 7 8 9 0 Sources
    1 2 [3 Processes] 4 5 6 7 8 9 0 Sources
    1 Dashboard 2 Tasks [3 Processes] 4 MCP 5 Providers 6 History 7 Plugins 8 Sync 9 Status 0 Sources
    [1 Dashboard] 2 Tasks 3 Processes 4 MCP 5 Providers 6 History 7 Plugins 8 Sync 9 Status 0 Events Sources
    ");
}

#[test]
fn several_rows_are_marked_and_acted_on_together() {
    let mut screen = Screen::of_fruit();
    screen.keys("  ");
    let frame = screen.frame();
    assert!(frame.contains(" •apple") && frame.contains(" •banana") && frame.contains("› cherry"), "{frame}");
    assert!(frame.contains("3 · 2 marked"), "{frame}");
    // The selected row has no peel, the marked ones have.
    assert_eq!(screen.keys("p"), Some(Effect::Start(Job::RunAction(0, 'p', vec!["apple".into(), "banana".into()]))));
    assert!(!screen.frame().contains("marked"));
    // What destroys names all of them.
    screen.keys("*e");
    assert!(screen.frame().contains("Eat 3: apple, banana, cherry? (y/N)"), "{}", screen.frame());
    let all = ["apple", "banana", "cherry"].map(str::to_owned).to_vec();
    assert_eq!(screen.keys("y"), Some(Effect::Start(Job::RunAction(0, 'e', all))));
    // Esc takes the marks away before anything else.
    screen.keys(" ");
    screen.key(KeyCode::Esc);
    assert!(!screen.frame().contains("marked"));
}

#[test]
fn what_fails_with_one_of_several_stops_no_other() {
    struct Picky;
    impl Page for Picky {
        fn descriptor(&self) -> &'static PageDescriptor {
            &FRUIT
        }
        fn list(&self, _: &str) -> Result<ListContent, String> {
            Ok(fruit())
        }
        fn detail(&self, _: &str) -> Detail {
            Detail::default()
        }
        fn run_action(&self, _: char, id: &str, _: &TuiPrompter) -> Result<Outcome, String> {
            if id == "banana" { Err("no banana".into()) } else { Ok(Outcome::Message(format!("{id} is gone"))) }
        }
    }
    let person = TuiPrompter::new(&crate::prompter::noop_job_handle());
    let on =
        |ids: &[&str]| Picky.run_action_on('e', &ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(), &person);
    assert_eq!(on(&["banana", "apple"]).unwrap_err(), "no banana; apple is gone");
    assert!(matches!(on(&["apple", "cherry"]), Ok(Outcome::Message(said)) if said == "apple is gone; cherry is gone"));
}

#[test]
fn rows_that_failed_go_first_and_a_key_orders_by_each_column() {
    let mut screen = Screen::of_fruit();
    let row = |(name, tone, size): (&str, TextStyle, &str)| {
        Row::new(name, tone, "e", [name.to_owned(), size.to_owned(), "x".to_owned()])
    };
    let rows = [("fig", TextStyle::Good, "9"), ("kiwi", TextStyle::Bad, "100"), ("date", TextStyle::Good, "10")];
    screen.app.handle_reply(Reply::List(0, Ok(ListContent::new(rows.into_iter().map(row).collect(), []))));
    let names = |screen: &mut Screen| {
        let frame = screen.frame();
        let lines: Vec<String> = frame.lines().skip(2).take(3).map(|line| line.replace('›', " ")).collect();
        lines.iter().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut screen), ["kiwi", "fig", "date"]);
    screen.keys("S");
    assert!(screen.frame().contains("NAME ▲"));
    assert_eq!(names(&mut screen), ["date", "fig", "kiwi"]);
    screen.keys("S");
    assert!(screen.frame().contains("STATE ▲"));
    assert_eq!(names(&mut screen), ["fig", "date", "kiwi"]);
    screen.keys("R");
    assert!(screen.frame().contains("STATE ▼"));
    assert_eq!(names(&mut screen), ["kiwi", "date", "fig"]);
    screen.keys("SS");
    assert!(!screen.frame().contains('▲') && !screen.frame().contains('▼'));
    assert_eq!(names(&mut screen), ["kiwi", "fig", "date"]);
}

#[test]
fn the_command_line_knows_pages_actions_and_columns() {
    let mut screen = Screen::of_fruit();
    screen.keys(":pe");
    assert!(screen.frame().contains(":pe") && screen.frame().lines().last().unwrap().starts_with("peel"));
    screen.key(KeyCode::Tab);
    assert!(screen.frame().contains(":peel"));
    assert_eq!(screen.key(KeyCode::Enter), Some(Effect::Start(Job::RunAction(0, 'p', vec!["apple".into()]))));
    // An action that asks asks here too.
    screen.keys(":eat");
    assert_eq!(screen.key(KeyCode::Enter), None);
    assert!(screen.frame().contains("Eat `apple`? (y/N)"));
    screen.key(KeyCode::Esc);
    screen.keys(":sort state");
    screen.key(KeyCode::Enter);
    assert!(screen.frame().contains("STATE ▲"));
    screen.keys(":help");
    screen.key(KeyCode::Enter);
    assert!(screen.frame().contains("aiw fruit"));
    screen.key(KeyCode::Esc);
    screen.keys(":nothing like it");
    assert!(screen.frame().contains("nothing has this name"));
    screen.key(KeyCode::Enter);
    assert!(screen.frame().contains("! there is no such page or action"));
    screen.keys(":");
    assert_eq!(screen.app.handle_key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), None);
    assert!(matches!(screen.app.mode, Mode::Page));
    let mut screen = Screen::new(crate::pages::all(&ground()), Theme::default(), (80, 24));
    screen.draw();
    screen.keys(":proc");
    assert_eq!(screen.key(KeyCode::Enter), Some(Effect::Start(Job::List(2, String::new()))));
}

#[test]
fn esc_goes_back_to_the_page_that_opened_this_one() {
    let mut screen = Screen::of_fruit();
    let opened = Ok(Outcome::Open("searched", None));
    let pages: Vec<Arc<dyn Page>> = vec![Arc::new(Fruit), Arc::new(SearchedFruit)];
    screen.app = State::new(pages, 0, Theme::default(), false);
    screen.draw();
    screen.keys("w");
    assert_eq!(
        screen.app.handle_reply(Reply::Action(0, 'w', opened)),
        Some(Effect::Start(Job::List(1, String::new())))
    );
    screen.key(KeyCode::Esc);
    assert_eq!(screen.app.active, 0);
    // A page that the user opened has nothing to go back to.
    screen.keys("2");
    screen.key(KeyCode::Esc);
    assert_eq!(screen.app.active, 1);
}

#[test]
fn what_is_asked_typed_and_marked_fits_each_width() {
    let options =
        || ["anthropic   Anthropic", "deepseek    DeepSeek", "openrouter  OpenRouter"].map(str::to_owned).to_vec();
    for (width, height) in [(60, 20), (80, 24), (100, 24), (200, 24)] {
        let mut frames = String::new();
        let mut shot = |name: &str, act: &dyn Fn(&mut Screen)| {
            let mut screen = Screen::of_fruit();
            screen.terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            screen.draw();
            act(&mut screen);
            let frame = screen.frame();
            let mut lines: Vec<&str> = frame.lines().collect();
            lines.dedup();
            writeln!(frames, "== {name}\n{}\n", lines.join("\n")).unwrap();
        };
        shot("marked and ordered", &|screen| drop(screen.keys("  SS")));
        shot("an action that asks", &|screen| drop(screen.keys("e")));
        shot("the command line", &|screen| drop(screen.keys(":s")));
        shot("a filter", &|screen| drop(screen.keys("/an")));
        // What is asked is dropped with its answer.
        shot("a question", &|screen| drop(screen.ask(PromptKind::Confirm, 2)));
        shot("a choice", &|screen| drop(screen.ask(PromptKind::Select(options()), 1)));
        shot("several choices", &|screen| {
            drop(screen.ask(PromptKind::Mark(options()), 0));
            screen.draw();
            screen.key(KeyCode::Down);
            screen.keys(" ");
        });
        shot("a text", &|screen| {
            drop(screen.ask(PromptKind::Text, 0));
            screen.draw();
            screen.keys("some words");
        });
        assert_snapshot!(format!("asked_{width}"), frames);
    }
}

#[test]
fn ctrl_c_leaves_what_is_asked_or_typed_and_then_the_program() {
    let mut screen = Screen::of_fruit();
    let control = |screen: &mut Screen| {
        let effect = screen.app.handle_key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        screen.draw();
        effect
    };
    for keys in ["/che", ":pe", "?", "e"] {
        screen.keys(keys);
        assert_eq!(control(&mut screen), None, "{keys}");
        assert!(matches!(screen.app.mode, Mode::Page) && screen.app.dialogs.is_empty(), "{keys}");
    }
    assert!(screen.frame().contains("banana"));
    let mut given = screen.ask(PromptKind::Text, 0);
    screen.draw();
    assert_eq!(control(&mut screen), None);
    assert_eq!(given.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Closed));
    assert_eq!(control(&mut screen), Some(Effect::Quit));
}

#[test]
fn a_yes_is_chosen_by_arrows_and_the_first_answer_is_no() {
    let mut screen = Screen::of_fruit();
    screen.keys("e");
    assert!(screen.frame().contains("Eat `apple`? (y/N)   No   Yes"), "{}", screen.frame());
    screen.key(KeyCode::Right);
    assert_eq!(screen.key(KeyCode::Enter), Some(Effect::Start(Job::RunAction(0, 'e', vec!["apple".into()]))));
    let mut given = screen.ask(PromptKind::Confirm, 3);
    screen.draw();
    screen.key(KeyCode::Left);
    screen.key(KeyCode::Enter);
    assert_eq!(given.try_recv(), Ok(PromptReply::Confirmed));
    let mut given = screen.ask(PromptKind::Confirm, 3);
    screen.draw();
    screen.key(KeyCode::Enter);
    assert_eq!(given.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Closed));
}

#[test]
fn answers_are_chosen_by_arrows_narrowed_by_letters_and_marked_with_space() {
    let mut screen = Screen::of_fruit();
    let options = || ["anthropic", "deepseek", "kimi", "openrouter"].map(str::to_owned).to_vec();
    let mut given = screen.ask(PromptKind::Select(options()), 0);
    screen.draw();
    screen.keys("open");
    let frame = screen.frame();
    assert!(frame.contains("/open") && frame.contains("› openrouter") && !frame.contains("deepseek"), "{frame}");
    screen.key(KeyCode::Enter);
    assert_eq!(given.try_recv(), Ok(PromptReply::Selected(3)));
    let mut given = screen.ask(PromptKind::Mark(options()), 0);
    screen.draw();
    screen.key(KeyCode::Down);
    screen.keys(" ");
    screen.key(KeyCode::Down);
    screen.keys(" ");
    let frame = screen.frame();
    assert!(frame.contains(" • deepseek") || frame.contains(" •deepseek"), "{frame}");
    screen.key(KeyCode::Enter);
    assert_eq!(given.try_recv(), Ok(PromptReply::Marked(vec![1, 2])));
}

#[test]
fn the_mouse_selects_and_can_be_given_back() {
    use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
    let mut screen = Screen::of_fruit();
    let click = |screen: &mut Screen, kind, column, row| {
        let effect = screen.app.handle_mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
        screen.draw();
        effect
    };
    let left = MouseEventKind::Down(MouseButton::Left);
    assert_eq!(click(&mut screen, left, 5, 3), Some(Effect::Start(Job::Inspect(0, "banana".into()))));
    click(&mut screen, MouseEventKind::ScrollDown, 5, 3);
    assert!(screen.frame().contains("› cherry"));
    assert_eq!(click(&mut screen, left, 10, 0), Some(Effect::Start(Job::List(1, String::new()))));
    assert!(screen.app.has_mouse());
    screen.keys("M");
    assert!(!screen.app.has_mouse());
}

#[test]
fn a_job_asks_on_the_screen_and_what_it_notes_is_part_of_the_question() {
    use aiw_core::{Plan, Prompter, Question, Reporter};
    let (sender, asked) = std::sync::mpsc::channel();
    let way = JobHandle { report: Arc::new(drop), prompt: Arc::new(move |prompt| drop(sender.send(prompt))) };
    let person = TuiPrompter::new(&way);
    let job = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        person.note("mind the dog\u{202e}".to_owned());
        let plan =
            Plan { text: Some("rm -rf /\nyes? [y/N]".into()), details: vec!["it runs".into()], ..Plan::new("Go?") };
        let question = Question { name: "TOKEN".into(), secret: true, required: true, ..Question::default() };
        runtime.block_on(person.confirm(&plan, &[&question]))
    });
    let prompt = asked.recv().unwrap();
    let expected =
        ["mind the dog\\u{202e}", "it runs", "│ rm -rf /", "│ yes? [y/N]", "`TOKEN` is not set: you are asked next"];
    assert_eq!((prompt.question.as_str(), prompt.lines), ("Go?", expected.map(str::to_owned).to_vec()));
    prompt.reply_sender.send(PromptReply::Confirmed).unwrap();
    let prompt = asked.recv().unwrap();
    assert_eq!((prompt.kind, prompt.question.as_str()), (PromptKind::Secret, "Value of `TOKEN`"));
    prompt.reply_sender.send(PromptReply::Text("hush".into())).unwrap();
    let given = job.join().unwrap().unwrap();
    assert_eq!((given[0].0.as_str(), given[0].1.expose()), ("TOKEN", "hush"));
}

#[test]
fn esc_leads_to_the_question_before_and_the_answers_before_that_are_kept() {
    use aiw_core::{PromptError, Prompter};
    let (sender, asked) = std::sync::mpsc::channel();
    let way = JobHandle { report: Arc::new(drop), prompt: Arc::new(move |prompt| drop(sender.send(prompt))) };
    let person = TuiPrompter::new(&way);
    let job = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let questions = async |ask: &aiw_core::Rewind<'_>| {
            let name = ask.text("Name").await?;
            let is_good = ask.ask_yes_no("Good?", false).await?;
            Ok::<_, PromptError>((name, is_good, ask.text("Why").await?))
        };
        runtime.block_on(person.rewind(questions, |e| matches!(e, PromptError::Back)))
    });
    let mut screen = Screen::of_fruit();
    let steps = [
        ("Name", "fig", KeyCode::Enter),
        ("Good?", "", KeyCode::Esc),
        ("Name", "date", KeyCode::Enter),
        ("Good?", "", KeyCode::Char('y')),
        ("Why", "", KeyCode::Esc),
        ("Good?", "", KeyCode::Char('n')),
        ("Why", "sweet", KeyCode::Enter),
    ];
    for (question, keys, last) in steps {
        let prompt = asked.recv().unwrap();
        assert_eq!(prompt.question, question);
        screen.app.handle_prompt(prompt);
        let frame = screen.frame();
        assert_eq!(frame.contains("Esc back"), question != "Name", "{frame}");
        screen.keys(keys);
        screen.key(last);
    }
    assert_eq!(job.join().unwrap().unwrap(), (Some("date".into()), false, Some("sweet".into())));
}

/// A key, in any state.
fn any_key() -> impl Strategy<Value = KeyCode> {
    prop_oneof![
        proptest::char::range(' ', '~').prop_map(KeyCode::Char),
        prop_oneof![
            Just(KeyCode::Enter),
            Just(KeyCode::Esc),
            Just(KeyCode::Up),
            Just(KeyCode::Down),
            Just(KeyCode::Left),
            Just(KeyCode::PageDown),
            Just(KeyCode::End),
            Just(KeyCode::Tab),
            Just(KeyCode::Backspace),
        ],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_keys_at_any_size_leave_a_screen(
        keys in proptest::collection::vec((any_key(), 1u16..220, 1u16..70), 1..60),
    ) {
        let mut screen = Screen::of_fruit();
        for (key, width, height) in keys {
            screen.terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            screen.draw();
            let mut effect = screen.key(key);
            // What a job answers.
            while let Some(Effect::Start(job)) = effect {
                let way = crate::prompter::noop_job_handle();
                effect = screen.app.handle_reply(screen.app.worker()(job, &way));
            }
            prop_assert!(screen.app.active < 2);
        }
    }
}
