//! What each screen looks like, at each size and in each manner of drawing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aiw_app::attention::Attention;
use aiw_app::cli_updates::CliUpdate;
use aiw_app::doctor::{CheckedPart, Problem};
use aiw_app::queries::HistorySession;
use aiw_app::status::TaskStatus;
use aiw_app::tasks::TaskCounts;
use aiw_core::{CliKind, ProcessOutcome, ProcessState};
use aiw_events::{EventKind, EventSubject, HomeEvent};
use aiw_launch::{CliDetails, CliSummary};
use aiw_processes::{Manager, ProcessSummary, RunState};
use aiw_providers::{PoolMemberSummary, PoolSummary, ProviderHealth, ProviderSummary, SecretState};
use aiw_routing::ServerEntry;
use aiw_sync::{SkippedFile, StoreMachine, StoreStatus};
use aiw_tasks::{Task, TaskDescription};
use insta::assert_snapshot;

use super::*;
use crate::app::tests::{ground, shots};
use crate::page::{Detail, ListContent, Outcome, Page, Row};
use crate::paint::Fact;
use crate::prompter::TuiPrompter;
use crate::screen::TerminalProgram;

fn task(n: u64, state: ProcessState, prompt: &str) -> Task {
    let about = TaskDescription {
        provider: Some("router".into()),
        session: Some("0193-abc".into()),
        ..TaskDescription::new(CliKind::Claude, "edit", prompt)
    };
    let is_over = state == ProcessState::Ended;
    let now = aiw_home::now_millis();
    Task {
        id: format!("abcdefghij{n:02}").parse().unwrap(),
        about,
        pid: (!is_over).then_some(4_321),
        root_pid: 1,
        state,
        outcome: is_over.then_some(if n.is_multiple_of(2) {
            ProcessOutcome::Succeeded
        } else {
            ProcessOutcome::Failed
        }),
        exit_code: is_over.then_some(i32::from(!n.is_multiple_of(2))),
        signal: None,
        stopped: false,
        started: now - 305_000,
        running_since: Some(now - 305_000),
        ended: is_over.then_some(now - 105_000),
        unread: n == 3,
        cwd: PathBuf::from("/srv/shop"),
        log: PathBuf::from("/srv/log"),
        note: None,
        depth: 0,
        parent: None,
        timeout: None,
    }
}

fn tasks() -> Vec<Task> {
    let prompts =
        ["fix the test that fails on Fridays and tell me why it did", "日本語 with \u{1b}[31mcolour\u{202e}", "three"];
    let states = [ProcessState::Running, ProcessState::Ended, ProcessState::Ended];
    (1..).zip(prompts.iter().zip(states)).map(|(n, (prompt, state))| task(n, state, prompt)).collect()
}

/// Takes out what each run has other values of.
fn without_times(mut detail: Detail) -> Detail {
    detail.facts.retain(|fact| !["started", "ended"].contains(&fact.label));
    detail
}

fn processes() -> Vec<ProcessSummary> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join(".ichimi/processes.kdl");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let one = |id: &str| format!("process {id:?} {{\n command \"npm\" \"run\" {id:?}\n}}\n");
    std::fs::write(&file, [one("db"), one("web"), one("worker")].concat()).unwrap();
    let home = aiw_home::Home::from_root(place.path().join("home"));
    let manager = Manager::open_in(&home, place.path()).unwrap();
    let statuses = manager.list().unwrap();
    let mut all: Vec<ProcessSummary> = statuses.iter().map(ProcessSummary::new).collect();
    (all[0].state, all[0].pid, all[0].ports) = (RunState::Running, Some(4_180), [5_432].into());
    (all[1].state, all[1].reason, all[1].restarts) = (RunState::Failed, Some("exit code 3".into()), 5);
    all[1].last_lines = vec!["Error: listen EADDRINUSE: address already in use :::3000".into()];
    all
}

