//! Logging in at far ends that need it, and out again.

use aiw_core::{Ask, AskError, Secret, Sink};
use aiw_home::origin;
use qrcode::render::unicode::Dense1x2;
use url::Url;

use super::{Synchronizer, secret_name};
use crate::error::SyncError;
use crate::far::google::{self, DeviceCode, LoginEnd, Logout};
use crate::far::{FarAddress, S3_SECRET, WEBDAV_SECRET, bound, is_readable};

impl Synchronizer {
    /// Logs in at a far end, that of this machine's store if none is named.
    ///
    /// # Errors
    ///
    /// The login was denied, or the far end needs none.
    pub async fn login(&self, far_end: Option<&str>, ask: &dyn Ask, sink: &dyn Sink) -> Result<(), SyncError> {
        self.telling(sink, self.login_told(far_end, ask, sink)).await
    }

    async fn login_told(&self, far_end: Option<&str>, ask: &dyn Ask, sink: &dyn Sink) -> Result<(), SyncError> {
        let address = self.address(far_end)?;
        say_unencrypted(&address, sink);
        match &address {
            FarAddress::GoogleDrive => {
                self.say_places(sink)?;
                let show = |code: &DeviceCode| show(code, ask.is_there(), sink);
                let login = google::login(&self.context()?, &show).await?;
                say_end(login.end, sink);
                Ok(())
            }
            FarAddress::WebDav(url) => self.keep(WEBDAV_SECRET, url, ["User", "Password"], ask).await,
            FarAddress::S3(at) => self.keep(S3_SECRET, &at.endpoint, ["Access key id", "Secret access key"], ask).await,
            FarAddress::Folder(_) | FarAddress::Git(_) => Err(SyncError::NoLogin),
        }
    }

    /// Forgets a login.
    ///
    /// # Errors
    ///
    /// The vault can't be changed.
    pub async fn logout(&self, far_end: Option<&str>, sink: &dyn Sink) -> Result<(), SyncError> {
        self.telling(sink, self.logout_told(far_end, sink)).await
    }

    async fn logout_told(&self, far_end: Option<&str>, sink: &dyn Sink) -> Result<(), SyncError> {
        match self.address(far_end)? {
            FarAddress::GoogleDrive => match google::logout(&self.context()?).await? {
                Logout::Revoked => {}
                Logout::NoLogin => sink.note("there was no login".into()),
                Logout::Removed(e) => {
                    sink.note(format!("the login is removed here, but Google did not revoke it: {e}"))
                }
            },
            FarAddress::WebDav(_) => self.forget_secret(WEBDAV_SECRET)?,
            FarAddress::S3(_) => self.forget_secret(S3_SECRET)?,
            FarAddress::Folder(_) | FarAddress::Git(_) => return Err(SyncError::NoLogin),
        }
        Ok(())
    }

    fn address(&self, far_end: Option<&str>) -> Result<FarAddress, SyncError> {
        let own = || Ok::<_, SyncError>(self.directory.load()?.ok_or(SyncError::NoStore)?.far_end);
        let text = far_end.map_or_else(own, |text| Ok(text.to_owned()))?;
        Ok(FarAddress::parse(&text, self.home.around())?)
    }

    /// Keeps a name and a secret in the vault, for the server of an address. Without a terminal, both are a line of standard
    /// input: `NAME:SECRET`.
    async fn keep(
        &self,
        name: &'static str,
        url: &Url,
        [user, password]: [&str; 2],
        ask: &dyn Ask,
    ) -> Result<(), SyncError> {
        let server = origin(url.as_str());
        let user = if ask.is_there() { ask.text(&format!("{user} at {server}: ")).await? } else { None };
        let secret = ask.secret(&format!("{password} for {server}: ")).await?.ok_or(AskError::Declined)?;
        let both = match user {
            Some(user) => Secret::new(format!("{user}:{}", secret.expose())),
            None => secret,
        };
        Ok(self.home.vault().set(&self.home.lock()?, &secret_name(name)?, &bound(url, &both)?)?)
    }

    /// Says where a login of Google's goes, if that is not Google.
    fn say_places(&self, sink: &dyn Sink) -> Result<(), SyncError> {
        let google::GooglePlaces { oauth, api } = google::GooglePlaces::of(&self.context()?)?;
        let settings = self.home.settings()?.sync()?.google;
        for (url, what) in [(oauth, settings.oauth_url), (api, settings.api_url)] {
            if what.is_some() {
                sink.note(format!(
                    "the login goes to {}, which your settings name in the place of Google",
                    origin(url.as_str())
                ));
            }
            if is_readable(&url) {
                sink.note(in_clear(&url));
            }
        }
        Ok(())
    }
}

/// Says that a password can be read on its way, before one goes there.
pub(super) fn say_unencrypted(address: &FarAddress, sink: &dyn Sink) {
    if let Some(url) = address.unencrypted() {
        sink.note(in_clear(&url));
    }
}

fn in_clear(url: &Url) -> String {
    format!(
        "`{}` is not encrypted: others on the network can read what goes there, a password too",
        origin(url.as_str())
    )
}

fn show(code: &DeviceCode, is_terminal: bool, sink: &dyn Sink) {
    let DeviceCode { url, code, seconds, .. } = code;
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
pub(super) fn say_end(end: Option<LoginEnd>, sink: &dyn Sink) {
    match end {
        Some(LoginEnd::NoRefresh) => sink.note("Google gave a login of an hour alone, which can't be renewed".into()),
        Some(LoginEnd::At(at)) => sink.note(format!(
            "Google ends this login at {}: the consent screen of the OAuth client is in \"Testing\"",
            aiw_home::rfc3339(at)
        )),
        None => {}
    }
}
