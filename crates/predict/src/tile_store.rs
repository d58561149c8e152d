use std::path::{Path, PathBuf};

use inkling_fragment::{ResultFolder, ResultKind, read_gray, write_bytes, write_gray};
use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tile_file::{TileHeader, TileReader, TileWriter};
use crate::{Blend, Error, PredictionSpec, Rows, Shard, Sheet};

/// The plan's file.
const PLAN: &str = "plan.json";
/// The mask's file.
const MASK: &str = "mask.png";
/// A plan is some kilobytes.
const LARGEST_PLAN: u64 = 16 << 20;

/// The tiles of one fragment's prediction on disk: `plan.json`, `mask.png`, and a file of tiles per
/// part. Parts can be made by any number of processes on any machines that see the folder.
pub struct TileStore {
    folder: PathBuf,
    plan: PredictionSpec,
    about: Value,
}

/// `plan.json`: the plan, and what people may want to know besides.
#[derive(Serialize, Deserialize)]
struct PlanFile {
    plan: PredictionSpec,
    about: Value,
}

impl TileStore {
    /// The store in `folder`, begun when it is not there; `about` is kept beside the plan.
    ///
    /// # Errors
    /// [`Error::OtherPlan`] when another prediction was begun there; [`Error::Fragment`].
    pub fn begin(
        folder: &Path,
        plan: PredictionSpec,
        about: Value,
        sheet: &Sheet,
    ) -> Result<Self, Error> {
        if folder.join(PLAN).exists() {
            let there = Self::open(folder)?;
            let different = there.plan.differences(&plan);
            return match different.is_empty() {
                true => Ok(there),
                false => Err(Error::OtherPlan {
                    path: folder.to_owned(),
                    found: different.join(", "),
                }),
            };
        }
        let results = ResultFolder::own(folder, ResultKind::Tiles)?;
        // Parts that begin at once write the same.
        let image = sheet.to_image();
        write_gray(results.claim(MASK, true)?, image.view(), true)?;
        let file = PlanFile { plan, about };
        let text = serde_json::to_string_pretty(&file).expect("a plan is plain data");
        write_bytes(results.claim(PLAN, true)?, text, true)?;
        Ok(Self {
            folder: folder.to_owned(),
            plan: file.plan,
            about: file.about,
        })
    }

