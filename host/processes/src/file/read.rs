//! Reading a file of processes.

use std::collections::BTreeMap;
use std::time::Duration;

use aiw_events::EventKind;
use aiw_supervisor::{DependencyCondition, Terminal};
use kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};
use serde::{Deserialize, Serialize};

use super::values::{self, parse_bytes, parse_duration};
use crate::definition::{
    CommandSpec, Definition, Dependency, EnvValue, EventHook, MAX_PROCESSES, RestartCondition, is_id,
};
use crate::error::FileProblem;
use crate::jobs::watched::WatchedFiles;
use crate::probe::{CheckDefinition, ProbeDefinition};

/// The longest file, in bytes.
pub const MAX_BYTES: usize = 256 << 10;
/// How deep a file may nest.
const MAX_DEPTH: usize = 64;
/// How many braces and comments in `/*` a file may have.
const MAX_BRACES: usize = 2000;
/// Enough for as many in each other: the parser takes about 4 kB of stack for one.
const STACK_SIZE: usize = 128 << 20;

/// The definitions of a file, by id.
pub type Definitions = BTreeMap<String, Definition>;

/// The most hooks that a file may have.
const MAX_HOOKS: usize = 50;
/// The longest time for which a hook's program may run.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// All that a file says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessFile {
    /// The processes.
    pub processes: Definitions,
    /// The programs that run when something happens to them.
    #[serde(default)]
    pub hooks: Vec<EventHook>,
}

/// A problem at an offset.
type At = (usize, String);

/// Reads a file of processes.
///
/// # Errors
///
/// The first problem, with its place.
pub fn parse(text: &str) -> Result<ProcessFile, FileProblem> {
    definitions(text).map_err(|problem| to_file_problem(text, problem))
}

/// Returns a problem with its line and column.
pub(super) fn to_file_problem(text: &str, (offset, problem): At) -> FileProblem {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    FileProblem { line, column, problem }
}

/// Reads a file of processes that another program wrote, in the old form with bare `true` and `false`.
pub fn parse_legacy(text: &str) -> Result<ProcessFile, FileProblem> {
    parse(text).or_else(|problem| parse(&values::convert_keywords(text)).map_err(|_| problem))
}

/// Parses the text as KDL. Returns the problem in our own words, where they are better.
pub(super) fn parse_document(text: &str) -> Result<KdlDocument, At> {
    if text.len() > MAX_BYTES {
        return Err((0, format!("the file is longer than {} kB", MAX_BYTES >> 10)));
    }
    if let Some(at) = too_deep(text) {
        return Err((at, format!("braces are nested more than {MAX_DEPTH} deep")));
    }
    // The parser recurses. What is a string for it and not for us could hide braces from us, so they are also bounded
    // wherever they stand, and the stack has room for all of them.
    if text.matches('{').count() + text.matches("/*").count() > MAX_BRACES {
        return Err((0, format!("the file has more than {MAX_BRACES} braces")));
    }
    let parsed = std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, || KdlDocument::parse(text));
        thread.ok()?.join().ok()
    });
    let parsed = parsed.ok_or_else(|| (0, "the file could not be parsed".to_owned()))?;
    parsed.map_err(|error| {
        if let Some(mistake) = values::detect_common_mistake(text) {
            return mistake;
        }
        let first = error.diagnostics.into_iter().next();
        let Some(first) = first else { return (0, "the file is not KDL".into()) };
        let said = first.message.or(first.label).or(first.help).unwrap_or_else(|| "this is not KDL".into());
        (first.span.offset(), aiw_core::one_line(&said, 200))
    })
}

