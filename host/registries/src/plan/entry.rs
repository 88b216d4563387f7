//! From a way and the answers to an entry of `mcp.json`.

use std::collections::BTreeMap;

use aiw_core::registry::Format;
use aiw_core::{HeaderName, Question, Secret, SecretName, is_internal, is_secret_name, is_secret_value, quoted};
use aiw_home::secret_names;
use aiw_servers::secret_reference;
use serde_json::{Map, Value as Json, json};

use super::answer::{check, is_reference};
use super::command::Arg;
use super::error::EntryPlanError;
use super::inputs::{TemplatePart, Value, is_host_placeholder};
use super::method::{InstallAction, InstallMethod};
use super::remote::check_address;

/// The person's answers, by the questions' names. An answer of exactly `${NAME}` is read from the environment when the
/// server starts, one of exactly `${secret:NAME}` from the vault.
#[derive(Debug, Clone, Default)]
pub struct EntryValues(BTreeMap<String, Vec<Secret>>);

impl EntryValues {
    /// Adds an answer; a question that is repeated takes several.
    pub fn add_value(&mut self, question: impl Into<String>, answer: Secret) {
        self.0.entry(question.into()).or_default().push(answer);
    }

    /// The answers that an entry was made with.
    pub fn from_recorded(answers: &BTreeMap<String, Vec<String>>) -> Self {
        let secrets = |answers: &Vec<String>| answers.iter().map(Secret::new).collect();
        Self(answers.iter().map(|(name, answers)| (name.clone(), secrets(answers))).collect())
    }

    /// Gives an answer in place of the earlier ones.
    pub fn replace(&mut self, question: impl Into<String>, answer: Secret) {
        self.0.insert(question.into(), vec![answer]);
    }

    /// Leaves out the answers to questions that are not asked any more. Returns their names.
    pub fn keep_only(&mut self, questions: &[Question]) -> Vec<String> {
        let is_asked = |name: &String| questions.iter().any(|question| question.name == *name);
        let gone = self.0.keys().filter(|name| !is_asked(name)).cloned().collect();
        self.0.retain(|name, _| is_asked(name));
        gone
    }

    /// Whether a question has an answer.
    pub fn has(&self, question: &str) -> bool {
        self.0.contains_key(question)
    }
}

/// An entry of `mcp.json`, and the secrets that it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryPlan {
    /// The entry: `command`, `args` and `env`, or `type`, `url` and `headers`.
    pub declaration: Map<String, Json>,
    /// The secrets to store before the entry is written.
    pub secrets: Vec<(SecretName, Secret)>,
    /// The answers by question; a secret is a reference to the vault. They make the same entry again.
    pub answers: BTreeMap<String, Vec<String>>,
}

/// Makes the entry of a server that runs in a way. `key` is its key in `mcp.json`, of which the names of its secrets
/// are made; `is_taken` says which names the vault has already.
///
/// # Errors
///
/// The way can't be used, an answer is missing, or one doesn't fit. No error repeats an answer.
pub fn plan_entry(
    way: &InstallMethod,
    answers: &EntryValues,
    key: &str,
    is_taken: impl Fn(&SecretName) -> bool,
) -> Result<EntryPlan, EntryPlanError> {
    let recipe = way.action.as_ref().map_err(|reason| EntryPlanError::Unsupported(reason.clone()))?;
    let mut filling = Filling::new(way.questions(), answers, key, &is_taken)?;
    let mut declaration = Map::new();
    match recipe {
        InstallAction::Fetch { .. } => return Err(EntryPlanError::BundleNotRead),
        InstallAction::Run(run) => {
            let mut env = Map::new();
            for variable in &run.env {
                if let Some(text) = filling.once(&variable.value, &quoted(&variable.name), ValueTarget::Variable)? {
                    env.insert(variable.name.clone(), text.into());
                }
            }
            let mut args = Vec::new();
            for arg in &run.args {
                filling.arg(arg, &env, &mut args)?;
            }
            declaration.insert("command".into(), run.program.as_str().into());
            declaration.insert("args".into(), args.into());
            if !env.is_empty() {
                declaration.insert("env".into(), env.into());
            }
            if let Some(directory) = &run.directory {
                declaration.insert("cwd".into(), directory.as_str().into());
            }
        }
        InstallAction::Connect(reach) => {
            let address = filling.once(&reach.url, "the address", ValueTarget::Address)?.unwrap_or_default();
            let mut headers = Map::new();
            for header in &reach.headers {
                if let Some(text) = filling.once(&header.value, &quoted(&header.name), ValueTarget::Header)? {
                    headers.insert(header.name.clone(), text.into());
                }
            }
            declaration.insert("type".into(), "http".into());
            declaration.insert("url".into(), address.into());
            if !headers.is_empty() {
                declaration.insert("headers".into(), headers.into());
            }
        }
    }
    aiw_servers::parse_server(key, &json!(declaration)).map_err(EntryPlanError::InvalidEntry)?;
    let answers = filling.recorded();
    Ok(EntryPlan { declaration, secrets: filling.secrets, answers })
}

