use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, GrayImage, ImageFormat};
use inkling_fragment::Shrink;
use ndarray::Array2;

/// Longest side of a picture within the page, in pixels.
pub const LONGEST: usize = 1200;

/// A picture as a `data:` address, so that the page needs no other file.
pub fn data_address(picture: &DynamicImage) -> String {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("PNG takes every picture made here, and memory takes every write");
    format!(
        "data:image/png;base64,{}",
        STANDARD.encode(bytes.into_inner())
    )
}

/// A grey image, (y, x), as a `data:` address, shrunk by whole factors when it is large.
pub fn gray_address(image: &Array2<u8>) -> String {
    let small = Shrink::to([image.nrows(), image.ncols()], LONGEST).means(image);
    let picture = GrayImage::from_fn(small.ncols() as u32, small.nrows() as u32, |x, y| {
        image::Luma([small[(y as usize, x as usize)]])
    });
    data_address(&DynamicImage::ImageLuma8(picture))
}
