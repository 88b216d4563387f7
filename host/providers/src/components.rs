//! What this room needs from provider components. `aiw` implements it with the library of components.

use std::collections::BTreeMap;
use std::error::Error;

use aiw_core::provider::{Account, Health, Intent, Model, Preset, Target};
use aiw_core::{Diagnostic, ErrorKind, ExtensionId, Secret, closest, one_line};
use async_trait::async_trait;

/// A preset, and the component that knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresetEntry {
    /// The component.
    pub component: ExtensionId,
    /// Whether the component is part of aiw.
    pub bundled: bool,
    /// The preset.
    pub preset: Preset,
}

/// Provider components.
#[async_trait]
pub trait ProviderComponents: Send + Sync {
    /// All presets, each id once. Components that don't answer are left out, each with its error.
    async fn presets(&self) -> Result<(Vec<PresetEntry>, Vec<ProviderComponentError>), ProviderComponentError>;

    /// A preset by its id, from one component or from any.
    async fn preset(
        &self,
        preset: &str,
        component: Option<&ExtensionId>,
    ) -> Result<PresetEntry, ProviderComponentError>;

    /// Refuses an address that no one typed and that points to this machine or a private network.
    async fn check_address(&self, url: &str) -> Result<(), ProviderComponentError>;

    /// Connects to the host of a URL and sends nothing.
    async fn try_connection(&self, url: &str) -> Result<(), ProviderComponentError>;

    /// Asks a component for the intent of a start.
    async fn plan(
        &self,
        component: &ExtensionId,
        account: &Account,
        target: &Target,
    ) -> Result<Intent, ProviderComponentError>;

    /// Asks the provider once whether it is reachable and whether the key is valid.
    async fn check(
        &self,
        component: &ExtensionId,
        account: &Account,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Health, ProviderComponentError>;

    /// The models that the provider offers.
    async fn models(
        &self,
        component: &ExtensionId,
        account: &Account,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Vec<Model>, ProviderComponentError>;
}

/// Why a component gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProviderComponentError {
    /// No component knows the preset.
    #[error("there is no preset `{}`", one_line(.preset, 80))]
    UnknownPreset {
        /// Its id.
        preset: String,
        /// The presets that there are.
        known: Vec<String>,
    },
    /// An address that no one typed is not public.
    #[error("{source}")]
    PrivateAddress {
        /// For the exit code.
        kind: ErrorKind,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// An address does not answer.
    #[error("{source}")]
    Unreachable {
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A host name does not resolve.
    #[error("{source}")]
    Unresolved {
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The component could not be loaded or called.
    #[error("{source}")]
    Component {
        /// For the exit code.
        kind: ErrorKind,
        /// The next step.
        hint: Option<String>,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Diagnostic for ProviderComponentError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::UnknownPreset { .. } => ErrorKind::User,
            Self::Unreachable { .. } | Self::Unresolved { .. } => ErrorKind::Unavailable,
            Self::PrivateAddress { kind, .. } | Self::Component { kind, .. } => *kind,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::UnknownPreset { preset, known } => Some(match closest(preset, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`aiw provider presets` lists them".into(),
            }),
            Self::PrivateAddress { .. } => {
                Some("to agree to this address, run `aiw provider edit NAME --base-url FAMILY=URL`".into())
            }
            Self::Component { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}
