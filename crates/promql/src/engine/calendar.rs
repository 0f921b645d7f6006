//! Parts of a date in UTC, of seconds since the epoch. No time zone, no leap seconds.

/// Proleptic Gregorian date.
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

/// Days-to-date over eras of 400 years (146,097 days) that begin on 1 March, so that leap days come last.
fn date(seconds: i64) -> Date {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Date { year, month, day: day_of_year - (153 * shifted_month + 2) / 5 + 1 }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[expect(clippy::cast_precision_loss, reason = "parts of dates are small")]
fn float(part: i64) -> f64 {
    part as f64
}

pub(crate) fn minute(seconds: i64) -> f64 {
    float(seconds.rem_euclid(3_600) / 60)
}

pub(crate) fn hour(seconds: i64) -> f64 {
    float(seconds.rem_euclid(86_400) / 3_600)
}

/// Sunday is 0.
pub(crate) fn day_of_week(seconds: i64) -> f64 {
    float((seconds.div_euclid(86_400) + 4).rem_euclid(7))
}

pub(crate) fn day_of_month(seconds: i64) -> f64 {
    float(date(seconds).day)
}

pub(crate) fn day_of_year(seconds: i64) -> f64 {
    let date = date(seconds);
    float((1..date.month).map(|month| month_days(date.year, month)).sum::<i64>() + date.day)
}

pub(crate) fn days_in_month(seconds: i64) -> f64 {
    let date = date(seconds);
    float(month_days(date.year, date.month))
}

pub(crate) fn month(seconds: i64) -> f64 {
    float(date(seconds).month)
}

pub(crate) fn year(seconds: i64) -> f64 {
    float(date(seconds).year)
}

/// `1970-01-01T00:00:00Z`.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let Date { year, month, day } = date(seconds);
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day % 3_600 / 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: i64, want: [f64; 6]) {
        let got = [
            year(seconds),
            month(seconds),
            day_of_month(seconds),
            day_of_year(seconds),
            day_of_week(seconds),
            days_in_month(seconds),
        ];
        assert_eq!(got, want, "at {seconds}");
    }

    #[test]
    fn parts_of_known_dates() {
        check(0, [1970.0, 1.0, 1.0, 1.0, 4.0, 31.0]);
        check(951_782_400, [2000.0, 2.0, 29.0, 60.0, 2.0, 29.0]);
        check(4_107_542_399, [2100.0, 2.0, 28.0, 59.0, 0.0, 28.0]);
        check(-1, [1969.0, 12.0, 31.0, 365.0, 3.0, 31.0]);
    }
}
