//! The precision of the factors that products multiply.

use std::cell::Cell;

/// The precision to which convolutions, linear layers and attention round the factors of their
/// products. Sums and the tensors between layers are f32 in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MulPrecision {
    /// IEEE single precision: factors are used as they are.
    #[default]
    F32,
    /// bfloat16: factors are rounded to 8 significant bits. A processor with AMX, AVX-512 BF16 or
    /// Armv8.6's multiplies twice as many at once; any other gives the same results at the speed of f32.
    Bf16,
    /// Whole numbers of 8 bits for linear layers where no gradients are recorded, with a scale for each row of
    /// activations and each output of the weights; bf16 for the other products where the processor has
    /// instructions for it, else f32. AVX-512 VNNI, AVX-VNNI and Arm's `sdot` multiply four times as many as f32; any other processor gives
    /// the same results at the speed of f32.
    Int8,
}

thread_local! {
    static CURRENT: Cell<MulPrecision> = const { Cell::new(MulPrecision::F32) };
}

impl MulPrecision {
    /// Runs `work` with this precision for products that this thread starts.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let before = CURRENT.replace(self);
        let result = work();
        CURRENT.set(before);
        result
    }

    /// The precision of products that this thread starts, but for those of linear layers.
    pub fn current() -> Self {
        match CURRENT.get() {
            Self::Int8 if Self::Bf16.is_native() => Self::Bf16,
            Self::Int8 => Self::F32,
            other => other,
        }
    }

    /// The precision of linear layers that this thread starts, where no gradients are recorded.
    pub fn of_linear_layers() -> Self {
        CURRENT.get()
    }
}
