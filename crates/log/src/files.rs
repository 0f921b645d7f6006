//! Names of segment files and the few file operations the log needs.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::record::segment_header;
use crate::{Error, SegmentId};

pub(crate) fn segment_path(dir: &Path, id: SegmentId) -> PathBuf {
    dir.join(format!("{:08}.log", id.0))
}

/// Ids of the segments in `dir`, ascending. Other files are left alone.
pub(crate) fn list_segments(dir: &Path) -> Result<Vec<SegmentId>, Error> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let name = entry.map_err(Error::io("list", dir))?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".log"));
        let digits = stem.filter(|stem| stem.len() >= 8 && stem.bytes().all(|byte| byte.is_ascii_digit()));
        ids.extend(digits.and_then(|digits| digits.parse().ok()).map(SegmentId));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Makes a segment with nothing but its header; the name is durable when this returns.
pub(crate) fn create_segment(dir: &Path, id: SegmentId) -> Result<File, Error> {
    let path = segment_path(dir, id);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    let file = file.map_err(Error::io("create", &path))?;
    let written = file.write_all_at(&segment_header(), 0).map_err(Error::io("write", &path));
    if let Err(error) = written.and_then(|()| sync_dir(dir)) {
        // A segment without a whole header would be in the way of the next try.
        return Err(match fs::remove_file(&path) {
            Ok(()) => error,
            Err(source) => Error::Io { op: "remove", path, source },
        });
    }
    Ok(file)
}

/// Makes renames, new names and removals in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io("sync", dir))
}

/// Takes the directory for this process; dropping the file gives it back.
pub(crate) fn lock_dir(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Locked { path: dir.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(Error::Io { op: "lock", path, source }),
    }
}
