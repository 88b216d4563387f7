//! `docker run`

use aiw_core::{quoted, quoted_text};

use super::builder::{CommandBuilder, Token};
use super::command::Arg;
use super::error::{Note, UnsupportedReason};
use super::inputs::Value;
use super::names::{Image, custom_registry, is_digest, is_tag};

/// Options that keep the container apart from the machine, or only name it.
const SAFE_OPTIONS: [&str; 27] = [
    "--cap-drop",
    "--cpus",
    "-c",
    "--cpu-shares",
    "-h",
    "--hostname",
    "--init",
    "-l",
    "--label",
    "-m",
    "--memory",
    "--name",
    "--no-healthcheck",
    "--pids-limit",
    "--platform",
    "--pull",
    "-q",
    "--quiet",
    "--read-only",
    "--shm-size",
    "--stop-timeout",
    "--tmpfs",
    "--ulimit",
    "-u",
    "--user",
    "-w",
    "--workdir",
];

/// Options that stand alone. Each other one that is written as a word takes the word that follows.
const OPTIONS_WITHOUT_VALUE: [&str; 12] = [
    "--disable-content-trust",
    "--init",
    "--no-healthcheck",
    "--oom-kill-disable",
    "-P",
    "--privileged",
    "--publish-all",
    "-q",
    "--quiet",
    "--read-only",
    "--sig-proxy",
    "--use-api-socket",
];

/// `docker run -i --rm OPTIONS -e NAME… IMAGE ARGUMENTS`. Variables pass through Docker's own environment, so that no
/// value is in the arguments.
pub(super) fn run_args(making: &mut CommandBuilder<'_>) -> Result<Vec<Arg>, UnsupportedReason> {
    let image = image(making)?;
    let mut args = ["run", "-i", "--rm"].map(Arg::word).to_vec();
    let mut tokens = making.tokens("docker", is_option)?;
    let is_own = |word: &str| {
        let word = word.strip_prefix("https://").unwrap_or(word);
        Image::parse(word).is_some_and(|other| other.is_same(&image))
    };
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) if ["docker", "run"].contains(&word.as_str()) || is_own(&word) => {}
            Token::Word(word) => return Err(tokens.unsupported_argument(&word)),
            Token::Switch(arg) => {
                let Arg::Switch { flag, .. } = &arg else {
                    return Err(tokens.unsupported_argument(&arg.display_words().concat()));
                };
                if !is_option(flag) {
                    return Err(tokens.unsupported_argument(flag));
                }
                if !SAFE_OPTIONS.contains(&flag.as_str()) {
                    making.host_access.push(reach(flag, None));
                }
                args.push(arg);
            }
            Token::Flag { flag, value, required } => match flag.as_str() {
                "-i" | "--interactive" | "--rm" => {}
                "-t" | "--tty" | "-it" | "-ti" | "-d" | "--detach" => {
                    making.questions.add_skipped_note(&flag, "a server is reached over standard input and output");
                }
                "-e" | "--env" => {
                    let value = tokens.value(&flag, value)?;
                    making.set_variable(
                        &value,
                        required,
                        tokens.unsupported_argument(&format!("{flag} {}", value.display())),
                    )?;
                }
                _ if value.is_none() && (OPTIONS_WITHOUT_VALUE.contains(&flag.as_str())) => {
                    if !SAFE_OPTIONS.contains(&flag.as_str()) {
                        making.host_access.push(reach(&flag, None));
                    }
                    args.push(Arg::word(flag));
                }
                _ => {
                    // `-v=/a:/b`, `--mount type=bind,…`
                    let value = tokens.value(&flag, value)?;
                    if !is_option(&flag) {
                        return Err(tokens.unsupported_argument(&flag));
                    }
                    let is_safe = SAFE_OPTIONS.contains(&flag.as_str())
                        || (["--network", "--net"].contains(&flag.as_str())
                            && matches!(value.as_literal(), Some("none" | "bridge")));
                    if !is_safe {
                        making.host_access.push(reach(&flag, Some(&value)));
                    }
                    args.push(Arg::Named { joined: flag.starts_with("--"), flag, value, required });
                }
            },
        }
    }
    args.extend(making.env.iter().map(|env| Arg::PassEnv(env.name.clone())));
    args.push(Arg::word(image.to_string()));
    args.extend(making.package_arguments(is_own)?);
    Ok(args)
}

