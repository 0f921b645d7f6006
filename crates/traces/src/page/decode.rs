//! Columns to spans.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use codec::Cursor;
use model::{Resource, Scope, Span, SpanEvent, SpanId, SpanKind, SpanLink, SpanStatus, StatusCode, TraceId};

use super::PageError;
use super::attributes::AttributesReader;
use super::section::Section;
use super::strings::{Strings, read_code};
use super::values::{read_count, read_pairs};

/// A page whose sections are not unpacked yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    strings: Section<'a>,
    core: Section<'a>,
    detail: Section<'a>,
}

/// The intrinsic columns of a page, enough to decide which rows are wanted.
pub(crate) struct Core {
    pub(crate) runs: Vec<Run>,
    pub(crate) start_ns: Vec<u64>,
    pub(crate) duration_ns: Vec<u64>,
    pub(crate) name: Vec<u32>,
    pub(crate) resource: Vec<u32>,
    pub(crate) scope: Vec<u32>,
    pub(crate) kind_status: Vec<u8>,
    /// Service of each resource, as string code.
    pub(crate) services: Vec<u32>,
    pub(super) resources: Vec<Vec<u8>>,
    pub(super) scopes: Vec<Vec<u8>>,
    span_ids: Vec<u8>,
    parents: Vec<u64>,
    parents_raw: Vec<u8>,
}

/// Spans of one trace that follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) trace_id: TraceId,
    pub(crate) rows: Range<usize>,
}

impl<'a> Page<'a> {
    /// Reads one page from the front of `cursor`.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, PageError> {
        let strings = Section::read(cursor)?;
        let core = Section::read(cursor)?;
        let detail = Section::read(cursor)?;
        Ok(Self { strings, core, detail })
    }

    /// Reads a page that fills `bytes`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, PageError> {
        let mut cursor = Cursor::new(bytes);
        let page = Self::read(&mut cursor)?;
        if cursor.is_empty() { Ok(page) } else { Err(PageError::Invalid("bytes after the page")) }
    }

    pub(crate) fn core(&self) -> Result<Core, PageError> {
        Core::read(&self.core.unpack()?)
    }

    pub(crate) fn strings(&self) -> Result<Strings<'a>, PageError> {
        Strings::read(self.strings.unpack()?)
    }

    pub(super) fn detail(&self) -> Result<Cow<'a, [u8]>, PageError> {
        self.detail.unpack()
    }

    /// The rows that `keep` wants, in the page's order.
    pub(crate) fn spans(
        &self,
        core: &Core,
        strings: &mut Strings<'_>,
        mut keep: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Arc<Span>>, PageError> {
        let detail = self.detail.unpack()?;
        let mut detail = Detail::read(&detail)?;
        let mut identities = Identities::new(core);
        let mut spans = Vec::new();
        for run in &core.runs {
            for row in run.rows.clone() {
                let parent = identities.next_parent(run, row)?;
                if !keep(row) {
                    detail.skip()?;
                    continue;
                }
                let intrinsic = Intrinsic {
                    trace_id: run.trace_id,
                    span_id: core.span_id(row)?,
                    parent,
                    name: strings.shared(*at(&core.name, row)?)?,
                    start_ns: *at(&core.start_ns, row)?,
                    duration_ns: *at(&core.duration_ns, row)?,
                    kind_status: *at(&core.kind_status, row)?,
                    resource: identities.resource(*at(&core.resource, row)?, strings)?,
                    scope: identities.scope(*at(&core.scope, row)?, strings)?,
                };
                spans.push(Arc::new(detail.span(intrinsic, strings)?));
            }
        }
        Ok(spans)
    }

    /// All spans.
    pub(crate) fn all_spans(&self) -> Result<Vec<Arc<Span>>, PageError> {
        self.spans(&self.core()?, &mut self.strings()?, |_| true)
    }
}

