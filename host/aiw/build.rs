//! Finds the bundled components. `cargo xtask plugins` builds them: a build script that runs
//! cargo would build them once a profile, and once more for check and clippy.

use std::path::Path;

const COMPONENTS: [&str; 9] = [
    "market-github",
    "market-local",
    "market-remote",
    "provider-anthropic",
    "provider-gateway",
    "provider-google",
    "provider-openai",
    "registry-official",
    "registry-smithery",
];

fn main() {
    fixed_place();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.components");
    let components = COMPONENTS.map(|name| {
        (format!("AIW_COMPONENT_{}", name.to_uppercase().replace('-', "_")), root.join(format!("{name}.wasm")))
    });
    // What runs scripts: the component, its code for the target, and the digest of that.
    let target = std::env::var("TARGET").unwrap_or_default();
    let code = root.join(format!("orchestrator.{target}.code.xz"));
    println!("cargo::rerun-if-changed={}", code.display());
    // A check for another system needs no code. `cargo xtask dist` compiles it before the build.
    let target = if code.is_file() { target } else { std::env::var("HOST").unwrap_or_default() };
    let scripts = [
        ("COMPONENT", "wasm.xz".to_owned()),
        ("CODE", format!("{target}.code.xz")),
        ("SHA256", format!("{target}.sha256")),
    ];
    let scripts =
        scripts.map(|(part, kind)| (format!("AIW_SCRIPTS_{part}"), root.join(format!("orchestrator.{kind}"))));
    for (variable, path) in components.into_iter().chain(scripts) {
        println!("cargo::rerun-if-changed={}", path.display());
        if !path.is_file() {
            println!("cargo::error=the components that are part of aiw are not built yet: {}", remedy());
            return;
        }
        println!("cargo::rustc-env={variable}={}", path.display());
    }
}

/// What to do where the components are missing. A checkout of cargo's own is nowhere to build anything.
fn remedy() -> &'static str {
    let is_of_cargo = Path::new(env!("CARGO_MANIFEST_DIR")).components().any(|part| part.as_os_str() == "checkouts");
    if is_of_cargo {
        "`cargo install --git` can't build them. Clone the repository and run `cargo xtask install` there"
    } else {
        "run `cargo xtask setup`, then this build again, which goes on where it stopped"
    }
}

/// A task's supervisor is this binary, and fifty of them run at once. What each has for itself is
/// mostly what the loader relocates of a binary that may lie anywhere: 0.9 MB. A release lies at
/// a fixed place.
fn fixed_place() {
    let is = |variable: &str, value: &str| std::env::var(variable).is_ok_and(|set| set == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
