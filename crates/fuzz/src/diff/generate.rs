//! Random typed queries: whatever is made has the right types, though it may still fail to match.

use fastrand::Rng;
use promql::{Arity, Signature, ValueType};

use super::data::{LENGTH_MS, START_MS};
use super::query::{Binary, Grouping, Kind, Node, Shift};

const COUNTERS: [&str; 6] = ["req_total", "err_total", "lat_bucket", "lat_count", "lat_sum", "req_total"];
const GAUGES: [&str; 7] = ["temp", "mem_bytes", "odd", "up", "build_info", "one", "temp"];
const RANGES: [&str; 9] = ["15s", "30s", "45s", "1m", "2m", "5m", "7m30s", "20m", "1h"];
const OFFSETS: [&str; 6] = ["15s", "1m", "-1m", "5m", "10m", "-30s"];
const MATCHERS: [&str; 14] = [
    "job=\"a\"",
    "job!=\"a\"",
    "job=~\"a|b\"",
    "job=~\".+\"",
    "job!~\"b\"",
    "instance=\"0\"",
    "instance=~\"0|1\"",
    "instance!~\"2.*\"",
    "instance!=\"1\"",
    "code=~\"5..\"",
    "code!=\"200\"",
    "missing=\"\"",
    "missing!=\"x\"",
    "le=~\"0.*|[+]Inf\"",
];
const LABELS: [&str; 6] = ["job", "instance", "code", "le", "version", "missing"];
const NUMBERS: [&str; 18] = [
    "0", "1", "2", "-1", "0.5", "3.7", "10", "100", "1e3", "1e-3", "Inf", "-Inf", "NaN", "0x1F", "60",
    "-2.5", "7", "1e9",
];
const CALENDAR: [&str; 8] =
    ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"];
const AGGREGATES: [&str; 12] =
    ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "sum", "count", "avg", "max"];
const ARITHMETIC: [&str; 7] = ["+", "-", "*", "/", "%", "^", "atan2"];
const COMPARISONS: [&str; 6] = ["==", "!=", "<", ">", "<=", ">="];
const SETS: [&str; 3] = ["and", "or", "unless"];

/// What the other side can do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialect {
    /// Functions that both know.
    pub(crate) functions: Vec<&'static Signature>,
    /// Evaluation times may be whole seconds, as samples may.
    pub(crate) aligned: bool,
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Instant(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// Makes queries.
pub(crate) struct Generator<'d> {
    rng: Rng,
    dialect: &'d Dialect,
}

impl<'d> Generator<'d> {
    pub(crate) fn new(seed: u64, dialect: &'d Dialect) -> Self {
        Self { rng: Rng::with_seed(seed), dialect }
    }

    /// A query and when to evaluate it.
    pub(crate) fn query(&mut self) -> (Node, When) {
        let depth = self.rng.u8(1..5);
        let when = self.when();
        let node = match self.rng.u8(0..22) {
            20 => self.mutant(depth),
            0 => self.scalar(depth),
            1 if matches!(when, When::Instant(_)) => self.matrix(depth),
            2 => self.ranked(depth),
            3 => self.sorted(depth),
            _ => self.vector(depth),
        };
        (node, when)
    }

