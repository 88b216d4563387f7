//! Packages for Debian and its relatives.

use anyhow::Result;

use super::documents::Documents;
use super::table::{ABOUT, DistTarget, GLIBC, VERSION};
use super::tree::{FileBytes, FileTree, fill, gzip, xz};

/// The package for a target. Everything that it installs is below `/usr`, and nothing runs when it is installed.
pub fn package(target: &DistTarget, binary: &FileBytes, documents: &Documents, time: u64) -> Result<Vec<u8>> {
    let program = ABOUT.program;
    let mut data = FileTree::default();
    data.add_program(format!("usr/bin/{program}"), binary.clone());
    data.add_link(format!("usr/bin/{}", ABOUT.crate_name), program);
    let docs = format!("usr/share/doc/{program}");
    data.add(format!("{docs}/copyright"), copyright(documents)?.into_bytes());
    data.add(format!("{docs}/changelog.gz"), gzip(changelog(time)?.as_bytes())?);
    data.add(format!("{docs}/{}.gz", super::documents::LICENCES), gzip(&documents.licences)?);
    data.add(format!("{docs}/{}", super::documents::SBOM), documents.sbom.clone());
    for (name, page) in &documents.manual {
        data.add(format!("usr/share/man/man1/{name}.gz"), gzip(page)?);
    }
    for completion in &documents.completions {
        if let Some(path) = completion.debian() {
            data.add(path, completion.script.clone());
        }
    }
    let mut control = FileTree::default();
    let size = data.files().map(|(_, _, bytes)| bytes.len().div_ceil(1024)).sum::<usize>();
    control.add("control", control_file(target, size)?.into_bytes());
    control.add("md5sums", md5sums(&data)?.into_bytes());
    let mut deb = ar::Builder::new(Vec::new());
    let parts = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", gzip(&control.tar("./", true, time)?)?),
        ("data.tar.xz", xz(&data.tar("./", true, time)?)?),
    ];
    for (name, bytes) in parts {
        let mut header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        header.set_mode(0o100_644);
        header.set_mtime(time);
        deb.append(&header, &bytes[..])?;
    }
    Ok(deb.into_inner()?)
}

fn control_file(target: &DistTarget, size: usize) -> Result<String> {
    let (major, minor) = GLIBC;
    let homepage = ABOUT.repository.map_or_else(String::new, |address| format!("\nHomepage: {address}"));
    fill(
        include_str!("templates/control"),
        &[
            ("PROGRAM", ABOUT.program),
            ("VERSION", VERSION),
            ("ARCHITECTURE", target.deb),
            ("MAINTAINER", ABOUT.maintainer()),
            ("SIZE", &size.to_string()),
            ("GLIBC", &format!("{major}.{minor}")),
            ("HOMEPAGE", &homepage),
            ("SUMMARY", &lowercase_first(ABOUT.summary)),
            ("DESCRIPTION", &wrapped(ABOUT.description)),
        ],
    )
}

/// Debian's lists show `aiw - runs …`.
fn lowercase_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A paragraph as the field `Description` has it: each line begins with a space.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 76 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!(" {word}")),
        }
    }
    lines.join("\n")
}

/// Its own licence, and where those of everything in it are.
fn copyright(documents: &Documents) -> Result<String> {
    let mit = String::from_utf8_lossy(&documents.mit);
    // In this format a line that is empty is a dot, and each begins with a space.
    let text = mit.lines().skip(4).map(|line| if line.is_empty() { " .".into() } else { format!(" {line}") });
    fill(
        include_str!("templates/copyright"),
        &[
            ("PROGRAM", ABOUT.program),
            ("SOURCE", ABOUT.repository()),
            ("HOLDER", ABOUT.copyright()),
            ("LICENCES", super::documents::LICENCES),
            ("MIT", &text.collect::<Vec<_>>().join("\n")),
        ],
    )
}

fn changelog(time: u64) -> Result<String> {
    let format = time::format_description::parse_borrowed::<2>(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] +0000",
    )?;
    let date = time::OffsetDateTime::from_unix_timestamp(time.try_into()?)?.format(&format)?;
    Ok(format!(
        "{} ({VERSION}) stable; urgency=medium\n\n  * Version {VERSION}.\n\n -- {}  {date}\n",
        ABOUT.program,
        ABOUT.maintainer()
    ))
}

/// The digests by which `dpkg --verify` finds what was changed.
fn md5sums(data: &FileTree) -> Result<String> {
    let directory = tempfile::tempdir()?;
    data.write(directory.path())?;
    let paths: Vec<&str> = data.files().map(|(path, _, _)| path).collect();
    aiw_tests::command::output(std::process::Command::new("md5sum").args(paths).current_dir(directory.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::table::TARGETS;

    #[test]
    fn a_description_has_each_line_after_a_space_and_none_is_long() {
        let control = control_file(&TARGETS[0], 1).unwrap();
        let (_, description) = control.split_once("\nDescription: ").unwrap();
        assert!(description.lines().skip(1).all(|line| line.starts_with(' ') && line.len() < 80), "{control}");
        assert!(control.contains("Depends: libc6 (>= 2.28)") && control.ends_with('\n'), "{control}");
    }
}
