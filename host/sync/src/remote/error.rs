//! Why a remote did not do what it was asked for.

use std::io;
use std::path::PathBuf;

use aiw_core::{Diagnostic, ErrorKind, one_line, quoted, quoted_text, shell_quote_printable};
use aiw_home::{HomeError, VaultError, io_fix_command};
use aiw_net::{DeniedBy, NetError};

/// The forms of addresses.
pub(super) const SUPPORTED_URL_FORMS: &str = "`gdrive:`, a path, `git:URL`, `webdav:https://HOST/FOLDER`, or \
                                `s3:https://HOST/BUCKET[/PREFIX][?region=R]`";

/// Why a remote did not do what it was asked for. No message holds a token, a password or a key.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A text is not the address of a remote.
    #[error("the remote {} {problem}; it is one of {SUPPORTED_URL_FORMS}", quoted_text(.text, 120))]
    InvalidUrl {
        /// The text, without what may be a secret.
        text: String,
        /// The end of a sentence.
        problem: String,
    },
    /// A name is not that of an object.
    #[error("{} is not the name of an object", quoted(.name))]
    InvalidObjectName {
        /// The name.
        name: String,
    },
    /// The remote needs a login, and there is none.
    #[error("there is no login for {place}")]
    NotLoggedIn {
        /// The remote.
        place: String,
    },
    /// The vault holds something that can't be a login.
    #[error("the login for {place} is not in the form `{form}`")]
    MalformedLogin {
        /// The remote.
        place: String,
        /// The form.
        form: &'static str,
    },
    /// The login is one for another server.
    #[error("the login is for {}, and is not sent to {place}", quoted_text(.origin, 120))]
    LoginOriginMismatch {
        /// The remote.
        place: String,
        /// The server that it is for.
        origin: String,
    },
    /// An older aiw kept the login, without the server that it is for.
    #[error("the login for {place} does not say which server it is for, as an older aiw kept it: log in once more")]
    UnboundLogin {
        /// The remote.
        place: String,
    },
    /// The login was valid, and ended.
    #[error("the login for {place} has ended: {}", one_line(.why, 120))]
    LoginExpired {
        /// The remote.
        place: String,
        /// Why, as the remote says.
        why: String,
    },
    /// The login was denied, or ran out before somebody answered.
    #[error("the login {0}")]
    LoginFailed(&'static str),
    /// This build has no OAuth client, and the settings name none.
    #[error("aiw has no OAuth client for Google Drive")]
    MissingOAuthClient,
    /// The OAuth client is not one for this login.
    #[error("Google does not accept the OAuth client: {}", one_line(.why, 120))]
    InvalidOAuthClient {
        /// Why, as Google says.
        why: String,
    },
    /// The remote does not accept the login for this.
    #[error("{place} refuses ({}): the login is wrong, or may not do this", one_line(.why, 120))]
    Unauthorized {
        /// The remote.
        place: String,
        /// Status, and what the remote says.
        why: String,
    },
    /// The server offers no authentication scheme that aiw has.
    #[error("{place} offers {schemes} authentication, which is not supported: aiw logs in by Basic authentication")]
    AuthUnsupported {
        /// The remote.
        place: String,
        /// The schemes that it offers, such as `Digest`.
        schemes: String,
    },
    /// There is no space left.
    #[error("{place} has no space left")]
    StorageFull {
        /// The remote.
        place: String,
    },
    /// Somebody has locked it.
    #[error("{place} says that it is locked by another program")]
    Locked {
        /// The remote.
        place: String,
    },
    /// The remote takes no more requests for a while.
    #[error("{place} takes no more requests for now{}", for_seconds(.seconds))]
    RateLimited {
        /// The remote.
        place: String,
        /// How long, if it says so.
        seconds: Option<u64>,
    },
    /// A status that says no.
    #[error("{place} answers with status {status}{}", in_words(.said))]
    Status {
        /// The remote.
        place: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        said: String,
    },
    /// An answer that makes no sense.
    #[error("the answer of {place} makes no sense: {problem}")]
    InvalidResponse {
        /// The remote.
        place: String,
        /// The problem.
        problem: String,
        /// The reader's error.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// More names than any user has.
    #[error("{place} holds more than {} objects, or {} names", super::MAX_OBJECTS, super::MAX_NAMES)]
    TooManyObjects {
        /// The remote.
        place: String,
    },
    /// There is no such object.
    #[error("there is no {} at {place}", quoted(.name))]
    NotFound {
        /// Its name.
        name: String,
        /// The remote.
        place: String,
    },
    /// The name is taken by other bytes.
    #[error("{place} holds other bytes under the name {}", quoted(.name))]
    AlreadyExists {
        /// The name.
        name: String,
        /// The remote.
        place: String,
    },
    /// The remote said that it took an object, and gives other bytes back.
    #[error("{place} said that it holds {}, and gives other bytes back", quoted(.name))]
    Damaged {
        /// The name.
        name: String,
        /// The remote.
        place: String,
    },
    /// An object is larger than it may be.
    #[error("{} is larger than {limit} bytes", quoted(.name))]
    TooLarge {
        /// Its name.
        name: String,
        /// The limit.
        limit: u64,
    },
    /// The directory that the folder would be in is missing.
    #[error("there is no directory `{}` to make the folder in", .path.display())]
    ParentNotFound {
        /// The directory.
        path: PathBuf,
    },
    /// `git` is missing.
    #[error("`git` is not installed")]
    GitNotFound,
    /// `git` failed.
    #[error("`git` can't use {place}: {}", one_line(.complaint, 200))]
    Git {
        /// The remote.
        place: String,
        /// Its last line.
        complaint: String,
    },
    /// `git` can't be run.
    #[error("`git` can't be run: {source}")]
    GitSpawnFailed {
        /// The system's error.
        source: io::Error,
    },
    /// Others change it all the time.
    #[error("{place} was changed by others at each of {attempts} attempts")]
    Busy {
        /// The remote.
        place: String,
        /// How many.
        attempts: u32,
    },
    /// A mistake in aiw.
    #[error("a mistake in aiw: {what}")]
    Internal {
        /// The mistake.
        what: &'static str,
    },
    /// The caller stopped it.
    #[error("stopped before it was done")]
    Cancelled,
    /// The network, or what a server answered.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A file.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

fn for_seconds(seconds: &Option<u64>) -> String {
    seconds.map(|seconds| format!(", for {seconds} s")).unwrap_or_default()
}

fn in_words(said: &str) -> String {
    let said = one_line(said, 120);
    if said.is_empty() { said } else { format!(" ({said})") }
}

impl RemoteError {
    pub(super) fn invalid_response(place: &str, problem: impl Into<String>) -> Self {
        Self::InvalidResponse { place: place.to_owned(), problem: problem.into(), source: None }
    }

    /// Returns an answer that its reader can't read.
    pub(super) fn unreadable(place: &str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        let problem = one_line(&source.to_string(), 120);
        Self::InvalidResponse { place: place.to_owned(), problem, source: Some(Box::new(source)) }
    }
}

impl Diagnostic for RemoteError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Net, Home, Vault)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::NotLoggedIn { .. }
            | Self::MalformedLogin { .. }
            | Self::LoginOriginMismatch { .. }
            | Self::UnboundLogin { .. }
            | Self::LoginExpired { .. }
            | Self::MissingOAuthClient
            | Self::InvalidOAuthClient { .. }
            | Self::AuthUnsupported { .. }
            | Self::GitNotFound => ErrorKind::Config,
            Self::StorageFull { .. }
            | Self::Locked { .. }
            | Self::RateLimited { .. }
            | Self::Status { .. }
            | Self::InvalidResponse { .. }
            | Self::TooManyObjects { .. }
            | Self::Damaged { .. }
            | Self::Git { .. }
            | Self::GitSpawnFailed { .. }
            | Self::Busy { .. } => ErrorKind::Unavailable,
            Self::Internal { .. } => ErrorKind::Internal,
            Self::Cancelled => ErrorKind::Interrupted,
            _ => ErrorKind::User,
        }
    }

    fn own_fix(&self) -> Option<String> {
        let needs_login = matches!(
            self,
            Self::NotLoggedIn { .. }
                | Self::MalformedLogin { .. }
                | Self::LoginOriginMismatch { .. }
                | Self::UnboundLogin { .. }
                | Self::LoginExpired { .. }
                | Self::LoginFailed(_)
                | Self::Unauthorized { .. }
        );
        needs_login.then(|| match self {
            // Maybe there is no store yet whose remote would be meant.
            Self::NotLoggedIn { place } | Self::LoginOriginMismatch { place, .. } | Self::UnboundLogin { place }
                if place.starts_with('`') =>
            {
                format!("aiw sync login {}", shell_quote_printable(place.trim_matches('`')))
            }
            _ => "aiw sync login".into(),
        })
    }

    fn own_hint(&self) -> Option<String> {
        if let Some(command) = self.own_fix() {
            return Some(format!("`{command}`"));
        }
        Some(match self {
            Self::MissingOAuthClient => {
                "make an OAuth client of the type \"TVs and Limited Input devices\" in the Google Cloud \
                               console, put its id into settings.json as `sync.google.client_id` on each machine, and \
                               its secret into the vault: `aiw secret set sync-google-client`"
                    .into()
            }
            Self::InvalidOAuthClient { .. } => {
                "`sync.google.client_id` of settings.json and `aiw secret set sync-google-client` \
                                    name the client"
                    .into()
            }
            Self::AuthUnsupported { .. } => "turn on Basic authentication on the server, over https".into(),
            Self::StorageFull { .. } => {
                "`aiw sync` keeps 50 snapshots of each machine; make space there, and try again".into()
            }
            Self::Locked { .. } | Self::RateLimited { .. } | Self::Busy { .. } | Self::Damaged { .. } => {
                "try again later".into()
            }
            Self::Home(HomeError::Io { path, source, .. }) => match source.kind() {
                io::ErrorKind::PermissionDenied => format!(
                    "if it is yours, `{}`; else `aiw sync leave`, and another folder",
                    io_fix_command(path, source)
                ),
                io::ErrorKind::ReadOnlyFilesystem => {
                    "mount it so that it can be written; or `aiw sync leave`, and another folder".into()
                }
                _ => format!("check that `{}` is mounted, and can be read and written", path.display()),
            },
            Self::ParentNotFound { path } => format!("`mkdir -p {}`, or mount it", path.display()),
            Self::Net(NetError::Denied { by: DeniedBy::NotPublic, .. }) => {
                "an address on this machine or in a private network is reached only if the remote itself is there"
                    .into()
            }
            _ => return None,
        })
    }
}
