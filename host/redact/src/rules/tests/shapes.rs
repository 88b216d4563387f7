//! Shapes in which secrets occur: tokens of services, names and values, code, command lines, files, keys, encodings,
//! tables and prose, made as products of forms and seeded values. Each is looked for in four places.
//!
//! Long: the generator of the tests, with its tables.

use std::collections::BTreeMap;

use super::super::Redactor;

/// Where secrets would come from at random, the same in every run.
struct Seed(u64);

impl Seed {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap()
    }

    fn of(&mut self, alphabet: &str, length: usize) -> String {
        let signs: Vec<char> = alphabet.chars().collect();
        // Random texts of some length have all kinds; short ones are drawn again until they do.
        loop {
            let text: String = (0..length).map(|_| signs[self.next() % signs.len()]).collect();
            let has = |is: fn(&char) -> bool| !alphabet.chars().any(|c| is(&c)) || text.chars().any(|c| is(&c));
            let is_fine = has(char::is_ascii_digit) && has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase);
            if length < 6 || is_fine {
                return text;
            }
        }
    }

    fn hex(&mut self, length: usize) -> String {
        self.of("0123456789abcdef", length)
    }

    fn upper(&mut self, length: usize) -> String {
        self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", length)
    }

    fn lower(&mut self, length: usize) -> String {
        self.of("abcdefghijklmnopqrstuvwxyz0123456789", length)
    }

    fn any(&mut self, length: usize) -> String {
        self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", length)
    }

    fn base64(&mut self, length: usize) -> String {
        self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", length)
    }

    fn uuid(&mut self) -> String {
        format!("{}-{}-4{}-a{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }

    /// A password as people choose them.
    fn password(&mut self) -> String {
        const WORDS: [&str; 8] = ["Sommer", "Kestrel", "qwertz", "Falcon", "dragon", "Himmel", "Tr0ub4", "letmein"];
        let word = WORDS[self.next() % WORDS.len()];
        let (number, sign) = (self.next() % 9000 + 1000, ['!', '-', '_', '.', '@', '~'][self.next() % 6]);
        match self.next() % 3 {
            0 => format!("{word}{sign}{number}"),
            1 => format!("{word}{number}{}", self.any(4)),
            _ => format!("{}{sign}{}", self.any(6), self.any(6)),
        }
    }
}

/// A text and what of it is secret.
struct Shape {
    class: &'static str,
    text: String,
    secrets: Vec<String>,
}

#[derive(Default)]
struct Table(Vec<Shape>);

impl Table {
    fn add(&mut self, class: &'static str, text: impl Into<String>, secrets: &[&str]) {
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        self.0.push(Shape { class, text: text.into(), secrets });
    }
}

/// A form with values in place of `V`, `W` and `N`, where they stand as a word or after a flag.
fn put(form: &str, letter: char, value: &str) -> String {
    let signs: Vec<char> = form.chars().collect();
    let mut out = String::new();
    for (at, sign) in signs.iter().enumerate() {
        let before = at.checked_sub(1).map_or(' ', |at| signs[at]);
        let after = signs.get(at + 1).copied().unwrap_or(' ');
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match *sign == letter && !is_word(after) && !before.is_ascii_uppercase() && before != '_' {
            true => out.push_str(value),
            false => out.push(*sign),
        }
    }
    out
}

/// Tokens of services: what is documented of the form, and the part at random.
// Long: one table of shapes.
fn tokens(seed: &mut Seed) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (before, length) in [
        ("sk-ant-api03-", 93),
        ("sk-ant-admin01-", 93),
        ("sk-proj-", 120),
        ("sk-svcacct-", 100),
        ("sk-or-v1-", 64),
        ("gsk_", 52),
        ("xai-", 80),
        ("pplx-", 48),
        ("hf_", 34),
        ("r8_", 37),
        ("ghp_", 36),
        ("gho_", 36),
        ("ghs_", 36),
        ("ghr_", 36),
        ("github_pat_11", 80),
        ("glpat-", 20),
        ("gldt-", 20),
        ("glrt-", 20),
        ("glptt-", 40),
        ("glsoat-", 20),
        ("glcbt-64_", 20),
        ("ATATT3xFfGF0", 180),
        ("ATCTT3xFfGF0", 180),
        ("ATBB", 32),
        ("AIzaSy", 33),
        ("ya29.a0", 120),
        ("GOCSPX-", 28),
        ("xoxb-123456789012-1234567890123-", 24),
        ("xoxp-123456789012-123456789012-", 32),
        ("xoxe.xoxp-1-", 140),
        ("xapp-1-A0123456789-1234567890123-", 64),
        ("sk_live_", 24),
        ("rk_live_", 24),
        ("whsec_", 32),
        ("sq0csp-", 43),
        ("sq0atp-", 22),
        ("npm_", 36),
        ("pypi-AgEIcHlwaS5vcmc", 120),
        ("dckr_pat_", 27),
        ("lin_api_", 40),
        ("ntn_", 46),
        ("figd_", 40),
        ("sl.u.", 130),
        ("glsa_", 32),
        ("hvs.CAESI", 90),
        ("dp.pt.", 43),
        ("tskey-auth-k", 30),
        ("nvapi-", 64),
        ("tvly-dev-", 32),
        ("apify_api_", 36),
        ("phx_", 43),
        ("pcsk_", 64),
        ("CFPAT-", 43),
        ("fo1_", 43),
        ("ABSK", 120),
        ("rnd_", 28),
        ("vcp_", 56),
        ("nfp_", 36),
        ("cfut_", 40),
    ] {
        if length > 0 {
            all.push((before.to_owned(), seed.any(length)));
        }
    }
    for (before, length) in [
        ("dop_v1_", 64),
        ("doo_v1_", 64),
        ("shpat_", 32),
        ("shpss_", 32),
        ("shpca_", 32),
        ("rubygems_", 48),
        ("e2b_", 40),
        ("fc-", 32),
        ("sbp_", 40),
        ("sqp_", 40),
        ("squ_", 40),
        ("pul-", 40),
        ("dapi", 32),
        ("key-", 32),
        ("SK", 32),
        ("xkeysib-", 64),
        ("bkua_", 40),
        ("sntryu_", 64),
        ("CLOJARS_", 60),
        ("EZAK", 54),
        // What later lists of rules have besides.
        ("shippo_live_", 40),
        ("duffel_live_", 43),
        ("pnu_", 36),
        ("lsv2_pt_", 32),
        ("PRIVATE-TOKEN: glpat-", 20),
        ("CCIPAT_AbCdEf1234567890AbCd12_", 40),
        ("dapi2", 31),
    ] {
        if length > 0 {
            all.push((before.to_owned(), seed.hex(length)));
        }
    }
    for (before, length) in [("AKIA", 16), ("ASIA", 16), ("NRAK-", 27), ("AGE-SECRET-KEY-1", 58), ("AKCp8", 68)] {
        if length > 0 {
            all.push((before.to_owned(), seed.upper(length)));
        }
    }
    for (before, length) in [
        ("csk-", 48),
        ("napi_", 64),
        ("rdme_", 70),
        ("oy2", 43),
        ("pplx-", 56),
        ("ops_eyJzaWduSW5BZGRyZXNz", 180),
        ("LTAI5t", 20),
        ("AQVN", 36),
        ("EAACEdEose0cBA", 120),
        ("jina_", 60),
        ("fw_", 24),
        ("cio", 32),
        ("ico-", 32),
        ("sgp_", 40),
        ("sha256~", 43),
        ("v2.local.", 80),
        ("zpka_", 40),
    ] {
        if length > 0 {
            all.push((
                before.to_owned(),
                if matches!(before, "oy2" | "rdme_" | "csk-" | "napi_") {
                    seed.lower(length)
                } else {
                    seed.any(length)
                },
            ));
        }
    }
    // Forms of several parts.
    let parts = [
        format!("SG.{}.{}", seed.any(22), seed.any(43)),
        format!("{}-us12", seed.hex(32)),
        format!("re_{}_{}", seed.any(8), seed.any(24)),
        format!("pat{}.{}", seed.any(14), seed.hex(64)),
        format!("PMAK-{}-{}", seed.hex(24), seed.hex(34)),
        format!("pat-na1-{}", seed.uuid()),
        format!("sk.eyJ{}.{}", seed.any(70), seed.any(22)),
        format!("dt0c01.{}.{}", seed.upper(24), seed.upper(64)),
        format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{}.{}", seed.any(40), seed.any(43)),
        format!("https://hooks.slack.com/services/T{}/B{}/{}", seed.upper(8), seed.upper(8), seed.any(24)),
        format!("https://discord.com/api/webhooks/{}/{}", "123456789012345678", seed.any(68)),
        format!("123456789:AA{}", seed.any(33)),
        format!("{}.atlasv1.{}", seed.any(14), seed.any(67)),
        format!("access_token$production${}${}", seed.lower(16), seed.hex(32)),
        format!("sdk-{}", seed.uuid()),
        format!("pk_12345678_{}", seed.upper(32)),
        format!("FLWSECK-{}-X", seed.hex(32)),
        format!("sntrys_eyJpYXQiO{}_{}", seed.any(80), seed.any(43)),
        format!("glc_eyJvIjoi{}", seed.any(60)),
        format!("pscale_tkn_{}", seed.any(43)),
        format!("tfp_{}_{}", seed.any(43), seed.any(14)),
        format!("abc8Q~{}", seed.any(34)),
        format!("HRKU-AA{}", seed.any(58)),
        format!(
            "A3-{}-{}-{}-{}-{}-{}",
            seed.upper(6),
            seed.upper(6),
            seed.upper(5),
            seed.upper(5),
            seed.upper(5),
            seed.upper(5)
        ),
        format!("sk-{}T3BlbkFJ{}", seed.any(20), seed.any(20)),
        format!("xoxe-1-{}", seed.any(146)),
        format!("v1.0-{}-{}", seed.hex(24), seed.hex(146)),
        format!("mongodb+srv://app:{}@cluster0.ab1cd.mongodb.net/x", seed.any(16)),
        format!("amqps://svc:{}@mq.example.com:5671/%2f", seed.any(16)),
        format!(
            "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={}==;EndpointSuffix=core.windows.net",
            seed.base64(86)
        ),
        format!("https://acme.blob.core.windows.net/c?sv=2024-11-04&sr=c&sig={}%3D", seed.any(43)),
        format!("SharedAccessSignature sr=hub&sig={}%3D&se=1790000000&skn=device", seed.any(43)),
        format!(
            "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={}=",
            seed.base64(43)
        ),
        format!("https://acme.webhook.office.com/webhookb2/{0}@{0}/IncomingWebhook/{1}/{0}", seed.uuid(), seed.hex(32)),
        format!("https://hooks.zapier.com/hooks/catch/1234567/{}/", seed.lower(7)),
        format!("https://{}@o12345.ingest.sentry.io/678", seed.hex(32)),
        format!("https://oauth2:{}@gitlab.example.com/a/b.git", seed.any(20)),
        format!("X-Amz-Signature={}", seed.hex(64)),
        format!("LINEAR_OAUTH lin_oauth_{}", seed.hex(64)),
        format!("NRII-{}", seed.any(32)),
        format!("sb_secret_{}", seed.any(32)),
        format!("dckr_oat_{}", seed.any(32)),
        format!("gltok glagent-{}", seed.any(50)),
        format!("glimt-{}", seed.any(25)),
        format!("glft-{}", seed.any(20)),
        format!("GR1348941{}", seed.any(20)),
        format!("_gitlab_session={}", seed.hex(32)),
        format!("figo_{}", seed.any(40)),
        format!("CCIPRJ_{}_{}", seed.any(22), seed.hex(40)),
        format!("tskey-api-k{}CNTRL-{}", seed.any(8), seed.any(32)),
        format!("xsmtpsib-{}-{}", seed.hex(64), seed.any(16)),
        format!("squ_{}", seed.hex(40)),
        format!("AccountKey={}==", seed.base64(60)),
        format!("1//0g{}", seed.any(60)),
        format!("npm_{}", seed.any(36)),
        format!("eyJhbGciOiJSUzI1NiJ9.eyJ{}.{}", seed.any(50), seed.any(86)),
    ];
    for whole in parts {
        // The longest run at random is what must not stay.
        let random = whole
            .split(|c: char| !c.is_ascii_alphanumeric())
            .max_by_key(|part| if part.bytes().any(|b| b.is_ascii_digit()) { part.len() } else { 0 })
            .unwrap_or_default()
            .to_owned();
        let at = whole.find(&random).unwrap();
        all.push((whole[..at].to_owned(), whole[at..].to_owned()));
    }
    all
}

