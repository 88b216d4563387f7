//! Templates: processes as projects of a kind usually have them. What a project's files say is only data: a program and its
//! arguments come out, never a line for a shell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aiw_core::{Prompter, closest, one_line, quoted, quoted_list, shell_quote_printable};
use aiw_home::read_nofollow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::define::AddedProcess;
use crate::definition::{CommandSpec, Definition, EnvValue, RestartCondition};
use crate::error::ProcessError;
use crate::import::plan_addition;
use crate::manager::Manager;
use crate::probe::{CheckDefinition, ProbeDefinition};
use crate::typed::Author;

/// The largest `package.json`.
const MAX_PACKAGE_JSON_BYTES: u64 = 256 << 10;
/// The longest value.
const MAX_VALUE_LEN: usize = 4096;

/// A template.
struct Template {
    name: &'static str,
    about: &'static str,
    /// The file that a project for it has. Without one, it fits each project.
    file: Option<&'static str>,
    /// The program and its arguments. `{NAME}` stands for a value; a word with a value that is absent is left out.
    words: &'static [&'static str],
    values: &'static [TemplateSlot],
    restart: RestartCondition,
    /// The signal at which it ends.
    stop: Option<&'static str>,
    /// A command for the user, once before the first start.
    first: Option<&'static str>,
}

/// A value of a template.
struct TemplateSlot {
    name: &'static str,
    about: &'static str,
    kind: SlotKind,
    usual: Usual,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SlotKind {
    /// One word, or a part of one.
    Text,
    /// A port that the process listens on: it is ready then.
    Port,
    /// A port that the process is told by the variable `PORT_SLOT`: it is ready when it listens there.
    PortVariable,
    /// A program with arguments, in quotes where needed.
    Command,
    /// A script of `package.json`.
    Script,
}

/// The value if nobody says one.
enum Usual {
    Literal(&'static str),
    /// That of the first of these files that the project has, or the other one.
    ByExistingFile(&'static [(&'static str, &'static str)], &'static str),
    /// The first of these files that the project has, or the other one.
    ExistingFile(&'static [&'static str], &'static str),
    /// The first of these scripts that `package.json` has.
    Script(&'static [&'static str]),
    /// It may be absent.
    Optional,
    /// Somebody has to say it.
    Required,
}

const PORT_SLOT: TemplateSlot = TemplateSlot {
    name: "port",
    about: "The port on which it listens, if it takes it from the variable PORT",
    kind: SlotKind::PortVariable,
    usual: Usual::Optional,
};

const fn slot(name: &'static str, about: &'static str, kind: SlotKind, usual: Usual) -> TemplateSlot {
    TemplateSlot { name, about, kind, usual }
}

const fn program(
    name: &'static str,
    about: &'static str,
    file: &'static str,
    words: &'static [&'static str],
) -> Template {
    let restart = RestartCondition::No;
    Template { name, about, file: Some(file), words, values: &[], restart, stop: None, first: None }
}

