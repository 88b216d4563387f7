//! Caches under `~/.aiw/cache`: all of it may disappear.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::{Mode, make_private_dir, now_millis, read_capped, read_dir, remove_file, replace};

/// Bytes by key, each with an expiry time, all within a quota. Any failure is a miss: nothing may depend on it.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
    quota: u64,
}

/// Expiry (milliseconds since 1970) and a digest of the value precede the value.
const HEADER_LEN: usize = 8 + 32;

impl Cache {
    pub(crate) fn new(dir: PathBuf, quota: u64) -> Self {
        Self { dir, quota }
    }

    fn file(&self, key: &str) -> PathBuf {
        let mut name = aiw_core::hex(&Sha256::digest(key.as_bytes()));
        name.truncate(40);
        self.dir.join(name)
    }

    /// The value, unless it is absent, expired or damaged.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let bytes = read_capped(&self.file(key), self.quota + HEADER_LEN as u64).ok()??;
        let (header, value) = bytes.split_at_checked(HEADER_LEN)?;
        let expires = u64::from_be_bytes(header[..8].try_into().ok()?);
        (expires > now_millis() && header[8..] == Sha256::digest(value)[..]).then(|| value.to_vec())
    }

    /// Stores a value for a time. Values beyond the quota are not stored.
    pub fn put(&self, key: &str, value: &[u8], keep: Duration) {
        if value.len() as u64 > self.quota || make_private_dir(&self.dir).is_err() {
            return;
        }
        self.make_room(value.len() as u64);
        let expires = now_millis().saturating_add(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
        let mut bytes = expires.to_be_bytes().to_vec();
        bytes.extend_from_slice(&Sha256::digest(value));
        bytes.extend_from_slice(value);
        let file = self.file(key);
        let _ = replace(&file, &bytes, Mode::Private);
    }

    /// The oldest go first.
    fn make_room(&self, wanted: u64) {
        let Ok(entries) = read_dir(&self.dir) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|e| {
                e.metadata().ok().map(|m| (m.modified().unwrap_or(SystemTime::UNIX_EPOCH), m.len(), e.path()))
            })
            .collect();
        let mut total: u64 = files.iter().map(|f| f.1).sum::<u64>() + wanted;
        files.sort();
        for (_, size, path) in files {
            if total <= self.quota {
                return;
            }
            match remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => {}
                _ => total -= size,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn values_expire_and_damage_is_a_miss() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().to_owned(), 1000);
        cache.put("a", b"value", Duration::from_secs(60));
        cache.put("b", b"value", Duration::ZERO);
        assert_eq!(cache.get("a").as_deref(), Some(&b"value"[..]));
        assert_eq!(cache.get("b"), None);
        let file = cache.file("a");
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(cache.get("a"), None);
    }

    #[test]
    fn the_quota_holds() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().to_owned(), 1000);
        for i in 0..20 {
            cache.put(&i.to_string(), &[0; 200], Duration::from_secs(60));
        }
        cache.put("large", &[0; 2000], Duration::from_secs(60));
        let total: u64 = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(total <= 1000 + HEADER_LEN as u64, "{total}");
        assert_eq!(cache.get("large"), None);
    }
}
