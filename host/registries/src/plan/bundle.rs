//! MCP bundles: zip archives with a `manifest.json` that says what to run.
//! <https://github.com/anthropics/mcpb/blob/main/MANIFEST.md>

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use aiw_core::registry::{Format, Package};
use aiw_core::{Diagnostic, EnvName, ErrorKind, Question, RelPath, hex, one_line, quoted};
use aiw_home::{ExecutionContext, HomeError};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::builder::{CommandBuilder, CommandTemplate};
use super::command::{Arg, Env, check_variable, drop_secret_args, environment};
use super::error::{Note, UnsupportedReason};
use super::inputs::{Questions, TemplatePart, Value, check_literal, is_safe_default};
use super::method::{InstallAction, InstallMethod};
use super::remote::check_address;
use super::runtime::Runtime;

/// The largest bundle. The largest seen has some 60 MB.
pub const MAX_BUNDLE_BYTES: u64 = 256 << 20;

/// The most that a bundle may unpack to.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;

/// The most files; `node_modules` has thousands.
const MAX_FILES: usize = 50_000;

const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The machine that a server is to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetMachine {
    /// `linux`, `darwin` or `win32`, as in manifests.
    pub os: &'static str,
    /// `x64` or `arm64`, or Rust's word for another.
    pub arch: &'static str,
    /// The user's home, if there is one.
    pub home: Option<PathBuf>,
}

impl TargetMachine {
    /// This machine, for a client.
    pub fn current(around: &ExecutionContext) -> Self {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            "windows" => "win32",
            other => other,
        };
        let arch = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os, arch, home: around.user_home() }
    }
}

/// Why a bundle can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not the file that the registry lists.
    #[error("the bundle is not the file that the registry lists: its SHA-256 is {found}, not {wanted}")]
    Digest {
        /// The digest in the registry.
        wanted: String,
        /// The digest of the file.
        found: String,
    },
    /// Too large, packed or unpacked.
    #[error("the bundle has more than {most} {what}")]
    TooLarge {
        /// The most.
        most: u64,
        /// `bytes`, `bytes of files`, `files`
        what: &'static str,
    },
    /// Not a zip archive, or a broken one.
    #[error("the bundle is not a usable zip archive: {}", one_line(&.0.to_string(), 200))]
    Zip(#[from] zip::result::ZipError),
    /// A file that can't be unpacked.
    #[error("the bundle's file {name} {why}")]
    InvalidFile {
        /// Its name.
        name: String,
        /// The end of the sentence.
        why: String,
    },
    /// A manifest that is missing or can't be read.
    #[error("the bundle's `manifest.json` {0}")]
    InvalidManifest(String),
    /// The archive can't be read.
    #[error("cannot read the bundle: {0}")]
    Read(#[source] io::Error),
    /// The files can't be written.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Diagnostic for BundleError {
    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::Read(_) | Self::Home(_)) { ErrorKind::Unavailable } else { ErrorKind::User }
    }
}

/// A bundle that has been checked and can be unpacked.
#[derive(Debug)]
pub struct Bundle<R> {
    archive: ZipArchive<R>,
    files: BTreeMap<RelPath, BundleFile>,
    manifest: Map<String, Json>,
    sha256: String,
}

#[derive(Debug)]
struct BundleFile {
    index: usize,
    is_directory: bool,
    is_program: bool,
}

/// Prepares a bundle before it is downloaded.
pub(super) fn plan_fetch(
    making: &mut CommandBuilder<'_>,
    machine: &TargetMachine,
) -> Result<InstallAction, UnsupportedReason> {
    let package = making.package;
    let refused = |why| UnsupportedReason::Url { url: quoted(&package.identifier), why };
    let url = check_address(package.identifier.trim()).map_err(refused)?;
    check_literal("the address", &package.identifier)?;
    making.target = url.to_string();
    if url.as_str() != package.identifier.trim() {
        making.add_note(Note::Rewritten { written: quoted(package.identifier.trim()) });
    }
    let file = url.path().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if !file.ends_with(".mcpb") && !file.ends_with(".dxt") {
        return Err(refused("is not that of a bundle, whose name ends with `.mcpb`"));
    }
    let hint = package.runtime.as_deref().unwrap_or_default().to_ascii_lowercase();
    if let Some(platform) = [file.as_str(), &hint].into_iter().find_map(|name| other_platform(name, machine)) {
        return Err(UnsupportedReason::Platform { platform: quoted(&platform) });
    }
    if package.sha256.is_none() {
        making.add_note(Note::NoChecksum);
    }
    Ok(InstallAction::Fetch { url: url.into(), package: Box::new(package.clone()) })
}

