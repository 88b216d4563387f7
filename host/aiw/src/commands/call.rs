//! `aiw extension call`: one function of a component in the real host, with recorded answers
//! for the network. For its author, and for the tests of a project that `new` wrote.

use std::collections::{BTreeMap, BTreeSet};

use aiw_app::extensions::compiled_code;
use aiw_core::{Api, CliKind, ErrorKind, Family, one_line};
use aiw_extensions::World;
use aiw_home::Home;
use aiw_testkit::provider::{
    Account, Auth, Header, Intent, Model, Need, Preset, ProviderInfo, Target, Value as HeaderValue,
};
use aiw_testkit::{Driver, Registration, SourceInfo, Testkit, TestkitError};
use serde_json::{Map, Value, json};

use crate::cli::{CallArgs, Function};
use crate::failure::Failure;
use crate::output::Output;
use aiw_app::own_executable;

impl From<TestkitError> for Failure {
    fn from(e: TestkitError) -> Self {
        Self::user(e.to_string())
    }
}

/// The usual secret.
const TOKEN: &str = "token";

pub async fn run(mut args: CallArgs, output: &Output) -> Result<(), Failure> {
    let mut kit = Testkit::read(&args.file)?
        .compile_with(own_executable()?)
        .on_compile(aiw_app::compile_progress(output.observer()));
    // An author calls the same file many times, and then adds it.
    if let Some(dir) = Home::find().ok().and_then(|home| compiled_code(&home)) {
        kit = kit.compiled_cache(dir);
    }
    if let Some(path) = &args.http {
        kit = kit.answers_from(path)?;
    }
    for (key, value) in std::mem::take(&mut args.setting) {
        kit = kit.setting(key, value);
    }
    // Only recorded answers are sent these.
    for name in args.secret.iter().map(String::as_str).chain([TOKEN]) {
        kit = kit.secret(name, format!("recorded-{name}"));
    }
    let worlds = kit.about().worlds.clone();
    let driver = kit.load().await?;
    let result = call(&driver, &worlds, &args).await;
    for line in driver.log() {
        output.note(line.to_string());
    }
    let answer = result?;
    output.line(format!("{answer:#}"));
    output.answer(answer);
    Ok(())
}

async fn call(driver: &Driver, worlds: &[World], args: &CallArgs) -> Result<Value, Failure> {
    let reference = args.reference.as_deref();
    let needed =
        || reference.ok_or_else(|| Failure::new(ErrorKind::Usage, "the reference of a marketplace is missing"));
    match args.function {
        Function::Describe => {
            let mut said = Map::new();
            for world in worlds {
                let of_world = match world {
                    World::MarketSource => source(&driver.describe().await?),
                    World::Provider => provider(&driver.provider_info().await?),
                };
                said.extend(of_world);
            }
            Ok(said.into())
        }
        Function::Claim => Ok(json!({ "claim": driver.claim(needed()?).await?.as_ref().map(registration) })),
        Function::FetchMarketplace => {
            let reference = needed()?;
            let at = driver.claim(reference).await?;
            let at = at
                .ok_or_else(|| Failure::user(format!("the component does not claim `{}`", one_line(reference, 200))))?;
            let snapshot = driver.fetch_marketplace(&at).await?;
            let document = match serde_json::from_slice(&snapshot.document) {
                Ok(document) => document,
                Err(_) => Value::String(String::from_utf8_lossy(&snapshot.document).into_owned()),
            };
            Ok(json!({"revision": snapshot.revision, "document": document}))
        }
        Function::Plan => {
            let account = account(driver, args).await?;
            Ok(json!({ "intent": intent(&driver.plan(&account, &target(&account, args)).await?) }))
        }
        Function::Check => {
            let health = driver.check_provider(&account(driver, args).await?).await?;
            Ok(json!({"key": health.key, "message": health.message}))
        }
        Function::Models => {
            let models = driver.provider_models(&account(driver, args).await?).await?;
            let model = |model: &Model| json!({"id": model.id, "label": model.label});
            Ok(json!({ "models": models.iter().map(model).collect::<Vec<_>>() }))
        }
    }
}

