//! A user's own arguments for a CLI, and what they mean.

use std::ffi::{OsStr, OsString};

/// The values of some flags, wherever they stand: `--flag value`, `--flag=value`.
pub(crate) fn values_of<'a>(arguments: &'a [OsString], flags: &[&str]) -> Vec<&'a OsStr> {
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

/// Whether a flag is given.
pub(crate) fn has(arguments: &[OsString], flags: &[&str]) -> bool {
    !values_of(arguments, flags).is_empty()
}

/// The first of some flags that is given, as it was typed; values after `=` count.
pub(crate) fn first_of(arguments: &[OsString], flags: &[&str]) -> Option<String> {
    let is =
        |text: &str, flag: &str| text.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    let mut texts = arguments.iter().filter_map(|argument| argument.to_str());
    texts.find(|text| flags.iter().any(|flag| is(text, flag))).map(str::to_owned)
}

/// A flag with a value, if it is given: `--sandbox danger-full-access`.
pub(crate) fn pair(arguments: &[OsString], flags: &[&str], value: &str) -> Option<String> {
    let given = values_of(arguments, flags).iter().any(|given| *given == value);
    given.then(|| format!("{} {value}", flags.last().copied().unwrap_or_default()))
}
