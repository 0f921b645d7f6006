//! The ambient context: one thread-local, swapped around each poll.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::pin;

use tokio::task::JoinHandle;

use crate::Ctx;

thread_local! {
    static CURRENT: RefCell<Option<Ctx>> = const { RefCell::new(None) };
}

impl Ctx {
    /// The context of the work that runs now, if any.
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Option::clone)
    }

    /// Runs `future` with this context ambient, on whatever threads it is polled.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(move |cx| {
            let _entered = Entered::new(&self);
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Runs `work` with this context ambient on this thread.
    pub fn sync_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = Entered::new(self);
        work()
    }
}

/// Like `tokio::spawn`; the task keeps the ambient context.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    match Ctx::current() {
        Some(ctx) => tokio::spawn(ctx.scope(future)),
        None => tokio::spawn(future),
    }
}

/// Like `tokio::task::spawn_blocking`; the closure keeps the ambient context.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let ctx = Ctx::current();
    tokio::task::spawn_blocking(move || match ctx {
        Some(ctx) => ctx.sync_scope(work),
        None => work(),
    })
}

/// While it lives, its context is current on this thread; then the one before is, also when a poll panics.
struct Entered {
    before: Option<Ctx>,
    /// It must be dropped on the thread where it was made.
    _not_send: PhantomData<*const ()>,
}

impl Entered {
    fn new(ctx: &Ctx) -> Self {
        let before = CURRENT.with_borrow_mut(|current| current.replace(ctx.clone()));
        Self { before, _not_send: PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Dropped after the borrow: what a context holds may ask for the current one while it goes away.
        let _left = CURRENT.with_borrow_mut(|current| std::mem::replace(current, self.before.take()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IdSource;
    use std::panic::AssertUnwindSafe;

    fn ctx(seed: u128) -> Ctx {
        let ids = IdSource::seeded(seed);
        Ctx::root(ids.trace_id(), ids.span_id(), true)
    }

    fn current_id() -> Option<String> {
        Ctx::current().map(|ctx| ctx.trace_id().to_string())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn survives_await_spawn_and_blocking_threads() {
        let ctx = ctx(1);
        let want = Some(ctx.trace_id().to_string());
        assert_eq!(current_id(), None);
        let seen = ctx
            .scope(async {
                let mut seen = vec![current_id()];
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                    seen.push(current_id());
                }
                seen.push(spawn(async { current_id() }).await.unwrap());
                seen.push(spawn_blocking(current_id).await.unwrap());
                seen.push(spawn(async { spawn_blocking(current_id).await.unwrap() }).await.unwrap());
                seen
            })
            .await;
        assert!(seen.iter().all(|id| *id == want), "{seen:?}");
        assert_eq!(current_id(), None);
    }

    #[tokio::test]
    async fn two_requests_on_one_thread_do_not_mix() {
        let request = |seed| {
            let ctx = ctx(seed);
            let want = Some(ctx.trace_id().to_string());
            ctx.scope(async move {
                for _ in 0..50 {
                    assert_eq!(current_id(), want);
                    tokio::task::yield_now().await;
                }
            })
        };
        tokio::join!(request(1), request(2), request(3));
    }

    #[test]
    fn a_panic_restores_the_context_before() {
        let outer = ctx(1);
        outer.sync_scope(|| {
            let inner = ctx(2);
            let result =
                std::panic::catch_unwind(AssertUnwindSafe(|| inner.sync_scope(|| panic!("on purpose"))));
            assert!(result.is_err());
            assert_eq!(current_id(), Some(outer.trace_id().to_string()));
        });
    }
}
