//! Values as people write them in settings: durations, sizes, secrets, and values that know their line.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

/// A duration written like `30s` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct HumanDuration(pub Duration);

/// A size written like `64MiB` or `10MB`; a unit is required, except for `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct HumanBytes(pub u64);

/// Text that is never shown: not in logs, not in `Debug`, not when settings are printed.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// A value with the place where it was written, counted from 1.
#[derive(Clone, Debug)]
pub struct Located<T> {
    pub value: T,
    pub line: u64,
    pub column: u64,
}

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The hidden text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<secret>")
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        stdx::parse_duration(&text).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&stdx::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for HumanBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let without_unit = text.bytes().all(|byte| byte.is_ascii_digit()) && text != "0";
        if without_unit {
            return Err(D::Error::custom(format!("size {text:?} has no unit (write it like 64MiB or 10GB)")));
        }
        stdx::parse_bytes(&text).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for HumanBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}B", self.0))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let (line, column) = (spanned.referenced.line(), spanned.referenced.column());
        Ok(Self { value: spanned.value, line, column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_yaml;

    #[derive(Debug, Deserialize)]
    struct Sample {
        wait: HumanDuration,
        size: HumanBytes,
        password: Secret,
        name: Located<String>,
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        let sample: Sample =
            from_yaml("wait: 1m30s\nsize: 10MB\npassword: hunter2\nname:  x\n").expect("valid settings");
        assert_eq!(sample.wait.0, Duration::from_secs(90));
        assert_eq!(sample.size.0, 10 << 20);
        assert_eq!((sample.name.value.as_str(), sample.name.line, sample.name.column), ("x", 4, 8));
        assert!(!format!("{sample:?}").contains("hunter2"));
        assert_eq!(sample.password.expose(), "hunter2");
    }

    #[test]
    fn a_size_without_a_unit_is_refused() {
        let error = from_yaml::<HumanBytes>("100").expect_err("no unit");
        assert!(error.to_string().contains("no unit"), "{error}");
    }
}
