//! Providers as the user configured them: `providers.json`.

mod address;
mod old;
mod pool;
mod schema;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aiw_core::{
    Api, CliKind, EnvName, ExtensionId, Family, HeaderName, InvalidName, ProcessId, ProviderName, SecretName, one_line,
};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::documents::PROVIDERS_VERSION as VERSION;
use crate::{Document, Home, HomeError, Lock, entry, files};

pub use address::{base_url, origin};
pub use old::Migration;
pub use pool::{PoolMember, PoolStrategy, ProviderPool};
pub use schema::providers_schema;

/// The name for the CLI's own configuration; no provider can have it.
pub const CLI_LOGIN_NAME: &str = "own";

/// Where a secret is kept: in the vault, or in a variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum SecretRef {
    /// `{"secret": "openrouter"}`
    Vault(SecretName),
    /// `"${OPENROUTER_API_KEY}"`
    Variable(EnvName),
}

impl From<SecretRef> for Value {
    fn from(reference: SecretRef) -> Self {
        match reference {
            SecretRef::Vault(name) => json!({"secret": name}),
            SecretRef::Variable(name) => format!("${{{name}}}").into(),
        }
    }
}

impl TryFrom<Value> for SecretRef {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match TextOrSecret::try_from(value)? {
            TextOrSecret::Secret(reference) => Ok(reference),
            // This is probably the secret itself, so don't repeat it.
            TextOrSecret::Literal(_) => Err("contains a secret instead of a reference to one: `{\"secret\": \"NAME\"}` or `\"${VARIABLE}\"`; `aiw secret set NAME` stores it".into()),
        }
    }
}

/// A value of a variable or a header: text, or a reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum TextOrSecret {
    /// As it stands.
    Literal(String),
    /// To be looked up.
    Secret(SecretRef),
}

impl TextOrSecret {
    /// Reads `${VARIABLE}` as a reference, and anything else as literal text.
    pub fn parse(text: &str) -> Self {
        let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        match name.and_then(|name| name.parse().ok()) {
            Some(name) => Self::Secret(SecretRef::Variable(name)),
            None => Self::Literal(text.to_owned()),
        }
    }
}

impl From<TextOrSecret> for Value {
    fn from(text: TextOrSecret) -> Self {
        match text {
            TextOrSecret::Literal(text) => text.into(),
            TextOrSecret::Secret(reference) => reference.into(),
        }
    }
}

impl TryFrom<Value> for TextOrSecret {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match &value {
            Value::String(text) => Ok(Self::parse(text)),
            Value::Object(map) if map.len() == 1 && value["secret"].is_string() => {
                let name = value["secret"].as_str().unwrap_or_default();
                name.parse().map(|name| Self::Secret(SecretRef::Vault(name))).map_err(said)
            }
            _ => Err("is neither text nor `{\"secret\": \"NAME\"}`".into()),
        }
    }
}

fn said(e: InvalidName) -> String {
    format!("is wrong: {e}")
}

/// One name for all CLIs, or one for each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum CliChoice {
    #[default]
    None,
    All(String),
    PerCli(BTreeMap<CliKind, String>),
}

impl CliChoice {
    pub(crate) fn for_cli(&self, cli: CliKind) -> Option<&str> {
        match self {
            Self::None => None,
            Self::All(name) => Some(name),
            Self::PerCli(names) => names.get(&cli).map(String::as_str),
        }
    }

    /// The error is the end of a sentence.
    pub(crate) fn from_json(value: Option<&Value>) -> Result<Self, String> {
        match value {
            None | Some(Value::Null) => Ok(Self::None),
            Some(Value::String(name)) => Ok(Self::All(name.clone())),
            Some(Value::Object(map)) => {
                let each = map.iter().map(|(cli, name)| {
                    let cli: CliKind = cli.parse().map_err(|e: InvalidName| said(e))?;
                    let name = name.as_str().ok_or_else(|| format!("has no name for `{cli}`"))?;
                    Ok((cli, name.to_owned()))
                });
                each.collect::<Result<_, String>>().map(Self::PerCli)
            }
            Some(_) => Err("is neither a name nor a name for each CLI".into()),
        }
    }
}

