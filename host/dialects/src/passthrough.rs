//! Requests and answers where both sides speak one dialect: bytes pass.
//!
//! Only the model's name, the reasoning of other upstreams, and broken ends are changed.
//!
//! Long: one pass over bodies of the same API.

use std::borrow::Cow;

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::chat::reasoning_detail;
use crate::dialect::Reader;
use crate::event::Event;
use crate::exchange::Exchange;
use crate::failure::UpstreamFailure;
use crate::generate::SKIP_SIGNATURE_CHECK;
use crate::json;
use crate::reasoning::{ENCODED_PREFIX, ReasoningBlob, ReasoningProof, is_ours};
use crate::request::{RequestError, UpstreamTarget};
use crate::sides::dialect;
use crate::sse::{SseEvents, TooLarge};
use aiw_core::{Api, printable, well_formed_json};

/// A place in a text, and what stands there instead.
struct TextEdit {
    start: usize,
    end: usize,
    with: Vec<u8>,
}

fn edited(bytes: &[u8], mut edits: Vec<TextEdit>) -> Vec<u8> {
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
fn replace(whole: &[u8], value: &RawValue, with: Vec<u8>) -> TextEdit {
    let start = (value.get().as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    TextEdit { start, end: start + value.get().len(), with }
}

fn quoted(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    json::write_string(&mut bytes, text);
    bytes
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelRequest<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    messages: Option<&'a RawValue>,
    stream_options: Option<&'a RawValue>,
    input: Option<&'a RawValue>,
    contents: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PassthroughMessage<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    parts: Option<&'a RawValue>,
}

/// Writes the request for the upstream: with its own model, with its own reasoning as it gave it, and without another
/// one's.
// Long: one pass over the fields of a body, in their order.
pub(crate) fn rewrite_request(body: &[u8], exchange: &Exchange, to: &UpstreamTarget) -> Result<Vec<u8>, RequestError> {
    let (dialect, request) = (exchange.client, serde_json::from_slice::<ModelRequest<'_>>(body)?);
    let strips = to.strip_reasoning;
    let mut edits = Vec::new();
    if dialect == Api::ChatCompletions && exchange.is_streamed && !exchange.include_usage {
        edits.extend(with_usage(body, request.stream_options));
    }
    if dialect != Api::GenerateContent {
        let named = request.model.ok_or(RequestError::InvalidShape("model"))?;
        edits.push(replace(body, named, quoted(&exchange.model)));
    }
    // Most requests hold nothing of another upstream.
    let has_ours = memmem::find(body, ENCODED_PREFIX.as_bytes()).is_some();
    let has_empty = dialect == Api::Messages && memmem::find(body, b"\"signature\"").is_some();
    // Where several upstreams answer, all that is theirs is marked, so that what is not marked is a stranger's.
    let has_strangers = exchange.mark_reasoning;
    if !(has_ours || has_empty || strips || has_strangers) {
        return Ok(without_refused(edited(body, edits), dialect, to));
    }
    let given_back = |field: &str| {
        let own = own_proof(field, exchange);
        match own {
            Some(proof) if !strips => ReasoningTreatment::Restore(proof),
            None if !is_ours(field) && !field.is_empty() && !strips && !has_strangers => ReasoningTreatment::Keep,
            _ => ReasoningTreatment::Remove,
        }
    };
    match dialect {
        Api::Messages => {
            for content in of_messages(request.messages, |message| message.content) {
                edits.extend(rewritten(body, content, |item, kind| {
                    let field = match kind {
                        "thinking" => "signature",
                        "redacted_thinking" => "data",
                        _ => return true,
                    };
                    match given_back(item[field].as_str().unwrap_or_default()) {
                        ReasoningTreatment::Keep => true,
                        ReasoningTreatment::Restore(
                            ReasoningProof::Signature(given) | ReasoningProof::Redacted(given),
                        ) => {
                            item[field] = given.into();
                            true
                        }
                        ReasoningTreatment::Restore(_) | ReasoningTreatment::Remove => false,
                    }
                }));
            }
        }
        Api::Responses => {
            if let Some(input) = request.input.filter(|input| input.get().starts_with('[')) {
                edits.extend(rewritten(body, input, |item, kind| {
                    let is_sealed = matches!(kind, "reasoning" | "compaction");
                    let Some(content) = item["encrypted_content"].as_str().filter(|_| is_sealed) else {
                        return kind != "reasoning" || !strips;
                    };
                    match given_back(content) {
                        ReasoningTreatment::Keep => true,
                        ReasoningTreatment::Restore(ReasoningProof::Encrypted { content, .. }) => {
                            item["encrypted_content"] = content.into();
                            true
                        }
                        ReasoningTreatment::Restore(_) | ReasoningTreatment::Remove => false,
                    }
                }));
            }
        }
        Api::GenerateContent => {
            for parts in of_messages(request.contents, |content| content.parts) {
                edits.extend(rewritten(body, parts, |part, _| {
                    let is_thought = part["thought"] == true;
                    let Some(signature) = part["thoughtSignature"].as_str() else {
                        return !(is_thought && (strips || has_strangers));
                    };
                    match given_back(signature) {
                        ReasoningTreatment::Keep => {}
                        ReasoningTreatment::Restore(_) | ReasoningTreatment::Remove
                            if is_thought && own_proof(signature, exchange).is_none() =>
                        {
                            return false;
                        }
                        ReasoningTreatment::Restore(ReasoningProof::OfPart(given)) => {
                            part["thoughtSignature"] = given.into()
                        }
                        // Gemini CLI itself puts this where there is no signature.
                        ReasoningTreatment::Restore(_) | ReasoningTreatment::Remove => {
                            part["thoughtSignature"] = SKIP_SIGNATURE_CHECK.into()
                        }
                    }
                    true
                }));
            }
        }
        Api::ChatCompletions => {
            if let Some(messages) = request.messages.filter(|messages| messages.get().starts_with('[')) {
                edits.extend(rewritten(body, messages, |message, _| {
                    give_back_thought(message, exchange, strips);
                    true
                }));
            }
        }
    }
    Ok(without_refused(edited(body, edits), dialect, to))
}

/// Asks an upstream of Chat Completions for its tokens, although the client did not.
fn with_usage(body: &[u8], options: Option<&RawValue>) -> Option<TextEdit> {
    let asked = r#"{"include_usage":true}"#;
    match options {
        Some(options) => Some(replace(body, options, asked.into())),
        None if memmem::find(body, b"\"stream_options\"").is_some() => None,
        None => {
            let start = memchr(b'{', body)? + 1;
            Some(TextEdit { start, end: start, with: format!("\"stream_options\":{asked},").into() })
        }
    }
}

/// Takes out what an upstream of Chat Completions has refused before. Servers that speak it know different fields.
fn without_refused(body: Vec<u8>, dialect: Api, to: &UpstreamTarget) -> Vec<u8> {
    if dialect != Api::ChatCompletions || to.rejected_fields.is_empty() {
        return body;
    }
    let Ok(Value::Object(mut request)) = serde_json::from_slice(&body) else { return body };
    let is_refused = |name: &str| to.rejected_fields.iter().any(|field| field == name);
    let limit = request.get("max_tokens").or(request.get("max_completion_tokens")).cloned();
    request.retain(|name, _| !is_refused(name));
    if let Some(limit) = limit.filter(|_| is_refused("max_tokens") && !is_refused("max_completion_tokens")) {
        request.insert("max_completion_tokens".into(), limit);
    }
    serde_json::to_vec(&request).unwrap_or(body)
}

/// Puts the upstream's own reasoning into a message, as it gave it, and takes out another one's.
fn give_back_thought(message: &mut Value, exchange: &Exchange, strips: bool) {
    let Some(message) = message.as_object_mut() else { return };
    let (mut own, mut has_ours) = (String::new(), false);
    if let Some(Value::Array(details)) = message.get_mut("reasoning_details") {
        details.retain(|detail| {
            let data = detail["data"].as_str().unwrap_or_default();
            if let Some(record) = ReasoningBlob::decode(data) {
                own.push_str(exchange.filter_own_reasoning(&record).map(|record| &*record.text).unwrap_or_default());
            }
            has_ours |= is_ours(data);
            !is_ours(data)
        });
        if details.is_empty() {
            message.shift_remove("reasoning_details");
        }
    }
    if strips || (own.is_empty() && (has_ours || exchange.mark_reasoning)) {
        REASONING_FIELDS.iter().for_each(|field| drop(message.shift_remove(*field)));
    } else if !own.is_empty() && !message.contains_key("reasoning") {
        message.insert("reasoning_content".into(), own.into());
    }
}

/// The fields of a message in Chat Completions that hold reasoning.
const REASONING_FIELDS: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_details"];

/// Returns what a field that this upstream's own reasoning was marked in stood for. A signature that came in pieces was
/// marked in pieces.
fn own_proof(field: &str, exchange: &Exchange) -> Option<ReasoningProof> {
    let own = |text: &str| {
        let record = ReasoningBlob::decode(text)?;
        exchange.filter_own_reasoning(&record).map(|record| record.proof.clone())
    };
    if let Some(proof) = own(field) {
        return Some(proof);
    }
    let starts: Vec<usize> = field.match_indices(ENCODED_PREFIX).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([field.len()]);
    let mut joined = String::new();
    for (start, end) in starts.iter().zip(ends) {
        match own(&field[*start..end])? {
            ReasoningProof::Signature(piece) => joined.push_str(&piece),
            _ => return None,
        }
    }
    (starts.len() > 1 && starts[0] == 0).then_some(ReasoningProof::Signature(joined))
}

/// The treatment of reasoning that a client gives back.
enum ReasoningTreatment {
    Keep,
    /// It is the upstream's own, which wants this.
    Restore(ReasoningProof),
    Remove,
}

fn of_messages<'a>(
    list: Option<&'a RawValue>,
    of: impl Fn(PassthroughMessage<'a>) -> Option<&'a RawValue>,
) -> Vec<&'a RawValue> {
    let messages: Vec<PassthroughMessage<'a>> = list.and_then(json::parse).unwrap_or_default();
    messages.into_iter().filter_map(of).filter(|raw| raw.get().starts_with('[')).collect()
}

/// Rewrites the items of an array that hold reasoning. `keeps` changes an item, by its type, and says whether it stays.
/// All others stay byte for byte.
fn rewritten(body: &[u8], array: &RawValue, keeps: impl Fn(&mut Value, &str) -> bool) -> Option<TextEdit> {
    let items: Vec<&RawValue> = json::parse(array)?;
    let mut has_changed = false;
    let mut kept: Vec<Cow<'_, str>> = Vec::new();
    for raw in items {
        let text = raw.get();
        if !REASONING_KEYWORDS.iter().any(|word| text.contains(word)) {
            kept.push(text.into());
            continue;
        }
        let Ok(mut item) = serde_json::from_str::<Value>(text) else {
            kept.push(text.into());
            continue;
        };
        let before = item.clone();
        let kind = before["type"].as_str().unwrap_or_default();
        match keeps(&mut item, kind) {
            true if item == before => kept.push(text.into()),
            true => {
                kept.push(item.to_string().into());
                has_changed = true;
            }
            false => has_changed = true,
        }
    }
    if !has_changed {
        return None;
    }
    let mut with = Vec::new();
    json::write_array(&mut with, |out| {
        // A message must hold something.
        if kept.is_empty() && memmem::find(body, b"\"messages\"").is_some() {
            out.raw(r#"{"type":"text","text":"(no text)"}"#);
        } else if kept.is_empty() && memmem::find(body, b"\"contents\"").is_some() {
            out.raw(r#"{"text":"(no text)"}"#);
        }
        kept.iter().for_each(|raw| out.raw(raw));
    });
    Some(replace(body, array, with))
}

/// The words that items with reasoning hold.
const REASONING_KEYWORDS: [&str; 5] = ["thinking", "reasoning", "compaction", "thoughtSignature", "\"thought\""];

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedModel<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EventNames<'a> {
    #[serde(borrow)]
    message: Option<NamedModel<'a>>,
    response: Option<NamedModel<'a>>,
    model: Option<&'a RawValue>,
}

/// The way of an answer through this room: what reads it, and where it goes.
pub(crate) struct PassthroughContext<'w> {
    pub reader: &'w mut dyn Reader,
    pub exchange: &'w Exchange,
    pub out: &'w mut Vec<u8>,
    /// Takes note of what was read.
    pub on_event: &'w mut dyn FnMut(Event<'_>),
}

/// Passes an answer on, event by event, so that a broken one is never taken for whole.
#[derive(Debug)]
pub(crate) struct Passthrough {
    is_streamed: bool,
    /// The largest event, or the largest whole answer.
    largest: usize,
    /// The begun event.
    begun: Vec<u8>,
    /// How far it was looked through.
    seen: usize,
    thoughts: Thoughts,
}

/// Thoughts of an upstream of Chat Completions, which are marked where another one may see them next.
#[derive(Debug, Default)]
struct Thoughts {
    open: String,
    /// The items that are whole.
    ended: Vec<String>,
    /// How many were marked.
    count: u64,
}

impl Thoughts {
    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Thought(text) => self.open.push_str(text),
            Event::ReasoningProof(_) => self.ended.push(std::mem::take(&mut self.open)),
            _ => {}
        }
    }

    /// Returns the records of those that have ended.
    fn records(&mut self, exchange: &Exchange) -> Vec<Value> {
        let ended = std::mem::take(&mut self.ended).into_iter().filter(|text| !text.is_empty());
        let records = ended.map(|text| {
            self.count += 1;
            reasoning_detail(&exchange.reasoning_blob(ReasoningProof::Nothing, text), "", self.count - 1)
        });
        records.collect()
    }
}

