//! The interface `log`.

use super::CallState;
use crate::bindings::v0_1::aiw::plugin::log;
use crate::capabilities::Level;

impl log::Host for CallState {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        let before = self.logged;
        self.logged = before.saturating_add(message.len().max(16));
        // A message that is neither logged nor the last words of a panic need not be read.
        if before > self.call.limits.log_bytes && level != Level::Error {
            return Ok(());
        }
        // A character takes at most four bytes.
        let start = &message[..message.floor_char_boundary(self.call.limits.log_line * 4)];
        let line = aiw_core::one_line(start, self.call.limits.log_line);
        if level == Level::Error {
            self.last_error = Some(aiw_core::one_line(&line, 300));
        }
        // When the limit is exceeded, one last line says so.
        if self.logged <= self.call.limits.log_bytes {
            self.call.capabilities.log.write(&self.call.id, level, &line);
        } else if before <= self.call.limits.log_bytes {
            let over =
                format!("more than {} KiB of log in one call; the rest is left out", self.call.limits.log_bytes >> 10);
            self.call.capabilities.log.write(&self.call.id, Level::Warn, &over);
        }
        Ok(())
    }
}
