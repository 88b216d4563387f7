//! Forms of tokens that look random and are no secrets: what commits, digests, identifiers, images and public keys look
//! like, by themselves or by what is before them.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use base64::Engine as _;

use super::text::Span;

/// How far before a token the word is looked for that says what it is.
const MAX_PREFIX_BYTES: usize = 64;

/// How far before a line of a public key its first line may be.
const MAX_PUBLIC_KEY_BYTES: usize = 16 << 10;

/// The lengths of digests as hexadecimal digits: MD5, SHA-1, SHA-224 to SHA-512.
const HEX_DIGEST_LENGTHS: [usize; 6] = [32, 40, 56, 64, 96, 128];

/// The lengths of digests as base64 without its padding.
const BASE64_DIGEST_LENGTHS: [usize; 5] = [22, 27, 43, 64, 86];

/// Words that say that a digest follows.
const DIGEST_WORDS: [&str; 16] = [
    "sha1",
    "sha2",
    "sha3",
    "sha5",
    "sha-",
    "md5",
    "blake",
    "digest",
    "checksum",
    "hash",
    "integrity",
    "commit",
    "revision",
    "fingerprint",
    "etag",
    "h1:",
];

/// The beginnings of public keys of OpenSSH.
const SSH_PUBLIC_KEY_PREFIXES: [&str; 5] = ["AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "AAAAGnNrLX", "AAAAInNrLW"];

/// The kinds of blocks in PEM that everybody may see.
const PUBLIC_PEM_LABELS: [&str; 5] = ["PUBLIC", "CERTIFICATE", "SIGNATURE", "MESSAGE", "ENCRYPTED FILE"];

/// The beginnings of images, fonts and modules of WebAssembly in base64.
const MEDIA_PREFIXES: [&str; 9] =
    ["iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "PHN2Zy", "PD94bWwg", "d09GM", "AAEAAAA", "AGFzbQ"];

/// The beginnings of types of media.
const MEDIA_TYPES: [&str; 5] = ["image/", "audio/", "video/", "font/", "application/pdf"];

/// The beginnings of identifiers that APIs hand out, and of keys that they call public.
const IDENTIFIER_PREFIXES: [&str; 40] = [
    "toolu_",
    "srvtoolu_",
    "msg_",
    "call_",
    "req_",
    "resp_",
    "rs_",
    "fc_",
    "ws_",
    "chatcmpl-",
    "cmpl-",
    "asst_",
    "thread_",
    "run_",
    "step_",
    "batch_",
    "file-",
    "gen-",
    "evt_",
    "cus_",
    "pi_",
    "price_",
    "prod_",
    "sub_",
    "acct_",
    "txn_",
    "pm_",
    "seti_",
    "ch_",
    "in_",
    "cs_test_",
    "pk_live_",
    "pk_test_",
    "pk-lf-",
    "pub_",
    "publishable_",
    "sb_publishable_",
    "age1",
    "npub1",
    "trace-",
];

/// Parts of a token that say that the rest is a secret, whatever its form.
const SECRET_WORDS: [&str; 12] =
    ["sk", "key", "token", "secret", "pat", "api", "apikey", "auth", "access", "private", "priv", "password"];

/// Words before a token that say that it is a secret, whatever its form.
const LABEL_WORDS: [&str; 14] = [
    "token",
    "secret",
    "passw",
    "apikey",
    "api key",
    "api_key",
    "api-key",
    "auth key",
    "auth-key",
    "auth_key",
    "accesskey",
    "access key",
    "access_key",
    "privatekey",
];

/// How far before a token such a word is looked for.
const MAX_LABEL_OFFSET: usize = 28;

/// The words in an address of the web that say that who knows it may use it.
const SECRET_URL_WORDS: [&str; 5] = ["hook", "/bot", "token", "secret", "/key"];

/// The endings of files whose names have a digest of what is in them.
const HASHED_FILE_EXTENSIONS: [&str; 35] = [
    "js", "mjs", "cjs", "css", "map", "ts", "json", "jsonl", "html", "txt", "log", "md", "lock", "png", "jpg", "jpeg",
    "gif", "svg", "webp", "ico", "woff", "woff2", "ttf", "wasm", "rlib", "rmeta", "so", "d", "o", "tgz", "gz", "zip",
    "whl", "crate", "pack",
];

/// A run of signs that tokens have, with the text around it.
pub(super) struct TokenRun<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
}

fn has(bytes: &[u8], word: &str) -> bool {
    memchr::memmem::find(bytes, word.as_bytes()).is_some()
}

/// Finds any of some words, in whatever case.
fn any_of(words: &[&str]) -> Option<AhoCorasick> {
    AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()
}

fn starts(bytes: &[u8], word: &str) -> bool {
    bytes.starts_with(word.as_bytes())
}

/// Whether it is hexadecimal in one case.
fn is_hex(token: &[u8]) -> bool {
    token.iter().all(u8::is_ascii_hexdigit)
        && !(token.iter().any(u8::is_ascii_lowercase) && token.iter().any(u8::is_ascii_uppercase))
}

/// The length of an identifier of the form `8-4-4-4-12` at the start of a text, also with underscores.
fn uuid(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.strip_prefix(b"0x").unwrap_or(bytes);
    let is_uuid = digits.len() >= 36
        && digits[..36].iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => matches!(byte, b'-' | b'_'),
            _ => byte.is_ascii_hexdigit(),
        })
        && !digits.get(36).is_some_and(u8::is_ascii_alphanumeric);
    is_uuid.then(|| bytes.len() - digits.len() + 36)
}

