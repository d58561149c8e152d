//! Values that lie at regular steps, brought into one piece by all threads.

use rayon::prelude::*;

use crate::vectors::vectorized;

/// Values of one task.
const TASK: usize = 1 << 14;
/// Rows and columns that are exchanged within the nearest cache.
const TILE: usize = 16;

/// Where the values of a tensor lie in a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lattice {
    /// The first value's index.
    start: usize,
    /// Size of each axis and the step from one of its values to the next, outermost first. Axes of
    /// one value are left out, and axes that continue each other are one.
    axes: Vec<(usize, usize)>,
}

impl Lattice {
    /// Of the sizes and steps of a tensor's axes.
    pub fn new(start: usize, axes: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut joined: Vec<(usize, usize)> = Vec::new();
        for (size, step) in axes.into_iter().filter(|&(size, _)| size != 1) {
            match joined.last_mut() {
                Some((outer, outer_step)) if *outer_step == size * step => {
                    (*outer, *outer_step) = (*outer * size, step);
                }
                _ => joined.push((size, step)),
            }
        }
        Self {
            start,
            axes: joined,
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.axes.iter().map(|(size, _)| size).product()
    }

    /// The steps of the same values under axes of other sizes, if those are regular too.
    pub fn steps(&self, sizes: &[usize]) -> Option<Vec<usize>> {
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

    /// Meets every place of `target` with its value of `source`, in the order of the axes.
    ///
    /// # Panics
    /// When `target` holds another number of values.
    pub fn meet(
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
                        || meet_run(target, source, combine),
                    );
                });
            }
            [.., (_, 1), (_, step)] if step != 1 => self.exchange(target, source, combine),
            _ => self.meet_rows(target, source, combine),
        }
    }

    /// Row by row along the last axis.
    fn meet_rows(
        &self,
        target: &mut [f32],
        source: &[f32],
        combine: impl Fn(&mut f32, f32) + Copy + Sync,
    ) {
        let (&(length, step), outer) = self.axes.split_last().expect("a row has an axis");
        let rows = (TASK / length).max(1);
        let tasks = target.par_chunks_mut(rows * length).enumerate();
        tasks.for_each(|(task, target)| {
            let mut place = Place::of(outer, task * rows);
            vectorized(
                #[inline(always)]
                || {
                    for row in target.chunks_exact_mut(length) {
                        let source = &source[self.start + place.offset..];
                        match step {
                            1 => meet_run(row, &source[..length], combine),
                            _ => {
                                for (index, target) in row.iter_mut().enumerate() {
                                    combine(target, source[index * step]);
                                }
                            }
                        }
                        place.advance();
                    }
                },
            );
        });
    }

    /// Where the last axis but one has neighbours in the source: tile by tile, so that both sides
    /// are met in order.
    fn exchange(
        &self,
        target: &mut [f32],
        source: &[f32],
        combine: impl Fn(&mut f32, f32) + Copy + Sync,
    ) {
        let (planes, inner) = self.axes.split_at(self.axes.len() - 2);
        let (rows, columns, step) = (inner[0].0, inner[1].0, inner[1].1);
        let planes_of = target.par_chunks_mut(rows * columns).enumerate();
        planes_of.for_each(|(plane, target)| {
            let start = self.start + Place::of(planes, plane).offset;
            let bands = target.par_chunks_mut(TILE * columns).enumerate();
            bands.for_each(|(band, target)| {
                let source = &source[start + band * TILE..];
                vectorized(
                    #[inline(always)]
                    || exchange_band(target, source, columns, step, combine),
                );
            });
        });
    }
}

#[inline(always)]
fn meet_run(target: &mut [f32], source: &[f32], combine: impl Fn(&mut f32, f32)) {
    for (target, &value) in target.iter_mut().zip(source) {
        combine(target, value);
    }
}

/// Up to [`TILE`] rows of `target` from as many neighbours at every `step` of `source`.
#[inline(always)]
fn exchange_band(
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

/// A place among the outer axes, and its distance from the first.
struct Place<'a> {
    axes: &'a [(usize, usize)],
    counts: Vec<usize>,
    offset: usize,
}

impl<'a> Place<'a> {
    fn of(axes: &'a [(usize, usize)], mut index: usize) -> Self {
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
        Lattice::new(0, axes.clone()).meet(&mut found, &source, |target, x| *target += x);
        for (index, found) in found.into_iter().enumerate() {
            assert_eq!(found, 1.0 + Place::of(&axes, index).offset as f32);
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
        let lattice = Lattice::new(0, [(2, 480), (5, 1), (8, 60), (12, 5)]);
        assert_eq!(
            lattice.steps(&[2, 5, 4, 2, 6, 2]),
            Some(vec![480, 1, 120, 60, 10, 5])
        );
        assert_eq!(lattice.steps(&[2, 5, 96]), Some(vec![480, 1, 5]));
        assert_eq!(lattice.steps(&[2, 480]), None);
        assert_eq!(lattice.steps(&[10, 96]), None);
    }
}
