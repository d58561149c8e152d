//! A small region of a large layer costs a small read. The system counts what a process reads; the
//! test is alone in its process so that the count is its own.
#![cfg(target_os = "linux")]

use std::io::Write;

use inkling_fragment::{Fragment, Region, Volume, VoxelRange};

/// A layer of 40,000 × 30,000 px in strips of 100 rows: 2.4 GB, of which the disk holds only the
/// header.
const SIZE: [u32; 2] = [40_000, 30_000];
const ROWS: u32 = 100;

/// Writes the layer: the directory first, then a hole for the pixels.
fn write_hole(path: &std::path::Path) {
    let strips = SIZE[0] / ROWS;
    let entries: [(u16, u16, u32, u32); 8] = [
        (256, 4, 1, SIZE[1]),
        (257, 4, 1, SIZE[0]),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, strips, 1_000),
        (278, 4, 1, ROWS),
        (279, 4, strips, 1_000 + 4 * strips),
    ];
    let mut bytes = b"II\x2a\x00\x08\0\0\0".to_vec();
    bytes.extend(8_u16.to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.resize(1_000, 0);
    let strip = ROWS * SIZE[1] * 2;
    bytes.extend((0..strips).flat_map(|index| (10_000 + index * strip).to_le_bytes()));
    bytes.extend((0..strips).flat_map(|_| strip.to_le_bytes()));
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_len(10_000 + u64::from(strip) * u64::from(strips))
        .unwrap();
}

/// Bytes that this process has read so far, by the system's count.
fn bytes_read() -> u64 {
    let counts = std::fs::read_to_string("/proc/self/io").unwrap();
    let count = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
    count.unwrap().parse().unwrap()
}

#[test]
fn a_small_region_of_a_large_volume_is_a_small_read() {
    let folder = tempfile::tempdir().unwrap();
    let layers = folder.path().join("layers");
    std::fs::create_dir(&layers).unwrap();
    for z in 0..3 {
        write_hole(&layers.join(format!("{z}.tif")));
    }
    let closed = bytes_read();
    let fragment = Fragment::open(folder.path()).unwrap();
    assert_eq!(fragment.shape(), [3, 40_000, 30_000]);
    let opened = bytes_read();
    assert!(
        opened - closed < 300_000,
        "opening read {}",
        opened - closed
    );

    // Once for each fragment: a row of some layers, since all is 0 more of them.
    assert_eq!(fragment.voxel_range(), VoxelRange::Sixteen);
    let looked_at = bytes_read();
    let rows = 2 * 30_000 * (3 + 3 * 4);
    assert!(looked_at - opened < rows + 2_000, "{}", looked_at - opened);

    let region = Region::new(0..3, 39_900..39_964, 29_000..29_064);
    let voxels = fragment.read(&region).unwrap();
    assert!(voxels.iter().all(|&voxel| voxel == 0));
    let read = bytes_read() - looked_at;
    let asked = 2 * voxels.len() as u64;
    assert!(read >= asked, "the count must be of these reads: {read}");
    assert!(read < asked + 2_000, "{read} bytes for {asked}");
}
