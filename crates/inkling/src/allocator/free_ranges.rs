//! Ranges of addresses that are free: taken by best fit, and joined with their neighbours when they come back.

use std::collections::{BTreeMap, BTreeSet};

/// Ranges that do not overlap or touch, by address and by length, in bytes.
pub struct FreeRanges {
    by_address: BTreeMap<usize, usize>,
    by_length: BTreeSet<(usize, usize)>,
}

impl FreeRanges {
    /// None.
    pub const fn new() -> Self {
        Self {
            by_address: BTreeMap::new(),
            by_length: BTreeSet::new(),
        }
    }

    /// Takes `length` bytes from the shortest range that has them, the lowest of several, and gives their address.
    pub fn take(&mut self, length: usize) -> Option<usize> {
        let &(found, address) = self.by_length.range((length, 0)..).next()?;
        self.cut(address, found, length);
        Some(address)
    }

    /// Takes `length` bytes that begin at `address`, if they are free and a range begins there.
    pub fn take_at(&mut self, address: usize, length: usize) -> bool {
        match self.by_address.get(&address) {
            Some(&found) if found >= length => {
                self.cut(address, found, length);
                true
            }
            _ => false,
        }
    }

    /// Takes up to `length` bytes from the longest range, and gives their address and how many they are.
    pub fn take_from_longest(&mut self, length: usize) -> Option<(usize, usize)> {
        let &(found, address) = self.by_length.last()?;
        let length = length.min(found);
        self.cut(address, found, length);
        Some((address, length))
    }

    /// Puts a range that no other overlaps.
    pub fn put(&mut self, mut address: usize, mut length: usize) {
        if let Some((&before, &its_length)) = self.by_address.range(..address).next_back()
            && before + its_length == address
        {
            self.remove(before, its_length);
            address = before;
            length += its_length;
        }
        if let Some(&its_length) = self.by_address.get(&(address + length)) {
            self.remove(address + length, its_length);
            length += its_length;
        }
        self.insert(address, length);
    }

    /// Takes the first `length` of the `found` bytes at `address`.
    fn cut(&mut self, address: usize, found: usize, length: usize) {
        self.remove(address, found);
        if found > length {
            self.insert(address + length, found - length);
        }
    }

    fn insert(&mut self, address: usize, length: usize) {
        self.by_address.insert(address, length);
        self.by_length.insert((length, address));
    }

    fn remove(&mut self, address: usize, length: usize) {
        self.by_address.remove(&address);
        self.by_length.remove(&(length, address));
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_shortest_range_that_fits_is_cut() {
        let mut free = FreeRanges::new();
        for (address, length) in [(0, 10), (20, 4), (30, 6)] {
            free.put(address, length);
        }
        assert_eq!(free.take(5), Some(30));
        assert_eq!(free.take(4), Some(20));
        assert_eq!(free.take(11), None);
        assert!(free.take_at(0, 2), "a range begins there");
        assert!(!free.take_at(0, 2), "it is taken");
        assert!(!free.take_at(3, 2), "none begins there");
        assert_eq!(free.take_from_longest(100), Some((2, 8)));
        assert_eq!(free.take_from_longest(100), Some((35, 1)));
        assert_eq!(free.take_from_longest(100), None);
    }

    /// Beside a table with one entry for each byte.
    #[test]
    fn bytes_are_free_or_taken_once() {
        const BYTES: usize = 200;
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut free = FreeRanges::new();
        free.put(0, BYTES);
        let mut is_free = [true; BYTES];
        let mut taken = Vec::new();
        for _ in 0..20_000 {
            if random.random_bool(0.5) {
                let length = random.random_range(1..30);
                if let Some(address) = free.take(length) {
                    let piece = &mut is_free[address..address + length];
                    assert!(piece.iter().all(|free| *free));
                    piece.fill(false);
                    taken.push((address, length));
                } else {
                    let longest = is_free.split(|free| !free).map(<[bool]>::len).max();
                    assert!(longest < Some(length), "neighbours are joined");
                }
            } else if !taken.is_empty() {
                let (address, length) = taken.swap_remove(random.random_range(0..taken.len()));
                is_free[address..address + length].fill(true);
                free.put(address, length);
            }
        }
        for (address, length) in taken {
            free.put(address, length);
        }
        assert_eq!(free.take(BYTES), Some(0));
    }
}
