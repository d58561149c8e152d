//! Noise that looks like a sheet to statistics: its brightness per layer, its spectrum, its correlation
//! between layers, and nothing that was written.

use std::ops::Range;

use inkling_fragment::{Error, Region, Volume};
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fourier::{Complex, Direction, transform};

/// Largest side of the square that is repeated, in pixels; it is a power of two.
const LARGEST: usize = 512;
/// Share of the square's side over which its deviations fade out at each edge.
const TAPER: f32 = 1.0 / 16.0;
/// Rows that the mean brightness of a layer is taken from, evenly spread.
const ROWS: usize = 64;

/// Noise of a volume's size, the same in every square of `tile`'s size; layers before and after are 0.
pub struct Noise {
    shape: [usize; 3],
    first: usize,
    /// (z, y, x).
    tile: Array3<u16>,
}

impl Noise {
    /// Noise like the layers `layers` of `volume` where `papyrus` (y, x) is set: a square of it whose
    /// Fourier phases are drawn anew, the same ones for all layers (random phase noise; Galerne, Gousseau
    /// and Morel 2011).
    ///
    /// # Errors
    /// Those of reading.
    pub fn like(
        volume: &dyn Volume,
        layers: Range<usize>,
        papyrus: &Array2<bool>,
        seed: u64,
    ) -> Result<Self, Error> {
        let shape = volume.shape();
        let shortest = LARGEST.min(shape[1]).min(shape[2]).max(1);
        let side = 1 << shortest.ilog2();
        let (y, x) = fullest_square(papyrus, side);
        let region = Region::new(layers.clone(), y..y + side, x..x + side);
        let voxels = volume.read(&region)?;
        let inside = papyrus.slice(ndarray::s![y..y + side, x..x + side]);
        let means = mean_per_layer(volume, &layers, papyrus)?;
        let phases = random_phases(side, seed);
        let mut tile = Array3::zeros(voxels.raw_dim());
        let planes = voxels.axis_iter(Axis(0)).zip(tile.axis_iter_mut(Axis(0)));
        for ((plane, noise), mean) in planes.zip(means) {
            draw_plane(plane, inside, &phases, mean, noise);
        }
        Ok(Self {
            shape,
            first: layers.start,
            tile,
        })
    }
}

impl Volume for Noise {
    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        region.check(self.shape)?;
        let (depth, side, _) = self.tile.dim();
        let size = (region.z.len(), region.y.len(), region.x.len());
        let [z0, y0, x0] = [region.z.start, region.y.start, region.x.start];
        Ok(Array3::from_shape_fn(size, |(z, y, x)| {
            let layer = (z0 + z).checked_sub(self.first).filter(|&z| z < depth);
            layer.map_or(0, |z| self.tile[(z, (y0 + y) % side, (x0 + x) % side)])
        }))
    }
}

/// The upper left pixel of the square of `side` px, on a grid of half of it, that holds most papyrus.
fn fullest_square(papyrus: &Array2<bool>, side: usize) -> (usize, usize) {
    let (height, width) = papyrus.dim();
    let starts = |size: usize| {
        let last = size - side;
        (0..last).step_by((side / 2).max(1)).chain([last])
    };
    let places = starts(height).flat_map(|y| starts(width).map(move |x| (y, x)));
    let count = |&(y, x): &(usize, usize)| {
        let square = papyrus.slice(ndarray::s![y..y + side, x..x + side]);
        square.iter().filter(|&&set| set).count()
    };
    places.max_by_key(count).unwrap_or_default()
}

/// The mean of every layer over papyrus, from some rows; 0 without papyrus on them.
fn mean_per_layer(
    volume: &dyn Volume,
    layers: &Range<usize>,
    papyrus: &Array2<bool>,
) -> Result<Vec<f32>, Error> {
    let (height, width) = papyrus.dim();
    let mut sums = vec![0.0; layers.len()];
    let mut count = 0_usize;
    let mut rows: Vec<usize> = (0..ROWS)
        .map(|row| (2 * row + 1) * height / (2 * ROWS))
        .collect();
    rows.dedup();
    for y in rows {
        let on_papyrus = papyrus.row(y);
        count += on_papyrus.iter().filter(|&&set| set).count();
        let voxels = volume.read(&Region::new(layers.clone(), y..y + 1, 0..width))?;
        for (sum, layer) in sums.iter_mut().zip(voxels.outer_iter()) {
            let values = layer.iter().zip(&on_papyrus);
            *sum += values
                .filter(|&(_, &set)| set)
                .map(|(&value, _)| f64::from(value))
                .sum::<f64>();
        }
    }
    let mean = |sum: f64| (sum / count.max(1) as f64) as f32;
    Ok(sums.into_iter().map(mean).collect())
}

