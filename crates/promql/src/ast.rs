//! The expression tree.
//!
//! ```text
//! Expr { kind, span }          span: bytes [start, end) of the text, and the line and column of `start`
//! ```
//! - Every node knows where it was written, so that errors and annotations can point at it.
//! - Two expressions are equal when they read the same: spans do not count.
//! - String literals are bytes: `"\xff"` is legal PromQL.

use model::Matcher;

use crate::functions::Signature;

/// Where something was written: bytes `[start, end)`; `line` and `column` are those of `start`, counted from 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
    pub line: u32,
    pub column: u32,
}

impl Span {
    /// From the start of `self` to the end of `other`.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { end: other.end.max(self.end), ..self }
    }
}

/// One node and where it was written.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// The kinds of nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `as_duration` when written like `5m` and not like `300`.
    Number {
        value: f64,
        as_duration: bool,
    },
    String(Vec<u8>),
    Paren(Box<Expr>),
    /// `-expr`; `+expr` when `negative` is false.
    Unary {
        negative: bool,
        expr: Box<Expr>,
    },
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Call),
    Selector(Selector),
    Subquery(Box<Subquery>),
}

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Scalar,
    String,
    Vector,
    Matrix,
}

impl ValueType {
    /// The words of error messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    /// `</`, of native histograms.
    TrimUpper,
    /// `>/`, of native histograms.
    TrimLower,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Atan2,
    Pow,
}

impl BinaryOp {
    /// PromQL's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Unless => "unless",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Atan2 => "atan2",
            Self::Pow => "^",
        }
    }

    /// Binding power: a higher one binds tighter.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal | Self::NotEqual | Self::Greater | Self::Less => 3,
            Self::GreaterEqual | Self::LessEqual | Self::TrimUpper | Self::TrimLower => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
        }
    }

    /// `and`, `or`, `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }

    /// `==` and its siblings: those that take `bool`.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal | Self::NotEqual | Self::Greater | Self::Less | Self::GreaterEqual | Self::LessEqual
        )
    }

    /// `</` and `>/`.
    pub fn is_trim(self) -> bool {
        matches!(self, Self::TrimUpper | Self::TrimLower)
    }
}

/// `left op right`.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub left: Expr,
    pub right: Expr,
    /// `bool`: comparisons answer 0 or 1.
    pub returns_bool: bool,
    pub matching: VectorMatching,
}

/// How many series of one side meet one of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
}

/// How series of two vectors find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorMatching {
    /// `on` (true) or `ignoring` (false).
    pub on: bool,
    /// Whether `on` or `ignoring` was written.
    pub explicit: bool,
    pub labels: Vec<String>,
    pub cardinality: Cardinality,
    /// Labels copied from the "one" side.
    pub include: Vec<String>,
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

/// Aggregation operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    const ALL: [Self; 14] = [
        Self::Sum,
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::Count,
        Self::Group,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::Quantile,
        Self::CountValues,
        Self::Limitk,
        Self::LimitRatio,
    ];

    /// PromQL's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::Quantile => "quantile",
            Self::CountValues => "count_values",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// By its name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(name))
    }

    /// What its first argument must be, if it takes two.
    pub fn parameter(self) -> Option<ValueType> {
        match self {
            Self::CountValues => Some(ValueType::String),
            Self::Topk | Self::Bottomk | Self::Quantile | Self::Limitk | Self::LimitRatio => {
                Some(ValueType::Scalar)
            }
            _ => None,
        }
    }
}

/// `op by (labels) (parameter, expr)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub expr: Expr,
    pub parameter: Option<Expr>,
    pub labels: Vec<String>,
    pub without: bool,
}

/// `function(arguments)`.
#[derive(Clone, Debug)]
pub struct Call {
    pub function: &'static Signature,
    pub arguments: Vec<Expr>,
    pub span: Span,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name && self.arguments == other.arguments
    }
}

/// `name{matchers}[range] extension @ at offset offset`.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The name as written before the braces.
    pub name: Option<String>,
    /// All matchers, that of the name included.
    pub matchers: Vec<Matcher>,
    /// Set in range selectors.
    pub range: Option<DurationExpr>,
    pub shift: TimeShift,
    pub extension: Option<Extension>,
}

/// The order of matchers means nothing.
impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && (&self.range, &self.shift, self.extension) == (&other.range, &other.shift, other.extension)
            && self.matchers.len() == other.matchers.len()
            && self.matchers.iter().all(|matcher| other.matchers.contains(matcher))
            && other.matchers.iter().all(|matcher| self.matchers.contains(matcher))
    }
}

