//! Fragments on servers: read as on disk, chunk by chunk; whatever a server does wrong is either mended
//! by asking again or an error, never a black tile.

mod server;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use inkling_fragment::{
    Error, Fragment, FragmentWriter, ReadOptions, Region, RemoteSettings, Volume, WriteOptions,
    ZarrVersion, configure_remote,
};
use ndarray::{Array2, Array3, s};
use server::{Fault, Server};
use tempfile::TempDir;

/// Several chunks of 128³ along y and x, and two levels.
const SHAPE: [usize; 3] = [5, 300, 600];

struct World {
    server: Server,
    _folders: [TempDir; 2],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let server = Server::start(folders[0].path());
    configure_remote(RemoteSettings {
        cache: Some(folders[1].path().to_owned()),
        cache_bytes: 1 << 30,
        attempts: 4,
        s3_endpoint: Some(server.endpoint()),
    });
    World {
        server,
        _folders: folders,
    }
});

fn server() -> &'static Server {
    &WORLD.server
}

fn truth() -> Array3<u16> {
    Array3::from_shape_fn(SHAPE, |(z, y, x)| {
        1 + ((z * 4099 + y * 521 + x * 37) % 65_535) as u16
    })
}

fn papyrus() -> Array2<bool> {
    Array2::from_shape_fn((SHAPE[1], SHAPE[2]), |(y, x)| y > 20 && x < 390)
}

/// Writes a fragment below the server's folder; the folder of its voxels.
fn write(name: &str, zarr: Option<ZarrVersion>) -> PathBuf {
    let folder = server().folder().join(name);
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let options = WriteOptions {
        zarr,
        ..WriteOptions::default()
    };
    let mut writer = FragmentWriter::create(&folder, SHAPE, options).unwrap();
    writer.write_rows(truth().view()).unwrap();
    writer.write_mask(&papyrus()).unwrap();
    writer.finish().unwrap();
    let volume = folder.join("surface_volume.zarr");
    if volume.exists() { volume } else { folder }
}

/// The address of a file or folder below the server's.
fn address(path: &Path) -> PathBuf {
    let path = path.strip_prefix(server().folder()).unwrap();
    server().address(path.to_str().unwrap())
}

fn in_bucket(path: &Path) -> PathBuf {
    let path = path.strip_prefix(server().folder()).unwrap();
    PathBuf::from(format!("s3://{}", path.display()))
}

fn whole(fragment: &Fragment) -> Result<Array3<u16>, Error> {
    let [depth, height, width] = SHAPE;
    fragment.read(&Region::new(0..depth, 0..height, 0..width))
}

#[test]
fn a_volume_reads_as_on_disk_and_only_the_chunks_needed_are_moved() {
    for (name, version) in [("two", ZarrVersion::V2), ("three", ZarrVersion::V3)] {
        let path = write(&format!("volume/{name}"), Some(version));
        // The look at the voxels' range takes chunks of its own.
        let as_is = ReadOptions {
            voxels_as_is: true,
            ..ReadOptions::default()
        };
        let fragment = Fragment::open_with(address(&path), as_is).unwrap();
        let corner = fragment.read(&Region::new(1..4, 10..90, 20..100)).unwrap();
        assert_eq!(corner, truth().slice(s![1..4, 10..90, 20..100]));
        let part = server().traffic(&format!("volume/{name}")).bytes;
        assert_eq!(whole(&fragment).unwrap(), truth());
        let all = server().traffic(&format!("volume/{name}")).bytes;
        assert!(4 * part < all, "{part} of {all} bytes");
        let coarse = ReadOptions {
            level: 1,
            ..ReadOptions::default()
        };
        let remote = Fragment::open_with(address(&path), coarse).unwrap();
        let local = Fragment::open_with(&path, coarse).unwrap();
        let region = Region::new(0..remote.depth(), 0..100, 0..100);
        assert_eq!(remote.read(&region).unwrap(), local.read(&region).unwrap());
        assert_eq!(remote.levels(), local.levels());
        // Nothing lists the folder, so that no mask is found: the coarsest level says where papyrus is.
        assert!(fragment.mask().unwrap().iter().all(|&papyrus| papyrus));
    }
}

#[test]
fn chunks_are_fetched_once_and_then_read_from_the_disk() {
    let path = write("kept", Some(ZarrVersion::V2));
    let fragment = Fragment::open(address(&path)).unwrap();
    whole(&fragment).unwrap();
    let before = server().traffic("kept/surface_volume.zarr/0/0");
    // As another run: nothing decoded is at hand.
    let again = Fragment::open(address(&path)).unwrap();
    assert_eq!(whole(&again).unwrap(), truth());
    let after = server().traffic("kept/surface_volume.zarr/0/0");
    assert!(after.bytes <= before.bytes + 1, "{before:?} {after:?}");
}

#[test]
fn layers_are_found_by_the_page_of_their_folder_and_read_by_their_strips() {
    let path = write("listed/scan", None);
    let fragment = Fragment::open(address(&path)).unwrap();
    assert_eq!((fragment.shape(), fragment.id()), (SHAPE, "scan"));
    assert_eq!(fragment.mask().unwrap(), papyrus());
    let band = fragment
        .read(&Region::new(0..5, 0..10, 0..SHAPE[2]))
        .unwrap();
    assert_eq!(band, truth().slice(s![.., ..10, ..]));
    let part = server().traffic("listed/scan/surface_volume").bytes;
    let layers = (2 * SHAPE.iter().product::<usize>()) as u64;
    assert!(part < layers * 2 / 3, "{part} of {layers} bytes");
    assert_eq!(whole(&fragment).unwrap(), truth());
    // The folder of the layers itself, by another name.
    let layers = server().folder().join("listed/7.tifs");
    std::fs::rename(path.join("surface_volume"), &layers).unwrap();
    let fragment = Fragment::open(address(&layers)).unwrap();
    assert_eq!(whole(&fragment).unwrap(), truth());
}

