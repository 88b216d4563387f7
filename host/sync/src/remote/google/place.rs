//! Where Google is, and how it is reached.

use aiw_net::{HostPattern, Hosts, Policy};
use url::Url;

use super::super::request::RemoteClient;
use super::super::{RemoteContext, RemoteError};

/// Google Drive in messages.
pub(super) const REMOTE_NAME: &str = "Google Drive";

/// Where logins are.
pub(super) const OAUTH_URL: &str = "https://oauth2.googleapis.com";

/// Where Drive is.
pub(super) const API_URL: &str = "https://www.googleapis.com";

/// The scope of a login: see and change the files that its OAuth client made.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/drive.file";

/// Returns an address of Google's, or the user's in its place, and what may be reached for it.
pub(super) fn resolve_base_url(named: Option<&str>, own: &'static str) -> Result<(Url, Policy), RemoteError> {
    let mut policy = Policy::none();
    let text = match named {
        Some(named) => {
            policy.grant_url(named);
            named
        }
        None => {
            let host = own.trim_start_matches("https://");
            let pattern = HostPattern::parse(host).map_err(|_| RemoteError::Internal { what: "Google's host" })?;
            policy.hosts = Hosts::Only(vec![pattern]);
            own
        }
    };
    let mut url =
        Url::parse(text).map_err(|source| RemoteError::unreadable("`sync.google` of settings.json", source))?;
    url.set_query(None);
    url.set_fragment(None);
    Ok((url, policy))
}

/// Returns the address of something below a base.
pub(super) fn join_url(base: &Url, path: &str) -> Result<Url, RemoteError> {
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut parts) => parts.pop_if_empty().extend(path.split('/')),
        Err(()) => return Err(RemoteError::Internal { what: "an address of Google's" }),
    };
    Ok(url)
}

/// The servers that get a login: the one that gives it, and the one that it is for.
#[derive(Clone)]
pub(crate) struct GoogleEndpoints {
    pub(crate) oauth: Url,
    pub(crate) api: Url,
}

impl GoogleEndpoints {
    pub(crate) fn new(context: &RemoteContext) -> Result<Self, RemoteError> {
        let google = &context.settings.google;
        let (oauth, _) = resolve_base_url(google.oauth_url.as_deref(), OAUTH_URL)?;
        let (api, _) = resolve_base_url(google.api_url.as_deref(), API_URL)?;
        Ok(Self { oauth, api })
    }
}

/// Where logins are, and how they are reached.
pub(super) fn oauth_endpoint(context: &RemoteContext) -> Result<(RemoteClient, Url), RemoteError> {
    let (url, policy) = resolve_base_url(context.settings.google.oauth_url.as_deref(), OAUTH_URL)?;
    Ok((RemoteClient::new(context, policy, "Google"), url))
}
