//! Native histograms in Prometheus's JSON.
//!
//! ```text
//! [ts, {"count":"7","sum":"18.4","buckets":[[rule,"lower","upper","count"],…]}]
//! rule   0 = (lower, upper]   1 = [lower, upper)   2 = (lower, upper)   3 = [lower, upper]
//! ```
//! Buckets that hold nothing are left out, and `buckets` too when none is left.

use model::{Bucket, Histogram};

use super::json::push_comma;
use super::number::{push, push_time, push_value};

pub(super) fn push_histogram_sample(out: &mut String, ts_ms: i64, histogram: &Histogram) {
    out.push('[');
    push_time(out, ts_ms);
    out.push(',');
    push_histogram(out, histogram);
    out.push(']');
}

fn push_histogram(out: &mut String, histogram: &Histogram) {
    out.push_str("{\"count\":");
    push_quoted(out, histogram.count);
    out.push_str(",\"sum\":");
    push_quoted(out, histogram.sum);
    let mut buckets = histogram.all_buckets().filter(|bucket| bucket.count != 0.0).peekable();
    if buckets.peek().is_some() {
        out.push_str(",\"buckets\":[");
        for (index, bucket) in buckets.enumerate() {
            push_comma(out, index);
            push_bucket(out, &bucket);
        }
        out.push(']');
    }
    out.push('}');
}

fn push_bucket(out: &mut String, bucket: &Bucket) {
    let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
        (false, true) => 0,
        (true, false) => 1,
        (false, false) => 2,
        (true, true) => 3,
    };
    push(out, format_args!("[{rule},"));
    push_quoted(out, bucket.lower);
    out.push(',');
    push_quoted(out, bucket.upper);
    out.push(',');
    push_quoted(out, bucket.count);
    out.push(']');
}

fn push_quoted(out: &mut String, value: f64) {
    out.push('"');
    push_value(out, value);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use model::Buckets;

    use super::*;

    #[track_caller]
    fn check(histogram: &Histogram, want: &str) {
        let mut out = String::new();
        push_histogram_sample(&mut out, 1_500, histogram);
        assert_eq!(out, want);
    }

    #[test]
    fn histograms_have_the_reference_shape() {
        let histogram = Histogram {
            count: 10.0,
            sum: 3.5,
            zero_threshold: 0.001,
            zero_count: 2.0,
            positive: Buckets::from_ascending([(0, 3.0), (1, 0.0), (2, 4.0)]),
            negative: Buckets::from_ascending([(1, 1.0)]),
            ..Histogram::default()
        };
        check(
            &histogram,
            r#"[1.5,{"count":"10","sum":"3.5","buckets":[[1,"-2","-1","1"],[3,"-0.001","0.001","2"],[0,"0.5","1","3"],[0,"2","4","4"]]}]"#,
        );
        check(&Histogram::default(), r#"[1.5,{"count":"0","sum":"0"}]"#);
    }
}
