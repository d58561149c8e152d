//! The precision of the factors that products multiply.

use std::cell::Cell;

/// The precision to which convolutions, linear layers and attention round the factors of their
/// products. Sums and the tensors between layers are f32 in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MulPrecision {
    /// IEEE single precision: factors are used as they are.
    #[default]
    F32,
    /// bfloat16: factors are rounded to 8 significant bits. A processor with AVX-512 BF16 or
    /// Armv8.6's multiplies twice as many at once; any other gives the same results at the speed of f32.
    Bf16,
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

    /// The precision of products that this thread starts.
    pub fn current() -> Self {
        CURRENT.get()
    }
}
