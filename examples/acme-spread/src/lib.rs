//! A provider with several keys. Each start takes the key with the fewest tasks that have not ended, so that ten
//! tasks at once do not reach the limits of one key.

use aiw_extension::{
    Account, Error, Family, Health, Intent, Listing, Model, Need, Preset, Provider, ProviderInfo, Target, tasks,
};

struct AcmeSpread;

impl Provider for AcmeSpread {
    fn describe() -> ProviderInfo {
        ProviderInfo::new("Several keys of one provider").preset(
            Preset::new("acme-spread", "Acme, over several keys")
                .at(Family::Anthropic, "https://llm.acme.example")
                .at(Family::Openai, "https://llm.acme.example/v1")
                // The secrets are the keys.
                .token(Need::Optional),
        )
    }

    fn plan(account: &Account, target: &Target) -> Result<Intent, Error> {
        let running = tasks::list()?.into_iter().filter(|task| task.state != tasks::State::Ended);
        let ours = running.filter(|task| task.provider.as_ref() == Some(&account.name));
        let tags: Vec<String> = ours.filter_map(|task| task.tag).collect();
        let key = least_used(&account.secrets, &tags).ok_or_else(|| no_key(account))?;
        let note = format!("key `{key}` of {}", account.secrets.len());
        // The tag tells the next start which key this task uses.
        Ok(Intent::new(account, target)?.secret(key).tag(tag(key)).note(note))
    }

    fn check(account: &Account) -> Result<Health, Error> {
        listing(account)?.check()
    }

    fn models(account: &Account) -> Result<Vec<Model>, Error> {
        listing(account)?.models()
    }
}

/// Lists models with the first key, because all keys belong to one provider.
fn listing(account: &Account) -> Result<Listing, Error> {
    let key = account.secrets.first().ok_or_else(|| no_key(account))?;
    Ok(Listing::new(account)?.with_secret(key))
}

fn no_key(account: &Account) -> Error {
    Error::invalid(format!("provider `{}` has no key: each of its secrets is one", account.name))
}

/// Shortens a key's name to a tag, which has at most 32 characters.
fn tag(key: &str) -> String {
    key.chars().take(32).collect()
}

/// Returns the key with the fewest tasks; the first of several.
fn least_used<'a>(keys: &'a [String], tags: &[String]) -> Option<&'a str> {
    let tasks = |key: &&String| tags.iter().filter(|used| **used == tag(key)).count();
    keys.iter().min_by_key(tasks).map(String::as_str)
}

aiw_extension::export_provider!(AcmeSpread, manifest = "manifest.json");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_with_the_fewest_tasks_is_taken() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let keys = names(&["key-a", "key-b", "key-c"]);
        for (tags, taken) in [
            (&[][..], "key-a"),
            (&["key-a"], "key-b"),
            (&["key-b", "key-a", "key-a"], "key-c"),
            (&["key-a", "key-b", "key-c", "elsewhere"], "key-a"),
        ] {
            assert_eq!(least_used(&keys, &names(tags)), Some(taken), "{tags:?}");
        }
        assert_eq!(least_used(&[], &[]), None);
    }
}
