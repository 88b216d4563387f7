//! What the mouse does: it opens pages, selects rows and scrolls.

use crossterm::event::{KeyCode, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;

use super::effect::Effect;
use super::panel::Focus;
use super::state::{Mode, State};

impl State {
    pub(super) fn handle_mouse_event(&mut self, event: MouseEvent) -> Option<Effect> {
        let at = self.active;
        let is_in = |area: Rect| area.contains((event.column, event.row).into());
        let scrolls = match event.kind {
            MouseEventKind::ScrollUp => Some(KeyCode::Up),
            MouseEventKind::ScrollDown => Some(KeyCode::Down),
            MouseEventKind::Down(MouseButton::Left) => None,
            _ => return None,
        };
        if self.is_too_small || !self.dialogs.is_empty() || !matches!(self.mode, Mode::Page) {
            return None;
        }
        if scrolls.is_none()
            && let Some(tab) = self.click_areas.tabs.iter().position(|tab| is_in(*tab))
        {
            return self.open(tab);
        }
        let (list, detail) = (self.click_areas.list, self.click_areas.detail);
        let panel = self.panel();
        if panel.log.is_some() {
            scrolls.into_iter().for_each(|code| panel.move_by(code));
            return None;
        }
        if is_in(list) {
            panel.focus = Focus::List;
            match scrolls {
                Some(code) => panel.move_by(code),
                None => {
                    let y = usize::from(event.row - list.y);
                    if y > 0 && panel.list.select_at_row(y - 1) {
                        panel.reset_position();
                    }
                }
            }
        } else if is_in(detail) {
            panel.focus = Focus::Detail;
            scrolls.into_iter().for_each(|code| panel.move_by(code));
        }
        panel.inspect_selected(at).map(Effect::Start)
    }
}
