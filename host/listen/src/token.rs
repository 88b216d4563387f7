//! The token of a request.

use aiw_core::Secret;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq;

/// Returns the token of `Authorization: Bearer …`, right or not.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    const SCHEME: &str = "bearer ";
    let header = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let (scheme, given) = header.and_then(|header| header.split_at_checked(SCHEME.len()))?;
    scheme.eq_ignore_ascii_case(SCHEME.as_bytes()).then_some(given)
}

/// Returns whether a head shows the token.
pub(crate) fn has_token(head: &Parts, expected: Option<&Secret>) -> bool {
    let Some(expected) = expected else { return false };
    bearer(&head.headers).is_some_and(|given| is_same(given, expected))
}

/// Compares in a time that tells nothing about where they differ.
fn is_same(given: &[u8], expected: &Secret) -> bool {
    let expected = expected.expose().as_bytes();
    !expected.is_empty() && bool::from(given.ct_eq(expected))
}
