//! The token of a request.

use aiw_core::Secret;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;
use subtle::ConstantTimeEq;

/// Returns whether a head shows the token.
pub(crate) fn has_token(head: &Parts, expected: Option<&Secret>) -> bool {
    const SCHEME: &str = "bearer ";
    let Some(expected) = expected else { return false };
    let header = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let Some((scheme, given)) = header.and_then(|header| header.split_at_checked(SCHEME.len())) else { return false };
    scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) && is_same(given, expected)
}

/// Compares in a time that tells nothing about where they differ.
fn is_same(given: &[u8], expected: &Secret) -> bool {
    let expected = expected.expose().as_bytes();
    !expected.is_empty() && bool::from(given.ct_eq(expected))
}
