//! Finding CLIs. The paths that each installer uses were measured; see the tests.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use aiw_core::{CliKind, shell_quote_printable};
use aiw_home::{ChildGroup, ExecutionContext, Home, Mode, read_capped};
use serde::{Deserialize, Serialize};

use crate::clis;

aiw_core::string_enum! {
    /// How a CLI was installed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum CliInstallMethod {
        /// By its own installer.
        Native = "native",
        /// `npm install -g`.
        NpmGlobal = "npm-global",
        /// In a project's `node_modules`.
        NpmLocal = "npm-local",
        /// By Homebrew.
        Brew = "brew",
        /// In some other way.
        Unknown = "unknown",
    }
}

/// An AI CLI on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectedCli {
    /// The CLI.
    pub kind: CliKind,
    /// The file that a shell would start, or `None` if the CLI is not installed.
    pub path: Option<PathBuf>,
    /// The file after resolving links.
    pub real_path: Option<PathBuf>,
    /// The version, if it could be determined.
    pub version: Option<String>,
    /// How the CLI was installed.
    pub install: Option<CliInstallMethod>,
}

/// Where to look for CLIs.
#[derive(Debug, Clone)]
pub struct SearchPath {
    /// The directories in their order. Relative ones are not used.
    pub directories: Vec<PathBuf>,
}

/// Directories below a home where installers put commands without adding them to `PATH`.
const EXTRA_BIN_DIRS: [&str; 5] = [".local/bin", ".npm-global/bin", ".claude/local", ".bun/bin", ".volta/bin"];

impl SearchPath {
    /// Returns `PATH`, followed by the directories where installers put CLIs outside of it.
    pub fn from_context(client: &ExecutionContext) -> Self {
        let mut search = Self::new(client.variable("PATH").unwrap_or_default(), client.user_home().as_deref());
        search.directories.extend(npm_prefix(client).map(|prefix| prefix.join("bin")));
        search
    }

    /// Like [`SearchPath::from_context`], for given values.
    pub fn new(path: &OsStr, home: Option<&Path>) -> Self {
        let beside = EXTRA_BIN_DIRS.iter().filter_map(|dir| Some(home?.join(dir)));
        let directories = env::split_paths(path).chain(beside).filter(|dir| dir.is_absolute()).collect();
        Self { directories }
    }

    fn find(&self, kind: CliKind) -> Option<PathBuf> {
        self.find_all(kind).next()
    }

    /// Returns all programs of a CLI's name, the one that a shell would start first.
    pub fn find_all(&self, kind: CliKind) -> impl Iterator<Item = PathBuf> {
        let name = move |ending: &&str| format!("{}{ending}", kind.as_str());
        let paths = self
            .directories
            .iter()
            .flat_map(move |dir| EXECUTABLE_EXTENSIONS.iter().map(move |ending| dir.join(name(ending))));
        paths.filter(|path| aiw_home::is_program(path))
    }
}

/// The longest `.npmrc` that is read.
const MAX_NPMRC_BYTES: u64 = 64 << 10;

/// Returns where `npm install -g` installs, if the user has chosen that.
/// <https://docs.npmjs.com/cli/v11/using-npm/config#prefix>
fn npm_prefix(client: &ExecutionContext) -> Option<PathBuf> {
    let by_variable =
        ["npm_config_prefix", "NPM_CONFIG_PREFIX"].iter().find_map(|name| client.non_empty_variable(name));
    if let Some(prefix) = by_variable {
        return Some(PathBuf::from(prefix)).filter(|prefix| prefix.is_absolute());
    }
    let home = client.user_home()?;
    let bytes = read_capped(&home.join(".npmrc"), MAX_NPMRC_BYTES).ok()??;
    let text = String::from_utf8_lossy(&bytes);
    // The last one counts.
    let value = text.lines().rev().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "prefix").then(|| value.trim().trim_matches(['"', '\'']))
    })?;
    let home_text = home.to_str()?;
    let prefix = match value.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(value.replace("${HOME}", home_text)),
    };
    Some(prefix).filter(|prefix| prefix.is_absolute())
}

/// The extensions of a command's file.
const EXECUTABLE_EXTENSIONS: &[&str] = if cfg!(windows) { &[".exe", ".cmd"] } else { &[""] };

/// Returns the command that installs a missing CLI.
pub fn install_command(kind: CliKind) -> String {
    format!("npm install -g {}", npm_package(kind))
}

