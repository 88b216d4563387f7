//! What a process is: its program, and the policy under which it runs.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::time::Duration;

use aiw_core::SecretName;
use aiw_events::EventKind;
use aiw_supervisor::{
    DependencyCondition, LogPolicy, MAX_CAUSES, ResourceLimits, Restart, RestartCondition as SupervisorRestart,
    Terminal,
};
use serde::{Deserialize, Serialize};

use crate::error::ProcessError;
use crate::jobs::schedule;
use crate::jobs::watched::{self, WatchedFiles};
use crate::probe::{CheckDefinition, ProbeDefinition};

/// How many processes a project may define.
pub const MAX_PROCESSES: usize = 500;
/// The longest text of a definition, in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// How many arguments, variables or needs there may be.
const MAX_ITEMS: usize = 1000;

/// The definition of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Definition {
    /// The program to run.
    pub run: CommandSpec,
    /// Where it runs, from the project's directory on. It never leaves the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables, besides those that every process gets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    /// A file of variables, from the project's directory on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_file: Option<String>,
    /// Whether `aiw up` starts it when it is not named.
    #[serde(skip_serializing_if = "is_true")]
    pub auto_start: bool,
    /// Whether it is started again.
    #[serde(skip_serializing_if = "is_default")]
    pub restart: RestartPolicy,
    /// The exit codes that mean success.
    #[serde(skip_serializing_if = "is_zero")]
    pub success: Vec<i32>,
    /// How it is asked to end.
    #[serde(skip_serializing_if = "is_default")]
    pub stop: StopPolicy,
    /// The processes that it needs before it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Dependency>,
    /// When it counts as ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<ProbeDefinition>,
    /// How to see that it still works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<ProbeDefinition>,
    /// The resources that it may use.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: ProcessLimits,
    /// How much of its output is kept.
    #[serde(skip_serializing_if = "is_default")]
    pub log: LogPolicy,
    /// A name for several processes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Notes that mean nothing to aiw.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The terminal that it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
    /// Whether others may write to its standard input while it runs.
    #[serde(skip_serializing_if = "is_default")]
    pub input: bool,
    /// The files whose change starts it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchedFiles>,
    /// When it is started, as crontab(5) writes times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// How many of it there are, each a process of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The copy that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<ReplicaInfo>,
}

/// One of several replicas of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaInfo {
    /// The id by which all of them are named.
    pub of: String,
    /// Its number, from 1.
    pub number: u32,
}

/// The variable that tells a copy its number.
pub(crate) const REPLICA_ENV: &str = "AIW_PROCESS_REPLICA";
/// The most replicas of a process.
pub(crate) const MAX_REPLICAS: u32 = 100;

/// Puts the replicas of processes in their places, and the needs of all replicas in the place of a need of their process.
///
/// # Errors
///
/// The id of a copy, which is that of another process.
pub(crate) fn expand_replicas(
    processes: BTreeMap<String, Definition>,
) -> Result<BTreeMap<String, Definition>, ProcessError> {
    let counts: BTreeMap<String, u32> =
        processes.iter().filter_map(|(id, definition)| Some((id.clone(), definition.replicas?))).collect();
    if counts.is_empty() {
        return Ok(processes);
    }
    let problem = |id: String, problem: String| ProcessError::InvalidDefinition { id, problem };
    let mut count = processes.len() - counts.len();
    for (id, replicas) in &counts {
        count += *replicas as usize;
        if count > MAX_PROCESSES {
            let what = format!("would make more than {MAX_PROCESSES} processes of this project, with its replicas");
            return Err(problem(id.clone(), what));
        }
    }
    let ids = |id: &str| -> Vec<String> {
        counts
            .get(id)
            .map_or(vec![id.to_owned()], |count| (1..=*count).map(|number| format!("{id}-{number}")).collect())
    };
    let mut all = BTreeMap::new();
    for (id, mut definition) in processes {
        let needs = std::mem::take(&mut definition.needs);
        let each = |Dependency { id, until }: Dependency| ids(&id).into_iter().map(move |id| Dependency { id, until });
        definition.needs = needs.into_iter().flat_map(each).collect();
        for (own, number) in ids(&id).into_iter().zip(1..) {
            let copy = definition.replicas.map(|_| ReplicaInfo { of: id.clone(), number });
            if all.insert(own.clone(), Definition { copy, ..definition.clone() }).is_some() {
                return Err(problem(own, "has the name of a copy of another one".into()));
            }
        }
    }
    Ok(all)
}

impl Definition {
    /// Whether a process of this definition takes input: its standard input stays open, or it has a terminal.
    pub(crate) fn accepts_input(&self) -> bool {
        self.input || self.terminal.is_some()
    }
}

// Hundreds of definitions are read for a list, and most say little.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_true(value: &bool) -> bool {
    *value
}

