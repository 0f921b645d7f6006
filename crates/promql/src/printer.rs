//! Tree to text: what [`parse`](crate::parse) reads back as the same tree, on one line. [`pretty`](crate::pretty) breaks
//! long ones up.

use std::fmt::{self, Display, Formatter};

use model::{Matcher, is_valid_label_name};

use crate::ast::{
    Aggregate, At, Binary, Cardinality, DurationExpr, Expr, ExprKind, Extension, Selector, Subquery,
    TimeShift, VectorMatching,
};
use crate::format_value;
use crate::parser::strings::quote_bytes;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, as_duration: true } => f.write_str(&format_duration(*value)),
            ExprKind::Number { value, .. } => f.write_str(&format_value(*value)),
            ExprKind::String(bytes) => f.write_str(&quote_bytes(bytes)),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Unary { negative, expr } => write!(f, "{}{expr}", if *negative { "-" } else { "+" }),
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Aggregate(aggregate) => aggregate.fmt(f),
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                write_list(f, &call.arguments)?;
                f.write_str(")")
            }
            ExprKind::Selector(selector) => selector.fmt(f),
            ExprKind::Subquery(subquery) => {
                write!(f, "{}{}", subquery.expr, SubquerySuffix(subquery))
            }
        }
    }
}

/// `[range:step] @ at offset offset`.
pub(crate) struct SubquerySuffix<'s>(pub(crate) &'s Subquery);

impl Display for SubquerySuffix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:", self.0.range)?;
        if let Some(step) = &self.0.step {
            step.fmt(f)?;
        }
        write!(f, "]{}", self.0.shift)
    }
}

/// `sum by (a) `: an aggregation up to its parenthesis.
pub(crate) struct AggregateHead<'a>(pub(crate) &'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        if self.0.without {
            write!(f, " without {} ", Names(&self.0.labels))?;
        } else if !self.0.labels.is_empty() {
            write!(f, " by {} ", Names(&self.0.labels))?;
        }
        Ok(())
    }
}

/// `+ on (a)`: an operator with its modifiers.
pub(crate) struct Operator<'b>(pub(crate) &'b Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        if self.0.returns_bool {
            f.write_str(" bool")?;
        }
        self.0.matching.fmt(f)
    }
}

fn write_list(f: &mut Formatter<'_>, items: &[impl Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// A label's name, in quotes where it needs them.
struct Name<'n>(&'n str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_valid_label_name(self.0) {
            f.write_str(self.0)
        } else {
            f.write_str(&quote_bytes(self.0.as_bytes()))
        }
    }
}

/// `(a, "b.c")`.
struct Names<'n>(&'n [String]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names: Vec<Name<'_>> = self.0.iter().map(|name| Name(name)).collect();
        f.write_str("(")?;
        write_list(f, &names)?;
        f.write_str(")")
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.left, Operator(self), self.right)
    }
}

impl Display for VectorMatching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let grouped = self.cardinality != Cardinality::OneToOne;
        if self.on || !self.labels.is_empty() || grouped {
            write!(f, " {} {}", if self.on { "on" } else { "ignoring" }, Names(&self.labels))?;
        }
        match self.cardinality {
            Cardinality::OneToOne => {}
            Cardinality::ManyToOne => write!(f, " group_left {}", Names(&self.include))?,
            Cardinality::OneToMany => write!(f, " group_right {}", Names(&self.include))?,
        }
        match (self.fill_left, self.fill_right) {
            (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
                write!(f, " fill ({})", format_value(left))
            }
            (left, right) => {
                for (fill, word) in [(left, "fill_left"), (right, "fill_right")] {
                    if let Some(fill) = fill {
                        write!(f, " {word} ({})", format_value(fill))?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        AggregateHead(self).fmt(f)?;
        match &self.parameter {
            Some(parameter) => write!(f, "({parameter}, {})", self.expr),
            None => write!(f, "({})", self.expr),
        }
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or_default())?;
        let named = usize::from(self.name.is_some());
        let mut matchers: Vec<String> =
            self.matchers[named..].iter().map(|matcher| Written(matcher).to_string()).collect();
        matchers.sort();
        if named == 0 || !matchers.is_empty() {
            write!(f, "{{{}}}", matchers.join(","))?;
        }
        if let Some(range) = &self.range {
            write!(f, "[{range}]")?;
        }
        match self.extension {
            None => {}
            Some(Extension::Anchored) => f.write_str(" anchored")?,
            Some(Extension::Smoothed) => f.write_str(" smoothed")?,
        }
        self.shift.fmt(f)
    }
}

/// A matcher as PromQL.
struct Written<'m>(&'m Matcher);

