use std::path::Path;

use serde_json::Value;

use crate::Error;
use crate::zarr_codecs::Codecs;
use crate::zarr_compression::LARGEST_CHUNK;
use crate::zarr_element::ElementType;
use crate::zarr_json::read_json;

/// The longest side of an array, and the most elements of one.
const LONGEST: u64 = 1 << 31;
const MOST: u64 = 1 << 50;
/// Axes: OME-Zarr has up to five.
const MOST_AXES: usize = 8;

/// What `.zarray` or an array's `zarr.json` says, checked: sides and chunks are at least 1, a
/// chunk is no larger than [`LARGEST_CHUNK`], and products of sides do not overflow.
#[derive(Clone, Debug)]
pub(crate) struct ArrayMetadata {
    /// Elements along each axis.
    pub shape: Vec<usize>,
    /// Elements of a file's chunk along each axis.
    pub chunk: Vec<usize>,
    pub element: ElementType,
    /// What chunks hold that are not stored.
    pub fill: i64,
    pub keys: ChunkKeys,
    pub codecs: Codecs,
    /// Names of the axes, by `dimension_names` or `_ARRAY_DIMENSIONS`.
    pub names: Option<Vec<String>>,
}

/// How chunks' files are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkKeys {
    /// Whether `c` stands before the numbers.
    pub prefix: bool,
    /// What stands between the numbers: `/` or `.`.
    pub separator: char,
}

impl ChunkKeys {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self::of(false, '.'),
        Self::of(false, '/'),
        Self::of(true, '/'),
        Self::of(true, '.'),
    ];

    const fn of(prefix: bool, separator: char) -> Self {
        Self { prefix, separator }
    }

    /// The chunk's file, relative to its array's folder.
    pub fn file(self, position: &[usize]) -> String {
        let prefix = self.prefix.then(|| "c".to_owned());
        let numbers = position.iter().map(usize::to_string);
        let parts: Vec<String> = prefix.into_iter().chain(numbers).collect();
        parts.join(self.separator.encode_utf8(&mut [0; 4]))
    }
}