/// Returns where braces, or comments in comments, are nested too deeply.
fn too_deep(text: &str) -> Option<usize> {
    let (bytes, mut depth, mut at) = (text.as_bytes(), 0usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = values::skip_string(bytes, at);
                continue;
            }
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'/' if bytes[at..].starts_with(b"/*") => {
                depth += 1;
                at += 1;
            }
            b'*' if bytes[at..].starts_with(b"*/") => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn definitions(text: &str) -> Result<ProcessFile, At> {
    let document = parse_document(text)?;
    let mut defaults = Definition::default();
    let mut found = ProcessFile::default();
    // Defaults count wherever they stand.
    for node in document.nodes().iter().filter(|node| node.name().value() == "defaults") {
        let words = NodeReader::of(node)?;
        words.expect(0, 0, &[])?;
        let Some(children) = node.children() else { continue };
        fields(&mut defaults, children, &["log", "stop", "restart", "limits", "env", "env-file"])?;
    }
    for node in document.nodes() {
        match node.name().value() {
            "defaults" | "meta" => {}
            "process" => {
                let (id, definition) = process(node, &defaults)?;
                if found.processes.insert(id.clone(), definition).is_some() {
                    return Err((node_offset(node), format!("there are two processes `{id}`")));
                }
                if found.processes.len() > MAX_PROCESSES {
                    return Err((node_offset(node), format!("there are more than {MAX_PROCESSES} processes")));
                }
            }
            "on" => hook(node)?.add_to(&mut found.hooks),
            other => return Err(unknown(node, other, &["process", "defaults", "on", "meta"])),
        }
    }
    for (hook, node) in found.hooks.iter().zip(document.nodes().iter().filter(|node| node.name().value() == "on")) {
        if let Some(of) = hook.of.as_ref().filter(|of| !found.processes.contains_key(*of)) {
            return Err((node_offset(node), format!("there is no process `{}`", aiw_core::one_line(of, 60))));
        }
    }
    if found.hooks.len() > MAX_HOOKS {
        return Err((0, format!("there are more than {MAX_HOOKS} `on`")));
    }
    Ok(found)
}

/// Reads what runs when something happens.
fn hook(node: &KdlNode) -> Result<EventHook, At> {
    let words = NodeReader::of(node)?;
    words.expect(1, 1, &["of"])?;
    let kinds: Vec<(EventKind, &str)> = EventKind::ALL.into_iter().map(|kind| (kind, kind.as_str())).collect();
    let on = one_of(words.arguments[0], &kinds)?;
    let of = words.property("of", text)?.map(str::to_owned);
    let (mut command, mut timeout) = (Vec::new(), EventHook::TIMEOUT);
    for child in node.children().into_iter().flat_map(KdlDocument::nodes) {
        let words = NodeReader::of(child)?;
        match child.name().value() {
            "command" => {
                words.expect(1, usize::MAX, &[])?;
                command = words.texts()?;
            }
            "timeout" => {
                words.expect(1, 1, &[])?;
                timeout = time(words.arguments[0])?;
                if !(Duration::from_secs(1)..=MAX_TIMEOUT).contains(&timeout) {
                    return Err((words.arguments[0].span().offset(), "this is between 1 s and 1 h".into()));
                }
            }
            other => return Err(unknown(child, other, &["command", "timeout"])),
        }
    }
    // What no process may have, no hook may have either.
    let definition = Definition { run: CommandSpec::Command(command.clone()), ..Definition::default() };
    definition.check().map_err(|problem| (node_offset(node), format!("`on \"{on}\"` {problem}")))?;
    Ok(EventHook { on, of, command, timeout, after: 0 })
}

pub(super) fn node_offset(node: &KdlNode) -> usize {
    node.name().span().offset()
}

fn unknown(node: &KdlNode, name: &str, known: &[&str]) -> At {
    let name = aiw_core::one_line(name, 60);
    let hint = match aiw_core::closest(&name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    (node_offset(node), format!("`{name}` is not known here: {hint}"))
}

/// The arguments and properties of a node, each of which is taken once.
struct NodeReader<'a> {
    node: &'a KdlNode,
    arguments: Vec<&'a KdlEntry>,
    properties: BTreeMap<&'a str, &'a KdlEntry>,
}

impl<'a> NodeReader<'a> {
    fn of(node: &'a KdlNode) -> Result<Self, At> {
        let (mut arguments, mut properties) = (Vec::new(), BTreeMap::new());
        for entry in node.entries() {
            match entry.name() {
                None => arguments.push(entry),
                Some(name) => {
                    if properties.insert(name.value(), entry).is_some() {
                        return Err((entry.span().offset(), format!("`{}` stands here twice", name.value())));
                    }
                }
            }
        }
        Ok(Self { node, arguments, properties })
    }

    /// Checks how many arguments there are, and that no other property is there.
    fn expect(&self, least: usize, most: usize, properties: &[&str]) -> Result<(), At> {
        let name = self.node.name().value();
        if self.arguments.len() < least {
            return Err((node_offset(self.node), format!("`{name}` needs a value behind it")));
        }
        if let Some(extra) = self.arguments.get(most) {
            return Err((extra.span().offset(), format!("`{name}` takes no value here")));
        }
        for (key, entry) in &self.properties {
            if !properties.contains(key) {
                let hint = match aiw_core::closest(key, properties.iter().copied()) {
                    Some(near) => format!(": did you mean `{near}`?"),
                    None => String::new(),
                };
                return Err((
                    entry.span().offset(),
                    format!("`{name}` has no `{}`{hint}", aiw_core::one_line(key, 60)),
                ));
            }
        }
        Ok(())
    }

    fn text(&self, index: usize) -> Result<&'a str, At> {
        let entry = self.arguments.get(index).copied();
        text(entry.ok_or_else(|| (node_offset(self.node), format!("`{}` needs a value", self.node.name().value())))?)
    }

    fn texts(&self) -> Result<Vec<String>, At> {
        self.arguments.iter().map(|entry| text(entry).map(str::to_owned)).collect()
    }

    fn property<T>(&self, name: &str, read: impl FnOnce(&'a KdlEntry) -> Result<T, At>) -> Result<Option<T>, At> {
        self.properties.get(name).copied().map(read).transpose()
    }
}

fn text(entry: &KdlEntry) -> Result<&str, At> {
    match entry.value() {
        KdlValue::String(text) => Ok(text),
        _ => Err((entry.span().offset(), "this is a text, in quotes".into())),
    }
}

/// A text, or a number as a text.
fn word(entry: &KdlEntry) -> Result<String, At> {
    match entry.value() {
        KdlValue::String(text) => Ok(text.clone()),
        KdlValue::Integer(number) => Ok(number.to_string()),
        _ => Err((entry.span().offset(), "this is a text, in quotes, or a number".into())),
    }
}

fn number<T: TryFrom<i128>>(entry: &KdlEntry) -> Result<T, At> {
    let number = match entry.value() {
        KdlValue::Integer(number) => T::try_from(*number).ok(),
        _ => None,
    };
    number.ok_or_else(|| (entry.span().offset(), "this is a whole number, and not that large or small".into()))
}

fn boolean(entry: &KdlEntry) -> Result<bool, At> {
    match entry.value() {
        KdlValue::Bool(is) => Ok(*is),
        _ => Err((entry.span().offset(), "this is `#true` or `#false`".into())),
    }
}

fn time(entry: &KdlEntry) -> Result<Duration, At> {
    let parsed = text(entry).ok().and_then(parse_duration);
    parsed.ok_or_else(|| (entry.span().offset(), "this is a time, such as \"200ms\", \"5s\" or \"2m\"".into()))
}

fn size(entry: &KdlEntry) -> Result<u64, At> {
    let parsed = word(entry).ok().and_then(|text| parse_bytes(&text));
    parsed.ok_or_else(|| (entry.span().offset(), "this is a size, such as \"512MB\"".into()))
}

fn one_of<T: Copy>(entry: &KdlEntry, all: &[(T, &str)]) -> Result<T, At> {
    let given = text(entry)?;
    let found = all.iter().find(|(_, name)| *name == given).map(|(value, _)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(_, name)| *name).collect();
        (entry.span().offset(), format!("this is one of {}", names.join(", ")))
    })
}

