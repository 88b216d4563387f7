//! `aiw mcp login`, `aiw mcp logout`

use std::process::{Command, Stdio};
use std::time::Duration;

use aiw_core::{ErrorKind, SecretName, hex, quoted};
use aiw_home::Home;
use aiw_listen::{Bytes, Full, Listener, Method, Request, Response, Route, Rules};
use aiw_mcp::oauth::Login;
use aiw_routing::LoginWishes;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::pool;
use crate::cli::mcp::McpLoginArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;

/// `aiw mcp login`
#[derive(Serialize, JsonSchema)]
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
#[derive(Serialize, JsonSchema)]
pub struct McpLogout {
    /// The server
    pub server: String,
    /// Whether there were tokens, which are gone now
    pub removed: bool,
    /// Whether the authorization server took them back
    pub revoked: bool,
}

/// How long the user has.
const PATIENCE: Duration = Duration::from_secs(600);

/// The path of the redirect of a client that is registered by hand.
const PATH: &str = "/callback";

pub async fn login(args: McpLoginArgs, output: &Output) -> Result<(), Failure> {
    let pool = pool(output)?;
    let name = args.name.as_str();
    let account = pool.account(name)?;
    let client_secret = match &args.client_secret {
        Some(secret) => Some(Home::find()?.vault().get(&secret.parse::<SecretName>()?)?),
        None => None,
    };
    let wishes = LoginWishes { client_id: args.client_id, client_secret, scopes: args.scopes };
    let listener = Listener::bind(([127, 0, 0, 1], account.port().unwrap_or(0)).into()).await;
    let listener = listener.map_err(|e| Failure::new(ErrorKind::Unavailable, e.to_string()).with_hint(e.hint()))?;
    // The path is secret, and a request that guesses it still lacks the state.
    let path = if account.is_registered(&wishes) { PATH.to_owned() } else { format!("{PATH}/{}", random()?) };
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
    let rules = Rules::new([Route::open(path, [Method::GET])]);
    let serving = tokio::spawn(listener.serve(rules, answer, stop.clone()));

    output.note(format!("Log in to `{name}` at {}:", begun.issuer()));
    output.note(begun.url());
    if let Some(host) = begun.other_host() {
        output.note(format!("The page is on another host than the one that you log in at: {}", quoted(&host)));
    }
    if !args.no_browser && opens(begun.url()) {
        output.note("Your browser opens this address.");
    }
    output.flush();
    let query = tokio::select! {
        query = coming.recv() => query.unwrap_or_default(),
        pasted = pasted(&begun, output) => pasted?,
        () = tokio::time::sleep(PATIENCE) => {
            let minutes = PATIENCE.as_secs() / 60;
            return Err(Failure::new(ErrorKind::Unavailable, format!("nobody logged in within {minutes} minutes")));
        }
    };
    let tokens = account.finish(begun, &query).await;
    stop.cancel();
    // The browser gets its page.
    let _ = tokio::time::timeout(Duration::from_secs(2), serving).await;
    let tokens = tokens?;
    output.line(format!("Logged in to `{name}`"));
    output.answer(McpLogin {
        server: name.to_owned(),
        issuer: tokens.issuer().to_owned(),
        scopes: tokens.scopes().to_vec(),
        expires: tokens.expires(),
        refreshes: tokens.can_refresh(),
    });
    output.flush();
    // Running sessions learn its tools from this.
    if let Err(e) = pool.look(name).await {
        output.note(format!("note: it does not work yet: it {}", e.brief()));
    }
    pool.end().await;
    Ok(())
}

pub async fn logout(name: &str, output: &Output) -> Result<(), Failure> {
    let pool = pool(output)?;
    let (removed, revoked) = pool.account(name)?.log_out().await?;
    match &revoked {
        _ if !removed => output.line(format!("You are not logged in to `{name}`")),
        Ok(true) => output.line(format!("Logged out of `{name}`; its tokens are revoked")),
        Ok(false) => output.line(format!("Logged out of `{name}`; its tokens are forgotten here")),
        Err(e) => {
            output.line(format!("Logged out of `{name}`; its tokens are forgotten here"));
            output.note(format!("note: they were not revoked: {e}"));
        }
    }
    output.answer(McpLogout { server: name.to_owned(), removed, revoked: matches!(revoked, Ok(true)) });
    Ok(())
}

/// The address that the user's browser came to, on another machine. It never comes without a terminal.
async fn pasted(login: &Login, output: &Output) -> Result<String, Failure> {
    if !terminal::can_ask() {
        return std::future::pending().await;
    }
    output.note("If the browser is on another machine, paste the address that it ends up at:");
    output.flush();
    loop {
        let pasted = terminal::ask(">").await?;
        match login.query_of(&pasted) {
            Some(query) => return Ok(query),
            None => output.note("That is not the address: it begins with `http://127.0.0.1` and has a `code` in it"),
        }
        output.flush();
    }
}

/// Returns the page for the browser. It does not show the outcome, which is not known yet, and repeats nothing of the
/// request.
fn page() -> Response<Full<Bytes>> {
    const TEXT: &str = "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer><title>aiw</title>\
                        <p>aiw has got the answer. You can close this page; the terminal says how it went.";
    let answer = Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .header("content-security-policy", "default-src 'none'")
        .header("cache-control", "no-store")
        .header("referrer-policy", "no-referrer")
        .body(Full::new(Bytes::from_static(TEXT.as_bytes())));
    answer.unwrap_or_default()
}

/// Opens an address in the user's browser, if there is a way to.
fn opens(url: &str) -> bool {
    let program = match std::env::var_os("BROWSER") {
        Some(browser) if !browser.is_empty() => browser,
        _ if cfg!(target_os = "macos") => "open".into(),
        _ if cfg!(windows) => "explorer".into(),
        // Without a screen it would start a browser in the terminal.
        _ if ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some()) => "xdg-open".into(),
        _ => return false,
    };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Some browsers run as long as their window.
    command.spawn().is_ok_and(|mut child| std::thread::Builder::new().spawn(move || child.wait()).is_ok())
}

/// Returns a part of a path that can't be guessed.
fn random() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| Failure::new(ErrorKind::Unavailable, "the system gives no random numbers"))?;
    Ok(hex(&bytes))
}
