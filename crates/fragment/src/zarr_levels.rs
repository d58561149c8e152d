use std::cmp::Reverse;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::Error;
use crate::remote::{self, Address};
use crate::storage;
use crate::zarr_json::read_json;
use crate::zarr_metadata::ArrayMetadata;

/// Files that mark a folder as Zarr, of version 3 and 2.
pub(crate) const MARKS: [&str; 4] = ["zarr.json", ".zgroup", ".zarray", ".zattrs"];

/// The levels of one image, from the finest to the coarsest, whether they are there or not.
#[derive(Debug)]
pub(crate) struct Levels {
    pub levels: Vec<Level>,
    /// Names of the axes, by OME-Zarr.
    pub axes: Option<Vec<String>>,
    /// What was decided where nothing says it, for people.
    pub words: Vec<String>,
    /// What voxels are measured in, where the metadata say it.
    pub unit: Option<String>,
}

/// One level.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// Its name in the metadata.
    pub name: String,
    /// The array's folder.
    pub folder: PathBuf,
    /// Size of its voxels along each axis, where the metadata say it.
    pub scale: Option<Vec<f64>>,
}

/// Whether `path` is a Zarr folder.
pub(crate) fn is_zarr(path: &Path) -> bool {
    if let Some(address) = Address::of(path) {
        let is_there = |mark: &&str| remote::read_document(&address.join(mark));
        return MARKS
            .iter()
            .any(|mark| is_there(mark).is_ok_and(|found| found.is_some()));
    }
    path.is_dir() && MARKS.iter().any(|mark| path.join(mark).is_file())
}

impl Levels {
    /// Those of the Zarr folder `path`: an array; an OME-Zarr image (0.1 to 0.5); the first of
    /// several, as bioformats2raw lays them out; or arrays in folders called 0, 1 … or s0, s1 …
    ///
    /// # Errors
    /// [`Error::ZarrContent`] for a folder that holds nothing of these, and for levels outside of it.
    pub fn find(path: &Path) -> Result<Self, Error> {
        if storage::is_file(path) {
            return Err(Error::ZarrContent {
                path: path.to_owned(),
                found: "a file, as zip stores of Zarr are".to_owned(),
                expected: "a Zarr folder".to_owned(),
                hint: "unpack it into a folder whose name ends with .zarr".to_owned(),
            });
        }
        if ArrayMetadata::read(path)?.is_some() {
            return Ok(Self {
                axes: axes_by_parent(path)?,
                levels: vec![Level::new(path, "")],
                words: Vec::new(),
                unit: None,
            });
        }
        match Self::of_image(path)? {
            Some(levels) => Ok(levels),
            None => Self::within_group(path),
        }
    }

    /// By `multiscales`.
    fn of_image(path: &Path) -> Result<Option<Self>, Error> {
        let Some(image) = multiscales(path)? else {
            return Ok(None);
        };
        let sets = image["datasets"].as_array().into_iter().flatten();
        let mut levels = Vec::new();
        for set in sets {
            let name = set["path"].as_str().unwrap_or_default();
            levels.push(Level {
                scale: scale(set),
                ..Level::within(path, name)?
            });
        }
        if levels.is_empty() {
            return Err(content(path, "multiscales without datasets"));
        }
        sort(&mut levels)?;
        Ok(Some(Self {
            axes: axes(&image, &levels)?,
            levels,
            words: Vec::new(),
            unit: unit(&image),
        }))
    }

    /// Where the group itself says nothing.
    fn within_group(path: &Path) -> Result<Self, Error> {
        let mut names = Vec::new();
        for entry in within(path)? {
            if is_zarr(&entry) {
                let name = entry.file_name().unwrap_or_default();
                names.push(name.to_string_lossy().into_owned());
            }
        }
        names.sort_by_key(|name| (number(name), name.clone()));
        let mut arrays = Vec::new();
        let mut images = series(path)?;
        let listed = !images.is_empty();
        for name in names {
            match ArrayMetadata::read(&path.join(&name))? {
                Some(array) => arrays.push((Level::new(&path.join(&name), &name), array)),
                None if !listed && multiscales(&path.join(&name))?.is_some() => images.push(name),
                None => {}
            }
        }
        if !arrays.is_empty() {
            return numbered(path, arrays);
        }
        let Some(first) = images.first() else {
            return Err(match is_zarr(path) {
                true => content(path, "a group without an image or an array"),
                false => bare(path),
            });
        };
        let folder = Level::within(path, first)?.folder;
        let Some(mut levels) = Self::of_image(&folder)? else {
            return Err(content(path, format!("no image in {first:?}")));
        };
        if images.len() > 1 {
            let others = images[1..].join(", ");
            let word = format!("the first image, {first}, is read; {others} are left out");
            levels.words.push(word);
        }
        Ok(levels)
    }