/// Finds all CLIs. With a home, versions that only running a CLI reveals are remembered there.
pub fn detect(search: &SearchPath, home: Option<&Home>) -> Vec<DetectedCli> {
    let mut memory = KnownVersions::load(home);
    let found = CliKind::ALL.into_iter().map(|kind| one(kind, search, &mut memory)).collect();
    memory.save(home);
    found
}

/// Finds all CLIs and starts none: a version that only running a CLI reveals is the one that was remembered.
pub fn detect_cached(search: &SearchPath, home: &Home) -> Vec<DetectedCli> {
    let mut memory = KnownVersions { is_still: true, ..KnownVersions::load(Some(home)) };
    CliKind::ALL.into_iter().map(|kind| one(kind, search, &mut memory)).collect()
}

/// Returns the package of a CLI in the npm registry.
pub fn npm_package(kind: CliKind) -> &'static str {
    clis::for_kind(kind).npm_package()
}

/// Returns the command that updates a CLI as it was installed; `None` if that is not known.
pub fn update_command(cli: &DetectedCli) -> Option<String> {
    let package = npm_package(cli.kind);
    match cli.install? {
        CliInstallMethod::NpmGlobal => Some(format!("npm install -g {package}@latest")),
        CliInstallMethod::NpmLocal => Some(format!("npm install {package}@latest")),
        CliInstallMethod::Brew => {
            let formula = package.rsplit('/').next().unwrap_or(package);
            Some(format!("brew upgrade {formula}"))
        }
        // The one that has an installer of its own.
        CliInstallMethod::Native if cli.kind == CliKind::Claude => Some("claude update".to_owned()),
        CliInstallMethod::Native | CliInstallMethod::Unknown => None,
    }
}

/// Returns the command that removes a program of a CLI, as it was installed.
pub fn remove_command(kind: CliKind, path: &Path) -> String {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (word, package) =
        (|path: &Path| shell_quote_printable(&path.to_string_lossy()).into_owned(), npm_package(kind));
    let above = |name: &str| real.ancestors().find(|place| place.ends_with(name)).and_then(Path::parent).map(word);
    let by_npm = match by_place(kind, &real).0 {
        CliInstallMethod::NpmGlobal => above("lib/node_modules").map(|lib| format!("npm uninstall -g --prefix {lib}")),
        CliInstallMethod::NpmLocal => above("node_modules").map(|project| format!("npm uninstall --prefix {project}")),
        CliInstallMethod::Brew => return format!("brew uninstall {}", package.rsplit('/').next().unwrap_or(package)),
        CliInstallMethod::Native | CliInstallMethod::Unknown => None,
    };
    by_npm.map_or_else(|| format!("rm {}", word(path)), |by| format!("{} {package}", by.trim_end_matches("/lib")))
}

/// Finds one CLI, as [`detect`] does.
pub fn detect_one(search: &SearchPath, kind: CliKind, home: Option<&Home>) -> DetectedCli {
    let mut memory = KnownVersions::load(home);
    let found = one(kind, search, &mut memory);
    memory.save(home);
    found
}

fn one(kind: CliKind, search: &SearchPath, memory: &mut KnownVersions) -> DetectedCli {
    let none = DetectedCli { kind, path: None, real_path: None, version: None, install: None };
    let Some(path) = search.find(kind) else { return none };
    let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    let (install, version) = by_place(kind, &real);
    let version = version.or_else(|| memory.version(&real));
    DetectedCli { kind, path: Some(path), real_path: Some(real), version, install: Some(install) }
}

/// Returns what the path of the file reveals.
fn by_place(kind: CliKind, real: &Path) -> (CliInstallMethod, Option<String>) {
    let parts: Vec<&str> = real.iter().filter_map(|part| part.to_str()).collect();
    if let Some(at) = parts.iter().position(|part| matches!(*part, "Cellar" | "Caskroom")) {
        // …/Cellar/NAME/VERSION/…
        return (CliInstallMethod::Brew, parts.get(at + 2).map(|version| (*version).to_owned()));
    }
    if let Some(at) = parts.iter().position(|part| *part == "node_modules") {
        let global = at > 0 && parts[at - 1] == "lib";
        return (
            if global { CliInstallMethod::NpmGlobal } else { CliInstallMethod::NpmLocal },
            package_version(kind, real),
        );
    }
    // ~/.local/share/claude/versions/VERSION
    if let [.., "versions", version] = parts[..]
        && version.starts_with(|c: char| c.is_ascii_digit())
    {
        return (CliInstallMethod::Native, Some(version.to_owned()));
    }
    (CliInstallMethod::Unknown, None)
}

