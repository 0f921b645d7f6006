//! Names of segment files and the few file operations the log needs.

use std::path::{Path, PathBuf};

use disk::{Disk, File, Lock};

use crate::record::segment_header;
use crate::{Error, SegmentId};

pub(crate) fn segment_path(dir: &Path, id: SegmentId) -> PathBuf {
    dir.join(format!("{:08}.log", id.0))
}

/// Ids of the segments in `dir`, ascending. Other files are left alone.
pub(crate) fn list_segments(disk: &Disk, dir: &Path) -> Result<Vec<SegmentId>, Error> {
    let mut ids = Vec::new();
    for path in disk.list(dir).map_err(Error::io("list", dir))? {
        let name = path.file_name().and_then(|name| name.to_str());
        let stem = name.and_then(|name| name.strip_suffix(".log"));
        let digits = stem.filter(|stem| stem.len() >= 8 && stem.bytes().all(|byte| byte.is_ascii_digit()));
        ids.extend(digits.and_then(|digits| digits.parse().ok()).map(SegmentId));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Makes a segment with nothing but its header; the name is durable when this returns.
pub(crate) fn create_segment(disk: &Disk, dir: &Path, id: SegmentId) -> Result<File, Error> {
    let path = segment_path(dir, id);
    let file = disk.create_new(&path).map_err(Error::io("create", &path))?;
    let written = file.write_all_at(&segment_header(), 0).map_err(Error::io("write", &path));
    if let Err(error) = written.and_then(|()| sync_dir(disk, dir)) {
        // A segment without a whole header would be in the way of the next try.
        return Err(match disk.remove_file(&path) {
            Ok(()) => error,
            Err(source) => Error::Io { op: "remove", path, source },
        });
    }
    Ok(file)
}

/// Makes renames, new names and removals in `dir` durable.
pub(crate) fn sync_dir(disk: &Disk, dir: &Path) -> Result<(), Error> {
    disk.sync_dir(dir).map_err(Error::io("sync", dir))
}

/// Takes the directory for this process; dropping the lock gives it back.
pub(crate) fn lock_dir(disk: &Disk, dir: &Path) -> Result<Lock, Error> {
    let path = dir.join("lock");
    match disk.try_lock(&path).map_err(Error::io("lock", &path))? {
        Some(lock) => Ok(lock),
        None => Err(Error::Locked { path: dir.to_owned() }),
    }
}
