use expect_test::{Expect, expect};

use super::*;
use crate::query::answer::{Sample, SampleValue};

fn series(name: &str, samples: impl Iterator<Item = (f64, f64)>) -> Series {
    let samples = samples
        .map(|(time, value)| Sample { time, value: SampleValue::Number(value, value.to_string()) })
        .collect();
    Series { labels: vec![("__name__".to_owned(), name.to_owned())], samples }
}

#[track_caller]
fn check(series: &[Series], want: &Expect) {
    let text = render(series, Size { width: 60, rows: 8 }, Palette::PLAIN);
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    want.assert_eq(&text);
}

fn minutes(count: u32) -> impl Iterator<Item = f64> {
    (0..count).map(|minute| 1_700_000_000.0 + f64::from(minute) * 60.0)
}

#[test]
fn one_line() {
    check(
        &[series("waves", minutes(60).map(|time| (time, (time / 500.0).sin() * 1_200.0)))],
        &expect![[r#"
              2k ┤
                 │                ⣀⣀⠤⠤⠤⢄⣀⡀
              1k ┤           ⢀⡠⠔⠚⠉       ⠈⠉⠢⠤⣀
                 │         ⡠⠒⠉               ⠈⠑⠢⡀
               0 ┤     ⢀⡠⠒⠉                     ⠈⠑⠢⣀               ⢀
             -1k ┤ ⢀⣀⠤⠊⠁                            ⠉⠢⢄⣀       ⢀⡠⠤⠊⠁
                 │⠉⠁                                    ⠉⠉⠒⠒⠒⠋⠉⠁
             -2k ┤
                 └┬────────────────────────┬───────────────────────┬
        UTC     22:13                    22:42                 23:12
          -488.1 ━━ waves
    "#]],
    );
}

#[test]
fn lines_without_colours_are_letters() {
    let up = series("up", minutes(40).map(|time| (time, (time - 1_700_000_000.0) / 100.0)));
    let flat = series("flat", minutes(40).map(|time| (time, 5.0)));
    check(
        &[up, flat],
        &expect![[r#"
              30 ┤
                 │                                                AA
              20 ┤                                        AAAAAAAAA
                 │                                AAAAAAAAA
                 │                       AAAAAAAAA
              10 ┤               AAAAAAAAA
                 │BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB
               0 ┤AAAAAAAA
                 └┬────────────────────────┬───────────────────────┬
        UTC     22:13                    22:32                 22:52
            23.4 A up
               5 B flat
    "#]],
    );
}

#[test]
fn a_gap_is_a_gap_and_one_value_has_room() {
    let times = minutes(60).enumerate().filter(|(index, _)| !(20..40).contains(index));
    check(
        &[series("m", times.map(|(_, time)| (time, 7.0)))],
        &expect![[r#"
               8 ┤
                 │
                 │
                 │
               7 ┤⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠁                ⠈⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉
                 │
                 │
               6 ┤
                 └┬────────────────────────┬───────────────────────┬
        UTC     22:13                    22:42                 23:12
               7 ━━ m
    "#]],
    );
}

#[test]
fn colours_are_escapes_around_dots() {
    let text = render(
        &[series("m", minutes(2).map(|time| (time, 1.0)))],
        Size { width: 40, rows: 4 },
        Palette::of_stdout(true),
    );
    assert!(text.contains("\x1b[36m━━\x1b[0m m"), "{text:?}");
}
