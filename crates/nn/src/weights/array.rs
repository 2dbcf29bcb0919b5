//! Numbers as they stand in files of weights: a kind, a shape, and bytes, the lowest
//! first.

use wengert_core::{Real, Shape, Tensor};

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

/// Numbers in a file.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) kind: Kind,
    pub(crate) shape: Vec<usize>,
    /// In row-major order; as many as kind and shape say.
    pub(crate) bytes: Vec<u8>,
}

impl Kind {
    /// The kind of a tensor's elements.
    pub(crate) fn of<T: Real>() -> Self {
        if size_of::<T>() == 4 { Kind::F32 } else { Kind::F64 }
    }

    /// The bytes of one number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Kind::F64 | Kind::I64 | Kind::U64 => 8,
            Kind::F32 | Kind::I32 | Kind::U32 => 4,
            Kind::F16 | Kind::BF16 | Kind::I16 | Kind::U16 => 2,
            Kind::I8 | Kind::U8 | Kind::Bool => 1,
        }
    }

    /// The bytes of numbers of a shape, if memory could hold them.
    pub(crate) fn bytes_of(self, shape: &[usize]) -> Option<usize> {
        Shape::from(shape).checked_elements()?.checked_mul(self.bytes())
    }

    /// The number in some bytes, as near as double precision comes.
    fn read(self, bytes: &[u8]) -> f64 {
        macro_rules! number {
            ($t:ty) => {
                <$t>::from_le_bytes(bytes.try_into().expect("as many as it has"))
            };
        }
        match self {
            Kind::F64 => number!(f64),
            Kind::F32 => f64::from(number!(f32)),
            Kind::F16 => half(number!(u16)),
            Kind::BF16 => f64::from(f32::from_bits(u32::from(number!(u16)) << 16)),
            Kind::I64 => number!(i64) as f64,
            Kind::I32 => f64::from(number!(i32)),
            Kind::I16 => f64::from(number!(i16)),
            Kind::I8 => f64::from(number!(i8)),
            Kind::U64 => number!(u64) as f64,
            Kind::U32 => f64::from(number!(u32)),
            Kind::U16 => f64::from(number!(u16)),
            Kind::U8 => f64::from(number!(u8)),
            Kind::Bool => f64::from(u8::from(bytes[0] != 0)),
        }
    }
}

/// A float of 16 bits: a sign, 5 bits of exponent, 10 of the rest.
fn half(bits: u16) -> f64 {
    let (exponent, rest) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => rest * 2_f64.powi(-24),
        0x1f if rest == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1024.0 + rest) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

impl Array {
    /// The numbers of a tensor.
    pub(crate) fn of<T: Real>(tensor: &Tensor<T>) -> Self {
        let kind = Kind::of::<T>();
        let mut bytes = Vec::with_capacity(tensor.len() * kind.bytes());
        for x in tensor.iter() {
            match kind {
                Kind::F32 => bytes.extend_from_slice(&(x.as_f64() as f32).to_le_bytes()),
                _ => bytes.extend_from_slice(&x.as_f64().to_le_bytes()),
            }
        }
        Self { kind, shape: tensor.shape().to_vec(), bytes }
    }

    /// The numbers as a tensor.
    pub(crate) fn tensor<T: Real>(&self) -> Tensor<T> {
        let numbers = self.bytes.chunks_exact(self.kind.bytes());
        let elements = numbers.map(|bytes| T::from_f64(self.kind.read(bytes))).collect();
        Tensor::new(&self.shape[..], elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        let cases = [
            (0x0000, 0.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x03ff, 6.097_555_160_522_461e-5),
            (0x0400, 6.103_515_625e-5),
            (0x3555, 0.333_251_953_125),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan());
    }
}
