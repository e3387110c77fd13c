//! A hub for tests: two servers on this machine, one that plays the hub and one that
//! plays its storage, with what can go wrong on demand.
#![allow(dead_code, reason = "each test binary uses a part of it")]

mod answer;

use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) const MODEL: &str = "org/tiny-model";

/// A file of the model.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) bytes: Vec<u8>,
    /// Whether it lies in the storage, under its SHA-256.
    pub(crate) large: bool,
}

impl Stored {
    /// What the hub calls the content.
    pub(crate) fn checksum(&self) -> String {
        if self.large {
            hex(&Sha256::digest(&self.bytes))
        } else {
            let header = format!("blob {}\0", self.bytes.len());
            hex(&Sha1::new_with_prefix(header)
                .chain_update(&self.bytes)
                .finalize())
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One request, as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at_storage: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) token: Option<String>,
}

/// What the hub has and how it behaves; a test changes it at any time.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) files: BTreeMap<String, Stored>,
    pub(crate) commit: String,
    /// The token without which nothing is shown.
    pub(crate) private: Option<&'static str>,
    /// The token without which no file is given.
    pub(crate) gated: Option<&'static str>,
    /// For a file, the lengths after which its next answers are cut.
    pub(crate) cuts: BTreeMap<String, Vec<usize>>,
    /// A file whose content arrives with one byte changed.
    pub(crate) damaged: Option<String>,
    /// A file that comes with a byte too many.
    pub(crate) too_long: Option<String>,
    /// Ranges are ignored.
    pub(crate) no_ranges: bool,
    /// A tag in place of checksums.
    pub(crate) tag: Option<&'static str>,
    /// So many of the next requests are answered with status 503.
    pub(crate) busy: usize,
    /// The model's new name, to which the old one leads.
    pub(crate) renamed: Option<&'static str>,
    pub(crate) seen: Vec<Seen>,
    storage: String,
}

/// The two servers. Their threads end with the test's process.
pub(crate) struct Hub {
    pub(crate) endpoint: String,
    rules: Arc<Mutex<Rules>>,
}

impl Hub {
    pub(crate) fn start(files: &[(&str, Vec<u8>, bool)]) -> Hub {
        let stored = files.iter().map(|(name, bytes, large)| {
            let (bytes, large) = (bytes.clone(), *large);
            ((*name).to_owned(), Stored { bytes, large })
        });
        let rules = Arc::new(Mutex::new(Rules {
            files: stored.collect(),
            commit: "a".repeat(40),
            ..Rules::default()
        }));
        let storage = serve(&rules, true);
        let endpoint = serve(&rules, false);
        let hub = Hub { endpoint, rules };
        hub.rules().storage = storage;
        hub
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().expect("no handler panicked")
    }

    /// The requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.rules().seen)
    }

    pub(crate) fn checksum(&self, name: &str) -> String {
        self.rules().files[name].checksum()
    }
}

/// Listens on a free port; each connection is one request.
fn serve(rules: &Arc<Mutex<Rules>>, at_storage: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let rules = Arc::clone(rules);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let rules = Arc::clone(&rules);
            std::thread::spawn(move || handle(stream, &rules, at_storage));
        }
    });
    format!("http://{address}")
}

fn handle(mut stream: TcpStream, rules: &Mutex<Rules>, at_storage: bool) {
    let Some(seen) = read_request(&stream, at_storage) else {
        return;
    };
    let mut rules = rules.lock().expect("no handler panicked");
    rules.seen.push(seen.clone());
    let answer = if rules.busy > 0 {
        rules.busy -= 1;
        answer::Answer::status(503)
    } else if at_storage {
        answer::of_storage(&mut rules, &seen)
    } else {
        answer::of_hub(&mut rules, &seen)
    };
    drop(rules);
    let _ = stream.write_all(&answer.written(seen.method == "HEAD"));
}

fn read_request(stream: &TcpStream, at_storage: bool) -> Option<Seen> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let mut seen = Seen {
        at_storage,
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        range: None,
        token: None,
    };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => seen.range = Some(value.to_owned()),
            "authorization" => seen.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Some(seen)
}
