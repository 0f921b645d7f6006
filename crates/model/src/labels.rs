//! Label sets.
//!
//! ```text
//! canonical := pair*                    pairs ascending by name, names unique, no empty name, no empty value
//! pair      := name_len varint | name | value_len varint | value          (UTF-8)
//! ```
//! Two label sets are equal exactly when their canonical bytes are. An empty value is the same as no label, as
//! everywhere in Prometheus. The metric name is the label `__name__`.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use codec::{Cursor, put_bytes};

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// Why something is not a label set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    #[error("duplicate label name {name:?}")]
    DuplicateName { name: String },
    #[error("empty label name (value {value:?})")]
    EmptyName { value: String },
    #[error("label set bytes are not canonical: {detail}")]
    NotCanonical { detail: &'static str },
}

/// An immutable label set: one shared allocation. Cloning copies a pointer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LabelSet(Arc<[u8]>);

/// A borrowed label set in canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LabelSetRef<'a>(&'a [u8]);

impl LabelSet {
    /// The label set without labels.
    pub fn empty() -> Self {
        Self(Arc::from([].as_slice()))
    }

    /// A label set of pairs in any order; pairs with an empty value are left out.
    ///
    /// # Errors
    /// [`LabelError`] on an empty or repeated name.
    pub fn from_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<Self, LabelError> {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        let mut bytes = Vec::new();
        encode_labels(&mut pairs, &mut bytes)?;
        Ok(Self(bytes.into()))
    }

    /// Checks bytes from disk or the network and copies them.
    ///
    /// # Errors
    /// [`LabelError::NotCanonical`].
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, LabelError> {
        LabelSetRef::from_canonical(bytes).map(|labels| labels.to_owned())
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Borrowed form.
    pub fn as_ref(&self) -> LabelSetRef<'_> {
        LabelSetRef(&self.0)
    }

    /// Value of the label, if it has one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.as_ref().get(name)
    }

    /// The metric name, or `""`.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or_default()
    }

    /// Pairs ascending by name.
    pub fn iter(&self) -> Labels<'_> {
        self.as_ref().iter()
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts a changed copy.
    pub fn to_builder(&self) -> LabelSetBuilder {
        LabelSetBuilder {
            pairs: self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// Keeps only the labels for which `keep` says so. Returns a clone when nothing changes.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len());
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            put_bytes(&mut bytes, name.as_bytes());
            put_bytes(&mut bytes, value.as_bytes());
        }
        if bytes.len() == self.0.len() { self.clone() } else { Self(bytes.into()) }
    }
}

impl<'a> LabelSetRef<'a> {
    /// Checks that `bytes` are canonical.
    ///
    /// # Errors
    /// [`LabelError::NotCanonical`].
    pub fn from_canonical(bytes: &'a [u8]) -> Result<Self, LabelError> {
        let not_canonical = |detail| LabelError::NotCanonical { detail };
        let mut cursor = Cursor::new(bytes);
        let mut previous: Option<&[u8]> = None;
        while !cursor.is_empty() {
            let name = cursor.bytes().map_err(|_| not_canonical("a name is cut short"))?;
            let value = cursor.bytes().map_err(|_| not_canonical("a value is cut short"))?;
            if name.is_empty() || value.is_empty() {
                return Err(not_canonical("empty name or value"));
            }
            if previous.is_some_and(|previous| previous >= name) {
                return Err(not_canonical("names are not ascending"));
            }
            if std::str::from_utf8(name).is_err() || std::str::from_utf8(value).is_err() {
                return Err(not_canonical("not UTF-8"));
            }
            previous = Some(name);
        }
        Ok(Self(bytes))
    }

    /// Wraps bytes that an encoder of this crate made. Bytes that are not canonical give wrong answers later, but
    /// never undefined behaviour.
    pub fn from_canonical_trusted(bytes: &'a [u8]) -> Self {
        debug_assert!(Self::from_canonical(bytes).is_ok(), "BUG: label bytes are not canonical");
        Self(bytes)
    }

