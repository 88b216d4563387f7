//! Values as text. The engine's own `JSON.parse` compiles a script out of its text, and is many times slower.

use std::fmt;

use boa_engine::object::builtins::JsArray;
use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsObject, JsResult, JsString, JsValue};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// Returns the value that a JSON text says. The error is a sentence. The text may be nested 128 times.
pub(crate) fn parse(text: &str, context: &mut Context) -> Result<JsValue, String> {
    if has_long_number(text) {
        return parse_exactly(text, context).map_err(|e| e.to_string());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Value(context).deserialize(&mut reader).map_err(|e| e.to_string())?;
    reader.end().map_err(|e| e.to_string())?;
    Ok(value)
}

/// Whether a text has a number that serde_json may read a little wrong: one with an exponent, or with more than 15 digits. A
/// string may look like one, which costs time alone.
fn has_long_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut digits = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'.' if digits > 0 => {}
            b'e' | b'E' if digits > 0 && matches!(bytes.get(at + 1), Some(b'0'..=b'9' | b'+' | b'-')) => return true,
            _ => digits = 0,
        }
        if digits > 15 {
            return true;
        }
    }
    false
}

/// Reads JSON with the engine's own parser, which rounds as it should.
fn parse_exactly(text: &str, context: &mut Context) -> JsResult<JsValue> {
    let parse = context.get_data::<ExactParse>().map(|parse| parse.0.clone());
    let parse = parse.ok_or_else(|| boa_engine::JsNativeError::typ().with_message("no `JSON.parse`"))?;
    parse.call(&JsValue::undefined(), &[JsString::from(text).into()], context)
}

/// The engine's own `JSON.parse`, before a script could replace it.
pub(crate) struct ExactParse(pub JsObject);

/// Returns the JSON text of a value, with a `JSON.stringify` that was set aside before the script could replace it;
/// `None` for what has none, such as `undefined` and functions.
pub(crate) fn stringify_value(
    value: &JsValue,
    stringify: &JsObject,
    context: &mut Context,
) -> JsResult<Option<String>> {
    let text = stringify.call(&JsValue::undefined(), std::slice::from_ref(value), context)?;
    // What is not text in UTF-16 was escaped by `JSON.stringify`.
    Ok(text.as_string().map(|text| text.to_std_string_lossy()))
}

struct Value<'a>(&'a mut Context);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = JsValue;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<JsValue, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = JsValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<JsValue, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<JsValue, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<JsValue, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<JsValue, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<JsValue, E> {
        Ok(JsString::from(value).into())
    }

    fn visit_unit<E: Error>(self) -> Result<JsValue, E> {
        Ok(JsValue::null())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<JsValue, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Value(&mut *self.0))? {
            values.push(value);
        }
        Ok(JsArray::from_iter(values, self.0).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<JsValue, A::Error> {
        let object = JsObject::with_object_proto(self.0.intrinsics());
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Value(&mut *self.0))?;
            let key = PropertyKey::from(JsString::from(name.as_str()));
            // Not a plain assignment, which `__proto__` would turn into something else.
            object.create_data_property_or_throw(key, value, self.0).map_err(|e| A::Error::custom(e.to_string()))?;
        }
        Ok(object.into())
    }
}
