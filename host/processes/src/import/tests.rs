//! What is taken from the files of other tools, and what is refused.

mod peers;

use std::time::Duration;

use aiw_supervisor::DependencyCondition;
use proptest::prelude::*;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::definition::{CommandSpec, Dependency, EnvValue, RestartCondition};
use crate::probe::CheckDefinition;
use crate::project::ProcessProject;

struct Files {
    dir: tempfile::TempDir,
    manager: Manager,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("p/.git")).unwrap();
        let home = aiw_home::Home::from_root(dir.path().join("home"));
        let project = ProcessProject::discover(&dir.path().join("p")).unwrap();
        let manager = Manager::open(&home, project).unwrap();
        Self { dir, manager }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("p").join(name)
    }

    fn read(&self, name: &str, text: &str) -> Result<ForeignDefinitions, ProcessError> {
        std::fs::write(self.path(name), text).unwrap();
        self.manager.read_foreign(&self.path(name))
    }

    fn problem(&self, name: &str, text: &str) -> String {
        let dir = self.path("").display().to_string();
        self.read(name, text).unwrap_err().to_string().replace(&dir, "")
    }
}

#[test]
fn a_procfile_gives_lines_for_a_shell_with_ports() {
    let files = Files::new();
    std::fs::write(files.path(".env"), "A=1\n").unwrap();
    let read = files.read("Procfile", "# all\nweb: npm start -- --port $PORT\n\nworker:  bin/work:fast\n").unwrap();
    let web = &read.definitions["web"];
    assert_eq!(web.run, CommandSpec::Shell("npm start -- --port $PORT".into()));
    assert_eq!((&web.env["PORT"], web.env_file.as_deref()), (&EnvValue::Literal("5000".into()), Some(".env")));
    assert_eq!(read.definitions["worker"].env["PORT"], EnvValue::Literal("5100".into()));
    let read = files.read("Procfile", "\u{feff}web: x\nno colon\nweb: y\n").unwrap();
    assert_eq!(read.definitions.keys().collect::<Vec<_>>(), ["web"]);
    let left_out =
        ["line 2 is left out: it is not `name: command`", "line 3 is left out: it names `web` a second time"];
    assert_eq!(read.skipped, left_out);
    // A port in `.env` is the first one, and what is no variable there is named.
    std::fs::write(files.path(".env"), "PORT=3000\nKEY=\"a\nb\"\nnothing\n").unwrap();
    let read = files.read("Procfile", "web: x\nworker: y\n").unwrap();
    assert_eq!(read.definitions["worker"].env["PORT"], EnvValue::Literal("3100".into()));
    assert!(read.skipped[0].starts_with("line 4 of `.env` is left out: it is no variable"), "{:?}", read.skipped);
}