/// Where a value goes.
#[derive(Clone, Copy, PartialEq)]
enum ValueTarget {
    Variable,
    Header,
    Address,
    Argument,
    /// A word of its own, which must not become an option.
    Word,
}

/// One answer.
enum ProvidedValue<'a> {
    Text(&'a str),
    Reference(String),
}

struct Filling<'a> {
    asked: BTreeMap<&'a str, (&'a Question, Vec<&'a str>)>,
    answers: &'a EntryValues,
    key: &'a str,
    is_taken: &'a dyn Fn(&SecretName) -> bool,
    secrets: Vec<(SecretName, Secret)>,
    /// By question and number.
    named: BTreeMap<(&'a str, usize), SecretName>,
}

impl<'a> Filling<'a> {
    fn new(
        questions: &'a [Question],
        answers: &'a EntryValues,
        key: &'a str,
        is_taken: &'a dyn Fn(&SecretName) -> bool,
    ) -> Result<Self, EntryPlanError> {
        let mut asked = BTreeMap::new();
        for question in questions {
            let given = answers.0.get(&question.name).into_iter().flatten().map(Secret::expose);
            // An empty answer counts as none, unless it stands for the flag alone.
            let given: Vec<&str> = given.filter(|answer| !answer.is_empty() || question.allows_bare_flag).collect();
            let wrong = |why: String| EntryPlanError::InvalidValue { name: quoted(&question.name), why };
            if given.len() > 1 && !question.repeated {
                return Err(wrong("is given several times".into()));
            }
            given.iter().try_for_each(|answer| check(question, answer)).map_err(wrong)?;
            asked.insert(question.name.as_str(), (question, given));
        }
        if let Some(name) = answers.0.keys().find(|name| !asked.contains_key(name.as_str())) {
            let known = questions.iter().map(|question| question.name.clone()).collect();
            return Err(EntryPlanError::UnknownSetting { name: quoted(name), known });
        }
        let missing = |(question, given): &&(&Question, Vec<&str>)| question.required && given.is_empty();
        let names: Vec<String> = asked.values().filter(missing).map(|(question, _)| question.name.clone()).collect();
        if !names.is_empty() {
            return Err(EntryPlanError::MissingValues { names });
        }
        Ok(Self { asked, answers, key, is_taken, secrets: Vec::new(), named: BTreeMap::new() })
    }

