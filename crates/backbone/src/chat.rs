//! Chat templates: the Jinja text with which a model was taught to take turns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, ErrorKind, State, Value, context};
use serde::Serialize;

use crate::files::{LoadError, json_file, small_file};

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of `role` with `content`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
        }
    }
}

/// Why a chat template could not be read, compiled or rendered. No variant holds a
/// message's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// A file cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The template's file has it in an unknown form.
    #[error("{path}: field `{field}` {problem}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The template is not valid Jinja, or uses what minijinja lacks.
    #[error("{path}: the chat template does not compile: {message}")]
    Syntax {
        /// Where the template comes from.
        path: PathBuf,
        /// The template engine's message.
        message: String,
    },
    /// The template itself refused the conversation.
    #[error("{path}: the chat template refuses these {messages} messages: {reason}")]
    Refused {
        /// Where the template comes from.
        path: PathBuf,
        /// How many messages there were.
        messages: usize,
        /// The template's own words.
        reason: String,
    },
    /// Rendering failed.
    #[error("{path}: the chat template fails on these {messages} messages: {kind} in line {line}")]
    Render {
        /// Where the template comes from.
        path: PathBuf,
        /// How many messages there were.
        messages: usize,
        /// The kind of failure.
        kind: String,
        /// Line of the template, 0 where unknown.
        line: usize,
    },
}

/// A compiled chat template.
///
/// Rendering follows transformers' `apply_chat_template`: blocks are trimmed in the same
/// way, Python's string and dictionary methods work, `raise_exception` and `tojson` are
/// theirs, and `{% generation %}` blocks are accepted. One thing differs on purpose:
/// `strftime_now` gives 26 July 2024, the date that LLaMA 3.1's template falls back to,
/// since a prompt that changes with the calendar would make no run repeatable.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    bos: String,
    eos: String,
    path: PathBuf,
}

const NAME: &str = "chat";
const FIXED_DATE: &str = "2024-07-26T00:00:00";
/// Marks messages of `raise_exception` among all errors of kind "invalid operation".
const RAISED: &str = "raise_exception: ";

impl ChatTemplate {
    /// Compiles `source`, which comes from `path` (for messages). `bos` and `eos` are the
    /// texts of the begin and end tokens.
    ///
    /// # Errors
    /// When the template does not compile.
    pub fn new(path: &Path, source: &str, bos: &str, eos: &str) -> Result<Self, ChatError> {
        let syntax_error = |error: minijinja::Error| ChatError::Syntax {
            path: path.to_owned(),
            message: format!("{error:#}"),
        };
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(syntax_error)?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", to_json);
        environment
            .add_template_owned(NAME, without_generation_tags(source))
            .map_err(syntax_error)?;
        Ok(Self {
            environment: Arc::new(environment),
            bos: bos.to_owned(),
            eos: eos.to_owned(),
            path: path.to_owned(),
        })
    }

    /// Reads the template of a model directory: `chat_template.jinja`, else the field
    /// `chat_template` of `tokenizer_config.json`. `None` when it has neither.
    ///
    /// The begin and end texts of `tokenizer_config.json` win over `bos` and `eos`.
    ///
    /// # Errors
    /// When a file is damaged or the template does not compile.
    pub fn from_directory(
        directory: &Path,
        bos: &str,
        eos: &str,
    ) -> Result<Option<Self>, ChatError> {
        let config_path = directory.join("tokenizer_config.json");
        let config = if config_path.is_file() {
            json_file(&config_path)?
        } else {
            serde_json::Value::Null
        };
        // A token is a string or an object with its content.
        let token = |field: &str, otherwise: &str| {
            let token = &config[field];
            token
                .as_str()
                .or_else(|| token["content"].as_str())
                .unwrap_or(otherwise)
                .to_owned()
        };
        let (bos, eos) = (token("bos_token", bos), token("eos_token", eos));
        let file = directory.join("chat_template.jinja");
        if file.is_file() {
            let source = String::from_utf8(small_file(&file)?).map_err(|_| ChatError::Syntax {
                path: file.clone(),
                message: "it is not UTF-8".to_owned(),
            })?;
            return Self::new(&file, &source, &bos, &eos).map(Some);
        }
        let field = "chat_template";
        let wrong = |problem| ChatError::Field {
            path: config_path.clone(),
            field,
            problem,
        };
        let source = match &config[field] {
            serde_json::Value::Null => return Ok(None),
            serde_json::Value::String(source) => source,
            // A list of named templates; the one for ordinary chat is `default`.
            serde_json::Value::Array(named) => {
                let default = named.iter().find(|template| template["name"] == "default");
                let source = default
                    .map(|template| &template["template"])
                    .and_then(|source| source.as_str());
                return match source {
                    Some(source) => Self::new(&config_path, source, &bos, &eos).map(Some),
                    None => Err(wrong("is a list without a template named `default`")),
                };
            }
            _ => return Err(wrong("is neither a template nor a list of them")),
        };
        Self::new(&config_path, source, &bos, &eos).map(Some)
    }