#[test]
fn buckets_hold_volumes_and_layers() {
    for (name, version) in [("scan", None), ("volume", Some(ZarrVersion::V3))] {
        write(&format!("open-data/{name}"), version);
        let folder = server().folder().join("open-data").join(name);
        let fragment = Fragment::open(in_bucket(&folder)).unwrap();
        assert_eq!(fragment.id(), name);
        assert_eq!(whole(&fragment).unwrap(), truth());
        assert_eq!(fragment.mask().unwrap(), papyrus());
        assert_eq!(fragment.path(), in_bucket(&folder));
    }
    let volume = server()
        .folder()
        .join("open-data/volume/surface_volume.zarr");
    let named = Fragment::open_named(
        Path::new(&format!("w00={}", in_bucket(&volume).display())),
        ReadOptions::default(),
    );
    let named = named.unwrap();
    assert_eq!((named.id(), whole(&named).unwrap()), ("w00", truth()));
}

#[test]
fn what_passes_is_asked_for_again() {
    let faults = [
        [Fault::Status(503), Fault::Status(429), Fault::Cut(10)],
        [Fault::NoAnswer, Fault::Status(403), Fault::Status(500)],
        [Fault::Cut(0), Fault::Cut(100), Fault::NoAnswer],
    ];
    for (number, faults) in faults.iter().enumerate() {
        let name = format!("listed/passing{number}");
        let path = write(&name, Some(ZarrVersion::V2));
        let fragment = Fragment::open(address(&path)).unwrap();
        server().fail(&format!("{name}/surface_volume.zarr/0/0/1"), faults);
        assert_eq!(whole(&fragment).unwrap(), truth(), "{faults:?}");

        let path = write(&format!("{name}-layers"), None);
        let fragment = Fragment::open(address(&path)).unwrap();
        server().fail(&format!("{name}-layers/surface_volume/03.tif"), faults);
        assert_eq!(whole(&fragment).unwrap(), truth(), "{faults:?}");
    }
}

#[test]
fn what_stays_wrong_is_an_error_and_never_black() {
    let faults = [
        (Fault::Status(403), "a refusal (403)"),
        (Fault::Status(429), "asked too often (429)"),
        (Fault::Status(500), "the answer 500"),
        (Fault::Cut(50), "a connection that failed"),
        (Fault::NoAnswer, "a connection that failed"),
    ];
    for (name, version) in [("zarr", Some(ZarrVersion::V2)), ("tiff", None)] {
        for (number, (fault, said)) in faults.into_iter().enumerate() {
            let name = format!("listed/broken-{name}{number}");
            let path = write(&name, version);
            let fragment = Fragment::open(address(&path)).unwrap();
            let broken = match version {
                Some(_) => format!("{name}/surface_volume.zarr/0/0/1"),
                None => format!("{name}/surface_volume/03.tif"),
            };
            server().fail_always(&broken, Some(fault));
            let error = whole(&fragment).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, Error::Remote(_)), "{text}");
            assert!(text.contains(said) && text.contains(&broken), "{text}");
            assert!(text.contains("hint: "), "{text}");
            server().fail_always(&broken, None);
            assert_eq!(whole(&fragment).unwrap(), truth(), "it is well again");
        }
    }
}

#[test]
fn a_chunk_is_missing_where_the_server_says_so() {
    let path = write("sparse", Some(ZarrVersion::V2));
    std::fs::remove_file(path.join("0/0/1/2")).unwrap();
    let fragment = Fragment::open(address(&path)).unwrap();
    let voxels = whole(&fragment).unwrap();
    let mut expected = truth();
    expected.slice_mut(s![.., 128..256, 256..384]).fill(0);
    assert_eq!(voxels, expected);
}

#[test]
fn a_layer_that_changes_while_it_is_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("listed")).unwrap();
    let path = write("listed/original", None);
    std::fs::rename(path, folder.path().join("listed/scan")).unwrap();
    let own = Server::start(folder.path());
    let fragment = Fragment::open(own.address("listed/scan")).unwrap();
    own.renew();
    let text = whole(&fragment).unwrap_err().to_string();
    assert!(text.contains("a file that has changed"), "{text}");
}

#[test]
fn what_is_not_there_is_named() {
    let refused = |path: &Path| Fragment::open(path).unwrap_err().to_string();
    let text = refused(Path::new("s3://no-such-bucket/scan.zarr"));
    assert!(text.contains("s3://no-such-bucket/scan.zarr"), "{text}");
    assert!(text.contains("no such bucket"), "{text}");
    let text = refused(&server().address("nowhere/scan.zarr"));
    assert!(
        text.contains("nowhere/scan.zarr") && text.contains("hint: "),
        "{text}"
    );
    // Nobody listens there.
    let text = refused(Path::new("http://127.0.0.1:9/scan.zarr"));
    assert!(
        text.contains("a connection that failed") && text.contains("network"),
        "{text}"
    );
    write("refused", Some(ZarrVersion::V2));
    server().fail_always("refused", Some(Fault::Status(403)));
    let text = refused(&server().address("refused/surface_volume.zarr"));
    assert!(
        text.contains("a refusal (403)") && text.contains("AWS_PROFILE"),
        "{text}"
    );
}
