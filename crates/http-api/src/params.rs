//! Parameters from the query string and from form bodies: times, durations, repeated names.

use axum::body::Bytes;
use http::request::Parts;
use http::{Method, header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::ApiError;

/// Parameters in the order given: those of a form body first, as in Go's `Request.Form`.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Of a request whose body does not count.
    pub(crate) fn of_query(parts: &Parts) -> Result<Self, ApiError> {
        let mut pairs = Vec::new();
        parse_form(parts.uri.query().unwrap_or_default(), &mut pairs)?;
        Ok(Self(pairs))
    }

    /// Reads the query string, and the body when it is a form.
    pub(crate) fn of(parts: &Parts, body: &Bytes) -> Result<Self, ApiError> {
        let mut pairs = Vec::new();
        let is_form = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_form = is_form.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        if matches!(parts.method, Method::POST | Method::PUT) && is_form {
            let text = std::str::from_utf8(body)
                .map_err(|_| ApiError::BadData("the form body is not UTF-8".into()))?;
            parse_form(text, &mut pairs)?;
        }
        parse_form(parts.uri.query().unwrap_or_default(), &mut pairs)?;
        Ok(Self(pairs))
    }

    /// First value of a name; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str());
        first.filter(|value| !value.is_empty())
    }

    /// Every value of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// A value that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| refused(name, "it is missing"))
    }

    /// A time in Unix seconds (with decimals) or RFC 3339, as milliseconds.
    pub(crate) fn time_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name).map(|_| self.required_time_ms(name)).transpose()
    }

    /// A duration in seconds (with decimals) or Prometheus's notation, as milliseconds.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name).map(|_| self.required_duration_ms(name)).transpose()
    }

    /// A time that must be there, in Prometheus's words.
    pub(crate) fn required_time_ms(&self, name: &str) -> Result<i64, ApiError> {
        let text = self.get(name).unwrap_or_default();
        parse_time_ms(text).map_err(|why| invalid(name, text, &why))
    }

    /// A duration that must be there, in Prometheus's words.
    pub(crate) fn required_duration_ms(&self, name: &str) -> Result<i64, ApiError> {
        let text = self.get(name).unwrap_or_default();
        parse_duration_ms(text).map_err(|why| invalid(name, text, &why))
    }

    /// `true` or `false` in any of Go's spellings.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name).unwrap_or("false") {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            other => Err(invalid(name, other, "it must be true or false")),
        }
    }

    /// A count.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| invalid(name, text, "it is not a whole number of 0 or more"))
        };
        self.get(name).map(parse).transpose()
    }
}

/// The error of a bad parameter, as Prometheus begins it.
pub(crate) fn refused(name: &str, why: &str) -> ApiError {
    ApiError::BadData(format!("invalid parameter {name:?}: {why}"))
}

/// As [`refused`], with the value that can't be read.
pub(crate) fn invalid(name: &str, value: &str, why: &str) -> ApiError {
    let shown: String = value.chars().take(VALUE_CHARS_SHOWN).collect();
    refused(name, &format!("cannot parse {shown:?}{}{why}", joint(why)))
}

/// As [`invalid`], for times that may be left out.
pub(crate) fn invalid_time(name: &str, value: &str, why: &str) -> ApiError {
    let shown: String = value.chars().take(VALUE_CHARS_SHOWN).collect();
    refused(name, &format!("invalid time value for '{name}': cannot parse {shown:?}{}{why}", joint(why)))
}

/// Prometheus goes on with "to a valid …"; reasons of our own follow a colon.
fn joint(why: &str) -> &'static str {
    if why.starts_with("to a valid") { " " } else { ": " }
}

fn parse_form(text: &str, pairs: &mut Vec<(String, String)>) -> Result<(), ApiError> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((percent_decode(name)?, percent_decode(value)?));
    }
    Ok(())
}

/// Decodes `%xx` and `+`.
pub(crate) fn percent_decode(text: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(ApiError::BadData(format!("invalid percent-encoding in {text:?}")));
                };
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::BadData(format!("{text:?} is not UTF-8")))
}

