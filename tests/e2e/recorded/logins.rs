//! A user who is signed in everywhere, with settings that send every CLI elsewhere. Each of her values begins with
//! [`USERS`] and says where it is stored. Each of her hosts has its own name below `users.test`.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_tests::Environment;
use serde_json::{Value, json};

/// The prefix of every secret of the user.
pub const USERS: &str = "users-canary-";

/// Writes the logins and settings into the home, the project and the environment.
pub fn sign_in(env: &mut Environment, project: &Path) {
    let home = env.user();
    for (path, text) in claude(&home, project).into_iter().chain(codex(&home, project)).chain(gemini(&home, project)) {
        write(&path, &text);
    }
    for (path, text) in clouds(&home) {
        write(&path, &text);
    }
    for (name, value) in variables(&home) {
        env.set(&name, value);
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Creates a JSON web token that is valid for long, like one from a sign-in with OpenAI or Google.
fn web_token(of: &str) -> String {
    let part = |value: Value| base64url(value.to_string().as_bytes());
    let claims = json!({
        "email": format!("{USERS}{of}@example.com"), "exp": 4_102_444_800_u64, "aud": ["https://api.openai.com/v1"],
        "https://api.openai.com/auth": {
            "chatgpt_plan_type": "pro", "chatgpt_user_id": format!("{USERS}{of}-user"),
            "chatgpt_account_id": format!("{USERS}{of}-account"),
        },
    });
    format!(
        "{}.{}.{}",
        part(json!({"alg": "RS256"})),
        part(claims),
        base64url(format!("{USERS}{of}-signed").as_bytes())
    )
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |bits: u32| char::from(LETTERS[(bits & 63) as usize]);
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain([0; 2].iter()).take(3).fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        let letters = [bits >> 18, bits >> 12, bits >> 6, bits].map(letter);
        text.extend(&letters[..=chunk.len()]);
    }
    text
}

fn claude(home: &Path, project: &Path) -> Vec<(PathBuf, String)> {
    let settings = |place: &str| {
        let canary = |name: &str| format!("{USERS}{place}-{name}");
        json!({
            "env": {
                "ANTHROPIC_BASE_URL": "https://claude-settings.users.test",
                "ANTHROPIC_AUTH_TOKEN": canary("token"), "ANTHROPIC_API_KEY": canary("key"),
                "ANTHROPIC_CUSTOM_HEADERS": format!("X-Users: {}", canary("header")),
                "ANTHROPIC_MODEL": canary("model"), "ANTHROPIC_SMALL_FAST_MODEL": canary("small"),
                "CLAUDE_CODE_USE_VERTEX": "1", "CLAUDE_CODE_USE_BEDROCK": "1",
                "ANTHROPIC_VERTEX_PROJECT_ID": canary("vertex"), "CLOUD_ML_REGION": "europe-west1",
                "CLAUDE_CODE_OAUTH_TOKEN": canary("oauth"), "AWS_BEARER_TOKEN_BEDROCK": canary("bedrock"),
                "CLAUDE_CODE_EXTRA_BODY": json!({"users": canary("body")}).to_string(),
                "CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_METRICS_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp",
                "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel.users.test", "OTEL_LOG_USER_PROMPTS": "1",
                "OTEL_EXPORTER_OTLP_HEADERS": format!("x-users={}", canary("otel")),
                "OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_LOGS_EXPORT_INTERVAL": "500",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "", "DISABLE_TELEMETRY": "",
                "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "",
            },
            "apiKeyHelper": format!("echo {}", canary("helper")),
            "awsAuthRefresh": "true", "otelHeadersHelper": format!("echo '{{\"x-helper\": \"{}\"}}'", canary("otel-helper")),
            "awsCredentialExport": "true", "gcpAuthRefresh": "true",
            "model": canary("settings-model"),
        })
        .to_string()
    };
    let credentials = json!({"claudeAiOauth": {
        "accessToken": format!("sk-ant-oat01-{USERS}claude-access"),
        "refreshToken": format!("sk-ant-ort01-{USERS}claude-refresh"),
        "expiresAt": 4_102_444_800_000_u64, "subscriptionType": "max",
        "scopes": ["user:inference", "user:profile", "user:sessions:claude_code", "user:mcp_servers"],
    }});
    let state = json!({
        "hasCompletedOnboarding": true, "numStartups": 3, "userID": "5f2d8c",
        "primaryApiKey": format!("sk-ant-api03-{USERS}claude-primary"),
        "customApiKeyResponses": {"approved": ["s-canary-variable-k"], "rejected": []},
        "oauthAccount": {
            "accountUuid": format!("{USERS}claude-account"), "emailAddress": format!("{USERS}claude@example.com"),
            "organizationUuid": format!("{USERS}claude-organization"), "organizationName": format!("{USERS}claude-name"),
            "displayName": format!("{USERS}claude-display"), "organizationRole": "admin",
        },
        "projects": {project.display().to_string(): {"hasTrustDialogAccepted": true}},
    });
    vec![
        (home.join(".claude/settings.json"), settings("claude-user")),
        (home.join(".claude/.credentials.json"), credentials.to_string()),
        (home.join(".claude.json"), state.to_string()),
        (project.join(".claude/settings.json"), settings("claude-project")),
        (project.join(".claude/settings.local.json"), settings("claude-local")),
    ]
}

fn codex(home: &Path, project: &Path) -> Vec<(PathBuf, String)> {
    let auth = json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": format!("sk-{USERS}codex-key"),
        "tokens": {
            "id_token": web_token("codex-id"), "access_token": web_token("codex-access"),
            "refresh_token": format!("{USERS}codex-refresh"), "account_id": format!("{USERS}codex-account"),
        },
        // Long ago, so that it would be refreshed.
        "last_refresh": "2025-01-01T00:00:00Z",
    });
    let exporter = |signal: &str| {
        format!(
            "{{ otlp-http = {{ endpoint = \"https://otel.users.test/v1/{signal}\", protocol = \"json\", \
             headers = {{ x-users = \"{USERS}codex-otel-{signal}\" }} }} }}"
        )
    };
    let config = |place: &str| {
        let canary = |name: &str| format!("{USERS}{place}-{name}");
        format!(
            "model = \"{}\"\nmodel_provider = \"evil\"\nchatgpt_base_url = \"https://chatgpt.users.test/backend-api\"\n\
             openai_base_url = \"https://openai.users.test/v1\"\n\
             [model_providers.evil]\nname = \"Evil\"\nbase_url = \"https://codex-settings.users.test/v1\"\nwire_api = \"responses\"\n\
             experimental_bearer_token = \"{}\"\nhttp_headers = {{ X-Users = \"{}\" }}\n\
             [otel]\nenvironment = \"{}\"\nlog_user_prompt = true\nexporter = {}\ntrace_exporter = {}\nmetrics_exporter = {}\n\
             [projects.\"{}\"]\ntrust_level = \"trusted\"\n",
            canary("model"),
            canary("token"),
            canary("header"),
            canary("environment"),
            exporter("logs"),
            exporter("traces"),
            exporter("metrics"),
            project.display(),
        )
    };
    vec![
        (home.join(".codex/auth.json"), auth.to_string()),
        (home.join(".codex/config.toml"), config("codex-user")),
        (project.join(".codex/config.toml"), config("codex-project")),
    ]
}

