//! Rules that a tree must keep, in Prometheus's words.

use model::{METRIC_NAME, Matcher};

use crate::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Cardinality, DurationExpr, Expr, ExprKind, Extension, Span,
    ValueType,
};
use crate::error::ParseError;
use crate::functions::{Arity, Kind, Signature, Window};

/// Longest duration: 292 years, the most that nanoseconds in an `i64` hold.
const DURATION_SECONDS_MAX: f64 = 9_223_372_036.0;

pub(super) fn selector(name: Option<&str>, matchers: &[Matcher], span: Span) -> Result<(), ParseError> {
    if let Some(name) = name
        && let Some(second) = matchers.iter().skip(1).find(|matcher| matcher.name() == METRIC_NAME)
    {
        let message = format!("metric name must not be set twice: {name:?} or {:?}", second.value());
        return Err(ParseError::at(span, message));
    }
    Ok(())
}

/// A selector that matches everything is refused, but for the second argument of `info`.
fn not_empty(expr: &Expr) -> Result<(), ParseError> {
    let ExprKind::Selector(selector) = &expr.kind else { return Ok(()) };
    if selector.matchers.iter().all(Matcher::matches_empty) {
        let message = "vector selector must contain at least one non-empty matcher";
        return Err(ParseError::at(expr.span, message));
    }
    Ok(())
}

pub(super) fn tree(expr: &Expr) -> Result<(), ParseError> {
    let mut exempt: Vec<*const Expr> = Vec::new();
    let mut result = Ok(());
    expr.walk(&mut |node| {
        if let ExprKind::Call(call) = &node.kind
            && call.function.name == "info"
            && let Some(second) = call.arguments.get(1)
        {
            exempt.push(second);
        }
        if result.is_ok() && !exempt.contains(&std::ptr::from_ref(node)) {
            result = not_empty(node);
        }
    });
    result
}

/// The types of a call's arguments, whose number is right.
pub(super) fn arguments(function: &Signature, arguments: &[Expr]) -> Result<(), ParseError> {
    for (index, argument) in arguments.iter().enumerate() {
        let wanted = function.arguments[index.min(function.arguments.len().saturating_sub(1))];
        let got = argument.value_type();
        if got != wanted {
            let message = format!(
                "expected type {} in call to function {:?}, got {}",
                wanted.describe(),
                function.name,
                got.describe()
            );
            return Err(ParseError::at(argument.span, message));
        }
    }
    if function.name == "info" {
        return info_labels(arguments.get(1));
    }
    Ok(())
}

fn info_labels(argument: Option<&Expr>) -> Result<(), ParseError> {
    let Some(argument) = argument else { return Ok(()) };
    match &argument.kind {
        ExprKind::Selector(selector) if selector.name.is_none() => Ok(()),
        ExprKind::Selector(_) => {
            Err(ParseError::at(argument.span, "expected label selectors only, got vector selector instead"))
        }
        _ => Err(ParseError::at(argument.span, "expected label selectors only")),
    }
}

/// The number of a call's arguments.
pub(super) fn arity(function: &Signature, got: usize, span: Span) -> Result<(), ParseError> {
    let all = function.arguments.len();
    let (least, most) = match function.arity {
        Arity::Exact => (all, all),
        Arity::LastOptional => (all - 1, all),
        Arity::LastUpTo(times) => (all - 1, all - 1 + times),
        Arity::LastRepeated => (all - 1, usize::MAX),
    };
    let text = if function.arity == Arity::Exact && got != all {
        format!("expected {all}")
    } else if got < least {
        format!("expected at least {least}")
    } else if got > most {
        format!("expected at most {most}")
    } else {
        return Ok(());
    };
    let message = format!("{text} argument(s) in call to {:?}, got {got}", function.name);
    Err(ParseError::at(span, message))
}

/// The number of an aggregation's arguments, and whether it is allowed.
pub(super) fn aggregate_arity(
    op: AggregateOp,
    got: usize,
    span: Span,
    allows_experimental: bool,
) -> Result<(), ParseError> {
    if got == 0 {
        return Err(ParseError::at(span, "no arguments for aggregate expression provided"));
    }
    if matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio) && !allows_experimental {
        let message = format!(
            "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
            op.as_str()
        );
        return Err(ParseError::at(span, message));
    }
    let wanted = if op.parameter().is_some() { 2 } else { 1 };
    if got != wanted {
        let message = format!(
            "wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}"
        );
        return Err(ParseError::at(span, message));
    }
    Ok(())
}

