//! An answer on its way from an upstream to a client.

use crate::assembled::ResponseAssembler;
use crate::collected::CollectedResponse;
use crate::count::estimate_tokens;
use crate::dialect::{Reader, Writer};
use crate::event::{Event, RequestUsage, StopReason};
use crate::exchange::Exchange;
use crate::failure::{FailureKind, UpstreamFailure};
use crate::passthrough::{Passthrough, PassthroughContext, rewrite_response};
use crate::sides::dialect;
use crate::sse::{self, SseEvents};
use aiw_core::{Api, well_formed_json};
use serde_json::value::RawValue;

/// How much an answer may hold on its way, in bytes, whatever comes: each buffer is one of these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BufferLimits {
    /// An event that is not whole yet. Within one API, the same for an answer that is not a stream.
    pub event: usize,
    /// The bytes kept until the end of an answer, or of one of its parts: its words, thoughts and calls.
    pub response: usize,
}

impl BufferLimits {
    /// Far more than any model says.
    const DEFAULT: Self = Self { event: sse::MAX_EVENT_BYTES, response: 16 << 20 };
}

/// The memory of a part of an answer beside its words, in bytes.
const PART_OVERHEAD_BYTES: usize = 1 << 10;

/// An answer of an upstream, rewritten for the client while it comes.
#[derive(Debug)]
pub struct UpstreamResponse {
    exchange: Exchange,
    bounds: BufferLimits,
    events: SseEvents,
    reader: Box<dyn Reader>,
    form: Form,
    state: ResponseState,
}

/// The state of an answer so far.
#[derive(Debug, Default)]
struct ResponseState {
    usage: RequestUsage,
    stop: Option<StopReason>,
    failure: Option<UpstreamFailure>,
    /// Words, a thought or a call came: from here on, no other upstream may take over.
    has_content: bool,
    /// The bytes of words, thoughts and arguments.
    said: u64,
    /// The bytes that a writer may have kept of them, and whether a thought came last.
    buffered_bytes: usize,
    in_thought: Option<bool>,
    /// The client was sent something.
    has_written: bool,
    is_over: bool,
}

#[derive(Debug)]
enum Form {
    Events(Box<dyn Writer>),
    /// The client waits for the whole. Where both sides speak one dialect, all that came is in it.
    Buffered(CollectedResponse, Option<ResponseAssembler>),
    /// Both sides speak one dialect.
    Passthrough(Passthrough),
}

impl Form {
    /// Returns how much is held of an answer that is put together, in bytes.
    fn holds(&self) -> usize {
        match self {
            Self::Buffered(_, Some(assembled)) => assembled.buffered_bytes(),
            Self::Passthrough(pass) => pass.buffered_bytes(),
            _ => 0,
        }
    }
}

impl UpstreamResponse {
    pub(crate) fn new(exchange: Exchange) -> Self {
        let bounds = BufferLimits::DEFAULT;
        let form = match exchange.is_streamed {
            is_streamed if exchange.client == exchange.upstream => {
                Form::Passthrough(Passthrough::new(is_streamed, bounds.event))
            }
            true => Form::Events((dialect(exchange.client).writer)()),
            false => Form::Buffered(CollectedResponse::default(), None),
        };
        let reader = (dialect(exchange.upstream).reader)();
        Self {
            exchange,
            bounds,
            events: SseEvents::with_max_bytes(bounds.event),
            reader,
            form,
            state: ResponseState::default(),
        }
    }

    /// Gives it other bounds, before anything is read.
    #[cfg(test)]
    pub(crate) fn set_bounds(&mut self, bounds: BufferLimits) {
        self.bounds = bounds;
        self.events = SseEvents::with_max_bytes(bounds.event);
        if let Form::Passthrough(pass) = &mut self.form {
            *pass = Passthrough::new(self.exchange.is_streamed, bounds.event);
        }
    }

    /// Sets the time of creation, in seconds since the epoch.
    #[cfg(test)]
    pub(crate) fn set_created(&mut self, created: u64) {
        self.exchange.created = created;
    }

    /// Says how the upstream answers, in events or whole: some don't do what they are asked.
    pub fn set_streamed(&mut self, in_events: bool) {
        let (client, is_streamed) = (self.exchange.client, self.exchange.is_streamed);
        if !matches!(self.form, Form::Passthrough(_)) || in_events == is_streamed {
            return;
        }
        match client {
            Api::Messages | Api::ChatCompletions if is_streamed => self.form = Form::Events((dialect(client).writer)()),
            // The events of the others hold what their whole answers do.
            _ if is_streamed => {}
            _ => self.form = Form::Buffered(CollectedResponse::default(), Some(ResponseAssembler::new(client))),
        }
    }

