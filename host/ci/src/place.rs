//! Whose runs are meant: the repository and its host. A cloned repository names any host it likes, so a host counts only if it
//! is github.com, if the user is logged in there with `gh`, or if their settings name it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use aiw_core::{Sha, one_line};
use aiw_home::{CiHostSettings, ExecutionContext, Home, read_capped, yaml};
use aiw_net::{GitCheckout, HostPattern, Hosts, Policy, host_and_path};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::CiError;

/// The longest `hosts.yml` of `gh`, in bytes.
const MAX_HOSTS_FILE_BYTES: u64 = 1 << 20;

/// GitHub's own host.
pub(crate) const GITHUB: &str = "github.com";

/// A repository at a host
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct CiRepository {
    /// Its host
    pub host: String,
    /// Its owner
    pub owner: String,
    /// Its name
    pub name: String,
}

impl CiRepository {
    /// Parses `OWNER/REPO`, `HOST/OWNER/REPO`, or a URL of git.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, path) = match host_and_path(text) {
            Some((host, path)) => (host, path),
            None => match text.matches('/').count() {
                2 => text.split_once('/').map(|(host, path)| (host.to_ascii_lowercase(), path.to_owned()))?,
                _ => (GITHUB.to_owned(), text.to_owned()),
            },
        };
        let (owner, name) = path.split_once('/')?;
        let name = name.strip_suffix(".git").unwrap_or(name);
        let is_name = |text: &str| {
            (1..=100).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
                && !text.bytes().all(|byte| byte == b'.')
        };
        let host = match host.as_str() {
            // Where github.com takes ssh through firewalls.
            "www.github.com" | "ssh.github.com" => GITHUB.to_owned(),
            _ => host,
        };
        (is_name(owner) && is_name(name)).then(|| Self { host, owner: owner.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for CiRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host != GITHUB {
            write!(f, "{}/", one_line(&self.host, 100))?;
        }
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// The API of a host that the user knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CiApi {
    pub host: String,
    pub base_url: String,
    /// Whether the user's settings name the address, so that it may be on this machine or in a private network.
    is_granted: bool,
}

impl CiApi {
    /// Returns what requests to the API may reach.
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::none();
        if self.is_granted {
            policy.grant_url(&self.base_url);
        } else if let Some((host, _)) = host_and_path(&self.base_url)
            && let Ok(host) = HostPattern::parse(&host)
        {
            policy.hosts = Hosts::Only(vec![host]);
        }
        policy
    }

    /// Returns what requests for logs may reach: they are redirected to any public host.
    pub fn log_policy(&self) -> Policy {
        Policy { hosts: Hosts::Any, ..self.policy() }
    }
}

/// The hosts that the user knows.
pub(crate) struct TrustedHosts {
    settings: BTreeMap<String, CiHostSettings>,
    of_gh: BTreeSet<String>,
}

impl TrustedHosts {
    pub fn load(home: &Home) -> Result<Self, CiError> {
        let settings = home.settings()?.ci()?.hosts;
        let settings: BTreeMap<_, _> =
            settings.into_iter().map(|(host, one)| (host.to_ascii_lowercase(), one)).collect();
        if settings.get(GITHUB).is_some_and(|one| one.api_url.is_some()) {
            return Err(CiError::GithubApiOverridden);
        }
        Ok(Self { settings, of_gh: gh_hosts(home.context()) })
    }

    /// Returns the API of a host, if the user knows that.
    pub fn api(&self, host: &str) -> Option<CiApi> {
        let of = |address: String, is_granted| Some(CiApi { host: host.to_owned(), base_url: address, is_granted });
        if host == GITHUB {
            return of("https://api.github.com".into(), false);
        }
        if let Some(address) = self.settings.get(host).and_then(|one| one.api_url.as_deref()) {
            return of(address.trim_end_matches('/').to_owned(), true);
        }
        if !self.settings.contains_key(host) && !self.of_gh.contains(host) {
            return None;
        }
        match host.strip_suffix(".ghe.com") {
            Some(tenant) if !tenant.is_empty() && !tenant.contains('.') => of(format!("https://api.{host}"), false),
            _ => of(format!("https://{host}/api/v3"), false),
        }
    }
}

/// Returns the hosts that the user is logged in to with `gh`, as its own file has them.
pub(crate) fn gh_hosts(around: &ExecutionContext) -> BTreeSet<String> {
    let of_variable = |name: &str| around.variable_path(name);
    let directory = of_variable("GH_CONFIG_DIR")
        .or_else(|| Some(of_variable("XDG_CONFIG_HOME")?.join("gh")))
        .or_else(|| Some(around.user_home()?.join(".config/gh")));
    let text = directory.and_then(|directory| read_capped(&directory.join("hosts.yml"), MAX_HOSTS_FILE_BYTES).ok()?);
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let hosts = yaml::parse::<BTreeMap<String, IgnoredAny>>(&text).unwrap_or_default();
    hosts.into_keys().map(|host| host.to_ascii_lowercase()).collect()
}

/// A repository, and what of it is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CiLocation {
    pub api: CiApi,
    pub repository: CiRepository,
    pub branch: Option<String>,
    pub commit: Option<Sha>,
    /// Why branch or commit is not known.
    pub head_error: Option<&'static str>,
    /// The other repositories among the remotes, by the names of these: a fork's `upstream`.
    pub other_remotes: Vec<(String, CiRepository)>,
}

impl CiLocation {
    /// Finds the repository that is meant in a directory. It reads files.
    pub fn find(home: &Home, directory: &Path, named: Option<&str>) -> Result<Self, CiError> {
        let known = TrustedHosts::load(home)?;
        let checkout = match GitCheckout::find(directory) {
            // What is named needs none.
            Err(_) if named.is_some() => None,
            found => found?,
        };
        let unread = checkout.as_ref().and_then(|found| found.unreadable_reason);
        let (branch, commit, remotes) =
            checkout.map(|found| (found.branch, found.commit, found.remotes)).unwrap_or_default();
        let repositories: Vec<(String, CiRepository)> =
            remotes.iter().filter_map(|one| Some((one.name.clone(), CiRepository::parse(&one.url)?))).collect();
        let is_known = |one: &&(String, CiRepository)| known.api(&one.1.host).is_some();
        let repository = match named {
            Some(text) => CiRepository::parse(text).ok_or_else(|| CiError::NotARepository { text: text.to_owned() })?,
            None => match repositories.iter().find(is_known) {
                Some((_, repository)) => repository.clone(),
                None => {
                    let hosts = remotes.iter().filter_map(|one| host_and_path(&one.url)).map(|(host, _)| host);
                    return Err(CiError::RepositoryNotFound { hosts: hosts.collect() });
                }
            },
        };
        let api = known.api(&repository.host);
        let api = api.ok_or_else(|| CiError::UnknownHost { host: repository.host.clone() })?;
        // A commit is the same in a fork and in what it was forked from.
        let is_here = repositories.iter().any(|(_, one)| *one == repository);
        let (branch, commit) = if is_here { (branch, commit) } else { (None, None) };
        let mut others: Vec<(String, CiRepository)> = repositories.iter().filter(is_known).cloned().collect();
        others.retain(|(_, one)| *one != repository);
        Ok(Self { api, repository, branch, commit, head_error: unread, other_remotes: others })
    }
}