    /// The canonical bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Owned copy.
    pub fn to_owned(self) -> LabelSet {
        LabelSet(Arc::from(self.0))
    }

    /// Value of the label, if it has one.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
    }

    /// Pairs ascending by name.
    pub fn iter(self) -> Labels<'a> {
        Labels(Cursor::new(self.0))
    }

    /// Appends the canonical bytes of the labels for whose name (in UTF-8) `keep` says so. Neither allocates nor
    /// checks texts: for loops over many label sets, as [`LabelSet::filtered`] is for one.
    pub fn write_filtered(self, mut keep: impl FnMut(&[u8]) -> bool, out: &mut Vec<u8>) {
        let mut cursor = Cursor::new(self.0);
        let mut start = 0;
        while let (Ok(name), Ok(_value)) = (cursor.bytes(), cursor.bytes()) {
            let end = cursor.offset();
            if keep(name) {
                out.extend_from_slice(self.0.get(start..end).unwrap_or_default());
            }
            start = end;
        }
    }
}

/// Iterator over the pairs of a label set.
#[derive(Clone, Debug)]
pub struct Labels<'a>(Cursor<'a>);

impl<'a> Iterator for Labels<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let name = self.0.bytes().ok()?;
        let value = self.0.bytes().ok()?;
        Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
    }
}

/// Prometheus's order: pair by pair, name before value; a prefix comes first.
impl Ord for LabelSetRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for LabelSetRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LabelSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for LabelSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for LabelSet {
    fn default() -> Self {
        Self::empty()
    }
}