#[test]
fn a_service_gives_what_runs_in_its_container() {
    let files = Files::new();
    std::fs::create_dir_all(files.path("api")).unwrap();
    std::fs::write(files.path(".env"), "TAG=\"v 1\"\n").unwrap();
    let read = files.read(
        "compose.yaml",
        r#"
services:
  db:
    image: postgres:16
  api:
    build: .
    command: bin/api --name "${TAG}" --level ${LEVEL:-info} $$HOME
    working_dir: ./api
    environment: [A=1, "B=${TAG}"]
    depends_on:
      migrate: { condition: service_completed_successfully }
      db: { condition: service_healthy }
    healthcheck: { test: ["CMD", "true"], interval: 2s, retries: 5, start_period: 1m30s }
    restart: on-failure:4
    stop_signal: SIGINT
    stop_grace_period: 1m
    deploy: { resources: { limits: { memory: 512m, cpus: "1.5" } }, replicas: 2 }
    ports: ["80:80"]
    profiles: [dev]
  migrate:
    entrypoint: ["bin/migrate"]
    command: ["up", "--all"]
"#,
    );
    let read = read.unwrap();
    let api = &read.definitions["api"];
    assert_eq!(
        api.run,
        CommandSpec::Command(["bin/api", "--name", "v 1", "--level", "info", "$HOME"].map(Into::into).into())
    );
    assert_eq!((api.cwd.as_deref(), &api.env["B"]), (Some("api"), &EnvValue::Literal("v 1".into())));
    assert_eq!(api.needs, [Dependency { id: "migrate".into(), until: DependencyCondition::Completed }]);
    let ready = api.ready.as_ref().unwrap();
    assert_eq!((&ready.check, ready.failures), (&CheckDefinition::Exec(vec!["true".into()]), 5));
    assert_eq!((ready.every, ready.timeout), (Duration::from_secs(2), Some(Duration::from_secs(100))));
    assert_eq!((api.restart.when, api.restart.max), (RestartCondition::OnFailure, Some(4)));
    assert_eq!((api.stop.signal.as_str(), api.stop.grace), ("INT", Duration::from_secs(60)));
    assert_eq!((api.limits.memory, api.limits.cpu), (Some(512 << 20), Some(150)));
    assert_eq!((api.group.as_deref(), api.auto_start, api.replicas), (Some("dev"), false, Some(2)));
    assert_eq!(read.definitions["migrate"].run.argv(), ["bin/migrate", "up", "--all"]);
    assert_eq!(read.definitions.len(), 2);
    let left_out = read.skipped.join("\n");
    for part in ["`api`: `ports` is", "`api`: `build` is", "`db`: all of it is", "its need of `db`"] {
        assert!(left_out.contains(part), "{part} in\n{left_out}");
    }
}

#[test]
fn process_compose_and_the_old_snapshot_give_nearly_all() {
    let files = Files::new();
    let read = files.read(
        "process-compose.yml",
        r#"
version: "0.5"
environment: [COMMON=1]
processes:
  web:
    command: npm start | cat
    environment: ["A=b=c"]
    availability: { restart: on_failure, backoff_seconds: 2, max_restarts: 7 }
    depends_on: { db: { condition: process_healthy } }
    readiness_probe: { http_get: { port: 8080, path: /healthz }, period_seconds: 2 }
    shutdown: { signal: 2, timeout_seconds: 9 }
    is_tty: true
    log_location: ./x.log
  db: { entrypoint: ["postgres", "-D", "data"], namespace: data, disabled: true }
"#,
    );
    let read = read.unwrap();
    let web = &read.definitions["web"];
    assert_eq!(web.run, CommandSpec::Shell("npm start | cat".into()));
    assert_eq!((&web.env["A"], &web.env["COMMON"]), (&EnvValue::Literal("b=c".into()), &EnvValue::Literal("1".into())));
    assert_eq!((web.restart.pause, web.restart.max), (Duration::from_secs(2), Some(7)));
    assert_eq!(web.ready.as_ref().unwrap().check, CheckDefinition::Http("http://127.0.0.1:8080/healthz".into()));
    assert!(
        web.terminal.is_some() && read.skipped == ["`web`: `log_location` is left out: aiw has no counterpart for it"]
    );
    assert_eq!((read.definitions["db"].auto_start, read.definitions["db"].group.as_deref()), (false, Some("data")));
    let old = "- process_id: one\n  name: One\n  command: echo\n  args: [\"a b\", \"'\", 3]\n  env: { K: v }\n  auto_start_on_restore: false\n";
    let read = files.read("snapshot.yaml", old).unwrap();
    assert_eq!(read.definitions["one"].run.argv(), ["echo", "a b", "'", "3"]);
    assert!(!read.definitions["one"].auto_start);
}

/// Returns the watched files, the ignored ones, the time of a start and the replicas of the process `a`, and what is left out.
fn by_itself(file: &str, text: &str) -> (Vec<String>, Vec<String>, Option<String>, Option<u32>, String) {
    let mut read = Files::new().read(file, text).unwrap();
    let a = read.definitions.remove("a").unwrap();
    let (files, ignore) = a.watch.map(|watch| (watch.files, watch.ignore)).unwrap_or_default();
    (files, ignore, a.cron, a.replicas, read.skipped.join("\n"))
}

