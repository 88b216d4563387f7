//! How this binary came onto the machine, and so how it is updated, and by which path others can rely on it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use aiw_core::{Diagnostic, ErrorKind, one_line, shell_quote};
use aiw_home::{ExecutionContext, Home, HomeError};
use aiw_net::{HttpClient, HttpRequest, NetError, Policy};
use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;

use crate::executable::{ExecutableError, own_path};

/// The name of the program and of most packages.
const PROGRAM_NAME: &str = "aiw";

/// The name of the crate and of the package for Python.
const CRATE_NAME: &str = "agentic-warden";

/// The largest answer about the newest version, in bytes.
const MAX_RESPONSE_BYTES: u64 = 1 << 20;

/// The version of this binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

aiw_core::string_enum! {
    /// How aiw was installed
    #[warn(missing_docs)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    pub enum InstallSource {
        /// A package for Debian
        Dpkg = "dpkg",
        /// A package for Arch Linux
        Pacman = "pacman",
        /// `npm install`
        Npm = "npm",
        /// npx, or another runner of npm's packages, which keeps them for a while
        Npx = "npx",
        /// `pip install`
        Pip = "pip",
        /// `pipx install`
        Pipx = "pipx",
        /// `pipx run`, which keeps packages for a while
        PipxRun = "pipx run",
        /// `uv tool install`
        Uv = "uv",
        /// uvx, which keeps packages for a while
        Uvx = "uvx",
        /// Homebrew
        Homebrew = "Homebrew",
        /// Scoop
        Scoop = "Scoop",
        /// `cargo install` or `cargo binstall`
        Cargo = "cargo",
        /// The script `install.sh`, or an archive unpacked by hand
        Script = "install.sh or from an archive",
        /// A build in a clone of the repository
        Source = "a build from source",
    }
}

/// How this binary was installed, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// How.
    pub source: InstallSource,
    /// Where the binary is, without links on the way.
    pub path: PathBuf,
    /// The command that updates it, or the step if there is no command.
    pub update_command: String,
    /// The path that stays the same when it is updated.
    stable: Option<PathBuf>,
}

/// Whether there is a newer version can't be found out.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// aiw's own executable can't be used.
    #[error(transparent)]
    Executable(#[from] ExecutableError),
    /// The settings can't be read.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The settings say that nobody is asked.
    #[error("newer versions are not asked for: `updates.check` in settings.json is false")]
    Disabled,
    /// No address is set.
    #[error("no address is known that tells the newest version")]
    MissingUrl,
    /// It can't be asked.
    #[error("the newest version is not known: {0}")]
    Net(#[from] NetError),
    /// It answered with a status that isn't 200.
    #[error("the newest version is not known: `{url}` answered with status {status}")]
    Status {
        /// The address, without its query.
        url: String,
        /// The status.
        status: u16,
    },
    /// It gives no whole answer in time.
    #[error("the newest version is not known: `{url}` did not answer within {} s", UPDATE_CHECK_TIMEOUT.as_secs())]
    Timeout {
        /// The address, without its query.
        url: String,
    },
    /// The answer names no version.
    #[error("the newest version is not known: `{url}` names none")]
    MissingVersion {
        /// The address, without its query.
        url: String,
    },
}

impl Diagnostic for UpdateError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Executable, Home, Net)
    }

    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::Status { .. } | Self::Timeout { .. } | Self::MissingVersion { .. }) {
            ErrorKind::Unavailable
        } else {
            ErrorKind::User
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::MissingUrl => Some("set `updates.url` in settings.json".into()),
            _ => None,
        }
    }
}

/// `aiw update`: how aiw is updated
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct Update {
    /// The version of this aiw
    pub version: String,
    /// How it was installed
    pub installed_by: InstallSource,
    /// Where the binary is
    pub path: PathBuf,
    /// The command that updates it, or the step if there is no command
    pub update: String,
    /// The newest version; null unless it was asked for
    pub newest: Option<String>,
    /// Whether the newest version is newer than this one; null unless it was asked for
    pub is_newer: Option<bool>,
}

