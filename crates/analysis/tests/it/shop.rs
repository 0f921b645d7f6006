//! A shop simulated event by event, with a pool of connections and faults that are known: the ground truth.
//!
//! ```text
//!  gateway ─▶ order ─┬─▶ inventory (cache, warehouse.lookup)
//!                    └─▶ payment: db.pool.acquire │ SELECT │ POST card (log-normal, held!) │ INSERT
//! ```

use std::sync::Arc;

use analysis::Trace;
use model::{
    AttributeValue, Attributes, Resource, Scope, Span, SpanId, SpanKind, SpanStatus, StatusCode, TraceId,
};

/// What is wrong with the shop, in one request of 16 unless it is always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    SlowLookup,
    AlwaysSlowOrder,
    RetriedInventory,
    ManyQueries,
    NetworkGap,
    LockWait,
    FailingInventory,
}

pub(crate) struct Shop {
    pub(crate) seed: u64,
    pub(crate) pool: usize,
    pub(crate) requests: usize,
    pub(crate) fault: Fault,
}

const MS: u64 = 1_000_000;
const US: u64 = 1_000;

/// One request on its way: what is known before the pool decides.
struct Request {
    spans: Vec<Span>,
    rng: fastrand::Rng,
    payment_ns: u64,
    order: SpanId,
    order_client: SpanId,
    gateway: SpanId,
}

impl Shop {
    pub(crate) fn traces(&self) -> Vec<Trace> {
        self.spans().iter().map(|spans| Trace::assemble(spans)).collect()
    }

    pub(crate) fn spans(&self) -> Vec<Vec<Arc<Span>>> {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let mut arrival_ns = 1_700_000_000_000_000_000;
        let mut requests: Vec<_> = (0..self.requests)
            .map(|number| {
                arrival_ns += (-(1.0 - rng.f64()).ln() / 75.0 * 1e9) as u64;
                self.until_payment(number, arrival_ns, fastrand::Rng::with_seed(rng.u64(..)))
            })
            .collect();
        requests.sort_by_key(|request| request.payment_ns);
        let mut free_at = vec![0; self.pool];
        requests.into_iter().map(|request| pay(request, &mut free_at)).collect()
    }

    fn until_payment(&self, number: usize, arrival_ns: u64, rng: fastrand::Rng) -> Request {
        let is_hit = number % 16 == 3;
        let fault = if is_hit || self.fault == Fault::AlwaysSlowOrder { self.fault } else { Fault::None };
        let mut request = Request {
            spans: Vec::new(),
            rng,
            payment_ns: 0,
            order: SpanId([0; 8]),
            order_client: SpanId([0; 8]),
            gateway: SpanId([0; 8]),
        };
        let trace = TraceId((number as u128 + 1).to_be_bytes());
        let mut at = arrival_ns;
        request.gateway = request.open(trace, None, "gateway", "POST /orders", SpanKind::Server, at);
        at += request.about(300 * US);
        let gateway = request.gateway;
        request.order_client =
            request.open(trace, Some(gateway), "gateway", "POST order", SpanKind::Client, at);
        at += request.about(200 * US);
        let client = request.order_client;
        request.order =
            request.open(trace, Some(client), "order-service", "POST /orders", SpanKind::Server, at);
        at += request.about(300 * US);
        at = request.order_work(trace, fault, at);
        request.payment_ns = request.inventory(trace, fault, at);
        request
    }
}

impl Request {
    fn open(
        &mut self,
        trace: TraceId,
        parent: Option<SpanId>,
        service: &str,
        name: &str,
        kind: SpanKind,
        start_ns: u64,
    ) -> SpanId {
        let id = SpanId((self.spans.len() as u64 + 1).to_be_bytes());
        self.spans.push(Span {
            trace_id: trace,
            span_id: id,
            parent_span_id: parent,
            trace_state: "".into(),
            flags: 1,
            name: name.into(),
            kind,
            start_ns,
            end_ns: start_ns,
            status: SpanStatus::default(),
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped_attributes: 0,
            dropped_events: 0,
            dropped_links: 0,
            resource: Arc::new(Resource { service: service.into(), attributes: Vec::new() }),
            scope: Arc::new(Scope::default()),
        });
        id
    }

    fn span(&mut self, id: SpanId) -> &mut Span {
        &mut self.spans[u64::from_be_bytes(id.0) as usize - 1]
    }

    fn close(&mut self, id: SpanId, end_ns: u64) {
        self.span(id).end_ns = end_ns;
    }

    fn fail(&mut self, id: SpanId) {
        self.span(id).status.code = StatusCode::Error;
    }

    fn attributes(&mut self, id: SpanId, attributes: Attributes) {
        self.span(id).attributes = attributes;
    }

    /// Within 20 % of `ns`.
    fn about(&mut self, ns: u64) -> u64 {
        (ns as f64 * (0.8 + 0.4 * self.rng.f64())) as u64
    }

