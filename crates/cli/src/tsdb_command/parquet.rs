//! A Parquet file of samples: one row a sample.
//!
//! ```text
//! file   := "PAR1" | row group* | metadata | its length u32 | "PAR1"             row group := page of each column
//! page   := header (Thrift) | zstd of the values in PLAIN encoding
//! schema := metric string | labels string (a JSON object of the others) | timestamp int64 (ms, UTC) | value double
//! ```
//! It writes what this table needs and no more: required columns, one page per column and row group, no dictionaries, as
//! zstd makes short work of repeated labels. Format: <https://github.com/apache/parquet-format>.

use std::io::{self, Write};

use codec::{put_bytes, put_varint, zigzag};
use model::{LabelSet, METRIC_NAME, SampleColumns};

const MAGIC: &[u8; 4] = b"PAR1";
/// Rows of a group: what is collected before it is written.
const ROWS_MAX: usize = 1 << 17;
const ZSTD_LEVEL: i32 = 3;

// Parquet's numbers for its own words.
const INT64: i64 = 2;
const DOUBLE: i64 = 5;
const BYTE_ARRAY: i64 = 6;
const UTF8: i64 = 0;
const TIMESTAMP_MILLIS: i64 = 9;
const PLAIN: i64 = 0;
const RLE: i64 = 3;
const ZSTD: i64 = 6;

/// Name, physical type, converted type.
const SCHEMA: [(&str, i64, Option<i64>); 4] = [
    ("metric", BYTE_ARRAY, Some(UTF8)),
    ("labels", BYTE_ARRAY, Some(UTF8)),
    ("timestamp", INT64, Some(TIMESTAMP_MILLIS)),
    ("value", DOUBLE, None),
];

/// Writes a file from its start to its end.
pub(super) struct Writer<W> {
    out: W,
    offset: u64,
    /// Values of the group at hand, by column.
    columns: [Vec<u8>; SCHEMA.len()],
    rows: usize,
    rows_written: u64,
    groups: Vec<Group>,
}

struct Group {
    rows: u64,
    pages: Vec<Page>,
}

struct Page {
    offset: u64,
    /// Lengths with the header.
    raw_bytes: u64,
    bytes: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let offset = MAGIC.len() as u64;
        Ok(Self { out, offset, columns: Default::default(), rows: 0, rows_written: 0, groups: Vec::new() })
    }

    /// Adds the floats of a series.
    pub(super) fn push(&mut self, labels: &LabelSet, samples: &SampleColumns) -> io::Result<()> {
        let others = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
        let others: serde_json::Map<String, serde_json::Value> =
            others.map(|(name, value)| (name.to_owned(), value.into())).collect();
        let others = serde_json::Value::Object(others).to_string();
        for (ts_ms, value) in samples.ts_ms.iter().zip(&samples.values) {
            let [metric, label, timestamp, number] = &mut self.columns;
            put_text(metric, labels.metric_name());
            put_text(label, &others);
            timestamp.extend_from_slice(&ts_ms.to_le_bytes());
            number.extend_from_slice(&value.to_bits().to_le_bytes());
            self.rows += 1;
            if self.rows == ROWS_MAX {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Writes what is left and the metadata.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.end_group()?;
        }
        let metadata = self.metadata();
        self.out.write_all(&metadata)?;
        let length = u32::try_from(metadata.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(MAGIC)?;
        self.out.flush()
    }

    fn end_group(&mut self) -> io::Result<()> {
        let mut pages = Vec::new();
        for column in &mut self.columns {
            let compressed = zstd::bulk::compress(column, ZSTD_LEVEL)?;
            let header = page_header(self.rows, column.len(), compressed.len());
            self.out.write_all(&header)?;
            self.out.write_all(&compressed)?;
            let page = Page {
                offset: self.offset,
                raw_bytes: (header.len() + column.len()) as u64,
                bytes: (header.len() + compressed.len()) as u64,
            };
            self.offset += page.bytes;
            pages.push(page);
            column.clear();
        }
        self.groups.push(Group { rows: self.rows as u64, pages });
        self.rows_written += self.rows as u64;
        self.rows = 0;
        Ok(())
    }

    fn metadata(&self) -> Vec<u8> {
        let mut out = Struct::default();
        out.int(1, 1);
        out.list(2, STRUCT, SCHEMA.len() + 1, |out| {
            let mut root = Struct::default();
            root.bytes(4, b"samples");
            root.int(5, SCHEMA.len() as i64);
            out.extend_from_slice(&root.end());
            for (name, physical, converted) in SCHEMA {
                let mut column = Struct::default();
                column.int(1, physical);
                // Required.
                column.int(3, 0);
                column.bytes(4, name.as_bytes());
                if let Some(converted) = converted {
                    column.int(6, converted);
                }
                out.extend_from_slice(&column.end());
            }
        });
        out.long(3, self.rows_written);
        out.list(4, STRUCT, self.groups.len(), |out| {
            self.groups.iter().for_each(|group| out.extend_from_slice(&row_group(group)));
        });
        out.bytes(6, b"eino");
        out.end()
    }
}

/// PLAIN byte array: length u32, bytes. Label values are far below 4 GiB.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn page_header(rows: usize, raw_bytes: usize, bytes: usize) -> Vec<u8> {
    let mut data = Struct::default();
    data.int(1, rows as i64);
    data.int(2, PLAIN);
    data.int(3, RLE);
    data.int(4, RLE);
    let mut header = Struct::default();
    header.int(1, 0);
    header.int(2, raw_bytes as i64);
    header.int(3, bytes as i64);
    header.nested(5, &data.end());
    header.end()
}

