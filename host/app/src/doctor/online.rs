//! What only others can tell: providers, the npm registry, the store and the servers, asked because somebody said so.

use std::time::Duration;

use aiw_core::provider::KeyState;
use aiw_core::{Diagnostic, NonInteractive, Reporter, quoted, shell_quote_printable};
use aiw_home::Problem;
use aiw_sync::has_store;
use futures::future::join_all;

use super::Doctor;
use crate::ClientSession;
use crate::cli_updates::outdated;
use crate::installation::UpdateError;
use crate::servers::look::status;
use crate::servers::pool;
use crate::sync;

/// How long one of them may take to answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The problems that others told, by the part that they belong to.
pub struct OnlineProblems(Vec<(&'static str, Vec<Problem>)>);

impl OnlineProblems {
    /// Adds them to the parts of an answer.
    pub fn add_to(self, doctor: &mut Doctor) {
        for (name, problems) in self.0 {
            let part = doctor.parts.iter_mut().find(|part| part.name == name);
            part.into_iter().for_each(|part| part.problems.extend(problems.clone()));
        }
    }
}

/// Asks each provider with its key, the npm registry, the store of `aiw sync`, and each server, which is started for that. Whoever
/// does not answer stops no other.
pub async fn check_online(client: &ClientSession, sink: &dyn Reporter) -> OnlineProblems {
    let (providers, clis, mcp, sync) =
        tokio::join!(providers(client), clis(client, sink), servers(client, sink), store(client, sink));
    OnlineProblems(vec![("providers", providers), ("clis", clis), ("mcp", mcp), ("sync", sync)])
}

fn slow(who: &str, command: String) -> Problem {
    Problem::new(format!("{who} did not answer within {} s", REQUEST_TIMEOUT.as_secs()), command)
}

async fn providers(client: &ClientSession) -> Vec<Problem> {
    // Why they can't be read is told without asking.
    let Ok(file) = client.home().providers() else { return Vec::new() };
    let Ok(providers) = client.providers() else { return Vec::new() };
    let asked = file.providers().iter().map(async |provider| {
        let name = provider.name.as_str();
        let test = format!("aiw provider test {name}");
        match tokio::time::timeout(REQUEST_TIMEOUT, providers.test(name)).await {
            Err(_) => Some(slow(&format!("provider `{name}`"), test)),
            Ok(Err(e)) => Some(Problem::new(format!("provider `{name}`: {e}"), test)),
            Ok(Ok(tested)) if tested.health.key == KeyState::Refused => {
                let problem = format!("provider `{name}` refuses the key");
                Some(
                    Problem::new(problem, format!("aiw provider edit {name} --token-stdin"))
                        .with_purpose("takes another"),
                )
            }
            Ok(Ok(_)) => None,
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn clis(client: &ClientSession, sink: &dyn Reporter) -> Vec<Problem> {
    let command = || "aiw cli outdated".to_owned();
    match tokio::time::timeout(REQUEST_TIMEOUT, outdated(client.home(), sink)).await {
        Ok(Ok(_) | Err(UpdateError::Disabled | UpdateError::Home(_))) => Vec::new(),
        Ok(Err(e)) => vec![Problem::new(e.to_string(), command())],
        Err(_) => vec![slow("the npm registry", command())],
    }
}

/// Lists the snapshots of the store, where there is one. Nothing is merged.
async fn store(client: &ClientSession, sink: &dyn Reporter) -> Vec<Problem> {
    let list = "aiw sync list";
    // Settings that can't be read are told without asking.
    let Some(Ok(own)) = has_store(client.home()).then(|| sync::open(client.app(), client.home())) else {
        return Vec::new();
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, own.list(sink)).await {
        Ok(Ok(_)) => Vec::new(),
        Ok(Err(e)) => match e.fix() {
            Some(_) => vec![Problem::from_diagnostic(&e, list)],
            None => vec![Problem::from_diagnostic(&e, list).with_purpose("asks it again")],
        },
        Err(_) => vec![slow("the store of `aiw sync`", list.to_owned())],
    }
}

/// Starts each server by itself: one that hangs hides no other.
async fn servers(client: &ClientSession, sink: &dyn Reporter) -> Vec<Problem> {
    let names: Vec<String> = pool(client, sink).status().into_iter().map(|server| server.name).collect();
    let asked = names.iter().map(async |name| {
        let (key, word) = (quoted(name), shell_quote_printable(name));
        let status = status(client, std::slice::from_ref(name), &NonInteractive);
        match tokio::time::timeout(REQUEST_TIMEOUT, status).await {
            Err(_) => Some(slow(&format!("server {key}"), format!("aiw mcp doctor {word}"))),
            // The part itself says why they can't be read.
            Ok(Err(_)) => None,
            Ok(Ok(all)) => {
                let server = all.servers.into_iter().next()?;
                let command = if server.state == "auth_required" { "login" } else { "doctor" };
                let error = server.error?;
                Some(Problem::new(format!("server {key}: it {error}"), format!("aiw mcp {command} {word}")))
            }
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}
