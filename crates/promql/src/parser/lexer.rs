//! Text to tokens.
//!
//! ```text
//! statement ──{──▶ braces (names, strings, = != =~ !~) ──}──▶ statement
//!           ──[──▶ brackets (signs, functions of durations) ──number──▶ statement, until ']'
//! ```
//! Behind the first number in brackets a statement's tokens are known again, as in Prometheus: only words are not.
//! The first thing that is no token becomes an error token and ends the list.

use super::strings::scan_string;
use super::token::{Token, TokenKind};
use crate::ast::Span;

/// How messages write the end of the text, where they speak of a character.
const END: char = char::REPLACEMENT_CHARACTER;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Statement,
    Braces,
    /// Behind `[`, before the first number.
    Brackets,
}

/// Splits `text`; the last token is `End` or an error.
pub(crate) fn lex(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer {
        text,
        position: 0,
        mode: Mode::Statement,
        parens: 0,
        in_brackets: false,
        number_seen: false,
        colon_seen: false,
        blamed_from_behind: false,
    };
    let mut locator = Locator { text, position: 0, line: 1, line_start: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let start = lexer.position;
        let kind = lexer.next_kind();
        // A text that can't be read is to blame up to its end, some tokens at the wrong place from behind them, as in
        // Prometheus.
        let is_error = matches!(kind, TokenKind::Error(_));
        let end = if is_error { text.len() } else { lexer.position };
        let span = locator.span(if lexer.blamed_from_behind { lexer.position } else { start }, end);
        let last = matches!(kind, TokenKind::End | TokenKind::Error(_));
        tokens.push(Token { kind, text: &text[start..lexer.position], span });
        if last {
            return tokens;
        }
    }
}

/// Finds lines and columns of ascending positions.
struct Locator<'t> {
    text: &'t str,
    position: usize,
    line: u32,
    line_start: usize,
}

