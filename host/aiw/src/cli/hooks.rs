//! `aiw history hooks …`, as it is typed.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum HooksCommand {
    /// Put aiw's hooks into an AI CLI's settings, so that each session is read for the history when it ends
    ///
    /// Everything else in the settings stays as it is, byte for byte.
    Install(HooksArgs),
    /// Take aiw's hooks out again; the settings are then what they were
    Uninstall(HooksArgs),
    /// Show whether the hooks are there
    Status {
        /// Only these settings
        #[arg(long, value_enum)]
        scope: Option<SettingsScope>,
    },
    /// Read what a hook says on standard input, and queue the session (AI CLIs run this)
    ///
    /// It never fails, so that no session is disturbed: errors are in logs/history.log.
    Handle {
        /// Wait until the session was read
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Debug, Args)]
pub struct HooksArgs {
    /// Which settings
    #[arg(long, value_enum, default_value_t = SettingsScope::User)]
    pub scope: SettingsScope,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write without asking; without a terminal, nobody is asked
    #[arg(short, long)]
    pub yes: bool,
}

/// Which settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SettingsScope {
    /// Your own of Claude Code: ~/.claude/settings.json
    User,
    /// Claude Code's of the project in this directory: .claude/settings.json
    Project,
    /// Your own of Claude Code for the project in this directory: .claude/settings.local.json
    Local,
    /// Your own of Codex: ~/.codex/hooks.json
    Codex,
    /// Your own of Gemini CLI: ~/.gemini/settings.json
    Gemini,
}
