//! An answer that is written while it is sent.
//!
//! ```text
//!  blocking thread                                   connection
//!  Outlet ── text grows ── full? ──chunk──▶ queue of CHUNKS_WAITING ──▶ socket
//!                             │                (full: the writer waits, at most `stall`)
//!                             └─ never full: one body with its length, no stream
//! ```
//! - At most `CHUNK_BYTES` and one item are held here, and `CHUNKS_WAITING` chunks for the socket, however large the
//!   answer is.
//! - A client that goes away ends the writing at the next chunk; one that stops reading, after `stall`.
//! - An answer that was begun and not finished breaks the connection: it never looks complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::error::ApiError;

const CHUNK_BYTES: usize = 32 << 10;
const CHUNKS_WAITING: usize = 4;

/// Nobody listens any more: stop writing.
#[derive(Debug)]
pub(crate) enum Gone {
    /// The client closed its connection.
    Closed,
    /// The client took nothing for too long.
    Stalled,
    /// Too many answers are being sent; the client was told.
    Refused,
}

/// What bounds the answers that are sent at the same time.
#[derive(Clone, Debug)]
pub(crate) struct OutletLimits {
    /// Longest wait for a client that takes nothing.
    pub(crate) stall: Duration,
    /// One permit per streamed answer.
    pub(crate) streams: Arc<Semaphore>,
    /// For the error's text.
    pub(crate) streams_max: usize,
}

/// What an answer is written in: text, or the bytes of a binary format.
pub(crate) trait Buffer: Default + AsRef<[u8]> + Into<Bytes> + Send + 'static {
    fn with_capacity(bytes: usize) -> Self;
}

impl Buffer for String {
    fn with_capacity(bytes: usize) -> Self {
        Self::with_capacity(bytes)
    }
}

impl Buffer for Vec<u8> {
    fn with_capacity(bytes: usize) -> Self {
        Self::with_capacity(bytes)
    }
}

/// The writer's end. Lives on a blocking thread.
pub(crate) struct Outlet<B = String> {
    buffer: B,
    state: Sending,
    limits: OutletLimits,
}

enum Sending {
    /// Nothing was sent: the status is still open.
    NotYet(oneshot::Sender<Result<Opened, ApiError>>),
    Streaming {
        chunks: mpsc::Sender<Bytes>,
        is_complete: Arc<AtomicBool>,
        _permit: OwnedSemaphorePermit,
    },
    Ended,
}

enum Opened {
    Whole(Bytes),
    Stream { chunks: mpsc::Receiver<Bytes>, is_complete: Arc<AtomicBool> },
}

/// The handler's end.
pub(crate) struct Opening(oneshot::Receiver<Result<Opened, ApiError>>);

impl Outlet {
    /// Where to write text. Call [`relieve`](Self::relieve) after each item.
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.buffer
    }
}

impl<B: Buffer> Outlet<B> {
    pub(crate) fn new(limits: OutletLimits) -> (Self, Opening) {
        let (sender, receiver) = oneshot::channel();
        (Self { buffer: B::default(), state: Sending::NotYet(sender), limits }, Opening(receiver))
    }

    /// Where to write. Call [`relieve`](Self::relieve) after each item.
    pub(crate) fn buffer(&mut self) -> &mut B {
        &mut self.buffer
    }

