//! The blocks of a store: opening, adding, replacing, and what is deleted of them.
//!
//! ```text
//! <dir>/00000012.blk                 ids count upwards; a merged block gets a new one and the order of its first source
//! <dir>/00000001-00000004.blk        of versions 1 and 2: cuts 1 to 4
//! ```
//! - Readers take the list and the tombstones together, as one value that does not change: a deletion or a merge is seen
//!   as a whole or not at all.
//! - Blocks that another one names as its sources, and old ones whose cuts lie within another's, were merged: what a
//!   crash left of them is removed on open.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use disk::Disk;
use tracing::{info, warn};

use super::write::BlockKind;
use super::{Block, BlockWriter, PageBudget, Resolution};
use crate::Error;
use crate::metrics::Metrics;
use crate::tombstones::{Deleted, Tombstone, Tombstones};

/// A block and what is deleted of it.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) block: Arc<Block>,
    pub(crate) deleted: Arc<Deleted>,
}

/// What readers see.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// Ascending by order: what was written first comes first.
    pub(crate) blocks: Vec<Held>,
    pub(crate) tombstones: Tombstones,
}

pub(crate) struct BlockSet {
    disk: Disk,
    dir: PathBuf,
    budget: Arc<PageBudget>,
    /// Protects the pointer, not the blocks: readers clone it.
    state: RwLock<Arc<State>>,
    /// Above every id ever seen here.
    next_id: AtomicU64,
    /// Files that could not be removed yet.
    garbage: Mutex<Vec<PathBuf>>,
}

/// A block being written, and its id.
pub(crate) struct NewBlock {
    id: u64,
    path: PathBuf,
    pub(crate) writer: BlockWriter,
}

impl BlockSet {
    /// Opens all blocks in `dir`. Damaged ones are put aside, left-overs of merges and of writes removed.
    pub(crate) fn open(
        disk: &Disk,
        dir: &Path,
        tombstones: Tombstones,
        cache_bytes_max: u64,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        disk.create_dir_all(dir).map_err(Error::io("create", dir))?;
        let set = Self {
            disk: disk.clone(),
            dir: dir.to_owned(),
            budget: PageBudget::new(cache_bytes_max),
            state: RwLock::default(),
            next_id: AtomicU64::new(tombstones.up_to_max() + 1),
            garbage: Mutex::default(),
        };
        let mut found = Vec::new();
        for path in disk.list(dir).map_err(Error::io("list", dir))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(ids) = Ids::from_name(name) else { continue };
            set.next_id.fetch_max(ids.last + 1, Ordering::Relaxed);
            if name.ends_with(".tmp") {
                disk.remove_file(&path).map_err(Error::io("remove", &path))?;
            } else if name.ends_with(".blk")
                && let Some(held) = set.open_one(&path, ids, &tombstones, metrics)?
            {
                found.push((ids, held));
            }
        }
        let (merged, mut blocks) = split_merged(found);
        blocks.sort_by_key(|held| (held.block.order(), held.block.id()));
        for path in merged.iter().map(|held| &held.block.path) {
            disk.remove_file(path).map_err(Error::io("remove", path))?;
        }
        set.replace(|state| *state = State { blocks, tombstones });
        set.report(metrics);
        Ok(set)
    }

    fn open_one(
        &self,
        path: &Path,
        ids: Ids,
        tombstones: &Tombstones,
        metrics: &Metrics,
    ) -> Result<Option<Held>, Error> {
        let opened = Block::open(&self.disk, path, ids.first, &self.budget).and_then(|block| {
            let deleted = Arc::new(tombstones.resolve(&block)?);
            Ok(Held { block: Arc::new(block), deleted })
        });
        match opened {
            Ok(held) => Ok(Some(held)),
            Err(Error::Corrupt { detail, .. }) => {
                warn!(path = %path.display(), detail, "damaged block put aside");
                metrics.blocks_quarantined.inc();
                self.put_aside(path)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Blocks and tombstones as they are now.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The highest id given so far.
    pub(crate) fn last_id(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Starts a block. Its order is that of `sources`' first, or its own id when it is not made of others.
    pub(crate) fn create(&self, sources: &[Held], resolution: Resolution) -> Result<NewBlock, Error> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{id:08}.blk"));
        let order = sources.iter().map(|held| held.block.order()).min().unwrap_or(id);
        let writer = BlockWriter::create(&self.disk, &path, BlockKind { order, resolution })?;
        Ok(NewBlock { id, path, writer })
    }

    /// Makes a block durable and puts it in the place of its sources, whose files are removed; those in `damaged` are
    /// kept aside. A block without series is not kept. Answers the block.
    pub(crate) fn commit(
        &self,
        new: NewBlock,
        sources: &[Held],
        damaged: &[(PathBuf, String)],
        metrics: &Metrics,
    ) -> Result<Option<Arc<Block>>, Error> {
        let stems = sources.iter().map(|held| held.block.stem().to_owned()).collect();
        let is_kept = new.writer.finish(stems)?;
        let block = if is_kept {
            let block = Arc::new(Block::open(&self.disk, &new.path, new.id, &self.budget)?);
            info!(path = %new.path.display(), samples = block.samples(), bytes = block.bytes(), "block written");
            Some(block)
        } else {
            None
        };
        self.replace(|state| {
            state.blocks.retain(|held| !sources.iter().any(|source| source.block.id() == held.block.id()));
            let held = block.iter().map(|block| Held { block: Arc::clone(block), deleted: Arc::default() });
            state.blocks.extend(held);
            state.blocks.sort_by_key(|held| (held.block.order(), held.block.id()));
        });
        self.report(metrics);
        for (path, detail) in damaged {
            warn!(path = %path.display(), detail, "damaged block put aside");
            metrics.blocks_quarantined.inc();
            self.put_aside(path)?;
        }
        let whole = sources.iter().filter(|held| !damaged.iter().any(|(path, _)| *path == held.block.path));
        self.discard(whole);
        Ok(block)
    }

    /// Takes blocks out and removes their files.
    pub(crate) fn remove(&self, gone: &[Held], metrics: &Metrics) {
        self.replace(|state| {
            state.blocks.retain(|held| !gone.iter().any(|gone| gone.block.id() == held.block.id()));
        });
        self.report(metrics);
        self.discard(gone.iter());
    }

    /// Adds tombstones: `save` makes the new list durable before any reader sees it.
    pub(crate) fn delete(
        &self,
        added: Vec<Tombstone>,
        save: impl FnOnce(&Tombstones) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut next = State::clone(&self.state());
        next.tombstones.add(added);
        for held in &mut next.blocks {
            held.deleted = Arc::new(next.tombstones.resolve(&held.block)?);
        }
        save(&next.tombstones)?;
        // Blocks come and go only under the locks that the caller holds, so that `next` has not become old.
        self.replace(|state| *state = next);
        Ok(())
    }

    /// Forgets tombstones that no block needs any more, unless a file of deleted samples could not be removed yet.
    pub(crate) fn forget_tombstones(
        &self,
        save: impl FnOnce(&Tombstones) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let state = self.state();
        if state.tombstones.is_empty() || !self.is_clean() {
            return Ok(());
        }
        let needed = state.tombstones.needed(state.blocks.iter().map(|held| &*held.deleted));
        if needed.len() == state.tombstones.len() {
            return Ok(());
        }
        save(&needed)?;
        self.replace(|state| state.tombstones = needed);
        Ok(())
    }

    /// Tries again to remove what could not be removed.
    pub(crate) fn remove_garbage(&self) {
        let mut garbage = self.garbage.lock().unwrap_or_else(PoisonError::into_inner);
        garbage.retain(|path| is_refused(self.disk.remove_file(path)));
    }

    /// Whether no file waits to be removed.
    pub(crate) fn is_clean(&self) -> bool {
        self.garbage.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Forgets decoded pages that are not used: all idle ones when `is_time`, else only when the cache gets full.
    pub(crate) fn forget_idle(&self, is_time: bool) {
        if is_time || self.budget.is_nearly_full() {
            self.state().blocks.iter().for_each(|held| held.block.forget_idle());
        }
    }

    /// Bytes of all blocks.
    pub(crate) fn bytes(&self) -> u64 {
        self.state().blocks.iter().map(|held| held.block.bytes()).sum()
    }

    fn replace(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut state));
    }

    /// The block's name ends in `.blk.bad` from now on.
    fn put_aside(&self, path: &Path) -> Result<(), Error> {
        self.disk.rename(path, &path.with_extension("blk.bad")).map_err(Error::io("rename", path))
    }

    fn discard<'h>(&self, gone: impl Iterator<Item = &'h Held>) {
        let mut garbage = self.garbage.lock().unwrap_or_else(PoisonError::into_inner);
        for path in gone.map(|held| &held.block.path) {
            if let Err(error) = self.disk.remove_file(path) {
                warn!(%error, path = %path.display(), "block not removed; it is tried again");
                garbage.push(path.clone());
            }
        }
    }

    fn report(&self, metrics: &Metrics) {
        let state = self.state();
        metrics.blocks.set(state.blocks.len() as f64);
        metrics.blocks_bytes.set(self.bytes() as f64);
        metrics.index_cache_bytes.set(self.budget.used() as f64);
    }
}

