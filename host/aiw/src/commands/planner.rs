//! `aiw planner …`

use std::sync::Arc;
use std::time::Duration;

use aiw_app::planning::{PlannedJob, load_now, plan, plan_sample};
use aiw_core::{SecretName, quoted_text};
use aiw_home::{Home, Lock, PlannerApiName, PlannerPlace, PlannerSettings, SecretRef, base_url};
use aiw_routing::{Finder, Offered};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::mcp::{look, serve};
use super::secret;
use crate::cli::planner::{PlannerCommand, PlannerSetArgs};
use crate::components::session;
use crate::failure::Failure;
use crate::output::Output;

/// The name of the key in the vault.
const KEY: &str = "planner";

/// `aiw planner set`, `show`, `off`
#[derive(Serialize, JsonSchema)]
pub struct PlannerShow {
    /// The model that plans jobs, if one does
    pub planner: Option<PlannerSummary>,
}

/// A model that plans jobs.
#[derive(Serialize, JsonSchema)]
pub struct PlannerSummary {
    /// `ollama`, `chat-completions` or `messages`; none for a provider
    pub api: Option<&'static str>,
    /// Its address; none for a provider
    pub url: Option<String>,
    /// The provider
    pub provider: Option<String>,
    /// Its name; none if the provider's is used
    pub model: Option<String>,
    /// `none`, `set` or `missing`; none for a provider
    pub key: Option<&'static str>,
    /// Whether the variable `AIW_PLANNER` says so, and not the settings
    pub from_variable: bool,
    /// How long a plan may take, in seconds
    pub seconds: u64,
    /// How long the code of a plan may take, in seconds
    pub code_seconds: u64,
    /// The most tokens of a plan
    pub plan_tokens: u32,
}

/// `aiw planner test`
#[derive(Serialize, JsonSchema)]
pub struct PlannerTest {
    /// The model
    pub model: String,
    /// How long it took, in milliseconds
    pub took_ms: u64,
    /// The tokens that it read, if its server counts them
    pub input_tokens: Option<u64>,
    /// The tokens that it wrote
    pub output_tokens: Option<u64>,
    /// What it calls the job
    pub name: String,
    /// The tools that the plan calls
    pub tools: Vec<String>,
    /// The JSON schema of what the job is called with
    pub input_schema: Value,
    /// The script
    pub code: String,
}

pub async fn run(command: PlannerCommand, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    home.recover()?;
    match command {
        PlannerCommand::Set(args) => set(&home, args, output).await,
        PlannerCommand::Show => show(&home, output),
        PlannerCommand::Test { request, limit } => test(&request.join(" "), usize::from(limit), output).await,
        PlannerCommand::Off => {
            let lock = home.lock()?;
            let before = home.settings()?.written_planner().ok().flatten();
            save(&home, &lock, None)?;
            forget_key(&home, &lock, before.as_ref(), None)?;
            drop(lock);
            show(&home, output)
        }
    }
}

