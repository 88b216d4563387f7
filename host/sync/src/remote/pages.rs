//! Following the pages of a listing.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::RemoteError;
use super::limits::MAX_EMPTY_PAGES;

/// The pages of a listing so far. Pages may be smaller than requested, so what limits a listing is its names: see
/// [`super::ObjectListing`]. A server that sends none can't go on without end, either.
pub(super) struct Pages<'a> {
    place: &'a str,
    /// Digests of the tokens: a server chooses their length.
    tokens: HashSet<[u8; 32]>,
    empty: usize,
}

impl<'a> Pages<'a> {
    pub(super) fn new(place: &'a str) -> Self {
        Self { place, tokens: HashSet::new(), empty: 0 }
    }

    /// Notes a page with this many names, and the token of the page after it.
    ///
    /// # Errors
    ///
    /// The token leads back to a page that was read, or too many pages were empty.
    pub(super) fn record_page(&mut self, names: usize, token: &str) -> Result<(), RemoteError> {
        if !self.tokens.insert(Sha256::digest(token.as_bytes()).into()) {
            return Err(RemoteError::invalid_response(self.place, "its list goes in a circle"));
        }
        self.empty = if names == 0 { self.empty + 1 } else { 0 };
        if self.empty > MAX_EMPTY_PAGES {
            return Err(RemoteError::invalid_response(
                self.place,
                format!("more than {MAX_EMPTY_PAGES} pages of its list are empty"),
            ));
        }
        Ok(())
    }
}
