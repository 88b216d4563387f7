//! Why a model gave no answer.

use std::time::Duration;

use aiw_core::{Diagnostic, ErrorKind, quoted_text};
use aiw_net::NetError;

/// Why a model gave no answer. What a server says is quoted, and never contains a key.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// The server sent no answer.
    #[error(transparent)]
    Unreachable {
        /// Why.
        source: NetError,
    },
    /// The answer took too long.
    #[error("{place} did not answer within {} s", .time.as_secs_f32())]
    Timeout {
        /// How long it was waited for.
        time: Duration,
        /// Host and port.
        place: String,
    },
    /// The server has no such model.
    #[error("{place} has no model {}", quoted_text(.model, 80))]
    ModelNotFound {
        /// The model.
        model: String,
        /// Host and port.
        place: String,
        /// Whether the server is Ollama, which can pull it.
        is_ollama: bool,
    },
    /// The server refused the key, or wants one.
    #[error("{place} refused the key (status {status})")]
    Unauthorized {
        /// The HTTP status.
        status: u16,
        /// Host and port.
        place: String,
    },
    /// The server refused the question.
    #[error("{place} answered with status {status}{}", words(.said))]
    HttpStatus {
        /// The HTTP status.
        status: u16,
        /// Host and port.
        place: String,
        /// The server's own words.
        said: String,
    },
    /// The response does not have the form of this API.
    #[error("{place} sent {problem}")]
    InvalidResponse {
        /// Host and port.
        place: String,
        /// The problem with the answer.
        problem: &'static str,
    },
}

fn words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {}", quoted_text(said, 200)) }
}

impl Diagnostic for LlmError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Unreachable { source })
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::ModelNotFound { .. } | Self::Unauthorized { .. } => ErrorKind::Config,
            Self::Timeout { .. } | Self::HttpStatus { .. } | Self::InvalidResponse { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::ModelNotFound { model, is_ollama: true, .. } => {
                Some(format!("`ollama pull {}`", aiw_core::shell_quote_printable(model)))
            }
            Self::ModelNotFound { .. } => Some("`aiw planner set --model NAME` names another one".into()),
            Self::Unauthorized { .. } => Some("`aiw planner show` says where the key comes from".into()),
            _ => None,
        }
    }
}
