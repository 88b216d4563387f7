//! Logging in to one server and out again: what its entry says about that, and the tokens that come of it.

use futures::future::BoxFuture;
use std::fmt;

use aiw_core::Secret;
use aiw_home::VaultError;
use aiw_mcp::oauth::{Login, OAuthError, OAuthRequest, OAuthTokens};
use serde_json::{Map, Value};

use crate::access::{forget_logins, read, short_digest, write};
use crate::error::PoolError;
use crate::start::{ServerContext, headers, resolve_server, url};

/// The user's wishes for a login, which override the server's entry.
#[derive(Debug, Clone, Default)]
pub struct LoginOptions {
    /// The id of a registered client.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<Secret>,
    /// Scopes to ask for besides those that the server names.
    pub scopes: Vec<String>,
}

/// An entry's field `oauth`.
#[derive(Debug, Default)]
struct OAuthField {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    scopes: Vec<String>,
    issuer: Option<String>,
    port: Option<u16>,
}

impl OAuthField {
    fn of(expanded: &Map<String, Value>) -> Result<Self, String> {
        let Some(field) = expanded.get("oauth") else { return Ok(Self::default()) };
        let Some(field) = field.as_object() else { return Err("has an `oauth` that is not an object".into()) };
        let text = |key: &str| match field.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(_) => Err(format!("has an `oauth.{key}` that is not a text")),
        };
        let scopes = match field.get("scopes") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(list)) => list.split_whitespace().map(str::to_owned).collect(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) => return Err("has an `oauth.scopes` that is not a list".into()),
        };
        let port = match field.get("callbackPort") {
            None | Some(Value::Null) => None,
            Some(port) => {
                let port = port.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
                Some(port.ok_or("has an `oauth.callbackPort` that is not a port")?)
            }
        };
        Ok(Self {
            client_id: text("clientId")?,
            client_secret: text("clientSecret")?.map(Secret::new),
            scopes,
            issuer: text("issuer")?,
            port,
        })
    }
}

/// The place of a login: a server that is reached over HTTP.
pub struct LoginAccount {
    ground: ServerContext,
    key: String,
    url: String,
    headers: Vec<(String, Secret)>,
    said: OAuthField,
}

impl fmt::Debug for LoginAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("key", &self.key).finish_non_exhaustive()
    }
}

impl LoginAccount {
    /// The account of a server.
    pub(crate) fn new(
        ground: &ServerContext,
        key: &str,
        server: &aiw_servers::DeclaredServer,
    ) -> Result<Self, PoolError> {
        let problem = |problem: String| PoolError::InvalidDeclaration { server: key.to_owned(), problem };
        if server.transport != aiw_servers::Transport::Http {
            return Err(problem("is not reached over HTTP, so there is nothing to log in to".into()));
        }
        let (expanded, _) = resolve_server(ground, key, server)?;
        let headers = headers(&expanded);
        if headers.iter().any(|(name, _)| name == "authorization") {
            return Err(problem("has a header `Authorization` in its entry, which is sent instead of a login".into()));
        }
        let said = OAuthField::of(&expanded).map_err(problem)?;
        Ok(Self { ground: ground.clone(), key: key.to_owned(), url: url(&expanded).to_owned(), headers, said })
    }

    /// The port of the redirect, if the entry fixes it.
    pub fn port(&self) -> Option<u16> {
        self.said.port
    }

    /// Whether the client is registered by hand, with a redirect that has a fixed path.
    pub fn is_registered(&self, wishes: &LoginOptions) -> bool {
        wishes.client_id.is_some() || self.said.client_id.is_some()
    }

    /// Begins a login whose code comes back to `redirect`.
    pub fn begin(&self, wishes: LoginOptions, redirect: String) -> BoxFuture<'_, Result<Login, PoolError>> {
        Box::pin(async move {
            let before = self.tokens().await;
            let before = before.map(|tokens| tokens.scopes().to_vec()).unwrap_or_default();
            let said = &self.said;
            // Without a wish the login is a new one; with one it keeps what is there and adds to it.
            let more = if wishes.scopes.is_empty() { Vec::new() } else { [before, wishes.scopes].concat() };
            let (client_id, client_secret) = match wishes.client_id {
                Some(id) => (Some(id), wishes.client_secret),
                None => (said.client_id.clone(), wishes.client_secret.or_else(|| said.client_secret.clone())),
            };
            let request = OAuthRequest {
                client: self.ground.net.clone(),
                url: self.url.clone(),
                headers: self.headers.clone(),
                issuer: said.issuer.clone(),
                client_id,
                client_secret,
                scopes: said.scopes.clone(),
                more_scopes: more,
                redirect_uri: redirect,
            };
            Login::begin(request).await.map_err(|e| self.failed(e))
        })
    }

    /// Exchanges what came back from the browser, and keeps the tokens.
    pub fn finish<'a>(&'a self, login: Login, query: &'a str) -> BoxFuture<'a, Result<OAuthTokens, PoolError>> {
        Box::pin(async move {
            let tokens = login.finish(query).await.map_err(|e| self.failed(e))?;
            let (home, key, kept) = (self.ground.home.clone(), self.key.clone(), tokens.clone());
            let written = aiw_home::run_blocking(move || {
                let _turn = home.lock_login(&short_digest(&key))?;
                write(&home, &key, &kept)
            });
            written.await.map_err(|source| self.vault(source))?;
            Ok(tokens)
        })
    }

    /// Gives the tokens back and forgets them. Returns whether there were any, and whether they were revoked.
    pub async fn log_out(&self) -> Result<(bool, Result<bool, OAuthError>), PoolError> {
        let revoked = match self.tokens().await {
            Some(tokens) => tokens.revoke(&self.ground.net).await,
            None => Ok(false),
        };
        let removed = forget_logins(&self.ground.home, &self.key).map_err(|source| self.vault(source))?;
        Ok((removed > 0, revoked))
    }

    async fn tokens(&self) -> Option<OAuthTokens> {
        let (home, key, url) = (self.ground.home.clone(), self.key.clone(), self.url.clone());
        aiw_home::run_blocking(move || read(&home, &key, &url)).await
    }

    fn failed(&self, source: OAuthError) -> PoolError {
        PoolError::LoginFailed { server: self.key.clone(), source: Box::new(source) }
    }

    fn vault(&self, source: VaultError) -> PoolError {
        PoolError::Vault { server: self.key.clone(), source: Box::new(source) }
    }
}