    /// The conversation as the model's text; with `add_generation_prompt` it ends where
    /// the assistant's answer begins.
    ///
    /// # Errors
    /// When the template refuses the messages (roles in an order that it does not know)
    /// or fails.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, ChatError> {
        let turn = |message: &Message| {
            context! { role => message.role.as_str(), content => message.content.as_str() }
        };
        let turns: Vec<Value> = messages.iter().map(turn).collect();
        let input = context! {
            messages => Value::from(turns),
            add_generation_prompt => add_generation_prompt,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            tools => Value::from(()),
            documents => Value::from(()),
        };
        let rendered = self
            .environment
            .get_template(NAME)
            .and_then(|template| template.render(input));
        rendered.map_err(|error| {
            let (path, messages) = (self.path.clone(), messages.len());
            match error
                .detail()
                .and_then(|detail| detail.strip_prefix(RAISED))
            {
                Some(reason) => ChatError::Refused {
                    path,
                    messages,
                    reason: reason.to_owned(),
                },
                // The detail of other errors may quote a value, and values are messages.
                None => {
                    let line = error.line().unwrap_or(0);
                    ChatError::Render {
                        path,
                        messages,
                        kind: error.kind().to_string(),
                        line,
                    }
                }
            }
        })
    }
}

fn raise_exception(reason: &str) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(
        ErrorKind::InvalidOperation,
        format!("{RAISED}{reason}"),
    ))
}

fn strftime_now(state: &State, format: &str) -> Result<String, minijinja::Error> {
    let format = Kwargs::from_iter([("format", Value::from(format))]);
    minijinja_contrib::filters::datetimeformat(state, Value::from(FIXED_DATE), format)
}

/// Python's `json.dumps(value, ensure_ascii=False)`, which does not escape for HTML.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that a filter must have"
)]
fn to_json(value: &Value, options: Kwargs) -> Result<String, minijinja::Error> {
    let failed = |error: serde_json::Error| {
        minijinja::Error::new(
            ErrorKind::InvalidOperation,
            format!("cannot be written as JSON ({:?})", error.classify()),
        )
    };
    let indent: Option<usize> = options.get("indent")?;
    // Asking for the defaults is allowed, anything else is an error.
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    if ascii == Some(true) {
        return Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "tojson with ensure_ascii is not supported",
        ));
    }
    let mut out = Vec::new();
    match indent {
        None => value.serialize(&mut serde_json::Serializer::with_formatter(
            &mut out,
            PythonStyle,
        )),
        Some(width) => {
            let spaces = " ".repeat(width);
            let pretty = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(
                &mut out, pretty,
            ))
        }
    }
    .map_err(failed)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Spaces after commas and colons, as Python writes them.
struct PythonStyle;

impl serde_json::ser::Formatter for PythonStyle {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
    ) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// Turns transformers' `{% generation %}` … `{% endgeneration %}`, which only marks the
/// assistant's part, into an `if` that is always taken; spaces around it behave the same.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let inside = start + 2;
        let Some(length) = rest[inside..].find("%}") else {
            break;
        };
        let (tag, after) = (&rest[inside..inside + length], &rest[inside + length..]);
        out.push_str(&rest[..inside]);
        match tag.trim_matches(['-', '+']).trim() {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
