//! Tokens of every service, and what only looks like one.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::rules::RULES;
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
    vec![
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
            assert!(!out.contains(middle) && out.contains(REDACTED), "{service}: {text} -> {out}");
        }
        let out = redactor.redact(&format!("before {token} after")).into_owned();
        assert!(out.starts_with("before ") && out.ends_with(" after"), "{service}: {out}");
    }
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
        "machine x login me password hunter2",
        "vault-canary-é&1 hunter2=vault-canary-é&1",
    ] {
        let out = redactor().redact(text).into_owned();
        let is_clean = if text.starts_with("vault") { !out.contains("canary") } else { !out.contains("hunter2") };
        assert!(is_clean && out.contains(REDACTED), "{text} -> {out}");
    }
    let redactor = redactor();
    assert_eq!(redactor.redact("a ?q=vault-canary-%C3%A9%261 b"), "a ?q=[redacted] b");
    let key = format!("x -----BEGIN RSA {0} KEY-----\nMIIEow\nabc=\n-----END RSA {0} KEY----- y", "PRIVATE");
    assert_eq!(redactor.redact(&key), "x [redacted] y");
    let torn = format!("x -----BEGIN OPENSSH {} KEY-----\\nb3BlbnNz\\nabc", "PRIVATE");
    assert_eq!(redactor.redact(&torn), "x [redacted]");
}

#[test]
fn code_and_prose_about_secrets_stay() {
    let redactor = redactor();
    for text in [
        "fn login(password: &str, token: Option<String>) -> bool",
        "let token = self.tokens.next();",
        "password: String,",
        "token: string;",
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

proptest! {
    #[test]
    fn any_text_is_answered_and_a_second_pass_changes_nothing(text in "(?s).{0,200}", words in "[a-z=:\"'@/ \\-_.]{0,80}(password|token|://|sk-)[a-z=:\"'@/ 0-9]{0,40}") {
        let redactor = redactor();
        for text in [text, words] {
            let once = redactor.redact(&text).into_owned();
            prop_assert_eq!(redactor.redact(&once).into_owned(), once);
        }
    }

    #[test]
    fn a_token_is_found_in_any_surroundings(
        before in "[^A-Za-z0-9_~.%/=+-]{0,20}",
        after in "[^A-Za-z0-9_~.%/=+-]{0,20}",
        which in 0_usize..60,
    ) {
        let (service, token) = &examples()[which];
        let text = format!("{before} {token} {after}");
        let out = redactor().redact(&text).into_owned();
        let middle = &token[token.len() / 2 - 4..token.len() / 2 + 4];
        prop_assert!(!out.contains(middle), "{service}: {text} -> {out}");
    }
}
