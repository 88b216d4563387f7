//! Bad input gets one clear line, and nothing is lost. Each kind of bad input has one test.
//!
//! Each case starts from a home in use: a market `good` with its plugin `kept` installed, and an entry of the
//! user's own in mcp.json.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::{Answer, Environment, Market, Request, Run, Server, commit_all, git, git_backend};
use serde_json::{Value, json};

/// The content of a secret file outside, which must never get into the home.
const SECRET: &str = "the-secret-outside";
/// A commit that no repository contains.
const NOWHERE: &str = "1111111111111111111111111111111111111111";
/// The documents about what is installed, which must stay the same byte for byte.
const DOCUMENTS: [&str; 3] = ["mcp.json", "plugins.json", "settings.json"];

/// A home in use, with whatever a case adds.
struct Bench {
    env: Environment,
    servers: Vec<Server>,
}

impl Bench {
    fn new() -> Self {
        let env = Environment::new();
        let good = Market::new(env.path("good"), "good").plugin("kept", "1.0.0", json!({"kept": {"command": "true"}}));
        env.write_mcp("{ \"mcpServers\" : {\n\t\"mine\": {\"command\": \"mine\", \"odd\": 1} } }\n");
        env.add(good.root()).ok();
        env.run(&["plugin", "install", "kept", "--yes"]).ok();
        Self { env, servers: Vec::new() }
    }

    /// Returns the directory of the case's market.
    fn bad(&self) -> PathBuf {
        self.env.path("bad")
    }

    /// Writes a file of the market.
    fn file(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.bad().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Writes the market's document verbatim.
    fn document(&self, bytes: impl AsRef<[u8]>) {
        self.file(".claude-plugin/marketplace.json", bytes);
    }

    /// Writes the market's document with these entries and a working plugin `fine`.
    fn entries(&self, entries: Value) {
        self.plugin("fine", &json!({"fine": {"command": "true"}}).to_string());
        let mut all = vec![json!({"name": "fine", "source": "./plugins/fine"})];
        all.extend(entries.as_array().unwrap().iter().cloned());
        self.document(json!({"name": "bad", "owner": {"name": "T"}, "description": "d", "plugins": all}).to_string());
    }

    /// Writes a plugin's `.mcp.json` verbatim.
    fn plugin(&self, name: &str, mcp: &str) {
        self.file(&format!("plugins/{name}/.mcp.json"), mcp);
    }

    /// Adds the market, which must succeed.
    fn add(&self) -> Run {
        self.env.add(&self.bad()).ok()
    }

    /// Creates a file beside the home that no marketplace may read.
    fn secret(&self) -> PathBuf {
        let path = self.env.path("secret.json");
        fs::write(&path, json!({"mcpServers": {"leak": {"command": SECRET}}}).to_string()).unwrap();
        path
    }

    /// Serves the market as a git repository at `[URL]/bad.git`, from a bare clone. Returns its commit.
    fn serve_git(&mut self) -> String {
        let commit = commit_all(&self.bad());
        git(&self.env.path("."), &["clone", "-q", "--bare", "bad", "srv/bad.git"]);
        self.serve(git_backend(self.env.path("srv")));
        commit
    }

    fn serve(&mut self, handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        self.servers.push(Server::start(handler));
    }

    /// Splits a command into words, and fills in `[BAD]` and `[URL]`.
    fn words(&self, line: &str) -> Vec<String> {
        let url = self.servers.last().map(Server::url).unwrap_or_default();
        let put = |word: &str| word.replace("[BAD]", &self.bad().display().to_string()).replace("[URL]", &url);
        line.split_whitespace().map(put).collect()
    }

    fn run(&self, line: &str) -> Run {
        let words = self.words(line);
        self.env.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn json(&self, line: &str) -> Value {
        self.run(&format!("{line} --json")).json()
    }

    /// Replaces addresses and paths in an output with constants.
    fn stable(&self, text: &str) -> String {
        let mut text = self.env.stable(text);
        for (server, word) in self.servers.iter().rev().zip(["[URL]", "[URL 2]"]) {
            let host = server.url();
            text = text.replace(&host, word).replace(host.trim_start_matches("http://"), "[HOST]");
        }
        text
    }

    fn documents(&self) -> Vec<Option<Vec<u8>>> {
        DOCUMENTS.iter().map(|name| fs::read(self.env.home().join(name)).ok()).collect()
    }

    /// Returns the reason that a listing gives for an unusable entry of the market, or an empty string if it is
    /// usable.
    fn broken(&self, name: &str) -> String {
        let listed = self.json("plugin list --available --all");
        let found =
            listed["plugins"].as_array().unwrap().iter().find(|p| p["name"] == name && p["marketplace"] == "bad");
        found.map_or_else(|| panic!("`{name}` is listed"), |p| p["broken"].as_str().unwrap_or_default().to_owned())
    }

    /// Checks that other entries work: `fine` of the same market installs.
    fn fine_installs(&self) {
        self.run("plugin install fine@bad --yes").ok();
        assert_eq!(self.env.mcp()["mcpServers"]["fine"]["command"], "true");
    }

    /// Checks that no file in the home, at any depth, contains the secret.
    fn nothing_leaked(&self) {
        let mut ahead = vec![self.env.home()];
        while let Some(dir) = ahead.pop() {
            for file in fs::read_dir(dir).unwrap().flatten() {
                let path = file.path();
                if path.is_symlink() {
                    let target = fs::canonicalize(&path).unwrap_or_default();
                    assert!(target.starts_with(self.env.home()), "{} leads to {}", path.display(), target.display());
                } else if path.is_dir() {
                    ahead.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
                    assert!(!found, "{} holds the secret", path.display());
                }
            }
        }
    }
}

/// One row of the table.
struct Case {
    given: fn(&mut Bench),
    when: &'static str,
    exit: i32,
    prints: &'static str,
    says: &'static str,
    /// The documents that the command is meant to change.
    changes: &'static [&'static str],
    then: fn(&Bench),
}

const NOTHING: Case = Case { given: |_| {}, when: "", exit: 2, prints: "", says: "", changes: &[], then: |_| {} };

fn check(case: &Case) {
    let mut bench = Bench::new();
    (case.given)(&mut bench);
    let before = bench.documents();
    let run = bench.run(case.when);
    let whole = format!("{}\n{}", case.when, bench.stable(&run.whole()));
    assert_eq!(run.code, case.exit, "{whole}");
    assert_eq!(bench.stable(&run.stderr), lines(case.says), "{whole}");
    assert_eq!(bench.stable(&run.stdout), lines(case.prints), "{whole}");
    for ((name, before), after) in DOCUMENTS.iter().zip(before).zip(bench.documents()) {
        assert!(case.changes.contains(name) || before == after, "{name} changed\n{whole}");
    }
    let home = bench.env.home();
    for dir in [home.clone(), home.join("plugins")] {
        for file in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = file.file_name().into_string().unwrap();
            assert!(!name.starts_with(".new-") && !name.starts_with(".aiw-"), "{name} is left behind\n{whole}");
        }
    }
    (case.then)(&bench);
}

