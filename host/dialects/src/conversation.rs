//! A request as all dialects mean it, borrowed from the bytes of the one that it was read from.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{Text, is_object};
use crate::reasoning::ReasoningBlob;

/// Everything that a request to a model says.
#[derive(Debug, Default)]
pub(crate) struct Conversation<'a> {
    /// The model, as the client named it.
    pub model: Cow<'a, str>,
    /// The instructions before the first turn.
    pub system: Vec<Cow<'a, str>>,
    /// Parts in their order, each with its role.
    pub parts: Vec<(Role, Part<'a>)>,
    pub tools: Vec<Tool<'a>>,
    pub tool_choice: ToolChoiceMode<'a>,
    /// The model may call one tool at a time only.
    pub disable_parallel_calls: bool,
    pub thinking: Thinking,
    pub max_output_tokens: Option<u64>,
    pub temperature: Option<&'a RawValue>,
    pub top_p: Option<&'a RawValue>,
    pub top_k: Option<&'a RawValue>,
    pub seed: Option<&'a RawValue>,
    pub stop_sequences: Vec<Cow<'a, str>>,
    pub format: Option<ResponseFormat<'a>>,
    /// The cache key that requests with a common beginning share.
    pub cache_key: Option<Cow<'a, str>>,
    /// The client wants events.
    pub is_streamed: bool,
    /// The client wants the tokens at the end of the events (Chat Completions).
    pub include_usage: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Instructions after the first turn.
    System,
    User,
    Assistant,
}

#[derive(Debug)]
pub(crate) enum Part<'a> {
    Text(Cow<'a, str>),
    Image(Media<'a>),
    File(Media<'a>),
    /// A thought with what proves it, where the client still has it.
    Thought {
        text: Cow<'a, str>,
        carried: Option<ReasoningBlob>,
    },
    Call(ToolCall<'a>),
    Result(ToolResult<'a>),
}

/// A picture or a document.
#[derive(Clone, Debug)]
pub(crate) struct Media<'a> {
    pub kind: Cow<'a, str>,
    pub source: MediaSource<'a>,
    pub name: Option<Cow<'a, str>>,
}

#[derive(Clone, Debug)]
pub(crate) enum MediaSource<'a> {
    Base64(Cow<'a, str>),
    Url(Cow<'a, str>),
}

impl<'a> Media<'a> {
    /// Reads one that is at a URL, or else given in base64.
    pub(crate) fn from_url_or_base64(
        kind: Option<Text<'a>>,
        url: Option<Text<'a>>,
        data: Option<Text<'a>>,
    ) -> Option<Self> {
        let source = match url {
            Some(url) => MediaSource::Url(url.0),
            None => MediaSource::Base64(data?.0),
        };
        Some(Self { kind: kind.unwrap_or_default().0, source, name: None })
    }

    /// Reads a `data:` URL or another one.
    pub(crate) fn from_url(url: Cow<'a, str>, name: Option<Cow<'a, str>>) -> Self {
        let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        match data {
            Some((kind, data)) => {
                Self { kind: kind.to_owned().into(), source: MediaSource::Base64(data.to_owned().into()), name }
            }
            None => Self { kind: "".into(), source: MediaSource::Url(url), name },
        }
    }

    /// Formats it as a URL.
    pub(crate) fn url(&self) -> Cow<'_, str> {
        match &self.source {
            MediaSource::Base64(data) => format!("data:{};base64,{data}", self.kind_or("image/png")).into(),
            MediaSource::Url(url) => Cow::Borrowed(url),
        }
    }

    pub(crate) fn kind_or<'k>(&'k self, default: &'k str) -> &'k str {
        if self.kind.is_empty() { default } else { &self.kind }
    }
}

#[derive(Debug)]
pub(crate) struct ToolCall<'a> {
    pub id: Cow<'a, str>,
    pub namespace: Option<Cow<'a, str>>,
    pub name: Cow<'a, str>,
    /// JSON, as far as the client keeps to it.
    pub arguments: Cow<'a, str>,
    /// The proof of this call itself (Gemini).
    pub reasoning_blob: Option<ReasoningBlob>,
}

impl ToolCall<'_> {
    /// Returns the arguments as an object, for upstreams that take no other JSON.
    pub(crate) fn arguments_object(&self) -> &str {
        if is_object(&self.arguments) { &self.arguments } else { "{}" }
    }
}

#[derive(Debug)]
pub(crate) struct ToolResult<'a> {
    pub id: Cow<'a, str>,
    /// Texts, images and files.
    pub parts: Vec<Part<'a>>,
    pub has_failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToolKind {
    Function,
    /// Takes a text instead of arguments (Responses: `custom`).
    FreeForm,
    /// Looks for tools (Responses: `tool_search`).
    Search,
}

#[derive(Debug)]
pub(crate) struct Tool<'a> {
    pub kind: ToolKind,
    pub namespace: Option<Cow<'a, str>>,
    pub name: Cow<'a, str>,
    pub description: Cow<'a, str>,
    /// A JSON schema.
    pub schema: Option<Cow<'a, str>>,
    pub is_strict: bool,
}

