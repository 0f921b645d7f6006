//! A write that the disk takes only in part: the record is taken back, the error says so, later records are accepted.
//!
//! The disk is played by a limit on the length of files (`ulimit -f`), which cuts a write short in the same way. The
//! limited process is this program with the argument `append DIR`.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::Command;

use clock::Clock;
use eino_metrics_core::Registry;
use log::{Error, Log, LogConfig, SyncPolicy};

/// In a shell's blocks of 512 or 1024 bytes: more than the first two records need, less than the third.
const LIMIT_BLOCKS: &str = "8";

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, mode, dir] = arguments.as_slice()
        && mode == "append"
    {
        return append_to_a_full_disk(Path::new(dir));
    }
    let dir = tempfile::TempDir::new().unwrap();
    let program = std::env::current_exe().unwrap();
    let script = format!("trap '' XFSZ; ulimit -f {LIMIT_BLOCKS}; exec \"$0\" append \"$1\"");
    let status = Command::new("sh").args(["-c", &script]).arg(program).arg(dir.path()).status().unwrap();
    assert!(status.success(), "the limited process failed");
    let mut records = Vec::new();
    let config = LogConfig::new(dir.path());
    let (_log, recovery) = Log::open(config, Clock::system(), &Registry::new(), &mut |_, record| {
        records.push(record.to_vec());
        Ok(())
    })
    .unwrap();
    assert_eq!(records, [vec![1; 1000], vec![2; 1000], vec![4; 100]]);
    assert_eq!((recovery.torn_bytes, recovery.quarantined.len()), (0, 0));
}

fn append_to_a_full_disk(dir: &Path) {
    let registry = Registry::new();
    let config = LogConfig { sync: SyncPolicy::Always, ..LogConfig::new(dir) };
    let (log, _) = Log::open(config, Clock::system(), &registry, &mut |_, _| Ok(())).unwrap();
    log.append(&[1; 1000]).unwrap();
    log.append(&[2; 1000]).unwrap();
    let refused = log.append(&[3; 10_000]).unwrap_err();
    assert!(matches!(refused, Error::Io { op: "append to", .. }), "{refused}");
    log.append(&[4; 100]).unwrap();
    assert!(registry.encode_text().contains("eino_log_append_failures_total 1"));
    log.close().unwrap();
}
