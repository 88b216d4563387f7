//! Servers from registries: no binary, no terminal, no network.

use aiw_app::installs::{InstallRequest, ServerInstallation, install};
use aiw_app::servers::ServerError;
use aiw_app::{AppError, ClientSession};
use aiw_core::registry::{Endpoint, Input, RegistryTransport, ServerSetting, ServerVariable, ServerVersion};
use aiw_core::{Diagnostic, Effect, ErrorKind, PromptError, ReportEvent};
use aiw_registries::MergedServer;

use crate::person::{Does, Recorded};
use crate::{client, state};

/// A server at two addresses, the second in a private network, that wants a key.
fn found() -> MergedServer {
    let key = Input { description: None, required: true, secret: true, ..Input::default() };
    let header = ServerSetting { name: "X-Api-Key".into(), input: key, variables: Vec::new() };
    let at = |url: &str| {
        let endpoint = Endpoint { url: url.into(), headers: vec![header.clone()], variables: Vec::new() };
        RegistryTransport::StreamableHttp(endpoint)
    };
    let server = ServerVersion {
        name: "io.github.acme/weather".into(),
        description: "Tells the weather".into(),
        version: "1.2.3".into(),
        latest: true,
        remotes: vec![at("https://weather.example/mcp"), at("https://10.1.2.3/mcp")],
        ..ServerVersion::default()
    };
    MergedServer { server, source: "registry-official".parse().unwrap(), duplicates: Vec::new() }
}

fn request() -> InstallRequest {
    InstallRequest { unchecked: true, ..InstallRequest::default() }
}

async fn installs(client: &ClientSession, person: &Recorded) -> Result<ServerInstallation, ServerError> {
    install(client, &found(), request(), person, person).await
}

const QUESTIONS: [&str; 3] = [
    "The MCP server io.github.acme/weather runs in several ways. Which?",
    "Install the MCP server `weather`?",
    "`weather` reaches `10.1.2.3`, inside a private or local network. May it?",
];

#[tokio::test]
async fn what_is_agreed_to_is_written_with_its_secret_in_the_vault() {
    let (_place, client) = client();
    let person = Recorded::agreeing();
    let server = installs(&client, &person).await.unwrap().server;
    assert_eq!(person.questions(), QUESTIONS);
    assert_eq!((server.key.as_str(), server.version.as_str(), server.tools), ("weather", "1.2.3", None));
    let [name] = &server.secrets[..] else { panic!("one secret: {:?}", server.secrets) };
    assert_eq!(client.home().vault().get(&name.parse().unwrap()).unwrap().expose(), "given");
    let written = std::fs::read_to_string(client.home().mcp_path()).unwrap();
    assert!(written.contains("https://10.1.2.3/mcp") && !written.contains("given"), "{written}");
    let plan = person.plans.lock().unwrap()[1].clone();
    assert!(plan.effects.contains(&Effect::Connects("https://10.1.2.3/mcp".into())), "{plan:?}");
    assert!(plan.details.iter().any(|line| line.contains("io.github.acme/weather 1.2.3")), "{plan:?}");
    assert!(person.told.lock().unwrap().contains(&ReportEvent::Done("Installed `weather`".into())));
    // Once more: it is the same server, and takes its own place.
    let again = Recorded::agreeing();
    installs(&client, &again).await.unwrap();
    assert_eq!(again.questions()[1], "Replace the MCP server `weather`?");
}

#[tokio::test]
async fn a_yes_holds_for_the_end_of_a_long_value_too() {
    let plan = async |end: &str| {
        let (_place, client) = client();
        let input = Input { value: Some(format!("{}{end}", "x".repeat(400))), ..Input::default() };
        let header = ServerSetting { name: "X-Long".into(), input, variables: Vec::new() };
        let mut found = found();
        let Some(RegistryTransport::StreamableHttp(endpoint)) = found.server.remotes.last_mut() else { panic!() };
        endpoint.headers.push(header);
        let person = Recorded::new(1, Does::Declines);
        assert!(install(&client, &found, request(), &person, &person).await.is_err());
        person.plans.lock().unwrap()[1].clone()
    };
    let (one, other) = (plan("one").await, plan("two").await);
    assert_eq!((&one.question, &one.details), (&other.question, &other.details));
    assert_ne!(one.digest(), other.digest());
}

