use super::*;

fn draw(i: usize) -> Draw {
    Draw {
        task: i % 2,
        example: i,
    }
}

fn state(i: usize) -> Vec<f32> {
    (0..3 + i).map(|v| (v * 7 + i) as f32 / 3.0 - 0.1).collect()
}

fn values(of: Draw) -> Option<usize> {
    (of.example < 10 && of == draw(of.example)).then_some(3 + of.example)
}

fn filled(path: &Path, limit: u64) -> States {
    let mut states = States::new();
    states.open(path, 0, limit, values).expect("a new file");
    for i in 0..10 {
        states.insert(draw(i), state(i)).expect("it is written");
    }
    states
}

fn all_are_there(states: &mut States) {
    for i in (0..10).rev() {
        let found = states.get(draw(i)).expect("readable").expect("known");
        assert_eq!(*found, state(i), "state {i}");
    }
    assert!(states.get(draw(11)).expect("readable").is_none());
}

#[test]
fn every_limit_gives_the_same_states_and_the_same_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut files = Vec::new();
    for limit in [0, 40, 100, u64::MAX] {
        let path = folder.path().join(limit.to_string());
        let mut states = filled(&path, limit);
        assert!(states.in_memory <= limit);
        all_are_there(&mut states);
        let (bytes, in_memory) = (states.bytes(), states.in_memory);
        drop(states);
        files.push(std::fs::read(&path).expect("the file"));
        let mut again = States::new();
        again.open(&path, bytes, limit, values).expect("whole");
        assert_eq!(again.in_memory, in_memory);
        all_are_there(&mut again);
    }
    assert!(files.iter().all(|file| *file == files[0]));
}

#[test]
fn reopening_forgets_what_no_checkpoint_knows_and_goes_on_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("states");
    let mut states = States::new();
    states.open(&path, 0, 0, values).expect("a new file");
    states.insert(draw(0), state(0)).expect("it is written");
    let bytes = states.bytes();
    states.insert(draw(1), state(1)).expect("it is written");
    drop(states);
    let mut again = States::new();
    again.open(&path, bytes, 0, values).expect("whole");
    assert!(again.contains(draw(0)) && !again.contains(draw(1)));
    for i in 1..10 {
        again.insert(draw(i), state(i)).expect("it is written");
    }
    all_are_there(&mut again);
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("states");
    let bytes = filled(&path, 0).bytes();
    let refused = |bytes: u64, words: &str| {
        let error = States::new()
            .open(&path, bytes, 0, values)
            .expect_err("it is damaged");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(bytes + 1, "shorter");
    refused(bytes - 1, "cut off");
    let mut content = filled(&path, 0).reread();
    content[4] = 99;
    std::fs::write(&path, content).expect("writable");
    refused(bytes, "fits none");
}

impl States {
    fn reread(&self) -> Vec<u8> {
        let path = &self.files.as_ref().expect("a file").path;
        std::fs::read(path).expect("readable")
    }
}
