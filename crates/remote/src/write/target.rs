//! One target: reads the spool, hands batches to its shards, and notes how far it is.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http_client::HttpClient;
use log::Position;
use model::{MetricMetadata, MetricSource};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{error, warn};

use super::WriterParts;
use super::metrics::TargetMetrics;
use super::prepare::{newest_ms, prepare};
use super::shard::{Families, Load, Sender, Token};
use super::spool::{Read, Spool};
use crate::{WriteConfig, WriteMessage};

/// How often the position is written down, and the spool looked at when nothing tells that it grew.
const TICK: Duration = Duration::from_secs(1);
/// How long the shards may take to send what they have when the target ends.
const FLUSH: Duration = Duration::from_secs(2);

pub(super) struct Target {
    spool: Arc<Spool>,
    source: Arc<dyn MetricSource>,
    sender: Sender,
    stop: watch::Receiver<bool>,
    /// Batches handed out and not acknowledged, oldest first, with the position behind each.
    pending: VecDeque<(Position, Arc<Token>)>,
}

/// A shard's entrance, and its task.
struct Shard {
    loads: mpsc::Sender<Load>,
    task: JoinHandle<()>,
}

impl Target {
    pub(super) fn new(
        parts: &WriterParts,
        spool: Arc<Spool>,
        config: WriteConfig,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let client = HttpClient::new(&config.http);
        if let Err(error) = &client {
            warn!(%error, target = config.name, "nothing is sent until this is repaired");
        }
        let metrics = TargetMetrics::new(&parts.registry, &config.name, &config.url);
        let sender = Sender {
            config: Arc::new(config),
            client,
            metrics,
            families: Arc::new(ArcSwap::from_pointee(HashMap::new())),
            clock: parts.clock.clone(),
            stop: stop.clone(),
        };
        Self { spool, source: Arc::clone(&parts.source), sender, stop, pending: VecDeque::new() }
    }

    /// Sends what is queued from `position` on, until told to stop.
    pub(super) async fn run(mut self, mut position: Position) {
        let shards = self.start_shards();
        let metadata = self.start_metadata();
        let name = self.sender.config.name.clone();
        let mut grown = self.spool.watch();
        while !*self.stop.borrow() {
            let read = self.read(position).await;
            let is_idle = read.batches.is_empty();
            for (end, batch) in read.batches {
                if !self.hand_out(&shards, end, &batch).await {
                    break;
                }
            }
            position = read.next;
            self.acknowledge(&name).await;
            if is_idle {
                tokio::select! {
                    _ = self.stop.wait_for(|stop| *stop) => break,
                    // The sender lives as long as the spool.
                    _ = grown.changed() => {}
                    () = tokio::time::sleep(TICK) => {}
                }
            }
        }
        metadata.abort();
        flush(shards).await;
        self.acknowledge(&name).await;
    }

    fn start_shards(&self) -> Vec<Shard> {
        let queue = &self.sender.config.queue;
        let waiting = (queue.capacity / queue.samples_max.max(1)).max(1);
        let count = queue.shards();
        self.sender.metrics.shards.set(count as f64);
        let start = |_| {
            let (loads, receiver) = mpsc::channel(waiting);
            Shard { loads, task: tokio::spawn(self.sender.clone().run(receiver)) }
        };
        (0..count).map(start).collect()
    }

    /// Reads off the runtime's threads. A segment that cannot be read is said and passed over by the next read.
    async fn read(&self, from: Position) -> Read {
        let spool = Arc::clone(&self.spool);
        let done = tokio::task::spawn_blocking(move || spool.read(from)).await;
        match done {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                error!(error = &error as &dyn std::error::Error, "the queue of remote write cannot be read");
                Read { batches: Vec::new(), next: from }
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// `false` when a stop came first.
    async fn hand_out(&mut self, shards: &[Shard], end: Position, batch: &model::MetricBatch) -> bool {
        let Sender { config, metrics, clock, .. } = &self.sender;
        if let Some(newest_ms) = newest_ms(batch) {
            metrics.queued_seconds.set(newest_ms as f64 / 1_000.0);
        }
        let parts = prepare(batch, config, clock.unix_ms(), metrics);
        let token = Token::of(parts.len());
        self.pending.push_back((end, Arc::clone(&token)));
        for part in parts {
            let Some(shard) = shards.get(part.shard) else { continue };
            let load = Load { batch: part.batch, token: Arc::clone(&token) };
            tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return false,
                // A shard ends only when a stop is told.
                sent = shard.loads.send(load) => if sent.is_err() { return false },
            }
        }
        true
    }

    async fn acknowledge(&mut self, name: &str) {
        let mut done = None;
        while let Some((end, token)) = self.pending.front() {
            if !token.is_done() {
                break;
            }
            done = Some(*end);
            self.pending.pop_front();
        }
        let Some(position) = done else { return };
        let (spool, name) = (Arc::clone(&self.spool), name.to_owned());
        let noted = tokio::task::spawn_blocking(move || spool.acknowledge(&name, position)).await;
        if let Err(panic) = noted {
            std::panic::resume_unwind(panic.into_panic());
        }
    }

    /// Sends metadata in requests of its own (1.0), or keeps it at hand for the series (2.0).
    fn start_metadata(&self) -> JoinHandle<()> {
        let (sender, source) = (self.sender.clone(), Arc::clone(&self.source));
        tokio::spawn(async move {
            let settings = &sender.config.metadata;
            let sends = settings.send || sender.config.message == WriteMessage::V2;
            let mut ticks = tokio::time::interval(settings.interval.max(TICK));
            if !sends {
                return;
            }
            loop {
                ticks.tick().await;
                let families = known_families(Arc::clone(&source)).await;
                if sender.config.message == WriteMessage::V2 {
                    keep(&sender.families, families);
                    continue;
                }
                for part in families.chunks(settings.families_max.max(1)) {
                    sender.send_metadata(part.to_vec()).await;
                }
            }
        })
    }
}

async fn known_families(source: Arc<dyn MetricSource>) -> Vec<MetricMetadata> {
    let asked = tokio::task::spawn_blocking(move || source.metadata(None)).await;
    match asked {
        Ok(Ok(families)) => families,
        Ok(Err(error)) => {
            warn!(%error, "metadata for remote write cannot be read");
            Vec::new()
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn keep(families: &Families, known: Vec<MetricMetadata>) {
    families.store(Arc::new(known.into_iter().map(|metadata| (metadata.family.clone(), metadata)).collect()));
}

/// Lets the shards send what they have.
async fn flush(shards: Vec<Shard>) {
    let until = tokio::time::Instant::now() + FLUSH;
    let tasks: Vec<_> = shards.into_iter().map(|shard| shard.task).collect();
    for mut task in tasks {
        match tokio::time::timeout_at(until, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "a shard of remote write panicked"),
            Err(_) => {
                task.abort();
                // It ends now, whatever it says.
                let _aborted = task.await.is_err();
            }
        }
    }
}
