//! `aiw mcp …`

use std::net::SocketAddr;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::values::parse_pair;
use crate::complete;

pub const REGISTER_EXAMPLES: &str = "\
Every client that is installed: aiw setup
One of them:                    aiw setup claude
For one run:                    aiw claude --mcp";

#[derive(Debug, Subcommand)]
pub enum McpCommand {
    /// Run an MCP server on standard input and output, or over HTTP on this machine
    ///
    /// Put this command into the configuration of an MCP client. It offers the tools of all your MCP servers, and its
    /// own: they start Claude Code, Codex and Gemini CLI as tasks, list them, wait for them, read their logs and stop
    /// them. The tasks belong to the session that the client runs in: `aiw task list` shows them too, and they keep
    /// running when the server ends.
    #[command(after_help = REGISTER_EXAMPLES)]
    Serve(McpServeArgs),
    /// Print the token that clients of `aiw mcp serve --http` show
    Token {
        /// Replace it: the old one is refused at once, by running servers too
        #[arg(long)]
        rotate: bool,
    },
    /// List the MCP servers behind aiw, without starting them
    #[command(visible_alias = "ls")]
    List,
    /// Find MCP servers in registries
    ///
    /// All registries are searched side by side: the official one, Smithery, and those of your own components. A
    /// registry that has a feed of changes is copied to this machine, so that a search is quick and works offline; a
    /// search that finds the copy more than an hour old has it brought up to date in the background.
    #[command(after_help = "aiw mcp search weather forecast")]
    Search(McpSearchArgs),
    /// Show what a registry says about an MCP server
    Info(McpInfoArgs),
    /// Install an MCP server from a registry
    ///
    /// Shows what would run or be reached, and asks. Then it asks for what the server needs: secrets are hidden, and go
    /// to the vault. The server is started once; if it works, it is written to mcp.json with its version, and its tools
    /// are pinned.
    #[command(after_help = "aiw mcp install io.github.upstash/context7")]
    Install(McpInstallArgs),
    /// Update MCP servers that came from registries
    Update(McpUpdateArgs),
    /// List MCP servers from registries that have a newer version, are deprecated or gone, or changed hands
    Outdated {
        /// Only these
        #[arg(value_name = "NAME", add = complete::servers())]
        names: Vec<String>,
    },
    /// Bring the local copies of registries up to date
    #[command(name = "__sync", hide = true)]
    Sync,
    /// Add an MCP server: a command, or a URL
    Add(McpAddArgs),
    /// Add an MCP server from its entry in JSON, as other clients' documentation shows it
    #[command(
        override_usage = "aiw mcp add-json [OPTIONS] [NAME] <JSON>",
        after_help = r#"aiw mcp add-json time '{"command": "uvx", "args": ["mcp-server-time"]}'"#
    )]
    AddJson(McpAddJsonArgs),
    /// Show an MCP server's entry, and what is known about it
    Show {
        #[arg(add = complete::servers())]
        name: String,
    },
    /// Give an MCP server another name
    Rename {
        #[arg(add = complete::servers())]
        name: String,
        /// Its new name: letters, digits, `_` and `-`
        new: String,
    },
    /// Remove MCP servers
    #[command(visible_alias = "rm")]
    Remove {
        #[arg(required = true, value_name = "NAME", add = complete::servers())]
        names: Vec<String>,
    },
    /// Offer MCP servers to clients again
    Enable {
        #[arg(required = true, value_name = "NAME", add = complete::servers())]
        names: Vec<String>,
    },
    /// Keep MCP servers in mcp.json but offer them to no client
    Disable {
        #[arg(required = true, value_name = "NAME", add = complete::servers())]
        names: Vec<String>,
    },
    /// Start each MCP server and show its state, version, tools and latency, and whether clients list its tools
    Status {
        /// Only these
        #[arg(value_name = "NAME", add = complete::servers())]
        names: Vec<String>,
    },
    /// List the tools of the MCP servers, or show some with their parameters
    Tools {
        /// Show the tools of these servers, or these tools
        #[arg(value_name = "SERVER|SERVER/TOOL", add = complete::servers_and_tools())]
        names: Vec<String>,
        /// Only those that this profile allows
        #[arg(long, value_name = "NAME", add = complete::profiles())]
        profile: Option<String>,
        /// Show which tools this client lists, aiw's own among them, what they cost, and which servers are left out
        #[arg(long, value_name = "CLIENT", conflicts_with_all = ["names", "profile"],
            value_parser = PossibleValuesParser::new(aiw_setup::all().iter().map(|client| client.id)))]
        session: Option<String>,
    },
    /// Define which tools a client may see and call
    #[command(subcommand)]
    Profile(McpProfileCommand),
    /// Find the tools for a job, as `intelligent_route` does for a model
    #[command(after_help = "aiw mcp route 'Take a screenshot of a web page. Send an email.'")]
    Route(McpRouteArgs),
    /// Call a tool of an MCP server by hand
    #[command(after_help = "aiw mcp call time/convert_time time=16:30 source_timezone=UTC target_timezone=Asia/Tokyo")]
    Call {
        /// The tool, as `aiw mcp tools` shows it; `SERVER__TOOL` and `SERVER TOOL` will do too
        #[arg(value_name = "SERVER/TOOL", add = complete::servers_and_tools())]
        tool: String,
        /// `NAME=VALUE` for each argument, or one JSON object
        #[arg(value_name = "NAME=VALUE|JSON", add = complete::arguments())]
        arguments: Vec<String>,
    },
    /// Show what an MCP server wrote to standard error
    Logs {
        #[arg(add = complete::servers())]
        name: String,
        /// Show new lines as they come
        #[arg(short, long)]
        follow: bool,
        /// How many lines from the end
        #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
        tail: usize,
    },
    /// Log in to a remote MCP server in the browser, once for all clients
    ///
    /// The address to open is printed too. If the browser runs on another machine, paste the address that it ends up
    /// at, which begins with `http://127.0.0.1`. The tokens are kept in the vault and sent to this server only.
    Login(McpLoginArgs),
    /// Give the tokens of an MCP server back and forget them
    Logout {
        #[arg(add = complete::servers())]
        name: String,
    },
    /// Show how an MCP server has changed its tools, and accept the change
    ///
    /// With --scripts, lets scripts call tools that may change something without asking: where the client of
    /// `run_workflow` can't ask you, they are refused otherwise.
    Approve {
        #[arg(add = complete::servers())]
        name: String,
        /// Let scripts call this tool without asking; may be repeated
        #[arg(long, value_name = "TOOL")]
        scripts: Vec<String>,
        /// Let scripts ask again before they call this tool; may be repeated
        #[arg(long, value_name = "TOOL")]
        no_scripts: Vec<String>,
        /// Let numbers in descriptions change without a question from now on, where nothing else has changed: dates, counters
        #[arg(long, conflicts_with_all = ["scripts", "no_scripts"])]
        numbers: bool,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Start each MCP server, time it, and check its tools
    Doctor {
        /// Only these
        #[arg(value_name = "NAME", add = complete::servers())]
        names: Vec<String>,
    },
}

