//! Secrets at rest: one file each, encrypted with age to a key stored beside them.
//!
//! The key is a file, not in a keyring: a keyring needs a desktop session, which ssh, cron and the MCP servers of
//! some CLIs don't have. It protects against a copy of the home (a backup, a synced folder, a pasted directory) and
//! against someone looking over your shoulder, but not against another program of the same user.

use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use aiw_core::{Diagnostic, ErrorKind, Secret, SecretName, shell_quote_printable};

use crate::{HomeError, Lock, Mode, files, read_capped, read_dir, remove_file, replace};

/// The longest secret allowed; service account files have a few kB.
pub const MAX_SECRET_BYTES: usize = 64 << 10;

/// An error that concerns the vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A file of the vault.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The key is missing, and there are secrets that only it decrypts.
    #[error("the vault key is missing: `{}`", .path.display())]
    KeyMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Other users can read the key.
    #[error("the vault key `{}` can be read by other users", .path.display())]
    InsecureKeyPermissions {
        /// Where it is.
        path: PathBuf,
    },
    /// The key exists but can't be used.
    #[error("the vault key `{}` {problem}", .path.display())]
    InvalidKey {
        /// Where it is.
        path: PathBuf,
        /// The end of a sentence.
        problem: String,
    },
    /// No secret has that name.
    #[error("there is no secret `{name}` in the vault")]
    NotFound {
        /// The name.
        name: SecretName,
    },
    /// No secret that is to be removed has that name.
    #[error("there is no secret `{name}` in the vault")]
    Absent {
        /// The name.
        name: SecretName,
    },
    /// The key does not decrypt a secret, or the secret is damaged.
    #[error("secret `{name}` can't be opened: it is damaged, or was encrypted to another key")]
    Unreadable {
        /// The name.
        name: SecretName,
    },
    /// A value that can't be a secret.
    #[error("the secret {0}")]
    InvalidValue(&'static str),
}

impl Diagnostic for VaultError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::Absent { .. } | Self::InvalidValue(_) => ErrorKind::User,
            _ => ErrorKind::Config,
        }
    }

    fn own_fix(&self) -> Option<String> {
        match self {
            // Nothing opens what was encrypted to another key.
            Self::KeyMissing { path } => path.parent().map(crate::move_aside_command),
            Self::InsecureKeyPermissions { path } => {
                Some(format!("chmod 600 {}", shell_quote_printable(&path.to_string_lossy())))
            }
            Self::InvalidKey { path, .. } => path.parent().map(crate::move_aside_command),
            Self::NotFound { name } | Self::Unreadable { name } => Some(format!("aiw secret set {name}")),
            Self::Home(_) | Self::Absent { .. } | Self::InvalidValue(_) => None,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::KeyMissing { path } => Some(format!(
                "restore it from a backup; if you have none, delete `{}` and set each secret again",
                path.parent().unwrap_or(path).display()
            )),
            Self::InsecureKeyPermissions { path } => Some(format!("`chmod 600 {}`", path.display())),
            Self::InvalidKey { path, .. } => Some(format!("restore `{}` from a backup", path.display())),
            Self::NotFound { name } | Self::Unreadable { name } => Some(format!("`aiw secret set {name}`")),
            Self::Absent { .. } => Some("`aiw secret list`".into()),
            _ => None,
        }
    }
}

/// The vault of a home.
#[derive(Debug, Clone)]
pub struct Vault {
    dir: PathBuf,
}

const SUFFIX: &str = ".age";

impl Vault {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// `vault/key`
    pub fn key_path(&self) -> PathBuf {
        self.dir.join("key")
    }

    fn file(&self, name: &SecretName) -> PathBuf {
        self.dir.join(format!("{name}{SUFFIX}"))
    }

    /// The names of all secrets, in order. The names are not secret.
    pub fn names(&self) -> Result<Vec<SecretName>, VaultError> {
        let entries = match read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(HomeError::io("read", &self.dir, e).into()),
        };
        let mut names: Vec<SecretName> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(SUFFIX)?.parse().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Whether a name is taken, even if its secret can't be decrypted.
    pub fn is_taken(&self, name: &SecretName) -> bool {
        self.file(name).is_file()
    }

    /// Whether a secret exists and can be decrypted, so that a run would get it.
    pub fn has(&self, name: &SecretName) -> bool {
        self.get(name).is_ok()
    }

