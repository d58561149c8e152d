//! Strided tensors read in row-major order, on all threads.

use rayon::prelude::*;

use crate::vectors::vectorized;

/// Values of one task.
const TASK: usize = 1 << 14;
/// Rows and columns that are transposed within the L1 cache.
const TILE: usize = 16;

/// Sizes and strides of a tensor in a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StridedView {
    /// Index of the first value.
    start: usize,
    /// `(size, stride)` of each axis, outermost first, without axes of size 1; neighbouring axes that
    /// one stride can express are merged.
    axes: Vec<(usize, usize)>,
}

impl StridedView {
    /// From `(size, stride)` of a tensor's axes, outermost first.
    pub fn new(start: usize, axes: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (size, step) in axes.into_iter().filter(|&(size, _)| size != 1) {
            match merged.last_mut() {
                Some((outer, outer_step)) if *outer_step == size * step => {
                    (*outer, *outer_step) = (*outer * size, step);
                }
                _ => merged.push((size, step)),
            }
        }
        Self {
            start,
            axes: merged,
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.axes.iter().map(|(size, _)| size).product()
    }

    /// The strides of the same values in another shape, if strides can express it.
    pub fn reshape_strides(&self, sizes: &[usize]) -> Option<Vec<usize>> {
        let mut steps = vec![1; sizes.len()];
        let mut axis = sizes.len();
        for &(whole, step) in self.axes.iter().rev() {
            let mut covered = 1;
            while covered < whole {
                axis = axis.checked_sub(1)?;
                steps[axis] = covered * step;
                covered *= sizes[axis];
            }
            if covered != whole {
                return None;
            }
        }
        Some(steps)
    }

    /// Calls `combine(&mut target[i], source value i)` for every value in row-major order.
    ///
    /// # Panics
    /// When `target` holds another number of values.
    pub fn zip_into(
        &self,
        target: &mut [f32],
        source: &[f32],
        combine: impl Fn(&mut f32, f32) + Copy + Sync,
    ) {
        assert_eq!(target.len(), self.len());
        if target.is_empty() {
            return;
        }
        match self.axes[..] {
            [] => combine(&mut target[0], source[self.start]),
            [(size, 1)] => {
                let source = &source[self.start..self.start + size];
                let pieces = target.par_chunks_mut(TASK).zip(source.par_chunks(TASK));
                pieces.for_each(|(target, source)| {
                    vectorized(
                        #[inline(always)]
                        || zip_run(target, source, combine),
                    );
                });
            }
            [.., (_, 1), (_, step)] if step != 1 => self.zip_transposed(target, source, combine),
            _ => self.zip_rows(target, source, combine),
        }
    }

    /// Row by row along the last axis.
    fn zip_rows(
        &self,
        target: &mut [f32],
        source: &[f32],
        combine: impl Fn(&mut f32, f32) + Copy + Sync,
    ) {
        let (&(length, step), outer) = self.axes.split_last().expect("a row has an axis");
        let rows = (TASK / length).max(1);
        let tasks = target.par_chunks_mut(rows * length).enumerate();
        tasks.for_each(|(task, target)| {
            let mut cursor = Cursor::at(outer, task * rows);
            vectorized(
                #[inline(always)]
                || {
                    for row in target.chunks_exact_mut(length) {
                        let source = &source[self.start + cursor.offset..];
                        match step {
                            1 => zip_run(row, &source[..length], combine),
                            _ => {
                                for (index, target) in row.iter_mut().enumerate() {
                                    combine(target, source[index * step]);
                                }
                            }
                        }
                        cursor.advance();
                    }
                },
            );
        });
    }

    /// For a last axis but one of stride 1: tile by tile, so that both sides are read and written
    /// along cache lines.
    fn zip_transposed(
        &self,
        target: &mut [f32],
        source: &[f32],
        combine: impl Fn(&mut f32, f32) + Copy + Sync,
    ) {
        let (planes, inner) = self.axes.split_at(self.axes.len() - 2);
        let (rows, columns, step) = (inner[0].0, inner[1].0, inner[1].1);
        let planes_of = target.par_chunks_mut(rows * columns).enumerate();
        planes_of.for_each(|(plane, target)| {
            let start = self.start + Cursor::at(planes, plane).offset;
            let bands = target.par_chunks_mut(TILE * columns).enumerate();
            bands.for_each(|(band, target)| {
                let source = &source[start + band * TILE..];
                vectorized(
                    #[inline(always)]
                    || zip_transposed_band(target, source, columns, step, combine),
                );
            });
        });
    }
}

#[inline(always)]
fn zip_run(target: &mut [f32], source: &[f32], combine: impl Fn(&mut f32, f32)) {
    for (target, &value) in target.iter_mut().zip(source) {
        combine(target, value);
    }
}

/// Up to [`TILE`] rows of `target`; column `c` of them is contiguous at `source[c · step..]`.
#[inline(always)]
fn zip_transposed_band(
    target: &mut [f32],
    source: &[f32],
    columns: usize,
    step: usize,
    combine: impl Fn(&mut f32, f32),
) {
    let rows = target.len() / columns;
    let mut tile = [[0.0; TILE]; TILE];
    for first in (0..columns).step_by(TILE) {
        let width = TILE.min(columns - first);
        for (column, lane) in tile[..width].iter_mut().enumerate() {
            let source = &source[(first + column) * step..];
            if rows == TILE {
                lane.copy_from_slice(&source[..TILE]);
            } else {
                lane[..rows].copy_from_slice(&source[..rows]);
            }
        }
        for (row, target) in target.chunks_exact_mut(columns).enumerate() {
            if width == TILE {
                for (target, lane) in target[first..first + TILE].iter_mut().zip(&tile) {
                    combine(target, lane[row]);
                }
            } else {
                for (target, lane) in target[first..].iter_mut().zip(&tile[..width]) {
                    combine(target, lane[row]);
                }
            }
        }
    }
}

/// An index of the outer axes, and its offset in the source.
struct Cursor<'a> {
    axes: &'a [(usize, usize)],
    counts: Vec<usize>,
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn at(axes: &'a [(usize, usize)], mut index: usize) -> Self {
        let mut counts = vec![0; axes.len()];
        let mut offset = 0;
        for (count, &(size, step)) in counts.iter_mut().zip(axes).rev() {
            *count = index % size;
            offset += *count * step;
            index /= size;
        }
        Self {
            axes,
            counts,
            offset,
        }
    }

