use super::*;

#[test]
fn metrics() {
    use Shape::{Gauge, MonotonicSum, Other};
    for (name, unit, shape, want) in [
        ("http.server.request.duration", "s", Other, "http_server_request_duration_seconds"),
        ("shop.orders", "{order}", MonotonicSum, "shop_orders_total"),
        ("requests_total", "1", MonotonicSum, "requests_total"),
        ("total.requests", "", MonotonicSum, "requests_total"),
        ("disk.io", "By/s", Gauge, "disk_io_bytes_per_second"),
        ("disk.io", "{operation}/s", Gauge, "disk_io_per_second"),
        ("cpu.utilization", "1", Gauge, "cpu_utilization_ratio"),
        ("cpu.utilization", "1", Other, "cpu_utilization"),
        ("system.memory_bytes", "By", Gauge, "system_memory_bytes"),
        ("latency", "ms", Other, "latency_milliseconds"),
        ("fuel", "gal", Gauge, "fuel_gal"),
        ("speed", "m/s", Gauge, "speed_meters_per_second"),
        ("rate", "km/h", Gauge, "rate_km_per_hour"),
        ("2xx.responses", "", Other, "_2xx_responses"),
        ("job:rate5m", "", Gauge, "job:rate5m"),
        ("a..b__c-d", "", Gauge, "a_b_c_d"),
        ("", "", Gauge, ""),
    ] {
        assert_eq!(
            metric_name(name, unit, shape, TranslationStrategy::default()),
            want,
            "{name} {unit} {shape:?}"
        );
    }
}

#[test]
fn labels() {
    for (key, want) in [
        ("http.method", "http_method"),
        ("plain_Key9", "plain_Key9"),
        ("9lives", "key_9lives"),
        ("_private", "key_private"),
        ("__meta", "__meta"),
        ("a b-c", "a_b_c"),
        ("größe", "gr__e"),
    ] {
        assert_eq!(label_name(key, &MetricOptions::default()), want, "{key}");
    }
}

#[test]
fn units_of_metadata() {
    for (unit, want) in
        [("By/s", "bytes_per_second"), ("s", "seconds"), ("1", ""), ("{x}", ""), ("{x}/s", "per_second")]
    {
        assert_eq!(unit_name(unit), want, "{unit}");
    }
}

#[test]
fn strategies() {
    use TranslationStrategy::{NoTranslation, NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes};
    for (name, unit, shape, bare, suffixed) in [
        ("http.duration", "s", Shape::Other, "http_duration", "http.duration_seconds"),
        ("..shop.orders--", "{order}", Shape::MonotonicSum, "shop_orders", "..shop.orders--_total"),
        ("requests_total", "", Shape::MonotonicSum, "requests_total", "requests_total"),
        ("disk.io", "By/s", Shape::Gauge, "disk_io", "disk.io_bytes_per_second"),
        ("disk.io_per_second", "By/s", Shape::Gauge, "disk_io_per_second", "disk.io_bytes_per_second"),
        ("cpu.ratio", "1", Shape::Gauge, "cpu_ratio", "cpu_ratio"),
        ("memory.bytes", "By", Shape::Gauge, "memory_bytes", "memory.bytes"),
        ("total", "", Shape::MonotonicSum, "total", "total_total"),
        ("2xx__x", "", Shape::Gauge, "_2xx__x", "2xx__x"),
    ] {
        assert_eq!(metric_name(name, unit, shape, UnderscoreEscapingWithoutSuffixes), bare);
        assert_eq!(metric_name(name, unit, shape, NoUtf8EscapingWithSuffixes), suffixed);
        assert_eq!(metric_name(name, unit, shape, NoTranslation), name);
    }
}

#[test]
fn labels_by_options() {
    let single =
        MetricOptions { label_name_preserve_multiple_underscores: false, ..MetricOptions::default() };
    let as_is = MetricOptions { label_name_underscore_sanitization: false, ..MetricOptions::default() };
    let utf8 = MetricOptions { strategy: TranslationStrategy::NoTranslation, ..MetricOptions::default() };
    for (key, single_want, as_is_want) in
        [("a..b", "a_b", "a__b"), ("_private", "key_private", "_private"), ("__x__", "__x__", "__x__")]
    {
        assert_eq!(label_name(key, &single), single_want);
        assert_eq!(label_name(key, &as_is), as_is_want);
        assert_eq!(label_name(key, &utf8), key);
    }
}
