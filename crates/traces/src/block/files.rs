//! Block files in their directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eino_metrics_core::Counter;

use super::read::Block;
use crate::error::Error;

/// Numbers of the memtables a block was made of, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockId {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl BlockId {
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{:010}-{:010}.blk", self.first, self.last))
    }

    fn parse(path: &Path) -> Option<Self> {
        if path.extension()?.to_str()? != "blk" {
            return None;
        }
        let (first, last) = path.file_stem()?.to_str()?.split_once('-')?;
        let id = Self { first: first.parse().ok()?, last: last.parse().ok()? };
        (id.first <= id.last).then_some(id)
    }

    /// Memtables covered.
    pub(crate) fn len(self) -> u64 {
        self.last - self.first + 1
    }

    fn covers(self, other: Self) -> bool {
        self != other && self.first <= other.first && other.last <= self.last
    }
}

/// Opens all blocks of a directory, oldest first. Unfinished files and what a merge left over are deleted, damaged
/// blocks set aside and counted.
///
/// # Errors
/// `Io` when the directory can't be read, `Format` when a block is of a newer program.
pub(crate) fn open_all(
    dir: &Path,
    pages_corrupt: &Counter,
    quarantined: &Counter,
) -> Result<Vec<Arc<Block>>, Error> {
    let mut blocks: Vec<Arc<Block>> = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        let Some(id) = BlockId::parse(&path) else { continue };
        match Block::open(&path, id, pages_corrupt) {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(Error::Corrupt { path, detail }) => {
                quarantined.inc();
                tracing::error!(path = %path.display(), detail, "damaged block set aside");
                quarantine(&path)?;
            }
            Err(error) => return Err(error),
        }
    }
    blocks.sort_by_key(|block| block.id);
    let ids: Vec<BlockId> = blocks.iter().map(|block| block.id).collect();
    let is_leftover = |block: &Block| ids.iter().any(|id| id.covers(block.id));
    for block in blocks.iter().filter(|block| is_leftover(block)) {
        fs::remove_file(&block.path).map_err(Error::io("remove", &block.path))?;
    }
    blocks.retain(|block| !is_leftover(block));
    Ok(blocks)
}

/// Renames a damaged file to `.bad`, where no later start looks.
pub(crate) fn quarantine(path: &Path) -> Result<(), Error> {
    let bad = path.with_extension("bad");
    fs::rename(path, bad).map_err(Error::io("rename", path))
}

/// Makes renames and removals in `dir` survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    let handle = fs::File::open(dir).map_err(Error::io("open", dir))?;
    handle.sync_all().map_err(Error::io("sync", dir))
}