/// Arguments of `aiw mcp search`.
#[derive(Debug, Args)]
pub struct McpSearchArgs {
    /// Words of the name or the description, or beginnings of words
    #[arg(required = true)]
    pub query: Vec<String>,
    /// Show at most so many
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
    /// Only in this registry
    #[arg(long, value_name = "ID", add = complete::registries())]
    pub source: Option<String>,
}

/// Arguments of `aiw mcp info`.
#[derive(Debug, Args)]
pub struct McpInfoArgs {
    /// The server's name in the registry
    #[arg(add = complete::registry_servers())]
    pub name: String,
    /// This version rather than the latest
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Only in this registry
    #[arg(long, value_name = "ID", add = complete::registries())]
    pub source: Option<String>,
}

/// Arguments of `aiw mcp install`.
#[derive(Debug, Args)]
pub struct McpInstallArgs {
    /// The server's name in the registry
    #[arg(add = complete::registry_servers())]
    pub name: String,
    /// This version rather than the latest
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// From this registry
    #[arg(long, value_name = "ID", add = complete::registries())]
    pub source: Option<String>,
    /// The name under which clients see it: letters, digits, `_` and `-`
    #[arg(long = "name", value_name = "NAME")]
    pub key: Option<String>,
    /// How it runs, if there are several ways: `npm`, `pypi`, `oci`, `nuget`, `mcpb`, `remote`, or a number
    #[arg(long, value_name = "KIND|NUMBER")]
    pub method: Option<String>,
    /// A value that it needs. `${VARIABLE}` takes it from the environment, `@SECRET` from the vault
    #[arg(long, visible_alias = "env", value_name = "NAME=VALUE", value_parser = parse_variable, allow_hyphen_values = true)]
    pub set: Vec<(String, String)>,
    /// Don't start it before it is written
    #[arg(long)]
    pub no_check: bool,
    /// Replace a server of this name
    #[arg(long)]
    pub force: bool,
    /// Don't ask whether to install it
    #[arg(short, long)]
    pub yes: bool,
}

