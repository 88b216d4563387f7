//! Requests and answers where both sides speak one dialect: bytes pass.
//!
//! Only the model's name, the reasoning of other upstreams, and broken ends are changed.

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::carrier::{ENCODED_MARK, is_ours};
use crate::event::Event;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::json;
use crate::json::{Text, word};
use crate::request::RequestError;
use crate::sides::{Reader, Writer};
use crate::sse::{Events, TooLarge};
use aiw_core::Api;

/// The largest event that is passed on.
const LARGEST: usize = 32 << 20;

/// A place in a text, and what stands there instead.
struct Edit {
    start: usize,
    end: usize,
    with: Vec<u8>,
}

fn edited(bytes: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|edit| edit.start);
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut at = 0;
    for edit in edits {
        if let Some(before) = bytes.get(at..edit.start) {
            out.extend_from_slice(before);
            out.extend_from_slice(&edit.with);
            at = edit.end;
        }
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    out
}

/// Replaces a value that was read out of `whole`.
fn replace(whole: &[u8], value: &RawValue, with: Vec<u8>) -> Edit {
    let start = (value.get().as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    Edit { start, end: start + value.get().len(), with }
}

fn quoted(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    json::write_string(&mut bytes, text);
    bytes
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    contents: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parts: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Option<Text<'a>>,
    #[serde(borrow, default, rename = "encrypted_content")]
    encrypted_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    thought_signature: Option<&'a RawValue>,
}

/// Writes the request for the upstream.
pub(crate) fn request(dialect: Api, body: &[u8], model: &str, strips: bool) -> Result<Vec<u8>, RequestError> {
    let request: Request<'_> = serde_json::from_slice(body)?;
    let mut edits = Vec::new();
    if dialect != Api::GenerateContent {
        let named = request.model.ok_or(RequestError::Shape("model"))?;
        edits.push(replace(body, named, quoted(model)));
    }
    // Most requests hold nothing of another upstream.
    let has_ours = memmem::find(body, ENCODED_MARK.as_bytes()).is_some();
    let has_empty = dialect == Api::Messages && memmem::find(body, b"\"signature\"").is_some();
    if has_ours || has_empty || strips {
        match dialect {
            Api::Messages => {
                for content in of_messages(request.messages, |message| message.content) {
                    edits.extend(without(body, content, |item| match word(item.kind.as_ref()) {
                        "thinking" => strips || is_foreign(word(item.signature.as_ref())),
                        "redacted_thinking" => strips || is_foreign(word(item.data.as_ref())),
                        _ => false,
                    }));
                }
            }
            Api::Responses => {
                if let Some(input) = request.input {
                    edits.extend(without(body, input, |item| {
                        let content = word(item.encrypted_content.as_ref());
                        is_ours(content) || (strips && word(item.kind.as_ref()) == "reasoning")
                    }));
                }
            }
            Api::GenerateContent => {
                for parts in of_messages(request.contents, |content| content.parts) {
                    let parts: Vec<Item<'_>> = json::parse(parts).unwrap_or_default();
                    // Gemini CLI itself puts this where there is no signature.
                    let signatures = parts.iter().filter_map(|part| part.thought_signature);
                    let foreign =
                        signatures.filter(|raw| json::string(raw).is_some_and(|text| strips || is_ours(&text)));
                    edits.extend(foreign.map(|raw| replace(body, raw, quoted("skip_thought_signature_validator"))));
                }
            }
            Api::ChatCompletions => {}
        }
    }
    Ok(edited(body, edits))
}

/// A signature that the upstream would refuse: none, or a record of another upstream's reasoning.
fn is_foreign(signature: &str) -> bool {
    signature.is_empty() || is_ours(signature)
}

fn of_messages<'a>(list: Option<&'a RawValue>, of: impl Fn(Message<'a>) -> Option<&'a RawValue>) -> Vec<&'a RawValue> {
    let messages: Vec<Message<'a>> = list.and_then(json::parse).unwrap_or_default();
    messages.into_iter().filter_map(of).filter(|raw| raw.get().starts_with('[')).collect()
}

