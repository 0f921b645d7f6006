//! Decoded pages, kept as long as they are used and fit.
//!
//! A page that is over the budget is decoded each time it is asked for: slower, never wrong.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::page::Page;

/// How many bytes of decoded pages all blocks of a store may keep.
#[derive(Debug)]
pub(crate) struct PageBudget {
    bytes_max: u64,
    used: AtomicU64,
}

impl PageBudget {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, used: AtomicU64::new(0) })
    }

    /// Bytes of decoded pages at hand.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether it is time to forget pages that nobody asked for.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.used() >= self.bytes_max / 10 * 9
    }

    fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|after| *after <= self.bytes_max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The decoded pages of one block.
pub(super) struct PageCache {
    slots: Box<[Slot]>,
    budget: Arc<PageBudget>,
}

#[derive(Default)]
struct Slot {
    /// Protects only the pointer.
    page: Mutex<Option<Arc<Page>>>,
    was_used: AtomicBool,
}

impl PageCache {
    pub(super) fn new(pages: usize, budget: &Arc<PageBudget>) -> Self {
        Self { slots: (0..pages).map(|_| Slot::default()).collect(), budget: Arc::clone(budget) }
    }

    /// The page, from the cache or from `load`.
    pub(super) fn get<E>(
        &self,
        number: usize,
        load: impl FnOnce() -> Result<Arc<Page>, E>,
    ) -> Result<Arc<Page>, E> {
        let Some(slot) = self.slots.get(number) else { return load() };
        if let Some(page) = &*slot.page.lock().unwrap_or_else(PoisonError::into_inner) {
            slot.was_used.store(true, Ordering::Relaxed);
            return Ok(Arc::clone(page));
        }
        let page = load()?;
        let mut kept = slot.page.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() && self.budget.take(page.memory_bytes()) {
            slot.was_used.store(true, Ordering::Relaxed);
            *kept = Some(Arc::clone(&page));
        }
        Ok(page)
    }

    /// Forgets the pages that nobody asked for since the last call.
    pub(super) fn forget_idle(&self) {
        for slot in &self.slots {
            if !slot.was_used.swap(false, Ordering::Relaxed) {
                self.forget(slot);
            }
        }
    }

    fn forget(&self, slot: &Slot) {
        if let Some(page) = slot.page.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.budget.give_back(page.memory_bytes());
        }
    }
}

impl Drop for PageCache {
    fn drop(&mut self) {
        self.slots.iter().for_each(|slot| self.forget(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_stay_within_the_budget_and_idle_ones_go() {
        let page = Arc::new(Page::default());
        let bytes = page.memory_bytes();
        let budget = PageBudget::new(bytes + bytes / 2);
        let cache = PageCache::new(2, &budget);
        let mut loads = 0;
        let mut ask = |number| {
            cache.get::<()>(number, || {
                loads += 1;
                Ok(Arc::clone(&page))
            })
        };
        for number in [0, 0, 1, 1] {
            ask(number).expect("loads");
        }
        assert_eq!((loads, budget.used()), (3, bytes), "the second page does not fit");
        cache.forget_idle();
        assert_eq!(budget.used(), bytes, "used since the last call");
        cache.forget_idle();
        assert_eq!(budget.used(), 0);
        drop(cache);
        assert_eq!(budget.used(), 0);
    }
}