/// The use of one of a provider's models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ModelRole {
    /// The jobs that a CLI gives its vendor's largest models.
    Large,
    /// The jobs that it gives the middle ones.
    Medium,
    /// The jobs that it gives the smallest: titles, summaries.
    Small,
    /// The main model of one CLI.
    Cli(CliKind),
}

impl std::fmt::Display for ModelRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Large => "large",
            Self::Medium => "medium",
            Self::Small => "small",
            Self::Cli(cli) => cli.as_str(),
        })
    }
}

impl From<ModelRole> for String {
    fn from(model: ModelRole) -> Self {
        model.to_string()
    }
}

impl TryFrom<String> for ModelRole {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for ModelRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "large" => Ok(Self::Large),
            "medium" => Ok(Self::Medium),
            "small" => Ok(Self::Small),
            cli => cli
                .parse()
                .map(Self::Cli)
                .map_err(|_| "expected `large`, `medium`, `small`, `claude`, `codex` or `gemini`".to_owned()),
        }
    }
}

/// An API provider as the user configured it.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provider {
    /// Its name here.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub name: ProviderName,
    /// The preset that it begins with.
    #[serde(deserialize_with = "line")]
    pub preset: String,
    /// The component that knows the preset; if absent, aiw asks all of them.
    #[schemars(with = "Option<String>")]
    pub component: Option<ExtensionId>,
    /// A random id for places where its name could mean something else, made when it is added: 1 to 64 of `a-z 0-9
    /// -`.
    #[serde(default, deserialize_with = "id")]
    #[schemars(regex(pattern = "^[a-z0-9-]{1,64}$"))]
    pub id: Option<String>,
    /// Where the preset led when the user agreed to it: scheme, host and port. Its secrets go nowhere else.
    #[serde(default, deserialize_with = "urls")]
    #[schemars(with = "BTreeMap<shapes::FamilyWord, shapes::Url>")]
    pub origins: BTreeMap<Family, String>,
    /// Its addresses, for families that don't use the preset's.
    #[serde(default, deserialize_with = "urls")]
    #[schemars(with = "BTreeMap<shapes::FamilyWord, shapes::Url>")]
    pub base_urls: BTreeMap<Family, String>,
    /// The API that its address speaks, where a family has two or the address is not what its preset expects. Other
    /// CLIs reach it through the gateway. An address for another family in `base_urls` speaks that family's own.
    #[serde(default, deserialize_with = "entry::optional_string_enum")]
    #[schemars(with = "Option<shapes::ApiWord>")]
    pub api: Option<Api>,
    /// Whether CLIs that speak its API go through the gateway all the same, which keeps its key.
    #[serde(default)]
    pub gateway: bool,
    /// The model for its runs.
    #[serde(default, deserialize_with = "entry::model")]
    pub model: Option<String>,
    /// Its models for what CLIs ask of a vendor by size (`large`, `medium`, `small`), and the main one for single CLIs.
    #[serde(default, deserialize_with = "models")]
    #[schemars(with = "BTreeMap<shapes::ModelUse, String>")]
    pub models: BTreeMap<ModelRole, String>,
    /// The CLIs that can use it; if absent, all that it works with.
    #[serde(default, deserialize_with = "clis")]
    #[schemars(with = "Option<BTreeSet<shapes::CliWord>>")]
    pub clis: Option<Vec<CliKind>>,
    /// The user's words for its use.
    #[serde(default, deserialize_with = "line")]
    pub scenario: Option<String>,
    /// Variables that the CLI gets in addition to those that aiw sets.
    #[serde(default, with = "entry::pairs")]
    #[schemars(with = "BTreeMap<shapes::Variable, TextOrSecret>")]
    pub env: Vec<(EnvName, TextOrSecret)>,
    /// Headers that its CLIs send with each request.
    #[serde(default, with = "entry::pairs")]
    #[schemars(with = "BTreeMap<shapes::Header, TextOrSecret>")]
    pub headers: Vec<(HeaderName, TextOrSecret)>,
    /// The usual secret.
    pub token: Option<SecretRef>,
    /// Further secrets, for components that take several.
    #[serde(default)]
    #[schemars(with = "BTreeMap<shapes::Name, SecretRef>")]
    pub secrets: BTreeMap<SecretName, SecretRef>,
    /// The variables with its secrets that runs with other providers must not see; if absent, those whose names end in
    /// `_KEY`.
    #[serde(default, deserialize_with = "variables")]
    #[schemars(with = "Option<BTreeSet<shapes::Variable>>")]
    pub scrub_env: Option<Vec<EnvName>>,
}

