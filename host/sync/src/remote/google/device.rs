//! The login on a device without a browser of its own. <https://www.rfc-editor.org/rfc/rfc8628>

use std::time::Duration;

use aiw_core::one_line;
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

use super::super::request::RemoteClient;
use super::super::{RemoteContext, RemoteError};
use super::client::{GoogleClient, TokenResponse, client_error};
use super::login::{GoogleLogin, LoginTokens, write};
use super::place::{GoogleEndpoints, SCOPE, oauth_endpoint};

/// The grant, by its name in the standard. Google's older one is not it.
const DEVICE_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The pause that the standard has for servers that say none, in seconds, and by how much `slow_down` makes it longer.
const DEFAULT_POLL_INTERVAL_SECS: u64 = 5;

/// The longest pause that a server may ask for, in seconds.
const MAX_POLL_INTERVAL_SECS: u64 = 60;

/// The longest time that is waited for somebody to type the code, in seconds.
const MAX_LOGIN_SECONDS: u64 = 1800;

/// A code to be typed at an address, in any browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// The address.
    pub url: String,
    /// The code.
    pub code: String,
    /// The address with the code in it, for a QR code, if the server has one.
    pub complete_url: Option<String>,
    /// For how many seconds the code is good.
    pub expires_in_secs: u64,
}

/// A code that was asked for.
struct PendingCode {
    code: DeviceCode,
    device_code: String,
    pause: u64,
}

/// Logs in: shows a code, and waits until somebody has typed it. Dropping this ends the wait.
///
/// # Errors
///
/// There is no OAuth client, somebody denied the login, or nobody answered in time.
pub async fn login(
    context: &RemoteContext,
    show: &(dyn Fn(&DeviceCode) + Send + Sync),
) -> Result<GoogleLogin, RemoteError> {
    let client = GoogleClient::find(context).await?;
    let (way, oauth) = oauth_endpoint(context)?;
    let pending = ask(&client, &way, &oauth).await?;
    show(&pending.code);
    let said = poll(&client, &way, &oauth, pending, context.delay_unit).await?;
    let tokens = LoginTokens::read(&said, &client, &GoogleEndpoints::new(context)?, None)?;
    write(&context.home, &tokens).await?;
    Ok(tokens.login())
}

async fn ask(client: &GoogleClient, way: &RemoteClient, oauth: &Url) -> Result<PendingCode, RemoteError> {
    let mut pauses = way.backoff();
    loop {
        match client.post(way, oauth, "device/code", &[("scope", SCOPE)]).await? {
            TokenResponse::Success(said) => return PendingCode::read(&said),
            TokenResponse::Error(code, description) => {
                if let Some(error) = client_error(&code, &description) {
                    return Err(error);
                }
                let why = format!("{code} {description}").trim().to_owned();
                if code != "rate_limit_exceeded" || !pauses.wait(None).await {
                    return Err(RemoteError::Unauthorized { place: "Google".into(), why });
                }
            }
            // Here, nobody has typed anything yet: somebody who is told may just try again.
            TokenResponse::Inconclusive(error @ RemoteError::Net(_)) => return Err(error),
            TokenResponse::Inconclusive(error) => {
                if !pauses.wait(None).await {
                    return Err(error);
                }
            }
        }
    }
}

impl PendingCode {
    fn read(said: &Map<String, Value>) -> Result<Self, RemoteError> {
        let junk = |problem: &str| RemoteError::invalid_response("Google", problem);
        let text = |key: &str| said.get(key).and_then(Value::as_str).filter(|text| (1..=2048).contains(&text.len()));
        let number = |key: &str| said.get(key).and_then(Value::as_u64);
        let address = |key: &str| {
            let url = Url::parse(text(key)?).ok()?;
            let is_plain = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.has_host();
            is_plain.then(|| url.to_string())
        };
        // Google's own name, and that of the standard.
        let url = address("verification_url").or_else(|| address("verification_uri"));
        let device_code = text("device_code").ok_or_else(|| junk("it holds no device code"))?.to_owned();
        let code = text("user_code").ok_or_else(|| junk("it holds no code for the user"))?;
        Ok(Self {
            code: DeviceCode {
                url: url.ok_or_else(|| junk("it holds no address for the user"))?,
                // It is shown on a terminal.
                code: one_line(&code.chars().filter(|c| !aiw_core::is_unsafe_in_line(*c)).collect::<String>(), 60),
                complete_url: address("verification_uri_complete").or_else(|| address("verification_url_complete")),
                expires_in_secs: number("expires_in").unwrap_or(MAX_LOGIN_SECONDS).min(MAX_LOGIN_SECONDS),
            },
            device_code,
            pause: number("interval").unwrap_or(DEFAULT_POLL_INTERVAL_SECS).clamp(1, MAX_POLL_INTERVAL_SECS),
        })
    }
}

async fn poll(
    client: &GoogleClient,
    way: &RemoteClient,
    oauth: &Url,
    pending: PendingCode,
    second: Duration,
) -> Result<Map<String, Value>, RemoteError> {
    let of = |seconds: u64| second.saturating_mul(u32::try_from(seconds).unwrap_or(u32::MAX));
    let end = Instant::now() + of(pending.code.expires_in_secs);
    let mut pause = pending.pause;
    let fields = [("device_code", pending.device_code.as_str()), ("grant_type", DEVICE_GRANT_TYPE)];
    loop {
        let next = Instant::now() + of(pause);
        if next >= end {
            return Err(RemoteError::LoginFailed("ran out: nobody typed the code in time"));
        }
        tokio::time::sleep_until(next).await;
        let answer = match tokio::time::timeout_at(end, client.post(way, oauth, "token", &fields)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(RemoteError::LoginFailed("ran out: nobody typed the code in time")),
        };
        match answer {
            TokenResponse::Success(said) if said.contains_key("access_token") => return Ok(said),
            TokenResponse::Error(code, description) => match code.as_str() {
                "authorization_pending" => {}
                // For good, not once.
                "slow_down" | "rate_limit_exceeded" => pause += DEFAULT_POLL_INTERVAL_SECS,
                "access_denied" => return Err(RemoteError::LoginFailed("was denied")),
                "expired_token" | "invalid_grant" => {
                    return Err(RemoteError::LoginFailed("ran out: nobody typed the code in time"));
                }
                _ => {
                    let why = format!("{code} {description}").trim().to_owned();
                    return Err(client_error(&code, &description)
                        .unwrap_or(RemoteError::Unauthorized { place: "Google".into(), why }));
                }
            },
            // A page of a proxy or a server that is down ends nothing: the code is good for half an hour.
            TokenResponse::Success(_) | TokenResponse::Inconclusive(_) => {
                pause = (pause * 2).min(MAX_POLL_INTERVAL_SECS).max(pause)
            }
        }
    }
}
