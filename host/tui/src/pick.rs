//! Choosing one of a few things, with a preview of each: `aiw history search --interactive`.

use std::sync::Arc;

use crate::app::State;
use crate::event_loop::show;
use crate::output::OutputLine;
use crate::page::{Column, Detail, ListContent, Page, PageDescriptor, Row};
use crate::paint::{TextStyle, Theme};
use crate::screen::ScreenError;
use crate::text::clean;

/// The most characters of the title.
const MAX_TITLE_LEN: usize = 4_000;
/// The most lines of a preview.
const MAX_PREVIEW_LINES: usize = 2_000;

/// Returns the lines of the preview of a choice, by its place. It may take time.
pub type PreviewFn = dyn Fn(usize) -> Vec<String> + Send + Sync;

/// Lets the user choose. Returns the place of the choice, or `None` if they left without one. Standard output must be a
/// terminal; the same holds for signals as with [`crate::open`].
///
/// # Errors
///
/// As [`crate::open`].
pub fn pick(title: &str, choices: &[String], previews: Arc<PreviewFn>) -> Result<Option<usize>, ScreenError> {
    let mut state = picker(title, choices, previews);
    show(&mut state)?;
    Ok(state.picked.and_then(|place| place.parse().ok()))
}

fn picker(title: &str, choices: &[String], previews: Arc<PreviewFn>) -> State {
    let page = Choices { choices: choices.to_vec(), previews };
    State::picker(Arc::new(page), clean(title, MAX_TITLE_LEN), Theme::default())
}

/// The page of what can be chosen.
struct Choices {
    choices: Vec<String>,
    previews: Arc<PreviewFn>,
}

static PAGE: PageDescriptor = PageDescriptor { columns: &[Column::new("")], ..PageDescriptor::EMPTY };

impl Page for Choices {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let row =
            |(place, choice): (usize, &String)| Row::new(place.to_string(), TextStyle::Plain, "", [choice.clone()]);
        Ok(ListContent::new(self.choices.iter().enumerate().map(row).collect(), []))
    }

    fn detail(&self, id: &str) -> Detail {
        let lines = id.parse().map_or_else(|_| Vec::new(), |place| (self.previews)(place));
        let lines = lines.iter().take(MAX_PREVIEW_LINES).map(OutputLine::plain).collect();
        Detail { lines, ..Detail::default() }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::app::{Effect, Job};
    use crate::prompter::noop_job_handle;

    /// A choice on a screen in memory, whose jobs are done at once unless they are held.
    struct Picker {
        state: State,
        held: Option<Job>,
    }

    impl Picker {
        fn new() -> Self {
            let choices: Vec<String> = (0..5).map(|n| format!("choice {n}\u{1b}[31m")).collect();
            let previews: Arc<PreviewFn> = Arc::new(|place| vec![format!("preview of {place}"), "登录 ".repeat(30)]);
            let mut picker = Self { state: picker("3 hits", &choices, previews), held: None };
            let list = picker.state.initial_job();
            picker.held = list;
            picker.finish();
            picker
        }

        /// Does the job that is held. Returns the next one.
        fn finish(&mut self) -> Option<Job> {
            let job = self.held.take()?;
            let reply = self.state.worker()(job, &noop_job_handle());
            if let Some(Effect::Start(next)) = self.state.handle_reply(reply) {
                self.held = Some(next);
            }
            self.held.clone()
        }

        fn press(&mut self, code: KeyCode) -> Option<Effect> {
            let effect = self.state.handle_key(KeyEvent::from(code));
            if let Some(Effect::Start(job)) = &effect {
                self.held = Some(job.clone());
            }
            effect
        }

        fn drawn(&mut self, width: u16, height: u16) -> String {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| self.state.draw(frame)).unwrap();
            terminal.backend().to_string()
        }
    }

    #[test]
    fn arrows_move_enter_chooses_and_the_preview_follows() {
        let mut pick = Picker::new();
        assert_eq!(pick.held, Some(Job::Inspect(0, "0".into())));
        assert!(!pick.drawn(40, 20).contains("preview"));
        // While one preview is read, no other is.
        assert_eq!(pick.press(KeyCode::Down), None);
        assert_eq!(pick.finish(), Some(Job::Inspect(0, "1".into())));
        assert_eq!(pick.finish(), None);
        let frame = pick.drawn(40, 20);
        assert!(frame.contains("› choice 1") && frame.contains("preview of 1") && !frame.contains('\u{1b}'), "{frame}");
        assert_eq!(pick.press(KeyCode::End), Some(Effect::Start(Job::Inspect(0, "4".into()))));
        assert_eq!(pick.press(KeyCode::Enter), Some(Effect::Quit));
        assert_eq!(pick.state.picked.as_deref(), Some("4"));
    }

    #[test]
    fn typing_narrows_and_the_choice_is_among_what_is_left() {
        let mut pick = Picker::new();
        for letter in "4 CHOice".chars() {
            pick.press(KeyCode::Char(letter));
        }
        let frame = pick.drawn(60, 20);
        assert!(frame.contains("1 with: 4 CHOice") && frame.contains("› choice 4"), "{frame}");
        assert!(!frame.contains("choice 2"), "{frame}");
        // What nothing has leaves nothing to choose, and a letter less brings it back.
        pick.press(KeyCode::Char('x'));
        assert!(!pick.drawn(60, 20).contains("choice 4"));
        assert_eq!(pick.press(KeyCode::Enter), None);
        pick.press(KeyCode::Backspace);
        assert_eq!(pick.press(KeyCode::Enter), Some(Effect::Quit));
        assert_eq!(pick.state.picked.as_deref(), Some("4"));
        // Leaving shows all first, with the same one selected.
        assert_ne!(pick.press(KeyCode::Esc), Some(Effect::Quit));
        assert!(pick.drawn(60, 20).contains("› choice 4"));
        assert_eq!(pick.press(KeyCode::Esc), Some(Effect::Quit));
    }

    #[test]
    fn leaving_chooses_nothing_and_any_size_can_be_drawn() {
        let mut pick = Picker::new();
        for (width, height) in [(1, 1), (3, 2), (80, 4), (20, 4), (10, 13), (200, 60)] {
            pick.press(KeyCode::Down);
            pick.drawn(width, height);
        }
        assert_eq!(pick.press(KeyCode::Esc), Some(Effect::Quit));
        assert_eq!(pick.state.picked, None);
    }
}
