//! A column of integers, for times and for decimal mantissas.
//!
//! ```text
//! column := 0 | groups of the values                                          noise around a level
//!         | 1 | first zigzag | groups of the differences                      counters, jittered times
//!         | 2 | first zigzag | difference zigzag | groups of their changes    steady counters
//!         | 3 | first zigzag | difference zigzag                              a straight line
//! group  := up to 32 numbers: smallest zigzag | width u8 | (number - smallest) packed in `width` bits
//! ```
//! The shortest of them is taken. Groups keep one outlier (a counter reset) from widening the rest.

use codec::{Cursor, put_varint, varint_len, zigzag};

use super::ChunkError;
use super::bits::{pack, packed_bytes, unpack};

const GROUP: usize = 32;
const VALUES: u8 = 0;
const DIFFERENCES: u8 = 1;
const CHANGES: u8 = 2;
const LINE: u8 = 3;

/// Appends the column of `values`; they are scratch space afterwards.
pub(super) fn write(values: &mut [i64], out: &mut Vec<u8>) {
    let Some(&first) = values.first() else { return };
    let mut differences = [0; super::SAMPLES_MAX];
    let (differences, _) = differences.split_at_mut(values.len() - 1);
    subtract_neighbours(values, differences);
    let slope = differences.first().copied().unwrap_or_default();
    if differences.iter().all(|difference| *difference == slope) {
        put_head(LINE, &[first, slope], out);
        return;
    }
    let mut changes = [0; super::SAMPLES_MAX];
    let (changes, _) = changes.split_at_mut(differences.len() - 1);
    subtract_neighbours(differences, changes);
    let costs = [groups_bytes(values), groups_bytes(differences), groups_bytes(changes)];
    match costs {
        [values_cost, differences_cost, changes_cost]
            if values_cost < differences_cost && values_cost < changes_cost =>
        {
            put_head(VALUES, &[], out);
            put_groups(values, out);
        }
        [_, differences_cost, changes_cost] if differences_cost <= changes_cost => {
            put_head(DIFFERENCES, &[first], out);
            put_groups(differences, out);
        }
        _ => {
            put_head(CHANGES, &[first, slope], out);
            put_groups(changes, out);
        }
    }
}

/// Appends the column of `values`, which stay as they are.
pub(super) fn write_copy(values: &[i64], out: &mut Vec<u8>) {
    let mut copy = [0; super::SAMPLES_MAX];
    let (copy, _) = copy.split_at_mut(values.len());
    copy.copy_from_slice(values);
    write(copy, out);
}

/// Reads a column of `out.len()` values.
pub(super) fn read(cursor: &mut Cursor<'_>, out: &mut [i64]) -> Result<(), ChunkError> {
    match cursor.u8()? {
        VALUES => read_groups(cursor, out),
        DIFFERENCES => {
            let first = cursor.signed_varint()?;
            if let Some((head, rest)) = out.split_first_mut() {
                *head = first;
                read_groups(cursor, rest)?;
            }
            add_up(out);
            Ok(())
        }
        CHANGES => {
            let (first, slope) = (cursor.signed_varint()?, cursor.signed_varint()?);
            let [head, rest @ ..] = out else { return Ok(()) };
            *head = first;
            if let Some((second, changes)) = rest.split_first_mut() {
                *second = slope;
                read_groups(cursor, changes)?;
            }
            add_up(rest);
            add_up(out);
            Ok(())
        }
        LINE => {
            let (first, slope) = (cursor.signed_varint()?, cursor.signed_varint()?);
            let mut next = first;
            for slot in out {
                *slot = next;
                next = next.wrapping_add(slope);
            }
            Ok(())
        }
        _ => Err(ChunkError::Invalid("unknown kind of column")),
    }
}

fn subtract_neighbours(values: &[i64], out: &mut [i64]) {
    for (slot, (left, right)) in out.iter_mut().zip(values.iter().zip(values.iter().skip(1))) {
        *slot = right.wrapping_sub(*left);
    }
}

fn add_up(values: &mut [i64]) {
    let mut sum = 0_i64;
    for value in values {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
}

fn put_head(kind: u8, numbers: &[i64], out: &mut Vec<u8>) {
    out.push(kind);
    for number in numbers {
        put_varint(out, zigzag(*number));
    }
}

/// Smallest number of a group and the bits that the distance of the others to it takes.
fn fit(group: &[i64]) -> (i64, u32) {
    let smallest = group.iter().copied().min().unwrap_or_default();
    let largest = group.iter().copied().max().unwrap_or_default();
    (smallest, 64 - (largest.wrapping_sub(smallest) as u64).leading_zeros())
}

fn groups_bytes(values: &[i64]) -> usize {
    let group_bytes = |group: &[i64]| {
        let (smallest, width) = fit(group);
        varint_len(zigzag(smallest)) + 1 + packed_bytes(group.len(), width)
    };
    values.chunks(GROUP).map(group_bytes).sum()
}

fn put_groups(values: &[i64], out: &mut Vec<u8>) {
    for group in values.chunks(GROUP) {
        let (smallest, width) = fit(group);
        put_varint(out, zigzag(smallest));
        out.push(width as u8);
        pack(group.iter().map(|value| value.wrapping_sub(smallest) as u64), width, out);
    }
}

fn read_groups(cursor: &mut Cursor<'_>, out: &mut [i64]) -> Result<(), ChunkError> {
    for group in out.chunks_mut(GROUP) {
        let smallest = cursor.signed_varint()?;
        let width = u32::from(cursor.u8()?);
        unpack(cursor, width, smallest, group)?;
    }
    Ok(())
}