/// Returns whether thoughts are marked beside the answer, because its dialect has no place for a mark in them.
fn marks_beside(exchange: &Exchange) -> bool {
    exchange.mark_reasoning && exchange.client == Api::ChatCompletions
}

impl Passthrough {
    pub(crate) fn new(is_streamed: bool, largest: usize) -> Self {
        Self { is_streamed, largest, begun: Vec::new(), seen: 0, thoughts: Thoughts::default() }
    }

    /// Returns how much is kept until a thought ends, in bytes.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.thoughts.open.len()
    }

    /// Passes an event on, behind the mark of a thought that it ends.
    fn event(thoughts: &mut Thoughts, raw: &[u8], way: &mut PassthroughContext<'_>) {
        let start = way.out.len();
        way.event(raw, thoughts);
        let records = thoughts.records(way.exchange);
        if !records.is_empty() {
            let mark = json!({"object": "chat.completion.chunk", "choices": [
                {"index": 0, "delta": {"reasoning_details": records}, "finish_reason": null}
            ]});
            way.out.splice(start..start, format!("data: {mark}\n\n").into_bytes());
        }
    }

    pub(crate) fn read(&mut self, chunk: &[u8], way: &mut PassthroughContext<'_>) -> Result<(), TooLarge> {
        self.begun.extend_from_slice(chunk);
        if !self.is_streamed {
            return if self.begun.len() > self.largest { Err(TooLarge) } else { Ok(()) };
        }
        let mut start = 0;
        while let Some(end) = self.event_end() {
            Self::event(&mut self.thoughts, &self.begun[start..end], way);
            start = end;
        }
        self.begun.drain(..start);
        self.seen -= start;
        if self.begun.len() > self.largest { Err(TooLarge) } else { Ok(()) }
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

    pub(crate) fn read_body(&mut self, body: &[u8], way: &mut PassthroughContext<'_>) {
        if self.is_streamed {
            return whole_as_events(body, way);
        }
        let has_failed = way.read(body, &mut self.thoughts);
        let mut whole = rewrite_response(body, way.exchange);
        let records = self.thoughts.records(way.exchange);
        if !records.is_empty()
            && let Ok(mut value) = serde_json::from_slice::<Value>(&whole)
            && let Some(message) = value.pointer_mut("/choices/0/message").and_then(Value::as_object_mut)
        {
            message.insert("reasoning_details".into(), records.into());
            whole = value.to_string().into_bytes().into();
        }
        push(way.out, &whole, way.exchange, has_failed);
    }

    pub(crate) fn end(&mut self, way: &mut PassthroughContext<'_>) {
        let begun = std::mem::take(&mut self.begun);
        self.seen = 0;
        if !self.is_streamed && !begun.is_empty() {
            self.read_body(&begun, way);
        } else if begun.iter().any(|byte| !byte.is_ascii_whitespace()) {
            // Some servers leave out the last empty line. An event that is not whole is not passed on.
            let is_whole =
                data(&begun).is_some_and(|data| serde_json::from_slice::<serde::de::IgnoredAny>(&data).is_ok());
            if is_whole {
                Self::event(&mut self.thoughts, &[&begun, &b"\n\n"[..]].concat(), way);
            }
        }
        let PassthroughContext { reader, exchange, on_event: note, .. } = way;
        reader.end(&mut |event| note(event.masked(&exchange.mask)));
    }

    pub(crate) fn fail(&mut self, failure: &UpstreamFailure, exchange: &mut Exchange, out: &mut Vec<u8>) {
        self.begun.clear();
        self.seen = 0;
        let mut writer = (dialect(exchange.client).writer)();
        writer.skip_start_events();
        writer.write(Event::Failed(failure.clone()), exchange, out);
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

/// Writes a whole answer as the events that the client waits for, because its server ignores `stream`.
fn whole_as_events(body: &[u8], way: &mut PassthroughContext<'_>) {
    let answers = match serde_json::from_slice(body) {
        Ok(Value::Array(answers)) => answers,
        Ok(answer) => vec![answer],
        Err(_) => return,
    };
    let mut pass = |kind: &str, data: &Value| {
        let kind = if kind.is_empty() { String::new() } else { format!("event: {kind}\n") };
        way.event(format!("{kind}data: {data}\n\n").as_bytes(), &mut Thoughts::default());
    };
    for mut answer in answers {
        let status = answer["status"].as_str().filter(|_| answer["object"] == "response").map(str::to_owned);
        let Some(status) = status else {
            pass("", &answer);
            continue;
        };
        let output = answer["output"].take();
        answer["status"] = "in_progress".into();
        pass("response.created", &json!({"type": "response.created", "sequence_number": 0, "response": answer}));
        let items = output.as_array().map(Vec::as_slice).unwrap_or_default();
        for (at, item) in items.iter().enumerate() {
            for kind in ["response.output_item.added", "response.output_item.done"] {
                pass(kind, &json!({"type": kind, "output_index": at, "item": item}));
            }
        }
        let kind = format!("response.{status}");
        (answer["output"], answer["status"]) = (output, status.into());
        pass(&kind, &json!({"type": kind, "response": answer}));
    }
}

fn data(event: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    let mut events = SseEvents::default();
    events.read(event, |data| found = Some(data.to_vec())).ok()?;
    events.end(|data| found = Some(data.to_vec()));
    found
}

impl PassthroughContext<'_> {
    /// Passes an event on, as the client may see it.
    fn event(&mut self, raw: &[u8], thoughts: &mut Thoughts) {
        // One line of data is the rule.
        let line = memmem::find(raw, b"data:").map(|at| (at, &raw[at + 5..]));
        if let Some((at, rest)) = line.filter(|(at, _)| *at == 0 || raw[at - 1] == b'\n') {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let data = rest[..end].trim_ascii();
            let is_alone = memmem::find(&rest[end..], b"\ndata:").is_none();
            if is_alone {
                let has_failed = self.read(data, thoughts);
                if hides(data, self.exchange) {
                    return;
                }
                let new = rewrite_response(data, self.exchange);
                if new == data {
                    push(self.out, raw, self.exchange, has_failed);
                } else {
                    self.out.extend_from_slice(&raw[..at]);
                    self.out.extend_from_slice(b"data: ");
                    push(self.out, &new, self.exchange, has_failed);
                    self.out.extend_from_slice(&rest[rest[..end].trim_ascii_end().len()..]);
                }
                return;
            }
        }
        let data = data(raw).unwrap_or_default();
        let has_failed = self.read(&data, thoughts);
        if hides(&data, self.exchange) {
            return;
        }
        match without_keys(&data, self.exchange).filter(|_| !has_failed) {
            Some(masked) => self.out.extend_from_slice(&[b"data: ", &masked[..], b"\n\n"].concat()),
            None => push(self.out, raw, self.exchange, has_failed),
        }
    }

    /// Reads an event, and says whether it was a failure, or may be one.
    fn read(&mut self, data: &[u8], thoughts: &mut Thoughts) -> bool {
        let data = &*well_formed_json(data);
        let mut has_failed = memmem::find(data, b"\"error\"").is_some();
        let Self { reader, exchange, on_event: note, .. } = self;
        reader.read(data, &mut |event| {
            has_failed |= matches!(event, Event::Failed(_));
            if marks_beside(exchange) {
                thoughts.note(&event);
            }
            note(event.masked(&exchange.mask));
        });
        has_failed
    }
}

/// Returns whether an event says tokens alone that the client has not asked for: not each client expects one without
/// choices.
fn hides(data: &[u8], exchange: &Exchange) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Counts<'a> {
        choices: Option<Vec<serde::de::IgnoredAny>>,
        #[serde(borrow)]
        usage: Option<&'a RawValue>,
        error: Option<&'a RawValue>,
    }
    exchange.client == Api::ChatCompletions
        && !exchange.include_usage
        && memmem::find(data, b"\"usage\"").is_some()
        && serde_json::from_slice::<Counts<'_>>(data).is_ok_and(|counts| {
            counts.usage.is_some() && counts.error.is_none() && counts.choices.is_none_or(|choices| choices.is_empty())
        })
}

