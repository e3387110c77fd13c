//! Fetching a model from a hub on this machine into the cache, and finding it there.

mod hub_common;

use hub_common::{Hub, MODEL, Seen};
use metaprompt_backbone::fetch::hub::{
    Fetched, HubError, Progress, Reference, Request, Settings, cached, fetch, repository_of,
};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const SHARDS: [&str; 2] = [
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
];

/// Bytes that differ from file to file and from place to place.
fn bytes(seed: u32, length: usize) -> Vec<u8> {
    let factor = seed.wrapping_mul(40_503).wrapping_add(2_654_435_761) | 1;
    let byte = |i: u32| ((i + 1).wrapping_mul(factor) >> 13) as u8;
    (0..length as u32).map(byte).collect()
}

/// A sharded model with what else a repository holds.
fn sharded() -> Hub {
    let index = format!(
        r#"{{"weight_map": {{"a": "{0}", "b": "{1}", "c": "{0}"}}}}"#,
        SHARDS[0], SHARDS[1]
    );
    Hub::start(&[
        (".gitattributes", bytes(1, 50), false),
        ("README.md", bytes(2, 500), false),
        ("config.json", b"{}".to_vec(), false),
        ("generation_config.json", bytes(3, 70), false),
        ("chat_template.jinja", Vec::new(), false),
        ("tokenizer.json", bytes(4, 30_000), true),
        ("tokenizer_config.json", bytes(5, 700), false),
        ("model.safetensors.index.json", index.into_bytes(), false),
        (SHARDS[0], bytes(6, 300_000), true),
        (SHARDS[1], bytes(7, 200_000), true),
        ("pytorch_model.bin", bytes(8, 1000), true),
        ("original/model.safetensors", bytes(9, 1000), true),
    ])
}

/// One cache and one hub.
struct Bench {
    hub: Hub,
    folder: TempDir,
    settings: Settings,
}

impl Bench {
    fn new(hub: Hub) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut settings = Settings::from_variables(&|_| None);
        settings.cache = folder.path().to_owned();
        settings.endpoint.clone_from(&hub.endpoint);
        settings.first_wait = Duration::from_millis(1);
        Bench {
            hub,
            folder,
            settings,
        }
    }

    fn fetch_reference(&self, reference: Reference, update: bool) -> Result<Fetched, HubError> {
        fetch(&Request { reference, update }, &self.settings, &mut |_| {})
    }

    fn fetch(&self) -> Result<Fetched, HubError> {
        self.fetch_reference(model(), false)
    }

    fn refused(&self) -> String {
        let error = self.fetch().expect_err("refused");
        let _ = cached(&model(), &self.settings).expect_err("not there");
        error.to_string()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder
            .path()
            .join("models--org--tiny-model")
            .join(below)
    }

    /// Names of the blobs.
    fn blobs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("blobs")).expect("blobs");
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
        let mut names: Vec<_> = entries.map(|entry| name(entry.expect("entry"))).collect();
        names.sort();
        names
    }
}

fn model() -> Reference {
    Reference::parse(MODEL).expect("a name")
}

fn content_requests(seen: &[Seen], name: &str) -> Vec<Option<String>> {
    let of_file = seen
        .iter()
        .filter(|seen| seen.at_storage && seen.path.ends_with(name));
    of_file.map(|seen| seen.range.clone()).collect()
}

