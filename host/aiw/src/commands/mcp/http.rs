//! `aiw mcp serve --http`, `aiw mcp token`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::Secret;
use aiw_home::{FileStamp, Home};
use aiw_listen::{HttpRoute, ListenError, ListenLimits, Listener, Method, Rules};
use aiw_mcp::{HttpLimits, HttpServer, ServerBackend};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::failure::CliError;
use crate::output::{self, Output};
use crate::runtime;

/// `aiw mcp serve --http`, printed once it listens
#[derive(Serialize, JsonSchema)]
pub struct HttpEndpoint {
    /// Where MCP clients reach it
    pub url: String,
}

/// `aiw mcp token`
#[derive(Serialize, JsonSchema)]
pub struct McpToken {
    /// The token
    pub token: String,
    /// The file that holds it
    pub path: String,
}

/// The path of the endpoint.
const PATH: &str = "/mcp";

/// As long as a message on standard input may be.
const MAX_BODY_BYTES: usize = 64 << 20;

/// Serves sessions on an address until a signal ends the process, which drops all of it.
pub async fn serve(
    output: &Output,
    home: Home,
    address: SocketAddr,
    make: impl Fn() -> Arc<dyn ServerBackend> + Send + Sync + 'static,
) -> Result<(), CliError> {
    let listener = Listener::bind(address).await.map_err(refused)?;
    home.ensure_mcp_token()?;
    let url = format!("http://{}{PATH}", listener.address());
    if output.is_json() {
        let answer = serde_json::to_string(&HttpEndpoint { url }).unwrap_or_default();
        let _ = output::write_line(&answer);
    } else {
        output.note(format!("MCP clients on this machine reach aiw at {url}"));
        output.note("They show the token that `aiw mcp token` prints. Ctrl-C ends the server.");
    }
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let server = HttpServer::new(make, HttpLimits::default(), stop.clone());
    let route = HttpRoute::new(PATH, [Method::POST, Method::GET, Method::DELETE]).with_media_type("application/json");
    let token = Arc::new(ServeToken { home, seen: Mutex::default() });
    let (current, watched) = (token.clone(), server.clone());
    let rules = Rules::new([route])
        .with_token(move || current.current())
        .with_limits(ListenLimits { body_bytes: MAX_BODY_BYTES, ..ListenLimits::default() });
    let answer = move |request| {
        let server = server.clone();
        async move { server.handle(request).await }
    };
    // Open calls end before the server does.
    let (closing, listening) = (runtime::graceful_shutdown_token(), CancellationToken::new());
    let finish = async {
        closing.cancelled().await;
        listening.cancel();
        watched.wait_until_idle().await;
        tokio::time::sleep(FLUSH_TIMEOUT).await;
    };
    tokio::select! {
        () = listener.serve(rules, answer, listening.clone()) => {}
        () = cut_when_replaced(&token, &watched) => {}
        () = finish => {}
    }
    Ok(())
}

/// How long the last answers may take to be sent.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

/// Closes the streams that were opened with a token once that token is replaced.
async fn cut_when_replaced(token: &ServeToken, server: &HttpServer) {
    let mut before = token.current();
    loop {
        tokio::time::sleep(TOKEN_ROTATION_GRACE).await;
        let now = token.current();
        if now.as_ref().map(Secret::expose) != before.as_ref().map(Secret::expose) {
            server.close_streams();
            before = now;
        }
    }
}

/// The token, which can be replaced at any time.
struct ServeToken {
    home: Home,
    seen: Mutex<Option<SeenToken>>,
}

/// The token as it was seen.
struct SeenToken {
    at: Instant,
    stamp: FileStamp,
    token: Option<Secret>,
}

/// A token is good for so long before its file is looked at again: looking takes a tenth of a call's time.
const TOKEN_RECHECK_INTERVAL: Duration = Duration::from_millis(10);

/// How long a stream outlives the token that it was opened with, at most.
const TOKEN_ROTATION_GRACE: Duration = Duration::from_secs(1);

impl ServeToken {
    /// The token as it is now. It is read only if its file has changed: every session that watches the directory would
    /// wake for each look into it.
    fn current(&self) -> Option<Secret> {
        let mut seen = self.seen.lock();
        let now = Instant::now();
        if let Some(fresh) = seen.as_ref().filter(|seen| now.duration_since(seen.at) < TOKEN_RECHECK_INTERVAL) {
            return fresh.token.clone();
        }
        let Ok(about) = std::fs::metadata(self.home.mcp_token_path()) else {
            *seen = None;
            return None;
        };
        let stamp = FileStamp::from_metadata(&about);
        let token = match seen.take() {
            Some(known) if known.stamp == stamp => known.token,
            _ => self.home.mcp_token().ok().flatten(),
        };
        *seen = Some(SeenToken { at: now, stamp, token: token.clone() });
        token
    }
}

fn refused(error: ListenError) -> CliError {
    let runs = matches!(error, ListenError::InUse { .. });
    let failure = CliError::from(error);
    match runs {
        true => {
            failure.with_hint("another `aiw mcp serve --http` may run already; `--http 127.0.0.1:0` picks a free port")
        }
        false => failure,
    }
}

/// Prints the token, or replaces it first.
pub fn token(home: &Home, rotate: bool, output: &Output) -> Result<(), CliError> {
    let token = if rotate { home.rotate_mcp_token()? } else { home.ensure_mcp_token()? };
    if rotate {
        // From here on, no server takes the old one.
        std::thread::sleep(TOKEN_RECHECK_INTERVAL);
    }
    output.line(token.expose());
    output.set_json(McpToken { token: token.expose().to_owned(), path: home.mcp_token_path().display().to_string() });
    if rotate {
        output.note("The old token is not valid any more: give this one to your clients");
    }
    Ok(())
}
