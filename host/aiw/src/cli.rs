//! The command line, as it is typed.

pub mod ci;
pub mod gateway;
pub mod groups;
pub mod history;
pub mod hooks;
pub mod mcp;
pub mod model;
pub mod planner;
pub mod pool;
pub mod process;
pub mod provider;
pub mod run;
pub mod setup;
pub mod sync;
pub mod task;
pub mod usage;
mod values;
pub mod web;
pub mod workflow;

use std::path::PathBuf;

use aiw_core::{CliKind, ExtensionId, Family, MarketName};
use clap::builder::styling::AnsiColor;
use clap::builder::{PossibleValuesParser, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::complete;

use self::ci::CiCommand;
use self::gateway::GatewayCommand;
use self::history::HistoryCommand;
use self::mcp::McpCommand;
use self::model::ModelCommand;
use self::planner::PlannerCommand;
use self::pool::PoolCommand;
use self::process::{EventsArgs, ProcessCommand, ProcessIdsArgs, PsArgs, StartArgs, UpArgs};
use self::provider::{ProviderCommand, SecretCommand, TrustCommand};
use self::run::RunArgs;
use self::setup::{InitArgs, SetupArgs};
use self::sync::SyncCommand;
use self::task::{LogArgs, ScopeArgs, StopArgs, TaskCommand, WaitArgs};
use self::usage::{BudgetCommand, UsageArgs};
use self::values::parse_pair;
use self::web::WebArgs;
use self::workflow::WorkflowCommand;

/// The colours of cargo and uv.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default())
    .error(AnsiColor::Red.on_default().bold())
    .valid(AnsiColor::Cyan.on_default().bold())
    .invalid(AnsiColor::Yellow.on_default().bold());

/// Run AI coding CLIs with any API provider, as background tasks that survive crashes and closed terminals
///
/// Exit codes: 0 success, 1 a task failed (a run exits with the CLI's own code) or `doctor` found something, 2 the
/// request can't be carried out, 3 one of aiw's own files is invalid or a setting is missing, 64 the command line is
/// invalid, 69 the network, a server or the disk is unavailable, 70 a bug in aiw or in an extension, 128+n ended by
/// signal n.
///
/// Lists have a header line, also in a pipe; `--no-header` leaves it out.
#[derive(Debug, Parser)]
#[command(name = "aiw", version, max_term_width = 100, disable_help_subcommand = true, styles = STYLES)]
pub struct Cli {
    /// Print one JSON object to standard output, errors included
    #[arg(long, global = true)]
    pub json: bool,
    /// Print lists without their headers
    #[arg(long, global = true, hide = true)]
    pub no_header: bool,

    /// None: everything on a screen; in a pipe, the state in five lines.
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum AttentionCommand {
    /// List what needs you
    List {
        /// List also what is muted
        #[arg(long)]
        muted: bool,
    },
    /// Hide entries until they change
    Mute {
        /// Their ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Show entries again
    Unmute {
        /// Their ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run Claude Code: as a task if you give a prompt, else in this terminal
    Claude(RunArgs),
    /// Run Codex the same way
    Codex(RunArgs),
    /// Run Gemini CLI the same way
    Gemini(RunArgs),
    /// Show everything on a screen: tasks, processes, servers, providers and more
    ///
    /// `aiw` alone does the same on a terminal. `?` shows the keys.
    Tui(TuiArgs),
    /// Show the project's processes on a screen: `aiw tui processes`
    Top {
        #[command(flatten)]
        look: ScreenStyle,
    },
    /// Open the dashboard in your browser
    ///
    /// It serves one page on this machine alone, until Ctrl-C; with `-d`, until its last page is closed for half an hour. The
    /// address holds a code that is good once, for a minute.
    // Not `args_conflicts_with_subcommands`: that refuses `--json` before a subcommand, too.
    #[command(override_usage = "aiw web [OPTIONS]\n       aiw web <COMMAND>")]
    Web(WebArgs),
    /// List, follow and stop tasks
    #[command(subcommand)]
    Task(TaskCommand),
    /// Show what is running and what finished since you last looked
    Status(ScopeArgs),
    /// Show what needs you, and mute it
    ///
    /// `aiw`, `aiw status`, `aiw tui` and the dashboard show the same first: blocked tools, failed processes and tasks, missing
    /// and rejected keys, exceeded budgets, conflicts, failed CI, and what `aiw doctor` found last.
    #[command(subcommand)]
    Attention(AttentionCommand),
    /// Print the output of a task, or of processes
    Logs(LogArgs),
    /// Stop tasks or processes: SIGTERM, then SIGKILL after five seconds
    Stop(StopArgs),
    /// Start the project's processes, and show what they write
    ///
    /// They are defined in `.ichimi/processes.kdl`, or by an agent. Each runs under a supervisor of its own, which
    /// starts it again when it fails, and outlives this command. Ctrl-C stops what this command started; a second one
    /// ends it at once.
    Up(UpArgs),
    /// Stop the project's processes
    Down(ProcessIdsArgs),
    /// List the project's processes
    Ps(PsArgs),
    /// Stop processes and start them again
    Restart(StartArgs),
    /// Show what has happened to processes and tasks, and by whom
    ///
    /// They are of this project: the newest 50, or all since the time that you name. aiw keeps the newest 10 MB, some 50,000.
    Events(EventsArgs),
    /// Show what continuous integration says: runs of GitHub Actions, and what failed in them
    #[command(subcommand)]
    Ci(CiCommand),
    /// Take your configuration along to your other machines: encrypted, merged, and undone if you like
    #[command(subcommand)]
    Sync(SyncCommand),
    /// Put aiw's hooks into Claude Code's settings, and out again: `aiw history hooks`
    #[command(subcommand, hide = true)]
    Hooks(hooks::HooksCommand),
    /// Push what travels from this machine: `aiw sync push`
    #[command(hide = true)]
    Push(sync::PushArgs),
    /// Merge what other machines pushed: `aiw sync pull`
    #[command(hide = true)]
    Pull(sync::PullArgs),
    /// List the snapshots of the store: `aiw sync list`
    #[command(hide = true)]
    List(sync::ListSnapshotsArgs),
    /// Define, start and reach processes
    #[command(subcommand, visible_alias = "proc")]
    Process(ProcessCommand),
    /// Wait for tasks or processes to end
    ///
    /// Exit codes: 0 if all succeeded, 1 if one failed, 124 if time ran out.
    Wait(WaitArgs),
    /// Manage API providers
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Put several providers or accounts under one name, so that a run goes on when one is limited
    #[command(subcommand)]
    Pool(PoolCommand),
    /// Show what runs have used: requests, tokens and money
    ///
    /// Runs through aiw's gateway are counted request by request, tasks that reach their provider themselves by what
    /// their CLI says. Interactive runs of that kind are not counted. Prices are list prices, unless `models` in
    /// settings.json says others;
    /// `?` stands for what has no known price.
    Usage(UsageArgs),
    /// Limit what runs may use in a day or a month
    #[command(subcommand)]
    Budget(BudgetCommand),
    /// Manage secrets: encrypted on disk and never shown
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Choose the directories whose project files aiw may use
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Find, install and manage plugins with MCP servers
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Manage extensions, which add kinds of marketplaces and providers
    #[command(subcommand)]
    Extension(ExtensionCommand),
    /// Ask for what is missing, and set it up: provider, AI CLIs, history, model, sync
    ///
    /// At most five questions, and Enter skips each. It shows everything that it would change and asks once more; until then
    /// nothing is written. Each step says how to undo it. In the end it asks the npm registry whether newer versions of your AI
    /// CLIs are out, once a day at most (`updates.check`). Without a terminal, or with --json, it asks nothing and prints the
    /// commands that do the same.
    ///
    /// Exit codes: 0 if nothing is missing or all that you chose was done; 2 if you say no in the end; else that of the first
    /// step that could not be done, after all others were.
    Init(InitArgs),
    /// Register aiw as an MCP server in Claude Code, Codex, Gemini CLI, VS Code, Cursor and others
    ///
    /// Shows what it would add to each client's own configuration, and asks. Everything else in those files stays as
    /// it is, byte for byte, and `--undo` gives them back as they were.
    Setup(SetupArgs),
    /// Manage your MCP servers, and serve them all as one
    #[command(subcommand)]
    Mcp(McpCommand),
    /// Keep scripts over the tools of your MCP servers, as tools of their own
    #[command(subcommand)]
    Workflow(WorkflowCommand),
    /// Show which AI CLIs are installed
    #[command(subcommand)]
    Cli(CliCommand),
    /// Manage roles: instructions that go before a prompt
    #[command(subcommand)]
    Role(RoleCommand),
    /// Search past sessions of AI CLIs
    #[command(subcommand)]
    History(HistoryCommand),
    /// Get a sentence model, so that search goes by meaning too
    ///
    /// Everything works without one, by words alone.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Let a model of your own plan jobs over your tools, so that one call does the whole job
    ///
    /// Without one, `intelligent_route` finds the tools and leaves the plan to the AI CLI.
    #[command(subcommand)]
    Planner(PlannerCommand),
    /// Let any program on this machine use any of your providers, whatever API each speaks
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Look for problems with your files, processes, MCP servers and history, and say what to do about each
    ///
    /// Below each problem is the command that mends it. It asks nobody, starts nothing and changes nothing; what takes longer
    /// than a second is left. Exit code 0 if there is no problem, else 1.
    Doctor {
        /// Ask the providers with their keys, npm for newer CLIs, the store of `aiw sync`, and the MCP servers, which are started for that
        #[arg(long)]
        online: bool,
    },
    /// Show how this aiw was installed, and the command that updates it
    ///
    /// It replaces nothing itself, and sends nothing unless you say --check. What runs goes on with the version that it
    /// was started with.
    Update {
        /// Ask the address in `updates.url` of settings.json whether there is a newer version
        #[arg(long)]
        check: bool,
    },
    /// Print the script that completes commands, ids and names in your shell
    ///
    /// bash: put `source <(aiw completions bash)` into ~/.bashrc. zsh: put `source <(aiw completions zsh)` into
    /// ~/.zshrc. fish: put `aiw completions fish | source` into ~/.config/fish/config.fish. PowerShell: put `aiw
    /// completions powershell | Out-String | Invoke-Expression` into $PROFILE.
    Completions {
        /// Your shell
        shell: Shell,
    },
    /// Show the help of a command
    Help {
        /// The command: `task logs`
        command: Vec<String>,
    },
    /// Do the duties of the daemon
    #[command(name = "__daemon", hide = true)]
    Daemon,
    /// Serve the dashboard in the background
    #[command(name = "__web", hide = true)]
    WebInBackground,
    /// Check the API providers once, for the daemon
    #[command(name = "__check-providers", hide = true)]
    CheckProviders,
    /// Write the manual pages
    #[command(name = "__man", hide = true)]
    Man {
        /// The directory to write to
        directory: PathBuf,
    },
    /// Write the generated part of the documentation
    #[command(name = "__docs", hide = true)]
    Docs {
        /// The directory to write to
        directory: PathBuf,
    },
}

#[derive(Debug, Default, Args)]
pub struct TuiArgs {
    /// The screen to begin with
    #[arg(value_parser = screen_words())]
    pub screen: Option<String>,
    #[command(flatten)]
    pub view: ScreenStyle,
}

/// How a screen looks.
#[derive(Debug, Default, Args)]
pub struct ScreenStyle {
    /// Draw with ASCII alone, as for a locale without UTF-8
    #[arg(long)]
    pub ascii: bool,
    /// Leave the mouse to the terminal, which selects text with it; M switches this
    #[arg(long)]
    pub no_mouse: bool,
}

/// Returns the words that name a screen.
fn screen_words() -> PossibleValuesParser {
    PossibleValuesParser::new(aiw_tui::screen_names().iter().map(|(word, _)| *word))
}

/// A shell that can complete.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Manage marketplaces
    #[command(subcommand)]
    Marketplace(MarketplaceCommand),
    /// Search the marketplaces for plugins with MCP servers
    Search(SearchArgs),
    /// List installed plugins, or all available ones
    List(ListArgs),
    /// Show what a plugin runs, what it reads and where it comes from
    Info {
        /// NAME or NAME@MARKET
        #[arg(add = complete::available_plugins())]
        plugin: String,
    },
    /// Install plugins and add their servers to mcp.json
    Install(InstallArgs),
    /// Update installed plugins, or all of them
    Update(UpdateArgs),
    /// Remove plugins and exactly what they added
    #[command(visible_alias = "uninstall")]
    Remove {
        /// NAME or NAME@MARKET
        #[arg(required = true, add = complete::installed_plugins())]
        plugins: Vec<String>,
    },
    /// Add the servers of disabled plugins to mcp.json again
    Enable(EnableArgs),
    /// Take the servers of plugins out of mcp.json but keep the plugins
    Disable {
        /// NAME or NAME@MARKET
        #[arg(required = true, add = complete::installed_plugins())]
        plugins: Vec<String>,
    },
    /// Browse plugins in a full-screen view
    Browse {
        /// Words to search for at the start
        query: Option<String>,
        /// Include plugins without MCP servers
        #[arg(long)]
        all: bool,
        /// Don't use color; `NO_COLOR` does the same
        #[arg(long)]
        no_color: bool,
    },
    /// Check a marketplace or plugin that you wrote
    Validate {
        /// A directory or a marketplace.json
        path: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words that a plugin must all contain
    pub query: Vec<String>,
    /// Only this marketplace
    #[arg(long, value_name = "NAME", add = complete::marketplaces())]
    pub market: Option<String>,
    /// Only this category
    #[arg(long)]
    pub category: Option<String>,
    /// Include plugins without MCP servers and plugins that were not inspected
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// List available plugins too
    #[arg(long)]
    pub available: bool,
    /// Only this marketplace
    #[arg(long, value_name = "NAME", add = complete::marketplaces())]
    pub market: Option<String>,
    /// With --available: include plugins without MCP servers
    #[arg(long, requires = "available")]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct InstallArgs {
    /// NAME or NAME@MARKET
    #[arg(required = true, add = complete::available_plugins())]
    pub plugins: Vec<String>,
    /// Set a value that a server reads; `K='${OTHER}'` reads it from another variable.
    /// A secret goes to the vault; `K=@NAME` is one of `aiw secret`
    #[arg(long, value_name = "K=V", value_parser = parse_pair)]
    pub env: Vec<(String, String)>,
    /// How to go on if a server's name is taken in mcp.json
    #[arg(long, value_enum)]
    pub on_conflict: Option<ConflictArg>,
    /// Install without asking
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// NAME or NAME@MARKET [default: all installed plugins]
    #[arg(add = complete::installed_plugins())]
    pub plugins: Vec<String>,
    /// Accept changed servers, commands, URLs and variables
    #[arg(long)]
    pub accept_changes: bool,
    /// How to go on if a new server's name is taken in mcp.json
    #[arg(long, value_enum)]
    pub on_conflict: Option<ConflictArg>,
    /// Set a value that a server reads, as in `plugin install`
    #[arg(long, value_name = "K=V", value_parser = parse_pair, requires = "plugins")]
    pub env: Vec<(String, String)>,
    /// Don't fetch the marketplaces first
    #[arg(long)]
    pub no_fetch: bool,
}

#[derive(Debug, Args)]
pub struct EnableArgs {
    /// NAME or NAME@MARKET
    #[arg(required = true, add = complete::installed_plugins())]
    pub plugins: Vec<String>,
    /// How to go on if a server's name was taken in mcp.json meanwhile
    #[arg(long, value_enum)]
    pub on_conflict: Option<ConflictArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ConflictArg {
    /// Replace the other entry; removing the plugin restores it
    Overwrite,
    /// Leave this server out
    Skip,
    /// Name this server PLUGIN-SERVER
    Rename,
}

impl From<ConflictArg> for aiw_markets::OnConflict {
    fn from(choice: ConflictArg) -> Self {
        match choice {
            ConflictArg::Overwrite => Self::Overwrite,
            ConflictArg::Skip => Self::Skip,
            ConflictArg::Rename => Self::Rename,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum MarketplaceCommand {
    /// Add a marketplace: OWNER/REPO[@REF], a git URL, a directory or the URL of a marketplace.json
    Add(AddArgs),
    /// Remove a marketplace; its installed plugins stay
    Remove {
        /// Its name
        #[arg(add = complete::marketplaces())]
        name: String,
    },
    /// Fetch a marketplace again, or all of them
    ///
    /// If one of them can't be fetched, the others still are; aiw names it, and exits with the code of the first
    /// failure: 69 if its source is out of reach.
    Update {
        /// Its name
        #[arg(add = complete::marketplaces())]
        name: Option<String>,
        /// Don't inspect plugins in other repositories
        #[arg(long)]
        no_inspect: bool,
    },
    /// List marketplaces
    List,
}

#[derive(Debug, Args)]
#[command(after_help = "Extensions add forms of their own; `aiw extension info ID` shows them.")]
pub struct AddArgs {
    /// OWNER/REPO[@REF], a git URL, a directory or the URL of a marketplace.json
    pub reference: String,
    /// Use this name instead of its own
    #[arg(long)]
    pub name: Option<MarketName>,
    /// Use this branch or tag
    #[arg(long = "ref", value_name = "REF")]
    pub git_ref: Option<String>,
    /// Use this extension if several can read the marketplace [default: aiw's own]
    #[arg(long, value_name = "ID")]
    pub source: Option<ExtensionId>,
    /// Don't inspect plugins in other repositories
    #[arg(long)]
    pub no_inspect: bool,
    /// Accept an unencrypted address and a name that looks like one of Anthropic's
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum ExtensionCommand {
    /// Add an extension from a file, a directory or a URL
    Add {
        /// A file, a directory or a URL
        source: String,
        /// Grant what it asks for without asking you
        #[arg(short, long)]
        yes: bool,
    },
    /// List extensions
    List,
    /// Show who made an extension and what it may do
    Info {
        /// Its id, or a file that you have not added yet
        #[arg(add = complete::extensions())]
        id: String,
    },
    /// Update an extension from its source, or all of them
    Update {
        /// Its id
        #[arg(add = complete::added_extensions())]
        id: Option<String>,
        /// Accept more permissions or a lower version
        #[arg(long)]
        accept_changes: bool,
    },
    /// Use an extension again
    Enable {
        /// Its id
        #[arg(add = complete::added_extensions())]
        id: String,
    },
    /// Stop using an extension
    Disable {
        /// Its id
        #[arg(add = complete::added_extensions())]
        id: String,
    },
    /// Remove an extension
    Remove {
        /// Its id
        #[arg(add = complete::added_extensions())]
        id: String,
    },
    /// Check the files and grants of an extension, or of all of them
    Verify {
        /// Its id
        #[arg(add = complete::added_extensions())]
        id: Option<String>,
    },
    /// Create an extension: a project that builds and passes its tests
    New {
        /// Its id, and the name of its directory
        name: ExtensionId,
        /// Its description
        #[arg(long, value_enum)]
        kind: ComponentKind,
        /// The language that it is written in
        #[arg(long, value_enum, default_value_t = Lang::Rust)]
        lang: Lang,
    },
    /// Call one function of an extension that you have not added
    Call(CallArgs),
    /// Build a project that `new` wrote and call one function of it, again after each save
    Dev(DevArgs),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ComponentKind {
    /// Read a kind of plugin marketplace
    MarketSource,
    /// Connect AI CLIs to a kind of API provider
    Provider,
    /// Read a registry of MCP servers
    RegistrySource,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Lang {
    /// Rust, with aiw's SDK
    Rust,
    /// JavaScript; needs node and npm
    Js,
}

#[derive(Debug, Args)]
pub struct CallArgs {
    /// The extension's file
    pub file: PathBuf,
    #[command(flatten)]
    pub call: FunctionArgs,
}

#[derive(Debug, Args)]
pub struct DevArgs {
    /// The directory of the project [default: this one]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub project: PathBuf,
    #[command(flatten)]
    pub call: FunctionArgs,
}

#[derive(Debug, Clone, Args)]
pub struct FunctionArgs {
    /// The function to call
    #[arg(value_enum)]
    pub function: Function,
    /// A reference to a marketplace, the preset of a provider [default: its first one], what to search a registry for,
    /// the name of a server, or the cursor of a page of changes
    pub reference: Option<String>,
    /// Recorded answers: {"URL": {"status": 200, "body": "…"}}; without them, every request fails
    #[arg(long, value_name = "FILE")]
    pub http: Option<PathBuf>,
    /// Set a setting of the extension
    #[arg(long, value_name = "K=V", value_parser = parse_pair)]
    pub setting: Vec<(String, String)>,
    /// With `plan`: the AI CLI that is to start [default: the first one that the preset fits]
    #[arg(long, add = complete::clis())]
    pub cli: Option<CliKind>,
    /// With a provider: the address of an API family (anthropic, openai, gemini) [default: the preset's]
    #[arg(long, value_name = "FAMILY=URL", value_parser = parse_family)]
    pub base_url: Vec<(Family, String)>,
    /// With a provider: the model
    #[arg(long)]
    pub model: Option<String>,
    /// With a provider or registry: the name of a secret that it has, with a made-up value [default: token]
    #[arg(long, value_name = "NAME")]
    pub secret: Vec<String>,
    /// With `changes`: the time, in milliseconds since 1970 [default: everything that there is]
    #[arg(long, value_name = "MILLIS")]
    pub since: Option<u64>,
    /// With `get-server`: the version [default: the latest]
    #[arg(long, value_name = "VERSION")]
    pub server_version: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Function {
    /// Its kind, and what the component adds
    Describe,
    /// The meaning of a reference to a marketplace
    Claim,
    /// The marketplace document
    FetchMarketplace,
    /// The settings by which an AI CLI reaches a provider
    Plan,
    /// Whether a provider is reachable and accepts the key
    Check,
    /// The models of a provider
    Models,
    /// The MCP servers that a registry finds
    Search,
    /// A page of what changed in a registry
    Changes,
    /// One MCP server of a registry
    GetServer,
}

#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// List claude, codex and gemini with version, kind of installation and path
    List,
    /// Show one AI CLI
    Info {
        /// claude, codex or gemini
        #[arg(add = complete::clis())]
        name: CliKind,
    },
    /// Show which AI CLIs have a newer version, and the commands that update them
    ///
    /// Asks the npm registry, once a day at most, and only when you run this. `"updates": {"check": false}` in
    /// settings.json switches it off, `updates.npm_url` names another registry.
    Outdated,
}

#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// List roles: aiw's own and Claude Code's subagents
    List,
    /// Print a role
    Show {
        /// Its name
        #[arg(add = complete::roles())]
        name: String,
    },
    /// Create a role: a description, a line of exactly 12 dashes, the content
    New(NewRoleArgs),
    /// Edit a role in `$VISUAL`, `$EDITOR` or the editor that git uses
    Edit {
        /// Its name
        #[arg(add = complete::roles())]
        name: String,
    },
    /// Remove roles; aiw leaves Claude Code's subagents alone
    Remove {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Check a role, or all of them
    Validate {
        /// Its name
        #[arg(add = complete::roles())]
        name: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct NewRoleArgs {
    /// Its name, and the name of its file
    pub name: String,
    /// Its purpose, in one line; with --from, the file holds only the content
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Read the role from a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Replace an existing role
    #[arg(long)]
    pub force: bool,
}

fn parse_family(text: &str) -> Result<(Family, String), String> {
    let (family, url) = text.split_once('=').ok_or("expected `FAMILY=URL`")?;
    Ok((family.parse().map_err(|e: aiw_core::InvalidName| e.to_string())?, url.to_owned()))
}
