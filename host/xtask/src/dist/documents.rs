//! What goes beside the binary: licences, the list of what is in it, manual pages, completions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_extensions::sha256_hex;
use aiw_tests::command::{self, root};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::table::{ABOUT, DistTarget, System, VERSION};
use super::tools;
use super::tree::{FileBytes, FileTree, gzip, write};
use crate::plugins::PLAIN;
use crate::web;

/// The file with the licences of everything in the binary.
pub const LICENCES: &str = "LICENSES-THIRD-PARTY.txt";

/// The file that lists what is in the binary, as CycloneDX.
pub const SBOM: &str = "aiw.cdx.json";

/// The shells that complete, and the name of the script for each.
const SHELLS: [(&str, &str); 4] =
    [("bash", "aiw.bash"), ("zsh", "_aiw"), ("fish", "aiw.fish"), ("powershell", "aiw.ps1")];

/// Reads a file of the repository.
pub fn file(name: &str) -> Result<FileBytes> {
    Ok(std::fs::read(root().join(name)).with_context(|| format!("cannot read `{name}`"))?.into())
}

/// A script that completes in one shell.
pub struct Completion {
    /// The shell.
    pub shell: &'static str,
    file: &'static str,
    /// The script.
    pub script: FileBytes,
}

impl Completion {
    /// Where Debian has the script.
    pub fn debian(&self) -> Option<&'static str> {
        match self.shell {
            "bash" => Some("usr/share/bash-completion/completions/aiw"),
            "zsh" => Some("usr/share/zsh/vendor-completions/_aiw"),
            "fish" => Some("usr/share/fish/vendor_completions.d/aiw.fish"),
            _ => None,
        }
    }
}

/// Files that go beside the binary.
pub struct Documents {
    /// The text of the MIT licence.
    pub mit: FileBytes,
    /// The text of the Apache licence.
    pub apache: FileBytes,
    /// The licences of everything in the binary.
    pub licences: FileBytes,
    /// The contents of the binary.
    pub sbom: FileBytes,
    /// The README.
    pub readme: FileBytes,
    /// The manual pages by name.
    pub manual: Vec<(String, FileBytes)>,
    /// The completions.
    pub completions: Vec<Completion>,
}

impl Documents {
    /// Makes all of them for a target. `aiw` is a binary that runs here.
    pub fn make(target: &DistTarget, aiw: &Path, time: u64) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        // It has no home here, and needs none.
        let run = |words: &[&str]| {
            let mut run = Command::new(aiw);
            run.args(words).env_clear().env("HOME", directory.path()).current_dir(directory.path());
            command::output(&mut run)
        };
        run(&["__man", "man"])?;
        let mut manual = Vec::new();
        for entry in std::fs::read_dir(directory.path().join("man"))? {
            let entry = entry?;
            manual.push((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?.into()));
        }
        manual.sort();
        ensure!(!manual.is_empty(), "`aiw __man` wrote no pages");
        let completion = |(shell, file)| {
            let script: FileBytes = run(&["completions", shell])?.into_bytes().into();
            Ok(Completion { shell, file, script })
        };
        let contents = Contents::of(target)?;
        Ok(Self {
            mit: file("LICENSE-MIT")?,
            apache: file("LICENSE-APACHE")?,
            licences: contents.licences()?.into_bytes().into(),
            sbom: format!("{:#}\n", contents.sbom(target, time)?).into_bytes().into(),
            readme: file("README.md")?,
            manual,
            completions: SHELLS.into_iter().map(completion).collect::<Result<_>>()?,
        })
    }

    /// Adds the two licences of aiw itself.
    pub fn add_own_licences(&self, tree: &mut FileTree) {
        tree.add("LICENSE-MIT", self.mit.clone());
        tree.add("LICENSE-APACHE", self.apache.clone());
    }

    /// All of them, as an archive has them.
    pub fn tree(&self) -> Result<FileTree> {
        let mut tree = FileTree::default();
        self.add_own_licences(&mut tree);
        tree.add(LICENCES, self.licences.clone());
        tree.add(SBOM, self.sbom.clone());
        tree.add("README.md", self.readme.clone());
        for (name, page) in &self.manual {
            tree.add(format!("man/{name}.gz"), gzip(page)?);
        }
        for completion in &self.completions {
            tree.add(format!("completions/{}", completion.file), completion.script.clone());
        }
        Ok(tree)
    }
}

