//! The user's own logins, which Claude Code would send to a provider regardless of its variables. Seen in 2.1.197.

use std::path::Path;

use aiw_core::CliKind;
use aiw_home::CliFiles;
use serde_json::json;

use crate::builder::RunBuilder;

pub(super) const API_KEY_VARIABLE: &str = "ANTHROPIC_API_KEY";
pub(super) const AUTH_TOKEN_VARIABLE: &str = "ANTHROPIC_AUTH_TOKEN";
pub(super) const HEADERS_VARIABLE: &str = "ANTHROPIC_CUSTOM_HEADERS";

/// Keeps two of these logins out:
///
/// - On a terminal, Claude Code asks whether to use a key that it finds in a variable, recommends "no", and keeps the
///   answer; then it uses the login instead. It does not ask about a token. So on a terminal the key is passed as a
///   token, and also in its own header, as Claude Code does with a key of `apiKeyHelper`.
/// - Next to a token, it sends the key that `/login` saved for the Console. A header with that name overrides it.
pub(super) fn override_login(task: bool, draft: &mut RunBuilder) {
    let has = |name: &str, draft: &RunBuilder| {
        let value = draft.environment.get(name).and_then(|value| value.to_str());
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let key = match (has(API_KEY_VARIABLE, draft), has(AUTH_TOKEN_VARIABLE, draft)) {
        (Some(key), None) if !task && draft.provider_variables.contains(API_KEY_VARIABLE) => {
            draft.unset(API_KEY_VARIABLE);
            draft.provider_variables.remove(API_KEY_VARIABLE);
            draft.set(AUTH_TOKEN_VARIABLE, &key);
            draft.override_settings(json!({"env": {API_KEY_VARIABLE: "", AUTH_TOKEN_VARIABLE: key}}));
            key
        }
        (None, Some(token)) if draft.provider_variables.contains(AUTH_TOKEN_VARIABLE) && has_saved_key(draft) => token,
        _ => return,
    };
    let lines: Vec<String> = has(HEADERS_VARIABLE, draft).into_iter().chain([format!("x-api-key: {key}")]).collect();
    draft.set(HEADERS_VARIABLE, lines.join("\n"));
    draft.override_settings(json!({"env": {HEADERS_VARIABLE: lines.join("\n")}}));
}

/// Returns whether `/login` may have saved a key: in its file or, on macOS, perhaps where nobody else can look. A
/// file that can't be read may contain one.
fn has_saved_key(draft: &RunBuilder) -> bool {
    let set = |name: &str| draft.environment.path(name);
    let files = CliFiles::for_cli(CliKind::Claude);
    let files = [files.servers(set), files.directory(set).map(|dir| dir.join(".config.json"))];
    let holds_one = |path: &Path| match aiw_home::read_capped(path, aiw_home::json::MAX_BYTES) {
        Ok(bytes) => bytes.is_some_and(|bytes| bytes.windows(13).any(|word| word == b"primaryApiKey")),
        Err(_) => true,
    };
    cfg!(target_os = "macos") || files.iter().flatten().any(|path| holds_one(path))
}
