//! Takes secrets out of what a CLI writes, before anything of it is kept or shown: a model may well
//! run `env`.

/// What stands in a secret's place.
const MASK: &[u8] = b"[secret]";
/// Shorter ones are words that may mean anything.
const SHORTEST: usize = 8;

/// The masking of one stream. What may be the beginning of a secret is held back until the next piece
/// shows what it is; no secret has a line break, so no whole line is ever held back.
#[derive(Default, Clone)]
pub(super) struct Mask {
    secrets: Vec<Vec<u8>>,
    held: Vec<u8>,
}

impl Mask {
    /// Masks these, as they are and as JSON writes them.
    pub fn of(secrets: &[Vec<u8>]) -> Self {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            let escaped = serde_json::to_string(&String::from_utf8_lossy(secret)).unwrap_or_default();
            let escaped = escaped.trim_matches('"').as_bytes().to_vec();
            all.extend([secret.clone(), escaped]);
        }
        all.retain(|secret| secret.len() >= SHORTEST && !secret.contains(&b'\n'));
        // Of two that begin alike, the longer one is meant.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        all.dedup();
        Self { secrets: all, held: Vec::new() }
    }

    /// Whether there is anything to mask.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// The next bytes of the stream, masked.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.pass(false)
    }

    /// What was held back, at the end of the stream.
    pub fn rest(&mut self) -> Vec<u8> {
        self.pass(true)
    }

    /// One look at each byte, however many secrets there are in the text.
    fn pass(&mut self, ended: bool) -> Vec<u8> {
        let (mut out, mut at) = (Vec::with_capacity(self.held.len()), 0);
        while at < self.held.len() {
            let text = &self.held[at..];
            if !ended && self.secrets.iter().any(|secret| secret.len() > text.len() && secret.starts_with(text)) {
                break;
            }
            match self.secrets.iter().find(|secret| text.starts_with(secret)) {
                Some(secret) => {
                    out.extend_from_slice(MASK);
                    at += secret.len();
                }
                None => {
                    out.push(text[0]);
                    at += 1;
                }
            }
        }
        self.held.drain(..at);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(secrets: &[&str], pieces: &[&str]) -> String {
        let secrets: Vec<Vec<u8>> = secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect();
        let mut mask = Mask::of(&secrets);
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| mask.take(piece.as_bytes())).collect();
        out.extend(mask.rest());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn secrets_are_masked_wherever_the_pieces_end() {
        assert_eq!(masked(&["sk-12345"], &["a sk-12345 b", "sk-12", "345\nsk-1234"]), "a [secret] b[secret]\nsk-1234");
        assert_eq!(masked(&["a\"b\\c-long"], &[r#"{"x": "a\"b\\c-long"}"#]), r#"{"x": "[secret]"}"#);
        assert_eq!(masked(&["longer-secret", "longer-s"], &["longer-secret longer-s"]), "[secret] [secret]");
        assert_eq!(masked(&["longer-secret", "longer-s"], &["longer-s", "ecret"]), "[secret]");
        assert_eq!(masked(&["a-long-secret-of-it", "secret-of"], &["a-long-secret-of"]), "a-long-[secret]");
        assert_eq!(masked(&["short"], &["short"]), "short");
        assert_eq!(masked(&[], &["as it is"]), "as it is");
    }

    proptest! {
        #[test]
        fn how_it_is_cut_does_not_matter(text in "[ab\n]{0,80}", cuts in proptest::collection::vec(1usize..12, 0..20)) {
            let secrets = ["abababab", "aabbaabb"];
            let whole = masked(&secrets, &[&text]);
            prop_assert!(secrets.iter().all(|secret| !whole.contains(secret)));
            let (mut pieces, mut rest) = (Vec::new(), text.as_str());
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (piece, left) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = left;
            }
            prop_assert!(secrets.iter().all(|secret| !masked(&secrets, &pieces).contains(secret)));
        }
    }
}