fn services(table: &mut Table, seed: &mut Seed) {
    for (before, rest) in tokens(seed) {
        // A part of several is judged by its longest run.
        let random = rest.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|part| part.len()).unwrap().to_owned();
        let token = format!("{before}{rest}");
        table.add("tokens of services", format!("it says {token} there"), &[&random]);
    }
    // Without a form of their own: known by the service's name.
    for name in [
        "DATADOG_API_KEY",
        "DD_APP_KEY",
        "ALGOLIA_ADMIN_KEY",
        "ADAFRUIT_KEY",
        "ASANA_SECRET",
        "BITBUCKET_CLIENT_SECRET",
        "CODECOV_TOKEN",
        "COHERE_API_KEY",
        "COINBASE_SECRET",
        "CONFLUENT_SECRET",
        "DEEPSEEK_API_KEY",
        "DRONE_TOKEN",
        "ETSY_KEY",
        "FASTLY_API_TOKEN",
        "FINICITY_TOKEN",
        "FRESHBOOKS_TOKEN",
        "GITTER_TOKEN",
        "GOCARDLESS_TOKEN",
        "HUBSPOT_KEY",
        "INTERCOM_TOKEN",
        "KRAKEN_KEY",
        "KUCOIN_SECRET",
        "LAUNCHDARKLY_TOKEN",
        "LINKEDIN_SECRET",
        "LOB_KEY",
        "MAPBOX_TOKEN",
        "MATTERMOST_TOKEN",
        "MISTRAL_API_KEY",
        "NETLIFY_TOKEN",
        "NYTIMES_KEY",
        "OKTA_TOKEN",
        "PLAID_SECRET",
        "RAPIDAPI_KEY",
        "SENDBIRD_TOKEN",
        "SNYK_TOKEN",
        "SQUARESPACE_KEY",
        "SUMOLOGIC_KEY",
        "TRAVIS_TOKEN",
        "TWITCH_SECRET",
        "TWITTER_BEARER_TOKEN",
        "YANDEX_KEY",
        "ZENDESK_SECRET",
        "VOYAGE_API_KEY",
        "TOGETHER_API_KEY",
        "ELEVENLABS_KEY",
        "ASSEMBLYAI_KEY",
        "DEEPGRAM_SECRET",
        "WANDB_API_KEY",
        "QDRANT_KEY",
        "WEAVIATE_KEY",
    ] {
        let value = seed.lower(32);
        table.add("keys by their service's name", format!("{name}={value}"), &[&value]);
    }
}

