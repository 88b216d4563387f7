//! `--json` for the plugin commands.

use serde_json::json;

use super::{keys, market};

#[test]
fn the_json_of_every_command_has_its_shape() {
    let (env, _market) = market(&[("a", json!({"a": {"command": "true", "args": ["${A_TOKEN}"]}}))]);
    let json = |arguments: &[&str]| env.stable(&format!("{:#}", env.json(arguments)));
    insta::assert_snapshot!(json(&["plugin", "marketplace", "list"]), @r#"
    {
      "marketplaces": [
        {
          "name": "claude-plugins-official",
          "source": "github:anthropics/claude-plugins-official",
          "revision": null,
          "plugins": null,
          "enabled": true,
          "not_inspected": null,
          "fetched_at": null,
          "official": true
        },
        {
          "name": "aiw-official",
          "source": "github:putao520/aiw-plugins",
          "revision": null,
          "plugins": null,
          "enabled": false,
          "not_inspected": null,
          "fetched_at": null,
          "official": false
        },
        {
          "name": "m",
          "source": "[TMP]/m",
          "revision": "dir-[REVISION]",
          "plugins": 1,
          "enabled": true,
          "not_inspected": 0,
          "fetched_at": "2026-01-01T00:00:00Z",
          "official": false
        }
      ]
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "list", "--available", "--all"]), @r#"
    {
      "plugins": [
        {
          "id": "a@m",
          "name": "a",
          "marketplace": "m",
          "version": "1.0.0",
          "description": "The plugin a",
          "author": null,
          "category": null,
          "tags": [],
          "source": "./plugins/a",
          "mcp_servers": [
            {
              "name": "a",
              "type": "stdio"
            }
          ],
          "contents": [],
          "installed": false,
          "enabled": false,
          "missing_env": [],
          "broken": null
        }
      ],
      "hidden": {
        "without_servers": 0,
        "not_inspected": 0,
        "broken": 0
      },
      "not_fetched": [
        "claude-plugins-official"
      ]
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "info", "a"]), @r#"
    {
      "plugin": {
        "id": "a@m",
        "name": "a",
        "marketplace": "m",
        "version": "1.0.0",
        "description": "The plugin a",
        "author": null,
        "category": null,
        "tags": [],
        "source": "./plugins/a",
        "mcp_servers": [
          {
            "name": "a",
            "type": "stdio",
            "target": "true ${A_TOKEN}",
            "details": [],
            "reads": [
              "A_TOKEN"
            ]
          }
        ],
        "contents": [],
        "installed": false,
        "enabled": false,
        "missing_env": [],
        "broken": null,
        "commit": null,
        "skipped": [],
        "installed_version": null,
        "keys": []
      }
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "install", "a", "nope", "--yes"]), @r#"
    {
      "installed": [
        {
          "id": "a@m",
          "version": "1.0.0",
          "commit": null,
          "servers": [
            "a"
          ],
          "missing_env": [
            "A_TOKEN"
          ],
          "notes": [],
          "unchanged": false
        }
      ],
      "failed": [
        {
          "id": "nope",
          "error": "there is no plugin `nope`",
          "hint": "marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`"
        }
      ]
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "list"]), @r#"
    {
      "plugins": [
        {
          "id": "a@m",
          "name": "a",
          "marketplace": "m",
          "version": "1.0.0",
          "description": "The plugin a",
          "author": null,
          "category": null,
          "tags": [],
          "source": "./plugins/a",
          "mcp_servers": [
            {
              "name": "a",
              "type": "stdio"
            }
          ],
          "contents": [],
          "installed": true,
          "enabled": true,
          "missing_env": [
            "A_TOKEN"
          ],
          "broken": null
        }
      ]
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "disable", "a"]), @r#"
    {
      "plugins": [
        {
          "id": "a@m",
          "enabled": false,
          "changed": true,
          "servers": [
            "a"
          ],
          "notes": []
        }
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "enable", "a"]), @r#"
    {
      "plugins": [
        {
          "id": "a@m",
          "enabled": true,
          "changed": true,
          "servers": [
            "a"
          ],
          "notes": []
        }
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "update"]), @r#"
    {
      "updated": [],
      "unchanged": [
        "a@m"
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "marketplace", "update", "m"]), @r#"
    {
      "marketplaces": [
        {
          "name": "m",
          "changed": false,
          "revision": "dir-[REVISION]",
          "plugins": 1,
          "added": [],
          "removed": [],
          "notes": []
        }
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "validate", "./m"]), @r#"
    {
      "valid": true,
      "kind": "marketplace",
      "errors": [],
      "warnings": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "remove", "a"]), @r#"
    {
      "removed": [
        {
          "id": "a@m",
          "servers": [
            "a"
          ],
          "notes": []
        }
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "marketplace", "remove", "m"]), @r#"
    {
      "removed": "m",
      "installed_plugins": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "marketplace", "add", "./m"]), @r#"
    {
      "marketplaces": [
        {
          "name": "m",
          "source": "[TMP]/m",
          "revision": "dir-[REVISION]",
          "plugins": 1,
          "enabled": true,
          "not_inspected": 0,
          "fetched_at": "2026-01-01T00:00:00Z",
          "official": false
        }
      ],
      "notes": []
    }
    "#);
}

#[test]
fn errors_are_json_on_standard_output_with_the_same_exit_code() {
    let (env, _market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    for (arguments, kind) in [
        (vec!["plugin", "info", "nope"], "user"),
        (vec!["plugin", "install", "a"], "user"),
        (vec!["plugin", "install", "x@claude-plugins-official", "--yes"], "unavailable"),
        (vec!["plugin", "marketplace", "remove", "nope"], "user"),
        (vec!["plugin", "marketplace", "add", "./nope"], "user"),
        (vec!["plugin", "nonsense"], "usage"),
    ] {
        let plain = env.run(&arguments);
        let arguments: Vec<&str> = arguments.into_iter().chain(["--json"]).collect();
        let run = env.run(&arguments);
        assert_eq!(run.code, plain.code, "{arguments:?}");
        let answer = run.json();
        let error = if let Some(failed) = answer.get("failed") { failed[0].clone() } else { answer["error"].clone() };
        if answer.get("failed").is_none() {
            assert_eq!(keys(&answer), ["error"]);
            assert_eq!(keys(&error), ["kind", "message", "hint"], "{arguments:?}");
            assert_eq!(error["kind"], kind, "{arguments:?}");
        } else {
            assert_eq!(keys(&answer), ["installed", "failed"]);
            assert!(error["error"].is_string() && error["id"].is_string(), "{answer:#}");
        }
        // The message about what would be installed is shown anyway.
        assert!(run.stderr.is_empty() || arguments[1] == "install", "{}", run.whole());
    }
}
