use ndarray::Array2;

/// Pixels of one row that follow each other.
#[derive(Clone, Copy, Debug)]
struct Run {
    row: usize,
    /// First column and end (exclusive).
    columns: [usize; 2],
    /// The run that it was joined to, itself if it is the first of its region.
    parent: usize,
}

/// The regions of a map's pixels from a level on, connected by edges (not corners), as
/// `scipy.ndimage.label` has them. They are kept as runs, so that a large map takes little memory.
pub struct ConnectedRegions {
    runs: Vec<Run>,
    /// Highest level of the region that begins with this run.
    highest: Vec<u8>,
}

impl ConnectedRegions {
    /// Of `image`, 8-bit levels (y, x), from level `low` on.
    pub fn of(image: &Array2<u8>, low: u8) -> Self {
        let mut regions = Self {
            runs: Vec::new(),
            highest: Vec::new(),
        };
        let mut above = 0..0;
        for (row, levels) in image.outer_iter().enumerate() {
            let first = regions.runs.len();
            let mut column = 0;
            while column < levels.len() {
                let run = levels.iter().skip(column);
                let length = run.clone().take_while(|&&level| level >= low).count();
                if let Some(&highest) = run.take(length).max() {
                    let parent = regions.runs.len();
                    regions.runs.push(Run {
                        row,
                        columns: [column, column + length],
                        parent,
                    });
                    regions.highest.push(highest);
                }
                // The pixel after a run is below the level.
                column += length + 1;
            }
            let here = first..regions.runs.len();
            regions.join_rows(above, here.clone());
            above = here;
        }
        regions
    }

    /// Joins the runs of a row with those of the row above.
    fn join_rows(&mut self, mut above: std::ops::Range<usize>, mut here: std::ops::Range<usize>) {
        while !above.is_empty() && !here.is_empty() {
            let [upper, lower] = [above.start, here.start].map(|run| self.runs[run].columns);
            if upper[0] < lower[1] && lower[0] < upper[1] {
                self.join(above.start, here.start);
            }
            match upper[1] < lower[1] {
                true => above.start += 1,
                false => here.start += 1,
            }
        }
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        let (first, second) = (one.min(other), one.max(other));
        self.runs[second].parent = first;
        self.highest[first] = self.highest[first].max(self.highest[second]);
    }

    fn root(&mut self, run: usize) -> usize {
        let mut root = run;
        while self.runs[root].parent != root {
            // Halves the way for whoever comes next.
            let beyond = self.runs[self.runs[root].parent].parent;
            self.runs[root].parent = beyond;
            root = beyond;
        }
        root
    }

    /// Calls `visit` with each run's row, its columns and its region's highest level, row by row.
    pub fn for_each(mut self, mut visit: impl FnMut(usize, [usize; 2], u8)) {
        for run in 0..self.runs.len() {
            let root = self.root(run);
            let Run { row, columns, .. } = self.runs[run];
            visit(row, columns, self.highest[root]);
        }
    }
}

/// What one region comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionSize {
    /// Its highest level.
    pub highest: u8,
    /// Its pixels within a mask.
    pub pixels: u64,
}

impl ConnectedRegions {
    /// All regions with pixels where `mask` is set, (y, x), in the order of their first pixels.
    pub fn sizes(mut self, mask: &Array2<bool>) -> Vec<RegionSize> {
        let mut pixels = vec![0; self.runs.len()];
        for run in 0..self.runs.len() {
            let (root, Run { row, columns, .. }) = (self.root(run), self.runs[run]);
            let [first, end] = columns;
            let own = (first..end).filter(|&column| mask[(row, column)]);
            pixels[root] += own.count() as u64;
        }
        let regions = self.highest.into_iter().zip(pixels);
        let within = regions.filter(|&(_, pixels)| pixels > 0);
        within
            .map(|(highest, pixels)| RegionSize { highest, pixels })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn highest(image: &Array2<u8>, low: u8) -> Array2<u8> {
        let mut found = Array2::zeros(image.dim());
        ConnectedRegions::of(image, low).for_each(|row, [first, end], highest| {
            found.slice_mut(ndarray::s![row, first..end]).fill(highest);
        });
        found
    }

    #[test]
    fn edges_connect_and_corners_do_not() {
        let image = ndarray::array![
            [9, 9, 0, 5, 5],
            [0, 0, 7, 0, 6],
            [5, 0, 5, 0, 5],
            [5, 5, 5, 0, 8],
        ];
        let expected = ndarray::array![
            [9, 9, 0, 8, 8],
            [0, 0, 7, 0, 8],
            [7, 0, 7, 0, 8],
            [7, 7, 7, 0, 8],
        ];
        assert_eq!(highest(&image, 5), expected);
        assert_eq!(highest(&image, 10), Array2::<u8>::zeros((4, 5)));
        assert_eq!(highest(&image, 0), Array2::from_elem((4, 5), 9));
        let mask = Array2::from_shape_fn((4, 5), |(_, x)| x != 4);
        let size = |highest, pixels| RegionSize { highest, pixels };
        let sizes = ConnectedRegions::of(&image, 5).sizes(&mask);
        assert_eq!(sizes, [size(9, 2), size(8, 1), size(7, 6)]);
    }
}