#[test]
fn a_whole_model_arrives_in_the_hubs_own_layout() {
    let bench = Bench::new(sharded());
    let mut said = Vec::new();
    let request = Request {
        reference: model(),
        update: false,
    };
    let fetched = fetch(&request, &bench.settings, &mut |event| said.push(event)).expect("fetched");
    let commit = "a".repeat(40);
    let snapshot = bench.path("snapshots").join(&commit);
    assert_eq!((&fetched.path, &fetched.commit), (&snapshot, &commit));
    assert_eq!(repository_of(&snapshot).as_deref(), Some(MODEL));
    let reference = std::fs::read_to_string(bench.path("refs/main")).expect("ref");
    assert_eq!(reference, commit);

    let mut names: Vec<String> = std::fs::read_dir(&snapshot)
        .expect("snapshot")
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    let wanted = [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        SHARDS[0],
        SHARDS[1],
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names, wanted);
    let mut checksums = Vec::new();
    for name in wanted {
        let stored = bench.hub.rules().files[name].clone();
        let path = snapshot.join(name);
        assert_eq!(std::fs::read(&path).expect(name), stored.bytes, "{name}");
        #[cfg(unix)]
        assert_eq!(
            std::fs::read_link(&path).expect(name),
            Path::new("../../blobs").join(stored.checksum()),
            "{name}"
        );
        checksums.push(stored.checksum());
    }
    checksums.sort();
    assert_eq!(bench.blobs(), checksums);

    // What was announced is what came; the index came before it.
    let index = bench.hub.rules().files["model.safetensors.index.json"]
        .bytes
        .len() as u64;
    let begun = said.iter().find_map(|event| match event {
        Progress::Begin { files, bytes } => Some((*files, *bytes)),
        _ => None,
    });
    assert_eq!(begun, Some((wanted.len() - 1, fetched.bytes)));
    assert_eq!(fetched.received, fetched.bytes + index);
    assert_eq!(
        said.last(),
        Some(&Progress::Here {
            bytes: fetched.bytes
        })
    );
}

#[test]
fn what_is_here_is_not_asked_for_again() {
    let bench = Bench::new(sharded());
    let first = bench.fetch().expect("fetched");
    assert!(first.asked && !bench.hub.seen().is_empty());
    let again = bench.fetch().expect("here");
    assert_eq!(again.path, first.path);
    assert_eq!(cached(&model(), &bench.settings).expect("here"), first.path);
    assert!(!again.asked);
    assert_eq!(bench.hub.seen(), []);

    // Another branch of the same commit: its name is asked for, no content.
    let tag = model().at("v1.0").expect("a name");
    let tagged = bench.fetch_reference(tag, false).expect("fetched");
    assert_eq!((tagged.path, tagged.received), (first.path, 0));
}

#[test]
fn an_update_fetches_only_what_has_changed() {
    let bench = Bench::new(sharded());
    let old = bench.fetch().expect("fetched");
    {
        let mut rules = bench.hub.rules();
        rules.commit = "b".repeat(40);
        rules.files.get_mut(SHARDS[1]).expect("file").bytes[7] ^= 1;
    }
    bench.hub.seen();
    assert_eq!(bench.fetch().expect("here").commit, old.commit);
    let new = bench.fetch_reference(model(), true).expect("fetched");
    assert_eq!(new.commit, "b".repeat(40));
    assert_eq!(new.received, 200_000);
    assert_eq!(cached(&model(), &bench.settings).expect("here"), new.path);
    let pinned = model().at(&old.commit).expect("a commit");
    assert_eq!(cached(&pinned, &bench.settings).expect("here"), old.path);
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let mut bench = Bench::new(sharded());
    // Fewer than the cuts: those that brought something don't count.
    bench.settings.retries = 2;
    let cuts = vec![100_000, 50_000, 0];
    bench.hub.rules().cuts.insert(SHARDS[0].to_owned(), cuts);
    let mut broken = 0;
    let request = Request {
        reference: model(),
        update: false,
    };
    let fetched = fetch(&request, &bench.settings, &mut |event| {
        broken += usize::from(matches!(event, Progress::Broken { .. }));
    });
    let path = fetched.expect("fetched").path.join(SHARDS[0]);
    let wanted = bench.hub.rules().files[SHARDS[0]].bytes.clone();
    assert_eq!(std::fs::read(path).expect("shard"), wanted);
    assert_eq!(broken, 3);
    let ranges = content_requests(&bench.hub.seen(), SHARDS[0]);
    let range = |from: u32| Some(format!("bytes={from}-"));
    assert_eq!(
        ranges,
        [None, range(100_000), range(150_000), range(150_000)]
    );
}