    #[inline(always)]
    fn advance(&mut self) {
        for (count, &(size, step)) in self.counts.iter_mut().zip(self.axes).rev() {
            *count += 1;
            self.offset += step;
            if *count < size {
                return;
            }
            self.offset -= *count * step;
            *count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brings the axes `order` of a block of `sizes` into one piece, and compares it value by value.
    fn check(sizes: &[usize], order: &[usize]) {
        let count: usize = sizes.iter().product();
        let source: Vec<f32> = (0..count).map(|value| value as f32).collect();
        let step = |axis: usize| sizes[axis + 1..].iter().product::<usize>();
        let axes: Vec<_> = order.iter().map(|&a| (sizes[a], step(a))).collect();
        let mut found = vec![1.0; count];
        StridedView::new(0, axes.clone()).zip_into(&mut found, &source, |target, x| *target += x);
        for (index, found) in found.into_iter().enumerate() {
            assert_eq!(found, 1.0 + Cursor::at(&axes, index).offset as f32);
        }
    }

    #[test]
    fn every_order_of_axes_is_met() {
        check(&[40, 17], &[1, 0]);
        check(&[3, 33, 50], &[0, 2, 1]);
        check(&[3, 33, 50], &[2, 1, 0]);
        check(&[3, 33, 50], &[1, 0, 2]);
        check(&[2, 3, 4, 5, 6], &[0, 3, 1, 4, 2]);
        check(&[2, 3, 4, 5, 6], &[0, 2, 1, 3, 4]);
        check(&[1, 70_000], &[1, 0]);
        check(&[1], &[0]);
    }

    #[test]
    fn axes_split_where_they_lie() {
        // Channels last, seen channels first: rows and columns split, nothing else joins.
        let strided_view = StridedView::new(0, [(2, 480), (5, 1), (8, 60), (12, 5)]);
        assert_eq!(
            strided_view.reshape_strides(&[2, 5, 4, 2, 6, 2]),
            Some(vec![480, 1, 120, 60, 10, 5])
        );
        assert_eq!(
            strided_view.reshape_strides(&[2, 5, 96]),
            Some(vec![480, 1, 5])
        );
        assert_eq!(strided_view.reshape_strides(&[2, 480]), None);
        assert_eq!(strided_view.reshape_strides(&[10, 96]), None);
    }
}
