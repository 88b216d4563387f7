//! A session as a document.

use std::fmt::Write;

use super::view::SessionView;
use crate::MessageAuthor;

/// A part of a session as Markdown: a heading for each message. What a person and tools said is quoted as code, what a
/// model said as a block quote, so that no heading, comment or open fence of theirs changes what this document says.
pub fn render_markdown(part: &SessionView) -> String {
    let time = |time: Option<i64>| time.and_then(|time| u64::try_from(time).ok()).map(aiw_home::rfc3339);
    let session = &part.session;
    let mut text = format!("# {}\n\n", aiw_core::one_line(&session.title, 120));
    let _ = writeln!(
        text,
        "- session: {}\n- cli: {}\n- project: {}",
        code(&session.id),
        session.cli,
        code(&session.project)
    );
    for (what, when) in [("first", session.first_message_time), ("last", session.last_message_time)] {
        if let Some(when) = time(when) {
            let _ = writeln!(text, "- {what}: {when}");
        }
    }
    for message in &part.messages {
        let _ = write!(text, "\n## {}", message.role.as_str());
        if !message.tools.is_empty() {
            let _ = write!(text, ": {}", aiw_core::one_line(&message.tools.join(", "), 200));
        }
        if let Some(when) = time(message.time) {
            let _ = write!(text, " ({when})");
        }
        text.push_str("\n\n");
        let said = message.text.trim_end();
        let fence = fence(said);
        let kind = if message.role == MessageAuthor::User { "markdown" } else { "" };
        match message.role {
            MessageAuthor::User | MessageAuthor::Tool => {
                let _ = writeln!(text, "{fence}{kind}\n{said}\n{fence}");
            }
            MessageAuthor::Assistant => {
                for line in said.lines() {
                    let _ = writeln!(text, "{}", format!("> {line}").trim_end());
                }
            }
        }
    }
    text
}

/// A text as code on one line.
fn code(text: &str) -> String {
    let text = aiw_core::one_line(text, 4096);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    match longest {
        0 => format!("`{text}`"),
        longest => {
            let mark = "`".repeat(longest + 1);
            format!("{mark} {text} {mark}")
        }
    }
}

/// A fence that the text does not have.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        assert_eq!(fence("plain"), "```");
        assert_eq!(fence("a ```` b"), "`````");
        assert_eq!(code("/srv/x"), "`/srv/x`");
        assert_eq!(code("/srv/y`\n\n## assistant"), "`` /srv/y` ## assistant ``");
    }
}
