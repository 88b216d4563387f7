//! The interface `log`. Every function may call it.

use super::{CallSetup, HostCall, Interface, NoCapability};

/// The maximum length of a line.
const MAX_LINE_BYTES: usize = 2_000;
/// Bytes that one call may log.
const MAX_LOG_BYTES: usize = 64 << 10;

/// The destination of a component's log lines.
pub trait ComponentLog: Send + Sync {
    /// Writes one line, which is already limited in length and printable.
    fn write(&self, component: &str, level: LogLevel, line: &str);
}

impl ComponentLog for NoCapability {
    fn write(&self, _component: &str, _level: LogLevel, _line: &str) {}
}

aiw_core::string_enum! {
    /// The severity of a log line.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum LogLevel {
        /// Details for the component's author.
        Debug = "debug",
        /// Information for anyone who reads the log.
        Info = "info",
        /// Something is wrong.
        Warn = "warn",
        /// Something failed.
        Error = "error",
    }
}

/// The amount that one call has logged.
#[derive(Default)]
pub(crate) struct LogUsage {
    bytes: usize,
    pub(super) last_error: Option<String>,
}

/// The interface `log`.
pub(crate) struct LogImport;

impl Interface for LogImport {
    const NAME: &'static str = "log";
    type Capability = dyn ComponentLog;
    type State = LogUsage;

    fn initial_state(_setup: &CallSetup<'_>) -> Self::State {
        LogUsage::default()
    }
}

impl HostCall<'_, LogImport> {
    pub(crate) fn write(&mut self, level: LogLevel, message: &str) {
        let before = self.state.bytes;
        self.state.bytes = before.saturating_add(message.len().max(16));
        // A message that is neither logged nor the last words of a panic need not be read.
        if before > MAX_LOG_BYTES && level != LogLevel::Error {
            return;
        }
        // A character takes at most four bytes.
        let start = &message[..message.floor_char_boundary(MAX_LINE_BYTES * 4)];
        let line = aiw_core::one_line(start, MAX_LINE_BYTES);
        if level == LogLevel::Error {
            self.state.last_error = Some(aiw_core::one_line(&line, 300));
        }
        let id = &self.call.grants.id;
        // When the limit is exceeded, one last line says so.
        if self.state.bytes <= MAX_LOG_BYTES {
            self.capability.write(id, level, &line);
        } else if before <= MAX_LOG_BYTES {
            let over = format!("more than {} KiB of log in one call; the rest is left out", MAX_LOG_BYTES >> 10);
            self.capability.write(id, LogLevel::Warn, &over);
        }
    }
}
