//! Why nothing is known of a run.

use aiw_core::{Diagnostic, ErrorKind, pluralize, quoted, quoted_list};
use aiw_home::{HomeError, VaultError};
use aiw_net::{DeniedBy, NetError};
use aiw_redact::rules::InvalidRule;
use aiw_supervisor::SupervisorError;

use crate::source::TokenSource;

/// Why nothing is known of a run.
#[derive(Debug, thiserror::Error)]
pub enum CiError {
    /// No remote of the project is at a host that the user knows.
    #[error("{}", no_place(.hosts))]
    RepositoryNotFound {
        /// The hosts of its remotes.
        hosts: Vec<String>,
    },
    /// Somebody named a repository at a host that the user doesn't know.
    #[error("{} is neither github.com nor a GitHub Enterprise host that `gh` or settings.json knows", quoted(.host))]
    UnknownHost {
        /// The host.
        host: String,
    },
    /// A text is not the name of a repository.
    #[error("{} is not the name of a repository", quoted(.text))]
    NotARepository {
        /// The text.
        text: String,
    },
    /// `settings.json` gives github.com another address.
    #[error("`ci.hosts` of settings.json gives github.com an `api_url`, but its tokens go to github.com alone")]
    GithubApiOverridden,
    /// No run was named, and no commit is known.
    #[error("no run was named, and no commit is checked out here{}", because(.why))]
    CommitNotFound {
        /// Why it is not known, if git has one.
        why: Option<&'static str>,
    },
    /// The commit that is checked out has no run.
    #[error("commit `{commit}` has no run in `{repository}`")]
    RunNotFound {
        /// The beginning of the commit.
        commit: String,
        /// The repository.
        repository: String,
    },
    /// The commit that is checked out has no run of a workflow.
    #[error("the commit has no run of a workflow {}: it has {}", quoted(.workflow), quoted_list(.known))]
    WorkflowNotFound {
        /// The name that was given.
        workflow: String,
        /// The names of those that have one.
        known: Vec<String>,
    },
    /// There is no such run or repository, or the token can't see it.
    #[error("there is no {what} at `{host}`, or your token can't see it")]
    NotFound {
        /// The run or repository.
        what: String,
        /// The host.
        host: String,
        /// Where the token is from.
        token: TokenSource,
    },
    /// The host does not accept the token.
    #[error("`{host}` does not accept the token {}", .token.as_phrase())]
    Unauthorized {
        /// The host.
        host: String,
        /// Where the token is from.
        token: TokenSource,
    },
    /// The host does not allow it, and says why.
    #[error("`{host}` refuses it: {}", quoted(.reason))]
    Forbidden {
        /// The host.
        host: String,
        /// Its reason.
        reason: String,
        /// Where the token is from.
        token: TokenSource,
    },
    /// The host answers no more requests for a while.
    #[error("`{host}` answers no more requests for {}{}", span(*.seconds), of_resource(.resource))]
    RateLimited {
        /// The host.
        host: String,
        /// How long.
        seconds: u64,
        /// The kind of requests that it limits, as it says.
        resource: String,
        /// Where the token is from.
        token: TokenSource,
    },
    /// The host answers with a status that says nothing of the request.
    #[error("`{host}` answers with status {status}")]
    Status {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The host takes too long.
    #[error("`{host}` took more than {seconds} s")]
    Timeout {
        /// The host.
        host: String,
        /// How long it had.
        seconds: u64,
    },
    /// The host answers with something else than its documentation says.
    #[error("the answer of `{host}` makes no sense: {source}")]
    InvalidResponse {
        /// The host.
        host: String,
        /// The reader's error.
        source: serde_json::Error,
    },
    /// No branch is checked out that could be monitored.
    #[error("no branch is checked out here{}", because(.why))]
    BranchNotFound {
        /// Why it is not known, if git has one.
        why: Option<&'static str>,
    },
    /// The daemon would not know the host: the user's variables alone name it.
    #[error("the daemon doesn't know `{host}`: only a variable of this session names it")]
    HostNotConfigured {
        /// The host.
        host: String,
    },
    /// Threads or timers are missing.
    #[error("the runtime failed to start: {source}")]
    Runtime {
        /// The system's error.
        source: std::io::Error,
    },
    /// A rule about secrets is wrong.
    #[error(transparent)]
    Rule(#[from] InvalidRule),
    /// The home can't be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The vault can't be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The network, or the git repository on this machine, can't be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The daemon can't be started.
    #[error(transparent)]
    Daemon(#[from] SupervisorError),
}

fn no_place(hosts: &[String]) -> String {
    match hosts {
        [] => "this directory is in no git repository with a remote".to_owned(),
        hosts => format!("no remote of this repository is at a GitHub host that you know: {}", quoted_list(hosts)),
    }
}

fn because(why: &Option<&str>) -> String {
    why.map(|why| format!(": {why}")).unwrap_or_default()
}

/// A time as people say it.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        seconds => pluralize(seconds.div_ceil(60), "minute"),
    }
}

fn of_resource(resource: &str) -> String {
    if resource.is_empty() { String::new() } else { format!(" (limit `{resource}`)") }
}

impl Diagnostic for CiError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Vault, Net, Daemon)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::RateLimited { .. }
            | Self::Status { .. }
            | Self::Timeout { .. }
            | Self::InvalidResponse { .. }
            | Self::Runtime { .. } => ErrorKind::Unavailable,
            Self::GithubApiOverridden => ErrorKind::Config,
            Self::Rule(_) => ErrorKind::Internal,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        Some(match self {
            Self::RepositoryNotFound { hosts } if hosts.is_empty() => "name the repository: `--repo OWNER/REPO`".into(),
            Self::RepositoryNotFound { .. } => {
                "name the repository: `--repo OWNER/REPO`; for GitHub Enterprise, `gh auth login --hostname HOST`, or \
                 `ci.hosts.HOST` in settings.json"
                    .into()
            }
            Self::UnknownHost { .. } => {
                "`gh auth login --hostname HOST` makes it known to `gh`; `ci.hosts.HOST` in settings.json to aiw".into()
            }
            Self::NotARepository { .. } => "`OWNER/REPO`, or `HOST/OWNER/REPO`".into(),
            Self::CommitNotFound { .. } => "`aiw ci list` names the runs".into(),
            Self::RunNotFound { .. } => "`aiw ci list` names the runs; one begins some seconds after a push".into(),
            Self::WorkflowNotFound { .. } => "`aiw ci list` names the runs, and their workflows".into(),
            Self::NotFound { host, token: TokenSource::None, .. }
            | Self::Forbidden { host, token: TokenSource::None, .. }
            | Self::RateLimited { host, token: TokenSource::None, .. } => {
                format!(
                    "there is no token for `{host}`: `gh auth login --hostname {host}`, or `aiw secret set \
                     ci.hosts.{host}.token`"
                )
            }
            Self::Unauthorized { host, token } => match token {
                TokenSource::Gh => format!("`gh auth login --hostname {host}`"),
                _ => format!("`aiw secret set ci.hosts.{host}.token`"),
            },
            Self::Forbidden { .. } => "the token has to be allowed to read the repository's Actions".into(),
            Self::RateLimited { .. } => "try again then".into(),
            Self::BranchNotFound { why: None } => "check one out: `git switch BRANCH`".into(),
            Self::BranchNotFound { .. } => "name the repository, for all its branches: `--repo OWNER/REPO`".into(),
            Self::HostNotConfigured { .. } => "name it in settings.json: `ci.hosts.HOST`".into(),
            Self::Net(NetError::Denied { by: DeniedBy::NotPublic, .. }) => {
                "if it is your GitHub Enterprise host, name its address in settings.json: `ci.hosts.HOST.api_url`"
                    .into()
            }
            _ => return None,
        })
    }
}
