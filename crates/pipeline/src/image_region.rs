//! A rectangle of a sheet's pixels.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use anyhow::bail;
use inkling_fragment::Region;
use ndarray::{Array2, s};
use serde::{Serialize, Serializer};

use crate::Usage;

/// Rows and columns of a sheet, in pixels from its upper left; written `Y0:Y1,X0:X1`, the ends left
/// out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRegion {
    /// Rows.
    pub rows: Range<usize>,
    /// Columns.
    pub columns: Range<usize>,
}

impl ImageRegion {
    /// All of a sheet of `height` rows and `width` columns.
    pub fn whole([height, width]: [usize; 2]) -> Self {
        Self {
            rows: 0..height,
            columns: 0..width,
        }
    }

    /// The papyrus of `mask`, (y, x), that lies within.
    ///
    /// # Errors
    /// A region that reaches beyond the sheet at `path`, or holds no papyrus.
    pub fn of_mask(&self, mask: &Array2<bool>, path: &Path) -> anyhow::Result<Array2<bool>> {
        let (height, width) = mask.dim();
        if self.rows.end > height || self.columns.end > width {
            bail!(
                "{}: found a sheet of {height} × {width} px; expected one that --region {self} lies in. \
                 hint: rows come first, `--region 0:{height},0:{width}` is all of it",
                path.display()
            );
        }
        let window = s![self.rows.clone(), self.columns.clone()];
        let mut within = Array2::from_elem(mask.dim(), false);
        within.slice_mut(window).assign(&mask.slice(window));
        if !within.iter().any(|&papyrus| papyrus) {
            bail!(
                "{}: found no papyrus in --region {self}; expected some. hint: its mask says where \
                 papyrus is, `inkling info` names it",
                path.display()
            );
        }
        Ok(within)
    }

    /// The middle of the `index`-th of `count` bands of equal height.
    pub fn row_of(&self, index: usize, count: usize) -> usize {
        self.rows.start + (2 * index + 1) * self.rows.len() / (2 * count)
    }

    /// Layers `z` of one of its rows.
    pub fn line(&self, z: Range<usize>, y: usize) -> Region {
        Region::new(z, y..y + 1, self.columns.clone())
    }
}

impl fmt::Display for ImageRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, columns } = self;
        write!(
            f,
            "{}:{},{}:{}",
            rows.start, rows.end, columns.start, columns.end
        )
    }
}

impl FromStr for ImageRegion {
    type Err = Usage;

    fn from_str(text: &str) -> Result<Self, Usage> {
        let range = |text: &str| -> Option<Range<usize>> {
            let (start, end) = text.split_once(':')?;
            let range = start.trim().parse().ok()?..end.trim().parse().ok()?;
            (!range.is_empty()).then_some(range)
        };
        text.split_once(',')
            .and_then(|(rows, columns)| {
                Some(Self {
                    rows: range(rows)?,
                    columns: range(columns)?,
                })
            })
            .ok_or_else(|| {
                Usage(format!(
                    "--region {text}: expected Y0:Y1,X0:X1 in pixels, each end beyond its start. \
                     hint: the upper left thousand pixels are 0:1000,0:1000"
                ))
            })
    }
}

impl Serialize for ImageRegion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_read_as_they_are_written() {
        let region: ImageRegion = "10:250, 0:7".parse().unwrap();
        assert_eq!(
            (region.rows.clone(), region.columns.clone()),
            (10..250, 0..7)
        );
        assert_eq!(region.to_string().parse::<ImageRegion>().unwrap(), region);
        for wrong in ["", "10:20", "20:10,0:5", "5:5,0:9", "a:b,0:5", "-1:5,0:5"] {
            let error = wrong.parse::<ImageRegion>().unwrap_err().to_string();
            assert!(error.contains("Y0:Y1,X0:X1"), "{error}");
        }
    }

    #[test]
    fn only_papyrus_within_counts() {
        let mask = Array2::from_shape_fn((30, 20), |(y, _)| y >= 10);
        let path = Path::new("sheet");
        let region = |text: &str| text.parse::<ImageRegion>().unwrap();
        let within = region("5:15,2:6").of_mask(&mask, path).unwrap();
        assert_eq!(within.iter().filter(|&&papyrus| papyrus).count(), 5 * 4);
        assert!(within[[10, 2]] && !within[[9, 2]] && !within[[10, 6]]);
        let text = |found: anyhow::Result<_>| found.unwrap_err().to_string();
        let beyond = text(region("0:31,0:5").of_mask(&mask, path));
        assert!(
            beyond.contains("30 × 20") && beyond.contains("0:30,0:20"),
            "{beyond}"
        );
        let bare = text(region("0:10,0:20").of_mask(&mask, path));
        assert!(bare.contains("no papyrus"), "{bare}");
    }

    #[test]
    fn rows_are_spread_over_the_region() {
        let region: ImageRegion = "100:200,0:5".parse().unwrap();
        let rows: Vec<usize> = (0..4).map(|index| region.row_of(index, 4)).collect();
        assert_eq!(rows, [112, 137, 162, 187]);
    }
}
