//! Small phantoms on disk and a recipe that trains on them in a second.

use std::path::PathBuf;

use inkling_pipeline::Recipe;
use inkling_synth::{PhantomSettings, write_phantom};
use tempfile::TempDir;

/// A folder with the phantoms `1` and `2`.
pub struct Phantoms {
    pub folder: TempDir,
}

impl Phantoms {
    pub fn new() -> Self {
        let phantoms = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for seed in [1, 2] {
            let settings = PhantomSettings {
                height: 150,
                width: 131,
                depth: 30,
                seed,
                letter_height: 40,
                ..PhantomSettings::default()
            };
            let path = phantoms.path(&seed.to_string());
            write_phantom(&path, &settings, false, &|_, _| {}).unwrap();
        }
        phantoms
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The recipe for fragments of these names, with `overrides`.
    pub fn recipe(&self, fragments: &[&str], overrides: &[&str]) -> Recipe {
        let names: Vec<String> = fragments.iter().map(|name| format!("{name:?}")).collect();
        let text = format!(
            "[data]\nfragments = [{}]\nlayers = [5, 17]\n\
             [model]\nencoder = \"maxvit_rmlp_pico_rw_256\"\nimage_size = 32\ndepth = 6\n\
             decoder = [8, 8, 8]\n\
             [model.maxvit]\nstem = [4, 4]\nchannels = [8, 8, 8, 8]\nblocks = [1, 1, 1, 1]\n\
             head_width = 8\nposition_hidden = 8\nposition_dropout = 0.0\n\
             [train]\nepochs = 1\nbatch = 2\naccumulate = 2\nsamples_per_epoch = 8\n\
             [predict]\ntta = \"none\"\n",
            names.join(", ")
        );
        let path = self.path("recipe.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        Recipe::read(&[path], &overrides).unwrap()
    }
}