    fn log_normal(&mut self, median_ns: u64, sigma: f64) -> u64 {
        let normal =
            (-2.0 * (1.0 - self.rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * self.rng.f64()).cos();
        (median_ns as f64 * (sigma * normal).exp()) as u64
    }

    fn order_work(&mut self, trace: TraceId, fault: Fault, mut at: u64) -> u64 {
        let order = self.order;
        match fault {
            Fault::AlwaysSlowOrder => at += self.about(60 * MS),
            Fault::LockWait => {
                let lock =
                    self.open(trace, Some(order), "order-service", "stock.lock", SpanKind::Internal, at);
                at += self.about(90 * MS);
                self.close(lock, at);
            }
            Fault::ManyQueries => {
                for _ in 0..12 {
                    let query =
                        self.open(trace, Some(order), "order-service", "SELECT items", SpanKind::Client, at);
                    self.attributes(query, vec![text("db.system.name", "postgresql")]);
                    at += self.about(7 * MS);
                    self.close(query, at);
                    at += 50 * US;
                }
            }
            _ => {}
        }
        at
    }

    fn inventory(&mut self, trace: TraceId, fault: Fault, mut at: u64) -> u64 {
        if fault == Fault::RetriedInventory {
            at = self.inventory_call(trace, fault, at) + self.about(60 * MS);
        }
        let fault = if fault == Fault::RetriedInventory { Fault::None } else { fault };
        self.inventory_call(trace, fault, at) + self.about(100 * US)
    }

    fn inventory_call(&mut self, trace: TraceId, fault: Fault, mut at: u64) -> u64 {
        let order = self.order;
        let client = self.open(trace, Some(order), "order-service", "POST", SpanKind::Client, at);
        self.attributes(client, vec![text("peer.service", "inventory")]);
        at += if fault == Fault::NetworkGap { self.about(90 * MS) } else { self.about(150 * US) };
        let server =
            self.open(trace, Some(client), "inventory-service", "POST /reservations", SpanKind::Server, at);
        at += self.about(300 * US);
        if matches!(fault, Fault::RetriedInventory | Fault::FailingInventory) {
            at += self.about(90 * MS);
            self.fail(server);
            self.fail(client);
        } else if fault == Fault::SlowLookup || self.rng.f64() < 0.2 {
            let lookup = self.open(
                trace,
                Some(server),
                "inventory-service",
                "warehouse.lookup",
                SpanKind::Internal,
                at,
            );
            at += self.log_normal(4 * MS, 0.4) + if fault == Fault::SlowLookup { 90 * MS } else { 0 };
            self.close(lookup, at);
        }
        self.close(server, at);
        at += self.about(150 * US);
        self.close(client, at);
        at
    }
}

fn text(key: &str, value: &str) -> (Arc<str>, AttributeValue) {
    (key.into(), AttributeValue::String(value.into()))
}

/// Takes the first connection to become free, and holds it while the card processor thinks.
fn pay(mut request: Request, free_at: &mut [u64]) -> Vec<Arc<Span>> {
    let trace = request.spans[0].trace_id;
    let mut at = request.payment_ns;
    let order = request.order;
    let client = request.open(trace, Some(order), "order-service", "POST", SpanKind::Client, at);
    request.attributes(client, vec![text("peer.service", "payment")]);
    // Exactly: requests must reach the pool in the order in which they were sorted.
    at += 200 * US;
    let server = request.open(trace, Some(client), "payment-service", "POST /charges", SpanKind::Server, at);
    let acquire =
        request.open(trace, Some(server), "payment-service", "db.pool.acquire", SpanKind::Internal, at);
    let size = ("db.client.connection.max".into(), AttributeValue::Int(free_at.len() as i64));
    request.attributes(acquire, vec![size]);
    let free = free_at.iter_mut().min().expect("a pool has connections");
    at = at.max(*free) + 10 * US;
    request.close(acquire, at);
    let steps = [("SELECT accounts", "sqlite"), ("POST", ""), ("INSERT charges", "sqlite")];
    for (name, database) in steps {
        let step = request.open(trace, Some(server), "payment-service", name, SpanKind::Client, at);
        if database.is_empty() {
            request.attributes(step, vec![text("server.address", "card-processor")]);
            at += request.log_normal(18 * MS, 0.3);
        } else {
            request.attributes(step, vec![text("db.system.name", database)]);
            at += request.about(400 * US);
        }
        request.close(step, at);
    }
    *free = at;
    at += request.about(100 * US);
    request.close(server, at);
    at += request.about(150 * US);
    request.close(client, at);
    for id in [request.order, request.order_client, request.gateway] {
        at += request.about(200 * US);
        request.close(id, at);
    }
    request.spans.into_iter().map(Arc::new).collect()
}
