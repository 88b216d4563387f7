//! Sets that the search was not made with: other subjects, other words and another generator than `sessions`.
//!
//! What is said is written by hand in three files: `work.txt` (people and a model at work), `talk.txt` (two people over
//! months) and `aide.txt` (one person's questions to a model, with facts about them in passing). A file has topics:
//!
//! ```text
//! == name, with @de for another language than English
//! slot: value | value          one value for each time that the topic is told
//! slot: #camel                 a made-up name: #camel, #snake, #file, #hash, or #12-99 for a number
//! A> said by the first person  [one | another] is chosen each time, {slot} is filled in; B> the other one or the model
//! T Bash> what a tool printed, \n between its lines
//! --                           the rest is said in a later session
//! ? kind 2,5: question         answered by the lines 2 and 5; ~word~ is misspelt
//! ```
//!
//! `== noise` has lines that answer nothing.

#![allow(dead_code, clippy::allow_attributes, reason = "each bench needs a part of it")]
#![expect(clippy::panic, reason = "the files are ours")]

use std::collections::BTreeMap;

use aiw_history::{MessageAuthor, SessionMessage};

use crate::sessions::Random;

/// A question, and the ids of the messages that answer it.
pub struct Asked {
    pub kind: String,
    pub text: String,
    pub answers: Vec<String>,
    /// Where it is asked, if only that project is searched.
    pub project: Option<String>,
}

/// Sessions and what is asked about them.
pub struct Held {
    pub sessions: Vec<Vec<SessionMessage>>,
    pub questions: Vec<Asked>,
}

/// A kind of session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// People and a model at work: many sessions in several projects, over two years.
    Work,
    /// Many in one project, all in one week.
    OneWeek,
    /// Two people who talk over months, in sessions of some twenty turns.
    Talk,
    /// A few sessions of hundreds of turns, without times.
    LongTalk,
    /// One person's questions to a model, with long answers.
    Aide,
}

impl Shape {
    pub const ALL: [Self; 5] = [Self::Work, Self::OneWeek, Self::Talk, Self::LongTalk, Self::Aide];

    pub fn name(self) -> &'static str {
        match self {
            Self::Work => "work, two years",
            Self::OneWeek => "work, one week, one project",
            Self::Talk => "two people, many sessions",
            Self::LongTalk => "two people, few long sessions",
            Self::Aide => "one person and a model",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Work | Self::OneWeek => WORK,
            Self::Talk | Self::LongTalk => include_str!("talk.txt"),
            Self::Aide => include_str!("aide.txt"),
        }
    }
}

const WORK: &str = include_str!("work.txt");

struct Line {
    /// `A`, `B` or the name of a tool.
    who: String,
    text: String,
    /// Whether it is said in a later session than the line before.
    is_later: bool,
}

#[derive(Default)]
struct Topic {
    name: String,
    slots: Vec<(String, Vec<String>)>,
    lines: Vec<Line>,
    questions: Vec<(String, Vec<usize>, String)>,
}

fn topics(source: &str) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    let mut is_later = false;
    for line in source.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//")) {
        if let Some(name) = line.strip_prefix("== ") {
            topics.push(Topic { name: name.trim().into(), ..Topic::default() });
            is_later = false;
            continue;
        }
        let topic = topics.last_mut().unwrap_or_else(|| panic!("a line before the first topic: {line}"));
        if line == "--" {
            is_later = true;
        } else if let Some(rest) = line.strip_prefix("? ") {
            let (head, text) = rest.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            let (kind, lines) = head.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let lines = lines.split(',').map(|line| line.parse::<usize>().map(|n| n - 1)).collect::<Result<_, _>>();
            let lines: Vec<usize> = lines.unwrap_or_else(|_| panic!("{line}"));
            assert!(lines.iter().all(|n| *n < topic.lines.len()), "no such line: {line}");
            topic.questions.push((kind.into(), lines, text.into()));
        } else if let Some((who, text)) = line.split_once("> ").filter(|(who, _)| {
            *who == "A" || *who == "B" || who.strip_prefix("T ").is_some_and(|tool| !tool.contains(' '))
        }) {
            let who = who.trim_start_matches("T ").to_owned();
            topic.lines.push(Line { who, text: text.replace("\\n", "\n"), is_later });
            is_later = false;
        } else {
            let (slot, values) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            topic.slots.push((slot.into(), values.split(" | ").map(|value| value.trim().to_owned()).collect()));
        }
    }
    topics
}