fn row_group(group: &Group) -> Vec<u8> {
    let mut out = Struct::default();
    out.list(1, STRUCT, group.pages.len(), |out| {
        for (page, (name, physical, _)) in group.pages.iter().zip(SCHEMA) {
            let mut meta = Struct::default();
            meta.int(1, physical);
            meta.list(2, INT, 1, |out| put_varint(out, zigzag(PLAIN)));
            meta.list(3, BYTES, 1, |out| put_bytes(out, name.as_bytes()));
            meta.int(4, ZSTD);
            meta.long(5, group.rows);
            meta.long(6, page.raw_bytes);
            meta.long(7, page.bytes);
            meta.long(9, page.offset);
            let mut column = Struct::default();
            column.long(2, page.offset);
            column.nested(3, &meta.end());
            out.extend_from_slice(&column.end());
        }
    });
    out.long(2, group.pages.iter().map(|page| page.raw_bytes).sum());
    out.long(3, group.rows);
    out.end()
}

const INT: u8 = 5;
const LONG: u8 = 6;
const BYTES: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct in Thrift's compact protocol; fields ascend.
#[derive(Default)]
struct Struct {
    out: Vec<u8>,
    field: u8,
}

impl Struct {
    fn start(&mut self, field: u8, kind: u8) {
        self.out.push((field - self.field) << 4 | kind);
        self.field = field;
    }

    fn int(&mut self, field: u8, value: i64) {
        self.start(field, INT);
        put_varint(&mut self.out, zigzag(value));
    }

    fn long(&mut self, field: u8, value: u64) {
        self.start(field, LONG);
        put_varint(&mut self.out, zigzag(value as i64));
    }

    fn bytes(&mut self, field: u8, value: &[u8]) {
        self.start(field, BYTES);
        put_bytes(&mut self.out, value);
    }

    fn nested(&mut self, field: u8, ended: &[u8]) {
        self.start(field, STRUCT);
        self.out.extend_from_slice(ended);
    }

    fn list(&mut self, field: u8, kind: u8, count: usize, put_items: impl FnOnce(&mut Vec<u8>)) {
        self.start(field, LIST);
        match u8::try_from(count) {
            Ok(small @ 0..=14) => self.out.push(small << 4 | kind),
            _ => {
                self.out.push(0xf0 | kind);
                put_varint(&mut self.out, count as u64);
            }
        }
        put_items(&mut self.out);
    }

    fn end(mut self) -> Vec<u8> {
        self.out.push(0);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that pyarrow 26 reads as the rows below, and the same bytes as long as zstd writes the same.
    #[test]
    fn a_small_file_is_the_one_that_others_read() {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file).expect("writes");
        let mut samples = SampleColumns::default();
        for (ts_ms, value) in [(1_700_000_000_000, 1.5), (1_700_000_015_001, f64::NAN), (-1, -0.0)] {
            samples.push(ts_ms, value);
        }
        for job in ["a\"b", "ü"] {
            let labels = LabelSet::from_pairs([("__name__", "up"), ("job", job), ("zone", "z")]);
            writer.push(&labels.expect("valid"), &samples).expect("writes");
        }
        writer.finish().expect("writes");
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/samples.parquet");
        assert_eq!(file, std::fs::read(golden).expect("is there"));
    }
}
