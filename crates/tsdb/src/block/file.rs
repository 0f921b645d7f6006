//! A file mapped into memory: the one place of this crate with `unsafe`.

#![expect(unsafe_code, reason = "memmap2's map is unsafe: nobody may shorten the file while it is mapped")]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::Error;

/// A read-only view of a whole file.
pub(super) struct MappedFile(Option<Mmap>);

impl MappedFile {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let len = file.metadata().map_err(Error::io("stat", path))?.len();
        if len == 0 {
            return Ok(Self(None));
        }
        // SAFETY: blocks are written under another name and never changed once they bear this one; they are only
        // renamed or removed, which leaves the mapped pages alone. The store's directory is locked by its log.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        Ok(Self(Some(map)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
