//! `aiw mcp install`, `update`, `outdated`: servers that come from registries.

use aiw_app::ClientSession;
use aiw_app::installs::{Installation, Installed, Replaces, about, beside, fetch, key_for, missing_program};
use aiw_core::{ErrorKind, Secret, counted, one_line, quoted, shell_word};
use aiw_home::{Home, InstalledServer};
use aiw_registries::{
    Answers, FoundServer, News, Question, Registries, RegistryServer, Way, entry, how_to_get, news, way_id, ways,
};
use aiw_servers::McpFile;
use futures::{StreamExt, stream};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::edit::{check_name, value_of};
use super::{approve, login};
use crate::cli::mcp::{McpInstallArgs, McpLoginArgs, McpUpdateArgs};
use crate::commands::each::{FailedId, Failures};
use crate::commands::secret::note_unused;
use crate::components::session;
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;

/// `aiw mcp install`
#[derive(Serialize, JsonSchema)]
pub struct ServerInstall {
    /// The server in mcp.json
    pub server: ServerInstalled,
}

/// A server that came from a registry.
#[derive(Serialize, JsonSchema)]
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
    pub way: String,
    /// The secrets that were stored for it
    pub secrets: Vec<String>,
    /// The tools that it was seen with; none if it was not started, or did not work
    pub tools: Option<usize>,
    /// Why it does not work yet
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// `aiw mcp outdated`
#[derive(Serialize, JsonSchema)]
pub struct ServersOutdated {
    /// The servers of which there is news
    pub servers: Vec<ServerNews>,
    /// The servers whose registry could not be asked
    pub failed: Vec<FailedId>,
}

/// What has become of a server since it was installed.
#[derive(Serialize, JsonSchema)]
pub struct ServerNews {
    /// Its name in mcp.json
    pub key: String,
    /// Its name in the registry
    pub name: String,
    /// The component that reads the registry
    pub source: String,
    /// The version that is installed
    pub version: String,
    /// The news
    pub news: Vec<News>,
}

/// `aiw mcp update`
#[derive(Serialize, JsonSchema)]
pub struct ServersUpdate {
    /// The servers that were updated
    pub updated: Vec<ServerInstalled>,
    /// Those that are up to date
    pub unchanged: Vec<String>,
    /// Those that could not be updated
    pub failed: Vec<FailedId>,
}

pub async fn install(args: McpInstallArgs, output: &Output) -> Result<(), Failure> {
    let client = session(output)?;
    let registries = client.registries()?;
    let (found, problem) = registries.server(&args.name, args.version.as_deref(), args.source.as_deref()).await?;
    if let Some(problem) = problem {
        output.note(format!("note: this is from the local copy: {problem}"));
    }
    let server = install_found(&client, found, &args, output).await?;
    output.answer(ServerInstall { server });
    Ok(())
}

/// Installs a server: shows what it would run, asks for what it needs, tries it, and writes it.
async fn install_found(
    client: &ClientSession,
    found: FoundServer,
    args: &McpInstallArgs,
    output: &Output,
) -> Result<ServerInstalled, Failure> {
    let home = client.home();
    args.key.as_deref().map_or(Ok(()), check_name)?;
    let (key, replaces) = key_for(home, &found, args.key.as_deref(), args.force)?;
    let way = chosen(&found, args.way.as_deref(), output).await?;
    describe(&found, &way, output);
    beside(home, &found, &key, &replaces)?.iter().for_each(|line| output.before_question(line));
    let mut given = Answers::default();
    for (name, value) in &args.set {
        given.give(name, Secret::new(value_of(value, home)?));
    }
    let (yes, check) = (args.yes, !args.no_check);
    let plan = Plan { client, found: &found, key: &key, yes, check, replaces, updates: false };
    plan.run(way, given, output).await
}

/// One installation.
struct Plan<'a> {
    client: &'a ClientSession,
    found: &'a FoundServer,
    key: &'a str,
    yes: bool,
    check: bool,
    replaces: Replaces,
    /// Whether the answers are those of an earlier version.
    updates: bool,
}

