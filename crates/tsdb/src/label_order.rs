//! Comparing canonical label bytes in Prometheus's order without decoding them.

use std::cmp::Ordering;

use codec::Cursor;

/// The order of `model::LabelSet`, on canonical bytes: finds the first byte that differs, then the string it is in.
/// The naive version decodes both pair by pair; sorting 100k series that way takes several times as long.
pub(crate) fn compare_labels(left: &[u8], right: &[u8]) -> Ordering {
    let differing = common_prefix(left, right);
    if differing == left.len() || differing == right.len() {
        // Whole pairs are equal up to the end of the shorter one, which comes first; or both are the same.
        return left.len().cmp(&right.len());
    }
    let mut cursor = Cursor::new(left);
    let mut start = 0;
    while let Ok(_string) = cursor.bytes() {
        if cursor.offset() > differing {
            break;
        }
        start = cursor.offset();
    }
    string_at(left, start).cmp(string_at(right, start))
}

fn string_at(bytes: &[u8], start: usize) -> &[u8] {
    Cursor::new(bytes.get(start..).unwrap_or_default()).bytes().unwrap_or_default()
}

fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    let chunks = left.as_chunks::<16>().0.iter().zip(right.as_chunks::<16>().0);
    let equal = chunks.take_while(|(left, right)| left == right).count() * 16;
    let (left, right) = (left.get(equal..).unwrap_or_default(), right.get(equal..).unwrap_or_default());
    equal + left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::LabelSet;
    use proptest::prelude::*;

    fn labels() -> impl Strategy<Value = LabelSet> {
        let long_or_short = prop_oneof![6 => "[ab]{1,3}", 1 => "a{126,130}[ab]", 1 => "é?x"];
        proptest::collection::btree_map("[ab]{1,2}", long_or_short, 0..5).prop_map(|map| {
            LabelSet::from_pairs(map.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn same_order_as_pair_by_pair(left in labels(), right in labels()) {
            prop_assert_eq!(compare_labels(left.as_bytes(), right.as_bytes()), left.cmp(&right));
        }
    }
}
