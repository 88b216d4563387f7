//! `aiw up`, `down`, `ps`, `restart` and `aiw process …`, as they are typed.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use aiw_events::EventKind;
use aiw_processes::ExportFormat;
use clap::{Args, Subcommand};

use super::values::{parse_duration, parse_pair, parse_since};
use crate::complete;

#[derive(Debug, Subcommand)]
pub enum ProcessCommand {
    /// Add a process to `.ichimi/processes.kdl`, one from a template, or those of another tool's file
    Add(NewProcessArgs),
    /// Edit `.ichimi/processes.kdl`
    Edit,
    /// Print the definitions of all processes, or write them to a file
    ///
    /// They are those of `.ichimi/processes.kdl` and those of agents. `[secret]` stands for what looks like a secret.
    Export(ExportProcessesArgs),
    /// Save which processes run and how they are defined, and start them again
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Start this project's processes when you log in
    ///
    /// It writes a unit of systemd's user manager, or an agent of launchd, that runs `aiw up -d` here; nothing else of aiw
    /// starts by itself. To start with the system and not with your login, say `loginctl enable-linger` once.
    #[command(subcommand)]
    Autostart(AutostartCommand),
    /// Remove processes, with their logs
    #[command(visible_alias = "rm")]
    Remove(RemoveProcessArgs),
    /// Start processes, and what they need
    Start(StartArgs),
    /// Run a command where a process runs, with its variables
    Exec(ExecArgs),
    /// Send a signal to processes
    Signal(SignalArgs),
    /// Write to the standard input of a process
    Input(InputArgs),
    /// See a process's terminal in yours, and type at it
    ///
    /// It runs on when you leave. Several may be attached at once; its terminal is then as large as the smallest of
    /// theirs. Of a process without a terminal you see the log, and with `input #true` it gets the lines that you type.
    Attach(AttachArgs),
    /// Draw what needs what, with states
    Graph(GraphArgs),
    /// See what you usually start, and a line that this suggests for `.ichimi/processes.kdl`
    ///
    /// aiw notes what you and your agents start, on this machine and nowhere else. `"habits": false` in `settings.json` ends
    /// that.
    // Not `args_conflicts_with_subcommands`: that refuses `--json` before a subcommand, too.
    #[command(override_usage = "aiw process suggest [OPTIONS]\n       aiw process suggest <COMMAND>")]
    Suggest(SuggestArgs),
}

#[derive(Debug, Args)]
pub struct UpArgs {
    /// Ids of processes [default: all that start by themselves]
    #[arg(add = complete::processes())]
    pub ids: Vec<String>,
    /// Return once they are started, and leave them running
    #[arg(short, long)]
    pub detach: bool,
    /// Return once they are ready, and leave them running: exit code 1 if one is not, 124 if time ran out
    #[arg(long)]
    pub wait: bool,
    /// With --wait: wait no longer than this: 90s, 10m
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "wait")]
    pub timeout: Option<Duration>,
    /// Allow what the project's file starts, without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Don't use color; `NO_COLOR` does the same
    #[arg(long)]
    pub no_color: bool,
}

