//! Why a login failed.

use aiw_core::one_line;
use aiw_net::NetError;

/// Why a login, a refresh or a logout failed. No message holds a token, a code or a secret.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// An address that must not be used.
    #[error("{what} `{}` {problem}", one_line(.url, 200))]
    InvalidUrl {
        /// Which address.
        what: &'static str,
        /// The address, up to its port.
        url: String,
        /// The end of a sentence.
        problem: &'static str,
    },
    /// A request failed.
    #[error("{what} can't be asked: {source}")]
    Net {
        /// The server that was asked.
        what: &'static str,
        /// Why it failed.
        source: Box<NetError>,
    },
    /// A request took too long.
    #[error("{what} took longer than {seconds} s to answer")]
    Timeout {
        /// The server that was asked.
        what: &'static str,
        /// How long it had.
        seconds: u64,
    },
    /// An answer that can't be used.
    #[error("{what} {problem}")]
    InvalidResponse {
        /// The answer, or the server that gave it.
        what: &'static str,
        /// The end of a sentence.
        problem: String,
    },
    /// The authorization server says no.
    #[error("the authorization server refuses: {}{}", one_line(.code, 80), described(.description))]
    Refused {
        /// The code of its error: `invalid_grant`.
        code: String,
        /// The server's description.
        description: String,
    },
    /// The server offers no login.
    #[error("it offers no login: it names no authorization server")]
    LoginUnsupported,
    /// The authorization server knows no client like this one.
    #[error("its authorization server registers no clients")]
    RegistrationUnsupported,
    /// The browser's answer does not belong to this login.
    #[error("the answer from the browser {0}")]
    InvalidRedirect(&'static str),
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    RandomUnavailable,
}

fn described(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!(" ({})", one_line(description, 200)) }
}

impl OAuthError {
    /// Returns the error without values that were sent to the server, should it quote them.
    pub(super) fn redact_echoed_values(self, sent: &[String]) -> Self {
        match self {
            Self::Refused { code, description } => {
                let without = |words: &str| aiw_core::redact_echoed_values(words, sent.iter().map(String::as_str));
                Self::Refused { code: without(&code), description: without(&description) }
            }
            error => error,
        }
    }

    /// Whether only a new login can help: the grant, or the client, is no longer valid.
    pub fn needs_login(&self) -> bool {
        const FATAL_CODES: [&str; 4] = ["invalid_grant", "invalid_client", "unauthorized_client", "invalid_target"];
        matches!(self, Self::Refused { code, .. } if FATAL_CODES.contains(&code.as_str()))
    }

    /// Returns the next step, if there is just one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::RegistrationUnsupported => {
                Some("register a client there by hand, and give its id: `aiw mcp login NAME --client-id ID`")
            }
            Self::LoginUnsupported => {
                Some("if it takes a key, put it into a header: `aiw mcp add NAME --url URL --header H=@SECRET`")
            }
            _ => None,
        }
    }
}
