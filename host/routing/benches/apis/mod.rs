//! A set that is made here: the tools of 50 APIs with described parameters, 1000 in all, and requests of one sentence.
//!
//! `apis.txt` has what they are made from, written by hand. Of each API five tools are its own, and fifteen do something
//! to one of its objects that could be done to any object ("export the invoices"): which ones, a seed says. It also says
//! how an API writes the names of its tools (`Movies_1_FindMovies`, `find_movies_v2`), whether its descriptions come to the
//! point, and who and when a request is about. Each tool of an API's own, and three of its other ones, are asked for twice: in
//! the plain way ("cancel my reservation 4711"), and in a loose one that shares hardly a word with the tool ("we can't make
//! it to dinner tonight"). Sets with an odd seed and with an even one have no request in common.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const TEXT: &str = include_str!("apis.txt");

/// How many tools an API has that could be those of any, and how many of them are asked for.
const FOR_ANY: usize = 15;
const ASKED: usize = 3;

/// Parts of sentences that many tools have and that tell nothing of any.
const COMMON: [&str; 6] = [
    "Requires an access token with the corresponding scope.",
    "Responds with status 404 if no such resource exists.",
    "The operation is idempotent and may be retried safely.",
    "Rate limits apply as described in the developer guide.",
    "Results are returned as JSON and encoded in UTF-8.",
    "Deprecated attributes are omitted unless explicitly requested.",
];
const COMMON_PARAMETERS: [(&str, &str); 6] = [
    ("api_key", "Credential that identifies the calling application"),
    ("locale", "Language tag for human readable texts"),
    ("request_id", "Correlation identifier used for tracing"),
    ("timeout_ms", "Milliseconds after which the call is abandoned"),
    ("fields", "Comma separated selection of attributes to return"),
    ("verbose", "Whether diagnostic details are included"),
];

const CITIES: [&str; 8] = ["Paris", "Boston", "Lisbon", "Cologne", "Osaka", "Toronto", "Leipzig", "Denver"];
const PEOPLE: [&str; 8] = ["Anna", "Omar", "Mrs Chen", "Pablo", "Ingrid", "Mr Okafor", "Lucy", "Tom"];
const DATES: [&str; 8] =
    ["May 3rd", "the 14th of June", "2024-11-20", "next Tuesday", "December 24", "Friday", "01/09/2025", "March 8th"];
const TIMES: [&str; 6] = ["7 pm", "18:30", "noon", "9:15", "half past ten", "8 in the evening"];
const AMOUNTS: [&str; 6] = ["250 dollars", "80 euros", "$1,200", "15 pounds", "3000 euros", "99.90"];

/// A tool as the bench reads it, and the requests for it.
pub struct Tool {
    pub server: String,
    pub about: String,
    pub definition: Value,
    pub asked: Vec<Asked>,
}

/// One request.
pub struct Asked {
    /// The way in which it is asked.
    pub way: Way,
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In the words that most would choose.
    Plain,
    /// By somebody who has other words.
    Loose,
}

/// The tools of all APIs for a seed.
pub fn tools(seed: u64) -> Vec<Tool> {
    let mut random = Random(seed);
    let mut verbs = Vec::new();
    let mut tools = Vec::new();
    let mut lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    while let Some(line) = lines.next() {
        if let Some(verb) = line.strip_prefix("* ") {
            verbs.push(Entry::read(verb));
        } else if let Some((name, about)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
            let api = Api::new(name, about, &mut random);
            let (mut objects, mut made) = (Vec::new(), Vec::new());
            while let Some(line) = lines.next_if(|line| !line.starts_with('[')) {
                if let Some(object) = line.strip_prefix("- ") {
                    objects.push(Object::read(object));
                } else if let Some(entry) = line.strip_prefix("+ ").map(Entry::read) {
                    let asked = entry.asked(seed, None, &mut random);
                    made.push(api.tool(&entry, None, asked, &mut random));
                }
            }
            let mut chosen = BTreeSet::new();
            while chosen.len() < FOR_ANY {
                chosen.insert((random.below(verbs.len()), random.below(objects.len())));
            }
            let mut chosen: Vec<_> = chosen.into_iter().collect();
            random.shuffle(&mut chosen);
            for (number, (verb, object)) in chosen.into_iter().enumerate() {
                let (entry, object) = (&verbs[verb], &objects[object]);
                let is_asked = number < ASKED;
                let asked = if is_asked { entry.asked(seed, Some(object), &mut random) } else { Vec::new() };
                made.push(api.tool(entry, Some(object), asked, &mut random));
            }
            random.shuffle(&mut made);
            tools.extend(made);
        }
    }
    tools
}

/// A line of a tool.
struct Entry {
    name: &'static str,
    description: &'static str,
    parameters: Vec<(&'static str, &'static str)>,
    requests: Vec<&'static str>,
}

impl Entry {
    fn read(line: &'static str) -> Self {
        let mut cells = line.split(" | ");
        let (name, description) = cells.next().unwrap().split_once(": ").unwrap();
        let parameters = cells.next().unwrap().split("; ").map(|text| text.split_once('=').unwrap()).collect();
        Self { name, description, parameters, requests: cells.collect() }
    }