#[test]
fn what_starts_by_itself_is_taken_over_and_what_has_no_counterpart_is_said() {
    let compose = |fields: &str| by_itself("c.yml", &format!("services:\n  a:\n    command: x\n{fields}"));
    let process = |fields: &str| by_itself("p.yml", &format!("processes:\n  a:\n    command: x\n{fields}"));
    let rule = |rule: &str| compose(&format!("    develop: {{ watch: [ {{ {rule} }} ] }}\n"));
    let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>();
    for (found, files, ignore, cron, replicas, left_out) in [
        (compose("    scale: 3\n"), &[][..], &[][..], None, Some(3), ""),
        (compose("    deploy: { replicas: 1 }\n"), &[], &[], None, None, ""),
        (
            compose("    deploy: { replicas: 0 }\n"),
            &[],
            &[],
            None,
            None,
            "`deploy.replicas` is left out: a process has 1",
        ),
        (compose("    scale: 1000\n"), &[], &[], None, None, "`scale` is left out: a process has 1 to 100 replicas"),
        (rule("action: restart, path: ./src"), &["src"], &[], None, None, ""),
        (rule("action: restart, path: ."), &["**"], &[], None, None, ""),
        (
            rule("action: restart, path: src/../lib, include: \"**/*.ts\", ignore: [node_modules/, \"*.log\", out]"),
            &["lib/**/*.ts"],
            &["lib/node_modules/", "lib/*.log", "lib/out", "lib/out/**"],
            None,
            None,
            "",
        ),
        (rule("action: sync+restart, path: ./src, target: /x"), &["src"], &[], None, None, ""),
        (rule("action: sync, path: ./src, target: /x"), &[], &[], None, None, "`develop.watch sync ./src` is left out"),
        (rule("action: rebuild, path: ./go.mod"), &[], &[], None, None, "`develop.watch rebuild ./go.mod` is left out"),
        (rule("action: restart, path: ../other"), &[], &[], None, None, "it is outside the project"),
        (rule("action: restart, path: src, ignore: [\"!keep\"]"), &[], &[], None, None, "aiw has no exceptions from"),
        (
            rule("action: restart, path: \"a*b\""),
            &[],
            &[],
            None,
            None,
            "its path has characters that mean something in globs",
        ),
        (process("    replicas: 2\n"), &[], &[], None, Some(2), ""),
        (process("    schedule: { cron: \"0 2 * * *\" }\n"), &[], &[], Some("0 2 * * *"), None, ""),
        (
            process("    schedule: { cron: \"0 2 * * *\", timezone: UTC }\n"),
            &[],
            &[],
            None,
            None,
            "`schedule` is left out: times are those of this machine's clock, and not of UTC; it does not start by itself",
        ),
        (process("    schedule: { interval: 30m }\n"), &[], &[], None, None, "and not at intervals"),
        (
            process("    availability: { restart: always }\n    schedule: { cron: \"@daily\", run_on_start: true }\n"),
            &[],
            &[],
            Some("@daily"),
            None,
            "`availability` is left out: a process with times starts at them alone\n`a`: `schedule.run_on_start` is left out",
        ),
        (
            process(
                "    working_dir: web\n    watch: { cascade: true, paths: [ { path: ./src, include: [\"*.go\"], exclude: [gen/**] } ] }\n",
            ),
            &["web/src/**/*.go"],
            &["web/src/gen/**"],
            None,
            None,
            "`watch.cascade` is left out",
        ),
    ] {
        let what = format!("{found:?}");
        let wanted = (owned(files), owned(ignore), cron.map(str::to_owned), replicas);
        assert_eq!((found.0, found.1, found.2, found.3), wanted, "{what}");
        assert!(found.4.contains(left_out) && found.4.is_empty() == left_out.is_empty(), "{left_out} in {what}");
    }
    // What can't be said at its time is not said at once either.
    let read = Files::new().read("p.yml", "processes:\n  a: { command: x, schedule: { interval: 5s } }\n").unwrap();
    assert!(!read.definitions["a"].auto_start);
}