    /// A secret.
    pub fn get(&self, name: &SecretName) -> Result<Secret, VaultError> {
        let limit = MAX_SECRET_BYTES as u64 + 4096;
        let Some(bytes) = read_capped(&self.file(name), limit)? else {
            return Err(VaultError::NotFound { name: name.clone() });
        };
        let identity = self.identity()?.ok_or_else(|| VaultError::KeyMissing { path: self.key_path() })?;
        let unreadable = || VaultError::Unreadable { name: name.clone() };
        let plain = age::decrypt(&identity, &bytes).map_err(|_| unreadable())?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| unreadable())
    }

    /// The values of all secrets that can be read, and why the others can't be.
    pub fn values(&self) -> (Vec<String>, Vec<VaultError>) {
        let names = match self.names() {
            Ok(names) => names,
            Err(error) => return (Vec::new(), vec![error]),
        };
        let (mut values, mut errors) = (Vec::new(), Vec::<VaultError>::new());
        for name in names {
            match self.get(&name) {
                Ok(secret) => values.push(secret.expose().to_owned()),
                // It was removed in the meantime.
                Err(VaultError::NotFound { .. }) => {}
                // What is wrong with the key is the same for all.
                Err(error) if errors.last().is_some_and(|last| last.to_string() == error.to_string()) => {}
                Err(error) => errors.push(error),
            }
        }
        (values, errors)
    }

    /// Stores a secret, and replaces one with the same name.
    pub fn set(&self, lock: &Lock, name: &SecretName, secret: &Secret) -> Result<(), VaultError> {
        let value = secret.expose();
        if value.trim().is_empty() {
            return Err(VaultError::InvalidValue("is empty"));
        }
        if value.len() > MAX_SECRET_BYTES {
            return Err(VaultError::InvalidValue("is longer than 64 KiB"));
        }
        // It becomes a header or a variable.
        if value.contains(['\n', '\r']) {
            return Err(VaultError::InvalidValue("has more than one line"));
        }
        if value.contains('\0') {
            return Err(VaultError::InvalidValue("contains a NUL character"));
        }
        let sealed = self.seal(lock, value.as_bytes())?;
        Ok(replace(&self.file(name), &sealed, Mode::Private)?)
    }

    /// Encrypts bytes to the vault's key.
    pub fn seal(&self, lock: &Lock, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let identity = match self.identity()? {
            Some(identity) => identity,
            // A new key would make the others unreadable forever.
            None if !self.names()?.is_empty() => return Err(VaultError::KeyMissing { path: self.key_path() }),
            None => self.make_key(lock)?,
        };
        age::encrypt(&identity.to_public(), plain)
            .map_err(|e| VaultError::InvalidKey { path: self.key_path(), problem: format!("can't encrypt: {e}") })
    }

    /// Decrypts what [`Vault::seal`] has encrypted.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let identity = self.identity()?.ok_or_else(|| VaultError::KeyMissing { path: self.key_path() })?;
        age::decrypt(&identity, sealed)
            .map_err(|e| VaultError::InvalidKey { path: self.key_path(), problem: format!("can't decrypt: {e}") })
    }

    /// Removes a secret.
    pub fn remove(&self, _lock: &Lock, name: &SecretName) -> Result<(), VaultError> {
        match remove_file(&self.file(name)) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(VaultError::Absent { name: name.clone() }),
            Err(e) => Err(HomeError::io("remove", &self.file(name), e).into()),
        }
    }

    fn make_key(&self, _lock: &Lock) -> Result<Identity, VaultError> {
        files::make_private_dir(&self.dir)?;
        let identity = Identity::generate();
        let text = identity.to_string();
        let text = format!(
            "# The key of aiw's vault. Whoever has it can read the secrets beside it.\n{}\n",
            text.expose_secret()
        );
        replace(&self.key_path(), text.as_bytes(), Mode::Private)?;
        Ok(identity)
    }

    fn identity(&self) -> Result<Option<Identity>, VaultError> {
        let path = self.key_path();
        let Some(bytes) = read_capped(&path, 64 << 10)? else { return Ok(None) };
        let wrong = |problem: &str| VaultError::InvalidKey { path: path.clone(), problem: problem.into() };
        if files::is_readable_by_others(&path) {
            return Err(VaultError::InsecureKeyPermissions { path: path.clone() });
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong("is not text"))?;
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        let line = line.ok_or_else(|| wrong("is empty"))?;
        // The parser's message may quote the line.
        line.parse().map(Some).map_err(|_| wrong("is not an age identity"))
    }
}

