//! The variables that carry keys of API providers.

use aiw_core::EnvName;
use aiw_home::{Provider, SecretRef};

/// Vendors of models, gateways to them and clients of theirs, as variables begin that hold their keys:
/// `OPENAI_API_KEY`, `OPENAI_ADMIN_KEY`, `MY_OPENAI_API_KEY_2`.
const VENDOR_PREFIXES: &[&str] = &[
    "AI21",
    "AIHUBMIX",
    "AIML",
    "AIMLAPI",
    "AI_GATEWAY",
    "ALEPH_ALPHA",
    "ANTHROPIC",
    "ANYSCALE",
    "ASSEMBLYAI",
    "AZURE_AI",
    "AZURE_INFERENCE",
    "AZURE_OPENAI",
    "BAICHUAN",
    "BAIDU",
    "BAILIAN",
    "BASETEN",
    "BEDROCK",
    "BIGMODEL",
    "CEREBRAS",
    "CHUTES",
    "CLARIFAI",
    "CLAUDE",
    "CLOUDFLARE_AI",
    "CLOVASTUDIO",
    "CODESTRAL",
    "CODEX",
    "COHERE",
    "COPILOT",
    "CRUSOE",
    "DASHSCOPE",
    "DEEPGRAM",
    "DEEPINFRA",
    "DEEPSEEK",
    "DOUBAO",
    "ELEVEN",
    "ELEVENLABS",
    "FEATHERLESS",
    "FIREWORKS",
    "FIREWORKSAI",
    "FRIENDLI",
    "GEMINI",
    "GIGACHAT",
    "GITHUB_MODELS",
    "GLAMA",
    "GOOGLE_AI",
    "GOOGLE_GENAI",
    "GOOGLE_GENERATIVE_AI",
    "GROK",
    "GROQ",
    "GROQCLOUD",
    "HELICONE",
    "HUGGINGFACE",
    "HUGGINGFACEHUB",
    "HUGGING_FACE",
    "HUNYUAN",
    "HYPERBOLIC",
    "INFERMATIC",
    "JINA",
    "KIMI",
    "KLUSTERAI",
    "LAMBDALABS",
    "LEPTON",
    "LEPTONAI",
    "LINGYI",
    "LITELLM",
    "LLAMA_API",
    "LLAMA_CLOUD",
    "LMSTUDIO",
    "LM_STUDIO",
    "MARITACA",
    "MARITALK",
    "MINIMAX",
    "MISTRAL",
    "MISTRALAI",
    "MODELSCOPE",
    "MOONSHOT",
    "NEBIUS",
    "NGC",
    "NLPCLOUD",
    "NOMIC",
    "NOVITA",
    "NVIDIA",
    "NVIDIA_NIM",
    "OCTOAI",
    "OLLAMA",
    "OPENAI",
    "OPENCODE",
    "OPENROUTER",
    "PARASAIL",
    "PERPLEXITY",
    "PERPLEXITYAI",
    "PORTKEY",
    "PPLX",
    "PREDIBASE",
    "QIANFAN",
    "QWEN",
    "REKA",
    "RELACE",
    "REPLICATE",
    "REQUESTY",
    "RUNPOD",
    "SAMBANOVA",
    "SARVAM",
    "SILICONFLOW",
    "SNOWFLAKE_CORTEX",
    "SPARKAI",
    "STEPFUN",
    "TARGON",
    "TOGETHERAI",
    "UNIFY",
    "UPSTAGE",
    "VENICE",
    "VERTEXAI",
    "VLLM",
    "VOLC",
    "VOLCENGINE",
    "VOYAGE",
    "VOYAGEAI",
    "WATSONX",
    "WORKERS_AI",
    "XAI",
    "XI",
    "XIAOMI_MIMO",
    "ZAI",
    "ZENMUX",
    "ZHIPU",
    "ZHIPUAI",
    "Z_AI",
];

