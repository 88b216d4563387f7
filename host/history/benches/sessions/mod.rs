//! Sessions as people have them, and questions about them with known answers. All from a seed: nothing is read.
//!
//! A session is about a few incidents in one project. An incident has a subject, a problem, a cause and a remedy, each in
//! other words whenever it is mentioned, and a function, a file, an error and a person of its own. Many sessions share
//! subjects and problems, and names turn up in listings and logs of others. Questions are made from the incident, not
//! from the messages: what they have in common with the text is what people would have.

#![allow(dead_code, clippy::allow_attributes, reason = "each bench needs a part of it")]

mod lexicon;

use aiw_history::{MessageAuthor, SessionMessage};
use lexicon::{ASIDES, BOILERPLATE, CONCEPTS, Concept, FILLERS, LANGUAGES, LOGS, NOUNS, PEOPLE, VERBS};

/// A random sequence that is the same everywhere: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    pub fn text<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How a question resembles what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Paraphrase,
    HalfRemembered,
    Identifier,
    Error,
    Name,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Paraphrase, Self::HalfRemembered, Self::Identifier, Self::Error, Self::Name];

    pub fn name(self) -> &'static str {
        match self {
            Self::Paraphrase => "paraphrase",
            Self::HalfRemembered => "half-remembered",
            Self::Identifier => "identifier",
            Self::Error => "error text",
            Self::Name => "name",
        }
    }
}

pub struct Question {
    pub kind: Kind,
    pub text: String,
    /// The ids of the messages that answer it.
    pub answers: Vec<String>,
}

/// An incident, and which wording was used where.
struct Incident {
    language: usize,
    parts: [usize; 4],
    used: [Vec<usize>; 4],
    function: String,
    file: String,
    error: String,
    error_variant: String,
    person: &'static str,
    explained: String,
    failed: String,
    solved: String,
    reviewed: String,
}

pub struct Set {
    pub sessions: Vec<Vec<SessionMessage>>,
    pub questions: Vec<Question>,
}

/// A number of sessions, and questions about them.
pub fn set(seed: u64, sessions: usize, questions: usize) -> Set {
    let mut writer = Writer { random: Random(seed), incidents: Vec::new(), clock: 1_750_000_000_000 };
    let sessions: Vec<Vec<SessionMessage>> = (0..sessions).map(|number| writer.session(number)).collect();
    let mut all = Vec::with_capacity(questions);
    let mut tries = 0;
    while all.len() < questions && tries < questions * 20 {
        tries += 1;
        let kind = Kind::ALL[all.len() % Kind::ALL.len()];
        let incident = writer.random.below(writer.incidents.len());
        if let Some(question) = writer.question(kind, incident) {
            all.push(question);
        }
    }
    Set { sessions, questions: all }
}

/// Sessions without an end, for sets that are too large to keep.
pub struct Stream {
    writer: Writer,
    number: usize,
}

impl Stream {
    pub fn new(seed: u64) -> Self {
        Self { writer: Writer { random: Random(seed), incidents: Vec::new(), clock: 1_600_000_000_000 }, number: 0 }
    }

    /// The next session's messages.
    pub fn next(&mut self) -> Vec<SessionMessage> {
        let messages = self.writer.session(self.number);
        self.number += 1;
        // A year has many sessions.
        self.writer.clock -= 3_400_000 * 4;
        self.writer.incidents.truncate(20_000);
        messages
    }

    /// A question about one of the sessions.
    pub fn question(&mut self, random: &mut Random) -> String {
        loop {
            let incident = random.below(self.writer.incidents.len());
            if let Some(question) = self.writer.question(*random.of(&Kind::ALL), incident) {
                return question.text;
            }
        }
    }
}

/// Adds a message to the session, and returns its id.
type Say<'a> = dyn FnMut(&mut Writer, MessageAuthor, &[&str], String) -> String + 'a;

struct Writer {
    random: Random,
    incidents: Vec<Incident>,
    clock: i64,
}

const PROJECTS: [&str; 9] = [
    "/srv/dev/shop",
    "/srv/dev/ledger",
    "/srv/dev/atlas",
    "/srv/dev/mailroom",
    "/srv/dev/fleet",
    "/srv/dev/kiosk",
    "/srv/dev/rechnung",
    "/srv/dev/dianshang",
    "/srv/dev/yoyaku",
];

