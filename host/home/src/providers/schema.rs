//! The JSON Schema of `providers.json`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aiw_core::{Api, CliKind, Family};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::{Choice, PoolMember, Provider, ProviderPool, SecretRef, Text, VERSION};

/// Gives types their schema where it does not follow from their fields. Those in brackets are only for schemas.
macro_rules! schemas {
    ($($([$new:ident])? $($type:ident)?: $schema:tt)+) => {$(
        $(pub(super) struct $new;)?

        impl JsonSchema for $($new)? $($type)? {
            fn schema_name() -> Cow<'static, str> {
                stringify!($($new)? $($type)?).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

/// A schema within another one.
fn of<T: JsonSchema>() -> Schema {
    T::json_schema(&mut SchemaGenerator::default())
}

schemas! {
    [Version]: {"const": VERSION}
    [Name]: {"type": "string", "pattern": "^(?!own$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"}
    [Variable]: {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,255}$"}
    [Header]: {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
    [Url]: {"type": "string", "format": "uri", "pattern": "^https?://[^/?#@]+(/[^?#]*)?$"}
    [CliWord]: {"type": "string", "enum": CliKind::ALL}
    [FamilyWord]: {"type": "string", "enum": Family::ALL}
    [ApiWord]: {"type": "string", "enum": Api::ALL}
    [ModelUse]: {"type": "string", "enum": ["large", "medium", "small", "claude", "codex", "gemini"]}
    Choice: {"anyOf": [{"type": "string"}, of::<BTreeMap<CliWord, String>>()]}
    SecretRef: {"anyOf": [
        {
            "description": "A secret in the vault: `aiw secret set NAME` stores it.",
            "type": "object", "properties": {"secret": of::<Name>()}, "required": ["secret"],
            "additionalProperties": false
        },
        {
            "description": "A variable of the environment, read at each run.",
            "type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"
        }
    ]}
    Text: {"anyOf": [of::<SecretRef>(), {"type": "string"}]}
    PoolMember: {"anyOf": [of::<Name>(), {
        "type": "object", "required": ["provider"],
        "properties": {"provider": of::<Name>(), "model": {"type": "string"}}
    }]}
}

/// providers.json of aiw
#[derive(JsonSchema)]
#[expect(dead_code, reason = "its schema is used")]
struct File {
    #[schemars(with = "Version")]
    version: u64,
    /// The provider of runs that name none: for all CLIs, or for each.
    default: Option<Choice>,
    /// Several providers under one name: `aiw pool`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<Name, ProviderPool>")]
    pools: (),
    /// The providers.
    #[serde(default)]
    #[schemars(with = "BTreeMap<Name, Provider>")]
    providers: (),
}

/// The JSON Schema of `providers.json` (draft 2020-12).
pub fn providers_schema() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_each_field_that_is_written_and_no_other() {
        let provider = Provider::new("x".parse().unwrap(), "p");
        let written: Vec<String> = crate::entry::fields(&provider).into_iter().map(|(name, _)| name).collect();
        let schema = providers_schema();
        let known: Vec<String> =
            schema["$defs"]["Provider"]["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(known, written);
    }
}
