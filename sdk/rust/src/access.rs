use crate::{Cli, CliTarget, Error, Family, Plan, Profile, Secret, Value, plan};

/// How one CLI gets to one provider: by which address, with which key and model. It makes the
/// [`Plan`] that the CLI needs for it.
///
/// ```
/// use aiw_extension::{Access, BaseUrl, Cli, CliTarget, Family, Profile};
///
/// let profile = Profile {
///     name: "acme".into(),
///     preset: "acme".into(),
///     base_urls: vec![BaseUrl { family: Family::Openai, url: "https://llm.acme.example/v1".into() }],
///     model: Some("acme-large".into()),
///     secrets: vec!["token".into()],
/// };
/// let codex = CliTarget { cli: Cli::Codex, version: None, model: None };
/// let plan = Access::new(&profile, &codex)?.plan();
/// assert_eq!(plan.arguments[4..], ["-m", "acme-large"]);
///
/// let claude = CliTarget { cli: Cli::Claude, version: None, model: None };
/// let refused = Access::new(&profile, &claude).unwrap_err();
/// assert_eq!(refused.message(), "provider `acme` does not speak Anthropic Messages, which `claude` needs; it fits `codex`");
/// # Ok::<(), aiw_extension::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The CLI.
    pub cli: Cli,
    /// The provider's name.
    pub provider: String,
    /// Where the CLI's API is.
    pub base_url: String,
    /// The secret that holds the key; without one, none is sent.
    pub secret: Option<String>,
    /// Whether Claude Code sends the key as `x-api-key`, as Anthropic itself wants it, and not as
    /// `Authorization: Bearer`, as gateways do. The other CLIs know one way only.
    pub x_api_key: bool,
    /// The model; without one, the CLI's own choice.
    pub model: Option<String>,
}

impl Access {
    /// The address of the profile that the CLI can speak to, its secret `token` if there is one,
    /// and the model of this run, else of the profile. An error names the CLIs that fit.
    pub fn new(profile: &Profile, target: &CliTarget) -> Result<Self, Error> {
        let family = target.cli.family();
        let Some(base_url) = profile.base_url(family) else {
            let clis = [Cli::Claude, Cli::Codex, Cli::Gemini];
            let fits: Vec<_> = clis.into_iter().filter(|cli| profile.base_url(cli.family()).is_some()).collect();
            let fits = match fits.as_slice() {
                [] => "no CLI".to_owned(),
                fits => fits.iter().map(|cli| format!("`{}`", cli.name())).collect::<Vec<_>>().join(" and "),
            };
            let (name, api, cli) = (&profile.name, family.api(), target.cli.name());
            return Err(Error::invalid(format!(
                "provider `{name}` does not speak {api}, which `{cli}` needs; it fits {fits}"
            )));
        };
        Ok(Self {
            cli: target.cli,
            provider: profile.name.clone(),
            base_url: base_url.to_owned(),
            secret: profile.has_secret("token").then(|| "token".to_owned()),
            x_api_key: false,
            model: target.model.clone().or_else(|| profile.model.clone()),
        })
    }

    /// Takes the key from another secret than `token`.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>) -> Self {
        self.secret = Some(name.into());
        self
    }

    /// Makes Claude Code send the key as `x-api-key`.
    #[must_use]
    pub fn with_x_api_key(mut self) -> Self {
        self.x_api_key = true;
        self
    }

    /// The same; an error where there is no key.
    pub fn needs_secret(self) -> Result<Self, Error> {
        match self.secret {
            Some(_) => Ok(self),
            None => Err(Error::invalid(format!("provider `{}` has no token", self.provider))),
        }
    }

    /// What the CLI is to be started with.
    pub fn plan(&self) -> Plan {
        match self.cli {
            Cli::Claude => plan::claude(self),
            Cli::Codex => plan::codex(self),
            Cli::Gemini => plan::gemini(self),
        }
    }

    /// The key, or a word that stands for none: a CLI without any takes the user's own login, and
    /// would send that to the provider.
    pub(crate) fn key(&self) -> Value {
        self.secret.as_ref().map_or_else(|| "none".into(), |name| Secret::new(name).into())
    }
}

impl Cli {
    /// The API that it speaks.
    pub const fn family(self) -> Family {
        match self {
            Self::Claude => Family::Anthropic,
            Self::Codex => Family::Openai,
            Self::Gemini => Family::Gemini,
        }
    }

    /// Its command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
        }
    }
}

impl Family {
    /// The API's own name.
    pub const fn api(self) -> &'static str {
        match self {
            Self::Anthropic => "Anthropic Messages",
            Self::Openai => "OpenAI Responses",
            Self::Gemini => "the Gemini API",
        }
    }
}

impl Profile {
    /// Where an API is; `None` if the provider does not speak it.
    pub fn base_url(&self, family: Family) -> Option<&str> {
        let found = self.base_urls.iter().find(|at| at.family == family && !at.url.is_empty());
        found.map(|at| at.url.trim_end_matches('/'))
    }

    /// Whether it has a secret of that name.
    pub fn has_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|secret| secret == name)
    }
}
