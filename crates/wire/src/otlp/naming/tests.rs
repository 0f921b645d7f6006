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
        assert_eq!(metric_name(name, unit, shape), want, "{name} {unit} {shape:?}");
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
        assert_eq!(label_name(key), want, "{key}");
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
