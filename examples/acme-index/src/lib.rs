//! Marketplaces from the Acme plugin index: `acme:NAME` is `https://plugins.acme.example/NAME/index.json`, a JSON
//! file in Acme's own format. Each tool in it is released as a commit of a git repository.

mod index;

use aiw_extension::{
    EntryRef, EntrySource, Error, MarketSource, Registration, Snapshot, SourceInfo, Tree, digest, http, settings, trees,
};

struct AcmeIndex;

impl MarketSource for AcmeIndex {
    fn describe() -> SourceInfo {
        SourceInfo::new("Acme plugin index").reference("acme:NAME", "acme:data").entry_form(index::FORM)
    }

    fn claim(reference: &str) -> Option<Registration> {
        let name = reference.strip_prefix("acme:")?;
        let valid = (1..=64).contains(&name.len())
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        valid.then(|| Registration::new("acme", name, None))
    }

    fn fetch_marketplace(at: &Registration) -> Result<Snapshot, Error> {
        let base = settings::get("base_url").unwrap_or_else(|| "https://plugins.acme.example".to_owned());
        let url = format!("{}/{}/index.json", base.trim_end_matches('/'), at.location);
        let response = http::get(&url)?.success()?;
        let document = index::to_marketplace(&at.location, &response.body)
            .map_err(|error| Error::malformed(format!("`{url}` is not an Acme index: {error}")))?;
        // Entries are pinned to commits, so the document changes with every release.
        Ok(Snapshot { revision: digest(&document), document })
    }

    fn download_plugin(_at: &Registration, entry: &EntryRef) -> Result<Tree, Error> {
        match &entry.source {
            EntrySource::Own(source) => trees::open_commit(source.field("repo")?, source.field("commit")?),
            EntrySource::Relative(path) => {
                Err(Error::invalid(format!("an Acme index has no files of its own: `{path}`")))
            }
        }
    }
}

aiw_extension::export_market_source!(AcmeIndex, manifest = "manifest.json");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_index_are_claimed() {
        assert_eq!(AcmeIndex::claim("acme:data"), Some(Registration::new("acme", "data", None)));
        for other in ["acme:", "acme:-x", "acme:a/b", "acme:..", "acmejs:data", "data"] {
            assert_eq!(AcmeIndex::claim(other), None, "{other}");
        }
    }
}
