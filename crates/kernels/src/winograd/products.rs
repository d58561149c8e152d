//! Products of transformed kernels and tiles: one matrix product over channels for each element of a tile.

use pulp::bytemuck;

use super::ELEMENTS;
use super::groups::Group;
use crate::matrix::{Dot, WithDot};

/// Products of some output channels' kernels and a group's tiles, for every element.
pub(super) struct Products<'a> {
    pub(super) group: Group,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// `[ELEMENTS, panels, inputs, tiles of a panel]`.
    pub(super) elements: &'a [u32],
    pub(super) weights: &'a [u32],
    pub(super) first: usize,
    pub(super) count: usize,
    /// `[count, ELEMENTS, padded tiles]`.
    pub(super) products: &'a mut [f32],
}

impl WithDot for Products<'_> {
    #[inline(always)]
    fn with_dot<D: Dot, const ROWS: usize, const VECTORS: usize>(self, dot: D) {
        let mut work = self;
        let (padded, whole) = (work.group.padded(), VECTORS * D::LANES);
        for element in 0..ELEMENTS {
            for first in (0..padded).step_by(whole) {
                match (padded - first).div_ceil(D::LANES) {
                    1 => work.panel::<D, ROWS, 1>(dot, element, first),
                    2 => work.panel::<D, ROWS, 2>(dot, element, first),
                    _ => work.panel::<D, ROWS, VECTORS>(dot, element, first),
                }
            }
        }
    }
}

impl Products<'_> {
    /// One element of `WIDE` vectors of tiles, from tile `first` on.
    #[inline(always)]
    fn panel<D: Dot, const ROWS: usize, const WIDE: usize>(
        &mut self,
        dot: D,
        element: usize,
        first: usize,
    ) {
        let (inputs, padded, width) = (self.inputs, self.group.padded(), WIDE * D::LANES);
        let panel = &self.elements[(element * padded + first) * inputs..][..inputs * width];
        let (panel, _) = D::vectors(panel).as_chunks::<WIDE>();
        let blocks = self.outputs.div_ceil(ROWS);
        for start in (0..self.count).step_by(ROWS) {
            let block = element * blocks + (self.first + start) / ROWS;
            let weights = &self.weights[block * inputs * ROWS..][..inputs * ROWS];
            let (weights, _) = weights.as_chunks::<ROWS>();
            let mut held = [[dot.splat(0.0); WIDE]; ROWS];
            for (words, weights) in panel.iter().zip(weights) {
                for (held, &weight) in held.iter_mut().zip(weights) {
                    for (sum, &words) in held.iter_mut().zip(words) {
                        *sum = dot.add(weight, words, *sum);
                    }
                }
            }
            for (lane, sums) in held.iter().enumerate().take(self.count - start) {
                let place = ((start + lane) * ELEMENTS + element) * padded + first;
                self.products[place..][..width].copy_from_slice(bytemuck::cast_slice(sums));
            }
        }
    }
}
