//! One key of `mcp.json`, and everyone who wants it: plugins, and the user.
//!
//! Pure: this is the only place that decides what is there, who owns it and what comes back. An entry that differs
//! from what aiw wrote last belongs to the user and is never touched.

use aiw_core::PluginId;
use serde_json::Value;

/// The entry that a plugin wants under a key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyClaim {
    /// The plugin that owns it.
    pub plugin: PluginId,
    /// The declaration, before substitution.
    pub declaration: Value,
    /// The entry that it would write.
    pub entry: Value,
    /// The declaration names the plugin's own directories, so no other plugin can share it.
    pub has_plugin_paths: bool,
    /// The entry that the user would have written for the same server.
    pub plain_entry: Value,
}

impl KeyClaim {
    /// For an owner whose record is gone: only the current entry is known.
    pub fn without_record(plugin: &PluginId, written: Option<Value>) -> Self {
        let entry = written.unwrap_or_default();
        Self {
            plugin: plugin.clone(),
            declaration: Value::Null,
            plain_entry: entry.clone(),
            entry,
            has_plugin_paths: false,
        }
    }
}

/// The owner of a taken key of mcp.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOwner {
    /// The user's own entry.
    User,
    /// Another plugin's entry, with a different declaration.
    Plugin(PluginId),
}

impl std::fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User => f.write_str("an entry of your own"),
            Self::Plugin(id) => write!(f, "the plugin `{id}`"),
        }
    }
}

/// The fate of an entry when a plugin gave its key back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// The entry is removed from mcp.json, or was already gone.
    Deleted,
    /// The user's own earlier entry is back.
    Restored,
    /// The user has changed it, so it belongs to the user.
    UserOwned,
    /// Another plugin owns it too, with the same declaration.
    Shared(PluginId),
    /// The entry goes back to another plugin, whose entry it had replaced.
    ReturnedTo(PluginId),
    /// The entry was behind another plugin's entry, which stays.
    QueuedBehind(PluginId),
}

/// The fate of the entry when its plugin was updated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The new entry, or another owner's, is in place.
    Updated,
    /// The user has changed it, so the user's stays.
    UserModified,
    /// The user has removed it, so it stays removed.
    UserRemoved,
    /// Another plugin shares the key with an older declaration; the newer one is now in place.
    ReplacedOlder(PluginId),
}

/// A key with everything known about it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OwnedKey {
    /// Enabled plugins that own it. When one goes, the previous one gets it back.
    pub owners: Vec<KeyClaim>,
    /// The value that aiw wrote last.
    pub last_written: Option<Value>,
    /// The user's own earlier entry.
    pub original: Option<Value>,
    /// The value in mcp.json now.
    pub current: Option<Value>,
}

impl OwnedKey {
    /// The entry is what aiw wrote.
    fn is_ours(&self) -> bool {
        !self.owners.is_empty() && self.current.is_some() && self.current == self.last_written
    }

    /// Whether a plugin owns the key.
    pub fn has_owner(&self, plugin: &PluginId) -> bool {
        self.owners.iter().any(|owner| owner.plugin == *plugin)
    }

    /// Returns the owner that is in the way of a claim.
    pub fn conflicting_owner(&self, claim: &KeyClaim) -> Option<KeyOwner> {
        let current = self.current.as_ref()?;
        let own = self.owners.iter().find(|owner| owner.plugin == claim.plugin);
        if !self.is_ours() {
            // An entry of ours that the user changed stays the user's; one that equals ours is not a clash.
            let same = *current == claim.entry || (!claim.has_plugin_paths && *current == claim.plain_entry);
            return (own.is_none() && !same).then_some(KeyOwner::User);
        }
        // An owner doesn't block itself, and neither do owners that share the key: an update of one goes ahead of the
        // others, and theirs comes back when it goes.
        if own.is_some() {
            return None;
        }
        let top = self.owners.last()?;
        let same = top.declaration == claim.declaration && !claim.has_plugin_paths;
        (!same).then(|| KeyOwner::Plugin(top.plugin.clone()))
    }