impl Provider {
    /// A provider based on a preset, with nothing else set.
    pub fn new(name: ProviderName, preset: impl Into<String>) -> Self {
        Self {
            name,
            preset: preset.into(),
            component: None,
            id: None,
            origins: BTreeMap::new(),
            base_urls: BTreeMap::new(),
            api: None,
            gateway: false,
            model: None,
            models: BTreeMap::new(),
            clis: None,
            scenario: None,
            env: Vec::new(),
            headers: Vec::new(),
            token: None,
            secrets: BTreeMap::new(),
            scrub_env: None,
        }
    }

    /// Whether one of its addresses may speak an API. The API that the user named is that of the address of its family; an
    /// address that they gave for another family speaks that family's.
    pub fn supports_api(&self, api: Api) -> bool {
        let is_of_another = |own: Api| own.family() != api.family() && self.base_urls.contains_key(&api.family());
        self.api.is_none_or(|own| own == api || is_of_another(own))
    }

    /// All its secrets by the names that a component uses: the usual one is `token`.
    pub fn secret_refs(&self) -> impl Iterator<Item = (&str, &SecretRef)> {
        let token = self.token.iter().map(|reference| ("token", reference));
        token.chain(self.secrets.iter().map(|(name, reference)| (name.as_str(), reference)))
    }

    /// Everything that it refers to: its secrets, and what its variables and headers read.
    pub fn references(&self) -> impl Iterator<Item = &SecretRef> {
        fn reference(text: &TextOrSecret) -> Option<&SecretRef> {
            match text {
                TextOrSecret::Secret(reference) => Some(reference),
                TextOrSecret::Literal(_) => None,
            }
        }
        let env = self.env.iter().filter_map(|(_, text)| reference(text));
        let headers = self.headers.iter().filter_map(|(_, text)| reference(text));
        self.secret_refs().map(|(_, reference)| reference).chain(env).chain(headers)
    }

    /// The error is the end of a sentence.
    fn read(name: &str, entry: &Value) -> Result<Self, String> {
        if name == CLI_LOGIN_NAME {
            return Err(format!("is called `{CLI_LOGIN_NAME}`, which means the CLI's own configuration"));
        }
        let provider: Self = entry::read_named(name, entry)?;
        for (key, value) in &provider.headers {
            check_header(key, value).map_err(|problem| format!("has a header `{key}` that {problem}"))?;
        }
        match provider.scrub_env.iter().flatten().find(|name| name.is_general()) {
            Some(name) => Err(format!("withholds `{name}`, which programs of every kind read")),
            None => Ok(provider),
        }
    }
}

fn line<'de, D: Deserializer<'de>, T: From<String>>(deserializer: D) -> Result<T, D::Error> {
    let is_valid = |text: &str| text.len() <= 4096 && !text.contains(['\0', '\n']);
    entry::text(deserializer, is_valid, "one line of text")
}

fn clis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<CliKind>>, D::Error> {
    entry::string_enum_list(deserializer).map(Some)
}

/// A name that can't be one may be a secret, so the error has none.
fn variables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<EnvName>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let name = |name: &String| name.parse().map_err(|_| D::Error::custom("has a name that no variable can have"));
    names.iter().map(name).collect::<Result<_, _>>().map(Some)
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    entry::text(deserializer, is_id, "1 to 64 of `a-z 0-9 -`")
}