fn provider(name: &str, healthy: Option<bool>) -> ProviderSummary {
    ProviderSummary {
        name: name.parse().unwrap(),
        preset: "openrouter".into(),
        base_urls: BTreeMap::new(),
        clis: vec![CliKind::Claude],
        gateway: vec![CliKind::Codex],
        default: name == "router",
        secret: if name == "bare" { SecretState::Missing } else { SecretState::Set },
        health: healthy.map(|healthy| ProviderHealth {
            checked: aiw_home::rfc3339(aiw_home::now_millis() - 305_000),
            healthy: Some(healthy),
            problem: None,
            last: Some(healthy),
        }),
        scenario: Some("cheap work".into()),
        missing_variable: None,
        needs_none: false,
    }
}

#[test]
fn the_dashboard() {
    let rows: Vec<Row> =
        tasks().iter().map(dashboard::task_row).chain(processes().iter().map(dashboard::process_row)).collect();
    let detail =
        without_times(tasks::detail(&tasks()[0])).with_lines(["reading the tests", "\u{1b}[32mfound it\u{1b}[0m"]);
    assert_snapshot!(shots(Arc::new(dashboard::Dashboard(ground())), &ListContent::new(rows, []), &detail));
}

#[test]
fn the_tasks() {
    let rows = tasks().iter().map(tasks::row).collect();
    let lines = ["the first line"; 70].into_iter().chain(["the last line"]);
    let detail = Detail { log_dir: Some("/srv".into()), ..without_times(tasks::detail(&tasks()[0])).with_lines(lines) };
    let listed = ListContent::new(rows, ["a task can't be shown: its record is damaged".to_owned()]);
    assert_snapshot!(shots(Arc::new(TasksPage(ground())), &listed, &detail));
}

#[test]
fn the_processes() {
    let all = processes();
    let rows = all.iter().map(|one| processes::row(one, one.pid.map(|_| 12.4))).collect();
    let detail = processes::detail(&all[0]).with_lines(["> shop@1.0.0 dev", "\tready on :5432"]);
    assert_snapshot!(shots(Arc::new(processes::ProcessesPage::new(ground())), &ListContent::new(rows, []), &detail));
}

#[test]
fn only_what_can_start_again_has_the_keys_for_it() {
    let keys = |one: &ProcessSummary| processes::row(one, None).action_keys;
    let mut one = processes().remove(0);
    assert_eq!(keys(&one), "xraL");
    one.id = "on:failed:web".into();
    assert_eq!(keys(&one), "xaL");
    one.state = RunState::Failed;
    assert_eq!(keys(&one), "L");
}

#[test]
fn the_mcp_servers() {
    let server = |name: &str, transport, state: &'static str, error: Option<&str>| ServerEntry {
        state,
        unapproved: if state == "blocked" { 2 } else { 0 },
        listed: (state != "invalid").then_some(state == "enabled"),
        listing: None,
        name: name.into(),
        scope: "aiw",
        transport,
        target: "npx -y @acme/github --stdio".into(),
        enabled: name != "quiet",
        plugin: None,
        tools: Some(12),
        error: error.map(str::to_owned),
    };
    let rows = vec![
        mcp::row(&server("github", Some("stdio"), "blocked", None)),
        mcp::row(&server("issues", Some("http"), "enabled", None)),
        mcp::row(&server("quiet", Some("stdio"), "disabled", None)),
        mcp::row(&server("broken", None, "invalid", Some("has no command"))),
    ];
    let detail =
        Detail::new(vec![Fact::title("github")]).with_lines(["list_issues  Lists issues", "close_issue  Closes one"]);
    assert_snapshot!(shots(Arc::new(mcp::McpServersPage(ground())), &ListContent::new(rows, []), &detail));
}

#[test]
fn the_providers() {
    let member = |name: &str| PoolMemberSummary { provider: name.into(), model: None, exists: true };
    let pool = PoolSummary {
        name: "both".into(),
        members: vec![member("router"), member("bare")],
        strategy: "priority",
        default_for: vec![CliKind::Codex],
    };
    let rows = vec![
        providers::row(&provider("router", Some(true))),
        providers::row(&provider("down", Some(false))),
        providers::row(&provider("bare", None)),
        providers::pool_row(&pool, 1),
    ];
    let detail =
        Detail::new(vec![Fact::title("router: OpenRouter"), Fact::new("secret", "token: `router` in the vault")]);
    assert_snapshot!(shots(Arc::new(providers::ProvidersPage(ground())), &ListContent::new(rows, []), &detail));
}

