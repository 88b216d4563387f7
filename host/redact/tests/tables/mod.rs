//! Tables that the rules were not made from: forms of tokens that are drawn anew in each run, what looks like them and is
//! harmless, and the examples that another scanner has of its rules.

use std::fmt::Write;
use std::path::PathBuf;

/// A text, and the part of it that must not stay.
pub struct Case {
    /// Where the secret stands, or what a harmless text is.
    pub place: String,
    pub text: String,
    /// Nothing for a text that must stay as it is.
    pub secret: Option<String>,
}

impl Case {
    /// Whether what is left of the text is as it must be: no half of a secret, or all of a harmless text.
    pub fn holds(&self, left: &str) -> bool {
        let Some(secret) = &self.secret else { return left == self.text };
        let (first, second) = secret.split_at(secret.floor_char_boundary(secret.len() / 2));
        !left.contains(first) && !left.contains(second)
    }
}

/// Random numbers from a seed.
pub struct Dice(pub u64);

const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";
const LARGE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";

impl Dice {
    /// Dice of another seed in each run.
    pub fn fresh() -> Self {
        Self(getrandom::u64().unwrap())
    }

    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn of(&mut self, alphabet: &str, length: usize) -> String {
        let signs = alphabet.as_bytes();
        (0..length).map(|_| char::from(signs[self.below(signs.len())])).collect()
    }

    fn hex(&mut self, length: usize) -> String {
        self.of("0123456789abcdef", length)
    }

    fn base64(&mut self, length: usize) -> String {
        self.of(&[LARGE, SMALL, DIGITS, "+/"].concat(), length)
    }

    fn name(&mut self) -> String {
        const PARTS: [&str; 24] = [
            "ac", "me", "flo", "wi", "zen", "dro", "pix", "kar", "lo", "tu", "ver", "sta", "qua", "bri", "neo", "mon",
            "so", "lar", "ty", "fe", "gri", "do", "ha", "cro",
        ];
        (0..1 + self.below(3)).map(|_| self.one(&PARTS)).collect()
    }

    /// A token of a service that there is none of.
    pub fn token(&mut self) -> String {
        let alphabets = [
            [LARGE, SMALL, DIGITS].concat(),
            "0123456789abcdef".to_owned(),
            "0123456789ABCDEF".to_owned(),
            [SMALL, DIGITS].concat(),
            [LARGE, DIGITS].concat(),
            [LARGE, "234567"].concat(),
            [LARGE, SMALL, DIGITS, "+/"].concat(),
            [LARGE, SMALL, DIGITS, "-_"].concat(),
            "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".to_owned(),
        ];
        let alphabet = alphabets[self.below(alphabets.len())].as_str();
        let is_hex = alphabet.len() == 16;
        let lengths: &[usize] =
            if is_hex { &[32, 36, 44, 48, 64] } else { &[20, 22, 24, 26, 28, 30, 32, 36, 40, 43, 48, 60, 64, 72, 86] };
        let length = lengths[self.below(lengths.len())];
        let body = self.of(alphabet, length);
        let name = self.name();
        match self.below(9) {
            0 => body,
            1 | 2 => format!("{name}{}{body}", self.one(&["_", "-"])),
            3 | 4 => {
                let kind = self.one(&["live", "test", "prod", "key", "pat", "sk", "api", "v1", "secret", "oat"]);
                let between = self.one(&["_", "-"]);
                format!("{}{between}{kind}{between}{body}", &name[..2])
            }
            5 => format!("{}{}{body}", name[..2].to_uppercase(), self.one(&["", "-", "_"])),
            6 => format!("{}{}{}.{body}", &name[..2], self.one(&[".", ":", "~"]), self.of(alphabet, 16)),
            7 => format!("sk-{name}-{body}"),
            _ => format!("{body}{}", self.one(&["", "=", "=="])),
        }
    }

    /// A token in prose, in JSON, in a command and in code.
    pub fn places(&mut self) -> Vec<Case> {
        let token = self.token();
        let case = |place: &str, text: String| Case { place: place.to_owned(), text, secret: Some(token.clone()) };
        vec![
            case("prose", format!("I pasted {token} into the form, and it worked.")),
            case("JSON", format!("{{\"user\": \"ann\", \"value\": \"{token}\", \"n\": 3}}")),
            case("command", format!("acme push --region eu {token} --quiet")),
            case("code", format!("let client = Client::new(\"{token}\", 30);")),
        ]
    }

    fn identifier(&mut self) -> String {
        const WORDS: [&str; 40] = [
            "get", "set", "http", "parser", "token", "index", "value", "config", "server", "client", "response",
            "buffer", "stream", "user", "name", "list", "map", "node", "cache", "update", "session", "handler",
            "version", "build", "render", "layout", "theme", "string", "array", "object", "path", "file", "write",
            "close", "result", "option", "state", "event", "async", "schema",
        ];
        let mut words: Vec<String> = (0..3 + self.below(4)).map(|_| self.one(&WORDS).to_owned()).collect();
        if self.below(2) == 0 {
            let number = self.one(&["2", "3", "8", "16", "32", "64", "128", "256", "512", "2024"]);
            let at = 1 + self.below(words.len());
            words.insert(at, number.to_owned());
        }
        let large = |word: &String| word[..1].to_uppercase() + &word[1..];
        match self.below(4) {
            0 => words.join("_"),
            1 => words.iter().map(large).collect(),
            2 => words.join("-"),
            _ => words.join("_").to_uppercase(),
        }
    }

    fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|length| self.hex(length)).join("-")
    }

    /// A text that looks as if a token were in it.
    pub fn harmless(&mut self) -> Case {
        let (one, other) = (self.name(), self.name());
        let (place, text) = match self.below(26) {
            0 => ("commit", format!("commit {}", self.hex(40))),
            1 => ("merge", format!("Merge {} into {}", self.hex(40), self.hex(7))),
            2 => ("range", format!("{}..{}", self.hex(40), self.hex(40))),
            3 => ("UUID", format!("request id {} done", self.uuid())),
            4 => ("integrity", format!("\"integrity\": \"sha512-{}==\",", self.base64(86))),
            5 => ("checksum", format!("checksum = \"{}\"", self.hex(64))),
            6 => ("image of a container", format!("FROM node@sha256:{}", self.hex(64))),
            7 => ("hash of a package", format!("--hash=sha256:{} \\", self.hex(64))),
            8 => ("sum of a module", format!("github.com/{one}/{other} v1.2.3 h1:{}=", self.base64(43))),
            9 => ("identifiers", format!("let x = {}({});", self.identifier(), self.identifier())),
            10 => ("path", format!("/home/{one}/{other}/src/{}.rs:{}", self.identifier(), self.below(900))),
            11 => ("address", format!("see https://{one}.example.com/docs/{}?page=2", self.identifier())),
            12 => (
                "document",
                format!(
                    "https://docs.google.com/document/d/{}/edit",
                    self.of(&[LARGE, SMALL, DIGITS, "-_"].concat(), 44)
                ),
            ),
            13 => ("image", format!("<img src=\"data:image/png;base64,{}\">", self.base64(80))),
            14 => ("version", format!("{one} v1.{}.2-beta.{}+build.20261{}", self.below(30), self.below(9), 101)),
            15 => ("colours", format!("#{} #{}", self.hex(6), self.hex(8))),
            16 => ("asset", format!("dist/assets/index-{}.js  1.2 kB", self.base64(8).replace(['+', '/'], "x"))),
            17 => ("library", format!("target/debug/deps/lib{one}-{}.rlib", self.hex(16))),
            18 => ("public key", format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} me@host", self.base64(43))),
            19 => {
                let (set, short) =
                    (self.of("bcdfghjklmnpqrstvwxz2456789", 9), self.of("bcdfghjklmnpqrstvwxz2456789", 5));
                ("pod", format!("pod/{one}-{other}-{set}-{short} Running"))
            }
            20 => {
                let kind = self.one(&["toolu_01", "msg_01", "req_011", "call_", "chatcmpl-"]);
                ("identifier", format!("{kind}{}", self.of(&[LARGE, SMALL, DIGITS].concat(), 22)))
            }
            21 => ("sha256sum", format!("{}  {one}.tar.gz", self.hex(64))),
            22 => ("ETag", format!("ETag: \"{}\"", self.hex(32))),
            23 => ("time", format!("2026-11-25T12:04:01.{:09}Z level=info", self.below(1_000_000_000))),
            24 => ("symbol", format!("_ZN4core3fmt9Formatter3pad17h{}E", self.hex(16))),
            _ => {
                let digest = self.of("0123456789abcdfghijklmnpqrsvwxyz", 32);
                ("store", format!("/nix/store/{digest}-{one}-1.2.3/bin/{other}"))
            }
        };
        Case { place: place.to_owned(), text, secret: None }
    }
}

/// The examples that Kingfisher has of its rules, if the crate that brings them is on this machine: each with the part
/// that its rule takes for the secret. Rules for what only helps to use a secret are left out.
pub fn examples() -> Vec<Case> {
    #[derive(serde::Deserialize)]
    struct Rules {
        rules: Vec<Rule>,
    }
    #[derive(serde::Deserialize)]
    struct Rule {
        id: String,
        pattern: String,
        #[serde(default)]
        visible: Option<bool>,
        #[serde(default)]
        examples: Vec<String>,
    }
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).unwrap_or_default();
    let folders = std::fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    let crates = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    let scanner = crates.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains("/secrets_scanner-"));
    let text = scanner.and_then(|path| std::fs::read_to_string(path.join("assets/kingfisher-rules.yml")).ok());
    let Some(Ok(rules)) = text.map(|text| serde_saphyr::from_str::<Rules>(&text)) else { return Vec::new() };
    let mut cases: Vec<Case> = Vec::new();
    for rule in rules.rules.iter().filter(|rule| rule.visible != Some(false)) {
        let Ok(pattern) = regex::RegexBuilder::new(&rule.pattern).size_limit(100 << 20).build() else { continue };
        for example in &rule.examples {
            let Some(found) = pattern.captures(example) else { continue };
            let group = found.name("TOKEN").or_else(|| found.iter().skip(1).flatten().next()).or_else(|| found.get(0));
            let Some(secret) = group.map(|group| group.as_str().to_owned()) else { continue };
            cases.push(Case { place: rule.id.clone(), text: example.clone(), secret: Some(secret) });
        }
    }
    cases
}

/// The share of the cases that hold, in percent, and those that don't as text.
pub fn share(cases: &[Case], redact: impl Fn(&str) -> String) -> (f64, String) {
    let mut failed = String::new();
    let mut held = 0;
    for case in cases {
        let left = redact(&case.text);
        if case.holds(&left) {
            held += 1;
        } else {
            let _ = writeln!(failed, "{}: {:?} -> {left:?}", case.place, case.text);
        }
    }
    (f64::from(held) * 100.0 / cases.len().max(1) as f64, failed)
}