impl Writer {
    /// The sessions of one number alone, for sets that are too large to keep.
    fn session(&mut self, number: usize) -> Vec<SessionMessage> {
        let session = self.uuid();
        let project = PROJECTS[number % PROJECTS.len()];
        // Most people write English; some projects are of others.
        let language = match number % PROJECTS.len() {
            6 => 1,
            7 => 2,
            8 => 3,
            _ => 0,
        };
        self.clock += 3_600_000 * (1 + self.random.below(9) as i64);
        let mut messages = Vec::new();
        let time = self.clock;
        let mut say = |writer: &mut Self, role, tools: &[&str], text: String| -> String {
            let uuid = writer.uuid();
            messages.push(SessionMessage {
                uuid: uuid.clone(),
                session: session.clone(),
                project: project.into(),
                time: Some(time + messages.len() as i64 * 40_000),
                role,
                tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
                text,
                agent: None,
                offset: messages.len() as u64 * 1000,
            });
            uuid
        };
        if self.random.chance(60) {
            let text = *self.random.of(&BOILERPLATE);
            say(self, MessageAuthor::User, &[], text.into());
        }
        for _ in 0..1 + self.random.below(3) {
            self.incident(language, &mut say);
            for _ in 0..self.random.below(4) {
                self.filler(language, &mut say);
            }
        }
        messages
    }

    fn incident(&mut self, language: usize, say: &mut Say<'_>) {
        let concepts = &CONCEPTS[language];
        let parts = std::array::from_fn(|part| self.random.below(concepts[part].len()));
        let function = self.function();
        let file = self.file(&function);
        let number = 10 + self.random.below(900);
        let (error, error_variant) = self.error(&function, number);
        let person = *self.random.of(&PEOPLE);
        let mut incident = Incident {
            language,
            parts,
            used: std::array::from_fn(|_| Vec::new()),
            function: function.clone(),
            file: file.clone(),
            error: error.clone(),
            error_variant,
            person,
            explained: String::new(),
            failed: String::new(),
            solved: String::new(),
            reviewed: String::new(),
        };
        let sentences = &LANGUAGES[language];
        let (subject, problem) = (self.word(&mut incident, 0), self.word(&mut incident, 1));
        let ask = fill(self.random.text(sentences.asks), &subject, &problem, &function, &file, person);
        say(self, MessageAuthor::User, &[], ask);
        let look = fill(self.random.text(sentences.looks), &subject, &problem, &function, &file, person);
        say(self, MessageAuthor::Assistant, &["Read"], look);
        let code = self.code(&function, &file);
        say(self, MessageAuthor::Tool, &["Read"], code);
        if self.random.chance(50) {
            let listing = self.listing();
            say(self, MessageAuthor::Tool, &["Bash"], listing);
        }
        let logs: Vec<String> = (0..2 + self.random.below(16))
            .map(|_| {
                format!("{} {} id={:08x}", self.clock % 86_400_000, self.random.of(&LOGS), self.random.next() >> 32)
            })
            .collect();
        incident.failed =
            say(self, MessageAuthor::Tool, &["Bash"], format!("{}\n{error}\n{}", logs.join("\n"), self.clock % 977));
        let (subject, cause) = (self.word(&mut incident, 0), self.word(&mut incident, 2));
        let explain = fill(self.random.text(sentences.explains), &subject, &cause, &function, &file, person);
        incident.explained = say(self, MessageAuthor::Assistant, &[], explain);
        if self.random.chance(70) {
            let aside = self.random.text(ASIDES[language]);
            say(self, MessageAuthor::User, &[], aside.into());
        }
        let (remedy, subject) = (self.word(&mut incident, 3), self.word(&mut incident, 0));
        let solve = fill(self.random.text(sentences.solves), &subject, &remedy, &function, &file, person);
        incident.solved = say(self, MessageAuthor::Assistant, &["Edit"], solve);
        let (subject, remedy) = (self.word(&mut incident, 0), self.word(&mut incident, 3));
        let review = fill(self.random.text(sentences.reviews), &subject, &remedy, &function, &file, person);
        incident.reviewed = say(self, MessageAuthor::User, &[], review);
        if self.random.chance(60) {
            let tests = format!("running {} tests\ntest result: ok. {} passed; 0 failed", number, number);
            say(self, MessageAuthor::Tool, &["Bash"], tests);
        }
        self.incidents.push(incident);
    }

