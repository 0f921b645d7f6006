//! Runs the commands of a script.

use clock::ManualClock;
use model::METRIC_NAME;

use super::compare;
use super::script::{self, CommandKind, Eval};
use crate::series::{self, Item};
use crate::{Engine, EngineConfig, MemorySource, QueryError, QueryResult, parse};

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
    let engine = Engine::new(EngineConfig::default(), ManualClock::at_unix_ms(0).clock());
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
    for line in lines {
        if is_start_time_line(line) {
            continue;
        }
        let parsed = series::parse(line)?;
        let mut ts_ms = 0;
        for item in &parsed.values {
            match item {
                Item::Gap => {}
                Item::Value(value) => source.insert(&parsed.labels, ts_ms, *value),
                Item::Histogram => source.insert_histogram(&parsed.labels),
            }
            ts_ms += interval_ms;
        }
        if with_nhcb && parsed.labels.get("le").is_some() {
            let name = parsed.labels.metric_name();
            let family = name.strip_suffix("_bucket").unwrap_or(name).to_owned();
            let mut builder = parsed.labels.to_builder();
            builder.set(METRIC_NAME, &family).remove("le");
            source.insert_histogram(&builder.build());
        }
    }
    Ok(())
}

/// `metric@st …`: times at which counters began, which we do not read yet.
fn is_start_time_line(line: &str) -> bool {
    let name_end = line.rfind('}').map_or(0, |at| at + 1);
    line[name_end..].split_whitespace().next().is_some_and(|word| word.ends_with("@st"))
}

fn run_eval(engine: &Engine, source: &MemorySource, eval: &Eval) -> Result<(), String> {
    compare::check(eval, query(engine, source, &eval.expr, eval))?;
    if eval.step_ms != 0 || eval.fail.is_some() || eval.string.is_some() {
        return Ok(());
    }
    check_range_mode(engine, source, eval)
}

fn query(engine: &Engine, source: &MemorySource, expr: &str, eval: &Eval) -> Result<QueryResult, QueryError> {
    let expr = parse(expr)?;
    if eval.step_ms > 0 {
        engine.range(source, &expr, eval.start_ms, eval.end_ms, eval.step_ms)
    } else {
        engine.instant(source, &expr, eval.end_ms)
    }
}

/// The middle point of a range query around an instant one is the same answer.
fn check_range_mode(engine: &Engine, source: &MemorySource, eval: &Eval) -> Result<(), String> {
    let depends_on_range =
        ["start()", "end()", "range()", "step()"].iter().any(|call| eval.expr.to_lowercase().contains(call));
    let expr = parse(&eval.expr).map_err(|error| error.to_string())?;
    if depends_on_range || eval.ordered || !matches!(expr.value_type(), crate::ValueType::Vector) {
        return Ok(());
    }
    let minute_ms = 60_000;
    let (start_ms, end_ms) = (eval.start_ms - minute_ms, eval.start_ms + minute_ms);
    // At the neighbours the expression may fail where it does not here.
    let Ok(result) = engine.range(source, &expr, start_ms, end_ms, minute_ms) else { return Ok(()) };
    let crate::Value::Matrix(matrix) = result.value else { return Err("BUG: not a matrix".into()) };
    let mut vector = Vec::new();
    for series in matrix {
        if let Ok(at) = series.ts_ms.binary_search(&eval.start_ms) {
            let value = crate::SampleValue::Float(series.values[at]);
            vector.push(crate::VectorSample { labels: series.labels, ts_ms: eval.start_ms, value });
        }
    }
    let middle = QueryResult {
        value: crate::Value::Vector(vector),
        warnings: Vec::new(),
        infos: Vec::new(),
        samples_read: 0,
    };
    let quiet = Eval {
        expr: eval.expr.clone(),
        start_ms: eval.start_ms,
        end_ms: eval.end_ms,
        series: eval.series.clone(),
        scalar: eval.scalar.clone(),
        ..Eval::default()
    };
    compare::check(&quiet, Ok(middle)).map_err(|error| format!("as a range query: {error}"))
}
