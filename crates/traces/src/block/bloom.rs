//! A Bloom filter of trace ids: ten bits an id, six probes, about one in a hundred false answers.

use model::TraceId;

const BITS_PER_ID: usize = 10;
const PROBES: u64 = 6;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bloom {
    bits: Vec<u8>,
}

impl Bloom {
    pub(super) fn new(ids: usize) -> Self {
        Self { bits: vec![0; (ids * BITS_PER_ID).div_ceil(8).max(8)] }
    }

    /// A filter of bytes from a file; none when they can't be one.
    pub(super) fn from_bytes(bits: Vec<u8>) -> Option<Self> {
        (!bits.is_empty()).then_some(Self { bits })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    pub(super) fn insert(&mut self, id: TraceId) {
        for bit in probes(id, self.bits.len()) {
            if let Some(byte) = self.bits.get_mut(bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    pub(super) fn may_contain(&self, id: TraceId) -> bool {
        probes(id, self.bits.len())
            .all(|bit| self.bits.get(bit / 8).is_some_and(|byte| byte & (1 << (bit % 8)) != 0))
    }
}

/// Bit positions of an id. Ids need not be random: both halves are mixed.
fn probes(id: TraceId, bytes: usize) -> impl Iterator<Item = usize> {
    let bits = (bytes as u64).saturating_mul(8).max(1);
    let wide = u128::from_be_bytes(id.0);
    let first = mix((wide >> 64) as u64 ^ mix(wide as u64));
    let second = mix(first) | 1;
    (0..PROBES).map(move |probe| (first.wrapping_add(probe.wrapping_mul(second)) % bits) as usize)
}

/// The finaliser of SplitMix64.
fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_all_and_rarely_errs() {
        let id = |number: u128| TraceId(number.to_be_bytes());
        let mut bloom = Bloom::new(1000);
        (1..=1000).for_each(|number| bloom.insert(id(number)));
        assert!((1..=1000).all(|number| bloom.may_contain(id(number))));
        let wrong = (1001..=11_000).filter(|number| bloom.may_contain(id(*number))).count();
        assert!(wrong < 300, "{wrong} of 10000 false answers");
    }
}