impl Plan<'_> {
    async fn run(&self, way: Way, mut answers: Answers, output: &Output) -> Result<ServerInstalled, Failure> {
        let (home, key) = (self.client.home(), self.key);
        let question = if self.updates { format!("Update `{key}`?") } else { format!("Install it as `{key}`?") };
        if !terminal::confirm(&question, "--yes", self.yes).await? {
            return Err(Failure::declined("nothing was installed"));
        }
        if let Some(host) = way.inner_host() {
            let question = format!("It reaches {host}, inside a private or local network. Install it all the same?");
            if !terminal::confirm(&question, "--yes", self.yes).await? {
                return Err(Failure::declined("nothing was installed"));
            }
        }
        let net = self.client.app().client()?;
        let mut fetched = fetch(home, net, self.found, &way).await?;
        let id = way_id(&way);
        let way = match &fetched {
            // What a bundle runs stands in the bundle.
            Some(fetched) => {
                describe(self.found, &fetched.way, output);
                if let Some(reason) = fetched.way.refused() {
                    return Err(Failure::user(format!("`{key}` can't be installed: {reason}")));
                }
                if !terminal::confirm("Unpack and start this?", "--yes", self.yes).await? {
                    return Err(Failure::declined("nothing was installed"));
                }
                fetched.way.clone()
            }
            None => way,
        };
        if let Some(program) = missing_program(&way) {
            let failure = Failure::new(ErrorKind::Config, format!("`{program}` is not on this machine"));
            let failure = failure.with_hint(how_to_get(program));
            if self.check {
                return Err(failure);
            }
            output.note(format!("note: `{program}` is not on this machine: {}", how_to_get(program)));
        }
        if self.updates {
            for gone in answers.keep_only(way.questions()) {
                output.note(format!("note: it no longer asks for {}", quoted(&gone)));
            }
        }
        complete(&way, &mut answers, self.yes, output).await?;
        let vault = home.vault();
        let entry = entry(&way, &answers, key, |name| vault.is_taken(name)).map_err(|e| unanswered(e, key))?;
        if let Some(fetched) = &mut fetched {
            fetched.unpack()?;
        }
        if self.check {
            output.note(format!("Starting `{key}` once …"));
        }
        let installation = Installation {
            found: self.found,
            way: &way,
            way_id: id,
            key,
            entry: &entry,
            check: self.check,
            replaces: self.replaces.clone(),
        };
        let Installed { record, seen, replaced, wants_login } = installation.finish(home, net).await?;
        output.line(format!("{} `{key}`", if replaced.is_some() { "Replaced" } else { "Installed" }));
        for (name, _) in &entry.secrets {
            output.line(format!("  a secret is in the vault: ${{secret:{name}}}"));
        }
        note_unused(home, replaced.as_slice(), output);
        let tools = seen.as_ref().map(|seen| seen.accepted().count());
        if let Some(tools) = tools {
            output.line(format!("  it works and has {}", counted(tools as u64, "tool")));
        }
        for step in RegistryServer::of(self.found).instructions {
            output.line(format!("  afterwards: {step}"));
        }
        output.flush();
        if let Some(seen) = seen {
            approve::ask_about(key, &seen, output).await?;
        }
        if wants_login {
            self.offer_login(output).await?;
        }
        Ok(ServerInstalled {
            key: key.to_owned(),
            name: self.found.server.name.clone(),
            source: self.found.source.to_string(),
            version: self.found.server.version.clone(),
            way: record.way,
            secrets: record.secrets.iter().map(ToString::to_string).collect(),
            tools,
            problem: wants_login.then(|| "it wants a login".to_owned()),
        })
    }

    async fn offer_login(&self, output: &Output) -> Result<(), Failure> {
        let key = self.key;
        if terminal::can_ask() && terminal::confirm("It wants a login. Log in now?", "--yes", false).await? {
            return login::login(McpLoginArgs::of(key), output).await;
        }
        output.note(format!("note: it wants a login: `aiw mcp login {}`", shell_word(key)));
        Ok(())
    }
}

