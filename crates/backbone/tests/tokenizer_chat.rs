//! Chat templates render as transformers renders them.

mod files_common;

use std::collections::BTreeMap;
use std::path::Path;

use files_common::{Gguf, Meta, embedded_backbone, fixture};
use metaprompt_backbone::chat::{ChatError, ChatTemplate, Message};
use metaprompt_backbone::files::{Checkpoint, LoadError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    templates: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    messages: Vec<BTreeMap<String, String>>,
    generation: bool,
    text: Option<String>,
    error: Option<String>,
}

fn template(source: &str) -> Result<ChatTemplate, ChatError> {
    ChatTemplate::new(Path::new("template"), source, "<s>", "</s>")
}

#[test]
fn templates_render_as_transformers_renders_them() {
    let fixture: Fixture =
        serde_json::from_str(&std::fs::read_to_string(fixture("chat.json")).unwrap()).unwrap();
    assert_eq!(fixture.cases.len(), 40);
    let mut refused = 0;
    for (number, case) in fixture.cases.iter().enumerate() {
        let template = template(&fixture.templates[&case.name]).unwrap();
        let messages: Vec<Message> = case
            .messages
            .iter()
            .map(|turn| Message::new(&turn["role"], &turn["content"]))
            .collect();
        let rendered = template.render(&messages, case.generation);
        match (&case.text, rendered) {
            (Some(text), rendered) => assert_eq!(
                &rendered.unwrap(),
                text,
                "case {number}, template {}",
                case.name
            ),
            (None, Ok(_)) => panic!("case {number} must fail: {:?}", case.error),
            (None, Err(error)) => {
                refused += usize::from(matches!(error, ChatError::Refused { .. }));
            }
        }
    }
    assert!(refused >= 2, "the template's own refusals are told apart");
}

#[test]
fn smollm2_takes_turns() {
    let Some(path) = embedded_backbone() else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let tokenizer = checkpoint.tokenizer().unwrap();
    let chat = checkpoint
        .chat_template(&tokenizer)
        .unwrap()
        .expect("the file has a template");
    let rendered = chat.render(
        &[
            Message::new("system", "Answer yes or no."),
            Message::new("user", "Fever?"),
        ],
        true,
    );
    let wanted = "<|im_start|>system\nAnswer yes or no.<|im_end|>\n<|im_start|>user\nFever?<|im_end|>\n\
                  <|im_start|>assistant\n";
    assert_eq!(rendered.unwrap(), wanted);
    let ids = tokenizer.encode(wanted, true).unwrap();
    assert_eq!(
        ids.iter().filter(|&&id| id == 1).count(),
        3,
        "three turns begin with a control token"
    );
    let unsystematic = chat
        .render(&[Message::new("user", "Fever?")], false)
        .unwrap();
    assert!(
        unsystematic.starts_with("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    );
}

#[test]
fn the_date_does_not_follow_the_calendar() {
    let chat = template("{{ strftime_now('%d %b %Y') }}").unwrap();
    assert_eq!(chat.render(&[], false).unwrap(), "26 Jul 2024");
    let chat = template("{{ 'Current date: ' + strftime_now('%Y-%m-%d') + '\n' }}").unwrap();
    assert_eq!(
        chat.render(&[], false).unwrap(),
        "Current date: 2024-07-26\n"
    );
}

#[test]
fn templates_that_are_wrong() {
    let error = template("{% for x in %}").unwrap_err();
    assert!(matches!(error, ChatError::Syntax { .. }), "{error}");
    // Unclosed tags pass through to the parser, whatever they look like.
    for odd in ["{%", "{%}", "a {% generation", "{%-%}", "{% generation %}"] {
        assert!(
            matches!(template(odd), Err(ChatError::Syntax { .. })),
            "{odd}"
        );
    }
    let refusing = template("{{ raise_exception('no system role, please') }}").unwrap();
    let error = refusing
        .render(&[Message::new("system", "x")], false)
        .unwrap_err();
    assert!(
        matches!(&error, ChatError::Refused { reason, messages: 1, .. } if reason == "no system role, please")
    );

    let failing = template("\n{{ messages[0].content.no_such_method() }}").unwrap();
    let error = failing
        .render(&[Message::new("user", "PATIENT NAME")], false)
        .unwrap_err();
    let ChatError::Render { line: 2, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(!error.to_string().contains("PATIENT"), "{error}");
    let failing = template("{{ messages[0].content + 1 }}").unwrap();
    let error = failing
        .render(&[Message::new("user", "PATIENT NAME")], false)
        .unwrap_err();
    assert!(
        !error.to_string().contains("PATIENT") && !format!("{error:?}").contains("PATIENT"),
        "{error:?}"
    );
}

#[test]
fn templates_of_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let read = || ChatTemplate::from_directory(folder.path(), "<b>", "<e>");
    let render = || {
        read()
            .unwrap()
            .expect("there is a template")
            .render(&[], false)
            .unwrap()
    };
    assert!(read().unwrap().is_none());
    write("tokenizer_config.json", "{}");
    assert!(read().unwrap().is_none());
    write(
        "tokenizer_config.json",
        r#"{"chat_template": "{{ bos_token }}1{{ eos_token }}"}"#,
    );
    assert_eq!(render(), "<b>1<e>");
    write(
        "tokenizer_config.json",
        r#"{"bos_token": {"content": "<B>"}, "eos_token": "<E>", "chat_template": [{"name": "tool_use", "template": "0"},
            {"name": "default", "template": "{{ bos_token }}2{{ eos_token }}"}]}"#,
    );
    assert_eq!(render(), "<B>2<E>");
    write("chat_template.jinja", "{{ bos_token }}3");
    assert_eq!(render(), "<B>3");
    std::fs::write(folder.path().join("chat_template.jinja"), [0xff]).unwrap();
    assert!(matches!(read(), Err(ChatError::Syntax { .. })));
    std::fs::remove_file(folder.path().join("chat_template.jinja")).unwrap();
    for wrong in [
        r#"{"chat_template": 3}"#,
        r#"{"chat_template": [{"name": "rag", "template": "x"}]}"#,
    ] {
        write("tokenizer_config.json", wrong);
        assert!(matches!(
            read(),
            Err(ChatError::Field {
                field: "chat_template",
                ..
            })
        ));
    }
    write("tokenizer_config.json", "{");
    assert!(matches!(
        read(),
        Err(ChatError::Load(LoadError::Json { .. }))
    ));
}

#[test]
fn a_gguf_template_is_found() {
    let (_folder, path) = Gguf::tiny()
        .with("tokenizer.chat_template", Meta::Text("{{ eos_token }}!"))
        .write();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let tokenizer = checkpoint.tokenizer().unwrap();
    let chat = checkpoint
        .chat_template(&tokenizer)
        .unwrap()
        .expect("there is a template");
    assert_eq!(chat.render(&[], false).unwrap(), "<end>!");
    let (_folder, path) = Gguf::tiny().write();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert!(checkpoint.chat_template(&tokenizer).unwrap().is_none());
}