#[test]
fn what_makes_no_sense_is_named_and_hides_no_other() {
    let files = Files::new();
    for (name, bad, problem) in [
        (
            "c.yml",
            "services:\n  a: { command: x, restart: sometimes }\n",
            "its `restart` is not what docker-compose takes",
        ),
        ("c.yml", "services:\n  a: { command: 'a \"b' }\n", "its command has a quote that doesn't end"),
        ("c.yml", "services:\n  a b: { command: x }\n", "its name is not an id"),
        (
            "c.yml",
            "services:\n  a: { command: x, env_file: ../../secret }\n",
            "it has a `env-file` outside the project",
        ),
        (
            "c.yml",
            "services:\n  a: { command: x, mem_limit: much }\n",
            "its `mem_limit` is not what docker-compose takes",
        ),
        (
            "c.yml",
            "services:\n  a: { command: \"${X:?set it}\" }\n",
            "it requires the variable `X`, which `.env` does not have: set it",
        ),
        ("c.yml", "services:\n  a: 7\n", "it is not an object"),
        (
            "p.yml",
            "processes:\n  a: { command: \"{{.X}}\" }\n",
            "its `command` has a Go template: write what comes out",
        ),
        ("p.yml", "processes:\n  a: { command: x, working_dir: /tmp }\n", "outside the project"),
        (
            "p.yml",
            "processes:\n  a: { command: x, shutdown: { signal: KILL } }\n",
            "its `shutdown` is not what process-compose takes",
        ),
        ("s.yml", "- id: a\n  command: x\n- id: a\n  command: y\n", "its id is there twice"),
    ] {
        let is_list = name == "s.yml";
        let good = if is_list { "- id: good\n  command: y\n" } else { "  good: { command: y }\n" };
        let read = files.read(name, &format!("{bad}{good}")).unwrap();
        assert!(read.definitions.contains_key("good"), "{bad}: {read:?}");
        assert_eq!(read.definitions.len(), if is_list { 2 } else { 1 }, "{bad}: {read:?}");
        let left_out = read.skipped.join("\n");
        assert!(left_out.contains("all of it is left out") && left_out.contains(problem), "{bad}: {left_out}");
    }
    for (name, text, problem) in [
        ("c.yml", "a: 1\n", "`c.yml` is neither a Procfile nor of docker-compose, process-compose or Ichimi"),
        ("c.yml", "services: [a]\n", "`c.yml` says of `services`: it is not an object"),
        (
            "c.yml",
            "processes:\n  a: { command: {{.X}} }\n",
            "line 2 of `c.yml` has a Go template: write what comes out of it in its place",
        ),
    ] {
        assert!(files.problem(name, text).ends_with(problem), "{}", files.problem(name, text));
    }
    let unknown = files.problem("c.yml", "services:\n  a: { command: x, ports: !reset [] }\n");
    assert!(unknown.contains("!reset"), "{unknown}");
    let aliases = format!(
        "a: &a [x, x]\nb: &b [{0}]\nc: &c [{1}]\nservices: [{2}]\n",
        "*a,".repeat(40),
        "*b,".repeat(40),
        "*c,".repeat(40)
    );
    assert!(files.problem("c.yml", &aliases).starts_with("`c.yml` cannot be read as YAML: "));
    let deep = "[".repeat(5000);
    assert!(files.problem("c.yml", &deep).starts_with("`c.yml` cannot be read as YAML: "));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}", yaml in "(services|processes):\n  [a-z]{1,3}:\n    (command|restart|environment|depends_on|healthcheck|env_file): .{0,40}\n") {
        let files = Files::new();
        for name in ["Procfile", "c.yml"] {
            let _ = files.read(name, &text);
            let _ = files.read(name, &yaml);
        }
    }
}