const VERBS: [&str; 20] = [
    "apply", "attach", "blend", "clamp", "decode", "drain", "emit", "enqueue", "estimate", "hydrate", "infer",
    "lookup", "mount", "patch", "probe", "replay", "sample", "stitch", "trim", "walk",
];
const NOUNS: [&str; 28] = [
    "Beacon", "Bundle", "Cohort", "Cursor", "Delta", "Epoch", "Fragment", "Glyph", "Grid", "Harness", "Lease",
    "Marker", "Mesh", "Offset", "Palette", "Payload", "Quota", "Ribbon", "Roster", "Sensor", "Shard", "Slot", "Sprite",
    "Strand", "Tenant", "Tile", "Voxel", "Window",
];
const PERSONS: [&str; 24] = [
    "Annika", "Bogdan", "Carmen", "Dario", "Elif", "Farah", "Gregor", "Hanneke", "Ingrid", "Jorge", "Katya", "Leandro",
    "Maren", "Nadia", "Oskar", "Priya", "Quentin", "Rosalind", "Sanjay", "Tomasz", "Ulrike", "Viktor", "Wanda",
    "Yusuf",
];

struct Teller {
    random: Random,
    clock: i64,
    seen: usize,
}

type Slots = BTreeMap<String, String>;

impl Teller {
    fn made_up(&mut self, form: &str) -> String {
        let (verb, one, two) = (*self.random.of(&VERBS), *self.random.of(&NOUNS), *self.random.of(&NOUNS));
        match form {
            "camel" => format!("{verb}{one}{two}"),
            "snake" => format!("{verb}_{}_{}", one.to_lowercase(), two.to_lowercase()),
            "type" => format!("{one}{two}"),
            "file" => format!("{}_{}", one.to_lowercase(), two.to_lowercase()),
            "hash" => format!("{:07x}", self.random.next() >> 36),
            "person" => (*self.random.of(&PERSONS)).to_owned(),
            range => {
                let (least, most) = range.split_once('-').unwrap_or(("1", "99"));
                let (least, most): (usize, usize) = (least.parse().unwrap_or(1), most.parse().unwrap_or(99));
                (least + self.random.below(most - least + 1)).to_string()
            }
        }
    }

    fn slots(&mut self, topic: &Topic, names: [&str; 2]) -> Slots {
        let mut slots = Slots::new();
        slots.insert("A".into(), names[0].into());
        slots.insert("B".into(), names[1].into());
        for (name, values) in &topic.slots {
            let value = self.random.of(values).clone();
            let value = value.strip_prefix('#').map_or(value.clone(), |form| self.made_up(form));
            slots.insert(name.clone(), value);
        }
        slots
    }

    /// Fills slots, chooses between `[one | another]`, and misspells `~word~`.
    fn render(&mut self, text: &str, slots: &Slots) -> String {
        let mut text = text.to_owned();
        for (name, value) in slots {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        let mut made = String::new();
        let mut rest = text.as_str();
        // A choice has a bar with spaces around it; other brackets stay.
        while let Some(start) = rest.find('[') {
            let Some(end) = rest[start..].find(']').map(|end| start + end) else { break };
            made.push_str(&rest[..start]);
            let inner = &rest[start + 1..end];
            let choices: Vec<&str> = inner.split(" | ").collect();
            if choices.len() > 1 {
                made.push_str(self.random.text(&choices));
            } else {
                made.push_str(&rest[start..=end]);
            }
            rest = &rest[end + 1..];
        }
        made.push_str(rest);
        let parts: Vec<&str> = made.split('~').collect();
        if parts.len() < 3 {
            return made;
        }
        let misspell =
            |(place, part): (usize, &&str)| if place % 2 == 1 { self.misspelt(part) } else { (*part).into() };
        parts.iter().enumerate().map(misspell).collect()
    }

    fn misspelt(&mut self, word: &str) -> String {
        let mut letters: Vec<char> = word.chars().collect();
        if letters.len() > 4 {
            let at = 1 + self.random.below(letters.len() - 2);
            match self.random.below(4) {
                0 => drop(letters.remove(at)),
                1 => letters.swap(at, at + 1),
                2 => letters.insert(at, letters[at]),
                _ => letters[at] = *self.random.of(&['a', 'e', 'i', 'o', 'n', 'r', 's', 't']),
            }
        }
        letters.into_iter().collect()
    }

    fn id(&mut self) -> String {
        let (a, b) = (self.random.next(), self.random.next());
        let (c, d) = ((a >> 16) & 0xffff, a & 0xfff);
        format!("{:08x}-{c:04x}-4{d:03x}-9{:03x}-{:012x}", a >> 32, b >> 52, b & 0xffff_ffff_ffff)
    }
}

/// A topic that is told once, cut where it goes on in a later session.
struct Told<'a> {
    topic: &'a Topic,
    slots: Slots,
    ids: Vec<Option<String>>,
    next: usize,
}

