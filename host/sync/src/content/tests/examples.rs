//! Files as the three CLIs have them.

use super::*;

const CLAUDE: &str = r#"{
  "$schema": "https://json.schemastore.org/claude-code-settings.json",
  "model": "opus", // the large one
  "permissions": {
    "allow": [
      "Bash(git log:*)", // read only
      "Bash(git diff:*)"
    ],
    "deny": ["Read(./.env)"]
  },
  "hooks": {
    "PostToolUse": [
      {
        "matcher": "Edit|Write",
        "hooks": [{ "type": "command", "command": "/home/me/.claude/hooks/format.sh" }]
      }
    ]
  },
  "env": { "PATH": "/home/me/bin:/usr/bin", "EDITOR": "vim" }
}
"#;

fn claude_travels(path: &[String]) -> Option<bool> {
    match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["env"] => None,
        ["env", "PATH"] => Some(false),
        _ => Some(true),
    }
}

fn claude_sets(path: &[String]) -> bool {
    matches!(path.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), ["permissions", _] | ["hooks", _])
}

const CLAUDE_RULES: KeyRules<'static> = KeyRules { is_synced: &claude_travels, is_set: &claude_sets };

fn merged(form: ContentForm, rules: &KeyRules<'_>, base: &str, mine: &str, theirs: &str) -> (ContentMerge, String) {
    let sent = |text: &str| to_synced_content(form, text.as_bytes(), rules, home()).unwrap().bytes;
    let (base, theirs) = (sent(base), sent(theirs));
    let versions = Versions { bases: &[Some(&base)], mine: Some(mine.as_bytes()), theirs: Some(&theirs) };
    let merging = merge(form, &versions, rules, home()).unwrap();
    let text = decided(&merging, mine, &ContentChoice::Mine);
    (merging, text)
}

#[test]
fn permissions_and_hooks_of_both_machines_come_together() {
    let mine = CLAUDE.replace("      \"Bash(git diff:*)\"\n", "      \"Bash(git diff:*)\",\n      \"Bash(ls:*)\"\n");
    let theirs = CLAUDE
        .replace("      \"Bash(git log:*)\", // read only\n", "")
        .replace("[\"Read(./.env)\"]", "[\"Read(./.env)\", \"Read(/home/me/.ssh/**)\"]")
        .replace("    \"PostToolUse\": [\n", "    \"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"/home/me/bin/bell\"}]}],\n    \"PostToolUse\": [\n")
        .replace("\"vim\"", "\"hx\"");
    let (merging, text) = merged(ContentForm::Json, &CLAUDE_RULES, CLAUDE, &mine, &theirs);
    assert!(merging.conflicts().is_empty());
    let wanted = mine
        .replace("      \"Bash(git log:*)\", // read only\n", "      // read only\n")
        .replace("[\"Read(./.env)\"]", "[\"Read(./.env)\", \"Read(/home/me/.ssh/**)\"]")
        .replace("\"vim\"", "\"hx\"")
        .replace(
            "      }\n    ]\n  },\n  \"env\"",
            "      }\n    ],\n    \"Stop\": [\n      {\n        \"hooks\": [\n          {\n            \"type\": \"command\",\n            \"command\": \"/home/me/bin/bell\"\n          }\n        ]\n      }\n    ]\n  },\n  \"env\"",
        );
    assert_eq!(text, wanted);
    let said: Vec<String> = difference(ContentForm::Json, Some(mine.as_bytes()), Some(text.as_bytes()))
        .iter()
        .map(|change| change.key.join("."))
        .collect();
    assert_eq!(said, ["permissions.allow", "permissions.deny", "hooks.Stop", "env.EDITOR"]);
}

#[test]
fn what_stays_and_the_home_are_not_in_what_travels() {
    let travels = to_synced_content(ContentForm::Json, CLAUDE.as_bytes(), &CLAUDE_RULES, home()).unwrap();
    let wanted = CLAUDE.replace("\"PATH\": \"/home/me/bin:/usr/bin\", ", "").replace("\"/home/me/", "\"${aiw:home}/");
    assert_eq!(String::from_utf8(travels.bytes).unwrap(), wanted);
    assert_eq!(travels.home_placeholder_paths, [["hooks", "PostToolUse", "0", "hooks", "0", "command"]]);
}

