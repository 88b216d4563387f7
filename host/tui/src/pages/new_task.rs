//! A new task: its CLI and its provider are chosen, and its prompt is typed.

use aiw_app::runs;
use aiw_core::{Choice, CliKind, PromptError, Prompter};
use aiw_home::CLI_LOGIN_NAME;
use aiw_launch::{RunRequest, SearchPath, detect};

use crate::context::AppContext;
use crate::progress::error_line;
use crate::prompter::TuiPrompter;

/// Asks for a task in the client's directory, and starts it. Returns what was done.
pub(super) fn start(ground: &AppContext, person: &TuiPrompter) -> Result<String, String> {
    let home = ground.home();
    let clis: Vec<(CliKind, String)> = detect(&SearchPath::from_context(home.context()), Some(home))
        .iter()
        .filter(|cli| cli.path.is_some())
        .map(|cli| (cli.kind, cli.version.clone().unwrap_or_default()))
        .collect();
    if clis.is_empty() {
        return Err("no AI CLI is installed; the Status screen says how to install one".to_owned());
    }
    let providers: Vec<Vec<(String, String)>> =
        clis.iter().map(|(cli, _)| providers(ground, *cli)).collect::<Result<_, _>>()?;
    let ask = async |ask: &aiw_core::Rewind<'_>| {
        let options = clis.iter().map(|(cli, version)| format!("{cli}  {version}")).collect();
        let at = ask.select(&choice("cli", "Which CLI does the task run in?".to_owned(), options)).await?;
        let (cli, known) = clis.get(at).zip(providers.get(at)).ok_or(PromptError::Declined)?;
        let width = known.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let options = known.iter().map(|(name, label)| format!("{name:width$}  {label}")).collect();
        let question = format!("Which provider does {} use?", cli.0);
        let at = ask.select(&choice("provider", question, options)).await?;
        let provider = known.get(at).map(|(name, _)| name.clone());
        let prompt = ask.text(&format!("What is {} to do?", cli.0)).await?;
        Ok((cli.0, provider, prompt))
    };
    let asked = ground.block_on(person.rewind(ask, |e| matches!(e, PromptError::Back)))?;
    let (cli, provider, Some(prompt)) = asked else {
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

fn choice(name: &'static str, question: String, options: Vec<String>) -> Choice {
    let short_question = name.to_owned();
    let (flag, hidden_digests) = (String::new(), Vec::new());
    Choice { name, question, short_question, options, optional: false, flag, hidden_digests }
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
