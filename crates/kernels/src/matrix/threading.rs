//! Whether a product uses the pool's threads.

/// The threads that a product runs on. Its bits do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threading {
    /// The calling thread alone: for products that are tasks of the pool themselves.
    Caller,
    /// Rayon's current pool; the product's rows are shared out.
    Pool,
}