/// Most characters of a bad value that its error repeats.
const VALUE_CHARS_SHOWN: usize = 120;
/// Prometheus's first and last moment as it writes them; their years are too long for RFC 3339.
const TIME_MIN: (&str, i64) = ("-292273086-05-16T16:47:06Z", -9_223_309_901_257_974_000);
const TIME_MAX: (&str, i64) = ("292277025-08-18T07:12:54.999999999Z", 9_223_309_901_257_974_999);
/// Farthest time that is read, in seconds: beyond it milliseconds stop being exact (Prometheus's bound).
const TIME_SECONDS_MAX: f64 = 9_223_372_036_854_775.0;
/// Longest duration, in seconds: so many nanoseconds fit 64 bits (Prometheus's bound).
const DURATION_SECONDS_MAX: f64 = 9_223_372_036.854_776;

pub(crate) fn parse_time_ms(text: &str) -> Result<i64, String> {
    if let Some((_, time_ms)) = [TIME_MIN, TIME_MAX].into_iter().find(|(name, _)| *name == text) {
        return Ok(time_ms);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds_to_ms(seconds);
    }
    let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "to a valid timestamp".to_owned())?;
    i64::try_from(parsed.unix_timestamp_nanos().div_euclid(1_000_000))
        .map_err(|_| "it is out of range".to_owned())
}

fn seconds_to_ms(seconds: f64) -> Result<i64, String> {
    if seconds.is_finite() && seconds.abs() <= TIME_SECONDS_MAX {
        // In range by the check above.
        Ok((seconds * 1_000.0).round() as i64)
    } else {
        Err(format!("it is out of range (|seconds| <= {TIME_SECONDS_MAX})"))
    }
}

fn parse_duration_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let overflows = || "to a valid duration. It overflows int64".to_owned();
        let is_in_range = seconds.is_finite() && seconds.abs() < DURATION_SECONDS_MAX;
        return if is_in_range { seconds_to_ms(seconds) } else { Err(overflows()) };
    }
    let duration = stdx::parse_duration(text).map_err(|_| "to a valid duration".to_owned())?;
    i64::try_from(duration.as_millis()).map_err(|_| "it is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc3339() {
        assert_eq!(parse_time_ms("1435781430.781"), Ok(1_435_781_430_781));
        assert_eq!(parse_time_ms("2015-07-01T20:10:30.781Z"), Ok(1_435_781_430_781));
        assert_eq!(parse_time_ms("-1"), Ok(-1_000));
        assert_eq!(parse_time_ms(TIME_MIN.0), Ok(TIME_MIN.1));
        assert_eq!(parse_time_ms(TIME_MAX.0), Ok(TIME_MAX.1));
        assert_eq!(parse_time_ms("1969-12-31T23:59:59.9995Z"), Ok(-1));
        assert!(
            parse_time_ms("NaN").is_err()
                && parse_time_ms("yesterday").is_err()
                && parse_time_ms("1e300").is_err()
        );
    }

    #[test]
    fn durations_are_seconds_or_units() {
        assert_eq!(parse_duration_ms("15"), Ok(15_000));
        assert_eq!(parse_duration_ms("0.5"), Ok(500));
        assert_eq!(parse_duration_ms("1m30s"), Ok(90_000));
        assert_eq!(parse_duration_ms("1x"), Err("to a valid duration".to_owned()));
        assert_eq!(parse_duration_ms("1e10"), Err("to a valid duration. It overflows int64".to_owned()));
    }

    #[test]
    fn forms_are_decoded() {
        let mut pairs = Vec::new();
        parse_form("match[]=up%7Ba%3D%22b%22%7D&x=1+2&flag&", &mut pairs).expect("valid");
        let want = [("match[]", "up{a=\"b\"}"), ("x", "1 2"), ("flag", "")];
        assert_eq!(pairs, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert!(
            percent_decode("%zz").is_err() && percent_decode("%f").is_err() && percent_decode("%ff").is_err()
        );
    }
}
