//! Selectors and what may follow an operand: `[range]`, `[range:step]`, `offset`, `@`, `anchored`, `smoothed`.

use model::{METRIC_NAME, MatchOp, Matcher};

use super::durations::{RANGE, STEP};
use super::token::TokenKind;
use super::{Parser, check, utf8};
use crate::ast::{At, Expr, ExprKind, Extension, Selector, Span, Subquery, TimeShift};
use crate::error::ParseError;

impl Parser<'_> {
    /// `name`, `name{…}` or `{…}`.
    pub(super) fn selector(&mut self) -> Result<Expr, ParseError> {
        let mut span = self.peek().span;
        let mut matchers = Vec::new();
        let mut name = None;
        if !self.at(&TokenKind::LeftBrace) {
            let text = self.next().text.to_owned();
            matchers.push(Matcher::equal(METRIC_NAME, text.as_str()));
            name = Some(text);
        }
        if self.at(&TokenKind::LeftBrace) {
            let end = self.braces(&mut matchers)?;
            span = span.to(end);
        }
        self.defer(check::selector(name.as_deref(), &matchers, span));
        let selector = Selector { name, matchers, range: None, shift: TimeShift::default(), extension: None };
        Ok(Expr { kind: ExprKind::Selector(selector), span })
    }

    fn braces(&mut self, matchers: &mut Vec<Matcher>) -> Result<Span, ParseError> {
        const CONTEXT: &str = "label matching";
        self.expect(&TokenKind::LeftBrace, CONTEXT, "\"{\"")?;
        loop {
            if let Some(end) = self.take(&TokenKind::RightBrace) {
                return Ok(end.span);
            }
            matchers.push(self.matcher()?);
            if self.take(&TokenKind::Comma).is_none() && !self.at(&TokenKind::RightBrace) {
                return Err(self.unexpected(CONTEXT, "\",\" or \"}\""));
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        const CONTEXT: &str = "label matching";
        let (name, quoted) = match self.peek().kind.clone() {
            TokenKind::LabelName => (self.next().text.to_owned(), false),
            TokenKind::String(bytes) => {
                let span = self.next().span;
                (utf8(bytes, span)?, true)
            }
            _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
        };
        let op = match self.peek().kind {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::NotEqual => MatchOp::NotEqual,
            TokenKind::EqualRegex => MatchOp::Regex,
            TokenKind::NotEqualRegex => MatchOp::NotRegex,
            TokenKind::Comma | TokenKind::RightBrace if quoted => {
                return Ok(Matcher::equal(METRIC_NAME, name));
            }
            _ if quoted => return Err(self.unexpected(CONTEXT, "\",\" or \"}\"")),
            _ => return Err(self.unexpected(CONTEXT, "label matching operator")),
        };
        self.next();
        let TokenKind::String(bytes) = self.peek().kind.clone() else {
            return Err(self.unexpected(CONTEXT, "string"));
        };
        let span = self.next().span;
        Matcher::new(name, op, utf8(bytes, span)?).map_err(|error| {
            let reason = error.detail.lines().last().unwrap_or_default().trim_start_matches("error: ");
            ParseError::at(span, format!("invalid regular expression {:?}: {reason}", error.pattern))
        })
    }

    /// Applies what follows an operand.
    pub(super) fn postfix(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        loop {
            let token = self.peek();
            if token.kind == TokenKind::LeftBracket {
                expr = self.brackets(expr)?;
            } else if token.kind == TokenKind::At {
                self.at_modifier(&mut expr)?;
            } else if token.is_word("offset") {
                self.offset_modifier(&mut expr)?;
            } else if token.is_word("anchored") || token.is_word("smoothed") {
                self.extension(&mut expr)?;
            } else {
                return Ok(expr);
            }
        }
    }

    /// `[range]` or `[range:step]`.
    fn brackets(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        let open = self.next().span;
        let range = self.positive_duration(RANGE)?;
        let has_step = self.take(&TokenKind::Colon).is_some();
        let step = if has_step && !self.at(&TokenKind::RightBracket) {
            Some(self.positive_duration(STEP)?)
        } else {
            None
        };
        let (context, expected) =
            if has_step { ("subquery selector", "\"]\"") } else { ("subquery or range", "\":\" or \"]\"") };
        let close = self.expect(&TokenKind::RightBracket, context, expected)?.span;
        let span = expr.span.to(close);
        if has_step {
            self.grow_tree(span)?;
            self.defer(check::subquery(&expr, span));
            let subquery = Subquery { expr, range, step, shift: TimeShift::default() };
            return Ok(Expr { kind: ExprKind::Subquery(Box::new(subquery)), span });
        }
        let brackets = open.to(close);
        let ExprKind::Selector(mut selector) = expr.kind else {
            return Err(ParseError::at(brackets, "ranges only allowed for vector selectors"));
        };
        if selector.range.is_some() {
            return Err(ParseError::at(brackets, "ranges only allowed for vector selectors"));
        }
        for (set, what) in [(selector.shift.offset.is_some(), "offset"), (selector.shift.at.is_some(), "@")] {
            if set {
                return Err(ParseError::at(brackets, format!("no {what} modifiers allowed before range")));
            }
        }
        if selector.extension.is_some() {
            return Err(ParseError::at(brackets, "no anchored or smoothed modifiers allowed before range"));
        }
        selector.range = Some(range);
        Ok(Expr { kind: ExprKind::Selector(selector), span })
    }

    fn at_modifier(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        let start = expr.span;
        let operator = self.next().span;
        let at = self.at_value(start)?;
        let end = self.tokens[self.position - 1].span;
        let shift = shift_of(expr, "@")?;
        if shift.at.is_some() {
            return Err(ParseError::at(operator, "@ <timestamp> may not be set multiple times"));
        }
        shift.at = Some(at);
        expr.span = start.to(end);
        Ok(())
    }

    fn at_value(&mut self, operand: Span) -> Result<At, ParseError> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.peek().is_word(word) {
                self.next();
                self.expect(&TokenKind::LeftParen, "@", "timestamp")?;
                self.expect(&TokenKind::RightParen, "@", "timestamp")?;
                return Ok(at);
            }
        }
        let seconds = self.signed_number("@")?;
        let ms = seconds * 1e3;
        if !ms.is_finite() || ms.abs() >= 9.2e18 {
            let text = crate::format_value(seconds);
            return Err(ParseError::at(operand, format!("timestamp out of bounds for @ modifier: {text}")));
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        Ok(At::Time(ms.round() as i64))
    }

    /// `[+|-] number`.
    pub(super) fn signed_number(&mut self, context: &str) -> Result<f64, ParseError> {
        let negative = self.take(&TokenKind::Minus).is_some();
        if !negative {
            self.take(&TokenKind::Plus);
        }
        let expected = if context == "@" { "timestamp" } else { "" };
        let value = match &self.peek().kind {
            TokenKind::Number | TokenKind::Duration => self.number_literal()?.0,
            TokenKind::Identifier if self.peek().text.eq_ignore_ascii_case("inf") => {
                self.next();
                f64::INFINITY
            }
            TokenKind::Identifier if self.peek().text.eq_ignore_ascii_case("nan") => {
                self.next();
                f64::NAN
            }
            _ => return Err(self.unexpected(context, expected)),
        };
        Ok(if negative { -value } else { value })
    }

    fn offset_modifier(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        let start = expr.span;
        self.next();
        let (offset, end) = self.offset_duration()?;
        let shift = shift_of(expr, "offset")?;
        if shift.offset.is_some() {
            return Err(ParseError::at(start, "offset may not be set multiple times"));
        }
        shift.offset = Some(offset);
        expr.span = start.to(end);
        Ok(())
    }

    fn extension(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        let word = self.next();
        let (extension, name) = if word.is_word("anchored") {
            (Extension::Anchored, "anchored")
        } else {
            (Extension::Smoothed, "smoothed")
        };
        let span = expr.span;
        if !self.syntax.extended_range_selectors {
            let message = format!("{name} modifier is experimental and not enabled");
            return Err(ParseError::at(span, message));
        }
        match &mut expr.kind {
            ExprKind::Selector(selector) if selector.extension.is_none() => {
                selector.extension = Some(extension);
            }
            ExprKind::Selector(_) => {
                return Err(ParseError::at(span, "anchored and smoothed modifiers cannot be used together"));
            }
            _ => {
                let message =
                    format!("{name} modifier must be preceded by an instant or range vector selector");
                return Err(ParseError::at(span, message));
            }
        }
        expr.span = span.to(word.span);
        Ok(())
    }
}

fn shift_of<'e>(expr: &'e mut Expr, what: &str) -> Result<&'e mut TimeShift, ParseError> {
    let span = expr.span;
    match &mut expr.kind {
        ExprKind::Selector(selector) => Ok(&mut selector.shift),
        ExprKind::Subquery(subquery) => Ok(&mut subquery.shift),
        _ => Err(ParseError::at(
            span,
            format!(
                "{what} modifier must be preceded by an instant vector selector or range vector selector or a subquery"
            ),
        )),
    }
}