impl Update {
    /// Finds out how this binary is updated, and if `check` says so, whether there is a newer one: only then something
    /// is sent.
    pub async fn detect(check: bool) -> Result<Self, UpdateError> {
        let Installation { source: by, path, update_command: update, .. } = Installation::find()?;
        let newest = if check { Some(newest(&Home::find(ExecutionContext::from_process())?).await?) } else { None };
        let is_newer = newest.as_ref().map(|newest| VERSION.parse::<Version>().is_ok_and(|own| *newest > own));
        let newest = newest.map(|newest| newest.to_string());
        Ok(Self { version: VERSION.into(), installed_by: by, path, update, newest, is_newer })
    }
}

/// How long the answer with the newest version may take.
const UPDATE_CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// Asks the address of the settings for the newest version: a JSON object with `version`, or `tag_name` as GitHub's
/// releases have it.
async fn newest(home: &Home) -> Result<Version, UpdateError> {
    let url = home.settings()?.updates()?.url.ok_or(UpdateError::MissingUrl)?;
    // The address was typed. Where it redirects to must be on the public internet.
    let mut policy = Policy::public();
    policy.grant_url(&url);
    fetch_version(url, &policy).await
}

/// Asks an address for a version: a JSON object with `version`, or `tag_name`.
pub(crate) async fn fetch_version(url: String, policy: &Policy) -> Result<Version, UpdateError> {
    let shown = one_line(&aiw_core::without_query(&url), 200);
    let (client, request) =
        (HttpClient::new()?, HttpRequest { max_body_bytes: MAX_RESPONSE_BYTES, ..HttpRequest::new(url) });
    let response = tokio::time::timeout(UPDATE_CHECK_TIMEOUT, client.fetch(policy, &request)).await;
    let response = response.map_err(|_| UpdateError::Timeout { url: shown.clone() })??;
    if response.status != 200 {
        return Err(UpdateError::Status { url: shown, status: response.status });
    }
    version_in(&response.body).ok_or(UpdateError::MissingVersion { url: shown })
}

/// The longest version: the rest is the server's own words.
const MAX_VERSION_LEN: usize = 64;

fn version_in(answer: &[u8]) -> Option<Version> {
    let answer: serde_json::Value = aiw_core::from_foreign_json(answer).ok()?;
    let named = answer["version"].as_str().or_else(|| answer["tag_name"].as_str())?;
    Some(named).filter(|named| named.len() <= MAX_VERSION_LEN)?.strip_prefix('v').unwrap_or(named).parse().ok()
}

/// The surroundings of a binary on a machine: tests have one of their own.
#[derive(Default)]
struct InstallContext {
    /// The directory that stands for `/`.
    root: PathBuf,
    /// The user's cache.
    cache: Option<PathBuf>,
    /// Cargo's directory.
    cargo: Option<PathBuf>,
}

impl InstallContext {
    fn of(around: &ExecutionContext) -> Self {
        let home = around.user_home();
        let named = |name: &str| around.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let below = |name: &str| home.as_ref().map(|home| home.join(name));
        let real = |path: Option<PathBuf>| path.map(|path| fs::canonicalize(&path).unwrap_or(path));
        Self {
            root: "/".into(),
            cache: real(named("XDG_CACHE_HOME").or_else(|| below(".cache"))),
            cargo: real(named("CARGO_HOME").or_else(|| below(".cargo"))),
        }
    }
}

impl Installation {
    /// Finds out how this binary was installed.
    pub fn find() -> Result<Self, ExecutableError> {
        let path = own_path()?;
        Ok(Self::of(fs::canonicalize(&path).unwrap_or(path), &InstallContext::of(&ExecutionContext::from_process())))
    }

    /// Returns the command that removes the aiw at a path, as it was installed.
    pub(crate) fn uninstall_command(path: &Path, around: &ExecutionContext) -> String {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match Self::of(real, &InstallContext::of(around)).source {
            InstallSource::Dpkg => format!("sudo dpkg --remove {PROGRAM_NAME}"),
            InstallSource::Pacman => format!("sudo pacman -R {PROGRAM_NAME}"),
            InstallSource::Npm => format!("npm uninstall -g {PROGRAM_NAME}"),
            InstallSource::Pip => format!("python3 -m pip uninstall {CRATE_NAME}"),
            InstallSource::Pipx => format!("pipx uninstall {CRATE_NAME}"),
            InstallSource::Uv => format!("uv tool uninstall {CRATE_NAME}"),
            InstallSource::Homebrew => format!("brew uninstall {PROGRAM_NAME}"),
            InstallSource::Scoop => format!("scoop uninstall {PROGRAM_NAME}"),
            InstallSource::Cargo => format!("cargo uninstall {CRATE_NAME}"),
            InstallSource::Npx
            | InstallSource::PipxRun
            | InstallSource::Uvx
            | InstallSource::Script
            | InstallSource::Source => {
                format!("rm {}", shell_quote(&path.to_string_lossy()))
            }
        }
    }