    /// The requests for the tool, in each way.
    fn asked(&self, seed: u64, object: Option<&Object>, random: &mut Random) -> Vec<Asked> {
        let [loose, plain] = if seed % 2 == 1 { [0, 2] } else { [1, 3] };
        let ways = [(Way::Loose, self.requests[loose]), (Way::Plain, self.requests[plain])];
        ways.map(|(way, text)| Asked { way, text: filled(text, way, object, random) }).into()
    }
}

/// What an API has, in its words and in those of people.
struct Object {
    own: [&'static str; 2],
    said: [&'static str; 2],
}

impl Object {
    fn read(line: &'static str) -> Self {
        let (own, said) = line.split_once(" = ").unwrap();
        let both = |text: &'static str| text.split_once('/').map(|(one, many)| [one, many]).unwrap();
        Self { own: both(own), said: both(said) }
    }
}

/// How an API writes.
struct Api {
    name: &'static str,
    about: &'static str,
    server: String,
    version: usize,
    style: usize,
    /// Its descriptions begin with itself.
    has_preamble: bool,
}

impl Api {
    fn new(name: &'static str, about: &'static str, random: &mut Random) -> Self {
        let version = 1 + random.below(4);
        let key = name.to_lowercase();
        let server = if random.below(2) == 0 { key } else { format!("{key}_{version}") };
        Self { name, about, server, version, style: random.below(6), has_preamble: random.below(3) == 0 }
    }

    fn tool(&self, entry: &Entry, object: Option<&Object>, asked: Vec<Asked>, random: &mut Random) -> Tool {
        let described = |text: &str| match object {
            Some(object) => {
                let [one, many] = object.own.map(|own| own.replace('_', " "));
                text.replace("{object}", &one).replace("{objects}", &many)
            }
            None => text.to_owned(),
        };
        let about = self.about.trim_end_matches('.');
        let mut sentences = vec![format!("{}.", described(entry.description))];
        if self.has_preamble {
            sentences.insert(0, format!("Part of the {} API in version {}.", self.name, self.version));
        } else {
            sentences.push(format!("Belongs to: {about}."));
        }
        for _ in 0..random.below(4) {
            sentences.push(random.one(&COMMON).to_owned());
        }
        let mut properties = Map::new();
        let mut parameters: Vec<(String, String)> = entry
            .parameters
            .iter()
            .map(|(name, text)| {
                let name = object.map_or_else(|| (*name).to_owned(), |object| name.replace("{object}", object.own[0]));
                (name, described(text))
            })
            .collect();
        for _ in 0..random.below(3) {
            let (name, text) = random.one(&COMMON_PARAMETERS);
            parameters.push((name.to_owned(), text.to_owned()));
        }
        for (name, text) in parameters {
            properties.insert(name, json!({"type": "string", "description": text}));
        }
        let definition = json!({
            "name": self.named(&full_name(entry.name, object)),
            "description": sentences.join(" "),
            "inputSchema": {"type": "object", "properties": properties},
        });
        Tool { server: self.server.clone(), about: self.about.to_owned(), definition, asked }
    }

    /// The name of a tool as this API writes it.
    fn named(&self, name: &str) -> String {
        let (snake, api) = (snake(name), self.name.to_lowercase());
        let camel = || name[..1].to_lowercase() + &name[1..];
        match self.style {
            0 => format!("{}_{}_{name}", self.name, self.version),
            1 => snake,
            2 => camel(),
            3 => format!("{api}_{snake}_v{}", self.version),
            4 => format!("{api}.{}", camel()),
            _ => format!("{snake}_{}", self.version),
        }
    }
}

/// `GetHistory` of a venue is `GetVenueHistory`; `List` of venues is `ListVenues`.
fn full_name(verb: &str, object: Option<&Object>) -> String {
    let Some(object) = object else { return verb.to_owned() };
    let is_of_many = ["List", "Export", "Import", "Count", "Merge"].contains(&verb);
    let object: String =
        object.own[usize::from(is_of_many)].split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    match verb.strip_prefix("Get") {
        Some(what) => format!("Get{object}{what}"),
        None => format!("{verb}{object}"),
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// A request with what it is about.
fn filled(text: &str, way: Way, object: Option<&Object>, random: &mut Random) -> String {
    let mut filled = text.to_owned();
    if let Some(object) = object {
        // Who asks in the plain way has the API's own word as often as not.
        let words = if way == Way::Plain && random.below(2) == 0 { object.own } else { object.said };
        let [one, many] = words.map(|word| word.replace('_', " "));
        filled = filled.replace("{thing}", &one).replace("{things}", &many);
    }
    // Most numbers that people say are small.
    let number = if random.below(2) == 0 { 2 + random.below(4) } else { 6 + random.below(34) };
    let id = 1000 + random.below(90_000);
    for (place, value) in [
        ("{city}", random.one(&CITIES).to_owned()),
        ("{name}", random.one(&PEOPLE).to_owned()),
        ("{date}", random.one(&DATES).to_owned()),
        ("{time}", random.one(&TIMES).to_owned()),
        ("{amount}", random.one(&AMOUNTS).to_owned()),
        ("{number}", number.to_string()),
        ("{id}", id.to_string()),
    ] {
        filled = filled.replace(place, &value);
    }
    assert!(!filled.contains('{'), "{text}");
    filled
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn one<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}
