//! Continuous batching: answers of mixed tasks that end at different times are
//! those of each request alone, and their places are used again.

mod generation_common;

use generation_common::{greedy, model, never, soft, tokenizer, tokens};
use metaprompt_backbone::forest::NodeId;
use metaprompt_backbone::generation::{Generated, Limits, Request, Session, StopReason, Usage};
use metaprompt_backbone::model::Model;

/// Longest answer, in tokens.
const LONGEST: usize = 10;

struct Task {
    prompt: Option<Vec<f32>>,
    instruction: Vec<u32>,
}

fn tasks(model: &Model) -> Vec<Task> {
    [(5, 9), (12, 0), (0, 0), (0, 21)]
        .into_iter()
        .zip(1..)
        .map(|((virtual_tokens, instruction), seed)| Task {
            prompt: (virtual_tokens > 0).then(|| {
                let prompt = soft(model, virtual_tokens);
                prompt.iter().map(|x| x * seed as f32).collect()
            }),
            instruction: tokens(instruction, seed),
        })
        .collect()
}

/// A task and an example's tokens: of many lengths, some with a common passage,
/// some equal, one the beginning of another.
fn examples() -> Vec<(usize, Vec<u32>)> {
    let mut examples = Vec::new();
    for i in 0..24 {
        let length = [1, 70, 33, 8, 20, 51, 3, 64][i % 8] + i / 8;
        examples.push((i % 4, tokens(length, 100 + i as u32)));
    }
    let passage = tokens(40, 7);
    for i in 0..9 {
        let cut = [40, 25, 33][i % 3];
        let question = tokens(3 + i, 50 + i as u32);
        examples.push((i % 2, [&passage[..cut], &question].concat()));
    }
    examples.push((1, passage[..30].to_vec()));
    examples.push((1, passage[..30].to_vec()));
    examples.push((0, passage));
    examples
}

/// What each request is answered alone, ended by `stop`.
fn alone(model: &Model, tasks: &[Task], examples: &[(usize, Vec<u32>)]) -> Vec<Vec<u32>> {
    let of_one = |(task, tokens): &(usize, Vec<u32>)| {
        let task = &tasks[*task];
        let before = [&task.instruction[..], tokens].concat();
        greedy(model, task.prompt.as_deref(), &before, LONGEST)
    };
    examples.iter().map(of_one).collect()
}

/// Forward passes that places take in turn, when the next request, the longest
/// first, begins as soon as an answer has ended.
fn passes(requests: &[Request], answers: &[Generated], batch: usize) -> usize {
    let mut waiting: Vec<usize> = (0..requests.len()).collect();
    waiting.sort_by(|&a, &b| {
        let key = |i: usize| {
            (
                requests[i].tokens.len(),
                requests[i].parent,
                &requests[i].tokens,
            )
        };
        key(a).cmp(&key(b))
    });
    let mut running: Vec<usize> = Vec::new();
    let mut calls = 0;
    while !running.is_empty() || !waiting.is_empty() {
        while running.len() < batch
            && let Some(next) = waiting.pop()
        {
            running.push(answers[next].tokens.len());
        }
        calls += 1;
        running.iter_mut().for_each(|left| *left -= 1);
        running.retain(|&left| left > 0);
    }
    calls
}