    /// The answers as they may be kept in clear.
    fn recorded(&self) -> BTreeMap<String, Vec<String>> {
        let one = |name: &&'a str, number: usize, answer: &str| match self.named.get(&(*name, number)) {
            Some(stored) => secret_reference(stored),
            None => answer.to_owned(),
        };
        // An empty answer is kept, too: an update doesn't take the default in its place.
        let is_answered = |name: &str, given: &[&str]| !given.is_empty() || self.answers.has(name);
        let given = self.asked.iter().filter(|(name, (_, given))| is_answered(name, given));
        let all = given.map(|(name, (question, given))| {
            let answers = given.iter().enumerate();
            // What was not used is not kept if it is a secret.
            let kept = answers.filter(|(number, answer)| {
                !question.secret || is_reference(answer) || self.named.contains_key(&(*name, *number))
            });
            ((*name).to_owned(), kept.map(|(number, answer)| one(name, number, answer)).collect())
        });
        all.collect()
    }

    /// How often a value is there: once for each answer, and not at all if one of its places has none.
    fn times(&self, value: &Value) -> Result<usize, EntryPlanError> {
        let mut most = 1;
        for name in value.questions() {
            let Some((question, given)) = self.asked.get(name) else { return Ok(0) };
            match given.len() {
                0 => return Ok(0),
                1 => {}
                count if most == 1 || most == count => most = count,
                _ => {
                    let why = "is given more or less often than what goes with it".to_owned();
                    return Err(EntryPlanError::InvalidValue { name: quoted(&question.name), why });
                }
            }
        }
        Ok(most)
    }

    /// A value that there is once or not at all.
    fn once(&mut self, value: &Value, place: &str, spot: ValueTarget) -> Result<Option<String>, EntryPlanError> {
        match self.times(value)? {
            0 => Ok(None),
            1 => self.text(value, 0, place, spot).map(Some),
            _ => {
                Err(EntryPlanError::InvalidValue { name: place.to_owned(), why: "can't be given several times".into() })
            }
        }
    }

    fn arg(&mut self, arg: &Arg, env: &Map<String, Json>, args: &mut Vec<String>) -> Result<(), EntryPlanError> {
        match arg {
            Arg::Word { value, .. } => {
                for number in 0..self.times(value)? {
                    args.push(self.text(value, number, "an argument", ValueTarget::Word)?);
                }
            }
            Arg::Named { flag, value, joined, .. } => {
                for number in 0..self.times(value)? {
                    let text = self.text(
                        value,
                        number,
                        flag,
                        if *joined { ValueTarget::Argument } else { ValueTarget::Word },
                    )?;
                    match (text.is_empty(), joined) {
                        (true, _) => args.push(flag.clone()),
                        (false, true) => args.push(format!("{flag}={text}")),
                        (false, false) => args.extend([flag.clone(), text]),
                    }
                }
            }
            Arg::Switch { flag, question, is_on } => {
                let given = self.asked.get(question.as_str()).and_then(|(_, given)| given.first().copied());
                match given {
                    Some("true" | "") => args.push(flag.clone()),
                    Some("false") if *is_on => args.push(format!("{flag}=false")),
                    Some("false") | None => {}
                    Some(_) => {
                        let why =
                            "has to be `true` or `false` itself: it decides whether there is an argument".to_owned();
                        return Err(EntryPlanError::InvalidValue { name: quoted(question), why });
                    }
                }
            }
            Arg::PassEnv(name) if env.contains_key(name) => args.extend(["-e".to_owned(), name.clone()]),
            Arg::PassEnv(_) => {}
        }
        Ok(())
    }

    /// A value with its answers. What is not a reference is never read as one.
    fn text(&mut self, value: &Value, number: usize, place: &str, spot: ValueTarget) -> Result<String, EntryPlanError> {
        let (mut text, mut plain) = (String::new(), String::new());
        for (at, piece) in value.0.iter().enumerate() {
            let name = match piece {
                TemplatePart::Text(fixed) => {
                    plain.push_str(fixed);
                    text.push_str(fixed);
                    continue;
                }
                TemplatePart::Placeholder(name) => name,
            };
            let wrong = |why: &str| EntryPlanError::InvalidValue { name: quoted(name), why: why.to_owned() };
            match self.said(name, number, spot)? {
                ProvidedValue::Text(answer) => {
                    if spot == ValueTarget::Word && at == 0 && answer.starts_with('-') && answer.parse::<f64>().is_err()
                    {
                        return Err(wrong("begins with `-`, so it would be read as an option"));
                    }
                    check_plain(answer, &quoted(name))?;
                    let is_sent = answer.bytes().all(|b| matches!(b, b' '..=b'~'));
                    let answer = match spot {
                        ValueTarget::Address => placed(&value.0, at, answer).map_err(wrong)?,
                        ValueTarget::Header if !is_sent => return Err(wrong("can't be sent in a header")),
                        _ => answer.to_owned(),
                    };
                    plain.push_str(&answer);
                    text.push_str(&answer);
                }
                ProvidedValue::Reference(_) if spot == ValueTarget::Address && is_host_placeholder(&value.0, at) => {
                    return Err(wrong("decides where your data goes, so it can't come from a variable or the vault"));
                }
                ProvidedValue::Reference(reference) => {
                    // A text before it can't reach into a reference.
                    check_plain(&std::mem::take(&mut plain), place)?;
                    text.push_str(&reference);
                }
            }
        }
        check_plain(&plain, place)?;
        if spot == ValueTarget::Header && plain.len() == text.len() && !HeaderName::is_valid_value(&text) {
            return Err(EntryPlanError::InvalidValue {
                name: place.to_owned(),
                why: "can't be sent in a header".into(),
            });
        }
        if spot == ValueTarget::Address && plain.len() == text.len() {
            let why = |why: &str| EntryPlanError::InvalidValue { name: place.to_owned(), why: why.to_owned() };
            let url = check_address(&text).map_err(why)?;
            // Who gives the whole host means it. An end of one must not lead elsewhere than its beginning says.
            let is_part = |at| {
                at > 0
                    && matches!(value.0.get(at), Some(TemplatePart::Placeholder(_)))
                    && is_host_placeholder(&value.0, at)
            };
            if is_internal(&url) && (1..value.0.len()).any(is_part) {
                return Err(why(
                    "leads into a private or local network; `aiw mcp add NAME --url URL` adds such a server",
                ));
            }
        }
        Ok(text)
    }

    /// The answer to a question, as it goes to a place.
    fn said(&mut self, name: &str, number: usize, spot: ValueTarget) -> Result<ProvidedValue<'a>, EntryPlanError> {
        let Some((&name, (question, given))) = self.asked.get_key_value(name) else {
            return Ok(ProvidedValue::Text(""));
        };
        let number = if given.len() == 1 { 0 } else { number };
        let answer = given.get(number).copied().unwrap_or_default();
        let is_argument = matches!(spot, ValueTarget::Argument | ValueTarget::Word);
        if is_argument && answer.starts_with("${secret:") {
            let why = "is a secret, and every program on this machine can read arguments".to_owned();
            return Err(EntryPlanError::InvalidValue { name: quoted(name), why });
        }
        if is_reference(answer) {
            return Ok(ProvidedValue::Reference(answer.to_owned()));
        }
        // A choice is public. A path may look like a key, and a key may be asked for as a path.
        let is_path = question.format == Format::FilePath && answer.contains(['/', '\\']);
        let is_named = question.format == Format::FilePath && is_secret_name(&question.name);
        let looks = question.choices.is_empty() && !is_path && (is_named || is_secret_value(answer));
        if !(question.secret || looks) {
            return Ok(ProvidedValue::Text(answer));
        }
        let wrong = |why: &str| EntryPlanError::InvalidValue { name: quoted(name), why: why.to_owned() };
        if is_argument {
            return Err(wrong(
                "looks like a secret, and every program on this machine can read arguments; `${NAME}` takes it from a \
                 variable of yours if it has to be",
            ));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%=:+,@!*".contains(&byte);
        if spot == ValueTarget::Address && !answer.bytes().all(allowed) {
            return Err(wrong("can't stand in an address as it is; write other characters as `%` and two digits"));
        }
        if spot == ValueTarget::Header && !HeaderName::is_valid_value(answer) {
            return Err(wrong("can't be sent in a header"));
        }
        if let Some(stored) = self.named.get(&(name, number)) {
            return Ok(ProvidedValue::Reference(secret_reference(stored)));
        }
        let is_free = |new: &SecretName| !(self.is_taken)(new) && !self.secrets.iter().any(|(other, _)| other == new);
        let stored =
            secret_names(self.key, name).find(is_free).ok_or_else(|| wrong("has no free name in the vault"))?;
        self.secrets.push((stored.clone(), Secret::new(answer)));
        let reference = secret_reference(&stored);
        self.named.insert((name, number), stored);
        Ok(ProvidedValue::Reference(reference))
    }
}

/// Refuses a literal text that would be read for variables. There is no way to write it so that it means itself.
fn check_plain(text: &str, place: &str) -> Result<(), EntryPlanError> {
    if !text.contains("${") {
        return Ok(());
    }
    let why = "contains `${`, which would be read as a variable; only `${NAME}` alone is one".to_owned();
    Err(EntryPlanError::InvalidValue { name: place.to_owned(), why })
}

/// An answer within an address: a whole beginning, a part of the host, or one part of the path or the query.
fn placed(pieces: &[TemplatePart], at: usize, answer: &str) -> Result<String, &'static str> {
    if at == 0 {
        return match check_address(answer) {
            Ok(_) if !answer.contains(['?', '#', '{', '}', '\\']) => Ok(answer.trim_end_matches('/').to_owned()),
            Ok(_) => Err("is not the beginning of an address"),
            Err(why) => Err(why),
        };
    }
    if is_host_placeholder(pieces, at) {
        let is_part = answer.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)) && !answer.is_empty();
        return if is_part { Ok(answer.to_owned()) } else { Err("is not a part of a host's name") };
    }
    if matches!(answer, "." | "..") {
        return Err("is not a part of an address");
    }
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    Ok(answer.bytes().map(byte).collect())
}
