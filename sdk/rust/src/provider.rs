use std::marker::PhantomData;

use crate::__wit_provider::exports::aiw::plugin::adapter::Guest;
use crate::{
    Access, BaseUrl, CliTarget, Error, Family, Health, Listing, Model, Need, Plan, Preset, Profile, ProviderInfo,
    log_panics,
};

/// A kind of API provider: what an AI CLI must be told to speak to it.
///
/// [`describe`](Self::describe) is enough for one that speaks the APIs as they are: the other
/// functions are done by [`Access`] and [`Listing`].
///
/// Each call runs in a fresh instance: what is to be kept goes into [`cache`](crate::cache).
pub trait Provider {
    /// What this component speaks to.
    fn describe() -> ProviderInfo;

    /// What a CLI is to be started with. It is asked before every start: the host refuses
    /// requests, and waiting for tasks or starting them, meanwhile.
    fn launch_plan(profile: &Profile, target: &CliTarget) -> Result<Plan, Error> {
        Ok(Access::new(profile, target)?.plan())
    }

    /// Asks the far end once: is it there, is the key good?
    fn check(profile: &Profile) -> Result<Health, Error> {
        Listing::new(profile)?.check()
    }

    /// The models that the far end offers.
    fn models(profile: &Profile) -> Result<Vec<Model>, Error> {
        Listing::new(profile)?.models()
    }
}

impl ProviderInfo {
    /// What it speaks to, in a few words: `Anthropic`.
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), presets: Vec::new() }
    }

    /// Adds a provider that is known by name.
    #[must_use]
    pub fn preset(mut self, preset: Preset) -> Self {
        self.presets.push(preset);
        self
    }
}

impl Preset {
    /// A provider that is known by `id` (1 to 64 of `a-z 0-9 -`, the first a letter) and needs a
    /// token.
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

    /// Where it speaks an API: by convention without `/v1` for Anthropic's, with it for OpenAI's,
    /// without a version for Gemini's.
    #[must_use]
    pub fn at(mut self, family: Family, url: &str) -> Self {
        self.base_urls.push(BaseUrl { family, url: url.to_owned() });
        self
    }

    /// An API that it speaks at an address that the user has to give.
    #[must_use]
    pub fn at_users(self, family: Family) -> Self {
        self.at(family, "")
    }

    /// Whether it takes a token.
    #[must_use]
    pub fn token(mut self, need: Need) -> Self {
        self.token = need;
        self
    }

    /// The page that hands out tokens.
    #[must_use]
    pub fn token_page(mut self, url: &str) -> Self {
        self.token_page = Some(url.to_owned());
        self
    }

    /// The model where the user names none.
    #[must_use]
    pub fn model(mut self, id: &str) -> Self {
        self.model = Some(id.to_owned());
        self
    }
}

/// What the component exports for a provider.
#[doc(hidden)]
pub struct Exported<T>(PhantomData<T>);

impl<T: Provider> Exported<T> {
    /// Fails to compile where `T` is no provider.
    pub const CHECK: () = ();
}

impl<T: Provider> Guest for Exported<T> {
    fn describe() -> ProviderInfo {
        log_panics();
        T::describe()
    }

    fn launch_plan(profile: Profile, target: CliTarget) -> Result<Plan, Error> {
        log_panics();
        T::launch_plan(&profile, &target)
    }

    fn check(profile: Profile) -> Result<Health, Error> {
        log_panics();
        T::check(&profile)
    }

    fn models(profile: Profile) -> Result<Vec<Model>, Error> {
        log_panics();
        T::models(&profile)
    }
}
