//! What happens in the project and the home, as log messages of the protocol. A client gets them once it has set a level.

use std::sync::{Arc, Weak};
use std::time::Duration;

use aiw_app::AppError;
use aiw_app::events::{EventsRequest, HomeEvents};
use aiw_app::feed::TopicSubscription;
use aiw_events::{EventKind, EventLog};
use aiw_mcp::{Caller, LOG_LEVELS};
use serde_json::{Value, json};

use crate::context::Context;

/// The sender of these messages, as the client sees it.
const LOGGER_NAME: &str = "aiw/events";

/// So many are sent at once; of more, only the newest are.
const MAX_BATCH_LEN: usize = 20;

/// How long nothing is sent after that.
const MIN_MESSAGE_INTERVAL: Duration = Duration::from_secs(1);

/// Sends a client what happens once this has returned, from this level on, as long as its session lasts.
pub(crate) async fn forward_events(context: &Arc<Context>, level: &str, client: Caller) {
    if context.log_level.lock().replace(rank(level)).is_some() {
        return;
    }
    let (weak, mut here) = (Arc::downgrade(context), context.shutdown.subscribe());
    let shared = context.clone();
    // A client that can't be told works all the same.
    let Ok((changes, reader, from)) = aiw_home::run_blocking(move || begin(&shared)).await else { return };
    tokio::spawn(async move {
        tokio::select! {
            () = follow(weak, client, &changes, reader, from) => {}
            _ = here.changed() => {}
        }
    });
}

fn begin(context: &Context) -> Result<(TopicSubscription, HomeEvents, u64), AppError> {
    let reader = HomeEvents::new(&context.home, context.client.cwd(), EventsRequest::default())?;
    let changes = context.client.app().feed().changes(&[])?;
    changes.follow_directory(EventLog::new(context.home.root()).directory());
    let from = reader.end_offset()?;
    Ok((changes, reader, from))
}

async fn follow(
    context: Weak<Context>,
    client: Caller,
    changes: &TopicSubscription,
    mut reader: HomeEvents,
    mut from: u64,
) {
    loop {
        changes.next().await;
        let read = move || {
            let list = reader.read(from, usize::MAX);
            (reader, list)
        };
        let (back, list) = aiw_home::run_blocking(read).await;
        reader = back;
        let Ok(list) = list else { continue };
        from = list.next;
        let Some(wanted) = context.upgrade().and_then(|context| *context.log_level.lock()) else { return };
        let events = list.events.into_iter().map(|event| (level_of(event.kind), json!(event)));
        let mut events: Vec<(&str, Value)> = events.filter(|(level, _)| rank(level) >= wanted).collect();
        let left_out = events.len().saturating_sub(MAX_BATCH_LEN);
        events.drain(..left_out);
        if left_out > 0 || list.gap {
            events.insert(0, ("warning", json!({"left_out": left_out, "gap": list.gap})));
        }
        let is_much = events.len() >= MAX_BATCH_LEN;
        for (level, data) in events {
            let params = json!({"level": level, "logger": LOGGER_NAME, "data": data});
            if client.notify("notifications/message", Some(params)).await.is_err() {
                return;
            }
        }
        if is_much {
            tokio::time::sleep(MIN_MESSAGE_INTERVAL).await;
        }
    }
}

fn level_of(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Failed => "error",
        EventKind::Unhealthy
        | EventKind::LimitReached
        | EventKind::StartSkipped
        | EventKind::Missed
        | EventKind::Changed
        | EventKind::Cooldown
        | EventKind::BudgetExceeded => "warning",
        EventKind::Exited | EventKind::Restarted | EventKind::Finished => "notice",
        EventKind::Started
        | EventKind::Ready
        | EventKind::Recovered
        | EventKind::Stopped
        | EventKind::ListChanged
        | EventKind::DefinitionChanged => "info",
    }
}

fn rank(level: &str) -> usize {
    LOG_LEVELS.iter().position(|known| *known == level).unwrap_or_default()
}
