use std::cell::RefCell;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

thread_local! {
    static GENERATOR: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::seed_from_u64(0));
}

/// Seeds this thread's generator, from which first weights, dropout and stochastic depth are
/// drawn; `torch.manual_seed`, but for one thread.
///
/// The numbers are drawn by the processor, so that they are the same whatever device takes them,
/// and networks that are made or trained side by side do not change one another's. A thread that
/// was never seeded starts at seed 0.
pub fn seed_generator(seed: u64) {
    GENERATOR.set(ChaCha8Rng::seed_from_u64(seed));
}

/// Draws from this thread's generator.
pub(crate) fn draw<T>(numbers: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
    GENERATOR.with_borrow_mut(numbers)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn numbers(seed: u64) -> Vec<f32> {
        seed_generator(seed);
        (0..1000).map(|_| draw(|random| random.random())).collect()
    }

    #[test]
    fn threads_side_by_side_draw_what_each_draws_alone() {
        let alone: Vec<Vec<f32>> = (0..4).map(numbers).collect();
        assert_ne!(alone[0], alone[1]);
        let together: Vec<Vec<f32>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|seed| scope.spawn(move || numbers(seed)))
                .collect();
            let drawn = threads.into_iter().map(|thread| thread.join().unwrap());
            drawn.collect()
        });
        assert_eq!(alone, together);
    }
}
