//! Prometheus remote read: questions, and answers as samples or as a stream of chunks.
//!
//! ```text
//! ReadRequest         := 1 Query* · 2 accepted response types (0 samples, 1 streamed XOR chunks)
//! Query               := 1 start ms · 2 end ms (inclusive) · 3 LabelMatcher*
//! LabelMatcher        := 1 type (= != =~ !~) · 2 name · 3 value
//! ReadResponse        := 1 QueryResult*          QueryResult := 1 TimeSeries*       snappy block
//! TimeSeries          := 1 Label* · 2 Sample* · 4 Histogram*
//!
//! stream              := frame*                  frame := length varint · crc32c u32 (big-endian) · message
//! ChunkedReadResponse := 1 ChunkedSeries* · 2 query index
//! ChunkedSeries       := 1 Label* · 2 Chunk*     Chunk := 1 min ms · 2 max ms · 3 encoding · 4 data
//! ```
//! Hints of a query are read over: what they say can be known from the answer alone.

use model::{LabelSet, LabelSetRef, MatchOp, Matcher, SampleColumns};

use crate::prom_chunk::{Chunk, Encoding, decode as decode_chunk};
use crate::protobuf::{Field, Fields, put_blob, put_message, put_packed_varint, put_uint};
use crate::remote_write::{histogram, put_labels, put_sample};
use crate::{DecodeError, excerpt};

/// Content type of the streamed form.
pub const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Most questions of one request.
const QUERIES_MAX: usize = 1_000;

const OPS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadRequest {
    pub queries: Vec<Query>,
    /// Whether the answer may be a stream of chunks.
    pub accepts_chunks: bool,
}

/// One selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub start_ms: i64,
    /// Inclusive.
    pub end_ms: i64,
    pub matchers: Vec<Matcher>,
}

/// Decodes a decompressed request.
///
/// # Errors
/// [`DecodeError::Malformed`], also for a regular expression that cannot be used.
pub fn decode_request(body: &[u8]) -> Result<ReadRequest, DecodeError> {
    let mut request = ReadRequest::default();
    let mut types = Vec::new();
    let mut fields = Fields::new("remote read request", body);
    while let Some(field) = fields.next()? {
        match field.number {
            1 if request.queries.len() == QUERIES_MAX => {
                return Err(field.malformed(format!("more queries than the limit of {QUERIES_MAX}")));
            }
            1 => request.queries.push(read_query(&field)?),
            2 => field.repeated_varint(&mut types)?,
            _ => {}
        }
    }
    request.accepts_chunks = types.contains(&1);
    Ok(request)
}

fn read_query(field: &Field<'_>) -> Result<Query, DecodeError> {
    let mut query = Query { start_ms: 0, end_ms: 0, matchers: Vec::new() };
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => query.start_ms = field.int()?,
            2 => query.end_ms = field.int()?,
            3 => query.matchers.push(read_matcher(&field)?),
            _ => {}
        }
    }
    Ok(query)
}

fn read_matcher(field: &Field<'_>) -> Result<Matcher, DecodeError> {
    let (mut kind, mut name, mut value) = (0, "", "");
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => kind = field.varint()?,
            2 => name = field.str()?,
            3 => value = field.str()?,
            _ => {}
        }
    }
    let op = usize::try_from(kind).ok().and_then(|kind| OPS.get(kind));
    let op = op.ok_or_else(|| field.malformed(format!("matcher type {kind} is unknown")))?;
    Matcher::new(name, *op, value).map_err(|error| field.malformed(error.to_string()))
}

/// Encodes a request (not compressed).
pub fn encode_request(request: &ReadRequest) -> Vec<u8> {
    let mut out = Vec::new();
    for query in &request.queries {
        put_message(&mut out, 1, |out| {
            put_uint(out, 1, query.start_ms.cast_unsigned());
            put_uint(out, 2, query.end_ms.cast_unsigned());
            for matcher in &query.matchers {
                let kind = OPS.iter().position(|op| *op == matcher.op()).unwrap_or_default();
                put_message(out, 3, |out| {
                    put_uint(out, 1, kind as u64);
                    put_blob(out, 2, matcher.name().as_bytes());
                    put_blob(out, 3, matcher.value().as_bytes());
                });
            }
        });
    }
    if request.accepts_chunks {
        put_packed_varint(&mut out, 2, [1, 0].into_iter());
    }
    out
}

