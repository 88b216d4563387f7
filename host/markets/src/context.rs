//! What every command about marketplaces works with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aiw_components::Library;
use aiw_core::{MarketKind, one_line, without_query};
use aiw_home::{Home, MarketSettings, Settings};
use aiw_net::{HttpClient, Policy, Trees};
use aiw_wasm::market_source::Registration;
use aiw_wasm::{CallPermissions, Component};

use crate::error::MarketError;
use crate::reserved::{is_anthropic, is_reserved};
use crate::source::is_github_repo;

/// Receives the progress of long work.
pub trait Observer: Send + Sync {
    /// Reports `done` of `total` (0: unknown).
    fn progress(&self, what: &str, done: u64, total: u64);

    /// Returns whether somebody sees the progress, and so knows what a command waits for.
    fn is_visible(&self) -> bool {
        false
    }
}

/// Ignores progress.
pub struct NoopObserver;

impl Observer for NoopObserver {
    fn progress(&self, _: &str, _: u64, _: u64) {}
}

/// Everything that the domain uses.
#[derive(Clone)]
pub struct Markets {
    pub(crate) home: Home,
    pub(crate) library: Arc<Library>,
    pub(crate) client: HttpClient,
    pub(crate) trees: Trees,
    pub(crate) observer: Arc<dyn Observer>,
}

/// Whether a registered marketplace may be listed, searched, fetched and installed from.
pub(crate) fn lookup<'s>(settings: &'s Settings, name: &str) -> Result<&'s MarketSettings, MarketError> {
    let unknown = || MarketError::UnknownMarket { name: name.to_owned() };
    let market = settings.market(name).ok_or_else(unknown)?;
    check_reserved_name(market)?;
    if !market.enabled {
        return Err(MarketError::InvalidReference {
            reference: market.name.to_string(),
            why: "is a marketplace that is disabled in settings.json".into(),
            hint: Some(format!(
                "`aiw plugin marketplace add {}` enables it",
                one_line(&without_query(&market.location), 200)
            )),
        });
    }
    Ok(market)
}

/// Whether a marketplace may use its name. Checked at every use, because users edit settings by hand.
pub(crate) fn check_reserved_name(market: &MarketSettings) -> Result<(), MarketError> {
    if is_reserved(market.name.as_str()) && !is_anthropic(market) {
        return Err(MarketError::NameReserved { name: market.name.to_string() });
    }
    Ok(())
}

/// A source for messages and answers, without the query, which may hold a key.
pub(crate) fn redact_source(market: &MarketSettings) -> String {
    without_query(&market.source()).into_owned()
}

/// The bundled component for each of aiw's own kinds.
pub(crate) fn bundled_source(kind: &MarketKind) -> Option<&'static str> {
    match kind {
        MarketKind::Github => Some("market-github"),
        MarketKind::Directory | MarketKind::File => Some("market-local"),
        MarketKind::Git | MarketKind::Url => Some("market-remote"),
        MarketKind::Other(_) => None,
    }
}

impl Markets {
    /// The domain over a home.
    pub fn new(
        home: Home,
        library: Arc<Library>,
        client: HttpClient,
        trees: Trees,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { home, library, client, trees, observer }
    }

    /// The home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The component that reads a usable marketplace.
    pub(crate) async fn component(&self, market: &MarketSettings) -> Result<Arc<Component>, MarketError> {
        check_reserved_name(market)?;
        let id = match (&market.extension, bundled_source(&market.kind)) {
            (Some(id), _) => id.as_str(),
            (None, Some(id)) => id,
            (None, None) => {
                return Err(MarketError::InvalidReference {
                    reference: redact_source(market),
                    why: format!("is of the kind `{}`, which no component reads", market.kind),
                    hint: Some("`aiw extension list` shows the components".into()),
                });
            }
        };
        Ok(self.library.load(id).await?)
    }

