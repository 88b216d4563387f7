//! What is taken from files of other tools, beside the tools that own them: docker-compose and honcho.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use aiw_supervisor::DependencyCondition;
use aiw_tests::{not_run, real_cli};
use serde_json::{Value, json};

use super::Files;
use crate::definition::{CommandSpec, Definition, EnvValue};
use crate::import::values::{parse_duration, parse_env, parse_string_list, scalar_to_string};
use crate::probe::CheckDefinition;

/// Compose files that docker-compose takes. It needs half a second for each.
const TAKEN: [&str; 2] = [
    r#"
services:
  db: { image: postgres }
  api:
    build: .
    entrypoint: /bin/entry --flag "two words"
    command: bin/api --name "${TAG}" --level ${LEVEL:-info} $$HOME
    working_dir: ./sub
    environment: [A=1, "B=${TAG}", "C=a=b"]
    env_file: vars
    depends_on: { migrate: { condition: service_completed_successfully }, db: { condition: service_healthy } }
    healthcheck: { test: ["CMD", "true", "a b"], interval: 1m2s, retries: 5, start_period: 1m30s }
    restart: on-failure:4
    stop_signal: SIGINT
    stop_grace_period: 1m30s
    profiles: [dev]
    labels: [a=b, "c=d e"]
    tty: true
    stdin_open: true
  migrate:
    build: .
    entrypoint: ["bin/migrate"]
    command: ["up", "${MISSING}", "a$$b", "${TAG}", "${UNSET-d}", "${EMPTY:-e}", "${EMPTY-f}", "$TAG-$$TAG", "${TAG}x"]
    healthcheck: { test: "curl -f localhost || exit 1" }
    environment: { K: 1, L: "yes", M: 1.5, N: }
  words: { build: ., command: 'say ''a b'' c\ d "e \" f"', depends_on: [migrate] }
  unhealthy: { build: ., command: x, restart: unless-stopped, healthcheck: { disable: true } }
  never: { build: ., command: x, restart: "no" }
"#,
    "x-common: &common\n  build: .\n  restart: always\n  environment: &env { A: \"1\", B: two }\nservices:\n  a:\n    <<: *common\n    command: [run]\n    environment:\n      <<: *env\n      B: three\n",
];

/// Compose files that docker-compose refuses.
const REFUSED: [&str; 3] = [
    "services:\n  a: [x]\n",
    "services:\n  a: { image: x, command: { b: c } }\n",
    "services:\n  a: { image: x, command: x, environment: 7 }\n",
];

struct Compose {
    files: Files,
    program: std::path::PathBuf,
}

impl Compose {
    /// Returns what docker-compose makes of the file. From version 2 on, its answer has another form.
    fn new() -> Option<Self> {
        let program = real_cli("docker-compose")?;
        let version = Command::new(&program).args(["version", "--short"]).output().ok()?;
        let files = Files::new();
        std::fs::write(files.path(".env"), "TAG=\"v 1\"\nEMPTY=\n").unwrap();
        std::fs::write(files.path("vars"), "V=from-file\nA=from-file\n").unwrap();
        std::fs::create_dir(files.path("sub")).unwrap();
        version.stdout.starts_with(b"1.").then_some(Self { files, program })
    }

    fn config(&self, text: &str) -> Option<Value> {
        std::fs::write(self.files.path("compose.yaml"), text).unwrap();
        let mut command = Command::new(&self.program);
        command.args(["-f", "compose.yaml", "config"]).current_dir(self.files.path("")).env("COMPOSE_PROFILES", "dev");
        let out = command.output().unwrap();
        out.status.success().then(|| aiw_home::yaml::parse(&String::from_utf8(out.stdout).unwrap()).unwrap())
    }
}

/// The words of a command as docker-compose prints it.
fn words(value: Option<&Value>) -> Vec<String> {
    let words = match value {
        Some(Value::String(line)) => shell_words::split(line).unwrap(),
        value => value.map(|value| parse_string_list(value).unwrap()).unwrap_or_default(),
    };
    words.iter().map(|word| word.replace("$$", "$")).collect()
}

fn variables(ours: &Definition, files: &Files) -> BTreeMap<String, String> {
    let of_file = ours.env_file.as_ref().map(|file| std::fs::read_to_string(files.path(file)).unwrap());
    let of_file = of_file.map(|text| crate::environment::parse(&text).unwrap()).unwrap_or_default();
    let literal = |(name, value): (&String, &EnvValue)| match value {
        EnvValue::Literal(text) => (name.clone(), text.clone()),
        EnvValue::Secret(_) => panic!("{name}"),
    };
    of_file.into_iter().chain(ours.env.iter().map(literal)).collect()
}