/// The types of an aggregation's operand and parameter.
pub(super) fn aggregate(aggregate: &Aggregate) -> Result<(), ParseError> {
    let of_type = |argument: &Expr, wanted: ValueType, place: &str| {
        let got = argument.value_type();
        if got == wanted {
            return Ok(());
        }
        let message = format!("expected type {} in {place}, got {}", wanted.describe(), got.describe());
        Err(ParseError::at(argument.span, message))
    };
    of_type(&aggregate.expr, ValueType::Vector, "aggregation expression")?;
    match (&aggregate.parameter, aggregate.op.parameter()) {
        (Some(parameter), Some(wanted)) => of_type(parameter, wanted, "aggregation parameter"),
        _ => Ok(()),
    }
}

pub(super) fn subquery(inner: &Expr, span: Span) -> Result<(), ParseError> {
    let got = match inner.value_type() {
        ValueType::Vector => return Ok(()),
        ValueType::Matrix => "matrix",
        other => other.describe(),
    };
    Err(ParseError::at(span, format!("subquery is only allowed on instant vector, got {got} instead")))
}

pub(super) fn unary(operand: &Expr, span: Span) -> Result<(), ParseError> {
    match operand.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(()),
        other => Err(ParseError::at(
            span,
            format!(
                "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                other.describe()
            ),
        )),
    }
}

pub(super) fn binary(binary: &Binary, span: Span, op_span: Span) -> Result<(), ParseError> {
    if binary.returns_bool && !binary.op.is_comparison() {
        return Err(ParseError::at(op_span, "bool modifier can only be used on comparison operators"));
    }
    let types = (binary.left.value_type(), binary.right.value_type());
    let both_vectors = types == (ValueType::Vector, ValueType::Vector);
    if types == (ValueType::Scalar, ValueType::Scalar) && binary.op.is_comparison() && !binary.returns_bool {
        return Err(ParseError::at(op_span, "comparisons between scalars must use BOOL modifier"));
    }
    let matching = &binary.matching;
    if matching.on
        && let Some(label) = matching.labels.iter().find(|label| matching.include.contains(label))
    {
        let message = format!("label {label:?} must not occur in ON and GROUP clause at once");
        return Err(ParseError::at(op_span, message));
    }
    for (value_type, side) in [(types.0, &binary.left), (types.1, &binary.right)] {
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            return Err(ParseError::at(side.span, message));
        }
    }
    let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
    if !both_vectors && !matching.labels.is_empty() {
        return Err(ParseError::at(span, "vector matching only allowed between instant vectors"));
    }
    if !both_vectors && filled {
        let message = "filling in missing series only allowed between instant vectors";
        return Err(ParseError::at(span, message));
    }
    if !binary.op.is_set() {
        return Ok(());
    }
    if !both_vectors {
        let message =
            format!("set operator {:?} not allowed in binary scalar expression", binary.op.as_str());
        return Err(ParseError::at(span, message));
    }
    if matching.cardinality != Cardinality::OneToOne {
        let message = format!("no grouping allowed for {:?} operation", binary.op.as_str());
        return Err(ParseError::at(span, message));
    }
    if filled {
        return Err(ParseError::at(span, "filling in missing series not allowed for set operators"));
    }
    Ok(())
}

/// A literal range or step must be above zero; computed ones are checked when they are evaluated.
pub(super) fn positive(duration: &DurationExpr, span: Span) -> Result<(), ParseError> {
    if matches!(duration, DurationExpr::Literal { seconds, .. } if seconds * 1e3 < 1.0) {
        return Err(ParseError::at(span, "duration must be greater than 0"));
    }
    Ok(())
}

pub(super) fn duration_range(duration: &DurationExpr, span: Span) -> Result<(), ParseError> {
    let seconds = duration.seconds(0, 0);
    if duration.is_constant() && (seconds.is_nan() || seconds.abs() > DURATION_SECONDS_MAX) {
        return Err(ParseError::at(span, "duration out of range"));
    }
    Ok(())
}

pub(super) fn divisor(op: BinaryOp, right: &DurationExpr, op_span: Span) -> Result<(), ParseError> {
    if !right.is_constant() || right.seconds(0, 0) != 0.0 {
        return Ok(());
    }
    match op {
        BinaryOp::Div => Err(ParseError::at(op_span, "division by zero")),
        BinaryOp::Mod => Err(ParseError::at(op_span, "modulo by zero")),
        _ => Ok(()),
    }
}

/// Why an `anchored` or `smoothed` selector can't be the argument of a function, if so.
pub(crate) fn extension_refusal(extension: Extension, function: &Signature) -> Option<String> {
    let (name, allowed): (_, &[Window]) = match extension {
        Extension::Anchored => (
            "anchored modifier can only be used with: changes, delta, increase, rate, resets",
            &[Window::Changes, Window::Delta, Window::Increase, Window::Rate, Window::Resets],
        ),
        Extension::Smoothed => (
            "smoothed modifier can only be used with: delta, increase, rate",
            &[Window::Delta, Window::Increase, Window::Rate],
        ),
    };
    match function.kind {
        Kind::Window(window) if allowed.contains(&window) => None,
        _ => Some(format!("{name} - not with {}", function.name)),
    }
}
