//! A provider with several accounts. Each launch takes the account with the fewest tasks that have
//! not ended, so that ten tasks at once do not run into one account's limits.

use aiw_extension::{
    Access, CliTarget, Error, Family, Health, Listing, Model, Need, Plan, Preset, Profile, Provider, ProviderInfo,
    tasks,
};

struct AcmeSpread;

impl Provider for AcmeSpread {
    fn describe() -> ProviderInfo {
        ProviderInfo::new("Several accounts of one provider").preset(
            Preset::new("acme-spread", "Acme, over several accounts")
                .at(Family::Anthropic, "https://llm.acme.example")
                .at(Family::Openai, "https://llm.acme.example/v1")
                // The accounts are its secrets.
                .token(Need::Optional),
        )
    }

    fn launch_plan(profile: &Profile, target: &CliTarget) -> Result<Plan, Error> {
        let running = tasks::list()?.into_iter().filter(|task| task.state != tasks::State::Ended);
        let ours = running.filter(|task| task.provider.as_ref() == Some(&profile.name));
        let tags: Vec<String> = ours.filter_map(|task| task.tag).collect();
        let account = least_used(&profile.secrets, &tags).ok_or_else(|| no_account(profile))?;
        let mut plan = Access::new(profile, target)?.with_secret(account).plan();
        // How the next launch knows.
        plan.tag = Some(tag(account));
        plan.notes.push(format!("account `{account}` of {}", profile.secrets.len()));
        Ok(plan)
    }

    fn check(profile: &Profile) -> Result<Health, Error> {
        listing(profile)?.check()
    }

    fn models(profile: &Profile) -> Result<Vec<Model>, Error> {
        listing(profile)?.models()
    }
}

/// They all belong to one provider: the first account is asked.
fn listing(profile: &Profile) -> Result<Listing, Error> {
    let account = profile.secrets.first().ok_or_else(|| no_account(profile))?;
    Ok(Listing::new(profile)?.with_secret(account))
}

fn no_account(profile: &Profile) -> Error {
    Error::invalid(format!("provider `{}` has no account: each of its secrets is one", profile.name))
}

/// A tag is at most 32 characters long.
fn tag(account: &str) -> String {
    account.chars().take(32).collect()
}

/// The account with the fewest tasks; of several, the first.
fn least_used<'a>(accounts: &'a [String], tags: &[String]) -> Option<&'a str> {
    let tasks = |account: &&String| tags.iter().filter(|used| **used == tag(account)).count();
    accounts.iter().min_by_key(tasks).map(String::as_str)
}

aiw_extension::export_provider!(AcmeSpread, manifest = "manifest.json");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_with_the_fewest_tasks_is_taken() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let accounts = names(&["account-a", "account-b", "account-c"]);
        for (tags, taken) in [
            (&[][..], "account-a"),
            (&["account-a"], "account-b"),
            (&["account-b", "account-a", "account-a"], "account-c"),
            (&["account-a", "account-b", "account-c", "elsewhere"], "account-a"),
        ] {
            assert_eq!(least_used(&accounts, &names(tags)), Some(taken), "{tags:?}");
        }
        assert_eq!(least_used(&[], &[]), None);
    }
}
