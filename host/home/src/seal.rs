//! Bytes encrypted to a key that is made of other bytes, such as those of a phrase.

use age::x25519::Identity;
use zeroize::Zeroizing;

/// A key that encrypts bytes and decrypts them again, whoever else has it.
#[derive(Clone)]
pub struct SealKey(Identity);

impl SealKey {
    /// Makes the key of 32 secret bytes that nobody can guess. The same bytes make the same key.
    pub fn of(bytes: &[u8; 32]) -> Option<Self> {
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

    /// Decrypts bytes. `None` if they are damaged, or encrypted to another key.
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        age::decrypt(&self.0, sealed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_open_what_they_sealed_and_others_do_not() {
        let key = |byte: u8| SealKey::of(&[byte; 32]).unwrap();
        let mut sealed = key(1).seal(b"words").unwrap();
        assert_eq!(key(1).open(&sealed).unwrap(), b"words");
        assert!(key(2).open(&sealed).is_none());
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(key(1).open(&sealed).is_none());
        assert!(key(1).open(b"").is_none());
    }
}
