//! Which layers a published network reads of a fragment: those in the middle.

use inkling_model::Approach;

/// First layer and end (exclusive) of the `depth` in the middle of `found`, as whoever published
/// the network counts them; the two rules differ where one of the numbers is odd and the other even.
/// All from the first on where there are too few.
pub fn centred_layers(approach: Approach, found: usize, depth: usize) -> [usize; 2] {
    let first = match approach {
        Approach::Hybrid => (found / 2).saturating_sub(depth / 2),
        _ => found.saturating_sub(depth) / 2,
    };
    [first, first + depth]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_the_publishers() {
        let canonical = |found, depth| centred_layers(Approach::ResNet3d, found, depth);
        assert_eq!(canonical(109, 62), [23, 85]);
        assert_eq!(canonical(65, 62), [1, 63]);
        assert_eq!(canonical(30, 17), [6, 23]);
        let flat = |found| centred_layers(Approach::Hybrid, found, 17)[0];
        assert_eq!([30, 28, 20, 21, 17].map(flat), [7, 6, 2, 2, 0]);
        assert_eq!(canonical(10, 62), [0, 62]);
    }
}
