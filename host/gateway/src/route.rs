//! Where a client's requests lead.

use std::fmt;

use aiw_core::{Api, CliKind, Secret};
use aiw_dialects::SecretMask;
use aiw_home::PoolStrategy;
use aiw_providers::ModelEndpoint;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The route that a token opens. It contains secrets, so it has no `Debug` of its parts.
#[derive(Clone, Serialize, Deserialize)]
pub struct GatewayRoute {
    /// The token that clients show.
    pub token: String,
    /// Where requests go: one upstream, or the members of a pool.
    pub members: Vec<Upstream>,
    /// The pool, if it is one.
    pub pool: Option<RoutePool>,
    /// The run that it is for.
    pub run: Option<RouteRun>,
}

/// The pool of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutePool {
    /// Its name.
    pub name: String,
    /// How it chooses, by its name.
    order: String,
}

/// The run that a route's requests are booked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRun {
    /// The CLI.
    pub cli: CliKind,
    /// The directory that it works in. A private run has none.
    pub project: Option<String>,
    /// For a private run, the names of the budgets that hold for its directory.
    #[serde(default)]
    pub budgets: Vec<String>,
}

impl RoutePool {
    /// Makes it of a pool's name and order.
    pub fn new(name: &str, order: PoolStrategy) -> Self {
        Self { name: name.to_owned(), order: order.as_str().to_owned() }
    }

    pub(crate) fn strategy(&self) -> PoolStrategy {
        self.order.parse().unwrap_or_default()
    }
}

/// A provider's model API.
#[derive(Clone, Serialize, Deserialize)]
pub struct Upstream {
    /// The provider's name.
    pub provider: String,
    /// The API that it speaks.
    pub api: Api,
    /// Its address for that API.
    pub url: String,
    /// Whether the address may be on this machine.
    pub is_granted: bool,
    headers: Vec<(String, String)>,
    secrets: Vec<(String, String)>,
    models: RouteModels,
    /// The most tokens that its model writes in one answer.
    pub output_tokens: Option<u32>,
}

#[derive(Clone, Serialize, Deserialize)]
struct RouteModels {
    main: Option<String>,
    large: Option<String>,
    medium: Option<String>,
    small: Option<String>,
}

/// Makes a token that nobody can guess.
pub(crate) fn random_token() -> Result<String, getrandom::Error> {
    Ok(format!("aiw-{}", aiw_core::random_hex::<24>()?))
}

impl fmt::Debug for GatewayRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("provider", &self.name()).finish_non_exhaustive()
    }
}

impl GatewayRoute {
    /// Makes a route with a new token.
    pub fn new(members: Vec<Upstream>, pool: Option<RoutePool>) -> Result<Self, getrandom::Error> {
        Ok(Self { token: random_token()?, members, pool, run: None })
    }

    /// Says which run it is for.
    #[must_use]
    pub fn with_run(self, run: RouteRun) -> Self {
        Self { run: Some(run), ..self }
    }

    /// Returns whether its run is private: what was said in it is noted nowhere.
    pub(crate) fn is_private(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.project.is_none())
    }

    /// Returns the name of the pool, or of the provider.
    pub fn name(&self) -> &str {
        let provider = || self.members.first().map(|member| member.provider.as_str());
        self.pool.as_ref().map(|pool| pool.name.as_str()).or_else(provider).unwrap_or_default()
    }

    /// Returns the models that are known of its members, each once, the main one first.
    pub(crate) fn models(&self) -> Vec<&str> {
        let mut models: Vec<&str> = Vec::new();
        for (_, model) in self.members.iter().flat_map(|member| member.models.all()) {
            models.extend(model.as_deref().filter(|model| !models.contains(model)));
        }
        models
    }

    /// Returns a member's model for the one that a client asks for. The client may know the models of another member.
    pub(crate) fn model_for(&self, member: &Upstream, asked: &str) -> String {
        let others = || self.members.iter().filter(|other| !std::ptr::eq(*other, member));
        match others().find_map(|other| other.models.size_of(asked)) {
            Some(size) if member.models.size_of(asked).is_none() => member.models.of(size).unwrap_or(asked).to_owned(),
            _ => member.model_for(asked),
        }
    }
}

/// The sizes of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Main,
    Large,
    Medium,
    Small,
}

impl RouteModels {
    fn all(&self) -> [(Size, &Option<String>); 4] {
        [(Size::Main, &self.main), (Size::Large, &self.large), (Size::Medium, &self.medium), (Size::Small, &self.small)]
    }

    /// Returns the size of one of these models.
    fn size_of(&self, model: &str) -> Option<Size> {
        self.all().into_iter().find(|(_, own)| own.as_deref() == Some(model)).map(|(size, _)| size)
    }