fn typed_code(table: &mut Table, seed: &mut Seed) {
    const FORMS: [&str; 34] = [
        "const N: string = \"V\";",
        "let N: string = 'V'",
        "private readonly N: string = \"V\";",
        "export const N = \"V\" as const;",
        "N: str = \"V\"",
        "N: Final[str] = 'V'",
        "N: Optional[str] = \"V\"",
        "self.N: str = \"V\"",
        "def f(N: str = \"V\"):",
        "const N: &str = \"V\";",
        "static N: &'static str = \"V\";",
        "let N: String = \"V\".to_owned();",
        "let N = String::from(\"V\");",
        "N: Some(\"V\".into()),",
        "var N string = \"V\"",
        "const N string = `V`",
        "N := \"V\"",
        "private static final String N = \"V\";",
        "String N = new String(\"V\");",
        "val N: String = \"V\"",
        "let N: String? = \"V\"",
        "std::string N = \"V\";",
        "std::string N{\"V\"};",
        "const char* N = \"V\";",
        "char N[] = \"V\";",
        "char N[32] = \"V\";",
        "string N = @\"V\";",
        "public string N { get; set; } = \"V\";",
        "$N = 'V';",
        "DECLARE @N NVARCHAR(50) = 'V';",
        "N <- \"V\"",
        "(def N \"V\")",
        "options.N(\"V\")",
        "N = Secret(\"V\")",
    ];
    for (number, form) in FORMS.iter().enumerate() {
        for name in ["password", "DB_PASSWORD", "apiKey", "clientSecret"] {
            let value = if number % 2 == 0 { seed.password() } else { seed.any(20) };
            table.add("typed code", put(&put(form, 'V', &value), 'N', name), &[&value]);
        }
    }
    const CALLS: [&str; 12] = [
        "setPassword(\"V\");",
        ".password(\"V\")",
        ".withApiKey(\"V\")",
        "builder.client_secret(\"V\")",
        "new SecureString(\"V\")",
        "ConvertTo-SecureString \"V\" -AsPlainText -Force",
        "connect(host=\"db\", user=\"me\", password=\"V\")",
        "new NetworkCredential(\"me\", \"V\")",
        "HTTPBasicAuth('me', 'V')",
        "auth=('me', 'V')",
        "auth: [\"me\", \"V\"]",
        "DriverManager.getConnection(url, \"me\", \"V\")",
    ];
    for call in CALLS {
        for _ in 0..2 {
            let value = seed.password();
            table.add("typed code", put(call, 'V', &value), &[&value]);
        }
    }
}

fn signs(table: &mut Table, seed: &mut Seed) {
    for sign in ['#', '$', '%', '&', '*', '(', '[', '{', '<', '|', ':', '@', '!', '^', '+', '-', '=', '?', '/', '~'] {
        for form in ["password = \"V\"", "{\"password\": \"V\"}", "PASSWORD='V'", "password: 'V'"] {
            let value = format!("{sign}{}", seed.password());
            table.add("values that begin with a sign", put(form, 'V', &value), &[&value]);
        }
    }
}

fn names(table: &mut Table, seed: &mut Seed) {
    for name in [
        "DBPASS",
        "DBPASSWORD",
        "STRIPE_KEY",
        "JWT_KEY",
        "API_KEY_PROD",
        "password2",
        "PASSWORD_1",
        "SECRET_KEY_V2",
        "db_password_staging",
        "PASS_PROD",
        "tokenProd",
        "MYSQL_PWD",
        "PGPASSWORD",
        "RootPassword",
        "adminPass",
        "userPwd",
        "sftpPassword",
        "smtp_pass",
        "JWT_SECRET",
        "COOKIE_SECRET",
        "SESSION_KEY",
        "ENCRYPTION_KEY",
        "AES_KEY",
        "HMAC_KEY",
        "SIGNING_KEY",
        "WEBHOOK_SECRET",
        "OPENAI_KEY",
        "AZURE_KEY",
        "SUPABASE_KEY",
        "SERVICE_ROLE_KEY",
        "BOT_TOKEN",
        "GH_TOKEN",
        "NPM_TOKEN",
        "ACCESS_TOKEN_OLD",
        "REFRESH_TOKEN",
        "ID_TOKEN_TEST",
        "AUTH_TOKEN_DEV",
        "apiKeyStaging",
        "api-key",
        "x-api-key",
        "apikey",
        "API_TOKEN_NEW",
        "PRIVATE_KEY_PASS",
        "KEYSTORE_PASSWORD",
        "key_password",
        "WIFI_PSK",
        "vpn_psk",
        "VAULT_TOKEN",
        "UNSEAL_KEY",
        "MASTER_KEY_BACKUP",
        "TF_VAR_db_password",
        "spring.datasource.password",
        "quarkus.datasource.password",
        "NEXTAUTH_SECRET",
        "CLIENT_SECRET_LIVE",
        "SLACK_SIGNING_SECRET",
        "twilioAuthToken",
        "sendgridKey",
        "googleMapsApiKey",
        "passwd",
        "passwort",
        "ADMIN_CREDENTIALS",
        "LDAP_BIND_PW",
        "root_pw",
        "bindpw",
        "proxyPass",
    ] {
        for form in ["N=V", "N: V", "\"N\": \"V\",", "N = \"V\""] {
            let value = seed.any(18);
            table.add("names", put(&put(form, 'N', name), 'V', &value), &[&value]);
        }
    }
}

