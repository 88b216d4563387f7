//! Configuration that travels, by the real program: two machines and a folder between them.

mod clis;
mod disk;
mod killed;
mod race;

use std::fs;
use std::path::PathBuf;

use aiw_tests::Environment;
use serde_json::{Value, json};

use crate::terminal::Terminal;
use crate::tui::agree;

/// A machine of a person.
pub struct Machine {
    pub env: Environment,
}

impl Machine {
    pub fn new() -> Self {
        Self::of(Environment::new())
    }

    fn of(env: Environment) -> Self {
        for directory in [".claude", ".codex", ".gemini"] {
            fs::create_dir_all(env.user().join(directory)).unwrap();
        }
        Self { env }
    }

    fn file(&self, path: &str) -> PathBuf {
        self.env.user().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.file(path).parent().unwrap()).unwrap();
        fs::write(self.file(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.file(path)).unwrap_or_default()
    }

    /// Begins a store on a terminal, and types two of the words that it shows.
    pub fn init(&self, far: &str) -> Vec<String> {
        let mut terminal = Terminal::start(&self.env, &["sync", "init", far, "--name", "laptop"]);
        terminal.wait_for("Word 3:");
        let shown = terminal.shown();
        let mut words = vec![String::new(); 12];
        let tokens: Vec<&str> = shown.split_whitespace().collect();
        for pair in tokens.windows(2) {
            if let Some(number) = pair[0].strip_suffix('.').and_then(|number| number.parse::<usize>().ok())
                && (1..=12).contains(&number)
            {
                words[number - 1] = pair[1].to_owned();
            }
        }
        assert!(words.iter().all(|word| !word.is_empty()), "{shown}");
        terminal.press("nonsense\r");
        terminal.wait_for("another word");
        terminal.press(format!("{}\r", words[2]));
        terminal.wait_for("Word 9:");
        terminal.press(format!("{}\r", words[8]));
        assert!(terminal.ends().success(), "{}", terminal.shown());
        words
    }

    fn join(&self, far: &str, words: &[String]) -> aiw_tests::Run {
        let arguments = ["sync", "join", far, "--name", "desktop"];
        self.env.run_with_input(&arguments, words.join(" "))
    }

    fn pull(&self) -> Value {
        let shown = self.env.json(&["sync", "pull", "--dry-run"]);
        match shown["executable"].as_str() {
            Some(digest) => self.env.json(&["sync", "pull", "--allow-executable", digest]),
            None => self.env.json(&["sync", "pull"]),
        }
    }
}

fn pair() -> (tempfile::TempDir, Machine, Machine, Vec<String>) {
    let far = tempfile::tempdir().unwrap();
    let (one, other) = (Machine::new(), Machine::new());
    let words = meet(far.path().to_str().unwrap(), &one, &other);
    (far, one, other, words)
}

/// Lets one machine begin a store and push to it, and another one join.
fn meet(far: &str, one: &Machine, other: &Machine) -> Vec<String> {
    one.write(".claude/CLAUDE.md", "Be brief.\n");
    one.write(
        ".claude/settings.json",
        "{\n  // mine\n  \"model\": \"opus\",\n  \"permissions\": { \"allow\": [\"Bash(ls:*)\"] }\n}\n",
    );
    let words = one.init(far);
    one.env.run(&["sync", "push"]).ok();
    other.join(far, &words).ok();
    words
}