/// The grammar of a tool that takes a text, as OpenAI's APIs say it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Grammar<'a> {
    #[serde(borrow)]
    syntax: Option<Text<'a>>,
    definition: Option<Text<'a>>,
}

/// The schema of a tool that says nothing of its arguments, for upstreams that demand one.
const ANY_OBJECT_SCHEMA: &str = r#"{"type":"object","properties":{}}"#;

/// The schema of a tool that takes a text, for upstreams that know functions only.
const FREE_FORM_SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool"}},"required":["input"],"additionalProperties":false}"#;

impl<'a> Tool<'a> {
    /// Makes a function.
    pub(crate) fn function(name: Cow<'a, str>, description: Cow<'a, str>, schema: Option<Cow<'a, str>>) -> Self {
        Self { kind: ToolKind::Function, namespace: None, name, description, schema, is_strict: false }
    }

    /// Makes a tool that takes a text, which must follow a grammar if there is one.
    pub(crate) fn free_form(name: Cow<'a, str>, description: Cow<'a, str>, grammar: Option<Grammar<'a>>) -> Self {
        let grammar = grammar.and_then(|of| Some((of.syntax.unwrap_or_default().0, of.definition?.0)));
        let description = match grammar {
            Some((syntax, grammar)) => {
                format!("{description}\n\n`input` must follow this grammar ({syntax}):\n{grammar}").into()
            }
            None => description,
        };
        Self { kind: ToolKind::FreeForm, ..Self::function(name, description, Some(FREE_FORM_SCHEMA.into())) }
    }

    /// Returns its schema, for upstreams that demand one.
    pub(crate) fn schema_or_any(&self) -> &str {
        self.schema.as_deref().unwrap_or(ANY_OBJECT_SCHEMA)
    }

    /// Returns the arguments of a call of a tool that takes a text, as JSON.
    pub(crate) fn free_form_arguments(text: &str) -> String {
        serde_json::json!({"input": text}).to_string()
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolChoiceMode<'a> {
    #[default]
    Unspecified,
    Auto,
    /// Some tool must be called.
    Any,
    None,
    Tool(Cow<'a, str>),
}

impl ToolChoiceMode<'_> {
    /// Reads the words of OpenAI's APIs.
    pub(crate) fn from_name(word: &str) -> Self {
        match word {
            "none" => Self::None,
            "required" => Self::Any,
            _ => Self::Auto,
        }
    }
}

/// How much the model thinks before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Thinking {
    #[default]
    Unspecified,
    Off,
    /// The model decides, or an effort says.
    Effort(Option<Effort>),
    /// At most so many tokens.
    Budget(u64),
}

/// An effort to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    ExtraHigh,
    Max,
}

impl Effort {
    const ALL: [(Self, &'static str, u64); 6] = [
        (Self::Minimal, "minimal", 512),
        (Self::Low, "low", 1_024),
        (Self::Medium, "medium", 8_192),
        (Self::High, "high", 24_576),
        (Self::ExtraHigh, "xhigh", 32_768),
        (Self::Max, "max", 32_768),
    ];

    pub(crate) fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        Self::ALL.iter().find(|(_, name, _)| *name == word).map(|(effort, ..)| *effort)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(effort, ..)| *effort == self).map_or("medium", |(_, name, _)| name)
    }

    /// Returns the tokens that stand for it where a dialect counts.
    pub(crate) fn budget(self) -> u64 {
        Self::ALL.iter().find(|(effort, ..)| *effort == self).map_or(8_192, |(.., budget)| *budget)
    }

    /// Returns the least effort that a number of tokens is enough for.
    pub(crate) fn from_budget(tokens: u64) -> Self {
        Self::ALL
            .iter()
            .rev()
            .find(|(.., budget)| *budget <= tokens)
            .map_or(Self::Minimal, |(effort, ..)| *effort)
            .min(Self::ExtraHigh)
    }
}

impl Thinking {
    /// Reads the effort of OpenAI's dialects.
    pub(crate) fn from_effort(effort: &str) -> Self {
        if effort == "none" { Self::Off } else { Self::Effort(Effort::parse(effort)) }
    }

    /// Returns the effort that OpenAI's dialects take. `None` leaves the field out.
    pub(crate) fn effort(self) -> Option<Effort> {
        match self {
            Self::Unspecified | Self::Off | Self::Effort(None) => None,
            Self::Effort(effort) => effort.map(|effort| effort.min(Effort::ExtraHigh)),
            Self::Budget(tokens) => Some(Effort::from_budget(tokens)),
        }
    }
}