fn lists(table: &mut Table, seed: &mut Seed) {
    for form in [
        "[\"mysql\", \"--user\", \"root\", \"--password\", \"V\"]",
        "[\"mysql\",\"--password\",\"V\"]",
        "CMD [\"mysqld\", \"--password\", \"V\"]",
        "ENTRYPOINT [\"server\", \"--api-key\", \"V\"]",
        "command: [\"redis-server\", \"--requirepass\", \"V\"]",
        "subprocess.run(['mysql', '-u', 'root', '--password', 'V'])",
        "args:\n  - --token\n  - V\n",
        "args:\n  - \"--client-secret\"\n  - \"V\"\n",
        "[\"sshpass\", \"-p\", \"V\", \"ssh\", \"host\"]",
        "['docker', 'login', '-u', 'me', '-p', 'V']",
        "[\"curl\", \"-u\", \"me:V\", \"https://x\"]",
        "[\"curl\", \"-H\", \"X-Api-Key: V\"]",
        "exec.Command(\"mysqldump\", \"-u\", \"root\", \"-pV\")",
        "Command::new(\"tool\").args([\"--password\", \"V\"])",
        "Command::new(\"tool\").arg(\"--token\").arg(\"V\")",
        "spawn('psql', ['--password', 'V'])",
        "(\"--secret\", \"V\")",
        "%w[--password V]",
        "[\"--password=V\"]",
        "{\"password\", \"V\"},",
        "(\"password\", \"V\")",
        "[\"password\", \"V\"]",
        "{\"name\": \"DB_PASSWORD\", \"value\": \"V\"}",
        "- name: API_TOKEN\n  value: \"V\"",
        "passwords: [\"V\", \"other\"]",
    ] {
        for _ in 0..2 {
            let value = seed.any(14);
            table.add("lists", put(form, 'V', &value), &[&value]);
        }
    }
}

fn colours(table: &mut Table, seed: &mut Seed) {
    for form in [
        "E[32mpasswordE[0m: V",
        "E[1;31mAPI_KEYE[0m=V",
        "passwordE[2m=E[0mV",
        "E[36m\"token\"E[39m: E[32m\"V\"E[39m",
        "password: E[33mVE[0m",
        "E[1mghp_E[0mT",
        "ghp_E[31mTE[0m",
        "E[0;32msk-ant-E[0mT",
        "E[35mAuthorizationE[0m: E[1mBearerE[0m E[32mVE[0m",
    ] {
        for escape in ["\u{1b}", "\\u001b", "\\x1b", "\\033", "\\e"] {
            let (value, token) = (seed.any(16), seed.any(36));
            let is_token = form.contains('T');
            let text = form.replace("TE[", "\0E[").replace('V', &value);
            let text = if form.ends_with('T') {
                format!("{}{token}", &text[..text.len() - 1])
            } else {
                text.replace('\0', &token)
            };
            table.add("colours", text.replace("E[", &format!("{escape}[")), &[if is_token { &token } else { &value }]);
        }
    }
}

fn wrapped(table: &mut Table, seed: &mut Seed) {
    for (before, length) in [
        ("ghp_", 36),
        ("sk-ant-api03-", 93),
        ("xoxb-123456789012-", 40),
        ("AKIA", 16),
        ("glpat-", 20),
        ("hf_", 34),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.", 43),
    ] {
        for join in ["\n", "\r\n", "\n    ", "\\\n", "\n> ", "\u{200b}", "\u{ad}"] {
            let random = if before == "AKIA" { seed.upper(length) } else { seed.any(length) };
            let half = length / 2;
            table.add(
                "wrapped tokens",
                format!("{before}{}{join}{}", &random[..half], &random[half..]),
                &[&random[..half], &random[half..]],
            );
        }
    }
}

fn cut(table: &mut Table, seed: &mut Seed) {
    for sign in [',', ';', '&', ')', '}', ']', '(', '[', '{', '|', '#', '<', '>', '$', '%', '='] {
        for form in [
            "password=V",
            "export DB_PASS=V",
            "password: V",
            "PASSWORD=V\nUSER=me",
            "--password=V",
            "--password V --host db",
            "password = V",
        ] {
            let (first, second) = (seed.any(6), seed.any(7));
            table.add(
                "passwords with separators",
                put(form, 'V', &format!("{first}{sign}{second}")),
                &[&first, &second],
            );
        }
    }
}