/// The length of a number in code at the start of a text: `0x1f83_d9ab`, as 128 bits at most.
fn number(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.strip_prefix(b"0x")?;
    let length = digits.iter().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b'_').count();
    let hex = digits[..length].iter().filter(|byte| **byte != b'_').count();
    (hex <= 16 || hex <= 32 && hex < length).then_some(2 + length)
}

impl TokenRun<'_> {
    /// The length of an identifier that begins at a place: a commit or what else has the length of SHA-1, a UUID, an
    /// ObjectId, a ULID, a number; and a digest, if its name is before it.
    pub(super) fn identifier_len(&self, at: usize) -> Option<usize> {
        let bytes = &self.bytes[at..self.end];
        let length = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let token = &bytes[..length];
        if let Some(length) = number(bytes) {
            return Some(length);
        }
        let known = uuid(bytes).or_else(|| {
            let is_commit = length == 40 && is_hex(token);
            // Both begin with a time.
            let is_object = length == 24 && is_hex(token) && matches!(token[0], b'5' | b'6');
            let is_ulid = length == 26
                && starts(token, "01")
                && token
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase() && !b"ILOU".contains(byte));
            (is_commit || is_object || is_ulid).then_some(length)
        });
        if known.is_some() {
            return known.filter(|_| !self.is_told_secret(at));
        }
        let is_digest = HEX_DIGEST_LENGTHS.contains(&length) && is_hex(token);
        (is_digest && (self.is_told_digest(at) || self.is_listed(at + length))).then_some(length)
    }

    /// Whether a token of the run is known by what is around it.
    pub(super) fn is_harmless(&self, token: Span) -> bool {
        self.is_digest()
            || self.is_media()
            || self.is_identifier(token)
            || self.is_symbol()
            || self.is_public_key()
            || self.is_file(token)
            || self.is_address(token)
    }

    /// The text that the run is the code of: hexadecimal, or the base64 of an address that has its data in it. What looks
    /// random isn't read for it.
    pub(super) fn decode(&self) -> Option<String> {
        let run = self.run();
        let hex = run.strip_prefix(b"0x").unwrap_or(run);
        let text = if hex.len().is_multiple_of(2) && hex.iter().all(u8::is_ascii_hexdigit) {
            let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
            let bytes = hex.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1]));
            // Most binary data is recognised by its first bytes.
            let bytes = bytes.map(|byte| (byte.is_ascii_graphic() || byte.is_ascii_whitespace()).then_some(byte));
            bytes.collect::<Option<Vec<u8>>>()?
        } else if self.bytes[..self.start].ends_with(b";base64,") {
            base64::engine::general_purpose::STANDARD_NO_PAD
                .decode(&run[..run.len() - run.iter().rev().take(2).take_while(|byte| **byte == b'=').count()])
                .ok()?
        } else {
            return None;
        };
        String::from_utf8(text).ok()
    }

    fn run(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The text before a place, in its line.
    fn before(&self, at: usize, most: usize) -> &[u8] {
        let before = &self.bytes[at.saturating_sub(most)..at];
        memchr::memrchr(b'\n', before).map_or(before, |line| &before[line + 1..])
    }

    /// Whether the run or the words before it say that a secret follows at a place.
    fn is_told_secret(&self, at: usize) -> bool {
        let own = self.bytes[self.start..at].to_ascii_lowercase();
        let is_own = own
            .split(|byte| !byte.is_ascii_alphanumeric())
            .any(|word| SECRET_WORDS.iter().any(|secret| word == secret.as_bytes()));
        static LABEL_MATCHER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| any_of(&LABEL_WORDS));
        let is_told = || LABEL_MATCHER.as_ref().is_some_and(|words| words.is_match(self.before(at, MAX_LABEL_OFFSET)));
        is_own || (is_told() && !self.is_told_digest(at))
    }

    fn is_told_digest(&self, at: usize) -> bool {
        static DIGEST_WORD_MATCHER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| any_of(&DIGEST_WORDS));
        DIGEST_WORD_MATCHER.as_ref().is_some_and(|words| words.is_match(self.before(at, MAX_PREFIX_BYTES)))
    }

    /// Whether a name of a file follows, as `sha256sum` prints it.
    fn is_listed(&self, end: usize) -> bool {
        let after = &self.bytes[end..];
        (starts(after, "  ") || starts(after, " *")) && after.get(2).is_some_and(u8::is_ascii_graphic)
    }

    /// A digest in base64, whose algorithm's name or a word for it is before it.
    fn is_digest(&self) -> bool {
        let run = self.run();
        if ["sha1-", "sha256-", "sha384-", "sha512-", "md5-"].iter().any(|name| starts(run, name)) {
            return true;
        }
        let bare = run.len() - run.iter().rev().take_while(|byte| **byte == b'=').count();
        BASE64_DIGEST_LENGTHS.contains(&bare) && self.is_told_digest(self.start)
    }

    /// An image, or something else whose type is before it.
    fn is_media(&self) -> bool {
        if MEDIA_PREFIXES.iter().any(|begin| starts(self.run(), begin)) {
            return true;
        }
        let before = &self.bytes[self.start.saturating_sub(120)..self.start];
        before.ends_with(b";base64,") || (has(before, "data") && MEDIA_TYPES.iter().any(|kind| has(before, kind)))
    }

    /// An identifier that its beginning tells, or its place.
    fn is_identifier(&self, (start, end): Span) -> bool {
        let run = self.run();
        let begins = |from: usize| IDENTIFIER_PREFIXES.iter().any(|begin| starts(&self.bytes[from..end], begin));
        if begins(start) || begins(self.start) || run.ends_with(b".apps.googleusercontent.com") {
            return true;
        }
        // `00-TRACE-SPAN-01` of the header `traceparent`.
        let is_trace = run.len() == 55 && starts(run, "00-") && run.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
        // `name-7d9c5f8b6-x2k4q`, as Kubernetes names what runs.
        let mut parts = run.rsplit(|byte| *byte == b'-');
        let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_pod = last.len() == 5 && (8..=10).contains(&before.len()) && parts.next().is_some();
        // An address of mail, or the identifier of a message.
        let is_mail = self.bytes.get(self.end) == Some(&b'@')
            && self.bytes.get(self.end + 1).is_some_and(u8::is_ascii_alphanumeric)
            && self.start.checked_sub(1).is_none_or(|at| !matches!(self.bytes[at], b'/' | b':'));
        is_trace || is_pod || is_mail
    }

    /// The name of a symbol, as compilers of C++ and Rust write it.
    fn is_symbol(&self) -> bool {
        let run = self.run();
        starts(run, "_Z")
            || starts(run, "__ZN")
            || (starts(run, "_R") && run.get(2).is_some_and(u8::is_ascii_uppercase))
    }

    /// A key of OpenSSH, or a line of a block that everybody may see.
    fn is_public_key(&self) -> bool {
        if SSH_PUBLIC_KEY_PREFIXES.iter().any(|begin| starts(self.run(), begin)) {
            return true;
        }
        let before = &self.bytes[self.start.saturating_sub(MAX_PUBLIC_KEY_BYTES)..self.start];
        let Some(begin) = memchr::memmem::rfind(before, b"-----BEGIN ") else { return false };
        let block = &before[begin + 11..];
        let kind = block.split(|byte| *byte == b'-').next().unwrap_or_default();
        !has(block, "-----END ") && PUBLIC_PEM_LABELS.iter().any(|word| has(kind, word))
    }

    /// A part of a path, or the name of a file that has a digest.
    fn is_file(&self, (start, _): Span) -> bool {
        let run = self.run();
        let ending = run.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        if ending.len() < run.len() && HASHED_FILE_EXTENSIONS.iter().any(|known| known.as_bytes() == ending) {
            return true;
        }
        let path = &self.bytes[self.start..start];
        let is_rooted = ["/", "./", "../", "~/"].iter().any(|root| starts(path, root)) && !starts(path, "//");
        is_rooted && path.split(|byte| *byte == b'/').filter(|name| name.len() > 1).count() >= 2
    }

    /// A part of an address of the web, before what it asks for.
    fn is_address(&self, (start, end): Span) -> bool {
        let line = self.before(start, 400);
        let Some(scheme) = memchr::memmem::rfind(line, b"://") else { return false };
        // The token itself may be what follows the scheme.
        let whole = &self.bytes[start - (line.len() - scheme - 3)..end];
        let (name, address) = (line[..scheme].to_ascii_lowercase(), whole.to_ascii_lowercase());
        let is_path = address.contains(&b'/')
            && address.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'<>`?#@,;(".contains(byte));
        (name.ends_with(b"http") || name.ends_with(b"https"))
            && is_path
            && !SECRET_URL_WORDS.iter().any(|word| has(&address, word))
            // What has a user is a password.
            && self.bytes.get(end) != Some(&b'@')
    }
}
