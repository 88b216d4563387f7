//! The request that a starter sends to its shim over a pipe: the only channel that carries secrets.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::error::SupervisorError;
use crate::names::Names;
use crate::new::{NewProcess, Queue};
use crate::program::{NamedFile, PassedFile, Program, ResourceLimits};
use crate::record::Record;
use crate::root::Root;

/// The first bytes of every request, which identify its format.
const MAGIC: &[u8; 8] = b"aiwshim4";
/// The maximum length of a request. A prompt may have megabytes.
const LONGEST: u64 = 256 << 20;

/// Everything that a shim has to know.
pub(crate) struct StartRequest {
    pub head: Head,
    /// The directory of the records.
    pub records: PathBuf,
    pub runtime: PathBuf,
    pub program: Program,
}

/// The part of a request that is text.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub root: Root,
    pub names: Names,
    pub queue: Queue,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
    pub new: NewProcess,
    /// Whether the directory exists already, from a process that has ended.
    pub again: bool,
}

/// The answer of a shim.
#[derive(Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The process runs, or waits for its turn.
    Started(Box<Record>),
    /// The program could not be run, and why. The record says so too.
    NotStarted(Told),
    Limit(u32),
    Full(usize),
    /// The process whose directory is to be reused has not ended.
    StillRunning(aiw_core::ProcessState),
    /// The shared memory with this name cannot be used, and why.
    Memory(String, String),
    /// The working directory cannot be entered.
    Cwd(Told),
    /// A file of the home cannot be written.
    Io(PathBuf, Told),
    /// A file of the runtime directory is wrong, and how.
    Runtime(PathBuf, String),
    /// Another process has held a lock for this many seconds.
    Busy(PathBuf, u64),
    Failed(String),
}

/// A system error, as it is sent over a pipe.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    Number(i32),
    Text(String),
}

impl From<io::Error> for Told {
    fn from(error: io::Error) -> Self {
        error.raw_os_error().map_or_else(|| Self::Text(error.to_string()), Self::Number)
    }
}

impl From<Told> for io::Error {
    fn from(told: Told) -> Self {
        match told {
            Told::Number(number) => Self::from_raw_os_error(number),
            Told::Text(text) => Self::other(text),
        }
    }
}

impl StartRequest {
    /// Returns the request as bytes, preceded by its length.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = begun(&self.program);
        let head = serde_json::to_vec(&self.head).unwrap_or_default();
        bytes(&mut out, &head);
        bytes(&mut out, self.records.as_os_str().as_bytes());
        bytes(&mut out, self.runtime.as_os_str().as_bytes());
        bytes(&mut out, self.head.new.cwd.as_os_str().as_bytes());
        self.program.put(&mut out);
        sealed(out)
    }

    /// Reads a complete request. The partial request of a starter that died is an error.
    pub fn read(from: impl Read) -> io::Result<Self> {
        read(from, Self::parse)
    }

    fn parse(body: &mut Body<'_>) -> Option<Self> {
        let mut head: Head = serde_json::from_slice(body.bytes()?).ok()?;
        let records = body.path()?;
        let runtime = body.path()?;
        head.new.cwd = body.path()?;
        let program = Program::parse(body)?;
        Some(Self { head, records, runtime, program })
    }
}

/// The request for an attached process.
pub(crate) struct Attachment {
    pub grace: Duration,
    pub cwd: PathBuf,
    /// The variables of everything that the process starts.
    pub mark: [(String, String); 1],
    pub program: Program,
}

/// The word that takes the place of the root on the command line of a reaper.
pub(crate) const ATTACHED: &str = "attached";

/// The reports of a reaper to its owner, one on each line.
#[derive(Serialize, Deserialize)]
pub(crate) enum Report {
    Started(u32),
    NotStarted(Told),
    Cwd(Told),
    Ended { code: Option<i32>, signal: Option<i32> },
}

