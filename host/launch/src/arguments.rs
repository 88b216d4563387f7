//! A user's own arguments for a CLI, and their meaning.

use std::ffi::{OsStr, OsString};

/// Returns the values of some flags, wherever they are: `--flag value`, `--flag=value`.
pub(crate) fn option_values<'a>(arguments: &'a [OsString], flags: &[&str]) -> Vec<&'a OsStr> {
    let value = |(at, argument): (usize, &'a OsString)| {
        let text = argument.to_str()?;
        flags.iter().find_map(|flag| {
            let rest = text.strip_prefix(flag)?;
            match rest.strip_prefix('=') {
                Some(value) => Some(OsStr::new(value)),
                None if rest.is_empty() => Some(arguments.get(at + 1).map_or(OsStr::new(""), OsString::as_os_str)),
                None => None,
            }
        })
    };
    arguments.iter().enumerate().filter_map(value).collect()
}

/// Returns whether a flag is given.
pub(crate) fn has_flag(arguments: &[OsString], flags: &[&str]) -> bool {
    !option_values(arguments, flags).is_empty()
}

/// Returns the first of some flags that is given, as it was typed, including a value after `=`.
pub(crate) fn find_flag(arguments: &[OsString], flags: &[&str]) -> Option<String> {
    let is =
        |text: &str, flag: &str| text.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    let mut texts = arguments.iter().filter_map(|argument| argument.to_str());
    texts.find(|text| flags.iter().any(|flag| is(text, flag))).map(str::to_owned)
}

/// Returns a flag with a value, if it is given: `--sandbox danger-full-access`.
pub(crate) fn find_flag_with_value(arguments: &[OsString], flags: &[&str], value: &str) -> Option<String> {
    let given = option_values(arguments, flags).iter().any(|given| *given == value);
    given.then(|| format!("{} {value}", flags.last().copied().unwrap_or_default()))
}