impl Core {
    fn read(bytes: &[u8]) -> Result<Self, PageError> {
        let mut cursor = Cursor::new(bytes);
        let rows = read_count(&mut cursor)?;
        let start_min = cursor.varint()?;
        let runs = read_runs(&mut cursor, rows)?;
        let resources = read_blobs(&mut cursor)?;
        let scopes = read_blobs(&mut cursor)?;
        let span_ids = cursor.bytes()?.to_vec();
        let start_ns = read_starts(cursor.bytes()?, &runs, start_min)?;
        let duration_ns = read_column(cursor.bytes()?, rows, |column| Ok(column.varint()?))?;
        let parents = read_column(cursor.bytes()?, rows, |column| Ok(column.varint()?))?;
        let parents_raw = cursor.bytes()?.to_vec();
        let name = read_column(cursor.bytes()?, rows, read_code)?;
        let resource = read_column(cursor.bytes()?, rows, read_code)?;
        let scope = read_column(cursor.bytes()?, rows, read_code)?;
        let kind_status = read_column(cursor.bytes()?, rows, |column| Ok(column.u8()?))?;
        let services: Result<Vec<u32>, PageError> =
            resources.iter().map(|blob| read_code(&mut Cursor::new(blob))).collect();
        let services = services?;
        if resource.iter().any(|index| *index as usize >= services.len()) {
            return Err(PageError::Invalid("resource index out of range"));
        }
        Ok(Self {
            runs,
            start_ns,
            duration_ns,
            name,
            resource,
            scope,
            kind_status,
            services,
            resources,
            scopes,
            span_ids,
            parents,
            parents_raw,
        })
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.start_ns.len()
    }

    fn span_id(&self, row: usize) -> Result<SpanId, PageError> {
        span_id_at(&self.span_ids, row)
    }
}

fn at<T>(column: &[T], row: usize) -> Result<&T, PageError> {
    column.get(row).ok_or(PageError::Invalid("row out of range"))
}

fn span_id_at(ids: &[u8], row: usize) -> Result<SpanId, PageError> {
    let bytes = row.checked_mul(8).and_then(|offset| ids.get(offset..offset + 8));
    let bytes = bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    bytes.map(SpanId).ok_or(PageError::Invalid("span id out of range"))
}

fn read_runs(cursor: &mut Cursor<'_>, rows: usize) -> Result<Vec<Run>, PageError> {
    let count = read_count(cursor)?;
    let mut runs = Vec::with_capacity(count);
    let mut row = 0;
    for _ in 0..count {
        let trace_id = TraceId(cursor.array()?);
        let len = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
        let end = row + len.min(rows + 1);
        if end > rows {
            return Err(PageError::Invalid("runs have more rows than the page"));
        }
        runs.push(Run { trace_id, rows: row..end });
        row = end;
    }
    if row == rows { Ok(runs) } else { Err(PageError::Invalid("runs have fewer rows than the page")) }
}

fn read_blobs(cursor: &mut Cursor<'_>) -> Result<Vec<Vec<u8>>, PageError> {
    let count = read_count(cursor)?;
    let mut blobs = Vec::with_capacity(count);
    for _ in 0..count {
        blobs.push(cursor.bytes()?.to_vec());
    }
    Ok(blobs)
}

fn read_starts(column: &[u8], runs: &[Run], start_min: u64) -> Result<Vec<u64>, PageError> {
    let mut cursor = Cursor::new(column);
    let mut starts = Vec::with_capacity(column.len());
    for run in runs {
        let mut previous = start_min;
        for _ in run.rows.clone() {
            previous = previous.wrapping_add(cursor.signed_varint()? as u64);
            starts.push(previous);
        }
    }
    Ok(starts)
}

fn read_column<T>(
    column: &[u8],
    rows: usize,
    mut read: impl FnMut(&mut Cursor<'_>) -> Result<T, PageError>,
) -> Result<Vec<T>, PageError> {
    let mut cursor = Cursor::new(column);
    let mut values = Vec::with_capacity(rows.min(column.len()));
    for _ in 0..rows {
        values.push(read(&mut cursor)?);
    }
    Ok(values)
}

/// Parents in row order; resources and scopes, each made once.
struct Identities<'c> {
    core: &'c Core,
    parents_raw_read: usize,
    resources: Vec<Option<Arc<Resource>>>,
    scopes: Vec<Option<Arc<Scope>>>,
}

