//! Runs the commands of a script.

use clock::ManualClock;

use super::classic::ClassicHistograms;
use super::script::{self, CommandKind, Eval, Notes};
use super::{compare, pin};
use crate::series::{self, Item, StartTimesLine};
use crate::{Engine, EngineConfig, Expr, MemorySource, QueryResult, SampleValue, Syntax};

/// What became of one `eval`.
#[derive(Debug)]
pub struct CaseResult {
    pub line: usize,
    pub expr: String,
    /// Why it failed; nothing when it passed.
    pub failure: Option<String>,
}

/// What became of a script.
#[derive(Debug, Default)]
pub struct FileReport {
    pub cases: Vec<CaseResult>,
}

impl FileReport {
    /// Number of cases that passed.
    pub fn passed(&self) -> usize {
        self.cases.iter().filter(|case| case.failure.is_none()).count()
    }
}

/// Runs a script.
///
/// # Errors
/// Text when the script itself can't be read; a case that fails is in the report.
pub fn run_file(text: &str) -> Result<FileReport, String> {
    let config = EngineConfig { use_start_times: true, syntax: Syntax::all(), ..EngineConfig::default() };
    let engine = Engine::new(config, ManualClock::at_unix_ms(0).clock());
    let mut source = MemorySource::default();
    let mut report = FileReport::default();
    for command in script::parse(text)? {
        match command.kind {
            CommandKind::Clear => source = MemorySource::default(),
            CommandKind::Load { interval_ms, with_nhcb, lines } => {
                load(&mut source, interval_ms, with_nhcb, &lines)
                    .map_err(|error| format!("line {}: {error}", command.line))?;
            }
            CommandKind::Eval(eval) => report.cases.push(CaseResult {
                line: command.line,
                expr: eval.expr.clone(),
                failure: run_eval(&engine, &source, &eval).err(),
            }),
        }
    }
    Ok(report)
}

fn load(
    source: &mut MemorySource,
    interval_ms: i64,
    with_nhcb: bool,
    lines: &[String],
) -> Result<(), String> {
    let mut classic = ClassicHistograms::default();
    let mut starts: Option<StartTimesLine> = None;
    for line in lines {
        if let Some(line) = series::parse_start_times(line)? {
            starts = Some(line);
            continue;
        }
        let parsed = series::parse(line)?;
        let starts = starts.take();
        if let Some(starts) = &starts
            && (starts.labels != parsed.labels || starts.offsets_ms.len() != parsed.values.len())
        {
            return Err(format!("start times of {} do not belong to {line:?}", starts.labels));
        }
        for (index, item) in parsed.values.iter().enumerate() {
            let ts_ms = interval_ms * i64::try_from(index).map_err(|error| error.to_string())?;
            let offset_ms = starts.as_ref().and_then(|starts| starts.offsets_ms[index]);
            let start_ms = offset_ms.map_or(0, |offset_ms| ts_ms + offset_ms);
            let value = match item {
                Item::Gap => continue,
                Item::Value(value) => SampleValue::Float(*value),
                Item::Histogram { histogram, .. } => SampleValue::Histogram(histogram.clone()),
            };
            if let Item::Value(value) = item {
                classic.add(&parsed.labels, ts_ms, *value);
            }
            source.insert_since(&parsed.labels, ts_ms, value, start_ms);
        }
    }
    if with_nhcb {
        for (labels, ts_ms, histogram) in classic.into_native() {
            source.insert_histogram(&labels, ts_ms, histogram);
        }
    }
    Ok(())
}

/// Runs a case as it is; then, if its answer does not depend on when it is asked, with all selectors pinned to its time, at
/// other times; and each of these also as a range query.
fn run_eval(engine: &Engine, source: &MemorySource, eval: &Eval) -> Result<(), String> {
    let expr = engine.parse(&eval.expr).map_err(|error| error.to_string())?;
    if eval.step_ms > 0 {
        let result = engine.range(source, &expr, eval.start_ms, eval.end_ms, eval.step_ms);
        return compare::check(eval, result);
    }
    run_instant(engine, source, eval, &expr, eval.end_ms)?;
    let mut pinned = expr;
    if !pin::pin(&mut pinned, eval.end_ms) {
        return Ok(());
    }
    let ts_ms = eval.end_ms;
    let times_ms =
        if ts_ms == 0 { vec![-1_000, 0, 1_000] } else { vec![-10 * ts_ms, 0, ts_ms / 5, ts_ms, 10 * ts_ms] };
    for time_ms in times_ms {
        run_instant(engine, source, eval, &pinned, time_ms)
            .map_err(|error| format!("pinned, at {time_ms} ms: {error}"))?;
    }
    Ok(())
}

fn run_instant(
    engine: &Engine,
    source: &MemorySource,
    eval: &Eval,
    expr: &Expr,
    time_ms: i64,
) -> Result<(), String> {
    compare::check(eval, engine.instant(source, expr, time_ms))?;
    let only_instant = eval.fail.is_some() || eval.string.is_some() || eval.step_ms != 0;
    if only_instant || depends_on_range(&expr.to_string()) {
        return Ok(());
    }
    check_range_mode(engine, source, eval, expr, time_ms)
        .map_err(|error| format!("as a range query: {error}"))
}

/// Whether `start()`, `end()`, `range()` or `step()` occur.
fn depends_on_range(text: &str) -> bool {
    ["start()", "end()", "range()", "step()"].iter().any(|call| text.contains(call))
}

/// The middle point of a range query around an instant one is the same answer.
fn check_range_mode(
    engine: &Engine,
    source: &MemorySource,
    eval: &Eval,
    expr: &Expr,
    time_ms: i64,
) -> Result<(), String> {
    let minute_ms = 60_000;
    let result = engine
        .range(source, expr, time_ms - minute_ms, time_ms + minute_ms, minute_ms)
        .map_err(|error| format!("failed: {error}"))?;
    let crate::Value::Matrix(matrix) = result.value else { return Err("BUG: not a matrix".into()) };
    if eval.ordered {
        return Ok(());
    }
    let mut vector = Vec::new();
    for series in matrix {
        if let Some(value) = series.at(time_ms) {
            vector.push(crate::VectorSample { labels: series.labels, ts_ms: time_ms, value });
        }
    }
    let value = match vector.first().and_then(|sample| sample.value.as_float()) {
        Some(value) if expr.value_type() == crate::ValueType::Scalar => {
            crate::Value::Scalar { ts_ms: time_ms, value }
        }
        _ => crate::Value::Vector(vector),
    };
    let middle = QueryResult { value, ..result };
    let quiet = Eval { warnings: Notes::default(), infos: Notes::default(), ..eval.clone() };
    compare::check(&quiet, Ok(middle))
}
