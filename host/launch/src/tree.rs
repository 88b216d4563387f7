//! The session that a command belongs to: which AI CLI, IDE or shell is above it.
//!
//! Only the ancestors are examined, so the number of processes does not matter. The search ends at a process that
//! can't be read (in a container, or another user's). The answer is then what was found so far, or the command's own
//! terminal session: its leader, or the highest process left in it.

use std::path::Path;

use aiw_core::{CliKind, ProcessId};
use aiw_tasks::Root;

use crate::clis;

/// A kind of process at the root of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootKind {
    /// An AI CLI.
    Cli(CliKind),
    /// An editor or IDE.
    Ide,
    /// The leader of the terminal session: a shell, or the command itself.
    Session,
}

/// The session of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessSession {
    /// The process that identifies the session.
    pub root: Root,
    /// The kind of the root.
    pub kind: RootKind,
    /// The task that the process runs in, if any.
    pub task: Option<ProcessId>,
}

/// A process on the way up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ancestor {
    root: Root,
    parent: u32,
    /// The file name of its executable, if it could be read, or else of its first argument.
    name: String,
    arguments: Vec<String>,
}

/// No real process tree is deeper.
const MAX_DEPTH: usize = 128;

/// Returns the session of this process.
pub fn session() -> ProcessSession {
    let own = std::process::id();
    find(platform::ancestors(own), || platform::session_leader(own))
}

fn find(ancestors: impl Iterator<Item = Ancestor>, leader: impl FnOnce() -> u32) -> ProcessSession {
    let (mut cli, mut ide) = (None, None);
    for ancestor in ancestors.take(MAX_DEPTH) {
        // Nothing above a shim belongs to the task: the shim has left the tree of its starter.
        if let Some((root, task)) = shim(&ancestor) {
            return ProcessSession { root, kind: RootKind::Session, task: Some(task) };
        }
        if let Some(kind) = cli_of(&ancestor) {
            cli = Some((ancestor.root, kind));
        } else if is_ide(&ancestor) {
            ide = Some(ancestor.root);
        }
    }
    match (cli, ide) {
        (Some((root, kind)), _) => ProcessSession { root, kind: RootKind::Cli(kind), task: None },
        (None, Some(root)) => ProcessSession { root, kind: RootKind::Ide, task: None },
        (None, None) => ProcessSession { root: Root::for_pid(leader()), kind: RootKind::Session, task: None },
    }
}

/// Parses `aiw shim ROOT ID INSTANCE`, as `aiw-tasks` starts it.
fn shim(process: &Ancestor) -> Option<(Root, ProcessId)> {
    let [_, word, root, task, ..] = process.arguments.as_slice() else { return None };
    // The file name may differ: a copy of aiw with another name supervises as well.
    let own = std::env::current_exe().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    if word != "shim" || (process.name != "aiw" && Some(&process.name) != own.as_ref()) {
        return None;
    }
    let task = task.parse().ok()?;
    Some((Root::for_pid(root.parse().ok()?), task))
}

/// Returns the CLI that a process is, by its name or by the script that Node runs.
fn cli_of(process: &Ancestor) -> Option<CliKind> {
    let named = |name: &str| {
        let stem = name.strip_suffix(".exe").unwrap_or(name);
        CliKind::ALL.into_iter().find(|kind| kind.as_str() == stem)
    };
    // The native installer's executable is named after its version; its first argument is `claude`.
    let first = process.arguments.first().and_then(|argument| file_name(argument));
    if let Some(kind) = named(&process.name).or_else(|| named(first?)) {
        return Some(kind);
    }
    if !matches!(process.name.as_str(), "node" | "nodejs" | "bun" | "deno" | "MainThread") {
        return None;
    }
    // Node's options are before the script; the arguments after the script are the CLI's own.
    let script = process.arguments.iter().skip(1).find(|argument| !argument.starts_with('-'))?;
    CliKind::ALL
        .into_iter()
        .find(|kind| script.contains(&format!("/node_modules/{}/", clis::for_kind(*kind).npm_package())))
        .or_else(|| {
            let name = file_name(script)?;
            let name = name.strip_suffix(".js").or_else(|| name.strip_suffix(".mjs")).unwrap_or(name);
            named(name)
        })
}

/// Editors that run agents, by the names of their executables.
const IDE_NAMES: [&str; 18] = [
    "code",
    "code-insiders",
    "codium",
    "cursor",
    "windsurf",
    "zed",
    "zed-editor",
    "idea",
    "idea64",
    "pycharm",
    "pycharm64",
    "webstorm",
    "webstorm64",
    "goland",
    "goland64",
    "rustrover",
    "rustrover64",
    "clion",
];

fn is_ide(process: &Ancestor) -> bool {
    let first = process.arguments.first().and_then(|argument| file_name(argument));
    let known = |name: &str| IDE_NAMES.contains(&name.to_lowercase().as_str());
    known(&process.name)
        || first.is_some_and(known)
        || process.arguments.iter().take(2).any(|a| a.contains("/.vscode-server/"))
}

fn file_name(path: &str) -> Option<&str> {
    // A process may have given itself a title: `claude --resume`, `node /x`.
    Path::new(path.split_whitespace().next()?).file_name()?.to_str()
}

#[cfg(unix)]
mod platform {
    use aiw_tasks::{ObservedProcess, Root};