    /// Gives the key to a plugin: nothing is in the way, or the user chose to overwrite.
    pub fn claim(&mut self, claim: KeyClaim, overwrite: bool) {
        self.owners.retain(|owner| owner.plugin != claim.plugin);
        match &self.current {
            // Whoever owned it before, the user has removed it.
            None => {
                self.owners.clear();
                self.original = None;
                self.write(&claim);
            }
            Some(current) if self.last_written.as_ref() != Some(current) || self.owners.is_empty() => {
                let ours_alone = self.last_written.as_ref() == Some(current);
                if !ours_alone {
                    self.original = Some(current.clone());
                }
                if overwrite || ours_alone {
                    self.write(&claim);
                } else {
                    // It already says the same, so not a byte changes.
                    self.last_written = Some(current.clone());
                }
            }
            Some(_) if overwrite => self.write(&claim),
            Some(_) => {}
        }
        self.owners.push(claim);
    }

    /// Gives the key back to a plugin whose entry the user had changed; the user's entry stays.
    pub fn adopt(&mut self, claim: KeyClaim) {
        self.owners.retain(|owner| owner.plugin != claim.plugin);
        if self.owners.is_empty() {
            self.last_written = Some(claim.entry.clone());
        }
        self.owners.push(claim);
    }

    /// Updates a plugin's own claim if nothing is in the way. `repair` puts back an entry that the user has removed.
    pub fn refresh(&mut self, claim: KeyClaim, repair: bool) -> RefreshOutcome {
        if self.current.is_none() && repair {
            self.claim(claim, false);
            return RefreshOutcome::Updated;
        }
        let ours = self.is_ours();
        let Some(at) = self.owners.iter().position(|owner| owner.plugin == claim.plugin) else {
            return RefreshOutcome::Updated;
        };
        let old = std::mem::replace(&mut self.owners[at], claim.clone());
        if self.current.is_none() {
            return RefreshOutcome::UserRemoved;
        }
        // This also covers a user's entry that equals ours: don't move it.
        if !ours || (self.original.is_some() && self.original == self.last_written) {
            return RefreshOutcome::UserModified;
        }
        if self.last_written.as_ref() == Some(&old.entry) {
            self.write(&claim);
            return RefreshOutcome::Updated;
        }
        let shares =
            |owner: &KeyClaim| Some(&owner.entry) == self.last_written.as_ref() && owner.declaration == old.declaration;
        let sharing = self.owners.iter().find(|owner| shares(owner)).map(|owner| owner.plugin.clone());
        match sharing {
            Some(other) if old.declaration != claim.declaration => {
                self.owners.remove(at);
                self.write(&claim);
                self.owners.push(claim);
                RefreshOutcome::ReplacedOlder(other)
            }
            _ => RefreshOutcome::Updated,
        }
    }

    /// Releases a plugin's claim to the key.
    pub fn release(&mut self, plugin: &PluginId) -> ReleaseOutcome {
        let ours = self.is_ours();
        let Some(at) = self.owners.iter().position(|owner| owner.plugin == *plugin) else {
            return ReleaseOutcome::Deleted;
        };
        let gone = self.owners.remove(at);
        let next = self.owners.last().cloned();
        let released = match (&self.current, next) {
            (None, _) => ReleaseOutcome::Deleted,
            (Some(_), _) if !ours => ReleaseOutcome::UserOwned,
            (Some(_), Some(next)) => {
                if self.last_written.as_ref() == Some(&gone.entry) {
                    self.write(&next);
                    let same = next.declaration == gone.declaration;
                    return if same {
                        ReleaseOutcome::Shared(next.plugin)
                    } else {
                        ReleaseOutcome::ReturnedTo(next.plugin)
                    };
                }
                let same = next.declaration == gone.declaration;
                return if same {
                    ReleaseOutcome::Shared(next.plugin)
                } else {
                    ReleaseOutcome::QueuedBehind(next.plugin)
                };
            }
            (Some(_), None) => {
                self.current = self.original.take();
                if self.current.is_some() { ReleaseOutcome::Restored } else { ReleaseOutcome::Deleted }
            }
        };
        if self.owners.is_empty() {
            self.last_written = None;
            self.original = None;
        }
        released
    }

