//! Logins at servers: the tokens in the vault, and the one that a connection uses.
//!
//! A login belongs to a server's key and its URL together: another URL under the same key gets none of its tokens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::{Secret, SecretName};
use aiw_home::{Home, VaultError};
use aiw_mcp::TokenProvider;
use aiw_mcp::oauth::{Challenge, OAuthTokens};
use async_trait::async_trait;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// The beginning of the names of logins in the vault.
const LOGIN_SECRET_PREFIX: &str = "mcp-login.";

/// How long tokens that were read from the vault are used without a look there.
const TOKEN_CACHE_TTL: Duration = Duration::from_secs(1);

pub(crate) fn short_digest(text: &str) -> String {
    aiw_core::hex(&Sha256::digest(text.as_bytes()))[..16].to_owned()
}

/// The beginning of the names of all logins of a key.
fn names_of(key: &str) -> String {
    format!("{LOGIN_SECRET_PREFIX}{}.", short_digest(key))
}

fn name_of(key: &str, url: &str) -> Option<SecretName> {
    format!("{}{}", names_of(key), short_digest(url)).parse().ok()
}

/// Whether a secret of the vault is a login, which no declaration may name.
pub(crate) fn is_login_secret(name: &SecretName) -> bool {
    name.as_str().starts_with(LOGIN_SECRET_PREFIX)
}

pub(crate) fn read(home: &Home, key: &str, url: &str) -> Option<OAuthTokens> {
    let secret = home.vault().get(&name_of(key, url)?).ok()?;
    // The name is a digest. The URL itself counts.
    serde_json::from_str(secret.expose()).ok().filter(|tokens: &OAuthTokens| tokens.url() == url)
}

/// Whether a login at a server has ended, and only the user can log in again.
pub fn is_login_expired(home: &Home, key: &str, url: &str) -> bool {
    read(home, key, url).is_some_and(|tokens| tokens.needs_refresh() && !tokens.can_refresh())
}

pub(crate) fn write(home: &Home, key: &str, tokens: &OAuthTokens) -> Result<(), VaultError> {
    let text = Secret::new(serde_json::to_string(tokens).unwrap_or_default());
    let Some(name) = name_of(key, tokens.url()) else { return Ok(()) };
    home.vault().set(&home.lock()?, &name, &text)
}

/// Removes all logins of a key. Returns how many there were.
pub fn forget_logins(home: &Home, key: &str) -> Result<usize, VaultError> {
    let (vault, prefix) = (home.vault(), names_of(key));
    let lock = home.lock()?;
    let names: Vec<SecretName> = vault.names()?.into_iter().filter(|name| name.as_str().starts_with(&prefix)).collect();
    for name in &names {
        vault.remove(&lock, name)?;
    }
    Ok(names.len())
}

/// Why a server does not take what it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// The server wants a login.
    LoginRequired,
    /// The server wants a login that allows more.
    InsufficientScope(Vec<String>),
    /// The token could not be refreshed for now.
    Unavailable(String),
}

/// The token of a connection.
#[derive(Clone)]
pub(crate) struct ServerAccess(Arc<AccessParts>);

struct AccessParts {
    home: Home,
    net: aiw_net::HttpClient,
    key: String,
    url: String,
    seen: Mutex<TokenCache>,
}

#[derive(Default)]
struct TokenCache {
    tokens: Option<(Instant, Option<OAuthTokens>)>,
    refusal: Option<TokenError>,
}

impl ServerAccess {
    pub(crate) fn new(home: Home, net: aiw_net::HttpClient, key: &str, url: &str) -> Self {
        Self(Arc::new(AccessParts { home, net, key: key.to_owned(), url: url.to_owned(), seen: Mutex::default() }))
    }

    /// Why the server refused last, once.
    pub(crate) fn take_error(&self) -> Option<TokenError> {
        self.seen(|seen| seen.refusal.take())
    }

    fn seen<T>(&self, look: impl FnOnce(&mut TokenCache) -> T) -> T {
        look(&mut self.0.seen.lock())
    }

    async fn tokens(&self) -> Option<OAuthTokens> {
        let known = self.seen(|seen| seen.tokens.clone()).filter(|(at, _)| at.elapsed() < TOKEN_CACHE_TTL);
        if let Some((_, tokens)) = known {
            return tokens;
        }
        let this = self.clone();
        aiw_home::run_blocking(move || this.reread()).await
    }