impl Display for Written<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let value = quote_bytes(self.0.value().as_bytes());
        write!(f, "{}{}{value}", Name(self.0.name()), self.0.op().as_str())
    }
}

impl Display for TimeShift {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            None => {}
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            Some(At::Time(ms)) => {
                let sign = if ms < 0 { "-" } else { "" };
                let ms = ms.unsigned_abs();
                write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)?;
            }
        }
        match &self.offset {
            Some(offset) => write!(f, " offset {}", AsDuration(offset)),
            None => Ok(()),
        }
    }
}

/// A duration expression; a lone number is written as a duration.
struct AsDuration<'d>(&'d DurationExpr);

impl Display for AsDuration<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            DurationExpr::Literal { seconds, .. } => f.write_str(&format_duration(*seconds)),
            other => write_duration_expr(f, other),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        AsDuration(self).fmt(f)
    }
}

fn write_duration_expr(f: &mut Formatter<'_>, expr: &DurationExpr) -> fmt::Result {
    match expr {
        DurationExpr::Literal { seconds, as_duration: true } => f.write_str(&format_duration(*seconds)),
        DurationExpr::Literal { seconds, .. } => f.write_str(&format_value(*seconds)),
        DurationExpr::Step => f.write_str("step()"),
        DurationExpr::Range => f.write_str("range()"),
        DurationExpr::Negate(inner) => {
            f.write_str("-")?;
            write_duration_expr(f, inner)
        }
        DurationExpr::Paren(inner) => {
            f.write_str("(")?;
            write_duration_expr(f, inner)?;
            f.write_str(")")
        }
        DurationExpr::Binary(op, left, right) => {
            write_duration_expr(f, left)?;
            write!(f, " {} ", op.as_str())?;
            write_duration_expr(f, right)
        }
        DurationExpr::Min(left, right) | DurationExpr::Max(left, right) => {
            f.write_str(if matches!(expr, DurationExpr::Min(..)) { "min_of(" } else { "max_of(" })?;
            write_duration_expr(f, left)?;
            f.write_str(", ")?;
            write_duration_expr(f, right)?;
            f.write_str(")")
        }
    }
}

/// `1h30m`: the largest units first; weeks, and days under a year, only when nothing is left.
fn format_duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "durations are bounded by the parser")]
    let total_ms = (seconds * 1e3).round() as i64;
    if total_ms == 0 {
        return "0s".to_owned();
    }
    let mut out = if total_ms < 0 { "-".to_owned() } else { String::new() };
    let mut rest_ms = total_ms.unsigned_abs();
    let units: [(&str, u64, bool); 7] = [
        ("y", 365 * 86_400_000, true),
        ("w", 7 * 86_400_000, true),
        ("d", 86_400_000, false),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1_000, false),
        ("ms", 1, false),
    ];
    for (unit, unit_ms, only_whole) in units {
        let count = rest_ms / unit_ms;
        if count > 0 && (!only_whole || rest_ms.is_multiple_of(unit_ms)) {
            out.push_str(&count.to_string());
            out.push_str(unit);
            rest_ms -= count * unit_ms;
        }
    }
    out
}