    /// Returns the path that other programs can rely on, also after an update.
    pub fn stable_path(&self) -> Result<&Path, ExecutableError> {
        let lasting = match self.source {
            InstallSource::Npx => format!("npm install -g {PROGRAM_NAME}"),
            InstallSource::PipxRun => format!("pipx install {CRATE_NAME}"),
            InstallSource::Uvx => format!("uv tool install {CRATE_NAME}"),
            _ => return Ok(self.stable.as_deref().unwrap_or(&self.path)),
        };
        Err(ExecutableError::InCache { by: self.source.as_str(), lasting })
    }

    fn of(path: PathBuf, ground: &InstallContext) -> Self {
        let (by, update, stable) = Self::way(&path, ground);
        Self { source: by, path, update_command: update, stable }
    }

    fn way(path: &Path, ground: &InstallContext) -> (InstallSource, String, Option<PathBuf>) {
        let is_cached = ground.cache.as_ref().is_some_and(|cache| path.starts_with(cache));
        let has = |name: &str| parts(path).any(|part| part == name);
        let starts = |start: &str| parts(path).any(|part| part.starts_with(start));
        let is_run_once = has("_npx") || starts("dlx-") || starts("bunx-") || is_cached;
        if is_run_once && has("node_modules") {
            return (InstallSource::Npx, format!("npx {PROGRAM_NAME}@latest"), None);
        }
        // Bun starts what it runs once from there.
        let words: Vec<_> = parts(path).collect();
        if words.windows(3).any(|three| three == [".bun", "install", "cache"]) {
            return (InstallSource::Npx, format!("bunx {PROGRAM_NAME}@latest"), None);
        }
        if let Some(modules) = up_to(path, "node_modules") {
            return npm(modules);
        }
        if (is_cached && has("uv")) || has("archive-v0") || has("environments-v2") {
            return (InstallSource::Uvx, format!("uvx --from {CRATE_NAME}@latest {PROGRAM_NAME}"), None);
        }
        if (is_cached && has("pipx")) || (has("pipx") && has(".cache")) {
            return (InstallSource::PipxRun, format!("pipx run --no-cache {CRATE_NAME}"), None);
        }
        if let Some(environment) = path.parent().and_then(Path::parent) {
            if environment.ends_with(Path::new("tools").join(CRATE_NAME)) {
                return (InstallSource::Uv, format!("uv tool upgrade {CRATE_NAME}"), None);
            }
            if environment.ends_with(Path::new("venvs").join(CRATE_NAME)) {
                return (InstallSource::Pipx, format!("pipx upgrade {CRATE_NAME}"), None);
            }
            if has_distribution(environment) {
                let own = environment.join("bin/python3");
                let python =
                    if own.exists() { shell_quote(&own.to_string_lossy()).into_owned() } else { "python3".into() };
                let user = if environment.ends_with(".local") { " --user" } else { "" };
                return (InstallSource::Pip, format!("{python} -m pip install{user} --upgrade {CRATE_NAME}"), None);
            }
        }
        if let Some(cellar) = up_to(path, "Cellar") {
            let stable =
                cellar.parent().map(|prefix| prefix.join("bin").join(PROGRAM_NAME)).filter(|it| leads_to(it, path));
            return (InstallSource::Homebrew, format!("brew upgrade {PROGRAM_NAME}"), stable);
        }
        if let Some(apps) = up_to(path, "apps").filter(|apps| apps.parent().is_some_and(|dir| dir.ends_with("scoop"))) {
            let current = apps.join(PROGRAM_NAME).join("current").join(path.file_name().unwrap_or_default());
            return (
                InstallSource::Scoop,
                format!("scoop update {PROGRAM_NAME}"),
                Some(current).filter(|it| it.exists()),
            );
        }
        if has_line(&ground.root.join("var/lib/dpkg/info/aiw.list"), path, &ground.root) {
            return (InstallSource::Dpkg, format!("sudo apt install ./{PROGRAM_NAME}_VERSION_ARCHITECTURE.deb"), None);
        }
        if is_of_pacman(ground, path) {
            return (InstallSource::Pacman, "git pull && makepkg --syncdeps --install".into(), None);
        }
        if let Some(update) = ground.cargo.as_ref().and_then(|cargo| cargo_command(cargo, path)) {
            return (InstallSource::Cargo, update, None);
        }
        if let Some(target) = up_to(path, "target").filter(|target| target.join("CACHEDIR.TAG").is_file()) {
            let clone = target.parent().unwrap_or(target).to_string_lossy().into_owned();
            return (
                InstallSource::Source,
                format!("cd {} && git pull && cargo xtask install", shell_quote(&clone)),
                None,
            );
        }
        (InstallSource::Script, "run the install.sh of the new release".into(), None)
    }
}

