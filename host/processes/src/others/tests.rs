//! What is taken from the files of other tools, and what is refused.

mod peers;

use std::time::Duration;

use aiw_supervisor::Until;
use proptest::prelude::*;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::definition::{EnvValue, NeedOf, RestartWhen, Run};
use crate::probe::CheckOf;
use crate::project::ProcessProject;

struct Files {
    dir: tempfile::TempDir,
    manager: Manager,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("p/.git")).unwrap();
        let home = aiw_home::Home::at(dir.path().join("home"));
        let project = ProcessProject::find(&dir.path().join("p")).unwrap();
        let manager = Manager::open(&home, project).unwrap();
        Self { dir, manager }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("p").join(name)
    }

    fn read(&self, name: &str, text: &str) -> Result<Foreign, ProcessError> {
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
    assert_eq!(web.run, Run::Shell("npm start -- --port $PORT".into()));
    assert_eq!((&web.env["PORT"], web.env_file.as_deref()), (&EnvValue::Literal("5000".into()), Some(".env")));
    assert_eq!(read.definitions["worker"].env["PORT"], EnvValue::Literal("5100".into()));
    assert_eq!(files.problem("Procfile", "web: x\nno colon\n"), "line 2 of `Procfile` is not `name: command`");
    assert_eq!(files.problem("Procfile", "web: x\nweb: y\n"), "line 2 of `Procfile` names `web` a second time");
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
    assert_eq!(api.run, Run::Command(["bin/api", "--name", "v 1", "--level", "info", "$HOME"].map(Into::into).into()));
    assert_eq!((api.cwd.as_deref(), &api.env["B"]), (Some("api"), &EnvValue::Literal("v 1".into())));
    assert_eq!(api.needs, [NeedOf { id: "migrate".into(), until: Until::Completed }]);
    let ready = api.ready.as_ref().unwrap();
    assert_eq!((&ready.check, ready.failures), (&CheckOf::Exec(vec!["true".into()]), 5));
    assert_eq!((ready.every, ready.timeout), (Duration::from_secs(2), Some(Duration::from_secs(100))));
    assert_eq!((api.restart.when, api.restart.max), (RestartWhen::OnFailure, Some(4)));
    assert_eq!((api.stop.signal.as_str(), api.stop.grace), ("INT", Duration::from_secs(60)));
    assert_eq!((api.limits.memory, api.limits.cpu), (Some(512 << 20), Some(150)));
    assert_eq!((api.group.as_deref(), api.auto_start, api.copies), (Some("dev"), false, Some(2)));
    assert_eq!(read.definitions["migrate"].run.argv(), ["bin/migrate", "up", "--all"]);
    assert_eq!(read.definitions.len(), 2);
    let left_out = read.left_out.join("\n");
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
    assert_eq!(web.run, Run::Shell("npm start | cat".into()));
    assert_eq!((&web.env["A"], &web.env["COMMON"]), (&EnvValue::Literal("b=c".into()), &EnvValue::Literal("1".into())));
    assert_eq!((web.restart.pause, web.restart.max), (Duration::from_secs(2), Some(7)));
    assert_eq!(web.ready.as_ref().unwrap().check, CheckOf::Http("http://127.0.0.1:8080/healthz".into()));
    assert!(
        web.terminal.is_some() && read.left_out == ["`web`: `log_location` is left out: aiw has no counterpart for it"]
    );
    assert_eq!((read.definitions["db"].auto_start, read.definitions["db"].group.as_deref()), (false, Some("data")));
    let old = "- process_id: one\n  name: One\n  command: echo\n  args: [\"a b\", \"'\", 3]\n  env: { K: v }\n  auto_start_on_restore: false\n";
    let read = files.read("snapshot.yaml", old).unwrap();
    assert_eq!(read.definitions["one"].run.argv(), ["echo", "a b", "'", "3"]);
    assert!(!read.definitions["one"].auto_start);
}

