//! The readers of upstreams' answers and the writers of clients', chosen by their APIs.

use aiw_core::Api;

use crate::event::Event;
use crate::exchange::Exchange;
use crate::failure::UpstreamFailure;
use crate::{chat, generate, messages, responses};

/// Reads one dialect's answers.
#[derive(Debug)]
pub(crate) enum Reader {
    Messages(messages::EventReader),
    Responses(responses::EventReader),
    Chat(chat::EventReader),
    Generate(generate::EventReader),
}

impl Reader {
    pub(crate) fn new(upstream: Api) -> Self {
        match upstream {
            Api::Messages => Self::Messages(messages::EventReader::default()),
            Api::Responses => Self::Responses(responses::EventReader::default()),
            Api::ChatCompletions => Self::Chat(chat::EventReader::default()),
            Api::GenerateContent => Self::Generate(generate::EventReader::default()),
        }
    }

    pub(crate) fn read(&mut self, data: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Messages(reader) => reader.read(data, sink),
            Self::Responses(reader) => reader.read(data, sink),
            Self::Chat(reader) => reader.read(data, sink),
            Self::Generate(reader) => reader.read(data, sink),
        }
    }

    /// Returns how many bytes it has put together and not handed over.
    pub(crate) fn holds(&self) -> usize {
        match self {
            Self::Messages(reader) => reader.holds(),
            Self::Chat(reader) => reader.holds(),
            // They hand over each event whole.
            Self::Responses(_) | Self::Generate(_) => 0,
        }
    }

    pub(crate) fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Messages(reader) => reader.end(sink),
            Self::Responses(reader) => reader.end(sink),
            Self::Chat(reader) => reader.end(sink),
            Self::Generate(reader) => reader.end(sink),
        }
    }
}

/// Writes one dialect's answers.
#[derive(Debug)]
pub(crate) enum Writer {
    Messages(messages::AnswerWriter),
    Responses(responses::AnswerWriter),
    Chat(chat::AnswerWriter),
    Generate(generate::AnswerWriter),
}

impl Writer {
    pub(crate) fn new(client: Api) -> Self {
        match client {
            Api::Messages => Self::Messages(messages::AnswerWriter::default()),
            Api::Responses => Self::Responses(responses::AnswerWriter::default()),
            Api::ChatCompletions => Self::Chat(chat::AnswerWriter::default()),
            Api::GenerateContent => Self::Generate(generate::AnswerWriter::default()),
        }
    }

    /// Makes it one that goes on with an answer that others began.
    pub(crate) fn begun(mut self) -> Self {
        if let Self::Responses(writer) = &mut self {
            writer.go_on();
        }
        self
    }

    pub(crate) fn write_failure(mut self, failure: UpstreamFailure, exchange: &mut Exchange, out: &mut Vec<u8>) {
        self.write(Event::Failed(failure), exchange, out);
    }

    pub(crate) fn write(&mut self, event: Event<'_>, exchange: &mut Exchange, out: &mut Vec<u8>) {
        match self {
            Self::Messages(writer) => writer.write(event, exchange, out),
            Self::Responses(writer) => writer.write(event, exchange, out),
            Self::Chat(writer) => writer.write(event, exchange, out),
            Self::Generate(writer) => writer.write(event, exchange, out),
        }
    }

    pub(crate) fn keep_alive(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        match self {
            Self::Messages(writer) => writer.keep_alive(exchange, out),
            Self::Responses(writer) => writer.keep_alive(exchange, out),
            Self::Chat(writer) => writer.keep_alive(out),
            Self::Generate(writer) => writer.keep_alive(exchange, out),
        }
    }
}
