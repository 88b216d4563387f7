//! Objects: one snapshot each, sealed. A name says whose it is, which of theirs, and what its bytes are.

use std::fmt;

use aiw_core::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::keys::StoreKeys;

/// The beginning of every name.
const OBJECT_PREFIX: &str = "s-";
const OBJECT_SUFFIX: &str = ".age";

/// The reason for an object whose bytes don't have the digest in its name.
pub(crate) const DAMAGED_REASON: &str = "is not whole, or was replaced by another one";

const STORE_ID_LEN: usize = 8;
const MACHINE_ID_LEN: usize = 16;
const COUNTER_LEN: usize = 10;
const DIGEST_LEN: usize = 64;

/// A snapshot of a machine, as another one names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenSnapshot {
    /// Its number among those of the machine.
    pub(crate) counter: u64,
    /// The digest of its object.
    pub(crate) digest: String,
}

impl From<&ObjectName> for SeenSnapshot {
    fn from(name: &ObjectName) -> Self {
        Self { counter: name.counter, digest: name.digest.clone() }
    }
}

/// The name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectName {
    /// The store that it belongs to.
    pub(crate) store: String,
    /// The machine that wrote it.
    pub(crate) machine: String,
    /// Its number among those of the machine, from 1 on.
    pub(crate) counter: u64,
    /// The SHA-256 digest of its bytes.
    pub(crate) digest: String,
}

impl ObjectName {
    /// Reads a name. `None` for that of anything else.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(OBJECT_PREFIX)?.strip_suffix(OBJECT_SUFFIX)?.split('-');
        let mut part = |length: usize, is_digits: bool| {
            let part = parts.next()?;
            let fits = |byte: u8| byte.is_ascii_digit() || (!is_digits && matches!(byte, b'a'..=b'f'));
            (part.len() == length && part.bytes().all(fits)).then(|| part.to_owned())
        };
        let (store, machine) = (part(STORE_ID_LEN, false)?, part(MACHINE_ID_LEN, false)?);
        let (counter, digest) = (part(COUNTER_LEN, true)?.parse().ok()?, part(DIGEST_LEN, false)?);
        (counter > 0 && parts.next().is_none()).then_some(Self { store, machine, counter, digest })
    }

    /// Returns the name of a snapshot that another one mentions. `None` if that can't be a name: other machines choose the
    /// texts.
    pub(crate) fn from_seen(store: &str, machine: &str, seen: &SeenSnapshot) -> Option<Self> {
        let SeenSnapshot { counter, digest } = seen.clone();
        let name = Self { store: store.to_owned(), machine: machine.to_owned(), counter, digest };
        Self::parse(&name.to_string()).filter(|parsed| *parsed == name)
    }

    /// Returns `true` if the bytes have the digest in the name.
    pub(crate) fn is_intact(&self, bytes: &[u8]) -> bool {
        hex(&Sha256::digest(bytes)) == self.digest
    }

    /// Returns the part of the name that the code covers: the digest is of the bytes that the code is in.
    fn place(&self) -> String {
        place(&self.store, &self.machine, self.counter)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OBJECT_PREFIX}{}-{}{OBJECT_SUFFIX}", self.place(), self.digest)
    }
}

fn place(store: &str, machine: &str, counter: u64) -> String {
    format!("{store}-{machine}-{counter:0COUNTER_LEN$}")
}

/// Returns a new id of a machine.
pub(crate) fn new_machine_id() -> std::io::Result<String> {
    Ok(aiw_core::random_hex::<{ MACHINE_ID_LEN / 2 }>()?)
}

/// Seals a content as an object. Returns its name and bytes.
pub(crate) fn encrypt_object(
    keys: &StoreKeys,
    machine: &str,
    counter: u64,
    content: &[u8],
) -> Result<(ObjectName, Vec<u8>), String> {
    let place = place(&keys.store_id, machine, counter);
    let code = keys.compute_mac(&place, content).ok_or("has no key")?;
    let bytes = keys.encryption_key.seal(&[code.as_slice(), content].concat())?;
    let digest = hex(&Sha256::digest(&bytes));
    Ok((ObjectName { store: keys.store_id.clone(), machine: machine.to_owned(), counter, digest }, bytes))
}

/// Opens an object. The error is the end of a sentence about it.
pub(crate) fn decrypt_object(keys: &StoreKeys, name: &ObjectName, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    if !name.is_intact(bytes) {
        return Err(DAMAGED_REASON);
    }
    let mut plain = keys.encryption_key.open(bytes).ok_or("can't be opened with your phrase")?;
    match plain.split_at_checked(32) {
        Some((code, content)) if keys.verify_mac(code, &name.place(), content) => {}
        _ => return Err("was not written by a machine that has your phrase, or has another one's name"),
    }
    plain.drain(..32);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Phrase;
    use proptest::prelude::*;

    #[test]
    fn an_object_opens_under_its_name_alone() {
        let keys = Phrase::new().unwrap().keys().unwrap();
        let machine = new_machine_id().unwrap();
        let (name, bytes) = encrypt_object(&keys, &machine, 7, b"content").unwrap();
        assert_eq!(ObjectName::parse(&name.to_string()).as_ref(), Some(&name));
        assert_eq!(decrypt_object(&keys, &name, &bytes).unwrap(), b"content");
        let other = ObjectName { counter: 8, ..name.clone() };
        assert!(decrypt_object(&keys, &other, &bytes).unwrap_err().contains("another one's name"));
        assert!(decrypt_object(&keys, &name, &bytes[1..]).unwrap_err().contains("not whole"));
        let strangers = Phrase::new().unwrap().keys().unwrap();
        assert!(decrypt_object(&strangers, &name, &bytes).unwrap_err().contains("your phrase"));
        // Somebody who knows the public key alone can't write one.
        let forged = keys.encryption_key.seal(&[[0; 32].as_slice(), b"content"].concat()).unwrap();
        let named = ObjectName { digest: hex(&Sha256::digest(&forged)), ..name };
        assert!(decrypt_object(&keys, &named, &forged).unwrap_err().contains("was not written"));
    }

    proptest! {
        #[test]
        fn no_text_is_a_name_but_one_that_is_written_again_as_it_was(text in "s?-?[0-9a-fA-F-]{0,110}(\\.age)?") {
            if let Some(name) = ObjectName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
