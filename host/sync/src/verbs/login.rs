//! Logging in at remotes that need it, and out again.

use aiw_core::{PromptError, Prompter, Reporter, Secret};
use aiw_home::origin;
use qrcode::render::unicode::Dense1x2;
use url::Url;

use super::{Synchronizer, secret_name};
use crate::error::SyncError;
use crate::remote::google::{self, DeviceCode, LoginExpiry, Logout};
use crate::remote::{RemoteUrl, S3_SECRET, WEBDAV_SECRET, bind_to_origin, is_unencrypted};

impl Synchronizer {
    /// Logs in at a remote, that of this machine's store if none is named.
    ///
    /// # Errors
    ///
    /// The login was denied, or the remote needs none.
    pub async fn login(&self, remote: Option<&str>, ask: &dyn Prompter, sink: &dyn Reporter) -> Result<(), SyncError> {
        self.telling(sink, self.login_told(remote, ask, sink)).await
    }

    async fn login_told(&self, remote: Option<&str>, ask: &dyn Prompter, sink: &dyn Reporter) -> Result<(), SyncError> {
        let address = self.address(remote)?;
        warn_unencrypted(&address, sink);
        match &address {
            RemoteUrl::GoogleDrive => {
                self.say_places(sink)?;
                let show = |code: &DeviceCode| show(code, ask.is_interactive(), sink);
                let login = google::login(&self.context()?, &show).await?;
                warn_expiry(login.expiry, sink);
                Ok(())
            }
            RemoteUrl::WebDav(url) => self.keep(WEBDAV_SECRET, url, ["User", "Password"], ask).await,
            RemoteUrl::S3(at) => self.keep(S3_SECRET, &at.endpoint, ["Access key id", "Secret access key"], ask).await,
            RemoteUrl::Folder(_) | RemoteUrl::Git(_) => Err(SyncError::LoginNotRequired),
        }
    }

    /// Forgets a login.
    ///
    /// # Errors
    ///
    /// The vault can't be changed.
    pub async fn logout(&self, remote: Option<&str>, sink: &dyn Reporter) -> Result<(), SyncError> {
        self.telling(sink, self.logout_told(remote, sink)).await
    }

    async fn logout_told(&self, remote: Option<&str>, sink: &dyn Reporter) -> Result<(), SyncError> {
        match self.address(remote)? {
            RemoteUrl::GoogleDrive => match google::logout(&self.context()?).await? {
                Logout::Revoked => {}
                Logout::NotLoggedIn => sink.note("there was no login".into()),
                Logout::Removed(e) => {
                    sink.note(format!("the login is removed here, but Google did not revoke it: {e}"))
                }
            },
            RemoteUrl::WebDav(_) => self.forget_secret(WEBDAV_SECRET)?,
            RemoteUrl::S3(_) => self.forget_secret(S3_SECRET)?,
            RemoteUrl::Folder(_) | RemoteUrl::Git(_) => return Err(SyncError::LoginNotRequired),
        }
        Ok(())
    }

    fn address(&self, remote: Option<&str>) -> Result<RemoteUrl, SyncError> {
        let own = || Ok::<_, SyncError>(self.directory.load()?.ok_or(SyncError::NotSetUp)?.remote);
        let text = remote.map_or_else(own, |text| Ok(text.to_owned()))?;
        Ok(RemoteUrl::parse(&text, self.home.context())?)
    }

    /// Keeps a name and a secret in the vault, for the server of an address. Without a terminal, both are a line of standard
    /// input: `NAME:SECRET`.
    async fn keep(
        &self,
        name: &'static str,
        url: &Url,
        [user, password]: [&str; 2],
        ask: &dyn Prompter,
    ) -> Result<(), SyncError> {
        let server = origin(url.as_str());
        let user = if ask.is_interactive() { ask.text(&format!("{user} at {server}: ")).await? } else { None };
        let secret = ask.secret(&format!("{password} for {server}: ")).await?.ok_or(PromptError::Declined)?;
        let both = match user {
            Some(user) => Secret::new(format!("{user}:{}", secret.expose())),
            None => secret,
        };
        Ok(self.home.vault().set(&self.home.lock()?, &secret_name(name)?, &bind_to_origin(url, &both)?)?)
    }

    /// Says where a login of Google's goes, if that is not Google.
    fn say_places(&self, sink: &dyn Reporter) -> Result<(), SyncError> {
        let google::GoogleEndpoints { oauth, api } = google::GoogleEndpoints::new(&self.context()?)?;
        let settings = self.home.settings()?.sync()?.google;
        for (url, what) in [(oauth, settings.oauth_url), (api, settings.api_url)] {
            if what.is_some() {
                sink.note(format!(
                    "the login goes to {}, which your settings name in the place of Google",
                    origin(url.as_str())
                ));
            }
            if is_unencrypted(&url) {
                sink.note(in_clear(&url));
            }
        }
        Ok(())
    }
}

/// Says that a password can be read on its way, before one goes there.
pub(super) fn warn_unencrypted(address: &RemoteUrl, sink: &dyn Reporter) {
    if let Some(url) = address.unencrypted_url() {
        sink.note(in_clear(&url));
    }
}

fn in_clear(url: &Url) -> String {
    format!(
        "`{}` is not encrypted: others on the network can read what goes there, a password too",
        origin(url.as_str())
    )
}

fn show(code: &DeviceCode, is_terminal: bool, sink: &dyn Reporter) {
    let DeviceCode { url, code, expires_in_secs: seconds, .. } = code;
    if is_terminal {
        picture(url).unwrap_or_default().lines().for_each(|line| sink.note(line.to_owned()));
    }
    sink.note(format!("open {url} in any browser, and type the code {code}"));
    sink.step(format!("waiting up to {} minutes for the login", seconds / 60));
}

/// Returns a QR code of an address, for a terminal with light text on a dark background, as most are.
fn picture(url: &str) -> Option<String> {
    let code = qrcode::QrCode::new(url).ok()?;
    let mut drawing = code.render::<Dense1x2>();
    Some(drawing.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// Says that a login ends soon.
pub(super) fn warn_expiry(end: Option<LoginExpiry>, sink: &dyn Reporter) {
    match end {
        Some(LoginExpiry::MissingRefreshToken) => {
            sink.note("Google gave a login of an hour alone, which can't be renewed".into())
        }
        Some(LoginExpiry::Timestamp(at)) => sink.note(format!(
            "Google ends this login at {}: the consent screen of the OAuth client is in \"Testing\"",
            aiw_home::rfc3339(at)
        )),
        None => {}
    }
}
