//! Where a component is read from: a file, a directory, a URL.

use futures::future::BoxFuture;
use std::path::{Path, PathBuf};

use aiw_extensions::{ComponentFacts, Grants, MAX_COMPONENT_BYTES, inspect};
use aiw_net::{HttpClient, HttpRequest, Policy};

use crate::LibraryError;

/// A component that was read but not added yet.
#[derive(Debug, Clone)]
pub struct CandidateComponent {
    /// Its manifest.
    pub facts: ComponentFacts,
    /// The capabilities that it asks for.
    pub requested: Grants,
    /// Where it came from: an absolute path or a URL.
    pub source: String,
    pub(crate) bytes: Vec<u8>,
}

/// Reads a component from a file, a directory or a URL. Stores nothing.
pub fn read<'a>(source: &'a str, client: &'a HttpClient) -> BoxFuture<'a, Result<CandidateComponent, LibraryError>> {
    Box::pin(async move {
        let (source, bytes) = if source.starts_with("https://") || source.starts_with("http://") {
            // The typed address may be anywhere; redirects (release assets use them) must lead to the public internet.
            let mut policy = Policy::public();
            policy.grant_url(source);
            let request = HttpRequest { max_body_bytes: MAX_COMPONENT_BYTES, ..HttpRequest::new(source) };
            let response = client.fetch(&policy, &request).await?;
            if response.status != 200 {
                return Err(LibraryError::HttpStatus { url: redact_source(source), status: response.status });
            }
            (source.to_owned(), response.body)
        } else {
            let path = component_file(Path::new(source))?;
            let path = std::path::absolute(&path).unwrap_or(path);
            let bytes = aiw_home::read_capped(&path, MAX_COMPONENT_BYTES)?
                .ok_or_else(|| LibraryError::FileNotFound { path: path.clone() })?;
            (path.display().to_string(), bytes)
        };
        let named = |error| LibraryError::Extension { source_name: redact_source(&source), source: error };
        let about = inspect(&bytes).map_err(named)?;
        Ok(CandidateComponent { requested: Grants::from_facts(&about), facts: about, source, bytes })
    })
}

/// A path or URL for messages, without the query, which may hold a key.
pub(crate) fn redact_source(source: &str) -> String {
    aiw_core::one_line(&aiw_core::without_query(source), 200)
}

/// The component at a path: the file itself, or the only component in a directory, where cargo and the JavaScript
/// build put it.
fn component_file(path: &Path) -> Result<PathBuf, LibraryError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let places = ["", "dist", "target/wasm32-wasip2/release", "target/wasm32-unknown-unknown/release"];
    for place in places {
        let Ok(entries) = std::fs::read_dir(path.join(place)) else { continue };
        let mut found: Vec<PathBuf> =
            entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "wasm")).collect();
        found.sort();
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            _ => {
                return Err(LibraryError::SeveralComponents { directory: path.join(place) });
            }
        }
    }
    Err(LibraryError::ComponentNotFound { directory: path.to_owned() })
}