/// The sessions of a shape from a seed, and at most so many questions about them.
pub fn held(shape: Shape, seed: u64, questions: usize) -> Held {
    let all = topics(shape.source());
    let mut teller = Teller { random: Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ 0xa076), clock: 0, seen: 0 };
    let (noise, told): (Vec<&Topic>, Vec<&Topic>) = all.iter().partition(|topic| topic.name.starts_with("noise"));
    let mut held = Held { sessions: Vec::new(), questions: Vec::new() };
    match shape {
        Shape::Work | Shape::OneWeek => {
            let rounds = 5;
            teller.people(shape, "work", ["", ""], &told, rounds, &noise, &mut held);
        }
        Shape::Talk | Shape::LongTalk => {
            for (number, names) in [
                ["Melissa", "Brandon"],
                ["Chloe", "Nathaniel"],
                ["Imani", "Deborah"],
                ["Patrick", "Sofia"],
                ["Lucas", "Adrienne"],
                ["Joyce", "Malcolm"],
                ["Tessa", "Raymond"],
                ["Omar", "Bridget"],
            ]
            .into_iter()
            .enumerate()
            {
                teller.people(shape, &format!("pair-{number}"), names, &told, 1, &noise, &mut held);
            }
        }
        Shape::Aide => {
            // Between the questions, each of them works too. Nobody asks about that here.
            let mut work = topics(WORK);
            work.retain(|topic| !topic.name.contains('@') && !topic.name.starts_with("noise"));
            work.iter_mut().for_each(|topic| topic.questions.clear());
            let told: Vec<&Topic> = told.iter().copied().chain(&work).collect();
            for number in 0..6 {
                teller.people(shape, &format!("aide-{number}"), ["", ""], &told, 1, &noise, &mut held);
            }
        }
    }
    // Those that are asked are drawn evenly from all.
    for place in (1..held.questions.len()).rev() {
        let other = teller.random.below(place + 1);
        held.questions.swap(place, other);
    }
    held.questions.truncate(questions);
    held
}

