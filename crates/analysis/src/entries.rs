//! Where the work of a trace begins, and which traces lack their beginning.
//!
//! ```text
//!  gateway ──▶ order ──▶ (message) ──▶ mailer        entries: gateway, mailer (nobody waits for it)
//!  ?       ──▶ order                                 order usually has a caller: the gateway's span is not here yet,
//!                                                    so this is no entry, but an incomplete trace
//!  ?       ──▶ gateway                               always so: the caller sends no spans, so gateway is the entry
//! ```

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use crate::Trace;

/// Spans at which work begins that somebody waits for: the headline root, further roots that name no parent, and
/// those who take messages.
pub(crate) fn entry_spans(trace: &Trace) -> Vec<usize> {
    let Some(headline) = trace.headline_root() else { return Vec::new() };
    let is_entry = |index: &usize| match trace.parent(*index) {
        Some(parent) => trace.is_message(parent, *index),
        None => *index != headline && trace.span(*index).parent_span_id.is_none(),
    };
    let others = (0..trace.spans().len()).filter(is_entry);
    std::iter::once(headline).chain(others).collect()
}

/// How often the operations of orphaned roots have a caller elsewhere.
pub(crate) struct Callers<'t>(HashMap<(&'t Arc<str>, &'t Arc<str>), Seen>);

#[derive(Default)]
struct Seen {
    orphaned: usize,
    called: usize,
}

impl<'t> Callers<'t> {
    pub(crate) fn of(traces: &'t [Trace]) -> Self {
        let mut seen: HashMap<_, Seen> = HashMap::new();
        for (trace, root) in traces.iter().filter_map(orphaned_headline) {
            seen.entry(operation(trace, root)).or_default().orphaned += 1;
        }
        if !seen.is_empty() {
            for trace in traces {
                for index in (0..trace.spans().len()).filter(|index| trace.parent(*index).is_some()) {
                    if let Some(seen) = seen.get_mut(&operation(trace, index)) {
                        seen.called += 1;
                    }
                }
            }
        }
        Self(seen)
    }

    /// Whether the trace begins with an operation that has a caller in most traces, but not here.
    pub(crate) fn lacks_beginning(&self, trace: &'t Trace) -> bool {
        let Some((trace, root)) = orphaned_headline(trace) else { return false };
        self.0.get(&operation(trace, root)).is_some_and(|seen| seen.called > seen.orphaned)
    }
}

fn orphaned_headline(trace: &Trace) -> Option<(&Trace, usize)> {
    let root = trace.headline_root()?;
    trace.span(root).parent_span_id.is_some().then_some((trace, root))
}

fn operation(trace: &Trace, index: usize) -> (&Arc<str>, &Arc<str>) {
    (trace.span(index).service(), &trace.span(index).name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{id_text, trace};

    #[test]
    fn entries_are_roots_and_takers_of_messages() {
        let entries = |lines| {
            let trace = trace(lines);
            entry_spans(&trace).iter().map(|index| id_text(trace.span(*index).span_id)).collect::<Vec<_>>()
        };
        assert_eq!(
            entries("R - 10 20 producer\n M R 30 40 consumer b/x\n C M 31 35\n Q - 5 6\n O lost 1 2"),
            ["Q", "R", "M"]
        );
        assert!(entries("").is_empty());
    }

    #[test]
    fn a_beginning_is_missed_only_where_it_is_usual() {
        let whole = || trace("G - 0 100 server gateway/x\n O G 10 90 server order/y");
        let headless = || trace("O G 10 90 server order/y");
        let traces = [whole(), whole(), headless()];
        let callers = Callers::of(&traces);
        let lacking: Vec<_> = traces.iter().map(|trace| callers.lacks_beginning(trace)).collect();
        assert_eq!(lacking, [false, false, true]);
        let always = [headless(), headless()];
        assert!(!Callers::of(&always).lacks_beginning(&always[0]), "its caller sends no spans");
    }
}
