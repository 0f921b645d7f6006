//! What can go wrong with a query.

use std::fmt;
use std::ops::Range;

use model::SourceError;

use crate::ast::Span;

/// Text that is not PromQL. Displays as `1:5: parse error: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, without the position.
    pub message: String,
    /// Bytes of the text that are to blame.
    pub span: Range<usize>,
    /// Line of `span.start`, from 1.
    pub line: u32,
    /// Byte column of `span.start`, from 1.
    pub column: u32,
}

impl ParseError {
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: span.start as usize..span.end as usize,
            line: span.line,
            column: span.column,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// A query without an answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is not PromQL.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The question can't be asked like this (step, range, too many points).
    #[error("{0}")]
    BadRequest(String),
    /// The evaluation failed; also limits and what is not supported yet.
    #[error("{0}")]
    Execution(String),
    /// It ran too long.
    #[error("query timed out: {0}")]
    Timeout(String),
    /// Someone set its cancel flag.
    #[error("query was canceled")]
    Canceled,
    /// The store did not answer.
    #[error(transparent)]
    Storage(#[from] SourceError),
}

/// Coarse kind of a [`QueryError`], in the words of the HTTP API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryErrorKind {
    BadData,
    Execution,
    Timeout,
    Canceled,
    Internal,
}

impl QueryErrorKind {
    /// The API's `errorType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Internal => "internal",
        }
    }
}

impl QueryError {
    /// Its coarse kind.
    pub fn kind(&self) -> QueryErrorKind {
        match self {
            Self::Parse(_) | Self::BadRequest(_) => QueryErrorKind::BadData,
            Self::Execution(_) | Self::Storage(SourceError::LimitExceeded(_)) => QueryErrorKind::Execution,
            Self::Timeout(_) => QueryErrorKind::Timeout,
            Self::Canceled => QueryErrorKind::Canceled,
            Self::Storage(_) => QueryErrorKind::Internal,
        }
    }
}
