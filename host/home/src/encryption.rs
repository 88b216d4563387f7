//! Bytes encrypted to a key that is made of other bytes, such as those of a phrase.

use age::x25519::Identity;
use zeroize::Zeroizing;

/// A key that encrypts bytes and decrypts them again, whoever else has it.
#[derive(Clone)]
pub struct SealKey(Identity);

impl SealKey {
    /// Makes the key of 32 secret bytes that nobody can guess. The same bytes make the same key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        // The one way in that age offers is the text of an identity.
        let prefix = bech32::Hrp::parse("age-secret-key-").ok()?;
        let text = Zeroizing::new(bech32::encode::<bech32::Bech32>(prefix, bytes).ok()?.to_uppercase());
        text.parse().ok().map(Self)
    }

    /// Encrypts bytes.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        age::encrypt(&self.0.to_public(), plain).map_err(|e| format!("can't be encrypted: {e}"))
    }

    /// Decrypts bytes. `None` if they are damaged, or encrypted to another key, or to more than one.
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        has_one_recipient(sealed).then(|| age::decrypt(&self.0, sealed).ok()).flatten()
    }
}

/// The longest header that is read. [`SealKey::seal`] writes less than 500 bytes.
const MAX_HEADER: usize = 1 << 10;

/// Returns `true` if bytes begin with a header as [`SealKey::seal`] writes it: one stanza for a key and at most one of grease.
/// Reading a header takes time that grows with the square of its stanzas, and who writes them needs no key.
fn has_one_recipient(sealed: &[u8]) -> bool {
    let beginning = &sealed[..sealed.len().min(MAX_HEADER)];
    let Some(end) = beginning.windows(5).position(|part| part == b"\n--- ") else { return false };
    let mut lines = beginning[..end].split(|byte| *byte == b'\n');
    let is_ours = lines.next() == Some(b"age-encryption.org/v1".as_slice());
    let stanzas: Vec<&[u8]> = lines.filter_map(|line| line.strip_prefix(b"-> ")).collect();
    let is_grease = |stanza: &&&[u8]| {
        let tag = stanza.split(|byte| *byte == b' ').next();
        tag.is_some_and(|tag| tag.ends_with(b"-grease"))
    };
    let keys = stanzas.iter().filter(|stanza| stanza.starts_with(b"X25519 ")).count();
    is_ours && keys == 1 && stanzas.len() <= 2 && stanzas.iter().filter(is_grease).count() == stanzas.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_open_what_they_sealed_and_others_do_not() {
        let key = |byte: u8| SealKey::from_bytes(&[byte; 32]).unwrap();
        let mut sealed = key(1).seal(b"words").unwrap();
        assert_eq!(key(1).open(&sealed).unwrap(), b"words");
        assert!(key(2).open(&sealed).is_none());
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(key(1).open(&sealed).is_none());
        assert!(key(1).open(b"").is_none());
        // Grease has many forms.
        for _ in 0..300 {
            let sealed = key(1).seal(b"words").unwrap();
            assert_eq!(key(1).open(&sealed).as_deref(), Some(b"words".as_slice()));
        }
    }

    #[test]
    fn more_than_one_recipient_is_refused_unread() {
        let key = SealKey::from_bytes(&[1; 32]).unwrap();
        for count in [2, 3, 20] {
            let recipients: Vec<_> = (0..count).map(|_| key.0.to_public()).collect();
            let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
            let mut sealed = Vec::new();
            let mut writer = age::Encryptor::with_recipients(recipients).unwrap().wrap_output(&mut sealed).unwrap();
            std::io::Write::write_all(&mut writer, b"words").unwrap();
            writer.finish().unwrap();
            assert_eq!(age::decrypt(&key.0, &sealed).unwrap(), b"words", "age reads it");
            assert!(key.open(&sealed).is_none(), "{count}");
        }
        let flood = format!("age-encryption.org/v1\n{}--- x\n", "-> X25519 a\nb\n".repeat(8000));
        assert!(!has_one_recipient(flood.as_bytes()));
        let long = format!("age-encryption.org/v1\n-> X25519 a\n{}\n--- x\n", "b".repeat(MAX_HEADER));
        assert!(!has_one_recipient(long.as_bytes()));
    }
}
