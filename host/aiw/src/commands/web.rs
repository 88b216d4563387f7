//! `aiw web …`

use std::io::IsTerminal;
use std::sync::Arc;

use aiw_app::browser::is_desktop;
use aiw_app::{App, own_path, stable_executable};
use aiw_core::ErrorKind;
use aiw_home::{Home, HomeError};
use aiw_processes::LoginItem;
use aiw_web::{
    PageProgress, WebOptions, WebServer, WebState, run_in_background, with_start_context, without_credentials,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ask::TerminalPrompter;
use crate::cli::process::AutostartCommand;
use crate::cli::web::{WebArgs, WebCommand};
use crate::components::app;
use crate::failure::CliError;
use crate::output::{self, Output};
use crate::runtime;

/// `aiw web`, printed once it listens
#[derive(Serialize, JsonSchema)]
pub struct WebAddress {
    /// Its address, with a code that is good once, for a minute; without the code if your browser was led there
    pub url: String,
}

pub async fn run(args: WebArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    if args.command.is_some() && (args.open || args.no_open || args.detach || args.port.is_some()) {
        let problem = "`--open`, `--no-open`, `--detach` and `--port` go with `aiw web` alone";
        return Err(CliError::new(ErrorKind::Usage, problem).with_hint("leave them out"));
    }
    match &args.command {
        Some(WebCommand::Status) => {
            status(&aiw_web::state(home)?, output);
            Ok(())
        }
        Some(WebCommand::Stop) => {
            let stopped = aiw_web::stop(home)?;
            output.line(if stopped.stopped { "the dashboard has ended" } else { "the dashboard does not run" });
            output.set_json(stopped);
            Ok(())
        }
        Some(WebCommand::Autostart(command)) => autostart(command, home, output).await,
        None if args.detach => {
            let aiw = stable_executable()?;
            let url = aiw_web::open(home, Some(&aiw), args.port)?;
            url.map_or(Ok(()), |url| show(&url, &args, home, output))
        }
        None => serve(&args, home, output).await,
    }
}

fn status(state: &WebState, output: &Output) {
    match &state.url {
        Some(url) => {
            let how = if state.background { "in the background" } else { "in a terminal" };
            output.line(format!("the dashboard runs {how}, at {url}: `aiw web --open` opens it"));
        }
        None => output.line("the dashboard does not run: `aiw web --open` starts it"),
    }
    output.set_json(state.clone());
}

/// Returns the app of the dashboard and the options of its server.
fn dashboard_app(home: &Home) -> (Arc<App>, WebOptions) {
    let progress = Arc::new(PageProgress::default());
    let app = app(home, progress.clone());
    (app, WebOptions { doctor: Arc::new(super::doctor::run_checks), own_tools: aiw_offer::own_tools, progress })
}

async fn serve(args: &WebArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let (app, options) = dashboard_app(&without_credentials(home));
    let Some(server) = WebServer::bind(app, args.port, options).await? else {
        // A second one points at the first.
        let url = aiw_web::open(home, None, args.port)?;
        return url.map_or(Ok(()), |url| show(&url, args, home, output));
    };
    show(&server.new_address()?, args, home, output)?;
    output.note("Ctrl-C ends the dashboard; `aiw web -d` serves it in the background");
    Ok(server.serve(runtime::graceful_shutdown_token()).await?)
}

/// Opens an address in the browser, or prints it.
fn show(url: &str, args: &WebArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let on_desktop = || is_desktop(home.context()) && !output.is_json() && std::io::stdout().is_terminal();
    let open = args.open || (!args.no_open && on_desktop());
    let is_open = open && aiw_web::open_browser(home, url)?;
    let shown = if is_open { url.split('#').next().unwrap_or(url) } else { url };
    if output.is_json() {
        let answer = WebAddress { url: shown.to_owned() };
        let _ = output::write_line(&serde_json::to_string(&answer).unwrap_or_default());
        return Ok(());
    }
    if is_open {
        output.note("Your browser opens the dashboard; if it does not, `aiw web` prints an address");
    } else if args.open {
        output.note("There is no browser to open: paste this address into one within a minute");
    }
    output.line(shown);
    output.flush();
    Ok(())
}

/// `aiw web autostart`
#[derive(Serialize, JsonSchema)]
pub struct WebAutostart {
    /// Whether the dashboard starts when you log in
    pub on: bool,
    /// The file that says so to the system
    pub file: String,
}

async fn autostart(command: &AutostartCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    let directory = home.context().user_home().ok_or(HomeError::HomeNotFound)?;
    let item = LoginItem {
        home,
        kind: "web",
        path: home.root(),
        command: "web",
        question: "Write this file, so that the system starts the dashboard?",
        directory: &directory,
        start: &["web", "--no-open"],
        stop: &[],
    };
    let next = match command {
        AutostartCommand::Enable { yes } => {
            item.enable(&own_path()?, &TerminalPrompter::new(output, *yes)).await?;
            "it starts at your next login; `systemctl --user daemon-reload` makes the file known now"
        }
        AutostartCommand::Disable => {
            item.disable()?;
            "the dashboard keeps running; `aiw web stop` ends it"
        }
        AutostartCommand::Status => "",
    };
    let answer = WebAutostart { on: item.is_enabled()?, file: item.file()?.to_string_lossy().into_owned() };
    output.line(match answer.on {
        true => format!("the dashboard starts when you log in: `{}`", aiw_core::one_line(&answer.file, 1000)),
        false => "the dashboard does not start by itself".to_owned(),
    });
    if !next.is_empty() && !cfg!(target_vendor = "apple") {
        output.note(next);
    }
    output.set_json(answer);
    Ok(())
}

/// Serves the dashboard on the socket that its supervisor holds.
pub async fn serve_in_background(home: &Home) -> Result<(), CliError> {
    let (app, options) = dashboard_app(&with_start_context(home));
    Ok(run_in_background(home, app, options).await?)
}
