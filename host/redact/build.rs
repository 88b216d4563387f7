//! Gives all rules together a number, which is another one whenever one of them changes.

use std::error::Error;
use std::path::Path;

/// Where the rules are.
const RULES: &str = "src/rules";

/// Which signs nobody sees.
const SIGNS: &str = "../core/src/hidden.rs";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={RULES}");
    println!("cargo::rerun-if-changed={SIGNS}");
    let mut paths: Vec<_> =
        std::fs::read_dir(RULES)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    // Tests are no rules, nor is what an editor leaves beside a file.
    let is_rule = |path: &Path| path.extension().is_some_and(|end| end == "rs" || end == "in");
    paths.retain(|path| is_rule(path) && !path.ends_with("tests.rs"));
    paths.sort();
    paths.push(SIGNS.into());
    let mut number = 0xcbf2_9ce4_8422_2325_u64;
    for path in paths {
        let text = std::fs::read(path)?;
        number = text.iter().fold(number, |number, byte| (number ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }
    // No number of rules is 0, which no text has gone through.
    let to = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&to).join("version.rs"), format!("{}_i64", (number >> 1) | 1))?;
    Ok(())
}
