use super::State;
use crate::bindings::v0_1::aiw::plugin::log;
use crate::capabilities::Level;
use crate::limits;

impl log::Host for State {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        let line = aiw_core::one_line(&message, limits::LOG_LINE);
        if level == Level::Error {
            self.last_error = Some(aiw_core::one_line(&line, 300));
        }
        // A flood costs one last line that says so.
        let before = self.logged;
        self.logged = before.saturating_add(message.len().max(16));
        if self.logged <= limits::LOG_BYTES {
            self.capabilities.log.write(&self.id, level, &line);
        } else if before <= limits::LOG_BYTES {
            let over = format!("more than {} KiB of log in one call; the rest is left out", limits::LOG_BYTES >> 10);
            self.capabilities.log.write(&self.id, Level::Warn, &over);
        }
        Ok(())
    }
}