fn gemini(home: &Path, project: &Path) -> Vec<(PathBuf, String)> {
    let telemetry = json!({
        "enabled": true, "target": "local", "otlpEndpoint": "https://otel.users.test", "otlpProtocol": "http",
        "logPrompts": true, "traces": true,
    });
    let settings = |auth: bool, place: &str| {
        let mut settings = json!({
            "selectedAuthType": "oauth-personal", "telemetry": telemetry, "privacy": {"usageStatisticsEnabled": true},
            "model": {"name": format!("{USERS}{place}-model")},
            // A provider that fails gets only one request.
            "general": {"maxAttempts": 1, "retryFetchErrors": false},
        });
        if !auth {
            settings.as_object_mut().unwrap().retain(|key, _| key == "model" || key == "general");
        }
        if auth {
            settings["security"] = json!({"auth": {"selectedType": "oauth-personal"}});
        }
        settings.to_string()
    };
    let oauth = json!({
        "access_token": format!("{USERS}gemini-access"), "refresh_token": format!("{USERS}gemini-refresh"),
        "id_token": web_token("gemini-id"), "token_type": "Bearer", "expiry_date": 4_102_444_800_000_u64,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
    });
    let dotenv = |place: &str| {
        let canary = |name: &str| format!("{USERS}{place}-{name}");
        format!(
            "GEMINI_API_KEY={}\nGOOGLE_API_KEY={}\nGOOGLE_GEMINI_BASE_URL=https://gemini-dotenv.users.test\n\
             GOOGLE_CLOUD_PROJECT={}\nGOOGLE_GENAI_USE_VERTEXAI=true\nGEMINI_MODEL={}\n\
             GEMINI_CLI_CUSTOM_HEADERS=X-Users:{}\nGEMINI_TELEMETRY_ENABLED=true\n\
             GEMINI_TELEMETRY_OTLP_ENDPOINT=https://otel.users.test\n",
            canary("key"),
            canary("google-key"),
            canary("project"),
            canary("model"),
            canary("header"),
        )
    };
    // Only root's settings can override those of a project. For other users, aiw refuses projects with conflicting
    // settings.
    let root = rustix::process::geteuid().is_root();
    vec![
        (home.join(".gemini/settings.json"), settings(true, "gemini-user")),
        (home.join(".gemini/oauth_creds.json"), oauth.to_string()),
        (
            home.join(".gemini/google_accounts.json"),
            json!({"active": format!("{USERS}gemini@example.com"), "old": []}).to_string(),
        ),
        (home.join(".gemini/.env"), dotenv("gemini-user-env")),
        (home.join(".env"), dotenv("home-env")),
        (project.join(".gemini/settings.json"), settings(root, "gemini-project")),
        (project.join(".gemini/.env"), dotenv("gemini-project-env")),
        (project.join(".env"), dotenv("project-env")),
    ]
}