/// Returns the version in the nearest package.json of the right name: that of the package itself, or of the package
/// next to it that contains the platform's binary.
fn package_version(kind: CliKind, real: &Path) -> Option<String> {
    let ours = |name: &str| {
        name.strip_prefix(clis::for_kind(kind).npm_package())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    real.ancestors().skip(1).take(8).find_map(|dir| {
        let bytes = read_capped(&dir.join("package.json"), 1 << 20).ok()??;
        let package: serde_json::Value = aiw_core::from_foreign_json(&bytes).ok()?;
        ours(package["name"].as_str()?).then_some(())?;
        plain_version(package["version"].as_str()?)
    })
}

/// Returns a version if it contains nothing that could confuse a terminal.
fn plain_version(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+_".contains(c);
    (!text.is_empty() && text.len() <= 64 && text.chars().all(plain)).then(|| text.to_owned())
}

/// Versions that were asked of the CLI itself, keyed by path, size and modification time.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KnownVersions {
    known: BTreeMap<String, Option<String>>,
    #[serde(skip)]
    changed: bool,
    /// Whether no CLI is run.
    #[serde(skip)]
    is_still: bool,
}

/// How long a CLI may take to print its version. Gemini takes 1.2 s.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

impl KnownVersions {
    fn load(home: Option<&Home>) -> Self {
        let bytes = home.and_then(|home| read_capped(&home.cache("cli.json"), 1 << 20).ok()?);
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn save(&self, home: Option<&Home>) {
        let (Some(home), true) = (home, self.changed) else { return };
        let path = home.cache("cli.json");
        if let (Ok(()), Ok(bytes)) = (home.make_dir(&home.cache("")), serde_json::to_vec(self)) {
            let _ = aiw_home::replace(&path, &bytes, Mode::Private);
        }
    }

    fn version(&mut self, real: &Path) -> Option<String> {
        let meta = fs::metadata(real).ok()?;
        let changed = meta.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let key = format!("{}:{}:{}", real.display(), meta.len(), changed.as_nanos());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        if self.is_still {
            return None;
        }
        let version = ask(real);
        self.known.retain(|other, _| !other.starts_with(&format!("{}:", real.display())));
        self.known.insert(key, version.clone());
        self.changed = true;
        version
    }
}

/// Runs the CLI with `--version`, and returns the first word that looks like a version.
fn ask(real: &Path) -> Option<String> {
    let mut command = Command::new(real);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = ChildGroup::start(&mut command).ok()?;
    running.wait_for(VERSION_TIMEOUT).ok()??;
    let mut text = String::new();
    running.child().stdout.take()?.take(4096).read_to_string(&mut text).ok()?;
    let word =
        text.split_whitespace().find(|word| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()))?;
    plain_version(word.trim_start_matches('v'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    fn executable(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn link(from: &Path, to: &Path) {
        fs::create_dir_all(from.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, from).unwrap();
    }

    fn find(kind: CliKind, bin: &Path) -> DetectedCli {
        let search = SearchPath { directories: vec![bin.to_owned()] };
        detect(&search, None).into_iter().find(|cli| cli.kind == kind).unwrap()
    }

    fn package(dir: &Path, name: &str, version: &str) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("package.json"), format!("{{\"name\":\"{name}\",\"version\":\"{version}\"}}")).unwrap();
    }

    #[test]
    fn npm_s_own_prefix_is_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap().to_owned();
        let last = |more: &[(&str, &str)]| {
            let variables = [&[("HOME", home.as_str()), ("PATH", "/usr/bin")], more].concat();
            let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
            SearchPath::from_context(&ExecutionContext::new(Ok("/".into()), variables)).directories.pop().unwrap()
        };
        assert_eq!(last(&[("NPM_CONFIG_PREFIX", "/opt/npm")]), Path::new("/opt/npm/bin"));
        assert!(last(&[("NPM_CONFIG_PREFIX", "npm")]).ends_with(".volta/bin"));
        for (text, bin) in [
            ("prefix=/old\n; x\nprefix = ~/npm\nregistry=https://x\n", "npm/bin"),
            ("prefix=\"${HOME}/packages\"", "packages/bin"),
            ("prefix=npm", ".volta/bin"),
            ("\u{0}", ".volta/bin"),
        ] {
            fs::write(dir.path().join(".npmrc"), text).unwrap();
            assert_eq!(last(&[]), dir.path().join(bin), "{text:?}");
        }
    }

