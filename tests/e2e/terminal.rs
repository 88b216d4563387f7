//! Runs the program on its own terminal.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

/// The program on its own terminal.
pub struct Terminal {
    pub master: Box<dyn MasterPty + Send>,
    pub child: Box<dyn Child + Send + Sync>,
    keys: Option<Box<dyn Write + Send>>,
    pub screen: Arc<Mutex<vt100::Parser>>,
    /// How many bytes the program has written.
    pub written: Arc<AtomicUsize>,
    /// Whether nothing more is read of it.
    stalled: Arc<AtomicBool>,
    /// The terminal's modes before the program started.
    modes: String,
}

impl Terminal {
    pub fn start(env: &Environment, arguments: &[&str]) -> Self {
        let mut command = CommandBuilder::new(env.parts().0);
        command.args(arguments);
        Self::with(env, command, &env.path(""))
    }

    /// Runs another program on the terminal, in a directory.
    pub fn program(env: &Environment, program: &Path, directory: &Path) -> Self {
        Self::with(env, CommandBuilder::new(program), directory)
    }

    /// Runs a shell script on the terminal, with the program as `$0`.
    pub fn shell(env: &Environment, script: &str) -> Self {
        let mut command = CommandBuilder::new("bash");
        command.args(["--norc", "-c", script]);
        command.arg(env.parts().0);
        Self::with(env, command, &env.path(""))
    }

    fn with(env: &Environment, mut command: CommandBuilder, directory: &Path) -> Self {
        let size = PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let modes = modes(&*pair.master);
        command.env_clear();
        for (name, value) in env.parts().1 {
            command.env(name, value);
        }
        command.env("TERM", "xterm-256color");
        command.cwd(directory);
        let child = pair.slave.spawn_command(command).unwrap();
        // Only the program holds the terminal, so its end is the terminal's end.
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(24, 100, 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let (seen, written) = (screen.clone(), Arc::new(AtomicUsize::new(0)));
        let (count, stalled) = (written.clone(), Arc::new(AtomicBool::new(false)));
        let stalls = stalled.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                seen.lock().unwrap().process(&piece[..read]);
                count.fetch_add(read, Ordering::SeqCst);
                while stalls.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(10));
                }
            }
        });
        let keys = Some(pair.master.take_writer().unwrap());
        Self { master: pair.master, child, keys, screen, written, stalled, modes }
    }

    pub fn press(&mut self, keys: impl AsRef<[u8]>) {
        let mut writer = self.keys.take().unwrap();
        let keys = keys.as_ref().to_owned();
        // A program that reads no more would block this for good.
        let (done, written) = channel();
        std::thread::spawn(move || {
            writer.write_all(&keys).and_then(|()| writer.flush()).unwrap();
            done.send(writer)
        });
        let writer = written.recv_timeout(aiw_tests::HANG_TIMEOUT);
        self.keys = Some(writer.unwrap_or_else(|_| panic!("the keys are not read:\n{}", self.shown())));
    }

    pub fn shown(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen is as expected.
    pub fn wait(&self, what: &str, is: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !is(&self.shown()) {
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "{what} is not shown:\n{}", self.shown());
            sleep(Duration::from_millis(10));
        }
    }

    pub fn wait_for(&self, text: &str) {
        self.wait(text, |shown| shown.contains(text));
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Reads nothing more, and fills the terminal until it takes no more bytes.
    pub fn stall(&self) {
        self.stalled.store(true, Ordering::SeqCst);
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
        let name = self.master.tty_name().unwrap();
        let mut slave = std::fs::File::from(rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap());
        // What the system passes on between its buffers makes room again.
        let mut refused = 0;
        while refused < 20 {
            match slave.write(&[b'x'; 512]) {
                Ok(_) => refused = 0,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    refused += 1;
                    sleep(Duration::from_millis(10));
                }
                Err(e) => panic!("{e}"),
            }
        }
    }

    /// Waits until the program ends by itself.
    fn exits(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "it does not end:\n{}", self.shown());
            sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the program ends by itself on a terminal that takes no bytes, and checks that it restored the modes.
    pub fn ends_stalled(&mut self) -> ExitStatus {
        let status = self.exits();
        assert_eq!(modes(&*self.master), self.modes);
        self.stalled.store(false, Ordering::SeqCst);
        status
    }

    /// Waits until the program ends by itself, and checks that it restored the terminal.
    pub fn ends(&mut self) -> ExitStatus {
        let status = self.exits();
        let start = Instant::now();
        while self.screen.lock().unwrap().screen().alternate_screen() {
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "the alternate screen stays");
            sleep(Duration::from_millis(10));
        }
        let parser = self.screen.lock().unwrap();
        assert!(!parser.screen().hide_cursor(), "the cursor stays hidden");
        assert!(!parser.screen().bracketed_paste(), "pasting stays bracketed");
        drop(parser);
        assert_eq!(modes(&*self.master), self.modes);
        status
    }
}

fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios())
}
