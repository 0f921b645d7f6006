//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use settings::YamlError;

/// A configuration that can't be used. Lines and columns count from 1; 0 means the whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub file: PathBuf,
    pub line: u64,
    pub column: u64,
    pub message: String,
    /// The word that was probably meant.
    pub suggestion: Option<String>,
}

/// Something that was asked for and has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub file: PathBuf,
    /// 0: the whole file.
    pub line: u64,
    pub message: String,
}

impl ConfigError {
    pub(super) fn of_yaml(file: &Path, error: YamlError) -> Self {
        let YamlError { line, column, message, suggestion } = error;
        Self { file: file.to_owned(), line, column, message, suggestion }
    }

    pub(super) fn at(file: &Path, (line, column): (u64, u64), message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, column, message: message.into(), suggestion: None }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.suggestion {
            Some(word) => write!(f, " (did you mean {word:?}?)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)
    }
}
