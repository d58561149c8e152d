//! Segments on a server, from the command line: one call from an address to a map.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use inkling_fragment::{Fragment, Part, WriteOptions, ZarrVersion, read_gray, write_part};
use inkling_synth::{PhantomSettings, write_phantom};
use serde_json::Value;

use crate::server::Server;
use crate::test_fragment::{TestFragment, figures, train_words, word};

/// A bucket `open` with a segment of several chunks along y and x, and a model.
struct Bucket {
    scrap: TestFragment,
    server: Server,
    /// The segment on disk.
    local: PathBuf,
}

impl Bucket {
    fn new() -> Self {
        let scrap = TestFragment::new();
        scrap.phantom("2", 2);
        let recipe = scrap.recipe("");
        figures(&train_words(&recipe, "1", &scrap.path("run")));
        let settings = PhantomSettings {
            height: 400,
            width: 500,
            depth: 30,
            seed: 3,
            letter_height: 60,
            ..PhantomSettings::default()
        };
        let layers = scrap.path("layers");
        write_phantom(&layers, &settings, true, &|_, _| {}).unwrap();
        let fragment = Fragment::open(&layers).unwrap();
        let folder = scrap.path("bucket/open/w07");
        std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
        let options = WriteOptions {
            zarr: Some(ZarrVersion::V2),
            ..WriteOptions::default()
        };
        let whole = Part::downscaled(&fragment, 1);
        write_part(&fragment, &whole, &folder, &options, &|_, _| {}).unwrap();
        let server = Server::start(&scrap.path("bucket"));
        Self {
            local: folder.join("surface_volume.zarr"),
            scrap,
            server,
        }
    }

    /// Calls the program with this server in place of Amazon's, and a cache of its own.
    fn inkling(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_inkling"))
            .args(words)
            .args(["--json", "-q"])
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("INKLING_CACHE", self.scrap.path("cache"))
            .env("INKLING_ATTEMPTS", "2")
            .output()
            .unwrap()
    }

    fn figures(&self, words: &[&str]) -> Value {
        let output = self.inkling(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Predicts a corner of `segment` into a folder of the `name`.
    fn corner(&self, segment: &str, name: &str) -> PathBuf {
        let out = self.scrap.path(name);
        let (run, segment) = (self.scrap.path("run"), format!("w07={segment}"));
        self.figures(&[
            "predict",
            &segment,
            "--model",
            word(&run),
            "--out",
            word(&out),
            "--region",
            "40:90,50:100",
            "--tta",
            "none",
            // The look at the voxels' range takes chunks of its own.
            "--voxels",
            "as-is",
        ]);
        out.join("w07.png")
    }
}

#[test]
fn a_region_of_a_segment_in_a_bucket_becomes_the_map_of_the_same_on_disk() {
    let bucket = Bucket::new();
    let here = bucket.corner(word(&bucket.local), "here");
    let there = bucket.corner("s3://open/w07/surface_volume.zarr", "there");
    let map = read_gray(&here).unwrap();
    assert_eq!(map, read_gray(there).unwrap());
    assert!(map.iter().any(|&level| level > 0));
    // One of the sixteen chunks is needed.
    let moved = bucket
        .server
        .traffic("open/w07/surface_volume.zarr/0")
        .bytes;
    let stored = bytes_below(&bucket.local.join("0"));
    assert!(moved > 0 && 4 * moved < stored, "{moved} of {stored} bytes");
}

#[test]
fn other_commands_take_addresses_too_and_name_what_is_not_there() {
    let bucket = Bucket::new();
    let address = bucket.server.address("open/w07/surface_volume.zarr");
    let info = bucket.figures(&["info", word(&address)]);
    let local = bucket.figures(&["info", word(&bucket.local)]);
    let layers = |info: &Value| info["found"][0]["layers"].clone();
    assert_eq!(layers(&info), layers(&local));
    assert!(!layers(&info).is_null(), "{info}");
    let output = bucket.inkling(&["info", "s3://closed/w07/surface_volume.zarr"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("s3://closed/w07") && said.contains("hint"),
        "{said}"
    );
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| match entry.path().is_dir() {
            true => bytes_below(&entry.path()),
            false => entry.metadata().unwrap().len(),
        })
        .sum()
}