/// The fields of a process.
pub(crate) const FIELDS: [&str; 22] = [
    "command",
    "args",
    "shell",
    "cwd",
    "env",
    "env-file",
    "auto-start",
    "restart",
    "success",
    "stop",
    "needs",
    "ready",
    "live",
    "limits",
    "log",
    "group",
    "labels",
    "terminal",
    "input",
    "watch",
    "cron",
    "replicas",
];

fn process(node: &KdlNode, defaults: &Definition) -> Result<(String, Definition), At> {
    let words = NodeReader::of(node)?;
    // The form of ichimi 0.2.1 has all of it in properties.
    words.expect(1, 1, &["name", "command", "args", "cwd", "auto_start"])?;
    let id = words.text(0)?.to_owned();
    if !is_id(&id) {
        let problem = "an id is letters, digits, `-`, `_` and `.`, at most 64, and begins with a letter or a digit";
        return Err((words.arguments[0].span().offset(), problem.into()));
    }
    let mut definition = defaults.clone();
    if let Some(command) = words.property("command", text)? {
        let arguments = words.property("args", text)?;
        definition.run = CommandSpec::Command(std::iter::once(command).chain(arguments).map(str::to_owned).collect());
    }
    definition.cwd = words.property("cwd", text)?.map(str::to_owned);
    if let Some(is) = words.property("auto_start", boolean)? {
        definition.auto_start = is;
    }
    if let Some(children) = node.children() {
        // What ichimi wrote, also of a process that ran.
        let known: Vec<&str> = FIELDS.iter().copied().chain(["auto_start", "state"]).collect();
        fields(&mut definition, children, &known)?;
    }
    if definition.run.argv().first().is_none_or(String::is_empty) {
        return Err((
            node_offset(node),
            format!("process `{id}` has no command: `command \"PROGRAM\" \"ARGUMENT\"` or `shell \"LINE\"`"),
        ));
    }
    definition.check().map_err(|problem| (node_offset(node), format!("process `{id}` {problem}")))?;
    Ok((id, definition))
}

