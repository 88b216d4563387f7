//! `mcp-token`: what a program on this machine shows to use aiw over HTTP.

use std::path::PathBuf;

use aiw_core::{Secret, random_hex};

use crate::{Home, HomeError, Lock, Mode, files, read_capped, replace};

impl Home {
    /// `mcp-token`
    pub fn mcp_token_path(&self) -> PathBuf {
        self.root().join("mcp-token")
    }

    /// The token; none before it was made. Reading it costs little, so that a new one counts at once.
    pub fn mcp_token(&self) -> Result<Option<Secret>, HomeError> {
        let path = self.mcp_token_path();
        let Some(bytes) = read_capped(&path, 4 << 10)? else { return Ok(None) };
        if files::is_readable_by_others(&path) {
            return Err(HomeError::invalid(&path, "can be read by other users"));
        }
        let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
        if text.len() < 32 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HomeError::invalid(&path, "is not a token"));
        }
        Ok(Some(Secret::new(text)))
    }

    /// The token, made if there is none.
    pub fn ensure_mcp_token(&self) -> Result<Secret, HomeError> {
        let lock = self.lock()?;
        self.mcp_token()?.map_or_else(|| self.new_mcp_token(&lock), Ok)
    }

    /// Replaces the token.
    pub fn rotate_mcp_token(&self) -> Result<Secret, HomeError> {
        self.new_mcp_token(&self.lock()?)
    }

    /// Returns a word that nobody can guess.
    pub fn random_token(&self) -> Result<String, HomeError> {
        random_hex::<32>().map_err(|e| HomeError::io("find random bytes for", self.root(), e.into()))
    }

    fn new_mcp_token(&self, _lock: &Lock) -> Result<Secret, HomeError> {
        let (path, token) = (self.mcp_token_path(), self.random_token()?);
        // A file keeps its mode, and this one may have been opened to others.
        files::make_private(&path);
        replace(&path, format!("{token}\n").as_bytes(), Mode::Private)?;
        Ok(Secret::new(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_replaced_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        assert!(home.mcp_token().unwrap().is_none());
        let first = home.ensure_mcp_token().unwrap();
        assert_eq!(home.ensure_mcp_token().unwrap(), first);
        let second = home.rotate_mcp_token().unwrap();
        assert_ne!(second, first);
        assert_eq!(home.mcp_token().unwrap(), Some(second));
    }

    #[test]
    fn a_token_that_others_may_read_or_that_is_none_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        home.rotate_mcp_token().unwrap();
        let mode = || std::fs::metadata(home.mcp_token_path()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(home.mcp_token_path(), PermissionsExt::from_mode(0o644)).unwrap();
        assert!(home.mcp_token().unwrap_err().to_string().ends_with("can be read by other users"));
        home.rotate_mcp_token().unwrap();
        assert_eq!(mode(), 0o600);
        for text in ["", "\n", "short", "with a space in it, but long enough for a token", "ü".repeat(40).as_str()] {
            std::fs::write(home.mcp_token_path(), text).unwrap();
            assert!(home.mcp_token().unwrap_err().to_string().ends_with("is not a token"), "{text:?}");
        }
    }
}