/// Appends a series of a sampled answer's result, which [`put_result`] wraps.
pub fn put_series(out: &mut Vec<u8>, labels: LabelSetRef<'_>, columns: &SampleColumns) {
    put_message(out, 1, |out| {
        put_labels(out, labels);
        for (ts_ms, value) in columns.ts_ms.iter().zip(&columns.values) {
            put_message(out, 2, |out| put_sample(out, *ts_ms, *value));
        }
        for sample in &columns.histograms {
            put_message(out, 4, |out| histogram::put(out, sample, false));
        }
    });
}

/// Appends the result of one query to a sampled answer.
pub fn put_result(out: &mut Vec<u8>, series: impl FnOnce(&mut Vec<u8>)) {
    put_message(out, 1, series);
}

/// Series with their samples.
pub type Series = Vec<(LabelSet, SampleColumns)>;

/// Decodes a decompressed sampled answer: for each query its series.
///
/// # Errors
/// [`DecodeError::Malformed`], also for a histogram that makes no sense.
pub fn decode_response(body: &[u8]) -> Result<Vec<Series>, DecodeError> {
    let mut results = Vec::new();
    let mut fields = Fields::new("remote read response", body);
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            let mut series = Series::new();
            let mut inner = field.message()?;
            while let Some(field) = inner.next()? {
                if field.number == 1 {
                    series.push(read_series(&field)?);
                }
            }
            results.push(series);
        }
    }
    Ok(results)
}

fn read_series(field: &Field<'_>) -> Result<(LabelSet, SampleColumns), DecodeError> {
    let (mut labels, mut columns) = (Vec::new(), SampleColumns::default());
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => labels.push(read_label(&field)?),
            2 => {
                let (mut value, mut ts_ms) = (0.0, 0);
                let mut inner = field.message()?;
                while let Some(field) = inner.next()? {
                    match field.number {
                        1 => value = field.double()?,
                        2 => ts_ms = field.int()?,
                        _ => {}
                    }
                }
                columns.push(ts_ms, value);
            }
            4 => {
                let sample = histogram::read(&field)?.map_err(|why| field.malformed(why))?;
                columns.histograms.push(sample);
            }
            _ => {}
        }
    }
    Ok((label_set(field, labels)?, columns))
}

fn read_label<'a>(field: &Field<'a>) -> Result<(&'a str, &'a str), DecodeError> {
    let (mut name, mut value) = ("", "");
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.str()?,
            2 => value = field.str()?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn label_set(field: &Field<'_>, labels: Vec<(&str, &str)>) -> Result<LabelSet, DecodeError> {
    LabelSet::from_pairs(labels).map_err(|error| field.malformed(excerpt(&error.to_string())))
}

/// Bytes of chunks after which a frame is closed, as Prometheus has it.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// The frames of one series of a streamed answer.
pub fn frames(query_index: usize, labels: &LabelSet, columns: &SampleColumns) -> Vec<Vec<u8>> {
    let chunks = crate::prom_chunk::encode(columns);
    let mut frames = Vec::new();
    let mut rest = chunks.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|chunk| {
            bytes += chunk.data.len() + 16;
            bytes <= FRAME_BYTES_MAX
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        rest = later;
        frames.push(frame(query_index, labels, now));
    }
    frames
}

fn frame(query_index: usize, labels: &LabelSet, chunks: &[Chunk]) -> Vec<u8> {
    let mut message = Vec::new();
    put_message(&mut message, 1, |out| {
        put_labels(out, labels.as_ref());
        for chunk in chunks {
            put_message(out, 2, |out| {
                put_uint(out, 1, chunk.min_ms.cast_unsigned());
                put_uint(out, 2, chunk.max_ms.cast_unsigned());
                put_uint(out, 3, chunk.encoding as u64);
                put_blob(out, 4, &chunk.data);
            });
        }
    });
    put_uint(&mut message, 2, query_index as u64);
    let mut out = Vec::with_capacity(message.len() + 14);
    codec::put_varint(&mut out, message.len() as u64);
    out.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    out.extend_from_slice(&message);
    out
}

/// Cuts a stream into frames and gives their series. Samples of a series may come in several frames.
#[derive(Debug)]
pub struct FrameReader {
    waiting: Vec<u8>,
    frame_bytes_max: usize,
}

/// A part of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamedSeries {
    pub query_index: u64,
    pub labels: LabelSet,
    pub columns: SampleColumns,
}

