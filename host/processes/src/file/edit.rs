//! Changing a file of processes: the text is changed where a process stands or will stand, and nowhere else. The result
//! is read again, and refused unless it says exactly what was meant.

use std::fmt::{self, Write};
use std::time::Duration;

use super::read::{node_offset, parse_document};
use super::values::{format_bytes, skip_quoted};
use super::{Definitions, ProcessFile, parse};
use crate::definition::{CommandSpec, Definition, Dependency, EnvValue, EventHook, RestartPolicy, StopPolicy};
use crate::jobs::watched::WatchedFiles;
use crate::probe::{CheckDefinition, ProbeDefinition};
use aiw_events::EventKind;
use aiw_supervisor::{DependencyCondition, LogPolicy};

/// Returns the text with one more process, at its end.
///
/// # Errors
///
/// Returns the changed text, or the obstacle as a sentence.
pub(crate) fn add(text: &str, id: &str, definition: &Definition) -> Result<String, String> {
    let mut wanted = parse(text).map_err(|problem| problem.to_string())?;
    if wanted.processes.insert(id.to_owned(), definition.clone()).is_some() {
        return Err(format!("there is a process `{id}` already"));
    }
    let (mut new, line_end) = (text.to_owned(), line_end(text));
    if !new.is_empty() && !new.ends_with('\n') {
        new.push_str(line_end);
    }
    // The values of the file's own `defaults` count for it, too, so all that differs from them is written.
    let defaults = defaults(text);
    new.push_str(&node(id, definition, &defaults).replace('\n', line_end));
    verify_edit(new, &wanted)
}

/// Returns the text without a process. Comments before it stay.
///
/// # Errors
///
/// Returns the changed text, or the obstacle as a sentence.
pub(crate) fn remove(text: &str, id: &str) -> Result<String, String> {
    let mut wanted = parse(text).map_err(|problem| problem.to_string())?;
    wanted.processes.remove(id).ok_or_else(|| format!("there is no process `{id}`"))?;
    let document = parse_document(text).map_err(|(_, problem)| problem)?;
    let node = find_node(&document, id)?;
    let start = node_start(node, text);
    let mut end = node_end(node, text);
    let line = line_start(text, start);
    let is_first = text[line..start].trim().is_empty();
    let blank = |from: usize| text[from..].len() - text[from..].trim_start_matches([' ', '\t', '\r']).len();
    // What ends the node goes with it, and the line if nothing else stands there.
    let after = end + blank(end);
    if text[after..].starts_with(';') {
        end = after + 1;
    }
    let after = end + blank(end);
    if is_first && text[after..].starts_with('\n') {
        end = after + 1;
    } else if text[after..].is_empty() {
        end = text.len();
    }
    let start = if is_first { line } else { start };
    verify_edit(format!("{}{}", &text[..start], &text[end..]), &wanted)
}

/// Something that a definition says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Addition {
    /// It needs this process.
    Dependency(String),
    /// It starts by itself.
    AutoStart,
    /// It is started when this process has failed.
    OnFailure { of: String, process: String },
}

impl fmt::Display for Addition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency(id) => write!(f, "needs {}", quote(id)),
            Self::AutoStart => f.write_str("auto-start #true"),
            Self::OnFailure { of, process } => {
                let command = ["aiw", "process", "start", process].map(quote).join(" ");
                write!(f, "on \"{}\" of={} {{ command {command} }}", EventKind::Failed, quote(of))
            }
        }
    }
}

impl Addition {
    pub fn add_to(&self, definition: &mut Definition) {
        match self {
            Self::Dependency(id) => {
                definition.needs.push(Dependency { id: id.clone(), until: DependencyCondition::Ready })
            }
            Self::AutoStart => definition.auto_start = true,
            // It stands beside the processes.
            Self::OnFailure { .. } => {}
        }
    }

    /// The program that it adds to the file.
    fn hook(&self) -> Option<EventHook> {
        let Self::OnFailure { of, process } = self else { return None };
        let command = ["aiw", "process", "start", process].map(str::to_owned).to_vec();
        let (on, of) = (EventKind::Failed, Some(of.clone()));
        Some(EventHook { on, of, command, timeout: EventHook::TIMEOUT, after: 0 })
    }
}

