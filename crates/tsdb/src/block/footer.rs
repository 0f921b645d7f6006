//! The footer: the last bytes of a block, which tell a whole file from a torn one.

use super::{END_MAGIC, Resolution};

pub(super) const FOOTER_BYTES: usize = 112;
const NUMBERS: usize = 12;

/// The footer's numbers, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) directory_offset: u64,
    pub(super) directory_bytes: u64,
    pub(super) series: u64,
    /// Samples of both kinds; of a downsampled block those in its windows.
    pub(super) samples: u64,
    /// Native histograms among them.
    pub(super) histograms: u64,
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    /// Place among the blocks: of two samples at one time that of the smaller order counts.
    pub(super) order: u64,
    pub(super) resolution: Resolution,
    pub(super) directory_sum: u32,
}

impl Footer {
    pub(super) fn encode(&self) -> [u8; FOOTER_BYTES] {
        let numbers: [u64; NUMBERS] = [
            self.directory_offset,
            self.directory_bytes,
            self.series,
            self.samples,
            self.histograms,
            self.min_ms as u64,
            self.max_ms as u64,
            self.order,
            self.resolution.window_ms() as u64,
            0,
            0,
            u64::from(self.directory_sum),
        ];
        let mut out = [0; FOOTER_BYTES];
        for (place, number) in out.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        let sum = crc32c::crc32c(&out[..100]);
        out[100..104].copy_from_slice(&sum.to_le_bytes());
        out[104..].copy_from_slice(END_MAGIC);
        out
    }

    /// `None` when the bytes are no footer.
    pub(super) fn decode(bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let number =
            |index: usize| bytes.as_chunks::<8>().0.get(index).map(|place| u64::from_le_bytes(*place));
        let footer = Self {
            directory_offset: number(0)?,
            directory_bytes: number(1)?,
            series: number(2)?,
            samples: number(3)?,
            histograms: number(4)?,
            min_ms: number(5)? as i64,
            max_ms: number(6)? as i64,
            order: number(7)?,
            resolution: Resolution::from_window_ms(number(8)?)?,
            directory_sum: (number(11)? & u64::from(u32::MAX)) as u32,
        };
        (footer.encode() == *bytes).then_some(footer)
    }
}
