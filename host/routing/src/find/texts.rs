//! The texts of a server and its tools that are searched.

use aiw_search::{FieldWeight, words};
use serde_json::Value;

use crate::definition::name;
use crate::record::ServerRecord;

/// A searched part of a tool, in the order of [`FIELDS`].
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
pub(super) const FIELDS: [FieldWeight; 8] = [
    FieldWeight { weight: 2.0, length: 0.5 },
    FieldWeight { weight: 1.0, length: 0.6 },
    FieldWeight { weight: 0.8, length: 0.6 },
    FieldWeight { weight: 0.5, length: 0.6 },
    FieldWeight { weight: 1.0, length: 0.6 },
    FieldWeight { weight: 0.5, length: 0.6 },
    // A pair is rare enough in a field of any length.
    FieldWeight { weight: 1.0, length: 0.0 },
    FieldWeight { weight: 0.7, length: 0.0 },
];

/// The most words of a field that count. A definition says first what it is for; one that names every word there is
/// gains nothing.
const MAX_WORDS: usize = 24;

/// The most bytes of a text that are looked at for them.
const MAX_TEXT: usize = 4096;

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
            self.0.extend(words(cut(text, MAX_TEXT)));
            self.0.truncate(MAX_WORDS);
        }
    }

    fn of(text: &str) -> Self {
        let mut words = Self::default();
        words.add(text);
        words
    }

    fn pairs(&self) -> Self {
        Self(pairs(&self.0).collect())
    }
}

/// Each two neighbouring words, as a term of their own: of all that has "word" and "cloud", a word cloud has them in this
/// order.
pub(super) fn pairs(words: &[String]) -> impl Iterator<Item = String> {
    words.windows(2).map(|pair| pair.join(" "))
}

/// Whether a term is a number: in a name it counts versions or variants, in a request it is what a tool is called with.
pub(super) fn is_number(term: &str) -> bool {
    term.bytes().all(|b| b.is_ascii_digit())
}

/// The beginning of a text, at most so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The words of a tool's own fields.
pub(super) fn tool_words(definition: &Value) -> [(ToolField, WordCollector); 6] {
    let (mut names, mut texts) = (WordCollector::default(), WordCollector::default());
    parameters(&definition["inputSchema"], 0, &mut |name, text| {
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
    [(ToolField::Server, WordCollector::of(key)), (ToolField::ServerTexts, WordCollector::of(&about(record)))]
}

/// Returns a server's description of itself.
pub(super) fn about(record: &ServerRecord) -> String {
    let said = ["title", "description"].map(|key| record.server[key].as_str().unwrap_or_default());
    let said = said.into_iter().chain(record.instructions());
    said.map(|text| cut(text, MAX_TEXT)).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Returns a tool's description of itself.
pub(super) fn description(definition: &Value) -> String {
    let title = [&definition["title"], &definition["annotations"]["title"]];
    let said = title.into_iter().find_map(Value::as_str).into_iter().chain(definition["description"].as_str());
    said.map(|text| cut(text, MAX_TEXT)).collect::<Vec<_>>().join(" ")
}

/// The name and description of each parameter.
pub(super) fn parameters(schema: &Value, depth: usize, each: &mut impl FnMut(&str, &str)) {
    let properties = schema["properties"].as_object().filter(|_| depth < MAX_DEPTH);
    for (name, property) in properties.into_iter().flatten() {
        each(cut(name, MAX_TEXT), property["description"].as_str().unwrap_or_default());
        parameters(property, depth + 1, each);
        parameters(&property["items"], depth + 1, each);
    }
}

/// Returns the passages of a tool that a model gets: several short texts say more than a long one.
pub(super) fn passages(key: &str, record: &ServerRecord, tool: &Value) -> Vec<String> {
    let (name, server) = (spoken(name(tool)), spoken(key));
    let (description, about) = (description(tool), about(record));
    let first = description.split(['\n']).next().unwrap_or_default();
    let first = first.split_inclusive(". ").next().unwrap_or_default();
    let mut names = Vec::new();
    parameters(&tool["inputSchema"], 0, &mut |name, _| names.push(spoken(name)));
    let parameters = names.join(", ");
    let passages = [
        name.clone(),
        format!("{server}: {name}"),
        format!("{name}: {}", cut(first, MAX_SHORT_TEXT_LEN)),
        cut(&description, MAX_LONG_TEXT_LEN).to_owned(),
        format!("{name} ({})", cut(&parameters, MAX_LONG_TEXT_LEN)),
        format!("{server} {}: {name}", cut(&about, MAX_SHORT_TEXT_LEN)),
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