/// Returns the text in which a process says something besides.
///
/// # Errors
///
/// Returns the obstacle as a sentence.
pub(crate) fn extend(text: &str, id: &str, addition: &Addition) -> Result<String, String> {
    let mut wanted = parse(text).map_err(|problem| problem.to_string())?;
    addition.add_to(wanted.processes.get_mut(id).ok_or_else(|| format!("there is no process `{id}`"))?);
    if let Some(hook) = addition.hook() {
        hook.add_to(&mut wanted.hooks);
        let end = line_end(text);
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { end };
        return verify_edit(format!("{text}{gap}{addition}{end}"), &wanted);
    }
    let document = parse_document(text).map_err(|(_, problem)| problem)?;
    let children = find_node(&document, id)?.children().map(kdl::KdlDocument::nodes).unwrap_or_default();
    let said = children.iter().find(|child| *addition == Addition::AutoStart && child.name().value() == "auto-start");
    let first = said.or(children.first()).ok_or_else(|| format!("`{id}` says nothing"))?;
    let start = node_start(first, text);
    let (end, after) = match said {
        Some(said) => (node_end(said, text), String::new()),
        None => (start, separator_before(text, start)),
    };
    verify_edit(format!("{}{addition}{after}{}", &text[..start], &text[end..]), &wanted)
}

pub(super) fn find_node<'a>(document: &'a kdl::KdlDocument, id: &str) -> Result<&'a kdl::KdlNode, String> {
    let is_it = |node: &&kdl::KdlNode| {
        node.name().value() == "process" && node.get(0).and_then(|value| value.as_string()) == Some(id)
    };
    document.nodes().iter().find(is_it).ok_or_else(|| format!("there is no process `{id}`"))
}

/// Returns where a node begins: with its annotation, if it has one.
pub(super) fn node_start(node: &kdl::KdlNode, text: &str) -> usize {
    let annotated = node.ty().and_then(|ty| text.get(..ty.span().offset())?.rfind('('));
    annotated.unwrap_or_else(|| node_offset(node))
}

/// Returns where the line of a place begins.
pub(super) fn line_start(text: &str, place: usize) -> usize {
    text[..place].rfind('\n').map_or(0, |at| at + 1)
}

/// Returns what ends the lines of a text.
pub(super) fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Returns what stands between a node and one that is written before it.
pub(super) fn separator_before(text: &str, start: usize) -> String {
    let indent = &text[line_start(text, start)..start];
    if indent.trim().is_empty() { format!("{}{indent}", line_end(text)) } else { "; ".to_owned() }
}

/// Returns where a node ends: after its braces, or after its last word.
pub(super) fn node_end(node: &kdl::KdlNode, text: &str) -> usize {
    let entries = node.entries().iter().map(|entry| entry.span().offset() + entry.span().len());
    let name = node.name().span();
    let words = entries.chain([name.offset() + name.len()]).max().unwrap_or_default();
    match node.children() {
        None => words,
        // The span of what is in braces may leave out what surrounds it, so the brace is looked for.
        Some(children) => {
            let inside = children.nodes().iter().map(|child| node_end(child, text)).max().unwrap_or(words);
            closing(text, words, inside)
        }
    }
}

/// Returns the offset after the brace that closes the one after `from`. Everything before `inside` is inside.
fn closing(text: &str, from: usize, inside: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = inside.max(from);
    if inside == from {
        at = bytes[at..].iter().position(|b| *b == b'{').map_or(bytes.len(), |brace| at + brace + 1);
    }
    while at < bytes.len() {
        match bytes[at] {
            b'}' => return at + 1,
            _ => at = skip_quoted(bytes, at).unwrap_or(at + 1),
        }
    }
    bytes.len()
}

pub(super) fn verify_edit(new: String, wanted: &ProcessFile) -> Result<String, String> {
    match parse(&new) {
        Ok(defined) if defined == *wanted => Ok(new),
        Ok(_) => Err("the file would say something else: change it by hand".into()),
        Err(problem) => Err(format!("the file could not be read any more ({problem}): change it by hand")),
    }
}

/// Returns what a process has in this file that says nothing but its command.
pub(crate) fn defaults(text: &str) -> Definition {
    let probe = format!("{text}\nprocess \"aiw-probe\" {{ command \"x\" }}\n");
    let with = parse(&probe).ok().and_then(|mut defined| defined.processes.remove("aiw-probe"));
    with.unwrap_or_default()
}