#[test]
fn settings_of_one_machine_come_to_another_and_are_undone() {
    let (_far, one, other, words) = pair();
    other.write(".claude/settings.json", "{\n  \"theme\": \"dark\" // here\n}\n");
    let shown = other.env.run(&["sync", "pull"]);
    assert_eq!(shown.code, 2, "{}", shown.whole());
    assert!(shown.stderr.contains("--allow-executable"), "permissions are agreed to: {}", shown.whole());
    let pulled = other.pull();
    assert_eq!(pulled["applied"], true, "{pulled}");
    let settings = other.read(".claude/settings.json");
    assert!(settings.contains("\"theme\": \"dark\" // here") || settings.contains("// here"), "{settings}");
    assert!(settings.contains("opus") && settings.contains("Bash(ls:*)"), "{settings}");
    assert_eq!(other.read(".claude/CLAUDE.md"), "Be brief.\n");
    // What was added here is not pushed yet.
    let status = other.env.json(&["sync", "status"]);
    assert_eq!(status["unpushed"], json!(["claude:settings.json"]));
    assert!(other.env.run(&["status"]).ok().stdout.contains("1 change not pushed"));
    assert!(other.env.run(&["doctor"]).stdout.contains("1 change not pushed"));
    other.env.run(&["push"]).ok();
    one.pull();
    assert!(one.read(".claude/settings.json").contains("\"theme\": \"dark\""));
    assert!(one.read(".claude/settings.json").contains("// mine"));
    let fingerprint = |machine: &Machine| machine.env.json(&["sync", "status"])["fingerprint"].clone();
    assert_eq!(fingerprint(&one), fingerprint(&other));
    let log = other.env.json(&["sync", "log"]);
    assert_eq!(log["entries"][0]["operation"], "pull");
    other.env.run(&["sync", "undo"]).ok();
    assert_eq!(other.read(".claude/settings.json"), "{\n  \"theme\": \"dark\" // here\n}\n");
    assert!(!other.file(".claude/CLAUDE.md").exists());
    // The words are in no file of either machine, and nothing asks for them without a terminal.
    let phrase = other.env.run(&["sync", "phrase"]);
    assert_ne!(phrase.code, 0);
    assert!(!phrase.whole().contains(&words.join(" ")));
    let list = one.env.json(&["list"]);
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 2);
}

#[test]
fn conflicts_are_asked_on_a_terminal_and_stop_everything_without_one() {
    let (_far, one, other, _) = pair();
    other.pull();
    one.write(".claude/settings.json", &one.read(".claude/settings.json").replace("opus", "sonnet"));
    one.write(".claude/rules/new.md", "new\n");
    one.env.run(&["sync", "push"]).ok();
    other.write(".claude/settings.json", &other.read(".claude/settings.json").replace("opus", "haiku"));
    let stopped = other.env.run(&["sync", "pull"]);
    assert_eq!(stopped.code, 2, "{}", stopped.whole());
    assert!(!other.file(".claude/rules/new.md").exists(), "nothing is written");
    let kept = fs::read_to_string(other.env.home().join("sync/conflicts/list.txt")).unwrap();
    assert!(kept.contains("claude:settings.json model"), "{kept}");
    other.env.run(&["sync", "pull", "--partial"]).ok();
    assert!(other.file(".claude/rules/new.md").exists());
    assert!(other.env.run(&["sync", "push"]).stderr.contains("aiw sync pull"));
    let mut terminal = Terminal::start(&other.env, &["sync", "pull"]);
    terminal.wait_for("Which one?");
    let shown = terminal.shown();
    assert!(shown.contains("haiku") && shown.contains("sonnet") && shown.contains("laptop"), "{shown}");
    terminal.press("3\r");
    terminal.wait_for("Apply this");
    terminal.press("y\r");
    assert!(terminal.ends().success(), "{}", terminal.shown());
    assert!(other.read(".claude/settings.json").contains("sonnet"));
    other.env.run(&["sync", "push"]).ok();
}

#[test]
fn on_its_screen_what_travels_is_pushed_and_conflicts_are_asked_one_by_one() {
    let (_far, one, other, _) = pair();
    other.pull();
    one.write(".claude/settings.json", &one.read(".claude/settings.json").replace("opus", "sonnet"));
    let mut terminal = Terminal::start(&one.env, &["tui", "sync"]);
    terminal.wait_for("claude:settings.json");
    terminal.press("p");
    terminal.wait_for("pushed `");
    terminal.press("q");
    assert!(terminal.ends().success());
    other.write(".claude/settings.json", &other.read(".claude/settings.json").replace("opus", "haiku"));
    let mut terminal = Terminal::start(&other.env, &["tui", "sync"]);
    terminal.wait_for("synchronizes with");
    // A no leaves everything as it is.
    terminal.press("u");
    terminal.wait_for("take that of");
    terminal.press("\u{1b}");
    terminal.wait_for("! ");
    assert!(other.read(".claude/settings.json").contains("haiku"));
    terminal.press("u");
    terminal.wait_for("take that of");
    let shown = terminal.shown();
    assert!(shown.contains("haiku") && shown.contains("sonnet") && shown.contains("laptop"), "{shown}");
    terminal.wait_for("Enter take it");
    terminal.press("jj\r");
    terminal.wait_for("Apply this");
    agree(&mut terminal);
    terminal.wait_for("changed 1 file");
    assert!(other.read(".claude/settings.json").contains("sonnet"));
    terminal.press("Z");
    terminal.wait_for("(y/N)");
    terminal.press("y");
    terminal.wait_for("undid the pull");
    assert!(other.read(".claude/settings.json").contains("haiku"));
    terminal.press("q");
    assert!(terminal.ends().success());
}

