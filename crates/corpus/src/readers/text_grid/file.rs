//! Praat's text files: tiers of intervals with times and texts.
//!
//! Praat itself reads such a file as a sequence of free-standing numbers,
//! quoted strings and flags, and passes over all other words (`xmin =`,
//! `intervals [1]:`). Reading it so covers the long and the short form.

use std::path::Path;

use crate::error::{CorpusError, Place};

/// A stretch of time and what is said in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interval {
    /// In seconds.
    pub(crate) start: f64,
    pub(crate) text: String,
}

/// The intervals of all interval tiers of a file.
pub(crate) fn intervals(text: &str, file: &Path) -> Result<Vec<Interval>, CorpusError> {
    let mut tokens = Tokens {
        text,
        at: 0,
        line: 1,
        file,
    };
    // Old versions of Praat say so in the type where they write the short form.
    let file_type = tokens.string("the file's type")?;
    if !matches!(&*file_type, "ooTextFile" | "ooTextFile short")
        || tokens.string("the object's class")? != "TextGrid"
    {
        return Err(tokens.wrong("isn't a TextGrid in Praat's text form"));
    }
    tokens.number("the start")?;
    tokens.number("the end")?;
    let mut found = Vec::new();
    match tokens.next()? {
        Some(Token::Flag("exists")) => {}
        Some(Token::Flag(_)) => return Ok(found),
        _ => return Err(tokens.wrong("expected whether there are tiers")),
    }
    for _ in 0..tokens.count("the number of tiers")? {
        let class = tokens.string("a tier's class")?;
        tokens.string("a tier's name")?;
        tokens.number("a tier's start")?;
        tokens.number("a tier's end")?;
        let size = tokens.count("a tier's size")?;
        for _ in 0..size {
            let start = tokens.number("a time")?;
            // Points in time have no end, and nothing is said in them.
            if class == "IntervalTier" {
                tokens.number("a time")?;
                let text = tokens.string("a text")?;
                found.push(Interval { start, text });
            } else {
                tokens.string("a mark")?;
            }
        }
    }
    Ok(found)
}

enum Token<'t> {
    Number(f64),
    /// With doubled quotes made single.
    String(String),
    /// A word in `<` and `>`.
    Flag(&'t str),
}

struct Tokens<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    file: &'t Path,
}

impl<'t> Tokens<'t> {
    fn wrong(&self, problem: &str) -> CorpusError {
        CorpusError::malformed(Place::line(self.file, self.line), problem)
    }

    fn string(&mut self, what: &str) -> Result<String, CorpusError> {
        match self.next()? {
            Some(Token::String(text)) => Ok(text),
            other => Err(self.missing(what, other.is_none())),
        }
    }

    fn number(&mut self, what: &str) -> Result<f64, CorpusError> {
        match self.next()? {
            Some(Token::Number(number)) => Ok(number),
            other => Err(self.missing(what, other.is_none())),
        }
    }

    fn count(&mut self, what: &str) -> Result<usize, CorpusError> {
        let number = self.number(what)?;
        // Each takes some bytes, so a larger number can only be wrong.
        if number.fract() != 0.0 || !(0.0..=self.text.len() as f64).contains(&number) {
            return Err(self.wrong(&format!("{what} can't be right")));
        }
        Ok(number as usize)
    }

    fn missing(&self, what: &str, ended: bool) -> CorpusError {
        match ended {
            true => self.wrong(&format!("the file ends before {what}; is it cut off?")),
            false => self.wrong(&format!("expected {what}")),
        }
    }

    /// The next number, string or flag.
    fn next(&mut self) -> Result<Option<Token<'t>>, CorpusError> {
        loop {
            let rest = &self.text[self.at..];
            let Some(first) = rest.chars().next() else {
                return Ok(None);
            };
            if first == '"' {
                return self.quoted().map(Some);
            }
            if first.is_whitespace() {
                self.skip(first.len_utf8());
                continue;
            }
            if first == '!' {
                // A remark, up to the end of the line.
                self.skip(rest.find(['\n', '\r']).unwrap_or(rest.len()));
                continue;
            }
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let word = &rest[..end];
            self.skip(end);
            if let Some(flag) = word.strip_prefix('<').and_then(|w| w.strip_suffix('>')) {
                return Ok(Some(Token::Flag(flag)));
            }
            if word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
                && let Ok(number) = word.parse::<f64>()
                && number.is_finite()
            {
                return Ok(Some(Token::Number(number)));
            }
        }
    }

    fn quoted(&mut self) -> Result<Token<'t>, CorpusError> {
        let open = self.at;
        let mut text = String::new();
        let mut from = open + 1;
        loop {
            let Some(length) = self.text[from..].find('"') else {
                return Err(self.wrong("a quote isn't closed; is the file cut off?"));
            };
            text.push_str(&self.text[from..from + length]);
            from += length + 1;
            if !self.text[from..].starts_with('"') {
                break;
            }
            text.push('"');
            from += 1;
        }
        self.skip(from - open);
        Ok(Token::String(text))
    }

    fn skip(&mut self, bytes: usize) {
        let passed = &self.text.as_bytes()[self.at..self.at + bytes];
        self.line += passed.iter().filter(|b| **b == b'\n').count();
        self.at += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_and_the_short_form_say_the_same() {
        let long = "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0 \n\
            xmax = 2.5 \ntiers? <exists> \nsize = 2 \nitem []: \n    item [1]:\n        \
            class = \"IntervalTier\" \n        name = \"A 1\" \n        xmin = 0 \n        \
            xmax = 2.5 \n        intervals: size = 1 \n        intervals [1]:\n            \
            xmin = 0.5 \n            xmax = 2.5 \n            text = \"say \"\"hm\"\" 3\" \n    \
            item [2]:\n class = \"TextTier\" \n name = \"B\" \n xmin = 0 \n xmax = 2.5 \n \
            points: size = 1 \n points [1]:\n number = 1 \n mark = \"x\" \n";
        let short = "\"ooTextFile\"\n\"TextGrid\"\n0 2.5 <exists> 2\n\"IntervalTier\" \"A 1\" 0 2.5 \
            1 ! one \"interval\"\n0.5 2.5 \"say \"\"hm\"\" 3\" \"TextTier\" \"B\" 0 2.5 1 1 \"x\"";
        let text = "say \"hm\" 3".to_owned();
        let expected = [Interval { start: 0.5, text }];
        for source in [long, short] {
            let found = intervals(source, Path::new("a")).expect("reads");
            assert_eq!(found, expected);
        }
    }
}
