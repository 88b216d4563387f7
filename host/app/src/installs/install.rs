//! Installing a server: what it would run is shown and agreed to, what it needs is asked for, it is tried, and then written.

use aiw_core::{Choice, Effect, Plan, Prompter, Question, Reporter, Secret, is_internal, one_line, pluralize, quoted};
use aiw_home::{Home, InstalledServer};
use aiw_registries::{
    EntryPlan, EntryValues, InstallMethod, MergedServer, RegistryServer, install_hint, install_methods, method_id,
    plan_entry, record,
};
use aiw_routing::{Records, ServerRecord};
use aiw_servers::{check_name, entry_value};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{Replaces, about, beside, fetch, key_for, missing_program, try_out};
use crate::ClientSession;
use crate::secrets::report_unused_secrets;
use crate::servers::{Result, ServerError};

/// How a server is installed.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InstallRequest {
    /// Its name in mcp.json; else one that is made of its name in the registry
    pub key: Option<String>,
    /// How it runs, by kind or number, if there are several ways
    pub method: Option<String>,
    /// Answers to what it needs, by name; `@NAME` is a secret of the vault
    pub set: Vec<(String, String)>,
    /// Whether it may replace another server of its name
    pub force: bool,
    /// Whether it is written without having been started
    pub unchecked: bool,
}

/// A server that came from a registry.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServerInstalled {
    /// Its name in mcp.json
    pub key: String,
    /// Its name in the registry
    pub name: String,
    /// The component that reads the registry
    pub source: String,
    /// Its version in the registry
    pub version: String,
    /// How it runs
    pub method: String,
    /// The secrets that were stored for it
    pub secrets: Vec<String>,
    /// The tools that it was seen with; none if it was not started, or did not work
    pub tools: Option<usize>,
    /// Why it does not work yet
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The result of an installation.
pub struct ServerInstallation {
    /// The answer.
    pub server: ServerInstalled,
    /// The record of its tools, if it was started and works.
    pub record: Option<ServerRecord>,
    /// Whether it wants a login before it works.
    pub needs_login: bool,
}

/// Installs a server that a registry has.
///
/// # Errors
///
/// Fails if the person declines any question, or it can't be installed. Then nothing is written.
pub fn install<'a>(
    client: &'a ClientSession,
    found: &'a MergedServer,
    request: InstallRequest,
    ask: &'a dyn Prompter,
    sink: &'a dyn Reporter,
) -> BoxFuture<'a, Result<ServerInstallation>> {
    Box::pin(async move {
        let home = client.home();
        request.key.as_deref().map_or(Ok(()), check_name)?;
        let (key, replaces) = key_for(home, found, request.key.as_deref(), request.force)?;
        let way = chosen(home, found, request.method.as_deref(), ask).await?;
        let mut answers = EntryValues::default();
        for (name, value) in &request.set {
            answers.add_value(name, Secret::new(entry_value(value, home)?));
        }
        let check = !request.unchecked;
        ServerInstaller { client, server: found, key: &key, check, replaces, update_notes: None }
            .run(way, answers, ask, sink)
            .await
    })
}

/// One installation.
pub(super) struct ServerInstaller<'a> {
    pub(super) client: &'a ClientSession,
    pub(super) server: &'a MergedServer,
    pub(super) key: &'a str,
    pub(super) check: bool,
    pub(super) replaces: Replaces,
    /// The news since it was installed, in lines, if this is an update.
    pub(super) update_notes: Option<Vec<String>>,
}

