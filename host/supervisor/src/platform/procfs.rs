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

/// Returns the processor time of a process in the system's ticks.
pub(super) fn cpu_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = stat.iter().rposition(|b| *b == b')')?;
    let mut fields = str::from_utf8(stat.get(end + 2..)?).ok()?.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
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

/// Returns a process's soft limit on file locks as `/proc` writes it, or `None` if it cannot be read.
pub(super) fn lock_limit(pid: u32) -> Option<String> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// Returns a process's command line, each word ended by a NUL, or `None` if it cannot be read.
pub(super) fn command_line(pid: u32) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    fs::File::open(format!("/proc/{pid}/cmdline")).ok()?.take(4 << 20).read_to_end(&mut line).ok()?;
    Some(line)
}

/// Returns the port and the inode of a socket that listens, from a line of `/proc/net/tcp`.
pub(super) fn listener(line: &str) -> Option<(u16, u64)> {
    /// TCP_LISTEN, in hexadecimal.
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    if *fields.get(3)? != LISTEN {
        return None;
    }
    Some((u16::from_str_radix(local, 16).ok()?, fields.get(9)?.parse().ok()?))
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
    fn a_socket_that_listens_is_found_by_its_port() {
        let line =
            " 0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 4242 1 0000 100 0";
        assert_eq!(listener(line), Some((8080, 4242)));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(listener("sl local"), None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = b"42 (a) R 1 (b)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        assert_eq!(parse(stat), Some(Stat { state: b'S', parent: 7, start: 98765 }));
        assert_eq!(parse(b"42 (a"), None);
        assert_eq!(parse(b"42 (a)"), None);
    }
}