/// The words of a file's name that say that it is for another machine.
fn other_platform(name: &str, machine: &TargetMachine) -> Option<String> {
    const SYSTEMS: [(&str, &[&str]); 3] = [
        ("linux", &["linux"]),
        ("darwin", &["darwin", "macos", "osx", "mac"]),
        ("win32", &["windows", "win32", "win64", "win"]),
    ];
    const PROCESSORS: [(&str, &[&str]); 2] = [("x64", &["amd64", "x64"]), ("arm64", &["arm64", "aarch64"])];
    let name = name.replace("x86_64", "x64").replace("x86-64", "x64");
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let other = |known: &[(&str, &[&str])], own: &str| {
        let named = |(_, names): &&(&str, &[&str])| names.iter().any(|name| words.contains(name));
        let found: Vec<&str> = known.iter().filter(named).map(|(word, _)| *word).collect();
        found.first().filter(|_| !found.contains(&own)).map(|word| (*word).to_owned())
    };
    other(&SYSTEMS, machine.os).or_else(|| other(&PROCESSORS, machine.arch))
}

impl<R: Read + Seek> Bundle<R> {
    /// Checks a downloaded file, and reads what is in it. `sha256` is what the registry gives, in lowercase
    /// hexadecimal.
    ///
    /// # Errors
    ///
    /// It is not the file that the registry lists, or something in it could do harm when it is unpacked.
    pub fn read(mut file: R, sha256: Option<&str>) -> Result<Self, BundleError> {
        let mut digest = Sha256::new();
        let length =
            io::copy(&mut (&mut file).take(MAX_BUNDLE_BYTES + 1), &mut Hash(&mut digest)).map_err(BundleError::Read)?;
        if length > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge { most: MAX_BUNDLE_BYTES, what: "bytes" });
        }
        let found = hex(&digest.finalize());
        if let Some(wanted) = sha256.filter(|wanted| *wanted != found) {
            return Err(BundleError::Digest { wanted: one_line(wanted, 64), found });
        }
        file.seek(SeekFrom::Start(0)).map_err(BundleError::Read)?;
        let mut archive = ZipArchive::new(file)?;
        let files = list(&mut archive)?;
        let manifest = manifest(&mut archive, &files)?;
        Ok(Self { archive, files, manifest, sha256: found })
    }

    /// The SHA-256 of the file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// How the bundle runs from a directory, for the way that led to it.
    pub fn unpacked_method(&self, way: &InstallMethod, directory: &Path, machine: &TargetMachine) -> InstallMethod {
        let Ok(InstallAction::Fetch { package, .. }) = &way.action else { return way.clone() };
        let mut questions = Questions::default();
        questions.notes = way.notes().to_vec();
        let recipe = self.run(package, directory, machine, &mut questions).map(InstallAction::Run);
        InstallMethod::new(way.kind(), way.target(), recipe, questions, way.host_access().to_vec())
    }

    /// Unpacks it. The directory is there as a whole or not at all; an older one is replaced.
    pub fn unpack(&mut self, directory: &Path) -> Result<(), BundleError> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let staged = directory.with_file_name(format!(".{name}.{}", std::process::id()));
        if let Some(parent) = directory.parent() {
            aiw_home::make_private_dir(parent)?;
        }
        aiw_home::remove_tree(&staged)?;
        let written = self.write(&staged).and_then(|()| Ok(aiw_home::publish_dir(&staged, directory)?));
        // What is left is the older one, or half of the new one.
        let removed = aiw_home::remove_tree(&staged);
        written.and_then(|()| Ok(removed?))
    }

    fn write(&mut self, staged: &Path) -> Result<(), BundleError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| HomeError::io("write", &path, error)
        };
        aiw_home::make_private_dir(staged)?;
        let program = self.program();
        let mut left = MAX_UNPACKED_BYTES;
        for (path, file) in &self.files {
            let target = staged.join(path.as_str());
            if file.is_directory {
                fs::create_dir_all(&target).map_err(failed(&target))?;
                continue;
            }
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).map_err(failed(parent))?;
            }
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            {
                let is_program = file.is_program || program.as_ref() == Some(path);
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_program { 0o755 } else { 0o644 });
            }
            let mut into = options.open(&target).map_err(failed(&target))?;
            let from = self.archive.by_index(file.index)?;
            // Sizes in an archive are claims.
            let written = io::copy(&mut from.take(left + 1), &mut into).map_err(failed(&target))?;
            left = left
                .checked_sub(written)
                .ok_or(BundleError::TooLarge { most: MAX_UNPACKED_BYTES, what: "bytes of files" })?;
            into.flush().map_err(failed(&target))?;
        }
        Ok(())
    }

    /// The file in it that is run itself.
    fn program(&self) -> Option<RelPath> {
        let server = self.manifest.get("server")?;
        let command = server.get("mcp_config").and_then(|config| config.get("command")).or(server.get("entry_point"))?;
        let path = command.as_str()?.trim_start_matches("${__dirname}").trim_start_matches('/');
        RelPath::parse(path).ok().filter(|path| self.files.contains_key(path))
    }

    fn run(
        &self,
        package: &Package,
        directory: &Path,
        machine: &TargetMachine,
        questions: &mut Questions<'_>,
    ) -> Result<CommandTemplate, UnsupportedReason> {
        let bad = |why: &str| UnsupportedReason::Manifest { why: why.to_owned() };
        let directory = directory.to_str().ok_or_else(|| bad("can't be used: the directory's name is not UTF-8"))?;
        let server = self.manifest.get("server").and_then(Json::as_object).ok_or_else(|| bad("has no `server`"))?;
        let platforms = self.manifest.get("compatibility").and_then(|c| c.get("platforms")).and_then(Json::as_array);
        if let Some(platforms) = platforms.filter(|list| !list.is_empty() && !list.iter().any(|p| p == machine.os)) {
            let names: Vec<&str> = platforms.iter().filter_map(Json::as_str).collect();
            return Err(UnsupportedReason::Platform { platform: quoted(&names.join(", ")) });
        }
        let config = McpConfig::of(server, machine).map_err(bad)?;
        let reading =
            ManifestValues { directory, machine, options: self.manifest.get("user_config").and_then(Json::as_object) };
        let command = reading.template(questions, &config.command, "command")?;
        let command = command.as_literal().ok_or_else(|| bad("leaves open which program runs"))?;
        let words = config.args.iter().map(|word| reading.template(questions, word, "an argument"));
        let words = words.collect::<Result<Vec<_>, _>>()?;
        let mut env = environment_of(&reading, questions, &config.env)?;
        let program = self.program_of(command, directory, &words, &env)?;
        let args = drop_secret_args(questions, paired(questions, words))?;
        for variable in environment(questions, &package.environment)? {
            if !env.iter().any(|known| known.name == variable.name) {
                env.push(variable);
            }
        }
        Ok(CommandTemplate { program, args, env, directory: Some(directory.to_owned()) })
    }

    fn has(&self, path: &RelPath) -> bool {
        self.files.get(path).is_some_and(|file| !file.is_directory)
    }

    /// The program: a file of the bundle, or a runtime that runs one.
    fn program_of(
        &self,
        command: &str,
        directory: &str,
        words: &[Value],
        env: &[Env],
    ) -> Result<String, UnsupportedReason> {
        let inner = command.strip_prefix(directory).map(|rest| rest.trim_start_matches('/')).unwrap_or(command);
        if let Some(file) = RelPath::parse(inner).ok().filter(|path| self.has(path)) {
            return Ok(format!("{directory}/{file}"));
        }
        let fixed = |name: &str| env.iter().find(|variable| variable.name == name).map(|variable| &variable.value);
        let modules = fixed("PYTHONPATH").and_then(Value::as_literal).unwrap_or_default().split(':');
        let inside = |path: &str| RelPath::parse(path.strip_prefix(directory)?.trim_start_matches('/')).ok();
        let run = Runtime {
            program: command,
            directory,
            has_file: &|path| self.has(path),
            module_paths: modules.filter_map(inside).collect(),
            is_isolated: fixed("PYTHONSAFEPATH").is_some(),
        };
        run.check(words).map_err(|why| UnsupportedReason::Manifest { why })?;
        Ok(command.to_owned())
    }
}