/// All templates.
const TEMPLATES: &[Template] = &[
    Template {
        values: &[
            slot(
                "tool",
                "The package manager, by the lock file",
                SlotKind::Command,
                Usual::ByExistingFile(
                    &[("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun"), ("bun.lockb", "bun")],
                    "npm",
                ),
            ),
            slot("script", "The script", SlotKind::Script, Usual::Script(&["dev", "start"])),
            PORT_SLOT,
        ],
        ..program("node", "A script of package.json", "package.json", &["{tool}", "run", "{script}"])
    },
    Template {
        values: &[slot("bin", "The binary, if there are several", SlotKind::Text, Usual::Optional), PORT_SLOT],
        ..program("cargo", "A program in Rust", "Cargo.toml", &["cargo", "run", "--bin={bin}"])
    },
    Template {
        values: &[
            slot(
                "tool",
                "Python, as the lock file says",
                SlotKind::Command,
                Usual::ByExistingFile(&[("uv.lock", "uv run python"), ("poetry.lock", "poetry run python")], "python3"),
            ),
            slot(
                "file",
                "The file that it runs",
                SlotKind::Text,
                Usual::ExistingFile(&["main.py", "app.py"], "main.py"),
            ),
            PORT_SLOT,
        ],
        ..program("python", "A program in Python", "pyproject.toml", &["{tool}", "{file}"])
    },
    Template {
        values: &[slot("package", "The package", SlotKind::Text, Usual::Literal(".")), PORT_SLOT],
        ..program("go", "A program in Go", "go.mod", &["go", "run", "{package}"])
    },
    Template {
        name: "postgres",
        about: "A PostgreSQL server with its data in the project, on this machine's TCP alone",
        file: None,
        words: &["{program}", "-D", "{data}", "-p", "{port}", "-c", "unix_socket_directories="],
        values: &[
            slot("program", "The server, with its path if PATH has none", SlotKind::Text, Usual::Literal("postgres")),
            slot("data", "Its data directory", SlotKind::Text, Usual::Literal("data")),
            slot("port", "Its port", SlotKind::Port, Usual::Literal("5432")),
        ],
        restart: RestartCondition::UnlessStopped,
        // At SIGTERM it would wait for its clients to go.
        stop: Some("INT"),
        first: Some("initdb -D {data}"),
    },
    Template {
        name: "redis",
        about: "A Redis server that keeps nothing on disk, on this machine alone",
        file: None,
        words: &["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        values: &[slot("port", "Its port", SlotKind::Port, Usual::Literal("6379"))],
        restart: RestartCondition::UnlessStopped,
        stop: None,
        first: None,
    },
    Template {
        name: "worker",
        about: "A program that works on in the background, and is started again when it ends",
        file: None,
        words: &["{command}"],
        values: &[slot("command", "The program and its arguments", SlotKind::Command, Usual::Required)],
        restart: RestartCondition::Always,
        stop: None,
        first: None,
    },
    Template {
        name: "tunnel",
        about: "A port of another machine as one of this machine, by ssh",
        file: None,
        words: &[
            "ssh",
            "-N",
            "-o",
            "BatchMode=yes",
            "-o",
            "ExitOnForwardFailure=yes",
            "-o",
            "ServerAliveInterval=30",
            "-L",
            "127.0.0.1:{port}:{to}",
            "{host}",
        ],
        values: &[
            slot("host", "The other machine, as ssh knows it", SlotKind::Text, Usual::Required),
            slot(
                "to",
                "The address and port, as the other machine sees them",
                SlotKind::Text,
                Usual::Literal("127.0.0.1:5432"),
            ),
            slot("port", "The port here", SlotKind::Port, Usual::Literal("5432")),
        ],
        restart: RestartCondition::Always,
        stop: None,
        first: None,
    },
];

/// The templates that fit a project
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProcessTemplates {
    /// The templates
    pub templates: Vec<ProcessTemplate>,
    /// Why others don't fit, if that is not plain
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// A template
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProcessTemplate {
    /// Its name
    pub name: String,
    /// The process that it makes
    pub about: String,
    /// The command with the usual values; `{NAME}` is a value that it needs
    pub command: String,
    /// A command to run once before the first start
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Its values
    pub values: Vec<TemplateValue>,
}

/// A value of a template
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TemplateValue {
    /// Its name
    pub name: String,
    /// Its meaning
    pub about: String,
    /// The value if you give none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual: Option<String>,
    /// Whether you have to give one
    pub needed: bool,
}

/// A new process from a template.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateRequest {
    /// The template's name
    pub template: String,
    /// A new id; without one, the template's name
    pub id: Option<String>,
    /// Values that differ from the usual ones
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Its directory in the project, in which its files are looked for
    #[serde(skip)]
    pub cwd: Option<String>,
    /// The author
    #[serde(skip)]
    pub author: Author,
}

/// The directory for which a template is filled in, and the scripts of its `package.json`.
struct TemplateDirectory {
    directory: PathBuf,
    scripts: Result<Vec<String>, String>,
}

impl TemplateDirectory {
    fn has(&self, file: &str) -> bool {
        // A link may lead anywhere.
        std::fs::symlink_metadata(self.directory.join(file)).is_ok_and(|file| file.is_file())
    }

    fn usual(&self, slot: &TemplateSlot) -> Option<String> {
        let usual = match slot.usual {
            Usual::Literal(text) => text,
            Usual::ByExistingFile(tools, other) => {
                tools.iter().find(|(lock, _)| self.has(lock)).map_or(other, |(_, tool)| *tool)
            }
            Usual::ExistingFile(files, other) => files.iter().find(|file| self.has(file)).copied().unwrap_or(other),
            Usual::Script(wanted) => {
                let scripts = self.scripts.as_ref().ok()?;
                wanted.iter().copied().find(|name| scripts.iter().any(|script| script == name))?
            }
            Usual::Optional | Usual::Required => return None,
        };
        Some(usual.to_owned())
    }

    /// Why a template does not fit. The error is a sentence that is worth telling.
    fn fits(&self, template: &Template) -> Result<bool, String> {
        match template.file {
            None => Ok(true),
            Some(file) if !self.has(file) => Ok(false),
            Some("package.json") => self.scripts.as_ref().map(|scripts| !scripts.is_empty()).map_err(Clone::clone),
            Some(_) => Ok(true),
        }
    }
}

/// Returns the names of the scripts in a directory's `package.json`. The error is a sentence.
fn scripts(directory: &Path) -> Result<Vec<String>, String> {
    let read = read_nofollow(&directory.join("package.json"), MAX_PACKAGE_JSON_BYTES)
        .map_err(|e| one_line(&e.to_string(), 300))?;
    let Some(bytes) = read else { return Ok(Vec::new()) };
    let package: Value = aiw_core::from_foreign_json(&bytes).map_err(|e| format!("package.json can't be read: {e}"))?;
    Ok(package.get("scripts").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone()).collect())
}