fn keys(table: &mut Table, seed: &mut Seed) {
    let kind = |kind: &str| (format!("-----BEGIN {kind}PRIVATE KEY-----"), format!("-----END {kind}PRIVATE KEY-----"));
    for name in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA "] {
        let (begin, end) = kind(name);
        let lines: Vec<String> = (0..4).map(|_| seed.base64(64)).collect();
        let parts: Vec<&str> = lines.iter().map(String::as_str).collect();
        table.add("keys", format!("{begin}\n{}\n{end}", lines.join("\n")), &parts);
        table.add("keys", format!("{begin}\n{}", lines.join("\n")), &parts);
        table.add("keys", format!("{}\n{end}", lines.join("\n")), &parts);
        table.add("keys", format!("> {begin}\n> {}", lines.join("\n> ")), &parts);
        table.add("keys", format!("+{begin}\n+{}\n", lines.join("\n+")), &parts);
        table.add("keys", format!("  1\t{begin}\n  2\t{}\n  3\t{}\n", lines[0], lines[1]), &parts[..2]);
        table.add("keys", format!("\"{begin}\\n{}\\n{end}\\n\"", lines.join("\\n")), &parts);
        table.add("keys", format!("\"{begin}\\n\" +\n  \"{}\\n\" +\n", lines.join("\\n\" +\n  \"")), &parts);
        table.add(
            "keys",
            format!(
                "{begin}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,{}\n\n{}",
                seed.hex(32).to_uppercase(),
                lines.join("\n")
            ),
            &parts,
        );
        table.add("keys", format!("{begin} {} {end}", lines.join(" ")), &parts);
    }
    for start in [
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "MIIEpAIBAAKCAQEA",
        "MHcCAQEEI",
        "b3BlbnNzaC1rZXktdjEAAAAA",
        "MC4CAQAwBQYDK2VwBCIE",
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w",
    ] {
        let lines: Vec<String> = (0..2).map(|_| seed.base64(48)).collect();
        let parts: Vec<&str> = lines.iter().map(String::as_str).collect();
        table.add("keys", format!("it begins with\n{start}{}\n{}", lines[0], lines[1]), &parts);
    }
    let putty = format!(
        "PuTTY-User-{}-File-3: ssh-ed25519\nEncryption: none\nComment: c\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 1\n",
        "Key"
    );
    let body = seed.base64(48);
    table.add("keys", format!("{putty}{body}\nPrivate-MAC: {}", seed.hex(64)), &[&body]);
    for form in [
        "{\"kty\":\"RSA\",\"n\":\"sXch\",\"e\":\"AQAB\",\"d\":\"V\"}",
        "{\"kty\": \"RSA\", \"d\": \"V\", \"p\": \"W\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83O\",\"y\":\"x_FE\",\"d\":\"V\"}",
        "{\"kty\":\"oct\",\"k\":\"V\"}",
        "{'kty': 'OKP', 'crv': 'Ed25519', 'd': 'V'}",
        "{\"d\":\"V\",\"kty\":\"RSA\",\"q\":\"W\"}",
        "{\n  \"kty\": \"RSA\",\n  \"dp\": \"V\",\n  \"dq\": \"W\"\n}",
    ] {
        let (one, two) = (seed.any(43), seed.any(43));
        let text = put(&put(form, 'V', &one), 'W', &two);
        table.add(
            "JSON web keys",
            text,
            if form.contains('W') { vec![one.as_str(), two.as_str()] } else { vec![one.as_str()] }.as_slice(),
        );
    }
}