#[test]
fn secrets_and_trust_stay() {
    let (far, one, other, _) = pair();
    let key =
        "sk-ant-api03-canary4Tz8Yw2Qm6Rk9Lp3Vn7Xc1Bd5Hj0Fs-9Gk2Wq8Er4Ty6Ui1Op3As5Df7Gh9Jk0Lz2Xc4Vb6Nm8QwErTyUi-AA";
    one.write(
        ".codex/config.toml",
        &format!("model = \"gpt\"\n\n[projects.\"/work\"]\ntrust_level = \"trusted\"\n\n[mcp_servers.x.env]\nAPI_KEY = \"{key}\"\n"),
    );
    let refused = one.env.run(&["sync", "push"]);
    assert_eq!(refused.code, 2, "{}", refused.whole());
    assert!(refused.stderr.contains("codex:config.toml mcp_servers.x.env.API_KEY"), "{}", refused.whole());
    assert!(!refused.whole().contains("canary4Tz8"));
    let text = one.read(".codex/config.toml").replace(key, "${secret:x}");
    one.write(".codex/config.toml", &text);
    fs::write(
        one.env.home().join("settings.json"),
        json!({"trustedDirectories": ["/work"], "habits": true}).to_string(),
    )
    .unwrap();
    one.env.run(&["sync", "push"]).ok();
    other.pull();
    let codex = other.read(".codex/config.toml");
    assert!(codex.contains("gpt") && !codex.contains("trust_level"), "{codex}");
    let settings = fs::read_to_string(other.env.home().join("settings.json")).unwrap();
    assert!(settings.contains("habits") && !settings.contains("trustedDirectories"), "{settings}");
    for entry in fs::read_dir(far.path()).unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(5).any(|part| part == b"opus\"" || part == b"brief"));
    }
}

#[test]
fn far_ends_and_names_that_are_none_are_refused_with_what_would_do() {
    let machine = Machine::new();
    for (far, said) in [("ftp://x", "webdav:"), ("http://x", "webdav:"), ("", "webdav:"), ("gdrive:x", "Google Drive")]
    {
        let run = machine.env.run(&["sync", "init", far]);
        assert_eq!(run.code, 2, "{far}: {}", run.whole());
        assert!(run.stderr.contains(said), "{far}: {}", run.whole());
    }
    for command in [&["sync", "push"][..], &["sync", "pull"], &["sync", "status"], &["sync", "undo"], &["sync", "list"]]
    {
        let run = machine.env.run(command);
        assert_eq!(run.code, 2, "{}", run.whole());
        assert!(run.stderr.contains("aiw sync init"), "{}", run.whole());
    }
    let drive = machine.env.run(&["sync", "login", "gdrive:"]);
    assert_eq!(drive.code, 3, "{}", drive.whole());
    let what = machine.env.json(&["sync", "list", "--what"]);
    let row = |path: &str| what["rows"].as_array().unwrap().iter().find(|row| row["path"] == path).cloned().unwrap();
    assert_eq!(row("claude:CLAUDE.md")["policy"], "always");
    assert_eq!(row("aiw:vault/")["policy"], "never");
    assert_eq!(row("claude:plans/")["included"], false);
    machine.env.run(&["sync", "include", "claude:plans"]).ok();
    let what = machine.env.json(&["sync", "list", "--what"]);
    assert!(
        what["rows"].as_array().unwrap().iter().any(|row| row["path"] == "claude:plans/" && row["included"] == true)
    );
    assert_eq!(machine.env.run(&["sync", "include", "claude:history.jsonl"]).code, 2);
}