    #[test]
    fn a_global_npm_package_is_told_by_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let modules = dir.path().join("lib/node_modules");
        package(&modules.join("@openai/codex"), "@openai/codex", "0.169.0");
        // Running it would print another version.
        executable(&modules.join("@openai/codex/bin/codex.js"), "#!/bin/sh\necho 9.9.9\n");
        let bin = dir.path().join("bin");
        link(&bin.join("codex"), &modules.join("@openai/codex/bin/codex.js"));
        let cli = find(CliKind::Codex, &bin);
        assert_eq!((cli.version.as_deref(), cli.install), (Some("0.169.0"), Some(CliInstallMethod::NpmGlobal)));
    }

    #[test]
    fn the_binary_of_a_platform_package_and_a_local_install_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let modules = dir.path().join("project/node_modules");
        let package_dir = modules.join("@anthropic-ai/claude-code-linux-x64");
        package(&package_dir, "@anthropic-ai/claude-code-linux-x64", "2.1.328");
        executable(&package_dir.join("claude"), "");
        link(&modules.join(".bin/claude"), &package_dir.join("claude"));
        let cli = find(CliKind::Claude, &modules.join(".bin"));
        assert_eq!((cli.version.as_deref(), cli.install), (Some("2.1.328"), Some(CliInstallMethod::NpmLocal)));
    }

    #[test]
    fn the_native_installer_and_homebrew_have_the_version_in_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        executable(&dir.path().join("share/claude/versions/2.1.9"), "");
        link(&bin.join("claude"), &dir.path().join("share/claude/versions/2.1.9"));
        executable(&dir.path().join("Cellar/gemini-cli/0.61.0/bin/gemini"), "");
        link(&bin.join("gemini"), &dir.path().join("Cellar/gemini-cli/0.61.0/bin/gemini"));
        let claude = find(CliKind::Claude, &bin);
        assert_eq!((claude.version.as_deref(), claude.install), (Some("2.1.9"), Some(CliInstallMethod::Native)));
        let gemini = find(CliKind::Gemini, &bin);
        assert_eq!((gemini.version.as_deref(), gemini.install), (Some("0.61.0"), Some(CliInstallMethod::Brew)));
    }

    #[test]
    fn an_unknown_install_is_asked_once_and_again_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let count = dir.path().join("count");
        let script = |version: &str| format!("#!/bin/sh\necho x >> {}\necho 'codex-cli {version}'\n", count.display());
        let bin = dir.path().join("bin");
        executable(&bin.join("codex"), &script("0.1.0"));
        let search = SearchPath { directories: vec![bin.clone()] };
        for _ in 0..2 {
            let found = detect(&search, Some(&home));
            assert_eq!(found[1].version.as_deref(), Some("0.1.0"));
            assert_eq!(found[1].install, Some(CliInstallMethod::Unknown));
        }
        assert_eq!(fs::read_to_string(&count).unwrap().lines().count(), 1);
        executable(&bin.join("codex"), &script("0.20.0"));
        assert_eq!(detect(&search, Some(&home))[1].version.as_deref(), Some("0.20.0"));
    }

    #[test]
    fn a_cli_that_does_not_answer_is_ended_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let (bin, pid) = (dir.path().join("bin"), dir.path().join("pid"));
        executable(&bin.join("codex"), &format!("#!/bin/sh\nsleep 600 &\necho $! > {}\nwait\n", pid.display()));
        let cli = find(CliKind::Codex, &bin);
        assert_eq!((cli.version, cli.install), (None, Some(CliInstallMethod::Unknown)));
        let pid = fs::read_to_string(&pid).unwrap();
        let stat = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let is_there = || stat().rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']));
        let start = Instant::now();
        while is_there() {
            assert!(start.elapsed() < Duration::from_secs(60), "its child lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_is_not_a_program_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("claude")).unwrap();
        fs::write(dir.path().join("codex"), "").unwrap();
        link(&dir.path().join("gemini"), &dir.path().join("nowhere"));
        assert!(
            detect(&SearchPath { directories: vec![dir.path().to_owned()] }, None).iter().all(|cli| cli.path.is_none())
        );
        let relative = SearchPath::new(".:bin:/usr/bin".as_ref(), None);
        assert_eq!(relative.directories, [PathBuf::from("/usr/bin")]);
    }
}
