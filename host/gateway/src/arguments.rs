use serde_json::{Map, Value};

use crate::error::CallError;

/// A tool's arguments, taken one by one. Models write numbers as text and leave things `null`:
/// what can only mean one thing is taken as that.
pub(crate) struct Arguments {
    given: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Arguments {
    pub(crate) fn new(given: Map<String, Value>) -> Self {
        Self { given, known: Vec::new() }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        // Absent and `null` are one.
        self.given.shift_remove(name).filter(|value| !value.is_null())
    }

    /// A text that may be missing.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, CallError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(CallError::Wrong { name, what: "a string" }),
        }
    }

    /// A text that must be there; `what` says what it is.
    pub(crate) fn required(&mut self, name: &'static str, what: &'static str) -> Result<String, CallError> {
        self.text(name)?.ok_or(CallError::Missing { name, what })
    }

    /// A whole number that may be missing, within the bounds that the tool's schema tells.
    pub(crate) fn number(&mut self, name: &'static str, least: u64, most: u64) -> Result<Option<u64>, CallError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match &value {
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        number.map(Some).ok_or(CallError::Range { name, least, most })
    }

    /// A yes or no; no where it is missing.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, CallError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(yes)) => Ok(yes),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => Err(CallError::Wrong { name, what: "true or false" }),
        }
    }

    /// The task that is meant: by `id`, by `pid`, or by both.
    pub(crate) fn task(&mut self) -> Result<Named, CallError> {
        let pid = self.number("pid", 1, u32::MAX.into())?.and_then(|pid| u32::try_from(pid).ok());
        let id = match self.take("id") {
            None => None,
            Some(Value::String(text)) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            // A process id where the task's was asked for.
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => return Err(CallError::Wrong { name: "id", what: "a string" }),
        };
        let what = "the task's id as `start_task` and `list_tasks` give it; or give its `pid`";
        match (id, pid) {
            (None, None) => Err(CallError::Missing { name: "id", what }),
            (id, pid) => Ok(Named { id, pid }),
        }
    }

    /// Nothing else was given. What a tool does not know is not passed over: it was meant to do
    /// something.
    pub(crate) fn end(self) -> Result<(), CallError> {
        match self.given.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(CallError::UnknownArgument { name, known: self.known }),
        }
    }
}

/// How a task is named: by one of these at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its id, the beginning of that, or a process id as text.
    pub id: Option<String>,
    /// Its process id and nothing else.
    pub pid: Option<u32>,
}

/// `30.0` is 30.
fn whole(number: f64) -> Option<u64> {
    // Below 2^53 every whole number is one of `f64`'s.
    let fits = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and within the range")]
    fits.then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Arguments {
        Arguments::new(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn what_can_only_mean_one_thing_is_taken() {
        for (value, expected) in
            [(json!(30), Some(30)), (json!(30.0), Some(30)), (json!("30"), Some(30)), (json!(null), None)]
        {
            assert_eq!(of(json!({"n": value})).number("n", 1, 30).unwrap(), expected);
        }
        for value in
            [json!(-1), json!(0), json!(31), json!(1.5), json!("x"), json!(1e300), json!([1]), json!({}), json!(true)]
        {
            let error = of(json!({"n": value})).number("n", 1, 30).unwrap_err();
            assert_eq!(error.to_string(), "the argument `n` must be a whole number from 1 to 30");
        }
        let named = |value| of(value).task().unwrap();
        assert_eq!(named(json!({"id": 4711})), Named { id: Some("4711".into()), pid: None });
        assert_eq!(named(json!({"id": "", "pid": "4711"})), Named { id: None, pid: Some(4711) });
        assert_eq!(of(json!({})).task().unwrap_err().to_string(), "the argument `id` is missing");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let mut arguments = of(json!({"all": true, "bypass": true}));
        assert!(arguments.flag("all").unwrap());
        let error = arguments.end().unwrap_err();
        assert_eq!(error.text(), "`bypass` is no argument of this tool\nhint: it takes all");
    }
}
