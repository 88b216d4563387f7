//! Remotes that lag, hold objects that nobody with the phrase wrote, or damage what is read.

use super::*;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aiw_core::Diagnostic;
use sha2::{Digest, Sha256};

use crate::keys::{Phrase, StoreKeys};
use crate::object::{self, ObjectName};
use crate::remote::{Remote, RemoteError, RemoteObject, fetch, matches_digest};
use crate::store::short_object_name;

/// A folder behind a server with faults. All machines of a test share them.
#[derive(Clone, Default)]
struct FaultyRemote {
    faults: Arc<Mutex<Faults>>,
    reads: Arc<AtomicUsize>,
    parallel: Arc<AtomicUsize>,
    most_parallel: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Faults {
    /// The listing, if it lags.
    listing: Option<Vec<RemoteObject>>,
    /// Objects that are neither listed nor found, as if they had not arrived.
    hidden: BTreeSet<String>,
    /// `true` if objects have ids, by which also hidden ones are found.
    has_ids: bool,
    /// `true` if answers to writes are lost.
    loses_answers: bool,
    /// Remaining reads that flip a bit.
    flips: usize,
    /// Objects whose bodies stall.
    stalled: BTreeSet<String>,
    /// Time that a read takes.
    delay: Duration,
}

struct FaultyFolder {
    folder: Box<dyn Remote>,
    remote: FaultyRemote,
}

fn unavailable(message: &str) -> RemoteError {
    RemoteError::Net(aiw_net::NetError::Unavailable { message: message.into(), retry_after: None, source: None })
}

#[async_trait]
impl Remote for FaultyFolder {
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<Option<String>, RemoteError> {
        self.folder.put(name, bytes).await?;
        let faults = self.remote.faults.lock();
        match faults.loses_answers {
            true => Err(unavailable("`https://x` sent no answer for 30 s")),
            false => Ok(faults.has_ids.then(|| format!("id-{name}"))),
        }
    }

