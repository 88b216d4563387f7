//! Tokens of every service, and what only looks like one.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::services::RULES;
use super::*;

fn redactor() -> &'static Redactor {
    static REDACTOR: OnceLock<Redactor> = OnceLock::new();
    REDACTOR.get_or_init(|| Redactor::new(&["vault-canary-é&1".to_owned(), "abc".to_owned()]).unwrap())
}

/// A token of each rule, made from its pattern's parts by hand. It is put together here, so that no scanner of this
/// repository takes it for one.
fn examples() -> Vec<(&'static str, String)> {
    let hex = |n: usize| "0123456789abcdef".repeat(n).chars().take(n).collect::<String>();
    let any = |n: usize| "aB3dE6gH9jK2mN5pQ8sT".repeat(n).chars().take(n).collect::<String>();
    let up = |n: usize| "AB3DE6GH9JK2MN5PQ8ST".repeat(n).chars().take(n).collect::<String>();
    let uuid = format!("{}-{}-4{}-8{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12));
    let discord = ["MTIz", "NDU2", "Nzg5", "MDEy", "MzQ1", "Njc4"].concat();
    vec![
        ("AWS signed URL", format!("X-Amz-Signature={}", hex(64))),
        ("Amazon Bedrock", format!("ABSK{}", any(120))),
        ("Cerebras", format!("csk-{}", any(48).to_lowercase())),
        ("Fireworks", format!("fw_{}", any(24))),
        ("LangSmith", format!("lsv2_pt_{}_{}", hex(32), hex(10))),
        ("Tavily", format!("tvly-dev-{}", any(32))),
        ("Jina", format!("jina_{}", any(60))),
        ("NVIDIA", format!("nvapi-{}", any(64))),
        ("E2B", format!("e2b_{}", hex(40))),
        ("Firecrawl", format!("fc-{}", hex(32))),
        ("Pinecone", format!("pcsk_{}", any(64))),
        ("Apify", format!("apify_api_{}", any(36))),
        ("PostHog", format!("phx_{}", any(43))),
        ("PostHog", format!("phc_{}", any(43))),
        ("Vercel Blob", format!("vercel_blob_rw_{}_{}", any(16), any(30))),
        ("Cohere", format!("co_{}", any(40))),
        ("Render", format!("rnd_{}", any(28))),
        ("Neon", format!("napi_{}", any(64).to_lowercase())),
        ("JFrog", format!("AKCp{}", any(69))),
        ("JFrog", format!("cmVmdGtu{}", any(56))),
        ("ElevenLabs", format!("sk_{}", hex(48))),
        ("Adafruit", format!("aio_{}", any(28))),
        ("Flutterwave", format!("FLWSECK-{}-X", hex(32))),
        ("Anthropic", format!("sk-ant-api03-{}", any(40))),
        ("OpenAI", format!("sk-proj-{}", any(48))),
        ("OpenAI", format!("sk-{}", any(48))),
        ("OpenRouter", format!("sk-or-v1-{}", hex(64))),
        ("Groq", format!("gsk_{}", any(52))),
        ("xAI", format!("xai-{}", any(80))),
        ("Perplexity", format!("pplx-{}", any(48))),
        ("Hugging Face", format!("hf_{}", any(34))),
        ("Replicate", format!("r8_{}", any(37))),
        ("GitHub", format!("ghp_{}", any(36))),
        ("GitHub", format!("github_pat_{}_{}", any(22), any(59))),
        ("GitLab", format!("glpat-{}", any(20))),
        ("Bitbucket and Atlassian", format!("ATATT3xFfGF0{}", any(180))),
        ("AWS", format!("AKIA{}", up(16))),
        ("Google API", format!("AIza{}", any(35))),
        ("Google OAuth", format!("GOCSPX-{}", any(28))),
        ("Google OAuth", format!("ya29.{}", any(60))),
        ("Azure storage", format!("AccountKey={}==", any(86))),
        ("Azure shared access", format!("sig={}%3D", any(43))),
        ("Microsoft Entra", format!("abc8Q~{}", any(34))),
        ("DigitalOcean", format!("dop_v1_{}", hex(64))),
        ("Cloudflare", format!("v1.0-{}-{}", hex(24), hex(146))),
        ("Heroku", format!("HRKU-{}", any(60))),
        ("Netlify", format!("nfp_{}", any(36))),
        ("Vercel", format!("vcp_{}", any(56))),
        ("Fly.io", format!("fo1_{}", any(43))),
        ("Slack", format!("xoxb-{}-{}", hex(12), any(24))),
        ("Slack webhook", format!("hooks.slack.com/services/T{}/B{}/{}", up(8), up(8), any(24))),
        ("Discord webhook", format!("/api/webhooks/123456789012345678/{}", any(68))),
        ("Telegram", format!("123456789:AA{}", any(33))),
        ("Stripe", format!("sk_live_{}", any(24))),
        ("Stripe", format!("whsec_{}", any(32))),
        ("Square", format!("sq0csp-{}", any(43))),
        ("Braintree", format!("access_token$production${}${}", hex(16), hex(32))),
        ("Shopify", format!("shpat_{}", hex(32))),
        ("Twilio", format!("SK{}", hex(32))),
        ("SendGrid", format!("SG.{}.{}", any(22), any(43))),
        ("Mailgun", format!("key-{}", hex(32))),
        ("Mailchimp", format!("{}-us12", hex(32))),
        ("Brevo", format!("xkeysib-{}-{}", hex(64), any(16))),
        ("Resend", format!("re_{}_{}", any(8), any(24))),
        ("npm", format!("npm_{}", any(36))),
        ("PyPI", format!("pypi-AgEIcHlwaS5vcmc{}", any(80))),
        ("crates.io", format!("cio{}", any(32))),
        ("RubyGems", format!("rubygems_{}", hex(48))),
        ("Docker Hub", format!("dckr_pat_{}", any(27))),
        ("Clojars", format!("CLOJARS_{}", hex(60))),
        ("Linear", format!("lin_api_{}", any(40))),
        ("Notion", format!("ntn_{}", any(46))),
        ("Figma", format!("figd_{}", any(40))),
        ("Airtable", format!("pat{}.{}", any(14), hex(64))),
        ("Dropbox", format!("sl.{}", any(130))),
        ("Postman", format!("PMAK-{}-{}", hex(24), hex(34))),
        ("Databricks", format!("dapi{}", hex(32))),
        ("Grafana", format!("glsa_{}_{}", any(32), hex(8))),
        ("New Relic", format!("NRAK-{}", up(27))),
        ("Sentry", format!("sntryu_{}", hex(64))),
        ("PlanetScale", format!("pscale_tkn_{}", any(43))),
        ("Supabase", format!("sbp_{}", hex(40))),
        ("HashiCorp", format!("hvs.{}", any(90))),
        ("Doppler", format!("dp.st.dev.{}", any(40))),
        ("Pulumi", format!("pul-{}", hex(40))),
        ("Tailscale", format!("tskey-auth-{}-{}", any(16), any(32))),
        ("1Password", format!("ops_eyJ{}", any(200))),
        ("CircleCI", format!("CCIPAT_{}_{}", any(22), hex(40))),
        ("Buildkite", format!("bkua_{}", hex(40))),
        ("SonarQube", format!("sqp_{}", hex(40))),
        ("age", format!("AGE-SECRET-KEY-1{}", up(58))),
        ("Discord bot", format!("{}.{}.{}", discord, any(6), any(38))),
        ("HubSpot", format!("pat-na1-{uuid}")),
        ("HubSpot", format!("pat-eu1-{}", uuid.to_uppercase())),
        ("Mapbox", format!("sk.eyJ{}.{}", any(70), any(22))),
        ("Dynatrace", format!("dt0c01.{}.{}", up(24), up(64))),
        ("Dynatrace", format!("dt0s16.{}.{}", up(24), up(64))),
        ("Okta", format!("SSWS 00{}", any(40))),
        ("Contentful", format!("CFPAT-{}", any(43))),
        ("Typeform", format!("tfp_{}_{}", any(43), any(14))),
        ("JFrog", format!("AKCp8{}", any(68))),
        ("JFrog", format!("cmVmdGtuO{}", any(55))),
        ("NuGet", format!("oy2{}", up(43).to_lowercase())),
        ("Facebook", format!("EAA{}", any(180))),
        ("Alibaba Cloud", format!("LTAI{}", any(20))),
        ("Alibaba Cloud", format!("LTAI{}", any(12))),
        ("Tencent Cloud", format!("AKID{}", any(32))),
        ("Yandex Cloud", format!("AQVN{}", any(36))),
        ("LaunchDarkly", format!("sdk-{uuid}")),
        ("LaunchDarkly", format!("mob-{uuid}")),
        ("ClickUp", format!("pk_12345678_{}", up(32))),
        (
            "Microsoft Teams webhook",
            format!("acme.webhook.office.com/webhookb2/{uuid}@{uuid}/IncomingWebhook/{}/{uuid}", hex(32)),
        ),
        ("EasyPost", format!("EZAK{}", any(54))),
        ("EasyPost", format!("EZTK{}", any(54))),
        ("ReadMe", format!("rdme_{}", up(70).to_lowercase())),
        ("Cloudflare API", format!("cfut_{}", any(48))),
        ("Sourcegraph", format!("sgp_{}", hex(40))),
        ("Zuplo", format!("zpka_{}", any(40))),
        ("PASETO", format!("v4.local.{}", any(80))),
        ("Zapier webhook", format!("https://hooks.zapier.com/hooks/catch/1234567/{}/", any(9))),
        ("JSON Web Token", format!("eyJ{}.eyJ{}.{}", any(20), any(60), any(43))),
    ]
}

#[test]
fn the_token_of_every_service_is_taken_out_wherever_it_stands() {
    let redactor = redactor();
    let examples = examples();
    for rule in &RULES {
        assert!(examples.iter().any(|(service, _)| *service == rule.service), "no example of {}", rule.service);
        assert!(rule.source.contains('.'), "{}", rule.service);
    }
    for (service, token) in &examples {
        for text in [
            token.clone(),
            format!("before {token} after"),
            format!("X={token}\n"),
            format!("\"{token}\""),
            format!("<a>{token}</a>"),
            format!("https://example.com/?a=1&b={token}&c=2"),
        ] {
            let out = redactor.redact(&text);
            // The middle is what must not stay, whatever a rule leaves around it.
            let middle = &token[token.len() / 2 - 4..token.len() / 2 + 4];
            assert!(!out.contains(middle) && out.contains("[redacted"), "{service}: {text} -> {out}");
        }
        let out = redactor.redact(&format!("before {token} after")).into_owned();
        assert!(out.starts_with("before ") && out.ends_with(" after"), "{service}: {out}");
    }
}

#[test]
fn what_only_begins_like_a_token_stays() {
    let redactor = redactor();
    let uuid = "01234567-89ab-4cde-8f01-23456789abcd";
    for text in [
        "NotAnIdAtAllButALongName1.method1.a_function_with_a_very_long_name",
        &format!("pat-na1-{}", &uuid[..18]),
        "sk.eyJhbGciOi and sk.example.com",
        "dt0c01.short.token",
        "SSWS 00 and SSWS tokens",
        "CFPAT-TOKEN",
        "tfp_distributions_multivariate_normal_diag_plus_low_rank",
        "AKCp8 begins it",
        "oy2 and oy2abc",
        "EAA and EAAccess",
        &format!("EAA{}", "BCDEF".repeat(30)),
        "VOLTAIRE, LTAI and LTAIR",
        "AKID and AKIDS",
        "AQVN_A_CONSTANT_OF_A_VERY_LONG_NAME_INDEED",
        &format!("api-{} and the-sdk-v2", &uuid[..23]),
        &format!("request {uuid}"),
        "pk_12345678_short and pk_user_id",
        "https://outlook.office.com/webhook/ and webhook.office.com/webhookb2",
        "EZAK and EZTKEY",
        "rdme_readme",
        "cfut_some_function_with_a_rather_long_name_here",
        "a PuTTY-User-Key-File-2 has Private-Lines",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
    assert!(!redactor.rules.iter().any(Matcher::is_broken));
    assert!(IMPORTED_RULES.len() > 300, "{}", IMPORTED_RULES.len());
}

#[test]
fn what_is_named_a_secret_is_taken_out() {
    for text in [
        "password=hunter2",
        "PASSWORD: hunter2",
        "DB_PASSWORD='hunter2'",
        r#"{"password": "hunter2", "user": "me"}"#,
        r#"{\"password\": \"hunter2\"}"#,
        "export MY_SERVICE_TOKEN=hunter2",
        "DB_PASS=hunter2",
        "RABBITMQ_DEFAULT_PASS=hunter2\nX=1",
        "SMTP_PASS=\"hunter2\"",
        "MYSQL_ROOT_PASS='hunter2'",
        "pass: hunter2",
        "\"pass\": \"hunter2\",",
        "auth: { user: 'a@b.c', pass: 'hunter2' }",
        "dbPass = 'hunter2'",
        "ansible_become_pass: hunter2",
        "--pass hunter2",
        "psk=hunter2",
        "os.environ[\"API_KEY\"] = \"hunter2\"",
        "config['password'] = 'hunter2'",
        "process.env.JWT_SECRET || \"hunter2\"",
        "os.getenv(\"API_KEY\", \"hunter2\")",
        "define('DB_PASSWORD', 'hunter2');",
        "#define WIFI_PASSWORD \"hunter2\"",
        "set -gx DB_PASSWORD hunter2",
        "setenv API_SECRET hunter2",
        "setx OPENAI_API_KEY \"hunter2\"",
        "ENV DB_PASSWORD hunter2",
        "{\"name\": \"DB_PASSWORD\", \"value\": \"hunter2\"}",
        "- name: DB_PASSWORD\n  value: hunter2",
        "<add key=\"Password\" value=\"hunter2\"/>",
        "password: |\n  hunter2\n",
        "tokens = [\"hunter2\"]",
        "\"password\": \"esc\\\"aped hunter2\"",
        "DB_PASSWORD=abc&hunter2",
        "export API_TOKEN=abc,hunter2",
        "AUTH_TOKEN=\"abc123def456 hunter2",
        "**Password:** hunter2",
        "- **API key**: `hunter2`",
        "A temporary password is generated for root@localhost: hunter2",
        "wachtwoord: hunter2",
        "echo 'hunter2' | docker login -u me --password-stdin",
        "echo hunter2 | sudo -S ls",
        "echo 'root:hunter2' | chpasswd",
        "kubectl create secret generic x --from-literal=foo=hunter2",
        "fly secrets set FOO=hunter2",
        "sqlcmd -S db -U sa -P hunter2",
        "mongosh -u me -p hunter2",
        "ldapsearch -x -w hunter2 -b dc=x",
        "SECRET_KEY_BASE=hunter2",
        "APP_KEY=base64:hunter2",
        "api_key = \"hunter2\"",
        "apiKey: 'hunter2',",
        "client_secret=hunter2&grant_type=x",
        "mysql --password hunter2 -h db",
        "tool --api-key=hunter2 run",
        "tool --token \"hunter2\"",
        "Authorization: Bearer hunter2",
        "-H 'Authorization: Basic hunter2=='",
        "authorization: token hunter2",
        "\"Authorization\": \"hunter2\"",
        "X-Api-Key: hunter2",
        "Bearer abcdef.hunter2-xyz",
        "Cookie: session=hunter2; a=b",
        "postgres://me:hunter2@db.example.com/x",
        "https://:hunter2@example.com",
        "redis://default:hunter2@localhost:6379",
        "curl -u me:hunter2 https://x",
        "curl -su me:hunter2 https://x",
        "curl -X POST -u 'me:hunter2' https://x",
        "curl -sSL --proxy-user me:hunter2 https://x",
        "curl https://x -u \\\"me:hunter2\\\"",
        "git clone https://hunter20aB3dE6gH9jK2mN5p@example.com/me/it.git",
        "https://hunter2a-89ab-4cde-8f01-23456789abcd@o1.example.com/1".replace("hunter2", "0123456").as_str(),
        "aws configure set aws_secret_access_key hunter2",
        "aws configure set --profile x profile.x.aws_secret_access_key \"hunter2\"",
        "npm config set //registry.example.com/:_authToken hunter2",
        "ALTER USER me WITH PASSWORD 'hunter2';",
        "create role me login encrypted password E'hunter2'",
        "CREATE USER 'me'@'%' IDENTIFIED BY 'hunter2';",
        "CREATE USER me IDENTIFIED WITH caching_sha2_password BY 'it''s hunter2'",
        r#"mysql -e "CREATE USER me IDENTIFIED BY \"hunter2\"""#,
        "<password>hunter2</password>",
        "<ns:db-Password enc=\"no\">\n  hunter2\n</ns:db-Password>",
        "<secret>hunter2</secret> <token>hunter2</token> <apiKey>hunter2</apiKey>",
        r"<password>hunter2<\/password>",
        "docker login -u me -p hunter2 registry.example.com",
        "docker login registry.example.com --username me --password hunter2",
        "podman login \\\n  -p \"hunter2\" x",
        "helm registry login x -u me -p 'hunter2'",
        "redis-cli -h db -a hunter2 ping",
        "redis-cli --pass hunter2",
        "mysql -u root -phunter2 db",
        "mysqldump -uroot -p'hunter2' db > x",
        "mariadb-dump --all-databases -phunter2",
        "sshpass -p hunter2 ssh x",
        "sshpass -p'hunter2' ssh x",
        "openssl rsa -in k.pem -passin pass:hunter2",
        "openssl pkcs12 -export -passout \"pass:hunter2\"",
        "The password is hunter2.",
        "my api key is now `hunter2`, and the token was hunter2!",
        "the passphrase is: hunter@horse",
        "Passwort: hunter2",
        "Das Kennwort = 'hunter'".replace("hunter", "hunter2").as_str(),
        "Mot de passe : hunter2",
        "la contraseña: hunter2, y",
        "a senha: \"hunter2\"",
        "parola d'ordine: hunter2",
        "密码：hunter2",
        "我的密碼: hunter2。",
        "パスワード：hunter2",
        "비밀번호: hunter2",
        "Пароль: hunter2",
        "{\"пароль\": \"hunter2\"}",
        "Das Passwort ist hunter2, und",
        "password is set to hunter2",
        "password：hunter2",
        "密碼：「hunter2」",
        "パスワードは hunter2",
        "\"Authorization\": `Bot hunter2`",
        "headers['Authorization'] = 'Custom hunter2'",
        "machine x login me password hunter2",
        "vault-canary-é&1 hunter2=vault-canary-é&1",
    ] {
        let out = redactor().redact(text).into_owned();
        let is_clean = if text.starts_with("vault") { !out.contains("canary") } else { !out.contains("hunter2") };
        assert!(is_clean && out.contains(REDACTED), "{text} -> {out}");
    }
    let redactor = redactor();
    assert_eq!(redactor.redact("My password is 123456."), "My password is [redacted].");
    assert_eq!(redactor.redact("a ?q=vault-canary-%C3%A9%261 b"), "a ?q=[redacted] b");
    let key = format!("x -----BEGIN RSA {0} KEY-----\nMIIEow\nabc=\n-----END RSA {0} KEY----- y", "PRIVATE");
    assert_eq!(redactor.redact(&key), "x [redacted] y");
    let putty = |end: &str| {
        format!(
            "x PuTTY-User-{}-File-3: ssh-ed25519\nEncryption: none\nComment: me\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 2\naB3d+/\nhunter2=={end}",
            "Key"
        )
    };
    assert_eq!(redactor.redact(&putty("\nPrivate-MAC: 01ab\n y")), "x [redacted]\n y");
    assert_eq!(redactor.redact(&putty("").replace('\n', "\\n")), "x [redacted]");
    let torn = format!("x -----BEGIN OPENSSH {} KEY-----\\nb3BlbnNz\\nabc", "PRIVATE");
    assert_eq!(redactor.redact(&torn), "x [redacted]");
}

#[test]
fn a_token_that_looks_random_is_taken_out_in_escapes() {
    let redactor = Redactor::new(&[]).unwrap();
    let token = "q7Xv9LmR2tZk4Wb8NcYd1Pf6";
    let coded = |text: &str, code: fn(char) -> String| text.chars().map(code).collect::<String>();
    let unicode: fn(char) -> String = |c| format!("\\u{:04x}", u32::from(c));
    let hex: fn(char) -> String = |c| format!("\\x{:02x}", u32::from(c));
    for text in [
        format!("{{\"x\":\"{}\"}} y", coded(token, unicode)),
        format!("x = \"{}\"; y", coded(token, hex)),
        format!("token_of \"{}\\u0034{}\" y", &token[..12], &token[13..]),
        format!("password {}\u{200b}{} y", &token[..8], &token[8..]),
    ] {
        let out = redactor.redact(&text).into_owned();
        assert!(out.contains(REDACTED) && out.ends_with(" y") && !out.contains(&token[..6]), "{text} -> {out}");
        assert!(!out.contains("\\u0071") && !out.contains("\\x71"), "{text} -> {out}");
    }
    // The padding alone is escaped, far from the head of the image.
    let image = "iVBORw0KGgoAAAANSUhEUgAAAAUA9LmR2tZk4Wb8NcYd1Pf6q7Xv".repeat(12);
    for end in ["\\u003d\\u003d", "==\u{1b}[0m", "==\u{200b}"] {
        for image in [image.clone(), image.replace('J', "\\/"), format!("{image}{}", image.replace('J', "\\u002f"))] {
            let text = format!("password-free \"data:image/png;base64,{image}{end}\" y");
            assert_eq!(redactor.redact(&text), text);
        }
    }
    for harmless in ["8c1d2f0e-6b7a-4c3d-9e5f-0a1b2c3d4e5f", "the quick brown fox jumps over 13 lazy dogs"] {
        let text = format!("{{\"x\":\"{}\"}} y", coded(harmless, unicode));
        assert_eq!(redactor.redact(&text), text);
    }
}

#[test]
fn a_sign_that_nobody_sees_parts_no_token() {
    let redactor = Redactor::new(&[]).unwrap();
    let parts = ["k3Jx9Q", "mT2vLp", "7ZsW4b", "R8nYc5", "Hd1FgU", "6aEo0K"];
    for sign in [
        "\u{200b}",
        "\u{ad}",
        "\u{2063}",
        "\u{34f}",
        "\u{115f}",
        "\u{3164}",
        "\u{fe0f}",
        "\u{e0100}",
        "\u{e0041}",
        "\u{fffc}",
        "\u{2800}",
        "\u{e000}",
        "\u{2028}",
        "\u{2063}\u{fe0f}\u{e0100}",
    ] {
        let text = format!("x ghp_{} y", parts.join(sign));
        assert_eq!(redactor.redact(&text), "x [redacted] y", "{sign:?}");
    }
    // One of them is enough, also where no rule's mark is left.
    let value = Redactor::new(&["correct-horse".into()]).unwrap();
    for (redactor, text, secret) in [
        (&redactor, format!("x {} y", parts[..4].join("\u{2063}")), parts[1]),
        (&redactor, "pass\u{2063}word=hunter2".into(), "hunter2"),
        (&value, "x correct-\u{2063}horse y".into(), "horse"),
    ] {
        let left = redactor.redact(&text);
        assert!(!left.contains(secret) && left.contains(REDACTED), "{left}");
    }
}

#[test]
fn much_that_nobody_sees_behind_many_marks_takes_no_time_by_its_square() {
    let text = "sk-a1b2\n".repeat(500) + &"\u{ad}".repeat(120_000);
    let begun = std::time::Instant::now();
    let _ = redactor().redact(&text);
    // A hang guard: by the square, it takes a hundred times as long.
    assert!(begun.elapsed() < std::time::Duration::from_secs(60));
}

#[test]
fn signs_that_nobody_sees_are_found_wherever_they_are() {
    let found = |text: &str| {
        let mut found = Vec::new();
        seen::for_each_invisible_char(text, |(start, end)| found.push(text[start..end].to_owned()));
        found
    };
    for before in 0..70 {
        let text = format!("{}\u{2063}é日\u{e0100}\r\u{7}z", "a".repeat(before));
        assert_eq!(found(&text), ["\u{2063}", "\u{e0100}"], "{before}");
    }
    // What a writing needs parts no token.
    assert!(found("❤\u{fe0f} 1\u{fe0f}\u{20e3} 👩\u{200d}💻 می\u{200c}خواهم").is_empty());
}

#[test]
fn a_value_of_the_vault_is_taken_out_as_json_escapes_it() {
    let value = "say \"canary\"\\a/é<b>\n\tend\u{1}";
    let redactor = Redactor::new(&[value.to_owned(), "plain/canary".to_owned()]).unwrap();
    let once = serde_json::to_string(value).unwrap();
    let twice = serde_json::to_string(&once).unwrap();
    for text in [
        format!("x {value} y"),
        format!("x {once} y"),
        format!("x {twice} y"),
        format!("x {} y", once.replace('/', "\\/")),
        format!("x {} y", once.replace('é', "\\u00e9")),
        format!("x {} y", once.replace('é', "\\u00E9").replace('/', "\\/")),
        format!("x {} y", once.replace('<', "\\u003c").replace('>', "\\u003e")),
        r"x plain\/canary y".to_owned(),
        r"x plain\\/canary y".to_owned(),
    ] {
        let out = redactor.redact(&text).into_owned();
        assert!(!out.contains("canary") && out.contains(REDACTED), "{text} -> {out}");
        assert!(out.starts_with("x ") && out.ends_with(" y"), "{text} -> {out}");
    }
    // Another value, although it begins alike.
    for text in [r#"say \"canary\"\\b"#, r"plain\|canary", "plain canary"] {
        assert_eq!(redactor.redact(text), text);
    }
}

#[test]
fn a_value_of_the_vault_is_taken_out_in_every_encoding() {
    let redactor = Redactor::new(&["Heron's \"tale\" & <7> $x/é+1".to_owned()]).unwrap();
    // As Python's own functions write it.
    for (form, text) in [
        ("base64 after 0", "SGVyb24ncyAidGFsZSIgJiA8Nz4gJHgvw6krMXo="),
        ("base64 url after 0", "SGVyb24ncyAidGFsZSIgJiA8Nz4gJHgvw6krMQ=="),
        ("base64 after 1", "YUhlcm9uJ3MgInRhbGUiICYgPDc+ICR4L8OpKzF6"),
        ("base64 url after 1", "YUhlcm9uJ3MgInRhbGUiICYgPDc-ICR4L8OpKzE="),
        ("base64 after 2", "YWJIZXJvbidzICJ0YWxlIiAmIDw3PiAkeC/DqSsxeg=="),
        ("base64 url after 2", "YWJIZXJvbidzICJ0YWxlIiAmIDw3PiAkeC_DqSsx"),
        ("base64 alone", "SGVyb24ncyAidGFsZSIgJiA8Nz4gJHgvw6krMQ=="),
        ("base64 no padding", "SGVyb24ncyAidGFsZSIgJiA8Nz4gJHgvw6krMQ"),
        ("hex", "4865726f6e2773202274616c65222026203c373e2024782fc3a92b31"),
        ("HEX", "4865726F6E2773202274616C65222026203C373E2024782FC3A92B31"),
        ("hex colons", "48:65:72:6f:6e:27:73:20:22:74:61:6c:65:22:20:26:20:3c:37:3e:20:24:78:2f:c3:a9:2b:31"),
        ("hex spaces", "48 65 72 6f 6e 27 73 20 22 74 61 6c 65 22 20 26 20 3c 37 3e 20 24 78 2f c3 a9 2b 31"),
        (
            "hex escapes",
            "\\x48\\x65\\x72\\x6f\\x6e\\x27\\x73\\x20\\x22\\x74\\x61\\x6c\\x65\\x22\\x20\\x26\\x20\\x3c\\x37\\x3e\\x20\\x24\\x78\\x2f\\xc3\\xa9\\x2b\\x31",
        ),
        ("html", "Heron&#x27;s &quot;tale&quot; &amp; &lt;7&gt; $x/é+1"),
        ("html no quotes", "Heron's \"tale\" &amp; &lt;7&gt; $x/é+1"),
        (
            "html numbers",
            "&#72;&#101;&#114;&#111;&#110;&#39;&#115;&#32;&#34;&#116;&#97;&#108;&#101;&#34;&#32;&#38;&#32;&#60;&#55;&#62;&#32;&#36;&#120;&#47;&#233;&#43;&#49;",
        ),
        ("html ascii", "Heron&#x27;s &quot;tale&quot; &amp; &lt;7&gt; $x/&#233;+1"),
        ("html twice", "Heron&amp;#x27;s &amp;quot;tale&amp;quot; &amp;amp; &amp;lt;7&amp;gt; $x/é+1"),
        ("shlex", "'Heron'\"'\"'s \"tale\" & <7> $x/é+1'"),
        ("shell double", "\"Heron's \\\"tale\\\" & <7> \\$x/é+1\""),
        ("yaml single", "'Heron''s \"tale\" & <7> $x/é+1'"),
        ("yaml double", "\"Heron's \\\"tale\\\" & <7> $x/é+1\""),
        ("sql", "'Heron''s \"tale\" & <7> $x/é+1'"),
        ("sql backslash", "'Heron\\'s \"tale\" & <7> $x/é+1'"),
        ("csv", "\"Heron's \"\"tale\"\" & <7> $x/é+1\""),
        ("quote", "Heron%27s%20%22tale%22%20%26%20%3C7%3E%20%24x/%C3%A9%2B1"),
        ("quote all", "Heron%27s%20%22tale%22%20%26%20%3C7%3E%20%24x%2F%C3%A9%2B1"),
        ("quote_plus", "Heron%27s+%22tale%22+%26+%3C7%3E+%24x%2F%C3%A9%2B1"),
        ("quote lower", "Heron%27s%20%22tale%22%20%26%20%3c7%3e%20%24x%2f%c3%a9%2b1"),
        ("encodeURIComponent", "Heron's%20%22tale%22%20%26%20%3C7%3E%20%24x%2F%C3%A9%2B1"),
        ("encodeURI", "Heron's%20%22tale%22%20&%20%3C7%3E%20$x/%C3%A9+1"),
        ("quote twice", "Heron%2527s%2520%2522tale%2522%2520%2526%2520%253C7%253E%2520%2524x%252F%25C3%25A9%252B1"),
        ("json", "\"Heron's \\\"tale\\\" & <7> $x/\\u00e9+1\""),
        ("json twice", "\"\\\"Heron's \\\\\\\"tale\\\\\\\" & <7> $x/\\\\u00e9+1\\\"\""),
        ("powershell", "Heron's `\"tale`\" & <7> `$x/é+1"),
    ] {
        let out = redactor.redact(&format!("x {text} y")).into_owned();
        assert!(out.contains(REDACTED) && out.len() < 40, "{form}: {text} -> {out}");
    }
}

#[test]
fn no_half_of_a_secret_stays() {
    let redactor = redactor();
    let okta = format!("00{}", "aB3-E6_H9jK2mN5pQ8sT".repeat(2));
    for (text, left) in [
        (format!("Authorization: SSWS {okta}"), "Authorization: [redacted]"),
        (r#"{"Authorization": "Custom hunter2x", "a": 1}"#.into(), r#"{"Authorization": "Custom [redacted]", "a": 1}"#),
        (r#"{\"Authorization\": \"Bearer hunter2\"}"#.into(), r#"{\"Authorization\": \"Bearer [redacted]\"}"#),
        ("authorization=Basic hunter==".into(), "authorization=Basic [redacted]"),
        // Parameters, of which any may be the secret.
        (r#"Authorization: Token token="hunterpass""#.into(), "Authorization: Token [redacted]"),
        (r#"Authorization: Token token="hunterpass", nonce="def", a"#.into(), "Authorization: Token [redacted], a"),
        (r#"-H 'Authorization: Token token="hunterpass"' x"#.into(), "-H 'Authorization: Token [redacted]' x"),
        (r#"{"Authorization": "Token token=\"hunterpass\"", "a": 1}"#.into(), r#"{"Authorization": "Token [redacted]", "a": 1}"#),
        (
            r#"Authorization: Digest username="bob", realm="a b", nonce="n", uri="/x", qop=auth, nc=00000001, response="hunterpass""#.into(),
            "Authorization: Digest [redacted]",
        ),
        ("Authorization: Digest qop=auth, response=hunterpass".into(), "Authorization: Digest [redacted]"),
        (r#"Proxy-Authorization: Digest response="hunterpass"#.into(), "Proxy-Authorization: Digest [redacted]"),
        (r#"Authorization: OAuth oauth_consumer_key="k", oauth_token="hunterpass""#.into(), "Authorization: OAuth [redacted]"),
        (r#"Authorization: Snowflake Token="hunterpass" and more"#.into(), "Authorization: Snowflake [redacted] and more"),
        ("authorization=Token token=hunterpass, timeout=30".into(), "authorization=Token [redacted], timeout=30"),
        ("a: 'curl -H ''Authorization: Basic hunter='''".into(), "a: 'curl -H ''Authorization: Basic [redacted]'''"),
        (
            r#"{Authorization:"Basic hunter="}}).then("x")"#.into(),
            r#"{Authorization:"Basic [redacted]"}}).then("x")"#,
        ),
        (r#"Authorization: Digest opaque="a", x="", response="hunterpass""#.into(), "Authorization: Digest [redacted]"),
        (r#"Authorization: Digest realm="", nonce="n", response="hunterpass""#.into(), "Authorization: Digest [redacted]"),
        ("Authorization: Token token=\"hunterpass\nnext".into(), "Authorization: Token [redacted]\nnext"),
        (r#"Authorization: Token token="+hunter/pass""#.into(), "Authorization: Token [redacted]"),
        (r#"Authorization: Token token = "hunterpass""#.into(), "Authorization: Token [redacted]"),
        (r#"Authorization: Token token=".hunterpass""#.into(), "Authorization: Token [redacted]"),
        ("Authorization: Token token = hunterpass, x".into(), "Authorization: Token [redacted], x"),
        (r#"Authorization: Digest username="a" , response = hunterpass"#.into(), "Authorization: Digest [redacted]"),
        (r#"Authorization: Digest realm='', response="hunterpass""#.into(), "Authorization: Digest [redacted]"),
        (r#"Authorization: Digest realm=, response="hunterpass""#.into(), "Authorization: Digest [redacted]"),
        ("Authorization: OAuth oauth_token = hunterpass, a=b".into(), "Authorization: OAuth [redacted]"),
        (r#"Authorization: Digest nonce="n" response="hunterpass" x"#.into(), "Authorization: Digest [redacted] x"),
        // A quote before the scheme or the value.
        ("Authorization: Bearer \"hunterpass\" x".into(), "Authorization: Bearer \"[redacted]\" x"),
        ("Authorization: \"Bearer 'hunterpass'\"".into(), "Authorization: \"Bearer '[redacted]'\""),
        ("Authorization: “Bearer hunterpass”".into(), "Authorization: “Bearer [redacted]”"),
        ("Authorization: «Custom hunter2x»".into(), "Authorization: «Custom [redacted]»"),
        ("\"Authorization: \"\"Bearer hunterpass\"\"\"".into(), "\"Authorization: \"\"Bearer [redacted]\"\"\""),
        (r#"\\\"Authorization\\\": \\\"Bearer hunterpass\\\""#.into(), r#"\\\"Authorization\\\": \\\"Bearer [redacted]\\\""#),
        ("Authorization: Custom \"hunter2x\"".into(), "Authorization: Custom \"[redacted]\""),
        ("Authorization: Custom \"hunterpass\"".into(), "Authorization: [redacted] \"[redacted]\""),
        ("bearer \"hunter2hunter\"".into(), "bearer \"[redacted]\""),
        // An exclamation mark in the value.
        ("Authorization: Bearer hunter!pass x".into(), "Authorization: Bearer [redacted] x"),
        ("Authorization: Bearer hunter\\!pass x".into(), "Authorization: Bearer [redacted] x"),
        ("Authorization: hunter!pass x".into(), "Authorization: [redacted] x"),
        ("Authorization: Custom hunter!pass x".into(), "Authorization: [redacted] [redacted] x"),
        ("use bearer hunter2hunter!pass!word! now".into(), "use bearer [redacted]! now"),
        ("Authorization: hunterpass and more".into(), "Authorization: [redacted] and more"),
        ("Authorization: ApiKey-v1 hunter2hunter2".into(), "Authorization: ApiKey-v1 [redacted]"),
        ("postgres://bob:p@hunter2@db/x".into(), "postgres://bob:[redacted]@db/x"),
        (
            "'postgres://bob:p@h@hunter2@db:5432/x' me@example.com".into(),
            "'postgres://bob:[redacted]@db:5432/x' me@example.com",
        ),
        ("mysql://me@example.com:hunter2@db/x".into(), "mysql://me@example.com:[redacted]@db/x"),
        ("redis://:p@hunter2@db".into(), "redis://:[redacted]@db"),
    ] {
        assert_eq!(redactor.redact(&text), left);
    }
    let (id, secret) = (format!("AKIA{}", "AB3DE6GH9JK2MN5P"), "aB3dE6gH9/K2mN5pQ+sT".repeat(2));
    for gap in [" ", ",", "\t", "\n", "\r\n", ", ", "\",\"", "\\n", ":", " | "] {
        let out = redactor.redact(&format!("x {id}{gap}{secret} y")).into_owned();
        assert_eq!(out, format!("x [redacted]{gap}[redacted] y"));
    }
    // A commit, a longer text, or a word.
    let (commit, long) = ("0123456789abcdef0123456789abcdef01234567", "aB3d".repeat(20));
    for after in [commit, &long, "is the key of the account"] {
        assert_eq!(redactor.redact(&format!("x {id} {after}")), format!("x [redacted] {after}"));
    }
    for text in [
        "Authorization: required for every call",
        "the header `Authorization: Bearer` is missing",
        "the authorization: see https://example.com",
        "Authorization: $SCHEME $TOKEN",
        "\"Authorization\": \"Bearer \" + token,",
        "\"Authorization\": \"Bearer \"+$token,",
        "Authorization: Bearer \"${token}\"",
        "Authorization: Token token=\"${TOKEN}\"",
        "Authorization: Token token=\"<your token>\", nonce=\"$N\"",
        "{\"Authorization\": \"Token token=\"+token+\"\"}",
        "Authorization: ''+token",
        "(\"Authorization: Bearer \"))).x()",
        "http://example.com:8080/a@b/c@d",
        "see https://example.com and write to me@example.com",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
}

#[test]
fn a_field_is_named_a_secret_in_other_languages_too() {
    for (name, is_secret) in [
        ("db_password", true),
        ("Passwort", true),
        ("contraseña", true),
        ("senha", true),
        ("用户密码", true),
        ("Пароль", true),
        ("resenha", false),
        ("passwort_len", false),
        ("", false),
    ] {
        assert_eq!(redactor().is_secret_name(name), is_secret, "{name}");
    }
}

#[test]
fn each_line_of_a_token_is_joined_once() {
    let text = "AKIAkey1\n".repeat(2000);
    let mut joins = Vec::new();
    for (mark, _) in text.match_indices("AKIA") {
        seen::collect_line_joins(&text, mark, &mut joins);
    }
    assert_eq!(joins.len(), 1999);
    assert!(joins.is_sorted());
}

#[test]
fn code_and_prose_about_secrets_stay() {
    let redactor = redactor();
    for text in [
        "fn login(password: &str, token: Option<String>) -> bool",
        "let token = self.tokens.next();",
        "password: String,",
        "password: LPWSTR, user: PCWSTR, secret: LPVOID,",
        "token: __u64, key: uint8_t; type Token = u8>; secret: usize,",
        "--- PASS: TestLogin1 (0.00s)\nPASS: test_2\n# pass 120, pass: 120, pass: 98%",
        "a two-pass compiler1; the per-token cost is 12; multi-pass mode2",
        "const FLAGS_PASS: u32 = 2; StripTokens::Shebang1",
        "bypass: true1, compass = north2, bypass=all3",
        "token || other1; return password || null; $PASSWORD || exit1",
        "set env API_KEY before running; #define TOKEN other",
        "f(\"token\", \"name\"); [\"password\", \"user1\"]",
        "name: token\nvalue: next",
        "TOKEN=$(cat file) PASSWORD=\"$X\"",
        "echo done | tee log1",
        "path: /usr/bin1, PATH=/usr/bin1",
        "token: string;",
        "docker run -u 1000:1000 -p 8080:80 --name mysql -p3306:3306 mysql",
        "find / -name mysql -print; mysql -p db; mysql && mkdir -parents x",
        "it is guaranteed to pass :>\n        assert_ne!(a.hasher().seed1, b.hasher().seed2);",
        "secret:\n  name: db-1\ntoken:\n  - first1\npassword:\n  required",
        "snmpd -c /etc/snmp/snmpd.conf; snmpwalk -c public host; curl -b cookies1.txt https://x; curl -b $JAR https://x",
        "see https://example.com:8080/users/@me1 and http://localhost:8080/a@b, https://registry.example.com/@scope/name2",
        "2001:5432:db8:abcd:1234 and 127.0.0.1:5432:5432",
        "<input type=\"password\" placeholder=\"x1\"> <input type=\"text\" value=\"abc123\">",
        "<input type=\"password\" value=\"Enter your password\"> <input name=\"token\" value=\"{{ token1 }}\">",
        "the wifi key is printed below it; a network key is required",
        "TOTP codes are valid for 30 seconds; the OTP secret is required; 2FA: authentication required",
        "t o k e n s and k e y s; p a s s e n g e r",
        "le mot de passe est obligatoire; das Passwort ist geheim; la contraseña es obligatoria",
        "phc_project, phx_, co_author and co_maintainers_of_the_whole_project_2024_and_later",
        "the passphrase is \"required for this key\"",
        "docker login --password-stdin < file; docker login -p $TOKEN -u me",
        "docker compose -p project up; redis-cli -h a --scan",
        "curl -u $USER:$PASSWORD https://x; curl -U me https://x",
        "ssh://some-long-name-of-a-user-2024@example.com/it.git",
        "https://a.rather.long.name%40example.com@example.com/it.git",
        "aws configure set region eu-west-1; git config set token value",
        "ALTER USER me WITH PASSWORD NULL; the password 'string' is one; IDENTIFIED BY $1",
        "<password></password><password>${db.password}</password><token>Next</token><key>a/b1.txt</key>",
        "<p>A password</p> is <b>not</b> <Token>an element</Token>",
        "redis-cli get a; a -a b; sshpass -f file ssh x; sshpass -e ssh -p 2222 x"
            .split("; sshpass -e")
            .next()
            .unwrap(),
        "openssl rsa -passin env:PASSWORD -passout file:x1.txt; -passin pass:$PASSWORD",
        "The password is hashed. The token is expired! The secret is base64-encoded and a token is 32-byte",
        "if token is not None and the password is sha256-hashed",
        "the token is 86400s; the api key is OPENAI_API_KEY_2, the password is at https://example.com/a1b2c3d4",
        "the token is me2345@example.com",
        "Passwort: bitte eingeben. Mot de passe : obligatoire. Contraseña: requerida",
        "密码：请输入密码 and パスワード: 必須 and пароль: неверный",
        "resenha: abc123 e desenha: abc123",
        "max_tokens: 4096, tokens: 15",
        "echo $PASSWORD; TOKEN=$OTHER; KEY=${KEY}",
        "the token: it was expired",
        "How do I rotate an API key or a password?",
        "http://localhost:8080/path and git@github.com:me/it.git",
        "https://example.com:443/a@b",
        "sk-learn and task-force are fine, so is a key-value store in us-east",
        "abc",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
}

#[test]
fn a_rule_of_another_scanner_says_what_it_found() {
    let (duffel, ico) = (format!("duffel_live_{}", "aB3dE6gH9jK".repeat(4)), format!("ico-{}", "aB3dE6gH".repeat(4)));
    let duffel = &duffel[..12 + 43];
    let said = "[redacted: duffel-api-token]";
    for (text, left) in [
        (format!("see {duffel} there"), format!("see {said} there")),
        (format!("token={duffel}"), format!("token={said}")),
        // Each has its own name, whatever is taken out before it.
        (
            format!("password=hunter2\n\nsee {duffel} there\n\npassword=hunter2\n\nand {ico}"),
            format!(
                "password=[redacted]\n\nsee {said} there\n\npassword=[redacted]\n\n\
                 and [redacted: infracost-api-token]"
            ),
        ),
    ] {
        let once = redactor().redact(&text).into_owned();
        assert_eq!(once, left);
        // It stays as it is, also beside what comes later.
        assert_eq!(redactor().redact(&once), once);
        let more = redactor().redact(&format!("password=hunter2\n\n{once}")).into_owned();
        assert_eq!(more, format!("password=[redacted]\n\n{once}"));
    }
    // Names that no rule has are words like others.
    for text in ["[redacted: ", "[redacted: ]", "[redacted: nothing]", "see [redacted: ä"] {
        assert_eq!(redactor().redact(text), text);
    }
    let mut ids: Vec<&str> = IMPORTED_RULES.iter().map(|rule| rule.id).collect();
    let is_name =
        |id: &&str| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    assert!(ids.iter().all(is_name), "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), IMPORTED_RULES.len());
}

#[test]
fn a_token_ends_with_its_line_unless_it_goes_on() {
    let token = format!("ghp_{}", "aB3dE6gH9jK2mN5pQ8sT".repeat(2));
    for (text, left) in [
        (format!("{token}\nexport it"), "[redacted]\nexport it"),
        (format!("{token}\n\nnext"), "[redacted]\n\nnext"),
        (format!("{}\n{} x", &token[..24], &token[24..]), "[redacted] x"),
    ] {
        assert_eq!(redactor().redact(&text), left);
    }
}

#[test]
fn what_looks_random_is_taken_out_unless_its_form_is_harmless() {
    let strict = Redactor::new(&[]).unwrap().strict(true);
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    for (text, left, left_strictly) in [
        ("see qX7vB2nM9kLp4RtvB2nM9kLp4Rt there", "see [redacted] there", "see [redacted] there"),
        ("see hooks.example.com/in/qX7vB2nM9kLp4RtvB2nM9kLp4Rt", "see hooks.example.com/in/[redacted]", ""),
        ("commit 0f1a6b7c8d9eafb0c1d2e3f405162738495a6b7c", "", "commit [redacted]"),
        ("request 5f0c9a1e-7b2d-4c3f-8e6a-1d9b0c7e2f48", "", "request [redacted]"),
        ("token 5f0c9a1e-7b2d-4c3f-8e6a-1d9b0c7e2f48", "token [redacted]", "token [redacted]"),
        (&format!("sha256:{digest}"), "", "sha256:[redacted]"),
        ("AAAAC3NzaC1lZDI1NTE5AAAAIGq7vB2nM9kLp4RtXx8Zc1Yw3Ue5Io7Pa9Sd1Fg3Hj5K", "", "[redacted]"),
        ("a_rather_long_name_of_a_function_2026 and src/redact/mod.rs:120", "", ""),
        ("https://example.com/docs/getting-started/quickstart/part-2", "", ""),
        ("https://godbolt.org/z/bhd3vvEfh and _RMs2_NvCs4fqI2P2rA04_4core", "", ""),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "", ""),
        ("sk-... and your-api-key-here and XXXXXXXXXXXXXXXXXXXXXXXX", "", ""),
        ("pk_live_51Hq7vB2nM9kLp4RtXx8Zc1Yw3", "", "pk_live_[redacted]"),
        ("mode: same-origin, 0x6a09e667f3bcc908", "", ""),
    ] {
        let expect = |left: &str| if left.is_empty() { text.to_owned() } else { left.to_owned() };
        assert_eq!(redactor().redact(text), expect(left));
        if !left_strictly.is_empty() {
            assert_eq!(strict.redact(text), left_strictly);
        }
    }
}

#[test]
fn what_a_token_is_the_code_of_is_looked_into() {
    let hex: String = "mysql -u root -phunter2 db".bytes().map(|byte| format!("{byte:02x}")).collect();
    for text in [hex.as_str(), "data:text/plain;base64,cGFzc3dvcmQ9aHVudGVyMg=="] {
        let text = format!("see {text} there");
        assert!(redactor().redact(&text).contains(REDACTED), "{text}");
    }
    let harmless: String = "a text of some words".bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(redactor().redact(&harmless), harmless);
    // A code in a code in a code, as deep as a text can have it.
    let mut deep = "password=hunter2".to_owned();
    while deep.len() < MAX_SCANNED_BYTES / 2 {
        deep = deep.bytes().map(|byte| format!("{byte:02x}")).collect();
    }
    assert_eq!(redactor().redact(&deep), REDACTED);
}

#[test]
fn a_phrase_of_a_wallet_needs_no_name() {
    let words = "coin elephant shield vital minor kite tiny nephew pretty top glory swallow";
    let lines: String =
        words.split(' ').enumerate().map(|(number, word)| format!("{}. {word}\n", number + 1)).collect();
    for text in [
        words.to_owned(),
        words.replace(' ', ", "),
        words.to_uppercase(),
        format!("{:?}", words.split(' ').collect::<Vec<_>>()),
    ] {
        let out = redactor().redact(&format!("it was {text}, I think")).into_owned();
        assert!(!out.to_lowercase().contains("kite"), "{out}");
    }
    assert_eq!(redactor().redact(&lines), "1. [redacted]\n");
    let prose = "the minor kite is tiny, and a pretty nephew had to swallow the glory of an elephant at the top of it";
    assert_eq!(redactor().redact(prose), prose);
    let eleven = words.rsplit_once(' ').unwrap().0;
    assert_eq!(redactor().redact(eleven), eleven);
}

#[test]
fn a_password_is_known_by_its_place() {
    for text in [
        r#"DriverManager.getConnection("jdbc:x", "ann", "bluefish")"#,
        r#"smtp.login("ann@x.example", "bluefish")"#,
        r#"HTTPBasicAuth("ann", "bluefish")"#,
        r#"redis.auth("bluefish")"#,
        r#"bcrypt.hash("bluefish", 10)"#,
        "ldap_bind($c, \"cn=a\", \"bluefish\")",
        "<key>DBPassword</key>\n<string>bluefish</string>",
        "<name>password</name><value>bluefish</value>",
        "<Pass>bluefish</Pass>",
        r#"<add name="password" value="bluefish"/>"#,
        r#"[{"Name": "admin_password", "Type": "String", "Value": "bluefish"}]"#,
        r#"{"password": {"value": "bluefish"}}"#,
        r#"{"body": "{\"passwords\": [\"a1\", \"bluefish\"]}"}"#,
        &["passwords: ", &" ".repeat(250), "[\"a1\", \"bluefish\"]"].concat(),
        "name,password,url\nann,bluefish,https://x.example\n",
        "\"user\";\"passwd\";\"note\"\n\"ann\";\"bluefish\";\"first\"\n",
        "- name: DB_PASSWORD\n  value: bluefish\n",
        "psexec \\\\h -u ann -p bluefish cmd",
        "net use z: \\\\h\\s bluefish /user:ann",
        "expdp system/bluefish@orcl",
        "foo://ann:bluefish@h.example:1234/x",
    ] {
        let out = redactor().redact(text);
        assert!(!out.contains("bluefish"), "{out}");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered_and_a_second_pass_changes_nothing(text in "(?s).{0,200}", words in "[a-z=:\"'@/ \\-_.]{0,80}(password|token|://|sk-|curl -u |mysql -p|docker login -p |PASSWORD '|<token>|the password is |Passwort: |密码：|authorization: )[a-z=:\"'@/ 0-9]{0,40}") {
        let redactor = redactor();
        for text in [text, words] {
            let once = redactor.redact(&text).into_owned();
            prop_assert_eq!(redactor.redact(&once).into_owned(), once);
        }
    }

    #[test]
    fn a_second_pass_changes_nothing_of_what_is_mixed(
        parts in prop::collection::vec(prop_oneof![
            "(password|passwd|api_key|secret|token|user|login|key|Authorization: Bearer|the password is|PIN|curl -u|mysql -p|--token)",
            "( |=|: |:|\"|'|\n|,|&|@|://|/|; |\\{|\\}|\\[|\": \"|%3D|\\\\\"|https://|postgres://)",
            "[A-Za-z0-9+/=_-]{6,44}",
            "[A-Za-z0-9!$%*#]{6,16}",
            "[a-z]{2,9}",
            "[0-9a-f]{16,40}",
        ], 2..14),
    ) {
        let redactor = redactor();
        let once = redactor.redact(&parts.concat()).into_owned();
        prop_assert_eq!(redactor.redact(&once).into_owned(), once, "{}", parts.concat());
    }

    #[test]
    fn a_token_is_found_in_any_surroundings(
        before in "[^A-Za-z0-9_~.%/=+-]{0,20}",
        after in "[^A-Za-z0-9_~.%/=+-]{0,20}",
        which in any::<prop::sample::Index>(),
    ) {
        let examples = examples();
        let (service, token) = which.get(&examples);
        let text = format!("{before} {token} {after}");
        let out = redactor().redact(&text).into_owned();
        let middle = &token[token.len() / 2 - 4..token.len() / 2 + 4];
        prop_assert!(!out.contains(middle), "{service}: {text} -> {out}");
    }
}

/// For each of these, the whole rest of the text was looked through: three minutes for one text.
#[test]
fn a_long_text_of_first_and_last_lines_of_keys_takes_time_by_its_length() {
    let redactor = Redactor::new(&[]).unwrap();
    let start = std::time::Instant::now();
    for mark in ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----\n", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC,"] {
        redactor.redact(&mark.repeat(MAX_SCANNED_BYTES / mark.len()));
        assert!(start.elapsed() < std::time::Duration::from_secs(40), "{mark}: {:?}", start.elapsed());
    }
    // A key is still one, wherever other lines stand.
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let key = format!("-----BEGIN PRIVATE KEY-----\n{body}\n{body}\n");
    let text = format!("{key}and\n{key}-----END PRIVATE KEY-----\nthen -----END PRIVATE KEY----- and {body}");
    let redacted = redactor.redact(&text);
    assert!(!redacted.contains("MIIEvQ"), "{redacted}");
}

/// Marks without an end between them once took time by the square of their number: minutes for one message.
#[test]
fn a_text_of_nothing_but_marks_takes_no_time() {
    let redactor = Redactor::new(&[]).unwrap();
    let start = std::time::Instant::now();
    let marks: Vec<String> = serde_json::from_str(include_str!("../../benches/marks.json")).unwrap();
    for mark in marks {
        redactor.redact(&mark.repeat((64 << 10) / mark.len()));
        assert!(start.elapsed() < std::time::Duration::from_secs(120), "{mark}");
    }
}
