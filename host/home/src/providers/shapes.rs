//! The shapes of single values in `providers.json`, for its schema.

use std::borrow::Cow;

use aiw_core::{Api, CliKind, Family};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::documents::PROVIDERS_VERSION;

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

pub(super) use schemas;

schemas! {
    [Version]: {"const": PROVIDERS_VERSION}
    [Name]: {"type": "string", "pattern": "^(?!own$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"}
    [Variable]: {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,255}$"}
    [Header]: {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
    [Url]: {"type": "string", "format": "uri", "pattern": "^https?://[^/?#@]+(/[^?#]*)?$"}
    [CliWord]: {"type": "string", "enum": CliKind::ALL}
    [FamilyWord]: {"type": "string", "enum": Family::ALL}
    [ApiWord]: {"type": "string", "enum": Api::ALL}
    [ModelUse]: {"type": "string", "enum": ["large", "medium", "small", "claude", "codex", "gemini"]}
}
