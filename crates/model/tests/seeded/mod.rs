//! Weights that follow from their tensors' names, the same as `oracles/seeded_weights.py` draws.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use inkling_model::Tensors;
use inkling_model::weights::{NamedVisitor, visit_named};

fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let state = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (1..=count as u64).map(move |index| {
        let z = state.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
    })
}

/// The values of the tensor `name` of `shape`.
pub fn tensor(name: &str, shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    let (centre, spread) = if name.ends_with("running_var") {
        (1.0, 0.25)
    } else if shape.len() <= 1 {
        let scale = ["weight", "gamma", "scale"]
            .iter()
            .any(|end| name.ends_with(end));
        (f64::from(u8::from(scale)), 0.1 * 3.0_f64.sqrt())
    } else {
        let fan_in: usize = shape[1..].iter().product();
        (0.0, 1.2 * (3.0 / fan_in as f64).sqrt())
    };
    uniform(name, count)
        .map(|u| (centre + spread * u) as f32)
        .collect()
}

/// Seeded values for every float tensor of `module`.
pub fn tensors(module: &impl Module) -> Tensors {
    struct Filler(Tensors);
    impl NamedVisitor for Filler {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            let shape = param.lazy_shape().to_vec();
            let values = tensor(name, &shape);
            self.0.insert(name.to_owned(), shape, values);
        }
    }
    let mut filler = Filler(Tensors::default());
    visit_named(module, &mut filler);
    filler.0
}
