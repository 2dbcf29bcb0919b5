//! The language of `einsum`: `ij,jk->ik`, a letter for each axis.

use std::fmt;

/// The name of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    /// An axis that `...` stands for, counted from the last of them.
    Unnamed(usize),
    /// An axis that has a letter.
    Named(char),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Named(letter) => write!(f, "`{letter}`"),
            Label::Unnamed(place) => write!(f, "axis {} from the last of `...`", place + 1),
        }
    }
}

/// The labels of the axes of every operand, and those of the result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subscripts {
    pub(super) operands: Vec<Vec<Label>>,
    pub(super) result: Vec<Label>,
}

/// What stands between two commas.
struct Term<'a> {
    text: &'a str,
    letters: Vec<char>,
    /// Before which letter `...` stands.
    ellipsis: Option<usize>,
}

impl<'a> Term<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let mut term = Self { text, letters: Vec::new(), ellipsis: None };
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("...") {
                if term.ellipsis.replace(term.letters.len()).is_some() {
                    return Err(format!("`...` stands twice in `{text}`"));
                }
                rest = after;
                continue;
            }
            match next {
                'a'..='z' | 'A'..='Z' => term.letters.push(next),
                '.' => return Err(format!("a dot in `{text}` that is none of three")),
                _ => return Err(format!("`{next}` in `{text}` is no letter")),
            }
            rest = &rest[next.len_utf8()..];
        }
        Ok(term)
    }

    /// The labels, with `unnamed` axes for `...`.
    fn labels(&self, unnamed: usize) -> Vec<Label> {
        let mut labels: Vec<Label> = self.letters.iter().copied().map(Label::Named).collect();
        if let Some(place) = self.ellipsis {
            labels.splice(place..place, (0..unnamed).rev().map(Label::Unnamed));
        }
        labels
    }
}

impl Subscripts {
    /// Reads the subscripts of operands with these numbers of axes.
    ///
    /// Without an arrow, the result has the axes of `...` and then, in alphabetical
    /// order, the letters that stand only once.
    pub(super) fn parse(text: &str, ranks: &[usize]) -> Result<Self, String> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (inputs, result) = match text.split_once("->") {
            Some((inputs, result)) => (inputs, Some(result)),
            None => (&text[..], None),
        };
        let terms = inputs.split(',').map(Term::parse).collect::<Result<Vec<_>, _>>()?;
        if terms.len() != ranks.len() {
            return Err(format!("it names {} operands, not {}", terms.len(), ranks.len()));
        }
        let mut operands = Vec::with_capacity(terms.len());
        let mut most_unnamed = 0;
        for (number, (term, &rank)) in terms.iter().zip(ranks).enumerate() {
            let named = term.letters.len();
            let fits = if term.ellipsis.is_some() { named <= rank } else { named == rank };
            if !fits {
                return Err(format!(
                    "`{}` names {named} axes, and operand {} has {rank}",
                    term.text,
                    number + 1
                ));
            }
            most_unnamed = most_unnamed.max(rank - named);
            operands.push(term.labels(rank - named));
        }
        let unnamed = (0..most_unnamed).rev().map(Label::Unnamed);
        let result = match result.map(Term::parse).transpose()? {
            Some(term) => {
                if most_unnamed > 0 && term.ellipsis.is_none() {
                    return Err("the result leaves out the axes of `...`".to_owned());
                }
                term.labels(most_unnamed)
            }
            None => {
                let mut letters: Vec<char> =
                    terms.iter().flat_map(|term| &term.letters).copied().collect();
                letters.sort_unstable();
                let once = letters.chunk_by(|a, b| a == b).filter(|equal| equal.len() == 1);
                unnamed.chain(once.map(|letter| Label::Named(letter[0]))).collect()
            }
        };
        for (place, label) in result.iter().enumerate() {
            if result[..place].contains(label) {
                return Err(format!("the result names {label} twice"));
            }
            if !operands.iter().any(|labels| labels.contains(label)) {
                return Err(format!("the result names {label}, which no operand has"));
            }
        }
        Ok(Self { operands, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscripts_are_read() {
        let found = Subscripts::parse("...ij, jk -> ...ki", &[4, 2]).unwrap();
        let [i, j, k] = ['i', 'j', 'k'].map(Label::Named);
        let [first, second] = [1, 0].map(Label::Unnamed);
        assert_eq!(found.operands, [vec![first, second, i, j], vec![j, k]]);
        assert_eq!(found.result, [first, second, k, i]);
        // The product of matrices, a transposition and a trace in implicit form.
        assert_eq!(Subscripts::parse("ij,jk", &[2, 2]).unwrap().result, [i, k]);
        assert_eq!(Subscripts::parse("kj", &[2]).unwrap().result, [j, k]);
        assert_eq!(Subscripts::parse("i...i", &[4]).unwrap().result, [first, second]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, ranks, message) in [
            ("ij,jk->ik", &[2][..], "it names 2 operands, not 1"),
            ("ijk->i", &[2], "`ijk` names 3 axes, and operand 1 has 2"),
            ("i...jk", &[2], "`i...jk` names 3 axes, and operand 1 has 2"),
            ("i1->i", &[2], "`1` in `i1` is no letter"),
            ("i..->i", &[2], "a dot in `i..` that is none of three"),
            ("......->...", &[2], "`...` stands twice in `......`"),
            ("ij->ii", &[2], "the result names `i` twice"),
            ("ij->k", &[2], "the result names `k`, which no operand has"),
            ("...i->i", &[2], "the result leaves out the axes of `...`"),
            ("ij->i->j", &[2], "`-` in `i->j` is no letter"),
        ] {
            assert_eq!(Subscripts::parse(text, ranks).unwrap_err(), message, "{text}");
        }
    }
}