    /// Hands on what is written if it is enough for a chunk. May wait for the client.
    ///
    /// # Errors
    /// [`Gone`].
    pub(crate) fn relieve(&mut self) -> Result<(), Gone> {
        if self.buffer.as_ref().len() < CHUNK_BYTES { Ok(()) } else { self.send() }
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// [`Gone`].
    pub(crate) fn finish(mut self) -> Result<(), Gone> {
        if let Sending::Streaming { .. } = self.state {
            self.send()?;
        }
        match self.state {
            Sending::NotYet(opening) => {
                opening.send(Ok(Opened::Whole(self.buffer.into()))).map_err(|_unheard| Gone::Closed)
            }
            Sending::Streaming { is_complete, .. } => {
                is_complete.store(true, Ordering::Release);
                Ok(())
            }
            Sending::Ended => Err(Gone::Closed),
        }
    }

    /// Answers with an error instead. Only before anything was written.
    pub(crate) fn refuse(self, error: ApiError) {
        if let Sending::NotYet(opening) = self.state {
            // The client may be gone.
            let _unheard = opening.send(Err(error)).is_err();
        }
    }

    fn send(&mut self) -> Result<(), Gone> {
        if let Sending::NotYet(_) = self.state {
            self.open()?;
        }
        let Sending::Streaming { chunks, .. } = &self.state else { return Err(Gone::Closed) };
        let chunk: Bytes = std::mem::replace(&mut self.buffer, B::with_capacity(CHUNK_BYTES * 9 / 8)).into();
        let sent = Handle::current().block_on(tokio::time::timeout(self.limits.stall, chunks.send(chunk)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Gone::Closed),
            Err(_) => Err(Gone::Stalled),
        }
    }

    fn open(&mut self) -> Result<(), Gone> {
        let Sending::NotYet(opening) = std::mem::replace(&mut self.state, Sending::Ended) else {
            return Err(Gone::Closed);
        };
        let Ok(permit) = Arc::clone(&self.limits.streams).try_acquire_owned() else {
            let max = self.limits.streams_max;
            let text = format!(
                "{max} large answers are being sent already (limits.answer_streams); try again later"
            );
            let _unheard = opening.send(Err(ApiError::Unavailable(text))).is_err();
            return Err(Gone::Refused);
        };
        let (chunks, receiver) = mpsc::channel(CHUNKS_WAITING);
        let is_complete = Arc::new(AtomicBool::new(false));
        let opened = Opened::Stream { chunks: receiver, is_complete: Arc::clone(&is_complete) };
        opening.send(Ok(opened)).map_err(|_unheard| Gone::Closed)?;
        self.state = Sending::Streaming { chunks, is_complete, _permit: permit };
        Ok(())
    }
}

impl Opening {
    /// The body, as soon as it is known that there is one.
    ///
    /// # Errors
    /// What the writer refused with.
    pub(crate) async fn body(self) -> Result<Body, ApiError> {
        let opened = self.0.await.unwrap_or_else(|_writer_is_gone| {
            Err(ApiError::Internal("the request failed inside the server; see its log".into()))
        });
        Ok(match opened? {
            Opened::Whole(bytes) => Body::from(bytes),
            Opened::Stream { chunks, is_complete } => Body::from_stream(stream::unfold(
                (chunks, is_complete),
                |(mut chunks, is_complete)| async move {
                    match chunks.recv().await {
                        Some(chunk) => Some((Ok(chunk), (chunks, is_complete))),
                        None if is_complete.load(Ordering::Acquire) => None,
                        None => {
                            // Told once: then the stream has ended.
                            is_complete.store(true, Ordering::Release);
                            Some((Err("the answer was not finished"), (chunks, is_complete)))
                        }
                    }
                },
            )),
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn limits(streams: usize, stall: Duration) -> OutletLimits {
        OutletLimits { stall, streams: Arc::new(Semaphore::new(streams)), streams_max: streams }
    }

    fn write(outlet: &mut Outlet, bytes: usize) -> Result<(), Gone> {
        for _ in 0..bytes {
            outlet.text().push('x');
            outlet.relieve()?;
        }
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_small_answer_is_whole_and_a_large_one_is_streamed() {
        for bytes in [0, 10, CHUNK_BYTES - 1, CHUNK_BYTES, 10 * CHUNK_BYTES + 3] {
            let (mut outlet, opening) = Outlet::new(limits(1, Duration::from_secs(60)));
            let writer = tokio::task::spawn_blocking(move || {
                write(&mut outlet, bytes)?;
                assert!(outlet.buffer.capacity() <= CHUNK_BYTES * 9 / 8, "the buffer grows");
                outlet.finish()
            });
            let body = opening.body().await.expect("an answer");
            assert_eq!(http_body::Body::size_hint(&body).exact().is_some(), bytes < CHUNK_BYTES);
            assert_eq!(body.collect().await.expect("whole").to_bytes().len(), bytes);
            assert!(writer.await.expect("no panic").is_ok());
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_unfinished_answer_breaks() {
        let (mut outlet, opening) = Outlet::new(limits(1, Duration::from_secs(60)));
        let writer = tokio::task::spawn_blocking(move || write(&mut outlet, CHUNK_BYTES + 1));
        let body = opening.body().await.expect("an answer");
        assert!(body.collect().await.is_err());
        assert!(writer.await.expect("no panic").is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_leaves_or_stops_reading_ends_the_writing() {
        let (mut outlet, opening) = Outlet::new(limits(1, Duration::from_secs(60)));
        let writer = tokio::task::spawn_blocking(move || write(&mut outlet, usize::MAX));
        drop(opening.body().await.expect("an answer"));
        assert!(matches!(writer.await.expect("no panic"), Err(Gone::Closed)));

        let (mut outlet, opening) = Outlet::new(limits(1, Duration::from_millis(1)));
        let writer = tokio::task::spawn_blocking(move || write(&mut outlet, usize::MAX));
        let _unread = opening.body().await.expect("an answer");
        assert!(matches!(writer.await.expect("no panic"), Err(Gone::Stalled)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn streams_are_bounded_and_errors_come_through() {
        let (mut outlet, opening) = Outlet::new(limits(0, Duration::from_secs(60)));
        let writer = tokio::task::spawn_blocking(move || write(&mut outlet, 2 * CHUNK_BYTES));
        assert!(
            matches!(opening.body().await, Err(ApiError::Unavailable(text)) if text.contains("answer_streams"))
        );
        assert!(matches!(writer.await.expect("no panic"), Err(Gone::Refused)));
        let (outlet, opening) = Outlet::<String>::new(limits(1, Duration::from_secs(60)));
        outlet.refuse(ApiError::Execution("too many samples".into()));
        assert!(matches!(opening.body().await, Err(ApiError::Execution(_))));
        let (outlet, opening) = Outlet::<String>::new(limits(1, Duration::from_secs(60)));
        drop(outlet);
        assert!(matches!(opening.body().await, Err(ApiError::Internal(_))));
    }
}
