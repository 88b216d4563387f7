//! Who may stay connected, and for how long.
//!
//! A connection begins as a stranger. Strangers share a few places, live seconds, and the oldest one leaves when another comes
//! and all places are taken: whoever has a token shows it with its first bytes, so it is a stranger for a moment only. Whoever
//! has shown one has a place of another kind, so strangers never take it away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::rules::ListenLimits;

/// The places of a listener.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    /// Connections that have shown no token, by their number, with what ends them.
    unauthenticated: Mutex<Unauthenticated>,
    max_unauthenticated: usize,
    stranger_time: Duration,
    /// Places of those that have shown one.
    known: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Unauthenticated {
    count: u64,
    /// The oldest is first.
    all: BTreeMap<u64, EndTime>,
}

/// When a connection ends, if nothing else ends it before.
type EndTime = watch::Sender<Option<Instant>>;

impl ConnectionLimit {
    pub(crate) fn new(limits: &ListenLimits) -> Arc<Self> {
        Arc::new(Self {
            unauthenticated: Mutex::default(),
            max_unauthenticated: limits.max_unauthenticated.max(1),
            stranger_time: limits.unauthenticated_timeout,
            known: Arc::new(Semaphore::new(limits.max_connections)),
        })
    }

    /// Gives a place to a new connection. If all are taken, the oldest stranger leaves.
    pub(crate) fn acquire(self: &Arc<Self>) -> ConnectionPermit {
        let ends = watch::Sender::new(Some(Instant::now() + self.stranger_time));
        let mut strangers = self.strangers();
        while strangers.all.len() >= self.max_unauthenticated {
            strangers.oldest_leaves();
        }
        strangers.count += 1;
        let number = strangers.count;
        strangers.all.insert(number, ends.clone());
        drop(strangers);
        ConnectionPermit { number, ends, known: Mutex::default(), places: self.clone() }
    }

    /// Ends the oldest stranger, because the system has no room for another connection.
    pub(crate) fn evict_oldest(&self) {
        self.strangers().oldest_leaves();
    }

    fn strangers(&self) -> MutexGuard<'_, Unauthenticated> {
        self.unauthenticated.lock()
    }
}

impl Unauthenticated {
    fn oldest_leaves(&mut self) {
        if let Some((_, ends)) = self.all.pop_first() {
            ends.send_replace(Some(Instant::now()));
        }
    }
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    number: u64,
    ends: EndTime,
    known: Mutex<Option<OwnedSemaphorePermit>>,
    places: Arc<ConnectionLimit>,
}

impl ConnectionPermit {
    /// Notes that the connection has shown a good token. Returns whether there is room for it.
    pub(crate) fn mark_authenticated(&self) -> bool {
        let mut known = self.known.lock();
        if known.is_none() {
            let Ok(permit) = self.places.known.clone().try_acquire_owned() else { return false };
            *known = Some(permit);
            self.places.strangers().all.remove(&self.number);
            self.ends.send_replace(None);
        }
        true
    }

    /// Notes that a request was refused: the connection ends, soon or sooner.
    pub(crate) fn mark_rejected(&self) {
        let end = Instant::now() + self.places.stranger_time;
        self.ends.send_if_modified(|ends| {
            let is_sooner = ends.is_none_or(|at| end < at);
            if is_sooner {
                *ends = Some(end);
            }
            is_sooner
        });
    }

    /// Waits until the connection has to end.
    pub(crate) async fn wait_until_expired(&self) {
        let mut ends = self.ends.subscribe();
        loop {
            let at = *ends.borrow_and_update();
            let sleep = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => return,
                // The sender is a field of this place.
                _ = ends.changed() => {}
            }
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.places.strangers().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(strangers: usize, connections: usize) -> Arc<ConnectionLimit> {
        ConnectionLimit::new(&ListenLimits {
            max_unauthenticated: strangers,
            max_connections: connections,
            ..ListenLimits::default()
        })
    }

    fn has_ended(place: &ConnectionPermit) -> bool {
        place.ends.borrow().is_some_and(|at| at <= Instant::now())
    }

    #[tokio::test]
    async fn the_oldest_stranger_leaves_and_whoever_is_known_stays() {
        let places = places(2, 1);
        let known = places.acquire();
        assert!(known.mark_authenticated() && known.mark_authenticated());
        let strangers: Vec<ConnectionPermit> = (0..100).map(|_| places.acquire()).collect();
        let stay: Vec<usize> = (0..100).filter(|at| !has_ended(&strangers[*at])).collect();
        assert_eq!(stay, [98, 99]);
        strangers[0].wait_until_expired().await;
        assert_eq!(*known.ends.borrow(), None);
        // There is no second place for the known.
        assert!(!strangers[99].mark_authenticated());
        drop(known);
        assert!(strangers[99].mark_authenticated());
        assert_eq!(*strangers[99].ends.borrow(), None);
        strangers[99].mark_rejected();
        assert!(strangers[99].ends.borrow().is_some());
        drop(strangers);
        assert!(places.strangers().all.is_empty());
        places.evict_oldest();
    }

    #[tokio::test]
    async fn a_refusal_gives_a_stranger_no_more_time() {
        let place = places(2, 1).acquire();
        let before = *place.ends.borrow();
        place.mark_rejected();
        assert_eq!(*place.ends.borrow(), before);
    }
}
