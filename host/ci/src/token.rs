//! The token for a host: of `gh`, of the vault, or of a variable. The variables of github.com go to github.com alone; those of
//! GitHub Enterprise only to a host that the user knows.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use aiw_core::{Secret, SecretName};
use aiw_home::{ChildGroup, ExecutionContext, Home, VaultError, find_program};

use crate::error::CiError;
use crate::place::{GITHUB, gh_hosts};
use crate::source::TokenSource;

/// How long `gh` may take.
const GH_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest token.
const MAX_TOKEN_BYTES: u64 = 4096;

/// Variables with tokens for github.com, and for GitHub Enterprise: the first that is set counts.
const GITHUB_TOKEN_VARIABLES: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];
const ENTERPRISE_TOKEN_VARIABLES: [&str; 2] = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];

/// The token for a host.
#[derive(Debug, Clone)]
pub(crate) struct CiToken {
    pub source: TokenSource,
    pub secret: Option<Secret>,
}

impl CiToken {
    /// Finds the token for a host that the user knows. It reads files, and may run `gh`.
    pub fn find(home: &Home, host: &str) -> Result<Self, CiError> {
        let of = |source, secret| Ok(Self { source, secret: Some(secret) });
        if let Some(secret) = of_gh(home.context(), host) {
            return of(TokenSource::Gh, secret);
        }
        if let Ok(name) = format!("ci.hosts.{host}.token").parse::<SecretName>() {
            match home.vault().get(&name) {
                Ok(secret) => return of(TokenSource::Vault, secret),
                Err(VaultError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let names = if host == GITHUB { GITHUB_TOKEN_VARIABLES } else { ENTERPRISE_TOKEN_VARIABLES };
        match names.iter().find_map(|name| checked(home.context().non_empty_variable(name)?.to_str()?)) {
            Some(secret) => of(TokenSource::Variable, secret),
            None => Ok(Self { source: TokenSource::None, secret: None }),
        }
    }
}

/// Returns a token as a header may have it.
fn checked(text: &str) -> Option<Secret> {
    let text = text.trim();
    let is_token =
        !text.is_empty() && text.len() as u64 <= MAX_TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| Secret::new(text))
}

/// Asks `gh` for the token of a host in its file. It doesn't see the variables with tokens: it would give that of GitHub
/// Enterprise for any host.
fn of_gh(around: &ExecutionContext, host: &str) -> Option<Secret> {
    if !gh_hosts(around).contains(host) || host.starts_with('-') {
        return None;
    }
    let gh = find_program("gh", around.variable("PATH"), Path::new("/"))?;
    let is_theirs = |name: &str| {
        !GITHUB_TOKEN_VARIABLES.contains(&name) && !ENTERPRISE_TOKEN_VARIABLES.contains(&name) && name != "GH_HOST"
    };
    let mut command = Command::new(gh);
    command
        .args(["auth", "token", "--hostname", host])
        .env_clear()
        .envs(around.variables().filter(|(name, _)| name.to_str().is_none_or(is_theirs)))
        .envs(around.variable_path("GH_CONFIG_DIR").map(|directory| ("GH_CONFIG_DIR", directory)))
        .env("GH_PROMPT_DISABLED", "1")
        .env("GH_NO_UPDATE_NOTIFIER", "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut running = ChildGroup::start(&mut command).ok()?;
    let output = running.child().stdout.take()?;
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("gh".into())
        .spawn(move || {
            // What it leaves running may keep its output open.
            let mut text = String::new();
            let read = BufReader::new(output.take(MAX_TOKEN_BYTES + 2)).read_line(&mut text);
            sender.send(read.map(|_| text))
        })
        .ok()?;
    let text = receiver.recv_timeout(GH_TIMEOUT).ok()?.ok()?;
    // It has said all that it says, and is about to end.
    let status = running.wait_for(GH_TIMEOUT).ok()??;
    status.success().then(|| checked(&text))?
}
