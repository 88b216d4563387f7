//! What an error of the host says.

use aiw_extension::Error;

/// The kind and the message of an error.
pub(crate) fn said(error: Error) -> String {
    let case = match &error {
        Error::Invalid(_) => "invalid",
        Error::NotFound(_) => "not found",
        Error::Denied(_) => "denied",
        Error::Unavailable(_) => "unavailable",
        Error::Malformed(_) => "malformed",
    };
    format!("{case}: {}", error.message())
}