#[test]
fn the_history() {
    let session = |n: u64| HistorySession {
        session: format!("0193-{n}"),
        cli: "claude",
        project: "/srv/shop".into(),
        title: format!("how do I make test {n} pass?"),
        first: None,
        last: Some(format!("2026-11-0{n}T10:11:12.000Z")),
        messages: n * 7,
        provider: None,
        resume: "claude --resume 0193".into(),
        problem: None,
    };
    let rows = (1..4).map(|n| history::row(&session(n))).collect();
    let detail =
        Detail::new(vec![Fact::title("how do I make test 1 pass?")]).with_lines(["2026-11-01 user", "how do I?"]);
    assert_snapshot!(shots(Arc::new(history::HistoryPage(ground())), &ListContent::new(rows, []), &detail));
}

#[test]
fn the_sync() {
    let status = StoreStatus {
        remote: "/mnt/store".into(),
        machine: "desk".into(),
        fingerprint: Some("four words of it".into()),
        unpushed: vec!["claude:settings.json".into()],
        skipped: vec![SkippedFile { path: "aiw:mcp.json".into(), reason: "holds a key in clear".into() }],
        machines: vec![StoreMachine { id: "lap".into(), snapshots: 3, merged: false }],
        pending_installs: Vec::new(),
    };
    let listed = ListContent::new(sync::rows(&status), ["`desk` synchronizes with `/mnt/store`".to_owned()]);
    let detail = Detail::new(vec![Fact::title("claude:settings.json"), Fact::new("store", "four words of it")]);
    assert_snapshot!(shots(Arc::new(sync::SyncPage(ground())), &listed, &detail));
}

#[test]
fn the_status() {
    let cli = |kind, version: Option<&str>| CliDetails {
        summary: CliSummary {
            kind,
            path: version.map(|_| format!("/usr/bin/{kind}")),
            version: version.map(str::to_owned),
            install: version.map(|_| "npm"),
            available: version.is_some(),
        },
        real_path: None,
        install_command: format!("npm install -g {kind}"),
    };
    let problem = Problem::new("process `db` has failed", "aiw restart db");
    let checks = [
        CheckedPart { name: "home", summary: "/home/me/.aiw, 2 secrets".into(), problems: Vec::new() },
        CheckedPart { name: "processes", summary: "2 in this project".into(), problems: vec![problem] },
    ];
    let counts = TaskCounts { running: 1, queued: 0, unseen: 2 };
    let seen = TaskStatus {
        attention: Attention::default(),
        tasks: Vec::new(),
        counts,
        processes: 0,
        daemon: None,
        unpushed: None,
        today: None,
    };
    let news = CliUpdate {
        kind: "claude",
        version: Some("2.1.0".into()),
        newest: "2.2.0".into(),
        is_newer: true,
        update: Some("npm install -g @anthropic-ai/claude-code@latest".into()),
        asked: "2026-11-05T10:11:12Z".into(),
    };
    let parts =
        [status::cli_part(&cli("claude", Some("2.1.0")), Some(&news)), status::cli_part(&cli("codex", None), None)];
    let parts: Vec<status::StatePart> =
        parts.into_iter().chain(status::task_parts(&seen)).chain(checks.iter().map(status::check_part)).collect();
    let detail = Detail::new(parts.last().unwrap().facts.clone());
    assert_snapshot!(shots(
        Arc::new(status::StatusPage(ground())),
        &ListContent::new(parts.iter().map(status::StatePart::row).collect(), []),
        &detail
    ));
}

#[test]
fn the_events() {
    let event = |kind, of, name: &str, why: Option<&str>| HomeEvent {
        time: "2026-11-05T10:11:12Z".into(),
        name: Some(name.into()),
        reason: why.map(str::to_owned),
        ..HomeEvent::now(kind, of)
    };
    let all = [
        event(EventKind::Started, EventSubject::Process, "web", None),
        event(EventKind::Failed, EventSubject::Process, "db", Some("exit code 3")),
        event(EventKind::Recovered, EventSubject::Provider, "router", None),
    ];
    let rows = all.iter().map(events::row).collect();
    let detail = Detail::new(vec![Fact::title("process web started")]);
    assert_snapshot!(shots(Arc::new(events::EventsPage(ground())), &ListContent::new(rows, []), &detail));
}

