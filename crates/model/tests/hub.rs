//! Pretrained weights from a stand-in for the Hugging Face Hub on this machine.

mod seeded;
mod stand_in;

use burn::tensor::Device;
use inkling_model::{
    Approach, Error, Hub, HubFile, ModelSettings, Tensors, file_sha256, load_encoder, revision_of,
};
use sha2::{Digest, Sha256};

use stand_in::{Answer, StandIn};

const NAME: &str = "timm/resnet18.a1_in1k";

fn settings() -> ModelSettings {
    ModelSettings {
        approach: Approach::Channels,
        encoder: "resnet18".to_owned(),
        image_size: 32,
        depth: 3,
        decoder: vec![8],
        ..ModelSettings::default()
    }
}

/// The bytes of a file such as timm publishes.
fn published() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let network = settings().init(&Device::flex(), 0).unwrap();
    let plain = |name: &str| name.strip_prefix("encoder.").map(str::to_owned);
    let mut tensors: Tensors = seeded::tensors(&network).renamed(plain);
    tensors.insert("fc.weight".to_owned(), vec![2], vec![0.0; 2]);
    tensors.write(&path, false).unwrap();
    std::fs::read(path).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Case {
    folder: tempfile::TempDir,
    hub: Hub,
    server: StandIn,
}

/// A hub that answers with `answers`, one after the other, the last for ever.
fn case(file: Vec<u8>, answers: Vec<Answer>) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let etag = sha256(&file);
    let server = StandIn::start(file, etag, answers);
    let hub = Hub {
        cache: folder.path().join("hub"),
        endpoint: server.address(),
        token: Some("secret".to_owned()),
        offline: false,
    };
    Case {
        folder,
        hub,
        server,
    }
}

fn refused(answer: Answer) -> String {
    let case = case(published(), vec![answer]);
    let error = case.hub.find(NAME, |_, _| ()).unwrap_err();
    assert!(matches!(error, Error::Hub { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(NAME) && text.contains(&case.hub.endpoint),
        "{text}"
    );
    text
}

#[test]
fn weights_are_fetched_once_checked_and_kept() {
    let file = published();
    let case = case(file.clone(), vec![Answer::Whole]);
    let mut seen = Vec::new();
    let path = case
        .hub
        .find(NAME, |done, total| seen.push((done, total)))
        .unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), file);
    let size = file.len() as u64;
    assert_eq!(seen.last(), Some(&(size, size)));
    assert!(
        path.ends_with("snapshots/0123abcd/model.safetensors"),
        "{path:?}"
    );
    assert!(
        path.starts_with(
            case.folder
                .path()
                .join("hub/models--timm--resnet18.a1_in1k")
        )
    );
    let requests = case.server.requests();
    assert!(requests.iter().all(|request| {
        request.starts_with("GET /timm/resnet18.a1_in1k/resolve/main/model.safetensors ")
            && request
                .to_lowercase()
                .contains("authorization: bearer secret")
    }));

    // From now on no network is needed.
    let count = requests.len();
    let offline = Hub {
        offline: true,
        ..case.hub.clone()
    };
    assert_eq!(offline.find(NAME, |_, _| ()).unwrap(), path);
    assert_eq!(case.server.requests().len(), count);

    let network = settings().init(&Device::flex(), 1).unwrap();
    let (_, report) = load_encoder(network, &path).unwrap();
    assert_eq!(report.unused, ["fc.weight"]);
    assert!(report.adapted.is_empty());
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_ended() {
    let file = published();
    let broken = vec![Answer::Whole, Answer::Half];
    let case = case(file.clone(), broken);
    let text = case.hub.find(NAME, |_, _| ()).unwrap_err().to_string();
    assert!(text.contains("what is there is kept"), "{text}");

    case.server.answer(vec![Answer::Whole]);
    let path = case.hub.find(NAME, |_, _| ()).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), file);
    let ranges: Vec<u64> = case.server.ranges();
    let resumed = ranges.last().copied().unwrap_or_default();
    assert!(
        resumed > 0,
        "the last request asked for the rest only: {ranges:?}"
    );
}