#[derive(Debug, Args)]
pub struct ProcessIdsArgs {
    /// Ids of processes [default: all of the project]
    #[arg(add = complete::processes())]
    pub ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct StartArgs {
    /// Ids of processes
    #[arg(required = true, add = complete::processes())]
    pub ids: Vec<String>,
    /// Allow what the project's file starts, without asking
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct PsArgs {
    /// Include the processes of all projects
    #[arg(long)]
    pub all: bool,
    /// Show memory and processor time, too
    #[arg(long)]
    pub stats: bool,
}

#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The id of a process
    #[arg(add = complete::processes())]
    pub id: String,
    /// The command, which runs in the process's directory with its environment
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct SignalArgs {
    /// The signal: `HUP`, `USR1`, or its number
    pub signal: String,
    /// Ids of processes
    #[arg(required = true, add = complete::processes())]
    pub ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct InputArgs {
    /// The id of a process with `input #true` or a terminal
    #[arg(add = complete::processes())]
    pub id: String,
    /// A line for it [default: all of standard input]
    pub line: Option<String>,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Print it in the language of Graphviz: `aiw process graph --dot | dot -Tsvg`
    #[arg(long)]
    pub dot: bool,
}

#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// Only what is started, or fails, after this process
    #[arg(long, value_name = "ID", add = complete::processes())]
    pub after: Option<String>,
    #[command(subcommand)]
    pub answer: Option<SuggestCommand>,
}

#[derive(Debug, Subcommand)]
pub enum SuggestCommand {
    /// Add to `.ichimi/processes.kdl` what a suggestion says, after it was shown
    Accept(SuggestionArgs),
    /// Don't make a suggestion again
    Dismiss(SuggestionArgs),
    /// Forget when a process was started, and your answers about it
    Forget(ForgetArgs),
}

#[derive(Debug, Args)]
pub struct SuggestionArgs {
    /// The id of a suggestion, as `aiw process suggest` shows it
    pub id: String,
}

#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The id of a process [default: all of the project]
    #[arg(add = complete::processes())]
    pub id: Option<String>,
}

#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The id of a process that runs
    #[arg(add = complete::processes())]
    pub id: String,
    /// Only look: send it no keys, and leave its terminal at its size
    #[arg(long)]
    pub read_only: bool,
    /// The key that leaves: `ctrl-` and a letter, or one of `\\ ] ^ _`
    #[arg(long, value_name = "KEY", default_value_t, value_parser = DetachKey::parse)]
    pub detach_key: DetachKey,
}

/// A key that is pressed with Ctrl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetachKey(u8);

impl DetachKey {
    fn parse(text: &str) -> Result<Self, String> {
        let letter = text.to_ascii_lowercase();
        let letter = letter.strip_prefix("ctrl-").or_else(|| letter.strip_prefix('^')).map(str::as_bytes);
        match letter {
            Some([b'm' | b'j' | b'i']) => Err("this is Enter or Tab".into()),
            Some(b"[") => Err("this is Escape, with which every arrow key begins".into()),
            Some([letter @ (b'a'..=b'z' | b'\\' | b']' | b'^' | b'_')]) => Ok(Self(*letter)),
            _ => Err("expected a key such as `ctrl-]` or `ctrl-q`".into()),
        }
    }

    /// Returns what a terminal sends for it.
    pub fn byte(self) -> u8 {
        self.0 & 0x1f
    }

    /// Returns where it stands in what was typed. Programs may ask a terminal to report keys in full, in one of two ways.
    pub fn find(self, typed: &[u8]) -> Option<usize> {
        let forms = [vec![self.byte()], format!("\x1b[{};5u", self.0).into(), format!("\x1b[27;5;{}~", self.0).into()];
        let at = |form: &Vec<u8>| typed.windows(form.len()).position(|bytes| bytes == form.as_slice());
        forms.iter().filter_map(at).min()
    }
}

impl Default for DetachKey {
    fn default() -> Self {
        Self(b']')
    }
}

impl fmt::Display for DetachKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ctrl-{}", char::from(self.0.to_ascii_uppercase()))
    }
}

