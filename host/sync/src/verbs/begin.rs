//! Beginning a store, joining one, and changing its phrase.

use std::collections::BTreeSet;

use aiw_core::{Prompter, Reporter, Secret};

use super::login::warn_unencrypted;
use super::{
    NEW_PHRASE_SECRET_NAME, OpenStore, PHRASE_SECRET_NAME, StoreSetup, SyncRekey, Synchronizer, push, secret_name,
};
use crate::error::SyncError;
use crate::graph::Listing;
use crate::keys::{Phrase, StoreKeys};
use crate::object::{self, ObjectName, new_machine_id};
use crate::remote::{Remote, RemoteError, RemoteUrl, fetch};
use crate::state::SyncState;
use crate::store::{list, read_error};

/// Objects that are tried with a phrase.
const MAX_PROBED_OBJECTS: usize = 200;

impl Synchronizer {
    /// Begins a store at a remote that holds none.
    ///
    /// # Errors
    ///
    /// The remote holds a store or can't be reached, or this machine has one.
    pub async fn init(
        &self,
        remote: &str,
        machine: Option<String>,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<StoreSetup, SyncError> {
        self.telling(sink, self.init_told(remote, machine, ask, sink)).await
    }

    async fn init_told(
        &self,
        remote: &str,
        machine: Option<String>,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<StoreSetup, SyncError> {
        let _turn = self.directory.lock()?;
        let (remote, far) = self.new_far(remote, sink).await?;
        sink.step(format!("looking at {remote}"));
        if list(&*far).await?.iter().any(|name| ObjectName::parse(name).is_some()) {
            return Err(SyncError::StoreAlreadyExists { remote });
        }
        let phrase = Phrase::new().map_err(SyncError::System)?;
        show(&phrase, ask).await?;
        let begun = self.begin(remote, machine, &phrase, 0)?;
        note_phrase(ask, sink);
        Ok(begun)
    }

    /// Joins a store with its phrase.
    ///
    /// # Errors
    ///
    /// The remote holds no store, or another one; the words have a typing error; this machine has a store.
    pub async fn join(
        &self,
        remote: &str,
        machine: Option<String>,
        phrase: Option<Secret>,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<StoreSetup, SyncError> {
        self.telling(sink, self.join_told(remote, machine, phrase, ask, sink)).await
    }

    async fn join_told(
        &self,
        remote: &str,
        machine: Option<String>,
        phrase: Option<Secret>,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<StoreSetup, SyncError> {
        let _turn = self.directory.lock()?;
        let (remote, far) = self.new_far(remote, sink).await?;
        sink.step(format!("looking at {remote}"));
        let names: Vec<ObjectName> = list(&*far).await?.iter().filter_map(|name| ObjectName::parse(name)).collect();
        if names.is_empty() {
            return Err(SyncError::StoreNotFound { remote });
        }
        let words = match phrase {
            Some(words) => Some(words),
            None => ask.secret(&format!("The 12 words of the store at {remote}: ")).await?,
        };
        let words = words.ok_or(SyncError::Prompt(aiw_core::PromptError::Declined))?;
        let phrase = Phrase::parse(words.expose())?;
        let keys = keys_of(&phrase)?;
        // One of its objects opens, or nothing is written here.
        let own: Vec<ObjectName> = names.into_iter().filter(|name| name.store == keys.store_id).collect();
        let opened = opens(&*far, &keys, &own).await?;
        if !opened {
            return Err(SyncError::WrongRecoveryPhrase { remote });
        }
        self.begin(remote, machine, &phrase, own.len())
    }

    /// Checks the form of a remote's address. Nothing is looked at. Returns the address as it is kept.
    ///
    /// # Errors
    ///
    /// It has none of the forms.
    pub fn check_address(&self, remote: &str) -> Result<String, SyncError> {
        Ok(RemoteUrl::parse(remote, self.home.context())?.to_string())
    }

    async fn new_far(&self, remote: &str, sink: &dyn Reporter) -> Result<(String, Box<dyn Remote>), SyncError> {
        if let Some(state) = self.directory.load()? {
            return Err(SyncError::AlreadySetUp { remote: state.remote });
        }
        let address = self.check_address(remote)?;
        warn_unencrypted(&RemoteUrl::parse(&address, self.home.context())?, sink);
        let far = self.far(&address).await?;
        Ok((address, far))
    }

    fn begin(
        &self,
        remote: String,
        machine: Option<String>,
        phrase: &Phrase,
        snapshots: usize,
    ) -> Result<StoreSetup, SyncError> {
        let keys = keys_of(phrase)?;
        let id = new_machine_id().map_err(SyncError::System)?;
        let machine = machine.or_else(host_name).unwrap_or_else(|| id[..8].to_owned());
        let machine = aiw_core::one_line(&machine, 60);
        crate::generated::remove_generated(&self.home)?;
        self.home.vault().set(&self.home.lock()?, &secret_name(PHRASE_SECRET_NAME)?, &phrase.to_secret())?;
        self.directory.save(&SyncState::new(remote.clone(), id, machine.clone(), keys.store_id.clone()))?;
        Ok(StoreSetup { remote, machine, fingerprint: keys.fingerprint, snapshots })
    }

    /// Forgets the store on this machine. Its objects and the files here stay.
    ///
    /// # Errors
    ///
    /// This machine has none.
    pub fn leave(&self) -> Result<String, SyncError> {
        let _turn = self.directory.lock()?;
        let state = self.state()?;
        self.forget_secret(PHRASE_SECRET_NAME)?;
        self.directory.remove_state()?;
        crate::generated::remove_generated(&self.home)?;
        Ok(state.remote)
    }

    /// Shows the phrase, on a terminal alone.
    ///
    /// # Errors
    ///
    /// There is no terminal, or no phrase.
    pub async fn show_phrase(&self, ask: &dyn Prompter) -> Result<(), SyncError> {
        self.seen_state()?;
        let phrase = self.phrase(PHRASE_SECRET_NAME)?;
        if !ask.is_interactive() {
            let (question, hint) = ("showing the phrase".to_owned(), "`aiw sync phrase` on a terminal".to_owned());
            return Err(aiw_core::PromptError::NotInteractive { question, hint }.into());
        }
        ask.text(&format!("{}\nPress Enter when you have it. ", numbered(&phrase))).await?;
        Ok(())
    }

    /// Begins a new store with a new phrase at the same remote. Machines that have the old words can read nothing new.
    ///
    /// # Errors
    ///
    /// As for a push.
    pub async fn rekey(&self, ask: &dyn Prompter, sink: &dyn Reporter) -> Result<SyncRekey, SyncError> {
        self.telling(sink, self.rekey_told(ask, sink)).await
    }

    async fn rekey_told(&self, ask: &dyn Prompter, sink: &dyn Reporter) -> Result<SyncRekey, SyncError> {
        let OpenStore { mut state, keys: old_keys, remote: far, _turn } = self.open().await?;
        // What others pushed would stay in the old store, which nobody opens any more.
        let gathered = self.gather(BTreeSet::new()).await?;
        let store = self.look(&*far, &old_keys, &mut state, false).await?;
        self.check_all_merged(&store, &state, &gathered)?;
        drop(store);
        let phrase = Phrase::new().map_err(SyncError::System)?;
        show(&phrase, ask).await?;
        let keys = keys_of(&phrase)?;
        let id = new_machine_id().map_err(SyncError::System)?;
        let mut new = SyncState::new(state.remote.clone(), id, state.machine_name.clone(), keys.store_id.clone());
        new.change = state.change.clone();
        let request = push::PushRequest { allow_deletions: true, ..push::PushRequest::default() };
        let talk = super::SyncUi { prompter: ask, reporter: sink };
        sink.step("writing the first snapshot of the new store".into());
        // Nothing here changes before it is there: until then, the old store goes on.
        let pushed = self.push_to(&mut new, &keys, &*far, &request, &talk, false).await?;
        self.home.vault().set(&self.home.lock()?, &secret_name(NEW_PHRASE_SECRET_NAME)?, &phrase.to_secret())?;
        self.directory.save(&new)?;
        self.home.vault().set(&self.home.lock()?, &secret_name(PHRASE_SECRET_NAME)?, &phrase.to_secret())?;
        self.forget_secret(NEW_PHRASE_SECRET_NAME)?;
        note_phrase(ask, sink);
        self.push_move_notice(&mut state, &old_keys, &*far, &keys.store_id).await?;
        Ok(SyncRekey { fingerprint: keys.fingerprint, snapshot: pushed.snapshot.unwrap_or_default() })
    }
}

/// Whether one of these objects is of the store. Damaged ones, and those that no machine of it wrote, are passed over.
async fn opens(far: &dyn Remote, keys: &StoreKeys, names: &[ObjectName]) -> Result<bool, SyncError> {
    let objects: Vec<String> = names.iter().map(ToString::to_string).collect();
    let listing = Listing::new(&keys.store_id, objects.iter().map(String::as_str));
    // The newest ones first: those are not deleted while they are read.
    let newest: BTreeSet<&ObjectName> = listing.newest().into_iter().collect();
    let others = listing.names().filter(|name| !newest.contains(name));
    for name in newest.iter().copied().chain(others).take(MAX_PROBED_OBJECTS) {
        match fetch(far, &name.to_string()).await {
            Ok(bytes) if object::decrypt_object(keys, name, &bytes).is_ok() => return Ok(true),
            Ok(_) | Err(RemoteError::NotFound { .. } | RemoteError::TooLarge { .. }) => {}
            Err(error) => return Err(read_error(name)(error)),
        }
    }
    Ok(false)
}

fn keys_of(phrase: &Phrase) -> Result<StoreKeys, SyncError> {
    phrase.keys().ok_or_else(|| SyncError::Internal("keys can't be made".into()))
}

fn host_name() -> Option<String> {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    read.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn numbered(phrase: &Phrase) -> String {
    let words = phrase.words().enumerate().map(|(at, word)| format!("{:>2}. {word:<10}", at + 1));
    let words: Vec<String> = words.collect();
    words.chunks(4).map(|line| line.concat().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Says where a new phrase is that nobody has seen, once it is there.
fn note_phrase(ask: &dyn Prompter, sink: &dyn Reporter) {
    if !ask.is_interactive() {
        sink.note("the phrase is in the vault: `aiw sync phrase` shows it on a terminal; write it down there".into());
    }
}

/// Shows a new phrase to whoever is there, and asks two words back.
async fn show(phrase: &Phrase, ask: &dyn Prompter) -> Result<(), SyncError> {
    if !ask.is_interactive() {
        return Ok(());
    }
    let words: Vec<&str> = phrase.words().collect();
    let about =
        "Whoever has these 12 words can read everything that you push; without them, nobody can. Write them down:";
    let mut shown = format!("{about}\n\n{}\n\n", numbered(phrase));
    for at in [2, 8] {
        loop {
            let question = format!("{shown}Word {}: ", at + 1);
            let typed = ask.text(&question).await?.unwrap_or_default();
            if typed.trim().eq_ignore_ascii_case(words[at]) {
                break;
            }
            shown = "That is another word. ".into();
        }
        shown = String::new();
    }
    Ok(())
}
