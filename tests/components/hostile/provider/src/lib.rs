//! A misbehaving provider. The account's preset says how, as `MODE:ARGUMENT`. A mode that asks the host for
//! something answers with a note or a message that says what it got.

use std::time::Duration;

use aiw_extension::{
    Account, Api, Auth, Cli, Error, Family, Field, Health, Intent, KeyState, Model, Need, Preset, Provider,
    ProviderInfo, Quirks, Request, Response, Secret, Target, Value, cache, clock, http, settings, task_starts, tasks,
};

struct Hostile;

/// How `describe` misbehaves. `describe` cannot ask the host, so tests overwrite these bytes.
static DESCRIBE: [u8; 128] = *b"hostile-describe:                                                                                                               ";

impl Provider for Hostile {
    fn describe() -> ProviderInfo {
        let info = ProviderInfo::new("Misbehaves");
        let mode = String::from_utf8_lossy(std::hint::black_box(&DESCRIBE)).into_owned();
        let mode = mode.trim_start_matches("hostile-describe:").trim_end_matches(' ');
        let (mode, argument) = mode.split_once('=').unwrap_or((mode, ""));
        let preset = Preset::new("polite", "Polite");
        match mode {
            "id" => info.preset(Preset::new(argument, "Odd")),
            "does" => info.preset(Preset::new(argument, "Does").at_users(Family::Openai).token(Need::Never)),
            "url" => info.preset(preset.at(Family::Openai, argument)),
            "also" => info.preset(preset.at(Family::Openai, "https://one.example/v1").at(Family::Gemini, argument)),
            "page" => info.preset(preset.token_page(argument)),
            "label" => ProviderInfo::new(argument),
            "twice" => info.preset(preset.clone()).preset(preset),
            "two-urls" => info.preset(preset.at_users(Family::Openai).at_users(Family::Openai)),
            "auths" => ["by-none", "by-bearer", "by-api-key", "by-header"].into_iter().fold(info, |info, id| {
                let families = [Family::Anthropic, Family::Openai, Family::Gemini];
                info.preset(
                    families.into_iter().fold(Preset::new(id, "Any API"), Preset::at_users).token(Need::Optional),
                )
            }),
            "many" => (0..100).fold(info, |info, id| info.preset(Preset::new(&format!("p{id}"), "Many"))),
            "asks" => {
                ask(argument);
                info.preset(preset.at_users(Family::Openai))
            }
            "loop" => loop {
                std::hint::black_box(());
            },
            "sleep" => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            _ => info.preset(preset.at_users(Family::Openai)),
        }
    }

    fn plan(account: &Account, target: &Target) -> Result<Intent, Error> {
        let (mode, argument) = account.preset.split_once(':').unwrap_or((&account.preset, ""));
        let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
        let mut intent = Intent::new(account, target)?;
        match mode {
            "polite" => {}
            "api" => {
                intent.api = match argument {
                    "messages" => Api::Messages,
                    "responses" => Api::Responses,
                    "chat-completions" => Api::ChatCompletions,
                    _ => Api::GenerateContent,
                };
            }
            "none" => intent.auth = Auth::None,
            "bearer" => intent.auth = Auth::Bearer(argument.to_owned()),
            "api-key" => intent.auth = Auth::ApiKey(argument.to_owned()),
            "auth-header" => {
                intent.auth = Auth::Header(Field { name: name.to_owned(), value: value.to_owned() });
            }
            // Everything that an intent can contain, with each way of authenticating.
            "by-none" | "by-bearer" | "by-api-key" | "by-header" => {
                let secret = "token".to_owned();
                intent.auth = match mode {
                    "by-none" => Auth::None,
                    "by-bearer" => Auth::Bearer(secret),
                    "by-api-key" => Auth::ApiKey(secret),
                    _ => Auth::Header(Field { name: "x-by-header".to_owned(), value: secret }),
                };
                intent = intent.header("x-literal", "providers-canary-literal").header("x-secret", Secret::new("more"));
                intent = intent
                    .large_model("providers-large")
                    .medium_model("providers-medium")
                    .small_model("providers-small");
            }
            "header" => intent = intent.header(name, value),
            "header-secret" => intent = intent.header(name, Secret::new(value)),
            "header-prefix" => {
                let value = Value::Secret(Secret { name: "token".to_owned(), prefix: argument.to_owned() });
                intent = intent.header("x-a", value);
            }
            "headers-twice" => intent = intent.header("x-a", "1").header("X-A", "2"),
            "headers-many" => {
                intent = (0..40).fold(intent, |intent, at| intent.header(format!("x-{at}"), "1"));
            }
            "header-long" => intent = intent.header("x-a", "x".repeat(5000)),
            "model" => intent.models.main = Some(argument.to_owned()),
            "models" => {
                intent.models.main = Some("main".to_owned());
                intent = intent.large_model("large").medium_model("medium").small_model("small");
            }
            "model-small" => intent = intent.small_model(argument),
            "context" => intent.tuning.context_tokens = argument.parse().ok(),
            "output" => intent.tuning.output_tokens = argument.parse().ok(),
            "timeout" => intent.tuning.timeout_seconds = argument.parse().ok(),
            "no-betas" => intent = intent.without(Quirks::NO_BETAS),
            "no-prompt-caching" => intent = intent.without(Quirks::NO_PROMPT_CACHING),
            "no-tool-search" => intent = intent.without(Quirks::NO_TOOL_SEARCH),
            "tag" => intent = intent.tag(argument),
            "note" => intent = intent.note(argument),
            "notes-many" => intent.notes = vec!["x".to_owned(); 9],
            "note-long" => intent = intent.note("x".repeat(301)),
            "asks" => intent = intent.note(ask(argument)),
            "loop" => loop {
                std::hint::black_box(());
            },
            "sleep" => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            _ => return Err(Error::invalid(format!("no mode `{mode}`"))),
        }
        Ok(intent)
    }

