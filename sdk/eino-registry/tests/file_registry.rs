//! Registration and lookup over a real directory.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use eino_registry::{Error, FileRegistry, Instance, RegistryConfig};

fn registry(dir: &Path) -> FileRegistry {
    FileRegistry::open(dir, RegistryConfig { refresh: Duration::ZERO, ..RegistryConfig::default() })
        .expect("a temporary directory can be opened")
}

fn instance(service: &str, id: &str, port: u16) -> Instance {
    Instance {
        service: service.to_owned(),
        instance_id: id.to_owned(),
        addr: SocketAddr::from(([127, 0, 0, 1], port)),
        pid: std::process::id(),
        exposes_metrics: true,
    }
}

async fn ports(registry: &FileRegistry, service: &str) -> Vec<u16> {
    match registry.resolve(service).await {
        Ok(addrs) => addrs.iter().map(SocketAddr::port).collect(),
        Err(Error::NoInstance { .. }) => Vec::new(),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn two_instances_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(dir.path());
    let first = registry.register(instance("payment-service", "a", 1)).await.unwrap();
    let second = registry.register(instance("payment-service", "b", 2)).await.unwrap();
    assert_eq!(ports(&registry, "payment-service").await, [1, 2]);
    assert_eq!(ports(&registry, "payment").await, [0_u16; 0]);
    first.deregister().await.unwrap();
    assert_eq!(ports(&registry, "payment-service").await, [2]);
    drop(second);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn files_are_prometheus_target_groups() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(dir.path());
    let _scraped = registry.register(instance("gateway", "a", 80)).await.unwrap();
    let peer = Instance { exposes_metrics: false, ..instance("card-processor", "b", 81) };
    let _external = registry.register(peer).await.unwrap();
    let json = fs::read_to_string(dir.path().join("gateway@a.json")).unwrap();
    let groups: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(groups[0]["targets"][0], "127.0.0.1:80");
    assert_eq!(groups[0]["labels"]["service"], "gateway");
    assert!(dir.path().join("card-processor@b.external").exists());
    assert_eq!(ports(&registry, "card-processor").await, [81]);
}

#[tokio::test]
async fn the_dead_are_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(dir.path());
    let silent = registry.register(instance("a", "silent", 1)).await.unwrap();
    // The first heartbeat is at once; wait for it, so that it does not undo the ageing.
    let path = dir.path().join("a@silent.json");
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    while fs::metadata(&path).unwrap().modified().unwrap() == written {
        tokio::task::yield_now().await;
    }
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    File::options().append(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    // No process has this id: the largest one that Linux gives is 2^22.
    let gone = Instance { pid: 999_999_999, ..instance("a", "gone", 2) };
    let _gone = registry.register(gone).await.unwrap();
    let _live = registry.register(instance("a", "live", 3)).await.unwrap();
    assert_eq!(ports(&registry, "a").await, [3]);
    drop(silent);
}

#[tokio::test]
async fn a_removed_file_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let config = RegistryConfig { heartbeat: Duration::from_millis(5), ..RegistryConfig::default() };
    let registry = FileRegistry::open(dir.path(), config).unwrap();
    let _kept = registry.register(instance("a", "x", 1)).await.unwrap();
    let path = dir.path().join("a@x.json");
    fs::remove_file(&path).unwrap();
    while !path.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn rubbish_in_the_directory_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(dir.path());
    fs::write(dir.path().join("half.json"), b"[{\"targets\":").unwrap();
    fs::write(dir.path().join("other.txt"), b"hello").unwrap();
    fs::write(dir.path().join("big.json"), vec![b' '; 100_000]).unwrap();
    fs::write(dir.path().join("empty.json"), b"[]").unwrap();
    let _live = registry.register(instance("a", "x", 7)).await.unwrap();
    assert_eq!(ports(&registry, "a").await, [7]);
}

#[tokio::test]
async fn names_that_are_paths_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(dir.path());
    for name in ["", "../x", "a/b", "Upper", "-a", "a b", &"x".repeat(64)] {
        let refused = registry.register(instance(name, "x", 1)).await;
        assert!(matches!(refused, Err(Error::Name { .. })), "{name:?}");
    }
}
