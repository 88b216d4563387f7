//! A login: its tokens in the vault, their refresh, and its end.

use aiw_core::{Secret, SecretName};
use aiw_home::{Home, VaultError, now_millis, run_blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::request::{RemoteClient, is_transient_error};
use super::super::{RemoteContext, RemoteError};
use super::client::{GoogleClient, TokenResponse, client_error, post};
use super::place::{GoogleEndpoints, REMOTE_NAME, SCOPE, join_url, oauth_endpoint};

/// The secret with the tokens.
const TOKENS_SECRET: &str = "sync-google";

/// A token that ends this soon, in milliseconds, is not used any more.
const EXPIRY_LEEWAY_MS: u64 = 60_000;

/// The time of a token whose end is not said, in seconds. Google's is an hour.
const DEFAULT_TOKEN_LIFETIME_SECS: u64 = 3600;

/// The tokens of a login, as the vault keeps them. They belong to one client, one authorization server and one API.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct LoginTokens {
    pub(super) access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
    client_id: String,
    oauth_url: String,
    /// None in logins of an older aiw, which are asked for once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_url: Option<String>,
    /// In milliseconds since 1970, by this machine's clock.
    ends: u64,
    /// When the refresh token ends, if the server says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_ends: Option<u64>,
}

/// A login, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleLogin {
    /// When it ends, if that is known.
    pub expiry: Option<LoginExpiry>,
}

/// The known end of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginExpiry {
    /// Within an hour: Google gave no refresh token.
    MissingRefreshToken,
    /// At this time, in milliseconds since 1970. A client whose consent screen is in "Testing" gets seven days.
    Timestamp(u64),
}

/// The end of a logout.
#[derive(Debug)]
pub enum Logout {
    /// There was no login.
    NotLoggedIn,
    /// Google has revoked the login, and it is removed here.
    Revoked,
    /// The login is removed here, but Google did not say that it is revoked.
    Removed(RemoteError),
}

fn name() -> Result<SecretName, RemoteError> {
    TOKENS_SECRET.parse().map_err(|_| RemoteError::Internal { what: "the name of a secret" })
}