    fn reread(&self) -> Option<OAuthTokens> {
        let tokens = read(&self.0.home, &self.0.key, &self.0.url);
        self.seen(|seen| seen.tokens = Some((Instant::now(), tokens.clone())));
        tokens
    }

    /// Other tokens than the ones that hold `old`: those of a refresh that is done here, or was done elsewhere.
    async fn other_than(&self, old: Secret) -> Result<Option<OAuthTokens>, String> {
        let this = self.clone();
        // A refresh that was begun is brought to its end: the old token may be void by then.
        let refresh = tokio::spawn(async move { this.refresh(&old).await });
        refresh.await.unwrap_or_else(|_| Err("needs a new token, and the refresh was cut off".into()))
    }

    async fn refresh(&self, old: &Secret) -> Result<Option<OAuthTokens>, String> {
        let (home, key) = (self.0.home.clone(), short_digest(&self.0.key));
        // One at a time in all processes: a refresh token that is used twice is taken for a stolen one.
        let turn = aiw_home::run_blocking(move || home.lock_login(&key)).await;
        let _turn = turn.map_err(|e| format!("needs a new token, which it does not get: {e}"))?;
        let this = self.clone();
        let Some(tokens) = aiw_home::run_blocking(move || this.reread()).await else { return Ok(None) };
        if tokens.access_token() != *old && !tokens.needs_refresh() {
            return Ok(Some(tokens));
        }
        if !tokens.can_refresh() {
            return Ok(None);
        }
        match tokens.exchange_refresh_token(&self.0.net).await {
            Ok(new) => {
                let (home, key, kept) = (self.0.home.clone(), self.0.key.clone(), new.clone());
                let written = aiw_home::run_blocking(move || write(&home, &key, &kept)).await;
                self.seen(|seen| seen.tokens = Some((Instant::now(), Some(new.clone()))));
                written.map_err(|e| format!("has a new token that can't be kept: {e}"))?;
                Ok(Some(new))
            }
            Err(e) if e.needs_login() => {
                let (home, key) = (self.0.home.clone(), self.0.key.clone());
                let removed = aiw_home::run_blocking(move || forget_logins(&home, &key)).await;
                self.seen(|seen| seen.tokens = None);
                removed.map_err(|e| format!("has a void token that can't be removed: {e}"))?;
                Ok(None)
            }
            Err(e) => Err(format!("needs a new token, which it does not get: {e}")),
        }
    }

    fn refuse(&self, refusal: TokenError) {
        self.seen(|seen| seen.refusal = Some(refusal));
    }

    /// Notes why there is no other token.
    fn noted(&self, found: Result<Option<OAuthTokens>, String>) -> Option<Secret> {
        match found {
            Ok(Some(tokens)) => return Some(tokens.access_token()),
            Ok(None) => self.refuse(TokenError::LoginRequired),
            Err(problem) => self.refuse(TokenError::Unavailable(problem)),
        }
        None
    }
}

#[async_trait]
impl TokenProvider for ServerAccess {
    async fn token(&self) -> Option<Secret> {
        let tokens = self.tokens().await?;
        if tokens.needs_refresh() && tokens.can_refresh() {
            let other = self.other_than(tokens.access_token()).await;
            return self.noted(other);
        }
        Some(tokens.access_token())
    }

    async fn on_unauthorized(&self, token: Option<Secret>, again: bool) -> Option<Secret> {
        if again {
            self.refuse(TokenError::LoginRequired);
            return None;
        }
        let found = match token {
            Some(old) => self.other_than(old).await,
            // The refresh failed just now.
            None if self.seen(|seen| seen.refusal.is_some()) => return None,
            None => {
                let this = self.clone();
                Ok(aiw_home::run_blocking(move || this.reread()).await)
            }
        };
        self.noted(found)
    }

    async fn on_insufficient_scope(&self, challenge: &str) {
        let challenge = Challenge::parse(challenge);
        if challenge.error.as_deref() == Some("insufficient_scope") {
            self.refuse(TokenError::InsufficientScope(challenge.scopes));
        }
    }
}
