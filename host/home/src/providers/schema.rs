//! The JSON Schema of `providers.json`.

use aiw_core::{Api, CliKind, Family};
use serde_json::{Value, json};

use super::{OWN, PoolOrder, ProviderPool, VERSION};

/// The JSON Schema of `providers.json` (draft 2020-12).
// Long: one schema.
pub fn providers_schema() -> Value {
    let clis = CliKind::ALL.map(CliKind::as_str);
    let families = Family::ALL.map(Family::as_str);
    let name = json!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"});
    let variable = json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,255}$"});
    let reference = json!([
        {
            "description": "A secret in the vault: `aiw secret set NAME` stores it.",
            "type": "object", "properties": {"secret": name}, "required": ["secret"], "additionalProperties": false
        },
        {
            "description": "A variable of the environment, read at each run.",
            "type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"
        }
    ]);
    let choice = json!({
        "anyOf": [
            name,
            {"type": "object", "propertyNames": {"enum": clis}, "additionalProperties": name}
        ]
    });
    let url = json!({"type": "string", "format": "uri", "pattern": "^https?://[^/?#@]+(/[^?#]*)?$"});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "providers.json of aiw",
        "type": "object",
        "properties": {
            "version": {"const": VERSION},
            "default": {
                "description": "The provider of runs that name none: for all CLIs, or for each.",
                "anyOf": choice["anyOf"]
            },
            "pools": {
                "description": "Several providers under one name: `aiw pool`.",
                "type": "object",
                "propertyNames": {"allOf": [name, {"not": {"const": OWN}}]},
                "additionalProperties": {
                    "type": "object",
                    "properties": {
                        "members": {
                            "description": "The providers, the preferred one first.",
                            "type": "array", "minItems": 1, "maxItems": ProviderPool::MOST,
                            "items": {"anyOf": [
                                name,
                                {
                                    "type": "object", "required": ["provider"],
                                    "properties": {"provider": name, "model": {"type": "string"}}
                                }
                            ]}
                        },
                        "choose": {
                            "description": "How a member is chosen for a new session.",
                            "enum": PoolOrder::ALL.map(PoolOrder::as_str)
                        }
                    },
                    "required": ["members"]
                }
            },
            "providers": {
                "type": "object",
                "propertyNames": {"allOf": [name, {"not": {"const": OWN}}]},
                "additionalProperties": {"$ref": "#/$defs/provider"}
            }
        },
        "required": ["version"],
        "$defs": {
            "reference": {"anyOf": reference},
            "provider": {
                "type": "object",
                "properties": {
                    "preset": {"description": "What it is: `aiw provider presets` shows them.", "type": "string"},
                    "component": {"description": "The component that knows the preset.", "type": "string"},
                    "id": {
                        "description": "A random word for places where the name could mean something else. aiw writes it.",
                        "type": "string", "pattern": "^[a-z0-9-]{1,64}$"
                    },
                    "origins": {
                        "description": "Where the preset led when you agreed to it. The secrets go nowhere else. aiw writes it.",
                        "type": "object", "propertyNames": {"enum": families}, "additionalProperties": url
                    },
                    "base_urls": {
                        "description": "The base URL, unless the preset defines it: `openai` with `/v1`, the others without.",
                        "type": "object", "propertyNames": {"enum": families}, "additionalProperties": url
                    },
                    "api": {
                        "description": "The API that the address speaks, if it is not what the preset expects.",
                        "enum": Api::ALL
                    },
                    "gateway": {
                        "description": "Whether CLIs that speak its API go through aiw's gateway all the same, which keeps its key.",
                        "type": "boolean"
                    },
                    "model": {"type": "string"},
                    "models": {
                        "description": "Its models in place of a vendor's by size, and the main one for single CLIs.",
                        "type": "object",
                        "propertyNames": {"enum": ["large", "medium", "small", "claude", "codex", "gemini"]},
                        "additionalProperties": {"type": "string"}
                    },
                    "clis": {
                        "description": "The CLIs that can use it; if absent, all that it works with.",
                        "type": "array", "items": {"enum": clis}, "uniqueItems": true
                    },
                    "scenario": {"description": "What it is for, in your words.", "type": "string"},
                    "env": {
                        "description": "Variables of its runs.",
                        "type": "object", "propertyNames": variable,
                        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/reference"}, {"type": "string"}]}
                    },
                    "headers": {
                        "description": "Headers that its CLIs send with each request.",
                        "type": "object", "propertyNames": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
                        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/reference"}, {"type": "string"}]}
                    },
                    "token": {"$ref": "#/$defs/reference"},
                    "secrets": {
                        "description": "Further secrets, for components that take several.",
                        "type": "object", "propertyNames": name, "additionalProperties": {"$ref": "#/$defs/reference"}
                    },
                    "withhold": {
                        "description": "The variables with its secrets that runs with other providers must not see; if absent, those whose names end in `_KEY`.",
                        "type": "array", "items": variable, "uniqueItems": true
                    }
                },
                "required": ["preset"]
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Provider;

    #[test]
    fn the_schema_knows_each_field_that_is_written_and_no_other() {
        let provider = Provider::new("x".parse().unwrap(), "p");
        let written: Vec<String> = crate::entry::fields(&provider).into_iter().map(|(name, _)| name).collect();
        let schema = providers_schema();
        let known: Vec<String> =
            schema["$defs"]["provider"]["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(known, written);
    }
}
