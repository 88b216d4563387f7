//! Secrets by their place: an argument of a well-known call or command, and the field beside one that has their name.

use regex::Captures;

use super::named::{NamedSearch, is_value, split_quote};
use super::text::{REDACTED, has_digit};

/// An argument in quotes, or any other one before a password.
macro_rules! arguments {
    () => {
        r#"(?:\\*"[^"\n]{0,120}",\s*|\\*'[^'\n]{0,120}',\s*|[^\s"'(),]{1,60},\s*)"#
    };
}

/// The text of an argument in quotes.
macro_rules! text {
    () => {
        r#"(\\*b?["'])([^"'\n\\]{3,200})\\*["']"#
    };
}

/// The names that a password has.
macro_rules! passwords {
    () => {
        r"(?:pass(?:word|wd|phrase|code)?s?|pwd|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|credentials?)"
    };
}

/// A word of a command line.
macro_rules! word {
    () => {
        r#"("[^"\n]{3,}"|'[^'\n]{3,}'|[^\s"'`;|&$%-][^\s"'`;|&]{2,})"#
    };
}

// Long: one table of rules.
pub(super) fn searches() -> Vec<NamedSearch> {
    vec![
        // A user and a password.
        (
            &[
                "getconnection",
                "pdo(",
                "mysqli",
                "mysql_connect",
                "oci_connect",
                "ldap_bind",
                "ftp_login",
                "imap_open",
                "basicauth",
                "basic_auth",
                "digestauth",
                "networkcredential",
                "passwordauthentication",
                "passwordcredentials",
                "auth_password",
                ".login(",
                "auth=(",
                "auth = (",
                "auth: [",
            ],
            concat!(
                r"(?i)(\b(?:getconnection|pdo|mysqli(?:_connect)?|mysql_connect|oci_connect|ldap_bind|ftp_login|imap_open|(?:http|set|with|use)?_?basic_?auth|httpdigestauth|networkcredential|passwordauthentication|usernamepasswordcredentials|ssh2_auth_password|login|auth\s?[=:]\s?)[(\[]\s*",
                arguments!(),
                "{1,3}",
                text!(),
                ")"
            ),
            argument,
        ),
        // A password alone, or before how it is hashed.
        (
            &[
                ".auth(",
                "bcrypt",
                "argon2",
                "hashpw(",
                "password_hash(",
                "password_verify(",
                "generate_password_hash(",
                "check_password",
                "hashsync(",
                "comparesync(",
                "set_password(",
                "setpassword(",
            ],
            concat!(
                r"(?i)((?:\.auth|\bbcrypt\w*\.\w+|\bargon2\w*\.\w+|\bhashpw|\bpassword_hash|\bpassword_verify|\bgenerate_password_hash|\bcheck_password\w*|\bhashsync|\bcomparesync|\bset_?password)\(\s*",
                text!(),
                ")"
            ),
            argument,
        ),
        // <key>password</key><string>X</string>, <name>password</name><value>X</value>
        (
            &["</key>", "</name>", "<\\/key>", "<\\/name>"],
            concat!(
                r"(?i)(<(?:key|name)>(?-u:[\w.: -]){0,60}",
                passwords!(),
                r"<\\?/(?:key|name)>(?:\s|\\n)*<(?:string|value)>\s*)([^<>\n]{3,200}?)(\s*<\\?/)"
            ),
            field,
        ),
        // <pass>X</pass>, <entry key="password">X</entry>, <add name="password" value="X"/>
        (
            &["pass>", "<pass ", "key=", "name="],
            concat!(
                r"(?i)(<(?:pass(?:\s[^<>]{0,80})?|[\w:.-]+\s+(?:name|key)\s*=\s*\\*[\x22'](?-u:[\w.:-]){0,60}",
                passwords!(),
                r"\\*[\x22'](?:\s[^<>]{0,80})?)>\s*)([^<>\s]{3,200})(\s*<\\?/)"
            ),
            field,
        ),
        (
            &["key=", "name="],
            concat!(
                r"(?i)(<[\w:.-]+\s+(?:name|key)\s*=\s*\\*[\x22'](?-u:[\w.:-]){0,60}",
                passwords!(),
                r"\\*[\x22']\s[^<>]{0,80}?\bvalue\s*=\s*\\*[\x22'])([^<>\x22'\\\n]{3,200})(\\*[\x22'])"
            ),
            field,
        ),
        // {"name": "password", "type": "string", "value": "X"}, in whatever case
        (
            &["value\":", "value\\\":", "value\\\\\\\":", "value':"],
            concat!(
                r#"(?i)(\\*["'](?:name|key|id|field)\\*["']\s*:\s*\\*["'](?-u:[\w.:-]){0,60}"#,
                passwords!(),
                r#"\\*["']\s*,\s*(?:\\*["'](?-u:\w){1,40}\\*["']\s*:\s*(?:\\*["'][^"'\n]{0,60}["']|(?-u:[\w.]){1,20})\s*,\s*){0,3}\\*["'](?-u:\w){0,20}value\\*["']\s*:\s*\\*["'])([^"'\n\\]{3,200})(\\*["'])"#
            ),
            field,
        ),
        // {"password": {"value": "X"}}, {"passwords": ["X", "X"]}, passwords:\n  - X
        (
            &[
                "word\":",
                "word\\\":",
                "wd\":",
                "phrase\":",
                "secret\":",
                "secret\\\":",
                "token\":",
                "token\\\":",
                "key\":",
                "key\\\":",
                "word':",
                "token':",
                "secret':",
            ],
            concat!(
                r#"(?i)(\b(?-u:[\w.-]){0,40}"#,
                passwords!(),
                r#"\\*["']\s*:\s*\{\s*\\*["'](?:value|text|plain|plaintext|raw|data|default|string)\\*["']\s*:\s*\\*["'])([^"'\n\\]{3,200})(\\*["'])"#
            ),
            field,
        ),
        (
            &["passwords", "passphrases", "secrets", "tokens"],
            r#"(?i)(\b(?-u:[\w.-]){0,40}(?:passwords|passphrases|secrets|tokens)\\*["']?\s*[:=]\s*\[\s*)((?:\\*["'][^"'\n\\]+\\*["']\s*,?\s*)+)(\])"#,
            list,
        ),
        (
            &["passwords:", "passphrases:", "secrets:", "tokens:"],
            r#"(?i)(^[ \t]*(?-u:[\w.-]){0,40}(?:passwords|passphrases|secrets|tokens):[ \t]*\n[ \t]*-[ \t]+["']?)([^\s"':]{3,200})(["']?[ \t]*(?:\n|$))"#,
            |found| has_digit(&found[2]).then(|| field(found)).flatten(),
        ),
        // Commands
        (
            &["net use"],
            concat!(
                r"(?i)(\bnet\s+use\s(?:[^\n]*?\s)??(?:\\\\\S+)\s+)",
                word!(),
                r"(\s+/(?:user|savecred|persistent))"
            ),
            field,
        ),
        (&["/user:"], concat!(r"(?i)(\bnet\s+use\s[^\n]*?/user:\S+\s+)", word!()), field),
        (
            &["psexec", "winexe", "rdesktop", "evil-winrm"],
            concat!(r"(?i)(\b(?:psexec(?:64)?(?:\.exe|\.py)?|winexe|rdesktop|evil-winrm)\s[^\n]*?\s-p\s+)", word!()),
            field,
        ),
        (
            &["exp ", "imp ", "expdp", "impdp", "sqlldr", "rman", "sqlplus"],
            r"(?i)(\b(?:exp|imp|expdp|impdp|sqlldr|rman\s+target|sqlplus(?:\s+-\w+)*)\s+(?-u:[\w.$#]){1,60}/)([^\s@/]{3,60})(@)",
            field,
        ),
        (&["iwconfig"], concat!(r"(?i)(\biwconfig\s[^\n]*?\skey\s+(?:s:)?)", word!()), field),
        (
            &["<<<"],
            concat!(r"(?i)(\b(?:cryptsetup|kinit|su|passwd|gpg|ssh-add|openssl)\b[^\n|;<]*<<<\s*)", word!()),
            field,
        ),
    ]
}