#[test]
fn each_field_of_a_service_is_cast_and_filled() {
    let files = Files::new();
    std::fs::write(files.path(".env"), "ROOT=/home/me\nRETRIES=7\n").unwrap();
    let read = files.read(
        "compose.yml",
        r#"
services:
  web:
    command: ["x"]
    mem_limit: ${MEM:-256m}
    pids_limit: "20"
    tty: "true"
    stop_grace_period: ${GRACE-5s}
    environment: { DIR: "${DIR:-${ROOT:-/srv}/data}", NO: NO, OCTAL: 0755, FLOAT: 1.10, EXP: 1e3, ON: on, NIL: ~ }
    healthcheck: { test: ["CMD", "${PROBE:-true}"], interval: 1m30s, retries: "${RETRIES}" }
    depends_on: ["${DB:-db}"]
    env_file: [{ path: ./local.env, required: false }]
    deploy: { replicas: "${N:-3}" }
  db: { command: ["y"], healthcheck: { test: nonsense, retries: many } }
"#,
    );
    let read = read.unwrap();
    let web = &read.definitions["web"];
    assert_eq!((web.limits.memory, web.limits.pids, web.replicas), (Some(256 << 20), Some(20), Some(3)));
    assert!(web.terminal.is_some() && web.env_file.is_none());
    assert_eq!(web.stop.grace, Duration::from_secs(5));
    let expected =
        [("DIR", "/home/me/data"), ("EXP", "1e3"), ("FLOAT", "1.10"), ("NO", "NO"), ("OCTAL", "0755"), ("ON", "on")];
    let expected: BTreeMap<String, EnvValue> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), EnvValue::Literal(value.to_owned()))).collect();
    assert_eq!(web.env, expected);
    let ready = web.ready.as_ref().unwrap();
    assert_eq!((ready.failures, ready.every), (7, Duration::from_secs(90)));
    assert_eq!(web.needs, [Dependency { id: "db".into(), until: DependencyCondition::Started }]);
    assert!(read.definitions["db"].ready.is_none());
    let left_out = read.skipped.join("\n");
    for part in ["`environment.NIL`", "`env_file ./local.env`", "`db`: `healthcheck` is left out"] {
        assert!(left_out.contains(part), "{part} in\n{left_out}");
    }
}

#[test]
fn a_command_for_an_image_is_no_program() {
    let files = Files::new();
    let image = |command: &str| format!("  a: {{ image: x, command: {command} }}\n");
    for (service, is_taken) in [
        (image("[\"--api.insecure=true\"]"), false),
        (image("no-such-program --flag"), false),
        (image("sh -c true"), true),
        (image("./bin/api"), true),
        ("  a: { image: x, entrypoint: no-such-program, command: [\"--flag\"] }\n".to_owned(), true),
        ("  a: { build: ., command: no-such-program }\n".to_owned(), true),
    ] {
        let text = format!("services:\n{service}  web: {{ command: y, depends_on: [a] }}\n");
        let read = files.read("c.yml", &text).unwrap();
        assert_eq!(read.definitions.contains_key("a"), is_taken, "{service}: {read:?}");
        assert_eq!(read.definitions["web"].needs.len(), usize::from(is_taken), "{service}");
    }
}