async fn set(home: &Home, args: PlannerSetArgs, output: &Output) -> Result<(), Failure> {
    // What is wrong now is replaced.
    let before = home.settings()?.written_planner().ok().flatten();
    let url = |api: PlannerApiName, url: &str| {
        let url = match url {
            // It has no usual address.
            "" if api == PlannerApiName::ChatCompletions => {
                let failure = Failure::user("`--openai` needs an address");
                return Err(failure.with_hint("give the server's address with its `/v1`"));
            }
            "" => None,
            url => Some(base_url(url).map_err(|why| Failure::user(format!("the address {why}")))?),
        };
        Ok::<_, Failure>(PlannerPlace::Url { api, url, key: None })
    };
    let place = match (&args.ollama, &args.openai, &args.anthropic, &args.provider) {
        (Some(given), ..) => Some(url(PlannerApiName::Ollama, given)?),
        (_, Some(given), ..) => Some(url(PlannerApiName::ChatCompletions, given)?),
        (_, _, Some(given), _) => Some(url(PlannerApiName::Messages, given)?),
        (.., Some(name)) => Some(PlannerPlace::Provider(name.clone())),
        _ => None,
    };
    let is_same = |place: &PlannerPlace| match (&before, place) {
        (
            Some(PlannerSettings { place: PlannerPlace::Url { api, url, .. }, .. }),
            PlannerPlace::Url { api: a, url: u, .. },
        ) => api == a && url == u,
        (Some(before), place) => before.place == *place,
        (None, _) => false,
    };
    let mut planner = match (place, before.clone()) {
        // A key and a model belong to the place that they were given for.
        (Some(place), Some(before)) if !is_same(&place) => PlannerSettings { place, model: None, ..before },
        (_, Some(before)) => before,
        (place, None) => {
            let here = PlannerPlace::Url { api: PlannerApiName::Ollama, url: None, key: None };
            PlannerSettings::new(place.unwrap_or(here), None)
        }
    };
    if let PlannerPlace::Provider(name) = &planner.place
        && home.providers()?.get(name.as_str())?.is_none()
    {
        return Err(Failure::user(format!("there is no provider `{name}`")).with_hint("`aiw provider list` names them"));
    }
    if let Some(model) = args.model {
        if !aiw_core::is_model(&model) {
            return Err(Failure::user(format!("{} is not a valid model name", quoted_text(&model, 80))));
        }
        planner.model = Some(model);
    }
    if let PlannerPlace::Url { api: PlannerApiName::ChatCompletions | PlannerApiName::Messages, .. } = planner.place
        && planner.model.is_none()
    {
        return Err(Failure::user("no model is named").with_hint("name it with `--model NAME`"));
    }
    let mut typed = None;
    match &mut planner.place {
        PlannerPlace::Url { key, .. } => match &args.token_env {
            Some(variable) => *key = Some(SecretRef::Variable(variable.clone())),
            None if args.token_stdin => {
                let name: SecretName = KEY.parse()?;
                check_key_is_free(home, &name, before.as_ref())?;
                typed = Some((name.clone(), secret::read("Key of the model:").await?));
                *key = Some(SecretRef::Vault(name));
            }
            None => {}
        },
        PlannerPlace::Provider(name) if args.token_stdin || args.token_env.is_some() => {
            let message = format!("the provider `{name}` has a key of its own");
            return Err(
                Failure::user(message).with_hint(format!("`aiw provider edit {name} --token-stdin` changes it"))
            );
        }
        PlannerPlace::Provider(_) => {}
    }
    planner.plan_time = args.seconds.map_or(planner.plan_time, Duration::from_secs);
    planner.code_time = args.code_seconds.map_or(planner.code_time, Duration::from_secs);
    planner.plan_tokens = args.plan_tokens.unwrap_or(planner.plan_tokens);
    let lock = home.lock()?;
    if let Some((name, key)) = &typed {
        home.vault().set(&lock, name, key)?;
    }
    save(home, &lock, Some(&planner))?;
    forget_key(home, &lock, before.as_ref(), Some(&planner))?;
    drop(lock);
    match from_variable() {
        true => output.note("note: the variable `AIW_PLANNER` comes first here"),
        false => output.note("`aiw planner test` tries it"),
    }
    show(home, output)
}

fn from_variable() -> bool {
    std::env::var("AIW_PLANNER").is_ok_and(|text| !text.trim().is_empty())
}

fn save(home: &Home, lock: &Lock, planner: Option<&PlannerSettings>) -> Result<(), Failure> {
    let mut settings = home.settings()?;
    settings.set_planner(planner)?;
    Ok(settings.save(lock)?)
}

/// The key in the vault that settings refer to.
fn key_in_vault(planner: Option<&PlannerSettings>) -> Option<&SecretName> {
    match planner.map(|planner| &planner.place) {
        Some(PlannerPlace::Url { key: Some(SecretRef::Vault(name)), .. }) => Some(name),
        _ => None,
    }
}

/// Removes the key that was stored for a model which is not used any more. One of another name is the user's own.
fn forget_key(
    home: &Home,
    lock: &Lock,
    before: Option<&PlannerSettings>,
    now: Option<&PlannerSettings>,
) -> Result<(), Failure> {
    let Some(name) = key_in_vault(before).filter(|name| name.as_str() == KEY && key_in_vault(now) != Some(*name))
    else {
        return Ok(());
    };
    if home.vault().is_taken(name) && home.providers()?.users_of(name).next().is_none() {
        home.vault().remove(lock, name)?;
    }
    Ok(())
}

/// Refuses to write over a secret of that name that is for something else.
fn check_key_is_free(home: &Home, name: &SecretName, before: Option<&PlannerSettings>) -> Result<(), Failure> {
    if !home.vault().is_taken(name) || key_in_vault(before) == Some(name) {
        return Ok(());
    }
    let message = format!("there is a secret `{KEY}` in the vault already, for something else");
    Err(Failure::user(message).with_hint(format!("`aiw secret remove {KEY}` removes it")))
}

