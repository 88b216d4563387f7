//! The command line, as it is typed.

pub mod provider;
pub mod run;
pub mod task;

use std::path::PathBuf;

use aiw_core::{CliKind, ExtensionId, MarketName};
use clap::{Args, Parser, Subcommand, ValueEnum};

use self::provider::{ProviderCommand, SecretCommand, TrustCommand};
use self::run::RunArgs;
use self::task::{ScopeArgs, TaskCommand, WaitArgs};

/// Runs AI coding CLIs under any API provider, as tasks that nothing loses, and takes care of their plugins
///
/// Exit codes: 0 done, 1 a task failed (a run ends with the CLI's own code), 2 it can't be done as asked, 3 a file of aiw's own is wrong,
/// 64 the command line is wrong, 69 something outside is not available, 70 a defect,
/// 128+n ended by signal n.
#[derive(Debug, Parser)]
#[command(name = "aiw", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Print one JSON object on standard output, errors too
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run Claude Code: with a prompt as a supervised task, without one in this terminal
    Claude(RunArgs),
    /// Run Codex, in the same way
    Codex(RunArgs),
    /// Run Gemini CLI, in the same way
    Gemini(RunArgs),
    /// See, follow and end tasks
    #[command(subcommand)]
    Task(TaskCommand),
    /// Show what runs, and what has ended since anybody looked
    Status(ScopeArgs),
    /// Wait until tasks have ended, and report: exit code 0 if all succeeded, 1 if not, 124 if time ran out
    Wait(WaitArgs),
    /// Add and keep API providers
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Keep secrets: encrypted, and never shown
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Say which directories' own files count
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Find, install and keep plugins that bring MCP servers
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Add and keep components: new kinds of marketplaces and providers
    #[command(subcommand)]
    Extension(ExtensionCommand),
    /// Serve AI CLIs over the Model Context Protocol
    #[command(subcommand)]
    Mcp(McpCommand),
    /// See which AI CLIs are installed
    #[command(subcommand)]
    Cli(CliCommand),
    /// Keep roles: what an AI is told before its task
    #[command(subcommand)]
    Role(RoleCommand),
    /// Write the generated part of the documentation
    #[command(name = "__docs", hide = true)]
    Docs {
        /// Where to
        directory: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Add and keep marketplaces
    #[command(subcommand)]
    Marketplace(MarketplaceCommand),
    /// Search the marketplaces for plugins with MCP servers
    Search(SearchArgs),
    /// List installed plugins, or all that there are
    List(ListArgs),
    /// Show one plugin: what it runs, what it reads, where it comes from
    Info {
        /// NAME or NAME@MARKET
        plugin: String,
    },
    /// Install plugins: their files, and their servers in mcp.json
    Install(InstallArgs),
    /// Update installed plugins; all of them if none is named
    Update(UpdateArgs),
    /// Remove installed plugins: exactly what they added
    #[command(visible_alias = "uninstall")]
    Remove {
        /// NAME or NAME@MARKET
        #[arg(required = true)]
        plugins: Vec<String>,
    },
    /// Put the servers of disabled plugins back
    Enable(EnableArgs),
    /// Take the servers of plugins out of mcp.json, and forget nothing
    Disable {
        /// NAME or NAME@MARKET
        #[arg(required = true)]
        plugins: Vec<String>,
    },
    /// Look through the plugins on a full screen
    Browse {
        /// Words to begin with
        query: Option<String>,
        /// Plugins without MCP servers too
        #[arg(long)]
        all: bool,
        /// No colours; `NO_COLOR` does the same
        #[arg(long)]
        no_color: bool,
    },
    /// Check a marketplace or a plugin as its author
    Validate {
        /// A directory, or a marketplace.json
        path: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words; a plugin must have all of them
    pub query: Vec<String>,
    /// In one marketplace
    #[arg(long, value_name = "NAME")]
    pub market: Option<String>,
    /// In one category
    #[arg(long)]
    pub category: Option<String>,
    /// Plugins without MCP servers too, and those that nobody looked into
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Not only what is installed
    #[arg(long)]
    pub available: bool,
    /// In one marketplace
    #[arg(long, value_name = "NAME")]
    pub market: Option<String>,
    /// With --available: plugins without MCP servers too
    #[arg(long, requires = "available")]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct InstallArgs {
    /// NAME or NAME@MARKET
    #[arg(required = true)]
    pub plugins: Vec<String>,
    /// A value that a server reads; `K='${OTHER}'` reads it from another variable.
    /// Secrets are never written: for them, only the reference is kept
    #[arg(long, value_name = "K=V", value_parser = parse_pair)]
    pub env: Vec<(String, String)>,
    /// When a server's name is taken in mcp.json
    #[arg(long, value_enum)]
    pub on_conflict: Option<OnConflict>,
    /// Agree to what would be added
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// NAME or NAME@MARKET; all installed plugins if none is named
    pub plugins: Vec<String>,
    /// Agree to servers, commands, URLs and variables that change
    #[arg(long)]
    pub accept_changes: bool,
    /// When a new server's name is taken in mcp.json
    #[arg(long, value_enum)]
    pub on_conflict: Option<OnConflict>,
    /// Use the listings as they are, without fetching the marketplaces again
    #[arg(long)]
    pub no_fetch: bool,
}

#[derive(Debug, Args)]
pub struct EnableArgs {
    /// NAME or NAME@MARKET
    #[arg(required = true)]
    pub plugins: Vec<String>,
    /// When a server's name was taken in mcp.json meanwhile
    #[arg(long, value_enum)]
    pub on_conflict: Option<OnConflict>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OnConflict {
    /// Ours replaces theirs; removing the plugin brings theirs back
    Overwrite,
    /// Ours is left out
    Skip,
    /// Ours is called PLUGIN-SERVER
    Rename,
}

impl From<OnConflict> for aiw_markets::OnConflict {
    fn from(choice: OnConflict) -> Self {
        match choice {
            OnConflict::Overwrite => Self::Overwrite,
            OnConflict::Skip => Self::Skip,
            OnConflict::Rename => Self::Rename,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum MarketplaceCommand {
    /// Add a marketplace: OWNER/REPO[@REF], a git URL, a directory, the URL of a marketplace.json
    Add(AddArgs),
    /// Take a marketplace out; installed plugins stay
    Remove {
        /// Its name
        name: String,
    },
    /// Fetch marketplaces again; all of them if none is named
    Update {
        /// Its name
        name: Option<String>,
        /// Do not look into remote plugins
        #[arg(long)]
        no_inspect: bool,
    },
    /// List the marketplaces
    List,
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// Where it is
    pub reference: String,
    /// A name instead of its own
    #[arg(long)]
    pub name: Option<MarketName>,
    /// A branch or tag
    #[arg(long = "ref", value_name = "REF")]
    pub git_ref: Option<String>,
    /// The component that reads it, where several would: aiw's own does if none is named
    #[arg(long, value_name = "ID")]
    pub source: Option<ExtensionId>,
    /// Do not look into remote plugins
    #[arg(long)]
    pub no_inspect: bool,
    /// Agree to an address that is not encrypted, and to a name that looks like one of Anthropic's
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum ExtensionCommand {
    /// Add a component from a file, a directory or a URL
    Add {
        /// PATH, DIRECTORY or URL
        source: String,
        /// Agree to what it may do
        #[arg(short, long)]
        yes: bool,
    },
    /// List the components
    List,
    /// Show one component: who made it, what it may do
    Info {
        /// Its id, or a file that is not added yet
        id: String,
    },
    /// Read components from their sources again; all of them if none is named
    Update {
        /// Its id
        id: Option<String>,
        /// Agree to more than was agreed to before, and to a lower version
        #[arg(long)]
        accept_changes: bool,
    },
    /// Use a component again
    Enable {
        /// Its id
        id: String,
    },
    /// Stop using a component
    Disable {
        /// Its id
        id: String,
    },
    /// Remove a component
    Remove {
        /// Its id
        id: String,
    },
    /// Check the files and grants of components; all of them if none is named
    Verify {
        /// Its id
        id: Option<String>,
    },
    /// Begin a component of your own: a Rust project that builds and tests
    New {
        /// Its id and directory
        name: ExtensionId,
        /// What it will be
        #[arg(long, value_enum)]
        kind: Kind,
    },
    /// Call one function of a component that is not added, and print its answer
    Call(CallArgs),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Reads one kind of plugin marketplace
    MarketSource,
    /// Makes AI CLIs speak to one kind of API provider
    Provider,
}

#[derive(Debug, Args)]
pub struct CallArgs {
    /// The component's file
    pub file: PathBuf,
    /// What to call
    #[arg(value_enum)]
    pub function: Function,
    /// The reference of a marketplace
    pub reference: Option<String>,
    /// Recorded answers: {"URL": {"status": 200, "body": "…"}}; without them, nothing is reached
    #[arg(long, value_name = "FILE")]
    pub http: Option<PathBuf>,
    /// A setting of the component
    #[arg(long, value_name = "K=V", value_parser = parse_pair)]
    pub setting: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Function {
    Describe,
    Claim,
    FetchMarketplace,
}

#[derive(Debug, Subcommand)]
pub enum McpCommand {
    /// Be an MCP server on standard input and output: AI CLIs as tasks of whoever asks
    ///
    /// For the configuration of an MCP client, not for a terminal. Its tools start Claude Code,
    /// Codex and Gemini CLI as tasks, list them, wait for them, read their logs and stop them. The
    /// tasks are those of the session that the client runs in: `aiw task list` shows them too, and
    /// they run on when the server ends.
    #[command(after_help = "Claude Code: claude mcp add aiw -- aiw mcp serve")]
    Serve,
}

#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// List claude, codex and gemini: version, kind of installation, place
    List,
    /// Show one of them
    Info {
        /// claude, codex or gemini
        name: CliKind,
    },
}

#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// List the roles: aiw's own, and Claude Code's subagents
    List,
    /// Print a role
    Show {
        /// Its name
        name: String,
    },
    /// Begin a role: a description, a line of exactly 12 dashes, the content
    New(NewRoleArgs),
    /// Change a role in your editor, `$VISUAL` or `$EDITOR`
    Edit {
        /// Its name
        name: String,
    },
    /// Check roles; all of them if none is named
    Validate {
        /// Its name
        name: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct NewRoleArgs {
    /// Its name, and that of its file
    pub name: String,
    /// What it is for, in a line; with --from, the file is the content alone
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// The role as a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Replace a role that is there
    #[arg(long)]
    pub force: bool,
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it must be of the form `K=V`".into()),
    }
}