    fn write(&mut self, claim: &KeyClaim) {
        self.current = Some(claim.entry.clone());
        self.last_written = Some(claim.entry.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn claim(plugin: &str, text: &str) -> KeyClaim {
        let declaration = json!({ "command": text });
        // As with a process: each plugin has its own directories.
        let entry = json!({"command": text, "env": {"ROOT": plugin}});
        let plugin = format!("{plugin}@m").parse().unwrap();
        KeyClaim { plugin, plain_entry: declaration.clone(), declaration, entry, has_plugin_paths: false }
    }

    fn id(plugin: &str) -> PluginId {
        format!("{plugin}@m").parse().unwrap()
    }

    fn users(text: &str) -> OwnedKey {
        OwnedKey { current: Some(json!({ "command": text })), ..OwnedKey::default() }
    }

    #[test]
    fn the_users_own_entry_comes_back_with_the_last_owner() {
        let mut key = users("mine");
        assert_eq!(key.conflicting_owner(&claim("a", "x")), Some(KeyOwner::User));
        key.claim(claim("a", "x"), true);
        assert_eq!(key.conflicting_owner(&claim("b", "x")), None);
        key.claim(claim("b", "x"), false);
        assert_eq!(key.current, Some(claim("a", "x").entry));
        assert_eq!(key.release(&id("a")), ReleaseOutcome::Shared(id("b")));
        assert_eq!(key.current, Some(claim("b", "x").entry));
        assert_eq!(key.release(&id("b")), ReleaseOutcome::Restored);
        assert_eq!(key, users("mine"));
    }

    #[test]
    fn a_plugin_that_was_overwritten_has_the_key_again() {
        let mut key = OwnedKey::default();
        key.claim(claim("a", "x"), false);
        assert_eq!(key.conflicting_owner(&claim("b", "y")), Some(KeyOwner::Plugin(id("a"))));
        key.claim(claim("b", "y"), true);
        assert_eq!(key.current, Some(claim("b", "y").entry));
        assert_eq!(key.release(&id("b")), ReleaseOutcome::ReturnedTo(id("a")));
        assert_eq!(key.current, Some(claim("a", "x").entry));
        assert_eq!(key.release(&id("a")), ReleaseOutcome::Deleted);
        assert_eq!(key, OwnedKey::default());
    }

    #[test]
    fn an_entry_of_the_user_that_says_the_same_is_not_changed_and_not_removed() {
        let mut key = users("x");
        assert_eq!(key.conflicting_owner(&claim("a", "x")), None);
        key.claim(claim("a", "x"), false);
        assert_eq!(key.current, users("x").current);
        assert_eq!(key.release(&id("a")), ReleaseOutcome::Restored);
        assert_eq!(key, users("x"));
    }

    #[test]
    fn a_change_by_hand_survives_updates_and_removal() {
        let mut key = OwnedKey::default();
        key.claim(claim("a", "x"), false);
        key.current = Some(json!("edited"));
        for version in ["y", "z"] {
            assert_eq!(key.conflicting_owner(&claim("a", version)), None);
            assert_eq!(key.refresh(claim("a", version), false), RefreshOutcome::UserModified);
        }
        assert_eq!(key.release(&id("a")), ReleaseOutcome::UserOwned);
        assert_eq!(key.current, Some(json!("edited")));
    }

    #[test]
    fn a_key_that_was_taken_out_is_free_for_another_and_put_back_only_on_demand() {
        let mut key = OwnedKey::default();
        key.claim(claim("a", "x"), false);
        key.current = None;
        assert_eq!(key.refresh(claim("a", "x"), false), RefreshOutcome::UserRemoved);
        assert_eq!(key.clone().refresh(claim("a", "x"), true), RefreshOutcome::Updated);
        assert_eq!(key.conflicting_owner(&claim("b", "y")), None);
        key.claim(claim("b", "y"), false);
        assert_eq!(key.current, Some(claim("b", "y").entry));
        assert!(!key.has_owner(&id("a")));
    }

    #[test]
    fn an_update_of_a_shared_server_goes_ahead_and_the_others_follow() {
        let mut key = OwnedKey::default();
        key.claim(claim("a", "x"), false);
        key.claim(claim("b", "x"), false);
        assert_eq!(key.refresh(claim("b", "y"), false), RefreshOutcome::ReplacedOlder(id("a")));
        assert_eq!(key.current, Some(claim("b", "y").entry));
        assert_eq!(key.refresh(claim("a", "y"), false), RefreshOutcome::Updated);
        assert_eq!(key.release(&id("b")), ReleaseOutcome::Shared(id("a")));
        assert_eq!(key.current, Some(claim("a", "y").entry));
    }

    #[test]
    fn an_entry_of_the_user_that_said_the_same_is_not_moved_by_an_update() {
        let mut key = users("x");
        key.claim(claim("a", "x"), false);
        assert_eq!(key.refresh(claim("a", "y"), false), RefreshOutcome::UserModified);
        assert_eq!(key.current, users("x").current);
        assert_eq!(key.release(&id("a")), ReleaseOutcome::Restored);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Claim(usize, usize, bool),
        Refresh(usize, usize, bool),
        Release(usize),
        Edit(usize),
        TakeOut,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..3usize, 0..2usize, any::<bool>()).prop_map(|(p, t, o)| Step::Claim(p, t, o)),
            (0..3usize, 0..2usize, any::<bool>()).prop_map(|(p, t, r)| Step::Refresh(p, t, r)),
            (0..3usize).prop_map(Step::Release),
            (0..2usize).prop_map(Step::Edit),
            Just(Step::TakeOut),
        ];
        proptest::collection::vec(step, 0..14)
    }