fn encodings(table: &mut Table, seed: &mut Seed) {
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let html = |text: &str| {
        text.replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let percent =
        |text: &str| {
            text.bytes()
                .map(|b| {
                    if b.is_ascii_alphanumeric() || b == b'_' { char::from(b).to_string() } else { format!("%{b:02X}") }
                })
                .collect::<String>()
        };
    let unicode = |text: &str| {
        text.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
            .collect::<String>()
    };
    for form in [
        "{\"password\": \"V\"}",
        "password=\"V\"",
        "{\"user\":\"me\",\"api_key\":\"V\"}",
        "<password>V</password>",
        "\"Authorization\": \"Bearer V\"",
        "<add key=\"DbPassword\" value=\"V\"/>",
        "postgres://me:V@db/x",
        "const token: string = 'V';",
    ] {
        let value = seed.any(16);
        let text = put(form, 'V', &value);
        let encoded = [
            json(&text),
            json(&json(&text)),
            json(&json(&json(&text))),
            html(&text),
            html(&html(&text)),
            percent(&text),
            unicode(&text),
        ];
        for encoded in encoded {
            table.add("encodings", encoded, &[&value]);
        }
    }
}

// Long: one table of shapes.
fn commands(table: &mut Table, seed: &mut Seed) {
    for form in [
        "gh secret set NPM --body V",
        "gh secret set NPM --body \"V\"",
        "gh secret set NPM -b V",
        "gh secret set X -bV",
        "echo V | gh secret set X",
        "gh auth login --with-token <<< V",
        "vault login V",
        "vault login -method=userpass username=me password=V",
        "vault kv put secret/app password=V",
        "vault unseal V",
        "vault operator unseal V",
        "zip -P V a.zip b",
        "zip -r -P 'V' a.zip b",
        "unzip -P V a.zip",
        "7z a -pV a.7z b",
        "7z x a.7z -pV",
        "unrar x -pV a.rar",
        "openssl enc -aes-256-cbc -k V -in a",
        "openssl enc -pass pass:V -in a",
        "openssl rsa -passin pass:V",
        "gpg --batch --passphrase V -d a",
        "gpg --passphrase 'V' --symmetric a",
        "htpasswd -b .htpasswd me V",
        "htpasswd -cbB f me V",
        "smbclient -U me%V //srv/share",
        "mount -t cifs -o username=me,password=V //srv/s /m",
        "wget --user=me --password=V https://x",
        "wget --http-password=V https://x",
        "http -a me:V https://x",
        "xh --auth me:V https://x",
        "psql \"host=db password=V\"",
        "PGPASSWORD=V psql -h db",
        "MYSQL_PWD=V mysql",
        "mysql -uroot -pV db",
        "mysqladmin -u root password V",
        "mongosh -u me -p V",
        "redis-cli -a V",
        "redis-cli --pass V ping",
        "sqlplus me/V@db",
        "sqlcmd -U sa -P V",
        "sshpass -p V ssh h",
        "sshpass -pV ssh h",
        "ssh-keygen -t rsa -N V -f k",
        "ssh-keygen -p -P V -N '' -f k",
        "docker login -u me -p V",
        "docker login --password=V",
        "echo V | docker login --password-stdin -u me",
        "helm repo add x u --password V",
        "kubectl create secret generic s --from-literal=k=V",
        "kubectl config set-credentials me --token=V",
        "kubectl --token V get pods",
        "az login --service-principal -u i -p V --tenant t",
        "az keyvault secret set --vault-name v -n n --value V",
        "aws configure set aws_secret_access_key V",
        "aws secretsmanager create-secret --name n --secret-string V",
        "aws ssm put-parameter --name n --type SecureString --value V",
        "heroku config:set SECRET_X=V",
        "fly secrets set X=V",
        "netlify env:set API_KEY V",
        "vercel env add X --token V",
        "npm config set //r/:_authToken V",
        "npm set //registry.npmjs.org/:_authToken=V",
        "yarn config set npmAuthToken V",
        "dotnet user-secrets set \"Db:Password\" \"V\"",
        "dotnet nuget push a.nupkg -k V",
        "nuget setapikey V",
        "twine upload -u me -p V dist/*",
        "cargo login V",
        "gem push --key V",
        "composer config http-basic.h me V",
        "ldapsearch -D cn=a -w V -b dc=x",
        "ldapadd -x -wV -f f",
        "curl -u me:V https://x",
        "curl --user 'me:V' https://x",
        "curl -H 'Authorization: Bearer V' x",
        "curl -H \"X-Auth-Token: V\" x",
        "curl -H 'PRIVATE-TOKEN: V' x",
        "curl -d 'user=me&password=V' x",
        "curl -F password=V x",
        "curl --data '{\"password\":\"V\"}' x",
        "echo 'me:V' | chpasswd",
        "echo V | sudo -S ls",
        "sudo -S ls <<< 'V'",
        "echo -e \"V\\nV\" | passwd me",
        "useradd -p V me",
        "net user me V /add",
        "net use z: \\\\s\\x /user:me V",
        "xfreerdp /u:me /p:V /v:h",
        "rdesktop -u me -p V h",
        "nmcli dev wifi connect S password V",
        "wpa_passphrase SSID V",
        "rabbitmqctl add_user me V",
        "rabbitmqctl change_password me V",
        "mosquitto_pub -h h -u me -P V -t t -m m",
        "ipmitool -H h -U a -P V chassis status",
        "snmpget -v3 -u me -A V h",
        "bw unlock V",
        "bw login me@x.com V",
        "op item create password=V",
        "security add-generic-password -a me -s s -w V",
        "keytool -genkey -storepass V -keypass V",
        "jarsigner -storepass V a.jar k",
        "ansible-playbook -e ansible_password=V p.yml",
        "lftp -u me,V h",
        "git clone https://me:V@h/r.git",
        "git remote set-url origin https://V@github.com/o/r.git",
        "doctl auth init -t V",
        "terraform login -token=V",
        "restic --password-command 'echo V' backup",
        "kinit me <<< V",
        "expect -c 'send \"V\\r\"'",
        "snowsql -a x -u me --password V",
        "clickhouse-client --password V",
        "influx -username me -password V",
        "cqlsh -u me -p V",
        "neo4j-admin set-initial-password V",
        "wp user create me a@b.c --user_pass=V",
        "occ user:add --password-from-env me OC_PASS=V",
        "setx API_TOKEN V",
        "$env:API_TOKEN = 'V'",
        "set API_TOKEN=V",
        "set -x GITHUB_TOKEN V",
        "tool --token V",
        "tool --token=V",
        "tool -token V",
        "tool --api-key 'V'",
        "tool --client-secret V",
        "tool --pass V",
        "tool --auth-token V",
        "java -Djavax.net.ssl.keyStorePassword=V A",
        "java -Dpassword=V A",
        "./gradlew -PsigningPassword=V b",
        "mvn -Dgpg.passphrase=V verify",
    ] {
        let value = seed.any(20);
        table.add("command lines", put(form, 'V', &value), &[&value]);
    }
}

fn files(table: &mut Table, seed: &mut Seed) {
    for form in [
        "localhost:5432:app:me:V",
        "*:*:*:me:V",
        "db.example.com:5432:*:app:V",
        "machine api.x.com login me password V",
        "machine x\n  login me\n  password V",
        "default login me password V",
        "[client]\nuser=me\npassword=V",
        "[default]\naws_access_key_id = AKIAIOSFODNN7ABCDEFG\naws_secret_access_key = V",
        "//registry.npmjs.org/:_authToken=V",
        "_auth=V",
        "[pypi]\nusername = __token__\npassword = V",
        "https://me:V@github.com",
        "{\"auths\":{\"h\":{\"auth\":\"V\"}}}",
        "users:\n- name: me\n  user:\n    token: V",
        "data:\n  password: V\nkind: Secret",
        "stringData:\n  api-token: V",
        "$ANSIBLE_X;db_password: V",
        "<server><id>x</id><username>me</username><password>V</password></server>",
        "<property name=\"connection.password\">V</property>",
        "<entry key=\"db.password\">V</entry>",
        "<add name=\"x\" connectionString=\"Server=s;User Id=me;Password=V;\"/>",
        "Server=s;Database=d;Uid=me;Pwd=V;",
        "define('DB_PASSWORD', 'V');",
        "$db['password'] = 'V';",
        "'password' => 'V',",
        "config.password = \"V\"",
        "set :password, 'V'",
        "network={\n ssid=\"s\"\n psk=\"V\"\n}",
        "[Interface]\nPrivateKey = V",
        "[Peer]\nPresharedKey = V",
        "requirepass V",
        "masterauth V",
        "smtp_sasl_password_maps = static:me:V",
        "bind_pw V",
        "bindpw V",
        "rootpw V",
        "auth-user-pass V",
        "ppp: PAP secret me * V",
        "enable secret 0 V",
        "username me password 0 V",
        "snmp-server community V RO",
        "radius-server key V",
        "crypto isakmp key V address 1.2.3.4",
        "ENV DB_PASSWORD V",
        "ENV DB_PASSWORD=V",
        "ARG NPM_TOKEN=V",
        "  password: !vault V",
        "password: &pw V",
        "secret: !!str V",
        "password: >-\n  V",
        "variable \"db_password\" {\n  default = \"V\"\n}",
        "master_password = \"V\"",
        "param adminPassword string = 'V'",
    ] {
        let value = seed.any(40);
        table.add("files", put(form, 'V', &value), &[&value]);
    }
    for user in ["me", "admin"] {
        for hash in
            ["$6$rounds=5000$saltsalt$", "$2b$12$", "$y$j9T$saltsalt$", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$"]
        {
            let value = seed.any(43);
            table.add("files", format!("{user}:{hash}{value}:19000:0:99999:7:::"), &[&value]);
        }
    }
}

// Long: one table of shapes.
fn prose(table: &mut Table, seed: &mut Seed) {
    for form in [
        "Das Passwort ist V",
        "Das Kennwort lautet V",
        "Passwort: V",
        "Passwort für den Server: V",
        "das passwort für root ist V",
        "Le mot de passe est V",
        "mot de passe : V",
        "le mdp est V",
        "La contraseña es V",
        "Contraseña: V",
        "mi clave es V",
        "A senha é V",
        "senha: V",
        "La password è V",
        "Password: V",
        "parola d'ordine: V",
        "Het wachtwoord is V",
        "wachtwoord: V",
        "Hasło to V",
        "hasło: V",
        "Lösenordet är V",
        "lösenord: V",
        "Adgangskoden er V",
        "adgangskode: V",
        "Passordet er V",
        "passord: V",
        "Salasana on V",
        "salasana: V",
        "Heslo je V",
        "heslo: V",
        "A jelszó V",
        "jelszó: V",
        "Parola este V",
        "parola: V",
        "Şifre V",
        "şifre: V",
        "Пароль V",
        "Пароль: V",
        "пароль — V",
        "Пароль от сервера: V",
        "Пароль є V",
        "Ο κωδικός είναι V",
        "κωδικός: V",
        "הסיסמה היא V",
        "סיסמה: V",
        "كلمة المرور هي V",
        "كلمة السر: V",
        "密码是V",
        "密码：V",
        "密码是 V",
        "密碼是V",
        "口令为 V",
        "パスワードはVです",
        "パスワード：V",
        "비밀번호는 V 입니다",
        "비밀번호: V",
        "Mật khẩu là V",
        "mật khẩu: V",
        "รหัสผ่านคือ V",
        "รหัสผ่าน: V",
        "पासवर्ड है V",
        "पासवर्ड: V",
        "Kata sandi: V",
        "kata sandinya V",
    ] {
        for _ in 0..2 {
            let value = seed.any(11);
            table.add("prose in other languages", put(form, 'V', &value), &[&value]);
        }
    }
    for form in [
        "The password is V.",
        "password is: V",
        "my password is `V`",
        "Password - V",
        "Password → V",
        "the pw is V",
        "pw: V",
        "pwd is V",
        "The passcode is V",
        "the api key is V",
        "API key: V",
        "Your API key is: V",
        "here is the token: V",
        "here's my token V",
        "The secret is V, keep it safe",
        "use V as the password",
        "use `V` as password",
        "V is the password",
        "`V` is my api key",
        "with password V",
        "with the password V",
        "log in with password V",
        "password V works",
        "with the token V",
        "token V expired",
        "user admin, password V",
        "login: admin / V",
        "login admin password V",
        "creds: admin/V",
        "credentials are admin:V",
        "username: me password: V",
        "user/pass: me/V",
        "password (V)",
        "the password (V) is wrong",
        "password of root was V",
        "the root password is now V",
        "I set the password to V",
        "changed the password to V",
        "change the password from V to something",
        "the new password will be V",
        "password for the db is V",
        "the password for bob@x.com is V",
        "password = V",
        "my aws secret is V",
        "master key: V",
        "the encryption key is V",
        "the bearer token is V",
        "2FA secret: V",
        "recovery code: V",
        "the PIN is 482913 and V is the password",
        "db pass V",
        "passphrase is V",
        "the signing secret is V",
        "access token V was leaked",
    ] {
        for _ in 0..2 {
            let value = seed.any(14);
            table.add("prose in English", put(form, 'V', &value), &[&value]);
        }
    }
}

fn tables(table: &mut Table, seed: &mut Seed) {
    for form in [
        "| password | V |",
        "| **Password** | `V` |",
        "| API key | V | prod |",
        "|password|V|",
        "| Key | Value |\n|---|---|\n| DB_PASSWORD | V |",
        "| user | password |\n|---|---|\n| bob | V |",
        "| user | password | role |\n|:--|:-:|--:|\n| bob | V | admin |\n| eve | W | user |",
        "user,password\nbob,V\neve,W",
        "user;password;role\nbob;V;admin",
        "user\tpassword\nbob\tV",
        "id,email,api_key\n1,a@b.c,V\n2,d@e.f,W",
        "\"user\",\"password\"\n\"bob\",\"V\"",
        " user | password\n------+----------\n bob  | V\n(1 row)",
        "+------+----------+\n| user | password |\n+------+----------+\n| bob  | V |\n+------+----------+",
        "USER   TOKEN\nbob    V",
        "NAME       PASSWORD     AGE\nbob        V     2d",
        "<tr><th>Password</th><td>V</td></tr>",
        "<tr><td>API key</td><td>V</td></tr>",
        "<td>password</td>\n<td>V</td>",
        "<dt>Password</dt><dd>V</dd>",
        "Username\tme\nPassword\tV",
        "password    V",
        "│ password │ V │",
        "* Password: V",
        "- **Password** – V",
        "• API Token: V",
        "Password ........ V",
    ] {
        for _ in 0..2 {
            let (one, two) = (seed.any(15), seed.any(15));
            table.add(
                "tables",
                put(&put(form, 'V', &one), 'W', &two),
                if form.contains('W') { vec![one.as_str(), two.as_str()] } else { vec![one.as_str()] }.as_slice(),
            );
        }
    }
}

fn phrases(table: &mut Table, seed: &mut Seed) {
    const WORDS: [&str; 16] = [
        "correct", "horse", "battery", "staple", "river", "violin", "copper", "meadow", "walnut", "tunnel", "ribbon",
        "saddle", "ocean", "pepper", "giraffe", "lantern",
    ];
    for form in [
        "passphrase: V",
        "passphrase = V",
        "passphrase=\"V\"",
        "the passphrase is V",
        "PASSPHRASE='V'",
        "password = \"V\"",
        "\"passphrase\": \"V\"",
        "my passphrase is \"V\"",
        "--passphrase \"V\"",
        "Passphrase for key: V",
        "seed phrase: V",
        "mnemonic: V",
        "MNEMONIC=\"V\"",
        "recovery phrase is V",
        "the password is \"V\"",
    ] {
        for count in [4, 12] {
            let words: Vec<&str> = (0..count).map(|_| WORDS[seed.next() % WORDS.len()]).collect();
            let pairs: Vec<String> = words.windows(2).map(|pair| pair.join(" ")).collect();
            let parts: Vec<&str> = pairs.iter().map(String::as_str).collect();
            table.add("passphrases", put(form, 'V', &words.join(" ")), &parts);
        }
    }
}

fn aws(table: &mut Table, seed: &mut Seed) {
    for gap in [
        " ",
        ",",
        "\n",
        " / ",
        "/",
        ":",
        " and ",
        "\t",
        " | ",
        "\",\"",
        "\"\n\"",
        ", secret ",
        "\nSecret: ",
        " (",
        " => ",
        "\\n",
        "' '",
        "; ",
    ] {
        let (id, secret) = (format!("AKIA{}", seed.upper(16)), seed.base64(40));
        table.add("AWS secrets beside their ids", format!("{id}{gap}{secret}"), &[&secret]);
    }
    let (id, secret) = (format!("AKIA{}", seed.upper(16)), seed.base64(40));
    table.add("AWS secrets beside their ids", format!("{secret} {id}"), &[&secret]);
    table.add(
        "AWS secrets beside their ids",
        format!("{{\"AccessKeyId\": \"{id}\", \"Status\": \"Active\", \"SecretAccessKey\": \"{secret}\"}}"),
        &[&secret],
    );
}

/// Forms that came through once.
// Long: one table of shapes.
fn survivors(table: &mut Table, seed: &mut Seed) {
    for form in [
        "the line is localhost:5432:app:me:V, in ~/.pgpass",
        "db.example.com:6543:*:me:V in .pgpass",
        "`localhost:5432:app:me:V`",
        "password:\n  V",
        "db:\n  password:\n    V\n  user: me",
        "password: |\n  V",
        "password: |2-\n  V\nuser: me",
        "password: >\n  V\n",
        "password: >-\n    V",
        "<input type=\"password\" name=\"pw\" value=\"V\">",
        "<input value='V' type='password'>",
        "<input type=password value=V>",
        "<input type=\"hidden\" name=\"csrf_token\" value=\"V\" />",
        "<input class=\"a\" value=\"V\" id=\"api_key\">",
        "postgres://me:aB3/V@db.example.com/app",
        "mysql://me:V/x9#c@db:3306/app",
        "amqp://me:x9/V?z@mq",
        "curl -b \"session=V\" https://x",
        "curl --cookie 'session=V; a=b' https://x",
        "curl -s -b session=V https://x",
        "curl https://x --cookie=\"sid=V\"",
        "the wifi key: V",
        "WiFi key: V",
        "wlan key is V",
        "WPA2 key = V",
        "the network key: `V`",
        "wifi_key=V",
        "p a s s w o r d: V",
        "P A S S W O R D : V",
        "the p.a.s.s.w.o.r.d is V",
        "p-a-s-s-w-o-r-d = V",
        "s e c r e t: V",
        "Paßwort: V",
        "Das Paßwort ist V",
        "Passwörter: V",
        "PAßWORT=V",
        "contraseña: V",
        "CONTRASEÑA: V",
        "contrasen\u{303}a: V",
        "contrase&ntilde;a: V",
        "Pa&szlig;wort: V",
        "contrase\\u00f1a: V",
        "Pa\\u00dfwort: V",
        "Le mot de passe est V",
        "mot de passe\u{a0}: V",
        "MOT DE PASSE : V",
        "motDePasse = \"V\"",
        "mdp : V",
        "LÖSENORD: V",
        "HASŁO: V",
    ] {
        for _ in 0..3 {
            let value = seed.any(14);
            table.add("forms that came through once", put(form, 'V', &value), &[&value]);
        }
        // As people choose them.
        if !form.contains("[") {
            let value = seed.password();
            table.add("forms that came through once, chosen passwords", put(form, 'V', &value), &[&value]);
        }
    }
    for form in [
        "snmpwalk -v2c -c V 10.0.0.1",
        "snmpget -v 1 -c 'V' switch.example.com sysDescr.0",
        "snmpbulkwalk -cV host",
        "vercel_blob_rw_V",
        "BLOB_READ_WRITE_TOKEN is vercel_blob_rw_aB3dE6gH_V",
        "posthog.init('phc_V')",
        "phx_V",
        "co_V",
    ] {
        for _ in 0..3 {
            let value = seed.any(40);
            table.add("forms that came through once", form.replace('V', &value), &[&value]);
        }
    }
    for form in [
        "otpauth://totp/Acme:me@example.com?secret=V&issuer=Acme",
        "otpauth%3A%2F%2Ftotp%2FAcme%3Fsecret%3DV%26issuer%3DAcme",
        "TOTP secret: V",
        "the TOTP secret is V",
        "OTP seed: `V`",
        "2FA key: V",
        "MFA setup key: V",
        "authenticator key V",
        "TOTP_SECRET=V",
        "otp_secret: \"V\"",
    ] {
        for length in [16, 32] {
            let value = seed.upper(length);
            table.add("secrets of second factors", put(form, 'V', &value), &[&value]);
            let groups: Vec<String> =
                value.as_bytes().chunks(4).map(|part| String::from_utf8_lossy(part).to_lowercase()).collect();
            let pairs: Vec<String> = groups.windows(2).map(|pair| pair.join(" ")).collect();
            if !form.contains("otpauth") && !form.contains("=V") {
                let parts: Vec<&str> = pairs.iter().map(String::as_str).collect();
                table.add("secrets of second factors", put(form, 'V', &groups.join(" ")), &parts);
            }
        }
    }
    for words in ["correct horse battery staple", "Walnut Ribbon Ocean Lantern", "copper-meadow-tunnel-pepper"] {
        for form in [
            "the passphrase is \"V\"",
            "the passphrase is 'V'",
            "the passphrase is “V”",
            "passphrase: „V“",
            "passphrase is «V»",
            "my passphrase was `V`, it is old",
        ] {
            let parts: Vec<String> = words
                .split([' ', '-'])
                .collect::<Vec<_>>()
                .windows(2)
                .map(|pair| pair.join(if words.contains('-') { "-" } else { " " }))
                .collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            table.add("passphrases", put(form, 'V', words), &parts);
        }
    }
    for (first, second) in [("hunter2-first-Line9", "second4-Line-of8-it")] {
        for sign in ["|", ">", "|-", ">+"] {
            table.add(
                "forms that came through once",
                format!("secret: {sign}\n  {first}\n  {second}\nuser: me"),
                &[first, second],
            );
        }
    }
}

fn table() -> Vec<Shape> {
    let (mut table, seed) = (Table::default(), &mut Seed(20_261_122));
    for fill in [
        services, typed_code, signs, names, lists, colours, wrapped, cut, keys, encodings, commands, files, prose,
        tables, phrases, aws, survivors,
    ] {
        fill(&mut table, seed);
    }
    table.0
}

/// The four places that a shape is put into.
fn places(text: &str) -> [String; 4] {
    [
        text.to_owned(),
        format!("I ran it, and this is what came out:\n\n{text}\n\nWhat is wrong there?"),
        format!("1. First step\n\n```\n{text}\n```\n\n2. Second step: see `README.md`."),
        serde_json::json!({"stdout": text, "interrupted": false}).to_string(),
    ]
}

/// Whether a text still has enough of a secret to be of use.
fn has(text: &str, secret: &str) -> bool {
    let length = secret.len();
    let window = (length / 2).clamp(4, 8).min(length);
    (0..=length - window).any(|at| secret.get(at..at + window).is_some_and(|part| text.contains(part)))
}

#[test]
fn at_least_98_of_100_shapes_are_taken_out_in_all_places() {
    let redactor = Redactor::new(&[]).unwrap();
    let table = table();
    assert!(table.len() >= 900, "{}", table.len());
    let mut classes: BTreeMap<&str, (usize, usize, Vec<String>)> = BTreeMap::new();
    for shape in &table {
        let class = classes.entry(shape.class).or_default();
        class.0 += 1;
        let left = places(&shape.text).into_iter().find_map(|text| {
            let out = redactor.redact(&text).into_owned();
            shape.secrets.iter().any(|secret| has(&out, secret)).then_some(out)
        });
        match left {
            None => class.1 += 1,
            Some(left) => class.2.push(format!("{:?}\n      -> {left:?}", shape.text)),
        }
    }
    let (mut all, mut good) = (0, 0);
    for (class, (count, clean, left)) in &classes {
        all += count;
        good += clean;
        println!("{clean:4} of {count:4} {class}");
        if std::env::var_os("SHAPES").is_some() {
            left.iter().for_each(|left| println!("    {left}"));
        }
    }
    println!("{good} of {all}");
    assert!(good * 100 >= all * 98, "{good} of {all}");
}
