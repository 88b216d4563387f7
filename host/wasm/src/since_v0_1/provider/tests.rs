//! Every answer of a component is either parsed or refused, and a parsed answer follows the rules.

use aiw_core::Family;
use proptest::prelude::*;
use proptest::{collection, option, sample};

use super::super::interfaces::types;
use super::{Account, Auth, Value, generated};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "\\PC{0,12}",
        2 => sample::select(vec!["token", "x-team", "X-Team", "authorization", "Host", "gpt-x", "--help", ""])
            .prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[a-z]{0,5}[\\r\\n\\x00\\u{202e}][a-z]{0,5}",
        1 => (1..9000_usize).prop_map(|length| "x".repeat(length)),
    ]
}

fn value() -> impl Strategy<Value = types::Value> {
    prop_oneof![
        text().prop_map(types::Value::Literal),
        (text(), text()).prop_map(|(name, prefix)| types::Value::Secret(types::Secret { name, prefix })),
    ]
}

fn auth() -> impl Strategy<Value = generated::Auth> {
    prop_oneof![
        Just(generated::Auth::None),
        text().prop_map(generated::Auth::Bearer),
        text().prop_map(generated::Auth::ApiKey),
        (text(), text()).prop_map(|(name, value)| generated::Auth::Header(types::Field { name, value })),
    ]
}

fn intent() -> impl Strategy<Value = generated::Intent> {
    let api = sample::select(vec![
        generated::Api::Messages,
        generated::Api::Responses,
        generated::Api::ChatCompletions,
        generated::Api::GenerateContent,
    ]);
    let header = (text(), value()).prop_map(|(name, value)| types::Header { name, value });
    let models = [(); 4].map(|()| option::of(text()).boxed());
    let number = || option::weighted(0.3, any::<u32>());
    let tuning = (number(), number(), number());
    let rest = (option::of(text()), collection::vec(text(), 0..10));
    (api, auth(), collection::vec(header, 0..20), models, tuning, rest).prop_map(
        |(api, auth, headers, [main, large, medium, small], tuning, (tag, notes))| generated::Intent {
            api,
            auth,
            headers,
            models: generated::Models { main, large, medium, small },
            tuning: generated::Tuning {
                context_tokens: tuning.0,
                output_tokens: tuning.1,
                timeout_seconds: tuning.2,
                quirks: generated::Quirks::empty(),
            },
            tag,
            notes,
        },
    )
}

proptest! {
    #[test]
    fn any_intent_is_read_by_the_rules_or_refused(intent in intent()) {
        let account = Account {
            name: "mine".parse().unwrap(),
            preset: "p".into(),
            base_urls: [(Family::Anthropic, "https://a.example".to_owned())].into(),
            trusted_families: Default::default(),
            model: None,
            secrets: ["token".to_owned()].into(),
        };
        let Ok(read) = super::intent(intent, &account) else { return Ok(()) };
        prop_assert!(account.base_urls.contains_key(&read.api.family()));
        prop_assert!(read.auth.secret().is_none_or(|name| name == "token"));
        if let Auth::Header { header, .. } = &read.auth {
            prop_assert!(!header.is_reserved());
        }
        for header in &read.headers {
            prop_assert!(!header.name.is_reserved());
            match &header.value {
                Value::Literal(text) => prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte))),
                Value::Secret { name, prefix } => {
                    prop_assert!(name == "token" && !prefix.contains(char::is_control));
                }
            }
        }
        let models = [&read.models.main, &read.models.large, &read.models.medium, &read.models.small];
        for model in models.into_iter().flatten() {
            prop_assert!(!model.starts_with('-') && !model.contains(char::is_control));
        }
        for shown in read.notes.iter().chain(&read.tag) {
            prop_assert!(!shown.contains(char::is_control));
        }
    }

    #[test]
    fn any_description_is_read_by_the_rules_or_refused(
        label in text(),
        presets in collection::vec((text(), text(), collection::vec((0..3_u8, text()), 0..3), option::of(text())), 0..3),
    ) {
        let family = |number| match number {
            0 => generated::Family::Anthropic,
            1 => generated::Family::Openai,
            _ => generated::Family::Gemini,
        };
        let presets = presets.into_iter().map(|(id, label, urls, page)| generated::Preset {
            id,
            label,
            base_urls: urls.into_iter().map(|(at, url)| generated::BaseUrl { family: family(at), url }).collect(),
            token: generated::Need::Optional,
            token_page: page,
            model: None,
        });
        let info = generated::ProviderInfo { label, presets: presets.collect() };
        let Ok(info) = super::info(info) else { return Ok(()) };
        for preset in info.presets {
            for url in preset.base_urls.values().flatten() {
                prop_assert!(aiw_net::origin(url).is_some(), "{}", url);
            }
        }
    }
}
