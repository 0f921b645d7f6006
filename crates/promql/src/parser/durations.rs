//! Numbers and durations: `1h30m`, `300`, `5m * 2`, `step() + 1s`.

use super::token::TokenKind;
use super::{Parser, check};
use crate::ast::{BinaryOp, DurationExpr, Span};
use crate::error::ParseError;

/// Most operators of one duration.
const OPERATORS_MAX: usize = 128;

/// Where a duration stands: what messages call it, and what they expect there.
#[derive(Clone, Copy)]
pub(super) struct Place {
    context: &'static str,
    expected: &'static str,
}

/// Behind `[`.
pub(super) const RANGE: Place =
    Place { context: "subquery or range selector", expected: "number, duration, step(), or range()" };
/// Behind the colon of a subquery.
pub(super) const STEP: Place =
    Place { context: "subquery selector", expected: "number, duration, step(), range(), or \"]\"" };
/// Behind `offset`.
const OFFSET: Place = Place { context: "offset", expected: "number, duration, step(), or range()" };
/// Units in the order they must be written, in milliseconds.
const UNITS_MS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Parser<'_> {
    /// A number or duration token as a number (durations in seconds).
    pub(super) fn number_literal(&mut self) -> Result<(f64, Span), ParseError> {
        let token = self.next();
        let value = if token.kind == TokenKind::Duration {
            let ms = parse_duration_ms(token.text).map_err(|message| ParseError::at(token.span, message))?;
            ms_to_seconds(ms)
        } else {
            parse_number(token.text).map_err(|message| ParseError::at(token.span, message))?
        };
        Ok((value, token.span))
    }

    /// A duration with arithmetic, as brackets hold it, and where it stands.
    pub(super) fn duration_expr(&mut self, place: Place) -> Result<(DurationExpr, Span), ParseError> {
        self.duration_ops = 0;
        let (expr, span) = self.duration_sum(place, 0)?;
        self.checked_duration(expr, span)
    }

    /// A duration of a range or a step, which is above zero.
    pub(super) fn positive_duration(&mut self, place: Place) -> Result<DurationExpr, ParseError> {
        let (duration, span) = self.duration_expr(place)?;
        if let TokenKind::Error(_) = self.peek().kind {
            return Err(self.unexpected("", ""));
        }
        check::positive(&duration, span)?;
        Ok(duration)
    }

    fn checked_duration(&self, expr: DurationExpr, span: Span) -> Result<(DurationExpr, Span), ParseError> {
        if !matches!(expr, DurationExpr::Literal { .. }) && !self.syntax.duration_expressions {
            return Err(ParseError::at(span, "experimental duration expression is not enabled"));
        }
        check::duration_range(&expr, span)?;
        Ok((lone_literal(expr), span))
    }

    /// What follows `offset`: one signed operand; arithmetic needs parentheses.
    pub(super) fn offset_duration(&mut self) -> Result<(DurationExpr, Span), ParseError> {
        self.duration_ops = 0;
        let sign = self.peek().clone();
        let (expr, span) = match sign.kind {
            TokenKind::Minus | TokenKind::Plus => {
                self.next();
                let (operand, span) = self.duration_operand(OFFSET)?;
                let expr = if sign.kind == TokenKind::Minus { negate(operand) } else { operand };
                (expr, sign.span.to(span))
            }
            _ => self.duration_operand(OFFSET)?,
        };
        self.checked_duration(expr, span)
    }

    fn duration_sum(&mut self, place: Place, precedence_min: u8) -> Result<(DurationExpr, Span), ParseError> {
        self.deeper(|parser| parser.duration_sum_here(place, precedence_min))
    }

    fn duration_sum_here(
        &mut self,
        place: Place,
        precedence_min: u8,
    ) -> Result<(DurationExpr, Span), ParseError> {
        let (mut left, mut span) = self.duration_unary(place)?;
        while let Some(op) = duration_op(&self.peek().kind) {
            let precedence = op.precedence();
            if precedence < precedence_min {
                break;
            }
            let op_span = self.next().span;
            self.duration_ops += 1;
            if self.duration_ops > OPERATORS_MAX {
                let message = format!("duration expression has more than {OPERATORS_MAX} operators");
                return Err(ParseError::at(op_span, message));
            }
            let right_min = if op == BinaryOp::Pow { precedence } else { precedence + 1 };
            let (right, right_span) = self.duration_sum(place, right_min)?;
            check::divisor(op, &right, op_span)?;
            span = span.to(right_span);
            left = DurationExpr::Binary(op, Box::new(left), Box::new(right));
        }
        Ok((left, span))
    }

    fn duration_unary(&mut self, place: Place) -> Result<(DurationExpr, Span), ParseError> {
        let sign = self.peek().clone();
        if !matches!(sign.kind, TokenKind::Minus | TokenKind::Plus) {
            return self.duration_operand(place);
        }
        self.next();
        let (operand, span) = self.duration_sum(place, BinaryOp::Mul.precedence() + 1)?;
        let expr = if sign.kind == TokenKind::Minus { negate(operand) } else { operand };
        Ok((expr, sign.span.to(span)))
    }

    fn duration_operand(&mut self, place: Place) -> Result<(DurationExpr, Span), ParseError> {
        match self.peek().kind {
            TokenKind::Number | TokenKind::Duration => {
                let as_duration = self.at(&TokenKind::Duration);
                let (seconds, span) = self.number_literal()?;
                Ok((DurationExpr::Literal { seconds, as_duration }, span))
            }
            TokenKind::LeftParen => {
                let start = self.next().span;
                let (inner, _) = self.duration_sum(place, 0)?;
                let end = self.expect(&TokenKind::RightParen, place.context, place.expected)?.span;
                Ok((DurationExpr::Paren(Box::new(inner)), start.to(end)))
            }
            TokenKind::Identifier => self.duration_function(place),
            _ => Err(self.unexpected(place.context, place.expected)),
        }
    }

    fn duration_function(&mut self, place: Place) -> Result<(DurationExpr, Span), ParseError> {
        let word = self.peek().text.to_ascii_lowercase();
        if !matches!(word.as_str(), "step" | "range" | "min_of" | "max_of") {
            return Err(self.unexpected(place.context, place.expected));
        }
        let start = self.next().span;
        if !self.at(&TokenKind::LeftParen) {
            return Err(self.unexpected(place.context, place.expected));
        }
        self.next();
        let expr = match word.as_str() {
            "step" => DurationExpr::Step,
            "range" => DurationExpr::Range,
            _ => {
                let left = Box::new(self.duration_sum(place, 0)?.0);
                self.expect(&TokenKind::Comma, place.context, place.expected)?;
                let right = Box::new(self.duration_sum(place, 0)?.0);
                if word == "min_of" { DurationExpr::Min(left, right) } else { DurationExpr::Max(left, right) }
            }
        };
        let end = self.expect(&TokenKind::RightParen, place.context, place.expected)?.span;
        Ok((expr, start.to(end)))
    }
}

