//! Header values: literal text, or secrets by name.

use crate::{Secret, Value};

impl Secret {
    /// Names a secret of the account, such as `token`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), prefix: String::new() }
    }

    /// Names a secret and prefixes it with `Bearer `, for an `authorization` header.
    pub fn bearer(name: impl Into<String>) -> Self {
        Self { name: name.into(), prefix: "Bearer ".to_owned() }
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Literal(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Literal(text.to_owned())
    }
}
