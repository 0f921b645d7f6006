//! Snapshots come back as they were, and damaged ones are refused.

use std::path::Path;

use disk::SimDisk;
use log::SegmentId;
use proptest::prelude::*;

use super::{list, load_newest, write};
use crate::head::Head;

fn head_with(series: u32) -> Head {
    let head = Head::new();
    for n in 0..series {
        let labels = model::LabelSet::from_pairs([("__name__", "m"), ("n", n.to_string().as_str())]).unwrap();
        let hash = head.hash(labels.as_ref());
        let number = crate::head::shard_of(hash);
        let mut shard = head.shard(number);
        let slot = head.find_or_insert(number, &mut shard, hash, labels.as_ref(), 0);
        let series = shard.get_mut(slot).unwrap();
        for step in 0..i64::from(n) * 10 {
            let sample =
                crate::sample::Sample { ts_ms: 1_000 + step * 15_000, value: step as f64 / 4.0, start_ms: 0 };
            series.append(sample, crate::head::series::Rules::REPLAY);
        }
    }
    head
}

fn read_all(head: &Head) -> Vec<(String, Vec<i64>, Vec<u64>)> {
    let selection = head.select(&[], model::TimeRange::ALL);
    let mut all = Vec::new();
    for index in 0..selection.len() {
        let mut columns = model::SampleColumns::default();
        selection.read(index, &mut columns).unwrap();
        let bits = columns.values.iter().map(|value| value.to_bits()).collect();
        all.push((selection.label_set(index).to_string(), columns.ts_ms, bits));
    }
    all
}

fn written(disk: &disk::Disk, dir: &Path) -> Vec<u8> {
    write(disk, dir, SegmentId(7), &head_with(40), &[vec![1, 2], vec![3]]).unwrap();
    disk.read(&list(disk, dir).unwrap()[0].1).unwrap()
}

#[test]
fn everything_comes_back() {
    let disk = SimDisk::new().disk();
    let dir = Path::new("/store");
    written(&disk, dir);
    let mut head = Head::new();
    let loaded = load_newest(&disk, dir, &mut head, 3, 0).unwrap();
    assert_eq!((loaded.segment, loaded.damaged), (SegmentId(7), 0));
    assert_eq!(loaded.records, [vec![1, 2], vec![3]]);
    let want = head_with(40);
    assert_eq!(read_all(&head), read_all(&want));
    assert_eq!(head.status().series, 40);
    assert_eq!(head.status().samples, 40 * 39 / 2 * 10);
    write(&disk, dir, SegmentId(9), &head, &[]).unwrap();
    assert_eq!(list(&disk, dir).unwrap().len(), 1, "the older one is gone");
    let mut again = Head::new();
    load_newest(&disk, dir, &mut again, 1, 0).unwrap();
    assert_eq!(read_all(&again), read_all(&want), "mapped chunks are written again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damage_is_found(at: prop::sample::Index, flip in 1..=255_u8, cut in any::<bool>()) {
        let disk = SimDisk::new().disk();
        let dir = Path::new("/store");
        let mut bytes = written(&disk, dir);
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        if cut {
            bytes.truncate(index);
        }
        let path = list(&disk, dir).unwrap()[0].1.clone();
        disk.create(&path).unwrap().write_all_at(&bytes, 0).unwrap();
        let mut head = Head::new();
        let loaded = load_newest(&disk, dir, &mut head, 2, 0).unwrap();
        prop_assert_eq!((loaded.damaged, loaded.segment, head.status().series), (1, SegmentId(0), 0));
        prop_assert!(list(&disk, dir).unwrap().is_empty());
    }
}
