//! What a request asks for, by its path.

use aiw_dialects::Api;
use http::{Method, Uri};

use crate::proof::PROOF_PATH_PREFIX;

/// A request that the gateway answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A sign of life.
    HealthCheck,
    /// A proof that this is the gateway of a home, over a word that the asker made up.
    Challenge(String),
    /// The models of a provider.
    Models(Api),
    /// One of them.
    Model(String),
    /// An answer of a model.
    Generate(Api, GenerateContentPath),
    /// The tokens of a request.
    CountTokens(Api, GenerateContentPath),
}

/// The parts of generateContent's path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GenerateContentPath {
    pub(crate) model: Option<String>,
    pub(crate) is_streamed: Option<bool>,
}

impl Endpoint {
    /// Returns the API of whoever asks.
    pub(crate) fn dialect(&self) -> Api {
        match self {
            Self::HealthCheck | Self::Challenge(_) => Api::Messages,
            Self::Model(_) => Api::ChatCompletions,
            Self::Models(dialect) | Self::Generate(dialect, _) | Self::CountTokens(dialect, _) => *dialect,
        }
    }

    /// Reads a path. `None`: there is nothing.
    pub(crate) fn parse(method: &Method, uri: &Uri) -> Option<Self> {
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_prefix("/v1beta").or_else(|| path.strip_prefix("/v1")).unwrap_or(path);
        if let (&Method::GET, Some(nonce)) = (method, uri.path().strip_prefix(PROOF_PATH_PREFIX)) {
            return Some(Self::Challenge(nonce.to_owned()));
        }
        if method == Method::HEAD || (method == Method::GET && path.is_empty()) {
            return Some(Self::HealthCheck);
        }
        if method == Method::GET {
            let api = if uri.path().starts_with("/v1beta") { Api::GenerateContent } else { Api::ChatCompletions };
            return match path.strip_prefix("/models")? {
                "" => Some(Self::Models(api)),
                rest => Some(Self::Model(rest.strip_prefix('/')?.to_owned())).filter(|_| api == Api::ChatCompletions),
            };
        }
        if method != Method::POST {
            return None;
        }
        match path {
            "/messages" => Some(Self::Generate(Api::Messages, GenerateContentPath::default())),
            "/messages/count_tokens" => Some(Self::CountTokens(Api::Messages, GenerateContentPath::default())),
            "/chat/completions" => Some(Self::Generate(Api::ChatCompletions, GenerateContentPath::default())),
            "/responses" => Some(Self::Generate(Api::Responses, GenerateContentPath::default())),
            "/responses/input_tokens" => Some(Self::CountTokens(Api::Responses, GenerateContentPath::default())),
            _ => {
                let (model, verb) = path.strip_prefix("/models/")?.rsplit_once(':')?;
                let at =
                    |is_streamed| GenerateContentPath { model: Some(model.to_owned()), is_streamed: Some(is_streamed) };
                match verb {
                    "generateContent" => Some(Self::Generate(Api::GenerateContent, at(false))),
                    "streamGenerateContent" => Some(Self::Generate(Api::GenerateContent, at(true))),
                    "countTokens" => Some(Self::CountTokens(Api::GenerateContent, at(false))),
                    _ => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clis_paths_are_known() {
        let called = |method: Method, uri: &str| Endpoint::parse(&method, &uri.parse().unwrap());
        assert_eq!(called(Method::HEAD, "/"), Some(Endpoint::HealthCheck));
        assert_eq!(
            called(Method::POST, "/v1/messages?beta=true"),
            Some(Endpoint::Generate(Api::Messages, GenerateContentPath::default()))
        );
        assert_eq!(
            called(Method::POST, "/v1/responses"),
            Some(Endpoint::Generate(Api::Responses, GenerateContentPath::default()))
        );
        let google =
            |is_streamed| GenerateContentPath { model: Some("gemini-x".into()), is_streamed: Some(is_streamed) };
        let stream = called(Method::POST, "/v1beta/models/gemini-x:streamGenerateContent?alt=sse");
        assert_eq!(stream, Some(Endpoint::Generate(Api::GenerateContent, google(true))));
        assert_eq!(
            called(Method::POST, "/v1beta/models/gemini-x:countTokens"),
            Some(Endpoint::CountTokens(Api::GenerateContent, google(false)))
        );
        for path in ["/v1/chat/completions", "/chat/completions", "/v1/chat/completions/"] {
            assert_eq!(
                called(Method::POST, path),
                Some(Endpoint::Generate(Api::ChatCompletions, GenerateContentPath::default()))
            );
        }
        assert_eq!(called(Method::GET, "/v1/models"), Some(Endpoint::Models(Api::ChatCompletions)));
        assert_eq!(called(Method::GET, "/v1beta/models"), Some(Endpoint::Models(Api::GenerateContent)));
        assert_eq!(called(Method::GET, "/v1/models/openai/gpt-x"), Some(Endpoint::Model("openai/gpt-x".into())));
        for (method, uri) in [
            (Method::POST, "/v1/completions"),
            (Method::GET, "/v1/chat/completions"),
            (Method::GET, "/v1/modelsx"),
            (Method::PUT, "/v1/messages"),
            (Method::GET, "/v1/other"),
        ] {
            assert_eq!(called(method, uri), None, "{uri}");
        }
    }
}