/// `server.mcp_config` for a machine; without it, what the kind of server and its file mean.
struct McpConfig {
    command: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
}

impl McpConfig {
    fn of(server: &Map<String, Json>, machine: &TargetMachine) -> Result<Self, &'static str> {
        let text = |key: &str| server.get(key).and_then(Json::as_str).unwrap_or_default();
        let Some(config) = server.get("mcp_config").and_then(Json::as_object) else {
            let file = format!("${{__dirname}}/{}", text("entry_point"));
            let (command, args) = match text("type") {
                "node" => ("node".to_owned(), vec![file]),
                "python" => ("python3".to_owned(), vec![file]),
                "uv" => ("uv".to_owned(), vec!["run".into(), "--directory".into(), "${__dirname}".into(), file]),
                "binary" => (file, Vec::new()),
                _ => return Err("doesn't say what to run"),
            };
            return Ok(Self { command, args, env: BTreeMap::new() });
        };
        let own = config.get("platform_overrides").and_then(|all| all.get(machine.os)).and_then(Json::as_object);
        let places = [own, Some(config)];
        let first = |key: &str| places.iter().flatten().find_map(|place| place.get(key));
        let command = first("command").and_then(Json::as_str).ok_or("has no `command`")?.to_owned();
        let texts = |list: &Json| list.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect();
        let args = first("args").map_or(Some(Vec::new()), texts).ok_or("has `args` that are not a list of strings")?;
        let mut env = BTreeMap::new();
        for place in places.into_iter().flatten().rev() {
            for (name, value) in place.get("env").and_then(Json::as_object).into_iter().flatten() {
                env.insert(
                    name.clone(),
                    value.as_str().ok_or("has an `env` with values that are not strings")?.to_owned(),
                );
            }
        }
        if args.len() > 200 || env.len() > 200 {
            return Err("has more than 200 arguments or variables");
        }
        Ok(Self { command, args, env })
    }
}

