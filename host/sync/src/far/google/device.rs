//! The login on a device without a browser of its own. <https://www.rfc-editor.org/rfc/rfc8628>

use std::time::Duration;

use aiw_core::one_line;
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

use super::super::request::FarServer;
use super::super::{FarContext, FarError};
use super::client::{GoogleClient, TokenAnswer, about_client};
use super::login::{GoogleLogin, LoginTokens, write};
use super::place::{GooglePlaces, SCOPE, oauth};

/// The grant, by its name in the standard. Google's older one is not it.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The pause that the standard has for servers that say none, in seconds, and by how much `slow_down` makes it longer.
const PAUSE: u64 = 5;

/// The longest pause that a server may ask for, in seconds.
const LONGEST_PAUSE: u64 = 60;

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
    pub seconds: u64,
}

/// A code that was asked for.
struct PendingCode {
    shown: DeviceCode,
    device_code: String,
    pause: u64,
}

/// Logs in: shows a code, and waits until somebody has typed it. Dropping this ends the wait.
///
/// # Errors
///
/// There is no OAuth client, somebody denied the login, or nobody answered in time.
pub async fn login(context: &FarContext, show: &(dyn Fn(&DeviceCode) + Send + Sync)) -> Result<GoogleLogin, FarError> {
    let client = GoogleClient::find(context).await?;
    let (way, oauth) = oauth(context)?;
    let pending = ask(&client, &way, &oauth).await?;
    show(&pending.shown);
    let said = poll(&client, &way, &oauth, pending, context.second).await?;
    let tokens = LoginTokens::read(&said, &client, &GooglePlaces::of(context)?, None)?;
    write(&context.home, &tokens).await?;
    Ok(tokens.login())
}

async fn ask(client: &GoogleClient, way: &FarServer, oauth: &Url) -> Result<PendingCode, FarError> {
    let mut pauses = way.pauses();
    loop {
        match client.post(way, oauth, "device/code", &[("scope", SCOPE)]).await? {
            TokenAnswer::Yes(said) => return PendingCode::read(&said),
            TokenAnswer::No(code, description) => {
                if let Some(error) = about_client(&code, &description) {
                    return Err(error);
                }
                let why = format!("{code} {description}").trim().to_owned();
                if code != "rate_limit_exceeded" || !pauses.next(None).await {
                    return Err(FarError::Refused { place: "Google".into(), why });
                }
            }
            // Here, nobody has typed anything yet: somebody who is told may just try again.
            TokenAnswer::Unclear(error @ FarError::Net(_)) => return Err(error),
            TokenAnswer::Unclear(error) => {
                if !pauses.next(None).await {
                    return Err(error);
                }
            }
        }
    }
}

impl PendingCode {
    fn read(said: &Map<String, Value>) -> Result<Self, FarError> {
        let junk = |problem: &str| FarError::junk("Google", problem);
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
            shown: DeviceCode {
                url: url.ok_or_else(|| junk("it holds no address for the user"))?,
                // It is shown on a terminal.
                code: one_line(&code.chars().filter(|c| !aiw_core::is_unsafe_in_line(*c)).collect::<String>(), 60),
                complete_url: address("verification_uri_complete").or_else(|| address("verification_url_complete")),
                seconds: number("expires_in").unwrap_or(MAX_LOGIN_SECONDS).min(MAX_LOGIN_SECONDS),
            },
            device_code,
            pause: number("interval").unwrap_or(PAUSE).clamp(1, LONGEST_PAUSE),
        })
    }
}

async fn poll(
    client: &GoogleClient,
    way: &FarServer,
    oauth: &Url,
    pending: PendingCode,
    second: Duration,
) -> Result<Map<String, Value>, FarError> {
    let of = |seconds: u64| second.saturating_mul(u32::try_from(seconds).unwrap_or(u32::MAX));
    let end = Instant::now() + of(pending.shown.seconds);
    let mut pause = pending.pause;
    let fields = [("device_code", pending.device_code.as_str()), ("grant_type", GRANT)];
    loop {
        let next = Instant::now() + of(pause);
        if next >= end {
            return Err(FarError::Login("ran out: nobody typed the code in time"));
        }
        tokio::time::sleep_until(next).await;
        let answer = match tokio::time::timeout_at(end, client.post(way, oauth, "token", &fields)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(FarError::Login("ran out: nobody typed the code in time")),
        };
        match answer {
            TokenAnswer::Yes(said) if said.contains_key("access_token") => return Ok(said),
            TokenAnswer::No(code, description) => match code.as_str() {
                "authorization_pending" => {}
                // For good, not once.
                "slow_down" | "rate_limit_exceeded" => pause += PAUSE,
                "access_denied" => return Err(FarError::Login("was denied")),
                "expired_token" | "invalid_grant" => {
                    return Err(FarError::Login("ran out: nobody typed the code in time"));
                }
                _ => {
                    let why = format!("{code} {description}").trim().to_owned();
                    return Err(
                        about_client(&code, &description).unwrap_or(FarError::Refused { place: "Google".into(), why })
                    );
                }
            },
            // A page of a proxy or a server that is down ends nothing: the code is good for half an hour.
            TokenAnswer::Yes(_) | TokenAnswer::Unclear(_) => pause = (pause * 2).min(LONGEST_PAUSE).max(pause),
        }
    }
}
