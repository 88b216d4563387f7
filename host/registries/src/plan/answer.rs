//! Whether a text can be the answer to a question.

use aiw_core::registry::Format;
use aiw_core::{Question, SecretName, quoted_list};
use aiw_home::MAX_SECRET_BYTES;
use aiw_servers::Replacement;

/// The longest answer that isn't a secret.
const MAX_ANSWER_BYTES: usize = 4 << 10;

/// Checks an answer by its question. The error is the end of a sentence.
pub(super) fn check(question: &Question, answer: &str) -> Result<(), String> {
    if is_reference(answer) || (answer.is_empty() && question.allows_bare_flag) {
        return Ok(());
    }
    let most = if question.secret { MAX_SECRET_BYTES } else { MAX_ANSWER_BYTES };
    if answer.len() > most {
        return Err(format!("is longer than {most} bytes"));
    }
    if answer.chars().any(char::is_control) {
        return Err("has line breaks or control characters".into());
    }
    if !question.choices.is_empty() && !question.choices.iter().any(|choice| choice == answer) {
        return Err(format!("is not one of {}", quoted_list(&question.choices)));
    }
    match question.format {
        Format::Number if answer.parse::<f64>().map_or(true, |number| !number.is_finite()) => {
            Err("is not a number".into())
        }
        Format::Boolean if !matches!(answer, "true" | "false") => Err("is neither `true` nor `false`".into()),
        _ => Ok(()),
    }
}

/// Whether an answer is exactly `${NAME}` or `${secret:NAME}`.
pub(super) fn is_reference(answer: &str) -> bool {
    let secret = answer.strip_prefix("${secret:").and_then(|rest| rest.strip_suffix('}'));
    secret.is_some_and(|name| name.parse::<SecretName>().is_ok())
        || matches!(Replacement::parse(answer), Replacement::Reference(_))
}
