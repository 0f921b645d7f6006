//! Text to tree: a Pratt parser over the tokens of [`lexer`].
//!
//! ```text
//! or < and unless < == != > < >= <= </ >/ < + - < * / % atan2 (and unary + -) < ^ (right) < [range] offset @
//! ```
//! Types, arguments and modifiers are checked while the tree is built, so that an [`Expr`] is always well formed. What is
//! wrong with types is said only of a text that can be read to its end, as in Prometheus.

mod check;
mod durations;
mod lexer;
mod operators;
mod selectors;
pub(crate) mod strings;
mod token;

use model::Matcher;

use crate::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind, Span};
use crate::error::ParseError;
use crate::functions::function;
use token::{Token, TokenKind};

pub(crate) use check::extension_refusal;
pub(crate) use durations::parse_duration_ms;

/// Deepest nesting of an expression's text.
const DEPTH_MAX: usize = 128;
/// Deepest tree: a chain `a + b + c …` is as deep as it is long. Evaluating that many levels takes
/// under 1 MiB of stack (4 MiB without optimisation).
const TREE_DEPTH_MAX: usize = 512;
/// Longest text of an expression.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Which experimental syntax is understood. The default is Prometheus 3.14's: duration expressions, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// Functions and aggregations that are marked experimental (`--enable-feature=promql-experimental-functions`).
    pub experimental_functions: bool,
    /// Arithmetic in durations, `[5m * 2]` (`promql-duration-expr`; on by default since 3.14).
    pub duration_expressions: bool,
    /// `anchored` and `smoothed` (`promql-extended-range-selectors`).
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left` and `fill_right` (`promql-binop-fill-modifiers`).
    pub fill_modifiers: bool,
}

impl Default for Syntax {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            duration_expressions: true,
            extended_range_selectors: false,
            fill_modifiers: false,
        }
    }
}

impl Syntax {
    /// Everything.
    pub fn all() -> Self {
        Self {
            experimental_functions: true,
            duration_expressions: true,
            extended_range_selectors: true,
            fill_modifiers: true,
        }
    }
}

/// Parses an expression in the default [`Syntax`].
///
/// # Errors
/// [`ParseError`] with the place and, where Prometheus has one, its words.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, &Syntax::default())
}

/// Parses an expression.
///
/// # Errors
/// As [`parse`]; also for experimental syntax that is off.
pub fn parse_with(text: &str, syntax: &Syntax) -> Result<Expr, ParseError> {
    let (expr, types) = parse_unchecked(text, syntax)?;
    types?;
    check::tree(&expr)?;
    Ok(expr)
}

/// Well-formed, and whether its types are right; nothing more is known.
fn parse_unchecked(text: &str, syntax: &Syntax) -> Result<(Expr, Result<(), ParseError>), ParseError> {
    let mut parser = Parser::new(text, *syntax)?;
    if parser.peek().kind == TokenKind::End {
        return Err(ParseError::at(
            Span { line: 1, column: 1, ..Span::default() },
            "no expression found in input",
        ));
    }
    let expr = parser.expression(0)?;
    match parser.peek().kind {
        TokenKind::End => Ok((expr, parser.deferred.map_or(Ok(()), Err))),
        _ => Err(parser.unexpected("", "")),
    }
}

/// Parses an expression of bytes that may not be UTF-8.
///
/// # Errors
/// As [`parse_with`]; also where the text is not UTF-8.
pub fn parse_bytes(bytes: &[u8], syntax: &Syntax) -> Result<Expr, ParseError> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return parse_with(text, syntax),
        Err(error) => error,
    };
    // The token that holds the first bad byte is to blame: it is where the valid part ends.
    let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
    let token = lexer::lex(valid).pop().map(|token| token.span).unwrap_or_default();
    let end = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    Err(ParseError::at(Span { end, ..token }, "invalid UTF-8 rune"))
}

/// Parses an instant selector without modifiers, as `match[]` has it. Unlike an expression it may match everything, and the
/// metric's name twice.
///
/// # Errors
/// [`ParseError`]; also when the text is any other expression.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let (expr, types) = parse_unchecked(text, &Syntax::default())?;
    match expr.kind {
        ExprKind::Selector(selector)
            if selector.range.is_none()
                && selector.shift == Default::default()
                && selector.extension.is_none() =>
        {
            Ok(selector.matchers)
        }
        _ => types.and_then(|()| check::tree(&expr)).and_then(|()| {
            Err(ParseError::at(expr.span, format!("expected a series selector, got {:?}", shorten(text))))
        }),
    }
}

fn shorten(text: &str) -> &str {
    text.char_indices().nth(80).map_or(text, |(end, _)| &text[..end])
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    position: usize,
    depth: usize,
    /// Levels of the expression that was parsed last.
    tree_depth: usize,
    /// Operators of the duration that is being parsed.
    duration_ops: usize,
    /// Aggregations that are being parsed.
    aggregations: usize,
    /// The first rule of types that is broken.
    deferred: Option<ParseError>,
    syntax: Syntax,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, syntax: Syntax) -> Result<Self, ParseError> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("expression of {} bytes is longer than {TEXT_BYTES_MAX} bytes", text.len());
            return Err(ParseError::at(Span { line: 1, column: 1, ..Span::default() }, message));
        }
        Ok(Self {
            tokens: lexer::lex(text),
            position: 0,
            depth: 0,
            tree_depth: 0,
            duration_ops: 0,
            aggregations: 0,
            deferred: None,
            syntax,
        })
    }

    fn peek(&self) -> &Token<'t> {
        &self.tokens[self.position]
    }

    fn peek_second(&self) -> &Token<'t> {
        &self.tokens[(self.position + 1).min(self.tokens.len() - 1)]
    }

    /// Takes a token; the last one stays.
    fn next(&mut self) -> Token<'t> {
        let token = self.peek().clone();
        if self.position + 1 < self.tokens.len() {
            self.position += 1;
        }
        token
    }

    fn at(&self, kind: &TokenKind) -> bool {
        self.peek().kind == *kind
    }

    fn take(&mut self, kind: &TokenKind) -> Option<Token<'t>> {
        self.at(kind).then(|| self.next())
    }

    fn take_word(&mut self, word: &str) -> Option<Token<'t>> {
        self.peek().is_word(word).then(|| self.next())
    }

    fn expect(&mut self, kind: &TokenKind, context: &str, expected: &str) -> Result<Token<'t>, ParseError> {
        self.take(kind).ok_or_else(|| self.unexpected(context, expected))
    }

    /// Keeps a broken rule of types for the end, when nothing worse is found.
    fn defer(&mut self, checked: Result<(), ParseError>) {
        if let Err(error) = checked {
            self.deferred.get_or_insert(error);
        }
    }

    /// The next token does not fit. A token that is an error speaks for itself; what has no context of its own is
    /// in the aggregation around it.
    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        let context = if context.is_empty() && self.aggregations > 0 { "aggregation" } else { context };
        let token = self.peek();
        if let TokenKind::Error(message) = &token.kind {
            return ParseError::at(token.span, message.clone());
        }
        let mut message = format!("unexpected {}", token.describe());
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        ParseError::at(token.span, message)
    }

    /// Guards recursion.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth >= DEPTH_MAX {
            let message = format!("expression is nested deeper than {DEPTH_MAX} levels");
            return Err(ParseError::at(self.peek().span, message));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// A level was put on top of the expression parsed last.
    fn grow_tree(&mut self, span: Span) -> Result<(), ParseError> {
        self.tree_depth += 1;
        if self.tree_depth > TREE_DEPTH_MAX {
            let message = format!("expression is nested deeper than {TREE_DEPTH_MAX} levels");
            return Err(ParseError::at(span, message));
        }
        Ok(())
    }

    /// An operand without its postfix modifiers.
    fn primary(&mut self) -> Result<Expr, ParseError> {
        self.tree_depth = 1;
        match self.peek().kind.clone() {
            TokenKind::Number | TokenKind::Duration => {
                let as_duration = self.at(&TokenKind::Duration);
                let (value, span) = self.number_literal()?;
                Ok(Expr { kind: ExprKind::Number { value, as_duration }, span })
            }
            TokenKind::String(value) => {
                let span = self.next().span;
                Ok(Expr { kind: ExprKind::String(value), span })
            }
            TokenKind::LeftParen => {
                let start = self.next().span;
                let inner = self.expression(0)?;
                let end = self.expect(&TokenKind::RightParen, "", "")?.span;
                self.grow_tree(start.to(end))?;
                Ok(Expr { kind: ExprKind::Paren(Box::new(inner)), span: start.to(end) })
            }
            TokenKind::LeftBrace | TokenKind::MetricIdentifier => self.selector(),
            TokenKind::Identifier => self.word(),
            _ => Err(self.unexpected("", "")),
        }
    }

    /// What starts with an identifier: number, aggregation, call or selector.
    fn word(&mut self) -> Result<Expr, ParseError> {
        let text = self.peek().text;
        let second = self.peek_second();
        let call_follows = second.kind == TokenKind::LeftParen;
        if let Some(op) = AggregateOp::from_name(text)
            && (call_follows || second.is_word("by") || second.is_word("without"))
        {
            return self.aggregate(op);
        }
        if call_follows && !is_reserved(text) && !is_keyword(text) {
            return self.call();
        }
        if is_number_word(text) {
            let span = self.next().span;
            let value = if text.eq_ignore_ascii_case("inf") { f64::INFINITY } else { f64::NAN };
            return Ok(Expr { kind: ExprKind::Number { value, as_duration: false }, span });
        }
        if is_reserved(text) {
            return Err(self.unexpected("", ""));
        }
        self.selector()
    }

    fn call(&mut self) -> Result<Expr, ParseError> {
        let name = self.next();
        let deferred_before = self.deferred.clone();
        let (arguments, end) = self.arguments()?;
        let Some(function) = function(name.text) else {
            return Err(ParseError::at(name.span, format!("unknown function with name {:?}", name.text)));
        };
        if function.experimental && !self.syntax.experimental_functions {
            return Err(ParseError::at(name.span, format!("function {:?} is not enabled", name.text)));
        }
        let span = name.span.to(end);
        self.grow_tree(span)?;
        if let Err(error) = check::arity(function, arguments.len(), span) {
            // Before what is wrong inside the arguments.
            self.deferred = Some(deferred_before.unwrap_or(error));
        } else {
            self.defer(check::arguments(function, &arguments));
        }
        Ok(Expr { kind: ExprKind::Call(Call { function, arguments, span }), span })
    }

    /// `(a, b, …)`, and where it ends.
    fn arguments(&mut self) -> Result<(Vec<Expr>, Span), ParseError> {
        self.expect(&TokenKind::LeftParen, "", "")?;
        let mut arguments = Vec::new();
        let mut deepest = 0;
        if let Some(end) = self.take(&TokenKind::RightParen) {
            self.tree_depth = 1;
            return Ok((arguments, end.span));
        }
        loop {
            arguments.push(self.expression(0)?);
            deepest = self.tree_depth.max(deepest);
            self.tree_depth = deepest;
            if let Some(end) = self.take(&TokenKind::RightParen) {
                return Ok((arguments, end.span));
            }
            let comma = self.expect(&TokenKind::Comma, "", "")?;
            if !self.starts_expression() {
                return Err(ParseError::at(comma.span, "trailing commas not allowed in function call args"));
            }
        }
    }

    /// Whether the next token may begin an expression, or is an error of its own.
    fn starts_expression(&self) -> bool {
        let token = self.peek();
        match token.kind {
            TokenKind::Identifier => !is_reserved(token.text),
            TokenKind::Number
            | TokenKind::Duration
            | TokenKind::String(_)
            | TokenKind::MetricIdentifier
            | TokenKind::LeftParen
            | TokenKind::LeftBrace
            | TokenKind::Plus
            | TokenKind::Minus
            | TokenKind::Error(_) => true,
            _ => false,
        }
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<Expr, ParseError> {
        let name = self.next();
        self.aggregations += 1;
        let before = self.grouping()?;
        let (mut arguments, mut end) = self.arguments()?;
        self.aggregations -= 1;
        let grouping = if before.is_some() {
            before
        } else {
            let after = self.grouping()?;
            if after.is_some() {
                end = self.tokens[self.position - 1].span;
            }
            after
        };
        let span = name.span.to(end);
        check::aggregate_arity(op, arguments.len(), span, self.syntax.experimental_functions)?;
        self.grow_tree(span)?;
        let (without, labels) = grouping.unwrap_or_default();
        let expr = arguments.pop().ok_or_else(|| ParseError::at(span, "no arguments"))?;
        let aggregate = Aggregate { op, expr, parameter: arguments.pop(), labels, without };
        self.defer(check::aggregate(&aggregate));
        Ok(Expr { kind: ExprKind::Aggregate(Box::new(aggregate)), span })
    }

    /// `by (…)` or `without (…)`, if there: whether it is `without`, and the labels.
    fn grouping(&mut self) -> Result<Option<(bool, Vec<String>)>, ParseError> {
        let without = self.peek().is_word("without");
        if !without && !self.peek().is_word("by") {
            return Ok(None);
        }
        self.next();
        Ok(Some((without, self.label_list()?)))
    }

    /// `(a, "b", …)`.
    fn label_list(&mut self) -> Result<Vec<String>, ParseError> {
        const CONTEXT: &str = "grouping opts";
        self.expect(&TokenKind::LeftParen, CONTEXT, "\"(\"")?;
        let mut labels = Vec::new();
        while self.take(&TokenKind::RightParen).is_none() {
            match self.peek().kind.clone() {
                TokenKind::Identifier if is_number_word(self.peek().text) => {
                    return Err(self.unexpected(CONTEXT, "label"));
                }
                TokenKind::Identifier | TokenKind::MetricIdentifier => {
                    labels.push(self.next().text.to_owned())
                }
                TokenKind::String(bytes) => {
                    let span = self.next().span;
                    labels.push(utf8(bytes, span)?);
                }
                _ => return Err(self.unexpected(CONTEXT, "label")),
            }
            if self.take(&TokenKind::Comma).is_none() && !self.at(&TokenKind::RightParen) {
                return Err(self.unexpected(CONTEXT, "\",\" or \")\""));
            }
        }
        Ok(labels)
    }
}

/// Words that are metrics, but no functions.
fn is_keyword(text: &str) -> bool {
    const KEYWORDS: [&str; 11] = [
        "and",
        "or",
        "unless",
        "by",
        "without",
        "offset",
        "anchored",
        "smoothed",
        "fill",
        "fill_left",
        "fill_right",
    ];
    is_number_word(text) || KEYWORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn is_number_word(text: &str) -> bool {
    text.eq_ignore_ascii_case("inf") || text.eq_ignore_ascii_case("nan")
}

/// Words that are neither metrics nor functions where an operand is expected.
fn is_reserved(text: &str) -> bool {
    const RESERVED: [&str; 6] = ["bool", "on", "ignoring", "group_left", "group_right", "atan2"];
    RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn utf8(bytes: Vec<u8>, span: Span) -> Result<String, ParseError> {
    String::from_utf8(bytes).map_err(|_| ParseError::at(span, "label names and values must be valid UTF-8"))
}
