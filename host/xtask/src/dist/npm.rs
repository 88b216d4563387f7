//! Packages for npm: one that everybody installs, and one for each system, of which npm takes the one that fits.

use anyhow::Result;
use serde_json::{Value, json};

use super::documents::{self, Documents};
use super::table::{ABOUT, DistTarget, GLIBC, System, VERSION};
use super::tree::{FileBytes, FileTree, fill, gzip};

/// The package with the binary for a target.
pub fn of_target(target: &DistTarget, binary: &FileBytes, documents: &Documents, time: u64) -> Result<Vec<u8>> {
    let mut about = about(&target.npm_name(), &format!("The binary of {} for {}", ABOUT.program, target.triple));
    about["os"] = json!([target.npm_os()]);
    about["cpu"] = json!([target.npm_cpu]);
    if target.system == System::Linux {
        about["libc"] = json!(["glibc"]);
    }
    // Some package managers keep packages in archives, from which nothing can be run.
    about["preferUnplugged"] = json!(true);
    let mut tree = FileTree::default();
    tree.add_program(format!("bin/{}", ABOUT.program), binary.clone());
    tree.add(documents::LICENCES, documents.licences.clone());
    tree.add(documents::SBOM, documents.sbom.clone());
    packed(tree, &about, time)
}

/// The package that everybody installs, over those of the targets.
pub fn of_all(targets: &[&DistTarget], time: u64) -> Result<Vec<u8>> {
    let program = ABOUT.program;
    let mut about = about(program, ABOUT.summary);
    // As aiw 0.6 was called, too.
    about["bin"] = json!({ program: format!("bin/{program}"), ABOUT.crate_name: format!("bin/{program}") });
    about["scripts"] = json!({ "postinstall": "node install.js" });
    about["optionalDependencies"] = targets.iter().map(|target| (target.npm_name(), json!(VERSION))).collect();
    let (major, minor) = GLIBC;
    let glibc = format!("{major}.{minor}");
    let holes = [("PROGRAM", program), ("GLIBC", &glibc)];
    let mut tree = FileTree::default();
    tree.add_program(format!("bin/{program}"), fill(include_str!("templates/launcher.js"), &holes)?.into_bytes());
    tree.add("find.js", fill(include_str!("templates/find.js"), &holes)?.into_bytes());
    tree.add("install.js", fill(include_str!("templates/install.js"), &holes)?.into_bytes());
    packed(tree, &about, time)
}

fn about(name: &str, description: &str) -> Value {
    let mut about = json!({
        "name": name,
        "version": VERSION,
        "description": description,
        "license": ABOUT.licence,
        "engines": { "node": ">=12" },
    });
    if name == ABOUT.program {
        about["keywords"] = json!(ABOUT.keywords);
    }
    if let Some(address) = ABOUT.repository {
        about["homepage"] = json!(address);
        about["repository"] = json!({ "type": "git", "url": format!("git+{address}.git") });
    }
    about
}

/// The archive that `npm publish` takes.
fn packed(mut tree: FileTree, about: &Value, time: u64) -> Result<Vec<u8>> {
    tree.add("package.json", format!("{about:#}\n").into_bytes());
    for name in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        tree.add(name, documents::file(name)?);
    }
    gzip(&tree.tar("package/", false, time)?)
}
