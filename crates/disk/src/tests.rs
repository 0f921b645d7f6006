//! What the simulated disk keeps and loses; both disks do the same where nothing fails.

use std::io::ErrorKind;
use std::path::Path;

use crate::{Appender, Disk, Fault, Loss, SimDisk};

fn write(disk: &Disk, path: &Path, bytes: &[u8]) {
    disk.create(path).unwrap().write_all_at(bytes, 0).unwrap();
}

/// A story told to either disk, and what it answers.
fn story(disk: &Disk, dir: &Path) -> Vec<String> {
    let dir = dir.join("store");
    disk.create_dir_all(&dir).unwrap();
    let (a, b, c) = (dir.join("a"), dir.join("b"), dir.join("c"));
    write(disk, &a, b"hello");
    let file = disk.open(&a).unwrap();
    file.write_all_at(b"J", 0).unwrap();
    file.set_len(7).unwrap();
    let mut four = [0; 4];
    file.read_exact_at(&mut four, 3).unwrap();
    disk.hard_link(&a, &b).unwrap();
    disk.rename(&a, &c).unwrap();
    let mut appender = Appender::new(disk.create_new(&a).unwrap());
    appender.append(b"one").and_then(|()| appender.append(b"two")).unwrap();
    assert_eq!(appender.offset(), 6);
    appender.finish().unwrap();
    disk.sync_dir(&dir).unwrap();
    let lock = disk.try_lock(&dir.join("lock")).unwrap();
    let is_taken = disk.try_lock(&dir.join("lock")).unwrap().is_none();
    drop(lock);
    let names = disk.list(&dir).unwrap().into_iter().filter(|path| !path.ends_with("lock"));
    vec![
        format!("{four:?}"),
        format!("{:?}", disk.read(&b).unwrap()),
        format!("{:?}", disk.map(&a).unwrap().to_vec()),
        format!("{} {}", disk.len(&c).unwrap(), disk.exists(&dir.join("d")).unwrap()),
        format!("{:?}", disk.create_new(&a).map_err(|error| error.kind()).map(|_file| ())),
        format!("{:?}", disk.open(&dir.join("d")).map_err(|error| error.kind()).map(|_file| ())),
        format!("{:?}", names.filter_map(|path| Some(path.file_name()?.to_owned())).collect::<Vec<_>>()),
        format!("{is_taken} {}", disk.try_lock(&dir.join("lock")).unwrap().is_some()),
    ]
}

#[test]
fn both_disks_tell_the_same_story() {
    let dir = tempfile::TempDir::new().unwrap();
    assert_eq!(story(&Disk::real(), dir.path()), story(&SimDisk::new().disk(), Path::new("/sim")));
}

#[test]
fn power_loss_takes_what_was_not_synced() {
    for (loss, want) in [(Loss::Process, "synced and not"), (Loss::Power, "synced")] {
        let sim = SimDisk::new();
        let disk = sim.disk();
        let (dir, path) = (Path::new("/d"), Path::new("/d/file"));
        disk.create_dir_all(dir).unwrap();
        let file = disk.create(path).unwrap();
        file.write_all_at(b"synced", 0).and_then(|()| file.sync_data()).unwrap();
        disk.sync_dir(dir).unwrap();
        file.write_all_at(b" and not", 6).unwrap();
        write(&disk, Path::new("/d/unnamed"), b"x");
        sim.restart(loss);
        assert_eq!(disk.read(path).unwrap(), want.as_bytes());
        assert_eq!(disk.exists(Path::new("/d/unnamed")).unwrap(), loss == Loss::Process);
        assert!(file.sync_data().is_err(), "files do not outlive their process");
    }
}

#[test]
fn faults_meet_the_operation_they_are_tied_to() {
    let sim = SimDisk::new();
    let disk = sim.disk();
    disk.create_dir_all(Path::new("/d")).unwrap();
    let file = disk.create(Path::new("/d/file")).unwrap();
    sim.fail_at(sim.operations() + 1, Fault::Error(ErrorKind::StorageFull));
    assert_eq!(file.write_all_at(b"abcd", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.read(Path::new("/d/file")).unwrap(), b"ab", "half of it arrives");
    sim.fail_at(sim.operations() + 1, Fault::Crash);
    assert!(file.write_all_at(b"efgh", 0).is_err() && sim.has_crashed());
    assert!(file.write_all_at(b"zz", 0).is_err() && disk.read(Path::new("/d/file")).is_err());
    sim.restart(Loss::Process);
    assert_eq!(disk.read(Path::new("/d/file")).unwrap(), b"ef");
}

#[test]
fn a_full_disk_takes_what_fits_and_recovers() {
    let sim = SimDisk::new();
    let disk = sim.disk();
    disk.create_dir_all(Path::new("/d")).unwrap();
    sim.set_capacity(Some(3));
    let file = disk.create(Path::new("/d/file")).unwrap();
    assert_eq!(file.write_all_at(b"abcd", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(sim.used_bytes(), 3);
    sim.set_capacity(None);
    file.write_all_at(b"abcd", 0).unwrap();
}
