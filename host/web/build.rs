//! Packs the built page: a table of its files, each compressed once.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let page = Path::new("page/dist");
    println!("cargo::rerun-if-changed=page/dist");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = Vec::new();
    collect(page, page, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for (at, (name, path)) in files.iter().enumerate() {
        let bytes = fs::read(path)?;
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&bytes)?;
        let packed = packed.finish()?;
        let file = out.join(format!("{at}.gz"));
        fs::write(&file, packed)?;
        table.push_str(&format!("    PageFile {{ path: {name:?}, gzip: include_bytes!({file:?}) }},\n"));
    }
    table.push(']');
    fs::write(out.join("page.rs"), table)?;
    Ok(())
}

/// Collects the files below a directory with their paths in URLs.
fn collect(root: &Path, directory: &Path, files: &mut Vec<(String, PathBuf)>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if let Ok(below) = path.strip_prefix(root) {
            let path_of = |below: &Path| below.to_str().map(|name| format!("/{}", name.replace('\\', "/")));
            files.extend(path_of(below).map(|name| (name, fs::canonicalize(&path).unwrap_or(path.clone()))));
        }
    }
}
