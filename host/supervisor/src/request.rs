//! The request that a starter sends to its shim over a pipe: the only channel that carries secrets.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::SupervisorError;
use crate::names::Namespace;
use crate::new::{NewProcess, QueueLimit};
use crate::program::{NamedFile, PassedFile, Program, ResourceLimits};
use crate::record::ProcessRecord;
use crate::root::Root;

/// The first bytes of every request, which identify its format.
const MAGIC: &[u8; 8] = b"aiwshim6";
/// The maximum length of a request. A prompt may have megabytes.
const MAX_REQUEST_BYTES: u64 = 256 << 20;

/// Everything that a shim has to know.
pub(crate) struct StartRequest {
    pub head: RequestText,
    /// The directory of the records.
    pub records: PathBuf,
    pub runtime: PathBuf,
    pub program: Program,
}

/// The part of a request that is text.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestText {
    pub root: Root,
    pub names: Namespace,
    pub queue: QueueLimit,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
    pub new: NewProcess,
    /// Whether the directory exists already, from a process that has ended.
    pub again: bool,
}

/// The answer of a shim.
#[derive(Serialize, Deserialize)]
pub(crate) enum ShimResponse {
    /// The process runs, or waits for its turn.
    Started(Box<ProcessRecord>),
    /// The program could not be run, and why. The record says so too.
    NotStarted(WireError),
    Limit(u32),
    Full(usize),
    /// The process whose directory is to be reused has not ended.
    StillRunning(aiw_core::ProcessState),
    /// The shared memory with this name cannot be used, and why.
    Memory(String, String),
    /// The working directory cannot be entered.
    Cwd(WireError),
    /// A file of the home cannot be written.
    Io(PathBuf, WireError),
    /// A file of the runtime directory is wrong, and how.
    Runtime(PathBuf, String),
    /// Another process has held a lock for this many seconds.
    Busy(PathBuf, u64),
    Failed(String),
}

/// A system error, as it is sent over a pipe.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum WireError {
    Number(i32),
    Text(String),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        error.raw_os_error().map_or_else(|| Self::Text(error.to_string()), Self::Number)
    }
}

impl From<WireError> for io::Error {
    fn from(told: WireError) -> Self {
        match told {
            WireError::Number(number) => Self::from_raw_os_error(number),
            WireError::Text(text) => Self::other(text),
        }
    }
}

/// A [`StartRequest`] as it crosses the pipe. Its head stays JSON, because labels may hold any value.
#[derive(Serialize, Deserialize)]
struct SentStart<'a> {
    #[serde(borrow)]
    head: Bytes<'a>,
    records: Bytes<'a>,
    runtime: Bytes<'a>,
    cwd: Bytes<'a>,
    program: SentProgram<'a>,
}

impl StartRequest {
    /// Returns the request as bytes, preceded by its length.
    pub fn encode(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let head = serde_json::to_vec(&self.head)?;
        sealed(&SentStart {
            head: Bytes(&head),
            records: self.records.as_os_str().into(),
            runtime: self.runtime.as_os_str().into(),
            cwd: self.head.new.cwd.as_os_str().into(),
            program: SentProgram::of(&self.program),
        })
    }

    /// Reads a complete request. The partial request of a starter that died is an error.
    pub fn read(from: impl Read) -> io::Result<Self> {
        let body = read(from)?;
        let sent: SentStart<'_> = parsed(&body)?;
        let mut head: RequestText = serde_json::from_slice(sent.head.0)?;
        head.new.cwd = sent.cwd.to_path();
        let (records, runtime) = (sent.records.to_path(), sent.runtime.to_path());
        Ok(Self { head, records, runtime, program: sent.program.to_program() })
    }
}

/// The request for an attached process.
pub(crate) struct Attachment {
    pub grace: Duration,
    pub cwd: PathBuf,
    /// The mark on everything that the process starts.
    pub mark: u64,
    pub program: Program,
}

/// The word that takes the place of the root on the command line of a reaper.
pub(crate) const ATTACHED: &str = "attached";

/// The word for a reaper whose process starts beneath the directory that the reaper was started in.
pub(crate) const CWD_ARGUMENT: &str = "here";

/// The reports of a reaper to its owner, one on each line.
#[derive(Serialize, Deserialize)]
pub(crate) enum ReaperReport {
    Started(u32),
    NotStarted(WireError),
    Cwd(WireError),
    Ended { code: Option<i32>, signal: Option<i32> },
}

/// An [`Attachment`] as it crosses the pipe.
#[derive(Serialize, Deserialize)]
struct SentAttachment<'a> {
    grace: Duration,
    mark: u64,
    #[serde(borrow)]
    cwd: Bytes<'a>,
    program: SentProgram<'a>,
}

impl Attachment {
    /// Returns the request as bytes, preceded by its length.
    pub fn encode(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let (cwd, program) = (self.cwd.as_os_str().into(), SentProgram::of(&self.program));
        sealed(&SentAttachment { grace: self.grace, mark: self.mark, cwd, program })
    }

    /// Reads a complete request.
    pub fn read(from: impl Read) -> io::Result<Self> {
        let body = read(from)?;
        let SentAttachment { grace, mark, cwd, program } = parsed(&body)?;
        Ok(Self { grace, mark, cwd: cwd.to_path(), program: program.to_program() })
    }
}

/// A [`Program`] as it crosses the pipe. It borrows, so that each value is copied once, into memory of the right size:
/// growing memory would leave copies of secrets behind.
#[derive(Serialize, Deserialize)]
struct SentProgram<'a> {
    #[serde(borrow)]
    path: Bytes<'a>,
    arguments: Vec<Bytes<'a>>,
    environment: Vec<(Bytes<'a>, Bytes<'a>)>,
    files: Vec<(i32, Bytes<'a>)>,
    named_files: Vec<(Bytes<'a>, Bytes<'a>)>,
    limits: ResourceLimits,
    secrets: Vec<Bytes<'a>>,
    stdin: Bytes<'a>,
}