/// First and last number in a block's name; they differ only in names of versions 1 and 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    first: u64,
    last: u64,
}

impl Ids {
    /// Of `00000012.blk`, `00000001-00000004.blk`, and such names with `.tmp` or `.blk.bad`.
    fn from_name(name: &str) -> Option<Self> {
        let stem =
            name.strip_suffix(".blk.bad").or(name.strip_suffix(".blk")).or(name.strip_suffix(".tmp"))?;
        let (first, last) = stem.split_once('-').unwrap_or((stem, stem));
        let ids = Self { first: first.parse().ok()?, last: last.parse().ok()? };
        (ids.first <= ids.last && ids.last < u64::MAX).then_some(ids)
    }

    fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// Takes out the blocks that others were made of.
fn split_merged(found: Vec<(Ids, Held)>) -> (Vec<Held>, Vec<Held>) {
    let sources = found.iter().flat_map(|(_, held)| held.block.sources().iter().cloned());
    let sources: HashSet<String> = sources.collect();
    let ranges: Vec<Ids> = found.iter().map(|(ids, _)| *ids).filter(|ids| ids.first < ids.last).collect();
    let is_merged = |ids: Ids, held: &Held| {
        sources.contains(held.block.stem())
            || (held.block.is_old() && ranges.iter().any(|other| *other != ids && other.contains(ids)))
    };
    let (merged, kept): (Vec<_>, Vec<_>) = found.into_iter().partition(|(ids, held)| is_merged(*ids, held));
    let only_blocks = |list: Vec<(Ids, Held)>| list.into_iter().map(|(_, held)| held).collect();
    (only_blocks(merged), only_blocks(kept))
}

fn is_refused(removed: std::io::Result<()>) -> bool {
    removed.is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound)
}