impl Attachment {
    /// Returns the request as bytes, preceded by its length.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = begun(&self.program);
        number(&mut out, u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX));
        bytes(&mut out, self.cwd.as_os_str().as_bytes());
        let [(name, value)] = &self.mark;
        bytes(&mut out, name.as_bytes());
        bytes(&mut out, value.as_bytes());
        self.program.put(&mut out);
        sealed(out)
    }

    /// Reads a complete request.
    pub fn read(from: impl Read) -> io::Result<Self> {
        read(from, |body| {
            let grace = Duration::from_millis(body.number()?);
            let cwd = body.path()?;
            let mark = [(body.text()?, body.text()?)];
            Some(Self { grace, cwd, mark, program: Program::parse(body)? })
        })
    }
}

impl Program {
    fn put(&self, out: &mut Vec<u8>) {
        bytes(out, self.path.as_os_str().as_bytes());
        number(out, self.arguments.len() as u64);
        for argument in &self.arguments {
            bytes(out, argument.as_bytes());
        }
        number(out, self.environment.len() as u64);
        for (name, value) in &self.environment {
            bytes(out, name.as_bytes());
            bytes(out, value.as_bytes());
        }
        number(out, self.files.len() as u64);
        for file in &self.files {
            number(out, u64::try_from(file.fd).unwrap_or(0));
            bytes(out, &file.bytes);
        }
        number(out, self.named_files.len() as u64);
        for file in &self.named_files {
            bytes(out, file.path.as_os_str().as_bytes());
            bytes(out, &file.bytes);
        }
        number(out, self.limits.memory.unwrap_or(0));
        number(out, u64::from(self.limits.cpu_percent.unwrap_or(0)));
        number(out, self.secrets.len() as u64);
        for secret in &self.secrets {
            bytes(out, secret);
        }
        bytes(out, &self.stdin);
    }

    fn parse(body: &mut Body<'_>) -> Option<Self> {
        let path = body.path()?;
        let arguments = body.many(Body::os)?;
        let environment = body.many(|body| Some((body.os()?, body.os()?)))?;
        let files = body.many(|body| Some(PassedFile { fd: body.small()?, bytes: body.bytes()?.to_vec() }))?;
        let named_files = body.many(|body| Some(NamedFile { path: body.path()?, bytes: body.bytes()?.to_vec() }))?;
        let memory = Some(body.number()?).filter(|n| *n != 0);
        let cpu_percent = Some(body.small()?).filter(|n| *n != 0);
        let secrets = body.many(|body| body.bytes().map(<[u8]>::to_vec))?;
        let stdin = body.bytes()?.to_vec();
        let limits = ResourceLimits { memory, cpu_percent };
        Some(Self { path, arguments, environment, stdin, files, named_files, limits, secrets })
    }
}

/// Returns the beginning of a request, without its length.
fn begun(program: &Program) -> Vec<u8> {
    // Allocated at once: each growth would leave a copy of the secrets behind.
    let room: usize = program.named_files.iter().map(|file| file.bytes.len()).sum();
    let mut out = Vec::with_capacity(program.stdin.len() + room + 65536);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0; 8]);
    out
}

/// Fills in the length of a request.
fn sealed(mut out: Vec<u8>) -> Vec<u8> {
    let length = (out.len() - 16) as u64;
    out[8..16].copy_from_slice(&length.to_le_bytes());
    out
}