#[test]
fn a_part_that_was_already_whole_is_fetched_anew() {
    let file = published();
    let case = case(file.clone(), vec![Answer::Whole]);
    let blobs = case.hub.cache.join("models--timm--resnet18.a1_in1k/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(format!("{}.part", sha256(&file))), &file).unwrap();
    let path = case.hub.find(NAME, |_, _| ()).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), file);
}

#[test]
fn a_file_other_than_announced_is_not_kept() {
    let case = case(published(), vec![Answer::Altered]);
    let text = case.hub.find(NAME, |_, _| ()).unwrap_err().to_string();
    assert!(text.contains("checksum"), "{text}");
    case.server.answer(vec![Answer::Whole]);
    assert!(case.hub.find(NAME, |_, _| ()).is_ok());
}

#[test]
fn a_hub_that_refuses_is_quoted_with_the_mend() {
    let text = refused(Answer::Status(401));
    assert!(text.contains("401") && text.contains("HF_TOKEN"), "{text}");
    let text = refused(Answer::Status(404));
    assert!(
        text.contains("404") && text.contains("sw_in12k_ft_in1k"),
        "{text}"
    );
    let text = refused(Answer::Status(500));
    assert!(text.contains("500") && text.contains("later"), "{text}");
}

#[test]
fn without_a_network_the_mend_is_a_path() {
    let case = case(published(), vec![Answer::Whole]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let nowhere = Hub {
        endpoint,
        ..case.hub.clone()
    };
    let text = nowhere.find(NAME, |_, _| ()).unwrap_err().to_string();
    assert!(
        text.contains("failing connection") && text.contains("path of a file"),
        "{text}"
    );

    let offline = Hub {
        offline: true,
        ..case.hub.clone()
    };
    let text = offline.find(NAME, |_, _| ()).unwrap_err().to_string();
    assert!(text.contains("HF_HUB_OFFLINE"), "{text}");
    assert!(case.server.requests().is_empty());
}

fn shows_token(request: &str) -> bool {
    request.to_lowercase().contains("authorization") || request.contains("secret")
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let file = published();
    // Another port of this machine is another server, by whichever name.
    let elsewhere = StandIn::start(file.clone(), "other".to_owned(), vec![Answer::Whole]);
    let by_name = elsewhere.address().replace("127.0.0.1", "localhost");
    for address in [elsewhere.address(), by_name] {
        let case = case(
            file.clone(),
            vec![Answer::Redirect(format!("{address}/file").leak())],
        );
        let path = case.hub.find(NAME, |_, _| ()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), file);
        let requests = case.server.requests();
        assert!(!requests.is_empty() && requests.iter().all(|request| shows_token(request)));
    }
    let requests = elsewhere.requests();
    assert_eq!(requests.len(), 4, "twice what the file is, twice the file");
    assert!(
        !requests.iter().any(|request| shows_token(request)),
        "{requests:?}"
    );
}

#[test]
fn within_the_hub_the_token_goes_along_and_circles_end() {
    let file = published();
    let inner = vec![Answer::Redirect("/renamed/file"), Answer::Whole];
    let moved = case(file.clone(), inner);
    let path = moved.hub.find(NAME, |_, _| ()).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), file);
    let requests = moved.server.requests();
    assert!(
        requests[1].starts_with("GET /renamed/file "),
        "{requests:?}"
    );
    assert!(requests.iter().all(|request| shows_token(request)));

    let circle = case(file.clone(), vec![Answer::Redirect("/again")]);
    let text = circle.hub.find(NAME, |_, _| ()).unwrap_err().to_string();
    assert!(text.contains("more than 10 redirects"), "{text}");
    let nowhere = case(file, vec![Answer::Redirect("ftp://elsewhere/file")]);
    let text = nowhere.hub.find(NAME, |_, _| ()).unwrap_err().to_string();
    assert!(text.contains("ftp://elsewhere/file"), "{text}");
}