fn is_zero(codes: &[i32]) -> bool {
    codes == [0]
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            run: CommandSpec::Command(Vec::new()),
            cwd: None,
            env: BTreeMap::new(),
            env_file: None,
            auto_start: true,
            restart: RestartPolicy::default(),
            success: vec![0],
            stop: StopPolicy::default(),
            needs: Vec::new(),
            ready: None,
            live: None,
            limits: ProcessLimits::default(),
            log: LogPolicy::default(),
            group: None,
            labels: BTreeMap::new(),
            terminal: None,
            input: false,
            watch: None,
            cron: None,
            replicas: None,
            copy: None,
        }
    }
}

/// Where a definition is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DefinitionSource {
    /// The project's file.
    File,
    /// The home: an MCP client made it.
    Home,
}

/// The program to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandSpec {
    /// A program and its arguments, without a shell.
    Command(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
}

impl CommandSpec {
    /// Returns the program and its arguments.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Command(argv) => argv.clone(),
            Self::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
        }
    }

    /// Returns the command line as people read it.
    pub fn command_line(&self) -> String {
        match self {
            Self::Command(argv) => argv.iter().map(|word| aiw_core::shell_quote(word)).collect::<Vec<_>>().join(" "),
            Self::Shell(line) => line.clone(),
        }
    }
}

/// A value of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvValue {
    /// As it stands.
    Literal(String),
    /// From the vault.
    Secret(SecretName),
}

aiw_core::string_enum! {
    /// After which ends a process is started again.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum RestartCondition, "restart policy" {
        /// After none.
        No = "no",
        /// After a failure.
        OnFailure = "on-failure",
        /// After each, and by `aiw up` after it was stopped.
        Always = "always",
        /// After each, until somebody stops it.
        UnlessStopped = "unless-stopped",
    }
}

/// Whether a process is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct RestartPolicy {
    /// After which ends.
    pub when: RestartCondition,
    /// The most restarts within the window. Without one, there is no end to them.
    pub max: Option<u32>,
    /// The window.
    pub within: Option<Duration>,
    /// The first pause.
    pub pause: Duration,
    /// The longest pause. Each is twice the one before.
    pub longest: Duration,
}

impl RestartPolicy {
    /// Returns the policy in the supervisor's terms.
    pub(crate) fn supervisor_restart(&self) -> Restart {
        Restart {
            when: match self.when {
                RestartCondition::No => SupervisorRestart::Never,
                RestartCondition::OnFailure => SupervisorRestart::Failed,
                RestartCondition::Always | RestartCondition::UnlessStopped => SupervisorRestart::Ended,
            },
            pause: self.pause,
            longest: self.longest,
            limit: self.max,
            within: self.within,
        }
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            when: RestartCondition::No,
            max: Some(10),
            within: Some(Duration::from_secs(60)),
            pause: Duration::from_millis(200),
            longest: Duration::from_secs(30),
        }
    }
}

/// How a process is asked to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StopPolicy {
    /// The name of the signal, without `SIG`.
    pub signal: String,
    /// The time until SIGKILL.
    pub grace: Duration,
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self { signal: "TERM".into(), grace: Duration::from_secs(5) }
    }
}

/// A program that runs when something happens to a process of the project. It gets the event as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHook {
    /// The kind of event.
    pub on: EventKind,
    /// The process to which it happens; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The program and its arguments, without a shell.
    pub command: Vec<String>,
    /// How long it may run.
    pub timeout: Duration,
    /// How many programs before it in the file have the same kind and process.
    #[serde(default)]
    pub after: usize,
}

impl EventHook {
    /// The usual time for which a program may run.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// The variable that says of a command that such a program runs it.
    pub(crate) const VARIABLE: &str = "AIW_HOOK";
    /// The begin of the id of such a program.
    pub const PREFIX: &str = "on:";
    /// The starter of what such a program starts, as events say it.
    pub(crate) const ACTOR: &str = "hook";

    /// Returns the id under which its program runs: `on:failed:api`, and `on:failed:api#2` of the second. No process can have such
    /// an id.
    pub fn id(&self) -> String {
        let of = self.of.as_ref().map(|of| format!(":{of}")).unwrap_or_default();
        let number = if self.after == 0 { String::new() } else { format!("#{}", self.after + 1) };
        format!("{}{}{of}{number}", Self::PREFIX, self.on)
    }

    /// The definition of its program.
    pub(crate) fn definition(&self) -> Definition {
        Definition { run: CommandSpec::Command(self.command.clone()), auto_start: false, ..Definition::default() }
    }

    /// Adds it to others of a file.
    pub(crate) fn add_to(mut self, hooks: &mut Vec<Self>) {
        self.after = hooks.iter().filter(|other| other.on == self.on && other.of == self.of).count();
        hooks.push(self);
    }
}