impl ServerInstaller<'_> {
    pub(super) async fn run(
        self,
        mut way: InstallMethod,
        mut answers: EntryValues,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<ServerInstallation> {
        let (home, key, found) = (self.client.home(), self.key, self.server);
        let net = self.client.app().client()?;
        let id = method_id(&way);
        let mut fetched = None;
        if way.bundle().is_some() {
            let plan = self.plan("Fetch this bundle to see what it runs?", &way)?;
            ask.confirm(&plan, &[]).await?;
            fetched = fetch(home, net, found, &way).await?;
        }
        if let Some(fetched) = &fetched {
            // What a bundle runs stands in the bundle.
            way = fetched.method.clone();
        }
        if let Some(reason) = way.unsupported_reason() {
            return Err(ServerError::NoUsableMethod { name: key.to_owned(), why: reason.to_string() });
        }
        if let Some(program) = missing_program(home, &way) {
            if self.check {
                return Err(ServerError::ProgramNotFound { program: program.to_owned() });
            }
            sink.note(format!("`{program}` is not on this machine: {}", install_hint(program)));
        }
        if self.update_notes.is_some() {
            for gone in answers.keep_only(way.questions()) {
                sink.note(format!("it no longer asks for {}", quoted(&gone)));
            }
        }
        let start = if self.check { ", and start it" } else { "" };
        let question = match (&self.update_notes, &self.replaces) {
            (Some(_), _) => format!("Update `{key}`?"),
            (None, Replaces::None) => format!("Install the MCP server `{key}`{start}?"),
            (None, _) => format!("Replace the MCP server `{key}`{start}?"),
        };
        let open: Vec<&Question> = way.questions().iter().filter(|question| !answers.has(&question.name)).collect();
        let given = ask.confirm(&self.plan(&question, &way)?, &open).await?;
        given.into_iter().for_each(|(name, answer)| answers.add_value(name, answer));
        let vault = home.vault();
        let entry_of = |way: &InstallMethod| {
            plan_entry(way, &answers, key, |name| vault.is_taken(name))
                .map_err(|source| ServerError::InvalidAnswers { key: key.to_owned(), source })
        };
        let mut entry = entry_of(&way)?;
        // An answer, or its publisher's default, may have made the address.
        if let Some(host) = way.private_host().map(str::to_owned).or_else(|| inner_host(&entry)) {
            let question = format!("`{key}` reaches {host}, inside a private or local network. May it?");
            let mut plan = Plan::new(question);
            plan.add_hidden_bytes(entry.declaration.get("url").map(Value::to_string).unwrap_or_default().as_bytes());
            ask.confirm(&plan, &[]).await?;
        }
        if let Some(fetched) = &mut fetched {
            fetched.bundle.unpack(&fetched.directory)?;
        }
        let tried = match self.tried(&entry, sink).await {
            Err(ServerError::Broken { key, problem }) => {
                let Some((renamed, program)) = way.with_suggested_program(&problem.to_string()) else {
                    return Err(ServerError::Broken { key, problem });
                };
                let question = format!("Its package has no program of its own name, but `{program}`. Start that?");
                ask.confirm(&self.plan(&question, &renamed)?, &[]).await?;
                (way, entry) = (renamed.clone(), entry_of(&renamed)?);
                self.tried(&entry, sink).await
            }
            tried => tried,
        };
        let (seen, wants_login) = tried?;
        self.write(&way, id, &entry, seen, wants_login, sink)
    }

    /// Writes the server, its secrets and what is known of it, and says so.
    fn write(
        self,
        way: &InstallMethod,
        id: String,
        entry: &EntryPlan,
        seen: Option<ServerRecord>,
        wants_login: bool,
        sink: &dyn Reporter,
    ) -> Result<ServerInstallation> {
        let (home, key, found) = (self.client.home(), self.key, self.server);
        let record = InstalledServer { method: id, ..record(found, way, entry) };
        let (declaration, secrets) = (Value::Object(entry.declaration.clone()), &entry.secrets);
        let may_replace = |known: &Value| self.replaces.covers(known);
        let replaced = aiw_servers::add(home, key, &declaration, secrets, Some(&record), may_replace)?;
        if let Some(seen) = &seen {
            Records::new(home.clone()).update(key, |record| *record = seen.clone())?;
        }
        let seen = seen.filter(|_| !wants_login);
        let done = |line: String| sink.done(line);
        done(format!("{} `{key}`", if replaced.is_some() { "Replaced" } else { "Installed" }));
        entry.secrets.iter().for_each(|(name, _)| done(format!("  a secret is in the vault: ${{secret:{name}}}")));
        report_unused_secrets(home, replaced.as_slice(), sink);
        let tools = seen.as_ref().map(|seen| seen.accepted_tools().count());
        if let Some(tools) = tools {
            done(format!("  it works and has {}", pluralize(tools as u64, "tool")));
        }
        RegistryServer::new(found).instructions.iter().for_each(|step| done(format!("  afterwards: {step}")));
        Ok(ServerInstallation {
            server: server(key, found, record, tools, wants_login),
            record: seen,
            needs_login: wants_login,
        })
    }

    /// Starts the server once, if that is wanted. Returns what it has shown, and whether it wants a login before it works.
    async fn tried(&self, entry: &EntryPlan, sink: &dyn Reporter) -> Result<(Option<ServerRecord>, bool)> {
        let (home, key) = (self.client.home(), self.key);
        if !self.check {
            return Ok((None, false));
        }
        sink.step(format!("Starting `{key}` once …"));
        match try_out(home, self.client.app().client()?, key, entry).await? {
            (_, Some(problem)) if !problem.needs_login() => Err(ServerError::Broken { key: key.to_owned(), problem }),
            (seen, problem) => Ok((seen, problem.is_some())),
        }
    }

    /// Returns the plan that the person agrees to.
    fn plan(&self, question: &str, way: &InstallMethod) -> Result<Plan> {
        let mut lines = self.update_notes.clone().unwrap_or_default();
        lines.extend(about(self.server, way));
        lines.extend(beside(self.client.home(), self.server, self.key, &self.replaces)?);
        let effects = vec![effect(way), Effect::Writes("mcp.json".into())];
        let mut plan = Plan { details: lines, effects, ..Plan::new(question) };
        // Long values are cut, and what is asked for is told in short.
        plan.add_hidden_bytes(format!("{way:?}").as_bytes());
        Ok(plan)
    }
}

