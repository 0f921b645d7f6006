//! Helpers of this crate's tests: recorded data from outside the repository, and damage to bytes.

use std::path::PathBuf;

use proptest::prelude::*;

/// Reads `path` below the folder of shared data; `None`, with a line that says so, when it is not there.
#[expect(clippy::disallowed_methods, reason = "tests find the shared data by an environment variable")]
pub(crate) fn shared_path(path: &str) -> Option<PathBuf> {
    let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned();
    let full = PathBuf::from(std::env::var("EINO_SHARED").unwrap_or_else(|_| default())).join(path);
    if !full.exists() {
        println!("skipped: {} is not there", full.display());
        return None;
    }
    Some(full)
}

/// The bytes of a shared file, if it is there.
pub(crate) fn shared_file(path: &str) -> Option<Vec<u8>> {
    shared_path(path).map(|full| std::fs::read(full).expect("the file can be read"))
}

/// Bytes that are nearly `valid`: a few changed, some cut out, or the end cut off.
pub(crate) fn damaged(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let cut = proptest::option::of(any::<prop::sample::Index>());
    (changes, cut, any::<bool>()).prop_map(move |(changes, cut, removes_one)| {
        let mut bytes = valid.clone();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if let Some(index) = cut {
            let at = index.index(bytes.len());
            if removes_one {
                bytes.remove(at);
            } else {
                bytes.truncate(at);
            }
        }
        bytes
    })
}