impl<'c> Identities<'c> {
    fn new(core: &'c Core) -> Self {
        let resources = vec![None; core.resources.len()];
        Self { core, parents_raw_read: 0, resources, scopes: vec![None; core.scopes.len()] }
    }

    fn next_parent(&mut self, run: &Run, row: usize) -> Result<Option<SpanId>, PageError> {
        match *at(&self.core.parents, row)? {
            0 => Ok(None),
            1 => {
                let parent = span_id_at(&self.core.parents_raw, self.parents_raw_read)?;
                self.parents_raw_read += 1;
                Ok(Some(parent))
            }
            distance => {
                let distance = codec::unzigzag(distance - 2) as isize;
                let parent_row = row.checked_add_signed(distance).filter(|row| run.rows.contains(row));
                let parent_row = parent_row.ok_or(PageError::Invalid("parent is outside its run"))?;
                self.core.span_id(parent_row).map(Some)
            }
        }
    }

    fn resource(&mut self, index: u32, strings: &mut Strings<'_>) -> Result<Arc<Resource>, PageError> {
        let blob = at(&self.core.resources, index as usize)?;
        let cell = self.resources.get_mut(index as usize);
        let cell = cell.ok_or(PageError::Invalid("resource index out of range"))?;
        if let Some(resource) = cell {
            return Ok(Arc::clone(resource));
        }
        let mut cursor = Cursor::new(blob);
        let service = strings.read_shared(&mut cursor)?;
        let attributes = read_pairs(&mut cursor, strings, 0)?;
        Ok(Arc::clone(cell.insert(Arc::new(Resource { service, attributes }))))
    }

    fn scope(&mut self, index: u32, strings: &mut Strings<'_>) -> Result<Arc<Scope>, PageError> {
        let blob = at(&self.core.scopes, index as usize)?;
        let cell = self.scopes.get_mut(index as usize);
        let cell = cell.ok_or(PageError::Invalid("scope index out of range"))?;
        if let Some(scope) = cell {
            return Ok(Arc::clone(scope));
        }
        let mut cursor = Cursor::new(blob);
        let (name, version) = read_scope_head(&mut cursor, strings)?;
        let attributes = read_pairs(&mut cursor, strings, 0)?;
        Ok(Arc::clone(cell.insert(Arc::new(Scope { name, version, attributes }))))
    }
}

/// Name and version of a scope; its attributes follow.
pub(super) fn read_scope_head(
    cursor: &mut Cursor<'_>,
    strings: &mut Strings<'_>,
) -> Result<(Arc<str>, Arc<str>), PageError> {
    Ok((strings.read_shared(cursor)?, strings.read_shared(cursor)?))
}

/// What the core says of a row.
struct Intrinsic {
    trace_id: TraceId,
    span_id: SpanId,
    parent: Option<SpanId>,
    name: Arc<str>,
    start_ns: u64,
    duration_ns: u64,
    kind_status: u8,
    resource: Arc<Resource>,
    scope: Arc<Scope>,
}

/// The detail section, read row by row.
pub(super) struct Detail<'a> {
    flags: Cursor<'a>,
    pub(super) rare: Cursor<'a>,
    pub(super) attributes: AttributesReader<'a>,
    pub(super) event_count: Cursor<'a>,
    pub(super) event: Cursor<'a>,
    pub(super) event_attributes: AttributesReader<'a>,
    pub(super) link_count: Cursor<'a>,
    pub(super) link: Cursor<'a>,
    pub(super) link_attributes: AttributesReader<'a>,
}

