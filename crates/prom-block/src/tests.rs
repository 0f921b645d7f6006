//! A block that promtool 2.42 made of OpenMetrics text, whole and damaged.

use std::fs;
use std::path::{Path, PathBuf};

use disk::Disk;
use model::{LabelSet, SampleColumns};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{Block, Error, float_chunk, histogram_chunk, index, tombstones};

/// Labels, times, bits of values.
type Dump = Vec<(LabelSet, Vec<i64>, Vec<u64>)>;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/block")
}

fn dump(dir: &Path) -> Result<Dump, Error> {
    let block = Block::open(&Disk::real(), dir)?;
    let mut columns = SampleColumns::default();
    let mut dump = Dump::new();
    for series in block.series()? {
        block.read(&series, &mut columns)?;
        let bits = columns.values.iter().map(|value| value.to_bits()).collect();
        dump.push((series.labels.clone(), columns.ts_ms.clone(), bits));
    }
    Ok(dump)
}

fn labels(pairs: &[(&str, &str)]) -> LabelSet {
    LabelSet::from_pairs(pairs.iter().copied()).expect("valid")
}

fn bits(values: impl IntoIterator<Item = f64>) -> Vec<u64> {
    values.into_iter().map(f64::to_bits).collect()
}

#[test]
fn a_block_of_promtool_is_read_bit_for_bit() {
    const START_MS: i64 = 1_700_000_000_000;
    let counter = labels(&[("__name__", "requests_total"), ("job", "api"), ("instance", "a:1")]);
    let odd = labels(&[("__name__", "requests_total"), ("job", "api"), ("instance", "b:1")]);
    let gauge = labels(&[("__name__", "temperature"), ("room", "küche")]);
    // Go's NaN of a text.
    let nan = f64::from_bits(0x7ff8_0000_0000_0001);
    let want = vec![
        (
            counter,
            (0..150).map(|n| START_MS + n * 15_000 + n * 37 % 1_000).collect(),
            bits((0..150_i64).map(|n| (n * 7 + n % 3) as f64)),
        ),
        (
            odd,
            (0..40).map(|n| START_MS + n * 60_000).collect(),
            bits((0..40).map(|n| [1.0, 1.5, nan, f64::INFINITY, -0.0][n % 5])),
        ),
        (
            gauge,
            (0..3).map(|n| START_MS + n * 600_000).collect(),
            bits((0..3).map(|n| 20.1 + f64::from(n) / 7.0)),
        ),
    ];
    assert_eq!(dump(&golden()).expect("reads"), want);
    let block = Block::open(&Disk::real(), &golden()).expect("opens");
    assert_eq!((block.meta().min_time, block.meta().max_time), (START_MS, START_MS + 2_340_001));
}

#[test]
fn every_flipped_byte_and_every_cut_is_found_or_says_nothing() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("chunks")).unwrap();
    let files = ["meta.json", "index", "chunks/000001", "tombstones"];
    let copy = || files.map(|file| fs::copy(golden().join(file), dir.path().join(file)).unwrap());
    let whole = dump(&golden()).unwrap();
    let mut found = 0;
    for file in files.iter().filter(|file| **file != "meta.json") {
        copy();
        let image = fs::read(dir.path().join(file)).unwrap();
        let flipped = (0..image.len()).map(|at| {
            let mut bytes = image.clone();
            bytes[at] ^= 0x20;
            bytes
        });
        for bytes in flipped.chain((0..image.len()).map(|len| image[..len].to_vec())) {
            fs::write(dir.path().join(file), bytes).unwrap();
            match dump(dir.path()) {
                Ok(dump) => assert_eq!(dump, whole),
                Err(_named) => found += 1,
            }
        }
    }
    assert!(found > 1_500, "only {found} damages were found");
}

#[test]
fn deleted_times_are_left_out_and_unknown_encodings_named() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("chunks")).unwrap();
    for file in ["meta.json", "index", "chunks/000001"] {
        fs::copy(golden().join(file), dir.path().join(file)).unwrap();
    }
    let file = fs::read(golden().join("index")).unwrap();
    let Ok(index) = index::Index::parse(&file) else { panic!("the index is read") };
    let reference = index.series_refs().unwrap()[0];
    let mut entries = Vec::new();
    let put = |out: &mut Vec<u8>, mut number: u64| {
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    };
    let zigzag = |number: i64| (number << 1 ^ number >> 63) as u64;
    put(&mut entries, u64::from(reference));
    put(&mut entries, zigzag(1_700_000_000_000));
    put(&mut entries, zigzag(1_700_000_015_037));
    let mut file = vec![0x01, 0x30, 0xBA, 0x30, 1];
    file.extend_from_slice(&entries);
    file.extend_from_slice(&crc32c::crc32c(&entries).to_be_bytes());
    fs::write(dir.path().join("tombstones"), file).unwrap();
    let (whole, left) = (dump(&golden()).unwrap(), dump(dir.path()).unwrap());
    assert_eq!(left[0].1, whole[0].1[2..], "the last deleted moment is included");
    assert_eq!(left[1..], whole[1..]);
    let chunks = dir.path().join("chunks/000001");
    let mut image = fs::read(&chunks).unwrap();
    // The first chunk: length (two bytes), encoding, data, checksum.
    let len = usize::from(image[8] & 0x7f) | usize::from(image[9]) << 7;
    image[10] = 9;
    let sum = crc32c::crc32c(&image[10..11 + len]).to_be_bytes();
    image[11 + len..15 + len].copy_from_slice(&sum);
    fs::write(&chunks, image).unwrap();
    let error = dump(dir.path()).expect_err("unknown").to_string();
    assert!(error.contains("chunk encoding 9 is not known here"), "{error}");
}

proptest! {
    #[test]
    fn random_chunks_never_panic(bytes: Vec<u8>) {
        let mut columns = SampleColumns::default();
        let _refused_or_not = float_chunk::decode(&bytes, &mut columns).is_err();
        let _refused_or_not = histogram_chunk::decode_integers(&bytes, &mut columns.histograms).is_err();
        let _refused_or_not = histogram_chunk::decode_floats(&bytes, &mut columns.histograms).is_err();
        let _refused_or_not = tombstones::parse(&bytes).is_err();
        let _refused_or_not = index::Index::parse(&bytes).is_err();
    }
}