/// An installation by npm: its name in `bin` stays, while packages below may move.
fn npm(modules: &Path) -> (InstallSource, String, Option<PathBuf>) {
    let is_global = modules.parent().is_some_and(|lib| lib.ends_with("lib"));
    let global = modules.parent().and_then(Path::parent).map(|prefix| prefix.join("bin").join(PROGRAM_NAME));
    let name = match global {
        Some(global) if is_global => global,
        _ => modules.join(".bin").join(PROGRAM_NAME),
    };
    let update = match is_global {
        true => format!("npm install -g {PROGRAM_NAME}@latest"),
        false => {
            let project = modules.parent().unwrap_or(modules).to_string_lossy();
            format!("npm install --prefix {} {PROGRAM_NAME}@latest", shell_quote(&project))
        }
    };
    (InstallSource::Npm, update, Some(name).filter(|name| name.exists()))
}

fn parts(path: &Path) -> impl Iterator<Item = &str> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

/// The path up to its first part of this name.
fn up_to<'a>(path: &'a Path, name: &str) -> Option<&'a Path> {
    path.ancestors().filter(|path| path.file_name() == Some(OsStr::new(name))).last()
}

fn leads_to(link: &Path, file: &Path) -> bool {
    fs::canonicalize(link).is_ok_and(|link| link == file)
}

/// Whether Python's package is installed below a directory: `lib/python3.11/site-packages/agentic_warden-….dist-info`.
fn has_distribution(environment: &Path) -> bool {
    let below = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let pythons = below(environment.join("lib"));
    pythons.flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.join(name))).flat_map(below).any(
        |path| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let is_ours = name.starts_with("agentic_warden-") && name.ends_with(".dist-info");
            // Another installer's binary may lie in the same directory as one of an older package did.
            is_ours && fs::read_to_string(path.join("RECORD")).is_ok_and(|record| record.contains("/bin/aiw,"))
        },
    )
}

/// Whether a list of files has a line with a path, as it is below a directory that stands for `/`.
fn has_line(list: &Path, path: &Path, root: &Path) -> bool {
    let Ok(path) = path.strip_prefix(root) else { return false };
    let is_it = |line: &str| Path::new(line.trim_start_matches('/')) == path;
    fs::read_to_string(list).is_ok_and(|list| list.lines().any(is_it))
}

fn is_of_pacman(ground: &InstallContext, path: &Path) -> bool {
    let packages = fs::read_dir(ground.root.join("var/lib/pacman/local")).into_iter().flatten().flatten();
    let ours = packages.filter(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with("aiw-") || name.starts_with("agentic-warden-"))
    });
    ours.map(|entry| entry.path().join("files")).any(|list| has_line(&list, path, &ground.root))
}

