//! Marketplaces in directories on this machine.

mod claim;

use aiw_extension::{
    EntryRef, Error, MarketSource, Registration, Snapshot, SourceInfo, Tree, http, market_document, trees,
};
use claim::Document;

struct Local;

impl MarketSource for Local {
    fn describe() -> SourceInfo {
        SourceInfo::new("Directories on this machine")
            .reference("PATH", "./my-market")
            .reference("PATH/marketplace.json", "~/markets/marketplace.json")
    }

    fn claim(reference: &str) -> Option<Registration> {
        claim::claim(reference)
    }

    fn fetch_marketplace(at: &Registration) -> Result<Snapshot, Error> {
        let Document { root, path } = document(at)?;
        let tree = trees::open_directory(root)?;
        match path {
            None => market_document(&tree, &format!("`{root}`")),
            Some(path) => {
                let document = tree.read(&path, http::MAX_BODY).map_err(|error| match error {
                    Error::NotFound(_) => Error::not_found(format!("no `{path}` in `{root}`")),
                    other => other,
                })?;
                Ok(Snapshot { document, revision: tree.revision() })
            }
        }
    }

    /// A directory has no history, so an entry's files are the current ones, whatever its revision was.
    fn download_plugin(at: &Registration, entry: &EntryRef) -> Result<Tree, Error> {
        let path = trees::entry_path(entry.source.relative()?)?;
        trees::entry_tree(trees::open_directory(document(at)?.root)?, &path)
    }
}

fn document(at: &Registration) -> Result<Document<'_>, Error> {
    match at.kind.as_str() {
        claim::DIRECTORY => Ok(Document { root: &at.location, path: None }),
        claim::FILE => Document::from_file(&at.location)
            .ok_or_else(|| Error::invalid(format!("`{}` is not an absolute path of a file", at.location))),
        kind => Err(Error::invalid(format!("`market-local` reads no marketplace of the kind `{kind}`"))),
    }
}

aiw_extension::export_market_source!(Local, manifest = "manifest.json");