fn models<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<ModelRole, String>, D::Error> {
    #[derive(Deserialize)]
    struct Model(#[serde(deserialize_with = "entry::model")] String);

    let models = BTreeMap::<_, Model>::deserialize(deserializer)?;
    Ok(models.into_iter().map(|(of, Model(name))| (of, name)).collect())
}

fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Family, String>, D::Error> {
    #[derive(Deserialize)]
    struct Url(#[serde(deserialize_with = "entry::url")] String);

    // A key that isn't text has no place in the error.
    let urls = BTreeMap::<String, Url>::deserialize(deserializer)?.into_iter();
    urls.map(|(family, Url(url))| Ok((family.parse().map_err(D::Error::custom)?, url))).collect()
}

/// Checks a header that a user adds to a provider's requests. The error is the end of a sentence.
pub fn check_header(name: &HeaderName, value: &TextOrSecret) -> Result<(), String> {
    if name.is_reserved() {
        return Err("is not yours to set: the AI CLI sends it itself".into());
    }
    match value {
        TextOrSecret::Literal(value) if !HeaderName::is_valid_value(value) => {
            Err("has a value that is not 1 to 4096 visible ASCII characters and blanks".into())
        }
        _ => Ok(()),
    }
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A new [`Provider::id`].
pub fn new_provider_id() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};

    // A `config.toml` that can't guess it can't add to it.
    let random = RandomState::new().build_hasher().finish();
    format!("aiw-{}", ProcessId::from_number(random >> 2))
}

/// A provider that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderProblem {
    /// Its name as written.
    pub name: String,
    /// The problem, as the end of a sentence. Contains no value from the file.
    pub problem: String,
}

/// The entries that can be read, and those that can't.
type Entries<T> = (Vec<T>, Vec<ProviderProblem>);

fn read_all<T>(
    document: &Document,
    section: &str,
    read: impl Fn(&str, &Value) -> Result<T, String>,
) -> Result<Entries<T>, String> {
    let entries = match document.get(&[section]) {
        None => return Ok(Entries::default()),
        Some(Value::Object(entries)) => entries,
        Some(_) => return Err(format!("has `{section}` that are not an object")),
    };
    let (mut good, mut bad) = Entries::default();
    for (name, value) in entries {
        match read(name, value) {
            Ok(entry) => good.push(entry),
            Err(problem) => bad.push(ProviderProblem { name: name.clone(), problem }),
        }
    }
    Ok((good, bad))
}

/// `providers.json`
#[derive(Debug)]
pub struct ProvidersFile {
    document: Document,
    providers: Vec<Provider>,
    problems: Vec<ProviderProblem>,
    pools: Vec<ProviderPool>,
    pool_problems: Vec<ProviderProblem>,
    default: CliChoice,
}