/// The values of a manifest's variables.
struct ManifestValues<'a> {
    directory: &'a str,
    machine: &'a TargetMachine,
    options: Option<&'a Map<String, Json>>,
}

impl ManifestValues<'_> {
    fn place(&self, name: &str) -> Option<String> {
        let home = || self.machine.home.as_ref()?.to_str().map(str::to_owned);
        let below = |directory: &str| Some(format!("{}/{directory}", home()?));
        match name {
            "__dirname" => Some(self.directory.to_owned()),
            "HOME" => home(),
            "DESKTOP" => below("Desktop"),
            "DOCUMENTS" => below("Documents"),
            "DOWNLOADS" => below("Downloads"),
            "pathSeparator" | "/" => Some("/".to_owned()),
            _ => None,
        }
    }

    fn template(&self, questions: &mut Questions<'_>, text: &str, what: &str) -> Result<Value, UnsupportedReason> {
        let (mut found, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(start) = rest.find("${") {
            let unknown = |name: &str| UnsupportedReason::Manifest {
                why: format!("uses {}, which nothing explains", quoted(name)),
            };
            let end = rest[start..].find('}').map(|at| start + at).ok_or_else(|| unknown(&rest[start..]))?;
            plain.push_str(&rest[..start]);
            let name = &rest[start + 2..end];
            rest = &rest[end + 1..];
            if let Some(place) = self.place(name) {
                plain.push_str(&place);
                continue;
            }
            let asked = match name.strip_prefix("user_config.") {
                Some(key) => {
                    let option = self.options.and_then(|options| options.get(key)).ok_or_else(|| unknown(name))?;
                    questions.add(self.question(key, option)?);
                    key
                }
                // A variable of the environment, which would be read without asking.
                None if name.parse::<EnvName>().is_ok() => {
                    questions.merge_variable_question(name);
                    name
                }
                None => return Err(unknown(name)),
            };
            if !plain.is_empty() {
                found.push(TemplatePart::Text(std::mem::take(&mut plain)));
            }
            found.push(TemplatePart::Placeholder(asked.to_owned()));
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            found.push(TemplatePart::Text(plain));
        }
        for piece in &found {
            if let TemplatePart::Text(text) = piece {
                check_literal(what, text)?;
            }
        }
        Ok(Value(found))
    }

    fn question(&self, key: &str, option: &Json) -> Result<Question, UnsupportedReason> {
        if key.is_empty() || key.len() > 100 || key.contains(aiw_core::is_unsafe_in_line) {
            return Err(UnsupportedReason::Name { name: quoted(key), what: "an option" });
        }
        let text = |name: &str| option.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
        let is = |name: &str| option.get(name).and_then(Json::as_bool).unwrap_or_default();
        let format = match text("type").unwrap_or("string") {
            "number" => Format::Number,
            "boolean" => Format::Boolean,
            "file" | "directory" => Format::FilePath,
            _ => Format::Text,
        };
        let default = match option.get("default") {
            Some(Json::Array(items)) if items.len() == 1 => items.first(),
            Some(Json::Array(_) | Json::Null | Json::Object(_)) | None => None,
            single => single,
        };
        let default = default.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let description = match (text("title"), text("description")) {
            (Some(title), Some(description)) => Some(format!("{title}: {description}")),
            (one, other) => one.or(other).map(str::to_owned),
        };
        Ok(Question {
            name: key.to_owned(),
            description: description.map(|text| one_line(&text, 500)),
            required: is("required"),
            secret: is("sensitive") || (format == Format::Text && aiw_servers::is_secret_variable(key)),
            format,
            default: default.map(|text| self.default(&text)).filter(|text| is_safe_default(text)),
            placeholder: None,
            choices: Vec::new(),
            repeated: is("multiple"),
            allows_bare_flag: false,
        })
    }

    /// A default with its directories.
    fn default(&self, text: &str) -> String {
        let names = ["__dirname", "HOME", "DESKTOP", "DOCUMENTS", "DOWNLOADS", "pathSeparator", "/"];
        let places = names.iter().filter_map(|name| Some((format!("${{{name}}}"), self.place(name)?)));
        places.fold(text.to_owned(), |text, (name, place)| text.replace(&name, &place))
    }
}