impl LoginTokens {
    /// Reads an answer of the token endpoint. What it doesn't say stays as it was `before`.
    pub(super) fn read(
        said: &Map<String, Value>,
        client: &GoogleClient,
        places: &GoogleEndpoints,
        before: Option<&Self>,
    ) -> Result<Self, RemoteError> {
        let text = |key: &str| said.get(key).and_then(Value::as_str).filter(|text| is_token(text)).map(str::to_owned);
        let number = |key: &str| said.get(key).and_then(Value::as_u64);
        let access_token =
            text("access_token").ok_or_else(|| RemoteError::invalid_response("Google", "it holds no access token"))?;
        if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(RemoteError::invalid_response("Google", "its token is of a kind that aiw does not know"));
        }
        let scopes = said.get("scope").and_then(Value::as_str);
        if scopes.is_some_and(|scopes| !scopes.split(' ').any(|scope| scope == SCOPE)) {
            return Err(RemoteError::LoginFailed("was not allowed to see and change the files that aiw makes"));
        }
        let after = |seconds: u64| now_millis().saturating_add(seconds.saturating_mul(1000));
        Ok(Self {
            access_token,
            refresh_token: text("refresh_token").or_else(|| before.and_then(|tokens| tokens.refresh_token.clone())),
            client_id: client.id.clone(),
            oauth_url: places.oauth.to_string(),
            api_url: Some(places.api.to_string()),
            ends: after(number("expires_in").unwrap_or(DEFAULT_TOKEN_LIFETIME_SECS)),
            login_ends: number("refresh_token_expires_in").map(after).or_else(|| before.and_then(|old| old.login_ends)),
        })
    }

    fn is_old(&self) -> bool {
        // A clock that was set back can't make it look new for longer than it may be.
        self.ends <= now_millis().saturating_add(EXPIRY_LEEWAY_MS)
    }

    pub(super) fn login(&self) -> GoogleLogin {
        let end = match (&self.refresh_token, self.login_ends) {
            (None, _) => Some(LoginExpiry::MissingRefreshToken),
            (Some(_), at) => at.map(LoginExpiry::Timestamp),
        };
        GoogleLogin { expiry: end }
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 8192 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Writes tokens to the vault.
pub(super) async fn write(home: &Home, tokens: &LoginTokens) -> Result<(), RemoteError> {
    let text = serde_json::to_string(tokens).map_err(|_| RemoteError::Internal { what: "tokens as JSON" })?;
    let (home, text) = (home.clone(), Secret::new(text));
    run_blocking(move || Ok(home.vault().set(&home.lock()?, &name()?, &text)?)).await
}

async fn read(context: &RemoteContext) -> Result<Option<LoginTokens>, RemoteError> {
    let Some(secret) = context.secret(TOKENS_SECRET).await? else { return Ok(None) };
    serde_json::from_str(secret.expose())
        .map(Some)
        .map_err(|_| RemoteError::MalformedLogin { place: REMOTE_NAME.into(), form: "tokens as JSON" })
}

async fn remove(home: &Home) -> Result<(), RemoteError> {
    let home = home.clone();
    run_blocking(move || match home.vault().remove(&home.lock()?, &name()?) {
        Ok(()) | Err(VaultError::Absent { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    })
    .await
}

/// Returns what is known of the login; `None` if there is none. Nobody is asked.
///
/// # Errors
///
/// The vault can't be read.
pub async fn current(context: &RemoteContext) -> Result<Option<GoogleLogin>, RemoteError> {
    Ok(read(context).await?.map(|tokens| tokens.login()))
}

/// Revokes the login and removes it. Revoking it ends all logins of the same client, on other machines too.
///
/// # Errors
///
/// The login can't be removed.
pub async fn logout(context: &RemoteContext) -> Result<Logout, RemoteError> {
    let _turn = turn(context).await?;
    // One that can't be read is removed all the same.
    let tokens = match read(context).await {
        Ok(None) => return Ok(Logout::NotLoggedIn),
        Ok(tokens) => tokens,
        Err(RemoteError::MalformedLogin { .. }) => None,
        Err(error) => return Err(error),
    };
    let revoked = match &tokens {
        Some(tokens) => revoke(context, tokens).await,
        None => Err(RemoteError::MalformedLogin { place: REMOTE_NAME.into(), form: "tokens as JSON" }),
    };
    remove(&context.home).await?;
    Ok(revoked.map_or_else(Logout::Removed, |()| Logout::Revoked))
}

async fn revoke(context: &RemoteContext, tokens: &LoginTokens) -> Result<(), RemoteError> {
    let (way, url) = oauth_endpoint(context)?;
    if tokens.oauth_url != url.as_str() {
        return Err(RemoteError::LoginExpired { place: REMOTE_NAME.into(), why: "it is of another server".into() });
    }
    let token = tokens.refresh_token.as_ref().unwrap_or(&tokens.access_token);
    match post(&way, &join_url(&url, "revoke")?, [("token", token.as_str())]).await? {
        TokenResponse::Success(_) => Ok(()),
        // It has ended already.
        TokenResponse::Error(code, _) if code == "invalid_token" => Ok(()),
        TokenResponse::Error(code, description) => {
            Err(RemoteError::Unauthorized { place: "Google".into(), why: format!("{code} {description}") })
        }
        TokenResponse::Inconclusive(error) => Err(error),
    }
}

/// Waits for the turn to change the login: one process at a time.
async fn turn(context: &RemoteContext) -> Result<aiw_home::ExclusiveLock, RemoteError> {
    let home = context.home.clone();
    Ok(run_blocking(move || home.lock_login(TOKENS_SECRET)).await?)
}

/// The login of a remote that is open.
pub(super) struct DriveAccess {
    context: RemoteContext,
    client: GoogleClient,
    places: GoogleEndpoints,
    http: RemoteClient,
}

impl DriveAccess {
    pub(super) async fn open(context: &RemoteContext) -> Result<Self, RemoteError> {
        let client = GoogleClient::find(context).await?;
        let places = GoogleEndpoints::new(context)?;
        let (way, _) = oauth_endpoint(context)?;
        let access = Self { context: context.clone(), client, places, http: way };
        access.tokens().await?;
        Ok(access)
    }

    /// Returns the tokens, if they are of this client at these servers: no other one gets them.
    async fn tokens(&self) -> Result<LoginTokens, RemoteError> {
        let place = || REMOTE_NAME.to_owned();
        let tokens = read(&self.context).await?.ok_or_else(|| RemoteError::NotLoggedIn { place: place() })?;
        let GoogleEndpoints { oauth, api } = &self.places;
        match &tokens.api_url {
            None => Err(RemoteError::UnboundLogin { place: place() }),
            Some(known) if known != api.as_str() => {
                Err(RemoteError::LoginOriginMismatch { place: place(), origin: known.clone() })
            }
            Some(_) if tokens.client_id == self.client.id && tokens.oauth_url == oauth.as_str() => Ok(tokens),
            Some(_) => Err(RemoteError::NotLoggedIn { place: place() }),
        }
    }

    /// Returns a token that has not ended.
    pub(super) async fn token(&self) -> Result<Secret, RemoteError> {
        let tokens = self.tokens().await?;
        match tokens.is_old() {
            true => self.refreshed_token(&Secret::new(tokens.access_token)).await,
            false => Ok(Secret::new(tokens.access_token)),
        }
    }

    /// Returns another token than an old one: that of a refresh, here or by another process.
    pub(super) async fn refreshed_token(&self, old: &Secret) -> Result<Secret, RemoteError> {
        let (context, client, places, way) =
            (self.context.clone(), self.client.clone(), self.places.clone(), self.http.clone());
        let (this, old) = (Self { context, client, places, http: way }, old.clone());
        // A refresh that was begun is brought to its end: the old token may be void by then.
        let refresh = tokio::spawn(async move { this.refresh(&old).await });
        refresh.await.unwrap_or(Err(RemoteError::Internal { what: "a refresh of the login broke off" }))
    }

    async fn refresh(&self, old: &Secret) -> Result<Secret, RemoteError> {
        // One at a time in all processes: a refresh token that is used twice may be taken for a stolen one.
        let _turn = turn(&self.context).await?;
        let tokens = self.tokens().await?;
        if tokens.access_token != old.expose() && !tokens.is_old() {
            return Ok(Secret::new(tokens.access_token));
        }
        let ended = |why: String| RemoteError::LoginExpired { place: REMOTE_NAME.into(), why };
        let Some(refresh_token) = &tokens.refresh_token else {
            return Err(ended("Google gave no refresh token".into()));
        };
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let mut pauses = self.http.backoff();
        loop {
            match self.client.post(&self.http, &self.places.oauth, "token", &fields).await? {
                TokenResponse::Success(said) => {
                    let new = LoginTokens::read(&said, &self.client, &self.places, Some(&tokens))?;
                    write(&self.context.home, &new).await?;
                    return Ok(Secret::new(new.access_token));
                }
                TokenResponse::Error(code, description) if code == "invalid_grant" => {
                    remove(&self.context.home).await?;
                    return Err(ended(format!("{code} {description}").trim().to_owned()));
                }
                TokenResponse::Error(code, description) => {
                    if let Some(error) = client_error(&code, &description) {
                        return Err(error);
                    }
                    let why = format!("{code} {description}").trim().to_owned();
                    if code != "rate_limit_exceeded" || !pauses.wait(None).await {
                        return Err(RemoteError::Unauthorized { place: "Google".into(), why });
                    }
                }
                TokenResponse::Inconclusive(error) => {
                    pauses.record_timeout();
                    let is_lasting = matches!(&error, RemoteError::Net(_)) && !is_transient_error(&error);
                    if is_lasting || !pauses.wait(None).await {
                        return Err(error);
                    }
                }
            }
        }
    }
}