#[derive(Debug, Args)]
pub struct NewProcessArgs {
    /// The id of the new process
    #[arg(required_unless_present_any = ["from", "template"])]
    pub id: Option<String>,
    /// Take processes over from a Procfile, docker-compose, process-compose, or a list in YAML of Ichimi or `export`
    #[arg(long, value_name = "FILE", group = "shown", conflicts_with_all = ["id", "cwd"])]
    pub from: Option<PathBuf>,
    /// Add a process from a template, with its name as the id unless you give another; without a name, list the templates
    /// that fit the project's files
    #[arg(long, value_name = "NAME", group = "shown", num_args = 0..=1)]
    pub template: Option<Option<String>>,
    /// With --template: set a value of it
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair, conflicts_with_all = ["from", "command"])]
    pub set: Vec<(String, String)>,
    /// With --from or --template: add what it says without asking
    #[arg(short, long, conflicts_with = "command")]
    pub yes: bool,
    /// Run it in this directory of the project
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<String>,
    /// Set a variable; `K=secret:NAME` takes it from the vault, and a key goes there
    #[arg(long, value_name = "K=V", value_parser = parse_pair, conflicts_with = "shown")]
    pub env: Vec<(String, String)>,
    /// Start it again: no, on-failure, always, unless-stopped
    #[arg(long, value_name = "WHEN", conflicts_with = "shown")]
    pub restart: Option<String>,
    /// It is ready once this port accepts connections, or this http:// URL answers
    #[arg(long, value_name = "PORT|URL", conflicts_with = "shown")]
    pub ready: Option<String>,
    /// Start it after this process
    #[arg(long, value_name = "ID", conflicts_with = "shown")]
    pub needs: Vec<String>,
    /// Leave it out of `aiw up`
    #[arg(long, conflicts_with = "shown")]
    pub no_auto_start: bool,
    /// Have a shell read the command: one word, in quotes
    #[arg(long, conflicts_with = "shown")]
    pub shell: bool,
    /// The program and its arguments
    #[arg(required_unless_present = "shown", conflicts_with = "shown", last = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum AutostartCommand {
    /// Write the file, after you have seen it
    Enable {
        /// Write it without asking
        #[arg(short, long)]
        yes: bool,
    },
    /// Remove the file: what runs goes on
    Disable,
    /// Show whether it starts by itself, and by which file
    Status,
}

#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Save which processes run now, and how all of them are defined
    ///
    /// The file is `~/.aiw/processes/snapshots/NAME.yaml`. `[secret]` stands in it for what looks like a secret.
    Save(SaveSnapshotArgs),
    /// List the snapshots of this project
    List {
        /// Include those of all projects
        #[arg(long)]
        all: bool,
    },
    /// Print a snapshot
    Show(SnapshotArgs),
    /// Show how the processes differ from a snapshot
    Diff(SnapshotArgs),
    /// Start what ran in a snapshot and does not run now
    ///
    /// It starts as it is defined now, and you see what has changed since. What an agent had defined and is gone is defined
    /// again, if you agree.
    Restore(RestoreSnapshotArgs),
    /// Remove snapshots
    Remove {
        /// Their names
        #[arg(required = true, add = complete::snapshots())]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// Its name
    #[arg(add = complete::snapshots())]
    pub name: String,
}

#[derive(Debug, Args)]
pub struct SaveSnapshotArgs {
    /// Its name: letters, digits, `.`, `_` and `-`
    pub name: String,
    /// Replace a snapshot of this name
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct RestoreSnapshotArgs {
    /// Its name
    #[arg(add = complete::snapshots())]
    pub name: String,
    /// Define again what is gone, and allow what the project's file starts, without asking
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct ExportProcessesArgs {
    /// A file for them [default: standard output]
    pub file: Option<PathBuf>,
    /// `kdl` or `yaml` [default: as the file's name ends, else kdl]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,
    /// Replace a file that is there
    #[arg(long, requires = "file")]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct RemoveProcessArgs {
    /// Ids of processes
    #[arg(required = true, add = complete::processes())]
    pub ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Go on with those to come
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last N [default: 50, or all since the time that you name]
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<usize>,
    /// Only since this time: 10m, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<u64>,
    /// Only of this kind: started, ready, unhealthy, recovered, limit_reached, exited, restarted, start_skipped, stopped, failed,
    /// finished, missed, definition_changed, changed, list_changed, cooldown, budget_exceeded; may be repeated
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<EventKind>,
    /// Only of the process with this id, or the task, MCP server, provider, budget or run of CI of this name
    #[arg(long, value_name = "ID", add = complete::processes())]
    pub subject: Option<String>,
    /// Include the events of all projects
    #[arg(long)]
    pub all: bool,
}