    /// Reads a piece of the upstream's answer, of any length. What the client gets is appended to `out`.
    pub fn read(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.state.is_over {
            return;
        }
        let Self { exchange, events, reader, form, state, bounds } = self;
        let read = match form {
            Form::Passthrough(pass) => pass.read(
                chunk,
                &mut PassthroughContext {
                    reader: &mut **reader,
                    exchange,
                    out,
                    on_event: &mut |event| state.note(&event),
                },
            ),
            form => events.read(chunk, |data| {
                if let Form::Buffered(_, Some(assembled)) = form {
                    assembled.add(data);
                }
                reader.read(data, &mut |event| step(event, form, state, exchange, bounds, out));
            }),
        };
        state.has_written |= !out.is_empty();
        if read.is_err() {
            let said = "the provider's answer holds an event that is too large";
            self.fail(UpstreamFailure::new(FailureKind::Upstream, said), out);
        } else if self.reader.buffered_bytes().max(self.form.holds()) > self.bounds.response {
            self.fail(too_long(), out);
        }
    }

    /// Reads a whole answer, of an upstream that does not stream.
    pub fn read_body(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let body = &*well_formed_json(body);
        let Self { exchange, reader, form, state, bounds, .. } = self;
        if let Form::Passthrough(pass) = form {
            pass.read_body(
                body,
                &mut PassthroughContext {
                    reader: &mut **reader,
                    exchange,
                    out,
                    on_event: &mut |event| state.note(&event),
                },
            );
            state.has_written |= !out.is_empty();
        } else {
            // Gemini's events, without `alt=sse`, are a list.
            let list: Option<Vec<&RawValue>> = serde_json::from_slice(body).ok();
            let parts = list.map(|list| list.into_iter().map(|part| part.get().as_bytes()).collect());
            for part in parts.unwrap_or_else(|| vec![body]) {
                reader.read(part, &mut |event| step(event, form, state, exchange, bounds, out));
            }
        }
        self.end(out);
    }

    /// Ends the upstream's bytes. An answer that is not whole becomes an error that the client understands.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.state.is_over {
            return;
        }
        let Self { exchange, events, reader, form, state, bounds } = self;
        match form {
            Form::Passthrough(pass) => {
                pass.end(&mut PassthroughContext {
                    reader: &mut **reader,
                    exchange,
                    out,
                    on_event: &mut |event| state.note(&event),
                });
                if let Some(failure) = state.failure.clone().filter(|_| state.has_written) {
                    pass.fail(&failure, exchange, out);
                }
            }
            form => {
                events.end(|data| {
                    if let Form::Buffered(_, Some(assembled)) = form {
                        assembled.add(data);
                    }
                    reader.read(data, &mut |event| step(event, form, state, exchange, bounds, out));
                });
                if !state.is_over {
                    reader.end(&mut |event| step(event, form, state, exchange, bounds, out));
                }
            }
        }
        self.state.is_over = true;
    }

    /// Ends the answer with an error of ours, such as a connection that broke.
    pub fn fail(&mut self, failure: UpstreamFailure, out: &mut Vec<u8>) {
        if self.state.is_over {
            return;
        }
        let Self { exchange, form, state, bounds, .. } = self;
        match form {
            Form::Passthrough(pass) => {
                state.note(&Event::Failed(failure.clone()));
                if state.has_written {
                    pass.fail(&failure, exchange, out);
                }
            }
            form => step(Event::Failed(failure), form, state, exchange, bounds, out),
        }
        self.state.is_over = true;
    }

    /// Writes the failure into the stream although nothing was written before. Codex wants it so.
    pub fn write_failure(&mut self, out: &mut Vec<u8>) {
        if let Some(failure) = self.state.failure.clone() {
            let mut writer = (dialect(self.exchange.client).writer)();
            writer.write(Event::Failed(failure), &mut self.exchange, out);
        }
    }

    /// Writes a sign of life that the client's reader takes.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if self.state.is_over {
            return;
        }
        match &mut self.form {
            Form::Events(writer) => writer.keep_alive(&self.exchange, out),
            // Between two events, which is where it is written.
            Form::Passthrough(pass) => pass.keep_alive(&self.exchange, out),
            Form::Buffered(..) => {}
        }
        self.state.has_written |= !out.is_empty();
    }

    /// Formats the answer for a client that waits for the whole. `None` if the client gets events, or the answer
    /// failed.
    pub fn response_body(&mut self) -> Option<Vec<u8>> {
        let Form::Buffered(collected, assembled) = &mut self.form else { return None };
        if self.state.failure.is_some() || !self.state.is_over {
            return None;
        }
        if let Some(whole) = assembled.as_mut().and_then(ResponseAssembler::finish) {
            return Some(rewrite_response(&whole, &self.exchange).into_owned());
        }
        collected.usage = self.state.usage;
        collected.stop_reason = self.state.stop;
        Some((dialect(self.exchange.client).write_response)(collected, &mut self.exchange))
    }

    /// Returns whether the client gets what was written by `read`, in place of `whole`.
    pub fn is_incremental(&self) -> bool {
        !matches!(self.form, Form::Buffered(..))
    }

    /// Returns the tokens, as far as the upstream has counted them.
    pub fn usage(&self) -> RequestUsage {
        self.state.usage
    }

    /// Estimates the tokens that were written, for upstreams that do not count them or whose answer broke off.
    pub fn estimated_output(&self) -> u64 {
        estimate_tokens(self.state.said)
    }

    /// Returns why the answer ended, if the upstream said so.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.state.stop
    }

    /// Returns what went wrong.
    pub fn failure(&self) -> Option<&UpstreamFailure> {
        self.state.failure.as_ref()
    }

    /// Returns whether words, a thought or a call have come.
    pub fn has_content(&self) -> bool {
        self.state.has_content
    }

    /// Returns whether the client was sent anything.
    pub fn has_written(&self) -> bool {
        self.state.has_written
    }

    /// Returns whether the answer ended, well or not.
    pub fn is_over(&self) -> bool {
        self.state.is_over
    }
}