impl ProvidersFile {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        Self::from_document(Document::load(path, &format!("{{\n  \"version\": {VERSION}\n}}\n"))?)
    }

    fn from_document(document: Document) -> Result<Self, HomeError> {
        let path = document.path().to_owned();
        let invalid = |problem: String| HomeError::invalid(&path, problem);
        if !document.has_version(VERSION)? && is_old(document.value()) {
            return Err(HomeError::LegacyProviders { path });
        }
        let default = CliChoice::from_json(document.get(&["default"]))
            .map_err(|problem| invalid(format!("has a `default` that {problem}")))?;
        let (providers, problems) = read_all(&document, "providers", Provider::read).map_err(invalid)?;
        let pool = |name: &str, value: &Value| match ProviderPool::read(name, value) {
            Ok(pool) if providers.iter().any(|provider: &Provider| provider.name == pool.name) => {
                Err("is called like a provider".to_owned())
            }
            pool => pool,
        };
        let (pools, pool_problems) = read_all(&document, "pools", pool).map_err(invalid)?;
        Ok(Self { document, providers, problems, pools, pool_problems, default })
    }

    /// All pools that can be read, in the file's order.
    pub fn pools(&self) -> &[ProviderPool] {
        &self.pools
    }

    /// Returns the pools that can't be read.
    pub fn pool_problems(&self) -> &[ProviderProblem] {
        &self.pool_problems
    }

    /// One pool. An entry that can't be read is an error, not an absence.
    pub fn pool(&self, name: &str) -> Result<Option<&ProviderPool>, HomeError> {
        if let Some(bad) = self.pool_problems.iter().find(|bad| bad.name == name) {
            let name = one_line(name, 80);
            return Err(HomeError::invalid(self.document.path(), format!("has a pool `{name}` that {}", bad.problem)));
        }
        Ok(self.pools.iter().find(|pool| pool.name.as_str() == name))
    }

    /// Returns whether a run can name this: a provider or a pool.
    pub fn has(&self, name: &str) -> bool {
        self.providers.iter().any(|provider| provider.name.as_str() == name)
            || self.pools.iter().any(|pool| pool.name.as_str() == name)
    }

    /// Adds or replaces a pool, and keeps unknown fields of its entry.
    pub fn set_pool(&mut self, pool: &ProviderPool) -> Result<(), HomeError> {
        self.document.set(&["version"], &VERSION.into())?;
        for (key, value) in entry::fields(pool) {
            self.document.set(&["pools", pool.name.as_str(), &key], &value.unwrap_or_default())?;
        }
        match self.pools.iter_mut().find(|known| known.name == pool.name) {
            Some(known) => *known = pool.clone(),
            None => self.pools.push(pool.clone()),
        }
        self.pool_problems.retain(|bad| bad.name != pool.name.as_str());
        Ok(())
    }

    /// Removes a pool, even one that can't be read, and its default entries.
    pub fn remove_pool(&mut self, name: &str) -> Result<bool, HomeError> {
        let there = self.document.remove(&["pools", name])?;
        self.pools.retain(|pool| pool.name.as_str() != name);
        self.pool_problems.retain(|bad| bad.name != name);
        self.forget_default(name)?;
        Ok(there)
    }

    /// Returns the pools with a provider.
    pub fn pools_with(&self, provider: &str) -> impl Iterator<Item = &ProviderPool> {
        let has = move |pool: &&ProviderPool| pool.members.iter().any(|member| member.provider.as_str() == provider);
        self.pools.iter().filter(has)
    }

    fn forget_default(&mut self, name: &str) -> Result<(), HomeError> {
        for cli in CliKind::ALL {
            if self.default.for_cli(cli) == Some(name) {
                self.set_default(Some(&[cli]), None)?;
            }
        }
        Ok(())
    }

    /// All providers that can be read, in the file's order.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// Returns the providers that can't be read.
    pub fn problems(&self) -> &[ProviderProblem] {
        &self.problems
    }

    /// One provider. An entry that can't be read is an error, not an absence.
    pub fn get(&self, name: &str) -> Result<Option<&Provider>, HomeError> {
        if let Some(bad) = self.problems.iter().find(|bad| bad.name == name) {
            let name = one_line(name, 80);
            return Err(HomeError::invalid(
                self.document.path(),
                format!("has a provider `{name}` that {}", bad.problem),
            ));
        }
        Ok(self.providers.iter().find(|provider| provider.name.as_str() == name))
    }

    /// The provider of a CLI if nothing else names one.
    pub fn default_for(&self, cli: CliKind) -> Option<&str> {
        self.default.for_cli(cli)
    }

    /// Adds or replaces a provider, and keeps unknown fields of its entry.
    pub fn set(&mut self, provider: &Provider) -> Result<(), HomeError> {
        self.document.set(&["version"], &VERSION.into())?;
        for (key, value) in entry::fields(provider) {
            let path = ["providers", provider.name.as_str(), &key];
            match value {
                Some(value) => self.document.set(&path, &value)?,
                None => drop(self.document.remove(&path)?),
            }
        }
        match self.providers.iter_mut().find(|known| known.name == provider.name) {
            Some(known) => *known = provider.clone(),
            None => self.providers.push(provider.clone()),
        }
        self.problems.retain(|bad| bad.name != provider.name.as_str());
        Ok(())
    }

    /// Removes a provider, even one that can't be read, and its default entries.
    pub fn remove(&mut self, name: &str) -> Result<bool, HomeError> {
        let there = self.document.remove(&["providers", name])?;
        self.providers.retain(|provider| provider.name.as_str() != name);
        self.problems.retain(|bad| bad.name != name);
        self.forget_default(name)?;
        Ok(there)
    }

    /// Returns the providers that refer to a secret of the vault.
    pub fn providers_using(&self, secret: &SecretName) -> impl Iterator<Item = &Provider> {
        let refers = move |reference: &SecretRef| matches!(reference, SecretRef::Vault(name) if name == secret);
        self.providers.iter().filter(move |provider| provider.references().any(refers))
    }

    /// Gives a provider another name, and keeps its place as a default. Returns whether there is such a provider.
    pub fn rename(&mut self, name: &str, new: &ProviderName) -> Result<bool, HomeError> {
        let Some(value) = self.document.get(&["providers", name]).cloned() else { return Ok(false) };
        self.document.set(&["providers", new.as_str()], &value)?;
        self.document.remove(&["providers", name])?;
        for provider in self.providers.iter_mut().filter(|provider| provider.name.as_str() == name) {
            provider.name = new.clone();
        }
        for cli in CliKind::ALL {
            if self.default.for_cli(cli) == Some(name) {
                self.set_default(Some(&[cli]), Some(new.as_str()))?;
            }
        }
        let mut pools: Vec<ProviderPool> = self.pools_with(name).cloned().collect();
        for pool in &mut pools {
            pool.members.iter_mut().filter(|m| m.provider.as_str() == name).for_each(|m| m.provider = new.clone());
            self.set_pool(pool)?;
        }
        Ok(true)
    }

    /// Sets or clears the default, for some CLIs or (`None`) all of them.
    pub fn set_default(&mut self, clis: Option<&[CliKind]>, name: Option<&str>) -> Result<(), HomeError> {
        let mut each: BTreeMap<CliKind, String> =
            CliKind::ALL.into_iter().filter_map(|cli| Some((cli, self.default.for_cli(cli)?.to_owned()))).collect();
        for cli in clis.unwrap_or(&CliKind::ALL) {
            match name {
                Some(name) => each.insert(*cli, name.to_owned()),
                None => each.remove(cli),
            };
        }
        let mut names: Vec<&String> = each.values().collect();
        names.dedup();
        self.default = match (each.len(), names.as_slice()) {
            (0, _) => CliChoice::None,
            (3, [name]) => CliChoice::All((*name).clone()),
            _ => CliChoice::PerCli(each),
        };
        match &self.default {
            CliChoice::None => self.document.remove(&["default"]).map(drop),
            CliChoice::All(name) => self.document.set(&["default"], &name.clone().into()),
            CliChoice::PerCli(each) => self.document.set(&["default"], &json!(each)),
        }
    }

    /// Writes the file if it changed, readable only by its owner.
    pub fn save(&self, lock: &Lock) -> Result<(), HomeError> {
        self.document.save(lock)?;
        files::make_private_file(self.document.path())
    }
}