    async fn contains(&self, name: &str, id: Option<&str>) -> Result<bool, RemoteError> {
        if id.is_some_and(|id| id == format!("id-{name}")) {
            return self.folder.contains(name, None).await;
        }
        match fetch(self, name).await {
            Ok(bytes) => Ok(matches_digest(name, &bytes)),
            Err(RemoteError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn list(&self) -> Result<Vec<RemoteObject>, RemoteError> {
        let now = self.folder.list().await?;
        let faults = self.remote.faults.lock();
        let listed = faults.listing.clone().unwrap_or(now);
        Ok(listed.into_iter().filter(|object| !faults.hidden.contains(&object.name)).collect())
    }

    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        self.remote.reads.fetch_add(1, Ordering::SeqCst);
        let parallel = self.remote.parallel.fetch_add(1, Ordering::SeqCst) + 1;
        self.remote.most_parallel.fetch_max(parallel, Ordering::SeqCst);
        let delay = self.remote.faults.lock().delay;
        tokio::time::sleep(delay).await;
        let read = self.folder.get(name, limit).await;
        self.remote.parallel.fetch_sub(1, Ordering::SeqCst);
        let mut faults = self.remote.faults.lock();
        if faults.hidden.contains(name) {
            return Err(RemoteError::NotFound { name: name.into(), place: "x".into() });
        }
        if faults.stalled.contains(name) {
            return Err(unavailable("`https://x` sent nothing for 30 s"));
        }
        let mut bytes = read?;
        if faults.flips > 0 {
            faults.flips -= 1;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        Ok(bytes)
    }

    async fn delete(&self, name: &str) -> Result<(), RemoteError> {
        self.folder.delete(name).await
    }
}

impl FaultyRemote {
    fn of(&self, machine: &Machine) -> Synchronizer {
        let (mut sync, remote) = (machine.sync(), self.clone());
        sync.wrap = Some(Arc::new(move |folder| Box::new(FaultyFolder { folder, remote: remote.clone() })));
        sync
    }

    async fn push(&self, machine: &Machine) -> Result<SyncPush, SyncError> {
        self.of(machine).push(&PushRequest::default(), &aiw_core::NonInteractive, &RecordingReporter::default()).await
    }

    async fn pull(&self, machine: &Machine) -> Result<SyncPull, SyncError> {
        self.of(machine).pull(&PullRequest::default(), &aiw_core::NonInteractive, &RecordingReporter::default()).await
    }

    async fn pull_older(&self, machine: &Machine) -> Result<SyncPull, SyncError> {
        let request = PullRequest { allow_rollback: true, ..PullRequest::default() };
        self.of(machine).pull(&request, &aiw_core::NonInteractive, &RecordingReporter::default()).await
    }

    /// Lets the listing stay as it is now.
    fn freeze(&self, far: &Path) {
        let listing = names(far).into_iter().map(|name| RemoteObject { name, size: None }).collect();
        self.faults.lock().listing = Some(listing);
    }

    fn thaw(&self) {
        self.faults.lock().listing = None;
    }
}

fn names(far: &Path) -> BTreeSet<String> {
    fs::read_dir(far).unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Returns the only object that came since.
fn newest(far: &Path, before: &BTreeSet<String>) -> ObjectName {
    let new: Vec<String> = names(far).difference(before).cloned().collect();
    assert_eq!(new.len(), 1, "{new:?}");
    ObjectName::parse(&new[0]).unwrap()
}

fn keys(machine: &Machine) -> StoreKeys {
    let phrase = machine.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    Phrase::parse(phrase.expose()).unwrap().keys().unwrap()
}

/// Writes a file under the number of a snapshot, as somebody can who has no key. Its digest is that of its bytes, or not.
fn forge(far: &Path, number: &ObjectName, bytes: &[u8], fits: bool) -> ObjectName {
    let digest = if fits { aiw_core::hex(&Sha256::digest(bytes)) } else { "0".repeat(64) };
    let name = ObjectName { digest, ..number.clone() };
    fs::write(far.join(name.to_string()), bytes).unwrap();
    name
}

#[tokio::test]
async fn a_listing_that_lags_behind_a_push_is_no_older_state() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let remote = FaultyRemote::default();
    remote.freeze(far.path());
    one.write(MEMORY, "first\n");
    one.push().await.unwrap();
    other.pull().await;
    for round in 0..3 {
        // The machine that pushed, and one that has pulled it.
        remote.pull(&one).await.unwrap();
        remote.pull(&other).await.unwrap();
        one.write(MEMORY, &format!("{round}\n"));
        assert!(remote.push(&one).await.unwrap().snapshot.is_some());
    }
    // Accepting an older state changes nothing, as there is none.
    remote.pull_older(&one).await.unwrap();
    remote.thaw();
    assert!(remote.push(&one).await.unwrap().snapshot.is_none());
    assert!(remote.pull(&other).await.unwrap().conflicts.is_empty());
    assert_eq!(other.read(MEMORY).as_deref(), Some("2\n"));
}

#[tokio::test]
async fn the_own_newest_snapshot_is_looked_up_by_its_id() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let (mut before, remote) = (names(far.path()), FaultyRemote::default());
    remote.faults.lock().has_ids = true;
    for text in ["new\n", "newer\n"] {
        one.write(MEMORY, text);
        assert!(remote.push(&one).await.unwrap().snapshot.is_some());
        remote.faults.lock().hidden.insert(newest(far.path(), &before).to_string());
        before = names(far.path());
        remote.pull(&one).await.unwrap();
    }
    remote.faults.lock().hidden.clear();
    remote.pull(&other).await.unwrap();
    assert_eq!(other.read(MEMORY).as_deref(), Some("newer\n"));
    // An id doesn't bring back what is gone.
    for name in &before {
        fs::remove_file(far.path().join(name)).unwrap();
    }
    assert!(remote.pull(&one).await.unwrap_err().to_string().contains("older state"));
}

#[tokio::test]
async fn what_another_snapshot_names_is_found_where_the_listing_lags() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let (third, remote) = (Machine::new(), FaultyRemote::default());
    let phrase = one.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    third.join(far.path(), &phrase).await.unwrap();
    let before = names(far.path());
    one.write(MEMORY, "one\n");
    one.push().await.unwrap();
    let hidden = newest(far.path(), &before);
    other.pull().await;
    other.write(RULES, "other\n");
    other.push().await.unwrap();
    let listed = names(far.path()).into_iter().filter(|name| *name != hidden.to_string());
    remote.faults.lock().listing = Some(listed.map(|name| RemoteObject { name, size: None }).collect());
    remote.pull(&third).await.unwrap();
    assert_eq!((third.read(MEMORY).as_deref(), third.read(RULES).as_deref()), (Some("one\n"), Some("other\n")));
    // Where it is gone, that is said.
    fs::remove_file(far.path().join(hidden.to_string())).unwrap();
    let fourth = Machine::new();
    fourth.join(far.path(), &phrase).await.unwrap();
    let error = remote.pull(&fourth).await.unwrap_err();
    assert!(
        error.to_string().contains("older state") && error.to_string().contains(&short_object_name(&hidden)),
        "{error}"
    );
}

#[tokio::test]
async fn a_state_that_is_older_is_refused_where_the_listing_lags_too() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let (before, remote) = (names(far.path()), FaultyRemote::default());
    remote.freeze(far.path());
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    other.pull().await;
    let new = newest(far.path(), &before);
    let path = far.path().join(new.to_string());
    let bytes = fs::read(&path).unwrap();
    // Neither an object that is gone nor other bytes under its name are the newest state.
    for replaced in [None, Some(b"junk".to_vec()), Some(bytes[1..].to_vec())] {
        match &replaced {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        for machine in [&one, &other] {
            let error = remote.pull(machine).await.unwrap_err().to_string();
            let name = format!("{}-2", &new.machine[..8]);
            assert_eq!(error, format!("the remote shows an older state than before: snapshot `{name}` is gone"));
            assert!(remote.push(machine).await.unwrap_err().to_string().contains("older state"));
        }
    }
    fs::write(&path, &bytes).unwrap();
    remote.pull(&other).await.unwrap();
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_is_found_where_the_listing_lags() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let (before, remote) = (names(far.path()), FaultyRemote::default());
    remote.freeze(far.path());
    one.write(MEMORY, "new\n");
    remote.faults.lock().loses_answers = true;
    let error = remote.push(&one).await.unwrap_err().to_string();
    let arrived = newest(far.path(), &before);
    assert_eq!(
        error,
        format!("cannot write snapshot `{}`: `https://x` sent no answer for 30 s", short_object_name(&arrived))
    );
    remote.faults.lock().loses_answers = false;
    assert!(remote.push(&one).await.unwrap().snapshot.is_none(), "it arrived");
    remote.thaw();
    assert!(remote.pull(&one).await.unwrap().conflicts.is_empty());
    remote.pull(&other).await.unwrap();
    assert_eq!(other.read(MEMORY).as_deref(), Some("new\n"));
}

#[tokio::test]
async fn a_push_that_arrives_late_conflicts_with_nothing() {
    for next in ["push", "pull"] {
        let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
        let (before, remote) = (names(far.path()), FaultyRemote::default());
        one.write(MEMORY, "late\n");
        remote.faults.lock().loses_answers = true;
        remote.push(&one).await.unwrap_err();
        let late = newest(far.path(), &before);
        remote.faults.lock().loses_answers = false;
        remote.faults.lock().hidden.insert(late.to_string());
        one.write(MEMORY, "next\n");
        if next == "push" {
            // It has not the number of the one that arrives late.
            remote.push(&one).await.unwrap();
        } else {
            other.write(RULES, "other\n");
            remote.push(&other).await.unwrap();
            remote.pull(&one).await.unwrap();
        }
        remote.faults.lock().hidden.clear();
        assert!(remote.pull(&one).await.unwrap().conflicts.is_empty(), "{next}");
        remote.push(&one).await.unwrap();
        remote.pull(&other).await.unwrap();
        assert_eq!(other.read(MEMORY).as_deref(), Some("next\n"), "{next}");
    }
}

#[tokio::test]
async fn a_machine_that_accepted_an_older_state_does_not_conflict_with_what_appears_again() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let (before, remote) = (names(far.path()), FaultyRemote::default());
    one.write(MEMORY, "new\n");
    remote.push(&one).await.unwrap();
    let new = newest(far.path(), &before);
    remote.faults.lock().hidden.insert(new.to_string());
    assert!(remote.pull(&one).await.unwrap_err().to_string().contains("older state"));
    remote.pull_older(&one).await.unwrap();
    one.write(MEMORY, "newer\n");
    remote.faults.lock().hidden.clear();
    assert!(remote.pull(&one).await.unwrap().conflicts.is_empty());
    assert!(remote.push(&one).await.unwrap().snapshot.is_some());
    remote.pull(&other).await.unwrap();
    assert_eq!((one.read(MEMORY), other.read(MEMORY)), (Some("newer\n".into()), Some("newer\n".into())));
}

#[tokio::test]
async fn a_home_that_is_an_older_copy_takes_no_number_twice() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let state = one.path(".aiw/sync/state.json");
    let old = fs::read(&state).unwrap();
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    fs::write(&state, old).unwrap();
    one.pull().await;
    one.write(MEMORY, "newer\n");
    one.push().await.unwrap();
    let numbers: BTreeSet<u64> =
        names(far.path()).iter().filter_map(|name| ObjectName::parse(name)).map(|name| name.counter).collect();
    assert_eq!(numbers.len(), names(far.path()).len());
    other.pull().await;
    assert_eq!(other.read(MEMORY).as_deref(), Some("newer\n"));
}

