//! Tools that answer in this process, and the real component.

use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use aiw_home::Home;
use aiw_orchestrator::{BundledScripts, CallableTool, Orchestrator, RunResult, ScriptLimits, ScriptPlan, Tools};
use aiw_tests::scripts_part;
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Barrier;

/// What runs the scripts of all tests.
pub fn orchestrator() -> &'static Orchestrator {
    static HOME: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    static ORCHESTRATOR: OnceLock<Orchestrator> = OnceLock::new();
    ORCHESTRATOR.get_or_init(|| {
        let sha256 = std::str::from_utf8(scripts_part("sha256")).unwrap();
        let bundled = BundledScripts { component: scripts_part("wasm.xz"), code: scripts_part("code.xz"), sha256 };
        Orchestrator::new(Home::from_root(HOME.path()), bundled)
    })
}

pub fn tools() -> Vec<CallableTool> {
    let tool = |name: &str, input_schema: Value| CallableTool {
        server: "test".into(),
        name: name.into(),
        qualified_name: format!("test__{name}"),
        input_schema,
        has_output_schema: false,
    };
    let strict = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": false,
    });
    ["echo", "text", "fails", "slow"]
        .map(|name| tool(name, json!({"type": "object"})))
        .into_iter()
        .chain([tool("strict", strict)])
        .collect()
}

struct Answers;

#[async_trait]
impl Tools for Answers {
    async fn call(&self, tool: &CallableTool, arguments: String) -> Result<String, String> {
        let text = |text: &str| json!([{"type": "text", "text": text}]);
        match tool.name.as_str() {
            "text" => Ok(json!({"content": text("plain")}).to_string()),
            "fails" => Ok(json!({"isError": true, "content": text("no such city")}).to_string()),
            name => {
                if name == "slow" {
                    static MEETING: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(10));
                    let read: Value = serde_json::from_str(&arguments).unwrap();
                    match read["ms"].as_u64() {
                        Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                        // Until ten calls run.
                        None => {
                            MEETING.wait().await;
                        }
                    }
                }
                Ok(format!("{{\"content\":[],\"structuredContent\":{arguments}}}"))
            }
        }
    }
}

pub async fn run(code: &str, input: Value) -> RunResult {
    // Time enough for all that means well, on a machine with much else to do.
    let limits = ScriptLimits { cpu: Duration::from_secs(1), ..ScriptLimits::DEFAULT };
    orchestrator()
        .run(ScriptPlan { code: code.into(), input, tools: tools(), limits, keep_arguments: false }, Arc::new(Answers))
        .await
}

pub async fn value(code: &str, input: Value) -> Value {
    let outcome = run(code, input).await.outcome.unwrap_or_else(|e| panic!("{code}\n{e}"));
    serde_json::from_str(outcome.get()).unwrap()
}

pub async fn failure(code: &str, input: Value) -> String {
    match run(code, input).await.outcome {
        Ok(value) => panic!("{code}\nreturned {value}"),
        Err(error) => error.to_string(),
    }
}
