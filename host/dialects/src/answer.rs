//! An answer on its way from an upstream to a client.

use crate::collected::Collected;
use crate::count::tokens_of;
use crate::event::{Event, Stop, Usage};
use crate::exchange::Exchange;
use crate::failure::{Failure, FailureKind};
use crate::generate;
use crate::messages;
use crate::pass::Pass;
use crate::request::Mask;
use crate::responses;
use crate::sides::{Reader, Writer};
use crate::sse::Events;
use aiw_core::Api;

/// An answer of an upstream, rewritten for the client while it comes.
#[derive(Debug)]
pub struct Answer {
    exchange: Exchange,
    events: Events,
    reader: Reader,
    form: Form,
    state: State,
}

/// What is known of an answer so far.
#[derive(Debug, Default)]
struct State {
    usage: Usage,
    stop: Option<Stop>,
    failure: Option<Failure>,
    /// Words, a thought or a call came: from here on, no other upstream may take over.
    has_content: bool,
    /// The bytes of words, thoughts and arguments.
    said: u64,
    /// The client was sent something.
    has_written: bool,
    is_over: bool,
}

#[derive(Debug)]
enum Form {
    Events(Writer),
    /// The client waits for the whole.
    Whole(Collected),
    /// Both sides speak one dialect.
    Pass(Pass),
}

impl Answer {
    pub(crate) fn new(exchange: Exchange, writer: Option<Writer>) -> Self {
        let form = match writer {
            Some(_) if exchange.client == exchange.upstream => Form::Pass(Pass::new(exchange.is_streamed)),
            Some(writer) if exchange.is_streamed => Form::Events(writer),
            _ => Form::Whole(Collected::default()),
        };
        let reader = Reader::new(exchange.upstream);
        Self { exchange, events: Events::default(), reader, form, state: State::default() }
    }

    /// Reads a piece of the upstream's answer, of any length. What the client gets is appended to `out`.
    pub fn read(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.state.is_over {
            return;
        }
        let Self { exchange, events, reader, form, state } = self;
        let read = match form {
            Form::Pass(pass) => {
                let mask = exchange.mask.clone();
                pass.read(chunk, reader, exchange, out, &mut |event| state.note(&masked(event, &mask)))
            }
            form => events.read(chunk, |data| {
                reader.read(data, &mut |event| step(event, form, state, exchange, out));
            }),
        };
        state.has_written |= !out.is_empty();
        if read.is_err() {
            self.fail(
                Failure::new(FailureKind::Upstream, "the provider's answer holds an event that is too large"),
                out,
            );
        }
    }

    /// Reads a whole answer, of an upstream that does not stream.
    pub fn read_whole(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let Self { exchange, reader, form, state, .. } = self;
        if let Form::Pass(pass) = form {
            let mask = exchange.mask.clone();
            pass.read_whole(body, reader, exchange, out, &mut |event| state.note(&masked(event, &mask)));
            state.has_written |= !out.is_empty();
        } else {
            reader.read(body, &mut |event| step(event, form, state, exchange, out));
        }
        self.end(out);
    }

    /// Ends the upstream's bytes. An answer that is not whole becomes an error that the client understands.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.state.is_over {
            return;
        }
        let Self { exchange, events, reader, form, state } = self;
        match form {
            Form::Pass(pass) => {
                let mask = exchange.mask.clone();
                pass.end(reader, exchange, out, &mut |event| state.note(&masked(event, &mask)));
                if let Some(failure) = state.failure.clone().filter(|_| state.has_written) {
                    pass.fail(&failure, exchange, out);
                }
            }
            form => {
                events.end(|data| reader.read(data, &mut |event| step(event, form, state, exchange, out)));
                if !state.is_over {
                    reader.end(&mut |event| step(event, form, state, exchange, out));
                }
            }
        }
        self.state.is_over = true;
    }

    /// Ends the answer with an error of ours, such as a connection that broke.
    pub fn fail(&mut self, failure: Failure, out: &mut Vec<u8>) {
        if self.state.is_over {
            return;
        }
        let Self { exchange, form, state, .. } = self;
        match form {
            Form::Pass(pass) => {
                state.note(&Event::Failed(failure.clone()));
                if state.has_written {
                    pass.fail(&failure, exchange, out);
                }
            }
            form => step(Event::Failed(failure), form, state, exchange, out),
        }
        self.state.is_over = true;
    }

    /// Writes the failure into the stream although nothing was written before. Codex wants it so.
    pub fn write_failure(&mut self, out: &mut Vec<u8>) {
        if let (Some(failure), Some(mut writer)) = (self.state.failure.clone(), Writer::new(self.exchange.client)) {
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
            Form::Pass(pass) => pass.keep_alive(&self.exchange, out),
            Form::Whole(_) => {}
        }
        self.state.has_written |= !out.is_empty();
    }

    /// Formats the answer for a client that waits for the whole. `None` if the client gets events, or the answer failed.
    pub fn whole(&mut self) -> Option<Vec<u8>> {
        let Form::Whole(collected) = &mut self.form else { return None };
        if self.state.failure.is_some() || !self.state.is_over {
            return None;
        }
        collected.usage = self.state.usage;
        collected.stop = self.state.stop;
        let write = match self.exchange.client {
            Api::Messages => messages::write_whole,
            Api::Responses => responses::write_whole,
            Api::GenerateContent | Api::ChatCompletions => generate::write_whole,
        };
        Some(write(collected, &mut self.exchange))
    }

    /// Returns whether the client gets what was written by `read`, in place of `whole`.
    pub fn is_passed_on(&self) -> bool {
        !matches!(self.form, Form::Whole(_))
    }

    /// Returns the tokens, as far as the upstream has counted them.
    pub fn usage(&self) -> Usage {
        self.state.usage
    }

    /// Estimates the tokens that were written, for upstreams that do not count them or whose answer broke off.
    pub fn estimated_output(&self) -> u64 {
        tokens_of(self.state.said)
    }

    /// Returns why the answer ended, if the upstream said so.
    pub fn stop(&self) -> Option<Stop> {
        self.state.stop
    }

    /// Returns what went wrong.
    pub fn failure(&self) -> Option<&Failure> {
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

impl State {
    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Usage(usage) => self.usage.grow(*usage),
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
            Event::Proof(_) | Event::Call { .. } => self.has_content = true,
            Event::Arguments(text) => self.said += text.len() as u64,
            Event::CallEnd => {}
        }
    }
}

fn step(event: Event<'_>, form: &mut Form, state: &mut State, exchange: &mut Exchange, out: &mut Vec<u8>) {
    // Behind its end, nothing belongs to an answer.
    if state.is_over {
        return;
    }
    let event = masked(event, &exchange.mask);
    state.note(&event);
    match form {
        // Before the first word, a failure may still become another answer.
        Form::Events(writer) if state.has_written || !out.is_empty() || !matches!(event, Event::Failed(_)) => {
            writer.write(event, exchange, out);
        }
        Form::Whole(collected) => collected.add(event),
        Form::Events(_) | Form::Pass(_) => {}
    }
}

/// Takes secrets out of what an upstream says of a failure.
fn masked<'e>(event: Event<'e>, mask: &Mask) -> Event<'e> {
    match event {
        Event::Failed(failure) => Event::Failed(failure.masked(mask)),
        event => event,
    }
}
