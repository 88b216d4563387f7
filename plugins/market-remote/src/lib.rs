//! Marketplaces in any git repository, or at the URL of a marketplace.json.

mod claim;

use aiw_extension::{
    EntryRef, Error, GitMarket, MarketSource, Registration, Response, Snapshot, SourceInfo, Tree, digest, http,
};

struct Remote;

impl MarketSource for Remote {
    fn describe() -> SourceInfo {
        SourceInfo::new("Git repositories and JSON URLs")
            .reference("https://HOST/PATH.git[#ref]", "https://gitlab.com/acme/plugins.git#v2")
            .reference("git@HOST:PATH[#ref]", "git@git.acme.example:tools/plugins.git")
            .reference("ssh://… or file://…", "ssh://git@git.acme.example/tools/plugins")
            .reference("https://HOST/PATH.json", "https://acme.example/marketplace.json")
    }

    fn claim(reference: &str) -> Option<Registration> {
        claim::claim(reference)
    }

    fn fetch_marketplace(at: &Registration) -> Result<Snapshot, Error> {
        match at.kind.as_str() {
            claim::GIT => GitMarket::new(&at.location, at.ref_.as_deref()).fetch(),
            claim::URL => fetch_json(at),
            kind => Err(unknown_kind(kind)),
        }
    }

    fn download_plugin(at: &Registration, entry: &EntryRef) -> Result<Tree, Error> {
        match at.kind.as_str() {
            claim::GIT => GitMarket::new(&at.location, at.ref_.as_deref()).plugin(entry),
            claim::URL => {
                let path = entry.source.relative()?;
                Err(Error::invalid(format!(
                    "`{path}` cannot be resolved: the marketplace was added by the URL of its JSON file; \
                     add its git repository instead"
                )))
            }
            kind => Err(unknown_kind(kind)),
        }
    }
}

fn unknown_kind(kind: &str) -> Error {
    Error::invalid(format!("`market-remote` reads no marketplace of the kind `{kind}`"))
}

fn fetch_json(at: &Registration) -> Result<Snapshot, Error> {
    let url = &at.location;
    if let Some(name) = &at.ref_ {
        let url = without_query(url);
        return Err(Error::invalid(format!("a JSON file has no branch or tag: `{url}#{name}`")));
    }
    snapshot(url, http::get(url)?.success()?)
}

/// Removes the query for messages, because it may contain a key.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

fn snapshot(url: &str, response: Response) -> Result<Snapshot, Error> {
    let text = response.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&response.body).trim_ascii_start();
    if text.first() == Some(&b'<') {
        let url = without_query(url);
        return Err(Error::malformed(format!(
            "`{url}` is a web page, not JSON; if it shows a git repository, add it with `.git` at the end"
        )));
    }
    // Two different documents may share a weak etag.
    let etag = response.header("etag").filter(|etag| etag.starts_with('"') && etag.len() > 2);
    let revision = etag.map_or_else(|| digest(&response.body), str::to_owned);
    Ok(Snapshot { revision, document: response.body })
}

aiw_extension::export_market_source!(Remote, manifest = "manifest.json");

#[cfg(test)]
mod tests {
    use aiw_extension::Field;

    use super::*;

    fn answer(etag: &str, body: &[u8]) -> Result<Snapshot, Error> {
        let headers = vec![Field { name: "etag".to_owned(), value: etag.to_owned() }];
        let url = "https://a.example/m?key=k";
        snapshot(url, Response { status: 200, headers, body: body.to_vec(), url: url.to_owned() })
    }

    #[test]
    fn a_strong_etag_is_the_revision() {
        assert_eq!(answer("\"v1\"", b"{}").unwrap().revision, "\"v1\"");
        for weak in ["W/\"v1\"", "\"\"", ""] {
            assert_eq!(answer(weak, b"{}").unwrap().revision, digest(b"{}"), "{weak}");
        }
    }

    #[test]
    fn a_web_page_is_not_taken_for_a_document() {
        let error = answer("", b"\xef\xbb\xbf\n <!doctype html>").unwrap_err();
        let message = "`https://a.example/m` is a web page, not JSON; \
                       if it shows a git repository, add it with `.git` at the end";
        assert_eq!(error, Error::malformed(message));
    }
}