#[tokio::test]
async fn snapshots_that_are_listed_and_deleted_are_passed_over() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let remote = FaultyRemote::default();
    for round in 0..3 {
        one.write(MEMORY, &format!("{round}\n"));
        one.push().await.unwrap();
    }
    remote.freeze(far.path());
    let mut old: Vec<ObjectName> = names(far.path()).iter().filter_map(|name| ObjectName::parse(name)).collect();
    old.sort_by_key(|name| name.counter);
    for name in &old[1..3] {
        fs::remove_file(far.path().join(name.to_string())).unwrap();
    }
    let listed = remote.of(&other).list(&RecordingReporter::default()).await.unwrap();
    assert_eq!(listed.snapshots.len(), 2);
    remote.pull(&other).await.unwrap();
    assert_eq!(other.read(MEMORY).as_deref(), Some("2\n"));
}

#[tokio::test]
async fn an_object_that_needs_no_key_blocks_nobody_and_replaces_nothing() {
    for (number, fits) in [(0, true), (0, false), (1, true), (-1, true), (-1, false)] {
        let (far, one, other) = two(&[(MEMORY, "base\n"), (RULES, "x\n")]).await;
        let (before, remote) = (names(far.path()), FaultyRemote::default());
        one.write(MEMORY, "new\n");
        one.push().await.unwrap();
        let new = newest(far.path(), &before);
        let taken = ObjectName { counter: new.counter.checked_add_signed(number).unwrap(), ..new.clone() };
        let forged = forge(far.path(), &taken, b"anything", fits);
        let third = Machine::new();
        let phrase = one.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
        third.join(far.path(), &phrase).await.unwrap();
        let heard = RecordingReporter::default();
        for machine in [&other, &third] {
            let sync = remote.of(machine);
            sync.pull(&PullRequest::default(), &aiw_core::NonInteractive, &heard).await.unwrap();
            assert_eq!(machine.read(MEMORY).as_deref(), Some("new\n"), "{number} {fits}");
            assert_eq!(sync.list(&heard).await.unwrap().snapshots.len(), 2);
            sync.diff(Some(&short_object_name(&new)), &heard).await.unwrap();
        }
        assert!(heard.lines().iter().any(|line| line.contains(&forged.to_string())), "{heard:?}");
        one.write(MEMORY, "newer\n");
        remote.push(&one).await.unwrap();
        other.write(RULES, "y\n");
        remote.pull(&other).await.unwrap();
        remote.push(&other).await.unwrap();
        remote.pull(&one).await.unwrap();
        assert_eq!((other.read(MEMORY), one.read(RULES)), (Some("newer\n".into()), Some("y\n".into())));
    }
}

