//! `aiw sync …`, as it is typed.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum SyncCommand {
    /// Begin a store at a remote that holds none
    ///
    /// It makes a phrase of 12 words, which opens the store on each of your machines. REMOTE is `gdrive:`, a path (also
    /// a synchronized or mounted folder), `git:URL`, `webdav:URL` or `s3:URL`.
    Init(BeginArgs),
    /// Join a store with its phrase
    ///
    /// Without a terminal, the words are read from standard input. Nothing is written before an object of the store opens.
    Join(BeginArgs),
    /// Log in at a remote that needs it: Google, WebDAV or S3
    Login(RemoteLoginArgs),
    /// Log out of Google, and forget the remote's password
    Logout(RemoteLoginArgs),
    /// Seal what travels from this machine, and write it to the remote
    Push(PushArgs),
    /// Merge what your other machines pushed into the files here
    ///
    /// Shows what changes, asks about conflicts, and asks before anything is written. Exit code 2 if files conflict and
    /// nobody can be asked: nothing is written then.
    Pull(PullArgs),
    /// Show what is not pushed, from what this machine knows itself
    Status,
    /// List the snapshots of the store, or what travels
    List(ListSnapshotsArgs),
    /// Show what differs between this machine and a snapshot
    Diff(SnapshotArgs),
    /// Make the files here what they are in a snapshot
    Restore(RestoreArgs),
    /// Undo the newest pull or restore, byte for byte
    ///
    /// Files that you changed since stay as they are, and are named.
    Undo,
    /// List the pulls and restores that can be undone, the newest first
    Log,
    /// Let something travel that does on request only, or that you excluded
    Include(SyncPolicyArgs),
    /// Keep something on this machine: your other machines keep theirs
    Exclude(SyncPolicyArgs),
    /// Show the phrase, on a terminal alone
    Phrase,
    /// Begin a new store with a new phrase at the same remote
    ///
    /// Your other machines leave the old store and join with the new words. What a lost machine could read stays read.
    Rekey,
    /// Forget the store on this machine; its snapshots and the files here stay
    Leave,
}

#[derive(Debug, Args)]
pub struct BeginArgs {
    /// `gdrive:`, a path, `git:URL`, `webdav:URL` or `s3:URL`
    #[arg(value_name = "REMOTE")]
    pub remote: String,
    /// How this machine is called on the others [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct RemoteLoginArgs {
    /// The remote [default: that of this machine's store]
    #[arg(value_name = "REMOTE")]
    pub remote: Option<String>,
}

#[derive(Debug, Args)]
pub struct PushArgs {
    /// Take hooks, or half of a file's keys, away from your other machines too
    #[arg(long)]
    pub allow_deletions: bool,
    /// Go on although the remote shows an older state than before
    #[arg(long)]
    pub allow_rollback: bool,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Write what doesn't conflict, although nobody can be asked about the rest
    #[arg(long)]
    pub partial: bool,
    /// Agree to what starts programs: the digest that `--dry-run` shows
    #[arg(long, value_name = "DIGEST")]
    pub allow_executable: Option<String>,
    /// Go on although the remote shows an older state than before
    #[arg(long)]
    pub allow_rollback: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct PullArgs {
    #[command(flatten)]
    pub apply: ApplyArgs,
    /// In every conflict, keep what is here
    #[arg(long, conflicts_with = "theirs")]
    pub mine: bool,
    /// In every conflict, take what comes in
    #[arg(long)]
    pub theirs: bool,
}

#[derive(Debug, Args)]
pub struct ListSnapshotsArgs {
    /// List what travels and what stays instead
    #[arg(long)]
    pub what: bool,
}

#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// Its name, as `aiw sync list` shows it [default: the newest]
    #[arg(value_name = "SNAPSHOT")]
    pub snapshot: Option<String>,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Its name, as `aiw sync list` shows it
    #[arg(value_name = "SNAPSHOT")]
    pub snapshot: String,
    #[command(flatten)]
    pub apply: ApplyArgs,
}

#[derive(Debug, Args)]
pub struct SyncPolicyArgs {
    /// A row of `aiw sync list --what`, or a path: `claude:plans/`, `codex:skills/mine`
    #[arg(value_name = "WHAT")]
    pub what: String,
}
