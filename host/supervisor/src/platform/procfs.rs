//! Reading process information from `/proc`.

use std::fs;
use std::io::Read;

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub state: u8,
    pub parent: u32,
    pub start: u64,
}

impl Stat {
    /// Returns whether this is the process with the given start, and not a zombie. A start of 0 is not compared.
    pub fn is_alive(&self, start: u64) -> bool {
        !matches!(self.state, b'Z' | b'X') && (start == 0 || self.start == start)
    }
}

/// Reads a process's `stat`. Returns `None` if the process is gone.
pub(super) fn stat(pid: u32) -> Option<Stat> {
    let mut buffer = [0; 1024];
    let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let length = file.read(&mut buffer).ok()?;
    parse(&buffer[..length])
}

fn parse(stat: &[u8]) -> Option<Stat> {
    // The name is in parentheses, and may itself contain parentheses.
    let end = stat.iter().rposition(|b| *b == b')')?;
    let mut fields = str::from_utf8(stat.get(end + 2..)?).ok()?.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, start })
}

/// Returns all visible processes.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// Returns a process's initial environment, or `None` if we may not read it.
pub(super) fn variables(pid: u32) -> Option<Vec<u8>> {
    // Larger environments are possible, but not ours.
    let mut variables = Vec::new();
    fs::File::open(format!("/proc/{pid}/environ")).ok()?.take(4 << 20).read_to_end(&mut variables).ok()?;
    Some(variables)
}

/// Returns a process's command line, each word ended by a NUL, or `None` if it cannot be read.
pub(super) fn command_line(pid: u32) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    fs::File::open(format!("/proc/{pid}/cmdline")).ok()?.take(4 << 20).read_to_end(&mut line).ok()?;
    Some(line)
}

/// Returns whether an environment contains all of these variables with these values.
pub(super) fn has_all(variables: &[u8], wanted: &[(&str, String)]) -> bool {
    let value = |name: &str| {
        variables.split(|b| *b == 0).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    wanted.iter().all(|(name, wanted)| value(name) == Some(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = b"42 (a) R 1 (b)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        assert_eq!(parse(stat), Some(Stat { state: b'S', parent: 7, start: 98765 }));
        assert_eq!(parse(b"42 (a"), None);
        assert_eq!(parse(b"42 (a)"), None);
    }
}