/// Arguments; a flag goes with the open value that follows, so that both are left out together.
fn paired(questions: &Questions<'_>, words: Vec<Value>) -> Vec<Arg> {
    let mut args: Vec<Arg> = Vec::new();
    for value in words {
        let required = value.questions().any(|name| questions.is_required(name)) || value.as_literal().is_some();
        let is_open = matches!(&value.0[..], [TemplatePart::Placeholder(_)]);
        let flag = args.last().and_then(|last| match last {
            Arg::Word { value, .. } => value.as_literal().filter(|flag| flag.starts_with('-') && !flag.contains('=')),
            _ => None,
        });
        match flag.map(str::to_owned).filter(|_| is_open) {
            Some(flag) => {
                args.pop();
                args.push(Arg::Named { flag, value, joined: false, required });
            }
            None => args.push(Arg::Word { value, required }),
        }
    }
    args
}

fn environment_of(
    reading: &ManifestValues<'_>,
    questions: &mut Questions<'_>,
    given: &BTreeMap<String, String>,
) -> Result<Vec<Env>, UnsupportedReason> {
    /// Where interpreters and loaders look for code. A bundle brings its own.
    const SEARCH_PATH_VARIABLES: [&str; 4] = ["PYTHONPATH", "NODE_PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];
    let mut env = Vec::new();
    for (name, text) in given {
        if name.parse::<EnvName>().is_err() {
            return Err(UnsupportedReason::Name { name: quoted(name), what: "a variable" });
        }
        let value = reading.template(questions, text, name)?;
        let is_inside = |text: &str| {
            let inside = |path: &str| {
                path.strip_prefix(&format!("{}/", reading.directory))
                    .is_some_and(|rest| rest.split('/').all(|part| part != ".."))
            };
            text.split(':').all(inside)
        };
        if !(SEARCH_PATH_VARIABLES.contains(&name.as_str()) && value.as_literal().is_some_and(is_inside)) {
            check_variable(name, &value)?;
        }
        env.push(Env { name: name.clone(), value });
    }
    Ok(env)
}

/// The files of an archive, each with a path that stays inside.
fn list<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<BTreeMap<RelPath, BundleFile>, BundleError> {
    if archive.len() > MAX_FILES {
        return Err(BundleError::TooLarge { most: MAX_FILES as u64, what: "files" });
    }
    let (mut files, mut folded, mut bytes) = (BTreeMap::new(), BTreeSet::new(), 0_u64);
    if archive.has_duplicate_names() {
        return Err(BundleError::InvalidManifest("can't be trusted: a file is in the bundle twice".into()));
    }
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        let name = entry.name()?.into_owned();
        let bad = |why: String| BundleError::InvalidFile { name: quoted(&name), why };
        let path = RelPath::parse(&name).map_err(|error| bad(error.reason.to_owned()))?;
        let mode = entry.unix_mode().unwrap_or_default();
        // Regular files and directories, or no word of it.
        if entry.is_symlink() || !matches!(mode & 0o170_000, 0 | 0o100_000 | 0o040_000) {
            return Err(bad("is a link or a device".into()));
        }
        if entry.encrypted() {
            return Err(bad("is encrypted".into()));
        }
        bytes = bytes.saturating_add(entry.size());
        if bytes > MAX_UNPACKED_BYTES {
            return Err(BundleError::TooLarge { most: MAX_UNPACKED_BYTES, what: "bytes of files" });
        }
        if path == RelPath::root() {
            continue;
        }
        if !folded.insert(path.as_str().to_lowercase()) {
            return Err(bad("is there twice, or differs from another only in case".into()));
        }
        let is_program = mode & 0o111 != 0;
        files.insert(path, BundleFile { index, is_directory: entry.is_dir(), is_program });
    }
    let is_file = |path: &str| {
        RelPath::parse(path).ok().and_then(|path| files.get(&path)).is_some_and(|file: &BundleFile| !file.is_directory)
    };
    for path in files.keys() {
        if let Some((above, _)) =
            path.as_str().match_indices('/').map(|(at, _)| path.as_str().split_at(at)).find(|(above, _)| is_file(above))
        {
            let why = format!("can't be unpacked: {} is a file, not a directory", quoted(above));
            return Err(BundleError::InvalidFile { name: quoted(path.as_str()), why });
        }
    }
    Ok(files)
}

fn manifest<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    files: &BTreeMap<RelPath, BundleFile>,
) -> Result<Map<String, Json>, BundleError> {
    let bad = |why: &str| BundleError::InvalidManifest(why.to_owned());
    let file =
        RelPath::parse("manifest.json").ok().and_then(|path| files.get(&path)).ok_or_else(|| bad("is missing"))?;
    let mut bytes = Vec::new();
    archive.by_index(file.index)?.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes).map_err(BundleError::Read)?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(bad("is larger than 1 MiB"));
    }
    match aiw_home::json::parse(&bytes).map_err(BundleError::InvalidManifest)?.value {
        Json::Object(manifest) => Ok(manifest),
        _ => Err(bad("is not an object")),
    }
}

struct Hash<'a>(&'a mut Sha256);

impl Write for Hash<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