#[test]
fn plain_http_is_no_way_for_a_token() {
    let case = case(published(), vec![Answer::Whole]);
    let open = Hub {
        endpoint: "http://mirror.invalid".to_owned(),
        ..case.hub.clone()
    };
    let text = open.find(NAME, |_, _| ()).unwrap_err().to_string();
    assert!(
        text.contains("plain http") && text.contains("https address"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    let odd = Hub {
        endpoint: "mirror".to_owned(),
        ..case.hub
    };
    let text = odd.find(NAME, |_, _| ()).unwrap_err().to_string();
    assert!(text.contains("no address of a server"), "{text}");
}

#[test]
fn weights_are_known_by_their_hash_and_commit() {
    let file = published();
    let case = case(file.clone(), vec![Answer::Whole]);
    let path = case.hub.find(NAME, |_, _| ()).unwrap();
    assert_eq!(file_sha256(&path).unwrap(), sha256(&file));
    assert_eq!(revision_of(&path).as_deref(), Some("0123abcd"));

    let own = case.folder.path().join("own.safetensors");
    std::fs::write(&own, &file).unwrap();
    assert_eq!(revision_of(&own), None);
}

/// Asked for first, and only when the weights are fetched; a repository without one is none the worse.
#[test]
fn the_configuration_beside_a_checkpoint_is_fetched_with_it() {
    let file = HubFile::parse("--model", "hf:someone/x/seeds/1.pth@v2").unwrap();
    let case = case(published(), vec![Answer::Whole]);
    let path = case.hub.get_with_config(&file, |_, _| ()).unwrap();
    let config = path.with_file_name("config.json");
    assert!(path.is_file() && config.is_file());
    let requests = case.server.requests();
    let first = &requests[0];
    assert!(
        first.contains("/someone/x/resolve/v2/seeds/config.json"),
        "{first}"
    );
    let count = requests.len();
    assert_eq!(case.hub.get_with_config(&file, |_, _| ()).unwrap(), path);
    assert_eq!(case.server.requests().len(), count, "the cache was asked");

    let other = HubFile::parse("--model", "hf:someone/y/1.pth").unwrap();
    case.server.answer(vec![Answer::Status(404), Answer::Whole]);
    let path = case.hub.get_with_config(&other, |_, _| ()).unwrap();
    assert!(path.is_file() && !path.with_file_name("config.json").exists());
    let third = HubFile::parse("--model", "hf:someone/z/1.pth").unwrap();
    case.server.answer(vec![Answer::Status(403)]);
    let error = case.hub.get_with_config(&third, |_, _| ()).unwrap_err();
    assert!(error.to_string().contains("the answer 403"), "{error}");
}

/// `hf:OWNER/NAME[/FILE][@REVISION]`; a known repository has a file of its own.
#[test]
fn any_repository_is_fetched_from_with_file_and_revision() {
    let parse = |text| HubFile::parse("--model", text).unwrap();
    let known = parse("hf:scrollprize/ink_9um");
    assert_eq!(known.file, "hybrid_3d2d-seed42/step-075000.pth");
    assert_eq!(known.revision, "main");
    assert_eq!(parse("hf:someone/x@v2").file, "model.safetensors");
    let file = parse("hf:someone/x/seeds/1.pth@v2");
    assert_eq!((&*file.repository, &*file.revision), ("someone/x", "v2"));
    assert_eq!(HubFile::parse("--model", "weights/a.pth"), None);

    let case = case(published(), vec![Answer::Whole]);
    let path = case.hub.get(&file, |_, _| ()).unwrap();
    assert!(path.ends_with("seeds/1.pth"), "{}", path.display());
    assert_eq!(std::fs::read(&path).unwrap(), published());
    assert!(revision_of(&path).is_some());
    let requests = case.server.requests();
    assert!(
        requests[0].contains("/someone/x/resolve/v2/seeds/1.pth"),
        "{}",
        requests[0]
    );
    let count = requests.len();
    assert_eq!(case.hub.get(&file, |_, _| ()).unwrap(), path);
    assert_eq!(case.server.requests().len(), count, "the cache was asked");

    case.server.answer(vec![Answer::Status(404)]);
    let error = case
        .hub
        .get(&parse("hf:someone/y"), |_, _| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("--model hf:someone/y: found the answer 404"),
        "{error}"
    );
    assert!(
        error.contains("hint: check the names of the repository"),
        "{error}"
    );
    for odd in [
        "hf:someone",
        "hf:../x",
        "hf:someone/x/../../a",
        "hf:a/b/c?d",
        "hf:a/b@",
    ] {
        let error = case
            .hub
            .get(&parse(odd), |_, _| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("odd characters"), "{odd}: {error}");
    }
}
