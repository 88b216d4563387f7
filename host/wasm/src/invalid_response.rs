//! The rules that a component's answer can break.

use aiw_core::{Api, HeaderName, InvalidName, is_safe, one_line};

/// A problem with an answer, as the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidResponse {
    #[error("has {0}")]
    Prefixed(Box<Self>),
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("{what} that is not one line of 1 to {limit} printable {unit}: `{text}`")]
    NotSingleLine { what: &'static str, limit: usize, unit: &'static str, text: String },
    // Of a market source.
    #[error("a kind whose {0}")]
    Kind(InvalidName),
    #[error("a ref that is not a branch or a tag")]
    Ref,
    #[error("a document of more than {} MiB", .limit >> 20)]
    Document { limit: u64 },
    #[error("a revision that is not one line of at most {limit} bytes")]
    Revision { limit: usize },
    // Of a registry.
    #[error("a server {0}")]
    Server(#[from] InvalidServer),
    #[error("a priority of {0}, not of 1 to 1000")]
    Priority(u32),
    #[error("a secret whose {0}")]
    SecretName(InvalidName),
    #[error("a cursor that is not one line of at most {limit} bytes")]
    Cursor { limit: usize },
    // Of a provider.
    #[error("a preset whose {0}")]
    PresetId(InvalidName),
    #[error("two presets `{id}`")]
    DuplicatePreset { id: String },
    #[error("a preset `{id}` that has two addresses for one API")]
    MultipleUrls { id: String },
    #[error("a page `{}` that is not an `https` address", one_line(.page, 80))]
    Page { page: String },
    #[error("an address `{}` that {why}", one_line(.url, 80))]
    Address { url: String, why: &'static str },
    #[error("wants {api}, for which the provider `{account}` has no address")]
    MissingUrl { api: Api, account: String },
    #[error("names the secret `{}`, which the provider `{account}` does not have", one_line(.name, 60))]
    MissingSecret { name: String, account: String },
    #[error("has a {0}")]
    HeaderName(InvalidName),
    #[error("sets the header `{0}`, which is not one that a plan can set")]
    ReservedHeader(HeaderName),
    #[error("sends a secret in the header `{0}`, which is not one that a plan can set")]
    SecretInReservedHeader(HeaderName),
    #[error("sets the header `{0}` twice")]
    DuplicateHeader(HeaderName),
    #[error("sets the header `{name}` to something that is not 1 to {limit} visible characters")]
    HeaderValue { name: HeaderName, limit: usize },
    #[error("puts something long or unprintable before the secret in the header `{0}`")]
    Prefix(HeaderName),
    #[error("names a model `{}`, which is not a valid model name", one_line(.name, 60))]
    ModelName { name: String },
    #[error("sets {what} to {number}, not to 1 to {most}")]
    OutOfRange { what: &'static str, number: u32, most: u32 },
}

/// A problem with a server of a registry, as the end of a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidServer {
    #[error("whose name is invalid")]
    Name,
    #[error("with control characters where none can be")]
    ControlCharacters,
    #[error("with a text of more than {0} bytes")]
    TextTooLong(usize),
    #[error("with more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("of more than {0} KiB")]
    TooLarge(usize),
    #[error("that runs elsewhere and speaks over standard input")]
    Remote,
}

impl InvalidResponse {
    /// Says what has it: `more than 8 notes` becomes `has more than 8 notes`.
    pub(crate) fn into_prefixed(self) -> Self {
        Self::Prefixed(Box::new(self))
    }
}

/// Checks the number of something.
pub(crate) fn check_count(limit: usize, count: usize, what: &'static str) -> Result<(), InvalidResponse> {
    if count > limit { Err(InvalidResponse::TooMany { what, limit }) } else { Ok(()) }
}

/// Checks text for display: one line of so many characters, without terminal control characters.
pub(crate) fn validate_line(what: &'static str, text: String, limit: usize) -> Result<String, InvalidResponse> {
    check_line(what, text, limit, "characters", |text| text.chars().count())
}

/// Checks text for display, as [`line`] does, by its bytes.
pub(crate) fn validate_line_bytes(what: &'static str, text: String, limit: usize) -> Result<String, InvalidResponse> {
    check_line(what, text, limit, "bytes", str::len)
}

fn check_line(
    what: &'static str,
    text: String,
    limit: usize,
    unit: &'static str,
    length: impl Fn(&str) -> usize,
) -> Result<String, InvalidResponse> {
    let plain = !text.trim().is_empty() && !text.contains(char::is_control) && is_safe(&text);
    match plain && length(&text) <= limit {
        true => Ok(text),
        false => Err(InvalidResponse::NotSingleLine { what, limit, unit, text: one_line(&text, 60) }),
    }
}