/// A library in C that a crate brings: its crate, its name, its licence as SPDX writes it, and the file with the text
/// in the crate.
const IN_C: [(&str, &str, &str, Option<&str>); 5] = [
    ("libgit2-sys", "libgit2", "GPL-2.0-only WITH GCC-exception-2.0", Some("libgit2/COPYING")),
    ("libsqlite3-sys", "SQLite", "blessing", None),
    ("libz-sys", "zlib", "Zlib", Some("src/zlib/LICENSE")),
    ("onig_sys", "Oniguruma", "BSD-2-Clause", Some("oniguruma/COPYING")),
    ("ring", "BoringSSL (in part)", "Apache-2.0", Some("LICENSE-BoringSSL")),
];

/// SQLite's words in place of a licence.
const SQLITE: &str =
    "The authors of SQLite disclaim copyright to its source code. In place of a legal notice, here is a blessing:\n
   May you do good and not evil.
   May you find forgiveness for yourself and forgive others.
   May you share freely, never taking more than you give.\n";

/// One crate in the binary.
struct Crate {
    name: String,
    version: String,
    licence: String,
    description: String,
    directory: PathBuf,
    is_ours: bool,
    needs: BTreeSet<String>,
}

impl Crate {
    fn reference(name: &str, version: &str, is_ours: bool) -> String {
        if is_ours { format!("{name}@{version}") } else { format!("pkg:cargo/{name}@{version}") }
    }
}

/// The crates that are in the binary, by their references in the SBOM.
struct Contents {
    crates: BTreeMap<String, Crate>,
    digests: BTreeMap<(String, String), String>,
    target: &'static str,
}

impl Contents {
    fn of(target: &DistTarget) -> Result<Self> {
        let triple = DistTarget::named(target.triple)?.triple;
        let mut all = Self { crates: BTreeMap::new(), digests: BTreeMap::new(), target: triple };
        all.add("", triple, Some(ABOUT.crate_name))?;
        all.add("plugins", PLAIN, None)?;
        Ok(all)
    }