fn fields(definition: &mut Definition, children: &KdlDocument, known: &[&str]) -> Result<(), At> {
    let mut seen: Vec<&str> = Vec::new();
    for node in children.nodes() {
        let name = node.name().value();
        if !known.contains(&name) {
            return Err(unknown(node, name, &known[..known.len().min(FIELDS.len())]));
        }
        if seen.contains(&name) && name != "needs" && name != "env" {
            return Err((node_offset(node), format!("`{name}` stands here twice")));
        }
        if let Some(other) = [("command", "shell"), ("shell", "command")]
            .into_iter()
            .find_map(|(one, other)| (name == one && seen.contains(&other)).then_some(other))
        {
            return Err((node_offset(node), format!("a process has `{name}` or `{other}`, not both")));
        }
        seen.push(name);
        field(definition, node, name)?;
    }
    Ok(())
}

// Long: one arm for each field of a definition.
fn field(definition: &mut Definition, node: &KdlNode, name: &str) -> Result<(), At> {
    let words = NodeReader::of(node)?;
    if !matches!(name, "env" | "labels" | "state")
        && node.children().is_some_and(|children| !children.nodes().is_empty())
    {
        return Err((node_offset(node), format!("`{name}` has nothing in braces")));
    }
    match name {
        "command" => {
            words.expect(1, usize::MAX, &[])?;
            let mut argv = words.texts()?;
            // The old form has the arguments apart, before or after.
            if let CommandSpec::Command(known) = &definition.run {
                argv.extend(known.iter().skip(1).cloned());
            }
            definition.run = CommandSpec::Command(argv);
        }
        "args" => {
            words.expect(0, usize::MAX, &[])?;
            match &mut definition.run {
                CommandSpec::Command(argv) => {
                    if argv.is_empty() {
                        argv.push(String::new());
                    }
                    argv.extend(words.texts()?);
                }
                CommandSpec::Shell(_) => return Err((node_offset(node), "a shell line has no `args`".into())),
            }
        }
        "shell" => {
            words.expect(1, 1, &[])?;
            definition.run = CommandSpec::Shell(words.text(0)?.to_owned());
        }
        "cwd" => {
            words.expect(1, 1, &[])?;
            definition.cwd = Some(words.text(0)?.to_owned());
        }
        "env-file" => {
            words.expect(1, 1, &[])?;
            definition.env_file = Some(words.text(0)?.to_owned());
        }
        "group" => {
            words.expect(1, 1, &[])?;
            definition.group = Some(words.text(0)?.to_owned());
        }
        "auto-start" | "auto_start" => {
            words.expect(1, 1, &[])?;
            definition.auto_start = boolean(words.arguments[0])?;
        }
        "input" => {
            words.expect(1, 1, &[])?;
            definition.input = boolean(words.arguments[0])?;
        }
        "cron" => {
            words.expect(1, 1, &[])?;
            definition.cron = Some(words.text(0)?.to_owned());
        }
        "replicas" => {
            words.expect(1, 1, &[])?;
            definition.replicas = Some(number(words.arguments[0])?);
        }
        "watch" => {
            words.expect(1, usize::MAX, &["ignore", "debounce"])?;
            let (ignored, files): (Vec<_>, Vec<_>) = words.texts()?.into_iter().partition(|glob| glob.starts_with('!'));
            let ignored = ignored.iter().map(|glob| &glob[1..]).chain(words.property("ignore", text)?);
            definition.watch = Some(WatchedFiles {
                files,
                ignore: ignored.map(str::to_owned).collect(),
                debounce: words.property("debounce", time)?.unwrap_or(WatchedFiles::DEBOUNCE),
            });
        }
        "success" => {
            words.expect(1, usize::MAX, &[])?;
            definition.success =
                words.arguments.iter().map(|entry| number::<u8>(entry).map(i32::from)).collect::<Result<_, _>>()?;
        }
        "env" => env(definition, node, &words)?,
        "labels" => {
            words.expect(0, 0, &[])?;
            for label in node.children().into_iter().flat_map(KdlDocument::nodes) {
                let words = NodeReader::of(label)?;
                words.expect(1, 1, &[])?;
                definition.labels.insert(label.name().value().to_owned(), word(words.arguments[0])?);
            }
        }
        "needs" => {
            words.expect(1, 1, &["until"])?;
            let until = words.property("until", |entry| {
                one_of(entry, &DependencyCondition::ALL.map(|until| (until, until.as_str())))
            })?;
            definition
                .needs
                .push(Dependency { id: words.text(0)?.to_owned(), until: until.unwrap_or(DependencyCondition::Ready) });
        }
        "restart" => {
            words.expect(1, 1, &["max", "within", "backoff"])?;
            let restart = &mut definition.restart;
            restart.when = one_of(words.arguments[0], &RestartCondition::ALL.map(|when| (when, when.as_str())))?;
            restart.max = words.property("max", number)?.or(restart.max);
            restart.within = words.property("within", time)?.or(restart.within);
            if let Some((pause, longest)) = words.property("backoff", backoff)? {
                (restart.pause, restart.longest) = (pause, longest);
            }
        }
        "stop" => {
            words.expect(0, 0, &["signal", "grace"])?;
            let signal = words.property("signal", word)?;
            definition.stop.signal = signal.unwrap_or_else(|| definition.stop.signal.clone());
            definition.stop.grace = words.property("grace", time)?.unwrap_or(definition.stop.grace);
        }
        "limits" => {
            words.expect(0, 0, &["memory", "cpu", "files", "pids"])?;
            let limits = &mut definition.limits;
            limits.memory = words.property("memory", size)?.or(limits.memory);
            limits.cpu = words.property("cpu", number)?.or(limits.cpu);
            limits.files = words.property("files", number)?.or(limits.files);
            limits.pids = words.property("pids", number)?.or(limits.pids);
        }
        "log" => {
            words.expect(0, 0, &["files", "size"])?;
            definition.log.files = words.property("files", number)?.unwrap_or(definition.log.files);
            definition.log.file_bytes = words.property("size", size)?.unwrap_or(definition.log.file_bytes);
        }
        "terminal" => {
            words.expect(0, 1, &["rows", "columns"])?;
            let has = words.arguments.first().map_or(Ok(true), |entry| boolean(entry))?;
            let rows = words.property("rows", number)?.unwrap_or(24);
            let columns = words.property("columns", number)?.unwrap_or(80);
            definition.terminal = has.then_some(Terminal { rows, columns });
        }
        "ready" => definition.ready = Some(probe(&words, true)?),
        "live" => definition.live = Some(probe(&words, false)?),
        // Of a process that ran when the file was written.
        _ => {}
    }
    Ok(())
}

