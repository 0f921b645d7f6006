use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::testing::damaged;

const ENCODINGS: [&str; 6] = ["identity", "gzip", "X-GZIP", "deflate", "zstd", "snappy"];

fn compressed(encoding: &str, body: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::new(6);
    match encoding {
        "gzip" | "X-GZIP" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "raw deflate" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::stream::encode_all(body, 3).unwrap(),
        "snappy" => snap::raw::Encoder::new().compress_vec(body).unwrap(),
        _ => body.to_vec(),
    }
}

fn sample_body(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8 ^ (index / 1000) as u8).collect()
}

#[test]
fn every_encoding_is_undone_up_to_exactly_the_limit() {
    for encoding in ENCODINGS {
        for len in [0, 1, 5_000, 700_000] {
            let body = sample_body(len);
            let packed = compressed(encoding, &body);
            assert_eq!(decompress(Some(encoding), &packed, len).as_deref(), Ok(&*body), "{encoding} {len}");
            if len > 0 {
                let too_small = decompress(Some(encoding), &packed, len - 1).expect_err(encoding);
                let want = DecodeError::TooLarge { what: "decompressed body", limit_bytes: len - 1 };
                assert_eq!(too_small, want, "{encoding} {len}");
            }
        }
    }
    assert_eq!(decompress(None, b"plain", 5).as_deref(), Ok(&b"plain"[..]));
}

#[test]
fn raw_deflate_is_understood() {
    let body = sample_body(10_000);
    let packed = compressed("raw deflate", &body);
    assert_eq!(decompress(Some("deflate"), &packed, 10_000).as_deref(), Ok(&*body));
}

#[test]
fn several_members_are_one_body() {
    for encoding in ["gzip", "zstd"] {
        let packed = [compressed(encoding, b"one "), compressed(encoding, b"two")].concat();
        assert_eq!(decompress(Some(encoding), &packed, 100).as_deref(), Ok(&b"one two"[..]), "{encoding}");
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    for encoding in ["gzip", "deflate", "zstd", "snappy"] {
        let packed = compressed(encoding, &zeros);
        let error = decompress(Some(encoding), &packed, 1 << 20).expect_err(encoding);
        assert_eq!(
            error.to_string(),
            "decompressed body is larger than the limit of 1048576 bytes",
            "{encoding}"
        );
    }
}

#[test]
fn a_promise_that_cannot_be_kept_gets_no_memory() {
    // Ten bytes that declare 32 MiB.
    let mut packed = vec![0x80, 0x80, 0x80, 0x10];
    packed.extend([0; 6]);
    let error = snappy_block(&packed, 64 << 20).expect_err("impossible length");
    assert_eq!(
        error.to_string(),
        "malformed snappy at offset 0: 10 bytes cannot expand to the declared 33554432"
    );
    // A zstd frame whose header asks for a window of 2 GiB.
    let huge_window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    assert!(matches!(decompress(Some("zstd"), &huge_window, 1 << 20), Err(DecodeError::Malformed { .. })));
}

#[test]
fn cut_or_foreign_bytes_are_malformed() {
    let body = sample_body(20_000);
    for encoding in ["gzip", "deflate", "zstd", "snappy"] {
        let packed = compressed(encoding, &body);
        for keep in [1, 4, packed.len() / 2, packed.len() - 1] {
            let cut = decompress(Some(encoding), &packed[..keep], 1 << 20);
            assert!(matches!(cut, Err(DecodeError::Malformed { .. })), "{encoding} cut at {keep}: {cut:?}");
        }
        let foreign = decompress(Some(encoding), b"{\"resourceSpans\":[]}", 1 << 20);
        assert!(matches!(foreign, Err(DecodeError::Malformed { .. })), "{encoding}: {foreign:?}");
    }
}

#[test]
fn unknown_encodings_and_chains_are_unsupported() {
    for encoding in ["br", "gzip, zstd", "gzip,gzip", "lz4"] {
        let error = decompress(Some(encoding), b"x", 10).expect_err(encoding);
        assert_eq!(error.to_string(), format!("unsupported content encoding {encoding:?}"));
    }
}

proptest! {
    #[test]
    fn damaged_and_random_bytes_never_panic_nor_pass_the_limit(
        damaged in prop::sample::select(ENCODINGS.to_vec()).prop_flat_map(|encoding| damaged(compressed(encoding, &sample_body(5_000)))),
        random: Vec<u8>,
        limit_bytes in 0..6_000_usize,
    ) {
        for (encoding, body) in ENCODINGS.iter().flat_map(|encoding| [(encoding, &damaged), (encoding, &random)]) {
            if let Ok(bytes) = decompress(Some(encoding), body, limit_bytes) {
                prop_assert!(bytes.len() <= limit_bytes);
            }
        }
    }
}
