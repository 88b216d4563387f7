//! The world of providers, as a trait.

use std::marker::PhantomData;

use crate::__wit_provider::exports::aiw::plugin::provider::Guest;
use crate::{
    Account, BaseUrl, Error, Family, Health, Intent, Listing, Model, Need, Preset, ProviderInfo, Target, log_panics,
};

/// A kind of API provider: which APIs it speaks, where, and with which credentials.
///
/// [`describe`](Self::describe) is enough for a provider that speaks the standard APIs: [`Intent`] and [`Listing`] do
/// the rest.
///
/// Each call runs in a fresh instance. To keep something, put it into [`cache`](crate::cache).
pub trait Provider {
    /// What this component connects to. It may call only [`log`](crate::log) on the host.
    fn describe() -> ProviderInfo;

    /// What to tell a CLI. It is called before every start. On the host it may call [`log`](crate::log),
    /// [`settings`](crate::settings), [`tasks::list`](crate::tasks::list) and [`tasks::get`](crate::tasks::get);
    /// anything else ends the call.
    fn plan(account: &Account, target: &Target) -> Result<Intent, Error> {
        Intent::new(account, target)
    }

    /// Asks the server once whether it is reachable and whether the key is valid.
    fn check(account: &Account) -> Result<Health, Error> {
        Listing::new(account)?.check()
    }

    /// The models that the server offers.
    fn models(account: &Account) -> Result<Vec<Model>, Error> {
        Listing::new(account)?.models()
    }
}

impl ProviderInfo {
    /// Creates a description with a label: what the component connects to, in a few words, such as `Anthropic`.
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), presets: Vec::new() }
    }

    /// Adds a known provider.
    #[must_use]
    pub fn preset(mut self, preset: Preset) -> Self {
        self.presets.push(preset);
        self
    }
}

impl Preset {
    /// Creates a provider known by its `id` (1 to 64 of `a-z 0-9 -`, starting with a letter) that needs a token.
    pub fn new(id: &str, label: &str) -> Self {
        Self {
            id: id.to_owned(),
            label: label.to_owned(),
            base_urls: Vec::new(),
            token: Need::Required,
            token_page: None,
            model: None,
        }
    }

    /// Adds the address of an API: by convention without `/v1` for Anthropic, with it for OpenAI, and without a
    /// version for Gemini.
    #[must_use]
    pub fn at(mut self, family: Family, url: &str) -> Self {
        self.base_urls.push(BaseUrl { family, url: url.to_owned() });
        self
    }

    /// Adds an API whose address the user must give.
    #[must_use]
    pub fn at_users(self, family: Family) -> Self {
        self.at(family, "")
    }

    /// Sets whether it takes a token.
    #[must_use]
    pub fn token(mut self, need: Need) -> Self {
        self.token = need;
        self
    }

    /// Sets the page where users get tokens.
    #[must_use]
    pub fn token_page(mut self, url: &str) -> Self {
        self.token_page = Some(url.to_owned());
        self
    }

    /// Sets the model to use if the user names none.
    #[must_use]
    pub fn model(mut self, id: &str) -> Self {
        self.model = Some(id.to_owned());
        self
    }
}

/// The exports of a component for a provider.
#[doc(hidden)]
pub struct Exported<T>(PhantomData<T>);

impl<T: Provider> Exported<T> {
    /// Fails to compile if `T` is not a provider.
    pub const CHECK: () = ();
}

impl<T: Provider> Guest for Exported<T> {
    fn describe() -> ProviderInfo {
        log_panics();
        T::describe()
    }

    fn plan(account: Account, target: Target) -> Result<Intent, Error> {
        log_panics();
        T::plan(&account, &target)
    }

    fn check(account: Account) -> Result<Health, Error> {
        log_panics();
        T::check(&account)
    }

    fn list_models(account: Account) -> Result<Vec<Model>, Error> {
        log_panics();
        T::models(&account)
    }
}
