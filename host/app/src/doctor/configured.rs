//! The parts that are configured or installed: AI CLIs, providers, budgets, models, extensions and plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aiw_core::{CliKind, ExtensionId, pluralize, quoted, shell_quote_printable};
use aiw_gateway::cooldowns;
use aiw_home::{
    CLI_LOGIN_NAME, CliPaths, ExtensionsLock, Home, Problem, ProviderProblem, ProvidersFile, SecretRef, TrustedProject,
    edit_command,
};
use aiw_launch::{Roles, SearchPath, detect_cached, remove_command};
use aiw_vectors::{EmbeddingModels, StateName};

use super::part::CheckedPart;
use crate::cli_updates::cached_update;

/// Looks at the AI CLIs: which are installed, and whether one is installed twice.
pub(super) fn clis(home: &Home) -> CheckedPart {
    let search = SearchPath::from_context(home.context());
    let found = detect_cached(&search, home);
    let mut problems = Vec::new();
    let mut names = Vec::new();
    for cli in &found {
        let Some(path) = &cli.path else { continue };
        let name = cli.kind.as_str();
        let version = cli.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let news = cached_update(home, cli).map(|news| format!(" ({} is out)", news.newest)).unwrap_or_default();
        names.push(format!("{name}{version}{news}"));
        // A link to the first is the same one.
        let is_other = |other: &PathBuf| std::fs::canonicalize(other).ok() != cli.real_path;
        if let Some(other) = search.find_all(cli.kind).skip(1).find(is_other) {
            let problem = format!(
                "`{name}` is installed twice: a shell starts `{}`, and `{}` is another one",
                path.display(),
                other.display()
            );
            problems
                .push(Problem::new(problem, remove_command(cli.kind, &other)).with_purpose("removes the other one"));
        }
    }
    // Who uses aiw as an MCP server alone needs none.
    let none = || "none installed; `aiw cli list` shows the commands that install them".to_owned();
    let summary = if names.is_empty() { none() } else { names.join(", ") };
    CheckedPart { name: "clis", summary, problems }
}

/// Looks at the providers and pools: entries that can't be used, secrets that are missing, pools of which all rest.
pub(super) fn providers(home: &Home) -> CheckedPart {
    let name = "providers";
    let Ok(file) = home.providers() else { return CheckedPart::already_reported(name) };
    let mut problems: Vec<Problem> = provider_problems(home, &file).into_iter().map(|(_, problem)| problem).collect();
    problems.extend(nobody_signed_in(home).filter(|_| file.providers().is_empty()));
    let mut rests = 0;
    for pool in file.pools() {
        let cooldowns = cooldowns(home, pool.name.as_str());
        rests += cooldowns.len();
        if !cooldowns.is_empty() && cooldowns.len() >= pool.members.len() {
            let problem = format!("all {} of the pool `{}` rest", pluralize(pool.members.len(), "member"), pool.name);
            let reset = format!("aiw pool reset {}", pool.name);
            problems.push(Problem::new(problem, reset).with_purpose("asks them again at once"));
        }
    }
    let pools =
        if file.pools().is_empty() { String::new() } else { format!(", {}", pluralize(file.pools().len(), "pool")) };
    let rests = if rests == 0 { String::new() } else { format!(", {rests} at rest") };
    let summary = format!("{}{pools}{rests}", pluralize(file.providers().len(), "provider"));
    CheckedPart { name, summary, problems }
}

/// Returns what can't work until somebody changes it, each with the name of its provider, if there is one: entries that can't
/// be used, missing secrets, defaults that name nothing.
pub(crate) fn provider_problems(home: &Home, file: &ProvidersFile) -> Vec<(Option<String>, Problem)> {
    let entry = |kind: &str, command: &str, found: &ProviderProblem| {
        let (named, word) = (quoted(&found.name), shell_quote_printable(&found.name));
        (
            None,
            Problem::new(format!("{kind} {named} can't be used: {}", found.problem), format!("aiw {command} {word}")),
        )
    };
    let mut problems: Vec<(Option<String>, Problem)> =
        file.problems().iter().map(|found| entry("provider", "provider edit", found)).collect();
    problems.extend(file.pool_problems().iter().map(|found| entry("pool", "pool remove", found)));
    for provider in file.providers() {
        for reference in provider.references() {
            let missing = match reference {
                SecretRef::Vault(secret) if !home.vault().is_taken(secret) => {
                    (format!("the secret `{secret}`"), format!("aiw secret set {secret}"))
                }
                SecretRef::Variable(variable) if home.context().variable(variable.as_str()).is_none() => {
                    (format!("the variable `{variable}`"), format!("export {variable}=…"))
                }
                _ => continue,
            };
            let problem = Problem::new(format!("provider `{}` lacks {}", provider.name, missing.0), missing.1);
            problems.push((Some(provider.name.to_string()), problem));
        }
    }
    problems.extend(absent_defaults(home, file).into_iter().map(|problem| (None, problem)));
    problems
}