    use super::{Ancestor, MAX_DEPTH, file_name};

    /// Returns the ancestors of a process, without the process itself.
    pub(super) fn ancestors(pid: u32) -> impl Iterator<Item = Ancestor> {
        let mut next = ObservedProcess::open(pid).map(|seen| seen.parent());
        std::iter::from_fn(move || {
            let process = read(next.filter(|pid| *pid > 0)?)?;
            next = Some(process.parent);
            Some(process)
        })
    }

    pub(super) fn session_leader(pid: u32) -> u32 {
        let Some(own) = ObservedProcess::open(pid) else { return pid };
        if own.session() > 0 && ObservedProcess::open(own.session()).is_some_and(|leader| !leader.is_ended()) {
            return own.session();
        }
        // The leader is gone, or outside of the container. The highest remaining process of its session takes its
        // place, so that the commands of a script or service belong to one session.
        let mut highest = (pid, own.parent());
        for _ in 0..MAX_DEPTH {
            match ObservedProcess::open(highest.1).filter(|parent| parent.session() == own.session()) {
                Some(parent) => highest = (highest.1, parent.parent()),
                None => break,
            }
        }
        highest.0
    }

    fn read(pid: u32) -> Option<Ancestor> {
        let seen = ObservedProcess::open(pid)?;
        let arguments = seen.arguments();
        let first = || arguments.first().and_then(|first| file_name(first)).map(str::to_owned);
        let name = seen.executable().or_else(first).unwrap_or_else(|| seen.name());
        Some(Ancestor { root: Root::Process { pid, start: seen.start() }, parent: seen.parent(), name, arguments })
    }
}

#[cfg(not(unix))]
mod platform {
    use super::Ancestor;

    pub(super) fn ancestors(_pid: u32) -> impl Iterator<Item = Ancestor> {
        std::iter::empty()
    }

    pub(super) fn session_leader(pid: u32) -> u32 {
        pid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, name: &str, arguments: &[&str]) -> Ancestor {
        Ancestor {
            root: Root::Process { pid, start: 1 },
            parent: pid + 1,
            name: name.into(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
        }
    }

    fn root(tree: &[Ancestor]) -> (u32, RootKind) {
        let session = find(tree.iter().cloned(), || 99);
        (session.root.pid().unwrap(), session.kind)
    }

    #[test]
    fn clis_are_known_by_name_executable_and_script() {
        for (name, arguments, kind) in [
            ("claude", &["claude", "--resume"][..], CliKind::Claude),
            ("claude.exe", &["/x/claude.exe"], CliKind::Claude),
            ("2.1.328", &["claude"], CliKind::Claude),
            ("node", &["node", "/usr/lib/node_modules/@openai/codex/bin/codex.js", "exec"], CliKind::Codex),
            (
                "node",
                &["node", "--no-warnings", "/h/node_modules/@google/gemini-cli/bundle/gemini.js"],
                CliKind::Gemini,
            ),
            ("node", &["/usr/bin/node", "/usr/local/bin/gemini", "-p"], CliKind::Gemini),
        ] {
            assert_eq!(cli_of(&process(1, name, arguments)), Some(kind), "{name} {arguments:?}");
        }
        for (name, arguments) in [
            ("node", &["node", "server.js", "codex"][..]),
            ("vim", &["vim", "claude"]),
            ("aiw", &["aiw", "claude"]),
            ("bash", &["bash", "-c", "claude"]),
            ("node", &["node"]),
            ("", &[]),
        ] {
            assert_eq!(cli_of(&process(1, name, arguments)), None, "{name} {arguments:?}");
        }
    }

    #[test]
    fn the_topmost_cli_counts_and_an_ide_only_without_one() {
        let shell = process(2, "bash", &["bash"]);
        let claude = process(3, "claude", &["claude"]);
        let codex = process(4, "codex", &["codex"]);
        let ide = process(5, "code", &["/usr/share/code/code"]);
        assert_eq!(root(&[shell.clone(), claude, codex, ide.clone()]), (4, RootKind::Cli(CliKind::Codex)));
        assert_eq!(root(&[shell.clone(), ide]), (5, RootKind::Ide));
        assert_eq!(root(&[shell]), (99, RootKind::Session));
        assert_eq!(root(&[]), (99, RootKind::Session));
    }

    #[test]
    fn a_shim_on_the_way_up_is_the_root_of_its_task() {
        let task = ProcessId::from_number(7);
        let shim = process(2, "aiw", &["/x/aiw", "shim", "4711", task.as_str(), "a1"]);
        let session =
            find([process(1, "codex", &["codex"]), shim, process(3, "claude", &["claude"])].into_iter(), || 99);
        assert_eq!((session.root.pid(), session.task), (Some(4711), Some(task)));
        let fake = process(2, "sh", &["aiw", "shim", "4711", task.as_str(), "a1"]);
        assert_eq!(find([fake].into_iter(), || 99).task, None);
    }

    #[cfg(unix)]
    #[test]
    fn real_processes_have_ancestors() {
        let own = std::process::id();
        let parents: Vec<Ancestor> = platform::ancestors(own).collect();
        assert!(!parents.is_empty());
        assert!(parents.windows(2).all(|pair| Some(pair[0].parent) == pair[1].root.pid()));
        assert!(session().root.pid() > Some(0));
    }
}