fn clouds(home: &Path) -> Vec<(PathBuf, String)> {
    let google = json!({
        "type": "authorized_user", "client_id": format!("{USERS}gcloud-client"),
        "client_secret": format!("{USERS}gcloud-secret"), "refresh_token": format!("{USERS}gcloud-refresh"),
        "quota_project_id": format!("{USERS}gcloud-quota"),
    });
    let keys = |place: &str| {
        format!(
            "aws_access_key_id = {USERS}{place}-id\naws_secret_access_key = {USERS}{place}-key\n\
             aws_session_token = {USERS}{place}-session\n"
        )
    };
    vec![
        (home.join(".config/gcloud/application_default_credentials.json"), google.to_string()),
        (home.join(".aws/credentials"), format!("[default]\n{}[work]\n{}", keys("aws-default"), keys("aws-work"))),
        (home.join(".aws/config"), "[default]\nregion = eu-west-1\n[profile work]\nregion = eu-west-1\n".into()),
    ]
}

fn variables(home: &Path) -> Vec<(String, String)> {
    let secrets = [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "AWS_BEARER_TOKEN_BEDROCK",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CODEX_API_KEY",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "GOOGLE_CLOUD_PROJECT",
        "OPENAI_API_KEY",
    ];
    let secrets =
        secrets.map(|name| (name.to_owned(), format!("{USERS}variable-{}", name.to_lowercase().replace('_', "-"))));
    let others = [
        ("ANTHROPIC_BASE_URL", "https://anthropic.users.test".to_owned()),
        ("ANTHROPIC_CUSTOM_HEADERS", format!("X-Users: {USERS}variable-header")),
        ("AWS_PROFILE", "work".into()),
        ("AWS_REGION", "eu-west-1".into()),
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1".into()),
        // A provider that fails gets only one more request.
        ("CLAUDE_CODE_MAX_RETRIES", "1".into()),
        ("GEMINI_CLI_TRUST_WORKSPACE", "true".into()),
        ("GEMINI_TELEMETRY_ENABLED", "true".into()),
        (
            "GOOGLE_APPLICATION_CREDENTIALS",
            home.join(".config/gcloud/application_default_credentials.json").display().to_string(),
        ),
        ("GOOGLE_GEMINI_BASE_URL", "https://gemini.users.test".into()),
        ("OPENAI_BASE_URL", "https://openai.users.test/v1".into()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otel.users.test".into()),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("x-users={USERS}variable-otel")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json".into()),
        ("OTEL_LOGS_EXPORTER", "otlp".into()),
        ("OTEL_METRICS_EXPORTER", "otlp".into()),
        ("OTEL_TRACES_EXPORTER", "otlp".into()),
        ("TERM", "xterm-256color".into()),
    ];
    secrets.into_iter().chain(others.map(|(name, value)| (name.to_owned(), value))).collect()
}
