//! Random queries as trees, so that they can be printed and made smaller.

use std::fmt::{self, Display, Formatter};

/// Type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar,
    Vector,
    Matrix,
    String,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Number(String),
    String(String),
    Selector {
        name: String,
        matchers: Vec<String>,
        range: Option<String>,
        shift: Shift,
    },
    Subquery {
        inner: Box<Node>,
        range: String,
        step: Option<String>,
        shift: Shift,
    },
    Call {
        name: &'static str,
        returns: Kind,
        arguments: Vec<Node>,
    },
    Aggregate {
        op: &'static str,
        parameter: Option<Box<Node>>,
        grouping: Option<Grouping>,
        inner: Box<Node>,
    },
    Binary(Box<Binary>),
    Negative(Box<Node>),
    /// Anything, perhaps no query at all.
    Text(String),
}

/// `by (…)` or `without (…)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grouping {
    pub(crate) without: bool,
    pub(crate) labels: Vec<&'static str>,
}

/// A binary expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Binary {
    pub(crate) op: &'static str,
    pub(crate) is_bool: bool,
    /// `on (job) group_left ()` and the like.
    pub(crate) matching: Option<String>,
    /// Written without parentheses around it: precedence decides.
    pub(crate) bare: bool,
    pub(crate) left: Node,
    pub(crate) right: Node,
}

/// `offset` and `@`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shift {
    pub(crate) offset: Option<&'static str>,
    pub(crate) at: Option<String>,
}

impl Node {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Number(_) => Kind::Scalar,
            Self::String(_) => Kind::String,
            Self::Selector { range, .. } => {
                if range.is_some() {
                    Kind::Matrix
                } else {
                    Kind::Vector
                }
            }
            Self::Subquery { .. } => Kind::Matrix,
            Self::Call { returns, .. } => *returns,
            Self::Aggregate { .. } | Self::Text(_) => Kind::Vector,
            Self::Binary(binary) => match (binary.left.kind(), binary.right.kind()) {
                (Kind::Scalar, Kind::Scalar) => Kind::Scalar,
                _ => Kind::Vector,
            },
            Self::Negative(inner) => inner.kind(),
        }
    }

    /// The expressions directly below.
    pub(crate) fn children(&self) -> Vec<&Node> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Selector { .. } | Self::Text(_) => Vec::new(),
            Self::Subquery { inner, .. } | Self::Negative(inner) => vec![inner],
            Self::Call { arguments, .. } => arguments.iter().collect(),
            Self::Aggregate { parameter, inner, .. } => {
                parameter.iter().map(AsRef::as_ref).chain([inner.as_ref()]).collect()
            }
            Self::Binary(binary) => vec![&binary.left, &binary.right],
        }
    }

    /// The same, changeable.
    pub(crate) fn children_mut(&mut self) -> Vec<&mut Node> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Selector { .. } | Self::Text(_) => Vec::new(),
            Self::Subquery { inner, .. } | Self::Negative(inner) => vec![inner],
            Self::Call { arguments, .. } => arguments.iter_mut().collect(),
            Self::Aggregate { parameter, inner, .. } => {
                parameter.iter_mut().map(AsMut::as_mut).chain([inner.as_mut()]).collect()
            }
            Self::Binary(binary) => {
                let Binary { left, right, .. } = binary.as_mut();
                vec![left, right]
            }
        }
    }

    /// Number of expressions in the tree.
    pub(crate) fn size(&self) -> usize {
        1 + self.children().into_iter().map(Node::size).sum::<usize>()
    }

    /// Whether this or an expression below passes.
    pub(crate) fn any(&self, passes: &dyn Fn(&Node) -> bool) -> bool {
        passes(self) || self.children().into_iter().any(|child| child.any(passes))
    }

    /// Whether it calls or aggregates with one of these.
    pub(crate) fn uses(&self, names: &[&str]) -> bool {
        self.any(&|node| match node {
            Self::Call { name, .. } => names.contains(name),
            Self::Aggregate { op, .. } => names.contains(op),
            _ => false,
        })
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(text) => f.write_str(text),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Selector { name, matchers, range, shift } => {
                f.write_str(name)?;
                if !matchers.is_empty() {
                    write!(f, "{{{}}}", matchers.join(","))?;
                }
                if let Some(range) = range {
                    write!(f, "[{range}]")?;
                }
                shift.fmt(f)
            }
            Self::Subquery { inner, range, step, shift } => {
                write!(f, "({inner})[{range}:{}]", step.as_deref().unwrap_or_default())?;
                shift.fmt(f)
            }
            Self::Call { name, arguments, .. } => {
                let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
                write!(f, "{name}({})", arguments.join(", "))
            }
            Self::Aggregate { op, parameter, grouping, inner } => {
                f.write_str(op)?;
                if let Some(Grouping { without, labels }) = grouping {
                    let word = if *without { "without" } else { "by" };
                    write!(f, " {word} ({})", labels.join(", "))?;
                }
                match parameter {
                    Some(parameter) => write!(f, " ({parameter}, {inner})"),
                    None => write!(f, " ({inner})"),
                }
            }
            Self::Binary(binary) => binary.fmt(f),
            Self::Negative(inner) => write!(f, "-({inner})"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bool = if self.is_bool { " bool" } else { "" };
        let matching = self.matching.as_ref().map_or(String::new(), |matching| format!(" {matching}"));
        let text = format!("{} {}{bool}{matching} {}", self.left, self.op, self.right);
        if self.bare { f.write_str(&text) } else { write!(f, "({text})") }
    }
}

impl Display for Shift {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.offset {
            write!(f, " offset {offset}")?;
        }
        if let Some(at) = &self.at {
            write!(f, " @ {at}")?;
        }
        Ok(())
    }
}
