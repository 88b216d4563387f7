//! Marketplaces in GitHub repositories: `owner/repo`.

mod claim;

use aiw_extension::{EntryRef, Error, GitMarket, MarketSource, Registration, Snapshot, SourceInfo, Tree, settings};

struct GitHub;

impl GitHub {
    fn market(at: &Registration) -> Result<GitMarket, Error> {
        // The registration may have been written by hand, so check it.
        let repository = claim::Repository::parse(&at.location)
            .filter(|_| at.kind == claim::KIND)
            .ok_or_else(|| Error::invalid(format!("`{}` is not a GitHub repository (`owner/repo`)", at.location)))?;
        let base = settings::get("base_url");
        let base = base.as_deref().unwrap_or("https://github.com").trim_end_matches('/');
        if !base.contains("://") {
            return Err(Error::invalid(format!("setting `base_url` of `market-github` is not a URL: `{base}`")));
        }
        Ok(GitMarket::new(format!("{base}/{}/{}.git", repository.owner, repository.name), at.ref_.as_deref()))
    }
}

impl MarketSource for GitHub {
    fn describe() -> SourceInfo {
        SourceInfo::new("GitHub repositories")
            .reference("owner/repo[@ref]", "anthropics/claude-plugins-official")
            .reference("https://github.com/owner/repo[#ref]", "https://github.com/anthropics/skills#main")
    }

    fn claim(reference: &str) -> Option<Registration> {
        claim::claim(reference)
    }

    fn fetch_marketplace(at: &Registration) -> Result<Snapshot, Error> {
        Self::market(at)?.fetch()
    }

    fn download_plugin(at: &Registration, entry: &EntryRef) -> Result<Tree, Error> {
        Self::market(at)?.plugin(entry)
    }
}

aiw_extension::export_market_source!(GitHub, manifest = "manifest.json");
