//! A session as a document.

use std::fmt::Write;

use super::view::Part;

/// A part of a session as Markdown: a heading for each message, what tools said as quoted code.
pub fn markdown(part: &Part) -> String {
    let time = |time: Option<i64>| time.and_then(|time| u64::try_from(time).ok()).map(aiw_home::rfc3339);
    let session = &part.session;
    let mut text = format!("# {}\n\n", aiw_core::one_line(&session.title, 120));
    let _ = writeln!(text, "- session: `{}`\n- cli: {}\n- project: `{}`", session.id, session.cli, session.project);
    for (what, when) in [("first", session.first), ("last", session.last)] {
        if let Some(when) = time(when) {
            let _ = writeln!(text, "- {what}: {when}");
        }
    }
    for message in &part.messages {
        let _ = write!(text, "\n## {}", message.role.as_str());
        if !message.tools.is_empty() {
            let _ = write!(text, ": {}", message.tools.join(", "));
        }
        if let Some(when) = time(message.time) {
            let _ = write!(text, " ({when})");
        }
        text.push_str("\n\n");
        let fence = fence(&message.text);
        match message.role {
            // Headings and lists of theirs would mix with those of this document.
            crate::Role::Tool => {
                let _ = writeln!(text, "{fence}\n{}\n{fence}", message.text.trim_end());
            }
            _ => {
                let _ = writeln!(text, "{}", message.text.trim_end());
            }
        }
    }
    text
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
    }
}
