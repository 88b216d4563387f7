//! Docker's `-e NAME`, which passes a variable on, in the forms that real rows have: the name as the value of `-e`, as its
//! hint, or as the argument that follows.

use std::borrow::Cow;

use aiw_core::EnvName;
use aiw_core::registry::{Argument, Input, Package, ServerVariable};

/// The package with each variable that is passed on by its name as one argument, `-e NAME={NAME}`: what is asked for by the
/// name of the variable, with all that the row says of it.
pub(super) fn normalize_env_flags(package: &Package) -> Cow<'_, Package> {
    if !package.runtime_arguments.iter().any(is_flag) {
        return Cow::Borrowed(package);
    }
    let mut arguments: Vec<Argument> = Vec::new();
    let mut left = package.runtime_arguments.iter().peekable();
    while let Some(argument) = left.next() {
        if !is_flag(argument) {
            arguments.push(argument.clone());
            continue;
        }
        let of_flag = argument.name.as_ref().and_then(|_| text(argument));
        let next =
            of_flag.is_none().then(|| left.next_if(|next| next.name.is_none() && text(next).is_some())).flatten();
        let Some(assigned) = of_flag.or_else(|| next.and_then(text)) else {
            arguments.push(argument.clone());
            continue;
        };
        let mut variables = argument.variables.clone();
        variables.extend(next.into_iter().flat_map(|next| next.variables.clone()));
        // `-e` itself is not a value.
        let own = Input { value: None, ..argument.input.clone() };
        let input = next.map_or(own.clone(), |next| both(own, &next.input));
        let value = match assigned.strip_suffix('=').unwrap_or(assigned) {
            name if name.parse::<EnvName>().is_ok() => {
                // What decides where code comes from is not offered by the publisher.
                let default = input.default.clone().filter(|_| !aiw_core::is_code_loading(name));
                let asked = Input { value: None, default, ..input.clone() };
                if !variables.iter().any(|variable| variable.name == name) {
                    variables.push(ServerVariable { name: name.to_owned(), input: asked });
                }
                format!("{name}={{{name}}}")
            }
            _ => assigned.to_owned(),
        };
        arguments.push(Argument {
            name: Some("-e".to_owned()),
            hint: None,
            input: Input { value: Some(value), ..input },
            variables,
            repeated: false,
        });
    }
    Cow::Owned(Package { runtime_arguments: arguments, ..package.clone() })
}

/// Whether an argument is `-e` or `--env`, alone or with what it passes.
fn is_flag(argument: &Argument) -> bool {
    let word = argument.name.as_deref().or(argument.input.value.as_deref()).unwrap_or_default();
    ["-e", "--env"].contains(&word)
}

/// The text that an argument passes: its value, or the name in its hint.
fn text(argument: &Argument) -> Option<&str> {
    let name = |text: &str| text.split('=').next().unwrap_or_default().parse::<EnvName>().is_ok();
    let value = argument.input.value.as_deref().filter(|text| !text.is_empty());
    match value {
        Some(value) => Some(value).filter(|value| name(value)),
        None => argument.hint.as_deref().filter(|hint| hint.parse::<EnvName>().is_ok()),
    }
}

/// The input that two arguments describe.
fn both(one: Input, other: &Input) -> Input {
    let choices = if other.choices.is_empty() { one.choices } else { other.choices.clone() };
    Input {
        description: other.description.clone().or(one.description),
        required: one.required || other.required,
        secret: one.secret || other.secret,
        format: other.format,
        value: None,
        default: other.default.clone().or(one.default),
        placeholder: other.placeholder.clone().or(one.placeholder),
        choices,
    }
}