impl FrameReader {
    /// Nothing yet; larger frames are refused.
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { waiting: Vec::new(), frame_bytes_max }
    }

    /// Takes more of the stream and shows the series of the frames that are complete now.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] for a frame over the limit; [`DecodeError::Malformed`] for a damaged one.
    pub fn push(&mut self, bytes: &[u8], visit: &mut dyn FnMut(StreamedSeries)) -> Result<(), DecodeError> {
        self.waiting.extend_from_slice(bytes);
        let waiting = std::mem::take(&mut self.waiting);
        let mut rest = waiting.as_slice();
        while let Some((message, after)) = self.next_frame(rest)? {
            read_frame(message, visit)?;
            rest = after;
        }
        self.waiting = rest.to_vec();
        Ok(())
    }

    /// Whether the stream ended between two frames.
    pub fn is_at_end(&self) -> bool {
        self.waiting.is_empty()
    }

    fn next_frame<'w>(&self, waiting: &'w [u8]) -> Result<Option<Cut<'w>>, DecodeError> {
        let mut cursor = codec::Cursor::new(waiting);
        let Ok(length) = cursor.varint() else {
            let is_varint = waiting.len() < 10;
            return if is_varint { Ok(None) } else { Err(malformed("a frame's length is no number")) };
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.frame_bytes_max {
            return Err(DecodeError::TooLarge { what: "frame", limit_bytes: self.frame_bytes_max });
        }
        let (Ok(checksum), Ok(message)) = (cursor.array(), cursor.take(length)) else { return Ok(None) };
        if u32::from_be_bytes(checksum) != crc32c::crc32c(message) {
            return Err(malformed("a frame's checksum is wrong"));
        }
        Ok(Some((message, cursor.remaining())))
    }
}

/// The message of a frame, and what follows the frame.
type Cut<'w> = (&'w [u8], &'w [u8]);

fn malformed(detail: &str) -> DecodeError {
    DecodeError::Malformed { format: "remote read stream", offset: 0, detail: detail.to_owned() }
}

fn read_frame(message: &[u8], visit: &mut dyn FnMut(StreamedSeries)) -> Result<(), DecodeError> {
    let (mut series, mut query_index) = (Vec::new(), 0);
    let mut fields = Fields::new("remote read frame", message);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => series.push(read_chunked(&field)?),
            2 => query_index = field.varint()?,
            _ => {}
        }
    }
    for (labels, columns) in series {
        visit(StreamedSeries { query_index, labels, columns });
    }
    Ok(())
}

fn read_chunked(field: &Field<'_>) -> Result<(LabelSet, SampleColumns), DecodeError> {
    let (mut labels, mut columns) = (Vec::new(), SampleColumns::default());
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => labels.push(read_label(&field)?),
            2 => read_chunk(&field, &mut columns)?,
            _ => {}
        }
    }
    Ok((label_set(field, labels)?, columns))
}

fn read_chunk(field: &Field<'_>, columns: &mut SampleColumns) -> Result<(), DecodeError> {
    let (mut encoding, mut data) = (0, &[][..]);
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            3 => encoding = field.varint()?,
            4 => data = field.bytes()?,
            _ => {}
        }
    }
    let known = Encoding::from_number(encoding);
    let known = known.ok_or_else(|| field.malformed(format!("chunk encoding {encoding} is unknown")))?;
    decode_chunk(known, data, columns)
}

#[cfg(test)]
mod tests;