fn show(home: &Home, output: &Output) -> Result<(), Failure> {
    let settings = home.settings()?;
    let written = settings.written_planner();
    let used = settings.planner()?;
    let from_variable = from_variable();
    match &used {
        None if from_variable => output.line("no model plans jobs: the variable `AIW_PLANNER` says so"),
        None => output.line("no model plans jobs: `aiw planner set` sets one"),
        Some(planner) => {
            let place = match &planner.place {
                PlannerPlace::Provider(name) => format!("provider {name}"),
                PlannerPlace::Url { api, .. } => format!("{} at {}", api.as_str(), planner.url().unwrap_or_default()),
            };
            let mut rows = vec![
                vec!["model".to_owned(), planner.model().unwrap_or("the provider's").to_owned()],
                vec!["place".into(), place],
            ];
            rows.extend(key_state(home, planner).map(|state| vec!["key".to_owned(), state.to_owned()]));
            rows.push(vec![
                "time".into(),
                format!(
                    "{} s for a plan of {} tokens, {} s for code",
                    planner.plan_time.as_secs(),
                    planner.plan_tokens,
                    planner.code_time.as_secs()
                ),
            ]);
            if from_variable {
                rows.push(vec!["set by".into(), "AIW_PLANNER".into()]);
            }
            for row in rows {
                output.line(format!("{:<8}{}", row[0], row[1]));
            }
        }
    }
    if !from_variable {
        written?;
    }
    let summary = |planner: &PlannerSettings| PlannerSummary {
        api: match &planner.place {
            PlannerPlace::Url { api, .. } => Some(api.as_str()),
            PlannerPlace::Provider(_) => None,
        },
        url: planner.url(),
        provider: match &planner.place {
            PlannerPlace::Provider(name) => Some(name.to_string()),
            PlannerPlace::Url { .. } => None,
        },
        model: planner.model().map(str::to_owned),
        key: key_state(home, planner),
        from_variable,
        seconds: planner.plan_time.as_secs(),
        code_seconds: planner.code_time.as_secs(),
        plan_tokens: planner.plan_tokens,
    };
    output.answer(PlannerShow { planner: used.as_ref().map(summary) });
    Ok(())
}

/// Returns whether the model that plans jobs lacks its key.
pub fn lacks_key(home: &Home) -> bool {
    let planner = home.settings().ok().and_then(|settings| settings.planner().ok()).flatten();
    planner.is_some_and(|planner| key_state(home, &planner) == Some("missing"))
}

fn key_state(home: &Home, planner: &PlannerSettings) -> Option<&'static str> {
    let PlannerPlace::Url { key, .. } = &planner.place else { return None };
    let is_set = match key {
        None => return Some("none"),
        Some(SecretRef::Vault(name)) => home.vault().has(name),
        Some(SecretRef::Variable(name)) => std::env::var(name.as_str()).is_ok_and(|value| !value.trim().is_empty()),
    };
    Some(if is_set { "set" } else { "missing" })
}

async fn test(request: &str, most: usize, output: &Output) -> Result<(), Failure> {
    let client = session(output)?;
    output.observer().progress("loading the model", 0, 0);
    let loaded = load_now(&client).await;
    output.clear_progress();
    loaded?;
    let job = match request.trim() {
        "" => plan_sample(&client).await?,
        request => {
            let pool = client.pool();
            let names: Vec<String> = pool.status().into_iter().map(|status| status.name).collect();
            look::learn(pool, &names, output).await;
            let finder = Finder::new(client.home(), Arc::new(serve::meaning(client.home(), output)));
            let (here, wanted) = (pool.clone(), request.to_owned());
            let find = move || {
                let found = here.find(&finder, &wanted, most);
                finder.end();
                let wanted: Vec<_> = found.matches.iter().map(|m| (m.server.clone(), m.tool.clone())).collect();
                here.offered(&wanted).into_iter().flatten().collect::<Vec<Offered>>()
            };
            let offered = aiw_home::blocking(find).await;
            let planned = plan(&client, request, &offered).await;
            pool.end().await;
            planned?
        }
    };
    let took = u64::try_from(job.took.as_millis()).unwrap_or(u64::MAX);
    let count = |tokens: Option<u64>| tokens.map_or_else(|| "?".to_owned(), |tokens| tokens.to_string());
    output.line(format!(
        "{} planned it in {:.1} s: {} tokens read, {} written",
        quoted_text(&job.model, 80),
        job.took.as_secs_f64(),
        count(job.input_tokens),
        count(job.output_tokens)
    ));
    output.line("");
    output.line(job.code.trim_end());
    let PlannedJob { model, input_tokens, output_tokens, name, tools, input_schema, code, .. } = job;
    output.answer(PlannerTest { model, took_ms: took, input_tokens, output_tokens, name, tools, input_schema, code });
    Ok(())
}