/// A template's values, by name.
type Values = BTreeMap<&'static str, String>;

/// Puts values into a text. `None` if one is absent.
fn filled(text: &str, values: &Values) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        out.extend([before, values.get(name)?.as_str()]);
        rest = after;
    }
    Some(out + rest)
}

impl Template {
    fn slot(&self, name: &str) -> Option<&'static TemplateSlot> {
        self.values.iter().find(|slot| slot.name == name)
    }

    fn problem(&self, problem: impl Into<String>) -> ProcessError {
        ProcessError::Template { template: self.name.to_owned(), problem: problem.into() }
    }

    /// Returns all values, with the usual ones where none is given.
    fn values(&self, place: &TemplateDirectory, given: &BTreeMap<String, String>) -> Result<Values, ProcessError> {
        if let Some(name) = given.keys().find(|name| self.slot(name).is_none()) {
            let known: Vec<&str> = self.values.iter().map(|slot| slot.name).collect();
            return Err(self.problem(format!("has no value {}: it has {}", quoted(name), known.join(", "))));
        }
        let mut values = Values::new();
        for slot in self.values {
            let name = slot.name;
            let Some(value) = given.get(name).cloned().or_else(|| place.usual(slot)) else {
                match slot.usual {
                    Usual::Optional => continue,
                    _ => return Err(self.problem(format!("needs a value for `{name}`: {}", slot.about))),
                }
            };
            let wrong = |why: &str| self.problem(format!("can't have {} as `{name}`: {why}", quoted(&value)));
            if value.trim().is_empty() || value.len() > MAX_VALUE_LEN {
                return Err(wrong("it is empty or too long"));
            }
            // A value is data: the program must not take it for an option.
            if value.starts_with('-') {
                return Err(wrong("it begins with `-`"));
            }
            match slot.kind {
                SlotKind::Port | SlotKind::PortVariable if !value.parse::<u16>().is_ok_and(|port| port > 0) => {
                    return Err(wrong("it is not a port from 1 to 65535"));
                }
                SlotKind::Command if has_coded_quotes(&value) => {
                    return Err(wrong("`$'…'` is not read here: use other quotes"));
                }
                SlotKind::Script => {
                    let scripts =
                        place.scripts.as_ref().map_err(|why| self.problem(format!("can't be used: {why}")))?;
                    if !scripts.contains(&value) {
                        return Err(wrong(&format!("package.json has no such script, but {}", quoted_list(scripts))));
                    }
                }
                _ => {}
            }
            values.insert(name, value);
        }
        Ok(values)
    }

    /// Returns the program and its arguments.
    fn argv(&self, values: &Values) -> Result<Vec<String>, ProcessError> {
        let mut argv = Vec::new();
        for word in self.words {
            let slot = word.strip_prefix('{').and_then(|word| self.slot(word.strip_suffix('}')?));
            match (slot.map(|slot| slot.kind), filled(word, values)) {
                (Some(SlotKind::Command), Some(text)) => {
                    argv.extend(shell_words::split(&text).map_err(|_| self.problem("has a quote that doesn't end"))?);
                }
                (_, word) => argv.extend(word),
            }
        }
        Ok(argv)
    }

    /// Returns the process that it makes. What it does not say is as in `base`.
    fn definition(&self, values: &Values, base: Definition) -> Result<Definition, ProcessError> {
        let mut definition = Definition { run: CommandSpec::Command(self.argv(values)?), ..base };
        if self.restart != RestartCondition::No {
            definition.restart.when = self.restart;
        }
        if let Some(signal) = self.stop {
            signal.clone_into(&mut definition.stop.signal);
        }
        for slot in self.values {
            let Some(port) = values.get(slot.name) else { continue };
            if slot.kind == SlotKind::PortVariable {
                definition.env.insert("PORT".into(), EnvValue::Literal(port.clone()));
            }
            if matches!(slot.kind, SlotKind::Port | SlotKind::PortVariable) {
                definition.ready =
                    Some(ProbeDefinition { check: CheckDefinition::Tcp(port.clone()), ..ProbeDefinition::default() });
            }
        }
        Ok(definition)
    }

    fn summary(&self, place: &TemplateDirectory) -> ProcessTemplate {
        let value = |slot: &TemplateSlot| TemplateValue {
            name: slot.name.into(),
            about: slot.about.into(),
            usual: place.usual(slot),
            needed: !matches!(slot.usual, Usual::Optional) && place.usual(slot).is_none(),
        };
        let values: Vec<TemplateValue> = self.values.iter().map(value).collect();
        let shown = self.values.iter().zip(&values).filter_map(|(slot, value)| {
            let text = value.usual.clone().or_else(|| value.needed.then(|| format!("{{{}}}", slot.name)))?;
            Some((slot.name, text))
        });
        let shown: Values = shown.collect();
        let words: Vec<String> = self.words.iter().filter_map(|word| filled(word, &shown)).collect();
        let quoted = |word: &String| if word.is_empty() { "''".to_owned() } else { word.clone() };
        ProcessTemplate {
            name: self.name.into(),
            about: self.about.into(),
            command: words.iter().map(quoted).collect::<Vec<_>>().join(" "),
            first: self.first.and_then(|first| filled(first, &shown)),
            values,
        }
    }
}

