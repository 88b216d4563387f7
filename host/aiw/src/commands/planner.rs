//! `aiw planner …`

use std::sync::Arc;
use std::time::Duration;

use aiw_app::planners::{self, PlannerKey, PlannerLocation, PlannerSet};
use aiw_app::planning::{JobPlanResult, plan, plan_sample, preload_model};
use aiw_app::servers::fetch_tools;
use aiw_core::quoted_text;
use aiw_home::{Home, PlannerApiName};
use aiw_routing::{CatalogItem, Finder};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::ask::TerminalPrompter;
use crate::cli::planner::{PlannerCommand, PlannerSetArgs};
use crate::components::session;
use crate::failure::CliError;
use crate::output::Output;

/// `aiw planner test`
#[derive(Serialize, JsonSchema)]
pub struct PlannerTest {
    /// The model
    pub model: String,
    /// How long it took, in milliseconds
    pub duration_ms: u64,
    /// The tokens that it read, if its server counts them
    pub input_tokens: Option<u64>,
    /// The tokens that it wrote
    pub output_tokens: Option<u64>,
    /// The model's name for the job
    pub name: String,
    /// The tools that the plan calls
    pub tools: Vec<String>,
    /// The JSON schema of what the job is called with
    pub input_schema: Value,
    /// The script
    pub code: String,
}

pub async fn run(command: PlannerCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    home.recover()?;
    match command {
        PlannerCommand::Set(args) => {
            planners::set(home, wanted(args), &TerminalPrompter::new(output, false)).await?;
            match planners::is_from_variable(home) {
                true => output.note("note: the variable `AIW_PLANNER` comes first here"),
                false => output.note("`aiw planner test` tries it"),
            }
        }
        PlannerCommand::Off => planners::disable(home)?,
        PlannerCommand::Show => {}
        PlannerCommand::Test { request, limit } => {
            return test(&request.join(" "), usize::from(limit), home, output).await;
        }
    }
    show(home, output)
}

fn wanted(args: PlannerSetArgs) -> PlannerSet {
    use PlannerApiName::{ChatCompletions, Messages, Ollama};
    let server =
        |api, url: Option<String>| url.map(|url| PlannerLocation::Server(api, Some(url).filter(|url| !url.is_empty())));
    let place = server(Ollama, args.ollama)
        .or_else(|| server(ChatCompletions, args.openai))
        .or_else(|| server(Messages, args.anthropic))
        .or_else(|| args.provider.map(PlannerLocation::Provider));
    let key = match args.token_env {
        Some(variable) => Some(PlannerKey::Variable(variable)),
        None if args.token_stdin => Some(PlannerKey::Prompted),
        None => None,
    };
    PlannerSet {
        location: place,
        model: args.model,
        key,
        plan_timeout: args.timeout.map(Duration::from_secs),
        code_timeout: args.code_timeout.map(Duration::from_secs),
        max_plan_tokens: args.max_plan_tokens,
    }
}

fn show(home: &Home, output: &Output) -> Result<(), CliError> {
    let answer = planners::show(home)?;
    match &answer.planner {
        None if planners::is_from_variable(home) => {
            output.line("no model plans jobs: the variable `AIW_PLANNER` says so");
        }
        None => output.line("no model plans jobs: `aiw planner set` sets one"),
        Some(planner) => {
            let place = match (&planner.provider, planner.api) {
                (None, Some(api)) => format!("{api} at {}", planner.url.as_deref().unwrap_or_default()),
                (provider, _) => format!("provider {}", provider.as_deref().unwrap_or_default()),
            };
            let time = format!(
                "{} s for a plan of {} tokens, {} s for code",
                planner.timeout_seconds, planner.max_plan_tokens, planner.code_timeout_seconds
            );
            let rows = [
                ("model", Some(planner.model.as_deref().unwrap_or("the provider's"))),
                ("place", Some(place.as_str())),
                ("key", planner.key),
                ("time", Some(time.as_str())),
                ("set by", planner.from_variable.then_some("AIW_PLANNER")),
            ];
            for (what, value) in rows.into_iter().filter_map(|(what, value)| Some((what, value?))) {
                output.line(format!("{what:<8}{value}"));
            }
        }
    }
    output.set_json(answer);
    Ok(())
}

async fn test(request: &str, most: usize, home: &Home, output: &Output) -> Result<(), CliError> {
    let client = session(home, output)?;
    output.observer().progress("loading the model", 0, 0);
    let loaded = preload_model(&client).await;
    output.clear_progress();
    loaded?;
    let job = match request.trim() {
        "" => plan_sample(&client).await?,
        request => {
            let pool = client.pool();
            fetch_tools(pool, &[], output).await;
            let finder = Finder::new(client.home(), Arc::new(aiw_app::models::tool_embeddings(client.home(), output)));
            let (here, wanted) = (pool.clone(), request.to_owned());
            let find = move || {
                let found = here.find(&finder, &wanted, most);
                finder.shut_down();
                let wanted: Vec<_> = found.matches.iter().map(|m| (m.server.clone(), m.tool.clone())).collect();
                here.tools_by_name(&wanted).into_iter().flatten().collect::<Vec<CatalogItem>>()
            };
            let offered = aiw_home::run_blocking(find).await;
            let planned = plan(&client, request, &offered).await;
            pool.shut_down().await;
            planned?
        }
    };
    let took = u64::try_from(job.elapsed.as_millis()).unwrap_or(u64::MAX);
    let count = |tokens: Option<u64>| tokens.map_or_else(|| "?".to_owned(), |tokens| tokens.to_string());
    output.line(format!(
        "{} planned it in {:.1} s: {} tokens read, {} written",
        quoted_text(&job.model, 80),
        job.elapsed.as_secs_f64(),
        count(job.input_tokens),
        count(job.output_tokens)
    ));
    output.line("");
    output.line(job.code.trim_end());
    let JobPlanResult { model, input_tokens, output_tokens, name, tools, input_schema, code, .. } = job;
    output.set_json(PlannerTest {
        model,
        duration_ms: took,
        input_tokens,
        output_tokens,
        name,
        tools,
        input_schema,
        code,
    });
    Ok(())
}