impl<'a> Detail<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, PageError> {
        let mut cursor = Cursor::new(bytes);
        Ok(Self {
            flags: Cursor::new(cursor.bytes()?),
            rare: Cursor::new(cursor.bytes()?),
            attributes: AttributesReader::read(&mut cursor)?,
            event_count: Cursor::new(cursor.bytes()?),
            event: Cursor::new(cursor.bytes()?),
            event_attributes: AttributesReader::read(&mut cursor)?,
            link_count: Cursor::new(cursor.bytes()?),
            link: Cursor::new(cursor.bytes()?),
            link_attributes: AttributesReader::read(&mut cursor)?,
        })
    }

    fn span(&mut self, core: Intrinsic, strings: &mut Strings<'_>) -> Result<Span, PageError> {
        let flags = read_u32(&mut self.flags)?;
        let rare = self.rare(strings)?;
        let [dropped_attributes, dropped_events, dropped_links] = rare.dropped;
        Ok(Span {
            trace_id: core.trace_id,
            span_id: core.span_id,
            parent_span_id: core.parent,
            trace_state: rare.trace_state,
            flags,
            name: core.name,
            kind: SpanKind::from_otlp(u64::from(core.kind_status & 7)),
            start_ns: core.start_ns,
            end_ns: core.start_ns.wrapping_add(core.duration_ns),
            status: SpanStatus { code: status_code(core.kind_status >> 3), message: rare.message },
            attributes: self.attributes.next(strings)?,
            events: self.events(core.start_ns, strings)?,
            links: self.links(strings)?,
            dropped_attributes,
            dropped_events,
            dropped_links,
            resource: core.resource,
            scope: core.scope,
        })
    }

    fn rare(&mut self, strings: &mut Strings<'_>) -> Result<Rare, PageError> {
        if self.rare.u8()? == 0 {
            return Ok(Rare {
                trace_state: strings.shared(0)?,
                message: strings.shared(0)?,
                dropped: [0; 3],
            });
        }
        let trace_state = strings.read_shared(&mut self.rare)?;
        let message = strings.read_shared(&mut self.rare)?;
        let mut dropped = [0; 3];
        for count in &mut dropped {
            *count = read_u32(&mut self.rare)?;
        }
        Ok(Rare { trace_state, message, dropped })
    }

    fn events(&mut self, start_ns: u64, strings: &mut Strings<'_>) -> Result<Vec<SpanEvent>, PageError> {
        let count = self.event_count.varint()?;
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(SpanEvent {
                time_ns: start_ns.wrapping_add(self.event.signed_varint()? as u64),
                name: strings.read_shared(&mut self.event)?,
                dropped_attributes: read_u32(&mut self.event)?,
                attributes: self.event_attributes.next(strings)?,
            });
        }
        Ok(events)
    }

    fn links(&mut self, strings: &mut Strings<'_>) -> Result<Vec<SpanLink>, PageError> {
        let count = self.link_count.varint()?;
        let mut links = Vec::new();
        for _ in 0..count {
            links.push(SpanLink {
                trace_id: TraceId(self.link.array()?),
                span_id: SpanId(self.link.array()?),
                trace_state: strings.read_shared(&mut self.link)?,
                flags: read_u32(&mut self.link)?,
                attributes: self.link_attributes.next(strings)?,
            });
        }
        Ok(links)
    }

    /// Steps over a row.
    fn skip(&mut self) -> Result<(), PageError> {
        self.flags.varint()?;
        if self.rare.u8()? != 0 {
            for _ in 0..5 {
                self.rare.varint()?;
            }
        }
        self.attributes.skip()?;
        for _ in 0..self.event_count.varint()? {
            for _ in 0..3 {
                self.event.varint()?;
            }
            self.event_attributes.skip()?;
        }
        for _ in 0..self.link_count.varint()? {
            self.link.take(16 + 8)?;
            self.link.varint()?;
            self.link.varint()?;
            self.link_attributes.skip()?;
        }
        Ok(())
    }
}

struct Rare {
    trace_state: Arc<str>,
    message: Arc<str>,
    dropped: [u32; 3],
}

pub(super) fn status_code(number: u8) -> StatusCode {
    match number & 3 {
        1 => StatusCode::Ok,
        2 => StatusCode::Error,
        _ => StatusCode::Unset,
    }
}

fn read_u32(cursor: &mut Cursor<'_>) -> Result<u32, PageError> {
    u32::try_from(cursor.varint()?).map_err(|_| PageError::Invalid("number is larger than 32 bits"))
}
