//! Fake AI CLIs that record how they were started.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::Environment;

/// Fake `claude`, `codex` and `gemini` commands. They record what they were given, run their prompt as a shell
/// script, and print the rest in the CLI's own stream format.
pub struct FakeClis {
    seen: PathBuf,
}

/// What a fake CLI was given when it started.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The arguments.
    pub arguments: Vec<String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The standard input.
    pub stdin: Vec<u8>,
    /// The content of the file after `--settings`, or in `GEMINI_CLI_SYSTEM_SETTINGS_PATH`.
    pub settings: String,
    /// The working directory.
    pub cwd: String,
}

const SCRIPT: &str = r##"#!/bin/sh
if [ "$1" = --version ]; then echo "VERSION"; exit 0; fi
seen="SEEN/$$"
mkdir -p "$seen.new"
for argument in "$@"; do printf '%s\0' "$argument"; done > "$seen.new/argv"
env -0 > "$seen.new/env"
pwd > "$seen.new/cwd"
before=
for argument in "$@"; do
    if [ "$before" = --settings ]; then cat "$argument" > "$seen.new/settings"; fi
    before=$argument
done
if [ -n "$GEMINI_CLI_SYSTEM_SETTINGS_PATH" ]; then cat "$GEMINI_CLI_SYSTEM_SETTINGS_PATH" > "$seen.new/settings"; fi
if [ -t 0 ]; then
    echo "interactive CLI of $seen"
    mv "$seen.new" "$seen"
    read -r code
    exit "$code"
fi
cat > "$seen.new/stdin"
mv "$seen.new" "$seen"
echo 'BEGIN'
if [ "$(head -c 2 "$seen/stdin")" = "#!" ]; then . "$seen/stdin"; fi
echo 'END'
"##;

/// Returns the address of something on loopback that accepts connections and says nothing.
pub fn listening() -> &'static str {
    static LISTENER: OnceLock<(TcpListener, String)> = OnceLock::new();
    let (_, url) = LISTENER.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        (listener, url)
    });
    url
}

impl FakeClis {
    /// Creates an empty home with the fake CLIs on its `PATH`.
    pub fn environment() -> (Environment, Self) {
        let mut env = Environment::new();
        let clis = Self::install(&mut env);
        (env, clis)
    }

    /// Returns a prompt that the fake CLIs run as a script.
    pub fn script(text: &str) -> String {
        format!("#!\n{text}\n")
    }

    /// Puts the fake CLIs first on the environment's `PATH`.
    pub fn install(env: &mut Environment) -> Self {
        let (bin, seen) = (env.path("fake-bin"), env.path("seen"));
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(&seen).unwrap();
        for (cli, begin, end) in [
            (
                "claude",
                r#"{"type":"system","subtype":"init","session_id":"session-1"}"#,
                r#"{"type":"result","is_error":false,"result":"The work is done.","session_id":"session-1","total_cost_usd":0.25,"usage":{"input_tokens":10,"output_tokens":5}}"#,
            ),
            (
                "codex",
                r#"{"type":"thread.started","thread_id":"thread-1"}"#,
                r#"{"type":"turn.completed","usage":{"input_tokens":10,"output_tokens":5}}"#,
            ),
            (
                "gemini",
                r#"{"type":"init","session_id":"session-2"}"#,
                r#"{"type":"result","status":"success","stats":{"input_tokens":10,"output_tokens":5}}"#,
            ),
        ] {
            let script = SCRIPT
                .replace("VERSION", &format!("{cli} 1.2.3"))
                .replace("SEEN", &seen.display().to_string())
                .replace("BEGIN", begin)
                .replace("END", end);
            let path = bin.join(cli);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = std::env::var("PATH").unwrap_or_default();
        env.set("PATH", format!("{}:{path}", bin.display()));
        Self { seen }
    }

    /// Returns what each start was given, the oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        let mut found: Vec<_> = fs::read_dir(&self.seen)
            .unwrap()
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().ends_with(".new"))
            .map(|entry| (entry.metadata().unwrap().modified().unwrap(), entry.path()))
            .collect();
        found.sort();
        found.into_iter().map(|(_, path)| read(&path)).collect()
    }

    /// Returns what the only start was given.
    pub fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "one CLI was started");
        seen.remove(0)
    }
}

fn read(path: &std::path::Path) -> Seen {
    let text = |name: &str| String::from_utf8_lossy(&fs::read(path.join(name)).unwrap_or_default()).into_owned();
    let list = |name: &str| text(name).split_terminator('\0').map(str::to_owned).collect::<Vec<_>>();
    Seen {
        arguments: list("argv"),
        environment: list("env")
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        stdin: fs::read(path.join("stdin")).unwrap_or_default(),
        settings: text("settings"),
        cwd: text("cwd").trim_end().to_owned(),
    }
}
