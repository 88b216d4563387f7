//! Providers in print.

use aiw_core::one_line;
use aiw_core::provider::{KeyState, Model};
use aiw_home::SecretRef;
use aiw_providers::{
    AddedProvider, PresetSummary, ProviderDetails, ProviderHealth, ProviderSummary, Providers, RedactedVariable,
    RemovedProvider, RenamedProvider, SecretState, Tested,
};

use crate::failure::CliError;
use crate::output::{Output, single_entry_map};
use aiw_app::phrases::{elapsed_since_rfc3339, format_ago};

fn clis(clis: &[aiw_core::CliKind], separator: &str) -> String {
    used_by(clis, &[], separator)
}

/// The CLIs that a provider is for; those that reach it through the gateway have a star.
fn used_by(direct: &[aiw_core::CliKind], gateway: &[aiw_core::CliKind], separator: &str) -> String {
    let direct = direct.iter().map(ToString::to_string);
    direct.chain(gateway.iter().map(|cli| format!("{cli}*"))).collect::<Vec<_>>().join(separator)
}

/// The meaning of the star.
const GATEWAY_FOOTNOTE: &str = "* through aiw's gateway, which translates";

pub fn print_added(added: &AddedProvider, output: &Output) {
    added.notes.iter().for_each(|note| output.note(note));
    let provider = &added.provider;
    let word = if added.existed { "Changed" } else { "Added" };
    output.line(format!(
        "{word} provider `{}` for {}",
        provider.name,
        used_by(&provider.clis, &provider.gateway, ", ")
    ));
    if !provider.gateway.is_empty() {
        output.line(format!("  {GATEWAY_FOOTNOTE}"));
    }
    for (family, url) in &provider.base_urls {
        output.line(format!("  {family}: {url}"));
    }
    output.set_json(single_entry_map("provider", provider));
}

pub fn print_removed(removed: &RemovedProvider, output: &Output) {
    let and = if removed.secrets.is_empty() { "" } else { " and its secret" };
    output.line(format!("Removed provider `{}`{and}", one_line(&removed.name, 80)));
    if !removed.was_default_for.is_empty() {
        output.note(format!(
            "it was the default for {}; without `-p`, they now use their own configuration",
            clis(&removed.was_default_for, ", ")
        ));
    }
}

pub fn print_renamed(renamed: &RenamedProvider, output: &Output) {
    output.line(format!("Renamed provider `{}` to `{}`", one_line(&renamed.renamed, 80), renamed.name));
    output.set_json(renamed);
}

pub async fn list(providers: &Providers, output: &Output) -> Result<(), CliError> {
    let (summaries, problems) = providers.list().await?;
    problems.iter().for_each(|problem| output.note(problem));
    let is_checked = summaries.iter().any(|provider| provider.health.is_some());
    let row = |provider: &ProviderSummary| {
        let mut row = vec![
            format!("{}{}", provider.name, if provider.default { " (default)" } else { "" }),
            provider.preset.clone(),
            used_by(&provider.clis, &provider.gateway, ","),
            secret(provider),
            one_line(provider.scenario.as_deref().unwrap_or_default(), 60),
        ];
        if is_checked {
            row.insert(4, provider.health.as_ref().map(health).unwrap_or_default());
        }
        row
    };
    let headers: &[&str] = match is_checked {
        true => &["NAME", "PRESET", "CLIS", "TOKEN", "HEALTH", "SCENARIO"],
        false => &["NAME", "PRESET", "CLIS", "TOKEN", "SCENARIO"],
    };
    output.table(headers, &summaries.iter().map(row).collect::<Vec<_>>());
    if summaries.iter().any(|provider| !provider.gateway.is_empty()) {
        output.note(GATEWAY_FOOTNOTE);
    }
    if summaries.is_empty() {
        output.line("no providers: `aiw provider add NAME` adds one");
    }
    let (pools, _) = providers.pools()?;
    for pool in &pools {
        let is_default = if pool.default_for.is_empty() { "" } else { " (default)" };
        let members: Vec<&str> = pool.members.iter().map(|member| member.provider.as_str()).collect();
        output.note(format!("pool `{}`{is_default}: {}", pool.name, members.join(", ")));
    }
    output.set_json(single_entry_map("providers", summaries));
    Ok(())
}

/// Returns a list's remark on a provider's secret: nothing if all is well.
fn secret(provider: &ProviderSummary) -> String {
    match (provider.secret, &provider.missing_variable) {
        (SecretState::Set, _) if provider.needs_none => "no token needed".into(),
        (SecretState::Set, _) => String::new(),
        (SecretState::Missing, Some(variable)) => format!("token missing: export {variable}"),
        (SecretState::Missing, None) if provider.needs_none => "no token needed".into(),
        (SecretState::Missing, None) => {
            format!("token missing: aiw provider edit {} --token-stdin", provider.name)
        }
    }
}