/// Returns a whole file with these processes and hooks.
pub(crate) fn to_kdl(definitions: &Definitions, hooks: &[EventHook]) -> String {
    // Copies are written once, as they were.
    let is_first = |definition: &Definition| {
        definition
            .copy
            .as_ref()
            .is_none_or(|copy| copy.number == 1 || !definitions.contains_key(&format!("{}-1", copy.of)))
    };
    let all = definitions.iter().filter(|(_, definition)| is_first(definition));
    let processes = all.map(|(id, definition)| {
        let id = definition.copy.as_ref().map_or(id, |copy| &copy.of);
        node(id, definition, &Definition::default())
    });
    processes.chain(hooks.iter().map(hook)).collect()
}

fn hook(hook: &EventHook) -> String {
    let EventHook { on, of, command, timeout, after: _ } = hook;
    let of = of.as_ref().map(|of| format!(" of={}", quote(of))).unwrap_or_default();
    format!(
        "on \"{on}\"{of} {{\n    command {}\n    timeout \"{}\"\n}}\n",
        format_arguments(command),
        format_duration(*timeout)
    )
}

/// Returns the lines of what starts a process without a command, and of its replicas.
fn by_itself(definition: &Definition) -> Vec<String> {
    let watch = definition.watch.iter().map(|WatchedFiles { files, ignore, debounce }| {
        let ignore: String = ignore.iter().map(|glob| format!(" {}", quote(&format!("!{glob}")))).collect();
        format!("watch {}{ignore} debounce=\"{}\"", format_arguments(files), format_duration(*debounce))
    });
    let replicas = definition.replicas.iter().map(|replicas| format!("replicas {replicas}"));
    let cron = definition.cron.iter().map(|cron| format!("cron {}", quote(cron)));
    watch.chain(replicas).chain(cron).collect()
}