/// The command that updates what cargo installed, as it has written down where from.
fn cargo_command(cargo: &Path, path: &Path) -> Option<String> {
    if path.parent() != Some(&cargo.join("bin")) {
        return None;
    }
    let installed = fs::read_to_string(cargo.join(".crates.toml")).ok()?;
    let line = installed.lines().find_map(|line| line.strip_prefix(&format!("\"{CRATE_NAME} ")))?;
    let source = line.split_once('(')?.1.split_once(')')?.0;
    Some(match source.split_once('+')? {
        ("git", url) => {
            let url = url.split('#').next().unwrap_or(url);
            let url = url.split('?').next().unwrap_or(url);
            format!("cargo install --locked --git {} {CRATE_NAME}", shell_quote(url))
        }
        ("path", url) => {
            let clone = url.strip_prefix("file://").unwrap_or(url);
            let clone = clone.strip_suffix("/host/aiw").unwrap_or(clone);
            format!("cd {} && git pull && cargo xtask install", shell_quote(clone))
        }
        _ => format!("cargo install --locked {CRATE_NAME}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine {
        dir: tempfile::TempDir,
        ground: InstallContext,
    }

    impl Machine {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let root = fs::canonicalize(dir.path()).unwrap();
            let ground =
                InstallContext { cache: Some(root.join("home/.cache")), cargo: Some(root.join("home/.cargo")), root };
            Self { dir, ground }
        }

        fn put(&self, path: &str, text: &str) -> PathBuf {
            let path = self.ground.root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        }

        fn link(&self, link: &str, to: &Path) -> PathBuf {
            let link = self.ground.root.join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, &link).unwrap();
            link
        }

        fn found(&self, path: PathBuf) -> Installation {
            Installation::of(path, &self.ground)
        }

        /// How a binary at a path came there, and the command, without the temporary directory.
        fn told(&self, path: &str) -> (InstallSource, String) {
            let found = self.found(self.put(path, ""));
            (found.source, found.update_command.replace(self.ground.root.to_str().unwrap(), ""))
        }
    }

    #[test]
    fn each_way_is_told_by_where_the_binary_is() {
        let machine = Machine::new();
        machine.put("var/lib/dpkg/info/aiw.list", "/.\n/usr\n/usr/bin/aiw\n");
        machine.put("var/lib/pacman/local/aiw-bin-0.7.0-1/files", "%FILES%\nopt/pac/aiw\n");
        machine.put(
            "home/.local/lib/python3.12/site-packages/agentic_warden-0.7.0.dist-info/RECORD",
            "../../../bin/aiw,,\n",
        );
        machine.put("venv/lib/python3.12/site-packages/agentic_warden-0.7.0.dist-info/RECORD", "../../../bin/aiw,,\n");
        machine.put("venv/bin/python3", "");
        machine.put("src/aiw/target/CACHEDIR.TAG", "");
        for (path, by, update) in [
            ("usr/bin/aiw", InstallSource::Dpkg, "sudo apt install ./aiw_VERSION_ARCHITECTURE.deb"),
            ("opt/pac/aiw", InstallSource::Pacman, "git pull && makepkg --syncdeps --install"),
            ("usr/lib/node_modules/aiw/bin/aiw", InstallSource::Npm, "npm install -g aiw@latest"),
            ("srv/p/node_modules/aiw/bin/aiw", InstallSource::Npm, "npm install --prefix /srv/p aiw@latest"),
            ("home/.npm/_npx/0a/node_modules/aiw/bin/aiw", InstallSource::Npx, "npx aiw@latest"),
            ("tmp/bunx-0-aiw@latest/node_modules/aiw/bin/aiw", InstallSource::Npx, "npx aiw@latest"),
            ("home/.bun/install/cache/aiw@0.7.0@@@1/bin/aiw", InstallSource::Npx, "bunx aiw@latest"),
            ("home/.cache/pnpm/dlx-1/node_modules/aiw/bin/aiw", InstallSource::Npx, "npx aiw@latest"),
            ("home/.local/share/uv/tools/agentic-warden/bin/aiw", InstallSource::Uv, "uv tool upgrade agentic-warden"),
            ("home/.cache/uv/archive-v0/x/bin/aiw", InstallSource::Uvx, "uvx --from agentic-warden@latest aiw"),
            ("home/.local/pipx/venvs/agentic-warden/bin/aiw", InstallSource::Pipx, "pipx upgrade agentic-warden"),
            ("home/.local/pipx/.cache/9f/bin/aiw", InstallSource::PipxRun, "pipx run --no-cache agentic-warden"),
            ("home/.local/bin/aiw", InstallSource::Pip, "python3 -m pip install --user --upgrade agentic-warden"),
            ("venv/bin/aiw", InstallSource::Pip, "/venv/bin/python3 -m pip install --upgrade agentic-warden"),
            ("opt/homebrew/Cellar/aiw/0.7.0/bin/aiw", InstallSource::Homebrew, "brew upgrade aiw"),
            ("home/scoop/apps/aiw/0.7.0/aiw", InstallSource::Scoop, "scoop update aiw"),
            ("src/aiw/target/release/aiw", InstallSource::Source, "cd /src/aiw && git pull && cargo xtask install"),
            ("usr/local/bin/aiw", InstallSource::Script, "run the install.sh of the new release"),
        ] {
            assert_eq!(machine.told(path), (by, update.to_owned()), "{path}");
        }
    }

    #[test]
    fn what_cargo_installed_is_updated_from_where_it_came() {
        for (source, update) in [
            (
                "git+https://host.example/aiw?branch=main#0a1b",
                "cargo install --locked --git https://host.example/aiw agentic-warden",
            ),
            ("path+file:///src/aiw/host/aiw", "cd /src/aiw && git pull && cargo xtask install"),
            ("registry+https://index.example/", "cargo install --locked agentic-warden"),
        ] {
            let machine = Machine::new();
            let list = format!("[v1]\n\"agentic-warden 0.7.0 ({source})\" = [\"aiw\"]\n");
            machine.put("home/.cargo/.crates.toml", &list);
            assert_eq!(machine.told("home/.cargo/bin/aiw"), (InstallSource::Cargo, update.to_owned()));
        }
    }

    #[test]
    fn others_get_a_path_that_an_update_leaves() {
        let machine = Machine::new();
        let brewed = machine.put("opt/homebrew/Cellar/aiw/0.7.0/bin/aiw", "");
        let linked = machine.link("opt/homebrew/bin/aiw", &brewed);
        assert_eq!(machine.found(brewed).stable_path().unwrap(), linked);

        let launcher = machine.put("usr/lib/node_modules/aiw/bin/aiw", "#!/usr/bin/env node\n");
        let name = machine.link("usr/bin/aiw", &launcher);
        let binary = machine.put("usr/lib/node_modules/aiw/node_modules/aiw-linux-x64/bin/aiw", "");
        assert_eq!(machine.found(binary).stable_path().unwrap(), name);

        let plain = machine.put("home/.local/bin/aiw", "");
        assert_eq!(machine.found(plain.clone()).stable_path().unwrap(), plain);
    }

    #[test]
    fn a_cache_is_nothing_to_rely_on() {
        let machine = Machine::new();
        for (path, command) in [
            ("home/.npm/_npx/0a/node_modules/aiw/bin/aiw", "npm install -g aiw"),
            ("home/.cache/uv/archive-v0/x/bin/aiw", "uv tool install agentic-warden"),
            ("home/.cache/pipx/9f/bin/aiw", "pipx install agentic-warden"),
        ] {
            let error = machine.found(machine.put(path, "")).stable_path().unwrap_err();
            assert!(error.hint().is_some_and(|hint| hint.contains(command)), "{path}: {error:?}");
        }
        drop(machine.dir);
    }

    #[test]
    fn a_version_is_read_from_what_release_pages_answer() {
        for (answer, version) in [
            (r#"{"version": "0.7.1"}"#, Some("0.7.1")),
            (r#"{"tag_name": "v1.2.3-rc.1", "name": "x"}"#, Some("1.2.3-rc.1")),
            (r#"{"version": "\u001b[2J"}"#, None),
            (r#"{"version": 3}"#, None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(version_in(answer.as_bytes()).map(|it| it.to_string()).as_deref(), version, "{answer}");
        }
    }

    #[test]
    fn half_a_character_is_read() {
        let document = r#"{"version": "1.2.3", "description": "TEXT"}"#;
        aiw_tests::assert_finds_odd_json(document, |bytes| {
            assert!(version_in(bytes).is_some());
            aiw_core::from_foreign_json(bytes).unwrap()
        });
    }
}
