//! `aiw history …`, as it is typed.

use std::path::PathBuf;

use aiw_core::CliKind;
use aiw_history::MessageAuthor;
use clap::{Args, Subcommand, ValueEnum};

use super::values::parse_since;
use crate::cli::hooks::HooksCommand;
use crate::complete;

#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// Search what was said in past sessions
    ///
    /// Finds words, parts of names, errors and, with a sentence model, what means the same. Nothing leaves this
    /// machine.
    Search(SearchArgs),
    /// Show a session
    Show {
        /// Its id, or the start of it
        session: String,
        /// The messages around this one
        #[arg(long, value_name = "UUID")]
        around: Option<String>,
        /// The most messages; the last ones without --around
        #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// List sessions, the latest first
    Sessions {
        #[command(flatten)]
        filter: FilterArgs,
        /// The most sessions
        #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Read the sessions of Claude Code, Codex and Gemini CLI that are on this machine
    ///
    /// Sessions that were taken in before are not read again. Those of projects that you have excluded since are taken
    /// out, if you agree; those of projects that are not excluded any more come back.
    Import {
        /// A transcript, or a directory with transcripts [default: all of the CLIs' own]
        path: Option<PathBuf>,
        /// All sessions of all CLIs; this is the default
        #[arg(long, conflicts_with = "path")]
        all: bool,
        /// Take out the sessions of projects that are excluded now, without asking
        #[arg(long, short)]
        yes: bool,
    },
    /// Take in sessions as they grow, until you stop it; for CLIs without hooks
    Watch {
        /// How often to look
        #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
        interval: u64,
        /// Look once
        #[arg(long)]
        once: bool,
    },
    /// Show what a session of Claude Code planned to do, also one that is running
    Todos {
        /// Its id, or the start of it [default: the last one]
        #[arg(add = complete::sessions())]
        session: Option<String>,
    },
    /// Have sessions of Claude Code read when they end
    #[command(subcommand)]
    Hooks(HooksCommand),
    /// Show whether hooks are installed, what waits, and which transcripts could not be read, and why
    Doctor,
    /// Show how much is in the history
    Stats,
    /// Forget a session, a project, or what is old
    ///
    /// Its texts, words and vectors go, and what deleted pages still hold of them. The transcripts stay: they are the
    /// CLIs' own, and are not read again for this.
    #[command(group = clap::ArgGroup::new("forgotten").required(true))]
    Forget {
        /// A session's id or the start of it, or a project's directory
        #[arg(group = "forgotten", value_name = "SESSION|PROJECT", add = complete::sessions())]
        what: Option<String>,
        /// Everything that was said before this time
        #[arg(long, group = "forgotten", value_name = "DATE", value_parser = parse_since)]
        before: Option<u64>,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Write a whole session to standard output
    Export {
        /// Its id, or the start of it
        #[arg(add = complete::sessions())]
        session: String,
        /// The format
        #[arg(long, value_enum, default_value_t = ExportFormat::Markdown)]
        format: ExportFormat,
    },
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// The words to search for
    #[arg(required = true)]
    pub query: Vec<String>,
    /// The most hits [default: 10, and 100 with --interactive]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=200))]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Only this session: its id, or the start of it
    #[arg(long, value_name = "ID", add = complete::sessions())]
    pub session: Option<String>,
    /// Only what these said: user, assistant or tool
    #[arg(long)]
    pub role: Option<MessageAuthor>,
    /// Only messages in which this tool was used
    #[arg(long)]
    pub tool: Option<String>,
    /// Search by words alone, without the model
    #[arg(long)]
    pub keyword: bool,
    /// Choose among the hits on a screen, with a preview, and resume the session
    ///
    /// Typing narrows the list: each word must be in a hit's line.
    #[arg(long, short)]
    pub interactive: bool,
}

#[derive(Debug, Args)]
pub struct FilterArgs {
    /// Only sessions of this directory and those below it
    #[arg(long, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Sessions of all projects; this is the default
    #[arg(long, conflicts_with = "project")]
    pub all: bool,
    /// Only what is newer: a date, `today`, `yesterday` or how long ago (`2w`)
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<u64>,
    /// Only sessions of this CLI: claude, codex or gemini
    #[arg(long)]
    pub cli: Option<CliKind>,
}

/// How a session is written out.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ExportFormat {
    Markdown,
    Json,
}
