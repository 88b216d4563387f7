//! The phrase that all machines share, and the keys that follow from it.

use aiw_core::{Secret, hex};
use aiw_home::SealKey;
use bip39::{Language, Mnemonic};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How many words a phrase has: 128 bits that nobody guesses, and a checksum.
const PHRASE_WORD_COUNT: usize = 12;

/// Twelve words that open a store.
#[derive(Clone)]
pub struct Phrase(Mnemonic);

/// A mistake in words that somebody typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhrase {
    /// It has another number of words.
    #[error("a phrase has 12 words, and these are {0}")]
    WordCount(usize),
    /// A word is in no phrase. It is not repeated: it may be nearly right.
    #[error("word {0} is a typing error: no phrase has it")]
    UnknownWord(usize),
    /// The words don't belong together.
    #[error("there is a typing error in these words: their checksum is wrong")]
    Checksum,
}

impl Phrase {
    /// Makes a new one.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn new() -> Result<Self, std::io::Error> {
        let mut entropy = Zeroizing::new([0; 16]);
        getrandom::fill(&mut *entropy)?;
        Mnemonic::from_entropy_in(Language::English, &*entropy)
            .map(Self)
            .map_err(|e| std::io::Error::other(e.to_string()))
    }

    /// Reads twelve words, in any case and spacing. Four letters of a word are enough.
    ///
    /// # Errors
    ///
    /// A typing error.
    pub fn parse(text: &str) -> Result<Self, InvalidPhrase> {
        let typed: Vec<String> = text.split_whitespace().take(PHRASE_WORD_COUNT * 4).map(str::to_lowercase).collect();
        if typed.len() != PHRASE_WORD_COUNT {
            return Err(InvalidPhrase::WordCount(typed.len()));
        }
        let mut words = Vec::new();
        for (at, word) in typed.iter().enumerate() {
            let list = Language::English.word_list();
            let whole = list.iter().find(|known| *known == word);
            let begun = || list.iter().find(|known| word.len() >= 4 && known.starts_with(word.as_str()));
            words.push(*whole.or_else(begun).ok_or(InvalidPhrase::UnknownWord(at + 1))?);
        }
        let words = Zeroizing::new(words.join(" "));
        Mnemonic::parse_in_normalized(Language::English, &words).map(Self).map_err(|_| InvalidPhrase::Checksum)
    }

    /// Returns its words.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.0.words()
    }

    /// Returns it as a line, for the vault.
    pub fn to_secret(&self) -> Secret {
        Secret::new(self.words().collect::<Vec<_>>().join(" "))
    }

    /// Returns the keys that follow from it.
    pub fn keys(&self) -> Option<StoreKeys> {
        let (entropy, length) = self.0.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let source = Hkdf::<Sha256>::new(Some(b"aiw-sync"), entropy.get(..length)?);
        let derive = |purpose: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            source.expand(purpose, &mut *key).ok().map(|()| key)
        };
        let tag = derive(b"store")?;
        Some(StoreKeys {
            encryption_key: SealKey::from_bytes(&*derive(b"age")?)?,
            mac: derive(b"mac")?,
            store_id: hex(&tag[..4]),
            fingerprint: fingerprint(&*derive(b"fingerprint")?),
        })
    }
}

/// Four words by which people compare that two machines have the same phrase. They tell nothing of it.
fn fingerprint(key: &[u8; 32]) -> String {
    let number = |at: usize| usize::from(u16::from_le_bytes([key[at * 2], key[at * 2 + 1]])) % 2048;
    (0..4).map(|at| Language::English.word_list()[number(at)]).collect::<Vec<_>>().join(" ")
}

/// The keys of a store.
#[derive(Clone)]
pub struct StoreKeys {
    pub(crate) encryption_key: SealKey,
    mac: Zeroizing<[u8; 32]>,
    /// The tag of the store in the names of its objects.
    pub(crate) store_id: String,
    /// Four words to compare.
    pub fingerprint: String,
}

impl StoreKeys {
    fn mac(&self, name: &str, content: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.mac).ok()?;
        mac.update(&(name.len() as u64).to_le_bytes());
        mac.update(name.as_bytes());
        mac.update(content);
        Some(mac)
    }

    /// Returns the code of a content under a name.
    pub(crate) fn compute_mac(&self, name: &str, content: &[u8]) -> Option<[u8; 32]> {
        self.mac(name, content).map(|mac| mac.finalize().into_bytes().into())
    }

    /// Whether a code is that of a content under a name.
    pub(crate) fn verify_mac(&self, code: &[u8], name: &str, content: &[u8]) -> bool {
        self.mac(name, content).is_some_and(|mac| mac.verify_slice(code).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASE: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";

    #[test]
    fn a_phrase_is_read_as_people_type_it() {
        let whole = Phrase::parse(PHRASE).unwrap();
        let short = "LEGA winn than year  wave\nsaus wort usef lega winn than yell ";
        assert!(Phrase::parse(short).unwrap().words().eq(whole.words()));
        assert_eq!(Phrase::parse("").err(), Some(InvalidPhrase::WordCount(0)));
        assert_eq!(Phrase::parse(&PHRASE.replace("wave", "wavy")).err(), Some(InvalidPhrase::UnknownWord(5)));
        assert_eq!(Phrase::parse(&PHRASE.replace("yellow", "legal")).err(), Some(InvalidPhrase::Checksum));
    }

    #[test]
    fn keys_follow_from_the_phrase_alone_and_differ_from_each_other() {
        let keys = Phrase::parse(PHRASE).unwrap().keys().unwrap();
        let again = Phrase::parse(PHRASE).unwrap().keys().unwrap();
        let others = Phrase::new().unwrap().keys().unwrap();
        assert_eq!((&keys.store_id, &keys.fingerprint), (&again.store_id, &again.fingerprint));
        assert_ne!(keys.store_id, others.store_id);
        let code = keys.compute_mac("name", b"content").unwrap();
        assert!(again.verify_mac(&code, "name", b"content"));
        for (name, content) in [("name2", &b"content"[..]), ("namec", b"ontent"), ("name", b"contents")] {
            assert!(!keys.verify_mac(&code, name, content));
        }
        assert!(!others.verify_mac(&code, "name", b"content"));
        let sealed = keys.encryption_key.seal(b"x").unwrap();
        assert!(again.encryption_key.open(&sealed).is_some() && others.encryption_key.open(&sealed).is_none());
    }
}