/// One option, and not several short ones in a word.
fn is_option(flag: &str) -> bool {
    let word = flag.trim_start_matches('-');
    let fits = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !word.is_empty();
    fits && ((flag.starts_with("--") && word.len() > 1) || (flag.len() == 2 && flag.starts_with('-')))
}

fn image(making: &mut CommandBuilder<'_>) -> Result<Image, UnsupportedReason> {
    let package = making.package;
    let given = package.identifier.trim();
    let invalid = || UnsupportedReason::Identifier { identifier: quoted(given), what: "reference of an image" };
    let mut image = Image::parse(given).ok_or_else(invalid)?;
    if let Some(url) = custom_registry("oci", package.base_url.as_deref())? {
        let host = url.trim_start_matches("https://").trim_end_matches('/');
        if !image.name.starts_with(&format!("{host}/")) {
            // Otherwise the row says two things.
            let is_bare =
                !given.split('/').next().is_some_and(|first| first.contains(['.', ':']) && given.contains('/'));
            let whole = Image::parse(&format!("{host}/{image}")).filter(|_| is_bare);
            image = whole.ok_or_else(|| UnsupportedReason::Registry { url: quoted(&url) })?;
        }
    }
    // Old rows have the tag apart.
    let version = package.version.as_deref().map(str::trim).filter(|version| !version.is_empty());
    if let (None, None, Some(version)) = (&image.tag, &image.digest, version) {
        let unusable = || UnsupportedReason::Version { version: quoted(version) };
        match version.split_once('@') {
            // `sha256:…`, or a tag and the digest that it had.
            _ if is_digest(version) => image.digest = Some(version.to_owned()),
            Some((tag, digest)) if is_tag(tag) && is_digest(digest) => {
                (image.tag, image.digest) = (Some(tag.to_owned()), Some(digest.to_owned()));
            }
            None if is_tag(version) => image.tag = Some(version.to_owned()),
            _ => return Err(unusable()),
        }
    }
    if image.digest.is_none() && image.tag.as_deref().is_none_or(|tag| tag == "latest") {
        making.add_note(Note::NotPinned);
    }
    making.target = image.to_string();
    Ok(image)
}

/// Returns the access that an option gives the container.
fn reach(flag: &str, value: Option<&Value>) -> String {
    let value = value.map(Value::display).unwrap_or_default();
    let joined = if value.is_empty() { flag.to_owned() } else { format!("{flag} {value}") };
    let what = match flag {
        _ if value.contains("docker.sock") => "the container controls Docker, and with it this machine",
        "--use-api-socket" => "the container controls Docker, and with it this machine",
        "--privileged" | "--cap-add" | "--device" | "--security-opt" => "the container gets rights over this machine",
        "-v" | "--volume" | "--mount" | "--volumes-from" => "the container reads and writes files outside it",
        "--network" | "--net" if value == "host" => "the container is in this machine's network",
        "--network" | "--net" => "the container joins a network",
        "--pid" | "--ipc" | "--uts" | "--userns" | "--cgroupns" => {
            "the container shares a part of this machine's system"
        }
        "-p" | "--publish" | "-P" | "--publish-all" => "the container listens on this machine",
        "--env-file" => "the container gets the variables in this file",
        "--entrypoint" => "another program of the image runs",
        _ => "passed to Docker as it is",
    };
    format!("{}: {what}", quoted_text(&joined, 200))
}