    /// Adds what a workspace compiles for a target: all that its packages, or one of them, need at run time.
    fn add(&mut self, workspace: &str, triple: &str, only: Option<&str>) -> Result<()> {
        let mut metadata = command::cargo(workspace);
        metadata.args(["metadata", "--format-version=1", "--locked", "--filter-platform", triple]);
        let metadata: Value = serde_json::from_str(&command::output(&mut metadata)?)?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let packages: BTreeMap<String, Value> =
            list(&metadata["packages"]).into_iter().map(|package| (text(&package["id"]), package)).collect();
        let nodes: BTreeMap<String, Value> =
            list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (text(&node["id"]), node)).collect();
        let is_macro =
            |package: &Value| list(&package["targets"]).iter().any(|target| target["kind"][0] == "proc-macro");
        let named =
            |id: &String| packages.get(id).is_some_and(|package| only.is_none_or(|name| package["name"] == name));
        let mut open: Vec<String> = list(&metadata["workspace_members"]).iter().map(text).filter(named).collect();
        let reference = |package: &Value| {
            Crate::reference(&text(&package["name"]), &text(&package["version"]), package["source"].is_null())
        };
        while let Some(id) = open.pop() {
            let Some(package) = packages.get(&id) else { continue };
            let own = reference(package);
            if self.crates.contains_key(&own) {
                continue;
            }
            let mut needs = BTreeSet::new();
            for need in list(&nodes[&id]["deps"]) {
                let at_run_time = list(&need["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
                let Some(needed) = packages.get(&text(&need["pkg"])) else { continue };
                if at_run_time && !is_macro(needed) {
                    needs.insert(reference(needed));
                    open.push(text(&need["pkg"]));
                }
            }
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            let found = Crate {
                name: text(&package["name"]),
                version: text(&package["version"]),
                // The older way to write it.
                licence: text(&package["license"]).replace('/', " OR "),
                description: text(&package["description"]).trim().to_owned(),
                directory: manifest.parent().unwrap_or(&manifest).to_owned(),
                is_ours: package["source"].is_null(),
                needs,
            };
            self.crates.insert(own, found);
        }
        let lock: toml::Table = std::fs::read_to_string(root().join(workspace).join("Cargo.lock"))?.parse()?;
        for package in lock.get("package").and_then(toml::Value::as_array).into_iter().flatten() {
            let text = |name| package.get(name).and_then(toml::Value::as_str).map(str::to_owned);
            if let (Some(name), Some(version), Some(digest)) = (text("name"), text("version"), text("checksum")) {
                self.digests.insert((name, version), digest);
            }
        }
        Ok(())
    }

    /// The crate of this name.
    fn named(&self, name: &str) -> Result<&Crate> {
        let found = self.crates.values().find(|one| one.name == name);
        found.with_context(|| format!("`{name}` is not in the binary any more: take it out of the libraries in C"))
    }

    /// The list of what is in the binary, as CycloneDX 1.6.
    fn sbom(&self, target: &DistTarget, time: u64) -> Result<Value> {
        let time = time::OffsetDateTime::from_unix_timestamp(time.try_into()?)?;
        let time = time.format(&time::format_description::well_known::Rfc3339)?;
        let mut components = Vec::new();
        let mut dependencies = Vec::new();
        for (reference, one) in &self.crates {
            let mut needs: Vec<String> = one.needs.iter().cloned().collect();
            needs.extend(
                IN_C.iter().filter(|(brings, ..)| *brings == one.name).map(|(_, name, ..)| format!("c:{name}")),
            );
            dependencies.push(json!({ "ref": reference, "dependsOn": needs }));
            if one.name == ABOUT.crate_name {
                continue;
            }
            let mut component = json!({
                "type": "library", "bom-ref": reference, "name": one.name, "version": one.version,
                "licenses": [{ "expression": one.licence }],
            });
            if !one.description.is_empty() {
                component["description"] = json!(one.description);
            }
            if !one.is_ours {
                component["purl"] = json!(reference);
            }
            if let Some(digest) = self.digests.get(&(one.name.clone(), one.version.clone())) {
                component["hashes"] = json!([{ "alg": "SHA-256", "content": digest }]);
            }
            components.push(component);
        }
        for (brings, name, licence, _) in IN_C {
            let brings = self.named(brings)?;
            components.push(json!({
                "type": "library", "bom-ref": format!("c:{name}"), "name": name,
                "version": format!("as in {} {}", brings.name, brings.version),
                "licenses": [{ "expression": licence }],
            }));
        }
        for PagePackage { name, version, licence, .. } in page_packages()? {
            let purl = format!("pkg:npm/{}@{version}", name.replace('@', "%40"));
            components.push(json!({
                "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
                "licenses": [{ "expression": licence }],
            }));
        }
        let about = json!({
            "type": "application", "bom-ref": Crate::reference(ABOUT.crate_name, VERSION, true), "name": ABOUT.program,
            "version": VERSION, "description": ABOUT.summary, "licenses": [{ "expression": ABOUT.licence }],
            "properties": [{ "name": "aiw:target", "value": target.triple }],
        });
        Ok(json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": { "timestamp": time, "component": about },
            "components": components, "dependencies": dependencies,
        }))
    }

    /// The texts of all licences, each once, with the crates and libraries that have it.
    fn licences(&self) -> Result<String> {
        let mut texts: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for (manifest, triple) in [("host/aiw/Cargo.toml", self.target), ("plugins/Cargo.toml", PLAIN)] {
            let found = found_licences(manifest, triple)?;
            for licence in found["licenses"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let users = texts.entry((text(&licence["id"]), text(&licence["text"]).trim().to_owned())).or_default();
                for user in licence["used_by"].as_array().into_iter().flatten() {
                    let (name, version) = (text(&user["crate"]["name"]), text(&user["crate"]["version"]));
                    if self.crates.contains_key(&Crate::reference(&name, &version, false)) {
                        users.insert(format!("{name} {version}"));
                    }
                }
            }
        }
        for (brings, name, licence, file) in IN_C {
            let text = match file {
                Some(file) => std::fs::read_to_string(self.named(brings)?.directory.join(file))
                    .with_context(|| format!("the licence of {name}"))?,
                None => SQLITE.to_owned(),
            };
            texts.entry((licence.to_owned(), text.trim().to_owned())).or_default().insert(name.to_owned());
        }
        for PagePackage { name, version, licence, text } in page_packages()? {
            texts.entry((licence, text)).or_default().insert(format!("{name} {version} (npm)"));
        }
        let linked = DistTarget::named(self.target)?.system == System::Linux;
        if let Some(zig) = linked.then(tools::zig_library).transpose()? {
            for (name, licence, file) in [
                ("libunwind of LLVM", "Apache-2.0 WITH LLVM-exception", "libunwind/LICENSE.TXT"),
                ("compiler-rt of Zig", "MIT", "../LICENSE"),
            ] {
                let text = std::fs::read_to_string(zig.join(file)).with_context(|| format!("the licence of {name}"))?;
                texts.entry((licence.to_owned(), text.trim().to_owned())).or_default().insert(name.to_owned());
            }
        }
        let mut out = format!(
            "What the binary of {} {VERSION} for {} contains beside its own code, by licence.\n\
             Rust's standard library, and {} itself, are under \"{}\".\n",
            ABOUT.program, self.target, ABOUT.program, ABOUT.licence
        );
        for ((id, text), users) in texts.iter().filter(|(_, users)| !users.is_empty()) {
            let users: Vec<&str> = users.iter().map(String::as_str).collect();
            write!(out, "\n{}\n{id}\nUsed by: {}\n\n{text}\n", "=".repeat(100), users.join(", "))?;
        }
        Ok(out)
    }
}

