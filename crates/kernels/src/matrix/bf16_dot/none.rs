use crate::matrix::dot::Dot;

/// Instructions that no processor of this kind has.
#[derive(Clone, Copy, Debug)]
pub enum Bf16Dot {}

impl Bf16Dot {
    pub(super) fn try_new() -> Option<Self> {
        None
    }

    pub(super) fn vectorize<O>(self, _work: impl FnOnce() -> O) -> O {
        match self {}
    }

    pub(super) fn narrow(self, _values: [f32; 16]) -> [u32; 8] {
        match self {}
    }
}

impl Dot for Bf16Dot {
    const LANES: usize = 1;
    type Words = u32;
    type Sums = f32;

    fn splat(self, _value: f32) -> f32 {
        match self {}
    }

    fn plus(self, _left: f32, _right: f32) -> f32 {
        match self {}
    }

    fn add(self, _one: u32, _words: u32, _sums: f32) -> f32 {
        match self {}
    }
}
