//! The real Claude Code, Codex and Gemini CLI after a pull that merged their settings: each starts, answers, and follows what
//! came in. The model is a script on loopback.

use std::fs;

use aiw_tests::{ModelApi, git, not_run, python, real_cli};
use serde_json::json;

use super::Machine;
use crate::mcp_clients::under_gateway;

const PROMPT: &str = "Say hello";
const ANSWER: &str = "Hello from the model.";

/// Instructions that come from the other machine.
const MEMORY: &str = "Whoever asks is called Quince.";

/// A skill that comes from there, by its description.
const SKILL: &str = "Ripens apricots in a canary way";

/// What a CLI has on the machine that pushes, and on the one that pulls.
struct Configured {
    cli: &'static str,
    /// The instructions.
    memory: &'static str,
    skill: &'static str,
    /// The settings with a hook, a server and a look, as they are pushed.
    settings: &'static str,
    pushed: String,
    /// Those of the machine that pulls.
    own: &'static str,
    /// Parts of the settings once both are merged.
    merged: &'static [&'static str],
    has_hook: bool,
}

/// A server that notes its starts in a directory of the user's home.
fn server(machine: &Machine) -> (String, Vec<String>) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/mcp_server.py").to_owned();
    let state = machine.file("state").display().to_string();
    (python().unwrap().display().to_string(), vec![script, "--state".into(), state])
}

/// Lets a machine that has settings of its own pull, and runs the CLI there.
fn starts_well(configured: &dyn Fn(&Machine) -> Configured) {
    let (one, mut other) = (Machine::new(), Machine::new());
    if python().is_none() {
        return not_run("python3 is absent");
    }
    let Configured { cli, memory, skill, settings, pushed, own, merged, has_hook } = configured(&one);
    let Some(real) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    one.write(memory, &format!("{MEMORY}\n"));
    one.write(skill, &format!("---\nname: apricot\ndescription: {SKILL}\n---\nRipen it.\n"));
    let far = tempfile::tempdir().unwrap();
    let words = one.init(far.path().to_str().unwrap());
    one.write(settings, &pushed);
    if cli == "claude" {
        let (command, args) = server(&one);
        one.write(".claude.json", &json!({"mcpServers": {"fruits": {"command": command, "args": args}}}).to_string());
    }
    for machine in [&one, &other] {
        machine.env.run(&["sync", "include", "claude-state:.claude.json"]).ok();
        fs::create_dir(machine.file("state")).unwrap();
    }
    one.env.run(&["sync", "push"]).ok();
    other.write(settings, own);
    other.join(far.path().to_str().unwrap(), &words).ok();
    assert_eq!(other.pull()["applied"], true);
    let holds = |other: &Machine| {
        let text = other.read(settings);
        for part in merged {
            assert!(text.contains(part), "{part}: {text}");
        }
    };
    holds(&other);

    let turns = json!([{"text": ANSWER, "repeat": true}]);
    let Some(model) = ModelApi::start(&turns) else { return not_run("python3 is absent") };
    let project = other.env.path("project");
    fs::create_dir_all(&project).unwrap();
    git(&project, &["init", "-q"]);
    let path = format!("{}:{}", real.parent().unwrap().display(), std::env::var("PATH").unwrap());
    under_gateway(&mut other.env, &path, model.url());
    let run = other.env.run(&[cli, "--cwd", project.to_str().unwrap(), "-p", "gw", "--timeout", "100s", PROMPT]);
    assert_eq!((run.code, run.stdout.trim()), (0, ANSWER), "{}", run.whole());
    let bodies = model.requests().into_iter().map(|request| request["body"].to_string());
    let asked: Vec<String> = bodies.filter(|body| body.contains(PROMPT)).collect();
    for part in [MEMORY, SKILL] {
        assert!(asked.iter().any(|body| body.contains(part)), "{cli} was not told: {part}");
    }
    assert!(other.file("state/starts").exists(), "the server was not started");
    assert!(!one.file("state/starts").exists());
    assert_eq!(other.file("hook-ran").exists(), has_hook);
    holds(&other);
    // Of what came in, nothing is lost.
    let diff = other.env.json(&["sync", "diff"]);
    let changes = diff["changes"].as_array().unwrap();
    let changed = changes.iter().filter_map(|change| change["path"].as_str()).filter(|path| path.starts_with(cli));
    assert!(changed.clone().all(|path| settings.ends_with(path.rsplit(':').next().unwrap())), "{diff}");
}

/// The command of a hook.
const HOOK: &str = "touch \"$HOME/hook-ran\"";

#[test]
fn claude_code_starts_well_after_a_pull() {
    starts_well(&|_| {
        let hook = json!([{"hooks": [{"type": "command", "command": HOOK}]}]);
        let pushed = json!({"includeCoAuthoredBy": false, "permissions": {"allow": ["Bash(ls:*)"]}, "hooks": {"SessionStart": hook}});
        Configured {
            cli: "claude",
            memory: ".claude/CLAUDE.md",
            skill: ".claude/skills/apricot/SKILL.md",
            settings: ".claude/settings.json",
            pushed: pushed.to_string(),
            own: "{\n  \"theme\": \"dark\",\n  \"permissions\": {\"allow\": [\"Bash(pwd)\"]}\n}\n",
            merged: &["includeCoAuthoredBy", "dark", "Bash(ls:*)", "Bash(pwd)", "SessionStart"],
            has_hook: true,
        }
    });
}

#[test]
fn codex_starts_well_after_a_pull() {
    starts_well(&|machine| {
        let (command, args) = server(machine);
        Configured {
            cli: "codex",
            memory: ".codex/AGENTS.md",
            skill: ".codex/skills/apricot/SKILL.md",
            settings: ".codex/config.toml",
            pushed: format!(
                "model_verbosity = \"low\"\n\n[mcp_servers.fruits]\ncommand = {}\nargs = {}\n",
                json!(command),
                json!(args)
            ),
            own: "# mine\nhide_agent_reasoning = true\n\n[tui]\nnotifications = false\n",
            merged: &["# mine", "hide_agent_reasoning", "notifications", "model_verbosity", "fruits"],
            has_hook: false,
        }
    });
}

#[test]
fn gemini_cli_starts_well_after_a_pull() {
    starts_well(&|machine| {
        let (command, args) = server(machine);
        let hook = json!([{"matcher": "*", "hooks": [{"type": "command", "command": HOOK}]}]);
        let pushed = json!({
            "mcpServers": {"fruits": {"command": command, "args": args}},
            "hooks": {"SessionStart": hook},
            "general": {"vimMode": true},
        });
        Configured {
            cli: "gemini",
            memory: ".gemini/GEMINI.md",
            skill: ".gemini/skills/apricot/SKILL.md",
            settings: ".gemini/settings.json",
            pushed: pushed.to_string(),
            own: "{\n  // mine\n  \"ui\": {\"theme\": \"GitHub\"},\n  \"general\": {\"enableAutoUpdate\": false}\n}\n",
            merged: &["// mine", "GitHub", "enableAutoUpdate", "vimMode", "fruits", "SessionStart"],
            has_hook: true,
        }
    });
}