/// `expr[range:step] @ at offset offset`.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    pub expr: Expr,
    pub range: DurationExpr,
    pub step: Option<DurationExpr>,
    pub shift: TimeShift,
}

/// Where a selection looks instead of at the evaluation time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeShift {
    pub offset: Option<DurationExpr>,
    pub at: Option<At>,
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since the epoch.
    Time(i64),
    Start,
    End,
}

/// How the edges of a range are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    Anchored,
    Smoothed,
}

/// A duration that may have to be computed.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// Seconds; `as_duration` when written like `5m` and not like `300`.
    Literal {
        seconds: f64,
        as_duration: bool,
    },
    /// `step()`: the step of the query.
    Step,
    /// `range()`: end − start of the query.
    Range,
    Negate(Box<DurationExpr>),
    Paren(Box<DurationExpr>),
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `min_of(a, b)`.
    Min(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`.
    Max(Box<DurationExpr>, Box<DurationExpr>),
}

impl Expr {
    /// What it evaluates to.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number { .. } => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => expr.value_type(),
            ExprKind::Binary(binary) => binary.value_type(),
            ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Call(call) => call.function.returns,
            ExprKind::Selector(selector) if selector.range.is_some() => ValueType::Matrix,
            ExprKind::Selector(_) => ValueType::Vector,
            ExprKind::Subquery(_) => ValueType::Matrix,
        }
    }

    /// The expression inside any parentheses.
    pub fn unwrap_parens(&self) -> &Self {
        match &self.kind {
            ExprKind::Paren(expr) => expr.unwrap_parens(),
            _ => self,
        }
    }

    /// Calls `visit` for this node and all below it, parents first.
    pub fn walk<'e>(&'e self, visit: &mut dyn FnMut(&'e Self)) {
        visit(self);
        match &self.kind {
            ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Selector(_) => {}
            ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => expr.walk(visit),
            ExprKind::Binary(binary) => {
                binary.left.walk(visit);
                binary.right.walk(visit);
            }
            ExprKind::Aggregate(aggregate) => {
                if let Some(parameter) = &aggregate.parameter {
                    parameter.walk(visit);
                }
                aggregate.expr.walk(visit);
            }
            ExprKind::Call(call) => call.arguments.iter().for_each(|argument| argument.walk(visit)),
            ExprKind::Subquery(subquery) => subquery.expr.walk(visit),
        }
    }
}

impl Binary {
    fn value_type(&self) -> ValueType {
        let both = (self.left.value_type(), self.right.value_type());
        if both == (ValueType::Scalar, ValueType::Scalar) { ValueType::Scalar } else { ValueType::Vector }
    }
}

impl DurationExpr {
    /// Seconds, given the query's step and range in milliseconds.
    pub fn seconds(&self, step_ms: i64, range_ms: i64) -> f64 {
        let of = |expr: &Self| expr.seconds(step_ms, range_ms);
        match self {
            Self::Literal { seconds, .. } => *seconds,
            #[expect(clippy::cast_precision_loss, reason = "steps and ranges are far below 2^53 ms")]
            Self::Step => step_ms as f64 / 1e3,
            #[expect(clippy::cast_precision_loss, reason = "steps and ranges are far below 2^53 ms")]
            Self::Range => range_ms as f64 / 1e3,
            Self::Negate(expr) => -of(expr),
            Self::Paren(expr) => of(expr),
            Self::Binary(op, left, right) => match op {
                BinaryOp::Add => of(left) + of(right),
                BinaryOp::Sub => of(left) - of(right),
                BinaryOp::Mul => of(left) * of(right),
                BinaryOp::Div => of(left) / of(right),
                BinaryOp::Mod => of(left) % of(right),
                _ => of(left).powf(of(right)),
            },
            Self::Min(left, right) => of(left).min(of(right)),
            Self::Max(left, right) => of(left).max(of(right)),
        }
    }

    /// Whether it does not depend on the query's step and range.
    pub fn is_constant(&self) -> bool {
        match self {
            Self::Literal { .. } => true,
            Self::Step | Self::Range => false,
            Self::Negate(expr) | Self::Paren(expr) => expr.is_constant(),
            Self::Binary(_, left, right) | Self::Min(left, right) | Self::Max(left, right) => {
                left.is_constant() && right.is_constant()
            }
        }
    }
}