impl Manager {
    fn place(&self, cwd: Option<&str>) -> Result<TemplateDirectory, ProcessError> {
        let directory = self.project.resolve_path("template", cwd.unwrap_or("."))?;
        Ok(TemplateDirectory { scripts: scripts(&directory), directory })
    }

    /// Returns the templates that fit the files of a directory of the project.
    ///
    /// # Errors
    ///
    /// The directory is not in the project.
    pub fn templates(&self, cwd: Option<&str>) -> Result<ProcessTemplates, ProcessError> {
        let place = self.place(cwd)?;
        let (mut templates, mut problems) = (Vec::new(), Vec::new());
        for template in TEMPLATES {
            match place.fits(template) {
                Ok(true) => templates.push(template.summary(&place)),
                Ok(false) => {}
                Err(problem) => problems.push(format!("`{}` is left out: {problem}", template.name)),
            }
        }
        Ok(ProcessTemplates { templates, problems })
    }

    /// Defines a process from a template: a user's in the project's file, after they have seen what it gains; a model's in
    /// the home. Nothing is started.
    ///
    /// # Errors
    ///
    /// There is no such template or value, the template doesn't fit, the id is taken, or the user declines.
    pub async fn instantiate(
        &self,
        request: &TemplateRequest,
        ask: &dyn Prompter,
    ) -> Result<AddedProcess, ProcessError> {
        let names = || TEMPLATES.iter().map(|template| template.name);
        let template = TEMPLATES.iter().find(|template| template.name == request.template).ok_or_else(|| {
            let nearest = closest(&request.template, names()).map(str::to_owned);
            ProcessError::TemplateNotFound { name: request.template.clone(), nearest }
        })?;
        let place = self.place(request.cwd.as_deref())?;
        if let Some(file) = template.file.filter(|file| !place.has(file)) {
            return Err(template.problem(format!("is for a project with `{file}`, and there is none")));
        }
        let values = template.values(&place, &request.values)?;
        let base = Definition { cwd: request.cwd.clone(), ..self.default_definition(request.author)? };
        let definition = template.definition(&values, base)?;
        let id = request.id.as_deref().unwrap_or(template.name);
        self.check_new(id, &definition)?;
        if request.author == Author::User {
            let words = values.iter().map(|(name, value)| (*name, shell_quote_printable(value).into_owned())).collect();
            let first = template.first.and_then(|first| filled(first, &words));
            let first = first.map(|first| format!("before the first start, once: {first}"));
            let gained = [(id.to_owned(), definition.clone())].into();
            ask.confirm(&plan_addition(&self.project, &gained, first), &[]).await.map_err(ProcessError::NotAdded)?;
        }
        self.add(id, &definition, request.author, None)
    }
}

/// Whether a text has `$'…'` where a shell would read codes in it.
fn has_coded_quotes(text: &str) -> bool {
    let (mut quote, mut before) = (None, ' ');
    for sign in text.chars() {
        match quote {
            None if sign == '\'' && before == '$' => return true,
            None if matches!(sign, '\'' | '"') && before != '\\' => quote = Some(sign),
            Some(open) if sign == open && (open == '\'' || before != '\\') => quote = None,
            _ => {}
        }
        // What a backslash stands before begins nothing.
        before = if before == '\\' { ' ' } else { sign };
    }
    false
}

#[cfg(test)]
mod tests;