impl Locator<'_> {
    fn span(&mut self, start: usize, end: usize) -> Span {
        for (offset, byte) in self.text.as_bytes()[self.position..start].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = self.position + offset + 1;
            }
        }
        self.position = start;
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            start: narrow(start),
            end: narrow(end),
            line: self.line,
            column: narrow(start - self.line_start + 1),
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    position: usize,
    mode: Mode,
    parens: u32,
    in_brackets: bool,
    /// Any brackets of the text held a number: without one there is no subquery, as in Prometheus.
    number_seen: bool,
    colon_seen: bool,
    /// The error that was just found begins where its token ends.
    blamed_from_behind: bool,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.position..].chars().next()
    }

    fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.position..]
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn accept(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|next| wanted.contains(next));
        if found {
            self.position += 1;
        }
        found
    }

    fn skip_blank(&mut self) {
        while let Some(next) = self.peek() {
            if next == '#' && self.mode != Mode::Brackets {
                self.position =
                    self.text[self.position..].find('\n').map_or(self.text.len(), |at| self.position + at);
            } else if matches!(next, ' ' | '\t' | '\n' | '\r') {
                self.position += 1;
            } else {
                return;
            }
        }
    }

    fn next_kind(&mut self) -> TokenKind {
        match self.mode {
            Mode::Statement => self.statement(),
            Mode::Braces => self.braces(),
            Mode::Brackets => self.brackets(),
        }
    }

    fn statement(&mut self) -> TokenKind {
        let Some(next) = self.peek() else {
            return match (self.parens, self.in_brackets) {
                (0, false) => TokenKind::End,
                (0, true) => error("unclosed left bracket"),
                _ => error("unclosed left parenthesis"),
            };
        };
        match next {
            '0'..='9' => return self.number_or_duration(),
            '.' if self.rest().get(1).is_some_and(u8::is_ascii_digit) => return self.number_or_duration(),
            '"' | '\'' | '`' => return self.string(),
            ':' if self.in_brackets => return self.colon(),
            'a'..='z' | 'A'..='Z' | '_' if self.in_brackets => {
                return self
                    .duration_word()
                    .unwrap_or_else(|| error(format!("unexpected character: {next:?}, expected ':'")));
            }
            'a'..='z' | 'A'..='Z' | '_' | ':' => return self.identifier(),
            _ => {}
        }
        self.bump();
        match next {
            ',' => TokenKind::Comma,
            '(' | ')' => self.paren(next),
            '{' => {
                self.mode = Mode::Braces;
                TokenKind::LeftBrace
            }
            '[' if self.in_brackets => error("unexpected left bracket '['"),
            '[' => {
                self.mode = Mode::Brackets;
                self.in_brackets = true;
                self.colon_seen = false;
                TokenKind::LeftBracket
            }
            ']' if self.in_brackets => {
                self.in_brackets = false;
                TokenKind::RightBracket
            }
            ']' => error("unexpected right bracket ']'"),
            '@' => TokenKind::At,
            other => self.operator(other),
        }
    }

    /// `paren` is taken already.
    fn paren(&mut self, paren: char) -> TokenKind {
        if paren == '(' {
            self.parens += 1;
            return TokenKind::LeftParen;
        }
        if self.parens == 0 {
            self.blamed_from_behind = true;
            return error("unexpected right parenthesis ')'");
        }
        self.parens -= 1;
        TokenKind::RightParen
    }

    /// The colon of a subquery, which has one.
    fn colon(&mut self) -> TokenKind {
        if self.colon_seen {
            return error("unexpected colon ':'");
        }
        self.bump();
        self.colon_seen = true;
        TokenKind::Colon
    }

    /// `first` is taken already.
    fn operator(&mut self, first: char) -> TokenKind {
        match first {
            '+' => TokenKind::Plus,
            '-' => TokenKind::Minus,
            '*' => TokenKind::Star,
            '/' => TokenKind::Slash,
            '%' => TokenKind::Percent,
            '^' => TokenKind::Caret,
            '<' if self.accept("=") => TokenKind::LessEqual,
            '<' if self.accept("/") => TokenKind::TrimUpper,
            '<' => TokenKind::Less,
            '>' if self.accept("=") => TokenKind::GreaterEqual,
            '>' if self.accept("/") => TokenKind::TrimLower,
            '>' => TokenKind::Greater,
            '=' if self.accept("=") => TokenKind::EqualEqual,
            '!' if self.accept("=") => TokenKind::NotEqual,
            '=' if self.peek() == Some('~') => error("unexpected character after '=': '~'"),
            '=' => TokenKind::Assign,
            '!' => error(format!("unexpected character after '!': {:?}", self.peek().unwrap_or(END))),
            other => error(format!("unexpected character: {other:?}")),
        }
    }

    fn braces(&mut self) -> TokenKind {
        let Some(next) = self.peek() else { return error("unexpected end of input inside braces") };
        match next {
            '"' | '\'' | '`' => return self.string(),
            'a'..='z' | 'A'..='Z' | '_' => return self.label_name(),
            _ => {}
        }
        self.bump();
        match next {
            '}' => {
                self.mode = Mode::Statement;
                TokenKind::RightBrace
            }
            ',' => TokenKind::Comma,
            '=' if self.accept("~") => TokenKind::EqualRegex,
            '=' => TokenKind::Assign,
            '!' if self.accept("~") => TokenKind::NotEqualRegex,
            '!' if self.accept("=") => TokenKind::NotEqual,
            '!' => error(format!(
                "unexpected character after '!' inside braces: {:?}",
                self.peek().unwrap_or(END)
            )),
            '{' => error("unexpected left brace '{'"),
            other => error(format!("unexpected character inside braces: {other:?}")),
        }
    }

    fn brackets(&mut self) -> TokenKind {
        let Some(next) = self.peek() else { return error("unexpected end of input in duration expression") };
        let misplaced =
            || error(format!("unexpected character in duration expression: {}", quote_char(next)));
        match next {
            '.' if !self.rest().get(1).is_some_and(u8::is_ascii_digit) => return misplaced(),
            '0'..='9' | '.' => {
                self.mode = Mode::Statement;
                self.number_seen = true;
                return self.number_or_duration();
            }
            'a'..='z' | 'A'..='Z' | '_' => return self.duration_word().unwrap_or_else(misplaced),
            _ => {}
        }
        self.bump();
        match next {
            ']' => {
                self.mode = Mode::Statement;
                self.in_brackets = false;
                TokenKind::RightBracket
            }
            ':' if !self.number_seen => {
                self.blamed_from_behind = true;
                error("unexpected colon before duration in duration expression")
            }
            ':' if self.colon_seen => {
                self.blamed_from_behind = true;
                error("unexpected repeated colon in duration expression")
            }
            ':' => {
                self.colon_seen = true;
                TokenKind::Colon
            }
            '(' | ')' => self.paren(next),
            ',' => TokenKind::Comma,
            '+' | '-' | '*' | '/' | '%' | '^' => self.operator(next),
            _ => misplaced(),
        }
    }

    /// `step`, `range`, `min_of`, `max_of`: the words of durations.
    fn duration_word(&mut self) -> Option<TokenKind> {
        let is_letter = |next: &u8| next.is_ascii_alphabetic() || *next == b'_';
        let length = self.rest().iter().take_while(|next| is_letter(next)).count();
        let end = self.position + length;
        let word = self.text[self.position..end].to_ascii_lowercase();
        self.position = end;
        matches!(word.as_str(), "step" | "range" | "min_of" | "max_of").then_some(TokenKind::Identifier)
    }

    /// In braces there are no keywords.
    fn label_name(&mut self) -> TokenKind {
        while self.peek().is_some_and(is_word_char) {
            self.position += 1;
        }
        TokenKind::LabelName
    }

    fn identifier(&mut self) -> TokenKind {
        let start = self.position;
        while self.peek().is_some_and(|next| is_word_char(next) || next == ':') {
            self.position += 1;
        }
        if self.text[start..self.position].contains(':') {
            TokenKind::MetricIdentifier
        } else {
            TokenKind::Identifier
        }
    }

    fn string(&mut self) -> TokenKind {
        match scan_string(&self.text[self.position..]) {
            Ok((value, length)) => {
                self.position += length;
                TokenKind::String(value)
            }
            Err((message, length)) => {
                self.position += length;
                error(message)
            }
        }
    }

    fn number_or_duration(&mut self) -> TokenKind {
        let start = self.position;
        if self.scan_number() {
            return TokenKind::Number;
        }
        if self.scan_rest_of_duration() {
            return TokenKind::Duration;
        }
        error(format!("bad number or duration syntax: {:?}", &self.text[start..self.position]))
    }

    /// `0x1f`, `1_000`, `.5`, `5.`, `1e-3`; false when what follows spoils it.
    fn scan_number(&mut self) -> bool {
        let hex = self.rest().len() > 2 && self.rest()[0] == b'0' && matches!(self.rest()[1], b'x' | b'X');
        if hex {
            self.position += 2;
        }
        let is_digit = |byte: u8| if hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
        let (mut dot_seen, mut exponent_seen) = (false, false);
        while let Some(byte) = self.rest().first().copied() {
            match byte {
                _ if is_digit(byte) => self.position += 1,
                b'.' => {
                    self.position += 1;
                    if dot_seen || hex || self.accept("_.") {
                        return false;
                    }
                    dot_seen = true;
                }
                b'e' | b'E' => {
                    self.position += 1;
                    if exponent_seen {
                        return false;
                    }
                    exponent_seen = true;
                    self.accept("+-");
                    if self.accept("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                b'_' => {
                    self.position += 1;
                    if self.accept("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                _ => break,
            }
        }
        !self.peek().is_some_and(is_word_char)
    }

    /// After the leading digits: a unit, then more digits and units.
    fn scan_rest_of_duration(&mut self) -> bool {
        if !self.accept("smhdwy") {
            return false;
        }
        self.accept("s");
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            while self.peek().is_some_and(|next| next.is_ascii_digit()) {
                self.position += 1;
            }
            if !self.accept("smhdw") {
                return false;
            }
            self.accept("s");
        }
        // The letter that spoils it is part of the message.
        let is_spoilt = self.peek().is_some_and(is_word_char);
        if is_spoilt {
            self.bump();
        }
        !is_spoilt
    }
}

fn is_word_char(next: char) -> bool {
    next.is_ascii_alphanumeric() || next == '_'
}

fn quote_char(character: char) -> String {
    if character == '"' { "'\"'".to_owned() } else { format!("{character:?}") }
}

fn error(message: impl Into<String>) -> TokenKind {
    TokenKind::Error(message.into())
}
