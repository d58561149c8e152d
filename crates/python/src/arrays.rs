//! Arrays as Python hands them in: checked, and converted where that is cheap.

use ndarray::{Array2, ArrayView2, Ix2, Ix3};
use pyo3::basic::CompareOp;
use pyo3::prelude::*;

use crate::buffers::Borrowed;
use crate::errors::input;

/// Intensities (z, y, x).
pub type VolumeArray = Borrowed<u16, Ix3>;
/// Numbers (y, x).
pub type MapArray = Borrowed<f32, Ix2>;

/// An array, and what it is called in messages.
pub struct Given<'py> {
    name: &'static str,
    array: Bound<'py, PyAny>,
    /// Sizes along the axes.
    shape: Vec<usize>,
}

impl<'py> Given<'py> {
    /// Takes what `numpy.asarray` takes; refuses arrays without elements and of other than `axes` axes.
    pub fn new(
        name: &'static str,
        object: &Bound<'py, PyAny>,
        axes: &'static str,
    ) -> PyResult<Self> {
        let numpy = object.py().import("numpy")?;
        let array = numpy.call_method1("asarray", (object,)).map_err(|error| {
            input(format!(
                "{name}: found something that NumPy makes no array of ({error}); expected an array {axes}"
            ))
        })?;
        let shape: Vec<usize> = array.getattr("shape")?.extract()?;
        let given = Self { name, array, shape };
        let ndim = axes.matches(',').count() + 1;
        if given.shape.len() != ndim {
            let (found, shape) = (given.shape.len(), given.shape());
            return Err(given.wrong(format!("{found} axes, {shape}"), format!("{ndim}, {axes}")));
        }
        if given.shape.contains(&0) {
            let shape = given.shape();
            return Err(given.wrong(
                format!("an empty array, {shape}"),
                format!("elements, {axes}"),
            ));
        }
        Ok(given)
    }

    fn shape(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        sizes.join(" × ")
    }

    /// NumPy's letter for the kind of elements, and their size in bytes.
    fn kind(&self) -> PyResult<(char, usize)> {
        let dtype = self.array.getattr("dtype")?;
        Ok((
            dtype.getattr("kind")?.extract()?,
            dtype.getattr("itemsize")?.extract()?,
        ))
    }

    /// An error that says what was found and expected.
    fn wrong(&self, found: impl AsRef<str>, expected: impl AsRef<str>) -> PyErr {
        let (name, found, expected) = (self.name, found.as_ref(), expected.as_ref());
        input(format!("{name}: found {found}; expected {expected}"))
    }

    fn wrong_type(&self, expected: &str, hint: &str) -> PyErr {
        let name = self.name;
        match self.array.getattr("dtype") {
            Ok(dtype) => input(format!(
                "{name}: found {dtype}; expected {expected}. hint: {hint}"
            )),
            Err(error) => error,
        }
    }

    /// The same numbers as `dtype` in the machine's own byte order, aligned; the array itself if it is such.
    fn as_type(&self, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
        let numpy = self.array.py().import("numpy")?;
        numpy.call_method1("require", (&self.array, dtype, ["ALIGNED"]))
    }

    /// Intensities (z, y, x): 16 bits as they are, 8 bits times 257.
    pub fn volume(&self) -> PyResult<VolumeArray> {
        match self.kind()? {
            ('u', 2) => Borrowed::new(&self.as_type("uint16")?),
            ('u', 1) => {
                let wide = self.as_type("uint16")?;
                Borrowed::new(&wide.mul(257)?.call_method1("astype", ("uint16",))?)
            }
            ('f', _) => Err(self.wrong_type(
                "uint16, or uint8, which is multiplied by 257",
                "bring the intensities to 0 to 65535 and give volume.astype(numpy.uint16)",
            )),
            _ => Err(self.wrong_type(
                "uint16, or uint8, which is multiplied by 257",
                "if all values are 0 to 65535, give volume.astype(numpy.uint16)",
            )),
        }
    }

    /// Where something is (y, x): truth values, or integers of which all but 0 are meant.
    pub fn mask(&self) -> PyResult<Array2<bool>> {
        match self.kind()? {
            ('b' | 'u' | 'i', _) => {
                let set = self.array.rich_compare(0, CompareOp::Ne)?;
                let set: Borrowed<u8, Ix2> = Borrowed::new(&set.call_method1("view", ("uint8",))?)?;
                Ok(set.view().mapv(|set| set != 0))
            }
            _ => Err(
                self.wrong_type("bool, or integers of which all but 0 are meant", {
                    "compare first, as in image > 0.5"
                }),
            ),
        }
    }

    /// Numbers (y, x) as 32-bit floats.
    pub fn map(&self) -> PyResult<MapArray> {
        match self.kind()? {
            ('f', _) | ('i' | 'u', _) => Borrowed::new(&self.as_type("float32")?),
            _ => Err(self.wrong_type("float32", "convert it with .astype(numpy.float32)")),
        }
    }

    /// Probabilities (y, x) as levels of an 8-bit image: uint8, or floats from 0 to 1.
    pub fn levels(&self) -> PyResult<Array2<u8>> {
        match self.kind()? {
            ('u', 1) => Ok(Borrowed::<u8, Ix2>::new(&self.array)?.view().to_owned()),
            ('f', _) => {
                let floats: MapArray = Borrowed::new(&self.as_type("float32")?)?;
                let floats = floats.view();
                self.check_probabilities(floats)?;
                Ok(inkling_predict::to_image(&floats.to_owned()))
            }
            _ => Err(self.wrong_type(
                "float32 from 0 to 1, or uint8 from 0 to 255",
                "divide other integers by their largest value",
            )),
        }
    }

    fn check_probabilities(&self, floats: ArrayView2<f32>) -> PyResult<()> {
        let wrong = floats
            .indexed_iter()
            .find(|(_, value)| !(0.0..=1.0).contains(*value));
        match wrong {
            None => Ok(()),
            Some(((y, x), value)) => {
                Err(self.wrong(format!("{value} at ({y}, {x})"), "probabilities, 0 to 1"))
            }
        }
    }

    /// Tiles (tile, y, x) as 32-bit floats.
    pub fn tiles(&self) -> PyResult<Borrowed<f32, Ix3>> {
        match self.kind()? {
            ('f', _) => Borrowed::new(&self.as_type("float32")?),
            _ => Err(self.wrong_type("float32", "convert it with .astype(numpy.float32)")),
        }
    }
}

/// The mask named `name` (y, x) of a sheet of `size`; says so when it lies across.
pub fn mask_of(
    name: &'static str,
    object: &Bound<PyAny>,
    size: [usize; 2],
) -> PyResult<Array2<bool>> {
    let mask = Given::new(name, object, "(y, x)")?.mask()?;
    check_size(name, [mask.nrows(), mask.ncols()], size)?;
    Ok(mask)
}

/// Refuses an image of another size than a volume's layers.
pub fn check_size(name: &str, found: [usize; 2], size: [usize; 2]) -> PyResult<()> {
    if found == size {
        return Ok(());
    }
    let hint = match found == [size[1], size[0]] {
        true => "hint: axes are (y, x); give the transpose, .T",
        false => "hint: a volume's axes are (z, y, x), an image's (y, x)",
    };
    Err(input(format!(
        "{name}: found {} × {} px (height × width); expected {} × {} px as the volume's layers have. {hint}",
        found[0], found[1], size[0], size[1]
    )))
}