    /// Returns the model of a size, else the main one.
    fn of(&self, size: Size) -> Option<&str> {
        let named = self.all().into_iter().find(|(own, _)| *own == size).and_then(|(_, model)| model.as_deref());
        named.or(self.main.as_deref())
    }
}

impl Upstream {
    /// Makes an upstream of what a provider's component plans.
    pub fn new(provider: &str, access: ModelEndpoint) -> Self {
        let models = access.models;
        Self {
            provider: provider.to_owned(),
            api: access.api,
            url: access.url.trim_end_matches('/').to_owned(),
            is_granted: access.is_granted,
            headers: access.headers,
            secrets: access.secrets.into_iter().map(|(name, secret)| (name, secret.expose().to_owned())).collect(),
            models: RouteModels { main: models.main, large: models.large, medium: models.medium, small: models.small },
            output_tokens: access.tuning.output_tokens,
        }
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        self.headers.clone()
    }

    pub(crate) fn secrets(&self) -> Vec<(String, Secret)> {
        self.secrets.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect()
    }

    /// Returns what takes the keys out of texts. Servers repeat the key that they refuse.
    pub(crate) fn mask(&self) -> SecretMask {
        let keys = self.keys();
        SecretMask::new(move |text| masked(text, &keys))
    }

    /// Takes the keys out of a text.
    pub(crate) fn mask_text(&self, text: &str) -> String {
        masked(text, &self.keys())
    }

    fn keys(&self) -> Vec<String> {
        self.secrets.iter().flat_map(|(_, value)| keys_in(value)).collect()
    }

    /// Returns the model for the one that a client asks for. A provider that has models of its own does not know the
    /// names of another vendor, which a CLI uses for its smaller tasks.
    pub fn model_for(&self, asked: &str) -> String {
        if self.models.main.is_none() || self.models.size_of(asked).is_some() || !is_of_a_vendor(asked) {
            return asked.to_owned();
        }
        let says = |words: &[&str]| words.iter().any(|word| asked.contains(word));
        let size = match () {
            () if says(&["haiku", "mini", "nano", "flash", "lite"]) => Size::Small,
            () if says(&["opus", "pro", "fable", "max"]) => Size::Large,
            () => Size::Medium,
        };
        self.models.of(size).unwrap_or(asked).to_owned()
    }

    /// Returns the model if the client asks for none.
    pub(crate) fn main_model(&self) -> Option<&str> {
        self.models.main.as_deref()
    }

    /// Returns a word for the provider, its address and its key: what rests with one key does not rest with another.
    pub(crate) fn account_id(&self) -> String {
        let mut hash = Sha256::new();
        for text in [&self.url].into_iter().chain(self.secrets.iter().chain(&self.headers).map(|(_, value)| value)) {
            hash.update(Sha256::digest(text));
        }
        let digest = aiw_core::hex(&hash.finalize()[..4]);
        format!("{}#{digest}", self.provider)
    }

    /// Returns a word for the address and its API: reasoning of another one means nothing there.
    pub(crate) fn endpoint_id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.api.label());
        hash.update(&self.url);
        aiw_core::hex(&hash.finalize()[..6])
    }
}

/// The key in a header's value, and the value itself.
fn keys_in(value: &str) -> Vec<String> {
    let key = value.strip_prefix("Bearer ").unwrap_or(value);
    [value, key].into_iter().filter(|key| key.len() > 3).map(str::to_owned).collect()
}

/// How often JSON may be quoted within JSON.
const MAX_JSON_ESCAPE_DEPTH: usize = 4;

/// Takes keys out of a text, and the beginning of one at its end: the text may have been cut there. So it does where
/// they are escaped as in JSON.
fn masked(text: &str, keys: &[String]) -> String {
    let mut text = masked_as_it_is(text, keys);
    let mut meant = text.clone();
    for _ in 0..MAX_JSON_ESCAPE_DEPTH {
        let Some(unescaped) = unescaped(&meant) else { break };
        meant = masked_as_it_is(&unescaped, keys);
        if meant != unescaped {
            text.clone_from(&meant);
        }
    }
    text
}

fn masked_as_it_is(text: &str, keys: &[String]) -> String {
    let mut text = text.to_owned();
    for key in keys {
        if text.contains(key.as_str()) {
            text = text.replace(key.as_str(), "…");
        }
        let begun =
            (4..key.len()).rev().find(|length| key.is_char_boundary(*length) && text.ends_with(&key[..*length]));
        if let Some(length) = begun {
            text.truncate(text.len() - length);
            text.push('…');
        }
    }
    text
}