#[test]
fn included_and_extended_services_are_taken() {
    let files = Files::new();
    for directory in ["infra/db", "base"] {
        std::fs::create_dir_all(files.path(directory)).unwrap();
    }
    std::fs::write(files.path("infra/.env"), "DATA=own\nPORT=1\n").unwrap();
    std::fs::write(files.path(".env"), "PORT=2\n").unwrap();
    let infra = "include: [../compose.yml]\nservices:\n  db: { command: [postgres, \"$DATA\", \"$PORT\"], working_dir: db }\n  web: { command: z }\n";
    std::fs::write(files.path("infra/compose.yml"), infra).unwrap();
    let base = "services:\n  common: { command: [x], working_dir: ., environment: [A=1, B=1], env_file: c.env, depends_on: [db] }\n";
    std::fs::write(files.path("base/common.yml"), base).unwrap();
    std::fs::write(files.path("../outside.yml"), "services: {}\n").unwrap();
    let own = r#"
include: [./infra/compose.yml, ../outside.yml, gone.yml]
services:
  web: { extends: { file: base/common.yml, service: common }, environment: { B: 2, C: 3 } }
  worker: { extends: web, command: [y, z] }
  loop: { extends: loop2, command: x }
  loop2: { extends: loop, command: x }
  orphan: { extends: { file: base/common.yml, service: nothing }, command: x }
"#;
    let read = files.read("compose.yml", own).unwrap();
    assert_eq!(read.definitions.keys().collect::<Vec<_>>(), ["db", "web", "worker"]);
    assert_eq!(
        (read.definitions["db"].run.argv(), read.definitions["db"].cwd.as_deref()),
        (["postgres", "own", "2"].map(String::from).to_vec(), Some("infra/db"))
    );
    let web = &read.definitions["web"];
    let env = |id: &str| read.definitions[id].env.clone();
    let expected =
        [("A", "1"), ("B", "2"), ("C", "3")].map(|(name, value)| (name.to_owned(), EnvValue::Literal(value.into())));
    assert_eq!((env("web"), env("worker")), (expected.clone().into(), expected.into()));
    assert_eq!((web.cwd.as_deref(), web.env_file.as_deref()), (Some("base"), Some("base/c.env")));
    assert_eq!(web.needs, [Dependency { id: "db".into(), until: DependencyCondition::Started }]);
    assert_eq!(read.definitions["worker"].run, CommandSpec::Command(vec!["y".into(), "z".into()]));
    let left_out = read.skipped.join("\n");
    for part in [
        "`include`: `../outside.yml` is left out: it is outside the project",
        "`include`: `gone.yml` is left out: it is not there",
        "`include`: `../compose.yml` is left out: it is included already",
        "`web`: all of it is left out: there is a service with this name already",
        "`loop`: all of it is left out: it extends `loop2`",
        "`orphan`: all of it is left out: it extends `nothing`: it is not there",
    ] {
        assert!(left_out.contains(part), "{part} in\n{left_out}");
    }
}

#[test]
fn process_compose_replaces_variables_and_knows_that_an_end_is_no_success() {
    let files = Files::new();
    std::fs::write(files.path(".env"), "PORT=8080\n").unwrap();
    let read = files.read(
        "process-compose.yml",
        r#"
version: "0.5"
environment: ["ALL=${PORT}"]
processes:
  web:
    command: "serve ${PORT} $HOME $$HOME ${LATER:-x}"
    environment: ["A=${PORT}", "B=$PORT", "C=$$", "D=${GONE}"]
    depends_on: { migrate: { condition: process_completed }, seed: { condition: process_completed_successfully } }
    readiness_probe: { http_get: { scheme: https, host: 127.0.0.1, port: 8443 } }
    availability: { restart: always, max_restarts: "3" }
  migrate: { command: m }
  seed: { command: s, is_dotenv_disabled: true, disabled: "yes" }
"#,
    );
    let read = read.unwrap();
    let web = &read.definitions["web"];
    assert_eq!(web.run, CommandSpec::Shell("serve 8080 $HOME $HOME ${LATER:-x}".into()));
    let values: Vec<_> = ["ALL", "A", "B", "C", "D"].map(|name| web.env[name].clone()).into();
    assert_eq!(values, ["8080", "8080", "$PORT", "$", ""].map(|text| EnvValue::Literal(text.into())));
    let needs: Vec<_> = web.needs.iter().map(|need| (need.id.as_str(), need.until)).collect();
    assert_eq!(needs, [("migrate", DependencyCondition::Ended), ("seed", DependencyCondition::Completed)]);
    assert_eq!((web.ready.is_none(), web.restart.max, web.env_file.as_deref()), (true, Some(3), Some(".env")));
    assert_eq!((read.definitions["seed"].env_file.as_deref(), read.definitions["seed"].auto_start), (None, false));
    let left_out = read.skipped.join("\n");
    assert!(
        left_out.contains("`web`: its probe is left out: it") && left_out.contains("`GONE` is empty"),
        "{left_out}"
    );
}
