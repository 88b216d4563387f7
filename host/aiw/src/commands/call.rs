//! `aiw extension call`: one function of a component in the real host, with recorded answers
//! for the network. For its author, and for the tests of a project that `new` wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aiw_app::extensions::compiled_cache_dir;
use aiw_core::{CliKind, ErrorKind, one_line};
use aiw_extensions::World;
use aiw_home::Home;
use aiw_testkit::provider::{Account, Family, Requirement, Target};
use aiw_testkit::{Driver, Testkit};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::{Function, FunctionArgs};
use crate::failure::CliError;
use crate::output::Output;
use aiw_app::own_executable;

/// The servers that a search asks a registry for.
const SEARCH_LIMIT: u32 = 50;

/// The usual secret.
const DEFAULT_SECRET: &str = "token";

pub async fn run(file: &Path, mut args: FunctionArgs, home: Option<&Home>, output: &Output) -> Result<(), CliError> {
    let mut kit = Testkit::read(file)?.compile_with(own_executable()?).on_compile({
        let progress = aiw_app::compile_progress(output.observer());
        move |id, time| progress(id, time)
    });
    // An author calls the same file many times, and then adds it.
    if let Some(dir) = home.and_then(compiled_cache_dir) {
        kit = kit.compiled_cache(dir);
    }
    if let Some(path) = &args.http {
        kit = kit.responses_from(path)?;
    }
    for (key, value) in std::mem::take(&mut args.setting) {
        kit = kit.setting(key, value);
    }
    // Only recorded answers are sent these.
    for name in args.secret.iter().map(String::as_str).chain([DEFAULT_SECRET]) {
        kit = kit.secret(name, format!("recorded-{name}"));
    }
    let worlds = kit.info().worlds;
    let driver = kit.load().await?;
    let result = call(&driver, &worlds, &args).await;
    for line in driver.log() {
        output.note(line.to_string());
    }
    let answer = result?;
    output.line(format!("{answer:#}"));
    output.set_json(answer);
    Ok(())
}

async fn call(driver: &Driver, worlds: &[String], args: &FunctionArgs) -> Result<Value, CliError> {
    let (source, provider, registry) = (driver.market_source(), driver.provider(), driver.registry_source());
    let reference = args.reference.as_deref();
    let needed = |what: &str| reference.ok_or_else(|| CliError::new(ErrorKind::Usage, format!("{what} is missing")));
    let of_market = || needed("the reference of a marketplace");
    match args.function {
        Function::Describe => {
            let mut said = Map::new();
            for world in World::ALL.into_iter().filter(|world| worlds.iter().any(|name| name == world.as_str())) {
                let of_world = match world {
                    World::MarketSource => object(&source.describe().await?),
                    World::Provider => object(&provider.describe().await?),
                    World::RegistrySource => object(&registry.describe().await?),
                };
                said.extend(of_world);
            }
            Ok(said.into())
        }
        Function::Claim => Ok(json!({ "claim": source.claim(of_market()?).await? })),
        Function::FetchMarketplace => {
            let reference = of_market()?;
            let at = source.claim(reference).await?;
            let at = at.ok_or_else(|| {
                CliError::user(format!("the component does not claim `{}`", one_line(reference, 200)))
            })?;
            let snapshot = source.fetch_marketplace(&at).await?;
            let document = match serde_json::from_slice(&snapshot.document) {
                Ok(document) => document,
                Err(_) => Value::String(String::from_utf8_lossy(&snapshot.document).into_owned()),
            };
            Ok(json!({"revision": snapshot.revision, "document": document}))
        }
        Function::Plan => {
            let account = account(driver, args).await?;
            Ok(json!({ "intent": provider.plan(&account, &target(&account, args)).await? }))
        }
        Function::Check => Ok(json!(provider.check(&account(driver, args).await?).await?)),
        Function::Models => Ok(json!({ "models": provider.models(&account(driver, args).await?).await? })),
        Function::Search => {
            Ok(json!({ "servers": registry.search(needed("what to search for")?, SEARCH_LIMIT).await? }))
        }
        Function::Changes => {
            let page = registry.changes(args.since, reference).await?;
            Ok(json!({ "servers": page.servers, "malformed": page.malformed, "next": page.next }))
        }
        Function::GetServer => {
            let server = registry.server(needed("the name of a server")?, args.server_version.as_deref()).await?;
            Ok(json!({ "server": server }))
        }
    }
}

/// The account of somebody who added a provider from a preset and gave a token.
async fn account(driver: &Driver, args: &FunctionArgs) -> Result<Account, CliError> {
    let presets = driver.provider().describe().await?.presets;
    let known = || presets.iter().map(|preset| format!("`{}`", preset.id)).collect::<Vec<_>>().join(", ");
    let preset = match &args.reference {
        Some(id) => presets.iter().find(|preset| preset.id == *id).ok_or_else(|| {
            CliError::user(format!("the component has no preset `{}`", one_line(id, 80)))
                .with_hint(format!("its presets: {}", known()))
        })?,
        None => presets.first().ok_or_else(|| CliError::user("the component has no preset"))?,
    };
    let given: BTreeMap<Family, String> = args.base_url.iter().map(|(of, url)| (*of, url.clone())).collect();
    let own = preset.base_urls.iter().filter_map(|(family, url)| Some((*family, url.clone()?)));
    let secrets: BTreeSet<String> = match preset.token {
        _ if !args.secret.is_empty() => args.secret.iter().cloned().collect(),
        Requirement::Never => BTreeSet::new(),
        _ => BTreeSet::from([DEFAULT_SECRET.to_owned()]),
    };
    Ok(Account {
        name: "mine".to_owned(),
        preset: preset.id.clone(),
        custom_url_families: given.keys().copied().collect(),
        base_urls: own.chain(given).collect(),
        model: preset.model.clone(),
        secrets,
    })
}

fn target(account: &Account, args: &FunctionArgs) -> Target {
    let fits = |cli: &CliKind| {
        aiw_launch::supported_apis(*cli).iter().any(|api| account.base_urls.contains_key(&api.family()))
    };
    let cli = args.cli.or_else(|| CliKind::ALL.into_iter().find(fits)).unwrap_or(CliKind::Claude);
    let speaks = aiw_launch::supported_apis(cli).to_vec();
    Target { cli, version: None, supported_apis: speaks, model: args.model.clone() }
}

fn object(value: &impl Serialize) -> Map<String, Value> {
    match json!(value) {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