#[test]
fn answers_of_mixed_tasks_are_those_of_each_request_alone() {
    let model = model();
    let (tasks, examples) = (tasks(&model), examples());
    let want = alone(&model, &tasks, &examples);
    let tokenizer = tokenizer(never(&want));
    let text = |ids: &[u32]| tokenizer.decode(ids).expect("it decodes");
    // Strings that end some answers early, one of them across two tokens.
    let across: String = text(&want[1][4..6]).chars().skip(1).take(2).collect();
    let stop = vec![text(&want[0][2..3]), text(&want[9][5..6]), across];
    let ends: Vec<(String, StopReason, usize)> = want
        .iter()
        .map(|tokens| {
            let whole = |n: usize| text(&tokens[..n]);
            let cut = |n: usize| stop.iter().filter_map(|s| whole(n).find(s)).min();
            (1..=LONGEST)
                .find_map(|n| {
                    cut(n).map(|at| (whole(n)[..at].to_owned(), StopReason::StopString, n))
                })
                .unwrap_or_else(|| (whole(LONGEST), StopReason::Length, LONGEST))
        })
        .collect();
    let mut lengths: Vec<usize> = ends.iter().map(|e| e.2).collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert!(
        lengths.len() > 3,
        "answers must end at different times: {lengths:?}"
    );

    for batch in [1, 2, 3, 7, 64] {
        let mut session = Session::new(&model);
        let parents: Vec<Option<NodeId>> = tasks
            .iter()
            .map(|task| {
                let pinned = session.pin(None, task.prompt.as_deref(), &task.instruction);
                pinned.expect("the CPU can")
            })
            .collect();
        let requests: Vec<Request> = examples
            .iter()
            .map(|(task, tokens)| Request {
                parent: parents[*task],
                tokens: tokens.clone(),
            })
            .collect();
        let limits = Limits {
            max_new_tokens: LONGEST,
            stop: stop.clone(),
            batch,
        };
        let pinned = session.usage();
        let mut told = Vec::new();
        let mut generate = |session: &mut Session<'_>| {
            session
                .generate_with_progress(&requests, &tokenizer, &limits, &mut |n| told.push(n))
                .expect("it decodes")
        };
        let got = generate(&mut session);
        for ((got, want), (text, stop, length)) in got.iter().zip(&want).zip(&ends) {
            assert_eq!(got.tokens, want[..*length], "batch of {batch}");
            assert_eq!((&got.text, got.stop), (text, *stop));
        }
        let usage = session.usage();
        assert_eq!(
            usage.calls - pinned.calls,
            passes(&requests, &got, batch),
            "a place is taken at once, batch of {batch}"
        );
        // The cache holds no more than the places of the longest requests.
        let mut places: Vec<usize> = requests.iter().map(|r| r.tokens.len()).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        let places: usize = places.iter().take(batch).map(|n| n + LONGEST - 1).sum();
        assert!(
            usage.most_rows <= pinned.most_rows + places,
            "{} rows for {batch} places of {places} in all",
            usage.most_rows
        );
        // What it leaves behind would show the second time.
        assert_eq!(generate(&mut session), got);
        assert_eq!(session.usage().most_rows, usage.most_rows);
        assert!(told.len() < 2 * requests.len() || batch == 1);
        assert_eq!(told.last(), Some(&requests.len()));
        assert!(told[..told.len() / 2].windows(2).all(|w| w[0] < w[1]));
    }
}

#[test]
fn requests_share_what_they_begin_with_whenever_they_begin() {
    let model = model();
    let passage = tokens(60, 3);
    let requests: Vec<Request> = (0..6)
        .map(|i| Request {
            parent: None,
            tokens: [&passage[..], &tokens(5, 20 + i)].concat(),
        })
        .collect();
    let limits = |batch| Limits {
        max_new_tokens: 4,
        stop: Vec::new(),
        batch,
    };
    // A longer example, whose answer the others' may outlast.
    let longer = Request {
        parent: None,
        tokens: [&passage[..], &tokens(9, 40)].concat(),
    };
    let mut mixed = requests.clone();
    mixed.push(longer);
    let references = mixed.iter().map(|r| greedy(&model, None, &r.tokens, 4));
    let tokenizer = tokenizer(never(&references.collect::<Vec<_>>()));
    let usage = |requests: &[Request], batch| -> Usage {
        let mut session = Session::new(&model);
        let answers = session.generate(requests, &tokenizer, &limits(batch));
        assert_eq!(answers.expect("it decodes").len(), requests.len());
        session.usage()
    };
    // The passage once, six questions, three tokens of each answer.
    let together = usage(&requests, 6);
    assert_eq!(together.tokens, 60 + 6 * 5 + 6 * 3);
    assert_eq!(together.most_rows, 60 + 6 * (5 + 3));
    // Whoever begins while another answer is written shares with it.
    let two = usage(&mixed, 2);
    assert!(
        two.most_rows <= 60 + 9 + 3 + 60 + 5 + 3,
        "{}",
        two.most_rows
    );
    let one = usage(&requests, 1);
    assert_eq!(one.tokens, 6 * (60 + 5 + 3));
    assert_eq!(one.most_rows, 60 + 5 + 3);
    assert_eq!(usage(&[], 3), Usage::default());
}
