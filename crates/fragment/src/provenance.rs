use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};

use crate::fragment::PROVENANCE;
use crate::voxel_fingerprint::voxel_fingerprint;
use crate::{Error, Fragment, Part, write_bytes};

/// Most bytes of `part.json`.
const LONGEST: u64 = 1 << 16;

/// No scan has longer sides, and no product of two such numbers overflows.
const LARGEST: usize = 1 << 31;

/// Where a fragment's pixels lay on the scan that it was first cut from. Whole fragments have one
/// too: themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The scan's name, for people.
    pub scan: String,
    /// Hash of the scan's size and of some of its voxels, by which it is known under any name,
    /// with any mask and labels, and by which its aligned copies are.
    pub fingerprint: String,
    /// Rows of the scan.
    pub rows: Range<usize>,
    /// Columns of the scan.
    pub columns: Range<usize>,
    /// Pixels of the scan for each pixel of the fragment, each way.
    pub step: usize,
}

impl Provenance {
    /// What `part.json` in the fragment's folder says, or the fragment as a whole.
    ///
    /// # Errors
    /// [`Error::Provenance`] for a damaged file; those of reading voxels.
    pub fn of(fragment: &Fragment) -> Result<Self, Error> {
        let path = fragment.path().join(PROVENANCE);
        match path.is_file() {
            true => Self::read(&path),
            false => Self::whole(fragment),
        }
    }

    fn whole(fragment: &Fragment) -> Result<Self, Error> {
        Ok(Self {
            scan: fragment.id().to_owned(),
            fingerprint: voxel_fingerprint(fragment)?,
            rows: 0..fragment.height(),
            columns: 0..fragment.width(),
            step: 1,
        })
    }

    /// That of `part` of the fragment.
    pub fn part(&self, part: &Part) -> Self {
        let range = |own: &Range<usize>, cut: &Range<usize>| {
            // A part.json may hold any numbers.
            let at = |place: usize| own.start.saturating_add(place.saturating_mul(self.step));
            at(cut.start)..own.end.min(at(cut.end))
        };
        Self {
            rows: range(&self.rows, &part.rows),
            columns: range(&self.columns, &part.columns),
            step: self.step.saturating_mul(part.step),
            ..self.clone()
        }
    }

    /// Whether the two show some of the same papyrus.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
        self.fingerprint == other.fingerprint
            && meet(&self.rows, &other.rows)
            && meet(&self.columns, &other.columns)
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let text = crate::read_text(path, LONGEST)?;
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let number = |value: &Value| value.as_u64().map(|number| number as usize);
        let range = |key: &str| Some(number(&value[key][0])?..number(&value[key][1])?);
        let parsed = || {
            Some(Self {
                scan: value["scan"].as_str()?.to_owned(),
                fingerprint: value["fingerprint"].as_str()?.to_owned(),
                rows: range("rows")?,
                columns: range("columns")?,
                step: number(&value["step"]).filter(|&step| step > 0)?,
            })
        };
        let sound = |own: &Self| {
            let ordered = |range: &Range<usize>| range.start < range.end && range.end <= LARGEST;
            ordered(&own.rows) && ordered(&own.columns) && own.step <= LARGEST
        };
        parsed().filter(sound).ok_or_else(|| Error::Provenance {
            path: path.to_owned(),
        })
    }

    /// Writes `part.json` into a fragment's `folder`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(PROVENANCE);
        let value = json!({
            "scan": self.scan,
            "fingerprint": self.fingerprint,
            "rows": [self.rows.start, self.rows.end],
            "columns": [self.columns.start, self.columns.end],
            "step": self.step,
        });
        write_bytes(&path, format!("{value:#}\n"), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Provenance {
        Provenance {
            scan: "2".to_owned(),
            fingerprint: "ab".to_owned(),
            rows: 0..100,
            columns: 0..61,
            step: 1,
        }
    }

    fn part(rows: Range<usize>, columns: Range<usize>, step: usize) -> Part {
        Part {
            rows,
            columns,
            step,
        }
    }

    #[test]
    fn parts_of_parts_are_known_on_the_scan() {
        let half = whole().part(&part(0..100, 0..61, 2));
        let cut = half.part(&part(10..50, 20..31, 1));
        assert_eq!((cut.rows.clone(), cut.columns.clone()), (20..100, 40..61));
        assert_eq!(cut.step, 2);
        assert!(cut.overlaps(&whole().part(&part(99..100, 60..61, 1))));
        assert!(!cut.overlaps(&whole().part(&part(0..20, 0..61, 1))));
        assert!(!cut.overlaps(&whole().part(&part(0..100, 0..40, 1))));
        let other = Provenance {
            fingerprint: "cd".to_owned(),
            ..whole()
        };
        assert!(!cut.overlaps(&other));
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let cut = whole().part(&part(10..50, 20..31, 2));
        cut.write(folder.path()).unwrap();
        let path = folder.path().join(PROVENANCE);
        assert_eq!(Provenance::read(&path).unwrap(), cut);
        std::fs::write(&path, "{\"scan\": 3").unwrap();
        let message = Provenance::read(&path).unwrap_err().to_string();
        assert!(message.contains("part.json"), "{message}");
    }
}