/// Another process that a process needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Its id.
    pub id: String,
    /// The state that they must reach.
    pub until: DependencyCondition,
}

/// The resources that a process and its descendants may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessLimits {
    /// Memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Hundredths of a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Open files of each process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
}

impl ProcessLimits {
    /// Returns the limits as the supervisor has them.
    pub(crate) fn into_limits(self) -> ResourceLimits {
        let Self { memory, cpu, files, pids } = self;
        ResourceLimits { memory, cpu_percent: cpu, pids, files, watch: true }
    }
}

/// The names of the signals that a definition or a command may name, with their numbers on Linux and macOS.
const SIGNALS: [(&str, i32); 7] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("TERM", 15),
    ("USR1", if cfg!(target_vendor = "apple") { 30 } else { 10 }),
    ("USR2", if cfg!(target_vendor = "apple") { 31 } else { 12 }),
];

/// Returns the number of a signal by its name, with or without `SIG`, or its number.
pub fn signal_number(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = SIGNALS.iter().find(|(known, _)| *known == short).map(|(_, number)| *number);
    named.or_else(|| short.parse().ok().filter(|number| (1..=31).contains(number)))
}

/// Whether a text is an id of a process: letters, digits, `-`, `_` and `.`, at most 64 of them.
pub fn is_id(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&text.len()) && text.chars().all(is_part) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

impl Definition {
    /// Whether a command is about it: one that names it, or one without names if it starts by itself.
    pub(crate) fn is_selected(&self, id: &String, names: &[String]) -> bool {
        if names.is_empty() { self.auto_start } else { self.is_named(id, names) }
    }

    /// Whether it is named, by its own id or by that of all replicas.
    pub(crate) fn is_named(&self, id: &String, names: &[String]) -> bool {
        names.contains(id) || self.copy.as_ref().is_some_and(|copy| names.contains(&copy.of))
    }

    /// Checks what starts it without a command.
    fn check_by_itself(&self) -> Result<(), String> {
        if self.replicas.is_some_and(|replicas| !(1..=MAX_REPLICAS).contains(&replicas)) {
            return Err(format!("has a number of replicas that is not between 1 and {MAX_REPLICAS}"));
        }
        if let Some(watch) = &self.watch {
            watched::check(watch)?;
        }
        if let Some(cron) = &self.cron {
            schedule::parse(cron)?;
            if self.restart.when != RestartCondition::No {
                return Err("has a `cron`, and a `restart`: it is started again at its time alone".into());
            }
        }
        Ok(())
    }

    /// Checks what no form of a definition may have. Returns the problem as the end of a sentence about the process.
    pub fn check(&self) -> Result<(), String> {
        let argv = self.run.argv();
        if argv.first().is_none_or(String::is_empty)
            || matches!(&self.run, CommandSpec::Shell(line) if line.trim().is_empty())
        {
            return Err("has no command".into());
        }
        let values = self.env.values().filter_map(|value| match value {
            EnvValue::Literal(text) => Some(text),
            EnvValue::Secret(_) => None,
        });
        let probes = [&self.ready, &self.live].into_iter().flatten();
        let texts = argv.iter().chain(values).chain(&self.cwd).chain(&self.env_file).chain(&self.group);
        let texts = texts.chain(self.watch.iter().flat_map(|watch| watch.files.iter().chain(&watch.ignore)));
        for text in texts {
            if text.contains('\0') {
                return Err("has a NUL character in a text".into());
            }
            if text.len() > MAX_TEXT_BYTES {
                return Err(format!("has a text of more than {} kB", MAX_TEXT_BYTES >> 10));
            }
        }
        if argv.len() > MAX_ITEMS || self.env.len() > MAX_ITEMS || self.needs.len() > MAX_ITEMS {
            return Err(format!("has more than {MAX_ITEMS} arguments, variables or needs"));
        }
        for (what, path) in [("cwd", &self.cwd), ("env-file", &self.env_file)] {
            if path.as_ref().is_some_and(|path| !stays_inside(Path::new(path))) {
                return Err(format!("has a `{what}` outside the project"));
            }
        }
        if let Some(name) = self.env.keys().find(|name| name.parse::<aiw_core::EnvName>().is_err()) {
            return Err(format!("has a variable with the name `{}`", aiw_core::one_line(name, 60)));
        }
        if self.restart.max.is_some_and(|max| max as usize > MAX_CAUSES) {
            return Err(format!("has a `max` of restarts over {MAX_CAUSES}"));
        }
        if self.restart.pause > self.restart.longest {
            return Err("has a first pause that is longer than the longest".into());
        }
        if signal_number(&self.stop.signal).is_none() {
            return Err(format!(
                "has a stop signal `{}`, which is not a signal",
                aiw_core::one_line(&self.stop.signal, 20)
            ));
        }
        if self.log.files > 16 || self.log.file_bytes < 4096 {
            return Err("has a log of more than 16 files, or of files under 4 kB".into());
        }
        if self.limits.memory.is_some_and(|bytes| bytes < 1 << 20) {
            return Err("has a limit of memory under 1 MB".into());
        }
        if [self.limits.cpu, self.limits.pids].contains(&Some(0)) || self.limits.files.is_some_and(|files| files < 8) {
            return Err("has a limit that lets it do nothing".into());
        }
        if matches!(self.live, Some(ProbeDefinition { check: CheckDefinition::Line(_), .. })) {
            return Err(
                "has a `live` probe for a line: a line shows that it became ready, not that it works still".into()
            );
        }
        self.check_by_itself()?;
        for probe in probes {
            probe.to_probe()?;
            if probe.every > Duration::from_secs(24 * 3600) || probe.failures == 0 {
                return Err("has a probe that never comes to a result".into());
            }
        }
        match self.needs.iter().find(|need| !is_id(&need.id)) {
            Some(need) => Err(format!("needs `{}`, which is not an id", aiw_core::one_line(&need.id, 60))),
            None => Ok(()),
        }
    }
}

