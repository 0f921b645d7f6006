//! Attribute conditions answered from columns, without making spans: what `span_match` says of a span, said of all
//! rows of a page at once. The tests hold both to one meaning.

use codec::Cursor;
use model::{AttributeValue, SpanKind};

use super::PageError;
use super::decode::{Core, Detail, Page, read_scope_head, status_code};
use super::strings::{Strings, read_code};
use super::values::read_pairs;
use crate::span_match::{has, has_kind_or_status, is_text};

impl Page<'_> {
    /// Clears the `rows` that lack one of the attributes (key, text).
    pub(crate) fn keep_rows_with(
        &self,
        core: &Core,
        strings: &mut Strings<'_>,
        attributes: &[(String, String)],
        rows: &mut [bool],
    ) -> Result<(), PageError> {
        for (key, text) in attributes {
            let condition =
                Condition { key, text, key_code: strings.find(key), text_code: strings.find(text) };
            let mut hits = vec![false; rows.len()];
            condition.mark_by_core(core, strings, &mut hits)?;
            if condition.may_be_in_detail() {
                let detail = self.detail()?;
                condition.mark_by_detail(Detail::read(&detail)?, strings, &mut hits)?;
            }
            rows.iter_mut().zip(&hits).for_each(|(row, hit)| *row &= *hit);
        }
        Ok(())
    }
}

/// An attribute that reads as a text, with the codes the page has for both.
pub(super) struct Condition<'c> {
    pub(super) key: &'c str,
    pub(super) text: &'c str,
    pub(super) key_code: Option<u32>,
    pub(super) text_code: Option<u32>,
}

impl Condition<'_> {
    /// Looks at resources, scopes, kinds and status codes.
    fn mark_by_core(
        &self,
        core: &Core,
        strings: &mut Strings<'_>,
        hits: &mut [bool],
    ) -> Result<(), PageError> {
        let resources = self.matching_resources(core, strings)?;
        let scopes = self.matching_scopes(core, strings)?;
        let is_hit = |list: &[bool], index: u32| list.get(index as usize).copied().unwrap_or(false);
        let columns = core.resource.iter().zip(&core.scope).zip(&core.kind_status);
        for (hit, ((resource, scope), kind_status)) in hits.iter_mut().zip(columns) {
            let kind = SpanKind::from_otlp(u64::from(kind_status & 7));
            *hit = is_hit(&resources, *resource)
                || is_hit(&scopes, *scope)
                || has_kind_or_status(self.key, self.text, kind, status_code(kind_status >> 3));
        }
        Ok(())
    }

    fn matching_resources(&self, core: &Core, strings: &mut Strings<'_>) -> Result<Vec<bool>, PageError> {
        let is_match = |blob: &Vec<u8>| {
            let mut cursor = Cursor::new(blob);
            read_code(&mut cursor)?;
            Ok(self.key_code.is_some() && has(&read_pairs(&mut cursor, strings, 0)?, self.key, self.text))
        };
        core.resources.iter().map(is_match).collect()
    }

    fn matching_scopes(&self, core: &Core, strings: &mut Strings<'_>) -> Result<Vec<bool>, PageError> {
        let is_match = |blob: &Vec<u8>| {
            let mut cursor = Cursor::new(blob);
            let (name, version) = read_scope_head(&mut cursor, strings)?;
            let is_field = match self.key {
                "otel.scope.name" => is_text(&name, self.text),
                "otel.scope.version" => is_text(&version, self.text),
                _ => false,
            };
            Ok(is_field || has(&read_pairs(&mut cursor, strings, 0)?, self.key, self.text))
        };
        core.scopes.iter().map(is_match).collect()
    }

    fn may_be_in_detail(&self) -> bool {
        self.key_code.is_some() || matches!(self.key, "otel.status_description" | "w3c.tracestate" | "event")
    }

    /// Looks at the attributes of spans, events and links, and at fields that most spans lack.
    fn mark_by_detail(
        &self,
        mut detail: Detail<'_>,
        strings: &mut Strings<'_>,
        hits: &mut [bool],
    ) -> Result<(), PageError> {
        detail.attributes.mark(self, strings, hits)?;
        let mut by_event = Vec::new();
        let events =
            read_counts(&mut detail.event_count, hits.len(), detail.event.remaining().len(), &mut by_event)?;
        let mut event_hits = vec![false; events];
        detail.event_attributes.mark(self, strings, &mut event_hits)?;
        if self.key == "event" {
            for hit in &mut event_hits {
                detail.event.varint()?;
                let name = read_code(&mut detail.event)?;
                detail.event.varint()?;
                *hit |= name != 0 && Some(name) == self.text_code;
            }
        }
        mark_owners(&by_event, &event_hits, hits);
        let mut by_link = Vec::new();
        let links =
            read_counts(&mut detail.link_count, hits.len(), detail.link.remaining().len(), &mut by_link)?;
        let mut link_hits = vec![false; links];
        detail.link_attributes.mark(self, strings, &mut link_hits)?;
        mark_owners(&by_link, &link_hits, hits);
        self.mark_by_rare(&mut detail.rare, hits)
    }

    fn mark_by_rare(&self, rare: &mut Cursor<'_>, hits: &mut [bool]) -> Result<(), PageError> {
        let field = match self.key {
            "w3c.tracestate" => 0,
            "otel.status_description" => 1,
            _ => return Ok(()),
        };
        for hit in hits {
            if rare.u8()? == 0 {
                continue;
            }
            for index in 0..5 {
                let code = read_code(rare)?;
                *hit |= index == field && code != 0 && Some(code) == self.text_code;
            }
        }
        Ok(())
    }

    /// Whether a value that is not a string reads as the text.
    pub(super) fn accepts(&self, value: &AttributeValue) -> bool {
        value.reads_as(self.text)
    }
}

/// Reads how many events or links each row has; answers their sum. Each takes at least a byte of `bytes`.
fn read_counts(
    column: &mut Cursor<'_>,
    rows: usize,
    bytes: usize,
    counts: &mut Vec<usize>,
) -> Result<usize, PageError> {
    let mut total = 0_usize;
    for _ in 0..rows {
        let count = usize::try_from(column.varint()?).unwrap_or(usize::MAX);
        total = total.saturating_add(count);
        if total > bytes {
            return Err(PageError::Invalid("more events or links than bytes"));
        }
        counts.push(count);
    }
    Ok(total)
}

/// Marks the rows that own a marked event or link.
fn mark_owners(counts: &[usize], parts: &[bool], hits: &mut [bool]) {
    let mut rest = parts;
    for (count, hit) in counts.iter().zip(hits) {
        let (own, after) = rest.split_at((*count).min(rest.len()));
        rest = after;
        *hit |= own.contains(&true);
    }
}