#[tokio::test]
async fn nothing_is_written_whatever_question_is_declined_or_never_answered() {
    for at in 0..QUESTIONS.len() {
        let (_place, client) = client();
        let before = state(client.home());
        let person = Recorded::new(at, Does::Declines);
        let declined = installs(&client, &person).await.map(|installed| installed.server.key);
        assert!(matches!(declined, Err(ServerError::App(AppError::Prompt(PromptError::Declined)))), "{declined:?}");
        assert_eq!((person.questions().len(), state(client.home())), (at + 1, before.clone()));
        // Ctrl-C, or a client that is gone.
        let person = Recorded::new(at, Does::Waits);
        tokio::select! {
            biased;
            ended = installs(&client, &person) => panic!("it waits: {:?}", ended.map(|installed| installed.server.key)),
            () = async { while person.questions().len() <= at { tokio::task::yield_now().await; } } => {}
        }
        assert_eq!(state(client.home()), before);
    }
}

#[tokio::test]
async fn a_home_that_can_t_be_written_keeps_what_it_had() {
    let (_place, client) = client();
    installs(&client, &Recorded::agreeing()).await.unwrap();
    let before = state(client.home());
    // Where a file of the home can't be replaced, for root too.
    let record = client.home().root().join("mcp.json");
    std::fs::remove_file(&record).unwrap();
    std::fs::create_dir_all(record.join("in-the-way")).unwrap();
    let failed = installs(&client, &Recorded::agreeing()).await.map(|installed| installed.server);
    assert!(failed.is_err());
    let mut after = state(client.home());
    after.insert(record.display().to_string(), before[&record.display().to_string()].clone());
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_view_that_may_not_ask_for_a_secret_asks_nothing() {
    let (_place, client) = client();
    let person = Recorded { has_secrets: false, ..Recorded::agreeing() };
    let refused = installs(&client, &person).await.map(|installed| installed.server.key);
    assert!(matches!(refused, Err(ServerError::App(AppError::Prompt(PromptError::Unsupported)))), "{refused:?}");
    assert!(person.questions().is_empty());
}

#[tokio::test]
async fn a_request_that_makes_no_sense_asks_nothing() {
    let (_place, client) = client();
    let cases = [
        (InstallRequest { method: Some("9".into()), ..request() }, ErrorKind::Usage, "has no way"),
        (InstallRequest { method: Some("npm".into()), ..request() }, ErrorKind::Usage, "has no way"),
        (InstallRequest { key: Some("a b".into()), ..request() }, ErrorKind::Usage, "can't be the name of a server"),
        (InstallRequest { key: Some("workflows".into()), ..request() }, ErrorKind::Usage, "it is aiw's own"),
        (
            InstallRequest { method: Some("1".into()), set: vec![("X-Api-Key".into(), "@NONE".into())], ..request() },
            ErrorKind::User,
            "there is no secret `NONE` in the vault",
        ),
    ];
    for (request, kind, says) in cases {
        let person = Recorded::agreeing();
        let error = install(&client, &found(), request, &person, &person).await.map(|_| ()).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(says), "{error}");
        assert!(person.questions().is_empty(), "{:?}", person.questions());
    }
}

#[tokio::test]
async fn an_address_that_an_answer_makes_is_asked_about_like_any_other() {
    let (_place, client) = client();
    let mut found = found();
    let publishers = Input { default: Some("https://10.99.0.1/mcp".into()), ..Input::default() };
    let variable = ServerVariable { name: "where".into(), input: publishers };
    let endpoint = Endpoint { url: "{where}".into(), headers: Vec::new(), variables: vec![variable] };
    found.server.remotes = vec![RegistryTransport::StreamableHttp(endpoint)];
    let before = state(client.home());
    // Whoever presses Enter takes the publisher's default.
    let person = Recorded { answer: "https://10.99.0.1/mcp", ..Recorded::new(1, Does::Declines) };
    let declined = install(&client, &found, request(), &person, &person).await.map(|installed| installed.server.key);
    assert!(matches!(declined, Err(ServerError::App(AppError::Prompt(PromptError::Declined)))), "{declined:?}");
    assert_eq!(person.questions()[1], QUESTIONS[2].replace("10.1.2.3", "10.99.0.1"));
    assert_eq!(state(client.home()), before);
}