/// The account of somebody who added a provider from a preset and gave a token.
async fn account(driver: &Driver, args: &CallArgs) -> Result<Account, Failure> {
    let presets = driver.provider_info().await?.presets;
    let known = || presets.iter().map(|preset| format!("`{}`", preset.id)).collect::<Vec<_>>().join(", ");
    let preset = match &args.reference {
        Some(id) => presets.iter().find(|preset| preset.id == *id).ok_or_else(|| {
            Failure::user(format!("the component has no preset `{}`", one_line(id, 80)))
                .with_hint(format!("its presets: {}", known()))
        })?,
        None => presets.first().ok_or_else(|| Failure::user("the component has no preset"))?,
    };
    let given: BTreeMap<Family, String> = args.base_url.iter().cloned().collect();
    let own = preset.base_urls.iter().filter_map(|(family, url)| Some((*family, url.clone()?)));
    let secrets: BTreeSet<String> = match preset.token {
        _ if !args.secret.is_empty() => args.secret.iter().cloned().collect(),
        Need::Never => BTreeSet::new(),
        _ => BTreeSet::from([TOKEN.to_owned()]),
    };
    Ok(Account {
        name: "mine".parse()?,
        preset: preset.id.clone(),
        granted: given.keys().copied().collect(),
        base_urls: own.chain(given).collect(),
        model: preset.model.clone(),
        secrets,
    })
}

fn target(account: &Account, args: &CallArgs) -> Target {
    let fits = |cli: &CliKind| aiw_launch::speaks(*cli).iter().any(|api| account.base_urls.contains_key(&api.family()));
    let cli = args.cli.or_else(|| CliKind::ALL.into_iter().find(fits)).unwrap_or(CliKind::Claude);
    Target { cli, version: None, speaks: aiw_launch::speaks(cli).to_vec(), model: args.model.clone() }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn source(info: &SourceInfo) -> Map<String, Value> {
    let forms: Vec<Value> = info.references.iter().map(|r| json!({"form": r.form, "example": r.example})).collect();
    object(json!({"label": info.label, "references": forms, "entry_forms": info.entry_forms}))
}

fn provider(info: &ProviderInfo) -> Map<String, Value> {
    let preset = |preset: &Preset| {
        let urls: Map<String, Value> =
            preset.base_urls.iter().map(|(family, url)| (family.to_string(), json!(url))).collect();
        json!({"id": preset.id, "label": preset.label, "base_urls": urls, "token": preset.token,
            "token_page": preset.token_page, "model": preset.model})
    };
    object(json!({"label": info.label, "presets": info.presets.iter().map(preset).collect::<Vec<_>>()}))
}

/// An intent as JSON; a secret is a name.
fn intent(intent: &Intent) -> Value {
    let api = match intent.api {
        Api::Messages => "messages",
        Api::Responses => "responses",
        Api::ChatCompletions => "chat-completions",
        Api::GenerateContent => "generate-content",
    };
    let auth = match &intent.auth {
        Auth::None => json!({"kind": "none"}),
        Auth::Bearer(secret) => json!({"kind": "bearer", "secret": secret}),
        Auth::ApiKey(secret) => json!({"kind": "api-key", "secret": secret}),
        Auth::Header { header, secret } => json!({"kind": "header", "header": header.to_string(), "secret": secret}),
    };
    let header = |header: &Header| match &header.value {
        HeaderValue::Literal(text) => json!({"name": header.name.to_string(), "value": text}),
        HeaderValue::Secret { name, prefix } => {
            json!({"name": header.name.to_string(), "secret": name, "prefix": prefix})
        }
    };
    let (models, tuning) = (&intent.models, &intent.tuning);
    json!({
        "api": api,
        "auth": auth,
        "headers": intent.headers.iter().map(header).collect::<Vec<_>>(),
        "models": {"main": models.main, "large": models.large, "medium": models.medium, "small": models.small},
        "tuning": {"context_tokens": tuning.context_tokens, "output_tokens": tuning.output_tokens,
            "timeout_seconds": tuning.timeout_seconds, "no_betas": tuning.no_betas,
            "no_prompt_caching": tuning.no_prompt_caching, "no_tool_search": tuning.no_tool_search},
        "tag": intent.tag,
        "notes": intent.notes,
    })
}

fn registration(at: &Registration) -> Value {
    json!({"kind": at.kind, "location": at.location, "ref": at.reference})
}
