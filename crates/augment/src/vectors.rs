//! What a compiler does not turn into vector instructions by itself: weighing runs of voxels, and
//! turning them from the layers of each pixel to the pixels of each layer. Both do the same sums in
//! the same order on every machine.

#[cfg(target_arch = "x86_64")]
use pulp::{cast, x86::V3};

/// Values of a vector.
pub(crate) const LANES: usize = 8;
/// Layers that are turned at once.
const LAYERS: usize = 4;

/// This machine's way.
#[derive(Clone, Copy)]
pub(crate) struct Vectors {
    #[cfg(target_arch = "x86_64")]
    simd: Option<V3>,
}

impl Vectors {
    /// The best that this machine has.
    pub fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            simd: V3::try_new(),
        }
    }

    /// The weighted sum of four runs of voxels.
    #[inline(always)]
    pub fn weigh(self, voxels: [&[u16; LANES]; 4], weights: [f32; 4]) -> [f32; LANES] {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.simd {
            return weigh_vectors(simd, voxels, weights);
        }
        std::array::from_fn(|i| {
            let [a, b, c, d] =
                std::array::from_fn(|corner: usize| weights[corner] * f32::from(voxels[corner][i]));
            a + b + c + d
        })
    }

    /// `layers[z][pixel] = columns[pixel][z]`; the depth of both divides by four, the number of
    /// pixels by eight.
    #[inline(always)]
    pub fn transpose<const DEPTH: usize, const WIDTH: usize>(
        self,
        columns: &[[f32; DEPTH]],
        layers: &mut [[f32; WIDTH]],
    ) {
        for (group, columns) in columns.as_chunks::<LANES>().0.iter().enumerate() {
            for (index, lines) in layers.as_chunks_mut::<LAYERS>().0.iter_mut().enumerate() {
                let column = |pixel: usize| -> [f32; LAYERS] {
                    let column = columns[pixel][index * LAYERS..].first_chunk();
                    *column.expect("the depth divides by four")
                };
                let block = self.block(column);
                for (line, pixels) in lines.iter_mut().zip(block) {
                    line[group * LANES..][..LANES].copy_from_slice(&pixels);
                }
            }
        }
    }

    #[inline(always)]
    fn block(self, column: impl Fn(usize) -> [f32; LAYERS]) -> [[f32; LANES]; LAYERS] {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.simd {
            return shuffled(simd, column);
        }
        std::array::from_fn(|layer| std::array::from_fn(|pixel| column(pixel)[layer]))
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn weigh_vectors(simd: V3, voxels: [&[u16; LANES]; 4], weights: [f32; 4]) -> [f32; LANES] {
    let avx = simd.avx;
    let term = |corner: usize| {
        let wide = simd.avx2._mm256_cvtepu16_epi32(cast(*voxels[corner]));
        let value = avx._mm256_cvtepi32_ps(wide);
        avx._mm256_mul_ps(avx._mm256_set1_ps(weights[corner]), value)
    };
    let sum = avx._mm256_add_ps(term(0), term(1));
    let sum = avx._mm256_add_ps(sum, term(2));
    cast(avx._mm256_add_ps(sum, term(3)))
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn shuffled(simd: V3, column: impl Fn(usize) -> [f32; LAYERS]) -> [[f32; LANES]; LAYERS] {
    let avx = simd.avx;
    // Layers a to d of a pixel in the lower half, of the fourth after it in the upper half.
    let pair = |pixel: usize| cast([column(pixel), column(pixel + LANES / 2)]);
    let [v0, v1, v2, v3] = [pair(0), pair(1), pair(2), pair(3)];
    // a0 a1 b0 b1, c0 c1 d0 d1, a2 a3 b2 b3, c2 c3 d2 d3
    let ab01 = cast(avx._mm256_unpacklo_ps(v0, v1));
    let cd01 = cast(avx._mm256_unpackhi_ps(v0, v1));
    let ab23 = cast(avx._mm256_unpacklo_ps(v2, v3));
    let cd23 = cast(avx._mm256_unpackhi_ps(v2, v3));
    [
        cast(avx._mm256_unpacklo_pd(ab01, ab23)),
        cast(avx._mm256_unpackhi_pd(ab01, ab23)),
        cast(avx._mm256_unpacklo_pd(cd01, cd23)),
        cast(avx._mm256_unpackhi_pd(cd01, cd23)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways() -> [Vectors; 2] {
        let plain = Vectors {
            #[cfg(target_arch = "x86_64")]
            simd: None,
        };
        [Vectors::new(), plain]
    }

    #[test]
    fn every_layer_gets_its_pixels() {
        let columns: Vec<[f32; 12]> = (0..16)
            .map(|pixel| std::array::from_fn(|layer| (100 * layer + pixel) as f32))
            .collect();
        for vectors in ways() {
            let mut layers = vec![[0.0; 16]; 12];
            vectors.transpose(&columns, &mut layers);
            for (layer, line) in layers.iter().enumerate() {
                for (pixel, &value) in line.iter().enumerate() {
                    assert_eq!(value, (100 * layer + pixel) as f32);
                }
            }
        }
    }

    #[test]
    fn all_machines_weigh_alike() {
        let voxels: [[u16; LANES]; 4] = std::array::from_fn(|corner| {
            std::array::from_fn(|i| (65_535 - 7_919 * i * (corner + 1) % 65_536) as u16)
        });
        let weights = [0.1, 0.23, 0.3, 0.37];
        let [found, plain] = ways().map(|vectors| vectors.weigh(voxels.each_ref(), weights));
        assert_eq!(found, plain);
        let terms = (0..4).map(|corner| weights[corner] * f32::from(voxels[corner][5]));
        assert!((terms.sum::<f32>() - found[5]).abs() < 0.01);
    }
}