fn same(id: &str, theirs: &Value, ours: &Definition, files: &Files, taken: &BTreeSet<&String>) {
    let argv = [words(theirs.get("entrypoint")), words(theirs.get("command"))].concat();
    assert_eq!(ours.run, CommandSpec::Command(argv), "{id}");
    let env = theirs.get("environment").map(|env| parse_env(env).unwrap()).unwrap_or_default();
    let env: BTreeMap<String, String> = env.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    assert_eq!(variables(ours, files), env, "{id}");
    let restart = match (ours.restart.when.as_str(), ours.restart.max) {
        ("on-failure", Some(max)) => format!("on-failure:{max}"),
        (when, _) => when.to_owned(),
    };
    assert_eq!(restart, theirs.get("restart").map_or("no".into(), |policy| scalar_to_string(policy).unwrap()), "{id}");
    let needs: Vec<(&str, DependencyCondition)> =
        ours.needs.iter().map(|need| (need.id.as_str(), need.until)).collect();
    let condition = |(need, how): (&String, &Value)| {
        let until = match how["condition"].as_str() {
            Some("service_healthy") => DependencyCondition::Healthy,
            Some("service_completed_successfully") => DependencyCondition::Completed,
            _ => DependencyCondition::Started,
        };
        (need.clone(), until)
    };
    let wanted: Vec<(String, DependencyCondition)> = match theirs.get("depends_on") {
        Some(Value::Object(needs)) => needs.iter().map(condition).collect(),
        needs => needs
            .into_iter()
            .flat_map(|needs| parse_string_list(needs).unwrap())
            .map(|id| (id, DependencyCondition::Started))
            .collect(),
    };
    let wanted: Vec<_> =
        wanted.iter().filter(|(id, _)| taken.contains(id)).map(|(id, until)| (id.as_str(), *until)).collect();
    assert_eq!(needs, wanted, "{id}");
    let check = theirs.get("healthcheck").filter(|check| check["test"] != json!(["NONE"]));
    assert_eq!(ours.ready.is_some(), check.is_some(), "{id}");
    if let Some((check, ready)) = check.zip(ours.ready.as_ref()) {
        let test = match &check["test"] {
            Value::String(line) => vec!["/bin/sh".to_owned(), "-c".into(), line.clone()],
            test => words(Some(test)).split_off(1),
        };
        assert_eq!(ready.check, CheckDefinition::Exec(test), "{id}");
        let every = check.get("interval").map_or(30, |every| parse_duration(every).unwrap().as_secs());
        assert_eq!((ready.every.as_secs(), u64::from(ready.failures)), (every, check["retries"].as_u64().unwrap_or(3)));
    }
    let signal = theirs.get("stop_signal").map_or("SIGTERM", |signal| signal.as_str().unwrap());
    assert_eq!(format!("SIG{}", ours.stop.signal), signal, "{id}");
    if let Some(grace) = theirs.get("stop_grace_period") {
        assert_eq!(ours.stop.grace, parse_duration(grace).unwrap(), "{id}");
    }
    let labels = theirs.get("labels").map(|labels| parse_env(labels).unwrap()).unwrap_or_default();
    assert_eq!(ours.labels, labels.into_iter().map(|(name, value)| (name, value.unwrap())).collect());
    let directory = theirs.get("working_dir").map(|path| files.path(path.as_str().unwrap()));
    assert_eq!(
        ours.cwd.as_ref().map(|path| files.path(path)),
        directory.map(|path| path.components().collect()),
        "{id}"
    );
    assert_eq!(ours.group.as_deref(), theirs.pointer("/profiles/0").and_then(Value::as_str), "{id}");
    assert_eq!((ours.terminal.is_some(), ours.input), (theirs["tty"] == true, theirs["stdin_open"] == true), "{id}");
}

#[test]
fn services_are_taken_as_docker_compose_reads_them() {
    let Some(compose) = Compose::new() else { return not_run("docker-compose 1 is absent") };
    for file in TAKEN {
        let config = compose.config(file).unwrap_or_else(|| panic!("docker-compose refuses {file}"));
        let foreign = compose.files.read("compose.yaml", file).unwrap();
        let services = config["services"].as_object().unwrap();
        let has_command =
            |service: &Value| !words(service.get("entrypoint")).is_empty() || !words(service.get("command")).is_empty();
        let with_commands: BTreeSet<&String> =
            services.iter().filter(|(_, service)| has_command(service)).map(|(id, _)| id).collect();
        assert_eq!(foreign.definitions.keys().collect::<BTreeSet<_>>(), with_commands);
        for (id, ours) in &foreign.definitions {
            same(id, &services[id], ours, &compose.files, &with_commands);
        }
    }
    for file in REFUSED {
        assert!(compose.config(file).is_none(), "docker-compose takes {file}");
        assert_eq!(
            compose.files.read("compose.yaml", file).map(|read| read.definitions.len()).unwrap_or(0),
            0,
            "{file}"
        );
    }
}

#[test]
fn a_procfile_has_the_processes_that_honcho_finds() {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/honcho/bin/honcho");
    let Some(honcho) = Some(installed).filter(|path| path.is_file()).or_else(|| real_cli("honcho")) else {
        return not_run("honcho is absent");
    };
    let files = Files::new();
    for (text, is_taken) in [
        ("web: npm start -- --port $PORT\nworker:  bin/work:fast\n\n# a: b\n", true),
        ("web-1: x\nweb_2:x # c\n", true),
        ("web: x\nweb: y\n", false),
        // honcho passes over such lines, and aiw names them.
        ("web : x\n", false),
        ("  web: x\n", false),
    ] {
        std::fs::write(files.path("Procfile"), text).unwrap();
        let out = Command::new(&honcho).args(["check", "-f"]).arg(files.path("Procfile")).output().unwrap();
        let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
        let found =
            said.split_once("Valid procfile detected (").and_then(|(_, rest)| rest.trim_end().strip_suffix(')'));
        let read = files.read("Procfile", text);
        let foreign = read.unwrap();
        assert_eq!(foreign.skipped.is_empty(), is_taken, "{text}: {foreign:?}");
        if is_taken {
            let found: BTreeSet<&str> = found.unwrap().split(", ").filter(|name| !name.is_empty()).collect();
            assert_eq!(foreign.definitions.keys().map(String::as_str).collect::<BTreeSet<_>>(), found, "{text}");
        }
    }
}
