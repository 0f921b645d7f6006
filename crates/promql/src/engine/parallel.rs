//! Work on several threads whose results are taken in order.
//!
//! ```text
//! claimed   0 1 2 3 4 . .      any thread takes the next batch, at most `AHEAD` before the one awaited
//! done      0   2 3            results wait for their turn
//! consumed  0 |                by the calling thread alone, in order: answers do not depend on the number of threads
//! ```
//! The calling thread works too whenever the batch it waits for is not there yet. Threads live for one call: they are
//! worth it for thousands of series, not for hundreds.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::QueryError;

/// Batches per thread that may be done and not consumed: bounds what is held.
const AHEAD: usize = 4;

type Outcome<T> = Result<T, QueryError>;

/// Runs `work` for every batch below `count` on up to `threads` threads and hands the results to `consume` in order.
///
/// # Errors
/// The first error in the order of batches, of `work` or of `consume`; batches after it may or may not have run.
pub(crate) fn in_order<T: Send>(
    count: usize,
    threads: usize,
    work: &(dyn Fn(usize) -> Outcome<T> + Sync),
    consume: &mut dyn FnMut(T) -> Outcome<()>,
) -> Outcome<()> {
    if threads <= 1 || count <= 1 {
        return (0..count).try_for_each(|batch| consume(work(batch)?));
    }
    let queue = Queue {
        state: Mutex::new(State { claimed: 0, consumed: 0, done: BTreeMap::new(), is_over: false }),
        changed: Condvar::new(),
        count,
        ahead: AHEAD * threads,
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(count)).map(|_| scope.spawn(|| queue.help(work))).collect();
        // However this ends, the helpers must end too: also when `consume` panics.
        let over = OnDrop(&queue);
        let outcome = queue.consume_all(work, consume);
        drop(over);
        let panicked = helpers.into_iter().filter_map(|helper| helper.join().err()).count();
        if panicked > 0 { outcome.and(Err(panic_error())) } else { outcome }
    })
}

struct Queue<T> {
    /// Protects which batches are claimed, done and consumed. Never held while working.
    state: Mutex<State<T>>,
    changed: Condvar,
    count: usize,
    ahead: usize,
}

struct State<T> {
    claimed: usize,
    consumed: usize,
    done: BTreeMap<usize, Outcome<T>>,
    /// Nobody waits for more.
    is_over: bool,
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'q>(&self, state: MutexGuard<'q, State<T>>) -> MutexGuard<'q, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, state: &mut State<T>) -> Option<usize> {
        let batch = state.claimed;
        let is_free = batch < self.count && batch < state.consumed + self.ahead;
        is_free.then(|| {
            state.claimed += 1;
            batch
        })
    }

    /// Works until nothing is left or wanted.
    fn help(&self, work: &(dyn Fn(usize) -> Outcome<T> + Sync)) {
        let mut state = self.lock();
        while !state.is_over && state.claimed < self.count {
            let Some(batch) = self.claim(&mut state) else {
                state = self.wait(state);
                continue;
            };
            drop(state);
            let mut claimed = Claimed { queue: self, batch, outcome: None };
            claimed.outcome = Some(work(batch));
            drop(claimed);
            state = self.lock();
        }
    }

    fn consume_all(
        &self,
        work: &(dyn Fn(usize) -> Outcome<T> + Sync),
        consume: &mut dyn FnMut(T) -> Outcome<()>,
    ) -> Outcome<()> {
        for awaited in 0..self.count {
            let outcome = self.take(awaited, work);
            consume(outcome?)?;
        }
        Ok(())
    }

    /// The result of the batch awaited; works on others, or on itself, until it is there.
    fn take(&self, awaited: usize, work: &(dyn Fn(usize) -> Outcome<T> + Sync)) -> Outcome<T> {
        let mut state = self.lock();
        loop {
            if let Some(outcome) = state.done.remove(&awaited) {
                state.consumed = awaited + 1;
                self.changed.notify_all();
                return outcome;
            }
            match self.claim(&mut state) {
                Some(batch) => {
                    drop(state);
                    let outcome = work(batch);
                    state = self.lock();
                    state.done.insert(batch, outcome);
                }
                None => state = self.wait(state),
            }
        }
    }
}

/// A batch that a helper has taken. Its result is left even when the work panics, so that nobody waits for ever.
struct Claimed<'q, T> {
    queue: &'q Queue<T>,
    batch: usize,
    outcome: Option<Outcome<T>>,
}

impl<T> Drop for Claimed<'_, T> {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(panic_error()));
        self.queue.lock().done.insert(self.batch, outcome);
        self.queue.changed.notify_all();
    }
}

fn panic_error() -> QueryError {
    QueryError::Execution("BUG: a thread that decodes series panicked".into())
}

struct OnDrop<'q, T>(&'q Queue<T>);

impl<T> Drop for OnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn failure(text: &str) -> QueryError {
        QueryError::Execution(text.into())
    }

    #[test]
    fn results_come_in_order_on_any_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            for count in [0, 1, 2, 100] {
                let mut seen = Vec::new();
                let done = in_order(count, threads, &|batch| Ok(batch * 3), &mut |value| {
                    seen.push(value);
                    Ok(())
                });
                assert!(done.is_ok());
                assert_eq!(seen, (0..count).map(|batch| batch * 3).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_first_error_in_order_counts_and_ends_the_work() {
        let worked = AtomicUsize::new(0);
        let work = |batch| {
            worked.fetch_add(1, Ordering::Relaxed);
            if batch >= 5 { Err(failure(&format!("batch {batch}"))) } else { Ok(batch) }
        };
        let mut seen = 0;
        let done = in_order(10_000, 3, &work, &mut |_| {
            seen += 1;
            Ok(())
        });
        assert_eq!(done.expect_err("batch 5 fails").to_string(), failure("batch 5").to_string());
        assert_eq!(seen, 5);
        assert!(worked.load(Ordering::Relaxed) <= 6 + AHEAD * 3 + 3);
    }

    #[test]
    fn who_takes_nothing_more_ends_the_work() {
        let done = in_order(1_000, 4, &|batch| Ok(batch), &mut |batch| {
            if batch == 7 { Err(failure("enough")) } else { Ok(()) }
        });
        assert_eq!(done.expect_err("refused").to_string(), failure("enough").to_string());
    }

    #[test]
    fn a_panic_on_another_thread_is_an_error() {
        let caller = std::thread::current().id();
        let helped = std::sync::Barrier::new(2);
        // The first batch of either thread waits for the other's, so that a helper surely takes one.
        let work = |batch| {
            if batch < 2 {
                helped.wait();
            }
            assert!(std::thread::current().id() == caller, "BUG: expected here");
            Ok(batch)
        };
        let done = in_order(2, 2, &work, &mut |_| Ok(()));
        assert_eq!(done.expect_err("a helper panicked").to_string(), panic_error().to_string());
    }

    #[test]
    fn results_that_wait_are_bounded() {
        let (begun, consumed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |batch| {
            begun.fetch_max(batch, Ordering::SeqCst);
            assert!(
                batch < consumed.load(Ordering::SeqCst) + AHEAD * 2 + 1,
                "batch {batch} is too far ahead"
            );
            Ok(batch)
        };
        let done = in_order(500, 2, &work, &mut |_| {
            consumed.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        assert!(done.is_ok() && begun.load(Ordering::SeqCst) == 499);
    }
}