impl Teller {
    #[allow(clippy::too_many_arguments, reason = "a bench")]
    fn people(
        &mut self,
        shape: Shape,
        label: &str,
        names: [&str; 2],
        topics: &[&Topic],
        rounds: usize,
        noise: &[&Topic],
        held: &mut Held,
    ) {
        const MINUTE: i64 = 60_000;
        const DAY: i64 = 24 * 60 * MINUTE;
        let mut waiting: Vec<Told> = Vec::new();
        for _ in 0..rounds {
            for topic in topics {
                // Two people each tell their own; not everybody tells everything.
                let turns = if names[0].is_empty() { vec![names] } else { vec![names, [names[1], names[0]]] };
                for pair in turns {
                    if names[0].is_empty() || self.random.chance(60) {
                        let slots = self.slots(topic, pair);
                        let ids = vec![None; topic.lines.len()];
                        waiting.push(Told { topic, slots, ids, next: 0 });
                    }
                }
            }
        }
        let topics_at_once = match shape {
            Shape::LongTalk => 24,
            Shape::Talk => 3,
            _ => 2,
        };
        self.clock = 1_700_000_000_000 + (self.random.below(90) as i64) * DAY;
        let sessions_ahead = waiting.len() / topics_at_once + 1;
        let pause = match shape {
            Shape::OneWeek => 7 * DAY / sessions_ahead.max(1) as i64,
            Shape::Work | Shape::Aide => 700 * DAY / sessions_ahead.max(1) as i64,
            _ => 9 * DAY,
        };
        while !waiting.is_empty() {
            let session = self.id();
            let project = match shape {
                Shape::Work => {
                    format!("/srv/code/{}", ["greenhouse", "tilegame", "genomics", "thesis", "homelab"][self.seen % 5])
                }
                _ => format!("/srv/{label}"),
            };
            self.seen += 1;
            let mut messages: Vec<SessionMessage> = Vec::new();
            let time = (shape != Shape::LongTalk).then_some(self.clock);
            let mut say = |teller: &mut Self, who: &str, from: &str, text: String| -> String {
                let uuid = teller.id();
                // A record of two people says who speaks.
                let text = if from.is_empty() || names[0].is_empty() { text } else { format!("{from}: {text}") };
                let (role, tools) = match who {
                    "A" => (MessageAuthor::User, Vec::new()),
                    "B" => (MessageAuthor::Assistant, Vec::new()),
                    tool => (MessageAuthor::Tool, vec![tool.to_owned()]),
                };
                // Two people: either may have begun the topic.
                let role = if from.is_empty() || role == MessageAuthor::Tool {
                    role
                } else if from == names[0] {
                    MessageAuthor::User
                } else {
                    MessageAuthor::Assistant
                };
                messages.push(SessionMessage {
                    uuid: uuid.clone(),
                    session: session.clone(),
                    project: project.clone(),
                    time: time.map(|time| time + messages.len() as i64 * 50_000),
                    role,
                    tools,
                    text,
                    agent: None,
                    offset: messages.len() as u64 * 900,
                });
                uuid
            };
            let mut here: Vec<Told> = Vec::new();
            let mut tries = 0;
            while here.len() < topics_at_once && !waiting.is_empty() {
                tries += 1;
                let place = self.random.below(waiting.len());
                let told = waiting.swap_remove(place);
                // Not the same topic twice in a session.
                if here.iter().any(|other| other.topic.name == told.topic.name) && tries < 200 {
                    waiting.push(told);
                    continue;
                }
                here.push(told);
            }
            let filler = |teller: &mut Self, say: &mut dyn FnMut(&mut Self, &str, &str, String) -> String| {
                let topic = *teller.random.of(noise);
                let pair = if teller.random.chance(50) { names } else { [names[1], names[0]] };
                let slots = teller.slots(topic, pair);
                let line = &topic.lines[teller.random.below(topic.lines.len())];
                let text = teller.render(&line.text, &slots);
                let from = if line.who == "A" { pair[0] } else { pair[1] };
                say(teller, &line.who, from, text);
            };
            for mut told in here {
                for _ in 0..self.random.below(3) {
                    filler(self, &mut say);
                }
                let mut is_first = true;
                while let Some(line) = told.topic.lines.get(told.next) {
                    if line.is_later && !is_first {
                        break;
                    }
                    is_first = false;
                    let from = match line.who.as_str() {
                        "A" => told.slots["A"].clone(),
                        "B" => told.slots["B"].clone(),
                        _ => String::new(),
                    };
                    let text = self.render(&line.text, &told.slots);
                    told.ids[told.next] = Some(say(self, &line.who, &from, text));
                    told.next += 1;
                    if self.random.chance(12) {
                        filler(self, &mut say);
                    }
                }
                if told.next < told.topic.lines.len() {
                    waiting.push(told);
                    continue;
                }
                for (kind, lines, text) in &told.topic.questions {
                    let text = self.render(text, &told.slots);
                    let answers = lines.iter().filter_map(|line| told.ids[*line].clone()).collect();
                    let project = (shape == Shape::Aide).then(|| project.clone());
                    held.questions.push(Asked { kind: kind.clone(), text, answers, project });
                }
            }
            self.clock += pause / 2 + (self.random.below(100) as i64) * pause / 100;
            held.sessions.push(messages);
        }
    }
}
