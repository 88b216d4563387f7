//! `install.sh`: installs the version that it was made for, from the archives of its release.

use anyhow::Result;

use super::elsewhere::Archive;
use super::table::{ABOUT, GLIBC, VERSION};
use super::tree::fill;

/// Writes the script. It has the digests in it, so that what comes from a mirror is what was released.
pub fn script(archives: &[Archive]) -> Result<String> {
    let (major, minor) = GLIBC;
    let digests: String = archives.iter().map(|one| format!("    {}) echo {} ;;\n", one.target.triple, one.sha256)).collect();
    fill(
        include_str!("templates/install.sh"),
        &[
            ("PROGRAM", ABOUT.program),
            ("VERSION", VERSION),
            ("RELEASE", &ABOUT.release()),
            ("GLIBC_MAJOR", &major.to_string()),
            ("GLIBC_MINOR", &minor.to_string()),
            ("DIGESTS", digests.trim_end()),
        ],
    )
}
