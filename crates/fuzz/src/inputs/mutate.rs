//! Small damage to inputs that are good.

use fastrand::Rng;

/// Longest input that is made. What lies beyond is the limits' business, not the parsers'.
const BYTES_MAX: usize = 64 << 10;
/// Numbers that lengths and offsets are compared with.
const ODD_BYTES: [u8; 10] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b'\\', b'\n', 0xc3];

/// A damaged copy of one of `corpus`; seldom, random bytes or an untouched one.
pub(super) fn mutate(rng: &mut Rng, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    if rng.u8(0..50) == 0 {
        return (0..rng.usize(0..200)).map(|_| rng.u8(..)).collect();
    }
    let mut input = corpus[rng.usize(0..corpus.len())].clone();
    for _ in 0..rng.u8(0..5) {
        change(rng, &mut input, corpus, words);
    }
    input.truncate(BYTES_MAX);
    input
}

fn change(rng: &mut Rng, input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) {
    if input.is_empty() {
        input.push(rng.u8(..));
        return;
    }
    let at = rng.usize(0..input.len());
    let length = rng.usize(1..=(input.len() - at).min(16));
    match rng.u8(0..10) {
        0 => input[at] ^= 1 << rng.u8(0..8),
        1 => input[at] = ODD_BYTES[rng.usize(0..ODD_BYTES.len())],
        2 => input.insert(at, ODD_BYTES[rng.usize(0..ODD_BYTES.len())]),
        3 => drop(input.drain(at..at + length)),
        4 => input.truncate(at),
        5 => {
            // The same again, perhaps very often: nesting and repetition.
            let part = input[at..at + length].to_vec();
            let times = if rng.u8(0..20) == 0 { 2_000 } else { rng.usize(1..6) };
            let more = part.repeat(times);
            input.splice(at..at, more);
        }
        6 => {
            let other = &corpus[rng.usize(0..corpus.len())];
            let from = rng.usize(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        7 if !words.is_empty() => {
            let word = words[rng.usize(0..words.len())];
            input.splice(at..at, word.bytes());
        }
        8 => {
            let other = rng.usize(0..input.len());
            input.swap(at, other);
        }
        _ => input[at] = input[at].wrapping_add(rng.u8(..)),
    }
}