    /// The store that was begun in `folder`.
    ///
    /// # Errors
    /// [`Error::NoPlan`] when there is none, or it is damaged.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(PLAN);
        let wrong = |reason: String| Error::NoPlan {
            path: path.clone(),
            reason,
        };
        let length = std::fs::metadata(&path).map_err(|error| wrong(error.to_string()))?;
        if length.len() > LARGEST_PLAN {
            return Err(wrong(format!("{} bytes long", length.len())));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let file: PlanFile =
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        file.plan.check().map_err(wrong)?;
        Ok(Self {
            folder: folder.to_owned(),
            plan: file.plan,
            about: file.about,
        })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The plan.
    pub fn plan(&self) -> &PredictionSpec {
        &self.plan
    }

    /// What was kept beside it.
    pub fn about(&self) -> &Value {
        &self.about
    }

    /// Which pixels are predicted: of the plan's size, and with as many tiles as the plan has.
    ///
    /// # Errors
    /// [`Error::Fragment`]; [`Error::NoPlan`] for a mask that does not belong to the plan.
    pub fn sheet(&self) -> Result<Sheet, Error> {
        let path = self.folder.join(MASK);
        let wrong = |reason: String| Error::NoPlan {
            path: path.clone(),
            reason,
        };
        let image = read_gray(&path)?;
        let (found, expected) = ([image.nrows(), image.ncols()], self.plan.size);
        if found != expected {
            return Err(wrong(format!(
                "a mask of {found:?} px beside a plan of {expected:?}"
            )));
        }
        let sheet = Sheet::of_image(&image);
        let (found, expected) = (self.plan.places(&sheet).len(), self.plan.tiles);
        match found == expected {
            true => Ok(sheet),
            false => Err(wrong(format!(
                "a mask with {found} tiles beside a plan of {expected}"
            ))),
        }
    }

    /// Begins `part`, or continues it when `resume` is set; none when it is finished.
    ///
    /// # Errors
    /// [`Error::Begun`] when it is there and neither `resume` nor `force` is set, [`Error::InProgress`] while another
    /// process predicts it.
    pub fn part(
        &self,
        part: Shard,
        resume: bool,
        force: bool,
    ) -> Result<Option<ShardWriter>, Error> {
        let (finished, partial) = (self.path(part, "tiles"), self.path(part, "partial"));
        let there = [&finished, &partial].into_iter().find(|path| path.exists());
        if let (Some(path), false, false) = (there, resume, force) {
            let path = path.clone();
            return Err(Error::Begun { path });
        }
        let header = self.header(part);
        if resume && finished.exists() {
            TileReader::open(&finished, &header)?;
            return Ok(None);
        }
        let results = ResultFolder::shared(&self.folder, ResultKind::Tiles);
        results.claim(&part.file_name("tiles"), true)?;
        results.claim(&part.file_name("json"), true)?;
        let file = match resume && partial.exists() {
            true => TileWriter::resume(&partial, header)?,
            false => TileWriter::create(&results.claim(&part.file_name("partial"), true)?, header)?,
        };
        Ok(Some(ShardWriter {
            file,
            part,
            finished,
            tiles: self.plan.tiles,
        }))
    }

    /// Where the figures of a part are kept, as JSON.
    pub fn figures_path(&self, part: Shard) -> PathBuf {
        self.path(part, "json")
    }

    /// Which parts there should be: those of the same number as any that is there.
    ///
    /// # Errors
    /// [`Error::MissingParts`] naming those that are missing or unfinished; [`Error::MixedParts`]
    /// when there are parts of different numbers.
    pub fn parts(&self) -> Result<Vec<Shard>, Error> {
        let entries =
            std::fs::read_dir(&self.folder).map_err(|source| inkling_fragment::Error::Io {
                path: self.folder.clone(),
                source,
            })?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut of: Vec<usize> = names
            .filter_map(|name| part_of(name.to_str()?))
            .map(|part| part.of)
            .collect();
        of.sort_unstable();
        of.dedup();
        let [of] = of[..] else {
            return Err(Error::MixedParts {
                path: self.folder.clone(),
                found: of,
            });
        };
        let parts = (1..=of).map(|number| Shard { number, of });
        let missing: Vec<String> = parts
            .clone()
            .filter(|&part| !self.path(part, "tiles").exists())
            .map(|part| match self.path(part, "partial").exists() {
                true => format!("{part} (unfinished)"),
                false => part.to_string(),
            })
            .collect();
        match missing.is_empty() {
            true => Ok(parts.collect()),
            false => Err(Error::MissingParts {
                path: self.folder.clone(),
                missing: missing.join(", "),
            }),
        }
    }

    /// Blends the tiles of all parts, the same bits however many they are, and hands on the rows.
    ///
    /// # Errors
    /// Those of [`parts`](Self::parts) and of `finished`; [`Error::TileFile`] for damage.
    pub fn blend(
        &self,
        sheet: &Sheet,
        finished: &mut dyn FnMut(Rows) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let plan = &self.plan;
        let places = plan.places(sheet);
        let channels = plan.channels.count(plan.models.len());
        let weights = plan.rules.weights(plan.blend, plan.image_size, plan.step);
        let mut blend = Blend::new(sheet.shown(), plan.rules, weights, channels);
        for part in self.parts()? {
            let path = self.path(part, "tiles");
            let mut reader = TileReader::open(&path, &self.header(part))?;
            while let Some((index, images)) = reader.next_tile()? {
                let (y, x) = places[index];
                blend.add([y, x], images.view(), finished)?;
            }
        }
        blend.finish(finished)
    }

    /// Removes the store's own files, and its folder where nothing else lies in it.
    ///
    /// # Errors
    /// [`Error::Fragment`].
    pub fn remove(self) -> Result<(), Error> {
        Ok(ResultFolder::shared(self.folder, ResultKind::Tiles).remove()?)
    }

    fn header(&self, part: Shard) -> TileHeader {
        TileHeader {
            plan: self.plan.digest(),
            channels: self.plan.channels.count(self.plan.models.len()),
            side: self.plan.image_size,
            tiles: part.range(self.plan.tiles),
        }
    }

    fn path(&self, part: Shard, ending: &str) -> PathBuf {
        self.folder.join(part.file_name(ending))
    }
}

/// The part that a file name speaks of.
fn part_of(name: &str) -> Option<Shard> {
    let (stem, ending) = name.rsplit_once('.')?;
    let (number, of) = stem.strip_prefix("part-")?.split_once("-of-")?;
    let known = ["tiles", "partial"].contains(&ending);
    known.then(|| format!("{number}/{of}").parse().ok())?
}

/// Takes the tiles of one part.
pub struct ShardWriter {
    file: TileWriter,
    part: Shard,
    finished: PathBuf,
    tiles: usize,
}

impl ShardWriter {
    /// The tiles that are still to be made.
    pub fn left(&self) -> std::ops::Range<usize> {
        let range = self.part.range(self.tiles);
        range.start + self.file.done()..range.end
    }

    /// The next tile, (channel, y, x).
    ///
    /// # Errors
    /// [`Error::Fragment`], as for a full disk.
    pub fn put(&mut self, images: ArrayView3<f32>) -> Result<(), Error> {
        self.file.put(images)
    }

    /// Calls the part finished.
    ///
    /// # Errors
    /// [`Error::Fragment`].
    pub fn finish(self) -> Result<(), Error> {
        self.file.finish(&self.finished)
    }
}
