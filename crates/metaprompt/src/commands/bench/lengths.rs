//! How long a step's examples are.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::str::FromStr;

/// Tokens of the examples of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lengths {
    /// Drawn evenly from this to that, both included.
    Between(usize, usize),
    /// Exactly these, one for each example.
    List(Vec<usize>),
}

impl Lengths {
    /// Lengths of the step's examples, `count` of them where they are drawn.
    pub(super) fn draw(&self, count: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
        match self {
            Lengths::Between(least, most) => (0..count)
                .map(|_| random.random_range(*least..=*most))
                .collect(),
            Lengths::List(lengths) => lengths.clone(),
        }
    }
}

impl FromStr for Lengths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| match part.trim().parse::<usize>() {
            Ok(n) if (1..=1 << 20).contains(&n) => Ok(n),
            _ => Err(format!(
                "{part:?} is no length; give a range (60-250) or a list (60,84,108)"
            )),
        };
        if let Some((least, most)) = text.split_once('-') {
            let (least, most) = (number(least)?, number(most)?);
            if least > most {
                return Err(format!(
                    "a range from {least} to {most} is empty; the shorter length goes first"
                ));
            }
            return Ok(Lengths::Between(least, most));
        }
        text.split(',')
            .map(number)
            .collect::<Result<_, _>>()
            .map(Lengths::List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_range_and_a_list_are_told_apart() {
        assert_eq!("60-250".parse(), Ok(Lengths::Between(60, 250)));
        assert_eq!("60, 84".parse(), Ok(Lengths::List(vec![60, 84])));
        assert_eq!("7".parse(), Ok(Lengths::List(vec![7])));
        for (wrong, part) in [
            ("", "no length"),
            ("9-3", "empty"),
            ("1,0", "\"0\""),
            ("1-2-3", "2-3"),
        ] {
            let error = wrong.parse::<Lengths>().expect_err(wrong);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_range_is_drawn_to_its_ends_and_a_list_is_kept() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut drawn = Lengths::Between(3, 5).draw(200, &mut random);
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, [3, 4, 5]);
        assert_eq!(Lengths::List(vec![9, 2]).draw(5, &mut random), [9, 2]);
    }
}
