//! The forms of secrets, each as its service documents it.

/// The tokens of one service.
pub(super) struct Rule {
    /// The service.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is there for the reader"))]
    pub(super) service: &'static str,
    /// Every match begins with one of these, in this case (but see `is_within`). They are looked for first, all at once.
    pub(super) marks: &'static [&'static str],
    /// The token.
    pub(super) pattern: &'static str,
    /// Where the form is documented.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is there for the reader"))]
    pub(super) source: &'static str,
    /// Only what has small and large letters and digits: the form alone could be that of a word.
    pub(super) is_mixed: bool,
    /// The marks stand somewhere in a match, and not at its beginning.
    pub(super) is_infix: bool,
}

impl Rule {
    const fn within(mut self) -> Self {
        self.is_infix = true;
        self
    }

    const fn mixed(mut self) -> Self {
        self.is_mixed = true;
        self
    }
}

const fn rule(
    service: &'static str,
    marks: &'static [&'static str],
    pattern: &'static str,
    source: &'static str,
) -> Rule {
    Rule { service, marks, pattern, source, is_mixed: false, is_infix: false }
}

/// Minimum lengths are shorter than what is issued today: one secret too many is hidden rather than one too few.
pub(super) const RULES: [Rule; 109] = [
    rule(
        "AWS signed URL",
        &["X-Amz-S"],
        r"X-Amz-(?:Signature|Security-Token)=[\w%/+=-]{16,}",
        "docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html",
    ),
    rule(
        "Amazon Bedrock",
        &["ABSK"],
        r"\bABSK[A-Za-z0-9+/=]{40,}",
        "docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html",
    ),
    rule("Cerebras", &["csk-"], r"\bcsk-[a-z0-9]{30,}", "inference-docs.cerebras.ai/quickstart"),
    rule("Fireworks", &["fw_"], r"\bfw_[A-Za-z0-9]{20,}", "docs.fireworks.ai/getting-started/quickstart").mixed(),
    rule(
        "LangSmith",
        &["lsv2_"],
        r"\blsv2_[a-z]{2}_[0-9a-f]{30,}(?:_[0-9a-f]+)?",
        "docs.smith.langchain.com/administration/how_to_guides/organization_management/create_account_api_key",
    ),
    rule("Tavily", &["tvly-"], r"\btvly-[\w-]{20,}", "docs.tavily.com/documentation/api-reference/introduction"),
    rule("Jina", &["jina_"], r"\bjina_[A-Za-z0-9_-]{40,}", "docs.jina.ai"),
    rule("NVIDIA", &["nvapi-"], r"\bnvapi-[\w-]{40,}", "docs.api.nvidia.com"),
    rule("E2B", &["e2b_"], r"\be2b_[0-9a-f]{30,}", "e2b.dev/docs/api-key"),
    rule("Firecrawl", &["fc-"], r"\bfc-[0-9a-f]{32}\b", "docs.firecrawl.dev/introduction"),
    rule("Pinecone", &["pcsk_"], r"\bpcsk_\w{30,}", "docs.pinecone.io/guides/projects/manage-api-keys"),
    rule("Apify", &["apify_api_"], r"\bapify_api_\w{20,}", "docs.apify.com/platform/integrations/api"),
    rule("PostHog", &["phx_", "phc_"], r"\bph[cx]_[A-Za-z0-9]{30,}", "posthog.com/docs/api"),
    rule(
        "Vercel Blob",
        &["vercel_blob_rw_"],
        r"\bvercel_blob_rw_[A-Za-z0-9_]{20,}",
        "vercel.com/docs/vercel-blob/using-blob-sdk",
    ),
    // Its keys have no form. This one is of those that bear its name.
    rule("Cohere", &["co_"], r"\bco_[A-Za-z0-9]{36,}", "docs.cohere.com/docs/rate-limits").mixed(),
    rule("Render", &["rnd_"], r"\brnd_[A-Za-z0-9]{20,}", "render.com/docs/api").mixed(),
    rule("Neon", &["napi_"], r"\bnapi_[a-z0-9]{40,}", "neon.com/docs/manage/api-keys"),
    rule(
        "JFrog",
        &["AKCp", "cmVmdGtu"],
        r"\b(?:AKCp|cmVmdGtu)[A-Za-z0-9]{30,}",
        "jfrog.com/help/r/jfrog-platform-administration-documentation/access-tokens",
    ),
    rule("ElevenLabs", &["sk_"], r"\bsk_[0-9a-f]{48}\b", "elevenlabs.io/docs/api-reference/authentication"),
    rule("Adafruit", &["aio_"], r"\baio_[A-Za-z0-9]{26,}", "io.adafruit.com/api/docs").mixed(),
    rule("Flutterwave", &["FLWSECK"], r"\bFLWSECK[-_][\w-]{20,}", "developer.flutterwave.com/docs/authentication"),
    rule("Anthropic", &["sk-ant-"], r"sk-ant-[\w-]{8,}", "docs.anthropic.com/en/api/admin-api"),
    rule("OpenAI", &["sk-"], r"\bsk-[A-Za-z0-9][\w-]{15,}", "platform.openai.com/docs/api-reference/authentication"),
    rule("OpenRouter", &["sk-or-"], r"sk-or-[\w-]{8,}", "openrouter.ai/docs/api-reference/authentication"),
    rule("Groq", &["gsk_"], r"gsk_[A-Za-z0-9]{20,}", "console.groq.com/docs/quickstart"),
    rule("xAI", &["xai-"], r"xai-[A-Za-z0-9]{30,}", "docs.x.ai/docs/tutorial"),
    rule("Perplexity", &["pplx-"], r"pplx-[A-Za-z0-9]{30,}", "docs.perplexity.ai/getting-started/quickstart"),
    rule(
        "Hugging Face",
        &["hf_", "api_org_"],
        r"\b(?:hf|api_org)_[A-Za-z0-9]{20,}",
        "huggingface.co/docs/hub/security-tokens",
    ),
    rule("Replicate", &["r8_"], r"\br8_[A-Za-z0-9]{30,}", "replicate.com/docs/reference/http"),
    rule(
        "GitHub",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        r"(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,})",
        "github.blog/engineering/behind-githubs-new-authentication-token-formats",
    ),
    rule(
        "GitLab",
        &[
            "glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glimt-", "glft-", "glsoat-", "gloas-", "glagent-",
            "glffct-", "glwt-",
        ],
        r"gl(?:pat|dt|rt|ptt|cbt|imt|ft|soat|oas|agent|ffct|wt)-[\w.-]{16,}",
        "docs.gitlab.com/security/tokens/#token-prefixes",
    ),
    rule(
        "Bitbucket and Atlassian",
        &["ATATT", "ATCTT", "ATBB"],
        r"(?:ATATT|ATCTT|ATBB)[\w=-]{20,}",
        "support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account",
    ),
    rule(
        "AWS",
        &["AKIA", "ASIA", "ABIA", "ACCA"],
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
        "docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes",
    ),
    rule("Google API", &["AIza"], r"AIza[\w-]{30,}", "cloud.google.com/docs/authentication/api-keys"),
    rule(
        "Google OAuth",
        &["ya29.", "GOCSPX-", "1//0"],
        r"(?:ya29\.[\w.-]{16,}|GOCSPX-[\w-]{16,}|\b1//0[\w-]{30,})",
        "developers.google.com/identity/protocols/oauth2",
    ),
    rule(
        "Azure storage",
        &["AccountKey="],
        r"AccountKey=[A-Za-z0-9+/=]{20,}",
        "learn.microsoft.com/azure/storage/common/storage-configure-connection-string",
    ),
    rule(
        "Azure shared access",
        &["sig="],
        r"\bsig=[A-Za-z0-9%+/=_-]{30,}",
        "learn.microsoft.com/azure/storage/common/storage-sas-overview",
    ),
    rule(
        "Microsoft Entra",
        &["Q~"],
        r"\b[\w.~-]{3}\dQ~[\w.~-]{30,}",
        "learn.microsoft.com/entra/identity-platform/howto-create-service-principal-portal",
    )
    .within(),
    rule(
        "DigitalOcean",
        &["dop_v1_", "doo_v1_", "dor_v1_"],
        r"do[opr]_v1_[0-9a-f]{32,}",
        "docs.digitalocean.com/reference/api/create-personal-access-token",
    ),
    rule(
        "Cloudflare",
        &["v1.0-"],
        r"\bv1\.0-[0-9a-f]{24}-[0-9a-f]{100,}",
        "developers.cloudflare.com/fundamentals/api/get-started/ca-keys",
    ),
    rule("Heroku", &["HRKU-"], r"HRKU-[\w-]{30,}", "devcenter.heroku.com/articles/authentication"),
    rule("Netlify", &["nfp_", "nfo_", "nfc_"], r"\bnf[poc]_[A-Za-z0-9]{30,}", "docs.netlify.com/api/get-started"),
    rule(
        "Vercel",
        &["vcp_", "vci_", "vca_", "vcr_", "vck_"],
        r"\bvc[piark]_[A-Za-z0-9]{24,}",
        "vercel.com/docs/rest-api",
    ),
    rule(
        "Fly.io",
        &["fo1_", "FlyV1 ", "fm2_", "fm1"],
        r"(?:\bfo1_[\w-]{30,}|\bfm[12][ar]?_[A-Za-z0-9+/=_-]{40,})",
        "fly.io/docs/security/tokens",
    ),
    rule(
        "Slack",
        &["xox", "xapp-", "xwfp-"],
        r"(?:xox[a-z](?:-|e\.)[\w.-]{10,}|xapp-[\w-]{16,}|xwfp-[\w-]{16,})",
        "api.slack.com/concepts/token-types",
    ),
    rule(
        "Slack webhook",
        &["hooks.slack.com/"],
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/+-]{20,}",
        "api.slack.com/messaging/webhooks",
    ),
    rule(
        "Discord webhook",
        &["/api/webhooks/"],
        r"/api/webhooks/\d{5,}/[\w-]{20,}",
        "discord.com/developers/docs/resources/webhook",
    ),
    rule("Telegram", &[":AA"], r"\b\d{6,12}:AA[\w-]{30,}", "core.telegram.org/bots/api#authorizing-your-bot").within(),
    rule(
        "Stripe",
        &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"],
        r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{8,}|whsec_[A-Za-z0-9+/=]{16,})",
        "docs.stripe.com/keys",
    ),
    rule(
        "Square",
        &["sq0", "EAAA"],
        r"(?:\bsq0[a-z]{3}-[\w-]{20,}|\bEAAA[\w-]{50,})",
        "developer.squareup.com/docs/build-basics/access-tokens",
    ),
    rule(
        "Braintree",
        &["access_token$"],
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
        "developer.paypal.com/braintree/docs/guides/authorization",
    ),
    rule(
        "Shopify",
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{24,}",
        "shopify.dev/docs/apps/build/authentication-authorization",
    ),
    rule("Twilio", &["SK"], r"\bSK[0-9a-f]{32}\b", "twilio.com/docs/iam/api-keys"),
    rule("SendGrid", &["SG."], r"\bSG\.[\w-]{16,}\.[\w-]{16,}", "docs.sendgrid.com/ui/account-and-settings/api-keys"),
    rule(
        "Mailgun",
        &["key-"],
        r"\bkey-[0-9a-f]{32}\b",
        "documentation.mailgun.com/docs/mailgun/api-reference/authentication",
    ),
    rule("Mailchimp", &["-us"], r"\b[0-9a-f]{32}-us\d{1,2}\b", "mailchimp.com/developer/marketing/docs/fundamentals")
        .within(),
    rule(
        "Brevo",
        &["xkeysib-", "xsmtpsib-"],
        r"x(?:key|smtp)sib-[0-9a-f]{40,}(?:-\w+)?",
        "developers.brevo.com/docs/getting-started",
    ),
    rule("Resend", &["re_"], r"\bre_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}", "resend.com/docs/api-reference/introduction"),
    rule(
        "npm",
        &["npm_"],
        r"\bnpm_[A-Za-z0-9]{30,}",
        "github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format",
    ),
    rule("PyPI", &["pypi-"], r"pypi-[A-Za-z0-9][\w-]{40,}", "pypi.org/help/#apitoken"),
    rule(
        "crates.io",
        &["cio"],
        r"\bcio[A-Za-z0-9]{32}\b",
        "doc.rust-lang.org/cargo/reference/registry-authentication.html",
    ),
    rule("RubyGems", &["rubygems_"], r"rubygems_[0-9a-f]{40,}", "guides.rubygems.org/api-key-scopes"),
    rule(
        "Docker Hub",
        &["dckr_pat_", "dckr_oat_"],
        r"dckr_[po]at_[\w-]{20,}",
        "docs.docker.com/security/access-tokens",
    ),
    rule("Clojars", &["CLOJARS_"], r"CLOJARS_[0-9a-z]{40,}", "github.com/clojars/clojars-web/wiki/Deploy-Tokens"),
    rule("Linear", &["lin_api_", "lin_oauth_"], r"lin_(?:api|oauth)_[A-Za-z0-9]{24,}", "linear.app/developers/graphql"),
    rule(
        "Notion",
        &["ntn_", "secret_"],
        r"(?:\bntn_[A-Za-z0-9]{30,}|\bsecret_[A-Za-z0-9]{43}\b)",
        "developers.notion.com/docs/authorization",
    ),
    rule(
        "Figma",
        &["figd_", "figo_", "figu_"],
        r"\bfig[dou]r?_[\w-]{24,}",
        "developers.figma.com/docs/rest-api/authentication",
    ),
    rule(
        "Airtable",
        &["pat"],
        r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b",
        "airtable.com/developers/web/api/authentication",
    ),
    rule("Dropbox", &["sl."], r"\bsl\.(?:u\.)?[\w-]{60,}", "dropbox.com/developers/reference/oauth-guide"),
    rule(
        "Postman",
        &["PMAK-"],
        r"PMAK-[0-9a-f]{20,}-[0-9a-f]{20,}",
        "learning.postman.com/docs/developer/postman-api/authentication",
    ),
    rule("Databricks", &["dapi"], r"\bdapi[0-9a-f]{32}(?:-\d)?\b", "docs.databricks.com/dev-tools/auth/pat.html"),
    rule(
        "Grafana",
        &["glc_", "glsa_", "eyJrIjoi"],
        r"(?:glc_[A-Za-z0-9+/=]{30,}|glsa_[A-Za-z0-9]{30,}(?:_[0-9a-f]{8})?|eyJrIjoi[A-Za-z0-9+/=]{30,})",
        "grafana.com/docs/grafana/latest/administration/service-accounts",
    ),
    rule(
        "New Relic",
        &["NRAK-", "NRJS-", "NRII-"],
        r"NR(?:AK|JS|II)-[\w-]{19,}",
        "docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys",
    ),
    rule("Sentry", &["sntrys_", "sntryu_"], r"sntry[su]_[\w=+/-]{30,}", "docs.sentry.io/account/auth-tokens"),
    rule(
        "PlanetScale",
        &["pscale_"],
        r"pscale_(?:tkn|pw|oauth)_[\w=.-]{24,}",
        "planetscale.com/docs/api/reference/service-tokens",
    ),
    rule(
        "Supabase",
        &["sbp_", "sb_secret_"],
        r"(?:\bsbp_[0-9a-f]{32,}|\bsb_secret_[\w-]{16,})",
        "supabase.com/docs/guides/api/api-keys",
    ),
    rule(
        "HashiCorp",
        &["hvs.", "hvb.", "hvr.", ".atlasv1."],
        r"(?:\bhv[sbr]\.[\w-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{50,})",
        "developer.hashicorp.com/vault/docs/concepts/tokens",
    )
    .within(),
    rule(
        "Doppler",
        &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."],
        r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]+\.)?[A-Za-z0-9]{30,}",
        "docs.doppler.com/reference/auth-token-formats",
    ),
    rule("Pulumi", &["pul-"], r"\bpul-[0-9a-f]{40}\b", "pulumi.com/docs/pulumi-cloud/access-management/access-tokens"),
    rule("Tailscale", &["tskey-"], r"tskey-[a-z]+-[\w-]{16,}", "tailscale.com/kb/1252/key-prefixes"),
    rule("1Password", &["ops_eyJ"], r"ops_eyJ[\w=-]{60,}", "developer.1password.com/docs/service-accounts"),
    rule("CircleCI", &["CCIPAT_", "CCIPRJ_"], r"CCIP(?:AT|RJ)_\w{30,}", "circleci.com/docs/managing-api-tokens"),
    rule("Buildkite", &["bkua_", "bkct_"], r"\bbk(?:ua|ct)_[\w-]{30,}", "buildkite.com/docs/apis/managing-api-tokens"),
    rule(
        "SonarQube",
        &["sqp_", "squ_", "sqa_"],
        r"\bsq[pua]_[0-9a-f]{40}\b",
        "docs.sonarsource.com/sonarqube/latest/user-guide/managing-tokens",
    ),
    rule("age", &["AGE-SECRET-KEY-"], r"AGE-SECRET-KEY-1[A-Z0-9]{20,}", "age-encryption.org/v1"),
    rule("JSON Web Token", &["eyJ"], r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", "rfc-editor.org/rfc/rfc7519"),
    // The number of the bot, written in digits, is at the beginning. It has no mark that is rare.
    rule(
        "Discord bot",
        &[],
        r"\b(?:M[Tjz]|N[DTjz]|O[DT])[AEIMQUYcgk][w-z0-5][\w-]{18,26}\.[\w-]{6,7}\.[\w-]{27,}",
        "discord.com/developers/docs/reference#authentication",
    ),
    rule(
        "HubSpot",
        &["pat-na", "pat-eu", "pat-ap"],
        r"(?i)\bpat-(?:na|eu|ap)\d{1,2}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "developers.hubspot.com/docs/guides/apps/private-apps/overview",
    ),
    rule("Mapbox", &["sk.eyJ"], r"\bsk\.eyJ[\w-]{16,}\.[\w-]{16,}", "docs.mapbox.com/help/dive-deeper/access-tokens"),
    rule(
        "Dynatrace",
        &["dt0"],
        r"\bdt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{60,}",
        "docs.dynatrace.com/docs/manage/identity-access-management/access-tokens-and-oauth-clients/access-tokens",
    ),
    rule("Okta", &["SSWS"], r"\bSSWS\s+00[\w-]{30,}", "developer.okta.com/docs/guides/create-an-api-token"),
    rule("Contentful", &["CFPAT-"], r"\bCFPAT-[\w-]{30,}", "contentful.com/developers/docs/references/authentication"),
    rule("Typeform", &["tfp_"], r"\btfp_[\w.=-]{36,}", "typeform.com/developers/get-started/personal-access-token")
        .mixed(),
    rule(
        "JFrog",
        &["AKCp", "cmVmdGtu"],
        r"\b(?:AKCp\d[A-Za-z0-9]{60,}|cmVmdGtuO[A-Za-z0-9]{50,})",
        "jfrog.com/help/r/jfrog-platform-administration-documentation/introduction-to-access-tokens",
    ),
    rule("NuGet", &["oy2"], r"\boy2[a-z0-9]{43}\b", "learn.microsoft.com/nuget/nuget-org/publish-a-package"),
    rule(
        "Facebook",
        &["EAA"],
        r"\bEAA[A-Za-z0-9]{97,}",
        "developers.facebook.com/docs/facebook-login/guides/access-tokens",
    )
    .mixed(),
    rule(
        "Alibaba Cloud",
        &["LTAI"],
        r"\bLTAI[A-Za-z0-9]{12,24}\b",
        "alibabacloud.com/help/en/ram/user-guide/create-an-accesskey-pair",
    ),
    rule("Tencent Cloud", &["AKID"], r"\bAKID[A-Za-z0-9]{28,36}\b", "tencentcloud.com/document/product/598/34228"),
    rule("Yandex Cloud", &["AQVN"], r"\bAQVN[\w-]{35,38}", "yandex.cloud/en/docs/iam/concepts/authorization/api-key")
        .mixed(),
    rule(
        "LaunchDarkly",
        &["sdk-", "api-", "mob-"],
        r"\b(?:sdk|api|mob)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
        "docs.launchdarkly.com/sdk/concepts/client-side-server-side",
    ),
    rule("ClickUp", &["pk_"], r"\bpk_\d{1,12}_[A-Z0-9]{32}\b", "developer.clickup.com/docs/authentication"),
    rule(
        "Microsoft Teams webhook",
        &["webhook.office.com/", "outlook.office"],
        r"(?:webhook\.office\.com/webhookb2|outlook\.office(?:365)?\.com/webhook)/[\w@/.-]{20,}",
        "learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
    ),
    rule("EasyPost", &["EZAK", "EZTK"], r"\bEZ[AT]K[A-Za-z0-9]{50,}", "docs.easypost.com/docs/authentication"),
    rule("ReadMe", &["rdme_"], r"\brdme_[a-z0-9]{40,}", "docs.readme.com/main/reference/intro/authentication"),
    rule(
        "Cloudflare API",
        &["cfut_", "cfat_", "cfk_"],
        r"\bcf(?:ut|at|k)_[\w-]{36,}",
        "developers.cloudflare.com/fundamentals/api/get-started/token-formats",
    )
    .mixed(),
    rule(
        "Sourcegraph",
        &["sgp_"],
        r"\bsgp_[A-Za-z0-9_]{40,}",
        "sourcegraph.com/docs/cli/how-tos/creating_an_access_token",
    ),
    rule("Zuplo", &["zpka_"], r"\bzpka_[A-Za-z0-9_]{32,}", "zuplo.com/docs/articles/api-key-leak-detection"),
    rule(
        "PASETO",
        &[".local.", ".public."],
        r"\bv[1-4]\.(?:local|public)\.[\w-]{40,}",
        "github.com/paseto-standard/paseto-spec",
    )
    .within(),
    rule(
        "Zapier webhook",
        &["hooks.zapier.com/"],
        r"hooks\.zapier\.com/hooks/(?:catch|standard)/[\w/-]{8,}",
        "help.zapier.com/hc/en-us/articles/8496288690317",
    ),
];