/// Formats a text of the table: one sentence per line, without the indentation of the source. After a bar, a line
/// keeps its indentation.
fn lines(text: &str) -> String {
    text.lines().map(str::trim_start).filter(|line| !line.is_empty()).fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{}", line.strip_prefix('|').unwrap_or(line));
        all
    })
}

macro_rules! cases {
    ($($(#[$attribute:meta])* $name:ident { $($field:ident: $value:expr),* $(,)? })*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                let mut case = NOTHING;
                $(case.$field = $value;)*
                check(&case);
            }
        )*
    };
}

/// `plugin marketplace add` for the case's directory.
const ADD: &str = "plugin marketplace add [BAD]";
/// `plugin marketplace add` for the case's URL of a marketplace.json.
const ADD_URL: &str = "plugin marketplace add [URL]/marketplace.json --yes";
/// Adding a market changes only the settings.
const SETTINGS: &[&str] = &["settings.json"];

cases! {
    // ---- the document as a whole ----

    a_document_that_is_not_json_is_refused {
        given: |b| b.document("{nope"),
        when: ADD,
        says: "error: the marketplace.json of `[TMP]/bad` is not JSON: key must be a string at line 1 column 2",
    }

    a_document_that_is_not_utf_8_is_refused {
        given: |b| b.document(b"\xff\xfe{\0}\0"),
        when: ADD,
        says: "error: the marketplace.json of `[TMP]/bad` is not UTF-8: byte 0",
    }

    a_document_larger_than_8_mib_is_refused {
        given: |b| b.document(" ".repeat((8 << 20) + 1)),
        when: ADD,
        says: "error: `.claude-plugin/marketplace.json` is longer than 8388608 bytes",
    }

    a_document_that_is_100_000_deep_is_refused {
        given: |b| b.document(format!("{{\"name\":\"bad\",\"plugins\":{}", "[".repeat(100_000))),
        when: ADD,
        says: "error: the marketplace.json of `[TMP]/bad` is not JSON: recursion limit exceeded at line 1 column 151",
    }

    a_document_with_a_byte_order_mark_is_read {
        given: |b| {
            b.entries(json!([]));
            let text = fs::read_to_string(b.bad().join(".claude-plugin/marketplace.json")).unwrap();
            b.document(format!("\u{feff}{text}"));
        },
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 1 plugin
                 1 of them brings MCP servers",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    a_document_with_crlf_line_ends_is_read {
        given: |b| {
            b.entries(json!([]));
            b.document("{\r\n\"name\": \"bad\",\r\n\"plugins\": [{\"name\": \"fine\",\r\n\"source\": \"./plugins/fine\"}]\r\n}\r\n");
            b.plugin("fine", "{\r\n\"mcpServers\": {\r\n\"fine\": {\"command\": \"true\"}}}\r\n");
        },
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 1 plugin
                 1 of them brings MCP servers",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    a_key_that_stands_twice_is_named_and_the_last_one_counts {
        given: |b| {
            b.entries(json!([]));
            b.document(r#"{"name": "worse", "name": "bad", "plugins": [{"name": "fine", "source": "./no", "source": "./plugins/fine"}]}"#);
        },
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 1 plugin
                 1 of them brings MCP servers",
        says: "the key `name` appears twice; the last one is used
               the key `plugins.0.source` appears twice; the last one is used",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    a_document_that_is_a_list_is_refused {
        given: |b| b.document("[]"),
        when: ADD,
        says: "error: the marketplace.json of `[TMP]/bad` is not a JSON object",
    }

    a_document_without_plugins_is_refused {
        given: |b| b.document(r#"{"name": "bad"}"#),
        when: ADD,
        says: "error: the marketplace.json of `[TMP]/bad` has no `plugins` list",
    }

    plugins_that_are_not_a_list_are_refused {
        given: |b| b.document(r#"{"name": "bad", "plugins": {"fine": {}}}"#),
        when: ADD,
        says: "error: the marketplace.json of `[TMP]/bad` has a `plugins` that is not a list",
    }

    a_market_without_a_name_needs_one_from_the_user {
        given: |b| b.document(r#"{"plugins": []}"#),
        when: ADD,
        says: "error: the marketplace has no usable name: the document has no `name`
               hint: add it under another name with `--name NAME`",
        then: |b| drop(b.run("plugin marketplace add [BAD] --name bad").ok()),
    }

    a_market_whose_name_leaves_the_directory_is_refused {
        given: |b| b.document(r#"{"name": "../../up", "plugins": []}"#),
        when: ADD,
        says: "error: the marketplace has no usable name: marketplace name `../../up` has characters other than letters, digits, `.`, `_` and `-`
               hint: add it under another name with `--name NAME`",
    }

    a_market_named_as_a_windows_device_is_refused {
        given: |b| b.document(r#"{"name": "con", "plugins": []}"#),
        when: ADD,
        says: "error: the marketplace has no usable name: marketplace name `con` is a device name on Windows
               hint: add it under another name with `--name NAME`",
    }

    a_directory_without_a_document_is_refused {
        given: |b| fs::create_dir(b.bad()).unwrap(),
        when: ADD,
        says: "error: no `.claude-plugin/marketplace.json` in `[TMP]/bad`",
    }

    a_directory_that_is_absent_is_refused {
        when: ADD,
        says: "error: `[TMP]/bad` cannot be opened: No such file or directory (os error 2)",
    }

    a_document_that_is_a_directory_is_refused {
        given: |b| fs::create_dir_all(b.bad().join(".claude-plugin/marketplace.json")).unwrap(),
        when: ADD,
        says: "error: no `.claude-plugin/marketplace.json` in `[TMP]/bad`",
    }

    // ---- its entries: a bad entry affects only itself ----

    an_entry_of_a_name_that_is_there_already_is_left_out {
        given: |b| b.entries(json!([{"name": "fine", "source": "./plugins/other"}, {"name": "Fine", "source": "./plugins/fine"}])),
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 3 plugins
                 1 of them brings MCP servers",
        says: "plugin `fine` is left out: it has the same name as an earlier entry
               plugin `Fine` is left out: it has the same name as an earlier entry",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    an_entry_without_a_name_is_left_out {
        given: |b| b.entries(json!([{"source": "./plugins/fine"}])),
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `#1` is left out: it has no `name`",
        changes: SETTINGS,
        then: |b| {
            assert_eq!(b.broken("#1"), "has no `name`");
            b.fine_installs();
        },
    }

    entries_of_wrong_types_are_left_out_and_said_why {
        given: wrong_types,
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 10 plugins
                 1 of them brings MCP servers",
        says: "plugin `#1` is left out: it is not an object
               plugin `#2` is left out: it has a `name` that is not a string
               plugin `number` is left out: it has a `source` that is neither a string nor an object
               plugin `none` is left out: it has no `source`
               plugin `described` is left out: it has a `description` that is not a string
               plugin `versioned` is left out: it has a `version` that is not a string
               plugin `strict` is left out: it has a `strict` that is neither true nor false
               plugin `wordless` is left out: it has a source object without the field `source`
               plugin `listed` is left out: it has a source whose `repo` is not a string",
        changes: SETTINGS,
        then: |b| {
            assert_eq!(b.broken("described"), "has a `description` that is not a string");
            b.fine_installs();
        },
    }

    validate_is_strict_where_listing_is_lenient {
        given: wrong_types,
        when: "plugin validate [BAD]",
        prints: "error: plugin `#1` is not an object
                 error: plugin `#2` has a `name` that is not a string
                 error: plugin `number` has a `source` that is neither a string nor an object
                 error: plugin `none` has no `source`
                 error: plugin `described` has a `description` that is not a string
                 error: plugin `versioned` has a `version` that is not a string
                 error: plugin `strict` has a `strict` that is neither true nor false
                 error: plugin `wordless` has a source object without the field `source`
                 error: plugin `listed` has a source whose `repo` is not a string",
        says: "error: the marketplace has 9 errors",
    }

    an_entry_whose_source_leaves_the_market_is_left_out {
        given: |b| {
            b.secret();
            b.entries(json!([{"name": "up", "source": "./../"}, {"name": "deep", "source": "./plugins/../../x"}]));
        },
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 3 plugins
                 1 of them brings MCP servers",
        says: "plugin `up` is left out: it has a bad `source`: path `./../` leaves its directory with `..`
               plugin `deep` is left out: it has a bad `source`: path `./plugins/../../x` leaves its directory with `..`",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    an_entry_whose_git_path_leaves_the_repository_is_left_out {
        given: |b| b.entries(json!([{"name": "up", "source": {"source": "git-subdir", "url": "o/r", "path": "a/../../b"}}])),
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `up` is left out: it has a bad source: path `a/../../b` leaves its directory with `..`",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    an_entry_whose_name_is_a_path_is_left_out {
        given: |b| b.entries(json!([{"name": "../../up", "source": "./plugins/fine"}, {"name": "a/b", "source": "./plugins/fine"}])),
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 3 plugins
                 1 of them brings MCP servers",
        says: "plugin `../../up` is left out: it has a name that has characters other than letters, digits, `.`, `_` and `-`
               plugin `a/b` is left out: it has a name that has characters other than letters, digits, `.`, `_` and `-`",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    an_entry_with_an_absolute_source_is_left_out {
        given: |b| b.entries(json!([{"name": "etc", "source": "/etc"}, {"name": "drive", "source": "C:/x"}])),
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 3 plugins
                 1 of them brings MCP servers",
        says: "plugin `etc` is left out: it has a bad `source`: path `/etc` is absolute
               plugin `drive` is left out: it has a bad `source`: path `C:/x` contains a colon",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    an_entry_whose_directory_is_absent_is_left_out {
        given: |b| b.entries(json!([{"name": "gone", "source": "./plugins/gone"}])),
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `gone` is left out: it cannot be read: there is no `plugins/gone`",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    an_entry_that_is_a_file_is_left_out {
        given: |b| b.entries(json!([{"name": "file", "source": "./plugins/fine/.mcp.json"}])),
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `file` is left out: it cannot be read: `plugins/fine/.mcp.json` is not a directory",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    an_entry_named_as_a_windows_device_is_left_out {
        given: |b| b.entries(json!([{"name": "nul", "source": "./plugins/fine"}, {"name": "way", "source": "./plugins/com1.d"}])),
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 3 plugins
                 1 of them brings MCP servers",
        says: "plugin `nul` is left out: it has a name that is a device name on Windows
               plugin `way` is left out: it has a bad `source`: path `./plugins/com1.d` contains a Windows device name",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    forms_that_would_run_code_are_shown_and_left_out {
        given: foreign_forms,
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 6 plugins
                 1 of them brings MCP servers",
        says: "plugin `npm-form` is left out: the source form `npm` is not installed: npm would run the package's install scripts
               plugin `pip-form` is left out: the source form `pip` is not installed: pip may run the package's build scripts
               plugin `archive-form` is left out: the source form `archive` is not installed: an archive has no commit to pin
               plugin `command-form` is left out: the source form `command` is not installed: it would run a command that the marketplace chooses
               plugin `carrier-pigeon-form` is left out: the source form `carrier-pigeon` is not known",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    a_form_that_would_run_code_is_not_installed {
        given: |b| {
            foreign_forms(b);
            b.add();
        },
        when: "plugin install pip-form@bad --yes",
        says: "error: plugin `pip-form@bad` cannot be installed: the source form `pip` is not installed: pip may run the package's build scripts",
    }

    a_rename_that_goes_in_a_circle_is_an_error_of_what_is_looked_for {
        given: |b| {
            b.entries(json!([]));
            circle(b);
            b.add();
        },
        when: "plugin install a@bad --yes",
        says: "error: plugin `a@bad` cannot be followed: `renames` forms a cycle from `a`",
        then: |b| b.fine_installs(),
    }

    a_rename_that_goes_in_a_circle_does_not_validate {
        given: |b| {
            b.entries(json!([]));
            circle(b);
        },
        when: "plugin validate [BAD]",
        prints: "error: `renames` forms a cycle from `a`
                 error: `renames` forms a cycle from `b`
                 error: `renames` forms a cycle from `c`",
        says: "error: the marketplace has 3 errors",
    }

    // ---- links and odd files ----

    a_link_out_of_a_directory_market_is_not_read {
        given: |b| {
            b.entries(json!([{"name": "linked", "source": "./plugins/linked"}]));
            fs::create_dir_all(b.bad().join("plugins/linked")).unwrap();
            symlink(b.secret(), b.bad().join("plugins/linked/.mcp.json")).unwrap();
        },
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `linked` is left out: it cannot be read: link `.mcp.json` leaves the plugin: -> [TMP]/secret.json",
        changes: SETTINGS,
        then: |b| {
            b.run("plugin install linked@bad --yes");
            b.run("plugin info linked@bad");
            b.nothing_leaked();
        },
    }

    a_link_out_of_a_plugin_is_left_out_of_the_install {
        given: |b| {
            b.entries(json!([{"name": "linked", "source": "./plugins/linked"}]));
            b.plugin("linked", r#"{"linked": {"command": "true"}}"#);
            symlink(b.secret(), b.bad().join("plugins/linked/data.json")).unwrap();
            symlink("../../../secret.json", b.bad().join("plugins/linked/relative.json")).unwrap();
            symlink(".mcp.json", b.bad().join("plugins/linked/inside.json")).unwrap();
            b.add();
        },
        when: "plugin install linked@bad --yes",
        exit: 0,
        prints: "linked@bad 2896c87eb54f from ./plugins/linked
                 |  linked (stdio) runs: true
                 Installed linked@bad 2896c87eb54f: linked
                 Use it: aiw claude --mcp",
        says: "file `data.json` is left out: link that leaves the plugin: -> [TMP]/secret.json
               file `relative.json` is left out: link that leaves the plugin: -> ../../../secret.json",
        changes: &DOCUMENTS,
        then: |b| b.nothing_leaked(),
    }

    a_plugin_directory_that_is_a_link_out_of_the_market_is_not_read {
        given: |b| {
            b.entries(json!([{"name": "linked", "source": "./plugins/linked"}]));
            b.secret();
            fs::create_dir(b.env.path("outside")).unwrap();
            fs::rename(b.env.path("secret.json"), b.env.path("outside/.mcp.json")).unwrap();
            symlink(b.env.path("outside"), b.bad().join("plugins/linked")).unwrap();
        },
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `linked` is left out: it cannot be read: link `plugins/linked` leaves the plugin: -> [TMP]/outside",
        changes: SETTINGS,
        then: |b| {
            assert_eq!(b.run("plugin install linked@bad --yes").code, 2);
            b.nothing_leaked();
        },
    }

    a_document_that_is_a_link_out_of_the_market_is_not_read {
        given: |b| {
            let secret = b.secret();
            fs::create_dir_all(b.bad().join(".claude-plugin")).unwrap();
            symlink(secret, b.bad().join(".claude-plugin/marketplace.json")).unwrap();
        },
        when: ADD,
        says: "error: link `.claude-plugin/marketplace.json` leaves the plugin: -> [TMP]/secret.json",
        then: |b| b.nothing_leaked(),
    }

    links_out_of_a_git_market_are_not_read {
        given: |b| {
            b.entries(json!([{"name": "linked", "source": "./plugins/linked"}, {"name": "half", "source": "./plugins/half"}]));
            fs::create_dir_all(b.bad().join("plugins/linked")).unwrap();
            b.secret();
            symlink("../../../secret.json", b.bad().join("plugins/linked/.mcp.json")).unwrap();
            b.plugin("half", r#"{"half": {"command": "true"}}"#);
            symlink("../../../secret.json", b.bad().join("plugins/half/data.json")).unwrap();
            b.serve_git();
            b.run("plugin marketplace add [URL]/bad.git --yes").ok();
        },
        when: "plugin install half@bad linked@bad --yes",
        prints: "half@bad bc6489a16e4b from ./plugins/half at [DIGEST]
                 |  half (stdio) runs: true
                 Installed half@bad bc6489a16e4b: half
                 Use it: aiw claude --mcp",
        says: "file `data.json` is left out: link that leaves the plugin: -> ../../../secret.json
               error: plugin `linked@bad` cannot be read: link `.mcp.json` leaves the plugin: -> ../../../secret.json",
        changes: &DOCUMENTS,
        then: |b| b.nothing_leaked(),
    }

    a_link_to_itself_is_not_followed_for_ever {
        given: |b| {
            b.entries(json!([{"name": "looped", "source": "./plugins/looped"}]));
            fs::create_dir_all(b.bad().join("plugins/looped")).unwrap();
            symlink(".mcp.json", b.bad().join("plugins/looped/.mcp.json")).unwrap();
        },
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `looped` is left out: it cannot be read: `.mcp.json` is more than 8 links away",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    a_pipe_is_not_waited_for {
        given: |b| {
            b.entries(json!([{"name": "piped", "source": "./plugins/piped"}]));
            fs::create_dir_all(b.bad().join("plugins/piped")).unwrap();
            let made = Command::new("mkfifo").arg(b.bad().join("plugins/piped/.mcp.json")).status().unwrap();
            assert!(made.success());
        },
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `piped` is left out: it cannot be read: `.mcp.json` is neither a file nor a directory nor a link",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    a_manifest_larger_than_a_mib_is_not_read {
        given: |b| {
            b.entries(json!([{"name": "large", "source": "./plugins/large"}]));
            b.plugin("large", &format!("{{{}}}", " ".repeat(1 << 20)));
        },
        when: ADD,
        exit: 0,
        prints: "Added marketplace bad from [TMP]/bad: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `large` is left out: it cannot be read: `.mcp.json` is longer than 1048576 bytes",
        changes: SETTINGS,
        then: |b| b.fine_installs(),
    }

    an_invalid_mcp_json_is_never_installed {
        given: |b| {
            b.entries(json!([{"name": "invalid", "source": "./plugins/invalid"}]));
            b.plugin("invalid", r#"{"mcpServers": {"a": {"command": "x"},}}"#);
            b.add();
        },
        when: "plugin install invalid@bad --yes",
        says: "error: plugin `invalid@bad` has a `.mcp.json` that is not JSON: trailing comma at line 1 column 39",
        then: |b| {
            let listed = b.json("plugin list");
            assert_eq!(listed["plugins"].as_array().unwrap().len(), 1);
            assert!(b.broken("invalid").contains("`.mcp.json` that is not JSON"));
        },
    }

    a_submodule_is_named_as_empty_and_not_followed {
        given: |b| {
            let library = b.env.path("library");
            fs::create_dir(&library).unwrap();
            fs::write(library.join(".mcp.json"), r#"{"leak": {"command": "the-secret-outside"}}"#).unwrap();
            commit_all(&library);
            b.entries(json!([{"name": "sub", "source": "./plugins/sub"}]));
            commit_all(&b.bad());
            git(&b.bad(), &["submodule", "add", "-q", &library.display().to_string(), "plugins/sub"]);
            b.serve_git();
        },
        when: "plugin marketplace add [URL]/bad.git --yes",
        exit: 0,
        prints: "Added marketplace bad from [URL]/bad.git: 2 plugins
                 1 of them brings MCP servers",
        says: "plugin `sub` is left out: it cannot be read: `plugins/sub` is a git submodule, which is not followed",
        changes: SETTINGS,
        then: |b| {
            b.fine_installs();
            assert_eq!(b.run("plugin install sub@bad --yes").code, 2);
            b.nothing_leaked();
        },
    }

    files_that_differ_by_case_alone_are_not_installed {
        given: |b| {
            b.entries(json!([{"name": "cases", "source": "./plugins/cases"}]));
            b.plugin("cases", r#"{"cases": {"command": "true"}}"#);
            b.file("plugins/cases/Read.md", "1");
            b.file("plugins/cases/read.md", "2");
            b.add();
        },
        when: "plugin install cases@bad --yes",
        says: "error: plugin `cases@bad` cannot be read: `Read.md` and `read.md` differ only in case, which some file systems do not distinguish",
        then: |b| b.fine_installs(),
    }

    a_plugin_with_a_file_named_as_a_windows_device_is_not_installed {
        given: |b| {
            b.entries(json!([{"name": "device", "source": "./plugins/device"}]));
            b.plugin("device", r#"{"device": {"command": "true"}}"#);
            b.file("plugins/device/aux.txt", "1");
            b.add();
        },
        when: "plugin install device@bad --yes",
        says: "error: plugin `device@bad` cannot be read: path `aux.txt` contains a Windows device name",
        then: |b| b.fine_installs(),
    }

    // ---- over the network ----

    an_endless_body_is_cut_at_8_mib {
        given: |b| b.serve(|_| Answer::Endless),
        when: ADD_URL,
        says: "error: `[URL]/marketplace.json` is longer than the 8388608 bytes that were requested",
    }

    #[ignore = "the product's limit for a whole body is 2 minutes; the room `net` tests it with a shorter one"]
    a_trickling_body_ends_at_the_limit {
        given: |b| b.serve(|_| Answer::Trickle),
        when: ADD_URL,
        exit: 69,
        says: "error: `[URL]/marketplace.json` took too long",
    }

    a_body_that_breaks_off_is_not_taken_for_whole {
        given: |b| b.serve(|_| Answer::Cut),
        when: ADD_URL,
        exit: 2,
        says: "error: `[URL]/marketplace.json` sent a truncated or garbled answer: end of file before message length reached",
    }

    a_redirect_to_a_private_address_is_not_followed {
        given: |b| {
            b.serve(|_| Answer::ok(r#"{"name": "bad", "plugins": []}"#));
            let inner = b.servers[0].url();
            b.serve(move |_| Answer::redirect(format!("{inner}/marketplace.json")));
        },
        when: ADD_URL,
        says: "error: host `[HOST]` is not among the allowed ones: `*`",
        then: |b| assert_eq!(b.servers[0].seen(), [""; 0]),
    }

    a_redirect_to_the_metadata_of_a_cloud_is_not_followed {
        given: |b| b.serve(|_| Answer::redirect("https://169.254.169.254/marketplace.json")),
        when: ADD_URL,
        says: "error: `169.254.169.254` is not a public address, and nothing allows aiw to reach it",
    }

    redirects_in_a_circle_end {
        given: |b| b.serve(|request| Answer::redirect(request.path.clone())),
        when: ADD_URL,
        says: "error: `[URL]/marketplace.json`: more than 5 redirects",
    }

    an_html_page_is_not_taken_for_a_document {
        given: |b| b.serve(|_| Answer::ok("<!DOCTYPE html><html><body>Sign in</body></html>")),
        when: ADD_URL,
        says: "error: `[URL]/marketplace.json` is a web page, not JSON; if it shows a git repository, add it with `.git` at the end",
    }

    an_answer_404_is_said {
        given: |b| b.serve(|_| Answer::status(404)),
        when: ADD_URL,
        says: "error: `[URL]/marketplace.json` does not exist (status 404)",
    }

    an_answer_503_is_said_and_not_the_users_fault {
        given: |b| b.serve(|_| Answer::status(503)),
        when: ADD_URL,
        exit: 69,
        says: "error: `[URL]/marketplace.json` cannot answer now (status 503)",
    }

    a_git_server_that_answers_with_html_is_refused {
        given: |b| b.serve(|_| Answer::Plain(200, vec![("content-type".into(), "text/html".into())], b"<!DOCTYPE html>".to_vec())),
        when: "plugin marketplace add [URL]/bad.git --yes",
        says: "error: `[URL]/bad.git` is not a git repository: it answered `text/html`",
    }

    a_git_server_that_lies_about_the_commit_is_found_out {
        given: |b| {
            b.entries(json!([]));
            let commit = b.serve_git();
            b.serve(liar(git_backend(b.env.path("srv")), commit));
        },
        when: "plugin marketplace add [URL]/bad.git --yes",
        says: "error: commit `[DIGEST]` is not in `[URL]/bad.git`",
    }

    a_git_server_that_sends_another_commit_than_the_pinned_one_is_found_out {
        given: |b| {
            b.entries(json!([]));
            let commit = b.serve_git();
            b.serve(liar(git_backend(b.env.path("srv")), commit));
            let mut settings: Value = serde_json::from_str(&b.env.read("settings.json")).unwrap();
            settings["sources"]["market-github"]["base_url"] = b.servers[1].url().into();
            b.env.settings(&settings);
            let url = format!("{}/bad.git", b.servers[1].url());
            b.entries(json!([{"name": "pinned", "source": {"source": "git-subdir", "url": url, "path": "plugins/fine", "sha": NOWHERE}}]));
            b.add();
        },
        when: "plugin install pinned@bad --yes",
        says: "error: plugin `pinned@bad` cannot be read: commit `[DIGEST]` is not in `[URL]/bad.git`",
        then: |b| b.fine_installs(),
    }

    a_commit_that_is_not_in_the_repository_is_an_error_and_never_a_fallback {
        given: |b| {
            b.entries(json!([]));
            b.serve_git();
            let url = format!("{}/bad.git", b.servers[0].url());
            b.entries(json!([{"name": "pinned", "source": {"source": "git-subdir", "url": url, "path": "plugins/fine", "ref": "main", "sha": NOWHERE}}]));
            commit_all(&b.bad());
            git(&b.bad(), &["push", "-q", "../srv/bad.git", "HEAD:main"]);
            b.run("plugin marketplace add [URL]/bad.git --yes").ok();
        },
        when: "plugin install pinned@bad --yes",
        says: "error: plugin `pinned@bad` cannot be read: commit `[DIGEST]` is not in `[URL]/bad.git`",
        then: |b| b.fine_installs(),
    }

    an_empty_repository_is_refused {
        given: |b| {
            fs::create_dir_all(b.env.path("srv/bad.git")).unwrap();
            git(&b.env.path("srv/bad.git"), &["init", "-q", "--bare"]);
            b.serve(git_backend(b.env.path("srv")));
        },
        when: "plugin marketplace add [URL]/bad.git --yes",
        says: "error: `[URL]/bad.git` is an empty repository: it has no commits",
    }

    a_branch_that_is_not_there_is_named {
        given: |b| {
            b.entries(json!([]));
            b.serve_git();
        },
        when: "plugin marketplace add [URL]/bad.git#nope --yes",
        says: "error: `[URL]/bad.git` has no branch or tag `nope`",
    }

    an_address_that_is_not_encrypted_needs_a_yes {
        given: |b| b.serve(|_| Answer::ok(r#"{"name": "bad", "plugins": []}"#)),
        when: "plugin marketplace add [URL]/marketplace.json",
        says: "error: `The address is not encrypted: anyone on the network path can change what you install. Add it?` needs an answer, and there is no terminal to ask on
               hint: answer with `--yes`",
        then: |b| assert_eq!(b.servers[0].seen(), [""; 0]),
    }

    an_address_that_is_not_encrypted_needs_a_yes_in_capitals_as_well {
        when: "plugin marketplace add HTTP://127.0.0.1:9/marketplace.json",
        says: "error: `The address is not encrypted: anyone on the network path can change what you install. Add it?` needs an answer, and there is no terminal to ask on
               hint: answer with `--yes`",
    }

    credentials_in_a_reference_are_refused_and_never_repeated {
        when: "plugin marketplace add https://user:hunter2@git.example/bad.git",
        says: "error: `https://…@git.example` contains credentials
               hint: leave them out; git's credential helper supplies them",
    }

    a_token_in_a_reference_is_refused_and_never_repeated {
        when: "plugin marketplace add https://ghp_hunter2@git.example/bad.git",
        says: "error: `https://…@git.example` contains credentials
               hint: leave them out; git's credential helper supplies them",
    }

    credentials_in_ssh_are_refused_and_never_repeated {
        when: "plugin marketplace add ssh://user:hunter2@git.example/bad.git",
        says: "error: `ssh://…@git.example` contains credentials
               hint: leave them out; git's credential helper supplies them",
    }

    a_repository_with_a_pipe_for_its_configuration_is_refused {
        given: |b| {
            b.entries(json!([]));
            commit_all(&b.bad());
            fs::remove_file(b.bad().join(".git/config")).unwrap();
            let made = Command::new("mkfifo").arg(b.bad().join(".git/config")).status().unwrap();
            assert!(made.success());
        },
        when: "plugin marketplace add file://[BAD]",
        says: "error: the git repository at `file://[TMP]/bad` can't be read: `[TMP]/bad/.git/config` is not a file",
        then: |b| {
            // The directory itself still works, because nothing in `.git` is read.
            b.run("plugin marketplace add [BAD]").ok();
        },
    }

    a_reference_of_no_known_form_is_refused {
        when: "plugin marketplace add ftp://host/x",
        says: "error: `ftp://host/x` is not a reference that any source knows
               hint: use `owner/repo` (GitHub), a git URL, a directory, or the URL of a marketplace.json",
    }

    a_reserved_name_from_elsewhere_needs_another {
        given: |b| b.document(r#"{"name": "claude-plugins-official", "plugins": []}"#),
        when: ADD,
        says: "error: the name `claude-plugins-official` belongs to repositories under github.com/anthropics, and this is not one
               hint: add it under another name with `--name NAME`",
        then: |b| {
            let run = b.run("plugin marketplace add [BAD] --name mine").ok();
            assert_eq!(run.stderr, "it calls itself `claude-plugins-official`, and is not official\n");
            let listed = b.run("plugin marketplace list").stdout;
            assert!(listed.lines().any(|l| l.starts_with("mine ") && l.ends_with("not official")), "{listed}");
        },
    }

    a_name_that_looks_like_a_reserved_one_needs_another {
        given: |b| b.document(r#"{"name": "Official_Claude.Plugins", "plugins": []}"#),
        when: ADD,
        says: "error: the name `Official_Claude.Plugins` belongs to repositories under github.com/anthropics, and this is not one
               hint: add it under another name with `--name NAME`",
    }

    a_name_that_a_reader_takes_for_a_reserved_one_needs_a_yes {
        given: |b| b.document(r#"{"name": "cIaude-plugins-official", "plugins": []}"#),
        when: ADD,
        says: "error: the name `cIaude-plugins-official` looks like `claude-plugins-official`, which is Anthropic's, and this is not Anthropic's repository
               hint: `--yes` adds it anyway; `--name NAME` adds it under another name",
        then: |b| {
            let run = b.run("plugin marketplace add [BAD] --yes").ok();
            assert_eq!(run.stderr, "its name looks like `claude-plugins-official`, which is Anthropic's, but it is not official\n");
            // Agreeing once is enough.
            b.run("plugin marketplace add [BAD]").ok();
            b.run("plugin marketplace update cIaude-plugins-official").ok();
        },
    }

    a_name_that_is_mistyped_from_a_reserved_one_needs_a_yes {
        given: |b| b.document(r#"{"name": "bad", "plugins": []}"#),
        when: "plugin marketplace add [BAD] --name claude-plugins-offical",
        says: "error: the name `claude-plugins-offical` looks like `claude-plugins-official`, which is Anthropic's, and this is not Anthropic's repository
               hint: `--yes` adds it anyway; `--name NAME` adds it under another name",
    }

    a_reserved_name_cannot_be_given_either {
        given: |b| b.document(r#"{"name": "bad", "plugins": []}"#),
        when: "plugin marketplace add [BAD] --name anthropic-plugins-v2",
        says: "error: the name `anthropic-plugins-v2` belongs to repositories under github.com/anthropics, and this is not one
               hint: add it under another name with `--name NAME`",
    }

    // ---- things that have disappeared ----

    a_market_that_vanished_keeps_its_listing {
        given: |b| {
            b.entries(json!([]));
            b.add();
            fs::remove_dir_all(b.bad()).unwrap();
        },
        when: "plugin marketplace update bad",
        says: "error: there is no `[TMP]/bad`",
        then: |b| assert_eq!(b.broken("fine"), ""),
    }

    a_repository_that_vanished_keeps_its_listing {
        given: |b| {
            b.entries(json!([]));
            b.serve_git();
            b.run("plugin marketplace add [URL]/bad.git --yes").ok();
            fs::remove_dir_all(b.env.path("srv")).unwrap();
        },
        when: "plugin marketplace update bad",
        says: "error: there is no git repository at `[URL]/bad.git`",
        then: |b| assert_eq!(b.broken("fine"), ""),
    }

    a_market_whose_document_broke_keeps_its_listing {
        given: |b| {
            b.entries(json!([]));
            b.add();
            b.document("{");
        },
        when: "plugin marketplace update bad",
        says: "error: the marketplace.json of `[TMP]/bad` is not JSON: EOF while parsing an object at line 1 column 1",
        then: |b| assert_eq!(b.broken("fine"), ""),
    }

    a_plugin_whose_directory_vanished_is_said {
        given: |b| {
            b.entries(json!([]));
            b.add();
            fs::remove_dir_all(b.bad().join("plugins")).unwrap();
        },
        when: "plugin install fine@bad --yes",
        says: "error: plugin `fine@bad` cannot be read: there is no `plugins/fine`",
    }

    // ---- the home itself ----

    a_file_in_the_place_of_plugins_is_said {
        given: |b| {
            b.entries(json!([]));
            b.add();
            let plugins = b.env.home().join("plugins");
            fs::rename(&plugins, b.env.path("moved")).unwrap();
            fs::write(&plugins, "").unwrap();
        },
        when: "plugin install fine@bad --yes",
        exit: 3,
        says: "error: `[TMP]/aiw/plugins` is a file where a directory should be
               hint: fix `[TMP]/aiw/plugins` by hand, or move it out of the way",
    }

    a_file_in_the_place_of_the_home_is_said {
        given: |b| {
            fs::remove_dir_all(b.env.home()).unwrap();
            fs::write(b.env.home(), "mine").unwrap();
        },
        when: "plugin marketplace add ./good",
        exit: 3,
        says: "error: `[TMP]/aiw` is a file where the home directory should be
               hint: fix `[TMP]/aiw` by hand, or move it out of the way",
        then: |b| assert_eq!(fs::read(b.env.home()).unwrap(), b"mine"),
    }

    a_directory_in_the_place_of_mcp_json_is_said {
        given: |b| {
            b.entries(json!([]));
            b.add();
            fs::remove_file(b.env.home().join("mcp.json")).unwrap();
            fs::create_dir(b.env.home().join("mcp.json")).unwrap();
        },
        when: "plugin install fine@bad --yes",
        exit: 3,
        says: "error: `[TMP]/aiw/mcp.json` is a directory where a file should be
               hint: fix `[TMP]/aiw/mcp.json` by hand, or move it out of the way",
    }

    an_mcp_json_that_is_not_json_is_left_as_it_is {
        given: |b| {
            b.entries(json!([]));
            b.add();
            b.env.write_mcp("{ my own notes");
        },
        when: "plugin install fine@bad --yes",
        exit: 3,
        says: "error: `[TMP]/aiw/mcp.json` is not JSON: key must be a string at line 1 column 3
               hint: fix `[TMP]/aiw/mcp.json` by hand, or move it out of the way",
    }

    an_mcp_json_without_an_object_of_servers_is_left_as_it_is {
        given: |b| {
            b.entries(json!([]));
            b.add();
            b.env.write_mcp(r#"{"mcpServers": []}"#);
        },
        when: "plugin install fine@bad --yes",
        exit: 3,
        says: "error: `[TMP]/aiw/mcp.json` has an `mcpServers` that is not an object
               hint: fix `[TMP]/aiw/mcp.json` by hand, or move it out of the way",
    }

    a_settings_json_that_is_not_json_is_left_as_it_is {
        given: |b| fs::write(b.env.home().join("settings.json"), "{,}").unwrap(),
        when: "plugin marketplace add ./good",
        exit: 3,
        says: "error: `[TMP]/aiw/settings.json` is not JSON: key must be a string at line 1 column 2
               hint: fix `[TMP]/aiw/settings.json` by hand, or move it out of the way",
    }

    a_plugins_json_of_a_newer_aiw_is_left_as_it_is {
        given: |b| {
            b.entries(json!([]));
            b.add();
            let path = b.env.home().join("plugins.json");
            fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"version\": 1,", "\"version\": 2,")).unwrap();
        },
        when: "plugin install fine@bad --yes",
        exit: 3,
        says: "error: `[TMP]/aiw/plugins.json` has version 2, but this aiw supports 1; a newer aiw wrote it
               hint: fix `[TMP]/aiw/plugins.json` by hand, or move it out of the way",
    }

    a_damaged_record_of_a_plugin_is_named {
        given: |b| {
            b.entries(json!([]));
            b.add();
            let path = b.env.home().join("plugins.json");
            fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"digest\": \"", "\"digest\": \"../")).unwrap();
        },
        when: "plugin remove kept",
        exit: 3,
        says: "error: `[TMP]/aiw/plugins.json` has a damaged record of `kept@good`: its digest is not hexadecimal
               hint: fix `[TMP]/aiw/plugins.json` by hand, or move it out of the way",
    }

    no_home_at_all_is_said {
        given: |b| {
            b.env.unset("AIW_HOME");
            b.env.unset("HOME");
        },
        when: "plugin list",
        exit: 3,
        says: "error: there is no home directory: neither `AIW_HOME` nor `HOME` is set
               hint: set `AIW_HOME` to a directory of your own",
    }
}

fn wrong_types(bench: &mut Bench) {
    bench.entries(json!([
        7,
        {"name": 3, "source": "./plugins/fine"},
        {"name": "number", "source": 3},
        {"name": "none"},
        {"name": "described", "source": "./plugins/fine", "description": {"text": "x"}},
        {"name": "versioned", "source": "./plugins/fine", "version": 1},
        {"name": "strict", "source": "./plugins/fine", "strict": "yes"},
        {"name": "wordless", "source": {"repo": "o/r"}},
        {"name": "listed", "source": {"source": "github", "repo": ["o/r"]}},
    ]));
}

fn foreign_forms(bench: &mut Bench) {
    let forms = ["npm", "pip", "archive", "command", "carrier-pigeon"];
    let entry = |form: &&str| json!({"name": format!("{form}-form"), "source": {"source": form, "package": "x"}});
    bench.entries(forms.iter().map(entry).collect());
}

fn circle(bench: &Bench) {
    let path = bench.bad().join(".claude-plugin/marketplace.json");
    let mut document: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    document["renames"] = json!({"a": "b", "b": "c", "c": "a"});
    bench.document(document.to_string());
}

/// Announces another commit for the branch, and sends the real one.
fn liar(
    honest: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    commit: String,
) -> impl Fn(&Request) -> Answer + Send + Sync + 'static {
    let put = |bytes: &[u8], from: &str, to: &str| {
        let mut bytes = bytes.to_vec();
        for at in 0..bytes.len().saturating_sub(from.len()) {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            }
        }
        bytes
    };
    move |request| {
        let mut request = request.clone();
        request.body = put(&request.body, NOWHERE, &commit);
        match honest(&request) {
            Answer::Plain(status, headers, body) if request.method == "GET" => {
                Answer::Plain(status, headers, put(&body, &commit, NOWHERE))
            }
            answer => answer,
        }
    }
}

#[test]
fn escape_codes_never_reach_the_terminal() {
    let bench = Bench::new();
    let evil = "\u{1b}[31mred\u{1b}]0;title\u{7}\u{202e}\u{9b}2J";
    bench.plugin("evil", &json!({"mcpServers": {
        format!("s{evil}"): {"command": format!("run{evil}"), "args": [evil], "env": {"A": format!("${{B}}{evil}")}},
        "left": {"type": evil, "url": "x"},
        "far": {"type": "http", "url": format!("https://h/{evil}")}
    }}).to_string());
    bench.file(
        "plugins/evil/.claude-plugin/plugin.json",
        json!({"name": "evil", "version": evil, "description": evil,
        "userConfig": {"a": {"title": evil}}})
        .to_string(),
    );
    bench.file(&format!("plugins/evil/{}", "odd\u{1b}[31m.txt"), "1");
    bench.document(json!({"name": "bad", "owner": {"name": evil}, "description": evil, "renames": {evil: 3}, "plugins": [
        {"name": "evil", "source": "./plugins/evil", "description": evil, "category": evil, "version": evil, "tags": [evil]},
        {"name": evil, "source": "./plugins/evil"},
        {"name": "path", "source": format!("./{evil}")},
        {"name": "form", "source": {"source": evil}},
        {"name": "url", "source": {"source": "url", "url": format!("https://h/{evil}")}},
        {"name": "ref", "source": {"source": "github", "repo": "o/r", "ref": evil}}
    ]}).to_string());

    let arguments = [evil, "./\u{1b}[31m"];
    let mut runs: Vec<Run> = [
        "plugin marketplace add [BAD]",
        "plugin marketplace list",
        "plugin search red --all",
        "plugin list --available --all",
        "plugin info evil@bad",
        "plugin install evil@bad",
        "plugin install evil@bad --yes",
        "plugin validate [BAD]",
        "plugin list",
        "plugin remove evil@bad",
        "plugin marketplace update bad",
        "plugin list --available --all --json",
        "plugin info evil@bad --json",
    ]
    .map(|line| bench.run(line))
    .into();
    for argument in arguments {
        runs.push(bench.env.run(&["plugin", "marketplace", "add", argument]));
        runs.push(bench.env.run(&["plugin", "install", argument]));
        runs.push(bench.env.run(&["plugin", "marketplace", "update", argument]));
        runs.push(bench.env.run(&["extension", "info", argument]));
    }
    for run in &runs {
        for c in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}'] {
            assert!(!run.stdout.contains(c) && !run.stderr.contains(c), "{c:?}\n{}", run.whole().escape_debug());
        }
    }
}

/// The sizes, in blocks of 512 bytes, make the disk full at each of the writes in turn.
#[test]
fn a_full_disk_keeps_the_old_state_and_is_said_in_one_line() {
    let bench = Bench::new();
    let server = json!({"command": "true", "env": {"A": "x".repeat(6_000)}});
    let servers: Value = (0..7).map(|n| (format!("large-{n}"), server.clone())).collect();
    bench.entries(json!([{"name": "large", "source": "./plugins/large"}]));
    bench.plugin("large", &servers.to_string());
    bench.add();
    let before = bench.documents();
    for blocks in [32, 78, 120, 200] {
        let (binary, _) = bench.env.parts();
        let mut shell = bench.env.program(Path::new("/bin/sh"));
        let script = format!("ulimit -f {blocks}; exec {} plugin install large@bad --yes", binary.display());
        let run: Run = shell.args(["-c", &script]).output().unwrap().into();
        let whole = bench.stable(&run.whole());
        assert_eq!(run.code, 69, "{blocks}: {whole}");
        assert_eq!(run.stderr.lines().count(), 1, "{blocks}: {whole}");
        assert!(run.stderr.contains("File too large"), "{blocks}: {whole}");
        assert_eq!(bench.documents(), before, "{blocks}: {whole}");
    }
    // The next change removes what the last attempt had already written.
    bench.fine_installs();
    assert_eq!(fs::read_dir(bench.env.home().join("plugins")).unwrap().count(), 2);
    bench.run("plugin install large@bad --yes").ok();
}

#[test]
fn damaged_settings_stop_only_what_needs_them() {
    let env = Environment::cold();
    env.write_mcp(r#"{"mcpServers": {"s": {"command": "true"}}}"#);
    fs::write(env.home().join("settings.json"), "{\"budgets\": ").unwrap();
    for arguments in [
        &["role", "list"][..],
        &["plugin", "list"],
        &["mcp", "list"],
        &["mcp", "show", "s"],
        &["usage"],
        &["process", "add", "p", "--", "true"],
        &["ps"],
    ] {
        let run = env.run(arguments).ok();
        let is_said = run.stderr.contains("settings.json` is not JSON") && run.stderr.contains("going on without");
        assert!(is_said, "{arguments:?}: {}", run.whole());
    }
    for arguments in [
        &["history", "search", "x"][..],
        &["task", "list"],
        &["secret", "list"],
        &["provider", "list"],
        &["workflow", "list"],
        &["status"],
        &["down"],
    ] {
        env.run(arguments).ok();
    }
    // What you restrict there is not ignored.
    for arguments in [
        &["claude", "--explain"][..],
        &["process", "start", "p", "--yes"],
        &["mcp", "disable", "s"],
        &["budget", "list"],
        &["trust", "list"],
        &["planner", "show"],
        &["plugin", "marketplace", "list"],
    ] {
        let run = env.run(arguments);
        assert_eq!(run.code, 3, "{arguments:?}: {}", run.whole());
    }
    assert_eq!(env.read("settings.json"), "{\"budgets\": ");
}

#[test]
fn an_address_that_is_empty_sets_no_model() {
    let env = Environment::cold();
    let set = env.run(&["planner", "set", "--openai", "", "--model", "m"]);
    assert!(set.code == 2 && set.stderr.contains("needs an address"), "{}", set.whole());
    env.run(&["planner", "show"]).ok();
    env.run(&["planner", "set", "--openai", "https://api.example.com/v1", "--model", "m"]).ok();
}

#[test]
fn a_number_that_is_none_is_said_in_words() {
    let env = Environment::cold();
    for (args, says) in [
        (&["mcp", "route", "x", "--limit", "many"] as &[&str], "it is not a whole number"),
        (&["mcp", "route", "x", "--limit", "99999999"], "99999999"),
        (&["task", "prune", "--keep", ""], "it is empty"),
    ] {
        let run = env.run(args);
        assert!(run.code == 64 && run.stderr.contains(says), "{args:?}: {}", run.whole());
        assert!(!run.stderr.contains("digit found"), "{args:?}: {}", run.whole());
    }
}