/// Whether a path goes down only, from wherever it begins. Where it leads is looked at before it is used.
fn stays_inside(path: &Path) -> bool {
    path.components().all(|part| !matches!(part, Component::ParentDir))
}

/// Returns the ids in an order in which each comes after what it needs, or a circle of needs.
pub fn topological_order<'a>(
    wanted: impl IntoIterator<Item = &'a str>,
    needs: &dyn Fn(&str) -> Vec<&'a str>,
) -> Result<Vec<&'a str>, Vec<&'a str>> {
    let mut order: Vec<&str> = Vec::new();
    for first in wanted {
        // Each with what it needs that was not looked at yet. No recursion: a chain may be long.
        let mut path: Vec<(&str, Vec<&str>)> = vec![(first, needs(first))];
        if order.contains(&first) {
            continue;
        }
        while let Some((id, left)) = path.last_mut() {
            let Some(next) = left.pop() else {
                order.push(id);
                path.pop();
                continue;
            };
            if let Some(at) = path.iter().position(|(id, _)| *id == next) {
                let circle = path[at..].iter().map(|(id, _)| *id);
                return Err(circle.chain([next]).collect());
            }
            if !order.contains(&next) {
                path.push((next, needs(next)));
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_follows_needs_and_a_circle_is_named() {
        let needs = |id: &str| match id {
            "api" => vec!["db", "migrate"],
            "migrate" => vec!["db"],
            "a" => vec!["b"],
            "b" => vec!["c"],
            "c" => vec!["b"],
            _ => vec![],
        };
        assert_eq!(topological_order(["api", "db"], &needs).unwrap(), ["db", "migrate", "api"]);
        assert_eq!(topological_order(["a"], &needs).unwrap_err(), ["b", "c", "b"]);
    }

    #[test]
    fn what_no_definition_may_have_is_refused() {
        let good = Definition { run: CommandSpec::Command(vec!["x".into()]), ..Definition::default() };
        assert_eq!(good.check(), Ok(()));
        let with = |change: &dyn Fn(&mut Definition)| {
            let mut definition = good.clone();
            change(&mut definition);
            definition.check().unwrap_err()
        };
        let bad = [
            with(&|d| d.run = CommandSpec::Command(vec![])),
            with(&|d| d.run = CommandSpec::Shell(" ".into())),
            with(&|d| d.run = CommandSpec::Command(vec!["a\0b".into()])),
            with(&|d| d.cwd = Some("../x".into())),
            with(&|d| d.env_file = Some("a/../../b".into())),
            with(&|d| drop(d.env.insert("A=B".into(), EnvValue::Literal(String::new())))),
            with(&|d| d.stop.signal = "NOPE".into()),
            with(&|d| d.restart.max = Some(1000)),
            with(&|d| {
                d.live =
                    Some(ProbeDefinition { check: CheckDefinition::Line("x".into()), ..ProbeDefinition::default() })
            }),
            with(&|d| {
                d.ready = Some(ProbeDefinition {
                    check: CheckDefinition::Tcp("nowhere".into()),
                    ..ProbeDefinition::default()
                })
            }),
            with(&|d| d.limits.pids = Some(0)),
        ];
        assert_eq!(bad.iter().collect::<std::collections::BTreeSet<_>>().len(), 10, "{bad:?}");
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for (name, number) in [("TERM", Some(15)), ("sigint", Some(2)), ("9", Some(9)), ("0", None), ("x", None)] {
            assert_eq!(signal_number(name), number, "{name}");
        }
    }
}