/// Returns what the last check of a provider has said.
fn health(health: &ProviderHealth) -> String {
    let when = elapsed_since_rfc3339(&health.checked).map(format_ago).unwrap_or_default();
    let problem = health.problem.as_deref().unwrap_or_default();
    match health.healthy {
        Some(true) => format!("answered {when}"),
        Some(false) => format!("failed {when}: {problem}"),
        None => format!("not checked: {problem}"),
    }
}

pub fn show(provider: &ProviderDetails, output: &Output) {
    let reference = |reference: &SecretRef| match reference {
        SecretRef::Vault(name) => format!("`{name}` in the vault"),
        SecretRef::Variable(name) => format!("the variable `{name}`"),
    };
    let summary = &provider.summary;
    output.line(format!("{}: {}", summary.name, provider.label));
    for (family, url) in &summary.base_urls {
        output.line(format!("  {family}: {url}"));
    }
    output.line(format!("  for: {}", used_by(&summary.clis, &summary.gateway, ", ")));
    if !summary.gateway.is_empty() {
        output.line(format!("  {GATEWAY_FOOTNOTE}"));
    }
    for (of, model) in &provider.models {
        output.line(format!("  model for {of}: {model}"));
    }
    if provider.via_gateway {
        output.line("  key: stays in aiw's gateway");
    }
    for (word, value) in [("model", &provider.model), ("scenario", &provider.scenario)] {
        if let Some(value) = value {
            output.line(format!("  {word}: {value}"));
        }
    }
    for (name, secret) in &provider.references {
        output.line(format!("  {name}: {}", reference(secret)));
    }
    if summary.secret == SecretState::Missing {
        output.line(format!("  {}", secret(summary)));
    }
    for (name, value) in &provider.variables {
        output.line(match value {
            RedactedVariable::SuspectedSecret => format!(
                "  sets {name} to a value that looks like a secret; keep it with `aiw secret set NAME` and write `{{\"secret\": NAME}}`"
            ),
            RedactedVariable::Plain(text) => format!("  sets {name}={text}"),
            RedactedVariable::Reference(secret) => format!("  sets {name} to {}", reference(secret)),
        });
    }
    for (name, value) in &provider.header_values {
        output.line(match value {
            RedactedVariable::SuspectedSecret => format!(
                "  sends {name} with a value that looks like a secret; keep it with `aiw secret set NAME` and write `{{\"secret\": NAME}}`"
            ),
            RedactedVariable::Plain(text) => format!("  sends {name}: {text}"),
            RedactedVariable::Reference(secret) => format!("  sends {name} with {}", reference(secret)),
        });
    }
    if !provider.scrub_env.is_empty() {
        output.line(format!("  hidden from runs with other providers: {}", provider.scrub_env.join(", ")));
    }
    if !provider.default_for.is_empty() {
        output.line(format!("  the default for {}", clis(&provider.default_for, ", ")));
    }
    output.set_json(single_entry_map("provider", provider));
}

/// Prints what a test found.
pub fn print_test_result(name: &str, tested: &Tested, output: &Output) {
    let Tested { latency, health, models, notes } = tested;
    notes.iter().for_each(|note| output.note(note));
    output.line(format!("{name} answered in {} ms: {}", latency.as_millis(), health.message));
    let models: &[Model] = match models {
        Ok(models) => models,
        Err(error) => {
            output.note(format!("no model list: {error}"));
            &[]
        }
    };
    match models {
        [] if health.key == KeyState::Refused => {}
        [] => {}
        [model] => output.line(format!("1 model: {}", model.id)),
        models => {
            output.line(format!("{} models:", models.len()));
            models.iter().for_each(|model| output.line(format!("  {}", model.id)));
        }
    }
}

pub async fn presets(providers: &Providers, output: &Output) -> Result<(), CliError> {
    let (presets, problems) = providers.presets().await?;
    problems.iter().for_each(|problem| output.note(problem.to_string()));
    let row = |preset: &PresetSummary| {
        let page = preset.token_page.clone().unwrap_or_default();
        vec![preset.id.clone(), preset.label.clone(), used_by(&preset.clis, &preset.gateway, ","), page]
    };
    output.table(&["PRESET", "PROVIDER", "CLIS", "TOKEN PAGE"], &presets.iter().map(row).collect::<Vec<_>>());
    output.note(GATEWAY_FOOTNOTE);
    output.set_json(single_entry_map("presets", presets));
    Ok(())
}