/// A number alone is a duration: `[300]` is `[5m]`.
fn lone_literal(expr: DurationExpr) -> DurationExpr {
    match expr {
        DurationExpr::Literal { seconds, .. } => DurationExpr::Literal { seconds, as_duration: true },
        other => other,
    }
}

fn negate(operand: DurationExpr) -> DurationExpr {
    match operand {
        DurationExpr::Literal { seconds, as_duration } => {
            DurationExpr::Literal { seconds: -seconds, as_duration }
        }
        other => DurationExpr::Negate(Box::new(other)),
    }
}

fn duration_op(kind: &TokenKind) -> Option<BinaryOp> {
    Some(match kind {
        TokenKind::Plus => BinaryOp::Add,
        TokenKind::Minus => BinaryOp::Sub,
        TokenKind::Star => BinaryOp::Mul,
        TokenKind::Slash => BinaryOp::Div,
        TokenKind::Percent => BinaryOp::Mod,
        TokenKind::Caret => BinaryOp::Pow,
        _ => return None,
    })
}

#[expect(clippy::cast_precision_loss, reason = "durations stay below 2^53 ms but for absurd ones")]
fn ms_to_seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}

/// `1h30m` in milliseconds: units from large to small, each once. `0` needs no unit.
pub(crate) fn parse_duration_ms(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    let invalid = || format!("not a valid duration string: {text:?}");
    let mut rest = text;
    let mut units = UNITS_MS.iter();
    let mut total_ms: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        if digits == 0 || letters == 0 {
            return Err(invalid());
        }
        if !UNITS_MS.iter().any(|(name, _)| *name == unit) {
            return Err(format!("unknown unit {unit:?} in duration {text:?}"));
        }
        let (_, unit_ms) = units.find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        total_ms = number
            .parse::<i64>()
            .ok()
            .and_then(|number| number.checked_mul(*unit_ms))
            .and_then(|ms| total_ms.checked_add(ms))
            .ok_or_else(|| "duration out of range".to_owned())?;
        rest = tail;
    }
    if text.is_empty() { Err("empty duration string".to_owned()) } else { Ok(total_ms) }
}

/// Numbers as Go reads them: `0x1f`, `0755`, `1_000`, `1e3`.
fn parse_number(text: &str) -> Result<f64, String> {
    let plain: String = text.chars().filter(|character| *character != '_').collect();
    let lower = plain.to_ascii_lowercase();
    let whole = if let Some(hex) = lower.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()
    } else if lower.len() > 1 && lower.starts_with('0') {
        i64::from_str_radix(&lower[1..], 8).ok()
    } else {
        None
    };
    if let Some(whole) = whole {
        #[expect(clippy::cast_precision_loss, reason = "a number literal is a float")]
        return Ok(whole as f64);
    }
    let refused = |why| format!("error parsing number: strconv.ParseFloat: parsing {text:?}: {why}");
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(refused("value out of range")),
        Err(_) => Err(refused("invalid syntax")),
    }
}
