//! Binary and unary operators with their matching modifiers.

use super::token::{Token, TokenKind};
use super::{Parser, check};
use crate::ast::{Binary, BinaryOp, Cardinality, Expr, ExprKind, Span, VectorMatching};
use crate::error::ParseError;

/// Unary operators bind like `*`.
const UNARY_PRECEDENCE: u8 = 5;

impl Parser<'_> {
    /// An expression whose operators bind at least as tight as `precedence_min`.
    pub(super) fn expression(&mut self, precedence_min: u8) -> Result<Expr, ParseError> {
        self.deeper(|parser| parser.expression_here(precedence_min))
    }

    fn expression_here(&mut self, precedence_min: u8) -> Result<Expr, ParseError> {
        let mut left = self.unary()?;
        let mut left_depth = self.tree_depth;
        while let Some(op) = binary_op(self.peek()) {
            let precedence = op.precedence();
            if precedence < precedence_min {
                break;
            }
            let op_span = self.next().span;
            let returns_bool = self.take_word("bool").is_some();
            let matching = self.matching()?;
            let modifiers_end = self.tokens[self.position - 1].span.end;
            // One byte short, as Prometheus counts it.
            let op_span = Span { end: modifiers_end.saturating_sub(1), ..op_span };
            let right = self.expression(if op == BinaryOp::Pow { precedence } else { precedence + 1 })?;
            let span = left.span.to(right.span);
            let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
            if fills && !self.syntax.fill_modifiers {
                return Err(ParseError::at(span, "binop fill modifiers are experimental and not enabled"));
            }
            let binary = Binary { op, left, right, returns_bool, matching };
            self.defer(check::binary(&binary, span, op_span));
            self.tree_depth = left_depth.max(self.tree_depth);
            self.grow_tree(span)?;
            left_depth = self.tree_depth;
            left = Expr { kind: ExprKind::Binary(Box::new(binary)), span };
        }
        self.tree_depth = left_depth;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, ParseError> {
        let negative = match self.peek().kind {
            TokenKind::Minus => true,
            TokenKind::Plus => false,
            _ => {
                let primary = self.primary()?;
                return self.postfix(primary);
            }
        };
        let start = self.next().span;
        let operand = self.expression(UNARY_PRECEDENCE + 1)?;
        let span = start.to(operand.span);
        self.grow_tree(span)?;
        self.defer(check::unary(&operand, span));
        if let ExprKind::Number { value, as_duration } = operand.kind {
            let value = if negative { -value } else { value };
            return Ok(Expr { kind: ExprKind::Number { value, as_duration }, span });
        }
        Ok(Expr { kind: ExprKind::Unary { negative, expr: Box::new(operand) }, span })
    }

    /// `on (…) group_left (…) fill (…)`.
    fn matching(&mut self) -> Result<VectorMatching, ParseError> {
        let mut matching = VectorMatching::default();
        let on = self.peek().is_word("on");
        if on || self.peek().is_word("ignoring") {
            self.next();
            matching.on = on;
            matching.explicit = true;
            matching.labels = self.label_list()?;
            self.grouping_side(&mut matching)?;
        }
        self.fills(&mut matching)?;
        Ok(matching)
    }

    fn grouping_side(&mut self, matching: &mut VectorMatching) -> Result<(), ParseError> {
        matching.cardinality = if self.take_word("group_left").is_some() {
            Cardinality::ManyToOne
        } else if self.take_word("group_right").is_some() {
            Cardinality::OneToMany
        } else {
            return Ok(());
        };
        if self.at(&TokenKind::LeftParen) {
            matching.include = self.label_list()?;
        }
        Ok(())
    }

    /// `fill (x)`, `fill_left (x)`, `fill_right (x)`: keywords only before a parenthesis.
    fn fills(&mut self, matching: &mut VectorMatching) -> Result<(), ParseError> {
        loop {
            let word = self.peek().text.to_ascii_lowercase();
            let is_fill = matches!(word.as_str(), "fill" | "fill_left" | "fill_right");
            if !is_fill || self.peek_second().kind != TokenKind::LeftParen {
                return Ok(());
            }
            self.next();
            self.next();
            let value = self.signed_number("")?;
            self.expect(&TokenKind::RightParen, "", "")?;
            if word != "fill_right" {
                matching.fill_left = Some(value);
            }
            if word != "fill_left" {
                matching.fill_right = Some(value);
            }
        }
    }
}

fn binary_op(token: &Token<'_>) -> Option<BinaryOp> {
    Some(match token.kind {
        TokenKind::Plus => BinaryOp::Add,
        TokenKind::Minus => BinaryOp::Sub,
        TokenKind::Star => BinaryOp::Mul,
        TokenKind::Slash => BinaryOp::Div,
        TokenKind::Percent => BinaryOp::Mod,
        TokenKind::Caret => BinaryOp::Pow,
        TokenKind::EqualEqual => BinaryOp::Equal,
        TokenKind::NotEqual => BinaryOp::NotEqual,
        TokenKind::Less => BinaryOp::Less,
        TokenKind::LessEqual => BinaryOp::LessEqual,
        TokenKind::Greater => BinaryOp::Greater,
        TokenKind::GreaterEqual => BinaryOp::GreaterEqual,
        TokenKind::TrimUpper => BinaryOp::TrimUpper,
        TokenKind::TrimLower => BinaryOp::TrimLower,
        TokenKind::Identifier => return word_op(token),
        _ => return None,
    })
}

fn word_op(token: &Token<'_>) -> Option<BinaryOp> {
    [BinaryOp::And, BinaryOp::Or, BinaryOp::Unless, BinaryOp::Atan2]
        .into_iter()
        .find(|op| token.is_word(op.as_str()))
}
