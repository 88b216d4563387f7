//! What a model sent, as the code in it: thoughts and prose stand around the code, which stands in a fence.

use std::borrow::Cow;

/// The languages, named behind a fence, of code that runs here.
const FENCE_LANGUAGES: [&str; 7] = ["", "js", "javascript", "mjs", "ts", "typescript", "jsx"];

/// Returns the code in what a model sent: the first block that can be JavaScript, or all of it but thoughts. Lines stay where
/// they were. In a file with the head of a kept workflow nothing is looked for: what is in it is what was approved.
pub fn extract_code(sent: &str) -> Cow<'_, str> {
    if has_head(sent) {
        return sent.into();
    }
    let text = without_thoughts(sent);
    // A fence is JavaScript, too (templates of nothing), and nobody means that. In a template it can't stand as it is.
    match text.lines().any(is_fence) {
        true => out_of_fence(&text).into(),
        false => text,
    }
}

/// Whether a script has the head of a kept workflow: a comment that begins with `/*---`, after comments of one line.
fn has_head(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_start);
    lines.find(|line| !line.is_empty() && !line.starts_with("//")).is_some_and(|line| line.starts_with("/*---"))
}

fn is_fence(line: &str) -> bool {
    line.trim_start().starts_with("```")
}

fn without_thoughts(sent: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(sent);
    while text.trim_start().starts_with("<think>")
        && let Some(end) = text.find("</think>")
    {
        blank(text.to_mut(), 0, end + "</think>".len());
    }
    text
}

fn out_of_fence(text: &str) -> String {
    let mut opened: Option<(usize, bool)> = None;
    let mut code = text.to_owned();
    let (mut at, mut in_comment, last_end) = (0, false, text.rfind("*/").unwrap_or_default());
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        // A comment is not code, whatever it looks like.
        in_comment = match in_comment {
            true => !line.contains("*/"),
            false => opened.is_none() && opens_comment(line) && last_end >= at,
        };
        if in_comment {
            continue;
        }
        let Some(language) = line.trim().strip_prefix("```") else { continue };
        match opened.take() {
            None => opened = Some((at, FENCE_LANGUAGES.contains(&language.trim().to_ascii_lowercase().as_str()))),
            Some((open, true)) => {
                blank(&mut code, start, text.len());
                blank(&mut code, 0, open);
                return code;
            }
            Some((_, false)) => {}
        }
    }
    if let Some((open, true)) = opened {
        // It was cut off before its end.
        blank(&mut code, 0, open);
    }
    code
}

/// Whether a line begins a comment of several lines.
fn opens_comment(line: &str) -> bool {
    line.trim_start().strip_prefix("/*").is_some_and(|rest| !rest.contains("*/"))
}

/// Empties the lines of a part, from its beginning to its end.
fn blank(text: &mut String, start: usize, end: usize) {
    let lines = "\n".repeat(text[start..end].matches('\n').count());
    text.replace_range(start..end, &lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_taken_out_of_what_stands_around_it_and_keeps_its_lines() {
        for (sent, code) in [
            ("return 1", "return 1"),
            ("```js\nreturn 1\n```", "\nreturn 1\n"),
            ("Here it is:\n\n```js\nreturn 1\n```\nIt returns 1.", "\n\n\nreturn 1\n\n"),
            ("// It returns 1.\n```\nreturn 1\n```\n", "\n\nreturn 1\n\n"),
            ("/* It returns 1. */\n  ```javascript\nreturn 1\n  ```", "\n\nreturn 1\n"),
            ("<think>\n```js\nno\n```</think>```ts\nreturn 1\n```", "\n\n\n\nreturn 1\n"),
            ("```json\n{}\n```\n```js\nreturn 1", "\n\n\n\nreturn 1"),
            // Leave text that is not JavaScript: the parser reports it.
            ("```python\nreturn 1\n```", "```python\nreturn 1\n```"),
            // A fence in a comment is a comment.
            (
                "function workflow() { return 1 }\n/*\n```js\nreturn evil()\n```\n*/",
                "function workflow() { return 1 }\n/*\n```js\nreturn evil()\n```\n*/",
            ),
            ("/*\n```js\nno()\n```\n*/\n```js\nreturn 1\n```", "\n\n\n\n\n\nreturn 1\n"),
            ("/* no end\n```js\nreturn 1\n```", "\n\nreturn 1\n"),
            ("return `a\\`\\`\\`b`", "return `a\\`\\`\\`b`"),
            (
                "/*---\ndescription: x\n---*/\n/*\n```js\nno\n```\n*/",
                "/*---\ndescription: x\n---*/\n/*\n```js\nno\n```\n*/",
            ),
        ] {
            assert_eq!(extract_code(sent), code, "{sent:?}");
        }
    }
}
