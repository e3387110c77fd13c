//! Numbers as people read them, the same in every kind of report.

use crate::spec::Shots;

/// A share of one in points of a hundred, one decimal.
pub(super) fn points(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    if text == "-0.0" {
        "0.0".into()
    } else {
        minus(&text)
    }
}

/// A difference in points, with its sign.
pub(super) fn signed(difference: f64) -> String {
    let text = points(difference);
    if text == "0.0" || text.starts_with('\u{2212}') {
        text
    } else {
        format!("+{text}")
    }
}

/// With the sign that is as wide as a plus.
fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

/// A number with some decimals.
pub(super) fn decimal(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let nought = !text.contains(|c: char| ('1'..='9').contains(&c));
    minus(if nought {
        text.trim_start_matches('-')
    } else {
        &text
    })
}

/// A p value behind its sign.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.0005 {
        "< 0.001".into()
    } else {
        format!("= {p:.3}")
    }
}

/// A whole number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage with two digits that say something.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent <= 0.0 {
        return "0%".into();
    }
    let decimals = (1.0 - percent.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{percent:.decimals$}%")
}

/// Bytes in the units of disks.
pub(super) fn bytes(number: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = usize::from(value < 9.95);
    format!("{value:.decimals$} {}", units[unit])
}

/// A length of time.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..10 => format!("{} s", decimal(seconds.max(0.0), 1)),
        10..100 => format!("{whole} s"),
        100..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// The head of a column.
pub(super) fn shots(shots: Shots) -> String {
    match shots {
        Shots::Count(k) => k.to_string(),
        Shots::Full(_) => "all".into(),
    }
}

/// How many examples, inside a sentence.
pub(super) fn examples(shots: Shots) -> String {
    match shots {
        Shots::Count(0) => "no examples".into(),
        Shots::Count(1) => "1 example".into(),
        Shots::Count(k) => format!("{k} examples"),
        Shots::Full(_) => "all examples".into(),
    }
}

/// The numbers of examples of a comparison in a table.
pub(super) fn settings(shots: &[Shots]) -> String {
    let each: Vec<String> = shots.iter().map(|s| self::shots(*s)).collect();
    each.join(" + ")
}

/// The same inside a sentence, where they are compared as one.
pub(super) fn examples_together(shots: &[Shots]) -> String {
    match shots {
        [only] => examples(*only),
        several => format!("{} together", examples_each(several)),
    }
}

/// Numbers of examples of which the same is said: `16 and 32 examples`.
pub(super) fn examples_each(shots: &[Shots]) -> String {
    match shots {
        [only] => examples(*only),
        several => {
            let each: Vec<String> = several.iter().map(|s| self::shots(*s)).collect();
            format!("{} examples", list(&each))
        }
    }
}

/// `a, b and c`.
pub(super) fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 target`, `2 targets`.
pub(super) fn plural(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// A text cut to so many characters.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Full;

    #[test]
    fn numbers_read_well() {
        assert_eq!(points(0.4821), "48.2");
        assert_eq!(points(-0.0001), "0.0");
        assert_eq!(
            [signed(0.042), signed(-0.042), signed(0.0)],
            ["+4.2", "\u{2212}4.2", "0.0"]
        );
        assert_eq!(
            [decimal(-0.004, 2), decimal(-1.5, 1)],
            ["0.00", "\u{2212}1.5"]
        );
        assert_eq!([p_value(0.0004), p_value(0.0499)], ["< 0.001", "= 0.050"]);
        assert_eq!(
            [count(7), count(9216), count(134_515_008)],
            ["7", "9,216", "134,515,008"]
        );
        assert_eq!(
            [
                percent(0.00006851),
                percent(0.036),
                percent(1.0),
                percent(0.0)
            ],
            ["0.0069%", "3.6%", "100%", "0%"]
        );
        assert_eq!(
            [bytes(17), bytes(37_120), bytes(1_250_000), bytes(999_999)],
            ["17 B", "37 kB", "1.2 MB", "1.0 MB"]
        );
        assert_eq!(
            [
                duration(0.04),
                duration(75.4),
                duration(200.0),
                duration(7500.0)
            ],
            ["0.0 s", "75 s", "3 min 20 s", "2 h 05 min"]
        );
        assert_eq!(
            [shots(Shots::Count(16)), shots(Shots::Full(Full::Full))],
            ["16", "all"]
        );
        assert_eq!(examples(Shots::Count(0)), "no examples");
    }

    #[test]
    fn lists_and_cuts() {
        let parts = ["4", "16", "32"].map(String::from);
        assert_eq!(list(&parts), "4, 16 and 32");
        assert_eq!([list(&parts[..1]), list(&[])], ["4", ""]);
        assert_eq!(
            [plural(1, "target"), plural(0, "target")],
            ["1 target", "0 targets"]
        );
        assert_eq!(
            [shorten("größer", 6), shorten("größere Länge", 8)],
            ["größer", "größere…"]
        );
    }
}
