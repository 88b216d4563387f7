//! Lists of the models that a provider offers.

use serde::Deserialize;

use crate::{Account, Error, Family, Health, KeyState, Model, Request, Response, Secret, http};

/// The list of models that an API has at a known place. Requesting it is also the cheapest way to check a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The API.
    pub family: Family,
    /// The URL of the list.
    pub url: String,
    /// The secret that holds the key. If `None`, no key is sent.
    pub secret: Option<String>,
    /// Whether an Anthropic API expects the key as `x-api-key` instead of `Authorization: Bearer`.
    pub x_api_key: bool,
}

/// The maximum number of models: more than any provider offers, and fewer than the host refuses.
const MAX_MODELS: usize = 1000;

/// The host's limit on the length of a name.
const MAX_NAME: usize = 200;

impl Listing {
    /// Creates the listing of an account's first API, requested with its secret `token` if there is one.
    pub fn new(account: &Account) -> Result<Self, Error> {
        let Some(at) = account.base_urls.iter().find(|at| !at.url.is_empty()) else {
            return Err(Error::invalid(format!("provider `{}` has no address", account.name)));
        };
        let base = at.url.trim_end_matches('/');
        Ok(Self {
            family: at.family,
            url: match at.family {
                Family::Anthropic => format!("{base}/v1/models?limit={MAX_MODELS}"),
                Family::Openai => format!("{base}/models"),
                Family::Gemini => format!("{base}/v1beta/models?pageSize={MAX_MODELS}"),
            },
            secret: account.has_secret("token").then(|| "token".to_owned()),
            x_api_key: false,
        })
    }

    /// Requests the list from another place.
    #[must_use]
    pub fn at(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Takes the key from a secret other than `token`.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>) -> Self {
        self.secret = Some(name.into());
        self
    }

    /// Sends the key to an Anthropic API as `x-api-key`.
    #[must_use]
    pub fn with_x_api_key(mut self) -> Self {
        self.x_api_key = true;
        self
    }

    /// Sends one request, and returns what its status says about the key.
    pub fn check(&self) -> Result<Health, Error> {
        self.judge(http::send(&self.request())?)
    }

    /// Requests the models, at most 1000. Leaves out models that the server says can't produce text.
    pub fn models(&self) -> Result<Vec<Model>, Error> {
        let response = http::send(&self.request())?.success()?;
        parse(&response.body).ok_or_else(|| Error::malformed(format!("`{}` is not a list of models", self.place())))
    }

    fn request(&self) -> Request {
        let mut request = Request::new(&self.url).header("accept", "application/json");
        if self.family == Family::Anthropic {
            request = request.header("anthropic-version", "2023-06-01");
        }
        let Some(name) = &self.secret else { return request };
        match self.family {
            Family::Anthropic if self.x_api_key => request.header("x-api-key", Secret::new(name)),
            Family::Gemini => request.header("x-goog-api-key", Secret::new(name)),
            _ => request.header("authorization", Secret::bearer(name)),
        }
    }

    /// Returns the URL without its query, for messages.
    fn place(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }

    fn judge(&self, response: Response) -> Result<Health, Error> {
        let (status, place, sent) = (response.status, self.place(), self.secret.is_some());
        let health = |key, message: String| Ok(Health { key, message });
        match status {
            200..=299 if serde_json::from_slice::<serde::de::IgnoredAny>(&response.body).is_err() => {
                health(KeyState::Unknown, format!("`{place}` answers, but not as an API does: is the address right?"))
            }
            200..=299 if sent => health(KeyState::Accepted, format!("`{place}` accepts the key")),
            200..=299 => health(KeyState::Unknown, format!("`{place}` answers without a key")),
            401 | 403 if sent => health(KeyState::Refused, format!("`{place}` refuses the key (status {status})")),
            401 | 403 => health(KeyState::Refused, format!("`{place}` wants a key (status {status})")),
            // This is how Google refuses a key.
            400 if self.family == Family::Gemini && contains(&response.body, b"API_KEY_INVALID") => {
                health(KeyState::Refused, format!("`{place}` refuses the key (status {status})"))
            }
            404 | 405 | 501 => health(
                KeyState::Unknown,
                format!("the server answers, but has no list of models at `{place}` (status {status})"),
            ),
            _ => response.success().and_then(|_| health(KeyState::Unknown, format!("`{place}` answers"))),
        }
    }
}

fn contains(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len()).any(|part| part == word)
}

/// The answer: `{"data": […]}` from Anthropic and OpenAI, `{"models": […]}` from Gemini.
#[derive(Deserialize)]
struct Listed {
    data: Option<Vec<ListedModel>>,
    models: Option<Vec<ListedModel>>,
}

#[derive(Deserialize)]
struct ListedModel {
    id: Option<String>,
    name: Option<String>,
    #[serde(alias = "displayName")]
    display_name: Option<String>,
    #[serde(rename = "supportedGenerationMethods")]
    methods: Option<Vec<String>>,
}

impl ListedModel {
    fn model(self) -> Option<Model> {
        if self.methods.is_some_and(|methods| !methods.iter().any(|method| method == "generateContent")) {
            return None;
        }
        // Gemini has `models/x` as the name and no id; for the others, the name is for people.
        let (id, label) = match self.id {
            Some(id) => (id, self.display_name.or(self.name)),
            None => {
                let name = self.name?;
                (name.strip_prefix("models/").unwrap_or(&name).to_owned(), self.display_name)
            }
        };
        is_shown(&id).then(|| Model { label: label.filter(|label| is_shown(label) && *label != id), id })
    }
}