    fn filler(&mut self, language: usize, say: &mut Say<'_>) {
        let subject = {
            let words = self.random_concept(language, 0).words;
            self.random.text(words)
        };
        let file = {
            let function = self.function();
            self.file(&function)
        };
        match self.random.below(5) {
            0 => say(
                self,
                MessageAuthor::Tool,
                &["Bash"],
                format!("On branch main\nChanges not staged:\n  modified: {file}"),
            ),
            1 => {
                let listing = self.listing();
                say(self, MessageAuthor::Tool, &["Grep"], listing)
            }
            2 => {
                let text = *self.random.of(&BOILERPLATE);
                say(self, MessageAuthor::User, &[], text.into())
            }
            _ => {
                let text = self.random.text(FILLERS[language]).replace("{s}", subject).replace("{p}", &file);
                say(self, MessageAuthor::Assistant, &[], text)
            }
        };
    }

    fn random_concept(&self, language: usize, part: usize) -> &'static Concept {
        let list = CONCEPTS[language][part];
        &list[(self.random.0 >> 33) as usize % list.len()]
    }

    /// A wording of a part of an incident.
    fn word(&mut self, incident: &mut Incident, part: usize) -> String {
        let words = CONCEPTS[incident.language][part][incident.parts[part]].words;
        // The last wording is kept for questions.
        let chosen = self.random.below(words.len() - 1);
        incident.used[part].push(chosen);
        words[chosen].to_owned()
    }

    fn function(&mut self) -> String {
        let (verb, noun, other) = (*self.random.of(&VERBS), *self.random.of(&NOUNS), *self.random.of(&NOUNS));
        let camel = |word: &str| format!("{}{}", word[..1].to_uppercase(), &word[1..]);
        match self.random.below(4) {
            0 => format!("{verb}_{noun}_{other}"),
            1 => format!("{verb}{}{}", camel(noun), camel(other)),
            2 => format!("{}{}", camel(noun), camel(other)),
            _ => format!("{noun}_{other}"),
        }
    }

    fn file(&mut self, function: &str) -> String {
        let (dir, ending) = (*self.random.of(&NOUNS), *self.random.of(&["rs", "ts", "py", "go", "java"]));
        format!("src/{dir}/{}.{ending}", function.to_lowercase())
    }

    fn error(&mut self, function: &str, number: usize) -> (String, String) {
        let noun = *self.random.of(&NOUNS);
        let other = *self.random.of(&NOUNS);
        let line = 3 + self.random.below(700);
        let code = self.random.below(lexicon::ERRORS.len());
        let make = |line: usize, number: usize| {
            lexicon::ERRORS[code]
                .replace("{noun}", noun)
                .replace("{other}", other)
                .replace("{function}", function)
                .replace("{line}", &line.to_string())
                .replace("{number}", &number.to_string())
        };
        (make(line, number), make(line + 11, number * 3 + 1))
    }

    fn code(&mut self, function: &str, file: &str) -> String {
        let mut code = format!("// {file}\n");
        for _ in 0..6 + self.random.below(40) {
            let (a, b) = (self.function(), *self.random.of(&NOUNS));
            code.push_str(&format!("    let {b} = {a}({}, {});\n", self.random.of(&NOUNS), self.random.below(64)));
        }
        code.push_str(&format!("fn {function}() {{ todo!() }}\n"));
        code
    }

    /// Names of other incidents, as searches and listings show them.
    fn listing(&mut self) -> String {
        let mut listing = String::new();
        for _ in 0..4 + self.random.below(24) {
            let line = match self.incidents.len() {
                0 => {
                    let function = self.function();
                    self.file(&function)
                }
                several => {
                    let incident = &self.incidents[self.random.below(several)];
                    format!("{}:{}: {}", incident.file, 4 + self.random.below(200), incident.function)
                }
            };
            listing.push_str(&line);
            listing.push('\n');
        }
        listing
    }

    fn question(&mut self, kind: Kind, number: usize) -> Option<Question> {
        let incident = &self.incidents[number];
        let (language, parts) = (incident.language, incident.parts);
        let concept = |part: usize| CONCEPTS[language][part][parts[part]].words;
        // A wording that the session may or may not have.
        let picked: [&str; 3] = std::array::from_fn(|part| self.random.text(concept(part)));
        let any = |part: usize| picked[part];
        let unused = |part: usize| concept(part)[concept(part).len() - 1];
        let sentences = &LANGUAGES[language];
        let (text, answers) = match kind {
            Kind::Paraphrase => {
                let first = self.random.chance(50);
                let part = if first { 2 } else { 3 };
                let template = self.random.text(if first { sentences.why } else { sentences.how });
                // Half of the people have words of their own for it.
                let mut said =
                    |part: usize| if self.random.chance(50) { unused(part) } else { self.random.text(concept(part)) };
                let (subject, problem, rest) = (said(0), said(1), said(part));
                let text = template.replace("{s}", subject).replace("{x}", problem).replace("{y}", rest);
                (text, vec![&incident.explained, &incident.solved])
            }
            Kind::HalfRemembered => {
                let (subject, problem, cause) = (any(0), any(1), any(2));
                // A few words of what was said, in no order, one of them misspelt.
                let mut words: Vec<String> = if language < 2 {
                    let pick = |random: &mut Random, text: &str| -> Vec<String> {
                        let words: Vec<&str> = text.split(' ').filter(|word| word.len() > 3).collect();
                        (0..2.min(words.len())).map(|_| (*random.of(&words)).to_owned()).collect()
                    };
                    let mut words = pick(&mut self.random, cause);
                    words.extend(pick(&mut self.random, problem));
                    words.extend(pick(&mut self.random, subject));
                    words.dedup();
                    words
                } else {
                    vec![subject.to_owned(), cause.to_owned()]
                };
                if language < 2 && !words.is_empty() {
                    let at = self.random.below(words.len());
                    words[at] = misspelt(&mut self.random, &words[at]);
                    words.push(
                        incident
                            .function
                            .split(|c: char| c == '_' || c.is_uppercase())
                            .find(|part| part.len() > 3)
                            .unwrap_or("")
                            .to_lowercase(),
                    );
                }
                (words.join(" "), vec![&incident.explained, &incident.solved])
            }
            Kind::Identifier => {
                let text = match self.random.below(4) {
                    0 => incident.function.clone(),
                    1 => incident.function.to_lowercase(),
                    2 => format!("{} {}", incident.function, any(0)),
                    _ => spread(&incident.function),
                };
                (text, vec![&incident.explained, &incident.solved])
            }
            Kind::Error => {
                let text = if self.random.chance(50) {
                    incident.error_variant.clone()
                } else {
                    let words: Vec<&str> = incident.error_variant.split(' ').collect();
                    words[words.len() / 3..].join(" ")
                };
                (text, vec![&incident.failed, &incident.explained])
            }
            Kind::Name => {
                let text = self.random.text(sentences.who).replace("{n}", incident.person).replace("{s}", any(0));
                (text, vec![&incident.reviewed])
            }
        };
        let answers = answers.into_iter().cloned().collect();
        (!text.trim().is_empty()).then_some(Question { kind, text, answers })
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.random.next(), self.random.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
}

/// A template's sentence, in order: subject, part, function, file, person.
fn fill(template: &str, subject: &str, part: &str, function: &str, file: &str, person: &str) -> String {
    let text = template.replace("{s}", subject).replace("{x}", part).replace("{f}", function);
    text.replace("{p}", file).replace("{n}", person)
}

fn misspelt(random: &mut Random, word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    if letters.len() > 4 {
        let at = 2 + random.below(letters.len() - 3);
        match random.below(3) {
            0 => {
                letters.remove(at);
            }
            1 => letters.swap(at, at - 1),
            _ => letters.truncate(letters.len() - 2),
        }
    }
    letters.into_iter().collect()
}

/// The words of a name, as people type them: `parseUserToken` is `parse user token`.
fn spread(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && !words.is_empty()) {
            words.push(' ');
        }
        if c != '_' {
            words.extend(c.to_lowercase());
        }
    }
    words
}
