//! Reading process information from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags, RawDir, open, readlinkat};

use super::listening::listening_sockets;
use super::stat::Stat;

/// The parent of the kernel's own threads.
const KTHREADD: u32 = 2;

/// Reads a process's `stat`. Returns `None` if the process is gone.
pub(super) fn stat(pid: u32) -> Option<Stat> {
    let mut buffer = [0; 1024];
    let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let length = file.read(&mut buffer).ok()?;
    parse(&buffer[..length])
}

/// Returns how much memory a process has in use, in bytes.
pub(super) fn memory_in_use(pid: u32) -> Option<u64> {
    let pages: u64 = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).unwrap_or(4096))
}

/// Returns the processor time of a process so far, in milliseconds.
pub(super) fn cpu_millis(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = stat.iter().rposition(|b| *b == b')')?;
    let mut fields = str::from_utf8(stat.get(end + 2..)?).ok()?.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

fn parse(stat: &[u8]) -> Option<Stat> {
    // The name is in parentheses, and may itself contain parentheses.
    let end = stat.iter().rposition(|b| *b == b')')?;
    let mut fields = str::from_utf8(stat.get(end + 2..)?).ok()?.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(15)?.parse().ok()?;
    Some(Stat { is_ended: matches!(state, b'Z' | b'X'), is_stopped: state == b'T', parent, session, start })
}

/// Returns whether a process may belong to a program that started at `since`.
pub(super) fn may_have_started_since(stat: Stat, since: u64) -> bool {
    stat.start >= since && stat.parent != KTHREADD
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

/// Returns the path of a process's executable.
pub(super) fn executable(pid: u32) -> io::Result<PathBuf> {
    let path = fs::read_link(format!("/proc/{pid}/exe"))?;
    // A new version may have replaced the file under a running process.
    match path.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(path) => Ok(path.into()),
        None => Ok(path),
    }
}

/// Returns what the kernel calls a process, or nothing if it is gone.
pub(super) fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// The TCP sockets of this machine that listen: the port of each, by the name that an open file has.
pub(crate) struct TcpListeners(HashMap<String, u16>);

impl TcpListeners {
    /// Looks at all of them.
    pub fn snapshot() -> Self {
        let all = listening_sockets().unwrap_or_else(written);
        Self(all.into_iter().map(|(port, inode)| (format!("socket:[{inode}]"), port)).collect())
    }

    /// Looks for those of one port. Returns `None` if there is none.
    pub fn find(port: u16) -> Option<Self> {
        let mut listeners = Self::snapshot();
        listeners.0.retain(|_, listened| *listened == port);
        (!listeners.0.is_empty()).then_some(listeners)
    }

    /// Returns the ports that a process listens on.
    pub fn ports(&self, pid: u32) -> impl Iterator<Item = u16> {
        self.open(pid).unwrap_or_default().into_iter()
    }

    fn open(&self, pid: u32) -> rustix::io::Result<Vec<u16>> {
        /// An entry takes 24 bytes of the room, and no number of a file takes twice as many.
        const FD_TABLE_THRESHOLD: usize = 80;
        let directory = open(format!("/proc/{pid}/fd"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let (mut room, mut name, mut found) = ([MaybeUninit::uninit(); 4096], Vec::new(), Vec::new());
        let mut entries = RawDir::new(&directory, &mut room);
        let mut count = 0;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            count += 1;
            // The directory itself, and the one above, are no links.
            if entry.file_type() != FileType::Directory
                && let Ok(target) = readlinkat(&directory, entry.file_name(), std::mem::take(&mut name))
            {
                found.extend(target.to_str().ok().and_then(|target| self.0.get(target)));
                name = target.into_bytes();
            }
            // The kernel fills the room while there is more, so asking again would only say that there is none.
            if entries.is_buffer_empty() && count < FD_TABLE_THRESHOLD {
                break;
            }
        }
        Ok(found)
    }
}

/// Returns the port and the inode of each socket that listens, where the kernel tells them as text alone.
fn written() -> Vec<(u16, u64)> {
    let tables =
        ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|text| text.lines().skip(1)).filter_map(listener).collect()
}

/// Returns the port and the inode of a socket that listens, from a line of `/proc/net/tcp`.
fn listener(line: &str) -> Option<(u16, u64)> {
    /// TCP_LISTEN, in hexadecimal.
    const TCP_LISTEN_HEX: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    if *fields.get(3)? != TCP_LISTEN_HEX {
        return None;
    }
    Some((u16::from_str_radix(local, 16).ok()?, fields.get(9)?.parse().ok()?))
}

/// Returns whether a process has the mark of a number, or `None` if that cannot be read.
pub(crate) fn has_mark(pid: u32, number: u64) -> Option<bool> {
    Some(lock_limit(pid)? == number.to_string())
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
    fn a_socket_that_listens_is_found_behind_hundreds_of_other_files() {
        let files: Vec<_> = (0..500).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ours = std::process::id();
        assert_eq!(TcpListeners::snapshot().ports(ours).filter(|listened| *listened == port).count(), 1);
        drop((files, listener));
        assert_eq!(TcpListeners::snapshot().ports(ours).filter(|listened| *listened == port).count(), 0);
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = b"42 (a) R 1 (b)) S 7 41 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        assert_eq!(
            parse(stat),
            Some(Stat { is_ended: false, is_stopped: false, parent: 7, session: 42, start: 98765 })
        );
        assert_eq!(parse(b"42 (a"), None);
        assert_eq!(parse(b"42 (a)"), None);
    }
}