#[tokio::test]
async fn an_object_beside_a_damaged_snapshot_does_not_hide_it() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let (before, remote) = (names(far.path()), FaultyRemote::default());
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    let new = newest(far.path(), &before);
    let whole = fs::read(far.path().join(new.to_string())).unwrap();
    fs::write(far.path().join(new.to_string()), &whole[1..]).unwrap();
    forge(far.path(), &new, b"anything", true);
    let error = remote.pull(&other).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("snapshot `{}` is not whole, or was replaced by another one", short_object_name(&new))
    );
    assert!(error.hint().unwrap().contains(&format!("delete `{new}`")), "{error:?}");
    // The machine that wrote it puts it again.
    remote.push(&one).await.unwrap();
    remote.pull(&other).await.unwrap();
    assert_eq!(other.read(MEMORY).as_deref(), Some("new\n"));
}

#[tokio::test]
async fn two_snapshots_with_one_number_are_refused() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let (before, remote) = (names(far.path()), FaultyRemote::default());
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    let new = newest(far.path(), &before);
    let whole = fs::read(far.path().join(new.to_string())).unwrap();
    // A copy of the machine's home has the key, too.
    let content = object::decrypt_object(&keys(&one), &new, &whole).unwrap();
    let (second, bytes) = object::encrypt_object(&keys(&one), &new.machine, new.counter, &content).unwrap();
    fs::write(far.path().join(second.to_string()), bytes).unwrap();
    let refused = async || {
        for machine in [&one, &other] {
            let error = remote.pull(machine).await.unwrap_err();
            let said = error.to_string();
            assert!(
                said.contains(&short_object_name(&new)) && said.contains(&new.digest) && said.contains(&second.digest),
                "{said}"
            );
            assert!(error.hint().unwrap().contains("aiw sync leave"));
        }
    };
    refused().await;
    // Also once they are not the newest ones.
    let (next, bytes) = object::encrypt_object(&keys(&one), &new.machine, new.counter + 1, &content).unwrap();
    fs::write(far.path().join(next.to_string()), bytes).unwrap();
    refused().await;
}