/// Finds defaults, of the user and of the project that they trust, which name no provider and no pool.
fn absent_defaults(home: &Home, file: &ProvidersFile) -> Vec<Problem> {
    let is_absent =
        |name: &str| name != CLI_LOGIN_NAME && !file.has(name) && !file.problems().iter().any(|p| p.name == name);
    let mut absent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for cli in CliKind::ALL {
        if let Some(name) = file.default_for(cli).filter(|name| is_absent(name)) {
            absent.entry(name).or_default().push(cli.as_str());
        }
    }
    let problem = |(name, clis): (&str, Vec<&str>)| {
        let problem = format!("the default provider {} does not exist", quoted(name));
        // The defaults of other CLIs stay.
        let only = if clis.len() == CliKind::ALL.len() { String::new() } else { format!(" --clis {}", clis.join(",")) };
        Problem::new(problem, format!("aiw provider default own{only}"))
            .with_purpose("has runs use the CLIs' own settings")
    };
    let mut problems: Vec<Problem> = absent.into_iter().map(problem).collect();
    let trust = home.settings().map(|settings| settings.trust()).unwrap_or_default();
    let project = crate::directory(home)
        .ok()
        .and_then(|cwd| TrustedProject::find(cwd, home.context().user_home().as_deref(), &trust).ok()?.trusted());
    for project in project.iter() {
        let names: BTreeSet<&str> = project.providers().map(|(_, name)| name).filter(|name| is_absent(name)).collect();
        problems.extend(names.into_iter().map(|name| {
            let problem = format!("the project's provider {} does not exist here", quoted(name));
            Problem::new(problem, format!("aiw provider add {}", shell_quote_printable(name)))
        }));
    }
    problems
}

/// Files in which CLIs keep a login, or what stands for one, below their directories or beside them.
const LOGIN_FILES: [(CliKind, &[&str]); 3] = [
    (CliKind::Claude, &[".credentials.json", "../.claude.json"]),
    (CliKind::Codex, &["auth.json"]),
    (
        CliKind::Gemini,
        &["oauth_creds.json", "google_accounts.json", "gemini-credentials.json", ".env", "settings.json"],
    ),
];

/// The beginnings of variables with which CLIs get to their models.
const ACCESS_VARIABLE_PREFIXES: [&str; 8] =
    ["ANTHROPIC_", "AWS_", "CLAUDE_CODE_", "OPENAI_", "CODEX_API", "GEMINI_API", "GOOGLE_", "AZURE_"];

/// Looks whether a CLI is installed, and none has a login. A Mac keeps logins in its keychain.
fn nobody_signed_in(home: &Home) -> Option<Problem> {
    let (around, places) = (home.context(), CliPaths::from_context(home.context())?);
    let search = SearchPath::from_context(around);
    let installed: Vec<CliKind> =
        CliKind::ALL.into_iter().filter(|kind| search.find_all(*kind).next().is_some()).collect();
    let has_login = |(kind, files): &(CliKind, &[&str])| {
        installed.contains(kind) && files.iter().any(|file| places.directory(*kind).join(file).exists())
    };
    let is_given = |name: &str| ACCESS_VARIABLE_PREFIXES.iter().any(|start| name.starts_with(start));
    let is_told = around.variables().any(|(name, _)| name.to_str().is_some_and(is_given));
    if installed.is_empty() || cfg!(target_os = "macos") || is_told || LOGIN_FILES.iter().any(has_login) {
        return None;
    }
    let names: Vec<&str> = installed.iter().map(|kind| kind.as_str()).collect();
    let problem = format!("there is no provider, and nobody is signed in with {}", names.join(", "));
    Some(Problem::new(problem, "aiw provider add"))
}

/// Looks at the roles: those that can't be used, or still have the text of the template.
pub(super) fn roles(home: &Home) -> Option<CheckedPart> {
    let name = "roles";
    let settings = home.settings().ok()?;
    let roles = Roles::open(home.clone(), &settings, crate::directory(home).ok());
    let (all, unread) = roles.validate(None);
    if all.is_empty() && unread.is_empty() {
        return None;
    }
    let broken = all.iter().filter_map(|(listed, problem)| {
        let problem = format!("the role {} can't be used as it is: {}", quoted(&listed.name), problem.as_ref()?);
        Some(Problem::new(problem, edit_command(&listed.path)))
    });
    let unread = unread.iter().map(|e| Problem::from_diagnostic(e, "aiw role list"));
    let problems = broken.chain(unread).collect();
    Some(CheckedPart { name, summary: pluralize(all.len(), "role"), problems })
}

