//! What a starter tells its shim, over a pipe: the only place that secrets pass through.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use aiw_core::TaskId;
use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::{Limits, NamedFile, NewTask, PassedFile, Program, Queue, Root};

/// Begins every request, and says how it is to be read.
const MAGIC: &[u8; 8] = b"aiwshim3";
/// The most that is taken in: a prompt may have megabytes.
const LONGEST: u64 = 256 << 20;

/// All that a shim has to know.
pub(crate) struct Request {
    pub root: Root,
    /// `~/.aiw/tasks`
    pub records: PathBuf,
    pub runtime: PathBuf,
    pub queue: Queue,
    /// How long a CLI has between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// When a file of the log is full.
    pub log_bytes: u64,
    pub task: NewTask,
    pub program: Program,
}

/// What a shim answers.
#[derive(Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It runs, or waits for its turn.
    Started(Box<Record>),
    /// The program could not be run; the record tells it.
    NotStarted(String),
    Limit(u32),
    Full(usize),
    /// The shared memory with this name, and why it cannot be had.
    Memory(String, String),
    /// The cwd cannot be entered: the number of the error.
    Cwd(i32),
    /// A file of the home cannot be written: which, and the number of the error.
    Io(String, i32),
    /// What is wrong with a file of the runtime directory.
    Runtime(String, String),
    Failed(String),
}

impl Request {
    /// The request as bytes, behind its length.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.program.stdin.len() + 16384);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 8]);
        let task = &self.task;
        number(&mut out, u64::from(self.root.pid));
        number(&mut out, self.root.start);
        bytes(&mut out, self.records.as_os_str().as_bytes());
        bytes(&mut out, self.runtime.as_os_str().as_bytes());
        number(&mut out, u64::from(self.queue.limit));
        number(&mut out, u64::from(self.queue.may_queue));
        number(&mut out, millis(self.grace));
        number(&mut out, self.log_bytes);
        bytes(&mut out, task.cli.as_str().as_bytes());
        for text in [&task.provider, &task.role, &task.tag, &task.model, &task.bypass, &task.session] {
            optional(&mut out, text.as_deref());
        }
        bytes(&mut out, task.permission.as_bytes());
        bytes(&mut out, task.prompt_preview.as_bytes());
        bytes(&mut out, task.cwd.as_os_str().as_bytes());
        // No timeout and one of no time are different.
        number(&mut out, task.timeout.map_or(u64::MAX, millis));
        number(&mut out, u64::from(task.depth));
        optional(&mut out, task.parent.as_ref().map(TaskId::as_str));
        number(&mut out, u64::from(task.isolated));
        let program = &self.program;
        bytes(&mut out, program.path.as_os_str().as_bytes());
        number(&mut out, program.arguments.len() as u64);
        for argument in &program.arguments {
            bytes(&mut out, argument.as_bytes());
        }
        number(&mut out, program.environment.len() as u64);
        for (name, value) in &program.environment {
            bytes(&mut out, name.as_bytes());
            bytes(&mut out, value.as_bytes());
        }
        number(&mut out, program.files.len() as u64);
        for file in &program.files {
            number(&mut out, u64::try_from(file.fd).unwrap_or(0));
            bytes(&mut out, &file.bytes);
        }
        number(&mut out, program.named_files.len() as u64);
        for file in &program.named_files {
            bytes(&mut out, file.path.as_os_str().as_bytes());
            bytes(&mut out, &file.bytes);
        }
        number(&mut out, program.limits.memory.unwrap_or(0));
        number(&mut out, u64::from(program.limits.cpu_percent.unwrap_or(0)));
        number(&mut out, program.secrets.len() as u64);
        for secret in &program.secrets {
            bytes(&mut out, secret);
        }
        bytes(&mut out, &program.stdin);
        let length = (out.len() - 16) as u64;
        out[8..16].copy_from_slice(&length.to_le_bytes());
        out
    }

    /// Reads a whole request. Of a starter that died half-way there is none.
    pub fn read(mut from: impl Read) -> io::Result<Self> {
        let mut head = [0; 16];
        from.read_exact(&mut head)?;
        let (magic, length) = head.split_at(8);
        let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
        if magic != MAGIC || length > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not the request of this version of aiw"));
        }
        let mut body = Vec::new();
        // At once: each growth would leave a copy of the secrets behind.
        let room = usize::try_from(length).unwrap_or(usize::MAX);
        body.try_reserve_exact(room).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        from.take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let request = Self::parse(&mut Body(&body));
        body.fill(0);
        std::hint::black_box(&body);
        request.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the request makes no sense"))
    }

    fn parse(body: &mut Body<'_>) -> Option<Self> {
        let root = Root { pid: body.small()?, start: body.number()? };
        let records = body.path()?;
        let runtime = body.path()?;
        let queue = Queue { limit: body.small()?, may_queue: body.number()? != 0 };
        let grace = Duration::from_millis(body.number()?);
        let log_bytes = body.number()?;
        let cli = body.text()?.parse().ok()?;
        let (provider, role, tag) = (body.optional()?, body.optional()?, body.optional()?);
        let (model, bypass, session) = (body.optional()?, body.optional()?, body.optional()?);
        let permission = body.text()?;
        let prompt_preview = body.text()?;
        let cwd = body.path()?;
        let timeout = Some(body.number()?).filter(|t| *t != u64::MAX).map(Duration::from_millis);
        let depth = body.small()?;
        let parent = match body.optional()? {
            Some(id) => Some(id.parse().ok()?),
            None => None,
        };
        let isolated = body.number()? != 0;
        let task = NewTask {
            cli,
            provider,
            role,
            tag,
            model,
            permission,
            bypass,
            prompt_preview,
            cwd,
            session,
            timeout,
            depth,
            parent,
            isolated,
        };
        let path = body.path()?;
        let arguments = body.many(Body::os)?;
        let environment = body.many(|body| Some((body.os()?, body.os()?)))?;
        let files = body.many(|body| Some(PassedFile { fd: body.small()?, bytes: body.bytes()?.to_vec() }))?;
        let named_files = body.many(|body| Some(NamedFile { path: body.path()?, bytes: body.bytes()?.to_vec() }))?;
        let memory = Some(body.number()?).filter(|n| *n != 0);
        let cpu_percent = Some(body.small()?).filter(|n| *n != 0);
        let secrets = body.many(|body| body.bytes().map(<[u8]>::to_vec))?;
        let stdin = body.bytes()?.to_vec();
        let limits = Limits { memory, cpu_percent };
        let program = Program { path, arguments, environment, stdin, files, named_files, limits, secrets };
        Some(Self { root, records, runtime, queue, grace, log_bytes, task, program })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    number(out, u64::from(text.is_some()));
    bytes(out, text.unwrap_or("").as_bytes());
}

