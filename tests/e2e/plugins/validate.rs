//! `aiw plugin validate`.

use std::path::Path;

use aiw_tests::Environment;
use serde_json::{Value, json};

use super::{market, whole};

#[test]
fn what_an_author_should_mend_is_said() {
    let (env, market) = market(&[("p", json!({"p": {"type": "http", "url": ""}}))]);
    let _market = market
        .field("description", Value::Null)
        .field("name", "My.Market".into())
        .field("renames", json!({"old": "gone"}))
        .entry(json!({"name": "Upper", "source": {"source": "github", "repo": "o/r"}}))
        .entry(json!({"name": "versions", "source": "./plugins/versions", "version": "2.0.0"}))
        .file(
            "plugins/versions/.claude-plugin/plugin.json",
            r#"{"name": "versions", "version": "1.0.0", "name": "versions"}"#,
        )
        .file("plugins/versions/A.md", "")
        .file("plugins/versions/a.md", "");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "validate", "./m"])), @"
    error: `renames` leads from `old` to `gone`, which is not listed
    error: plugin `versions`: the key `name` appears twice in `.claude-plugin/plugin.json`
    error: plugin `versions`: `A.md` and `a.md` are the same file on case-insensitive file systems
    warning: the document has no `description`
    warning: the name `My.Market` is not kebab-case
    warning: plugin `p`: server `p` in `.mcp.json` is left out: it has an empty `url`
    warning: plugin `Upper` has a name that is not kebab-case
    warning: plugin `Upper` is not pinned to a commit by `sha`
    warning: plugin `versions`: plugin.json says version `1.0.0`, the marketplace `2.0.0`; plugin.json takes precedence
    ------- stderr -------
    error: the marketplace has 3 errors
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "validate", "./m/plugins/versions"])), @"
    error: the key `name` appears twice in `.claude-plugin/plugin.json`
    error: `A.md` and `a.md` are the same file on case-insensitive file systems
    ------- stderr -------
    error: the plugin has 2 errors
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "validate", "./m/plugins"])), @"
    ------- stderr -------
    error: `./m/plugins` contains neither `.claude-plugin/marketplace.json` nor `.claude-plugin/plugin.json`
    ------- exit code 2 -------
    ");
}

#[test]
fn the_example_marketplace_validates() {
    let env = Environment::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/marketplace");
    let run = env.run(&["plugin", "validate", &example.display().to_string()]).ok();
    assert_eq!(run.stdout, "The marketplace is valid\n");
}