/// Looks at the budgets; `None` without one.
pub(super) fn budgets(home: &Home) -> Option<CheckedPart> {
    let name = "budgets";
    if home.settings().and_then(|settings| settings.budgets()).is_err() {
        return Some(CheckedPart::already_reported(name));
    }
    let (list, loss) = match crate::budgets::list(home) {
        Ok(read) => read,
        Err(e) => return Some(CheckedPart::unreadable(name, Problem::from_diagnostic(&e, "aiw budget list"))),
    };
    if list.budgets.is_empty() {
        return None;
    }
    let mut problems: Vec<Problem> = loss
        .iter()
        .map(|loss| Problem::new(loss.to_string(), "aiw budget repair").with_purpose("counts on from here"))
        .collect();
    let unpriced = list.budgets.iter().filter(|budget| budget.usd.is_some() && budget.spent.unpriced > 0);
    problems.extend(unpriced.map(|budget| {
        let problem = format!("the budget `{}` does not count what has no known price", budget.name);
        Problem::new(problem, edit_command(&home.settings_path()))
            .with_purpose("gives the models a `price`, under `models`")
    }));
    Some(CheckedPart { name, summary: pluralize(list.budgets.len(), "budget"), problems })
}

/// Looks at the model for search by meaning.
pub(super) fn models(home: &Home) -> CheckedPart {
    let name = "models";
    if home.models_lock().is_err() {
        return CheckedPart::already_reported(name);
    }
    let status = match EmbeddingModels::new(home.clone()).status() {
        Ok(status) => status,
        Err(e) => return CheckedPart::unreadable(name, Problem::from_diagnostic(&e, "aiw model list")),
    };
    let is_broken = matches!(status.state, StateName::Missing | StateName::Changed | StateName::Unusable);
    let own = status.name.as_deref().map(shell_quote_printable).unwrap_or_default();
    let broken = is_broken.then(|| Problem::new(status.message.clone(), format!("aiw model pull {own}")));
    let summary = status.name.unwrap_or_else(|| "none: search goes by words alone".to_owned());
    CheckedPart { name, summary, problems: broken.into_iter().collect() }
}

/// Finds components that marketplaces and providers name, and that are not installed any more.
fn removed_components(home: &Home, lock: &ExtensionsLock, is_bundled: fn(&str) -> bool) -> Vec<Problem> {
    let is_gone = |id: &ExtensionId| !is_bundled(id.as_str()) && !lock.extensions.contains_key(id);
    let markets = home.settings().map(|settings| settings.markets().to_vec()).unwrap_or_default();
    let providers = home.providers().map(|file| file.providers().to_vec()).unwrap_or_default();
    let markets = markets.iter().filter_map(|market| {
        let id = market.extension.as_ref().filter(|id| is_gone(id))?;
        Some((
            format!("the marketplace `{}`", market.name),
            id,
            format!("aiw plugin marketplace remove {}", market.name),
        ))
    });
    let providers = providers.iter().filter_map(|provider| {
        let id = provider.component.as_ref().filter(|id| is_gone(id))?;
        Some((format!("the provider `{}`", provider.name), id, format!("aiw provider remove {}", provider.name)))
    });
    let problem = |(user, id, remove): (String, &ExtensionId, String)| {
        let problem = format!("{user} uses the extension `{id}`, which is not installed");
        Problem::new(problem, remove).with_purpose("forgets it; `aiw extension add` brings the extension back")
    };
    markets.chain(providers).map(problem).collect()
}

/// Looks at the extensions and plugins that are installed: whether their files are those that you agreed to.
pub(super) fn installed_extensions(home: &Home, is_bundled: fn(&str) -> bool) -> CheckedPart {
    let name = "installed";
    let mut problems = Vec::new();
    let mut counts = Vec::new();
    // Why a document can't be read is told with the home.
    if let Ok(lock) = home.extensions_lock() {
        counts.push(pluralize(lock.extensions.len(), "extension"));
        problems.extend(removed_components(home, &lock, is_bundled));
        for (id, problem) in aiw_components::find_damaged(home, &lock) {
            problems.push(Problem::new(problem.to_string(), format!("aiw extension update {id}")));
        }
    }
    match home.plugins().map(|plugins| plugins.all()) {
        Err(_) => {}
        Ok(Err(e)) => problems.push(e.into()),
        Ok(Ok(plugins)) => {
            counts.push(pluralize(plugins.len(), "plugin"));
            let gone = plugins.iter().filter(|(_, plugin)| !home.tree(&plugin.digest).is_dir());
            problems.extend(gone.map(|(id, _)| {
                Problem::new(format!("the files of the plugin `{id}` are gone"), format!("aiw plugin install {id}"))
            }));
        }
    }
    if counts.is_empty() {
        counts.push("can't be read".to_owned());
    }
    CheckedPart { name, summary: counts.join(", "), problems }
}
