//! The socket of a shim, through which others type at its process and have it started again. It stays while it is.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use aiw_core::ProcessId;
use aiw_home::remove_file;
use rustix::process::geteuid;

use super::input::Stdin;
use crate::control::{FRAME_HEADER_LEN, Frame, INPUT_ACK, INPUT_NACK, MAX_FRAME_BYTES, hello, socket};
use crate::new::Terminal;
use crate::platform;

/// So many may be connected at once.
const MAX_VIEWERS: usize = 64;

/// The socket, and who is connected to it.
pub(super) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    viewers: Vec<Viewer>,
    /// The number of the next viewer.
    next: u64,
}

/// Somebody who is connected.
struct Viewer {
    number: u64,
    stream: UnixStream,
    received: Vec<u8>,
    size: Option<Terminal>,
    /// The life in whose place it wants another one.
    restart: Option<u64>,
    is_disconnected: bool,
}

impl ControlSocket {
    /// Makes the socket of a process. The runtime directory is ours alone.
    pub fn open(runtime: &Path, id: ProcessId) -> io::Result<Self> {
        let path = socket(runtime, id);
        // That of a shim which was killed.
        let _ = remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path, viewers: Vec::new(), next: 0 })
    }

    /// Returns what to wait for. Nobody is listened to whose frame has to wait for the process.
    pub fn poll_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let viewers = self.viewers.iter().filter(|viewer| viewer.has_room()).map(|viewer| viewer.stream.as_fd());
        viewers.chain(std::iter::once(self.listener.as_fd()))
    }

    /// Returns the smallest size of those who look at the process.
    pub fn size(&self) -> Option<Terminal> {
        let sizes = || self.viewers.iter().filter_map(|viewer| viewer.size);
        let rows = sizes().map(|size| size.rows).min()?;
        let columns = sizes().map(|size| size.columns).min()?;
        Some(Terminal { rows, columns })
    }

    /// Lets in who wants to connect, and passes on what is there, as far as the process takes it; between two lives
    /// nothing is taken. `terminal` is the terminal of the process now, and `life` when its life began. `resize` takes
    /// the smallest size of the viewers where it changes, before what was typed after it is passed on. Returns whether
    /// somebody wants this life to end and another one to begin.
    pub fn serve(
        &mut self,
        mut input: Option<&mut Stdin>,
        terminal: Option<Terminal>,
        life: Option<u64>,
        resize: impl Fn(Terminal),
    ) -> bool {
        self.accept(terminal);
        let mut size = self.size();
        self.viewers.iter_mut().for_each(Viewer::receive);
        let mut is_to_restart = false;
        loop {
            if let Some((number, answer)) = input.as_mut().and_then(|input| input.flush()) {
                self.answer(number, answer);
            }
            let mut has_passed = false;
            for viewer in &mut self.viewers {
                has_passed |= viewer.pass(input.as_deref_mut());
                if let Some(wanted) = viewer.restart.take() {
                    is_to_restart |= Some(wanted) == life;
                    viewer.answer(true);
                }
            }
            if self.size() != size {
                size = self.size();
                size.map(&resize);
            }
            if !has_passed {
                break;
            }
        }
        self.viewers.retain(|viewer| !viewer.is_disconnected);
        is_to_restart
    }

    /// Lets in who wants to connect.
    fn accept(&mut self, terminal: Option<Terminal>) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            // Too many, or another user: root may open the directory to others.
            let is_ours = platform::peer_uid(&stream).is_ok_and(|uid| uid == geteuid().as_raw());
            let is_good = is_ours && self.has_place() && stream.set_nonblocking(true).is_ok();
            if is_good && stream.write_all(&hello(terminal)).is_ok() {
                let number = self.next;
                self.next += 1;
                self.viewers.push(Viewer {
                    number,
                    stream,
                    received: Vec::new(),
                    size: None,
                    restart: None,
                    is_disconnected: false,
                });
            }
        }
    }

    /// Returns whether one more may connect. A viewer that has hung up takes no place but for a frame that is still to be passed on.
    fn has_place(&mut self) -> bool {
        if self.viewers.len() >= MAX_VIEWERS {
            self.viewers.iter_mut().for_each(Viewer::receive);
            self.viewers
                .retain(|viewer| !viewer.is_disconnected || matches!(Frame::decode(&viewer.received), Ok(Some(_))));
        }
        self.viewers.len() < MAX_VIEWERS
    }

    /// Tells who sent a frame what became of it. Who reads no answers gets none.
    fn answer(&mut self, number: u64, is_taken: bool) {
        if let Some(viewer) = self.viewers.iter_mut().find(|viewer| viewer.number == number) {
            viewer.answer(is_taken);
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = remove_file(&self.path);
    }
}

impl Viewer {
    fn has_room(&self) -> bool {
        !self.is_disconnected && self.received.len() < FRAME_HEADER_LEN + MAX_FRAME_BYTES
    }

    fn receive(&mut self) {
        let mut buffer = [0; FRAME_HEADER_LEN + MAX_FRAME_BYTES];
        while self.has_room() {
            let room = buffer.len() - self.received.len();
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => self.is_disconnected = true,
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.is_disconnected = true,
            }
        }
    }

    fn answer(&mut self, is_taken: bool) {
        let _ = self.stream.write(&[if is_taken { INPUT_ACK } else { INPUT_NACK }]);
    }

    /// Passes on the first frame, if it can be passed on now. Returns whether there was one.
    fn pass(&mut self, input: Option<&mut Stdin>) -> bool {
        let length = match (Frame::decode(&self.received), input) {
            (Ok(Some((Frame::Size(size), length))), _) => {
                self.size = Some(size);
                length
            }
            (Ok(Some((Frame::Restart(life), length))), _) => {
                self.restart = Some(life);
                length
            }
            (Ok(Some((Frame::Input(bytes), length))), Some(input)) if input.is_free() => {
                input.enqueue(bytes, self.number);
                length
            }
            (Ok(_), _) => return false,
            (Err(_), _) => {
                (self.is_disconnected, self.size) = (true, None);
                self.received.len()
            }
        };
        self.received.drain(..length);
        length > 0
    }
}
