//! Every command that lists, on terminals of many widths: what things are named by is whole.

use std::collections::BTreeSet;

use serde_json::json;

use crate::terminal::Terminal;

const NAME: &str = "a-name-that-somebody-else-made-and-that-is-long";

#[test]
fn a_name_is_whole_at_any_width() {
    let env = crate::history::filled();
    env.write_mcp(
        &json!({"mcpServers": {NAME: {"command": "/nowhere/to/be/found", "args": ["--with", "many", "options"]}}})
            .to_string(),
    );
    let provider = ["provider", "add", NAME, "--preset", "litellm", "--base-url", "http://127.0.0.1:9/a/long/path"];
    env.run(&[&provider[..], &["--token-env", "SOME_TOKEN", "--model", "scripted"]].concat()).ok();
    env.run_with_input(&["secret", "set", NAME], "hidden\n").ok();
    env.run(&["process", "add", NAME, "--", "sh", "-c", "echo one two three four five six seven; exit 3"]).ok();
    env.run(&["up", NAME, "-d"]);
    env.run(&["stop", NAME]);
    let lists: [&[&str]; 15] = [
        &["provider", "list"],
        &["provider", "presets"],
        &["secret", "list"],
        &["mcp", "list"],
        &["mcp", "status"],
        &["mcp", "profile", "list"],
        &["ps"],
        &["ps", "--all", "--stats"],
        &["history", "sessions"],
        &["role", "list"],
        &["cli", "list"],
        &["model", "list"],
        &["plugin", "marketplace", "list"],
        &["extension", "list"],
        &["trust", "list"],
    ];
    let mut seen = 0;
    for list in lists {
        let piped = env.run(list);
        // In a pipe, two blanks part the columns.
        let names: BTreeSet<&str> =
            piped.stdout.lines().filter_map(|line| line.trim_start().split("  ").next()).collect();
        assert!(!names.iter().any(|name| name.contains('…')), "{list:?}: {}", piped.stdout);
        seen += usize::from(names.contains(NAME));
        for columns in [60, 80, 120, 200] {
            let script = format!("stty cols {columns} rows 60; exec \"$0\" {}", list.join(" "));
            let mut terminal = Terminal::shell(&env, &script);
            terminal.screen.lock().unwrap().screen_mut().set_size(60, columns);
            terminal.ends();
            for name in &names {
                terminal.wait(&format!("{list:?} at {columns}: {name}"), |shown| shown.contains(name));
            }
        }
    }
    assert!(seen >= 6, "the lists that have the name: {seen}");
    env.run(&["down"]);
}
