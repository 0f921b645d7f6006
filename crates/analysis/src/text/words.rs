//! The words of the report, in two languages.

use crate::{CauseKind, Lang, SavingReference};

pub(super) struct Words {
    lang: Lang,
    pub(super) service_columns: [&'static str; 5],
    pub(super) rank_columns: [&'static str; 6],
    pub(super) change_columns: [&'static str; 4],
    pub(super) bottleneck: &'static str,
    pub(super) no_bottleneck: &'static str,
    pub(super) no_traces: &'static str,
    pub(super) nothing_to_compare: &'static str,
    pub(super) mean: &'static str,
    pub(super) where_from: &'static str,
}

static EN: Words = Words {
    lang: Lang::En,
    service_columns: ["Service", "Requests", "Rate/s", "Avg ms", "Errors %"],
    rank_columns: ["#", "Operation", "Cause", "Path share", "Tail lift", "P99 saving ms"],
    change_columns: ["", "Before", "After", "Change"],
    bottleneck: "BOTTLENECK",
    no_bottleneck: "  No operation stands out.",
    no_traces: "No complete trace in this window: check that services export spans.",
    nothing_to_compare: "No entry point has traces in both windows.",
    mean: "Mean ms",
    where_from: "Where the change of the mean comes from:",
};

static ZH: Words = Words {
    lang: Lang::Zh,
    service_columns: ["服务", "请求数", "每秒", "平均 ms", "错误 %"],
    rank_columns: ["#", "操作", "原因", "路径占比", "尾部倍数", "P99 可省 ms"],
    change_columns: ["", "之前", "之后", "变化"],
    bottleneck: "瓶颈",
    no_bottleneck: "  没有突出的操作。",
    no_traces: "此时间段内没有完整的链路：请检查各服务是否在上报 span。",
    nothing_to_compare: "没有入口在两个时间段内都有链路。",
    mean: "平均 ms",
    where_from: "平均耗时的变化来自：",
};

impl Words {
    pub(super) fn of(lang: Lang) -> &'static Self {
        match lang {
            Lang::En => &EN,
            Lang::Zh => &ZH,
        }
    }

    pub(super) fn title(&self, traces: u64, seconds: f64) -> String {
        match self.lang {
            Lang::En => format!("{traces} traces in {seconds:.0} s"),
            Lang::Zh => format!("{seconds:.0} 秒内 {traces} 条链路"),
        }
    }

    pub(super) fn entry(&self, name: &str, figures: &str, traces: u64) -> String {
        match self.lang {
            Lang::En => format!("{name}: {figures} ({traces} traces)"),
            Lang::Zh => format!("{name}：{figures}（{traces} 条链路）"),
        }
    }

    pub(super) fn saving(&self, ms: f64, p99_ms: f64, reference: SavingReference) -> String {
        match self.lang {
            Lang::En => {
                let reference = match reference {
                    SavingReference::BodyMedian => "as in the middle traces",
                    SavingReference::HealthyWindow => "as in the healthy window",
                    SavingReference::WhatIf => "in half its time",
                };
                format!("fixing it saves {ms:.1} of {p99_ms:.1} ms of P99 (were it {reference})")
            }
            Lang::Zh => {
                let reference = match reference {
                    SavingReference::BodyMedian => "若与中位链路一致",
                    SavingReference::HealthyWindow => "若与健康时段一致",
                    SavingReference::WhatIf => "若耗时减半",
                };
                format!("修复后 P99 可从 {p99_ms:.1} ms 降低 {ms:.1} ms（{reference}）")
            }
        }
    }

    pub(super) fn confidence(&self, confidence: f64, agreeing: usize, votes: usize) -> String {
        let percent = confidence * 100.0;
        match self.lang {
            Lang::En => format!("confidence {percent:.0} %: {agreeing} of {votes} independent checks agree"),
            Lang::Zh => format!("置信度 {percent:.0} %：{votes} 项独立检查中 {agreeing} 项一致"),
        }
    }

    pub(super) fn change(&self, name: &str) -> String {
        match self.lang {
            Lang::En => format!("{name}: before and after"),
            Lang::Zh => format!("{name}：前后对比"),
        }
    }

    pub(super) fn others(&self, count: usize) -> String {
        match self.lang {
            Lang::En => format!("{count} other operations"),
            Lang::Zh => format!("其余 {count} 个操作"),
        }
    }

    pub(super) fn cause(&self, kind: CauseKind) -> &'static str {
        let (en, zh) = match kind {
            CauseKind::PoolWait => ("waiting for a connection from the pool", "等待连接池中的连接"),
            CauseKind::LockWait => ("waiting for a lock", "等待锁"),
            CauseKind::SelfTime => ("its own work", "自身处理"),
            CauseKind::Downstream => ("a slow call to something outside", "外部依赖慢"),
            CauseKind::Network => ("network between client and server", "客户端与服务端之间的网络"),
            CauseKind::Retry => ("failed attempts that are tried again", "失败重试"),
            CauseKind::NPlusOne => ("many like calls one after the other", "循环内重复调用（N+1）"),
            CauseKind::Error => ("errors", "错误"),
            CauseKind::Saturation => ("too many requests at once", "并发过高"),
        };
        match self.lang {
            Lang::En => en,
            Lang::Zh => zh,
        }
    }
}