/// Reads a pause and the longest one: `200ms..30s`, or one time for both.
fn backoff(entry: &KdlEntry) -> Result<(Duration, Duration), At> {
    let given = text(entry)?;
    let parsed = match given.split_once("..") {
        Some((from, to)) => parse_duration(from).zip(parse_duration(to)),
        None => parse_duration(given).map(|time| (time, time)),
    };
    parsed.ok_or_else(|| (entry.span().offset(), "this is a time, or two: \"200ms..30s\"".into()))
}

fn env(definition: &mut Definition, node: &KdlNode, words: &NodeReader<'_>) -> Result<(), At> {
    // Variables as properties, or as nodes; `var "K" "V"` is the form of ichimi 0.2.1.
    for (name, entry) in &words.properties {
        definition.env.insert((*name).to_owned(), EnvValue::Literal(word(entry)?));
    }
    if let Some(extra) = words.arguments.first() {
        return Err((extra.span().offset(), "`env` takes `NAME=\"value\"`, or names and values in braces".into()));
    }
    for variable in node.children().into_iter().flat_map(KdlDocument::nodes) {
        let words = NodeReader::of(variable)?;
        let name = variable.name().value();
        if name == "var" && words.arguments.len() == 2 {
            definition.env.insert(words.text(0)?.to_owned(), EnvValue::Literal(word(words.arguments[1])?));
            continue;
        }
        words.expect(0, 1, &["secret"])?;
        let secret = words.property("secret", |entry| {
            let name = text(entry)?;
            name.parse().map_err(|_| (entry.span().offset(), "this is the name of a secret of `aiw secret`".to_owned()))
        })?;
        let value = match (words.arguments.first(), secret) {
            (Some(entry), None) => EnvValue::Literal(word(entry)?),
            (None, Some(secret)) => EnvValue::Secret(secret),
            _ => {
                return Err((
                    node_offset(variable),
                    format!("`{}` needs a value, or `secret=\"NAME\"`", aiw_core::one_line(name, 60)),
                ));
            }
        };
        definition.env.insert(name.to_owned(), value);
    }
    Ok(())
}

