//! Fragment folders from end to end: how they lie on disk, what is wrong with them, writing them.

mod bad_input;
mod layer_kinds;
mod layouts;
mod scraps;
mod side_images;
mod writing;
mod zarr;
mod zarr_layouts;