    /// Level `number`, the finest being 0.
    ///
    /// # Errors
    /// [`Error::ZarrContent`] for one that is not there.
    pub fn choose(&self, path: &Path, number: usize) -> Result<(&Level, ArrayMetadata), Error> {
        let Some(level) = self.levels.get(number) else {
            return Err(Error::ZarrContent {
                path: path.to_owned(),
                found: format!("{} levels, 0 being the finest", self.levels.len()),
                expected: format!("a level {number}"),
                hint: "ask for a level that is there".to_owned(),
            });
        };
        if let Some(array) = ArrayMetadata::read(&level.folder)? {
            return Ok((level, array));
        }
        let there = self.levels.iter().filter(|level| is_zarr(&level.folder));
        let there: Vec<&str> = there.map(|level| level.name.as_str()).collect();
        let (what, hint) = match (number, there.first()) {
            (0, Some(there)) => (
                "its finest level, ",
                format!("copy that level, too, or name the folder of another: {there}"),
            ),
            _ => ("level ", "copy that level, too".to_owned()),
        };
        Err(Error::ZarrContent {
            path: path.to_owned(),
            found: format!(
                "no array for {what}{:?}, which its metadata name (there: {})",
                level.name,
                there.join(", ")
            ),
            expected: "every level that is read".to_owned(),
            hint,
        })
    }
}

impl Level {
    fn new(folder: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            scale: None,
        }
    }

    /// A level lies in its image's folder.
    fn within(path: &Path, name: &str) -> Result<Self, Error> {
        let relative = Path::new(name);
        let stays = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        match stays && !name.contains('\\') {
            true => Ok(Self::new(&path.join(relative), name)),
            false => Err(content(path, format!("a level outside of it, {name:?}"))),
        }
    }
}

/// What lies in a group. Of servers that do not list it, what would be its levels.
fn within(path: &Path) -> Result<Vec<PathBuf>, Error> {
    match storage::list(path) {
        Ok(found) => Ok(found),
        Err(_) if remote::is_remote(path) => Ok((0..MOST_GUESSED)
            .map(|level| path.join(level.to_string()))
            .collect()),
        Err(error) => Err(Error::io(path)(error)),
    }
}

/// Levels that are looked for on servers that do not list what they have.
const MOST_GUESSED: usize = 8;

/// Arrays without metadata that tell their relation: levels by their numbers, or a single one.
fn numbered(path: &Path, arrays: Vec<(Level, ArrayMetadata)>) -> Result<Levels, Error> {
    let names: Vec<&str> = arrays
        .iter()
        .map(|(level, _)| level.name.as_str())
        .collect();
    let names = names.join(", ");
    let single = arrays.len() == 1;
    if !single
        && !arrays
            .iter()
            .all(|(level, _)| number(&level.name).is_some())
    {
        return Err(content(path, format!("several arrays ({names})")));
    }
    let numbers = arrays.iter().filter_map(|(level, _)| number(&level.name));
    if numbers.min().is_some_and(|lowest| lowest > 0) {
        return Err(content(
            path,
            format!("levels {names} without level 0, the finest"),
        ));
    }
    let mut arrays = arrays;
    arrays.sort_by_key(|(_, array)| Reverse(array.shape.iter().product::<usize>()));
    let shrink = arrays.windows(2).all(|pair| {
        let (fine, coarse) = (&pair[0].1.shape, &pair[1].1.shape);
        fine.len() == coarse.len() && fine.iter().zip(coarse).all(|(fine, coarse)| fine >= coarse)
    });
    if !shrink {
        let found = format!("several arrays ({names}) that are no levels of each other");
        return Err(content(path, found));
    }
    let finest = &arrays[0].0.name;
    let word = format!(
        "nothing says what its arrays ({names}) are: the largest, {finest}, is read as the finest level"
    );
    Ok(Levels {
        axes: None,
        words: (!single).then_some(word).into_iter().collect(),
        levels: arrays.into_iter().map(|(level, _)| level).collect(),
        unit: None,
    })
}

/// `3` and `s3` are 3.
fn number(name: &str) -> Option<u64> {
    name.strip_prefix('s').unwrap_or(name).parse().ok()
}

