//! `notifications`, `notifications/live` and `status/walreplay`: they answer also before the stores are open.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use http::StatusCode;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Answer, data, to_json};
use crate::live::{Live, Notice};

pub(super) async fn walreplay(State(live): State<Live>) -> Answer {
    data(&to_json(&live.replay())?)
}

pub(super) async fn notifications(State(live): State<Live>) -> Answer {
    data(&to_json(&live.notices())?)
}

/// Server-sent events: what stands first, then every change. 204 when too many follow.
pub(super) async fn live(State(live): State<Live>) -> Response {
    let Some((standing, changes)) = live.follow() else { return StatusCode::NO_CONTENT.into_response() };
    let events = stream::iter(standing).chain(following(changes)).map(event);
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

fn following(changes: Receiver<Notice>) -> impl Stream<Item = Notice> {
    stream::unfold(changes, |mut changes| async move {
        loop {
            match changes.recv().await {
                Ok(notice) => return Some((notice, changes)),
                // A follower that was too slow misses the oldest; what stands is at `notifications`.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

fn event(notice: Notice) -> Result<Event, Infallible> {
    // A notice is text and numbers: it always serializes.
    Ok(Event::default().data(serde_json::to_string(&notice).unwrap_or_default()))
}
