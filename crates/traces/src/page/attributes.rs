//! Attributes as one typed column per key.
//!
//! ```text
//! attributes := columns: count (key code | tag u8)*        a key with values of two types has two columns
//!             | shapes:  count (n | column index*)*        the keys of one row, in their order
//!             | column(shape index per row)
//!             | column(values) per column                  arrays, maps: length-prefixed
//! ```
//! Spans of one operation have the same keys, so a row costs one small number beside its values, and a search for
//! a key touches that key's columns alone.

use std::collections::{HashMap, VecDeque};

use codec::{Cursor, put_bytes, put_varint};
use model::{AttributeValue, Attributes};

use super::PageError;
use super::filter::Condition;
use super::strings::{Strings, StringsWriter, read_code};
use super::values::{self, put_value, read_count, read_value, skip_value};

#[derive(Default)]
pub(super) struct AttributesWriter {
    columns: HashMap<(u32, u8), u32, foldhash::fast::RandomState>,
    data: Vec<Column>,
    shapes: HashMap<Vec<u32>, u32, foldhash::fast::RandomState>,
    shape_bytes: Vec<u8>,
    rows: Vec<u8>,
    /// Column indexes of the row at hand.
    shape: Vec<u32>,
    nested: Vec<u8>,
}

struct Column {
    key: u32,
    tag: u8,
    values: Vec<u8>,
}

impl AttributesWriter {
    pub(super) fn push<'a>(&mut self, strings: &mut StringsWriter<'a>, attributes: &'a Attributes) {
        self.shape.clear();
        for (key, value) in attributes {
            let column = self.column(strings.code(key), values::tag(value));
            self.shape.push(column);
            self.put(strings, column, value);
        }
        let shape = match self.shapes.get(self.shape.as_slice()) {
            Some(shape) => *shape,
            None => self.add_shape(),
        };
        put_varint(&mut self.rows, u64::from(shape));
    }

    fn column(&mut self, key: u32, tag: u8) -> u32 {
        let next = self.data.len() as u32;
        let column = *self.columns.entry((key, tag)).or_insert(next);
        if column == next {
            self.data.push(Column { key, tag, values: Vec::new() });
        }
        column
    }

    fn put<'a>(&mut self, strings: &mut StringsWriter<'a>, column: u32, value: &'a AttributeValue) {
        let Some(column) = self.data.get_mut(column as usize) else { return };
        if matches!(column.tag, values::ARRAY | values::MAP) {
            self.nested.clear();
            put_value(&mut self.nested, strings, value);
            put_bytes(&mut column.values, &self.nested);
        } else {
            put_value(&mut column.values, strings, value);
        }
    }

    fn add_shape(&mut self) -> u32 {
        let index = self.shapes.len() as u32;
        put_varint(&mut self.shape_bytes, self.shape.len() as u64);
        for column in &self.shape {
            put_varint(&mut self.shape_bytes, u64::from(*column));
        }
        self.shapes.insert(self.shape.clone(), index);
        index
    }

    pub(super) fn finish(&self, out: &mut Vec<u8>) {
        put_varint(out, self.data.len() as u64);
        for column in &self.data {
            put_varint(out, u64::from(column.key));
            out.push(column.tag);
        }
        put_varint(out, self.shapes.len() as u64);
        out.extend_from_slice(&self.shape_bytes);
        put_bytes(out, &self.rows);
        for column in &self.data {
            put_bytes(out, &column.values);
        }
    }
}

/// Reads rows in order.
pub(super) struct AttributesReader<'a> {
    columns: Vec<ColumnReader<'a>>,
    shapes: Vec<Vec<u32>>,
    rows: Cursor<'a>,
}

struct ColumnReader<'a> {
    key: u32,
    tag: u8,
    values: Cursor<'a>,
}

