//! Reading a log while it is written: for those that use it as a queue.

use crate::files::{list_segments, segment_path};
use crate::record::{RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, is_intact, read_record_header};
use crate::{Error, Log, Position, SegmentId};

/// Some records, and where the next ones are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Each with the position behind it.
    pub records: Vec<(Position, Vec<u8>)>,
    pub next: Position,
}

impl Log {
    /// Where the next record will be, unless it does not fit into its segment.
    pub fn end(&self) -> Position {
        let writer = self.shared().writer();
        Position { segment: writer.segment, offset: writer.offset }
    }

    /// The oldest segment that is still there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn oldest_segment(&self) -> Result<Option<SegmentId>, Error> {
        let config = &self.shared().config;
        Ok(list_segments(&config.disk, &config.dir)?.first().copied())
    }

    /// The records from `from` on, in order, until they are `bytes_max` together or there are no more; at least one if
    /// there is one. Segments that were removed meanwhile are passed over; in a segment that is damaged, the rest of it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read_from(&self, from: Position, bytes_max: usize) -> Result<Tail, Error> {
        let config = &self.shared().config;
        let end = self.end();
        let mut tail = Tail { records: Vec::new(), next: from };
        let mut bytes = 0;
        let segments = list_segments(&config.disk, &config.dir)?;
        for id in segments.into_iter().filter(|id| *id >= from.segment && *id <= end.segment) {
            if tail.next.segment != id {
                tail.next = Position { segment: id, offset: SEGMENT_HEADER_BYTES as u64 };
            }
            let path = segment_path(&config.dir, id);
            let map = config.disk.map(&path).map_err(Error::io("read", &path))?;
            // What is written behind the end we know may be half a record.
            let known = if id == end.segment {
                usize::try_from(end.offset).unwrap_or(usize::MAX)
            } else {
                usize::MAX
            };
            let known = map.get(..known).unwrap_or(&map);
            while let Some((record, next)) = record_at(known, tail.next.offset) {
                tail.next.offset = next;
                tail.records.push((tail.next, record.to_vec()));
                bytes += record.len();
                if bytes >= bytes_max {
                    return Ok(tail);
                }
            }
        }
        Ok(tail)
    }
}

/// The record at `offset` and the offset behind it.
fn record_at(segment: &[u8], offset: u64) -> Option<(&[u8], u64)> {
    let offset = usize::try_from(offset).ok()?.max(SEGMENT_HEADER_BYTES);
    let (header, rest) = segment.get(offset..)?.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let (length, sum) = read_record_header(*header);
    let payload = rest.get(..length as usize)?;
    is_intact(length, sum, payload)
        .then_some((payload, (offset + RECORD_HEADER_BYTES + payload.len()) as u64))
}

#[cfg(test)]
mod tests {
    use clock::Clock;
    use eino_metrics_core::Registry;

    use super::*;
    use crate::LogConfig;

    #[test]
    fn records_are_read_while_they_are_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = LogConfig { segment_bytes: 64, ..LogConfig::new(dir.path()) };
        let open = |config: LogConfig| {
            Log::open(config, Clock::system(), &Registry::new(), &mut |_, _| Ok(())).expect("opens").0
        };
        let log = open(config.clone());
        let start = log.end();
        assert_eq!(log.read_from(start, 100).expect("reads").records, []);
        let record = |number: u8| vec![number; 20];
        for number in 0..7 {
            log.append(&record(number)).expect("appends");
        }
        let numbers = |tail: &Tail| tail.records.iter().map(|(_, record)| record[0]).collect::<Vec<_>>();
        let all = log.read_from(start, 1_000).expect("reads");
        assert_eq!((numbers(&all), all.next), ((0..7).collect(), log.end()));
        let some = log.read_from(start, 30).expect("reads");
        assert_eq!(numbers(&some), [0, 1]);
        let rest = log.read_from(some.next, 1_000).expect("reads");
        assert_eq!(numbers(&rest), [2, 3, 4, 5, 6]);
        // Positions behind each record are as good as `next`.
        assert_eq!(log.read_from(all.records[4].0, 1_000).map(|tail| numbers(&tail)).ok(), Some(vec![5, 6]));
        // After a restart the same positions hold.
        let (at, end) = (some.next, log.end());
        drop(log);
        let log = open(config);
        log.append(&record(9)).expect("appends");
        assert_eq!(numbers(&log.read_from(at, 1_000).expect("reads")), [2, 3, 4, 5, 6, 9]);
        assert_eq!(numbers(&log.read_from(end, 1_000).expect("reads")), [9]);
        // What is removed is passed over.
        log.remove_before(log.current_segment()).expect("removes");
        assert_eq!(numbers(&log.read_from(start, 1_000).expect("reads")), [9]);
    }
}