/// Passes an event on, or what is one's data. What says a failure may repeat the key.
fn push(out: &mut Vec<u8>, bytes: &[u8], exchange: &Exchange, has_failed: bool) {
    if !has_failed {
        return out.extend_from_slice(bytes);
    }
    if let Some(masked) = masked(bytes, exchange) {
        return out.extend_from_slice(&masked);
    }
    // An event of several lines.
    match data(bytes).and_then(|data| masked(&data, exchange)) {
        Some(masked) => {
            let kind = bytes.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"event:"));
            let kind = kind.map(|kind| exchange.mask.mask_text(String::from_utf8_lossy(kind).trim()) + "\n");
            out.extend_from_slice(kind.unwrap_or_default().as_bytes());
            out.extend_from_slice(&[b"data: ", &masked[..], b"\n\n"].concat());
        }
        None => out.extend_from_slice(exchange.mask.mask_text(&String::from_utf8_lossy(bytes)).as_bytes()),
    }
}

/// Takes secrets, and what controls a terminal, out of each text in JSON, however it is escaped. `None` if it is not
/// JSON.
fn masked(json: &[u8], exchange: &Exchange) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(json).ok()?;
    let masked = masked_value(&value, exchange);
    if masked == value { Some(json.to_vec()) } else { serde_json::to_vec(&masked).ok() }
}

