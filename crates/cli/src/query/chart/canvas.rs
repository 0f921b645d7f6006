//! Dots in cells of 2 × 4, and which series they belong to.

use crate::query::palette::Palette;

/// Bits of a braille character by column and row of its dots.
const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// Cells of a chart.
pub(super) struct Canvas {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    dots: u8,
    /// The last series that was here, where there are dots.
    series: usize,
}

/// How a series is marked where there are no colours.
pub(super) fn letter(index: usize) -> char {
    char::from(b'A' + u8::try_from(index % 26).unwrap_or(0))
}

impl Canvas {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, cells: vec![Cell::default(); columns * rows] }
    }

    /// Dots across and down.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    pub(super) fn dots(&self) -> (f64, f64) {
        ((self.columns * 2) as f64, (self.rows * 4) as f64)
    }

    /// Draws a line between two dots; what lies outside is left out.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), series: usize) {
        let length = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        let mut at = 0.0;
        while at <= length {
            let share = at / length;
            self.dot(from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share, series);
            at += 1.0;
        }
    }

    fn dot(&mut self, x: f64, y: f64, series: usize) {
        let (width, height) = self.dots();
        if !(x >= 0.0 && y >= 0.0 && x.round() < width && y.round() < height) {
            return;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
        let (x, y) = (x.round() as usize, y.round() as usize);
        let cell = &mut self.cells[y / 4 * self.columns + x / 2];
        cell.dots |= BITS[x % 2][y % 4];
        cell.series = series;
    }

    /// One row of text.
    pub(super) fn row(&self, row: usize, letters: bool, palette: Palette) -> String {
        let mut out = String::new();
        for cell in &self.cells[row * self.columns..(row + 1) * self.columns] {
            if cell.dots == 0 {
                out.push(' ');
            } else if letters {
                out.push(letter(cell.series));
            } else {
                let dots = char::from_u32(0x2800 + u32::from(cell.dots)).unwrap_or(' ');
                out += &palette.series(cell.series, dots.encode_utf8(&mut [0; 4]));
            }
        }
        out
    }
}