/// Variables of vendors whose names are too short, or too much like others, to stand for all that begins with them.
const EXACT_VARIABLES: &[&str] = &[
    "AA_TOKEN",
    "ABACUS_API_KEY",
    "AICORE_SERVICE_KEY",
    // Who has it calls all servers behind aiw.
    "AIW_MCP_TOKEN",
    "AMP_API_KEY",
    // Where gateways get their keys.
    "ANTHROPIC_CUSTOM_HEADERS",
    "ARK_API_KEY",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AZURE_API_KEY",
    "BERGET_API_KEY",
    "BFL_API_KEY",
    "CLOUDFLARE_API_KEY",
    "CORTECS_API_KEY",
    "CO_API_KEY",
    "CURSOR_API_KEY",
    "DATABRICKS_TOKEN",
    "EVROC_API_KEY",
    "FACTORY_API_KEY",
    "FAL_KEY",
    "FASTROUTER_API_KEY",
    "GLM_API_KEY",
    "GOOGLE_API_KEY",
    "GRADIENT_ACCESS_TOKEN",
    "HF_API_KEY",
    "HF_TOKEN",
    "IFLOW_API_KEY",
    "INCEPTION_API_KEY",
    "INFERENCE_API_KEY",
    "INFERENCE_KEY",
    "LAMBDA_API_KEY",
    "MORPH_API_KEY",
    "NANO_GPT_API_KEY",
    "NIM_API_KEY",
    "OVHCLOUD_API_KEY",
    "OVH_AI_ENDPOINTS_ACCESS_TOKEN",
    "PALM_API_KEY",
    "POE_API_KEY",
    "QIANFAN_AK",
    "QIANFAN_SK",
    "SAGEMAKER_API_KEY",
    "SCALEWAY_API_KEY",
    "SNOWFLAKE_TOKEN",
    "SPARK_API_KEY",
    "STABILITY_API_KEY",
    "STEP_API_KEY",
    "SYNTHETIC_API_KEY",
    "TOGETHER_AI_API_KEY",
    "TOGETHER_API_KEY",
    "V0_API_KEY",
    "VERCEL_OIDC_TOKEN",
    "VERTEX_AI_API_KEY",
    "VERTEX_API_KEY",
    "WML_APIKEY",
    "WML_API_KEY",
    "WRITER_API_KEY",
    "XF_API_KEY",
    "YI_API_KEY",
];

/// The words in a variable that holds a key. Limits, such as `OPENAI_MAX_TOKENS`, hold none.
const KEY_WORDS: &[&str] =
    &["KEY", "KEYS", "APIKEY", "TOKEN", "APITOKEN", "SECRET", "PASSWORD", "CREDENTIALS", "PAT", "SECRETKEY"];

/// The last words of settings about keys: `CLAUDE_CODE_API_KEY_HELPER_TTL_MS`, `OPENAI_TOKEN_LIMIT`.
const SETTING_SUFFIXES: &[&str] = &["BUDGET", "COUNT", "HELPER", "LIMIT", "MAX", "MS", "SECONDS", "TTL", "URL"];

/// The variable that tells a nested aiw which variables a run did not get, as names with commas between them.
pub const WITHHELD_VARIABLE: &str = "AIW_WITHHELD";

/// The variable that names those that aiw has set for a run, with the key of its provider among them. They are not for
/// CLIs that this run starts.
pub const MANAGED_VARIABLES_ENV: &str = "AIW_SET";

/// Returns whether the variable holds a key of a vendor of models: by a table of vendors and the form of its name.
pub fn is_vendor_key(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if EXACT_VARIABLES.contains(&name.as_str()) {
        return true;
    }
    // `OPENAI_API_KEY_2`, `GEMINI_API_KEY_PROD_EU`
    let mut words = name.split('_');
    let is_key =
        words.clone().any(|word| KEY_WORDS.contains(&word)) && !words.any(|word| SETTING_SUFFIXES.contains(&word));
    // `VITE_OPENAI_API_KEY`: whole words, wherever they are.
    let within = format!("_{name}_");
    is_key && VENDOR_PREFIXES.iter().any(|vendor| within.contains(&format!("_{vendor}_")))
}