/// Returns whether a file is of aiw 0.6: without a version, its providers without presets, one of them with a field
/// that only aiw 0.6 wrote. Any other file is a current one, written by hand with mistakes, and nothing in it may be
/// dropped.
fn is_old(value: &Value) -> bool {
    let Some(providers) = value.get("providers").and_then(Value::as_object) else { return false };
    let is_sign = |provider: &Value| {
        let token = provider.get("token").and_then(Value::as_str);
        token.is_some_and(|token| matches!(TextOrSecret::parse(token), TextOrSecret::Literal(_)))
            || provider.get("base_url").is_some()
            || provider.get("compatible_with").is_some()
    };
    providers.values().all(|provider| provider.get("preset").is_none()) && providers.values().any(is_sign)
}

impl Home {
    /// `providers.json`
    pub fn providers(&self) -> Result<ProvidersFile, HomeError> {
        ProvidersFile::load(&self.providers_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Home;

    fn home(text: &str) -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        std::fs::write(home.providers_path(), text).unwrap();
        (dir, home)
    }

    const FILE: &str = r#"{
  "version": 1,
  "default": {"claude": "router"},
  "providers": {
    "router": {
      "preset": "openrouter",
      "mine": [1],
      "clis": ["claude"],
      "env": {"A": "b", "C": {"secret": "c"}, "D": "${E}"},
      "token": {"secret": "router"}
    },
    "bad": {"preset": "custom", "token": "sk-canary"},
    "odd name": {"preset": "custom"},
    "own": {"preset": "custom"}
  }
}
"#;

