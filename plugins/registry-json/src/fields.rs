//! Fields of a JSON object. One that is missing, null or empty is absent; one of a wrong type is an error.

use std::fmt;

use serde_json::{Map, Value};

/// A problem with a row, such as ``its `version` is not a text``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRow(pub String);

impl fmt::Display for InvalidRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A JSON object. A field is found by its name in camel case, or by the same in snake case, which old rows have.
#[derive(Clone, Copy)]
pub struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    /// Returns a value as an object.
    pub fn new(value: &'a Value, what: &str) -> Result<Self, InvalidRow> {
        value.as_object().map(Self).ok_or_else(|| InvalidRow(format!("{what} is not an object")))
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        let found = self.0.get(name).or_else(|| self.0.get(&snake_case(name)));
        found.filter(|value| !value.is_null())
    }

    fn read<T>(&self, name: &str, kind: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, InvalidRow> {
        let wrong = || InvalidRow(format!("its `{name}` is not {kind}"));
        self.get(name).map(|value| read(value).ok_or_else(wrong)).transpose()
    }

    /// Returns a text.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, InvalidRow> {
        Ok(self.read(name, "a text", Value::as_str)?.filter(|text| !text.is_empty()))
    }

    /// Returns a text of one's own.
    pub fn string(&self, name: &str) -> Result<Option<String>, InvalidRow> {
        Ok(self.text(name)?.map(str::to_owned))
    }

    /// Returns a text, or a number or a boolean as text.
    pub fn scalar(&self, name: &str) -> Result<Option<String>, InvalidRow> {
        Ok(self.read(name, "a text, a number or a boolean", scalar)?.filter(|text| !text.is_empty()))
    }

    /// Returns a boolean, which may also be the text `true` or `false`. It is false if it is absent.
    pub fn flag(&self, name: &str) -> Result<bool, InvalidRow> {
        Ok(self.optional_flag(name)?.unwrap_or_default())
    }

    /// Returns a boolean, as [`flag`](Self::flag) does, if it is present.
    pub fn optional_flag(&self, name: &str) -> Result<Option<bool>, InvalidRow> {
        self.read(name, "a boolean", |value| match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    /// Returns a number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, InvalidRow> {
        self.read(name, "a number from 0", Value::as_u64)
    }

    /// Returns an object within this one.
    pub fn object(&self, name: &str) -> Result<Option<Self>, InvalidRow> {
        Ok(self.read(name, "an object", Value::as_object)?.map(Self))
    }

    /// Returns the fields of an object within this one.
    pub fn entries<T>(
        &self,
        name: &str,
        each: impl Fn(&'a str, &'a Value) -> Result<T, InvalidRow>,
    ) -> Result<Vec<T>, InvalidRow> {
        let fields = self.object(name)?.into_iter().flat_map(|object| object.0);
        fields.map(|(name, value)| each(name, value)).collect()
    }

    /// Returns the items of a list.
    pub fn list<T>(&self, name: &str, each: impl Fn(&'a Value) -> Result<T, InvalidRow>) -> Result<Vec<T>, InvalidRow> {
        let items = self.read(name, "a list", Value::as_array)?;
        items.into_iter().flatten().map(each).collect()
    }

    /// Returns the texts of a list, with numbers and booleans as texts.
    pub fn scalars(&self, name: &str) -> Result<Vec<String>, InvalidRow> {
        self.list(name, |item| {
            scalar(item).ok_or_else(|| InvalidRow(format!("its `{name}` has something that is not a text")))
        })
    }
}

/// Returns a text, a number or a boolean as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_absent_present_or_wrong() {
        let value = json!({"text": "x", "empty": "", "null": null, "n": 7, "yes": "True", "is_secret": true, "list": [1, "a", true]});
        let object = Object::new(&value, "it").unwrap();
        assert_eq!(
            (object.text("text"), object.text("empty"), object.text("null")),
            (Ok(Some("x")), Ok(None), Ok(None))
        );
        assert_eq!(object.text("n"), Err(InvalidRow("its `n` is not a text".to_owned())));
        assert_eq!((object.scalar("n"), object.number("n")), (Ok(Some("7".to_owned())), Ok(Some(7))));
        assert_eq!((object.flag("yes"), object.flag("isSecret"), object.flag("no")), (Ok(true), Ok(true), Ok(false)));
        assert_eq!(object.flag("text"), Err(InvalidRow("its `text` is not a boolean".to_owned())));
        assert_eq!(object.scalars("list"), Ok(vec!["1".to_owned(), "a".to_owned(), "true".to_owned()]));
        assert!(object.object("list").is_err() && object.list("text", |_| Ok(())).is_err());
    }
}