    /// Text that is probably no query any more.
    fn mutant(&mut self, depth: u8) -> Node {
        let mut characters: Vec<char> = self.vector(depth).to_string().chars().collect();
        for _ in 0..self.rng.u8(1..3) {
            let at = self.rng.usize(0..characters.len());
            match self.rng.u8(0..4) {
                0 => drop(characters.remove(at)),
                1 => characters.insert(
                    at,
                    self.pick(&[
                        '(', ')', '[', ']', '{', '}', ',', ' ', '@', '"', '=', '~', '5', 'x', '-', ':', '#',
                    ]),
                ),
                2 => {
                    let other = self.rng.usize(0..characters.len());
                    characters.swap(at, other);
                }
                _ => characters.truncate(at.max(1)),
            }
            if characters.is_empty() {
                characters.push('x');
            }
        }
        Node::Text(characters.into_iter().collect())
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(0..from.len())]
    }

    /// One in `n`.
    fn chance(&mut self, n: u8) -> bool {
        self.rng.u8(0..n) == 0
    }

    fn time_ms(&mut self) -> i64 {
        // Sometimes before and after the data.
        let second = self.rng.i64(-300..LENGTH_MS / 1_000 + 600);
        let fraction = if self.dialect.aligned && self.rng.bool() { 0 } else { 500 };
        START_MS + second * 1_000 + fraction
    }

    fn when(&mut self) -> When {
        let start_ms = self.time_ms();
        if self.rng.bool() {
            return When::Instant(start_ms);
        }
        let step_ms = self.pick(&[1_000, 7_000, 15_000, 30_000, 60_000, 300_000]);
        When::Range { start_ms, end_ms: start_ms + step_ms * self.rng.i64(0..60), step_ms }
    }

    fn names(&mut self) -> &'static [&'static str] {
        match self.rng.u8(0..10) {
            // 2.x has native histograms only behind a flag, and others.
            0 | 1 if self.dialect.aligned => &["native"],
            0..=4 => &COUNTERS,
            _ => &GAUGES,
        }
    }

    fn number(&mut self) -> Node {
        Node::Number(self.pick(&NUMBERS).to_owned())
    }

    fn scalar(&mut self, depth: u8) -> Node {
        if depth == 0 {
            return self.number();
        }
        match self.rng.u8(0..10) {
            0..=4 => self.number(),
            5 => self.call_of(Kind::Scalar, depth).unwrap_or_else(|| self.number_one()),
            6 => {
                Node::Call { name: "scalar", returns: Kind::Scalar, arguments: vec![self.vector(depth - 1)] }
            }
            7 => Node::Negative(Box::new(self.scalar(depth - 1))),
            _ => {
                let is_comparison = self.chance(4);
                let op = if is_comparison { self.pick(&COMPARISONS) } else { self.pick(&ARITHMETIC) };
                let (left, right) = (self.scalar(depth - 1), self.scalar(depth - 1));
                self.binary(op, is_comparison, None, left, right)
            }
        }
    }

    fn number_one(&self) -> Node {
        Node::Number("1".to_owned())
    }

    fn binary(
        &mut self,
        op: &'static str,
        is_bool: bool,
        matching: Option<String>,
        left: Node,
        right: Node,
    ) -> Node {
        // Scalars compare with `bool` only, which another grouping would break: these keep their parentheses.
        let bare = !is_bool && !COMPARISONS.contains(&op) && !SETS.contains(&op) && self.chance(4);
        Node::Binary(Box::new(Binary { op, is_bool, matching, bare, left, right }))
    }

    fn shift(&mut self) -> Shift {
        let offset = if self.chance(8) { Some(self.pick(&OFFSETS)) } else { None };
        let at = if self.chance(14) {
            Some(match self.rng.u8(0..4) {
                0 => "start()".to_owned(),
                1 => "end()".to_owned(),
                _ => {
                    let time_ms = self.time_ms();
                    format!("{}.{:03}", time_ms / 1_000, time_ms % 1_000)
                }
            })
        } else {
            None
        };
        Shift { offset, at }
    }

    fn selector(&mut self, names: &[&str], range: Option<&str>) -> Node {
        let count = if self.rng.u8(0..3) > 0 { 0 } else { self.rng.u8(1..3) };
        let mut matchers: Vec<String> = (0..count).map(|_| self.pick(&MATCHERS).to_owned()).collect();
        matchers.dedup();
        let name = self.pick(names).to_owned();
        Node::Selector { name, matchers, range: range.map(str::to_owned), shift: self.shift() }
    }

    fn matrix(&mut self, depth: u8) -> Node {
        if depth > 0 && self.chance(5) {
            let inner = Box::new(self.vector(depth - 1));
            let step =
                if self.chance(5) { None } else { Some(self.pick(&["10s", "15s", "30s", "1m", "7s"])) };
            let range = self.pick(&["1m", "2m", "5m", "7m30s", "10m"]);
            return Node::Subquery {
                inner,
                range: range.to_owned(),
                step: step.map(str::to_owned),
                shift: self.shift(),
            };
        }
        let range = self.pick(&RANGES);
        let names = self.names();
        self.selector(names, Some(range))
    }

    fn vector(&mut self, depth: u8) -> Node {
        if depth == 0 {
            let names = self.names();
            return self.selector(names, None);
        }
        match self.rng.u8(0..20) {
            0..=2 => self.vector(0),
            3..=9 => self.call_of(Kind::Vector, depth).unwrap_or_else(|| self.selector(&GAUGES, None)),
            10..=13 => self.aggregate(depth),
            14 => Node::Negative(Box::new(self.vector(depth - 1))),
            15 => self.histogram_quantile(depth),
            16 => {
                let (vector, scalar) = (self.vector(depth - 1), self.scalar(depth - 1));
                let (left, right) = if self.rng.bool() { (vector, scalar) } else { (scalar, vector) };
                let is_comparison = self.chance(3);
                let op = if is_comparison { self.pick(&COMPARISONS) } else { self.pick(&ARITHMETIC) };
                let is_bool = is_comparison && self.rng.bool();
                self.binary(op, is_bool, None, left, right)
            }
            _ => self.vectors(depth),
        }
    }

    /// An operation of two vectors: mostly of shapes that match.
    fn vectors(&mut self, depth: u8) -> Node {
        let is_set = self.chance(3);
        let is_comparison = !is_set && self.chance(4);
        let op = match (is_set, is_comparison) {
            (true, _) => self.pick(&SETS),
            (_, true) => self.pick(&COMPARISONS),
            _ => self.pick(&ARITHMETIC),
        };
        let is_bool = is_comparison && self.rng.bool();
        let labels = self.pick(&["job", "job, instance", "instance"]);
        match self.rng.u8(0..4) {
            // Anything, matched on everything.
            0 => {
                let (left, right) = (self.vector(depth - 1), self.vector(depth - 1));
                self.binary(op, is_bool, None, left, right)
            }
            // Both sides aggregated to the same labels.
            1 => {
                let grouping = Grouping { without: false, labels: vec!["job", "instance"] };
                let left = self.aggregated(depth - 1, grouping.clone());
                let right = self.aggregated(depth - 1, grouping);
                let matching = self.rng.bool().then(|| "on (job, instance)".to_owned());
                self.binary(op, is_bool, matching, left, right)
            }
            // Many to one.
            2 if !is_set => {
                let labels_of = if labels == "job" { vec!["job"] } else { vec!["job", "instance"] };
                let right =
                    self.aggregated(depth - 1, Grouping { without: false, labels: labels_of.clone() });
                let left = self.selector(&COUNTERS, None);
                let matching = format!("on ({}) group_left ()", labels_of.join(", "));
                self.binary(op, is_bool, Some(matching), left, right)
            }
            _ => {
                let (left, right) = (self.vector(depth - 1), self.vector(depth - 1));
                let word = self.pick(&["on", "ignoring"]);
                let copied = self.pick(&["", "version", "code"]);
                let group = match self.rng.u8(0..4) {
                    0 if !is_set => format!(" group_left ({copied})"),
                    1 if !is_set => format!(" group_right ({copied})"),
                    _ => String::new(),
                };
                self.binary(op, is_bool, Some(format!("{word} ({labels}){group}")), left, right)
            }
        }
    }

    fn aggregated(&mut self, depth: u8, grouping: Grouping) -> Node {
        let op = self.pick(&AGGREGATES);
        Node::Aggregate { op, parameter: None, grouping: Some(grouping), inner: Box::new(self.vector(depth)) }
    }

    fn grouping(&mut self) -> Option<Grouping> {
        if self.chance(3) {
            return None;
        }
        let count = self.rng.usize(0..3);
        let mut labels: Vec<&'static str> = (0..count).map(|_| self.pick(&LABELS)).collect();
        labels.sort_unstable();
        labels.dedup();
        Some(Grouping { without: self.rng.bool(), labels })
    }

    fn aggregate(&mut self, depth: u8) -> Node {
        let grouping = self.grouping();
        let (op, parameter, inner) = match self.rng.u8(0..8) {
            0 => ("quantile", Some(Box::new(self.quantile())), self.vector(depth - 1)),
            // Values become labels, where a last digit counts: of samples, not of what is computed.
            1 => ("count_values", Some(Box::new(Node::String("value".to_owned()))), self.vector(0)),
            _ => (self.pick(&AGGREGATES), None, self.vector(depth - 1)),
        };
        Node::Aggregate { op, parameter, grouping, inner: Box::new(inner) }
    }

    /// `topk` and `bottomk`: only at the top, as which of equals they take is not laid down.
    fn ranked(&mut self, depth: u8) -> Node {
        let op = self.pick(&["topk", "bottomk"]);
        let parameter =
            Some(Box::new(Node::Number(self.pick(&["1", "2", "3", "0", "5.7", "100"]).to_owned())));
        let grouping = self.grouping();
        Node::Aggregate { op, parameter, grouping, inner: Box::new(self.vector(depth - 1)) }
    }

    fn sorted(&mut self, depth: u8) -> Node {
        let name = self.pick(&["sort", "sort_desc"]);
        Node::Call { name, returns: Kind::Vector, arguments: vec![self.vector(depth - 1)] }
    }

    fn quantile(&mut self) -> Node {
        Node::Number(self.pick(&["0", "0.1", "0.5", "0.9", "0.99", "1", "1.5", "-1", "NaN"]).to_owned())
    }

    fn histogram_quantile(&mut self, depth: u8) -> Node {
        let range = self.pick(&["1m", "2m", "5m", "20m"]);
        let buckets = self.selector(&["lat_bucket"], Some(range));
        let function = self.pick(&["rate", "increase", "delta"]);
        let mut inner = Node::Call { name: function, returns: Kind::Vector, arguments: vec![buckets] };
        if depth > 1 && self.rng.bool() {
            let labels = self.pick(&[&["le"][..], &["job", "le"], &["instance", "le"]]).to_vec();
            let grouping = Some(Grouping { without: false, labels });
            inner = Node::Aggregate { op: "sum", parameter: None, grouping, inner: Box::new(inner) };
        }
        let arguments = vec![self.quantile(), inner];
        Node::Call { name: "histogram_quantile", returns: Kind::Vector, arguments }
    }

    /// A call of any function that returns `kind` and is no matter of order.
    fn call_of(&mut self, kind: Kind, depth: u8) -> Option<Node> {
        let returns = if kind == Kind::Scalar { ValueType::Scalar } else { ValueType::Vector };
        let fitting = self.dialect.functions.iter().filter(|function| {
            function.returns == returns && !function.name.starts_with("sort") && function.name != "scalar"
        });
        let fitting: Vec<&'static Signature> = fitting.copied().collect();
        if fitting.is_empty() {
            return None;
        }
        let function = self.pick(&fitting);
        let arguments = self.arguments(function, depth - 1);
        Some(Node::Call { name: function.name, returns: kind, arguments })
    }

    fn arguments(&mut self, function: &Signature, depth: u8) -> Vec<Node> {
        match function.name {
            name if name.starts_with("histogram_") && self.dialect.aligned && self.rng.bool() => {
                let count = function.arguments.len();
                let kinds = function.arguments[..count].iter();
                return kinds
                    .map(|kind| match kind {
                        ValueType::Vector => self.native(),
                        kind => self.argument(*kind, 0),
                    })
                    .collect();
            }
            "label_replace" => return self.label_replace(depth),
            "label_join" => {
                let vector = self.vector(depth);
                let mut texts = vec![self.pick(&["joined", "job", "x"]), self.pick(&["-", "", ","])];
                texts.extend((0..self.rng.usize(0..3)).map(|_| self.pick(&LABELS)).collect::<Vec<_>>());
                let texts = texts.into_iter().map(|text| Node::String(text.to_owned()));
                return [vector].into_iter().chain(texts).collect();
            }
            // The calendar of what is no time is the processor's choice in Go, so these get times.
            _ if CALENDAR.contains(&function.name) && self.chance(5) => return Vec::new(),
            _ if CALENDAR.contains(&function.name) => return vec![self.times()],
            // Of huge numbers the last digit decides everything.
            "sin" | "cos" | "tan" | "sinh" | "cosh" => {
                return vec![self.selector(&["temp", "up", "err_total"], None)];
            }
            "quantile_over_time" => return vec![self.quantile(), self.matrix(depth)],
            "double_exponential_smoothing" | "holt_winters" => {
                let factors = ["0.1", "0.5", "0.9"];
                let (smoothing, trend) = (self.pick(&factors).to_owned(), self.pick(&factors).to_owned());
                return vec![self.matrix(depth), Node::Number(smoothing), Node::Number(trend)];
            }
            _ => {}
        }
        let mut count = function.arguments.len();
        if matches!(function.arity, Arity::LastOptional) && self.rng.bool() {
            count -= 1;
        }
        function.arguments[..count].iter().map(|kind| self.argument(*kind, depth)).collect()
    }

    fn argument(&mut self, kind: ValueType, depth: u8) -> Node {
        match kind {
            ValueType::Scalar => self.scalar(depth.min(1)),
            ValueType::Vector => self.vector(depth),
            ValueType::Matrix => self.matrix(depth),
            ValueType::String => Node::String("text".to_owned()),
        }
    }

    /// A native histogram, or its increase, perhaps added up.
    fn native(&mut self) -> Node {
        if self.chance(3) {
            return self.selector(&["native"], None);
        }
        let range = self.pick(&["1m", "2m", "5m", "20m"]);
        let name =
            self.pick(&["rate", "increase", "delta", "sum_over_time", "avg_over_time", "last_over_time"]);
        let inner = Node::Call {
            name,
            returns: Kind::Vector,
            arguments: vec![self.selector(&["native"], Some(range))],
        };
        if self.rng.bool() {
            return inner;
        }
        let op = self.pick(&["sum", "avg"]);
        Node::Aggregate { op, parameter: None, grouping: self.grouping(), inner: Box::new(inner) }
    }

    /// Finite values that can be read as seconds since 1970.
    fn times(&mut self) -> Node {
        let call = |name, argument| Node::Call { name, returns: Kind::Vector, arguments: vec![argument] };
        match self.rng.u8(0..4) {
            0 => call("vector", Node::Call { name: "time", returns: Kind::Scalar, arguments: Vec::new() }),
            1 => self.selector(&["mem_bytes", "temp"], None),
            2 => Node::Negative(Box::new(self.selector(&["mem_bytes"], None))),
            _ => {
                let selector = self.selector(&GAUGES, None);
                call("timestamp", selector)
            }
        }
    }

    fn label_replace(&mut self, depth: u8) -> Vec<Node> {
        let vector = self.vector(depth);
        let destination = self.pick(&["new", "job", "instance", "code"]);
        let replacement = self.pick(&["$1", "x-$1", "", "${1}y", "$2$1", "fixed", "$name"]);
        let source = self.pick(&LABELS);
        let regex = self.pick(&["(.*)", "(.)(.*)", "a", "(a|0).*", "(?P<name>.+)", "", "no-match"]);
        let texts = [destination, replacement, source, regex].map(|text| Node::String(text.to_owned()));
        [vector].into_iter().chain(texts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect() -> Dialect {
        let functions = promql::functions().iter().filter(|function| !function.experimental);
        Dialect { functions: functions.collect(), aligned: true }
    }

    #[test]
    fn the_same_seed_makes_the_same_query() {
        let dialect = dialect();
        for seed in 0..200 {
            let make = || Generator::new(seed, &dialect).query();
            assert_eq!(make(), make());
        }
    }

    #[test]
    fn every_query_is_promql_of_the_type_it_claims() {
        let dialect = dialect();
        let mut kinds = std::collections::HashSet::new();
        for seed in 0..3_000 {
            let (node, _) = Generator::new(seed, &dialect).query();
            if matches!(node, Node::Text(_)) {
                continue;
            }
            let text = node.to_string();
            let parsed = promql::parse_with(&text, &promql::Syntax::all())
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            let want = match node.kind() {
                Kind::Scalar => ValueType::Scalar,
                Kind::Vector => ValueType::Vector,
                Kind::Matrix => ValueType::Matrix,
                Kind::String => ValueType::String,
            };
            assert_eq!(parsed.value_type(), want, "{text}");
            kinds.insert(format!("{want:?}"));
        }
        assert_eq!(kinds.len(), 3, "scalars, vectors and ranges are made: {kinds:?}");
    }
}
