//! From rows to entries, by the public surface.

use aiw_home::ExecutionContext;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use aiw_core::registry::{
    Argument, Endpoint, Format, Input, Package, RegistryStatus, RegistryTransport, ServerSetting, ServerVariable,
    ServerVersion,
};
use aiw_core::{Diagnostic, Question, Secret, SecretName};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::methods::install_methods_on;
use super::*;

/// Answers as somebody who presses Enter: with a publisher's default what has no answer yet.
fn take_defaults(answers: &mut EntryValues, questions: &[Question]) {
    for question in questions.iter().filter(|question| !answers.has(&question.name)).collect::<Vec<_>>() {
        if let Some(default) = question.default_answer() {
            answers.add_value(&question.name, default);
        }
    }
}

fn machine() -> TargetMachine {
    TargetMachine { os: "linux", arch: "x64", home: Some(PathBuf::from("/home/me")) }
}

/// An input from the JSON of the registry's schema.
fn input_of(json: &Json) -> Input {
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    Input {
        description: text("description"),
        required: json["isRequired"].as_bool().unwrap_or_default(),
        secret: json["isSecret"].as_bool().unwrap_or_default(),
        format: match json["format"].as_str() {
            Some("number") => Format::Number,
            Some("boolean") => Format::Boolean,
            Some("filepath") => Format::FilePath,
            _ => Format::Text,
        },
        value: text("value"),
        default: text("default"),
        placeholder: text("placeholder"),
        choices: json["choices"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|c| Some(c.as_str()?.to_owned()))
            .collect(),
    }
}

fn variables_of(json: &Json) -> Vec<ServerVariable> {
    let variables = json["variables"].as_object().into_iter().flatten();
    variables.map(|(name, input)| ServerVariable { name: name.clone(), input: input_of(input) }).collect()
}

fn setting_of(json: &Json) -> ServerSetting {
    let name = json["name"].as_str().unwrap_or_default().to_owned();
    ServerSetting { name, input: input_of(json), variables: variables_of(json) }
}

fn transport_of(json: &Json) -> RegistryTransport {
    let endpoint = || Endpoint {
        url: json["url"].as_str().unwrap_or_default().to_owned(),
        headers: json["headers"].as_array().into_iter().flatten().map(setting_of).collect(),
        variables: variables_of(json),
    };
    match json["type"].as_str() {
        Some("stdio") | None => RegistryTransport::Stdio,
        Some("streamable-http") => RegistryTransport::StreamableHttp(endpoint()),
        Some("sse") => RegistryTransport::Sse(endpoint()),
        Some(other) => RegistryTransport::Other(other.to_owned()),
    }
}

fn argument_of(json: &Json) -> Argument {
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    Argument {
        name: text("name"),
        hint: text("valueHint"),
        input: input_of(json),
        variables: variables_of(json),
        repeated: json["isRepeated"].as_bool().unwrap_or_default(),
    }
}

fn package_of(json: &Json) -> Package {
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    let list = |key: &str| json[key].as_array().cloned().unwrap_or_default();
    Package {
        kind: text("registryType").unwrap_or_default(),
        base_url: text("registryBaseUrl"),
        identifier: text("identifier").unwrap_or_default(),
        version: text("version"),
        sha256: text("fileSha256"),
        runtime: text("runtimeHint"),
        transport: transport_of(&json["transport"]),
        runtime_arguments: list("runtimeArguments").iter().map(argument_of).collect(),
        package_arguments: list("packageArguments").iter().map(argument_of).collect(),
        environment: list("environmentVariables").iter().map(setting_of).collect(),
    }
}

pub(crate) fn server_of(json: &Json) -> ServerVersion {
    let list = |key: &str| json[key].as_array().cloned().unwrap_or_default();
    ServerVersion {
        name: json["name"].as_str().unwrap_or("a/b").to_owned(),
        latest: true,
        packages: list("packages").iter().map(package_of).collect(),
        remotes: list("remotes").iter().map(transport_of).collect(),
        ..ServerVersion::default()
    }
}

/// The one way of a package.
fn way(package: Json) -> InstallMethod {
    let mut ways = install_methods_on(&server_of(&json!({"packages": [package]})), &machine());
    assert_eq!(ways.len(), 1);
    ways.remove(0)
}

fn remote(remote: Json) -> InstallMethod {
    install_methods_on(&server_of(&json!({"remotes": [remote]})), &machine()).remove(0)
}

fn answers(given: &[(&str, &str)]) -> EntryValues {
    let mut answers = EntryValues::default();
    given.iter().for_each(|(name, answer)| answers.add_value(*name, Secret::new(*answer)));
    answers
}

fn fill(way: &InstallMethod, given: &[(&str, &str)]) -> Result<EntryPlan, EntryPlanError> {
    plan_entry(way, &answers(given), "srv", |_| false)
}

/// The entry as JSON, and the secrets to store.
fn made(way: &InstallMethod, given: &[(&str, &str)]) -> (Json, Vec<(String, String)>) {
    let entry = fill(way, given).unwrap_or_else(|problem| panic!("{problem}"));
    let secrets = entry.secrets.iter().map(|(name, secret)| (name.to_string(), secret.expose().to_owned())).collect();
    (json!(entry.declaration), secrets)
}