/// The finest first: by voxel size where all have one, then by the number of voxels.
fn sort(levels: &mut [Level]) -> Result<(), Error> {
    let scales: Option<Vec<f64>> = levels
        .iter()
        .map(|level| Some(level.scale.as_ref()?.iter().product()))
        .collect();
    let scales = scales.unwrap_or_else(|| vec![0.0; levels.len()]);
    let mut keyed = Vec::new();
    for (index, (level, scale)) in levels.iter().zip(scales).enumerate() {
        let voxels = match ArrayMetadata::read(&level.folder)? {
            Some(array) => array.shape.iter().product(),
            // The specification has the finest first.
            None if index == 0 => usize::MAX,
            None => 0,
        };
        keyed.push((scale, Reverse(voxels), level.clone()));
    }
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    for (level, (_, _, sorted)) in levels.iter_mut().zip(keyed) {
        *level = sorted;
    }
    Ok(())
}

/// Positive sizes along all axes, by a data set's `coordinateTransformations`.
fn scale(set: &Value) -> Option<Vec<f64>> {
    let steps = set["coordinateTransformations"].as_array()?;
    let scale = steps.iter().find_map(|step| step["scale"].as_array())?;
    let size = |size: &Value| size.as_f64().filter(|size| *size > 0.0 && size.is_finite());
    scale.iter().map(size).collect()
}

/// The attributes of a group, or of an array.
fn attributes(path: &Path) -> Result<Value, Error> {
    if let Some(mut metadata) = read_json(&path.join("zarr.json"))? {
        return Ok(metadata["attributes"].take());
    }
    Ok(read_json(&path.join(".zattrs"))?.unwrap_or_default())
}

/// The first image of a group's `multiscales`: OME-Zarr 0.5 has them under `ome`.
fn multiscales(path: &Path) -> Result<Option<Value>, Error> {
    let attributes = attributes(path)?;
    let places = ["/ome/multiscales/0", "/multiscales/0"];
    let image = places.iter().find_map(|place| attributes.pointer(place));
    Ok(image.filter(|image| image.is_object()).cloned())
}

/// What the first axis of space is measured in.
fn unit(image: &Value) -> Option<String> {
    let axes = image["axes"].as_array()?;
    let mut space = axes.iter().filter(|axis| axis["type"] == "space");
    space.find_map(|axis| Some(axis["unit"].as_str()?.to_owned()))
}

/// Names of axes: objects with names (0.4 and later), plain names (0.3), or none and always
/// (t, c, z, y, x) (0.1 and 0.2).
fn axes(image: &Value, levels: &[Level]) -> Result<Option<Vec<String>>, Error> {
    if let Some(axes) = image["axes"].as_array() {
        let name = |axis: &Value| {
            let name = axis["name"].as_str().or(axis.as_str());
            name.unwrap_or("without a name").to_owned()
        };
        return Ok(Some(axes.iter().map(name).collect()));
    }
    for level in levels {
        if let Some(array) = ArrayMetadata::read(&level.folder)? {
            let five = array.names.is_none() && array.shape.len() == 5;
            return Ok(five.then(|| ["t", "c", "z", "y", "x"].map(str::to_owned).to_vec()));
        }
    }
    Ok(None)
}

/// A level that is named by its own folder has its axes named by the image that it belongs to.
fn axes_by_parent(path: &Path) -> Result<Option<Vec<String>>, Error> {
    let Some(parent) = path.parent().filter(|parent| is_zarr(parent)) else {
        return Ok(None);
    };
    let Some(image) = multiscales(parent)? else {
        return Ok(None);
    };
    let own = path.file_name().unwrap_or_default();
    let mut sets = image["datasets"].as_array().into_iter().flatten();
    let belongs = sets.any(|set| set["path"].as_str().is_some_and(|name| own == name));
    match belongs {
        true => axes(&image, &[Level::new(path, "")]),
        false => Ok(None),
    }
}

/// The images that bioformats2raw lists, in `OME`.
fn series(path: &Path) -> Result<Vec<String>, Error> {
    let attributes = attributes(&path.join("OME"))?;
    let places = ["/ome/series", "/series"];
    let list = places
        .iter()
        .find_map(|place| attributes.pointer(place)?.as_array());
    let names = list.into_iter().flatten().filter_map(Value::as_str);
    Ok(names.map(str::to_owned).collect())
}

/// A folder that is Zarr by its name only.
fn bare(path: &Path) -> Error {
    Error::ZarrContent {
        path: path.to_owned(),
        found: "a folder without metadata".to_owned(),
        expected: "zarr.json, .zarray or .zgroup in it".to_owned(),
        hint: "copy these files, too; those whose names begin with a dot are hidden".to_owned(),
    }
}

fn content(path: &Path, found: impl Into<String>) -> Error {
    Error::ZarrContent {
        path: path.to_owned(),
        found: found.into(),
        expected: "an array, or an OME-Zarr image of one or more levels".to_owned(),
        hint: "name the folder of the array to read".to_owned(),
    }
}
