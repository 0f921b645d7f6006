//! A view of a file: the one place of this crate with `unsafe`.

#![expect(unsafe_code, reason = "memmap2's map is unsafe: nobody may change the file while it is mapped")]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

/// Bytes of a whole file.
#[derive(Debug)]
pub struct Map(Bytes);

#[derive(Debug)]
enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Map {
    pub(crate) fn of_file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self::of_bytes(Vec::new()));
        }
        // SAFETY: the caller of `Disk::map` promises that the content does not change: stores map only files that
        // got their name when they were complete, in a directory that their lock keeps for them.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self(Bytes::Mapped(map)))
    }

    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self(Bytes::Owned(bytes))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}
