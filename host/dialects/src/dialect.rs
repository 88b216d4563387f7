//! What this room does with each API.

use std::fmt::Debug;

use crate::collected::CollectedResponse;
use crate::conversation::Conversation;
use crate::event::Event;
use crate::exchange::Exchange;
use crate::request::{RequestError, UpstreamTarget};

/// Everything that this room does with one API.
pub(crate) struct Dialect {
    /// Reads a client's request.
    pub read: fn(&[u8]) -> Result<Conversation<'_>, RequestError>,
    /// Writes a request to an upstream.
    pub write: fn(&Conversation<'_>, &Exchange, &UpstreamTarget) -> Vec<u8>,
    /// Makes what reads an upstream's answer.
    pub reader: fn() -> Box<dyn Reader>,
    /// Makes what writes an answer to a client, event by event.
    pub writer: fn() -> Box<dyn Writer>,
    /// Formats a whole answer.
    pub write_response: fn(&CollectedResponse, &mut Exchange) -> Vec<u8>,
}

/// Reads an upstream's answer, event by event.
pub(crate) trait Reader: Debug + Send + Sync {
    fn read(&mut self, data: &[u8], sink: &mut dyn FnMut(Event<'_>));

    /// Returns how many bytes it has put together and not handed over. Most hand over each event whole.
    fn buffered_bytes(&self) -> usize {
        0
    }

    /// Ends the stream of bytes.
    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>));
}

/// Writes an answer to a client, event by event.
pub(crate) trait Writer: Debug + Send + Sync {
    fn write(&mut self, event: Event<'_>, exchange: &mut Exchange, out: &mut Vec<u8>);

    /// Writes a sign of life.
    fn keep_alive(&mut self, exchange: &Exchange, out: &mut Vec<u8>);

    /// Leaves out the events of the beginning, because others wrote them.
    fn skip_start_events(&mut self) {}
}