/// A package of npm of which the dashboard's page has parts.
struct PagePackage {
    name: String,
    version: String,
    licence: String,
    text: String,
}

/// The packages in the page, as its build lists them in `licences.txt`.
fn page_packages() -> Result<Vec<PagePackage>> {
    let path = root().join(web::PAGE).join("dist/licences.txt");
    let list = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let line = format!("\n{}\n", "-".repeat(72));
    let package = |part: &str| {
        let mut lines = part.trim_start().splitn(3, '\n');
        let (name, version) = lines.next()?.rsplit_once(' ')?;
        let (licence, text) = (lines.next()?.to_owned(), lines.next()?.trim().to_owned());
        Some(PagePackage { name: name.to_owned(), version: version.to_owned(), licence, text })
    };
    let all =
        list.split(&line).map(|part| package(part).with_context(|| format!("{} has another form", path.display())));
    all.collect()
}

/// Returns what `cargo about` finds for a package or a workspace. Reading the files of all crates takes it minutes, so that is kept
/// for as long as the lock file is the same.
fn found_licences(manifest: &str, triple: &str) -> Result<Value> {
    let workspace = if manifest.starts_with("plugins") { "plugins" } else { "" };
    let rules = include_bytes!("about.toml");
    let lock = std::fs::read(root().join(workspace).join("Cargo.lock"))?;
    let kept = root().join("target/tools/licences");
    let kept = kept.join(sha256_hex(&[&lock, &rules[..], triple.as_bytes()].concat())).with_extension("json");
    if let Ok(found) = std::fs::read(&kept) {
        return Ok(serde_json::from_slice(&found)?);
    }
    // It looks at the crates of every system before it takes those of one.
    command::run(command::cargo(workspace).args(["fetch", "--quiet", "--locked"]))?;
    let mut about = Command::new(tools::cargo_about()?);
    about.args(["generate", "--fail", "--locked", "--offline", "--format", "json", "--target", triple]);
    about.args(["--config", "host/xtask/src/dist/about.toml", "--manifest-path", manifest]);
    if !workspace.is_empty() {
        about.arg("--workspace");
    }
    let found = command::output(about.current_dir(root()))?;
    write(&kept, found.as_bytes())?;
    Ok(serde_json::from_str(&found)?)
}