#[test]
fn each_screen_has_a_word_a_command_and_keys_that_no_other_meaning_has() {
    let pages = all(&ground());
    let named: Vec<(&str, &str)> =
        pages.iter().map(|page| (page.descriptor().slug, page.descriptor().cli_command)).collect();
    assert_eq!(named, crate::screen_names());
    assert!(named.iter().all(|(_, command)| command.starts_with("aiw ")));
    for page in pages {
        let about = page.descriptor();
        let facets = about.facets.iter().map(|facet| facet.key).chain(about.hidden_rows.map(|hidden| hidden.key));
        let keys: Vec<char> = about.actions.iter().map(|action| action.key).chain(facets).collect();
        assert!(keys.iter().all(|key| !"jkhlgGqMSR*:?/0123456789 ".contains(*key)), "{}: {keys:?}", about.slug);
        let own: std::collections::BTreeSet<&char> = keys.iter().collect();
        assert_eq!(own.len(), keys.len(), "{}: {keys:?}", page.descriptor().slug);
    }
}

#[test]
fn a_fresh_home_is_offered_what_sets_it_up_and_nothing_that_needs_a_store() {
    let person = TuiPrompter::new(&crate::prompter::noop_job_handle());
    let page = dashboard::Dashboard(ground());
    let start = page.list("").unwrap().rows.into_iter().find(|row| row.id == "start").unwrap();
    let action = page.descriptor().actions.iter().find(|action| start.action_keys.contains(action.key)).unwrap();
    assert_eq!((start.action_keys.len(), action.name), (1, "set up"));
    let Ok(Outcome::Run(program)) = page.run_action(action.key, "start", &person) else { panic!("it runs nothing") };
    assert_eq!(program, TerminalProgram::from_aiw_args(["init"]).unwrap());
    let listed = sync::SyncPage(ground()).list("").unwrap();
    assert!(sync::PAGE.actions.iter().all(|action| listed.disabled_keys.contains(action.key)), "{listed:?}");
    assert!(listed.rows[0].cells[2].contains("aiw sync init REMOTE"), "{listed:?}");
}

/// A person who types these, and is told why they are asked again.
struct Types(std::sync::Mutex<(Vec<&'static str>, Vec<String>)>);

#[async_trait::async_trait]
impl aiw_core::Prompter for Types {
    fn can_ask(&self, _: &[aiw_core::Question]) -> bool {
        true
    }

    async fn confirm(
        &self,
        _: &aiw_core::Plan,
        _: &[&aiw_core::Question],
    ) -> Result<Vec<(String, aiw_core::Secret)>, aiw_core::PromptError> {
        Err(aiw_core::PromptError::Declined)
    }

    async fn select(&self, _: &aiw_core::Choice) -> Result<usize, aiw_core::PromptError> {
        Err(aiw_core::PromptError::Declined)
    }

    async fn text(&self, _: &str) -> Result<Option<String>, aiw_core::PromptError> {
        let mut known = self.0.lock().unwrap();
        Ok((!known.0.is_empty()).then(|| known.0.remove(0).to_owned()))
    }
}

impl aiw_core::Reporter for Types {
    fn report(&self, told: aiw_core::ReportEvent) {
        self.0.lock().unwrap().1.push(format!("{told:?}"));
    }
}

#[test]
fn an_answer_of_no_use_is_refused_at_once_and_asked_again() {
    let types = ["-", "https://me:sk-canary@host", "https://host/v1/", "never asked"];
    let person = Types(std::sync::Mutex::new((types.to_vec(), Vec::new())));
    let ground = ground();
    let given =
        ground.block_on(providers::usage_detail("Address:", providers::parse_base_url, &person, &person)).unwrap();
    let (left, told) = person.0.into_inner().unwrap();
    assert_eq!((given, left), (Some(aiw_home::base_url("https://host/v1/").unwrap()), vec!["never asked"]));
    assert!(told.len() == 2 && told[0].contains("can't be taken away") && !told[1].contains("canary"), "{told:?}");
}