/// Masks a value, which is at most as deep as serde_json reads.
fn masked_value(value: &Value, exchange: &Exchange) -> Value {
    match value {
        Value::String(text) => printable(&exchange.mask.mask_text(text)).into(),
        Value::Array(items) => items.iter().map(|item| masked_value(item, exchange)).collect(),
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| (exchange.mask.mask_text(name), masked_value(value, exchange));
            fields.iter().map(field).collect()
        }
        other => other.clone(),
    }
}

/// Takes secrets out of the ids and names in JSON, however they are escaped. `None` if there is none. What the model
/// says is left as it is.
fn without_keys(data: &[u8], exchange: &Exchange) -> Option<Vec<u8>> {
    if !exchange.mask.can_match(data) {
        return None;
    }
    let mut value: Value = serde_json::from_slice(data).ok()?;
    let has_changed = mask_ids(&mut value, exchange);
    if has_changed { serde_json::to_vec(&value).ok() } else { None }
}

/// Masks each id and name in a value, which is at most as deep as serde_json reads. Returns whether there was a secret.
fn mask_ids(value: &mut Value, exchange: &Exchange) -> bool {
    let mut has_changed = false;
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let is_id = name == "name" || name == "id" || name.ends_with("_id") || name.ends_with("Id");
                match field {
                    Value::String(text) if is_id => {
                        if let Cow::Owned(masked) = exchange.mask.mask_id(text.as_str().into()) {
                            *text = masked;
                            has_changed = true;
                        }
                    }
                    field => has_changed |= mask_ids(field, exchange),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| has_changed |= mask_ids(item, exchange)),
        _ => {}
    }
    has_changed
}

