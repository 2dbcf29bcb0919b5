//! The steps of recurrent networks, as formulas.

use std::fmt::Debug;

use wengert_core::{Real, Var};

/// The step of a recurrent network with `S` states, of which the first is what it gives.
///
/// ```
/// use wengert_core::{Real, Tape, Tensor, Var};
/// use wengert_nn::random::seeded;
/// use wengert_nn::layer::{Cell, Layer, Recurrent};
///
/// /// A state that forgets slowly.
/// #[derive(Clone, Debug, Default)]
/// struct Leaky;
///
/// impl Cell<1> for Leaky {
///     const GATES: usize = 1;
///     const ADDS: bool = true;
///     fn step<'t, T: Real>(&self, x: Var<'t, T>, h: Var<'t, T>, [s]: [Var<'t, T>; 1]) -> [Var<'t, T>; 1] {
///         [s * T::from_f64(0.9) + (x + h).tanh() * T::from_f64(0.1)]
///     }
/// }
///
/// let net: Recurrent<f64, Leaky, 1> = Recurrent::new(2, 4, &mut seeded(1));
/// let tape = Tape::new();
/// let y = net.forward(tape.constant(Tensor::zeros([1, 3, 2])));
/// assert_eq!(y.shape()[..], [1, 3, 4]);
/// ```
pub trait Cell<const S: usize>: Clone + Debug {
    /// Parts of `units` elements that inputs and state are mapped to.
    const GATES: usize;

    /// Whether a step looks at the sum of its first two operands alone, so that both biases
    /// may come with the first.
    const ADDS: bool;

    /// The states after a step: of what the input gives to the gates, what the state gives
    /// to them, both of shape `[batch, gates * units]`, and of the states before it.
    fn step<'t, T: Real>(
        &self,
        input: Var<'t, T>,
        state: Var<'t, T>,
        states: [Var<'t, T>; S],
    ) -> [Var<'t, T>; S];
}

/// A part of what the gates are given.
#[track_caller]
fn gate<T: Real>(z: Var<'_, T>, index: usize, gates: usize) -> Var<'_, T> {
    let units = z.shape()[1] / gates;
    z.slice(1, index * units..(index + 1) * units)
}

/// `h = tanh(x + h)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RnnCell;

/// `h = max(0, x + h)`: PyTorch's `RNN(nonlinearity="relu")`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReluCell;

/// With `z = x + h` in four parts,
///
/// ```text
/// i = sigmoid(z_i)   f = sigmoid(z_f)   g = tanh(z_g)   o = sigmoid(z_o)
/// c' = f c + i g     h' = o tanh(c')
/// ```
///
/// Gates are in the order i, f, g, o, as in PyTorch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LstmCell;

/// With `x` and `h` in three parts each,
///
/// ```text
/// r = sigmoid(x_r + h_r)   z = sigmoid(x_z + h_z)   n = tanh(x_n + r h_n)
/// h' = (1 - z) n + z h
/// ```
///
/// Gates are in the order r, z, n, as in PyTorch; the reset gate acts after the product, as
/// there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GruCell;

impl Cell<1> for RnnCell {
    const GATES: usize = 1;
    const ADDS: bool = true;

    #[track_caller]
    fn step<'t, T: Real>(
        &self,
        input: Var<'t, T>,
        state: Var<'t, T>,
        _: [Var<'t, T>; 1],
    ) -> [Var<'t, T>; 1] {
        [(input + state).tanh()]
    }
}

impl Cell<1> for ReluCell {
    const GATES: usize = 1;
    const ADDS: bool = true;

    #[track_caller]
    fn step<'t, T: Real>(
        &self,
        input: Var<'t, T>,
        state: Var<'t, T>,
        _: [Var<'t, T>; 1],
    ) -> [Var<'t, T>; 1] {
        [(input + state).relu()]
    }
}

impl Cell<2> for LstmCell {
    const GATES: usize = 4;
    const ADDS: bool = true;

    #[track_caller]
    fn step<'t, T: Real>(
        &self,
        input: Var<'t, T>,
        state: Var<'t, T>,
        [_, c]: [Var<'t, T>; 2],
    ) -> [Var<'t, T>; 2] {
        let z = input + state;
        let [i, f, g, o] = [0, 1, 2, 3].map(|index| gate(z, index, 4));
        let c = f.sigmoid() * c + i.sigmoid() * g.tanh();
        [o.sigmoid() * c.tanh(), c]
    }
}

impl Cell<1> for GruCell {
    const GATES: usize = 3;
    const ADDS: bool = false;

    #[track_caller]
    fn step<'t, T: Real>(
        &self,
        input: Var<'t, T>,
        state: Var<'t, T>,
        [h]: [Var<'t, T>; 1],
    ) -> [Var<'t, T>; 1] {
        let [x_r, x_z, x_n] = [0, 1, 2].map(|index| gate(input, index, 3));
        let [h_r, h_z, h_n] = [0, 1, 2].map(|index| gate(state, index, 3));
        let (r, z) = ((x_r + h_r).sigmoid(), (x_z + h_z).sigmoid());
        let n = (x_n + r * h_n).tanh();
        // One product less than (1 - z) n + z h.
        [n + z * (h - n)]
    }
}
