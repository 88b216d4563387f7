//! `aiw mcp serve`

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use aiw_app::servers::profiles::{find, profile_source, resolve_profile, unmatched_denials};
use aiw_app::{ClientSession, directory};
use aiw_core::{ErrorKind, printable};
use aiw_home::Home;
use aiw_markets::NoopObserver;
use aiw_offer::{SessionBackend, SessionOptions, SessionToolsets, own_tools};

use super::http;
use crate::cli::mcp::{McpServeArgs, REGISTER_EXAMPLES};
use crate::components::app;
use crate::failure::CliError;
use crate::output::Output;

/// Answers a client at once: Codex offers no server that needs long to start. Components are
/// opened by the first task.
pub async fn serve(args: McpServeArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    if output.is_json() && args.http.is_none() {
        let failure = CliError::new(ErrorKind::Usage, "`--json` can't be used here: the protocol uses standard output");
        return Err(failure.with_hint("aiw mcp serve"));
    }
    let (app, cwd) = (app(home, Arc::new(NoopObserver)), directory(home)?.to_owned());
    let toolsets = toolsets(args.toolsets, home)?;
    // What is wrong with it is said at once. One that can't be read any more allows nothing.
    resolve_profile(home, &cwd, args.profile.as_deref())?;
    let saying = args.profile.clone().and_then(|name| say_idle_denials(name, home.clone(), cwd.clone()));
    // For all clients the same.
    let (session, shared) = (aiw_launch::session(), aiw_routing::SharedServers::default());
    let meaning = Arc::new(aiw_app::models::tool_embeddings(home, output));
    let (at, name) = (home.clone(), args.profile);
    let builder = ClientSession::builder(app, home.context().clone())?.session(session).shared_servers(shared);
    let offer = move || {
        let profile = profile_source(at.clone(), cwd.clone(), name.clone());
        let client = builder.clone().profile(profile).build();
        SessionBackend::new(SessionOptions { client, embeddings: meaning.clone(), toolsets: toolsets.clone() })
    };
    if let Some(address) = args.http {
        return http::serve(output, home.clone(), address, move || Arc::new(offer())).await;
    }
    if std::io::stdin().is_terminal() {
        output.note(
            "This is an MCP server: AI CLIs start it and talk to it on standard input and output. Register it with:",
        );
        REGISTER_EXAMPLES.lines().for_each(|line| output.note(format!("  {line}")));
        output.note("It waits for messages now; Ctrl-C ends it.");
    }
    aiw_mcp::serve_stdio(Arc::new(offer())).await;
    let _ = saying.map(JoinHandle::join);
    Ok(())
}

/// Says which denials of a profile protect from nothing. It reads what is known of each server, so the client does not
/// wait for it.
fn say_idle_denials(name: String, home: Home, cwd: PathBuf) -> Option<JoinHandle<()>> {
    let say = move || {
        let known: Vec<_> = find(&home, &cwd, &name, ErrorKind::Config).into_iter().collect();
        for problem in unmatched_denials(&home, &cwd, &known, own_tools()).unwrap_or_default() {
            // Standard output is the protocol's.
            let _ = writeln!(std::io::stderr().lock(), "note: {}", printable(&problem));
        }
    };
    // Without a thread, `aiw mcp doctor` says it.
    std::thread::Builder::new().name("aiw-profile".into()).spawn(say).ok()
}

/// Returns the toolsets from the command line, else from the settings, else the usual ones.
pub fn toolsets(asked: Option<Vec<String>>, home: &Home) -> Result<SessionToolsets, CliError> {
    let is_set = asked.is_none();
    let names = match asked {
        Some(names) => Some(names),
        None => home.settings()?.mcp()?.toolsets,
    };
    SessionToolsets::from_names(names.as_deref()).map_err(|e| {
        let (kind, place) = if is_set { (ErrorKind::Config, "`mcp.toolsets`: ") } else { (ErrorKind::Usage, "") };
        CliError::new(kind, format!("{place}{e}")).with_hint(e.hint())
    })
}

/// Returns the offer that a session with these toolsets would get now.
pub(super) fn offer(client: Arc<ClientSession>, toolsets: SessionToolsets, output: &Output) -> SessionBackend {
    let meaning = Arc::new(aiw_app::models::tool_embeddings(client.home(), output));
    SessionBackend::new(SessionOptions { client, embeddings: meaning, toolsets })
}