/// Names the flags that answer what is missing.
fn unanswered(error: aiw_registries::PlanError, key: &str) -> Failure {
    let hint = match &error {
        aiw_registries::PlanError::Missing { names } => {
            let flags: Vec<String> = names.iter().map(|name| format!("--set {}=…", shell_word(name))).collect();
            Some(format!("give them: `{}`", flags.join(" ")))
        }
        aiw_registries::PlanError::Unknown { known, .. } if !known.is_empty() => {
            Some(format!("`{key}` can be given {}", aiw_core::quoted_list(known)))
        }
        _ => None,
    };
    let failure = Failure::from(error);
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// Chooses how a server runs: as the user says, else the only way, else as they choose.
async fn chosen(found: &FoundServer, wanted: Option<&str>, output: &Output) -> Result<Way, Failure> {
    let all = ways(&found.server);
    let name = quoted(&found.server.name);
    let usable: Vec<&Way> = all.iter().filter(|way| way.refused().is_none()).collect();
    if usable.is_empty() {
        let Some(way) = all.first() else {
            return Err(Failure::user(format!("its registry does not say how {name} runs")));
        };
        all.iter().for_each(|way| output.note(refusal(way)));
        return Err(Failure::user(format!("{name} can't be installed: {}", refusal(way))));
    }
    if let Some(wanted) = wanted {
        let number = wanted.parse::<usize>().ok().and_then(|number| usable.get(number.checked_sub(1)?));
        let kind = usable.iter().find(|way| way.kind().as_str() == wanted);
        let way = number.or(kind).ok_or_else(|| {
            let kinds: Vec<&str> = usable.iter().map(|way| way.kind().as_str()).collect();
            let failure = Failure::new(ErrorKind::Usage, format!("{name} has no way {} to run", quoted(wanted)));
            failure.with_hint(format!("it has: {}", kinds.join(", ")))
        })?;
        return Ok((*way).clone());
    }
    if let [way] = usable[..] {
        return Ok(way.clone());
    }
    for (way, number) in usable.iter().zip(1..) {
        output.before_question(format!("{number}  {}  {}", way.kind().as_str(), way.target()));
    }
    output.flush();
    if !terminal::can_ask() {
        return Err(Failure::unanswered("the server runs in several ways", "--way KIND|NUMBER"));
    }
    let answer = terminal::ask("How shall it run? [1]").await?;
    let number = if answer.is_empty() { Some(1) } else { answer.parse::<usize>().ok() };
    let way = number.and_then(|number| usable.get(number.checked_sub(1)?));
    way.map(|way| (*way).clone()).ok_or_else(|| Failure::declined("nothing was installed"))
}

fn refusal(way: &Way) -> String {
    let reason = way.refused().map(ToString::to_string).unwrap_or_default();
    format!("{} {}: {reason}", way.kind().as_str(), way.target())
}

/// Shows everything that decides whether to install a server, before the question.
fn describe(found: &FoundServer, way: &Way, output: &Output) {
    about(found, way).iter().for_each(|line| output.before_question(line));
    output.flush();
}

/// Whether the entry of a server is the one that was written when it was installed.
fn is_as_written(home: &Home, key: &str, record: &InstalledServer) -> bool {
    McpFile::load(home).is_ok_and(|file| file.get(key) == Some(&record.written))
}

/// Asks on a terminal for what has no answer yet. Elsewhere, what is required and has none is an error later. With `--yes`,
/// what Enter would answer is answered, so that one command makes one entry.
async fn complete(way: &Way, answers: &mut Answers, yes: bool, output: &Output) -> Result<(), Failure> {
    if yes {
        answers.take_defaults(way.questions());
    }
    let is_open = |question: &&Question| !answers.has(&question.name) && (question.required || !yes);
    let open: Vec<&Question> = way.questions().iter().filter(is_open).collect();
    if open.is_empty() || !terminal::can_ask() {
        return Ok(());
    }
    output.flush();
    for question in open {
        loop {
            match ask(question).await? {
                None if question.required && !answers.has(&question.name) => terminal::tell("The server needs it."),
                None => break,
                Some(answer) => answers.give(&question.name, answer),
            }
            if !question.repeated && answers.has(&question.name) {
                break;
            }
        }
    }
    Ok(())
}

/// Asks one question. None if the answer was empty.
async fn ask(question: &Question) -> Result<Option<Secret>, Failure> {
    let Question { name, description, required, secret, placeholder, choices, repeated, .. } = question;
    let default = question.default.as_ref().filter(|_| !repeated);
    let shown = one_line(name, 80);
    terminal::tell("");
    if let Some(description) = description {
        terminal::tell(&format!("{shown}: {}", one_line(description, 300)));
    }
    if !choices.is_empty() {
        terminal::tell(&format!("One of: {}", one_line(&choices.join(", "), 400)));
    }
    if let Some(example) = placeholder {
        terminal::tell(&format!("For example: {}", one_line(example, 200)));
    }
    // What is in the environment already need not be stored.
    if std::env::var_os(name).is_some_and(|value| !value.is_empty())
        && terminal::confirm(&format!("Take it from your environment, as `${{{shown}}}`?"), "", false).await?
    {
        return Ok(Some(Secret::new(format!("${{{name}}}"))));
    }
    let mut words = format!("Value of {shown}");
    match (default, required, repeated) {
        (Some(default), _, _) => words.push_str(&format!(" [{}, its publisher's default]", one_line(default, 200))),
        (None, true, _) => {}
        (None, false, true) => words.push_str(" (nothing ends the list)"),
        (None, false, false) => words.push_str(" (may be empty)"),
    }
    words.push(':');
    let answer = match secret {
        true => terminal::ask_hidden_or_nothing(&words).await?,
        false => Some(Secret::new(terminal::ask(&words).await?)),
    };
    let answer = answer.filter(|answer| !answer.expose().is_empty());
    Ok(answer.or_else(|| question.usual_answer()))
}

/// How many servers registries are asked for at once.
const AT_ONCE: usize = 8;

/// What the registries say now of servers that came from them.
async fn compared(
    registries: &Registries,
    home: &Home,
    names: &[String],
    output: &Output,
    failures: &mut Failures<FailedId>,
) -> Result<Vec<(String, InstalledServer, Option<FoundServer>, Vec<News>)>, Failure> {
    let installed = home.registry_lock()?.all();
    let mut all = Vec::new();
    for name in names {
        if !installed.contains_key(name) {
            let failure = Failure::user(format!("{} did not come from a registry", quoted(name)));
            failures.add(name, Some(name), failure, output);
        }
    }
    let chosen = installed.into_iter().filter(|(key, _)| names.is_empty() || names.contains(key));
    let answers = chosen.map(async |(key, record)| {
        let now = registries.known(&record.name, None, Some(&record.source)).await;
        (key, record, now)
    });
    let mut answers = stream::iter(answers).buffered(AT_ONCE);
    while let Some((key, record, now)) = answers.next().await {
        let now = match now {
            Ok((found, None)) => Some(found),
            Ok((_, Some(e))) => {
                failures.add(&key, Some(&key), e, output);
                continue;
            }
            Err(aiw_registries::RegistryError::UnknownServer { failed, .. }) if failed.is_empty() => None,
            Err(e) => {
                failures.add(&key, Some(&key), e, output);
                continue;
            }
        };
        let news = news(&record, now.as_ref().map(|found| &found.server));
        all.push((key, record, now, news));
    }
    Ok(all)
}

pub async fn outdated(names: &[String], output: &Output) -> Result<(), Failure> {
    let client = session(output)?;
    let (registries, mut failures) = (client.registries()?, Failures::default());
    let compared = compared(&registries, client.home(), names, output, &mut failures).await?;
    let mut servers = Vec::new();
    for (key, InstalledServer { source, name, version, .. }, _, news) in compared {
        if news.is_empty() {
            continue;
        }
        for one in &news {
            output.line(format!("{} {} {}", quoted(&key), one_line(&version, 40), one.sentence()));
        }
        servers.push(ServerNews { key, name, source, version, news });
    }
    if servers.is_empty() && failures.first.is_none() {
        output.line("All servers from registries are up to date");
    }
    output.conclude(ServersOutdated { servers, failed: failures.failed }, failures.first)
}

pub async fn update(args: McpUpdateArgs, output: &Output) -> Result<(), Failure> {
    let client = session(output)?;
    let (registries, mut failures) = (client.registries()?, Failures::default());
    let compared = compared(&registries, client.home(), &args.names, output, &mut failures).await?;
    let (mut updated, mut unchanged) = (Vec::new(), Vec::new());
    for (key, record, now, news) in compared {
        let is_newer = news.iter().any(|news| matches!(news, News::Newer { .. } | News::Changed));
        let Some(found) = now.filter(|_| is_newer) else {
            news.iter().for_each(|news| output.note(format!("note: {} {}", quoted(&key), news.sentence())));
            if news.is_empty() {
                output.line(format!("{} is up to date", quoted(&key)));
            }
            unchanged.push(key);
            continue;
        };
        match update_one(&client, &key, &record, &found, &news, &args, output).await {
            Ok(server) => updated.push(server),
            Err(failure) if failure.code() >= 128 => return Err(failure),
            Err(failure) => failures.add(&key, Some(&key), failure, output),
        }
    }
    output.conclude(ServersUpdate { updated, unchanged, failed: failures.failed }, failures.first)
}

async fn update_one(
    client: &ClientSession,
    key: &str,
    record: &InstalledServer,
    found: &FoundServer,
    news: &[News],
    args: &McpUpdateArgs,
    output: &Output,
) -> Result<ServerInstalled, Failure> {
    let home = client.home();
    news.iter().for_each(|news| output.before_question(format!("{} {}", quoted(key), news.sentence())));
    if !is_as_written(home, key, record) {
        let failure =
            Failure::user(format!("the entry of {} in mcp.json is not the one that was installed", quoted(key)));
        let install = format!("aiw mcp install {} --as {key} --force", shell_word(&record.name));
        return Err(failure.with_hint(format!("`{install}` replaces it")));
    }
    let mut usable = ways(&found.server).into_iter().filter(|way| way.refused().is_none());
    let same: Vec<Way> = usable.by_ref().filter(|way| way_id(way) == record.way).collect();
    let [way] = &same[..] else {
        let what = if same.is_empty() { "no longer runs" } else { "runs in several ways" };
        let failure = Failure::user(format!("{} {what} as `{}`", quoted(key), one_line(&record.way, 80)));
        let install = format!("aiw mcp install {} --as {key} --way …", shell_word(&record.name));
        return Err(failure.with_hint(format!("choose how it runs: `{install}`")));
    };
    let way = way.clone();
    describe(found, &way, output);
    let mut answers = Answers::recorded(&record.answers);
    for (name, value) in &args.set {
        answers.replace(name, Secret::new(value_of(value, home)?));
    }
    let replaces = Replaces::Same(record.written.clone());
    let plan = Plan { client, found, key, yes: args.yes, check: !args.no_check, replaces, updates: true };
    plan.run(way, answers, output).await
}

/// The secrets that were stored for servers that are gone, and that nothing else names.
pub(super) async fn forget_secrets(home: &Home, gone: &[Value], output: &Output) -> Result<(), Failure> {
    let unused = crate::commands::secret::unused(home, gone);
    if unused.is_empty() || !terminal::can_ask() {
        note_unused(home, gone, output);
        return Ok(());
    }
    let names: Vec<String> = unused.iter().map(|name| format!("`{name}`")).collect();
    output.flush();
    if terminal::confirm(&format!("Nothing uses {} any more. Remove from the vault?", names.join(", ")), "", false)
        .await?
    {
        let lock = home.lock()?;
        unused.iter().try_for_each(|name| home.vault().remove(&lock, name))?;
    }
    Ok(())
}