#[test]
fn a_value_that_both_changed_is_a_conflict_and_each_answer_is_followed() {
    let (mine, theirs) = (CLAUDE.replace("\"opus\"", "\"haiku\""), CLAUDE.replace("\"opus\"", "\"sonnet\""));
    let (merging, text) = merged(ContentForm::Json, &CLAUDE_RULES, CLAUDE, &mine, &theirs);
    assert_eq!((text, keys(&merging)), (mine.clone(), vec!["model".to_owned()]));
    let conflict = &merging.conflicts()[0];
    let shown = [&conflict.base, &conflict.mine, &conflict.theirs].map(|shown| shown.as_ref().unwrap().framed());
    assert_eq!(shown, ["│ \"opus\"", "│ \"haiku\"", "│ \"sonnet\""]);
    assert_eq!(decided(&merging, &mine, &ContentChoice::Theirs), theirs);
    let edited = decided(&merging, &mine, &ContentChoice::Edited(b"\"fable\"".to_vec()));
    assert_eq!(edited, CLAUDE.replace("\"opus\"", "\"fable\""));
    for bad in ["fable", "\"a\", \"b\": 1", "1} //", "", "\u{1}"] {
        let bad = ContentChoice::Edited(bad.as_bytes().to_vec());
        assert!(matches!(merging.resolve(&mut |_| bad.clone()), Err(ContentError::InvalidEdit { .. })), "{bad:?}");
    }
}

#[test]
fn a_first_pull_deletes_nothing_and_asks_for_each_difference() {
    let mine = "{\"model\": \"opus\", \"theme\": \"dark\", \"permissions\": {\"allow\": [\"a\", \"b\"]}}";
    let theirs = "{\"model\": \"haiku\", \"effort\": \"low\", \"permissions\": {\"allow\": [\"b\", \"c\"]}}";
    let versions = Versions { bases: &[], mine: Some(mine.as_bytes()), theirs: Some(theirs.as_bytes()) };
    let merging = merge(ContentForm::Json, &versions, &CLAUDE_RULES, home()).unwrap();
    assert_eq!(keys(&merging), ["model"]);
    assert_eq!(
        decided(&merging, mine, &ContentChoice::Mine),
        "{\"model\": \"opus\", \"theme\": \"dark\", \"permissions\": {\"allow\": [\"a\", \"b\", \"c\"]}, \"effort\": \"low\"}"
    );
}

/// A snapshot of somebody who knows the phrase.
#[test]
fn a_snapshot_says_nothing_about_keys_that_stay() {
    let theirs = r#"{"model": "haiku", "env": {"PATH": "/tmp/evil", "A": "b"}}"#;
    for mine in [Some("{\"model\": \"opus\", \"env\": {\"PATH\": \"/bin\"}}"), None] {
        let versions = Versions { bases: &[], mine: mine.map(str::as_bytes), theirs: Some(theirs.as_bytes()) };
        let merging = merge(ContentForm::Json, &versions, &CLAUDE_RULES, home()).unwrap();
        let FileAction::Write(bytes) = merging.resolve(&mut |_| ContentChoice::Theirs).unwrap() else { panic!() };
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("evil") && text.contains("haiku") && text.contains("\"b\""), "{text}");
        assert_eq!(text.contains("/bin"), mine.is_some());
    }
}

const CODEX: &str = r#"# Codex, on the desk
model = "gpt-5.5" # the newest
approval_policy = "on-request"
notify = ["/home/me/bin/notify", "--codex"]

[projects."/home/me/work"]
trust_level = "trusted"

# docs
[mcp_servers.docs]
command = "npx"
args = ["-y", "docs-mcp"]
startup_timeout_sec = 20

[mcp_servers.docs.env]
TOKEN_FILE = '/home/me/.token'

[tui]
since = 2026-11-27T10:00:00Z # a time
"#;

fn codex_travels(path: &[String]) -> Option<bool> {
    path.first().map(|key| key != "projects")
}

const CODEX_RULES: KeyRules<'static> = KeyRules { is_synced: &codex_travels, is_set: &is_set };

#[test]
fn codex_servers_merge_and_projects_stay() {
    let mine = CODEX.replace("\"on-request\"", "\"never\"");
    let theirs = CODEX
        .replace("/home/me/work", "/home/me/other")
        .replace("startup_timeout_sec = 20", "startup_timeout_sec = 40")
        .replace("2026-11-27T10:00:00Z", "2026-11-28T10:00:00.25Z")
        + "\n[mcp_servers.time]\ncommand = \"/home/me/bin/time\"\n";
    let (merging, text) = merged(ContentForm::Toml, &CODEX_RULES, CODEX, &mine, &theirs);
    assert!(merging.conflicts().is_empty());
    assert_eq!(text, theirs.replace("/home/me/other", "/home/me/work").replace("\"on-request\"", "\"never\""));
    let sent = to_synced_content(ContentForm::Toml, CODEX.as_bytes(), &CODEX_RULES, home()).unwrap();
    let without = CODEX.replace("[projects.\"/home/me/work\"]\ntrust_level = \"trusted\"\n\n", "");
    let wanted =
        without.replace("\"/home/me/bin", "\"${aiw:home}/bin").replace("'/home/me/.token'", "\"${aiw:home}/.token\"");
    assert_eq!(String::from_utf8(sent.bytes).unwrap(), wanted);
}