    /// Returns the reach that the user granted by naming a marketplace.
    pub(crate) fn call_permissions(settings: &Settings, market: &MarketSettings) -> CallPermissions {
        let mut reach = CallPermissions::default();
        if market.extension.is_some() {
            // The location is the component's interpretation, not what the user typed.
            return reach;
        }
        match market.kind {
            MarketKind::Github => reach.urls.push(github_base(settings)),
            MarketKind::Git | MarketKind::Url => reach.urls.push(market.location.clone()),
            MarketKind::Directory => reach.directories.push(PathBuf::from(&market.location)),
            MarketKind::File => {
                let path = Path::new(&market.location);
                let parent = path.parent().unwrap_or(path);
                let root = if parent.ends_with(".claude-plugin") { parent.parent().unwrap_or(parent) } else { parent };
                reach.directories.push(root.to_owned());
            }
            MarketKind::Other(_) => {}
        }
        // A repository on this machine is a directory that the user named.
        if let Some(path) = market.location.strip_prefix("file://") {
            reach.directories.push(PathBuf::from(path));
        }
        reach
    }

    /// Returns the host's policy for the entries of a marketplace: the public internet, and the addresses that the user
    /// named.
    pub(crate) fn policy(settings: &Settings, market: &MarketSettings) -> Policy {
        let reach = Self::call_permissions(settings, market);
        let mut policy = Policy::public();
        policy.directories = reach.directories;
        // Addresses in settings were typed by the user.
        let typed = [Some(github_base(settings)), settings.source("market-github").get("raw_url")];
        for url in reach.urls.iter().chain(typed.iter().flatten()) {
            policy.grant_url(url);
        }
        policy
    }
}

pub(crate) fn registration(market: &MarketSettings) -> Registration {
    Registration { kind: market.kind.clone(), location: market.location.clone(), reference: market.reference.clone() }
}

/// Where GitHub is: github.com, a GitHub Enterprise server or a mirror.
pub(crate) fn github_base(settings: &Settings) -> String {
    let set = settings.source("market-github").get("base_url");
    set.map_or_else(|| "https://github.com".into(), |url| url.trim_end_matches('/').to_owned())
}

/// The URL of a source's repository.
pub(crate) fn repository_url(settings: &Settings, repository: &str) -> String {
    if is_github_repo(repository) {
        format!("{}/{repository}.git", github_base(settings))
    } else {
        repository.to_owned()
    }
}

/// The address of single files of a GitHub repository, `{raw}/{owner}/{repo}`; none for repositories elsewhere, or if
/// git's own configuration redirects them.
pub(crate) fn raw_base(settings: &Settings, repository: &str) -> Option<String> {
    let base = github_base(settings);
    let set = settings.source("market-github").get("raw_url");
    let repo = if is_github_repo(repository) {
        repository.to_owned()
    } else {
        let url = repository.strip_suffix(".git").unwrap_or(repository).trim_end_matches('/');
        let rest = url.strip_prefix(&format!("{base}/")).or_else(|| url.strip_prefix("https://github.com/"))?;
        is_github_repo(rest).then(|| rest.to_owned())?
    };
    if set.is_none() {
        // A git-only mirror has no address for single files. Don't ask the public host for what the user moved
        // elsewhere.
        if base != "https://github.com" || aiw_net::rewrite_url(&repository_url(settings, repository)).is_some() {
            return None;
        }
    }
    let raw = set.unwrap_or_else(|| "https://raw.githubusercontent.com".into());
    Some(format!("{}/{repo}", raw.trim_end_matches('/')))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::document::MarketDocument;
    use crate::listing::MarketListing;
    use aiw_wasm::host::Capabilities;

    /// The domain over a home without components, with these settings, and these documents by market.
    pub(crate) fn markets(settings: &str, documents: &[(&str, &str)]) -> (tempfile::TempDir, Markets) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        std::fs::write(home.settings_path(), settings).unwrap();
        let settings = home.settings().unwrap();
        for (name, document) in documents {
            let market = settings.market(name).unwrap();
            let document = MarketDocument::parse(document.as_bytes(), &[]).unwrap();
            let listing = MarketListing::new(market, document, "r1".into());
            listing.save(&home, &market.name, &home.lock().unwrap()).unwrap();
        }
        let client = HttpClient::new().unwrap();
        let trees = Trees::new(client.clone(), home.cache("git"));
        let library = Arc::new(Library::new(home.clone(), &[], Capabilities::deny_all()));
        (dir, Markets::new(home, library, client, trees, Arc::new(NoopObserver)))
    }
}
