//! Sums of rows, each moved and weighed: what blurs are made of.

use ndarray::ArrayViewMut3;
use pulp::{Arch, Simd, WithSimd};

use crate::border::reflect_index;
use crate::tone::Tone;

/// Pixels of a row that are summed at once.
const CHUNK: usize = 64;

/// One pixel of a kernel: rows down and columns right of its middle, and its weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    pub down: isize,
    pub right: isize,
    pub weight: f32,
}

/// Memory that blurs work in.
#[derive(Default)]
pub struct BlurRows {
    /// A row with its mirrored ends.
    row: Vec<f32>,
    /// As many rows as the kernel has; row `y` of the image is in place `y` modulo their number.
    ring: Vec<f32>,
    starts: Vec<usize>,
}

/// Replaces every pixel of every layer by the weighted sum of those around it, mirrored at the
/// border, then gives it its `tone`. Rows are first summed along themselves by `along` (all of
/// them in one row), then together by `taps`. Both lie within `half` pixels of the middle.
pub(crate) fn blur(
    volume: &mut ArrayViewMut3<f32>,
    [along, taps]: [&[Tap]; 2],
    half: usize,
    tone: &Tone,
    rows: &mut BlurRows,
) {
    let (_, height, width) = volume.dim();
    for mut image in volume.outer_iter_mut() {
        Arch::new().dispatch(Blur {
            image: image.as_slice_mut().expect("samples lie in one piece"),
            size: [height, width],
            along,
            taps,
            half,
            tone: *tone,
            rows,
        });
    }
}

struct Blur<'a> {
    image: &'a mut [f32],
    size: [usize; 2],
    along: &'a [Tap],
    taps: &'a [Tap],
    half: usize,
    tone: Tone,
    rows: &'a mut BlurRows,
}

impl WithSimd for Blur<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let [height, width] = self.size;
        let (side, padded) = (2 * self.half + 1, width + 2 * self.half);
        self.rows.ring.resize(side * padded, 0.0);
        self.rows.row.resize(padded, 0.0);
        let (tone, mut next) = (self.tone, 0);
        for y in 0..height {
            // Rows are taken up before they are written over.
            while next < height.min(y + self.half + 1) {
                self.take_up(next);
                next += 1;
            }
            let BlurRows { ring, starts, .. } = &mut *self.rows;
            starts.clear();
            starts.extend(self.taps.iter().map(|tap| {
                let row = reflect_index(y as isize + tap.down, height);
                row % side * padded + (self.half as isize + tap.right) as usize
            }));
            let line = &mut self.image[y * width..][..width];
            weighted_sum(ring, starts, self.taps, line, move |sum| tone.scaled(sum));
        }
    }
}

impl Blur<'_> {
    /// Brings row `y` of the image into the ring.
    #[inline(always)]
    fn take_up(&mut self, y: usize) {
        let [_, width] = self.size;
        let (side, half) = (2 * self.half + 1, self.half);
        let BlurRows { row, ring, starts } = &mut *self.rows;
        let line = &self.image[y * width..][..width];
        let place = &mut ring[y % side * row.len()..][..row.len()];
        if self.along.is_empty() {
            mirror_ends(line, half, place);
            return;
        }
        mirror_ends(line, half, row);
        starts.clear();
        let taps = self.along.iter();
        starts.extend(taps.map(|tap| (half as isize + tap.right) as usize));
        let inner = &mut place[half..][..width];
        weighted_sum(row, starts, self.along, inner, |value| value);
    }
}

fn mirror_ends(line: &[f32], half: usize, row: &mut [f32]) {
    let width = line.len();
    row[half..half + width].copy_from_slice(line);
    for x in 0..half {
        let mirrored = |x: usize| line[reflect_index(x as isize - half as isize, width)];
        row[x] = mirrored(x);
        row[half + width + x] = mirrored(half + width + x);
    }
}

/// The sum of as many lines as there are taps, of which line `i` begins at `starts[i]` of `rows`.
#[inline(always)]
fn weighted_sum(
    rows: &[f32],
    starts: &[usize],
    taps: &[Tap],
    line: &mut [f32],
    finish: impl Fn(f32) -> f32,
) {
    let (chunks, rest) = line.as_chunks_mut::<CHUNK>();
    let whole = chunks.len() * CHUNK;
    for (index, chunk) in chunks.iter_mut().enumerate() {
        let mut sums = [0.0; CHUNK];
        for (start, tap) in starts.iter().zip(taps) {
            let from: &[f32; CHUNK] = rows[start + index * CHUNK..]
                .first_chunk()
                .expect("rows are as long as lines");
            for (sum, value) in sums.iter_mut().zip(from) {
                *sum += tap.weight * value;
            }
        }
        for (value, sum) in chunk.iter_mut().zip(sums) {
            *value = finish(sum);
        }
    }
    for (x, value) in rest.iter_mut().enumerate() {
        let terms = starts.iter().zip(taps);
        let sum = terms.map(|(start, tap)| tap.weight * rows[start + whole + x]);
        *value = finish(sum.sum());
    }
}
