//! Writing a snapshot, shard by shard.

use std::path::Path;

use codec::{put_bytes, put_varint};
use disk::{Appender, Disk};
use log::SegmentId;

use super::super::{Head, join_id, lock};
use super::series::put_series;
use super::{
    END_MAGIC, PAIRS, RECORD, SERIES, Section, VERSION, header, path_of, remove_before, snapshots_dir,
};
use crate::Error;

/// Writes what the head holds. `records` are log records of what is not in it. All that the log's segments before
/// `segment` say is in the head by now. Answers the bytes written.
pub(crate) fn write(
    disk: &Disk,
    dir: &Path,
    segment: SegmentId,
    head: &Head,
    records: &[Vec<u8>],
) -> Result<u64, Error> {
    let folder = snapshots_dir(dir);
    disk.create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let path = path_of(dir, segment);
    let tmp = path.with_extension("tmp");
    let file = disk.create(&tmp).map_err(Error::io("create", &tmp))?;
    let writer = Writer { appender: Appender::new(file), sections: Vec::new() };
    let bytes = writer.write_all(head, records).map_err(Error::io("write", &tmp))?;
    disk.rename(&tmp, &path).map_err(Error::io("rename", &tmp))?;
    disk.sync_dir(&folder).map_err(Error::io("sync", &folder))?;
    remove_before(disk, dir, segment)?;
    Ok(bytes)
}

struct Writer {
    appender: Appender,
    sections: Vec<Section>,
}

impl Writer {
    fn write_all(mut self, head: &Head, records: &[Vec<u8>]) -> std::io::Result<u64> {
        self.appender.append(&header(VERSION))?;
        let mut bytes = Vec::new();
        for (number, shard) in head.shards.iter().enumerate() {
            bytes.clear();
            let shard = lock(shard);
            let labels = head.labels();
            for (slot, series) in shard.iter() {
                put_series(labels.pairs(join_id(number, slot)), series, &mut bytes);
            }
            drop((labels, shard));
            self.section(SERIES, &bytes)?;
        }
        // After the series: the pairs of series that came in between are among them. None goes meanwhile, as only
        // cuts let pairs go for good.
        bytes.clear();
        for (id, pair) in head.labels().index.pairs().iter() {
            put_varint(&mut bytes, u64::from(id));
            put_bytes(&mut bytes, pair);
        }
        self.section(PAIRS, &bytes)?;
        for record in records {
            self.section(RECORD, record)?;
        }
        self.finish()
    }

    fn section(&mut self, kind: u8, bytes: &[u8]) -> std::io::Result<()> {
        let section = Section {
            kind,
            offset: self.appender.offset(),
            bytes: bytes.len() as u64,
            sum: crc32c::crc32c(bytes),
        };
        self.sections.push(section);
        self.appender.append(bytes)
    }

    fn finish(mut self) -> std::io::Result<u64> {
        let mut table = Vec::new();
        put_varint(&mut table, self.sections.len() as u64);
        for section in &self.sections {
            table.push(section.kind);
            put_varint(&mut table, section.offset);
            put_varint(&mut table, section.bytes);
            table.extend_from_slice(&section.sum.to_le_bytes());
        }
        let (bytes, sum) = (table.len() as u64, crc32c::crc32c(&table));
        table.extend_from_slice(&bytes.to_le_bytes());
        table.extend_from_slice(&sum.to_le_bytes());
        table.extend_from_slice(END_MAGIC);
        self.appender.append(&table)?;
        let bytes = self.appender.offset();
        self.appender.finish()?;
        Ok(bytes)
    }
}