/// JSON that the answer must be.
#[derive(Debug)]
pub(crate) struct ResponseFormat<'a> {
    pub name: Cow<'a, str>,
    /// Absent: any JSON.
    pub schema: Option<Cow<'a, str>>,
}

impl<'a> ResponseFormat<'a> {
    /// Makes one, with a name where the client has none.
    pub(crate) fn new(name: Option<Text<'a>>, schema: Option<&'a RawValue>) -> Self {
        Self { name: name.map_or("answer".into(), |name| name.0), schema: schema.map(|raw| raw.get().into()) }
    }
}

/// A stretch of a conversation in which one side speaks.
#[derive(Debug)]
pub(crate) enum Turn<'c, 'a> {
    System(&'c str),
    User(Vec<&'c Part<'a>>),
    Assistant(Vec<&'c Part<'a>>),
    /// The results of the turn before it, in the order of its calls: all of them, and no other.
    ToolResults(Vec<ToolCallWithResult<'c, 'a>>),
}

/// A call with its result.
#[derive(Debug)]
pub(crate) struct ToolCallWithResult<'c, 'a> {
    pub call: &'c ToolCall<'a>,
    /// Absent: the client has none.
    pub result: Option<&'c ToolResult<'a>>,
}

/// Opens a conversation that begins with the model's words, which not each dialect takes.
pub(crate) const OMITTED_START_TEXT: &str = "(The beginning of the conversation is not shown.)";

/// Stands for the result of a call that has none. Each dialect demands one.
pub(crate) const MISSING_RESULT_TEXT: &str = "error: there is no result of this call";

impl<'a> Conversation<'a> {
    /// Takes in the choice of a tool. Of one that is left out, nothing can be demanded.
    pub(crate) fn set_tool_choice(&mut self, choice: ToolChoiceMode<'a>) {
        let is_there = |name: &str| self.tools.iter().any(|tool| tool.name == name);
        self.tool_choice = match choice {
            ToolChoiceMode::Tool(name) if !is_there(&name) => ToolChoiceMode::Unspecified,
            choice => choice,
        };
    }

    /// Returns the turns as every dialect accepts them: results stand directly behind their calls, each call has
    /// one, and a result without a call is a text of the user.
    pub(crate) fn turns(&self) -> Vec<Turn<'_, 'a>> {
        // Clients repeat ids, so the first result belongs to the first call.
        let mut results: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (at, (_, part)) in self.parts.iter().enumerate() {
            if let Part::Result(result) = part {
                results.entry(&result.id).or_default().push_back(at);
            }
        }
        let mut turns: Vec<Turn<'_, 'a>> = Vec::new();
        let mut taken = vec![false; self.parts.len()];
        let mut calls: Vec<&ToolCall<'a>> = Vec::new();
        for (at, (role, part)) in self.parts.iter().enumerate() {
            if taken[at] {
                continue;
            }
            if *role != Role::Assistant && !calls.is_empty() {
                turns.push(Turn::ToolResults(self.answered(&mut calls, &mut results, &mut taken)));
                if taken[at] {
                    continue;
                }
            }
            match (role, part) {
                (Role::System, Part::Text(text)) => turns.push(Turn::System(text)),
                (Role::System, _) => {}
                (Role::User, part) => match turns.last_mut() {
                    Some(Turn::User(parts)) => parts.push(part),
                    _ => turns.push(Turn::User(vec![part])),
                },
                (Role::Assistant, part) => {
                    if let Part::Call(call) = part {
                        calls.push(call);
                    }
                    match turns.last_mut() {
                        Some(Turn::Assistant(parts)) => parts.push(part),
                        _ => turns.push(Turn::Assistant(vec![part])),
                    }
                }
            }
        }
        if !calls.is_empty() {
            turns.push(Turn::ToolResults(self.answered(&mut calls, &mut results, &mut taken)));
        }
        turns
    }

    fn answered<'c>(
        &'c self,
        calls: &mut Vec<&'c ToolCall<'a>>,
        results: &mut HashMap<&str, VecDeque<usize>>,
        taken: &mut [bool],
    ) -> Vec<ToolCallWithResult<'c, 'a>> {
        let answered = calls.drain(..).map(|call| {
            let at = results.get_mut(&*call.id).and_then(VecDeque::pop_front);
            let result = at.and_then(|at| {
                taken[at] = true;
                match &self.parts[at].1 {
                    Part::Result(result) => Some(result),
                    _ => None,
                }
            });
            ToolCallWithResult { call, result }
        });
        answered.collect()
    }
}

impl Part<'_> {
    /// Returns a text that says something.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }
}