/// What is left to parse.
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

    fn optional(&mut self) -> Option<Option<String>> {
        let there = self.number()? != 0;
        let text = self.text()?;
        Some(there.then_some(text))
    }

    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count: usize = self.small()?;
        (0..count).map(|_| one(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_core::CliKind;
    use proptest::prelude::*;

    fn request(stdin: Vec<u8>, text: Option<String>, argument: Vec<u8>) -> Request {
        Request {
            root: Root { pid: 7, start: 9 },
            records: "/h/tasks".into(),
            runtime: "/r".into(),
            queue: Queue::default(),
            grace: Duration::from_secs(5),
            log_bytes: 1,
            task: NewTask {
                cli: CliKind::Codex,
                provider: text.clone(),
                role: None,
                tag: text.clone(),
                model: None,
                permission: "edit".into(),
                bypass: None,
                prompt_preview: text.unwrap_or_default(),
                cwd: OsString::from_vec(argument.clone()).into(),
                session: None,
                timeout: Some(Duration::ZERO),
                depth: 2,
                parent: Some(TaskId::from_number(7)),
                isolated: true,
            },
            program: Program {
                path: "/bin/sh".into(),
                arguments: vec![OsString::from_vec(argument.clone()), OsString::new()],
                environment: vec![("A".into(), OsString::from_vec(argument.clone()))],
                named_files: vec![NamedFile { path: "/dev/shm/aiw-file-1".into(), bytes: argument.clone() }],
                files: vec![PassedFile { fd: 9, bytes: argument.clone() }],
                limits: Limits { memory: Some(5), cpu_percent: None },
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
                let sent = request(stdin, text, argument).encode();
                let got = Request::read(&sent[..]).unwrap();
                prop_assert_eq!(got.encode(), sent);
            }

            #[test]
            fn half_a_request_is_none(cut in 0usize..400) {
                let sent = request(vec![1; 100], Some("x".into()), b"y".to_vec()).encode();
                prop_assert!(Request::read(&sent[..cut.min(sent.len() - 1)]).is_err());
            }

            #[test]
            fn any_bytes_are_answered(body: Vec<u8>) {
                let mut bytes = MAGIC.to_vec();
                bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
                bytes.extend_from_slice(&body);
                let _ = Request::read(&bytes[..]);
            }
        }
    }
}