/// The host of an entry's address, if it is inside a private or local network.
fn inner_host(entry: &EntryPlan) -> Option<String> {
    let url = Url::parse(entry.declaration.get("url")?.as_str()?).ok()?;
    Some(quoted(url.host_str()?)).filter(|_| is_internal(&url))
}

fn effect(way: &InstallMethod) -> Effect {
    match way.program() {
        Some(_) => Effect::Runs(way.target().to_owned()),
        None => Effect::Connects(way.target().to_owned()),
    }
}

fn server(
    key: &str,
    found: &MergedServer,
    record: InstalledServer,
    tools: Option<usize>,
    wants_login: bool,
) -> ServerInstalled {
    ServerInstalled {
        key: key.to_owned(),
        name: found.server.name.clone(),
        source: found.source.to_string(),
        version: found.server.version.clone(),
        method: record.method,
        secrets: record.secrets.iter().map(ToString::to_string).collect(),
        tools,
        problem: wants_login.then(|| "it wants a login".to_owned()),
    }
}

/// Chooses how a server runs: as the request says, else the only way, else as the person chooses.
async fn chosen(home: &Home, found: &MergedServer, wanted: Option<&str>, ask: &dyn Prompter) -> Result<InstallMethod> {
    let all = install_methods(&found.server, home.context());
    let name = &found.server.name;
    let no_way = |why: String| ServerError::NoUsableMethod { name: name.clone(), why };
    let usable: Vec<&InstallMethod> = all.iter().filter(|way| way.unsupported_reason().is_none()).collect();
    if usable.is_empty() {
        let refused: Vec<String> = all.iter().map(refusal).collect();
        let why =
            if refused.is_empty() { "its registry does not say how it runs".to_owned() } else { refused.join("; ") };
        return Err(no_way(why));
    }
    if let Some(wanted) = wanted {
        let number = wanted.parse::<usize>().ok().and_then(|number| usable.get(number.checked_sub(1)?));
        let kind = usable.iter().find(|way| way.kind().as_str() == wanted);
        return number.or(kind).map(|way| (*way).clone()).ok_or_else(|| ServerError::UnknownMethod {
            name: name.clone(),
            way: wanted.to_owned(),
            known: usable.iter().map(|way| way.kind().as_str()).collect(),
        });
    }
    let askable: Vec<&InstallMethod> = usable.into_iter().filter(|way| ask.can_ask(way.questions())).collect();
    match &askable[..] {
        [] => Err(aiw_core::PromptError::Unsupported.into()),
        [way] => Ok((*way).clone()),
        several => {
            let options = several.iter().map(|way| format!("{} {}", way.kind().as_str(), way.target())).collect();
            let question = format!("The MCP server {} runs in several ways. Which?", one_line(name, 200));
            let (short, flag) = ("How shall it run?".to_owned(), "--method KIND|NUMBER".to_owned());
            let mut choice = Choice {
                name: "method",
                question,
                short_question: short,
                options,
                optional: false,
                flag,
                hidden_digests: Vec::new(),
            };
            // The name may be cut, and a way is more than its kind and target.
            choice.add_hidden_bytes(format!("{name} {several:?}").as_bytes());
            let chosen = ask.select(&choice).await?;
            several.get(chosen).map(|way| (*way).clone()).ok_or_else(|| aiw_core::PromptError::Declined.into())
        }
    }
}

fn refusal(way: &InstallMethod) -> String {
    let reason = way.unsupported_reason().map(ToString::to_string).unwrap_or_default();
    format!("{} {}: {reason}", way.kind().as_str(), way.target())
}