/// Leaves items out of an array.
fn without(body: &[u8], array: &RawValue, is_out: impl Fn(&Item<'_>) -> bool) -> Option<Edit> {
    let items: Vec<&RawValue> = json::parse(array)?;
    let is_out = |raw: &&RawValue| json::parse::<Item<'_>>(raw).is_some_and(|item| is_out(&item));
    let kept: Vec<&&RawValue> = items.iter().filter(|raw| !is_out(raw)).collect();
    if kept.len() == items.len() {
        return None;
    }
    let mut with = Vec::new();
    json::array(&mut with, |out| {
        if kept.is_empty() && body.windows(10).any(|at| at == b"\"messages\"") {
            // A message must hold something.
            out.raw(r#"{"type":"text","text":"(no text)"}"#);
        }
        kept.iter().for_each(|raw| out.raw(raw.get()));
    });
    Some(replace(body, array, with))
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct EventNames<'a> {
    #[serde(borrow, default)]
    message: Option<Named<'a>>,
    #[serde(borrow, default)]
    response: Option<Named<'a>>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
}

/// Passes an answer on, event by event, so that a broken one is never taken for whole.
#[derive(Debug)]
pub(crate) struct Pass {
    is_streamed: bool,
    /// The begun event.
    begun: Vec<u8>,
    /// How far it was looked through.
    seen: usize,
}

impl Pass {
    pub(crate) fn new(is_streamed: bool) -> Self {
        Self { is_streamed, begun: Vec::new(), seen: 0 }
    }

    pub(crate) fn read(
        &mut self,
        chunk: &[u8],
        reader: &mut Reader,
        exchange: &Exchange,
        out: &mut Vec<u8>,
        note: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TooLarge> {
        self.begun.extend_from_slice(chunk);
        if !self.is_streamed {
            return if self.begun.len() > LARGEST { Err(TooLarge) } else { Ok(()) };
        }
        let mut start = 0;
        while let Some(end) = self.event_end() {
            pass_event(&self.begun[start..end], reader, exchange, out, note);
            start = end;
        }
        self.begun.drain(..start);
        self.seen -= start;
        if self.begun.len() > LARGEST { Err(TooLarge) } else { Ok(()) }
    }

    /// Returns where the begun event ends: behind an empty line.
    fn event_end(&mut self) -> Option<usize> {
        while let Some(at) = memchr(b'\n', &self.begun[self.seen..]) {
            self.seen += at + 1;
            let rest = &self.begun[self.seen..];
            let is_last = rest.strip_prefix(b"\r").unwrap_or(rest).first();
            match is_last {
                Some(b'\n') => {
                    self.seen += if rest[0] == b'\r' { 2 } else { 1 };
                    return Some(self.seen);
                }
                Some(_) => {}
                None => {
                    // Whether the next line is empty is not known yet.
                    self.seen -= 1;
                    return None;
                }
            }
        }
        self.seen = self.begun.len();
        None
    }

    pub(crate) fn read_whole(
        &mut self,
        body: &[u8],
        reader: &mut Reader,
        exchange: &Exchange,
        out: &mut Vec<u8>,
        note: &mut dyn FnMut(Event<'_>),
    ) {
        reader.read(body, note);
        out.extend_from_slice(&renamed(body, exchange));
    }

    pub(crate) fn end(
        &mut self,
        reader: &mut Reader,
        exchange: &Exchange,
        out: &mut Vec<u8>,
        note: &mut dyn FnMut(Event<'_>),
    ) {
        let begun = std::mem::take(&mut self.begun);
        self.seen = 0;
        if !self.is_streamed && !begun.is_empty() {
            self.read_whole(&begun, reader, exchange, out, note);
        } else if begun.iter().any(|byte| !byte.is_ascii_whitespace()) {
            // Some servers leave out the last empty line. An event that is not whole is not passed on.
            let is_whole =
                data(&begun).is_some_and(|data| serde_json::from_slice::<serde::de::IgnoredAny>(&data).is_ok());
            if is_whole {
                pass_event(&[&begun, &b"\n\n"[..]].concat(), reader, exchange, out, note);
            }
        }
        reader.end(note);
    }

    pub(crate) fn fail(&mut self, failure: &Failure, exchange: &mut Exchange, out: &mut Vec<u8>) {
        self.begun.clear();
        self.seen = 0;
        if let Some(writer) = Writer::new(exchange.client) {
            writer.begun().write_failure(failure.clone(), exchange, out);
        }
    }

    pub(crate) fn keep_alive(&self, exchange: &Exchange, out: &mut Vec<u8>) {
        let alive: &[u8] = match exchange.client {
            _ if !self.is_streamed => b"",
            Api::Messages => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
            Api::GenerateContent => b"data: {}\n\n",
            Api::Responses | Api::ChatCompletions => b": waiting\n\n",
        };
        out.extend_from_slice(alive);
    }
}

fn data(event: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    let mut events = Events::default();
    events.read(event, |data| found = Some(data.to_vec())).ok()?;
    events.end(|data| found = Some(data.to_vec()));
    found
}

fn pass_event(
    raw: &[u8],
    reader: &mut Reader,
    exchange: &Exchange,
    out: &mut Vec<u8>,
    note: &mut dyn FnMut(Event<'_>),
) {
    // One line of data is the rule.
    let line = memmem::find(raw, b"data:").map(|at| (at, &raw[at + 5..]));
    if let Some((at, rest)) = line.filter(|(at, _)| *at == 0 || raw[at - 1] == b'\n') {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let data = rest[..end].trim_ascii();
        let is_alone = memmem::find(&rest[end..], b"\ndata:").is_none();
        if is_alone {
            reader.read(data, note);
            let new = renamed(data, exchange);
            if new == data {
                out.extend_from_slice(raw);
            } else {
                out.extend_from_slice(&raw[..at]);
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(&new);
                out.extend_from_slice(&rest[rest[..end].trim_ascii_end().len()..]);
            }
            return;
        }
    }
    if let Some(data) = data(raw) {
        reader.read(&data, note);
    }
    out.extend_from_slice(raw);
}

/// Puts the name that the client asked for in place of the upstream's: Claude Code loses its signed thoughts otherwise.
fn renamed<'d>(data: &'d [u8], exchange: &Exchange) -> std::borrow::Cow<'d, [u8]> {
    let has_name = match exchange.client {
        Api::Messages => {
            memmem::find(&data[..data.len().min(200)], b"\"message_start\"").is_some()
                || memmem::find(&data[..data.len().min(4_000)], b"\"type\":\"message\"").is_some()
                || !exchange.is_streamed
        }
        Api::Responses => !exchange.is_streamed || memmem::find(data, b"\"response\"").is_some(),
        _ => false,
    };
    if !has_name {
        return data.into();
    }
    let Ok(event) = serde_json::from_slice::<EventNames<'_>>(data) else { return data.into() };
    let named = event.message.or(event.response).and_then(|of| of.model).or(event.model);
    match named {
        Some(raw) if raw.get() != "null" && raw.get().as_bytes() != quoted(&exchange.asked) => {
            edited(data, vec![replace(data, raw, quoted(&exchange.asked))]).into()
        }
        _ => data.into(),
    }
}
