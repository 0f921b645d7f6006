//! Analysis beside storage: spans are stored first, then offered to a bounded queue that one thread reads.
//!
//! ```text
//! append ──▶ store (durable) ──▶ ack
//!                └─ try_send ──▶ [queue] ──▶ thread: assemble, critical path, RED ──▶ metric sink, every 10 s
//! ```
//! A full queue drops the batch *for analysis only* and counts it: storage never waits.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use analysis::StreamAnalysis;
use clock::Clock;
use eino_metrics_core::{Counter, Registry};
use model::{Appended, MetricBatch, MetricSink, SinkError, Span, SpanBatch, SpanSink};

/// Batches that may wait for analysis.
const QUEUE_BATCHES: usize = 256;
/// How often closed traces are looked for.
const TICK: Duration = Duration::from_millis(500);

/// Stores spans, then shows them to the analysis.
pub(crate) struct TappedSpanSink {
    store: Arc<dyn SpanSink>,
    queue: SyncSender<Vec<Arc<Span>>>,
    dropped: Counter,
}

impl SpanSink for TappedSpanSink {
    fn append(&self, batch: &SpanBatch) -> Result<Appended, SinkError> {
        let appended = self.store.append(batch)?;
        if let Err(TrySendError::Full(spans) | TrySendError::Disconnected(spans)) =
            self.queue.try_send(batch.spans.clone())
        {
            self.dropped.add(spans.len() as u64);
        }
        Ok(appended)
    }
}

/// The thread that analyses. It ends when every [`TappedSpanSink`] is gone.
pub(crate) struct AnalysisWorker {
    thread: JoinHandle<()>,
}

impl AnalysisWorker {
    /// Starts the thread; spans go through the returned sink.
    pub(crate) fn start(
        store: Arc<dyn SpanSink>,
        metric_sink: Arc<dyn MetricSink>,
        write_every: Duration,
        clock: Clock,
        registry: &Registry,
    ) -> std::io::Result<(Self, Arc<TappedSpanSink>)> {
        let (queue, spans) = sync_channel(QUEUE_BATCHES);
        let dropped = registry.counter(
            "eino_analysis_dropped_spans_total",
            "Spans stored but not analysed: the queue was full.",
        );
        let mut work = Work {
            analysis: StreamAnalysis::new(analysis::StreamConfig::default(), registry),
            metric_sink,
            write_every,
            written: clock.monotonic(),
            clock,
        };
        let thread = std::thread::Builder::new().name("analysis".into()).spawn(move || work.run(&spans))?;
        Ok((Self { thread }, Arc::new(TappedSpanSink { store, queue, dropped })))
    }

    /// Waits for the last figures to be written. Drop the sinks before.
    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the analysis thread panicked");
        }
    }
}

struct Work {
    analysis: StreamAnalysis,
    metric_sink: Arc<dyn MetricSink>,
    write_every: Duration,
    written: Duration,
    clock: Clock,
}

impl Work {
    fn run(&mut self, spans: &Receiver<Vec<Arc<Span>>>) {
        loop {
            match spans.recv_timeout(TICK) {
                Ok(spans) => self.analysis.observe(&spans, self.clock.unix_ns()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.analysis.tick(self.clock.unix_ns());
            if self.clock.monotonic().saturating_sub(self.written) >= self.write_every {
                self.write();
            }
        }
        // Nothing more comes: traces still open count as they are.
        self.analysis.close_all();
        self.write();
    }

    fn write(&mut self) {
        self.written = self.clock.monotonic();
        let mut batch = MetricBatch::new();
        self.analysis.collect(self.clock.unix_ms(), &mut batch);
        if let Err(error) = self.metric_sink.append(&batch) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "figures of the analysis were not stored"
            );
        }
    }
}