/// The value, if it can be one: any word may be a password.
fn field(found: &Captures<'_>) -> Option<String> {
    let (quote, bare) = split_quote(&found[2]);
    let is_secret = is_value(bare) && !bare.contains(char::is_whitespace) && !bare.starts_with(['$', '%']);
    let rest = found.get(3).map_or("", |rest| rest.as_str());
    is_secret.then(|| format!("{}{quote}{REDACTED}{quote}{rest}", &found[1]))
}

/// The last argument, which is a text.
fn argument(found: &Captures<'_>) -> Option<String> {
    let value = &found[3];
    let is_scheme = ["bearer", "basic", "digest", "jwt", "local", "google", "github"]
        .iter()
        .any(|scheme| value.eq_ignore_ascii_case(scheme));
    let is_secret = is_value(value) && !value.contains(char::is_whitespace) && !is_scheme;
    let (before, end) = found[0].split_at(found[0].rfind(value)?);
    is_secret.then(|| format!("{before}{REDACTED}{}", &end[value.len()..]))
}

/// All texts of a list.
fn list(found: &Captures<'_>) -> Option<String> {
    let is_password = found[1].to_ascii_lowercase().contains("pass");
    (is_password || has_digit(&found[2])).then(|| format!("{}{REDACTED}{}", &found[1], &found[3]))
}