impl<'a> AttributesReader<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, PageError> {
        let count = read_count(cursor)?;
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            columns.push(ColumnReader {
                key: read_code(cursor)?,
                tag: cursor.u8()?,
                values: Cursor::new(&[]),
            });
        }
        let count = read_count(cursor)?;
        let mut shapes = Vec::with_capacity(count);
        for _ in 0..count {
            let keys = read_count(cursor)?;
            let shape: Result<Vec<u32>, PageError> = (0..keys).map(|_| read_code(cursor)).collect();
            shapes.push(shape?);
        }
        if shapes.iter().flatten().any(|column| *column as usize >= columns.len()) {
            return Err(PageError::Invalid("column index out of range"));
        }
        let rows = Cursor::new(cursor.bytes()?);
        for column in &mut columns {
            column.values = Cursor::new(cursor.bytes()?);
        }
        Ok(Self { columns, shapes, rows })
    }

    /// Attributes of the next row.
    pub(super) fn next(&mut self, strings: &mut Strings<'_>) -> Result<Attributes, PageError> {
        let shape = next_shape(&mut self.rows, &self.shapes)?;
        let mut attributes = Vec::with_capacity(shape.len());
        for index in shape {
            let column = column(&mut self.columns, *index)?;
            attributes.push((strings.shared(column.key)?, column.next(strings)?));
        }
        Ok(attributes)
    }

    /// Steps over the next row.
    pub(super) fn skip(&mut self) -> Result<(), PageError> {
        for index in next_shape(&mut self.rows, &self.shapes)? {
            let column = column(&mut self.columns, *index)?;
            skip_value(&mut column.values, column.tag)?;
        }
        Ok(())
    }
}

impl AttributesReader<'_> {
    /// Marks the rows with an attribute that meets the condition. Consumes the rows.
    pub(super) fn mark(
        &mut self,
        condition: &Condition<'_>,
        strings: &mut Strings<'_>,
        hits: &mut [bool],
    ) -> Result<(), PageError> {
        let mut matches: Vec<Matches> = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            let has_key = Some(column.key) == condition.key_code;
            matches.push(if has_key { column.matches(condition, strings)? } else { Matches::None });
        }
        if matches.iter().all(|column| matches!(column, Matches::None)) {
            return Ok(());
        }
        for hit in hits {
            for index in next_shape(&mut self.rows, &self.shapes)? {
                *hit |= matches.get_mut(*index as usize).is_some_and(Matches::next);
            }
        }
        Ok(())
    }
}

/// Which values of a column meet a condition, in order.
enum Matches {
    None,
    All,
    Some(VecDeque<bool>),
}

impl Matches {
    fn next(&mut self) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(values) => values.pop_front().unwrap_or(false),
        }
    }
}

impl ColumnReader<'_> {
    fn matches(
        &mut self,
        condition: &Condition<'_>,
        strings: &mut Strings<'_>,
    ) -> Result<Matches, PageError> {
        if self.tag == values::EMPTY {
            return Ok(if condition.text.is_empty() { Matches::All } else { Matches::None });
        }
        let mut matches = VecDeque::new();
        // Only the canonical spelling of a number reads as it.
        let number = condition.text.parse::<i64>().ok().filter(|number| number.to_string() == condition.text);
        while !self.values.is_empty() {
            matches.push_back(match self.tag {
                values::STRING => Some(read_code(&mut self.values)?) == condition.text_code,
                values::INT => Some(self.values.signed_varint()?) == number,
                _ => condition.accepts(&self.next(strings)?),
            });
        }
        Ok(if matches.contains(&true) { Matches::Some(matches) } else { Matches::None })
    }

    fn next(&mut self, strings: &mut Strings<'_>) -> Result<AttributeValue, PageError> {
        if matches!(self.tag, values::ARRAY | values::MAP) {
            let mut nested = Cursor::new(self.values.bytes()?);
            return read_value(&mut nested, strings, self.tag, 1);
        }
        read_value(&mut self.values, strings, self.tag, 1)
    }
}

fn next_shape<'s>(rows: &mut Cursor<'_>, shapes: &'s [Vec<u32>]) -> Result<&'s [u32], PageError> {
    let shape = shapes.get(read_code(rows)? as usize);
    shape.map(Vec::as_slice).ok_or(PageError::Invalid("shape index out of range"))
}

fn column<'c, 'a>(
    columns: &'c mut [ColumnReader<'a>],
    index: u32,
) -> Result<&'c mut ColumnReader<'a>, PageError> {
    columns.get_mut(index as usize).ok_or(PageError::Invalid("column index out of range"))
}