/// Reads everything after the length.
fn read<T>(mut from: impl Read, parse: impl FnOnce(&mut Body<'_>) -> Option<T>) -> io::Result<T> {
    let mut head = [0; 16];
    from.read_exact(&mut head)?;
    let (magic, length) = head.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
    if magic != MAGIC || length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not the request of this version of aiw"));
    }
    let mut body = Vec::new();
    // Allocated at once: each growth would leave a copy of the secrets behind.
    let room = usize::try_from(length).unwrap_or(usize::MAX);
    body.try_reserve_exact(room).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    from.take(length).read_to_end(&mut body)?;
    if body.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let request = parse(&mut Body(&body));
    body.zeroize();
    request.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the request makes no sense"))
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Refuses values that cannot be passed on, before anything is started.
pub(crate) fn check(program: &Program) -> Result<(), SupervisorError> {
    let invalid = |problem: String| Err(SupervisorError::Invalid { problem });
    if program.path.as_os_str().as_bytes().contains(&0) {
        return invalid("the path of the program contains a NUL character".into());
    }
    if let Some(at) = program.arguments.iter().position(|argument| argument.as_bytes().contains(&0)) {
        return invalid(format!("argument {} contains a NUL character; standard input may", at + 1));
    }
    for (name, value) in &program.environment {
        if name.is_empty() || name.as_bytes().iter().any(|b| matches!(b, 0 | b'=')) {
            return invalid(format!("`{}` is not a name of a variable", name.display()));
        }
        if value.as_bytes().contains(&0) {
            return invalid(format!("the value of the variable `{}` contains a NUL character", name.display()));
        }
    }
    for (at, file) in program.files.iter().enumerate() {
        if !(3..=255).contains(&file.fd) || program.files[..at].iter().any(|other| other.fd == file.fd) {
            return invalid(format!("{} is not a number for a passed file: each has its own, from 3 to 255", file.fd));
        }
    }
    if program.named_files.iter().any(|file| !crate::memory::is_memory_path(&file.path)) {
        return invalid("a named file is not at a path of its own making".into());
    }
    Ok(())
}

/// The bytes that are left to parse.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.small()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn os(&mut self) -> Option<OsString> {
        self.bytes().map(|bytes| OsString::from_vec(bytes.to_vec()))
    }

    fn path(&mut self) -> Option<PathBuf> {
        self.os().map(PathBuf::from)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count: usize = self.small()?;
        (0..count).map(|_| one(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(stdin: Vec<u8>, text: Option<String>, argument: Vec<u8>) -> StartRequest {
        let mut labels = crate::record::Labels::new();
        labels.insert("text".into(), text.clone().into());
        let new = NewProcess {
            labels,
            label: argument.clone(),
            timeout: Some(Duration::ZERO),
            depth: 2,
            parent: Some(aiw_core::ProcessId::from_number(7)),
            ..NewProcess::within(OsString::from_vec(argument.clone()))
        };
        let names = Names::new("servers", "server.json", "server", ["A", "B"]);
        let (root, queue, grace) = (Root::Process { pid: 7, start: 9 }, Queue::default(), Duration::from_secs(5));
        StartRequest {
            head: Head { root, names, queue, grace, new, again: false },
            records: "/h/servers".into(),
            runtime: "/r".into(),
            program: Program {
                path: "/bin/sh".into(),
                arguments: vec![OsString::from_vec(argument.clone()), OsString::new()],
                environment: vec![("A".into(), OsString::from_vec(argument.clone()))],
                named_files: vec![NamedFile { path: "/dev/shm/aiw-file-1".into(), bytes: argument.clone() }],
                files: vec![PassedFile { fd: 9, bytes: argument.clone() }],
                limits: ResourceLimits { memory: Some(5), cpu_percent: None },
                secrets: vec![argument],
                stdin,
            },
        }
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn a_request_arrives_as_it_was_sent(stdin: Vec<u8>, text: Option<String>, argument: Vec<u8>) {
                let sent = request(stdin, text, argument.clone()).encode();
                let got = StartRequest::read(&sent[..]).unwrap();
                prop_assert_eq!(&got.head.new.cwd, &request(vec![], None, argument.clone()).head.new.cwd);
                prop_assert_eq!(got.encode(), sent);
            }

            #[test]
            fn half_a_request_is_none(cut in 0usize..400) {
                let sent = request(vec![1; 100], Some("x".into()), b"y".to_vec()).encode();
                prop_assert!(StartRequest::read(&sent[..cut.min(sent.len() - 1)]).is_err());
            }

            #[test]
            fn any_bytes_are_answered(body: Vec<u8>) {
                let mut bytes = MAGIC.to_vec();
                bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
                bytes.extend_from_slice(&body);
                let _ = StartRequest::read(&bytes[..]);
            }
        }
    }
}
