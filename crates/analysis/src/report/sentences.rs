//! What the report says in words: the evidence of a cause and the details of the votes, in both languages.

use crate::Lang;

/// `english` or `chinese`; only the one that is wanted is made.
macro_rules! say {
    ($lang:expr, $english:literal, $chinese:literal $(, $argument:expr)* $(,)?) => {
        match $lang {
            Lang::En => format!($english $(, $argument)*),
            Lang::Zh => format!($chinese $(, $argument)*),
        }
    };
}

/// Shares of the critical path, each 0 to 1.
pub(super) fn path_share(lang: Lang, tail: f64, body: f64, all: f64) -> String {
    say!(
        lang,
        "{:.0} % of the critical path of the slowest 5 % of traces, {:.0} % of the middle ones, {:.0} % of all",
        "占最慢 5 % 链路关键路径的 {:.0} %，中间链路的 {:.0} %，全部链路的 {:.0} %",
        tail * 100.0,
        body * 100.0,
        all * 100.0,
    )
}

/// How many of the traces pass, how many of them for 1 ms or more, and quantiles per trace.
pub(super) fn visits(
    lang: Lang,
    passing: usize,
    count: usize,
    long: usize,
    (p50, p99): (f64, f64),
) -> String {
    match lang {
        Lang::En => format!(
            "{passing} of {count} traces spend time here, {long} of them 1 ms or more; per trace P50 {p50:.1} ms, P99 {p99:.1} ms"
        ),
        Lang::Zh => format!(
            "{count} 条链路中有 {passing} 条在此花费时间，其中 {long} 条不少于 1 ms；每条链路 P50 {p50:.1} ms，P99 {p99:.1} ms"
        ),
    }
}

pub(super) fn grows_with_load(lang: Lang, service: &str, rho: f64) -> String {
    match lang {
        Lang::En => format!("its time grows with the requests in flight in {service}: Spearman {rho:.2}"),
        Lang::Zh => format!("其耗时随 {service} 中正在处理的请求数增长：Spearman {rho:.2}"),
    }
}

pub(super) fn retried(lang: Lang) -> String {
    say!(
        lang,
        "the extra time is failed attempts that were tried again, and the pauses between",
        "多出的时间是失败后重试的调用，以及两次尝试之间的等待"
    )
}

pub(super) fn between_spans(lang: Lang) -> String {
    say!(
        lang,
        "the time lies between the client's span and the server's: network or the server's accept queue",
        "时间花在客户端 span 与服务端 span 之间：网络，或服务端的接收队列"
    )
}

/// `share` 0 to 1.
pub(super) fn failed_visits(lang: Lang, share: f64) -> String {
    say!(
        lang,
        "{:.0} % of its time in slow traces is in visits that failed",
        "慢链路中，其 {:.0} % 的时间花在失败的调用上",
        share * 100.0
    )
}

/// `peer`: who is waited for, if its name is known.
pub(super) fn downstream(lang: Lang, peer: Option<&str>) -> String {
    match (lang, peer) {
        (Lang::En, _) => {
            let peer = peer.unwrap_or("something that sends no spans");
            format!("it waits for {peer}, which sends no spans; look there or call it less")
        }
        (Lang::Zh, _) => {
            let peer = peer.unwrap_or("某个外部依赖");
            format!("它在等待 {peer}（不上报链路）；请检查对方，或减少调用")
        }
    }
}

pub(super) fn many_siblings(lang: Lang, parent: &str, calls: usize) -> String {
    match lang {
        Lang::En => format!(
            "{parent} makes up to {calls} such calls one after the other: batch them or run them together"
        ),
        Lang::Zh => format!("{parent} 依次发出多达 {calls} 次这样的调用：请合并为批量调用，或并行执行"),
    }
}

/// `key`: the attribute that says it.
pub(super) fn pool_size(lang: Lang, size: i64, key: &str) -> String {
    match lang {
        Lang::En => format!("the pool's size is {size} ({key})"),
        Lang::Zh => format!("连接池大小为 {size}（{key}）"),
    }
}

pub(super) fn held_while_waiting(lang: Lang, connections: f64) -> String {
    match lang {
        Lang::En => format!("while someone waits, {connections:.1} connections are held on average"),
        Lang::Zh => format!("有请求等待时，平均有 {connections:.1} 个连接被占用"),
    }
}

/// `share` 0 to 1 of the hold.
pub(super) fn hold(lang: Lang, hold_ms: f64, share: f64, operation: &str) -> String {
    let percent = share * 100.0;
    match lang {
        Lang::En => {
            format!("a connection is held {hold_ms:.1} ms on average, {percent:.0} % of it in {operation}")
        }
        Lang::Zh => format!("每个连接平均被占用 {hold_ms:.1} ms，其中 {percent:.0} % 用于 {operation}"),
    }
}

/// `share` 0 to 1.
pub(super) fn saves(lang: Lang, share: f64) -> String {
    say!(lang, "saves {:.0} % of P99", "可减少 P99 的 {:.0} %", share * 100.0)
}

/// Shares 0 to 1.
pub(super) fn tail_and_middle(lang: Lang, tail: f64, body: f64) -> String {
    say!(
        lang,
        "{:.0} % of the tail, {:.0} % of the middle",
        "慢链路的 {:.0} %，中间链路的 {:.0} %",
        tail * 100.0,
        body * 100.0
    )
}

pub(super) fn spectrum(lang: Lang, ochiai: f64) -> String {
    say!(
        lang,
        "Ochiai {:.2} of long visits and slow traces",
        "耗时长的调用与慢链路的 Ochiai 系数 {:.2}",
        ochiai
    )
}

pub(super) fn replayed(lang: Lang, replayed_ms: f64, subtracted_ms: f64) -> String {
    say!(
        lang,
        "replayed {:.1} ms, subtracted {:.1} ms",
        "重放得 {:.1} ms，直接相减得 {:.1} ms",
        replayed_ms,
        subtracted_ms
    )
}

pub(super) fn with_load(lang: Lang, rho: f64) -> String {
    say!(lang, "Spearman {:.2} with requests in flight", "与正在处理的请求数的 Spearman 系数 {:.2}", rho)
}
