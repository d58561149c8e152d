use ndarray::{Array3, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Adds Gaussian noise of standard deviation `deviation` to intensities, which stay within 0 to
/// 65535. Every layer has a stream of random numbers of its own.
pub(crate) fn gaussian_noise(volume: &mut Array3<f32>, deviation: f32, seed: u64) {
    for (index, mut layer) in volume.axis_iter_mut(Axis(0)).enumerate() {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(index as u64);
        for voxel in &mut layer {
            let noise: f32 = StandardNormal.sample(&mut random);
            *voxel = (*voxel + deviation * noise).clamp(0.0, f32::from(u16::MAX));
        }
    }
}
