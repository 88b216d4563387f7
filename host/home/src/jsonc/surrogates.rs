//! Unpaired surrogates in a text that is edited: they must stay as they are written, and no parser takes them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;

use aiw_core::unpaired_surrogates;
use serde_json::Value;

use crate::config_tree::ConfigTree;

/// A text of JSON with a private character for each escape of an unpaired surrogate.
#[derive(Debug, Clone)]
pub(super) struct MarkedText {
    text: String,
    /// The escapes by the characters that stand for them. None of these was in the text.
    marks: BTreeMap<char, String>,
}

impl MarkedText {
    pub(super) fn new(text: &str) -> Self {
        let mut marks = BTreeMap::<char, String>::new();
        // From the end of the last private plane.
        let mut free = ('\u{100000}'..='\u{10fffd}').rev().filter(|mark| !text.contains(*mark));
        let mut marked = String::with_capacity(text.len());
        let mut rest = 0;
        for at in unpaired_surrogates(text.as_bytes()) {
            let escape = &text[at..at + 6];
            let known = marks.iter().find(|(_, known)| *known == escape).map(|(mark, _)| *mark);
            // With more ways to write surrogates than there are characters, the text stays as no parser takes it.
            let Some(mark) = known.or_else(|| free.next()) else { break };
            marks.insert(mark, escape.to_owned());
            marked.push_str(&text[rest..at]);
            marked.push(mark);
            rest = at + 6;
        }
        marked.push_str(&text[rest..]);
        Self { text: marked, marks }
    }

    /// Returns the text with the escapes as they were.
    pub(super) fn unmarked(&self) -> Cow<'_, str> {
        if self.marks.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        let mut text = String::with_capacity(self.text.len());
        for character in self.text.chars() {
            match self.marks.get(&character) {
                Some(escape) => text.push_str(escape),
                None => text.push(character),
            }
        }
        Cow::Owned(text)
    }

    /// Returns a value of the text with U+FFFD for unpaired surrogates.
    pub(super) fn lossy_value(&self, value: Value) -> Value {
        if self.marks.is_empty() { value } else { self.replaced(value) }
    }

    /// Returns a tree of the text with U+FFFD for unpaired surrogates: other files have other characters for them.
    pub(super) fn lossy_tree(&self, mut tree: ConfigTree) -> ConfigTree {
        if !self.marks.is_empty() {
            tree.replace_strings(&mut Vec::new(), &mut |_, text| self.is_in(text).then(|| self.replaced_text(text)));
        }
        tree
    }

    /// Replaces the text after an edit.
    pub(super) fn replace(&mut self, text: String) {
        self.text = text;
    }

    fn is_in(&self, text: &str) -> bool {
        text.contains(|character| self.marks.contains_key(&character))
    }

    fn replaced_text(&self, text: &str) -> String {
        text.replace(|character| self.marks.contains_key(&character), "\u{fffd}")
    }

    fn replaced(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.replaced_text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.replaced(item)).collect()),
            Value::Object(fields) => {
                fields.into_iter().map(|(key, value)| (self.replaced_text(&key), self.replaced(value))).collect()
            }
            other => other,
        }
    }
}

impl Deref for MarkedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Jsonc;

    #[test]
    fn an_edit_leaves_unpaired_surrogates_as_they_are_written() {
        let text = "{\n  // cut\n  \"a\": [\"x \\ud83d\", \"\\uDE00\"],\n  \"b\": 1\n}\n";
        let mut file = Jsonc::parse(text.as_bytes()).unwrap();
        assert_eq!(file.get(&["a"]), Some(&json!(["x \u{fffd}", "\u{fffd}"])));
        file.set(&["c"], &json!(2)).unwrap();
        assert_eq!(file.text(), text.replace("1\n}", "1,\n  \"c\": 2\n}"));
        file.remove(&["c"]).unwrap();
        assert_eq!(file.text(), text);
        // A value that moves to another file has U+FFFD there.
        let moved = file.tree().unwrap().get(&["a"]).unwrap().clone();
        let mut other = Jsonc::parse(b"{}").unwrap();
        other.set_tree(&["a"], &moved).unwrap();
        assert_eq!(other.get(&["a"]), Some(&json!(["x \u{fffd}", "\u{fffd}"])));
    }

    #[test]
    fn characters_of_the_private_planes_stay() {
        let texts = [
            "{\"a\": \"\u{10fffd}\u{100001}\"}",
            "{\"a\": \"\\uDBC0\\udc01\"}",
            "{\"a\": \"\u{10fffd} \\udb80 \\ud83d C:\\\\udbtools \\udb40\\udc67\"}",
        ];
        for text in texts {
            let mut file = Jsonc::parse(text.as_bytes()).unwrap();
            let value = json!({"x": "\u{100001}"});
            file.set(&["b"], &value).unwrap();
            assert_eq!(Jsonc::parse(file.text().as_bytes()).unwrap().get(&["b"]), Some(&value));
            file.remove(&["b"]).unwrap();
            assert_eq!(file.text(), text);
        }
    }

    proptest! {
        #[test]
        fn each_text_comes_back(text in "[\\\\ud8f0-9a-c \u{10fffd}]{0,40}") {
            prop_assert_eq!(MarkedText::new(&text).unmarked().into_owned(), text);
        }
    }
}
