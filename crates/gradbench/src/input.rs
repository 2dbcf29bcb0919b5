//! Numbers and tensors, read from the input of a message and written into the answer.

use std::fmt;

use serde_json::{Value, json};
use wengert::Tensor;

/// Why a message cannot be answered with a result, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// An object of JSON, whose fields are asked for by name.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(pub &'a Value);

impl<'a> Input<'a> {
    /// A field of an object.
    ///
    /// # Errors
    /// If there is none of this name. So do all methods that take a `name`.
    pub fn field(self, name: &str) -> Result<&'a Value, Error> {
        self.0.get(name).ok_or_else(|| Error(format!("there is no `{name}` in the input")))
    }

    /// A field that need not be there.
    ///
    /// # Errors
    /// If it is there, and `read` refuses it.
    pub fn optional<R>(
        self,
        name: &str,
        read: impl FnOnce(Self, &str) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        self.0.get(name).map(|_| read(self, name)).transpose()
    }

    /// A number.
    ///
    /// # Errors
    /// If it is something else.
    pub fn number(self, name: &str) -> Result<f64, Error> {
        self.field(name)?.as_f64().ok_or_else(|| self.expected(name, "a number"))
    }

    /// A whole number that is not negative. `3.0` is one.
    ///
    /// # Errors
    /// If it is something else.
    pub fn integer(self, name: &str) -> Result<usize, Error> {
        integer(self.field(name)?).ok_or_else(|| self.expected(name, "a whole number"))
    }

    /// A list of whole numbers that are not negative.
    ///
    /// # Errors
    /// If it is something else.
    pub fn integers(self, name: &str) -> Result<Vec<usize>, Error> {
        let list = self.field(name)?.as_array();
        let integers = list.and_then(|list| list.iter().map(integer).collect());
        integers.ok_or_else(|| self.expected(name, "a list of whole numbers"))
    }

    /// A number, or lists of numbers of any depth.
    ///
    /// # Errors
    /// If it is something else, or lists beside each other have different lengths.
    pub fn tensor(self, name: &str) -> Result<Tensor<f64>, Error> {
        let value = self.field(name)?;
        let mut shape = Vec::new();
        let mut first = Some(value);
        while let Some(Value::Array(list)) = first {
            shape.push(list.len());
            first = list.first();
        }
        let mut elements = Vec::with_capacity(shape.iter().product());
        if !collect(value, &shape, &mut elements) {
            return Err(self.expected(name, "lists of numbers, of equal lengths"));
        }
        Ok(Tensor::new(&shape[..], elements))
    }

    /// As [`tensor`](Self::tensor), of a shape that follows from the rest of the input. Empty lists
    /// fit any shape without elements.
    ///
    /// # Errors
    /// If the shape is another one.
    pub fn shaped<const N: usize>(
        self,
        name: &str,
        shape: [usize; N],
    ) -> Result<Tensor<f64>, Error> {
        let tensor = self.tensor(name)?;
        if tensor.is_empty() && shape.contains(&0) {
            return Ok(Tensor::zeros(shape));
        }
        if tensor.shape()[..] != shape {
            let got = tensor.shape();
            return Err(Error(format!("`{name}`: expected the shape {shape:?}, got {got}")));
        }
        Ok(tensor)
    }

    fn expected(self, name: &str, what: &str) -> Error {
        let mut got = self.0[name].to_string();
        if got.len() > 60 {
            got.truncate((0..60).rev().find(|&at| got.is_char_boundary(at)).unwrap_or(0));
            got.push_str("..");
        }
        Error(format!("`{name}`: expected {what}, got {got}"))
    }
}

fn integer(value: &Value) -> Option<usize> {
    let float = || value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..9e15).contains(x));
    match value.as_u64() {
        Some(integer) => usize::try_from(integer).ok(),
        None => float().map(|x| x as usize),
    }
}

/// Appends the numbers of nested lists. Gives `false` if they do not have the shape.
fn collect(value: &Value, shape: &[usize], elements: &mut Vec<f64>) -> bool {
    match (value, shape) {
        (Value::Array(list), [extent, inner @ ..]) => {
            list.len() == *extent && list.iter().all(|value| collect(value, inner, elements))
        }
        (value, []) => value.as_f64().map(|x| elements.push(x)).is_some(),
        _ => false,
    }
}

/// A tensor as nested lists.
pub fn lists(tensor: &Tensor<f64>) -> Value {
    match *tensor.shape() {
        ref scalar if scalar.is_empty() => json!(tensor.item()),
        ref shape if shape.len() == 1 => tensor.iter().map(|x| json!(x)).collect(),
        ref shape => (0..shape[0])
            .map(|row| lists(&tensor.slice(0, row, 1, 1).reshape(&shape[1..])))
            .collect(),
    }
}

/// Refuses what has no place in JSON: infinities and NaN, which `serde_json` makes null.
///
/// # Errors
/// If there is one.
pub fn finite(output: Value) -> Result<Value, Error> {
    fn is_finite(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Array(list) => list.iter().all(is_finite),
            Value::Object(map) => map.values().all(is_finite),
            _ => true,
        }
    }
    if is_finite(&output) {
        Ok(output)
    } else {
        Err(Error("the result has numbers that are infinite or NaN".into()))
    }
}
