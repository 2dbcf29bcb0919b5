//! How operations are written: signs between operands, powers, or a function's name. Whatever is not
//! listed here is written as a function, so an op needs no line of its own.

use super::Expression;

/// Strengths of what is written, from sums to powers; 0 is for comparisons.
const SUM: u8 = 1;
pub(super) const SIGN: u8 = 2;
const PRODUCT: u8 = 3;
const POWER: u8 = 5;
pub(super) const ATOM: u8 = 6;

/// Letters that TeX has.
pub(super) const GREEK: [&str; 15] = [
    "alpha", "beta", "gamma", "delta", "epsilon", "eta", "theta", "lambda", "mu", "nu", "rho",
    "sigma", "tau", "phi", "omega",
];

/// How one operation is written.
pub(super) enum Notation<'a> {
    /// `a + b`, where the right operand needs the strength `right` to stand without brackets.
    Between { sign: &'static str, strength: u8, right: u8 },
    /// `-a`, `a^2`: text before and after the operand, which needs the strength `inner`.
    Around { before: String, after: String, strength: u8, inner: u8 },
    /// `sin(a)`
    Function { parameters: &'a str },
}

impl<'a> Notation<'a> {
    pub(super) fn of(op: &str, parameters: &'a str, args: usize) -> Self {
        let between = |sign, strength, right| Self::Between { sign, strength, right };
        let around = |before: &str, after: &str, strength, inner| Self::Around {
            before: before.to_owned(),
            after: after.to_owned(),
            strength,
            inner,
        };
        match (op, args) {
            ("add" | "add_whole", 2) => between(" + ", SUM, SUM),
            ("sub", 2) => between(" - ", SUM, SIGN),
            ("mul", 2) => between(" * ", PRODUCT, PRODUCT),
            ("div", 2) => between(" / ", PRODUCT, POWER),
            ("matmul", 2) => between(" @ ", PRODUCT, POWER),
            ("greater", 2) => between(" > ", 0, SUM),
            ("greater_equal", 2) => between(" >= ", 0, SUM),
            ("less", 2) => between(" < ", 0, SUM),
            ("less_equal", 2) => between(" <= ", 0, SUM),
            ("equal", 2) => between(" == ", 0, SUM),
            ("neg", 1) => around("-", "", SIGN, PRODUCT),
            // In brackets within a product, which it would not be read as a factor of.
            ("reciprocal", 1) => around("1 / ", "", SIGN, POWER),
            ("square", 1) => around("", "^2", POWER, ATOM),
            ("powi" | "powf", 1) => around("", &format!("^{}", exponent(parameters)), POWER, ATOM),
            ("permute", 1) if is_transpose(parameters) => around("", "^T", POWER, ATOM),
            _ => Self::Function { parameters },
        }
    }

    pub(super) fn strength(&self) -> u8 {
        match self {
            Self::Between { strength, .. } | Self::Around { strength, .. } => *strength,
            Self::Function { .. } => ATOM,
        }
    }
}

/// Whether a permutation exchanges the axes of a matrix.
fn is_transpose(parameters: &str) -> bool {
    parameters.contains("[1, 0]")
}

/// An exponent, in brackets if it is negative.
fn exponent(parameters: &str) -> String {
    let exponent = parameters.trim_end_matches(".0");
    if exponent.starts_with('-') { format!("({exponent})") } else { exponent.to_owned() }
}

/// A number in TeX.
pub(super) fn number_latex(x: f64) -> String {
    match super::number(x, 6) {
        text if text.contains('e') => text.replacen('e', "\\cdot 10^{", 1) + "}",
        text if text.contains("inf") => text.replace("inf", "\\infty"),
        text => text,
    }
}

/// Text in TeX.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if "_&%$#{}".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// An operation in TeX.
pub(super) fn latex(op: &str, parameters: &str, args: &[Expression]) -> String {
    let notation = Notation::of(op, parameters, args.len());
    let within = |arg: &Expression, least: u8| match arg.strength() < least {
        true => format!("\\left({}\\right)", arg.to_latex()),
        false => arg.to_latex(),
    };
    match (op, args) {
        ("div", [a, b]) => format!("\\frac{{{}}}{{{}}}", a.to_latex(), b.to_latex()),
        ("reciprocal", [a]) => format!("\\frac{{1}}{{{}}}", a.to_latex()),
        ("sqrt", [a]) => format!("\\sqrt{{{}}}", a.to_latex()),
        ("exp", [a]) => format!("e^{{{}}}", a.to_latex()),
        ("sin" | "cos" | "tan" | "ln" | "tanh" | "sinh" | "cosh", [a]) => {
            format!("\\{op}\\left({}\\right)", a.to_latex())
        }
        _ => match notation {
            Notation::Between { sign, strength, right } => {
                let sign = match sign {
                    " * " => " \\cdot ",
                    " @ " => " \\, ",
                    " >= " => " \\ge ",
                    " <= " => " \\le ",
                    " == " => " = ",
                    other => other,
                };
                format!("{}{sign}{}", within(&args[0], strength), within(&args[1], right))
            }
            Notation::Around { before, after, inner, .. } => {
                let after = after.strip_prefix('^').map_or(after.clone(), |power| {
                    let power = if power == "T" { "\\mathsf{T}" } else { power };
                    format!("^{{{power}}}")
                });
                format!("{before}{}{after}", within(&args[0], inner))
            }
            Notation::Function { .. } => {
                let args: Vec<String> = args.iter().map(Expression::to_latex).collect();
                format!("\\operatorname{{{}}}\\left({}\\right)", escaped(op), args.join(", "))
            }
        },
    }
}
