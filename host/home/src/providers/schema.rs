//! The JSON Schema of `providers.json`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::shapes::{CliWord, Name, Version, schemas};
use super::{CliChoice, PoolMember, Provider, ProviderPool, SecretRef, TextOrSecret};

/// A schema within another one.
fn of<T: JsonSchema>() -> Schema {
    T::json_schema(&mut SchemaGenerator::default())
}

schemas! {
    CliChoice: {"anyOf": [{"type": "string"}, of::<BTreeMap<CliWord, String>>()]}
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
    TextOrSecret: {"anyOf": [of::<SecretRef>(), {"type": "string"}]}
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
    default: Option<CliChoice>,
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