impl ResponseState {
    /// Adds up what a writer may keep of an event.
    fn weigh(&mut self, event: &Event<'_>) {
        let in_thought = match event {
            Event::Text(_) => Some(false),
            Event::Thought(_) => Some(true),
            _ => None,
        };
        let is_part = match event {
            Event::Text(_) | Event::Thought(_) => self.in_thought != in_thought,
            Event::ReasoningProof(_) | Event::Call { .. } => true,
            _ => false,
        };
        self.in_thought = in_thought;
        let size = match event {
            Event::Text(text) | Event::Thought(text) | Event::Arguments(text) => text.len(),
            Event::ReasoningProof(proof) => proof.size(),
            Event::Call { id, name } => id.len() + name.len(),
            Event::CallEnd | Event::Usage(_) | Event::Stop(_) | Event::Failed(_) | Event::End => 0,
        };
        self.buffered_bytes += size + if is_part { PART_OVERHEAD_BYTES } else { 0 };
    }

    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Usage(usage) => self.usage.merge_max(*usage),
            Event::Stop(stop) => self.stop = Some(*stop),
            Event::Failed(failure) => {
                self.failure.get_or_insert_with(|| failure.clone());
                self.is_over = true;
            }
            Event::End => self.is_over = true,
            Event::Text(text) | Event::Thought(text) => {
                self.has_content = true;
                self.said += text.len() as u64;
            }
            Event::ReasoningProof(_) | Event::Call { .. } => self.has_content = true,
            Event::Arguments(text) => self.said += text.len() as u64,
            Event::CallEnd => {}
        }
    }
}

fn too_long() -> UpstreamFailure {
    UpstreamFailure::new(FailureKind::Upstream, "the provider's answer is too long")
}

fn step(
    event: Event<'_>,
    form: &mut Form,
    state: &mut ResponseState,
    exchange: &mut Exchange,
    bounds: &BufferLimits,
    out: &mut Vec<u8>,
) {
    // Behind its end, nothing belongs to an answer.
    if state.is_over {
        return;
    }
    state.weigh(&event);
    let event =
        if state.buffered_bytes > bounds.response { Event::Failed(too_long()) } else { event.masked(&exchange.mask) };
    state.note(&event);
    match form {
        // Before the first word, a failure may still become another answer.
        Form::Events(writer) if state.has_written || !out.is_empty() || !matches!(event, Event::Failed(_)) => {
            writer.write(event, exchange, out);
        }
        Form::Buffered(collected, _) => collected.add(event),
        Form::Events(_) | Form::Passthrough(_) => {}
    }
}