#[test]
fn a_deleted_server_goes_unless_it_was_changed_here() {
    let start = CODEX.find("[mcp_servers.docs]").unwrap();
    let end = CODEX.find("[tui]").unwrap();
    let theirs = [&CODEX[..start], &CODEX[end..]].concat();
    let (merging, text) = merged(ContentForm::Toml, &CODEX_RULES, CODEX, CODEX, &theirs);
    assert_eq!((keys(&merging).len(), text), (0, theirs.replace("# docs\n[tui]", "# docs\n\n[tui]")));
    let mine = CODEX.replace("\"npx\"", "\"bunx\"");
    let (merging, text) = merged(ContentForm::Toml, &CODEX_RULES, CODEX, &mine, &theirs);
    assert_eq!((keys(&merging), text), (vec!["mcp_servers".to_owned()], mine));
    assert!(merging.conflicts()[0].theirs.is_none());
}

#[test]
fn gemini_settings_merge_with_their_comments_and_line_ends() {
    let base = "\u{feff}{\r\n\t// Gemini\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {\"command\": \"x\"}, // mine\r\n\t},\r\n\t\"ui\": {\"theme\": \"GitHub\"},\r\n}\r\n";
    let theirs = base
        .replace("\"GitHub\"", "\"Dracula\"")
        .replace("{\"command\": \"x\"}", "{\"command\": \"x\"}, \"b\": {\"url\": \"https://b.example\"}");
    let all = |_: &[String]| Some(true);
    let rules = KeyRules { is_synced: &all, is_set: &is_set };
    let (merging, text) = merged(ContentForm::Json, &rules, base, base, &theirs);
    assert!(merging.conflicts().is_empty());
    assert_eq!(
        text,
        base.replace("\"GitHub\"", "\"Dracula\"")
            .replace("// mine\r\n", "// mine\r\n\t\t\"b\": {\r\n\t\t\t\"url\": \"https://b.example\"\r\n\t\t},\r\n")
    );
}

#[test]
fn a_file_that_is_gone_or_cannot_be_read_is_told_apart() {
    let (form, rules) = (ContentForm::Json, &CLAUDE_RULES);
    let base = to_synced_content(form, CLAUDE.as_bytes(), rules, home()).unwrap().bytes;
    let done = |bases: &[Option<&[u8]>], mine: Option<&[u8]>, theirs: Option<&[u8]>| {
        let merging = merge(form, &Versions { bases, mine, theirs }, rules, home()).unwrap();
        (merging.conflicts().len(), merging.resolve(&mut |_| ContentChoice::Theirs).unwrap())
    };
    let (bases, changed) = ([Some(base.as_slice())], base.to_ascii_uppercase());
    let changed = String::from_utf8(changed).unwrap().replace("\"MODEL\"", "\"model\"");
    let changed = changed.as_bytes();
    // Gone there: the keys that stay are left.
    let (conflicts, left) = done(&bases, Some(CLAUDE.as_bytes()), None);
    let FileAction::Write(left) = left else { panic!("{left:?}") };
    assert_eq!((conflicts, top_level_keys(form, &left).unwrap()), (0, vec!["env".to_owned()]));
    assert_eq!(done(&bases, Some(b"{\"a\": 1}"), None), (1, FileAction::Delete));
    assert_eq!(done(&[], Some(CLAUDE.as_bytes()), None), (0, FileAction::Unchanged));
    // Gone here.
    assert_eq!(done(&bases, None, Some(&base)), (0, FileAction::Unchanged));
    assert_eq!(done(&bases, None, Some(changed)).0, 1);
    assert!(matches!(done(&[], None, Some(&base)), (0, FileAction::Write(_))));
    assert!(matches!(done(&[None], None, Some(&base)), (0, FileAction::Write(_))));
    assert_eq!(done(&bases, None, None), (0, FileAction::Unchanged));
    // What can't be read is not a deletion.
    for (bad, side) in
        [(b"{\"a\":".as_slice(), "is not JSON"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff", "is not UTF-8")]
    {
        let error = |base, mine, theirs| {
            let versions = Versions { bases: &[Some(base)], mine: Some(mine), theirs: Some(theirs) };
            merge(form, &versions, rules, home()).unwrap_err().to_string()
        };
        assert!(error(bad, b"{}", b"{}").starts_with(&format!("the file in the last common snapshot {side}")));
        assert!(error(b"{}", bad, b"{}").starts_with(&format!("the file on this machine {side}")));
        assert!(error(b"{}", b"{}", bad).starts_with(&format!("the file in the snapshot {side}")));
    }
}

#[test]
fn a_scan_sees_all_strings_with_their_keys() {
    let all = strings(ContentForm::Toml, b"a = 'x'\n[[b]]\nc = ['y', { d = \"z\" }]\nt = 1979-05-27\n").unwrap();
    let all: Vec<String> = all.into_iter().map(|(path, text)| format!("{}={text}", path.join("."))).collect();
    assert_eq!(all, ["a=x", "b.0.c.0=y", "b.0.c.1.d=z"]);
    let many = format!("[{}\"\"]", "\"\",".repeat(100_000));
    assert!(strings(ContentForm::Json, format!("{{\"a\": {many}}}").as_bytes()).is_err());
}
