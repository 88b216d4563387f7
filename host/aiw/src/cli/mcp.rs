//! `aiw mcp …`

use std::net::SocketAddr;

use clap::{Args, Subcommand};

use crate::complete;

pub const REGISTER: &str = "\
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
    #[command(after_help = REGISTER)]
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
    /// Add an MCP server: a command after `--`, or a URL
    Add(McpAddArgs),
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
    /// Start each MCP server and show its state, version, tools and latency
    Status {
        /// Only these
        #[arg(value_name = "NAME", add = complete::servers())]
        names: Vec<String>,
    },
    /// List the tools of the MCP servers, as clients see them
    Tools {
        /// Only those of these servers
        #[arg(value_name = "NAME", add = complete::servers())]
        names: Vec<String>,
    },
    /// Find the tools for a job, as `intelligent_route` does for a model
    #[command(after_help = "aiw mcp route 'Take a screenshot of a web page. Send an email.'")]
    Route(McpRouteArgs),
    /// Call a tool of an MCP server by hand
    #[command(after_help = "aiw mcp call time convert_time time=16:30 source_timezone=UTC target_timezone=Asia/Tokyo")]
    Call {
        #[arg(add = complete::servers())]
        server: String,
        /// The tool's own name
        tool: String,
        /// `NAME=VALUE` for each argument, or one JSON object
        #[arg(value_name = "NAME=VALUE|JSON")]
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
    /// The address to open is printed too. If the browser runs on another machine, paste the address that it ends up at,
    /// which begins with `http://127.0.0.1`. The tokens are kept in the vault and sent to this server only.
    Login(McpLoginArgs),
    /// Give the tokens of an MCP server back and forget them
    Logout {
        #[arg(add = complete::servers())]
        name: String,
    },
    /// Show how an MCP server has changed its tools, and accept the change
    Approve {
        #[arg(add = complete::servers())]
        name: String,
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

/// What to find.
#[derive(Debug, Args)]
pub struct McpRouteArgs {
    /// What has to be done: a sentence for each step
    #[arg(required = true)]
    pub request: Vec<String>,
    /// Show the scores: how well the words fit, and how near the meaning is
    #[arg(long)]
    pub explain: bool,
    /// Show at most so many tools
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub limit: u16,
    /// Search only what this profile allows
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// What an MCP server offers, and where.
#[derive(Debug, Args)]
pub struct McpServeArgs {
    /// Serve any number of clients over streamable HTTP, on 127.0.0.1:4748 or the loopback address that you give; port 0
    /// picks a free one
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:4748")]
    pub http: Option<SocketAddr>,
    /// Offer only the tools that this profile allows: one of `mcp.profiles` in settings.json, or of a trusted project
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Offer only these of aiw's own tools: tasks, servers [default: the setting `mcp.toolsets`, else all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub toolsets: Option<Vec<String>>,
}

/// A new MCP server.
#[derive(Debug, Args)]
#[command(after_help = "\
aiw mcp add time -- uvx mcp-server-time
aiw mcp add github --url https://api.githubcopilot.com/mcp/ --header 'Authorization=Bearer ${GITHUB_TOKEN}'
aiw mcp add search --url https://mcp.example.com/mcp --header X-Api-Key=@search-key")]
pub struct McpAddArgs {
    /// The name under which clients see it: letters, digits, `_` and `-`
    pub name: String,
    /// The server's URL (streamable HTTP)
    #[arg(long, required_unless_present = "command", conflicts_with = "command")]
    pub url: Option<String>,
    /// A header of its requests; `${VAR}` in a value is read when the server starts, `@SECRET` is a secret of the vault
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header, requires = "url")]
    pub header: Vec<(String, String)>,
    /// A variable of its environment; the same goes for the value
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair, conflicts_with = "url")]
    pub env: Vec<(String, String)>,
    /// Keep what looks like a key in mcp.json, in clear, instead of in the vault
    #[arg(long)]
    pub plain: bool,
    /// Replace a server of that name
    #[arg(long)]
    pub force: bool,
    /// Don't start it now to look whether it works
    #[arg(long)]
    pub no_check: bool,
    /// The command that starts it
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
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
        _ => parse_pair(text),
    }
}

fn parse_pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected `NAME=VALUE` or `NAME=@SECRET`"),
    }
}
