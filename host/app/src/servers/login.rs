//! Logging in to a server, and out again.

use std::time::Duration;

use aiw_core::{BrowserStep, Prompter, Reporter, SecretName, quoted};
use aiw_listen::{Bytes, Full, HttpRoute, Listener, Method, Request, Response, Rules};
use aiw_routing::LoginOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Result, ServerError, pool};
use crate::ClientSession;

/// A login.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LoginRequest {
    /// The server
    pub server: String,
    /// Scopes to ask for beside those that you have; none for those that the server asks for
    pub scopes: Vec<String>,
    /// The id of a client that you registered at the authorization server
    pub client_id: Option<String>,
    /// The secret of the vault that holds this client's secret
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretName>,
    /// Whether no browser is opened
    pub no_browser: bool,
}

/// `aiw mcp login`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct McpLogin {
    /// The server
    pub server: String,
    /// The authorization server that issued the tokens
    pub issuer: String,
    /// The scopes of the tokens, as far as they are known
    pub scopes: Vec<String>,
    /// When the first token expires, in seconds since 1970; it is then refreshed, if it can be
    pub expires: Option<u64>,
    /// Whether it can be refreshed
    pub refreshes: bool,
}

/// `aiw mcp logout`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct McpLogout {
    /// The server
    pub server: String,
    /// Whether there were tokens, which are gone now
    pub removed: bool,
    /// Whether the authorization server took them back
    pub revoked: bool,
}

/// How long the person has.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(600);

/// The path of the redirect of a client that is registered by hand.
const CALLBACK_PATH: &str = "/callback";

/// Sends the person to the authorization server of an MCP server, keeps the tokens that they bring, and looks at the
/// server's tools.
///
/// # Errors
///
/// Fails if the server wants no login, nobody comes back, or the tokens can't be had or kept.
pub async fn login(
    client: &ClientSession,
    request: LoginRequest,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<McpLogin> {
    let LoginRequest { server, scopes, client_id, client_secret, no_browser } = request;
    let pool = pool(client, sink);
    let account = pool.account(&server)?;
    let client_secret = client_secret.map(|secret| client.home().vault().get(&secret)).transpose()?;
    let wishes = LoginOptions { client_id, client_secret, scopes };
    let listener = Listener::bind(([127, 0, 0, 1], account.port().unwrap_or(0)).into()).await?;
    // The path is secret, and a request that guesses it still lacks the state.
    let path = if account.is_registered(&wishes) {
        CALLBACK_PATH.to_owned()
    } else {
        format!("{CALLBACK_PATH}/{}", client.home().random_token()?)
    };
    let redirect = format!("http://{}{path}", listener.address());
    let begun = account.begin(wishes, redirect).await?;

    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let (came, mut coming) = mpsc::channel(1);
    let answer = move |request: Request<Bytes>| {
        let came = came.clone();
        async move {
            // Only the first answer is read.
            let _ = came.try_send(request.uri().query().unwrap_or_default().to_owned());
            page()
        }
    };
    let rules = Rules::new([HttpRoute::public(path, [Method::GET])]);
    let serving = tokio::spawn(listener.serve(rules, answer, stop.clone()));

    let step = |line: String| sink.step(line);
    step(format!("Log in to `{server}` at {}:", begun.issuer()));
    step(begun.url().to_owned());
    if let Some(host) = begun.separate_login_host() {
        step(format!("The page is on another host than the one that you log in at: {}", quoted(&host)));
    }
    let read = |pasted: &str| begun.extract_query(pasted);
    let visited = BrowserStep { url: begun.url(), should_open_browser: !no_browser, parse_redirect: &read };
    let query = tokio::select! {
        query = coming.recv() => query.unwrap_or_default(),
        pasted = ask.open_page(&visited) => pasted?,
        () = tokio::time::sleep(LOGIN_TIMEOUT) => return Err(ServerError::LoginTimeout { minutes: LOGIN_TIMEOUT.as_secs() / 60 }),
    };
    let tokens = account.finish(begun, &query).await;
    stop.cancel();
    // The browser gets its page.
    let _ = tokio::time::timeout(Duration::from_secs(2), serving).await;
    let tokens = tokens?;
    sink.done(format!("Logged in to `{server}`"));
    // Running sessions learn its tools from this.
    if let Err(e) = pool.refresh(&server).await {
        sink.note(format!("it does not work yet: it {}", e.message_without_server()));
    }
    let (issuer, scopes) = (tokens.issuer().to_owned(), tokens.scopes().to_vec());
    Ok(McpLogin { server, issuer, scopes, expires: tokens.expires_at(), refreshes: tokens.can_refresh() })
}

/// Gives the tokens of a server back, and forgets them.
///
/// # Errors
///
/// Fails if the server wants no login, or the vault can't be written.
pub async fn logout(client: &ClientSession, server: &str, sink: &dyn Reporter) -> Result<McpLogout> {
    let (removed, revoked) = pool(client, sink).account(server)?.log_out().await?;
    sink.done(match &revoked {
        _ if !removed => format!("You are not logged in to `{server}`"),
        Ok(true) => format!("Logged out of `{server}`; its tokens are revoked"),
        Ok(false) | Err(_) => format!("Logged out of `{server}`; its tokens are forgotten here"),
    });
    if let (true, Err(e)) = (removed, &revoked) {
        sink.note(format!("they were not revoked: {e}"));
    }
    Ok(McpLogout { server: server.to_owned(), removed, revoked: matches!(revoked, Ok(true)) })
}

/// Returns the page for the browser. It does not show the outcome, which is not known yet, and repeats nothing of the
/// request.
fn page() -> Response<Full<Bytes>> {
    const HTML: &str = "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer><title>aiw</title>\
                        <p>aiw has got the answer. You can close this page; the terminal says how it went.";
    let answer = Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .header("content-security-policy", "default-src 'none'")
        .header("cache-control", "no-store")
        .header("referrer-policy", "no-referrer")
        .body(Full::new(Bytes::from_static(HTML.as_bytes())));
    answer.unwrap_or_default()
}
