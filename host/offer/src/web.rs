//! `open_web_console`: the dashboard in the user's browser.

use std::sync::Arc;

use aiw_app::stable_executable;
use aiw_mcp::Call;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::CallError;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenWebConsole {
    /// The port; without it, a free one
    #[schemars(range(min = 1, max = 65535))]
    port: Option<u64>,
    /// Whether the user's browser is led there
    #[serde(default = "always")]
    auto_open: bool,
}

fn always() -> bool {
    true
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct WebConsole {
    /// Where it listens. It needs a code, which only the user gets: `aiw web --open`
    url: String,
    /// Whether the user's browser was led there
    opened: bool,
}

/// Starts the dashboard in the background, and leads the user's browser there. The code is never part of the answer: who
/// reads it would be the user.
pub(crate) async fn open_web_console(
    context: Arc<Context>,
    asked: OpenWebConsole,
    _: Call,
) -> Result<WebConsole, CallError> {
    let shared = context.clone();
    let work = move || {
        let port = asked.port.and_then(|port| u16::try_from(port).ok());
        let aiw = stable_executable().map_err(aiw_app::AppError::from)?;
        let url = aiw_web::open(&shared.home, Some(&aiw), port)?.unwrap_or_default();
        let opened = asked.auto_open && aiw_web::open_browser(&shared.home, &url)?;
        let shown = url.split("/#").next().unwrap_or_default().to_owned();
        Ok(WebConsole { url: shown, opened })
    };
    context.concurrency_limits.start.run(work).await
}