/// Where the vault of a home is.
pub(crate) fn directory(root: &Path) -> PathBuf {
    root.join("vault")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Home;
    use std::fs;

    fn vault() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        (dir, home)
    }

    fn name(name: &str) -> SecretName {
        name.parse().unwrap()
    }

    #[test]
    fn a_secret_comes_back_and_no_file_holds_it() {
        let (_dir, home) = vault();
        let vault = home.vault();
        assert_eq!(vault.names().unwrap(), []);
        vault.set(&home.lock().unwrap(), &name("openrouter"), &Secret::new("sk-or-canary")).unwrap();
        assert_eq!(vault.get(&name("openrouter")).unwrap().expose(), "sk-or-canary");
        assert_eq!(vault.names().unwrap(), [name("openrouter")]);
        for entry in fs::read_dir(home.root().join("vault")).unwrap().flatten() {
            let bytes = fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"));
            assert!(!files::is_readable_by_others(&entry.path()), "{}", entry.path().display());
        }
        vault.remove(&home.lock().unwrap(), &name("openrouter")).unwrap();
        assert!(matches!(vault.get(&name("openrouter")), Err(VaultError::NotFound { .. })));
        let again = vault.remove(&home.lock().unwrap(), &name("openrouter")).unwrap_err();
        assert_eq!(again.hint().as_deref(), Some("`aiw secret list`"));
    }

    #[test]
    fn without_its_key_the_vault_says_so_and_makes_no_other() {
        let (_dir, home) = vault();
        let vault = home.vault();
        let lock = home.lock().unwrap();
        vault.set(&lock, &name("a"), &Secret::new("x")).unwrap();
        let key = fs::read(vault.key_path()).unwrap();
        fs::remove_file(vault.key_path()).unwrap();
        assert!(matches!(vault.get(&name("a")), Err(VaultError::KeyMissing { .. })));
        assert!(vault.is_taken(&name("a")) && !vault.has(&name("a")));
        assert!(matches!(vault.set(&lock, &name("b"), &Secret::new("y")), Err(VaultError::KeyMissing { .. })));
        for damaged in ["", "# only a comment\n", "AGE-SECRET-KEY-1NOPE", "\u{0}"] {
            replace(&vault.key_path(), damaged.as_bytes(), Mode::Private).unwrap();
            let error = vault.get(&name("a")).unwrap_err();
            assert!(matches!(error, VaultError::InvalidKey { .. }) && !error.to_string().contains("NOPE"), "{error}");
        }
        replace(&vault.key_path(), &key, Mode::Private).unwrap();
        assert_eq!(vault.get(&name("a")).unwrap().expose(), "x");
        assert!(vault.has(&name("a")) && !vault.has(&name("b")));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let (_dir, home) = vault();
        let vault = home.vault();
        vault.set(&home.lock().unwrap(), &name("a"), &Secret::new("x")).unwrap();
        fs::set_permissions(vault.key_path(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = vault.get(&name("a")).unwrap_err();
        assert!(error.to_string().ends_with("can be read by other users"), "{error}");
        assert!(error.hint().unwrap().starts_with("`chmod 600 "));
    }

    #[test]
    fn what_no_header_could_carry_is_no_secret() {
        let (_dir, home) = vault();
        let lock = home.lock().unwrap();
        for bad in ["", " ", "a\nb", "a\0b", &"x".repeat(MAX_SECRET_BYTES + 1)] {
            assert!(home.vault().set(&lock, &name("a"), &Secret::new(bad)).is_err());
        }
    }

    #[test]
    fn a_damaged_secret_is_said_to_be_one() {
        let (_dir, home) = vault();
        let vault = home.vault();
        vault.set(&home.lock().unwrap(), &name("a"), &Secret::new("x")).unwrap();
        let mut bytes = fs::read(vault.file(&name("a"))).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            fs::write(vault.file(&name("a")), &bytes).unwrap();
            assert!(matches!(vault.get(&name("a")), Err(VaultError::Unreadable { .. })));
            assert!(!vault.has(&name("a")));
            bytes[at] ^= 1;
        }
    }
}