#[test]
fn the_next_run_goes_on_with_what_the_last_one_left() {
    let mut bench = Bench::new(sharded());
    bench.settings.retries = 0;
    let cuts = vec![120_000];
    bench.hub.rules().cuts.insert(SHARDS[1].to_owned(), cuts);
    let message = bench.refused();
    assert!(message.contains("run the command again"), "{message}");
    assert!(message.contains(SHARDS[1]), "{message}");
    let part = format!("{}.incomplete", bench.hub.checksum(SHARDS[1]));
    let left = std::fs::metadata(bench.path("blobs").join(part)).expect("the part");
    assert_eq!(left.len(), 120_000);
    bench.hub.seen();
    assert_eq!(bench.fetch().expect("fetched").received, 80_000);
    let ranges = content_requests(&bench.hub.seen(), SHARDS[1]);
    assert_eq!(ranges, [Some("bytes=120000-".to_owned())]);
    assert!(bench.blobs().iter().all(|name| !name.contains('.')));
}

#[test]
fn a_server_without_ranges_is_asked_from_the_start() {
    let bench = Bench::new(sharded());
    {
        let mut rules = bench.hub.rules();
        rules.no_ranges = true;
        rules.cuts.insert(SHARDS[0].to_owned(), vec![100_000]);
    }
    bench.fetch().expect("fetched");
    assert_eq!(content_requests(&bench.hub.seen(), SHARDS[0]).len(), 2);
}

#[test]
fn a_part_that_is_too_long_or_of_other_content_does_no_harm() {
    let bench = Bench::new(sharded());
    let part = |name: &str| {
        let name = format!("{}.incomplete", bench.hub.checksum(name));
        bench.path("blobs").join(name)
    };
    std::fs::create_dir_all(bench.path("blobs")).expect("folder");
    std::fs::write(part(SHARDS[0]), bytes(0, 300_001)).expect("file");
    std::fs::write(part(SHARDS[1]), bytes(0, 10)).expect("file");
    let message = bench.refused();
    assert!(
        message.contains(SHARDS[1]) && message.contains("checksum"),
        "{message}"
    );
    bench.fetch().expect("fetched");
}

#[test]
fn content_with_a_wrong_checksum_is_removed() {
    for name in [SHARDS[1], "tokenizer_config.json"] {
        let bench = Bench::new(sharded());
        bench.hub.rules().damaged = Some(name.to_owned());
        let message = bench.refused();
        let checksum = bench.hub.checksum(name);
        for part in [name, "removed", &checksum] {
            assert!(message.contains(part), "{part:?}: {message}");
        }
        let left = bench.blobs();
        assert!(
            left.iter().all(|blob| !blob.contains(&checksum)),
            "{left:?}"
        );
        assert!(!bench.path("refs/main").exists());
        bench.hub.rules().damaged = None;
        bench.fetch().expect("fetched");
    }
}

#[test]
fn a_busy_hub_is_asked_again_and_a_dead_one_given_up() {
    let bench = Bench::new(sharded());
    bench.hub.rules().busy = 3;
    bench.fetch().expect("fetched");

    let bench = Bench::new(sharded());
    bench.hub.rules().busy = usize::MAX;
    let message = bench.refused();
    assert!(
        message.contains("503") && message.contains("4 more tries"),
        "{message}"
    );
    assert_eq!(bench.hub.seen().len(), 5);
}

#[test]
fn a_renamed_model_is_found_and_kept_by_its_old_name() {
    let bench = Bench::new(sharded());
    bench.hub.rules().renamed = Some("neworg/newname");
    bench.fetch().expect("fetched");
    assert!(bench.path("refs/main").is_file());
}
