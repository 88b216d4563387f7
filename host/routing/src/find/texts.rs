//! The texts of a server and its tools that are searched.

use aiw_search::{FieldWeight, words};
use serde_json::Value;

use crate::definition::name;
use crate::record::ServerRecord;

/// A searched part of a tool, in the order of [`FIELD_WEIGHTS`].
#[derive(Clone, Copy)]
pub(super) enum ToolField {
    Name,
    Description,
    Parameters,
    ParameterTexts,
    Server,
    ServerTexts,
    NamePairs,
    DescriptionPairs,
}

/// How the fields count: measured on sets of real MCP servers (`cargo xtask bench routing`). A server is found through
/// its tools: its own texts count for each of them.
pub(super) const FIELD_WEIGHTS: [FieldWeight; 8] = [
    FieldWeight { weight: 2.0, length_norm: 0.5 },
    FieldWeight { weight: 1.0, length_norm: 0.6 },
    FieldWeight { weight: 0.8, length_norm: 0.6 },
    FieldWeight { weight: 0.5, length_norm: 0.6 },
    FieldWeight { weight: 1.0, length_norm: 0.6 },
    FieldWeight { weight: 0.5, length_norm: 0.6 },
    // A pair is rare enough in a field of any length.
    FieldWeight { weight: 1.0, length_norm: 0.0 },
    FieldWeight { weight: 0.7, length_norm: 0.0 },
];

/// The most words of a field that count. A definition says first what it is for; one that names every word there is
/// gains nothing.
const MAX_WORDS: usize = 24;

/// The most bytes of a text that are looked at for them.
const MAX_TEXT_BYTES: usize = 4096;

/// How deep the parameters of parameters are looked at.
const MAX_DEPTH: usize = 5;

/// The most characters of each text: a model's vector of a long text says little of any part of it.
const MAX_SHORT_TEXT_LEN: usize = 200;
const MAX_LONG_TEXT_LEN: usize = 400;

/// Collects words up to the limit.
#[derive(Default)]
pub(super) struct WordCollector(pub(super) Vec<String>);

impl WordCollector {
    fn add(&mut self, text: &str) {
        if self.0.len() < MAX_WORDS {
            self.0.extend(words(truncate(text, MAX_TEXT_BYTES)));
            self.0.truncate(MAX_WORDS);
        }
    }

    fn of(text: &str) -> Self {
        let mut words = Self::default();
        words.add(text);
        words
    }

    fn pairs(&self) -> Self {
        Self(word_pairs(&self.0).collect())
    }
}

/// Each two neighbouring words, as a term of their own: of all that has "word" and "cloud", a word cloud has them in this
/// order.
pub(super) fn word_pairs(words: &[String]) -> impl Iterator<Item = String> {
    words.windows(2).map(|pair| pair.join(" "))
}

/// Whether a term is a number: in a name it counts versions or variants, in a request it is what a tool is called with.
pub(super) fn is_number(term: &str) -> bool {
    term.bytes().all(|b| b.is_ascii_digit())
}

/// The beginning of a text, at most so many bytes.
pub(super) fn truncate(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The words of a tool's own fields.
pub(super) fn tool_words(definition: &Value) -> [(ToolField, WordCollector); 6] {
    let (mut names, mut texts) = (WordCollector::default(), WordCollector::default());
    visit_parameters(&definition["inputSchema"], 0, &mut |name, text| {
        names.add(name);
        texts.add(text);
    });
    let (name, description) = (WordCollector::of(name(definition)), WordCollector::of(&description(definition)));
    [
        (ToolField::NamePairs, name.pairs()),
        (ToolField::DescriptionPairs, description.pairs()),
        (ToolField::Name, name),
        (ToolField::Description, description),
        (ToolField::Parameters, names),
        (ToolField::ParameterTexts, texts),
    ]
}

/// The words of a server's fields, which count for each of its tools.
pub(super) fn server_words(key: &str, record: &ServerRecord) -> [(ToolField, WordCollector); 2] {
    [
        (ToolField::Server, WordCollector::of(key)),
        (ToolField::ServerTexts, WordCollector::of(&server_description(record))),
    ]
}

/// Returns a server's description of itself.
pub(super) fn server_description(record: &ServerRecord) -> String {
    let said = ["title", "description"].map(|key| record.server[key].as_str().unwrap_or_default());
    let said = said.into_iter().chain(record.instructions());
    said.map(|text| truncate(text, MAX_TEXT_BYTES)).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Returns a tool's description of itself.
pub(super) fn description(definition: &Value) -> String {
    let title = [&definition["title"], &definition["annotations"]["title"]];
    let said = title.into_iter().find_map(Value::as_str).into_iter().chain(definition["description"].as_str());
    said.map(|text| truncate(text, MAX_TEXT_BYTES)).collect::<Vec<_>>().join(" ")
}

/// The name and description of each parameter.
pub(super) fn visit_parameters(schema: &Value, depth: usize, each: &mut impl FnMut(&str, &str)) {
    let properties = schema["properties"].as_object().filter(|_| depth < MAX_DEPTH);
    for (name, property) in properties.into_iter().flatten() {
        each(truncate(name, MAX_TEXT_BYTES), property["description"].as_str().unwrap_or_default());
        visit_parameters(property, depth + 1, each);
        visit_parameters(&property["items"], depth + 1, each);
    }
}

/// Returns the passages of a tool that a model gets: several short texts say more than a long one.
pub(super) fn passages(key: &str, record: &ServerRecord, tool: &Value) -> Vec<String> {
    let (name, server) = (spoken(name(tool)), spoken(key));
    let (description, about) = (description(tool), server_description(record));
    let first = description.split(['\n']).next().unwrap_or_default();
    let first = first.split_inclusive(". ").next().unwrap_or_default();
    let mut names = Vec::new();
    visit_parameters(&tool["inputSchema"], 0, &mut |name, _| names.push(spoken(name)));
    let parameters = names.join(", ");
    let passages = [
        name.clone(),
        format!("{server}: {name}"),
        format!("{name}: {}", truncate(first, MAX_SHORT_TEXT_LEN)),
        truncate(&description, MAX_LONG_TEXT_LEN).to_owned(),
        format!("{name} ({})", truncate(&parameters, MAX_LONG_TEXT_LEN)),
        format!("{server} {}: {name}", truncate(&about, MAX_SHORT_TEXT_LEN)),
    ];
    passages
        .map(|passage| aiw_core::one_line(&passage, MAX_LONG_TEXT_LEN + MAX_SHORT_TEXT_LEN))
        .into_iter()
        .filter(|p| !p.is_empty())
        .collect()
}

/// A name as words: `getUserName` and `get_user_name` are `get user name`.
fn spoken(name: &str) -> String {
    let mut words = String::new();
    let mut last = ' ';
    for c in name.chars() {
        if c.is_uppercase() && (last.is_lowercase() || last.is_numeric()) {
            words.push(' ');
        }
        words.push(if matches!(c, '_' | '-' | '.' | '/') { ' ' } else { c });
        last = c;
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