impl<'a> SentProgram<'a> {
    fn of(program: &'a Program) -> Self {
        let file = |file: &'a NamedFile| (file.path.as_os_str().into(), Bytes(&file.bytes));
        Self {
            path: program.path.as_os_str().into(),
            arguments: program.arguments.iter().map(|argument| argument.as_os_str().into()).collect(),
            environment: program
                .environment
                .iter()
                .map(|(n, v)| (n.as_os_str().into(), v.as_os_str().into()))
                .collect(),
            files: program.files.iter().map(|file| (file.fd, Bytes(&file.bytes))).collect(),
            named_files: program.named_files.iter().map(file).collect(),
            limits: program.limits,
            secrets: program.secrets.iter().map(|secret| Bytes(secret)).collect(),
            stdin: Bytes(&program.stdin),
        }
    }

    fn to_program(&self) -> Program {
        Program {
            path: self.path.to_path(),
            arguments: self.arguments.iter().map(Bytes::to_os).collect(),
            environment: self.environment.iter().map(|(name, value)| (name.to_os(), value.to_os())).collect(),
            stdin: self.stdin.0.to_vec(),
            files: self.files.iter().map(|(fd, bytes)| PassedFile { fd: *fd, bytes: bytes.0.to_vec() }).collect(),
            named_files: self
                .named_files
                .iter()
                .map(|(path, bytes)| NamedFile { path: path.to_path(), bytes: bytes.0.to_vec() })
                .collect(),
            limits: self.limits,
            secrets: self.secrets.iter().map(|secret| secret.0.to_vec()).collect(),
        }
    }
}

/// Borrowed bytes that are written and read in one piece.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Bytes)
    }
}

impl<'a> From<&'a OsStr> for Bytes<'a> {
    fn from(text: &'a OsStr) -> Self {
        Self(text.as_bytes())
    }
}

impl Bytes<'_> {
    fn to_os(&self) -> OsString {
        OsString::from_vec(self.0.to_vec())
    }

    fn to_path(&self) -> PathBuf {
        self.to_os().into()
    }
}

/// Returns a request behind its magic bytes and its length, in memory that is overwritten when it is freed.
fn sealed(request: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = postcard::experimental::serialized_size(request).map_err(io::Error::other)?;
    let mut out = Vec::with_capacity(16 + length);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(length as u64).to_le_bytes());
    postcard::to_extend(request, out).map(Zeroizing::new).map_err(io::Error::other)
}

/// Reads everything after the length.
fn read(mut from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut head = [0; 16];
    from.read_exact(&mut head)?;
    let (magic, length) = head.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
    if magic != MAGIC || length > MAX_REQUEST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not the request of this version of aiw"));
    }
    let mut body = Zeroizing::new(Vec::new());
    let room = usize::try_from(length).unwrap_or(usize::MAX);
    body.try_reserve_exact(room).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    from.take(length).read_to_end(&mut body)?;
    if body.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> io::Result<T> {
    let rest = |(request, rest): (T, &[u8])| rest.is_empty().then_some(request);
    let request = postcard::take_from_bytes(body).ok().and_then(rest);
    request.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the request makes no sense"))
}

/// Refuses values that cannot be passed on, before anything is started.
pub(crate) fn check(program: &Program, runtime: &Path) -> Result<(), SupervisorError> {
    let invalid = |problem: String| Err(SupervisorError::InvalidValue { problem });
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
    if program.named_files.iter().any(|file| !crate::memory::is_memory_path(&file.path, runtime)) {
        return invalid("a named file is not at a path of its own making".into());
    }
    Ok(())
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
            ..NewProcess::new(OsString::from_vec(argument.clone()))
        };
        let names = Namespace::new("servers", "server.json", "server", ["A", "B"]);
        let (root, queue, grace) = (Root::Process { pid: 7, start: 9 }, QueueLimit::default(), Duration::from_secs(5));
        StartRequest {
            head: RequestText { root, names, queue, grace, new, again: false },
            records: "/h/servers".into(),
            runtime: "/r".into(),
            program: Program {
                path: "/bin/sh".into(),
                arguments: vec![OsString::from_vec(argument.clone()), OsString::new()],
                environment: vec![("A".into(), OsString::from_vec(argument.clone()))],
                named_files: vec![NamedFile { path: "/dev/shm/aiw-file-1".into(), bytes: argument.clone() }],
                files: vec![PassedFile { fd: 9, bytes: argument.clone() }],
                limits: ResourceLimits { memory: Some(5), pids: Some(9), ..ResourceLimits::default() },
                secrets: vec![argument],
                stdin,
            },
        }
    }

    #[test]
    fn a_request_never_grows_and_leaves_a_copy_behind() {
        let sent = request(vec![1; 3 << 20], Some("x".into()), vec![2; 100_000]).encode().unwrap();
        assert_eq!(sent.len(), sent.capacity());
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn a_request_arrives_as_it_was_sent(stdin: Vec<u8>, text: Option<String>, argument: Vec<u8>) {
                let sent = request(stdin, text, argument.clone()).encode().unwrap();
                let got = StartRequest::read(&sent[..]).unwrap();
                prop_assert_eq!(&got.head.new.cwd, &request(vec![], None, argument.clone()).head.new.cwd);
                prop_assert_eq!(got.encode().unwrap(), sent);
            }

            #[test]
            fn half_a_request_is_none(cut in 0usize..400) {
                let sent = request(vec![1; 100], Some("x".into()), b"y".to_vec()).encode().unwrap();
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
