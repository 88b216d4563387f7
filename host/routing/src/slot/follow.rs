//! What a running server does by itself: its lists change, it ends, or it is quiet.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aiw_mcp::ClientError;
use serde_json::{Map, Value, json};

use super::{PING_TIMEOUT, Slot};
use crate::error::PoolError;
use crate::notifications::NotificationRouter;
use crate::start::Connection;

/// The pause before changes are followed again.
const SUBSCRIPTION_RETRY_DELAY: Duration = Duration::from_secs(5);

/// When a quiet connection is tested.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long a server has for further changes before its lists are read again.
const LIST_CHANGED_DEBOUNCE: Duration = Duration::from_millis(50);

impl Slot {
    /// Follows the changes of a server that reports them on request alone, until the connection ends.
    pub(super) fn spawn_subscription(self: &Arc<Self>, connection: &Arc<Connection>) {
        let (relay, connection) = (self.relay.clone(), Arc::downgrade(connection));
        tokio::spawn(async move {
            loop {
                let Some(open) = connection.upgrade().filter(|open| !open.client.is_closed()) else { return };
                let filter = subscription(&open.client.initialize_result()["capabilities"], &relay);
                let listening = (filter != json!({})).then(|| open.client.listen(filter));
                drop(open);
                let Some(listening) = listening else {
                    let _ = tokio::time::timeout(PING_INTERVAL, relay.subscriptions_changed.notified()).await;
                    continue;
                };
                tokio::select! {
                    ended = listening => match ended {
                        // A server that has no subscriptions is not asked again.
                        Err(ClientError::Rpc(_)) => return,
                        _ => tokio::time::sleep(SUBSCRIPTION_RETRY_DELAY).await,
                    },
                    () = relay.subscriptions_changed.notified() => {}
                }
                // Nothing is heard between two subscriptions, so the lists are read again.
                relay.list_changed.notify_one();
            }
        });
    }

    /// Watches for the server's other lists and their changes.
    pub(super) fn watch_lists(self: &Arc<Self>, connection: &Arc<Connection>) {
        let (slot, connection) = (Arc::downgrade(self), Arc::downgrade(connection));
        tokio::spawn(async move {
            let mut news = RefreshReason::Started;
            loop {
                let Some((slot, connection)) = slot.upgrade().zip(connection.upgrade()) else { return };
                if connection.client.is_closed() {
                    slot.ended(&connection).await;
                    return;
                }
                if slot.is_unused() {
                    slot.stop().await;
                    return;
                }
                let looked = match news {
                    RefreshReason::Started => slot.learn_more(&connection).await,
                    RefreshReason::Changed => slot.look_again(&connection).await,
                    RefreshReason::Idle => slot.test(&connection).await,
                };
                if looked.is_err() {
                    slot.stop().await;
                    return;
                }
                let relay = slot.relay.clone();
                drop((slot, connection));
                let changed = tokio::time::timeout(PING_INTERVAL, relay.list_changed.notified()).await;
                news = if changed.is_ok() { RefreshReason::Changed } else { RefreshReason::Idle };
                if news == RefreshReason::Changed {
                    // A server that changes all the time is not looked at all the time.
                    tokio::time::sleep(LIST_CHANGED_DEBOUNCE).await;
                }
            }
        });
    }

    /// Pings an idle connection to see whether it still works.
    async fn test(&self, connection: &Arc<Connection>) -> Result<(), PoolError> {
        let used = self.standing(|standing| standing.used);
        if used.is_some_and(|used| used.elapsed() < PING_INTERVAL) || self.in_flight.load(Ordering::Relaxed) > 0 {
            return Ok(());
        }
        // Some servers don't know it, and still answer; from 2026-07-28 on none does.
        match connection.client.request("ping", None, PING_TIMEOUT).await {
            Ok(_) | Err(ClientError::Rpc(_)) => Ok(()),
            Err(e) => {
                let e = self.failure(e, connection, PING_TIMEOUT).await;
                self.failed(&e);
                Err(e)
            }
        }
    }
}

/// Why a running server is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RefreshReason {
    Started,
    Changed,
    Idle,
}

/// What a server is to report, in the protocol's form.
fn subscription(capabilities: &Value, relay: &NotificationRouter) -> Value {
    let changes = |list: &str| capabilities[list]["listChanged"] == true;
    let mut filter = Map::new();
    for (key, list) in
        [("toolsListChanged", "tools"), ("promptsListChanged", "prompts"), ("resourcesListChanged", "resources")]
    {
        if changes(list) {
            filter.insert(key.to_owned(), true.into());
        }
    }
    let followed = relay.followed_uris();
    if !followed.is_empty() {
        filter.insert("resourceSubscriptions".to_owned(), followed.into());
    }
    filter.into()
}