#[tokio::test]
async fn a_read_that_fails_its_digest_is_tried_once_more() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let (before, remote) = (names(far.path()), FaultyRemote::default());
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    let new = newest(far.path(), &before);
    remote.faults.lock().flips = 2;
    let error = remote.pull(&other).await.unwrap_err();
    assert!(matches!(&error, SyncError::InvalidSnapshot { name, .. } if *name == short_object_name(&new)), "{error}");
    assert_eq!((remote.reads.swap(0, Ordering::SeqCst), remote.faults.lock().flips), (2, 0));
    remote.faults.lock().flips = 1;
    remote.pull(&other).await.unwrap();
    assert_eq!((remote.reads.load(Ordering::SeqCst), other.read(MEMORY).as_deref()), (2, Some("new\n")));
    // So is one of a machine that joins, and one that would have a good object put again.
    let third = Machine::new();
    let phrase = one.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    remote.faults.lock().flips = 1;
    let (sync, phrase) = (remote.of(&third), Some(phrase));
    sync.join(far.path().to_str().unwrap(), None, phrase, &aiw_core::NonInteractive, &RecordingReporter::default())
        .await
        .unwrap();
    remote.faults.lock().flips = 1;
    let heard = RecordingReporter::default();
    remote.of(&one).push(&PushRequest::default(), &aiw_core::NonInteractive, &heard).await.unwrap();
    assert!(!format!("{heard:?}").contains("is whole there again"), "{heard:?}");
}

#[tokio::test]
async fn a_snapshot_whose_body_stalls_is_named_and_read_later() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let (before, remote) = (names(far.path()), FaultyRemote::default());
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    let new = newest(far.path(), &before);
    remote.faults.lock().stalled.insert(new.to_string());
    for error in [remote.pull(&other).await.unwrap_err(), remote.push(&other).await.unwrap_err()] {
        let said = format!("cannot read snapshot `{}`: `https://x` sent nothing for 30 s", short_object_name(&new));
        assert_eq!((error.to_string(), error.kind()), (said, aiw_core::ErrorKind::Unavailable));
    }
    // Nor does one that needs no key stall anybody.
    remote.faults.lock().stalled = [forge(far.path(), &new, b"anything", true).to_string()].into();
    remote.pull(&other).await.unwrap();
    assert_eq!(other.read(MEMORY).as_deref(), Some("new\n"));
}

#[tokio::test]
async fn the_first_list_of_a_machine_reads_in_parallel_and_shows_progress() {
    let (far, one, _other) = two(&[(MEMORY, "base\n")]).await;
    for round in 1..30 {
        one.write(MEMORY, &format!("{round}\n"));
        one.push().await.unwrap();
    }
    let (third, remote, heard) = (Machine::new(), FaultyRemote::default(), RecordingReporter::default());
    let phrase = one.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    third.join(far.path(), &phrase).await.unwrap();
    remote.faults.lock().delay = Duration::from_millis(2);
    assert_eq!(remote.of(&third).list(&heard).await.unwrap().snapshots.len(), 30);
    assert_eq!((remote.reads.load(Ordering::SeqCst), remote.most_parallel.load(Ordering::SeqCst)), (30, 8));
    assert!(heard.lines().iter().any(|line| line == "read 25 of 29 snapshots"), "{heard:?}");
    // What is here is not fetched again.
    let heard = RecordingReporter::default();
    remote.of(&third).list(&heard).await.unwrap();
    assert_eq!(remote.reads.load(Ordering::SeqCst), 30);
    assert!(!format!("{heard:?}").contains("of 29"), "{heard:?}");
}
