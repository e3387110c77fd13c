//! Prompts that stay in sight beyond sliding windows: with their adapter, and
//! while a student without that learns from a teacher with it.

mod common;

use common::{example, model_of, prompt, tokens};
use metaprompt_backbone::model::Model;
use metaprompt_tuning::adapter::{Adapter, AdapterNotes, Kind};
use metaprompt_tuning::train::{Draw, Teachers};
use metaprompt_tuning::{Example, Item, TaskData, evaluate, hidden_states};
use tempfile::TempDir;

/// Virtual tokens, which a window of 16 loses sight of.
const LENGTH: usize = 6;

fn far() -> Example {
    example(&tokens(40, 3), &[120, 5, 1])
}

fn item(example: &Example) -> Item<'_> {
    Item {
        prompt: Some(0),
        example,
        teacher: None,
    }
}

#[test]
fn an_adapter_is_used_as_its_prompt_was_trained() {
    let model = model_of("mistral");
    let prompt = prompt(&model, LENGTH, 9);
    let adapter = |pinned| Adapter {
        kind: Kind::Prompt {
            prompt: prompt.clone(),
            hidden_size: model.config().hidden_size,
        },
        notes: AdapterNotes {
            pinned,
            ..AdapterNotes::default()
        },
    };
    let example = far();
    let loss = |model: &Model| {
        let losses = evaluate(model, &[&prompt], &[item(&example)], None);
        losses.expect("the CPU can").task
    };
    let folder = TempDir::new().expect("folder");
    let mut losses = Vec::new();
    for (pinned, positions) in [(false, 0), (true, LENGTH)] {
        let path = folder.path().join(pinned.to_string());
        adapter(pinned).save(&path).expect("it is written");
        let notes = std::fs::read_to_string(path.join("metaprompt.json")).expect("notes");
        assert_eq!(notes.contains("pinned"), pinned, "{notes}");
        let read = Adapter::load(&path).expect("it reads back");
        assert_eq!(read.pinned_positions(), positions);
        let found = loss(&read.model(&model).expect("it fits"));
        assert_eq!(found, loss(&model.clone().with_pinned_positions(positions)));
        losses.push(found);
    }
    let difference = (losses[0] - losses[1]).abs();
    assert!(difference > 1e-4, "the prompt matters: {difference}");
}

#[test]
fn teachers_say_what_they_were_taught_to_whatever_the_student_sees() {
    let model = model_of("mistral");
    let prompt = prompt(&model, LENGTH, 9);
    let tasks = [TaskData {
        name: "far".into(),
        train: vec![far()],
        dev: Vec::new(),
    }];
    let draw = Draw {
        task: 0,
        example: 0,
    };
    let states = |of_teacher: usize, of_student: usize| {
        let teachers = Teachers::new(vec![prompt.clone()]).with_pinned_positions(of_teacher);
        let student = model.clone().with_pinned_positions(of_student);
        teachers
            .prepare(&student, &tasks, &[draw])
            .expect("the CPU can");
        let state = teachers.state(draw).expect("it is in memory");
        state.expect("it was computed").to_vec()
    };
    let example = far();
    for of_teacher in [0, LENGTH] {
        let pinned = model.clone().with_pinned_positions(of_teacher);
        let alone = hidden_states(&pinned, &[&prompt], &[item(&example)]).expect("the CPU can");
        for of_student in [0, LENGTH] {
            assert_eq!(states(of_teacher, of_student), alone[0]);
        }
    }
    assert_ne!(states(0, 0), states(LENGTH, 0));
}