/// Returns the watched files, the ignored ones, the time of a start and the copies of the process `a`, and what is left out.
fn by_itself(file: &str, text: &str) -> (Vec<String>, Vec<String>, Option<String>, Option<u32>, String) {
    let mut read = Files::new().read(file, text).unwrap();
    let a = read.definitions.remove("a").unwrap();
    let (files, ignore) = a.watch.map(|watch| (watch.files, watch.ignore)).unwrap_or_default();
    (files, ignore, a.cron, a.copies, read.left_out.join("\n"))
}

#[test]
fn what_starts_by_itself_is_taken_over_and_what_has_no_counterpart_is_said() {
    let compose = |fields: &str| by_itself("c.yml", &format!("services:\n  a:\n    command: x\n{fields}"));
    let process = |fields: &str| by_itself("p.yml", &format!("processes:\n  a:\n    command: x\n{fields}"));
    let rule = |rule: &str| compose(&format!("    develop: {{ watch: [ {{ {rule} }} ] }}\n"));
    let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>();
    for (found, files, ignore, cron, copies, left_out) in [
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
        (compose("    scale: 1000\n"), &[], &[], None, None, "`scale` is left out: a process has 1 to 100 copies"),
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
        (
            rule("action: sync+restart, path: ./src, target: /x"),
            &[],
            &[],
            None,
            None,
            "`develop.watch sync+restart ./src` is",
        ),
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
        let wanted = (owned(files), owned(ignore), cron.map(str::to_owned), copies);
        assert_eq!((found.0, found.1, found.2, found.3), wanted, "{what}");
        assert!(found.4.contains(left_out) && found.4.is_empty() == left_out.is_empty(), "{left_out} in {what}");
    }
    // What can't be said at its time is not said at once either.
    let read = Files::new().read("p.yml", "processes:\n  a: { command: x, schedule: { interval: 5s } }\n").unwrap();
    assert!(!read.definitions["a"].auto_start);
}

#[test]
fn what_makes_no_sense_is_named_with_its_line() {
    let files = Files::new();
    for (name, text, problem) in [
        (
            "c.yml",
            "services:\n  web:\n    command: x\n    restart: sometimes\n",
            "line 2 of `c.yml` says of `web`: its `restart` is not what docker-compose takes",
        ),
        (
            "c.yml",
            "services:\n  web:\n    command: 'a \"b'\n",
            "line 2 of `c.yml` says of `web`: its command has a quote that doesn't end",
        ),
        ("c.yml", "services:\n  a b:\n    command: x\n", "line 2 of `c.yml` names a process `a b`, which is not an id"),
        (
            "c.yml",
            "services:\n  a:\n    command: x\n    env_file: ../../secret\n",
            "line 2 of `c.yml` says of `a` what makes no sense: it has a `env-file` outside the project",
        ),
        ("c.yml", "a: 1\n", "`c.yml` is neither a Procfile nor of docker-compose, process-compose or Ichimi"),
        (
            "c.yml",
            "processes:\n  a: { command: \"{{.X}}\" }\n",
            "line 2 of `c.yml` has a Go template: write what comes out of it in its place",
        ),
        (
            "s.yml",
            "- id: a\n  command: x\n- id: a\n  command: y\n",
            "line 1 of `s.yml` says of `a`: its id is there twice",
        ),
        ("s.yml", "- command: x\n", "`s.yml` says of `number 1`: it has no id"),
    ] {
        assert_eq!(files.problem(name, text), problem);
    }
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

    #[test]
    fn variables_are_put_in_where_they_stand(before in "[a-z ]{0,9}", name in "[A-Z_][A-Z0-9_]{0,9}", value in "[^$]{0,9}", after in "[. /]{0,9}") {
        let variables = [(name.clone(), value.clone())].into();
        for form in [format!("{before}${{{name}}}{after}"), format!("{before}${name}{after}")] {
            prop_assert_eq!(filled_of(&form, &variables), format!("{before}{value}{after}"));
        }
        prop_assert_eq!(filled_of(&format!("{before}${{{name}:-x}}"), &BTreeMap::new()), format!("{before}x"));
        prop_assert_eq!(filled_of(&format!("{before}$${name}"), &variables), format!("{before}${name}"));
    }
}

fn filled_of(text: &str, variables: &BTreeMap<String, String>) -> String {
    values::filled(text, variables).0
}