impl McpInstallArgs {
    /// The installation of a server of a registry, without more.
    pub fn new(name: &str, source: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: Some(source.to_owned()),
            version: None,
            key: None,
            method: None,
            set: Vec::new(),
            no_check: false,
            force: false,
            yes: false,
        }
    }
}

/// Arguments of `aiw mcp update`.
#[derive(Debug, Args)]
pub struct McpUpdateArgs {
    /// Only these
    #[arg(value_name = "NAME", add = complete::servers())]
    pub names: Vec<String>,
    /// A value that a new version needs
    #[arg(long, visible_alias = "env", value_name = "NAME=VALUE", value_parser = parse_variable, allow_hyphen_values = true)]
    pub set: Vec<(String, String)>,
    /// Don't start them before they are written
    #[arg(long)]
    pub no_check: bool,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
}

/// Arguments of `aiw mcp route`.
#[derive(Debug, Args)]
pub struct McpRouteArgs {
    /// The job: a sentence for each step
    #[arg(required = true)]
    pub request: Vec<String>,
    /// Show the scores: how well the words fit, and how near the meaning is
    #[arg(long)]
    pub explain: bool,
    /// Show at most so many tools
    #[arg(short = 'n', long, value_name = "N", default_value_t = 5)]
    pub limit: u16,
    /// Search only what this profile allows
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// Arguments of `aiw mcp serve`.
#[derive(Debug, Args)]
pub struct McpServeArgs {
    /// Serve any number of clients over streamable HTTP, on 127.0.0.1:4748 or the loopback address that you give; port
    /// 0 picks a free one
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:4748")]
    pub http: Option<SocketAddr>,
    /// Offer only the tools that this profile allows: one of `mcp.profiles` in settings.json, or of a trusted project
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Offer only these of aiw's own tools: `tasks`, `servers`, `routing`, `history`, `registries`, `processes`,
    /// `workflows`, or `default` for the first four [default: the setting `mcp.toolsets`, else `default`]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub toolsets: Option<Vec<String>>,
}

/// A new MCP server.
#[derive(Debug, Args)]
#[command(after_help = "\
aiw mcp add time -- uvx mcp-server-time
aiw mcp add files --env ROOT=/srv -- npx -y @modelcontextprotocol/server-filesystem /srv
aiw mcp add github --url https://api.githubcopilot.com/mcp/ --header 'Authorization=Bearer ${GITHUB_TOKEN}'
aiw mcp add search --url https://mcp.example.com/mcp --header X-Api-Key=@search-key")]
pub struct McpAddArgs {
    /// The name under which clients see it: letters, digits, `_` and `-`
    pub name: String,
    /// The server's URL (streamable HTTP)
    #[arg(long, required_unless_present = "command", conflicts_with = "command")]
    pub url: Option<String>,
    /// As other clients ask for it; aiw sees it by itself
    #[arg(short, long, hide = true, value_parser = ["stdio", "http", "streamable-http"])]
    pub transport: Option<String>,
    /// A header of its requests; `${VAR}` in a value is read when the server starts, `@SECRET` is a secret of the vault
    #[arg(short = 'H', long, value_name = "NAME=VALUE", value_parser = parse_header)]
    pub header: Vec<(String, String)>,
    /// A variable of its environment; the same goes for the value
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_variable, conflicts_with = "url")]
    pub env: Vec<(String, String)>,
    #[command(flatten)]
    pub how: McpAddOptions,
    /// The command that starts it, after all flags of aiw's; or its URL
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// A new MCP server, as JSON.
#[derive(Debug, Args)]
pub struct McpAddJsonArgs {
    /// The name under which clients see it, or which of several in the JSON is meant: letters, digits, `_` and `-`
    pub name: String,
    /// Its entry, or a whole file as any client has it: `{"mcpServers": …}`, with comments, or TOML; `-` reads it from standard input
    #[arg(value_name = "JSON")]
    pub entry: Option<String>,
    #[command(flatten)]
    pub how: McpAddOptions,
}

