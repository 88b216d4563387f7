//! A long request asks for several things: its clauses are looked for one by one.

/// The most clauses of a request. What follows counts only in the request as a whole.
const MAX_CLAUSES: usize = 16;

/// The clauses of a request, cut where a sentence or a part of it ends. Empty if it has only one.
pub fn clauses(text: &str) -> Vec<&str> {
    let mut clauses = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        // `3.5`, `example.com` and `12:30` go on.
        let is_end = match c {
            '.' | ';' | ':' | '?' | '!' => next.is_none_or(char::is_whitespace),
            '\n' | '。' | '；' | '：' | '？' | '！' => true,
            _ => false,
        };
        if is_end {
            let end = at + c.len_utf8();
            clauses.push(&text[start..end]);
            start = end;
        }
    }
    clauses.push(&text[start..]);
    // A clause has more than one word that means something.
    clauses.retain(|clause| crate::words(clause).len() > 1);
    clauses.truncate(MAX_CLAUSES);
    if clauses.len() > 1 { clauses } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_cut_where_a_sentence_ends() {
        let text = "Take a screenshot of example.com. Then send it by mail: use version 3.5! Thanks.";
        let cut: Vec<&str> = clauses(text).into_iter().map(str::trim).collect();
        assert_eq!(cut, ["Take a screenshot of example.com.", "Then send it by mail:", "use version 3.5!"]);
        assert_eq!(clauses("Take a screenshot of example.com."), [""; 0]);
        assert_eq!(clauses("打开网页。保存截图").len(), 2);
        assert_eq!(clauses(&"one two. ".repeat(99)).len(), MAX_CLAUSES);
        assert_eq!(clauses(""), [""; 0]);
    }
}