/// Returns what a text means whose escapes are those of JSON, if it has any.
fn unescaped(text: &str) -> Option<String> {
    text.contains('\\').then(|| {
        let mut meant = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            meant.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let code = behind.strip_prefix('u').and_then(|code| code.get(..4));
            let code = code.and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?));
            rest = match (code, behind.chars().next()) {
                (Some(c), _) => {
                    meant.push(c);
                    &behind[5..]
                }
                (None, Some(c)) => {
                    meant.push(c);
                    &behind[c.len_utf8()..]
                }
                (None, None) => behind,
            };
        }
        meant + rest
    })
}

/// Returns whether a name is one that an AI CLI has by itself.
fn is_of_a_vendor(model: &str) -> bool {
    ["claude-", "gpt-", "gemini-", "codex-", "o3", "o4-"].iter().any(|start| model.starts_with(start))
}

#[cfg(test)]
mod tests {
    use aiw_core::provider;

    use super::*;

    fn upstream(main: Option<&str>, small: Option<&str>) -> Upstream {
        let models =
            provider::Models { main: main.map(Into::into), small: small.map(Into::into), ..Default::default() };
        Upstream::new(
            "p",
            ModelEndpoint {
                api: Api::ChatCompletions,
                url: "https://p.example/v1/".into(),
                is_granted: false,
                headers: Vec::new(),
                secrets: vec![("authorization".into(), Secret::new("Bearer sk-canary"))],
                models,
                tuning: provider::Tuning::default(),
            },
        )
    }

    #[test]
    fn names_of_other_vendors_become_the_providers_own_models() {
        let own = upstream(Some("deepseek-chat"), Some("deepseek-lite"));
        assert_eq!(own.model_for("claude-haiku-4-5-20251001"), "deepseek-lite");
        assert_eq!(own.model_for("claude-opus-5"), "deepseek-chat");
        assert_eq!(own.model_for("deepseek-reasoner"), "deepseek-reasoner");
        assert_eq!(upstream(None, None).model_for("claude-opus-5"), "claude-opus-5");
        assert_eq!(own.url, "https://p.example/v1");
    }

    #[test]
    fn a_member_of_a_pool_gets_its_own_model_for_that_of_another() {
        let (one, two) = (upstream(Some("glm-4.6"), Some("glm-air")), upstream(Some("deepseek-chat"), None));
        let route = GatewayRoute::new(vec![one, two], Some(RoutePool::new("work", PoolStrategy::Priority))).unwrap();
        let model = |at: usize, asked: &str| route.model_for(&route.members[at], asked);
        assert_eq!([model(0, "glm-4.6"), model(1, "glm-4.6")], ["glm-4.6", "deepseek-chat"]);
        assert_eq!([model(0, "glm-air"), model(1, "glm-air")], ["glm-air", "deepseek-chat"]);
        assert_eq!([model(0, "claude-haiku-4-5"), model(1, "claude-haiku-4-5")], ["glm-air", "deepseek-chat"]);
        assert_eq!(model(1, "deepseek-reasoner"), "deepseek-reasoner");
        assert_eq!((route.name(), route.models()), ("work", vec!["glm-4.6", "glm-air", "deepseek-chat"]));
        // Another key is another account.
        let mut other = route.members[0].clone();
        other.secrets[0].1 = "Bearer sk-other".into();
        assert_ne!(other.account_id(), route.members[0].account_id());
    }

    #[test]
    fn keys_are_taken_out_of_what_a_server_says_and_out_of_debugging() {
        let own = upstream(None, None);
        assert_eq!(own.mask_text("bad key sk-canary"), "bad key …");
        assert_eq!(own.mask_text("bad Bearer sk-canary and sk-can"), "bad … and …");
        // As JSON writes it, and as JSON within JSON does.
        for said in [
            r"bad sk\u002dcanary",
            r"bad sk\u002Dcan\u0061ry",
            r#"{\"said\": \"sk\\u002dcanary\"}"#,
            r"\\\\u0073k-canary",
        ] {
            assert!(
                own.mask_text(said).contains('…') && !own.mask_text(said).contains("canary"),
                "{}",
                own.mask_text(said)
            );
        }
        let mut slashed = own.clone();
        slashed.secrets[0].1 = "Bearer a/b/c/d".into();
        assert_eq!(slashed.mask_text(r"bad a\/b\/c\/d"), "bad …");
        assert_eq!(own.mask_text(r"C:\path\u00zz\"), r"C:\path\u00zz\");
        let route = GatewayRoute::new(vec![own], None).unwrap();
        assert!(route.token.len() == 52 && !format!("{route:?}").contains(&route.token));
    }
}
