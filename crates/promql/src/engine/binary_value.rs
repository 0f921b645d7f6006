//! One operation on two samples.
//!
//! ```text
//! float ⊕ float             arithmetic, comparison
//! histogram ± histogram     bucket by bucket; == and != compare all of them
//! histogram × float, float × histogram, histogram ÷ float
//! histogram </ float, histogram >/ float        cut off
//! all else                  no sample, and an info that says so
//! ```

use std::sync::Arc;

use model::{Histogram, HistogramSum, ResetHint, Trim};

use super::annotations::{Note, Operation};
use super::column::Cell;
use super::context::Context;
use crate::ast::{Binary, BinaryOp, Span};
use crate::value::SampleValue;

/// The result of arithmetic, or 1 and 0 of a comparison.
#[inline]
pub(super) fn of_floats(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        // As Go's and C's: `pow(-1, ±Inf)` is 1.
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => f64::from(u8::from(compare(op, left, right))),
    }
}

#[inline]
pub(super) fn compare(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Greater => left > right,
        BinaryOp::Less => left < right,
        BinaryOp::GreaterEqual => left >= right,
        BinaryOp::LessEqual => left <= right,
        _ => false,
    }
}

/// An operator and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Operator<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) node: &'c Binary,
    pub(super) span: Span,
}

/// What became of two samples.
pub(super) enum Outcome {
    Sample(SampleValue),
    /// A comparison that holds, or does not.
    Compared(bool),
    /// The types do not go together.
    Nothing,
}

impl Operator<'_> {
    /// Applies the operator to two samples of which one may be a histogram.
    pub(super) fn apply(&self, left: Cell<'_>, right: Cell<'_>) -> Outcome {
        let op = self.node.op;
        let (left, right) = match (left, right) {
            (Cell::Float(_), Cell::Float(_)) if op.is_trim() => return self.refuse("float", "float"),
            (Cell::Float(left), Cell::Float(right)) if op.is_comparison() => {
                return Outcome::Compared(compare(op, left, right));
            }
            (Cell::Float(left), Cell::Float(right)) => {
                return Outcome::Sample(SampleValue::Float(of_floats(op, left, right)));
            }
            (Cell::Float(left), Cell::Histogram(right)) => {
                return match op {
                    BinaryOp::Mul => histogram(right.multiplied(left)),
                    _ => self.refuse("float", "histogram"),
                };
            }
            (Cell::Histogram(left), Cell::Float(right)) => {
                return match op {
                    BinaryOp::Mul => histogram(left.multiplied(right)),
                    BinaryOp::Div => histogram(left.divided(right)),
                    BinaryOp::TrimUpper => histogram(left.trimmed(Trim::KeepBelow, right)),
                    BinaryOp::TrimLower => histogram(left.trimmed(Trim::KeepAbove, right)),
                    _ => self.refuse("histogram", "float"),
                };
            }
            (Cell::Histogram(left), Cell::Histogram(right)) => (left, right),
        };
        match op {
            BinaryOp::Add => self.add_up(left, right, Operation::Addition),
            BinaryOp::Sub => self.add_up(left, right, Operation::Subtraction),
            BinaryOp::Equal => Outcome::Compared(left.same_data(right)),
            BinaryOp::NotEqual => Outcome::Compared(!left.same_data(right)),
            _ => self.refuse("histogram", "histogram"),
        }
    }

    fn refuse(&self, left: &str, right: &str) -> Outcome {
        self.context.note(self.span, Note::incompatible_types(left, self.node.op.as_str(), right));
        Outcome::Nothing
    }

    fn add_up(&self, left: &Histogram, right: &Histogram, operation: Operation) -> Outcome {
        let mut sum = HistogramSum::new(left);
        let added = match operation {
            Operation::Subtraction => sum.subtract(right),
            _ => sum.add(right),
        };
        let Ok(noted) = added else {
            self.context.note(self.span, Note::incompatible_buckets(self.node.op.as_str()));
            return Outcome::Nothing;
        };
        if noted.reset_hints_collided {
            self.context.note(self.span, Note::reset_hints_collide(operation));
        }
        if noted.custom_bounds_differed {
            self.context.note(self.span, Note::bounds_reconciled(operation));
        }
        let mut total = sum.total();
        if operation == Operation::Subtraction {
            total.reset_hint = ResetHint::Gauge;
        }
        histogram(total)
    }
}

fn histogram(histogram: Histogram) -> Outcome {
    Outcome::Sample(SampleValue::Histogram(Arc::new(histogram.compacted())))
}