    mod fuzz {
        use super::*;
        proptest! {
            /// Invariant: what the user wrote last never changes unless they chose to overwrite it, and it comes back
            /// or stays when all plugins are gone.
            #[test]
            fn the_users_bytes_come_back(begin in proptest::option::of(0..2usize), steps in steps()) {
                let plugins = ["a", "b", "c"];
                let texts = ["x", "y"];
                let mine = |n: usize| json!({ "mine": n });
                let mut key = OwnedKey { current: begin.map(mine), ..OwnedKey::default() };
                // What must be there when all plugins are gone.
                let mut expected = key.current.clone();
                for step in steps {
                    match step {
                        Step::Claim(p, t, overwrite) => {
                            let claim = claim(plugins[p], texts[t]);
                            if key.has_owner(&claim.plugin) {
                                continue;
                            }
                            let clash = key.conflicting_owner(&claim);
                            if clash.is_some() && !overwrite {
                                continue;
                            }
                            key.claim(claim.clone(), clash.is_some());
                            prop_assert!(key.has_owner(&claim.plugin));
                            prop_assert!(key.current.is_some());
                            if clash.is_some() {
                                prop_assert_eq!(key.current.as_ref(), Some(&claim.entry));
                            }
                        }
                        Step::Refresh(p, t, repair) => {
                            let claim = claim(plugins[p], texts[t]);
                            if key.has_owner(&claim.plugin) && key.conflicting_owner(&claim).is_none() {
                                let before = key.clone();
                                match key.refresh(claim, repair) {
                                    RefreshOutcome::UserModified => prop_assert_eq!(&key.current, &before.current),
                                    RefreshOutcome::UserRemoved => prop_assert!(key.current.is_none()),
                                    RefreshOutcome::Updated | RefreshOutcome::ReplacedOlder(_) => prop_assert!(key.current.is_some()),
                                }
                                if before.current.is_none() && key.current.is_some() {
                                    expected = None;
                                }
                            }
                        }
                        Step::Release(p) => drop(key.release(&id(plugins[p]))),
                        Step::Edit(n) => {
                            key.current = Some(mine(n));
                            expected = key.current.clone();
                        }
                        Step::TakeOut => {
                            key.current = None;
                            expected = None;
                        }
                    }
                    // An entry of ours always belongs to an owner, or equals an owner's entry.
                    if key.is_ours() && key.original != key.last_written {
                        prop_assert!(key.owners.iter().any(|o| Some(&o.entry) == key.last_written.as_ref()));
                    }
                }
                for plugin in plugins {
                    key.release(&id(plugin));
                }
                prop_assert_eq!(key.current, expected);
                prop_assert!(key.owners.is_empty() && key.last_written.is_none() && key.original.is_none());
            }
        }
    }
}