    #[test]
    fn what_is_good_is_read_and_what_is_not_is_named_without_its_values() {
        let (_dir, home) = home(FILE);
        let providers = home.providers().unwrap();
        let router = providers.get("router").unwrap().unwrap();
        assert_eq!(router.token, Some(SecretRef::Vault("router".parse().unwrap())));
        assert_eq!(router.env[2].1, TextOrSecret::Secret(SecretRef::Variable("E".parse().unwrap())));
        assert_eq!(providers.problems().len(), 3);
        let error = providers.get("bad").unwrap_err().to_string();
        assert!(error.contains("aiw secret set") && !error.contains("canary"), "{error}");
        assert_eq!(providers.default_for(CliKind::Claude), Some("router"));
        assert_eq!(providers.default_for(CliKind::Codex), None);
        assert!(providers.get("none").unwrap().is_none());
    }

    #[test]
    fn an_address_by_hand_follows_the_rule_of_the_flag() {
        for bad in ["https://user:canary@h/v1", "https://h/v1?key=canary", "https://h/#canary", "canary"] {
            let (_dir, home) = home(&format!(
                r#"{{"version": 1, "providers": {{"x": {{"preset": "custom", "base_urls": {{"openai": "{bad}"}}}}}}}}"#
            ));
            let error = home.providers().unwrap().get("x").unwrap_err().to_string();
            assert!(error.contains("`base_urls.openai`") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn an_edit_keeps_what_is_not_ours() {
        let (_dir, home) = home(FILE);
        let mut providers = home.providers().unwrap();
        let mut router = providers.get("router").unwrap().unwrap().clone();
        router.clis = None;
        router.model = Some("m".into());
        providers.set(&router).unwrap();
        providers.save(&home.lock().unwrap()).unwrap();
        let text = std::fs::read_to_string(home.providers_path()).unwrap();
        assert!(
            text.contains("\"mine\": [1]") && text.contains("\"model\": \"m\"") && !text.contains("clis"),
            "{text}"
        );
        assert_eq!(home.providers().unwrap().get("router").unwrap(), Some(&router));
    }

    #[test]
    fn the_default_goes_with_its_provider() {
        let (_dir, home) = home(FILE);
        let mut providers = home.providers().unwrap();
        providers.set_default(None, Some("router")).unwrap();
        assert_eq!(providers.default, CliChoice::All("router".into()));
        providers.set_default(Some(&[CliKind::Codex]), Some("else")).unwrap();
        assert!(providers.remove("router").unwrap());
        assert_eq!(providers.default_for(CliKind::Codex), Some("else"));
        assert_eq!(providers.default_for(CliKind::Gemini), None);
        assert!(!providers.remove("router").unwrap());
        providers.set_default(None, None).unwrap();
        assert_eq!(providers.default, CliChoice::None);
    }

    #[test]
    fn other_versions_are_refused() {
        for (text, word) in [
            (r#"{"version": 2}"#, "newer"),
            (r#"{"version": "1"}"#, "number"),
            (r#"{"providers": {"a": {"token": "sk"}}}"#, "was written by aiw 0.6"),
            (r#"{"providers": []}"#, "object"),
            (r#"{"default": []}"#, "default"),
        ] {
            let (_dir, home) = home(text);
            let error = home.providers().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