/// Returns whether a variable is hidden from runs with other providers if the user has not decided: its name says
/// that it is a key. Others, such as `GITHUB_TOKEN`, may serve other programs.
pub(crate) fn is_hidden_by_default(name: &EnvName) -> bool {
    name.as_str().ends_with("_KEY") && !name.is_general()
}

/// Returns the variables of a provider that runs with other providers don't get.
pub(crate) fn scrubbed_variables(provider: &Provider) -> Vec<EnvName> {
    let by_name = || variables(provider).filter(|name| is_hidden_by_default(name)).cloned().collect();
    provider.scrub_env.clone().unwrap_or_else(by_name)
}

/// Returns what tells the variables that runs under a provider don't get: the vendors' keys, and those of the user's
/// providers that are to be hidden.
pub fn scrub_filter(providers: &[Provider]) -> impl Fn(&str) -> bool {
    let hidden: Vec<EnvName> = providers.iter().flat_map(scrubbed_variables).collect();
    move |name| is_vendor_key(name) || hidden.iter().any(|hidden| hidden.as_str() == name)
}

/// Returns the variables that a provider reads: for its token, its secrets, its headers and the variables of its runs.
pub(crate) fn variables(provider: &Provider) -> impl Iterator<Item = &EnvName> {
    provider.references().filter_map(|reference| match reference {
        SecretRef::Variable(name) => Some(name),
        SecretRef::Vault(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables that clients, gateways and SDKs read, as their documentation names them.
    #[test]
    fn the_keys_of_vendors_are_known() {
        for name in [
            "OPENAI_API_KEY",
            "XI_API_KEY",
            "LEPTON_API_KEY",
            "VOLC_SECRETKEY",
            "GH_COPILOT_TOKEN",
            "AMAZON_BEDROCK_API_KEY",
            "OPENAI_ADMIN_KEY",
            "OPENAI_API_KEY_2",
            "OPENAI_API_KEY_PROD_EU",
            "OPENAI_KEY_FOR_TESTS",
            "MY_OPENAI_API_KEY",
            "AZURE_OPENAI_API_KEY",
            "AZURE_OPENAI_AD_TOKEN",
            "AZURE_API_KEY_OPENAI_KEY",
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_FOUNDRY_API_KEY",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
            "CODEX_API_KEY",
            "AWS_BEARER_TOKEN_BEDROCK",
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_GENERATIVE_AI_API_KEY",
            "MISTRAL_API_KEY",
            "CODESTRAL_API_KEY",
            "COHERE_API_KEY",
            "CO_API_KEY",
            "GROQ_API_KEY",
            "XAI_API_KEY",
            "DEEPSEEK_API_KEY",
            "MOONSHOT_API_KEY",
            "KIMI_API_KEY",
            "ZAI_API_KEY",
            "ZHIPUAI_API_KEY",
            "DASHSCOPE_API_KEY",
            "QWEN_API_KEY",
            "MINIMAX_API_KEY",
            "BAICHUAN_API_KEY",
            "STEPFUN_API_KEY",
            "HUNYUAN_API_KEY",
            "QIANFAN_ACCESS_KEY",
            "QIANFAN_SECRET_KEY",
            "ARK_API_KEY",
            "VOLCENGINE_API_KEY",
            "SILICONFLOW_API_KEY",
            "MODELSCOPE_API_KEY",
            "TOGETHER_API_KEY",
            "TOGETHERAI_API_KEY",
            "FIREWORKS_API_KEY",
            "FIREWORKS_AI_API_KEY",
            "OPENROUTER_API_KEY",
            "REPLICATE_API_TOKEN",
            "REPLICATE_API_KEY",
            "HF_TOKEN",
            "HUGGINGFACE_API_KEY",
            "HUGGING_FACE_HUB_TOKEN",
            "HUGGINGFACEHUB_API_TOKEN",
            "PERPLEXITY_API_KEY",
            "PERPLEXITYAI_API_KEY",
            "PPLX_API_KEY",
            "CEREBRAS_API_KEY",
            "SAMBANOVA_API_KEY",
            "NVIDIA_API_KEY",
            "NVIDIA_NIM_API_KEY",
            "DEEPINFRA_API_KEY",
            "DEEPINFRA_TOKEN",
            "NOVITA_API_KEY",
            "HYPERBOLIC_API_KEY",
            "ANYSCALE_API_KEY",
            "BASETEN_API_KEY",
            "AI21_API_KEY",
            "ALEPH_ALPHA_API_KEY",
            "WATSONX_APIKEY",
            "WATSONX_API_KEY",
            "FRIENDLI_TOKEN",
            "NEBIUS_API_KEY",
            "FEATHERLESS_API_KEY",
            "VENICE_API_KEY",
            "LITELLM_API_KEY",
            "LITELLM_MASTER_KEY",
            "AI_GATEWAY_API_KEY",
            "VERCEL_AI_GATEWAY_API_KEY",
            "OLLAMA_API_KEY",
            "VOYAGE_API_KEY",
            "JINA_API_KEY",
            "JINA_AI_API_KEY",
            "LLAMA_API_KEY",
            "PORTKEY_API_KEY",
            "HELICONE_API_KEY",
            "AICORE_SERVICE_KEY",
            "AIML_API_KEY",
            "AZURE_API_KEY",
            "GLM_API_KEY",
            "INFERENCE_KEY",
            "LINGYI_API_KEY",
            "MARITALK_API_KEY",
            "NIM_API_KEY",
            "PALM_API_KEY",
            "QIANFAN_AK",
            "QIANFAN_SK",
            "RELACE_API_KEY",
            "SAGEMAKER_API_KEY",
            "SPARKAI_API_SECRET",
            "V0_API_KEY",
            "WML_APIKEY",
            "XF_API_KEY",
            "AIW_MCP_TOKEN",
            "ANTHROPIC_CUSTOM_HEADERS",
            "DATABRICKS_TOKEN",
            "SNOWFLAKE_TOKEN",
            "VERCEL_OIDC_TOKEN",
            "CLOUDFLARE_API_KEY",
            "WORKERS_AI_API_KEY",
            "CLOUDFLARE_WORKERS_AI_API_KEY",
            "BAIDU_API_KEY",
            "BAIDU_SECRET_KEY",
            "SCALEWAY_API_KEY",
        ] {
            assert!(is_vendor_key(name), "{name}");
        }
    }

    #[test]
    fn what_other_programs_read_stays() {
        for name in [
            "GITHUB_TOKEN",
            "GH_TOKEN",
            "NPM_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "STRIPE_API_KEY",
            "SENTRY_AUTH_TOKEN",
            "SSH_AUTH_SOCK",
            "OPENAI_BASE_URL",
            "OPENAI_MAX_TOKENS",
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
            "ANTHROPIC_MODEL",
            "NVIDIA_VISIBLE_DEVICES",
            "KEY",
            "TOKEN",
            "PATH",
            "",
            "STEAM_KEY",
            "VERTEX_SHADER_KEY",
            "SYNTHETIC_MONITOR_TOKEN",
            "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
            "OPENAI_TOKEN_LIMIT",
            "OLLAMA_HOST",
            "TOGETHERNESS_API_KEY",
            "DATABRICKS_HOST",
            "SNOWFLAKE_ACCOUNT",
            "VERCEL_TOKEN",
            "BAIDU_REGION",
        ] {
            assert!(!is_vendor_key(name), "{name}");
        }
    }
}
