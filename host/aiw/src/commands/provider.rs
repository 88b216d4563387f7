//! `aiw provider …`

mod view;

use aiw_core::{Diagnostic, ErrorKind, PromptError, Rewind};
use aiw_home::Home;
use aiw_providers::{NewTokenSource, ProviderChanges, ProviderError, Providers, RemovedProvider, TestSummary};
use schemars::JsonSchema;
use serde::Serialize;

use super::each::{FailedName, remove_each};
use crate::ask::TerminalPrompter;
use crate::cli::provider::{ProviderArgs, ProviderCommand};
use crate::components::session;
use crate::failure::CliError;
use crate::output::{Output, single_entry_map};

/// `aiw provider remove`
#[derive(Serialize, JsonSchema)]
pub struct ProviderRemove {
    /// The providers that were removed
    pub removed: Vec<RemovedProvider>,
    /// The providers that could not be removed
    pub failed: Vec<FailedName>,
}

pub async fn run(command: ProviderCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    let client = session(home, output)?;
    let providers = client.providers()?;
    client.notes().iter().for_each(|note| output.note(note));
    match command {
        ProviderCommand::Add(args) => {
            refuse_token(&args.provider)?;
            let person = TerminalPrompter::new(output, args.provider.yes).with_back();
            let (changes, rewind) = (changes(args.provider), Rewind::new(&person, output));
            let added = rewind.run(
                async || providers.add(args.name.clone(), &changes, &rewind, &rewind).await,
                |e| matches!(e.prompt_error(), Some(PromptError::Back)),
            );
            view::print_added(&added.await?, output);
        }
        ProviderCommand::Edit(args) => {
            refuse_token(&args.provider)?;
            let person = TerminalPrompter::new(output, args.provider.yes);
            let name = args.name;
            let changes = ProviderChanges {
                keep_token: args.keep_token,
                unset_env: args.unset_env,
                unset_headers: args.unset_header,
                unset_secrets: args.unset_secret,
                ..changes(args.provider)
            };
            view::print_added(&providers.edit(&name, &changes, &person).await?, output);
        }
        ProviderCommand::Remove { names } => return remove(client.home(), &providers, &names, output),
        ProviderCommand::Rename { name, new } => view::print_renamed(&providers.rename(&name, new)?, output),
        ProviderCommand::List => {
            schedule_health_checks(home, output);
            view::list(&providers, output).await?;
        }
        ProviderCommand::Show { name } => view::show(&providers.show(&name).await?, output),
        ProviderCommand::Default { name, clis } => {
            if let Some(name) = name {
                providers.set_default(&name, &clis).await?;
            }
            defaults(&providers, output)?;
        }
        ProviderCommand::Test { name } => return test(&providers, &name, output).await,
        ProviderCommand::Presets => view::presets(&providers, output).await?,
    }
    Ok(())
}

/// Has the daemon check providers, if the settings ask for it.
pub fn schedule_health_checks(home: &Home, output: &Output) {
    if let Err(error) = aiw_app::health::ensure_daemon_running(home) {
        output.note(format!("providers are not checked: {error}"));
    }
}

/// Checks all providers once, for the daemon.
pub async fn check_providers(home: &Home, output: &Output) -> Result<(), CliError> {
    Ok(aiw_app::health::check_providers(&*session(home, output)?).await?)
}

fn changes(args: ProviderArgs) -> ProviderChanges {
    let token = match (args.token_env, args.token_stdin) {
        (Some(variable), _) => Some(NewTokenSource::Variable(variable)),
        (None, true) => Some(NewTokenSource::Prompted),
        (None, false) => None,
    };
    ProviderChanges {
        preset: args.preset,
        base_urls: args.base_url,
        api: args.api,
        gateway: match (args.gateway, args.no_gateway) {
            (false, false) => None,
            (gateway, _) => Some(gateway),
        },
        model: args.model,
        models: args.model_for,
        clis: args.clis,
        scenario: args.scenario,
        env: args.env,
        headers: args.header,
        scrub_env: match (args.scrub_env, args.no_scrub_env) {
            (false, false) => None,
            (withhold, _) => Some(withhold),
        },
        token,
        secrets: args.secret_env,
        default: args.default,
        ..ProviderChanges::default()
    }
}

fn remove(home: &Home, providers: &Providers, names: &[String], output: &Output) -> Result<(), CliError> {
    let (removed, failures) = remove_each(names, output, |name| {
        let removed = aiw_app::providers::remove(home, providers, name)?;
        view::print_removed(&removed, output);
        Ok(removed)
    });
    output.set_json_or_error(ProviderRemove { removed, failed: failures.failed }, failures.first_error)
}

fn defaults(providers: &Providers, output: &Output) -> Result<(), CliError> {
    let defaults = providers.defaults()?;
    for (cli, name) in &defaults {
        output.line(format!("{cli}: {}", name.as_deref().unwrap_or("its own configuration")));
    }
    output.set_json(single_entry_map("default", defaults));
    Ok(())
}

async fn test(providers: &Providers, name: &str, output: &Output) -> Result<(), CliError> {
    let tested = providers.test(name).await?;
    let refused = tested.health.key == aiw_core::provider::KeyState::Refused;
    let failure = refused.then(|| ProviderError::KeyRefused { provider: name.to_owned() }.into());
    view::print_test_result(name, &tested, output);
    output.set_json_or_error(single_entry_map("test", TestSummary::of(name, &tested)), failure)
}

/// Every user of the machine can read a token on a command line, and the shell remembers it.
fn refuse_token(args: &ProviderArgs) -> Result<(), CliError> {
    if args.token.is_none() {
        return Ok(());
    }
    let failure = CliError::new(
        ErrorKind::Usage,
        "don't pass a token as an argument: every user of this machine can read it there, and your shell remembers it",
    );
    Err(failure.with_hint(
        "use `--token-stdin` or `--token-env VAR`, or neither to be asked; revoke a token that you have typed",
    ))
}