/// How an MCP server is added.
#[derive(Debug, Args)]
pub struct McpAddOptions {
    /// Keep what looks like a key in mcp.json, in clear, instead of in the vault
    #[arg(long)]
    pub plaintext: bool,
    /// Replace a server of that name
    #[arg(long)]
    pub force: bool,
    /// Don't start it now to look whether it works
    #[arg(long)]
    pub no_check: bool,
}

/// `aiw mcp profile …`
#[derive(Debug, Subcommand)]
pub enum McpProfileCommand {
    /// List the profiles, and how many tools each allows
    #[command(visible_alias = "ls")]
    List,
    /// Show a profile: its patterns, and the tools that it allows
    Show {
        #[arg(add = complete::profiles())]
        name: String,
    },
    /// Define a profile. Use it with `aiw mcp serve --profile NAME`
    #[command(after_help = "aiw mcp profile add reader --allow read-only --allow 'github/*' --deny 'github/delete*'")]
    Add {
        name: String,
        #[command(flatten)]
        patterns: McpPatterns,
    },
    /// Change a profile. Sessions that run follow it
    Edit {
        #[arg(add = complete::profiles())]
        name: String,
        #[command(flatten)]
        patterns: McpPatterns,
        /// Take a pattern out of the profile
        #[arg(long, value_name = "PATTERN")]
        without: Vec<String>,
    },
    /// Remove profiles
    #[command(visible_alias = "rm")]
    Remove {
        #[arg(required = true, value_name = "NAME", add = complete::profiles())]
        names: Vec<String>,
    },
}

/// Patterns of tools.
#[derive(Debug, Args)]
pub struct McpPatterns {
    /// Allow these tools and no others: `SERVER/TOOL` with `*` for any text, `SERVER`, or `read-only`
    #[arg(long, value_name = "PATTERN", add = complete::servers_and_tools())]
    pub allow: Vec<String>,
    /// Deny these tools, even if they are allowed
    #[arg(long, value_name = "PATTERN", add = complete::servers_and_tools())]
    pub deny: Vec<String>,
    /// Let scripts call these tools without asking, even if they may change something
    #[arg(long, value_name = "PATTERN", add = complete::servers_and_tools())]
    pub scripts: Vec<String>,
    /// List tools up to so many tokens [default: what `mcp.list` in settings.json says, else 5000]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub list_tokens: Option<u32>,
    /// List so many tools at most [default: what `mcp.list` in settings.json says, else 100]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub list_tools: Option<u32>,
    /// List this server's tools whatever they cost: its name, with `*` for any text
    #[arg(long, value_name = "SERVER", add = complete::servers())]
    pub list_always: Vec<String>,
    /// Don't list this server's tools; they are found and called all the same
    #[arg(long, value_name = "SERVER", add = complete::servers())]
    pub list_never: Vec<String>,
}

/// A login.
#[derive(Debug, Args)]
pub struct McpLoginArgs {
    #[arg(add = complete::servers())]
    pub name: String,
    /// Only print the address, and open no browser
    #[arg(long)]
    pub no_browser: bool,
    /// Ask for this scope too, beside those that you have [default: what the server asks for]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// The id of a client that you registered at the authorization server, with the redirect
    /// `http://127.0.0.1/callback` [default: `oauth.clientId` of the server's entry, else aiw registers itself]
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// The secret of the vault that holds this client's secret
    #[arg(long, value_name = "SECRET", requires = "client_id")]
    pub client_secret: Option<String>,
}

/// `NAME=VALUE`, or `NAME: VALUE` as other programs take it.
fn parse_header(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once([':', '=']) {
        Some((name, value)) if text[name.len()..].starts_with(':') => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => parse_variable(text),
    }
}

/// `NAME=VALUE`, of which the value may name a secret.
fn parse_variable(text: &str) -> Result<(String, String), &'static str> {
    parse_pair(text).map_err(|_| "expected `NAME=VALUE` or `NAME=@SECRET`")
}
