/// A smooth random field that can be evaluated anywhere: values on a lattice from a hash of
/// (seed, place), joined by smooth interpolation. It needs no memory and no order, so that blocks
/// of a phantom can be made on any number of threads.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    seed: u64,
    /// Lattice steps in pixels, (y, x).
    step: [f32; 2],
}

impl Field {
    /// A field whose features are about `step` (y, x) pixels wide.
    pub fn new(seed: u64, step: [f32; 2]) -> Self {
        Self { seed, step }
    }

    /// The field at (y, x): mean 0, standard deviation about 0.4, within (−1, 1).
    pub fn at(&self, y: f32, x: f32) -> f32 {
        let (y, x) = (y / self.step[0], x / self.step[1]);
        let (row, column) = (y.floor(), x.floor());
        let (v, u) = (ease(y - row), ease(x - column));
        let corner = |dy: f32, dx: f32| {
            let place =
                ((row + dy) as i64 as u64) << 32 ^ ((column + dx) as i64 as u64 & 0xFFFF_FFFF);
            signed_unit(mix(self.seed ^ mix(place)))
        };
        let top = corner(0.0, 0.0) * (1.0 - u) + corner(0.0, 1.0) * u;
        let bottom = corner(1.0, 0.0) * (1.0 - u) + corner(1.0, 1.0) * u;
        top * (1.0 - v) + bottom * v
    }

    /// Two octaves: the field and a finer, weaker one on top.
    pub fn rough(&self, y: f32, x: f32) -> f32 {
        let finer = Self {
            seed: mix(self.seed),
            step: self.step.map(|step| step / 2.3),
        };
        0.8 * self.at(y, x) + 0.5 * finer.at(y, x)
    }
}

/// Continuous first and second derivatives at the lattice.
fn ease(t: f32) -> f32 {
    t * t * t * (t * (6.0 * t - 15.0) + 10.0)
}

/// A hash of 64 bits: splitmix64's step and finaliser (Steele, Lea and Flood 2014).
pub fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A uniform value in (−1, 1) from a hash.
pub fn signed_unit(hash: u64) -> f32 {
    ((hash >> 40) as f32 + 0.5) / (1 << 23) as f32 - 1.0
}
