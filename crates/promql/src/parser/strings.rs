//! String literals: `"…"` and `'…'` with escapes, `` `…` `` without. Also how bytes are written back.

use std::fmt::Write as _;

/// Reads the literal at the start of `text`. Gives its bytes and its length in the text, or a message and the
/// length of what was read.
pub(crate) fn scan_string(text: &str) -> Result<(Vec<u8>, usize), (String, usize)> {
    let quote = text.as_bytes()[0];
    if quote == b'`' {
        return match text[1..].find('`') {
            Some(end) => Ok((text.as_bytes()[1..=end].to_vec(), end + 2)),
            None => Err(("unterminated raw string".to_owned(), text.len())),
        };
    }
    let mut value = Vec::new();
    let mut position = 1;
    loop {
        let rest = &text[position..];
        let Some(next) = rest.chars().next() else {
            return Err(("unterminated quoted string".to_owned(), text.len()));
        };
        match next {
            '\n' => return Err(("unterminated quoted string".to_owned(), text.len())),
            '\\' => {
                position += 1 + escape(&text[position + 1..], quote, &mut value)
                    .map_err(|(message, length)| (message, (position + 1 + length).min(text.len())))?;
            }
            _ if next == char::from(quote) => return Ok((value, position + 1)),
            _ => {
                value.extend_from_slice(&rest.as_bytes()[..next.len_utf8()]);
                position += next.len_utf8();
            }
        }
    }
}

/// Resolves one escape (what follows the backslash); gives its length.
fn escape(rest: &str, quote: u8, out: &mut Vec<u8>) -> Result<usize, (String, usize)> {
    let unterminated = || ("escape sequence not terminated".to_owned(), rest.len());
    let first = rest.chars().next().ok_or_else(unterminated)?;
    let simple = match first {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        _ if first == char::from(quote) => quote,
        '0'..='7' => return numeric(rest, 0, 3, 8, out),
        'x' => return numeric(rest, 1, 2, 16, out),
        'u' => return numeric(rest, 1, 4, 16, out),
        'U' => return numeric(rest, 1, 8, 16, out),
        other => {
            let message = format!("unknown escape sequence U+{:04X} {other:?}", u32::from(other));
            return Err((message, other.len_utf8()));
        }
    };
    out.push(simple);
    Ok(1)
}

/// `digits` digits of `base` after `skip` characters.
fn numeric(
    rest: &str,
    skip: usize,
    digits: usize,
    base: u32,
    out: &mut Vec<u8>,
) -> Result<usize, (String, usize)> {
    let mut value: u32 = 0;
    for index in skip..skip + digits {
        let Some(character) = rest[index..].chars().next() else {
            return Err(("escape sequence not terminated".to_owned(), rest.len()));
        };
        let Some(digit) = character.to_digit(base) else {
            let message =
                format!("illegal character U+{:04X} {character:?} in escape sequence", u32::from(character));
            return Err((message, index + character.len_utf8()));
        };
        value = value.wrapping_mul(base).wrapping_add(digit);
    }
    let end = skip + digits;
    if digits <= 3 {
        match u8::try_from(value) {
            Ok(byte) => out.push(byte),
            Err(_) => return Err(("escape sequence is an invalid Unicode code point".to_owned(), end)),
        }
    } else {
        let Some(character) = char::from_u32(value) else {
            return Err(("escape sequence is an invalid Unicode code point".to_owned(), end));
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(end)
}

/// The literal in double quotes that reads back as `bytes`.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            quote_char(character, &mut out);
        }
        for byte in chunk.invalid() {
            push(&mut out, format_args!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

fn quote_char(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\u{b}' => out.push_str("\\v"),
        control if u32::from(control) < 0x20 || control == '\u{7f}' => {
            push(out, format_args!("\\x{:02x}", u32::from(control)));
        }
        other => out.push(other),
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "BUG: writing to a string cannot fail");
}
