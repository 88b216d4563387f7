//! A new task: its CLI and its provider are chosen, and its prompt is typed.

use aiw_app::runs;
use aiw_core::{CliKind, Prompter};
use aiw_home::CLI_LOGIN_NAME;
use aiw_launch::{RunRequest, SearchPath, detect};

use crate::context::AppContext;
use crate::progress::error_line;
use crate::prompter::TuiPrompter;

/// Asks for a task in the client's directory, and starts it. Returns what was done.
pub(super) fn start(ground: &AppContext, person: &TuiPrompter) -> Result<String, String> {
    let home = ground.home();
    let clis = detect(&SearchPath::from_context(home.context()), Some(home));
    let installed = clis.iter().filter(|cli| cli.path.is_some());
    let options: Vec<(String, String)> =
        installed.map(|cli| (cli.kind.to_string(), cli.version.clone().unwrap_or_default())).collect();
    if options.is_empty() {
        return Err("no AI CLI is installed; the status page says how to install one".to_owned());
    }
    let chosen = ground.block_on(person.choose_one("Which CLI does the task run in?", &options))?;
    let cli = chosen.unwrap_or_default().parse::<CliKind>().map_err(|e| error_line(&e))?;
    let providers = providers(ground, cli)?;
    let provider = ground.block_on(person.choose_one(&format!("Which provider does {cli} use?"), &providers))?;
    let Some(prompt) = ground.block_on(person.text(&format!("What is {cli} to do?")))? else {
        return Ok("nothing was started: there is no prompt".to_owned());
    };
    let request =
        RunRequest { provider, prompt: Some(prompt.into_bytes()), ..RunRequest::new(cli, ground.client.cwd()) };
    ground.block_on(runs::ask_for_trust(home, &request, person, person))?;
    let prepared = ground.block_on(runs::prepare(&ground.client, request))?;
    let notes = prepared.notes.clone();
    let task = runs::start(&ground.client, prepared, true).map_err(|e| error_line(&e))?;
    Ok([vec![format!("started {}", task.id)], notes].concat().join("; "))
}

/// Returns what a CLI can use: the default first, then its own configuration, providers and pools.
fn providers(ground: &AppContext, cli: CliKind) -> Result<Vec<(String, String)>, String> {
    let verbs = ground.client.providers().map_err(|e| error_line(&e))?;
    let (known, _) = ground.block_on(verbs.list())?;
    let fits = known.iter().filter(|one| one.clis.contains(&cli) || one.gateway.contains(&cli));
    let mut options = vec![(CLI_LOGIN_NAME.to_owned(), format!("{cli}'s own configuration"))];
    options.extend(fits.map(|one| (one.name.to_string(), one.scenario.clone().unwrap_or_else(|| one.preset.clone()))));
    let (pools, _) = verbs.pools().map_err(|e| error_line(&e))?;
    options.extend(pools.into_iter().map(|pool| (pool.name, format!("a pool of {}", pool.members.len()))));
    let defaults = verbs.defaults().map_err(|e| error_line(&e))?;
    let default = defaults.into_iter().find(|(of, _)| *of == cli).and_then(|(_, name)| name);
    options.sort_by_key(|(name, _)| Some(name) != default.as_ref());
    Ok(options)
}