/// A map keyed by label set can be asked with canonical bytes.
impl Borrow<[u8]> for LabelSet {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// PromQL notation: `{__name__="up", job="x"}` prints as `up{job="x"}`.
impl fmt::Display for LabelSetRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.get(METRIC_NAME).unwrap_or_default();
        let plain_name = is_valid_metric_name(name);
        if plain_name {
            f.write_str(name)?;
        }
        let mut labels = self.iter().filter(|(label, _)| !(plain_name && *label == METRIC_NAME)).peekable();
        if plain_name && labels.peek().is_none() {
            return Ok(());
        }
        f.write_str("{")?;
        for (index, (label, value)) in labels.enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            if is_valid_label_name(label) {
                write!(f, "{separator}{label}={value:?}")?;
            } else {
                write!(f, "{separator}{label:?}={value:?}")?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Display for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for LabelSetRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for LabelSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Sorts `pairs` by name and appends their canonical bytes; pairs with an empty value are left out.
///
/// # Errors
/// [`LabelError`] on an empty or repeated name; `out` is then as it was before.
pub fn encode_labels(pairs: &mut [(&str, &str)], out: &mut Vec<u8>) -> Result<(), LabelError> {
    let is_sorted = pairs.is_sorted_by(|(left, _), (right, _)| left < right);
    if !is_sorted {
        pairs.sort_unstable_by_key(|(name, _)| *name);
    }
    let start = out.len();
    let mut previous = "";
    for (name, value) in pairs.iter() {
        let error = if name.is_empty() {
            Some(LabelError::EmptyName { value: (*value).to_owned() })
        } else if *name == previous {
            Some(LabelError::DuplicateName { name: (*name).to_owned() })
        } else {
            None
        };
        if let Some(error) = error {
            out.truncate(start);
            return Err(error);
        }
        previous = name;
        if !value.is_empty() {
            put_bytes(out, name.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }
    Ok(())
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`: a label name that needs no quotes in PromQL.
pub fn is_valid_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_valid_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_' || first == b':')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}

/// A label set under construction. The last value set for a name counts; setting `""` removes it.
#[derive(Clone, Debug, Default)]
pub struct LabelSetBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelSetBuilder {
    /// Without labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a label; an empty `value` removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        if value.is_empty() {
            return self.remove(name);
        }
        match self.pairs.iter_mut().find(|(candidate, _)| candidate == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(candidate, _)| candidate != name);
        self
    }

    /// Keeps only the labels for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) -> &mut Self {
        self.pairs.retain(|(name, _)| keep(name));
        self
    }

    /// Value of a label set so far.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// Pairs in the order they were first set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The label set. A pair with an empty name is left out.
    pub fn build(&self) -> LabelSet {
        let mut pairs: Vec<_> = self.iter().filter(|(name, _)| !name.is_empty()).collect();
        let mut bytes = Vec::new();
        let encoded = encode_labels(&mut pairs, &mut bytes);
        debug_assert!(encoded.is_ok(), "BUG: builder names are unique and not empty");
        LabelSet(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        LabelSet::from_pairs(pairs.iter().copied()).expect("valid labels")
    }

    #[test]
    fn order_of_pairs_does_not_matter_and_empty_values_vanish() {
        let one = labels(&[("b", "2"), ("a", "1"), ("c", "")]);
        assert_eq!(one, labels(&[("a", "1"), ("b", "2")]));
        assert_eq!(one.get("b"), Some("2"));
        assert_eq!(one.get("c"), None);
    }

    #[test]
    fn errors_name_the_label() {
        let duplicate = LabelSet::from_pairs([("a", "1"), ("a", "2")]);
        assert_eq!(duplicate, Err(LabelError::DuplicateName { name: "a".into() }));
        assert!(LabelSet::from_pairs([("", "x")]).is_err());
        assert!(LabelSet::from_canonical(&[1, b'b', 1, b'1', 1, b'a', 1, b'1']).is_err());
        assert!(LabelSet::from_canonical(&[9, b'b']).is_err());
    }

    #[test]
    fn display_is_promql() {
        assert_eq!(labels(&[("__name__", "up"), ("job", "a\"b")]).to_string(), r#"up{job="a\"b"}"#);
        assert_eq!(labels(&[("__name__", "up")]).to_string(), "up");
        assert_eq!(labels(&[("job", "x")]).to_string(), r#"{job="x"}"#);
        assert_eq!(LabelSet::empty().to_string(), "{}");
        assert_eq!(
            labels(&[("__name__", "a.b"), ("c.d", "1")]).to_string(),
            r#"{__name__="a.b", "c.d"="1"}"#
        );
    }

    #[test]
    fn builder_sets_removes_and_filters() {
        let mut builder = labels(&[("__name__", "up"), ("job", "x")]).to_builder();
        builder.set("job", "y").set("zone", "1").remove("__name__");
        let built = builder.build();
        assert_eq!(built, labels(&[("job", "y"), ("zone", "1")]));
        assert_eq!(built.filtered(|name| name == "zone"), labels(&[("zone", "1")]));
    }

    proptest! {
        #[test]
        fn filtering_bytes_is_filtering(map in proptest::collection::btree_map("[a-c]{1,3}", ".{1,6}", 0..6)) {
            let set = LabelSet::from_pairs(map.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap();
            let mut bytes = Vec::new();
            set.as_ref().write_filtered(|name| name.starts_with(b"a"), &mut bytes);
            let kept = set.filtered(|name| name.starts_with('a'));
            prop_assert_eq!(bytes.as_slice(), kept.as_bytes());
        }

        #[test]
        fn canonical_round_trip(map in proptest::collection::btree_map("[a-z]{1,4}", ".{1,6}", 0..6)) {
            let set = LabelSet::from_pairs(map.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap();
            prop_assert_eq!(LabelSet::from_canonical(set.as_bytes()).unwrap(), set.clone());
            prop_assert_eq!(set.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>(), map.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn random_bytes_are_refused_or_canonical(bytes: Vec<u8>) {
            if let Ok(set) = LabelSet::from_canonical(&bytes) {
                let again = LabelSet::from_pairs(set.iter()).unwrap();
                prop_assert_eq!(again.as_bytes(), set.as_bytes());
            }
        }
    }
}