fn args(way: &InstallMethod, given: &[(&str, &str)]) -> String {
    let (entry, _) = made(way, given);
    let args = entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().replace(' ', "␣"));
    std::iter::once(entry["command"].as_str().unwrap().to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

fn npm(more: Json) -> Json {
    with(
        json!({"registryType": "npm", "identifier": "@a/srv", "version": "1.2.3", "transport": {"type": "stdio"}}),
        more,
    )
}

fn with(mut row: Json, more: Json) -> Json {
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn kind(kind: &str, identifier: &str, more: Json) -> Json {
    let row =
        json!({"registryType": kind, "identifier": identifier, "version": "1.2.3", "transport": {"type": "stdio"}});
    with(row, more)
}

fn word(value: &str) -> Json {
    json!({"type": "positional", "value": value})
}

fn problem(way: &InstallMethod) -> String {
    way.unsupported_reason().map(ToString::to_string).unwrap_or_else(|| panic!("not refused: {:?}", way.command()))
}

fn asked(way: &InstallMethod) -> Vec<&str> {
    way.questions().iter().map(|question| question.name.as_str()).collect()
}

fn notes(way: &InstallMethod) -> Vec<String> {
    way.notes().iter().map(ToString::to_string).collect()
}

#[test]
fn each_kind_runs_its_package_pinned() {
    assert_eq!(args(&way(npm(json!({}))), &[]), "npx -y @a/srv@1.2.3");
    assert_eq!(args(&way(kind("pypi", "srv", json!({}))), &[]), "uvx srv==1.2.3");
    assert_eq!(args(&way(kind("nuget", "A.Srv", json!({}))), &[]), "dnx A.Srv@1.2.3 --yes");
    let nuget = kind("nuget", "A.Srv", json!({"packageArguments": [word("mcp"), word("start")]}));
    assert_eq!(args(&way(nuget), &[]), "dnx A.Srv@1.2.3 --yes -- mcp start");
    // Old rows have the tag apart.
    assert_eq!(args(&way(kind("oci", "a/srv", json!({}))), &[]), "docker run -i --rm a/srv:1.2.3");
    assert_eq!(args(&way(kind("oci", "ghcr.io/a/srv:2", json!({}))), &[]), "docker run -i --rm ghcr.io/a/srv:2");
    let digest = format!("sha256:{}", "0a".repeat(32));
    for (version, image) in
        [(digest.clone(), format!("a/srv@{digest}")), (format!("2@{digest}"), format!("a/srv:2@{digest}"))]
    {
        let way = way(kind("oci", "a/srv", json!({"version": version})));
        assert_eq!((args(&way, &[]), way.is_pinned()), (format!("docker run -i --rm {image}"), true));
    }
    for hint in ["bun", "bunx"] {
        let bun = |more: Json| args(&way(npm(with(json!({"runtimeHint": hint}), more))), &[]);
        assert_eq!(bun(json!({})), "bunx @a/srv@1.2.3");
        let words = json!({"runtimeArguments": [word("x"), word("--bun")], "packageArguments": [word("serve")]});
        assert_eq!(bun(words), "bunx --bun @a/srv@1.2.3 serve");
        // Bun takes no address of a registry.
        let elsewhere = bun(json!({"registryBaseUrl": "https://h.example/npm"}));
        assert_eq!(elsewhere, "npx -y --registry=https://h.example/npm @a/srv@1.2.3");
    }
    // Braces that name nothing are a text.
    let literal =
        json!({"packageArguments": [word("{}"), {"type": "named", "name": "--config", "value": "{\"a\": {}}"}]});
    assert_eq!(args(&way(npm(literal)), &[]), "npx -y @a/srv@1.2.3 {} --config={\"a\":␣{}}");
    let way = way(npm(json!({})));
    assert_eq!((way.program(), way.target(), way.is_pinned()), (Some("npx"), "@a/srv@1.2.3", true));
}

#[test]
fn what_is_not_pinned_is_said() {
    for row in [
        kind("npm", "srv", json!({"version": "latest"})),
        kind("npm", "srv", json!({"version": null})),
        kind("pypi", "srv", json!({"version": ""})),
        kind("oci", "a/srv:latest", json!({"version": null})),
        kind("oci", "a/srv", json!({"version": null})),
    ] {
        let way = way(row);
        assert!(!way.is_pinned() && notes(&way)[0].contains("not pinned"), "{way:?}");
        assert!(fill(&way, &[]).is_ok());
    }
    for range in ["^1.2.3", "1.x", ">=1.0.0", "1.2", "1.2.3 || 2"] {
        assert!(problem(&way(npm(json!({"version": range})))).contains("exact version"), "{range}");
    }
}

#[test]
fn runtime_arguments_that_repeat_the_command_are_there_once() {
    let npm = |arguments: Json| args(&way(kind("npm", "srv", json!({"runtimeArguments": arguments}))), &[]);
    assert_eq!(npm(json!([word("-y")])), "npx -y srv@1.2.3");
    assert_eq!(npm(json!([{"type": "named", "name": "--yes"}, word("srv@latest")])), "npx -y srv@1.2.3");
    assert_eq!(npm(json!([word("-p"), word("srv@9"), word("other-bin")])), "npx -y --package=srv@1.2.3 other-bin");
    let pypi = |arguments: Json| args(&way(kind("pypi", "my-srv", json!({"runtimeArguments": arguments}))), &[]);
    assert_eq!(pypi(json!([word("my_srv==0.1")])), "uvx my-srv==1.2.3");
    assert_eq!(pypi(json!([word("--from"), word("my-srv[cli]"), word("srv")])), "uvx --from=my-srv[cli]==1.2.3 srv");
    assert_eq!(pypi(json!([word("-m"), word("my_srv.main")])), "uvx --from=my-srv==1.2.3 python -m my_srv.main");
    assert_eq!(
        pypi(json!([{"type": "named", "name": "--python", "value": "3.12"}, word("--with=httpx==1.0")])),
        "uvx --python=3.12 --with=httpx==1.0 my-srv==1.2.3"
    );
    let oci =
        |arguments: Json| args(&way(kind("oci", "docker.io/a/srv:1", json!({"runtimeArguments": arguments}))), &[]);
    let plain = "docker run -i --rm docker.io/a/srv:1";
    assert_eq!(oci(json!([word("run"), {"type": "named", "name": "--rm"}, word("-i"), word("a/srv:1")])), plain);
    assert_eq!(oci(json!([word("docker"), word("run"), word("-it"), word("--rm"), word("-d")])), plain);
    // In the wrong list.
    let row =
        kind("npm", "srv", json!({"packageArguments": [word("-y"), word("srv@latest"), word("stdio"), word("-y")]}));
    assert_eq!(args(&way(row), &[]), "npx -y srv@1.2.3 stdio -y");
}

#[test]
fn a_runner_takes_only_known_options() {
    for (kind_of, argument) in [
        ("npm", "--node-options=--require=/tmp/x"),
        ("npm", "--call=sh"),
        ("npm", "-c"),
        ("npm", "--registry=https://evil.example"),
        ("npm", "--package=evil"),
        ("npm", "evil"),
        ("npm", "--userconfig=/tmp/x"),
        ("pypi", "--index-url=https://evil.example"),
        ("pypi", "--from=git+https://evil.example/x"),
        ("pypi", "--from=evil"),
        ("pypi", "--with=git+https://evil.example/x"),
        ("pypi", "--with-requirements=/tmp/x"),
        ("pypi", "--python=/tmp/python"),
        ("pypi", "-m"),
        ("nuget", "--source=https://evil.example"),
        ("nuget", "--configfile=/tmp/x"),
        ("oci", "other/image"),
        ("oci", "-vx/:/y"),
    ] {
        let row = kind(kind_of, "srv", json!({"runtimeArguments": [word(argument)]}));
        let problem = problem(&way(row));
        assert!(problem.contains("which aiw does not allow"), "{kind_of} {argument}: {problem}");
    }
    let open =
        json!({"type": "named", "name": "--registry", "value": "{x}", "isRequired": true, "variables": {"x": {}}});
    assert!(problem(&way(npm(json!({"runtimeArguments": [open]})))).contains("does not allow"));
}

#[test]
fn dockers_arguments_on_another_package_set_its_variables_and_mean_nothing_else() {
    let arguments = json!([word("run"), word("-i"), word("--rm"), word("-e"), word("REGION=eu"), word("srv")]);
    let way = way(kind("npm", "srv", json!({"runtimeArguments": arguments})));
    let (entry, _) = made(&way, &[]);
    assert_eq!(entry, json!({"command": "npx", "args": ["-y", "srv@1.2.3"], "env": {"REGION": "eu"}}));
    assert!(notes(&way).iter().any(|note| note.contains("is Docker's")), "{:?}", notes(&way));
}

#[test]
fn dockers_variables_are_in_the_environment_and_never_in_arguments() {
    let row = kind(
        "oci",
        "a/srv:1",
        json!({
            "runtimeArguments": [
                {"type": "named", "name": "-e", "value": "TOKEN={token}", "isRequired": true,
                 "variables": {"token": {"isSecret": true, "isRequired": true}}},
                word("-e"), word("MODE=ro"), {"type": "named", "name": "--env", "value": "LEVEL"},
            ],
            "environmentVariables": [{"name": "LEVEL"}, {"name": "OPTIONAL"}, {"name": "TOKEN", "value": "x-{token}"}],
        }),
    );
    let way = way(row);
    assert_eq!(asked(&way), ["LEVEL", "OPTIONAL", "token"]);
    let (entry, secrets) = made(&way, &[("token", "t0p"), ("LEVEL", "debug")]);
    assert_eq!(
        entry,
        json!({
            "command": "docker",
            "args": ["run", "-i", "--rm", "-e", "LEVEL", "-e", "TOKEN", "-e", "MODE", "a/srv:1"],
            "env": {"LEVEL": "debug", "TOKEN": "x-${secret:srv-token}", "MODE": "ro"},
        })
    );
    assert_eq!(secrets, [("srv-token".to_owned(), "t0p".to_owned())]);
}

/// A row whose container is told its variables in this way.
fn passing(arguments: Json) -> InstallMethod {
    way(kind("oci", "a/srv:1", json!({"runtimeArguments": arguments})))
}

#[test]
fn a_variable_that_docker_is_told_to_pass_on_is_asked_for_in_every_form_that_rows_have() {
    let positional = |more: Json| with(json!({"type": "positional"}), more);
    let named = |more: Json| with(json!({"type": "named", "name": "-e"}), more);
    let about = json!({"description": "Of your account", "isRequired": true, "isSecret": true});
    for arguments in [
        json!([named(about.clone()), positional(json!({"value": "ACME_KEY"}))]),
        json!([named(json!({})), positional(with(json!({"value": "ACME_KEY"}), about.clone()))]),
        json!([word("-e"), positional(with(json!({"valueHint": "ACME_KEY"}), about.clone()))]),
        json!([word("--env"), positional(with(json!({"value": "ACME_KEY="}), about.clone()))]),
        json!([named(with(json!({"valueHint": "ACME_KEY"}), about.clone()))]),
        json!([named(with(json!({"value": "ACME_KEY"}), about.clone()))]),
        json!([
            named(json!({"description": "The key"})),
            positional(json!({"value": "ACME_KEY={key}", "isRequired": true, "variables": {"key": about.clone()}}))
        ]),
    ] {
        let way = passing(arguments.clone());
        assert!(way.unsupported_reason().is_none(), "{arguments}: {:?}", way.unsupported_reason());
        let [question] = way.questions() else { panic!("{arguments}: {:?}", way.questions()) };
        assert!(question.required && question.secret, "{arguments}: {question:?}");
        assert_eq!(question.description.as_deref(), Some("Of your account"), "{arguments}");
        let (entry, secrets) = made(&way, &[(&question.name, "t0p")]);
        assert_eq!(entry["args"], json!(["run", "-i", "--rm", "-e", "ACME_KEY", "a/srv:1"]), "{arguments}");
        assert_eq!(entry["env"]["ACME_KEY"], format!("${{secret:{}}}", secrets[0].0), "{arguments}");
    }
    // Each is its own, and what follows is not taken for a value.
    let way = passing(json!([
        named(json!({"description": "One"})),
        positional(json!({"value": "A_ONE"})),
        named(json!({"description": "Two", "isRequired": true})),
        positional(json!({"value": "B_TWO"})),
        word("a/srv:1")
    ]));
    let said: Vec<_> = way.questions().iter().map(|q| (&*q.name, q.description.as_deref(), q.required)).collect();
    assert_eq!(said, [("A_ONE", Some("One"), false), ("B_TWO", Some("Two"), true)]);
    assert_eq!(args(&way, &[("B_TWO", "x")]), "docker run -i --rm -e B_TWO a/srv:1");
    // A variable that decides what code runs is not passed on, and no default of the publisher's decides where it is from.
    assert!(
        problem(&passing(json!([named(json!({"isRequired": true})), word("LD_PRELOAD")]))).contains("what code runs")
    );
    let host = passing(json!([named(json!({"default": "tcp://evil.example"})), word("DOCKER_HOST")]));
    assert!(host.questions().iter().all(|question| question.default.is_none()), "{:?}", host.questions());
}

#[test]
fn an_optional_argument_that_cannot_be_passed_is_left_out_and_a_required_one_refuses() {
    let spec = |more: Json| way(kind("npm", "srv", more));
    let open = |name: &str| json!({"type": "named", "name": name, "description": "Something"});
    let needed = |row: Json| with(row, json!({"isRequired": true}));
    let variable = |value: &str| json!({"name": "ACME_X", "value": value, "variables": {"x": {}}});
    for (list, one, part) in [
        ("packageArguments", open("--log <level>"), "--log <level>"),
        ("packageArguments", with(open("--log"), json!({"value": "${HOME}/{x}", "variables": {"x": {}}})), "--log"),
        ("runtimeArguments", open("--registry"), "--registry=<--registry>"),
        ("runtimeArguments", with(open("--call"), json!({"format": "boolean"})), "[--call]"),
        ("runtimeArguments", json!({"type": "positional", "valueHint": "folder"}), "<folder>"),
        ("environmentVariables", variable("${HOME}/{x}"), "ACME_X"),
        (
            "environmentVariables",
            json!({"name": "NODE_OPTIONS", "value": "{x}", "variables": {"x": {}}}),
            "NODE_OPTIONS",
        ),
    ] {
        let way = spec(json!({list: [one.clone()]}));
        assert!(way.unsupported_reason().is_none(), "{one}: {:?}", way.unsupported_reason());
        assert!(asked(&way).is_empty(), "{one}: {:?}", asked(&way));
        let note = format!("`{part}` is left out: ");
        assert!(notes(&way).iter().any(|said| said.starts_with(&note)), "{one}: {:?}", notes(&way));
        assert_eq!(args(&way, &[]), "npx -y srv@1.2.3");
        assert!(spec(json!({list: [needed(one.clone())]})).unsupported_reason().is_some(), "{one}");
    }
    // In a container, and in a request.
    let way = passing(json!([open("-vx"), {"type": "positional", "valueHint": "folder"}]));
    assert_eq!((args(&way, &[]).as_str(), notes(&way).len()), ("docker run -i --rm a/srv:1", 2));
    assert!(passing(json!([needed(open("-vx"))])).unsupported_reason().is_some());
    let header = |more: Json| {
        let header = with(json!({"name": "X-Mode", "value": "\u{e4}{x}", "variables": {"x": {}}}), more);
        remote(json!({"type": "streamable-http", "url": "https://a.example", "headers": [header]}))
    };
    assert!(
        header(json!({})).unsupported_reason().is_none()
            && header(json!({"isRequired": true})).unsupported_reason().is_some()
    );
    // What has a value of its own is a part of the command, required or not.
    assert!(spec(json!({"runtimeArguments": [word("--call=sh")]})).unsupported_reason().is_some());
}

#[test]
fn a_default_is_the_answer_where_none_is_given_and_only_if_it_can_be_one() {
    let variables = json!([
        {"name": "REGION", "default": "eu", "isRequired": true}, {"name": "LEVEL", "default": "info"},
        {"name": "PORT", "format": "number", "default": "many"}, {"name": "MODE", "choices": ["a"], "default": "b"},
        {"name": "OTHER"},
    ]);
    let way = way(npm(json!({"environmentVariables": variables})));
    let mut given = answers(&[]);
    take_defaults(&mut given, way.questions());
    let entry = |given: &EntryValues| plan_entry(&way, given, "srv", |_| false).unwrap();
    assert_eq!(entry(&given).declaration["env"], json!({"REGION": "eu", "LEVEL": "info"}));
    // Another answer stays, and one that was declined is declined at the next update, too.
    let mut given = answers(&[("REGION", "us"), ("LEVEL", "")]);
    take_defaults(&mut given, way.questions());
    let made = entry(&given);
    assert_eq!(made.declaration["env"], json!({"REGION": "us"}));
    let mut later = EntryValues::from_recorded(&made.answers);
    take_defaults(&mut later, way.questions());
    assert_eq!(entry(&later), made);
}

#[test]
fn what_a_container_reaches_is_listed() {
    let row = kind(
        "oci",
        "a/srv:1",
        json!({"runtimeArguments": [
            {"type": "named", "name": "--mount", "value": "type=bind,src={src},dst={dst}", "isRepeated": true,
             "variables": {"src": {"format": "filepath", "isRequired": true}, "dst": {"default": "/project"}}},
            word("--privileged"), word("-v"), word("/var/run/docker.sock:/var/run/docker.sock"),
            word("--network=host"), {"type": "named", "name": "--network", "value": "none"}, word("--pid"), word("host"),
            word("--name"), word("x"), word("--new-thing=1"), {"type": "named", "name": "--oom-kill-disable", "format": "boolean"},
        ]}),
    );
    let way = way(row);
    let reaches = way.host_access().join("\n");
    for part in [
        "--mount",
        "`--privileged`",
        "controls Docker",
        "machine's network",
        "--pid host",
        "`--new-thing 1`: passed",
        "`--oom-kill-disable`",
    ] {
        assert!(reaches.contains(part), "{part} in {reaches}");
    }
    assert!(!reaches.contains("--name") && !reaches.contains("none"), "{reaches}");
    let given = [("src", "/a"), ("src", "/b,c"), ("dst", "/x"), ("dst", "/y")];
    assert_eq!(
        args(&way, &given),
        "docker run -i --rm --mount=type=bind,src=/a,dst=/x --mount=type=bind,src=/b,c,dst=/y --privileged \
         -v /var/run/docker.sock:/var/run/docker.sock --network=host --network=none --pid=host --name=x --new-thing=1 a/srv:1"
    );
    let uneven = fill(&way, &[("src", "/a"), ("src", "/b"), ("dst", "/x"), ("dst", "/y"), ("dst", "/z")]);
    assert!(uneven.unwrap_err().to_string().contains("more or less often"));
}

#[test]
fn arguments_take_the_form_that_real_servers_read() {
    let way = way(npm(json!({"packageArguments": [
        {"type": "named", "name": "--mcp", "description": "Run as an MCP server"},
        {"type": "named", "name": "--bare"},
        {"type": "named", "name": "port", "format": "number", "isRequired": true},
        {"type": "named", "name": "-l", "value": "/tmp/x.log"},
        {"type": "named", "name": "--host", "description": "Where to listen"},
        {"type": "named", "name": "--vision", "format": "boolean"},
        {"type": "named", "name": "--on", "format": "boolean", "default": "true"},
        {"type": "named", "name": "--fixed", "format": "boolean", "value": "true"},
        {"type": "positional", "valueHint": "directory", "isRepeated": true, "isRequired": true},
        {"type": "positional", "valueHint": "label", "choices": ["a", "b"]},
    ]})));
    assert_eq!(asked(&way), ["--port", "--host", "--vision", "--on", "directory", "label"]);
    assert_eq!(
        args(&way, &[("--port", "80"), ("directory", "/a b"), ("directory", "/c")]),
        "npx -y @a/srv@1.2.3 --mcp --bare --port=80 -l /tmp/x.log --fixed /a␣b /c"
    );
    let all =
        [("--port", "1"), ("--host", ""), ("--vision", "true"), ("--on", "false"), ("directory", "-1"), ("label", "b")];
    assert_eq!(
        args(&way, &all),
        "npx -y @a/srv@1.2.3 --mcp --bare --port=1 -l /tmp/x.log --host --vision --on=false --fixed -1 b"
    );
    assert_eq!(
        args(&way, &[("--port", "1"), ("--host", "-h"), ("--on", "true"), ("directory", "d")]),
        "npx -y @a/srv@1.2.3 --mcp --bare --port=1 -l /tmp/x.log --host=-h --on --fixed d"
    );
}

#[test]
fn answers_are_held_to_their_questions_and_never_repeated() {
    let way = way(npm(json!({"packageArguments": [
        {"type": "named", "name": "--port", "format": "number"},
        {"type": "named", "name": "--on", "format": "boolean"},
        {"type": "positional", "valueHint": "mode", "choices": ["ro", "rw"]},
        {"type": "positional", "valueHint": "dir"},
    ], "environmentVariables": [{"name": "NEEDED", "isRequired": true, "default": "d"}, {"name": "TOKEN", "isSecret": true}]})));
    // A default is offered and never taken.
    assert_eq!(fill(&way, &[]).unwrap_err(), EntryPlanError::MissingValues { names: vec!["NEEDED".into()] });
    for (name, bad) in [
        ("--port", "8o8o"),
        ("--port", "inf"),
        ("--on", "yes"),
        ("mode", "wx"),
        ("dir", "--evil"),
        ("dir", "a\u{1b}[2J"),
        ("dir", "line\nbreak"),
        ("dir", "${HOME}/x"),
        ("dir", "sk-abcdefghijklmnop"),
        ("TOKEN", "two\nlines"),
    ] {
        let error = fill(&way, &[("NEEDED", "x"), (name, bad)]).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")) && !error.contains(bad), "{name}: {error}");
    }
    let twice = fill(&way, &[("NEEDED", "x"), ("dir", "a"), ("dir", "b")]).unwrap_err().to_string();
    assert!(twice.contains("several times"), "{twice}");
    assert!(matches!(
        fill(&way, &[("NEEDED", "x"), ("OTHER", "y")]).unwrap_err(),
        EntryPlanError::UnknownSetting { .. }
    ));
    // An empty answer counts as none.
    assert!(matches!(fill(&way, &[("NEEDED", "")]).unwrap_err(), EntryPlanError::MissingValues { .. }));
}

#[test]
fn secrets_become_references_and_variables_of_the_person_stay() {
    let row = npm(json!({"environmentVariables": [
        {"name": "API_KEY", "isSecret": true, "isRequired": true},
        {"name": "GITHUB_TOKEN"}, {"name": "TOKEN_FILE"}, {"name": "OTHER_KEY", "isSecret": true}, {"name": "REGION"},
        {"name": "DSN", "description": "postgres"},
    ]}));
    let way = way(row);
    let secret: Vec<_> = way.questions().iter().filter(|q| q.secret).map(|q| q.name.as_str()).collect();
    assert_eq!(secret, ["API_KEY", "GITHUB_TOKEN", "OTHER_KEY"]);
    let given = [
        ("API_KEY", "a${HOME}b"),
        ("GITHUB_TOKEN", "${MY_TOKEN}"),
        ("OTHER_KEY", "${secret:mine}"),
        ("TOKEN_FILE", "/run/t"),
        ("DSN", "postgres://u:p@h/d"),
    ];
    let (entry, secrets) = made(&way, &given);
    assert_eq!(
        entry["env"],
        json!({"API_KEY": "${secret:srv-api-key}", "GITHUB_TOKEN": "${MY_TOKEN}", "TOKEN_FILE": "/run/t",
               "OTHER_KEY": "${secret:mine}", "DSN": "${secret:srv-dsn}"})
    );
    assert_eq!(secrets[0], ("srv-api-key".to_owned(), "a${HOME}b".to_owned()));
    // A name that the vault has already is not taken over.
    let taken: SecretName = "srv-api-key".parse().unwrap();
    let other = plan_entry(&way, &answers(&[("API_KEY", "x")]), "srv", |name| *name == taken).unwrap();
    assert_eq!(other.secrets[0].0.as_str(), "srv-api-key-2");
    assert_eq!(other.declaration["env"]["API_KEY"], "${secret:srv-api-key-2}");
}

#[test]
fn a_default_never_hands_over_a_secret_or_a_variable_of_the_person() {
    let stolen = ["${secret:openrouter}", "${AWS_SECRET_ACCESS_KEY}", "x${HOME}", "a\u{202e}b"];
    for stolen in stolen {
        let header = json!({"name": "X-Mode", "default": stolen, "choices": ["a", stolen]});
        let way =
            remote(json!({"type": "streamable-http", "url": "https://evil.example", "headers": [header.clone()]}));
        assert_eq!(
            (&way.questions()[0].default, &way.questions()[0].choices),
            (&None, &vec!["a".to_owned()]),
            "{stolen}"
        );
        // Where it is asked twice, too.
        let twice = way_of_two(
            header,
            json!({"name": "--mode", "value": "{X-Mode}", "variables": {"X-Mode": {"default": stolen}}}),
        );
        assert!(twice.questions().iter().all(|question| question.default.is_none()), "{stolen}");
        let manifest = json!({"server": {"mcp_config": {"command": "node", "args": ["x.js", "${user_config.x}"]}},
            "user_config": {"x": {"type": "string", "default": stolen}}});
        let unpacked = bundle(&manifest, &[("x.js", "", 0o644)]).unwrap().unpacked_method(
            &bundle_way(json!({})),
            Path::new("/b"),
            &machine(),
        );
        // `${HOME}` is a directory in manifests.
        let expected = stolen.contains("HOME").then(|| "x/home/me".to_owned());
        assert_eq!(unpacked.questions()[0].default, expected, "{stolen}");
    }
}

fn way_of_two(variable: Json, argument: Json) -> InstallMethod {
    let variable = with(variable, json!({"name": "MODE"}));
    way(npm(json!({"environmentVariables": [variable], "packageArguments": [argument]})))
}

#[test]
fn what_is_named_like_a_secret_is_one_whether_the_row_says_so_or_not() {
    for name in ["key", "token", "apikey", "apiKey", "accessKey", "API-KEY", "password", "secret", "Authorization"] {
        let npm = |more: Json| {
            way(with(
                json!({"registryType": "npm", "identifier": "a", "version": "1.0.0", "transport": {"type": "stdio"}}),
                more,
            ))
        };
        let places = [
            npm(json!({"environmentVariables": [{"name": name}]})),
            npm(
                json!({"environmentVariables": [{"name": "URL", "value": format!("https://h/{{{name}}}"), "isRequired": true}]}),
            ),
        ];
        for way in places {
            assert!(way.questions().iter().all(|question| question.secret), "{name}: {:?}", way.questions());
        }
        let manifest = json!({"server": {"mcp_config": {"command": "node", "args": ["x.js"], "env": {"X": format!("${{user_config.{name}}}")}}},
            "user_config": {name: {"type": "string"}}});
        let bundle = bundle(&manifest, &[("x.js", "", 0o644)]).unwrap().unpacked_method(
            &bundle_way(json!({})),
            Path::new("/b"),
            &machine(),
        );
        assert!(bundle.questions()[0].secret, "{name}: {:?}", bundle.questions());
    }
    let plain = ["tokenFile", "TOKEN_PATH", "keyboard", "region"];
    for name in plain {
        let row = with(
            json!({"registryType": "npm", "identifier": "a", "version": "1.0.0", "transport": {"type": "stdio"}}),
            json!({"environmentVariables": [{"name": name}]}),
        );
        assert!(!way(row).questions()[0].secret, "{name}");
    }
}

#[test]
fn a_secret_is_never_an_argument() {
    let required = json!([{"type": "named", "name": "--password", "isSecret": true, "isRequired": true}]);
    assert!(problem(&way(npm(json!({"packageArguments": required.clone()})))).contains("a secret, as an argument"));
    assert!(problem(&way(kind("oci", "a/b:1", json!({"packageArguments": required})))).contains("as an argument"));
    let optional = json!([
        {"type": "named", "name": "--password", "isSecret": true},
        {"type": "named", "name": "--url", "value": "https://h/{API_KEY}"},
    ]);
    let way = way(npm(
        json!({"packageArguments": optional, "environmentVariables": [{"name": "API_KEY", "isSecret": true, "isRequired": true}]}),
    ));
    assert_eq!(asked(&way), ["API_KEY"]);
    assert_eq!(args(&way, &[("API_KEY", "k")]), "npx -y @a/srv@1.2.3");
    assert!(notes(&way).iter().any(|note| note.contains("`--password` is left out")), "{:?}", notes(&way));
}

#[test]
fn a_name_in_braces_is_asked_for_once_or_left_out_whole_and_never_sent() {
    let way = way(npm(json!({
        "packageArguments": [
            {"type": "named", "name": "--root", "value": "{root}/x", "variables": {"root": {"isRequired": true}}},
            {"type": "positional", "value": "{root}"},
            {"type": "positional", "value": "{unexplained}"},
            {"type": "positional", "value": "{needed}", "isRequired": true},
            {"type": "named", "name": "--maybe", "value": "{maybe}-{root}", "variables": {"maybe": {}}},
        ],
        "environmentVariables": [{"name": "JSON", "value": "{\"a\": {}}"}, {"name": "X", "value": "{other}"}],
    })));
    assert_eq!(asked(&way), ["root", "needed", "maybe"]);
    let (entry, _) = made(&way, &[("root", "/r"), ("needed", "n")]);
    assert_eq!(entry["args"], json!(["-y", "@a/srv@1.2.3", "--root=/r/x", "/r", "n"]));
    assert_eq!(entry["env"], json!({"JSON": "{\"a\": {}}"}));
    assert_eq!(notes(&way).iter().filter(|note| note.contains("left out")).count(), 2);
}

#[test]
fn rows_that_change_what_runs_are_refused() {
    let env = |name: &str, value: Json| way(npm(json!({"environmentVariables": [with(json!({"name": name}), value)]})));
    for name in [
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "NODE_OPTIONS",
        "PATH",
        "PYTHONSTARTUP",
        "OPENSSL_MODULES",
        "GLIBC_TUNABLES",
        "LOCPATH",
        "COR_PROFILER",
        "DOTNET_STARTUP_HOOKS",
        "BUN_INSTALL",
        "KUBECONFIG",
        "npm_config_registry",
        "UV_INDEX_URL",
        "BASH_ENV",
        "GIT_SSH_COMMAND",
        "DOCKER_HOST",
        "AIW_HOME",
    ] {
        assert!(problem(&env(name, json!({"value": "x"}))).contains("decides what code runs"), "{name}");
    }
    assert!(problem(&env("LD_PRELOAD", json!({"isRequired": true}))).contains("decides what code runs"));
    assert!(asked(&env("NODE_OPTIONS", json!({}))).is_empty());
    // The person's to answer, without an offer of the publisher's.
    let docker = env("DOCKER_HOST", json!({"default": "tcp://evil.example"}));
    assert_eq!((asked(&docker), &docker.questions()[0].default), (vec!["DOCKER_HOST"], &None));
    assert!(env("ENV", json!({"value": "production"})).unsupported_reason().is_none());
    for value in ["a\nb", "a\u{1b}[0m", "\u{202e}x", "${HOME}", "x${secret:openrouter}", "$"] {
        let way = env("X", json!({"value": format!("{value}{{HOME}}"), "variables": {"HOME": {"isRequired": true}}}));
        assert!(problem(&way).contains("the value of `X`"), "{value:?}");
    }
    for name in ["--a b", "", "---", "--a\nb", "--a;b"] {
        let way = way(npm(json!({"packageArguments": [{"type": "named", "name": name, "value": "x"}]})));
        assert!(problem(&way).contains("not a valid name of an argument"), "{name:?}");
    }
    // An invalid name does not matter if nothing needs it.
    let odd = |required: bool| {
        way(kind(
            "oci",
            "a/b:1",
            json!({"environmentVariables": [{"name": "X-API-Key", "isRequired": required}, {"name": ""}]}),
        ))
    };
    assert!(odd(false).unsupported_reason().is_none() && problem(&odd(true)).contains("`X-API-Key`"));
}

#[test]
fn other_package_registries_are_passed_on_or_refused() {
    let base =
        |kind_of: &str, identifier: &str, url: &str| way(kind(kind_of, identifier, json!({"registryBaseUrl": url})));
    let other = base("npm", "srv", "https://npm.example/x");
    assert_eq!(args(&other, &[]), "npx -y --registry=https://npm.example/x srv@1.2.3");
    assert!(notes(&other)[0].contains("another package registry"));
    assert_eq!(
        args(&base("pypi", "srv", "https://p.example/simple"), &[]),
        "uvx --default-index=https://p.example/simple srv==1.2.3"
    );
    assert_eq!(
        args(&base("nuget", "srv", "https://n.example/v3/index.json"), &[]),
        "dnx srv@1.2.3 --yes --source https://n.example/v3/index.json"
    );
    assert_eq!(args(&base("oci", "a/srv", "https://ghcr.io"), &[]), "docker run -i --rm ghcr.io/a/srv:1.2.3");
    assert_eq!(args(&base("oci", "ghcr.io/a/srv", "https://ghcr.io"), &[]), "docker run -i --rm ghcr.io/a/srv:1.2.3");
    assert_eq!(args(&base("npm", "srv", "https://registry.npmjs.org/"), &[]), "npx -y srv@1.2.3");
    assert!(problem(&base("npm", "srv", "http://npm.example")).contains("package registry"));
    assert!(problem(&base("oci", "quay.io/a/srv", "https://ghcr.io")).contains("package registry"));
}

#[test]
fn what_aiw_does_not_run_is_refused_with_a_sentence() {
    let listens = npm(json!({"transport": {"type": "streamable-http", "url": "http://localhost:3000/mcp"}}));
    assert!(problem(&way(listens)).contains("starts an HTTP server"));
    assert!(problem(&remote(json!({"type": "sse", "url": "https://h.example/sse"}))).contains("SSE"));
    assert!(problem(&remote(json!({"type": "websocket", "url": "wss://h.example"}))).contains("`websocket`"));
    assert!(problem(&way(kind("brew", "srv", json!({})))).contains("`brew`"));
    assert!(problem(&way(kind("cargo", "srv", json!({})))).contains("`cargo install srv@1.2.3`"));
    assert!(problem(&way(kind("go", "github.com/a/srv", json!({})))).contains("`go install github.com/a/srv@v1.2.3`"));
    assert!(problem(&way(kind("cargo", "srv; rm -rf ~", json!({})))).contains("not a valid name of a crate"));
    let mut server = server_of(&json!({"packages": [npm(json!({}))]}));
    server.status = RegistryStatus::Deleted;
    assert!(problem(&install_methods(&server, &ExecutionContext::from_process())[0]).contains("withdrew"));
    server.status = RegistryStatus::Deprecated;
    server.status_message = Some("use\nanother".into());
    assert_eq!(
        notes(&install_methods(&server, &ExecutionContext::from_process())[0]),
        ["it is deprecated: use another"]
    );
}

#[test]
fn usable_ways_come_first_and_remotes_before_packages() {
    let server = server_of(&json!({
        "packages": [npm(json!({"version": "^1"})), kind("pypi", "srv", json!({})), npm(json!({}))],
        "remotes": [{"type": "sse", "url": "https://h.example/sse"}, {"type": "streamable-http", "url": "https://h.example/mcp"}],
    }));
    let kinds: Vec<_> = install_methods(&server, &ExecutionContext::from_process())
        .iter()
        .map(|way| (way.kind().as_str(), way.unsupported_reason().is_none()))
        .collect();
    assert_eq!(kinds, [("remote", true), ("pypi", true), ("npm", true), ("remote", false), ("npm", false)]);
    for program in ["npx", "uvx", "docker", "dnx"] {
        assert!(install_hint(program).contains("https://"));
    }
}

#[test]
fn a_remote_has_an_address_and_headers() {
    // As all of Smithery's own rows.
    let way = remote(json!({"type": "streamable-http", "url": "https://s.example/mcp",
        "headers": [{"name": "Authorization", "value": "Bearer {smithery_api_key}"}, {"name": "X-Mode", "default": "a"},
                    {"name": "Host", "value": "evil"}, {"name": "x-mode", "value": "b"}]}));
    assert_eq!(asked(&way), ["smithery_api_key", "X-Mode"]);
    assert!(way.questions()[0].secret && !way.questions()[0].required);
    assert_eq!(made(&way, &[]).0, json!({"type": "http", "url": "https://s.example/mcp"}));
    let (entry, secrets) = made(&way, &[("smithery_api_key", "k1"), ("X-Mode", "b")]);
    assert_eq!(entry["headers"], json!({"Authorization": "Bearer ${secret:srv-smithery-api-key}", "X-Mode": "b"}));
    assert_eq!(secrets.len(), 1);
    assert!(fill(&way, &[("X-Mode", "ü")]).is_err() && fill(&way, &[("smithery_api_key", "ü")]).is_err());
}

#[test]
fn an_address_keeps_its_host_whatever_is_answered() {
    let at =
        |url: &str, variables: Json| remote(json!({"type": "streamable-http", "url": url, "variables": variables}));
    let url = |way: &InstallMethod, given: &[(&str, &str)]| {
        fill(way, given).map(|entry| entry.declaration["url"].as_str().unwrap().to_owned())
    };
    let tenant = at("https://h.example/{tenant}/mcp?key={key}", json!({"tenant": {}, "key": {"isSecret": true}}));
    assert_eq!(
        url(&tenant, &[("tenant", "a b/../c"), ("key", "k1")]).unwrap(),
        "https://h.example/a%20b%2F..%2Fc/mcp?key=${secret:srv-key}"
    );
    assert!(url(&tenant, &[("tenant", ".."), ("key", "k")]).is_err());
    assert!(url(&tenant, &[("tenant", "a"), ("key", "k&admin=1")]).is_err());
    assert!(matches!(url(&tenant, &[("tenant", "a")]), Err(EntryPlanError::MissingValues { .. })));
    let region = at("https://{region}.h.example/mcp", json!({"region": {}}));
    assert_eq!(url(&region, &[("region", "eu-1")]).unwrap(), "https://eu-1.h.example/mcp");
    for bad in ["evil.example/", "evil.example#", "a@b", "${HOST}", "x:1"] {
        assert!(url(&region, &[("region", bad)]).is_err(), "{bad}");
    }
    for (with, pinned) in [("--with=httpx", false), ("--with=httpx==1.0", true)] {
        let row = kind("pypi", "my-srv", json!({"runtimeArguments": [word(with)]}));
        let way = way(row);
        assert_eq!((way.unsupported_reason(), way.is_pinned()), (None, pinned), "{with}");
        let said = way.notes().iter().any(|note| note.to_string().contains("`httpx`, which is not pinned"));
        assert_eq!(said, !pinned, "{:?}", way.notes());
    }
    for local in ["http://127.0.0.1:8000/mcp", "http://localhost/mcp", "https://[::1]/mcp"] {
        assert_eq!(at(local, json!({})).notes(), [Note::LoopbackUrl], "{local}");
    }
    for (written, asked) in [
        ("https://H.Example/mcp", "https://h.example/mcp"),
        ("https://h.example:443/a/../mcp", "https://h.example/mcp"),
        ("https://h.example/a/%2e%2e/mcp", "https://h.example/mcp"),
        ("https://h.example:8443/mcp", "https://h.example:8443/mcp"),
        ("https://h.example./mcp", "https://h.example./mcp"),
        ("https://\u{430}pple.example/mcp", "https://xn--pple-43d.example/mcp"),
        ("https://h.example\\@evil.example/mcp", "https://h.example/@evil.example/mcp"),
        ("https://134744072/mcp", "https://8.8.8.8/mcp"),
        ("https://0x08080808/mcp", "https://8.8.8.8/mcp"),
        ("https://010.8.8.8/mcp", "https://8.8.8.8/mcp"),
    ] {
        let way = at(written, json!({}));
        assert_eq!((way.target(), way.command().as_deref()), (asked, Some(asked)), "{written}");
        assert_eq!(url(&way, &[]).unwrap(), asked);
        let is_noted = way.notes().iter().any(|note| matches!(note, Note::Rewritten { .. }));
        assert_eq!(is_noted, written != asked, "{written}");
    }
    // What is open can't be shown as it will be asked.
    for odd in ["https://H.example/{a}/mcp", "https://h.example/%2e%2e/{a}", "https://\u{430}.example/{a}"] {
        assert!(at(odd, json!({"a": {}})).unsupported_reason().is_some(), "{odd}");
    }
    for (inner, host) in [
        ("https://10.0.0.7/mcp", "`10.0.0.7`"),
        ("https://167772167/mcp", "`10.0.0.7`"),
        ("https://0xa9fea9fe/mcp", "`169.254.169.254`"),
        ("https://[::ffff:10.0.0.7]/mcp", "`[::ffff:a00:7]`"),
        ("https://[fe80::1]/mcp", "`[fe80::1]`"),
        ("https://nas.local/mcp", "`nas.local`"),
        ("https://router/mcp", "`router`"),
    ] {
        let way = at(inner, json!({}));
        assert_eq!((way.unsupported_reason(), way.private_host()), (None, Some(host)), "{inner}");
    }
    let ends = at("https://10.0.0.{end}/mcp", json!({"end": {}}));
    assert!(url(&ends, &[("end", "7")]).unwrap_err().to_string().contains("a private or local network"));
    let base = at("{baseUrl}/mcp", json!({"baseUrl": {}}));
    assert_eq!(url(&base, &[("baseUrl", "https://me.example/")]).unwrap(), "https://me.example/mcp");
    for bad in ["http://me.example", "https://u:p@me.example", "https://me.example/?x=", "me.example"] {
        assert!(url(&base, &[("baseUrl", bad)]).is_err(), "{bad}");
    }
    for bad in [
        "http://h.example/mcp",
        "https://u:p@h.example",
        "file:///x",
        "{x",
        "https://h.example/${HOME}",
        "javascript:1",
    ] {
        assert!(at(bad, json!({})).unsupported_reason().is_some(), "{bad}");
    }
}

mod fuzz {
    use super::*;

    const NASTY: [&str; 34] = [
        "x",
        "srv",
        "@a/srv",
        "a/srv:1",
        "1.2.3",
        "latest",
        "",
        "-y",
        "--",
        "--upload-pack=sh",
        "-e",
        "A={x}",
        "{x}",
        "{y}-{x}",
        "$",
        "${HOME}",
        "${secret:openrouter}",
        "$(id)",
        "`id`",
        "; rm -rf ~",
        "a b",
        "a\nb",
        "a\0b",
        "\u{1b}[2J",
        "\u{202e}x",
        "|| sh",
        "../..",
        "https://evil.example",
        "http://h",
        "run",
        "--privileged",
        "-v",
        "LD_PRELOAD",
        "{\"a\": 1}",
    ];

    fn nasty() -> impl Strategy<Value = String> {
        let nasty = proptest::sample::select(&NASTY[..]);
        prop_oneof![
            6 => nasty.clone().prop_map(str::to_owned),
            2 => (nasty.clone(), nasty).prop_map(|(one, two)| format!("{one}{two}")),
            1 => "\\PC{0,12}",
        ]
    }

    /// Mostly harmless, so that many rows get as far as an entry.
    fn text(harmless: &'static str, weight: u32) -> impl Strategy<Value = String> {
        prop_oneof![weight => harmless, 1 => nasty()]
    }

    fn inputs() -> impl Strategy<Value = (Input, Vec<ServerVariable>)> {
        let format = proptest::sample::select(&[Format::Text, Format::Text, Format::Number, Format::Boolean][..]);
        let flags = (any::<bool>(), proptest::bool::weighted(0.2), any::<bool>());
        let names = proptest::sample::subsequence(vec!["x", "y"], 0..=2);
        let some = |strategy| proptest::option::of(strategy);
        let texts = (
            some(text("[a-z{}]{1,4}|\\{[xy]\\}|[a-z]=\\{x\\}", 8)),
            some(text("[a-z]{1,4}", 1)),
            some(text("[a-z]{1,4}", 1)),
        );
        (texts, flags, format, names).prop_map(
            |((value, default, description), (required, secret, hidden), format, names)| {
                let variable = |name: &str| ServerVariable {
                    name: name.to_owned(),
                    input: Input { required, secret: hidden && secret, ..Input::default() },
                };
                let input = Input { description, required, secret, format, value, default, ..Input::default() };
                (input, names.into_iter().map(variable).collect())
            },
        )
    }

    fn argument(name: &'static str) -> impl Strategy<Value = Argument> {
        let name = proptest::option::of(text(name, 12));
        let hint = proptest::option::of(text("[a-z]{1,4}", 2));
        (name, hint, inputs(), proptest::bool::weighted(0.2))
            .prop_map(|(name, hint, (input, variables), repeated)| Argument { name, hint, input, variables, repeated })
    }

    fn setting() -> impl Strategy<Value = ServerSetting> {
        (text("[A-Z_]{1,4}|API_KEY", 12), inputs()).prop_map(|(name, (input, variables))| ServerSetting {
            name,
            input,
            variables,
        })
    }

    fn package() -> impl Strategy<Value = Package> {
        let kind = proptest::sample::select(&["npm", "pypi", "oci", "oci", "nuget"][..]);
        let runtime = argument("-[evyip]|--(yes|env|mount|network|python|from)|run|srv");
        let lists = (
            proptest::collection::vec(runtime, 0..2),
            proptest::collection::vec(argument("-{0,2}[a-z]{1,4}"), 0..4),
            proptest::collection::vec(setting(), 0..4),
        );
        let version = proptest::option::weighted(0.9, text("1\\.[0-9]\\.3", 12));
        let base_url = proptest::option::weighted(0.1, text("https://[a-z]{1,4}\\.example", 2));
        (kind, text("srv|srv|srv|srv|@a/srv|a/srv:1", 12), version, base_url, lists).prop_map(
            |(kind, identifier, version, base_url, (runtime_arguments, package_arguments, environment))| Package {
                kind: kind.to_owned(),
                base_url,
                identifier,
                version,
                runtime_arguments,
                package_arguments,
                environment,
                ..Package::default()
            },
        )
    }

    /// Every question answered, secrets with texts that are found again.
    fn all(way: &InstallMethod, plain: &str) -> (EntryValues, Vec<String>) {
        let (mut answers, mut secrets) = (EntryValues::default(), Vec::new());
        for (number, question) in way.questions().iter().enumerate() {
            let answer = match question.format {
                _ if question.secret => {
                    secrets.push(format!("s3cr3t-{number}-{plain}"));
                    secrets[secrets.len() - 1].clone()
                }
                Format::Number => "7".to_owned(),
                Format::Boolean => "true".to_owned(),
                _ => plain.to_owned(),
            };
            answers.add_value(question.name.clone(), Secret::new(answer));
        }
        (answers, secrets)
    }

    fn words(entry: &EntryPlan) -> Vec<&str> {
        entry
            .declaration
            .get("args")
            .into_iter()
            .flat_map(|args| args.as_array().unwrap())
            .filter_map(Json::as_str)
            .collect()
    }

    proptest! {
        #[test]
        fn no_answer_moves_an_address(tenant in nasty(), key in nasty(), region in nasty()) {
            let way = remote(json!({"type": "streamable-http", "url": "https://{region}.h.example/{tenant}/mcp?key={key}",
                "variables": {"tenant": {}, "key": {}, "region": {}}}));
            for region in ["eu", &region] {
                let given = [("tenant", tenant.as_str()), ("key", key.as_str()), ("region", region)];
                let Ok(entry) = fill(&way, &given) else { continue };
                let address = entry.declaration["url"].as_str().unwrap();
                // References stand for values that can't be seen yet.
                let Ok(url) = url::Url::parse(&address.replace("${", "").replace('}', "")) else { panic!("{address}") };
                prop_assert_eq!(url.scheme(), "https");
                prop_assert!(url.host_str().unwrap().ends_with(".h.example"), "{}", address);
                prop_assert_eq!(url.path_segments().unwrap().count(), 2, "{}", address);
                prop_assert_eq!(url.query_pairs().count(), 1, "{}", address);
                prop_assert!(url.fragment().is_none() && url.username().is_empty());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_row_and_no_answer_adds_an_argument_changes_the_program_or_shows_a_secret(
            package in package(), hostile in nasty()
        ) {
            let way = InstallMethod::from_package(&package, &machine());
            if let Some(reason) = way.unsupported_reason() {
                let sentence = reason.to_string();
                prop_assert!(!sentence.chars().any(char::is_control) && sentence.len() > 10, "{}", sentence);
                return Ok(());
            }
            let (plain, _) = all(&way, "word");
            let Ok(benign) = plan_entry(&way, &plain, "srv", |_| false) else { return Ok(()) };
            let program = benign.declaration.get("command").and_then(Json::as_str).unwrap_or_default();
            let args = words(&benign);
            // What comes before the package is aiw's, or one of a short list.
            let (expected, at) = match package.kind.as_str() {
                "npm" => ("npx", args.iter().position(|arg| *arg == way.target() || *arg == format!("--package={}", way.target()))),
                "pypi" => ("uvx", args.iter().position(|arg| arg.trim_start_matches("--from=") == way.target())),
                "nuget" => ("dnx", args.iter().position(|arg| *arg == way.target())),
                "oci" => ("docker", args.iter().position(|arg| *arg == way.target())),
                _ => return Ok(()),
            };
            prop_assert_eq!(program, expected);
            let at = at.unwrap_or(usize::MAX);
            prop_assert!(at < args.len(), "{:?} without {}", args, way.target());
            prop_assert!(!way.target().contains(|c: char| c.is_whitespace() || c.is_control() || "$`;|&<>()".contains(c)));
            prop_assert!(!way.target().starts_with('-'));
            if package.kind != "oci" {
                let known = |arg: &&str| {
                    ["-y", "--registry=https://", "--default-index=https://", "--with=", "--python=3"].iter().any(|k| arg.starts_with(k))
                };
                prop_assert!(args[..at].iter().all(known), "{:?}", args);
            }
            for text in args.iter().copied().chain(benign.declaration.get("env").into_iter().flat_map(|env| {
                env.as_object().unwrap().values().filter_map(Json::as_str)
            })) {
                prop_assert!(inputs::parse_template(&text.replace("${", "")).questions().next().is_none(), "{}", text);
                prop_assert!(!text.chars().any(char::is_control));
            }
            let (answers, secrets) = all(&way, &hostile);
            if let Ok(entry) = plan_entry(&way, &answers, "srv", |_| false) {
                prop_assert_eq!(entry.declaration.get("command"), benign.declaration.get("command"));
                // An empty answer counts as none.
                if !hostile.is_empty() {
                    prop_assert_eq!(words(&entry).len(), args.len());
                }
                let shown = json!(words(&entry)).to_string();
                prop_assert!(!secrets.iter().any(|secret| shown.contains(secret.as_str())), "{}", shown);
                prop_assert!(!json!(entry.declaration).to_string().contains("s3cr3t-"));
                // What is read when it starts is what was answered so.
                let reads = aiw_servers::referenced_names(&entry.declaration);
                let stored: Vec<&SecretName> = entry.secrets.iter().map(|(name, _)| name).collect();
                let is_answer = |text: String| text == hostile;
                let variables = reads.variables.keys().all(|name| is_answer(format!("${{{name}}}")));
                let secrets = reads.secrets.iter();
                let known = secrets.into_iter().all(|name| stored.contains(&name) || is_answer(aiw_servers::secret_reference(name)));
                prop_assert!(variables && known, "{:?}", reads);
            }
        }
    }
}

/// A zip archive of files with their modes.
fn archive(files: &[(&str, &str, u32)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content, mode) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        zip.start_file(*name, options).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn bundle(manifest: &Json, more: &[(&str, &str, u32)]) -> Result<Bundle<Cursor<Vec<u8>>>, BundleError> {
    let manifest = manifest.to_string();
    let mut files = vec![("manifest.json", manifest.as_str(), 0o644)];
    files.extend(more);
    Bundle::read(Cursor::new(archive(&files)), None)
}

fn bundle_way(more: Json) -> InstallMethod {
    let url = "https://github.com/a/b/releases/download/v1/srv-linux-amd64.mcpb";
    way(with(json!({"registryType": "mcpb", "identifier": url, "transport": {"type": "stdio"}}), more))
}

#[test]
fn a_bundle_is_downloaded_for_this_machine_only() {
    let way = bundle_way(json!({"fileSha256": "ab"}));
    let url = "https://github.com/a/b/releases/download/v1/srv-linux-amd64.mcpb";
    assert_eq!((way.bundle(), way.target(), way.program()), (Some((url, Some("ab"))), url, None));
    assert_eq!(fill(&way, &[]).unwrap_err(), EntryPlanError::BundleNotRead);
    assert!(notes(&bundle_way(json!({})))[0].contains("not checked"));
    for name in ["srv-darwin-arm64.mcpb", "srv_windows_amd64.mcpb", "srv-linux-aarch64.mcpb", "srv-macos.mcpb"] {
        let other = bundle_way(json!({"identifier": format!("https://h.example/{name}")}));
        assert!(problem(&other).contains("another machine"), "{name}");
    }
    for name in ["srv.mcpb", "srv-x86_64.dxt", "darwinia.mcpb"] {
        assert!(
            bundle_way(json!({"identifier": format!("https://h.example/{name}")})).unsupported_reason().is_none(),
            "{name}"
        );
    }
    for bad in ["http://h.example/a.mcpb", "https://h.example/a.tar.gz", "a.mcpb", "https://h.example/${X}.mcpb"] {
        assert!(bundle_way(json!({"identifier": bad})).unsupported_reason().is_some(), "{bad}");
    }
}

#[test]
fn a_bundles_manifest_says_what_runs_and_what_is_asked() {
    let manifest = json!({
        "manifest_version": "0.3", "name": "srv",
        "compatibility": {"platforms": ["linux", "darwin"]},
        "server": {"type": "node", "entry_point": "server/index.js", "mcp_config": {
            "command": "node",
            "args": ["${__dirname}/server/index.js", "--root", "${user_config.root}", "${user_config.dirs}", "${/}x"],
            "env": {"API_KEY": "${user_config.api_key}", "PYTHONPATH": "${__dirname}/lib", "TIER": "base", "H": "${HOME}"},
            "platform_overrides": {"linux": {"env": {"TIER": "linux"}}, "win32": {"command": "node.exe"}},
        }},
        "user_config": {
            "api_key": {"type": "string", "title": "Key", "description": "Your key", "sensitive": true, "required": true},
            "root": {"type": "directory", "default": "${HOME}/Desktop"},
            "dirs": {"type": "directory", "multiple": true, "required": true},
        },
    });
    let bundle = bundle(&manifest, &[("server/index.js", "", 0o644)]).unwrap();
    let row = bundle_way(json!({"environmentVariables": [{"name": "REGION"}, {"name": "TIER", "value": "row"}]}));
    let way = bundle.unpacked_method(&row, Path::new("/b/srv"), &machine());
    assert_eq!(asked(&way), ["root", "dirs", "api_key", "REGION"]);
    let root = &way.questions()[0];
    assert_eq!((root.default.as_deref(), root.format), (Some("/home/me/Desktop"), Format::FilePath));
    assert_eq!(way.questions()[2].description.as_deref(), Some("Key: Your key"));
    let (entry, secrets) = made(&way, &[("dirs", "/1"), ("dirs", "/2"), ("api_key", "k")]);
    assert_eq!(
        entry,
        json!({
            "command": "node", "args": ["/b/srv/server/index.js", "/1", "/2", "/x"], "cwd": "/b/srv",
            "env": {"API_KEY": "${secret:srv-api-key}", "H": "/home/me", "PYTHONPATH": "/b/srv/lib", "TIER": "linux"},
        })
    );
    assert_eq!(secrets.len(), 1);
    let (entry, _) = made(&way, &[("dirs", "/1"), ("api_key", "k"), ("root", "/r")]);
    assert_eq!(entry["args"], json!(["/b/srv/server/index.js", "--root", "/r", "/1", "/x"]));
}

#[test]
fn a_bundle_runs_its_own_file_or_a_runtime_and_no_shell() {
    let run = |server: Json, files: &[(&str, &str, u32)]| {
        let bundle = bundle(&json!({"server": server}), files).unwrap();
        bundle.unpacked_method(&bundle_way(json!({})), Path::new("/b"), &machine())
    };
    let file = [("server/srv", "", 0o644)];
    for server in [
        json!({"type": "binary", "entry_point": "server/srv"}),
        json!({"mcp_config": {"command": "server/srv"}}),
        json!({"mcp_config": {"command": "${__dirname}/server/srv"}}),
    ] {
        let way = run(server, &file);
        assert_eq!(made(&way, &[]).0["command"], "/b/server/srv");
        assert_eq!(way.program(), None);
    }
    let uv = run(json!({"type": "uv", "entry_point": "server/srv"}), &file);
    assert_eq!(args(&uv, &[]), "uv run --directory /b /b/server/srv");
    for server in [
        json!({"mcp_config": {"command": "bash", "args": ["-c", "${user_config.x}"]}}),
        json!({"mcp_config": {"command": "/bin/ls"}}),
        json!({"mcp_config": {"command": "${__dirname}/../x"}}),
        json!({"mcp_config": {"command": "no de"}}),
        json!({"mcp_config": {"command": "${MY_PROGRAM}"}}),
        json!({"mcp_config": {"command": "node", "args": ["${user_config.unknown}"]}}),
        json!({"mcp_config": {"command": "node", "args": [1]}}),
        json!({"mcp_config": {"command": "node", "env": {"NODE_OPTIONS": "--require x"}}}),
        json!({"mcp_config": {"command": "node", "env": {"PYTHONPATH": "/tmp"}}}),
        json!({"type": "other"}),
        json!("x"),
    ] {
        let way = run(server.clone(), &file);
        assert!(way.unsupported_reason().is_some(), "{server}: {:?}", way.command());
    }
    let elsewhere =
        json!({"server": {"type": "binary", "entry_point": "a"}, "compatibility": {"platforms": ["win32"]}});
    let way = bundle(&elsewhere, &[]).unwrap().unpacked_method(&bundle_way(json!({})), Path::new("/b"), &machine());
    assert!(problem(&way).contains("win32"));
}

#[test]
fn a_runtime_runs_a_file_of_the_bundle_and_nothing_else() {
    let files = ["server.js", "server.py", "src/app.py", "own/__main__.py", "lib/vendored.py"];
    let run = |line: &str, env: Json| {
        let (command, args) = line.split_once(' ').unwrap_or((line, ""));
        let args: Vec<&str> = args.split_whitespace().collect();
        let manifest = json!({
            "server": {"mcp_config": {"command": command, "args": args, "env": env}},
            "user_config": {"x": {"type": "string"}},
        });
        let bundle = bundle(&manifest, &files.map(|name| (name, "", 0o644))).unwrap();
        bundle.unpacked_method(&bundle_way(json!({})), Path::new("/b"), &machine())
    };
    let plain = json!({});
    for line in [
        "node ${__dirname}/server.js -e x",
        "node --no-warnings --max-old-space-size=512 ./server.js ${user_config.x}",
        "python3 -u -X utf8 ${__dirname}/server.py -c code",
        "python -m own --flag",
        "python3 -m src.app",
        "uv run --directory ${__dirname} server.py",
        "uv --directory ${__dirname}/src run --frozen app.py",
        "uv run --python 3.12 python -u server.py",
        "uv run --directory ${__dirname} -m own",
        "python3 -W ignore server.py",
    ] {
        let way = run(line, plain.clone());
        assert!(way.unsupported_reason().is_none(), "{line}: {}", problem(&way));
    }
    assert!(run("python3 -m vendored", json!({"PYTHONPATH": "${__dirname}/lib"})).unsupported_reason().is_none());
    for (line, said) in [
        ("aiw mcp serve", "neither a file of the bundle nor one of"),
        ("setsid node server.js", "neither a file of the bundle"),
        ("sh server.py", "neither a file of the bundle"),
        ("npx -y evil", "neither a file of the bundle"),
        ("python3 -c import+os", "runs `python3` with `-c`"),
        ("python3 -Bc x", "with `-Bc`"),
        ("python3 -", "with `-`"),
        ("python3", "without a file of the bundle"),
        ("python3 /tmp/x.py", "with `/tmp/x.py`"),
        ("python3 ${__dirname}/../x.py", "/../x.py"),
        ("python3 ${__dirname}x/server.py", "with `/bx/server.py`"),
        ("python3 -m pip install evil", "with `-m pip`"),
        ("python3 -m vendored", "with `-m vendored`"),
        ("python3 -I -m own", "with `-m`"),
        ("python3 -X", "with `-X`"),
        ("node -e process.exit()", "with `-e`"),
        ("node --eval=1 server.js", "with `--eval=1`"),
        ("node -p 1", "with `-p`"),
        ("node -r /tmp/x.js server.js", "with `-r`"),
        ("node --import data:text/javascript,1 server.js", "with `--import`"),
        ("node --inspect=0.0.0.0:9229 server.js", "with `--inspect"),
        ("node missing.js", "with `missing.js`"),
        ("node ${user_config.x}", "leaves open what `node` runs"),
        ("node --no-warnings ${user_config.x} server.js", "leaves open"),
        ("uv pip install evil", "with `pip`"),
        ("uv run sh -c x", "with `sh`"),
        ("uv run --with evil server.py", "with `--with`"),
        ("uv run --directory /tmp server.py", "with `--directory /tmp`"),
        ("uv run --python evil server.py", "with `--python evil`"),
        ("uv run python -c x", "with `-c`"),
        ("uv tool run evil", "with `tool`"),
        ("uv run --python 3/../../../tmp/evil server.py", "with `--python 3/"),
        ("python3 -W ignore:::evil.X server.py", "with `-W ignore:::evil.X`"),
        ("python3 -X pycache_prefix=/tmp/x server.py", "with `-X pycache_prefix=/tmp/x`"),
        ("node --max-old-space-size --eval=1 server.js", "with `--max-old-space-size`"),
        // It runs any program on this machine that its package doesn't have.
        ("uvx cpython -c x", "neither a file of the bundle"),
        ("uvx mcp-server-time", "neither a file of the bundle"),
    ] {
        let way = run(line, plain.clone());
        assert!(way.unsupported_reason().is_some() && problem(&way).contains(said), "{line}: {}", problem(&way));
    }
    assert!(run("python3 -m own", json!({"PYTHONSAFEPATH": "1"})).unsupported_reason().is_some());
    for name in ["PYTHONWARNINGS", "PYTHONPYCACHEPREFIX", "NODE_COMPILE_CACHE", "XDG_CONFIG_HOME"] {
        assert!(run("python3 server.py", json!({name: "/tmp/x"})).unsupported_reason().is_some(), "{name}");
    }
}

#[test]
fn a_bundle_with_a_file_below_a_file_is_refused() {
    let files = [("a", "", 0o644), ("a/b/c", "", 0o644)];
    let error = bundle(&json!({"server": {}}), &files).unwrap_err();
    assert_eq!(error.to_string(), "the bundle's file `a/b/c` can't be unpacked: `a` is a file, not a directory");
    assert_eq!(error.kind(), aiw_core::ErrorKind::User);
}

#[test]
fn a_bundle_unpacks_as_a_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("bundles/srv");
    let manifest = json!({"server": {"type": "binary", "entry_point": "bin/srv"}});
    let files = [("bin/srv", "#!/bin/sh", 0o644), ("node_modules/a/b.js", "1", 0o644), ("tool", "x", 0o755)];
    let mut first = bundle(&manifest, &files).unwrap();
    first.unpack(&target).unwrap();
    assert_eq!(std::fs::read_to_string(target.join("node_modules/a/b.js")).unwrap(), "1");
    #[cfg(unix)]
    for (name, mode) in [("bin/srv", 0o755), ("tool", 0o755), ("manifest.json", 0o644)] {
        use std::os::unix::fs::PermissionsExt;
        let found = std::fs::metadata(target.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found & !0o022, mode, "{name}");
    }
    // A newer one replaces it, and nothing else stays.
    bundle(&manifest, &[("bin/srv", "2", 0o755)]).unwrap().unpack(&target).unwrap();
    assert!(!target.join("tool").exists());
    let left: Vec<_> = std::fs::read_dir(target.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["srv"]);
}

#[test]
fn a_bundle_that_lies_is_refused_before_anything_is_written() {
    let plain = json!({"server": {}});
    for name in ["../x", "/x", "a/../../x", "a\\x", "C:/x", "con", "a\u{202e}b"] {
        assert!(matches!(bundle(&plain, &[(name, "", 0o644)]), Err(BundleError::InvalidFile { .. })), "{name}");
    }
    let cased = bundle(&plain, &[("Manifest.json", "{}", 0o644)]).unwrap_err().to_string();
    assert!(cased.contains("only in case"), "{cased}");
    assert!(matches!(bundle(&json!([]), &[]), Err(BundleError::InvalidManifest(_))));
    let none = Bundle::read(Cursor::new(archive(&[("a", "", 0o644)])), None).unwrap_err();
    assert!(none.to_string().contains("is missing"));
    assert!(matches!(Bundle::read(Cursor::new(b"<html>".to_vec()), None), Err(BundleError::Zip(_))));
    let mut zip = zip::ZipWriter::new(Cursor::new(archive(&[("manifest.json", "{}", 0o644)])));
    zip = zip::ZipWriter::new_append(zip.finish().unwrap()).unwrap();
    zip.add_symlink("link", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    let link = Bundle::read(zip.finish().unwrap(), None).unwrap_err().to_string();
    assert!(link.contains("is a link"), "{link}");
    // A bomb, by the size that the archive claims.
    let mut bomb = archive(&[("manifest.json", "{}", 0o644), ("zeros", "0", 0o644)]);
    let entry = bomb.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    bomb[entry + 24..entry + 28].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    assert!(matches!(Bundle::read(Cursor::new(bomb), None), Err(BundleError::TooLarge { .. })));
    let bytes = archive(&[("manifest.json", "{}", 0o644)]);
    let digest = aiw_core::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
    assert_eq!(Bundle::read(Cursor::new(bytes.clone()), Some(&digest)).unwrap().sha256(), digest);
    let wrong = Bundle::read(Cursor::new(bytes), Some(&"0".repeat(64))).unwrap_err().to_string();
    assert!(wrong.contains("not the file that the registry lists"), "{wrong}");
}

/// Each row of the real registry gives ways, or says why not.
#[test]
fn every_real_row_runs_or_says_why_not() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let corpora = std::env::var_os("AIW_CORPORA").map_or_else(beside, PathBuf::from);
    let Ok(bytes) = std::fs::read(corpora.join("registry/servers.json")) else {
        println!("skipped: the corpus `registry` is absent (AIW_CORPORA names its folder)");
        return;
    };
    let rows: Json = serde_json::from_slice(&bytes).unwrap();
    let mut counts = std::collections::BTreeMap::<String, (usize, String)>::new();
    let mut count = |what: String, name: &str| {
        let entry = counts.entry(what).or_insert_with(|| (0, name.to_owned()));
        entry.0 += 1;
    };
    for row in rows["servers"].as_array().unwrap() {
        let server = server_of(&row["server"]);
        let ways = install_methods_on(&server, &machine());
        assert_eq!(ways.len(), server.packages.len() + server.remotes.len());
        let usable = ways.iter().filter(|way| way.unsupported_reason().is_none()).count();
        count(format!("server: {}", if usable > 0 { "usable" } else { "not usable" }), &server.name);
        for way in &ways {
            if let Some(reason) = way.unsupported_reason() {
                let sentence = reason.to_string();
                let sentence = sentence.split('`').step_by(2).collect::<Vec<_>>().join("…");
                count(format!("{}: {sentence}", way.kind().as_str()), &server.name);
                continue;
            }
            count(format!("{}: usable", way.kind().as_str()), &server.name);
            for note in way.notes() {
                let note = note.to_string();
                count(
                    format!(
                        "{} note: {}",
                        way.kind().as_str(),
                        note.split('`').step_by(2).collect::<Vec<_>>().join("…")
                    ),
                    &server.name,
                );
            }
            if way.bundle().is_some() {
                continue;
            }
            for everything in [false, true] {
                let mut answers = EntryValues::default();
                for question in way.questions().iter().filter(|question| everything || question.required) {
                    let given = match question.format {
                        Format::Number => "7",
                        Format::Boolean => "true",
                        _ => question.choices.first().map_or("given", String::as_str),
                    };
                    answers.add_value(question.name.clone(), Secret::new(given));
                }
                if everything {
                    count("answered in full".into(), &server.name);
                } else {
                    take_defaults(&mut answers, way.questions());
                }
                let entry =
                    plan_entry(way, &answers, "srv", |_| false).unwrap_or_else(|e| panic!("{}: {e}", server.name));
                for text in [
                    entry.declaration.get("args"),
                    entry.declaration.get("env"),
                    entry.declaration.get("headers"),
                    entry.declaration.get("url"),
                ] {
                    let text = text.map(ToString::to_string).unwrap_or_default().replace("${secret:", "");
                    assert!(inputs::parse_template(&text).questions().next().is_none(), "{}: {text}", server.name);
                }
            }
        }
    }
    counts.iter().for_each(|(what, (number, name))| println!("{number:5} {what} ({name})"));
    assert!(counts["server: usable"].0 > counts["server: not usable"].0);
}
