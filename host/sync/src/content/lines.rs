//! Three texts made one, line by line.

/// The longest texts that are merged by lines: comparing takes time that grows with the square of what differs.
const MAX_BYTES: usize = 1 << 20;
const MAX_LINES: usize = 5_000;

/// Whether texts are short enough to be compared by lines.
pub(super) fn is_short(text: &str) -> bool {
    text.len() <= MAX_BYTES && text.lines().count() <= MAX_LINES
}

/// Merges texts; None if both sides changed the same lines, or a text is too long. Line ends and the last one are merged
/// as a part of their own.
pub(super) fn merge_texts(base: &str, mine: &str, theirs: &str) -> Option<String> {
    if ![base, mine, theirs].into_iter().all(is_short) {
        return None;
    }
    let ends = [base, mine, theirs].map(LineEnds::of);
    let [Some(base_ends), Some(mine_ends), Some(their_ends)] = ends else {
        // Mixed line ends are a part of each line.
        return merged_lines(base, mine, theirs);
    };
    let is_crlf = choose(base_ends.is_crlf, mine_ends.is_crlf, their_ends.is_crlf);
    let has_last = choose(base_ends.has_last, mine_ends.has_last, their_ends.has_last);
    let [base, mine, theirs] = [base, mine, theirs].map(plain);
    let mut text = merged_lines(&base, &mine, &theirs)?;
    if !has_last && text.ends_with('\n') {
        text.pop();
    }
    Some(if is_crlf { text.replace('\n', "\r\n") } else { text })
}

fn merged_lines(base: &str, mine: &str, theirs: &str) -> Option<String> {
    diffy::merge(base, mine, theirs).ok()
}

/// Of two answers and the one from which both come: that which changed.
fn choose(base: bool, mine: bool, theirs: bool) -> bool {
    if mine == base { theirs } else { mine }
}

/// How the lines of a text end.
struct LineEnds {
    is_crlf: bool,
    has_last: bool,
}

impl LineEnds {
    /// None: not all alike.
    fn of(text: &str) -> Option<Self> {
        let all = text.matches('\n').count();
        let crlf = text.matches("\r\n").count();
        let is_alike = crlf == 0 || (crlf == all && text.matches('\r').count() == all);
        is_alike.then(|| Self { is_crlf: crlf > 0, has_last: text.is_empty() || text.ends_with('\n') })
    }
}

/// A text whose lines all end alike.
fn plain(text: &str) -> String {
    let mut text = text.replace("\r\n", "\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The differences of two texts, as a unified diff; None if one is too long.
pub(super) fn diff(old: &str, new: &str) -> Option<String> {
    (is_short(old) && is_short(new)).then(|| diffy::create_patch(old, new).to_string())
}

/// The differences of two texts as [`diff`], with every line that is the same. Of texts that are too long to be compared, all
/// lines.
pub(super) fn full_context_diff(old: &str, new: &str) -> Option<String> {
    if is_short(old) && is_short(new) {
        return Some(diffy::DiffOptions::new().set_context_len(MAX_LINES).create_patch(old, new).to_string());
    }
    let lines = |sign: char, text: &str| text.lines().map(|line| format!("{sign}{line}\n")).collect::<String>();
    Some(format!("--- original\n+++ modified\n{}{}", lines('-', old), lines('+', new)))
}
