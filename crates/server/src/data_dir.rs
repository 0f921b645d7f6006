//! The data directory: created, checked for its format, and locked against a second server.
//!
//! ```text
//! data/format   "eino data 1"        a newer number is refused
//! data/lock     held while a server runs (flock: the kernel lets go of it, however the process ends)
//! data/{metrics,traces,alerts}/
//! data/snapshots/NAME/   each a data directory of its own, with `format` and `metrics/`
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use clock::Clock;

const FORMAT: u32 = 1;
const FORMAT_PREFIX: &str = "eino data ";

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("cannot {op} {}: is the disk there, writable and not full? choose another directory with --data DIR", .path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is in use by another eino server: stop that one or choose another directory with --data DIR", .path.display())]
    InUse { path: PathBuf },
    #[error("{} was written by a newer eino (data format {found:?}, this one reads up to {FORMAT}): use that version", .path.display())]
    Newer { path: PathBuf, found: String },
}

/// A data directory that is ours while this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is absent and takes it for this process.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |op: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| DataDirError::Io { op, path, source }
        };
        fs::create_dir_all(path).map_err(io("create", path))?;
        let lock_path = path.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io("lock", &lock_path)(source)),
        }
        check_format(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Makes a directory under `snapshots` that can be used as a data directory, and lets `fill` put the parts into it.
    /// Answers its name: the time, in UTC, and a number where two fall on the same second. When it returns an error,
    /// nothing is left.
    pub(crate) fn snapshot(
        &self,
        clock: &Clock,
        fill: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<String, String> {
        let parent = self.path.join("snapshots");
        let (name, dir) = self.new_snapshot(&parent, clock)?;
        let tmp = dir.with_extension("tmp");
        let made = make_snapshot(&parent, &tmp, &dir, fill);
        if made.is_err()
            && let Err(error) = fs::remove_dir_all(&tmp)
        {
            tracing::warn!(%error, path = %tmp.display(), "unfinished snapshot not removed");
        }
        made.map(|()| name)
    }

    fn new_snapshot(&self, parent: &Path, clock: &Clock) -> Result<(String, PathBuf), String> {
        let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
        let now = time::OffsetDateTime::from_unix_timestamp(clock.unix_ms().div_euclid(1_000));
        let now =
            now.map_err(|error| error.to_string())?.format(format).map_err(|error| error.to_string())?;
        for number in 0..1_000 {
            let name = format!("{now}-{number}");
            let dir = parent.join(&name);
            let is_free = [dir.clone(), dir.with_extension("tmp")]
                .iter()
                .all(|path| matches!(path.try_exists(), Ok(false)));
            if is_free {
                return Ok((name, dir));
            }
        }
        Err(format!("there are 1000 snapshots of {now} in {}", parent.display()))
    }

    /// A part's own directory.
    pub fn part(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn make_snapshot(
    parent: &Path,
    tmp: &Path,
    dir: &Path,
    fill: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let failed =
        |what: &str, path: &Path, error: io::Error| format!("cannot {what} {}: {error}", path.display());
    fs::create_dir_all(tmp).map_err(|error| failed("create", tmp, error))?;
    fill(tmp)?;
    let format = tmp.join("format");
    fs::write(&format, format!("{FORMAT_PREFIX}{FORMAT}\n"))
        .map_err(|error| failed("write", &format, error))?;
    for path in [&format, tmp] {
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|error| failed("sync", path, error))?;
    }
    fs::rename(tmp, dir).map_err(|error| failed("rename", tmp, error))?;
    let synced = File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(|error| failed("sync", parent, error))
}

fn check_format(path: &Path) -> Result<(), DataDirError> {
    let file = path.join("format");
    match fs::read_to_string(&file) {
        Ok(text) => {
            let number =
                text.trim().strip_prefix(FORMAT_PREFIX).and_then(|number| number.parse::<u32>().ok());
            match number {
                Some(number) if number <= FORMAT => Ok(()),
                _ => Err(DataDirError::Newer { path: path.to_owned(), found: text.trim().to_owned() }),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::write(&file, format!("{FORMAT_PREFIX}{FORMAT}\n")).map_err(|source| DataDirError::Io {
                op: "write",
                path: file,
                source,
            })
        }
        Err(source) => Err(DataDirError::Io { op: "read", path: file, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().expect("tempdir");
        let first = DataDir::open(dir.path()).expect("opens");
        assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::InUse { .. })));
        drop(first);
        DataDir::open(dir.path()).expect("opens again");
    }

    #[test]
    fn a_newer_format_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(dir.path().join("format"), "eino data 2\n").expect("write");
        let error = DataDir::open(dir.path()).expect_err("newer");
        assert!(error.to_string().contains("newer eino"), "{error}");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("file");
        fs::write(&path, "").expect("write");
        let error = DataDir::open(&path).expect_err("not a directory");
        assert!(error.to_string().contains("file"), "{error}");
    }
}
