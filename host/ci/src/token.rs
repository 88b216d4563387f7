//! The token for a host: of `gh`, of the vault, or of a variable. The variables of github.com go to github.com alone; those of
//! GitHub Enterprise only to a host that the user knows.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aiw_core::{Secret, SecretName};
use aiw_home::{Home, Surroundings, VaultError, find_program};

use crate::error::CiError;
use crate::place::{GITHUB, gh_hosts};
use crate::source::TokenSource;

/// How long `gh` may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether it has ended.
const TICK: Duration = Duration::from_millis(1);

/// The longest token.
const LONGEST: u64 = 4096;

/// Variables with tokens for github.com, and for GitHub Enterprise: the first that is set counts.
const FOR_GITHUB: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];
const FOR_ENTERPRISE: [&str; 2] = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];

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
        if let Some(secret) = of_gh(home.around(), host) {
            return of(TokenSource::Gh, secret);
        }
        if let Ok(name) = format!("ci.hosts.{host}.token").parse::<SecretName>() {
            match home.vault().get(&name) {
                Ok(secret) => return of(TokenSource::Vault, secret),
                Err(VaultError::Unknown { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let names = if host == GITHUB { FOR_GITHUB } else { FOR_ENTERPRISE };
        match names.iter().find_map(|name| checked(home.around().filled(name)?.to_str()?)) {
            Some(secret) => of(TokenSource::Variable, secret),
            None => Ok(Self { source: TokenSource::None, secret: None }),
        }
    }
}

/// Returns a token as a header may have it.
fn checked(text: &str) -> Option<Secret> {
    let text = text.trim();
    let is_token = !text.is_empty() && text.len() as u64 <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| Secret::new(text))
}

/// Asks `gh` for the token of a host in its file. It doesn't see the variables with tokens: it would give that of GitHub
/// Enterprise for any host.
fn of_gh(around: &Surroundings, host: &str) -> Option<Secret> {
    if !gh_hosts(around).contains(host) || host.starts_with('-') {
        return None;
    }
    let gh = find_program("gh", around.variable("PATH"), Path::new("/"))?;
    let is_theirs = |name: &str| !FOR_GITHUB.contains(&name) && !FOR_ENTERPRISE.contains(&name) && name != "GH_HOST";
    let mut command = Command::new(gh);
    command
        .args(["auth", "token", "--hostname", host])
        .env_clear()
        .envs(around.variables().filter(|(name, _)| name.to_str().is_none_or(is_theirs)))
        .envs(around.directory_of("GH_CONFIG_DIR").map(|directory| ("GH_CONFIG_DIR", directory)))
        .env("GH_PROMPT_DISABLED", "1")
        .env("GH_NO_UPDATE_NOTIFIER", "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let mut running = Running(command.spawn().ok()?);
    let output = running.0.stdout.take()?;
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("gh".into())
        .spawn(move || {
            // What it leaves running may keep its output open.
            let mut text = String::new();
            let read = BufReader::new(output.take(LONGEST + 2)).read_line(&mut text);
            sender.send(read.map(|_| text))
        })
        .ok()?;
    let begun = Instant::now();
    let text = receiver.recv_timeout(PATIENCE).ok()?.ok()?;
    // It has said all that it says, and is about to end.
    loop {
        match running.0.try_wait().ok()? {
            Some(status) => return status.success().then(|| checked(&text))?,
            None if begun.elapsed() > PATIENCE => return None,
            None => std::thread::sleep(TICK),
        }
    }
}

/// A program that ends, with all that it started, when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let group = rustix::process::Pid::from_child(&self.0);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