impl ArrayMetadata {
    /// Reads the metadata of the array in `folder`; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Zarr`] for what is no metadata, and for what it asks for that is
    /// not read, by name.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let three = folder.join("zarr.json");
        if let Some(metadata) = read_json(&three)? {
            if metadata["node_type"] == "group" {
                return Ok(None);
            }
            return Self::version_3(&metadata).map(Some).map_err(wrong(&three));
        }
        let two = folder.join(".zarray");
        let Some(metadata) = read_json(&two)? else {
            return Ok(None);
        };
        let mut array = Self::version_2(&metadata).map_err(wrong(&two))?;
        let attributes = read_json(&folder.join(".zattrs"))?.unwrap_or_default();
        array.names = names(&attributes["_ARRAY_DIMENSIONS"]);
        Ok(Some(array))
    }

    fn version_2(metadata: &Value) -> Result<Self, String> {
        let dtype = &metadata["dtype"];
        let (element, big) = dtype
            .as_str()
            .and_then(ElementType::of_version_2)
            .ok_or_else(|| format!("elements of {dtype}"))?;
        let separator = match metadata["dimension_separator"].as_str() {
            Some("/") => '/',
            _ => '.',
        };
        Self {
            shape: sides(&metadata["shape"], "shape")?,
            chunk: sides(&metadata["chunks"], "chunks")?,
            element,
            fill: fill(&metadata["fill_value"])?,
            keys: ChunkKeys {
                prefix: false,
                separator,
            },
            codecs: Codecs::of_version_2(metadata, big)?,
            names: None,
        }
        .checked()
    }

    fn version_3(metadata: &Value) -> Result<Self, String> {
        let kind = &metadata["data_type"];
        let name = kind.as_str().or(kind["name"].as_str()).unwrap_or_default();
        let element = ElementType::of_version_3(name).ok_or(format!("elements of {kind}"))?;
        let grid = &metadata["chunk_grid"];
        if grid["name"] != "regular" {
            return Err(format!("chunks in a grid called {}", grid["name"]));
        }
        let transformers = metadata["storage_transformers"].as_array();
        if transformers.is_some_and(|transformers| !transformers.is_empty()) {
            return Err("storage transformers".to_owned());
        }
        let chunk = sides(&grid["configuration"]["chunk_shape"], "chunk_shape")?;
        check_chunk(&chunk, element)?;
        let encoding = &metadata["chunk_key_encoding"];
        let prefix = encoding["name"] != "v2";
        let separator = match encoding["configuration"]["separator"].as_str() {
            Some("/") => '/',
            Some(".") => '.',
            _ if prefix => '/',
            _ => '.',
        };
        let attributes = &metadata["attributes"]["_ARRAY_DIMENSIONS"];
        Self {
            shape: sides(&metadata["shape"], "shape")?,
            codecs: Codecs::of_version_3(&metadata["codecs"], &chunk)?,
            chunk,
            element,
            fill: fill(&metadata["fill_value"])?,
            keys: ChunkKeys { prefix, separator },
            names: names(&metadata["dimension_names"]).or_else(|| names(attributes)),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, String> {
        if self.shape.len() != self.chunk.len() {
            let (shape, chunk) = (&self.shape, &self.chunk);
            return Err(format!(
                "chunks of {chunk:?} in an array of shape {shape:?}"
            ));
        }
        let elements = self.shape.iter().try_fold(1_u64, |product, &side| {
            product.checked_mul(side as u64).filter(|&all| all <= MOST)
        });
        if elements.is_none() {
            return Err(format!("an array of shape {:?}", self.shape));
        }
        check_chunk(&self.chunk, self.element)?;
        Ok(self)
    }
}

fn check_chunk(chunk: &[usize], element: ElementType) -> Result<(), String> {
    let bytes = chunk.iter().try_fold(element.width(), |product, &side| {
        product
            .checked_mul(side)
            .filter(|&bytes| bytes <= LARGEST_CHUNK)
    });
    match bytes {
        Some(_) => Ok(()),
        None => Err(format!(
            "chunks of {chunk:?} elements, more than {} MiB each",
            LARGEST_CHUNK >> 20
        )),
    }
}

fn wrong(path: &Path) -> impl FnOnce(String) -> Error {
    |reason| Error::Zarr {
        path: path.to_owned(),
        reason,
    }
}

/// Lengths of 1 and more along each axis.
fn sides(list: &Value, what: &str) -> Result<Vec<usize>, String> {
    let sides: Option<Vec<usize>> = list
        .as_array()
        .filter(|list| (1..=MOST_AXES).contains(&list.len()))
        .and_then(|list| {
            let side = |side: &Value| {
                let side = side.as_u64().filter(|side| (1..=LONGEST).contains(side));
                side.map(|side| side as usize)
            };
            list.iter().map(side).collect()
        });
    sides.ok_or_else(|| match list {
        Value::Null => format!("no {what}"),
        list => format!("{what} of {}", shortened(list)),
    })
}

/// The start of a JSON value, for messages.
pub(crate) fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

/// A whole number; 0 for none, for NaN and for what floats and strings have instead of one.
fn fill(value: &Value) -> Result<i64, String> {
    let of_float = |value: f64| (value.fract() == 0.0).then_some(value as i64);
    let number = match value {
        Value::Null => Some(0),
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Number(number) => number.as_i64().or(number.as_f64().and_then(of_float)),
        Value::String(text) if text.is_empty() || text == "NaN" => Some(0),
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        _ => None,
    };
    number.ok_or_else(|| format!("the fill value {}", shortened(value)))
}

/// Names of all axes; `None` unless each has one that says something: `dim_0` does not.
fn names(list: &Value) -> Option<Vec<String>> {
    let name = |name: &Value| {
        let name = name.as_str()?;
        (!name.is_empty() && !name.starts_with("dim_")).then(|| name.to_owned())
    };
    list.as_array()?.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn two() -> Value {
        json!({
            "zarr_format": 2, "shape": [9, 40, 33], "chunks": [5, 20, 33], "dtype": "<u2",
            "compressor": null, "filters": null, "fill_value": 0, "order": "C",
        })
    }

    fn three() -> Value {
        json!({
            "zarr_format": 3, "node_type": "array", "shape": [9, 40, 33], "data_type": "uint16",
            "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": [10, 40, 40] } },
            "chunk_key_encoding": { "name": "default" }, "fill_value": 0,
            "codecs": [{ "name": "sharding_indexed", "configuration": {
                "chunk_shape": [5, 20, 20],
                "codecs": [{ "name": "bytes", "configuration": { "endian": "little" } }],
                "index_codecs": [{ "name": "bytes", "configuration": { "endian": "little" } },
                                 { "name": "crc32c" }],
            } }],
        })
    }

    #[test]
    fn what_asks_for_too_much_or_makes_no_sense_is_refused() {
        assert!(ArrayMetadata::version_2(&two()).is_ok());
        let cases = [
            ("shape", json!([9, 40])),
            ("shape", json!([9, 0, 33])),
            ("shape", json!([-1, 40, 33])),
            ("shape", json!(vec![1; 9])),
            ("shape", json!([1_u64 << 31, 1_u64 << 31, 1_u64 << 31])),
            ("shape", json!(u64::MAX)),
            ("chunks", json!([0, 20, 33])),
            ("chunks", json!([i64::MAX, i64::MAX, i64::MAX])),
            ("chunks", json!([1024, 1024, 1024])),
            ("dtype", json!("<U4")),
            ("dtype", json!([["a", "<u2"]])),
            ("order", json!("K")),
            ("fill_value", json!("white")),
            ("fill_value", json!([1])),
            ("compressor", json!({ "id": "bz2" })),
            ("filters", json!([{ "id": "delta", "dtype": "<u2" }])),
        ];
        for (key, value) in cases {
            let mut metadata = two();
            metadata[key] = value.clone();
            let refused = ArrayMetadata::version_2(&metadata);
            assert!(refused.is_err(), "{key} {value}");
        }
        let mut metadata = two();
        metadata["filters"] = json!([{ "id": "delta", "dtype": "<u2" }]);
        let message = ArrayMetadata::version_2(&metadata).unwrap_err();
        assert!(message.contains("delta"), "{message}");
    }

    #[test]
    fn shards_that_make_no_sense_are_refused() {
        assert!(ArrayMetadata::version_3(&three()).is_ok());
        for chunk in [
            json!([0, 20, 20]),
            json!([3, 20, 20]),
            json!([5, 20]),
            json!([u64::MAX, 1, 1]),
        ] {
            let mut metadata = three();
            metadata["codecs"][0]["configuration"]["chunk_shape"] = chunk.clone();
            assert!(ArrayMetadata::version_3(&metadata).is_err(), "{chunk}");
        }
        let mut metadata = three();
        metadata["chunk_grid"]["configuration"]["chunk_shape"] = json!([i64::MAX, i64::MAX, 1]);
        assert!(ArrayMetadata::version_3(&metadata).is_err());
        let mut metadata = three();
        metadata["codecs"] = json!([{ "name": "pcodec" }]);
        let message = ArrayMetadata::version_3(&metadata).unwrap_err();
        assert!(message.contains("pcodec"), "{message}");
    }

    #[test]
    fn odd_fill_values_are_understood() {
        let cases = [
            (json!(null), 0),
            (json!("NaN"), 0),
            (json!(7.0), 7),
            (json!("0xff"), 255),
            (json!(true), 1),
        ];
        for (value, wanted) in cases {
            assert_eq!(fill(&value), Ok(wanted), "{value}");
        }
    }

    #[test]
    fn chunks_are_named_by_their_positions() {
        let names = ChunkKeys::ALL.map(|keys| keys.file(&[1, 2, 13]));
        assert_eq!(names, ["1.2.13", "1/2/13", "c/1/2/13", "c.1.2.13"]);
    }
}