fn probe(words: &NodeReader<'_>, is_ready: bool) -> Result<ProbeDefinition, At> {
    let mut kinds = vec!["http", "tcp", "exec"];
    if is_ready {
        kinds.push("line");
    }
    let mut known = kinds.clone();
    known.extend(["every", "timeout", "failures"]);
    // The arguments of a command follow it.
    let most = if words.properties.contains_key("exec") { usize::MAX } else { 0 };
    words.expect(0, most, &known)?;
    let mut checks = Vec::new();
    for kind in &kinds {
        if let Some(value) = words.property(kind, word)? {
            checks.push(match *kind {
                "http" => CheckDefinition::Http(value),
                "tcp" => CheckDefinition::Tcp(value),
                "line" => CheckDefinition::Line(value),
                _ => CheckDefinition::Exec(std::iter::once(value).chain(words.texts()?).collect()),
            });
        }
    }
    let [check] = <[CheckDefinition; 1]>::try_from(checks).map_err(|_| {
        (node_offset(words.node), format!("`{}` looks at one of {}", words.node.name().value(), kinds.join(", ")))
    })?;
    let other =
        ProbeDefinition { every: Duration::from_secs(if is_ready { 1 } else { 10 }), ..ProbeDefinition::default() };
    Ok(ProbeDefinition {
        check,
        every: words.property("every", time)?.unwrap_or(other.every),
        timeout: words.property("timeout", time)?,
        failures: words.property("failures", number)?.unwrap_or(other.failures),
    })
}