pub(super) fn format_arguments(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

fn node(id: &str, definition: &Definition, defaults: &Definition) -> String {
    let mut out = format!("process {} {{\n", quote(id));
    let mut line = |text: String| {
        let _ = writeln!(out, "    {text}");
    };
    match &definition.run {
        CommandSpec::Command(argv) => line(format!("command {}", format_arguments(argv))),
        CommandSpec::Shell(text) => line(format!("shell {}", quote(text))),
    }
    for (name, value) in [("cwd", &definition.cwd), ("env-file", &definition.env_file), ("group", &definition.group)] {
        if let Some(value) = value {
            line(format!("{name} {}", quote(value)));
        }
    }
    format_env(definition, defaults).into_iter().for_each(&mut line);
    definition.needs.iter().map(format_dependency).for_each(&mut line);
    for (name, probe) in [("ready", &definition.ready), ("live", &definition.live)] {
        if let Some(probe) = probe {
            line(probe_line(name, probe));
        }
    }
    if !definition.labels.is_empty() {
        let labels = definition.labels.iter().map(|(name, value)| format!("{} {}", quote(name), quote(value)));
        line(format!("labels {{ {} }}", labels.collect::<Vec<_>>().join("; ")));
    }
    policy_lines(definition, defaults).into_iter().for_each(&mut line);
    by_itself(definition).into_iter().for_each(&mut line);
    if definition.auto_start != defaults.auto_start {
        line(format!("auto-start #{}", definition.auto_start));
    }
    out.push_str("}\n");
    out
}

/// Returns the lines of the policy under which a process runs, as far as it differs from the defaults.
pub(crate) fn policy_lines(definition: &Definition, defaults: &Definition) -> Vec<String> {
    let mut lines = Vec::new();
    if definition.restart != defaults.restart {
        lines.push(format_restart(&definition.restart));
    }
    if definition.success != defaults.success {
        let codes: Vec<String> = definition.success.iter().map(i32::to_string).collect();
        lines.push(format!("success {}", codes.join(" ")));
    }
    if definition.stop != defaults.stop {
        let StopPolicy { signal, grace } = &definition.stop;
        lines.push(format!("stop signal={} grace=\"{}\"", quote(signal), format_duration(*grace)));
    }
    let limits = &definition.limits;
    if *limits != defaults.limits {
        let memory = limits.memory.map(|bytes| format!(" memory=\"{}\"", format_bytes(bytes))).unwrap_or_default();
        let cpu = limits.cpu.map(|cpu| format!(" cpu={cpu}")).unwrap_or_default();
        let files = limits.files.map(|files| format!(" files={files}")).unwrap_or_default();
        let pids = limits.pids.map(|pids| format!(" pids={pids}")).unwrap_or_default();
        lines.push(format!("limits{memory}{cpu}{files}{pids}"));
    }
    if definition.log != defaults.log {
        let LogPolicy { file_bytes, files } = definition.log;
        lines.push(format!("log files={files} size=\"{}\"", format_bytes(file_bytes)));
    }
    if let Some(terminal) = definition.terminal {
        lines.push(format!("terminal rows={} columns={}", terminal.rows, terminal.columns));
    }
    if definition.input != defaults.input {
        lines.push(format!("input #{}", definition.input));
    }
    lines
}

/// Returns the variables that differ from the defaults.
pub(super) fn format_env(definition: &Definition, defaults: &Definition) -> Option<String> {
    let own = definition.env.iter().filter(|(name, value)| defaults.env.get(*name) != Some(value));
    let lines: String = own.map(|(name, value)| format!("        {}\n", format_variable(name, value))).collect();
    (!lines.is_empty()).then(|| format!("env {{\n{lines}    }}"))
}

/// Returns the node of a variable.
pub(super) fn format_variable(name: &str, value: &EnvValue) -> String {
    match value {
        EnvValue::Literal(text) => format!("{} {}", quote(name), quote(text)),
        EnvValue::Secret(secret) => format!("{} secret={}", quote(name), quote(secret.as_str())),
    }
}

pub(super) fn format_dependency(Dependency { id, until }: &Dependency) -> String {
    format!("needs {} until=\"{until}\"", quote(id))
}

pub(super) fn format_restart(policy: &RestartPolicy) -> String {
    let RestartPolicy { when, max, within, pause, longest } = policy;
    let max = max.map(|max| format!(" max={max}")).unwrap_or_default();
    let within = within.map(|within| format!(" within=\"{}\"", format_duration(within))).unwrap_or_default();
    format!(
        "restart \"{}\"{max}{within} backoff=\"{}..{}\"",
        when.as_str(),
        format_duration(*pause),
        format_duration(*longest)
    )
}

fn probe_line(name: &str, probe: &ProbeDefinition) -> String {
    let check = match &probe.check {
        CheckDefinition::Http(url) => format!("http={}", quote(url)),
        CheckDefinition::Tcp(at) => format!("tcp={}", quote(at)),
        CheckDefinition::Line(pattern) => format!("line={}", quote(pattern)),
        CheckDefinition::Exec(argv) => {
            let rest: String = argv.iter().skip(1).map(|word| format!(" {}", quote(word))).collect();
            format!("exec={}{rest}", quote(argv.first().map_or("", String::as_str)))
        }
    };
    let timeout = probe.timeout.map(|timeout| format!(" timeout=\"{}\"", format_duration(timeout))).unwrap_or_default();
    format!("{name} {check} every=\"{}\"{timeout} failures={}", format_duration(probe.every), probe.failures)
}

pub(crate) fn format_duration(time: Duration) -> String {
    if time.subsec_nanos() == 0 { format!("{}s", time.as_secs()) } else { format!("{}ms", time.as_millis()) }
}

/// Returns a text as KDL writes it.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // The text of the file stays readable, and what KDL does not allow is written by its number.
            c if c.is_control() || !c.is_ascii() && !c.is_alphanumeric() => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::RestartCondition;
    use proptest::prelude::*;

    const FILE: &str = r#"// Processes of this project.
defaults { stop signal="INT" grace="9s" }

/* the database */
process "db" { // keep me
    command "postgres" "-D" "data" // a } brace in a comment
    env { A "x}y" }
} // after
process "api" { command "api"; needs "db" until="healthy" }; process "one-line" { command "x" }
// the end
"#;

    #[test]
    fn what_is_removed_takes_nothing_else_with_it() {
        let without = remove(FILE, "one-line").unwrap();
        assert_eq!(without, FILE.replace("process \"one-line\" { command \"x\" }", ""));
        let without = remove(&remove(FILE, "api").unwrap(), "db").unwrap();
        assert!(without.contains("/* the database */") && without.contains("// after\n"), "{without}");
        assert!(without.contains("// the end") && parse(&without).is_ok(), "{without}");
        assert!(remove(FILE, "nope").is_err());
    }

    #[test]
    fn what_a_process_says_besides_stands_in_its_braces() {
        let needs = Addition::Dependency("api".into());
        let text = extend(FILE, "db", &Addition::Dependency("one-line".into())).unwrap();
        assert_eq!(text, FILE.replace("    command \"postgres\"", "    needs \"one-line\"\n    command \"postgres\""));
        let text = extend(FILE, "one-line", &needs).unwrap();
        assert_eq!(text, FILE.replace("{ command \"x\" }", "{ needs \"api\"; command \"x\" }"));
        let off =
            "process a {\n  command x\n  auto-start #false // not yet\n}\nprocess b { command y; auto-start #false }";
        let text = extend(off, "a", &Addition::AutoStart).unwrap();
        assert_eq!(text, off.replace("auto-start #false //", "auto-start #true //"));
        let text = extend(off, "b", &Addition::AutoStart).unwrap();
        assert_eq!(text, off.replace("auto-start #false }", "auto-start #true }"));
        assert!(extend(FILE, "nope", &needs).is_err());
        let rescue = Addition::OnFailure { of: "db".into(), process: "api".into() };
        let text = extend(FILE, "api", &rescue).unwrap();
        let line = "on \"failed\" of=\"db\" { command \"aiw\" \"process\" \"start\" \"api\" }\n";
        assert_eq!(text, format!("{FILE}{line}"));
        let ids = |text: &str| parse(text).unwrap().hooks.iter().map(EventHook::id).collect::<Vec<_>>();
        assert_eq!(ids(&extend(&text, "api", &rescue).unwrap()), ["on:failed:db", "on:failed:db#2"]);
    }

    #[test]
    fn what_is_added_is_read_as_it_was_meant() {
        let definition = Definition {
            run: CommandSpec::Command(vec!["npm".into(), "run \"dev\"\n\\".into(), "ü\u{202e}".into()]),
            restart: RestartPolicy { when: RestartCondition::Always, ..RestartPolicy::default() },
            ready: Some(ProbeDefinition {
                check: CheckDefinition::Line("Local: *http://".into()),
                ..ProbeDefinition::default()
            }),
            labels: [("a".to_owned(), "b;c".to_owned())].into(),
            input: true,
            auto_start: false,
            watch: Some(WatchedFiles {
                files: vec!["src/**/*.rs".into(), "a b".into()],
                ignore: vec!["target/**".into(), "x".into()],
                debounce: Duration::from_millis(250),
            }),
            ..Definition::default()
        };
        let text = add(FILE, "web", &definition).unwrap();
        assert!(text.starts_with(FILE), "{text}");
        assert_eq!(parse(&text).unwrap().processes["web"], definition);
        // It differs from the file's defaults, so that is written.
        assert!(text.contains("stop signal=\"TERM\" grace=\"5s\""), "{text}");
        assert!(add(&text, "web", &definition).is_err());
        assert!(add("", "web", &definition).unwrap().starts_with("process \"web\" {"));
    }

    #[test]
    fn what_is_added_has_the_line_ends_of_its_file() {
        let env = [("A".to_owned(), EnvValue::Literal("1\n2".into()))].into();
        let definition = Definition { run: CommandSpec::Command(vec!["a\nb".into()]), env, ..Definition::default() };
        for text in ["process \"a\" { command \"x\" }", "process \"a\" { command \"x\" }\n// end\n"] {
            for (text, end) in
                [(format!("// top\n{text}"), "\n"), (format!("// top\r\n{}", text.replace('\n', "\r\n")), "\r\n")]
            {
                let added = add(&text, "b", &definition).unwrap();
                assert_eq!(added.matches('\n').count(), added.matches(end).count(), "{added:?}");
                assert!(added.starts_with(&text) && added.ends_with(&format!("}}{end}")), "{added:?}");
                assert_eq!(parse(&added).unwrap().processes["b"], definition);
                assert_eq!(end == "\r\n", added.contains('\r'), "{added:?}");
            }
        }
    }

    #[test]
    fn what_runs_by_itself_is_written_so_that_it_is_read_again() {
        let text = "process \"api\" { command \"x\"; cron \"0 7 * * 1-5\"; watch \"a\" ignore=\"b\" }
                    on \"failed\" of=\"api\" { command \"notify-send\" \"api failed\"; timeout \"5s\" }
                    on \"limit_reached\" { command \"x\" }
                    on \"failed\" of=\"api\" { command \"y\" }";
        let defined = parse(text).unwrap();
        let ids: Vec<_> = defined.hooks.iter().map(EventHook::id).collect();
        assert_eq!(ids, ["on:failed:api", "on:limit_reached", "on:failed:api#2"]);
        assert_eq!(parse(&to_kdl(&defined.processes, &defined.hooks)).unwrap(), defined);
        // An edit touches neither.
        let edited =
            add(text, "web", &Definition { run: CommandSpec::Command(vec!["y".into()]), ..Definition::default() });
        assert_eq!(parse(&edited.unwrap()).unwrap().hooks, defined.hooks);
        for (bad, problem) in [
            ("on \"failed\" of=\"nobody\" { command \"x\" }", "there is no process `nobody`"),
            ("on \"sunk\" { command \"x\" }", "this is one of"),
            ("on \"failed\" { timeout \"1s\" }", "has no command"),
            ("on \"failed\" { shell \"x\" }", "`shell` is not known here"),
            ("process \"a\" { command \"x\"; cron \"soon\" }", "is not a time"),
            (
                "process \"a\" { command \"x\"; cron \"* * * * *\"; restart \"always\" }",
                "has a `cron`, and a `restart`",
            ),
            ("process \"a\" { command \"x\"; watch \"../x\" }", "outside the project"),
            ("process \"a\" { command \"x\"; watch \"x\" debounce=\"1ms\" }", "not between 20 ms and 60 s"),
        ] {
            let said = parse(bad).unwrap_err().to_string();
            assert!(said.contains(problem), "{bad}: {said}");
        }
    }

    #[test]
    fn copies_stand_for_themselves_are_needed_together_and_are_written_once() {
        let text = "process \"api\" { command \"x\"; replicas 2; needs \"db\" }; process \"db\" { command \"y\" }
                    process \"web\" { command \"z\"; needs \"api\" }";
        let defined = parse(text).unwrap().processes;
        let all = crate::definition::expand_replicas(defined.clone()).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["api-1", "api-2", "db", "web"]);
        assert_eq!(all["web"].needs.iter().map(|need| &need.id).collect::<Vec<_>>(), ["api-1", "api-2"]);
        assert_eq!(
            crate::definition::expand_replicas(parse(&to_kdl(&all, &[])).unwrap().processes).unwrap()["api-2"],
            all["api-2"]
        );
        let double = format!("{text}; process \"api-2\" {{ command \"x\" }}");
        let error = crate::definition::expand_replicas(parse(&double).unwrap().processes).unwrap_err();
        assert!(matches!(&error, crate::error::ProcessError::InvalidDefinition { id, .. } if id == "api-2"), "{error}");
        let many: String = (0..6).map(|at| format!("process \"p{at}\" {{ command \"x\"; replicas 100 }}\n")).collect();
        let error = crate::definition::expand_replicas(parse(&many).unwrap().processes).unwrap_err().to_string();
        assert!(error.contains("`p5`") && error.contains("more than 500"), "{error}");
        assert!(parse("process \"a\" { command \"x\"; replicas 0 }").is_err());
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_definition_is_written_so_that_it_is_read_again(
                argv in proptest::collection::vec("[^\0]{1,20}", 1..5), value in "[^\0]*", shell: bool, input: bool,
            ) {
                let run = if shell { CommandSpec::Shell(format!("x{value}")) } else { CommandSpec::Command(argv) };
                let env = [("A".to_owned(), EnvValue::Literal(value))].into();
                let definition = Definition { run, env, input, ..Definition::default() };
                let all = [("a".to_owned(), definition)].into();
                prop_assert_eq!(parse(&to_kdl(&all, &[])).unwrap().processes, all);
            }

            #[test]
            fn any_text_is_read_or_refused(text: String) {
                let _ = parse(&text);
                let _ = super::super::super::parse_legacy(&text);
                let _ = remove(&text, "a");
            }

            #[test]
            fn a_file_with_pieces_cut_out_is_read_or_refused(at in 0usize..400, length in 0usize..60) {
                let (at, end) = (at.min(FILE.len()), (at + length).min(FILE.len()));
                let cut = format!("{}{}", &FILE[..at], &FILE[end.max(at)..]);
                if let Ok(ProcessFile { processes, .. }) = parse(&cut) {
                    for id in processes.keys() {
                        if let Ok(more) = extend(&cut, id, &Addition::Dependency("x".into())) {
                            let needs = parse(&more).unwrap().processes[id].needs.len();
                            prop_assert_eq!(needs, processes[id].needs.len() + 1);
                        }
                        if let Ok(less) = remove(&cut, id) {
                            prop_assert_eq!(parse(&less).unwrap().processes.len() + 1, processes.len());
                        }
                    }
                }
            }
        }
    }
}
