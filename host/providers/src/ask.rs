//! The questions asked while adding or changing a provider.

use aiw_core::{AskError, CliKind, EnvName, Family, Secret};
use async_trait::async_trait;

use crate::KnownPreset;

/// Someone who answers questions.
#[async_trait]
pub trait Ask: Send + Sync {
    /// Whether someone can answer. If not, only [`Ask::private_address`] and [`Ask::given_token`] are called.
    fn is_there(&self) -> bool;

    /// Says why an answer is of no use, before the question is asked again.
    fn again(&self, why: &str);

    /// The name of a new provider. `usual` is the one for an empty answer.
    async fn name(&self, usual: &str) -> Result<String, AskError>;

    /// Which preset a new provider starts from.
    async fn preset(&self, presets: &[KnownPreset]) -> Result<String, AskError>;

    /// The address for an API; none to leave that API out.
    async fn address(&self, family: Family) -> Result<Option<String>, AskError>;

    /// Which of the suitable CLIs the provider is for; none for all of them.
    async fn clis(&self, fitting: &[CliKind]) -> Result<Option<Vec<CliKind>>, AskError>;

    /// The model; none for the CLI's own choice.
    async fn model(&self) -> Result<Option<String>, AskError>;

    /// Whether CLIs that could reach the provider themselves go through the gateway, which keeps the key.
    async fn gateway(&self) -> Result<bool, AskError>;

    /// The token; none if you typed nothing. `page` is where to get one.
    async fn token(&self, page: Option<&str>) -> Result<Option<Secret>, AskError>;

    /// The token that the user said is coming, from standard input for instance.
    async fn given_token(&self) -> Result<Secret, AskError>;

    /// Whether runs with other providers must not see a variable that holds a secret. `usual` is the
    /// answer of those who just press Enter.
    async fn withhold(&self, variable: &EnvName, usual: bool) -> Result<bool, AskError>;

    /// Whether secrets may go to an address on this machine or in a private network that a third-party
    /// preset names.
    async fn private_address(&self, preset: &KnownPreset, url: &str) -> Result<bool, AskError>;
}
