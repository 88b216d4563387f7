//! Secrets without a form of their own: what is named a password, what stands in a header or a URL, private keys.
//!
//! Long: one table of rules.

use regex::Captures;

use super::assigned::{self, ValueKind};
use super::step::ReplaceFn;
use super::text::{REDACTED, entropy, has_digit, is_amount, is_code, is_mixed, is_placeholder};

/// A search: its marks, its pattern, and the replacement of a match.
pub(super) type NamedSearch = (&'static [&'static str], &'static str, ReplaceFn);

/// The words that a secret's name ends with.
macro_rules! names {
    () => {
        r"passwords?|passwd|passphrase|passcode|pwd|secret(?:[_-]?key)?(?:[_-]?base)?|tokens?|api[ _-]?keys?|(?:access|private|signing|encryption|account|auth|app|master|fernet|storage|license|preshared)[_-]?key|client-key-data|credentials?"
    };
}

/// Shorter names, which are secrets' only as a word of their own: `DB_PASS`, `pass`, `--pass`, `dbPass`, but not `bypass`.
macro_rules! short_names {
    () => {
        r"\b(?:(?-u:[\w.-]){0,60}[_.-])?(?:pass|pw|psk)|\b(?-u:[\w.-]){1,60}_pat|\b(?-iu:[\w.-]{0,60}[a-z]Pass)"
    };
}

/// A value in quotes, of which one may be missing at the end of the text.
macro_rules! quoted {
    () => {
        r#"\\"[^"\n]{3,}"|"(?:[^"\\\n]|\\.){3,}(?:"|$)|'[^'\n]{3,}'|`[^`\n]{3,}`"#
    };
}

/// Quotes before the value of a header, or before its scheme: escaped, doubled, or those of a word processor.
macro_rules! opening {
    () => {
        r#"(?:\\*["'`“”„‟«»‹›‘’‚「『]){0,3}"#
    };
}

/// A parameter of a header: `token="X"`, `qop=auth`. Of the quotes, the last may be missing at the end of a line. There may be
/// blanks around the sign before a quote (RFC 9110, section 11.2).
macro_rules! parameter {
    () => {
        r#"[a-z][a-z0-9_*-]{0,40}[ \t]*=[ \t]*(?:\\*"(?:[^"\s,;:.?+&|)}\]>]|[,;:.?+&|)}\]>][a-z0-9/+_-])[^"\n]*"?|\\*'(?:[^'\s,;:.?+&|)}\]>]|[,;:.?+&|)}\]>][a-z0-9/+_-])[^'\n]*'?|[^\s"'`,;\\=][^\s"'`,;\\]*)"#
    };
}

/// A parameter without a value before the next one: `realm="",`.
macro_rules! empty_parameter {
    () => {
        r#"[a-z][a-z0-9_*-]{0,40}[ \t]*=[ \t]*(?:\\*"\\*"|'')?[ \t]*"#
    };
}

/// A value in a command line, quoted or not.
macro_rules! shell_value {
    () => {
        r#"("[^"\n]{3,}"|'[^'\n]{3,}'|[^\s"'`;|&-][^\s"'`;|&]{2,})"#
    };
}

/// A command, up to the flag before a value. Nothing between ends the command.
macro_rules! command {
    ($name:expr, $flag:expr) => {
        concat!(r"(\b(?:", $name, r")(?:\s(?:[^\n|;&]|\\\r?\n)*?)??", $flag, ")", shell_value!())
    };
}

