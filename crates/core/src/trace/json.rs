//! A trace as JSON.

use super::{Expression, Quantity, Reference, Row, Term, Token, Trace, Values, Work};
use crate::json::Json;
use crate::tape::elemental::Cost;

impl Trace {
    /// The trace as JSON: all that a [`Row`] has, formulas as lists of text and references (`tokens`) and
    /// as trees (`tree`).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0).named("x");
    /// let json = tape.trace(x.sin()).to_json();
    /// assert!(json.contains(r#""tree":["sin","",{"row":0,"of":"value"}]"#), "{json}");
    /// ```
    pub fn to_json(&self) -> String {
        self.json(Vec::new()).write()
    }

    /// The trace, with more fields.
    pub(super) fn json(&self, more: Vec<(&'static str, Json)>) -> Json {
        let products = Json::option(self.products, |pair| Json::list(pair, number));
        let mut fields = vec![
            ("precision", Json::text(self.precision)),
            ("inner_products", products),
            ("rows", Json::list(&self.rows, row)),
        ];
        fields.extend(more);
        Json::Object(fields)
    }
}

fn row(row: &Row) -> Json {
    let lower = |name: String| Json::Text(name.to_lowercase());
    Json::Object(vec![
        ("number", Json::Count(row.number)),
        ("name", Json::text(&row.name)),
        ("own_adjoint_name", Json::option(row.own_adjoint_name.as_ref(), Json::text)),
        ("role", lower(format!("{:?}", row.role))),
        ("op", Json::option(row.op, Json::text)),
        ("formula", formula(&row.formula)),
        ("operands", Json::list(row.operands.iter().copied(), Json::Count)),
        ("value", values(&row.value)),
        ("adjoint", Json::option(row.adjoint.as_ref(), values)),
        ("terms", Json::list(&row.terms, term)),
        ("tangent", Json::option(row.tangent.as_ref(), values)),
        ("tangent_formula", Json::option(row.tangent_formula.as_ref(), formula)),
        ("activity", lower(format!("{:?}", row.activity))),
        ("view", Json::Bool(row.is_view)),
        ("scope", Json::list(&row.scope, Json::text)),
        ("file", Json::text(row.file)),
        ("line", Json::Count(row.line as usize)),
        ("source", Json::option(row.source.as_ref(), Json::text)),
        ("forward", work(row.forward)),
        ("reverse", work(row.reverse)),
    ])
}

fn term(term: &Term) -> Json {
    Json::Object(vec![
        ("to", Json::Count(term.to)),
        ("formula", formula(&term.formula)),
        ("value", values(&term.value)),
        (
            "partial",
            Json::option(term.partial.as_ref(), |partial| {
                Json::Object(vec![
                    ("formula", formula(&partial.formula)),
                    ("value", number(partial.value)),
                ])
            }),
        ),
    ])
}

fn formula(expression: &Expression) -> Json {
    let token = |token: Token| match token {
        Token::Text(text) => Json::Text(text),
        Token::Reference(at) => reference(&at),
    };
    Json::Object(vec![
        ("tokens", Json::list(expression.tokens(), token)),
        ("tree", tree(expression)),
    ])
}

fn tree(expression: &Expression) -> Json {
    match expression {
        Expression::Number(x) => number(*x),
        Expression::Reference(at) => reference(at),
        Expression::Words(words) => Json::Object(vec![("words", Json::text(words))]),
        Expression::Call { op, parameters, args } => {
            let head = [Json::text(*op), Json::text(parameters)];
            Json::List(head.into_iter().chain(args.iter().map(tree)).collect())
        }
    }
}

fn reference(reference: &Reference) -> Json {
    let of = match reference.quantity {
        Quantity::Value => "value",
        Quantity::Adjoint => "adjoint",
        Quantity::Tangent => "tangent",
    };
    Json::Object(vec![("row", Json::Count(reference.row)), ("of", Json::text(of))])
}

fn values(values: &Values) -> Json {
    Json::Object(vec![
        ("shape", Json::list(values.shape.iter().copied(), Json::Count)),
        ("brief", Json::Text(values.brief())),
        ("elements", Json::list(values.elements.iter().copied(), number)),
        ("norm", number(values.norm)),
        ("smallest", number(values.smallest)),
        ("largest", number(values.largest)),
        ("not_finite", Json::Count(values.not_finite)),
        ("histogram", Json::list(values.histogram.iter().copied(), Json::Count)),
        (
            "picture",
            Json::option(values.picture.as_ref(), |picture| {
                Json::Object(vec![
                    ("columns", Json::Count(picture.columns)),
                    ("levels", Json::Text(picture.levels.iter().map(|&x| level(x)).collect())),
                ])
            }),
        ),
    ])
}

/// A level from 0 to 1 as one of 64 letters, those of base 64; a blank for none.
fn level(x: f32) -> char {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if x.is_nan() { ' ' } else { char::from(LETTERS[(x * 63.0).round().clamp(0.0, 63.0) as usize]) }
}

fn work(work: Work) -> Json {
    let Cost { adds, muls, divs, nonlinear } = work.cost;
    let counts = [adds, muls, divs, nonlinear, work.bytes];
    Json::list(counts, |count| Json::Count(count as usize))
}

/// JSON has no infinities: they are words.
fn number(x: f64) -> Json {
    if x.is_finite() { Json::Number(x) } else { Json::Text(x.to_string()) }
}