/// Factors of absolute value 1 with the symmetry of a real image's spectrum: those of white noise.
fn random_phases(side: usize, seed: u64) -> Vec<Complex> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let white = (0..side * side).map(|_| Complex::real(random.random_range(-1.0..1.0)));
    let mut spectrum: Vec<_> = white.collect();
    transform(&mut spectrum, side, Direction::Forward);
    for value in &mut spectrum {
        let norm = value.re.hypot(value.im);
        *value = match norm > 0.0 {
            true => value.scaled(1.0 / norm),
            false => Complex::real(1.0),
        };
    }
    spectrum
}

/// Writes noise like `plane` within `inside` into `noise`, around `mean`.
fn draw_plane(
    plane: ArrayView2<u16>,
    inside: ArrayView2<bool>,
    phases: &[Complex],
    mean: f32,
    mut noise: ArrayViewMut2<u16>,
) {
    let side = plane.nrows();
    let values: Vec<f32> = plane.iter().map(|&value| f32::from(value)).collect();
    let set = || values.iter().zip(&inside).filter(|&(_, &set)| set);
    let count = set().count().max(1) as f32;
    let own = set().map(|(&value, _)| value / count).sum::<f32>();
    let variance = set().map(|(&v, _)| (v - own).powi(2) / count).sum::<f32>();
    let edge = |at: usize| {
        let distance = at.min(side - 1 - at) as f32 + 0.5;
        (distance / (TAPER * side as f32)).min(1.0)
    };
    let mut spectrum: Vec<_> = (values.iter().zip(&inside).enumerate())
        .map(|(index, (&value, &set))| {
            let fade = edge(index / side) * edge(index % side);
            Complex::real(if set { (value - own) * fade } else { 0.0 })
        })
        .collect();
    transform(&mut spectrum, side, Direction::Forward);
    spectrum[0] = Complex::real(0.0);
    for (value, phase) in spectrum.iter_mut().zip(phases) {
        *value = value.times(*phase);
    }
    transform(&mut spectrum, side, Direction::Inverse);
    let power = spectrum.iter().map(|v| v.re * v.re).sum::<f32>() / (side * side) as f32;
    let gain = (variance / power.max(f32::MIN_POSITIVE)).sqrt();
    for (pixel, value) in noise.iter_mut().zip(spectrum) {
        *pixel = (mean + gain * value.re).round().clamp(0.0, 65_535.0) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stripes: brightness that rises with depth, correlated along x and between layers.
    fn sheet() -> Array3<u16> {
        Array3::from_shape_fn((4, 96, 128), |(z, y, x)| {
            let stripe = 400.0 * ((x as f32) * 0.4).sin();
            let grain = ((y * 7_919 + x * 104_729 + y * x * 31) % 97) as f32;
            (10_000.0 + 1_000.0 * z as f32 + stripe + grain) as u16
        })
    }

    fn moments(values: &Array3<u16>, z: usize, lag: usize) -> [f32; 3] {
        let plane = values.index_axis(Axis(0), z).mapv(f32::from);
        let mean = plane.mean().unwrap();
        let deviations = plane.mapv(|value| value - mean);
        let variance = deviations.mapv(|v| v * v).mean().unwrap();
        let near = deviations.slice(ndarray::s![.., lag..]);
        let far = deviations.slice(ndarray::s![.., ..deviations.ncols() - lag]);
        [mean, variance, (&near * &far).mean().unwrap() / variance]
    }

    #[test]
    fn noise_has_the_sheets_brightness_spread_and_correlation() {
        let volume = sheet();
        let papyrus = Array2::from_elem((96, 128), true);
        let noise = Noise::like(&volume, 1..4, &papyrus, 5).unwrap();
        let whole = noise.read(&Region::new(0..4, 0..96, 0..128)).unwrap();
        assert!(whole.index_axis(Axis(0), 0).iter().all(|&value| value == 0));
        for z in 1..4 {
            let ([mean, variance, near], [m, v, n]) =
                (moments(&volume, z, 8), moments(&whole, z, 8));
            assert!((mean - m).abs() < 30.0, "{mean} {m}");
            assert!((variance / v - 1.0).abs() < 0.15, "{variance} {v}");
            // Half a stripe further, brightness is the opposite.
            assert!(near < -0.8 && n < -0.6, "{near} {n}");
        }
        let first = whole.index_axis(Axis(0), 1).mapv(f64::from);
        let last = whole.index_axis(Axis(0), 3).mapv(f64::from);
        let (a, b) = (&first - first.mean().unwrap(), &last - last.mean().unwrap());
        let product = |a: &Array2<f64>, b: &Array2<f64>| (a * b).sum();
        let between = product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt();
        assert!(between > 0.99, "layers of one sheet go together: {between}");
        let again = Noise::like(&volume, 1..4, &papyrus, 5).unwrap();
        assert_eq!(
            again.read(&Region::new(2..3, 7..9, 0..128)).unwrap(),
            whole.slice(ndarray::s![2..3, 7..9, ..])
        );
    }

    #[test]
    fn the_square_with_most_papyrus_is_taken() {
        let papyrus = Array2::from_shape_fn((100, 40), |(y, _)| y >= 55);
        assert_eq!(fullest_square(&papyrus, 40), (60, 0));
    }
}