// Long: one table of rules.
pub(super) fn searches() -> Vec<NamedSearch> {
    vec![
        // A key of PuTTY, to its last line.
        (
            &["putty-user-key-file-"],
            r"PuTTY-User-Key-File-\d(?s:.)*?Private-Lines:\s*\d+[A-Za-z0-9+/=\s\\]*(?:-(?:MAC|Hash):\s*[0-9a-f]+)?",
            |_| Some(REDACTED.to_owned()),
        ),
        (
            &["authorization"],
            concat!(
                r#"(?i)(authorization(?:["']\]\s*=\s*["']|\\*["'`]?\s*[:=]\s*"#,
                opening!(),
                r#"))(?:([a-z][a-z0-9-]{1,30})([ \t]+"#,
                opening!(),
                r"))?((?:",
                empty_parameter!(),
                r"[,;][ \t]*){0,100}",
                parameter!(),
                r"(?:(?:[ \t]*[,;][ \t]*|[ \t]+)(?:",
                parameter!(),
                "|",
                empty_parameter!(),
                r#"))*|[^\s"'`,;\\“”„‟«»‹›‘’‚「」『』](?:[^\s"'`,;\\“”„‟«»‹›‘’‚「」『』]|\\[!#-&(-+./:<-@\[\]^_{|}~-]){2,})"#,
            ),
            authorization,
        ),
        (
            &["bearer"],
            r#"(?i)\b(bearer\s+\\*["'`]?)([A-Za-z0-9._~+/=-]{12,}(?:\\?![A-Za-z0-9._~+/=!-]*[A-Za-z0-9_~+/=-])?)"#,
            |found| has_digit(&found[2]).then(|| format!("{}{REDACTED}", &found[1])),
        ),
        (&["cookie"], r"(?i)\b((?:set-)?cookie\s*:\s*)([^\r\n'\x22]{8,})", |found| {
            found[2].contains('=').then(|| format!("{}{REDACTED}", &found[1]))
        }),
        // A password with a slash.
        (
            &["://"],
            r#"(?i)\b([a-z][a-z0-9+.-]{1,20}://[^\s/:@"'<>]{0,100}:)([^\s/:@"'<>]*/[^\s"'<>]{0,200})(@[a-z0-9])"#,
            slashed,
        ),
        // curl -b "session=X"
        (
            &["curl", "--cookie"],
            r#"(\b(?:curl|wget|https?|xh)\s(?:[^\n|]*?\s)??(?:-b|--cookie)[ =]?)(\\*"[^"\n=]{1,80}=[^"\n]{4,}"|\\*'[^'\n=]{1,80}=[^'\n]{4,}'|[^\s"'`;|&=-][^\s"'`;|&=]{0,80}=[^\s"'`;|&]{4,})"#,
            cookies,
        ),
        (&["://"], r#"(?i)\b([a-z][a-z0-9+.-]{1,20}://[^\s/:"'<>]{0,100}:)([^\s/"'<>]{1,200})(@)"#, |found| {
            is_value(&found[2]).then(|| format!("{}{REDACTED}@", &found[1]))
        }),
        // A token in place of a user.
        (&["://"], r#"(://)((?-u:[\w.%~+$!*=,;&-]){20,})@"#, |found| {
            is_random(&found[2]).then(|| format!("{}{REDACTED}@", &found[1]))
        }),
        // A user and a password for curl.
        (&["-u", "--user"], r#"(\s(?:-u|--user)[ =]?["']?[^\s:"']{1,80}:)([^\s"']{3,})"#, |found| {
            is_login(&found[1], &found[2]).then(|| format!("{}{REDACTED}", &found[1]))
        }),
        (
            &["curl"],
            command!(r"curl", r#"\s(?:--proxy-user[ =]|-[a-zA-Z]{0,8}[uU])\s*\\?["']?(?-u:[!#-&(-9;-~])*:"#),
            |found| is_login(&found[1], &found[2]).then(|| format!("{}{REDACTED}", &found[1])),
        ),
        (
            &[" login "],
            command!(r"(?:docker|podman|nerdctl|buildah|skopeo|oras|helm|az|oc|cf)\s+(?:\w+\s+)?login", r"\s-p[\s=]*"),
            flag,
        ),
        (&["redis-cli"], command!(r"redis-cli", r"\s(?:-a|--pass)[\s=]+"), flag),
        (&["mysql", "mariadb", "mycli"], command!(r"(?:mysql|mariadb)(?-u:[\w-]*)|mycli", r"\s-p"), |found| {
            (!is_flag_of_other(&found[2])).then(|| flag(found)).flatten()
        }),
        (&["sshpass"], command!(r"sshpass", r"\s-p\s*"), flag),
        (&["pass:"], concat!(r"(?i)(\s-pass(?:in|out)?[\s=]+\\?[\x22']?pass:)", shell_value!()), flag),
        // aws configure set aws_secret_access_key X, npm config set //registry/:_authToken X
        (
            &["config set", "configure set"],
            concat!(
                r"(?i)(\bconfig(?:ure)?\s+set\s+(?-u:--?[\w=./:@-]+\s+(?:\w[\w./:@-]*\s+)?){0,3}(?-u:[\w./:@-]*)(?:",
                names!(),
                r")\s+)",
                shell_value!()
            ),
            |found| (found[2].len() >= 12 || has_digit(&found[2])).then(|| flag(found)).flatten(),
        ),
        // SQL
        (
            &["password", "identified"],
            r"(?i)\b((?:password|identified\s+(?:with\s+(?-u:[\w.']+)\s+)?by)\s+(?:password\s+|values\s+)?[EN]?)('(?:[^'\n]|''){3,}'|\\?\x22[^\x22\n]{3,}\x22)",
            sql,
        ),
        // XML
        (
            &["password>", "passwd>", "passphrase>", "pwd>", "secret>", "token>", "key>"],
            r"(?i)(<(?-u:[\w.:-]){0,60}(?:password|passwd|passphrase|pwd|secret|token|(?:api|access|secret|private|account)[_-]?key)(?:\s[^<>]*)?>\s*)([^<>\s]{3,})(\s*<\\?/)",
            |found| {
                let is_password = found[1].to_ascii_lowercase().contains("pass");
                let is_secret = is_value(&found[2]) && (is_password || has_digit(&found[2]) || found[2].len() >= 20);
                is_secret.then(|| format!("{}{REDACTED}{}", &found[1], &found[3]))
            },
        ),
        // The password is X.
        (
            SENTENCE_PREFIXES,
            concat!(
                r"(?i)(\b(?:",
                names!(),
                r"|api key|access key|(?:wi-?fi|wlan|wpa[23]?|network) key|pin code|passwort|kennwort) (?:ist?|was|lautet)(?:\s+now|\s+still|\s+set\s+to)?\s*:?\s+[*`'\x22]{0,3})([^\s`'\x22<>\\]{6,})"
            ),
            |found| {
                let value = found[2].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '*']);
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit()) && value.len() >= 6;
                let is_short = is_number && found[1].to_ascii_lowercase().starts_with(['p', 'P']);
                (is_told(value) || is_short).then(|| format!("{}{REDACTED}{}", &found[1], &found[2][value.len()..]))
            },
        ),
        // The words of a phrase.
        (
            &["phrase", "mnemonic", "word is"],
            r#"(?i)(\b(?:pass ?phrase|(?:seed|recovery|mnemonic|backup) phrase|mnemonic|password)(?: for [a-z0-9_ ]{1,30})?\s*(?::|=| is| was)\s*\\*["'`“„«‘]?\s?)([a-z]{2,12}(?:[ -][a-z]{2,12}){3,24})"#,
            |found| {
                let words: Vec<&str> = found[2].split([' ', '-']).collect();
                let is_sentence = words.iter().any(|word| SENTENCE_WORDS.contains(&word.to_ascii_lowercase().as_str()));
                (!is_sentence && words.iter().all(|word| word.len() > 2)).then(|| format!("{}{REDACTED}", &found[1]))
            },
        ),
        // The word in other languages.
        (
            &[
                "passwort",
                "paßwort",
                "u00dfwort",
                "&szlig;wort",
                "PAẞWORT",
                "passwörter",
                "kennwort",
                "kennwörter",
                "mdp",
                "de passe",
                "de_passe",
                "de-passe",
                "depasse",
                "palavra",
                "contrase",
                "senha",
                "parola d",
                "wachtwoord",
                "hasło",
                "HASŁO",
                "lösenord",
                "LÖSENORD",
                "senord",
                "şifre",
                "ŞİFRE",
                "mật khẩu",
                "密码",
                "密碼",
                "口令",
                "パスワード",
                "비밀번호",
                "암호",
                "пароль",
                "Пароль",
                "ПАРОЛЬ",
            ],
            concat!(
                r#"(?i)((?:(?:pa(?:ss|ß)|kenn)w(?:o|ö|o\u{308})rt(?:er)?|mot[ _-]?de[ _-]?passe|\bmdp|contrase(?:ñ|n\u{303}|n)a|\bsenha|palavra[ _-]passe|wachtwoord|hasło|l(?:ö|o\u{308})senord|şifre|mật khẩu|parola d['’]ordine|密码|密碼|口令|パスワード|비밀번호|암호|пароль)"#,
                r#"\\?["']?\s{0,4}(?:(?:是|は)?(?:=>|:=|={1,3}|[:：＝])|是|は|\b(?:ist|lautet|est|es|é|è|jest|är)\b)\s{0,4}[「『“]?)(\\?"[^"\n]{3,}"|'[^'\n]{3,}'|[!#-&(-+\--:<-\[\]-_a-z|~]{3,})"#
            ),
            foreign,
        ),
        (&["password"], r"(?i)(\blogin\s+\S{1,80}\s+password\s+)(\S{1,200})", |found| {
            Some(format!("{}{REDACTED}", &found[1]))
        }),
        // setenv PASSWORD X, set -gx API_KEY X, ENV TOKEN X, #define PASSWORD "X"
        (
            &["setenv", "setx", "set -", "env ", "define", "arg "],
            concat!(
                r"(?i)((?:\b(?:setenv|setx|set\s+-\w+|env)|#\s*define)\s+(?-u:\w){0,60}?(?:",
                names!(),
                r"|_pass|_pw)\s+)",
                shell_value!()
            ),
            |found| {
                let (quote, bare) = split_quote(&found[2]);
                (!quote.is_empty() || has_digit(bare)).then(|| flag(found)).flatten()
            },
        ),
        // getenv("API_KEY", "X"), define('PASSWORD', 'X')
        (
            &["env", "define(", "config("],
            concat!(
                r"(?i)(\(\s*\\?[\x22'](?-u:[\w.-]){0,60}?(?:",
                names!(),
                r"|",
                short_names!(),
                r")\\?[\x22']\s*,\s*)(",
                quoted!(),
                r")"
            ),
            named_apart,
        ),
        // {"name": "PASSWORD", "value": "X"}, and the same in YAML and XML
        (
            &["value"],
            concat!(
                r"(?i)(\b(?:name|key)(?:\\?[\x22'])?\s*[:=]\s*\\?[\x22']?(?-u:[\w.-]){0,60}?(?:",
                names!(),
                r"|",
                short_names!(),
                r")\\?[\x22']?\s*,?\s*(?:\\?[\x22'])?value(?:\\?[\x22'])?\s*[:=]\s*)(",
                quoted!(),
                r"|[^\s\x22'`,;&)}\]\\]{3,})"
            ),
            named_apart,
        ),
        // echo X | docker login --password-stdin
        (
            &["password-stdin", "sudo -s", "chpasswd"],
            r#"(?i)(\b(?:echo|printf)\s+(?:-\w\s+)?)("[^"\n]{3,}"|'[^'\n]{3,}'|[^\s|;&"']{3,})(?:\s*\|[^\n|;&]*?(?:--password-stdin|sudo\s+-S|chpasswd))"#,
            piped,
        ),
        (
            &["--from-literal", "secrets set", "secret set"],
            r#"((?:--from-literal[= ]|secrets? set )["']?(?-u:[\w.-])+=)([^\s"']{3,})"#,
            flag,
        ),
        (&["sqlcmd", "bcp"], command!(r"sqlcmd|bcp", r"\s-P\s*"), flag),
        (&["mongo", "cqlsh", "twine"], command!(r"mongo(?-u:[a-z]*)|cqlsh|twine", r"\s-p\s+"), flag),
        (&["ldap"], command!(r"ldap(?-u:[a-z]+)", r"\s-w\s*"), flag),
        (&["-storepass", "-keypass"], concat!(r"(\s-(?:store|key)pass\s+)", shell_value!()), flag),
        // A key in JSON: its private parts.
        (&["kty"], r#"(["'\\](?:d|p|q|dp|dq|qi|k)\\*["']\s*:\s*\\*["'])([A-Za-z0-9_-]{16,})"#, |found| {
            Some(format!("{}{REDACTED}", &found[1]))
        }),
        // HTML: a name and the cell beside it.
        (
            &["</t", "</dt"],
            concat!(
                r"(?i)(<(?:td|th|dt)[^<>]*>\s*(?:<\w+>)?[^<>]{0,40}?(?:",
                names!(),
                r")\s*:?\s*(?:</\w+>)?\s*<\\?/(?:td|th|dt)>(?:\s|\\n)*<(?:td|dd)[^<>]*>\s*(?:<\w+>)?)([^<>\s]{6,})"
            ),
            |found| has_digit(&found[2]).then(|| format!("{}{REDACTED}", &found[1])),
        ),
        // HTML: what a field for a password has in it, whatever comes first.
        (
            &["<input"],
            concat!(
                r"(?i)(<input\b[^<>]{0,400}?\b(?:type\s*=\s*\\*[\x22']?password|(?:name|id)\s*=\s*\\*[\x22']?[\w.-]{0,60}?(?:",
                names!(),
                r"))\b[^<>]{0,400}?\bvalue\s*=\s*)(\\*\x22[^\x22<>\\]{3,}|\\*'[^'<>\\]{3,}|[^\s\x22'<>\\]{3,})()"
            ),
            of_field,
        ),
        (
            &["<input"],
            concat!(
                r"(?i)(<input\b[^<>]{0,400}?\bvalue\s*=\s*)(\\*\x22[^\x22<>\\]{3,}|\\*'[^'<>\\]{3,}|[^\s\x22'<>\\]{3,})([^<>]{0,400}?\b(?:type\s*=\s*\\*[\x22']?password|(?:name|id)\s*=\s*\\*[\x22']?[\w.-]{0,60}?(?:",
                names!(),
                r"))\b)"
            ),
            of_field,
        ),
        // The secret of a second factor, in base32, also in groups of four.
        (
            &["otp", "2fa", "mfa", "authenticator", "two-factor", "two factor", "setup key", "entry key"],
            r#"(\b(?i:[th]?otp|2fa|mfa|authenticator|two[- ]factor|(?:setup|entry) key)(?i:[ _-]?(?:auth(?:entication|enticator)?|app|setup|backup|shared|manual|secret|seed|key|code))*\b[^\n\w]{0,6}(?:(?i:is|was)\b)?[^\n\w]{0,6})\b((?:[A-Z2-7]{4}[ -]){3,15}[A-Z2-7]{2,4}|(?:[a-z2-7]{4}[ -]){3,15}[a-z2-7]{2,4}|[A-Z2-7]{16,}=*|[a-z2-7]{16,})"#,
            |found| is_base32(&found[2]).then(|| format!("{}{REDACTED}", &found[1])),
        ),
        // A word with gaps between its letters.
        (
            &["p a s s", "p.a.s.s", "p-a-s-s", "p_a_s_s", "s e c r e t", "t o k e n", "k e y"],
            r#"(?i)(\b(?:p[ ._-]a[ ._-]s[ ._-]s(?:[ ._-][a-z])*|s[ ._-]e[ ._-]c[ ._-]r[ ._-]e[ ._-]t|t[ ._-]o[ ._-]k[ ._-]e[ ._-]n|k[ ._-]e[ ._-]y)\s*(?:[:=]|\bis\b)\s*\\*[*`"']{0,3})([^\s`"'\\]{4,})"#,
            |found| {
                let is_password = found[1].starts_with(['p', 'P']) && !is_code(&found[2]);
                (is_value(&found[2]) && (is_password || has_digit(&found[2])))
                    .then(|| format!("{}{REDACTED}", &found[1]))
            },
        ),
        // Hashes of passwords, which can be guessed.
        (
            &["$6$", "$5$", "$1$", "$y$", "$2a$", "$2b$", "$2y$", "$argon2", "$7$", "$apr1$"],
            r"(?-u)\$(?:[1567y]|apr1|2[aby]|argon2(?:id|i|d))\$(?:[A-Za-z0-9./=,+-]{1,60}\$){0,4}[A-Za-z0-9./+]{22,}",
            |_| Some(REDACTED.to_owned()),
        ),
        // Commands with a value after a flag.
        (&["gh secret set", "gh variable set"], command!(r"gh secret set", r"\s(?:--body[ =]|-b ?)"), flag),
        (
            &["with-token", "sudo -s", "kinit", "chpasswd", "bw unlock"],
            r#"(\b(?:gh auth login[^\n|;&<]*--with-token|sudo\s+-S[^\n|;&<]*|kinit[^\n|;&<]*|chpasswd|bw unlock)\s*<<<\s*)("[^"\n]{3,}"|'[^'\n]{3,}'|[^\s"'`;|&]{4,})"#,
            flag,
        ),
        (
            &["gh secret set", "with-token", "passwd"],
            r#"(\b(?:echo|printf)\s+(?:-\w+\s+)?)("[^"\n]{3,}"|'[^'\n]{3,}'|[^\s|;&"']{3,})(?:\s*\|\s*(?:sudo\s+)?(?:gh (?:secret set|auth login)|passwd\b))"#,
            piped,
        ),
        (&["vault login"], r#"(\bvault\s+login\s+(?:-\S+\s+)*)([^\s"'`;|&=-][^\s"'`;|&=]{5,})"#, flag),
        (&["unseal"], r#"(\bunseal\s+)([A-Za-z0-9+/=]{16,})"#, flag),
        (&["zip "], command!(r"(?:un)?zip", r"\s-P\s*"), flag),
        (&["7z", "unrar", "rar "], command!(r"7z[ar]?|unrar|rar", r"\s-h?p"), |found| {
            (!is_flag_of_other(&found[2])).then(|| flag(found)).flatten()
        }),
        (&["openssl"], command!(r"openssl\s+enc", r"\s-k\s+"), flag),
        (
            &["htpasswd", "mosquitto_passwd"],
            r#"(\b(?:htpasswd|mosquitto_passwd)\s+(?:-\w+\s+)*-\w*b\w*\s+(?:-\w+\s+)*\S+\s+\S+\s+)([^\s;|&]{3,})"#,
            flag,
        ),
        (&["smbclient", "rpcclient"], command!(r"smbclient|rpcclient|net", r"\s-U\s*[\x22']?[^\s%]{1,60}%"), flag),
        (&["http", "xh "], command!(r"https?|xh", r"\s(?:-a|--auth)[ =][^\s:]{1,60}:"), flag),
        (&["sqlplus"], r#"(\bsqlplus\s+(?:-\w+\s+)*[\x22']?\w+/)([^\s@"']{3,})"#, flag),
        (&["ssh-keygen"], command!(r"ssh-keygen", r"\s-[NP]\s+"), flag),
        (&["keyvault secret set"], command!(r"az\s+keyvault\s+secret\s+set", r"\s--value[ =]"), flag),
        (
            &["secret-string", "put-secret-value"],
            r#"(\s--secret-string[ =])("[^"\n]{3,}"|'[^'\n]{3,}'|[^\s"'`;|&-][^\s"'`;|&]{2,})"#,
            flag,
        ),
        (&["put-parameter"], command!(r"ssm\s+put-parameter", r"\s--value[ =]"), flag),
        (
            &["config:set", "env:set", "env set"],
            r#"(\b(?:config:set|env:set|env set)\s+["']?[A-Z][A-Z0-9_]*[ =])([^\s"']{6,})"#,
            |found| has_digit(&found[2]).then(|| flag(found)).flatten(),
        ),
        (
            &["npm set", "yarn config", "pnpm config"],
            r#"(?i)(\b(?:npm set|yarn config set|pnpm config set)\s+\S*(?:token|password|auth)[ =])([^\s"']{6,})"#,
            flag,
        ),
        (&["user-secrets"], r#"(\buser-secrets\s+set\s+(?:"[^"\n]+"|\S+)\s+)("[^"\n]{3,}"|\S{3,})"#, flag),
        (
            &["nuget"],
            r#"(?i)(\bnuget\s+(?:push\s[^\n;|&]*?\s(?:-k|--api-key)|setapikey)\s+)([^\s;|&-][^\s;|&]{7,})"#,
            flag,
        ),
        (&["cargo login", "gem push"], r#"(\b(?:cargo login|gem push\s+--key)\s+)([^\s;|&-][^\s;|&]{7,})"#, flag),
        (&["http-basic"], r#"(\bhttp-basic\.\S+\s+\S+\s+)([^\s;|&]{3,})"#, flag),
        (&["useradd", "usermod"], command!(r"user(?:add|mod)", r"\s(?:-p|--password)[ =]"), flag),
        (&["net user"], r#"(\bnet\s+user\s+\S+\s+)([^\s/;|&*][^\s;|&]{3,})"#, flag),
        (&["/user:"], r#"(\s/user:\S+\s+)([^\s/;|&*][^\s;|&]{3,})"#, flag),
        (&["/p:"], r#"(\s/p:)([^\s;|&]{4,})"#, flag),
        (&["rdesktop", "snowsql"], command!(r"rdesktop", r"\s-p\s*"), flag),
        (&["nmcli"], command!(r"nmcli", r"\spassword\s+"), flag),
        (&["wpa_passphrase"], r#"(\bwpa_passphrase\s+(?:"[^"\n]+"|\S+)\s+)("[^"\n]{3,}"|[^\s;|&]{6,})"#, flag),
        (&["rabbitmqctl"], r#"(\brabbitmqctl\s+(?:add_user|change_password)\s+\S+\s+)([^\s;|&]{3,})"#, flag),
        (&["mosquitto", "ipmitool"], command!(r"mosquitto_(?:pub|sub|rr)|ipmitool", r"\s-P\s+"), flag),
        (&["snmp"], command!(r"snmp(?-u:[a-z]+)", r"\s-[AX]\s+"), flag),
        // Its community, which is a password. A daemon has a file there.
        (&["snmp"], command!(r"snmp(?-u:[a-z]*[a-ce-z])", r"\s-c\s*"), |found| {
            let (_, community) = split_quote(&found[2]);
            (community != "public" && !community.starts_with(['/', '.', '~'])).then(|| flag(found)).flatten()
        }),
        (&["bw unlock", "bw login"], r#"(\bbw\s+(?:unlock|login\s+\S+@\S+)\s+)([^\s;|&<-][^\s;|&]{3,})"#, flag),
        (&["generic-password", "internet-password"], command!(r"add-(?:generic|internet)-password", r"\s-w\s+"), flag),
        (&["lftp"], r#"(\blftp\s+-u\s+[^\s,]+,)([^\s;|&]{3,})"#, flag),
        (&["://"], r"(://)((?-u:[A-Za-z0-9_]){16,})(@(?:github|gitlab|bitbucket|dev\.azure))", |found| {
            is_mixed(&found[2]).then(|| format!("{}{REDACTED}{}", &found[1], &found[3]))
        }),
        (&["doctl"], command!(r"doctl", r"\s(?:-t|--access-token)[ =]"), flag),
        (&["password-command"], r#"(--password-command[ =]["']?(?:echo|printf)\s+)([^\s"';|&]{3,})"#, flag),
        (&["send "], r#"(\bsend\s+(?:--\s+)?\\*")([^"\n\\]{6,})(\\+[rn]\\*")"#, |found| {
            (has_digit(&found[2]) && is_value(&found[2]) && !found[2].contains(' '))
                .then(|| format!("{}{REDACTED}{}", &found[1], &found[3]))
        }),
        (
            &["set-initial-password", "mysqladmin"],
            r#"(\b(?:set-initial-password|mysqladmin\b[^\n;|&]*?\spassword)\s+)(["']?[^\s;|&]{3,})"#,
            flag,
        ),
        (&["curl"], r#"(?i)(\s-H\s*\\?["'][\w-]*(?:token|key|secret|auth)[\w-]*:\s*)([^\s"'\\]{6,})"#, |found| {
            (is_value(&found[2])
                && has_digit(&found[2])
                && !["bearer", "basic"].iter().any(|s| found[2].eq_ignore_ascii_case(s)))
            .then(|| format!("{}{REDACTED}", &found[1]))
        }),
        // Files of programs.
        (
            &[":*:", ":543", ":6432:", "pgpass"],
            r#"(?m)((?:^|[\s"'`(=])(?:[A-Za-z0-9.-]{1,60}|\*):(?:[0-9]{2,5}|\*):[A-Za-z0-9_*-]{1,60}:[A-Za-z0-9_*.@-]{1,60}:)((?:[^\s:"'`\\]|\\[:\\]){4,})([^:]|$)"#,
            |found| {
                // An address of IPv6 has groups of four.
                let is_group = found[2].len() == 4 && found[2].bytes().all(|byte| byte.is_ascii_hexdigit());
                (is_value(&found[2]) && !is_group && !is_amount(&found[2]))
                    .then(|| format!("{}{REDACTED}{}", &found[1], &found[3]))
            },
        ),
        (
            &["requirepass", "masterauth", "bind_pw", "bindpw", "rootpw", "auth-user-pass", "_authtoken"],
            r#"((?:requirepass|masterauth|bind_pw|bindpw|rootpw|auth-user-pass)[ \t]+["']?)([^\s"'#][^\s"']{3,})"#,
            |found| (is_value(&found[2]) && has_digit(&found[2])).then(|| format!("{}{REDACTED}", &found[1])),
        ),
        (
            &[
                "enable secret",
                "password 0",
                "password 7",
                "snmp-server",
                "server key",
                "isakmp key",
                "secret 5",
                "secret 0",
            ],
            r"((?:enable secret|password|snmp-server community|server key|isakmp key|secret)[ \t]+(?:[05789][ \t]+)?)([A-Za-z0-9!@#%^&*_+=./$-]{6,})",
            |found| {
                (is_value(&found[2]) && has_digit(&found[2]) && found[2].len() >= 8)
                    .then(|| format!("{}{REDACTED}", &found[1]))
            },
        ),
        (&["static:"], r"(\bstatic:[^\s:]+:)(\S{4,})", |found| {
            is_value(&found[2]).then(|| format!("{}{REDACTED}", &found[1]))
        }),
        // variable "db_password" { default = "X" }
        (
            &["variable"],
            concat!(
                r"(?i)(variable\s+\\*\x22[\w-]*(?:",
                names!(),
                r")\\*\x22\s*\{[^{}]{0,200}?default\s*=\s*)(",
                quoted!(),
                r")"
            ),
            named_apart,
        ),
        // param adminPassword string = 'X', PrivateKey = X
        (&["connectionstring", "pwd=", "password="], r"(?i)(;\s*(?:pwd|password)\s*=\s*)([^;\x22'\s]{3,})", |found| {
            is_value(&found[2]).then(|| format!("{}{REDACTED}", &found[1]))
        }),
        // A property of a name: <property name="password">X</property>
        (
            &["name=", "key="],
            concat!(
                r"(?i)(<[\w:.-]+\s+(?:name|key)\s*=\s*\\*[\x22'][\w.-]*(?:",
                names!(),
                r")\\*[\x22'][^<>]*>\s*)([^<>\s]{4,})"
            ),
            |found| (is_value(&found[2]) && has_digit(&found[2])).then(|| format!("{}{REDACTED}", &found[1])),
        ),
        // A user and a password for a call.
        (
            &["basicauth", "networkcredential", "auth=", "auth:", "getconnection"],
            r#"(?i)((?:basicauth|networkcredential|\bauth\s*[=:]\s*|getconnection)\s*[(\[](?:[A-Za-z0-9_.:/ ]{1,80},\s*)?\s*\\*["'][^"'\n\\]{1,60}\\*["'],\s*\\*["'])([^"'\n\\]{4,})"#,
            |found| (is_value(&found[2]) && has_digit(&found[2])).then(|| format!("{}{REDACTED}", &found[1])),
        ),
        (&["securestring"], r#"(?i)(securestring(?:\s+-string)?\s*\(?\s*\\*["'])([^"'\n\\]{4,})"#, |found| {
            (is_value(&found[2]) && has_digit(&found[2])).then(|| format!("{}{REDACTED}", &found[1]))
        }),
        // Of npm and of Docker: a user and a password in base64.
        (&["auth"], r#"(\b_?auth\\?["']?\s*[:=]\s*\\?["']?)([A-Za-z0-9+/]{12,}={0,2})"#, |found| {
            is_mixed(&found[2]).then(|| format!("{}{REDACTED}", &found[1]))
        }),
        (
            &["password for", "password is generated for"],
            r"(?i)(\bpassword (?:is generated )?for \S{1,80}: +)(\S{4,200})",
            |found| is_told(&found[2]).then(|| format!("{}{REDACTED}", &found[1])),
        ),
    ]
}

/// The value of the header, after a scheme or without one.
fn authorization(found: &Captures<'_>) -> Option<String> {
    let (name, whole) = (&found[1], &found[4]);
    let is_scheme = |text: &str| AUTH_SCHEMES.iter().any(|known| text.eq_ignore_ascii_case(known));
    let scheme = found.get(2).map(|scheme| scheme.as_str());
    // `token="X"`, `username="a", response="X"`: any of the parameters may be the secret.
    let is_of_list = |scheme: &str| PARAMETER_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let is_list = whole.contains(['"', '\'']) || (whole.contains('=') && scheme.is_some_and(is_of_list));
    let mut values = whole.split([',', ';']).filter_map(|parameter| Some(parameter.split_once('=')?.1));
    if is_list && !values.any(is_value_of_parameter) {
        return None;
    }
    let end = if is_list { whole.len() } else { end_of_first(whole) };
    let (value, rest) = whole.split_at(end);
    // `"Bearer " + token`: what follows a quote that closes is code.
    let quotes = |text: &str| text.bytes().filter(|byte| matches!(byte, b'"' | b'\'' | b'`')).count();
    let behind = name.trim_end_matches(['"', '\'', '`', '\\']);
    let is_closed = found.get(3).map_or_else(|| quotes(&name[behind.len()..]) > 1, |gap| quotes(gap.as_str()) > 0);
    if is_closed && value.starts_with(['+', '.', '?', ':', '|', '&', ')', ']', '}']) {
        return None;
    }
    let Some(scheme) = scheme else {
        let is_alone = is_scheme(value.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()));
        return (value.len() >= 4 && is_value(value) && !is_alone).then(|| format!("{name}{REDACTED}{rest}"));
    };
    let gap = &found[3];
    if is_scheme(scheme) || is_list {
        return (value.len() >= 4 && is_value(value)).then(|| format!("{name}{scheme}{gap}{REDACTED}{rest}"));
    }
    if value.contains(REDACTED) {
        return None;
    }
    if is_value(value) && value.len() >= 6 && !value.contains("://") && (has_digit(value) || value.len() >= 20) {
        return Some(format!("{name}{scheme}{gap}{REDACTED}{rest}"));
    }
    // No scheme, but the value itself; or a scheme that nobody knows before a value without a digit.
    let is_unsure = value.contains('!') || gap.contains(|c: char| !matches!(c, ' ' | '\t'));
    let value = if is_unsure && is_value(value) { REDACTED } else { value };
    (scheme.len() >= 4 && is_value(scheme)).then(|| format!("{name}{REDACTED}{gap}{value}{rest}"))
}

/// Returns where the first value of a list ends. Blanks around a sign of equality end none.
fn end_of_first(whole: &str) -> usize {
    let is_end = |(at, c): &(usize, char)| match c {
        ',' | ';' => true,
        ' ' | '\t' => !whole[*at..].trim_start().starts_with('=') && !whole[..*at].trim_end().ends_with('='),
        _ => false,
    };
    whole.char_indices().find(is_end).map_or(whole.len(), |(at, _)| at)
}

/// The schemes after which anything is the secret.
const AUTH_SCHEMES: [&str; 10] =
    ["bearer", "basic", "token", "bot", "digest", "apikey", "negotiate", "ssws", "ntlm", "key"];

/// Whether it is what a parameter of a header has, and not a place for it: `"+token+"` is code.
fn is_value_of_parameter(text: &str) -> bool {
    let value = text.trim_matches([' ', '\t', '\\', '"', '\'']);
    let signs = ['+', '.', '&'];
    let joined = value.strip_prefix(signs).and_then(|rest| rest.strip_suffix(signs));
    let is_code =
        joined.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_.()$ ".contains(&byte)));
    value.len() >= 2 && is_value(value) && !is_code
}

/// The schemes whose value is a list of parameters, in quotes or not.
const PARAMETER_SCHEMES: [&str; 5] = ["digest", "oauth", "hawk", "mac", "signature"];

/// The value of a flag.
fn flag(found: &Captures<'_>) -> Option<String> {
    let (quote, bare) = split_quote(&found[2]);
    let is_word = ["flag", "flags", "option", "argument", "parameter", "and", "with", "for", "instead"].contains(&bare);
    (is_value(bare) && !is_word).then(|| format!("{}{quote}{REDACTED}{quote}", &found[1]))
}

/// Returns the secret that a command writes for another one.
fn piped(found: &Captures<'_>) -> Option<String> {
    let (quote, bare) = split_quote(&found[2]);
    let rest = &found[0][found[1].len() + found[2].len()..];
    is_value(bare).then(|| format!("{}{quote}{REDACTED}{quote}{rest}", &found[1]))
}

/// The value of a field in a form, and what is behind it.
fn of_field(found: &Captures<'_>) -> Option<String> {
    let value = found[2].trim_start_matches(['\\', '"', '\'']);
    let before = &found[2][..found[2].len() - value.len()];
    // What it says when it is empty has spaces.
    let is_secret = is_value(value) && !value.contains(char::is_whitespace) && assigned::classify_name(value).is_none();
    is_secret.then(|| format!("{}{before}{REDACTED}{}", &found[1], &found[3]))
}

/// Whether it is base32 at random, and not words.
fn is_base32(text: &str) -> bool {
    let is_small = text.contains(|c: char| c.is_ascii_lowercase());
    has_digit(text) || (!is_small && entropy(text) >= 3.2)
}

/// The values of cookies: all that is between the quotes.
fn cookies(found: &Captures<'_>) -> Option<String> {
    let inner = found[2].trim_start_matches('\\');
    let escapes = &found[2][..found[2].len() - inner.len()];
    let (quote, bare) = split_quote(inner);
    let bare = bare.strip_suffix(escapes).unwrap_or(bare);
    let value = bare.split_once('=').map_or("", |(_, value)| value);
    is_value(value).then(|| format!("{}{escapes}{quote}{REDACTED}{escapes}{quote}", &found[1]))
}

/// The password of a URL that has a slash, and is not a port before a path.
fn slashed(found: &Captures<'_>) -> Option<String> {
    let value = &found[2];
    let port = value.split('/').next().unwrap_or_default();
    // An address of the web may have a name for its port, and an `@` in its path.
    let is_web = ["http", "ws"].iter().any(|scheme| found[1].to_ascii_lowercase().starts_with(scheme));
    let is_path = port.bytes().all(|byte| byte.is_ascii_digit()) || (is_web && !(has_digit(port) && is_mixed(value)));
    (is_value(value) && !is_path).then(|| format!("{}{REDACTED}{}", &found[1], &found[3]))
}

/// Whether it is a user and a password, and not the numbers of a user and a group.
fn is_login(user: &str, value: &str) -> bool {
    let user = user[..user.len() - 1].rsplit([' ', '=', '"', '\'']).next().unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_value(value) && !(is_number(user) && is_number(value))
}

/// Returns whether a word belongs to another program, although it begins with the letter of a password's flag: `find
/// -name mysql -print`, `-p3306:3306`.
fn is_flag_of_other(value: &str) -> bool {
    [
        "rint", "rint0", "rintf", "ath", "erm", "rune", "ort", "roject", "rofile", "rotocol", "arents", "urge", "roxy",
        "thread", "edantic",
    ]
    .contains(&value)
        || value.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

/// The value after PASSWORD or IDENTIFIED BY. In small letters it may be a sentence.
fn sql(found: &Captures<'_>) -> Option<String> {
    let (before, value) = (&found[1], &found[2]);
    let (quote, bare) = split_quote(value);
    let is_sentence = !before.contains("PASSWORD") && !before.contains("IDENTIFIED");
    let is_plain = !has_digit(bare) || bare.contains(char::is_whitespace);
    (is_value(bare) && !(is_sentence && is_plain)).then(|| format!("{before}{quote}{REDACTED}{quote}"))
}

/// The value after the word in another language. A word that follows is one of a sentence.
fn foreign(found: &Captures<'_>) -> Option<String> {
    let (quote, bare) = split_quote(&found[2]);
    if quote.is_empty() {
        let value = bare.trim_end_matches(['.', ',', '!', '?', ')', ']']);
        let is_word = !found[1].contains('=') && value.bytes().all(|byte| byte.is_ascii_alphabetic());
        // Behind a verb there are more words than behind a colon.
        let is_sentence = found[1].trim_end().ends_with(char::is_alphabetic) && !is_told(value);
        // How long it may be: `8-20`
        let is_range =
            value.len() < 6 && value.bytes().all(|byte| !byte.is_ascii_alphanumeric() || byte.is_ascii_digit());
        let is_other =
            is_word || is_sentence || is_range || is_method(value) || is_code(value) || value.contains("://");
        let is_secret = is_value(value) && value.len() >= 3 && !is_other;
        return is_secret.then(|| format!("{}{REDACTED}{}", &found[1], &bare[value.len()..]));
    }
    is_value(bare).then(|| format!("{}{quote}{REDACTED}{quote}", &found[1]))
}

/// Whether what a sentence tells is a secret, and not a word with a digit or a sign: `sha256-hashed`, `API_KEY_2`.
fn is_told(text: &str) -> bool {
    let has_sign = text.chars().skip(1).any(|c| "!@#$%^*".contains(c));
    let is_constant = text.contains('_') && !text.contains(|c: char| c.is_ascii_lowercase());
    let is_address = text.contains("://") || text.split_once('@').is_some_and(|(_, host)| host.contains('.'));
    // `3600s`, `128bit`
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_amount = unit.len() < text.len() && unit.len() <= 5 && unit.bytes().all(|byte| byte.is_ascii_lowercase());
    if text.len() < 6 || !is_value(text) || is_code(text) || is_constant || is_address || is_method(text) || is_amount {
        return false;
    }
    let is_odd = |part: &str| part.len() >= 6 && has_digit(part) && part.contains(|c: char| c.is_ascii_alphabetic());
    has_sign || text.split(['-', '_', '.', '/', ',', ':']).any(is_odd)
}

/// Whether it is named after how secrets are kept.
fn is_method(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    WORDS_WITH_DIGITS.iter().any(|method| lower.starts_with(method))
}

/// Words with a digit that sentences about secrets have.
const WORDS_WITH_DIGITS: [&str; 14] = [
    "sha", "md5", "base", "argon", "oauth", "utf", "hs256", "rs256", "es256", "x509", "pbkdf", "ed25519", "http",
    "uuid",
];

/// Whether it looks as if drawn at random: a long run of letters and digits, or an identifier of groups of them.
fn is_random(text: &str) -> bool {
    let is_odd = |part: &str| has_digit(part) && part.contains(|c: char| c.is_ascii_alphabetic());
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_value(text)
        && is_odd(text)
        && (is_hex || text.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part.len() >= 16 && is_odd(part)))
}

/// Words that sentences have, and phrases at random have not.
pub(super) const SENTENCE_WORDS: [&str; 40] = [
    "the",
    "that",
    "for",
    "your",
    "and",
    "with",
    "this",
    "not",
    "you",
    "from",
    "used",
    "can",
    "was",
    "has",
    "have",
    "must",
    "are",
    "should",
    "will",
    "when",
    "which",
    "now",
    "only",
    "too",
    "but",
    "its",
    "than",
    "password",
    "passphrase",
    "key",
    "incorrect",
    "wrong",
    "required",
    "invalid",
    "correct for",
    "set",
    "empty",
    "then",
    "does",
    "did",
];

/// How a sentence begins that tells one.
const SENTENCE_PREFIXES: &[&str] = &[
    "wort ist",
    "wort lautet",
    "word is",
    "words is",
    "wd is",
    "phrase is",
    "code is",
    "secret is",
    "token is",
    "tokens is",
    "key is",
    "keys is",
    "credential is",
    "credentials is",
    "word was",
    "wd was",
    "phrase was",
    "code was",
    "secret was",
    "token was",
    "key was",
    "credential was",
    "credentials was",
];

/// One of them is in every name of a secret.
pub(super) const SECRET_NAME_KEYWORDS: &[&str] =
    &["pass", "pw", "psk", "_pat", "secret", "token", "key", "credential", "mnemonic", "phrase"];

/// The value beside the name of a secret, where both are values themselves.
fn named_apart(found: &Captures<'_>) -> Option<String> {
    let (quote, bare) = split_quote(&found[2]);
    let is_password = || found[1].to_ascii_lowercase().contains("passw");
    let is_secret =
        is_value(bare) && !bare.contains(char::is_whitespace) && (has_digit(bare) || bare.len() >= 12 || is_password());
    is_secret.then(|| format!("{}{quote}{REDACTED}{quote}", &found[1]))
}

/// The quote that a value stands in, as it is escaped, and what it holds.
pub(super) fn split_quote(value: &str) -> (&str, &str) {
    let inner = value.trim_start_matches('\\');
    if !inner.starts_with(['"', '\'', '`']) {
        return ("", value);
    }
    (&value[..value.len() - inner.len() + 1], value.trim_matches(['\\', '"', '\'', '`']))
}

/// Whether it can be a value, and not a reference to one or a word for one.
pub(super) fn is_value(text: &str) -> bool {
    if text.contains(REDACTED) || text == &REDACTED[..REDACTED.len() - 1] {
        return false;
    }
    let is_reference =
        text.starts_with(['$', '<', '{', '%', '&', '*', '(', '[', '#', '|', ':']) || text.starts_with("...");
    !is_reference && !is_placeholder(text) && !text.bytes().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.'))
}

/// The word in other languages, at the end of a field's name.
const FOREIGN_PASSWORD_WORDS: [&str; 13] = [
    "passwort",
    "kennwort",
    "mot de passe",
    "mot_de_passe",
    "motdepasse",
    "contraseña",
    "contrasena",
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "비밀번호",
    "пароль",
];

/// Whether a field of this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    if FOREIGN_PASSWORD_WORDS.iter().any(|word| lower.ends_with(word)) || lower == "senha" {
        return true;
    }
    // `Set-Cookie`, `Authorization`
    lower.ends_with("cookie")
        || lower.ends_with("authorization")
        || matches!(assigned::classify_name(name), Some(ValueKind::Password | ValueKind::Phrase | ValueKind::Token))
}