impl ToolResult<'_> {
    /// Returns the result's texts as one.
    pub(crate) fn text(&self) -> String {
        let texts: Vec<&str> = self.parts.iter().filter_map(Part::text).collect();
        texts.join("\n")
    }

    /// Returns its texts, marked if the tool failed, for dialects that have no place for that.
    pub(crate) fn text_with_error_prefix(&self) -> String {
        let text = self.text();
        if !self.has_failed || text.trim_start().to_ascii_lowercase().starts_with("error") {
            return text;
        }
        format!("error: {text}")
    }

    /// Returns its images and files.
    pub(crate) fn media(&self) -> impl Iterator<Item = &Part<'_>> {
        self.parts.iter().filter(|part| matches!(part, Part::Image(_) | Part::File(_)))
    }
}

/// Formats instructions that come in the middle as a text of the user. Moved to the top, they would break the prefix
/// that upstreams cache, and many take one system message only.
pub(crate) fn system_reminder(text: &str) -> String {
    if text.contains("<system-reminder>") {
        text.to_owned()
    } else {
        format!("<system-reminder>\n{text}\n</system-reminder>")
    }
}

/// Puts `_` where an id has what Messages does not take: it takes letters, digits, `_` and `-` only.
pub(crate) fn sanitize_id(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// Makes the ids of an exchange's calls valid everywhere, and different from each other.
#[derive(Debug, Default)]
pub(crate) struct CallIds {
    used: HashMap<String, u32>,
}

impl CallIds {
    /// Returns the id for the next call.
    pub(crate) fn unique(&mut self, id: &str) -> String {
        let mut valid: String = sanitize_id(id).chars().take(64).collect();
        if valid.is_empty() {
            valid = "call".to_owned();
        }
        loop {
            let used = self.used.entry(valid.clone()).or_insert(0);
            *used += 1;
            if *used == 1 {
                return valid;
            }
            // Claude Code takes `ID_2` for the second part of the call `ID`, and loses its result.
            let next = format!("{}x{used}", valid.get(..56).unwrap_or(&valid));
            valid = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> (Role, Part<'_>) {
        let call =
            ToolCall { id: id.into(), namespace: None, name: "t".into(), arguments: "{}".into(), reasoning_blob: None };
        (Role::Assistant, Part::Call(call))
    }

    fn result<'a>(id: &'a str, text: &'a str) -> (Role, Part<'a>) {
        let parts = vec![Part::Text(text.into())];
        (Role::User, Part::Result(ToolResult { id: id.into(), parts, has_failed: false }))
    }

    fn said(text: &str) -> (Role, Part<'_>) {
        (Role::User, Part::Text(text.into()))
    }

    fn shape(parts: Vec<(Role, Part<'_>)>) -> Vec<String> {
        let conversation = Conversation { parts, ..Conversation::default() };
        let shape = conversation.turns().into_iter().map(|turn| match turn {
            Turn::System(text) => format!("system {text}"),
            Turn::User(parts) => format!("user {}", parts.len()),
            Turn::Assistant(parts) => format!("assistant {}", parts.len()),
            Turn::ToolResults(answered) => {
                let of = |answered: &ToolCallWithResult<'_, '_>| {
                    format!("{}={}", answered.call.id, answered.result.map_or("none".to_owned(), ToolResult::text))
                };
                answered.iter().map(of).collect::<Vec<_>>().join(" ")
            }
        });
        shape.collect()
    }

    #[test]
    fn results_stand_behind_their_calls_in_their_order() {
        let parts =
            vec![said("a"), call("x"), call("y"), said("meanwhile"), result("y", "2"), result("x", "1"), call("z")];
        assert_eq!(shape(parts), ["user 1", "assistant 2", "x=1 y=2", "user 1", "assistant 1", "z=none"]);
    }

    #[test]
    fn two_calls_with_one_id_have_two_results_and_a_stray_result_is_the_users() {
        let parts = vec![call("x"), call("x"), result("x", "1"), result("x", "2"), result("w", "stray")];
        assert_eq!(shape(parts), ["assistant 2", "x=1 x=2", "user 1"]);
    }

    #[test]
    fn ids_are_valid_and_never_two_alike() {
        let mut ids = CallIds::default();
        let made: Vec<String> = ["a.b", "a_b", "", "", "a_b_2", "a_b"].iter().map(|id| ids.unique(id)).collect();
        let different: std::collections::HashSet<&String> = made.iter().collect();
        assert_eq!(different.len(), made.len(), "{made:?}");
        assert!(made.iter().all(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')));
    }

    #[test]
    fn efforts_and_budgets_are_each_others() {
        for (effort, name, budget) in Effort::ALL {
            assert_eq!(Effort::parse(name), Some(effort));
            assert_eq!(Effort::from_budget(budget), effort.min(Effort::ExtraHigh));
        }
        assert_eq!((Effort::from_budget(0), Effort::from_budget(4_000)), (Effort::Minimal, Effort::Low));
    }
}