/// Puts the asked name in, takes secrets out of ids, and marks reasoning where another upstream may see it next.
pub(crate) fn rewrite_response<'d>(data: &'d [u8], exchange: &Exchange) -> Cow<'d, [u8]> {
    match without_keys(data, exchange) {
        Some(masked) => Cow::Owned(marked(&masked, exchange).into_owned()),
        None => marked(data, exchange),
    }
}

fn marked<'d>(data: &'d [u8], exchange: &Exchange) -> Cow<'d, [u8]> {
    let has_reasoning = || REASONING_MARKERS.iter().any(|word| memmem::find(data, word.as_bytes()).is_some());
    if exchange.mark_reasoning
        && has_reasoning()
        && let Ok(mut value) = serde_json::from_slice::<Value>(data)
    {
        mark(&mut value, exchange);
        if let Ok(marked) = serde_json::to_vec(&value) {
            return Cow::Owned(renamed(&marked, exchange).into_owned());
        }
    }
    renamed(data, exchange)
}

/// The words that events with reasoning hold.
const REASONING_MARKERS: [&str; 4] =
    ["\"signature\"", "\"redacted_thinking\"", "\"encrypted_content\"", "\"thoughtSignature\""];

/// Marks each proof of reasoning in a value as this upstream's. Values are no deeper than serde_json reads.
fn mark(value: &mut Value, exchange: &Exchange) {
    let marked = |text: &Value, proof: fn(String) -> ReasoningProof| {
        let text = text.as_str().filter(|text| !text.is_empty())?;
        Some(Value::from(exchange.reasoning_blob(proof(text.to_owned()), String::new()).encode()))
    };
    match value {
        Value::Object(fields) => {
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            let id = fields.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            for (name, field) in fields.iter_mut() {
                let new = match (name.as_str(), kind.as_str()) {
                    ("signature", "thinking" | "signature_delta") => marked(field, ReasoningProof::Signature),
                    ("data", "redacted_thinking") => marked(field, ReasoningProof::Redacted),
                    ("thoughtSignature", _) => marked(field, ReasoningProof::OfPart),
                    ("encrypted_content", "reasoning" | "compaction") => {
                        let text = field.as_str().filter(|text| !text.is_empty());
                        text.map(|content| {
                            let proof = ReasoningProof::Encrypted { id: id.clone(), content: content.to_owned() };
                            exchange.reasoning_blob(proof, String::new()).encode().into()
                        })
                    }
                    _ => None,
                };
                match new {
                    Some(new) => *field = new,
                    None => mark(field, exchange),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mark(item, exchange)),
        _ => {}
    }
}

/// Puts the name that the client asked for in place of the upstream's: Claude Code loses its signed thoughts otherwise.
fn renamed<'d>(data: &'d [u8], exchange: &Exchange) -> Cow<'d, [u8]> {
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
        Some(raw) if raw.get() != "null" && raw.get().as_bytes() != quoted(&exchange.requested_model) => {
            edited(data, vec![replace(data, raw, quoted(&exchange.requested_model))]).into()
        }
        _ => data.into(),
    }
}
