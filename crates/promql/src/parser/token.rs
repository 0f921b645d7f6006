//! Tokens, and how error messages call them.

use crate::ast::{AggregateOp, Span};

/// What a token is. Keywords are identifiers until the parser asks: most of them may also be names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    End,
    /// Text that is no token, and why.
    Error(String),
    Identifier,
    /// A name in braces.
    LabelName,
    /// An identifier with a colon.
    MetricIdentifier,
    Number,
    Duration,
    /// A string with its quotes taken off and escapes resolved.
    String(Vec<u8>),
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    At,
    /// `=` inside braces, or a stray one.
    Assign,
    EqualRegex,
    NotEqualRegex,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Caret,
    EqualEqual,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    TrimUpper,
    TrimLower,
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Token<'t> {
    pub(crate) kind: TokenKind,
    pub(crate) text: &'t str,
    pub(crate) span: Span,
}

const OPERATOR_WORDS: [&str; 4] = ["and", "or", "unless", "atan2"];
const KEYWORDS: [&str; 10] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "anchored",
    "smoothed",
];

impl Token<'_> {
    /// Whether it is the given keyword, in any case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Identifier && self.text.eq_ignore_ascii_case(word)
    }

    /// As messages say it: `identifier "x"`, `<op:*>`, `<by>`, `end of input`.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Identifier => describe_word(self.text),
            TokenKind::LabelName => format!("identifier {:?}", self.text),
            TokenKind::MetricIdentifier => format!("metric identifier {:?}", self.text),
            TokenKind::Number => format!("number {}", abbreviate(self.text)),
            TokenKind::Duration => format!("duration {}", abbreviate(self.text)),
            TokenKind::String(_) => format!("string {}", abbreviate(self.text)),
            TokenKind::LeftParen
            | TokenKind::RightParen
            | TokenKind::LeftBrace
            | TokenKind::RightBrace
            | TokenKind::LeftBracket
            | TokenKind::RightBracket
            | TokenKind::Comma
            | TokenKind::Colon
            | TokenKind::Assign
            | TokenKind::Error(_) => format!("{:?}", self.text),
            _ => format!("<op:{}>", self.text),
        }
    }
}

fn describe_word(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if OPERATOR_WORDS.contains(&lower.as_str()) {
        format!("<op:{text}>")
    } else if KEYWORDS.contains(&lower.as_str()) {
        format!("<{text}>")
    } else if matches!(lower.as_str(), "start" | "end" | "step" | "range" | "min_of" | "max_of") {
        format!("{text:?}")
    } else if matches!(lower.as_str(), "inf" | "nan") {
        format!("number {text:?}")
    } else if AggregateOp::from_name(text).is_some() {
        format!("<aggr:{text}>")
    } else {
        format!("identifier {text:?}")
    }
}

fn abbreviate(text: &str) -> String {
    match text.char_indices().nth(10) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