/// Returns whether the host can show a name. It refuses the whole list because of one that it cannot show.
fn is_shown(name: &str) -> bool {
    let odd = |c: char| c.is_control() || !(c.is_alphanumeric() || c.is_ascii() || "–—’·".contains(c));
    !name.trim().is_empty() && name.chars().count() <= MAX_NAME && !name.contains(odd)
}

fn parse(body: &[u8]) -> Option<Vec<Model>> {
    let listed: Listed = serde_json::from_slice(body).ok()?;
    let models = listed.data.or(listed.models)?;
    Some(models.into_iter().filter_map(ListedModel::model).take(MAX_MODELS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BaseUrl;

    fn listing(family: Family) -> Listing {
        let base_urls = vec![BaseUrl { family, url: "https://a.example/x/".to_owned() }];
        let secrets = vec!["token".to_owned()];
        let (name, preset) = ("a".to_owned(), "a".to_owned());
        Listing::new(&Account { name, preset, base_urls, model: None, secrets }).unwrap()
    }

    fn headers(listing: &Listing) -> Vec<(String, String)> {
        let shown = |value: crate::Value| match value {
            crate::Value::Literal(text) => text,
            crate::Value::Secret(secret) => format!("{}<{}>", secret.prefix, secret.name),
        };
        let headers = listing.request().headers.into_iter();
        headers.filter(|h| h.name != "accept").map(|h| (h.name, shown(h.value))).collect()
    }

    #[test]
    fn each_api_is_asked_in_its_own_way() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let anthropic = listing(Family::Anthropic);
        assert_eq!(anthropic.url, "https://a.example/x/v1/models?limit=1000");
        let version = pair("anthropic-version", "2023-06-01");
        assert_eq!(headers(&anthropic), [version.clone(), pair("authorization", "Bearer <token>")]);
        assert_eq!(headers(&anthropic.with_x_api_key()), [version, pair("x-api-key", "<token>")]);
        let openai = listing(Family::Openai).with_secret("other");
        assert_eq!(openai.url, "https://a.example/x/models");
        assert_eq!(headers(&openai), [pair("authorization", "Bearer <other>")]);
        let gemini = listing(Family::Gemini);
        assert_eq!(gemini.url, "https://a.example/x/v1beta/models?pageSize=1000");
        assert_eq!(headers(&gemini), [pair("x-goog-api-key", "<token>")]);
    }

    #[test]
    fn models_are_read_in_every_form() {
        let model = |id: &str, label: Option<&str>| Model { id: id.to_owned(), label: label.map(str::to_owned) };
        let anthropic =
            br#"{"data": [{"type": "model", "id": "claude-x", "display_name": "Claude X"}], "has_more": false}"#;
        assert_eq!(parse(anthropic).unwrap(), [model("claude-x", Some("Claude X"))]);
        let openai =
            br#"{"object": "list", "data": [{"id": "gpt-x", "object": "model", "created": 1, "owned_by": "x"}]}"#;
        assert_eq!(parse(openai).unwrap(), [model("gpt-x", None)]);
        let gateway =
            br#"{"data": [{"id": "a/b", "name": "A: B"}, {"id": "bad\u001bid"}, {"id": " "}, {"name": null}]}"#;
        assert_eq!(parse(gateway).unwrap(), [model("a/b", Some("A: B"))]);
        let gemini = br#"{"models": [
            {"name": "models/gemini-x", "displayName": "Gemini X", "supportedGenerationMethods": ["generateContent"]},
            {"name": "models/embedding-x", "supportedGenerationMethods": ["embedContent"]}
        ]}"#;
        assert_eq!(parse(gemini).unwrap(), [model("gemini-x", Some("Gemini X"))]);
        for bad in [&b"<html>"[..], b"{}", b"[]", b"{\"data\": 1}", b""] {
            assert!(parse(bad).is_none());
        }
        let many = format!(r#"{{"data": [{}]}}"#, vec![r#"{"id": "x"}"#; 3000].join(","));
        assert_eq!(parse(many.as_bytes()).unwrap().len(), MAX_MODELS);
    }

    #[test]
    fn a_status_says_what_a_key_is_worth() {
        let judged = |family, status, body: &str| {
            let (body, url) = (body.as_bytes().to_vec(), String::new());
            listing(family).judge(Response { status, headers: Vec::new(), body, url }).map(|health| health.key)
        };
        assert_eq!(judged(Family::Openai, 200, "{}"), Ok(KeyState::Accepted));
        assert_eq!(judged(Family::Openai, 200, "<html>"), Ok(KeyState::Unknown));
        assert_eq!(judged(Family::Openai, 401, ""), Ok(KeyState::Refused));
        assert_eq!(judged(Family::Openai, 404, ""), Ok(KeyState::Unknown));
        assert_eq!(judged(Family::Gemini, 400, r#"{"reason": "API_KEY_INVALID"}"#), Ok(KeyState::Refused));
        assert!(matches!(judged(Family::Gemini, 400, "{}"), Err(Error::Malformed(_))));
        assert!(matches!(judged(Family::Openai, 503, ""), Err(Error::Unavailable(_))));
    }
}
