//! A name and a password or key, and the server that they are for.

use aiw_core::Secret;
use aiw_home::origin;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{RemoteContext, RemoteError};

/// A login as the vault keeps it. No other server gets it, and none over another scheme.
#[derive(Serialize, Deserialize)]
struct BoundLogin {
    /// Scheme, host and port.
    origin: String,
    /// `NAME:SECRET`
    login: String,
}

/// Returns a login as the vault keeps it, for the server of an address.
///
/// # Errors
///
/// Never, but for a mistake in aiw.
pub(crate) fn bind_to_origin(url: &Url, login: &Secret) -> Result<Secret, RemoteError> {
    let bound = BoundLogin { origin: origin(url.as_str()), login: login.expose().to_owned() };
    let text = serde_json::to_string(&bound).map_err(|_| RemoteError::Internal { what: "a login as JSON" })?;
    Ok(Secret::new(text))
}

impl RemoteContext {
    /// Returns the login for the server of an address.
    ///
    /// # Errors
    ///
    /// There is none, or it is for another server, or an older aiw kept it, which did not say for which.
    pub(super) async fn login(&self, name: &'static str, url: &Url, place: &str) -> Result<Secret, RemoteError> {
        let place = || place.to_owned();
        let kept = self.secret(name).await?.ok_or_else(|| RemoteError::NotLoggedIn { place: place() })?;
        let Ok(BoundLogin { origin: of, login }) = serde_json::from_str(kept.expose()) else {
            return Err(RemoteError::UnboundLogin { place: place() });
        };
        match of == origin(url.as_str()) {
            true => Ok(Secret::new(login)),
            false => Err(RemoteError::LoginOriginMismatch { place: place(), origin: of }),
        }
    }
}