    fn check(account: &Account) -> Result<Health, Error> {
        let (mode, argument) = account.preset.split_once(':').unwrap_or((&account.preset, ""));
        let send = |secret: Secret, header: &str| http::send(&Request::new(argument).header(header, secret)).map(shown);
        let post = |length: usize| {
            let request = Request::new(argument).post("x".repeat(length)).header("content-type", "text/plain");
            said(http::send(&request.header("authorization", Secret::bearer("token"))).map(shown))
        };
        let message = match mode {
            "send" => said(send(Secret::bearer("token"), "authorization")),
            "send-agent" => said(send(Secret::new("token"), "user-agent")),
            "send-other" => said(send(Secret::new("other"), "x-api-key")),
            "post" => post(3),
            "post-most" => post(1 << 20),
            "post-more" => post((1 << 20) + 1),
            "start" => said(start(Cli::Claude)),
            "start-other" => said(start(Cli::Other(argument.to_owned()))),
            "start-many" => (0..20).map(|_| said(start(Cli::Claude))).collect(),
            "wait" => said(tasks::wait(argument, Duration::from_secs(1)).map(|task| format!("{:?}", task.state))),
            "escape" => "red \u{1b}[31m alert\nsecond line".to_owned(),
            _ => return Err(Error::invalid(format!("no mode `{mode}`"))),
        };
        Ok(Health { key: KeyState::Unknown, message })
    }

    fn models(account: &Account) -> Result<Vec<Model>, Error> {
        let model = |id: &str| Model { id: id.to_owned(), label: None };
        match account.preset.as_str() {
            "many" => Ok(vec![model("x"); 3000]),
            "escape" => Ok(vec![model("\u{1b}[31m")]),
            _ => Ok(vec![model("polite")]),
        }
    }
}

/// Formats an answer with those of its headers that speak of a secret.
fn shown(answer: Response) -> String {
    let headers = answer.headers.iter().map(|header| format!("{}={}", header.name, header.value));
    let headers = headers.filter(|header| header.contains("secret")).collect::<Vec<_>>().join(" ");
    format!("{} {} {headers}", answer.status, String::from_utf8_lossy(&answer.body))
}

/// Makes one call to the host.
fn ask(what: &str) -> String {
    match what {
        "settings" => settings::get("describe").unwrap_or_default(),
        "tasks" => said(tasks::list().map(|tasks| tasks.len().to_string())),
        "task" => said(tasks::get("000000000001").map(|task| task.id)),
        "start" => said(start(Cli::Claude)),
        "wait" => said(tasks::wait("000000000001", Duration::from_secs(1)).map(|task| task.id)),
        "cache" => cache::get("x").map_or_else(|| "nothing".to_owned(), |_| "something".to_owned()),
        "cache-put" => {
            cache::put("x", b"y", Duration::from_secs(60));
            "put".to_owned()
        }
        "clock" => format!("{:?}", clock::now()),
        url => said(http::get(url).map(|answer| answer.status.to_string())),
    }
}

fn start(cli: Cli) -> Result<String, Error> {
    task_starts::start(&task_starts::StartRequest {
        cli,
        prompt: "hello".to_owned(),
        provider: None,
        role: None,
        cwd: None,
        model: None,
    })
}

fn said(answer: Result<String, Error>) -> String {
    answer.unwrap_or_else(|error| format!("error: {}", error.message()))
}

aiw_extension::export_provider!(Hostile, manifest = "manifest.json");
