//! What `#[derive(Module)]` accepts, and what it makes of it.

use std::marker::PhantomData;
use std::time::Duration;

use wengert_core::{Real, Tape, Tensor, Var};
use wengert_nn::module::Path;
use wengert_nn::random::MatlabRng;
use wengert_nn::{Linear, Module, Param, Relu, Sequential, sequential};

fn names<T: Real>(net: &impl Module<T>) -> Vec<String> {
    net.named_parameters().into_iter().map(|(name, _)| name).collect()
}

fn param<T: Real>(value: f64) -> Param<T> {
    Param::new(T::from_f64(value))
}

#[derive(Module)]
struct Fixed {
    first: Param<f32>,
    second: Option<Param<f32>>,
    third: Option<Param<f32>>,
    r#type: Param<f32>,
    width: usize,
    title: String,
    units: PhantomData<Duration>,
    #[module(skip)]
    timeout: Duration,
    #[module(skip)]
    spare: Param<f32>,
}

#[test]
fn fields_are_named_in_the_order_of_declaration() {
    let net = Fixed {
        first: param(1.0),
        second: None,
        third: Some(param(3.0)),
        r#type: param(4.0),
        width: 3,
        title: "net".into(),
        units: PhantomData,
        timeout: Duration::ZERO,
        spare: param(5.0),
    };
    assert_eq!(names(&net), ["first", "third", "type"]);
    assert_eq!(net.parameter_vector(), [1.0, 3.0, 4.0]);
    assert_eq!((net.width, &*net.title, net.timeout), (3, "net", Duration::ZERO));
    assert_eq!((net.second.is_none(), net.units, net.spare.len()), (true, PhantomData, 1));
}

#[derive(Module)]
struct Generic<T: Real, L, const N: usize = 2>
where
    L: Clone,
{
    blocks: [Vec<L>; N],
    pair: (Param<T>, bool, Box<Param<T>>),
}

#[test]
fn containers_number_their_elements() {
    let net: Generic<f64, _> = Generic {
        blocks: [vec![param(0.0)], vec![param(1.0), param(2.0)]],
        pair: (param(3.0), true, Box::new(param(4.0))),
    };
    assert_eq!(names(&net), ["blocks.0.0", "blocks.1.0", "blocks.1.1", "pair.0", "pair.2"]);
    assert_eq!(net.parameter_vector(), [0.0, 1.0, 2.0, 3.0, 4.0]);
}

#[derive(Module)]
struct Tuple<T: Real>(Param<T>, f64, Param<T>);

#[derive(Module)]
struct Unit;

#[derive(Module)]
enum Head<T: Real> {
    Scale { factor: Param<T>, _power: i32 },
    Shift(Param<T>),
    Identity,
}

#[derive(Module)]
enum Never {}

#[test]
fn tuples_units_and_enums_are_modules() {
    let tuple = Tuple::<f32>(param(1.0), 0.5, param(2.0));
    assert_eq!(names(&tuple), ["0", "2"]);
    assert_eq!(tuple.1, 0.5);
    assert_eq!(Module::<f64>::parameter_count(&Unit), 0);
    assert_eq!(names(&Head::Scale { factor: param::<f32>(1.0), _power: 2 }), ["factor"]);
    assert_eq!(names(&Head::Shift(param::<f64>(1.0))), ["0"]);
    assert_eq!(Head::<f64>::Identity.parameter_count(), 0);
    fn is_module<M: Module<f32>>() {}
    is_module::<Never>();
}

mod renamed {
    pub(crate) mod my_nn {
        pub(crate) use wengert_nn::{__Real, __field, Module, Param, module};
    }

    #[derive(wengert_nn::Module)]
    #[module(crate = my_nn)]
    pub(crate) struct Net {
        pub(crate) weight: my_nn::Param<f32>,
    }
}

/// A function has no parameters, whatever it takes.
#[derive(Module)]
struct Activated {
    weight: Param<f64>,
    activation: for<'t> fn(Var<'t, f64>) -> Var<'t, f64>,
    plain: fn(f64) -> f64,
}

#[test]
fn function_pointers_are_settings() {
    let net = Activated { weight: param(2.0), activation: |x| x.square(), plain: |x| 2.0 * x };
    let value = (net.activation)(net.weight.on(&Tape::new())).item();
    assert_eq!((names(&net), (net.plain)(value)), (vec!["weight".to_owned()], 8.0));
}

#[test]
fn the_crate_may_have_another_name() {
    assert_eq!(names(&renamed::Net { weight: param(1.0) }), ["weight"]);
}

/// A model that any element type serves, used where the type is still open.
#[derive(Clone, Debug, Module)]
struct Deep<T: Real> {
    layers: Vec<Linear<T>>,
    out: Linear<T>,
}

mod by_another_name {
    pub use wengert_core::*;
}

#[derive(Clone, Copy, by_another_name::Inputs)]
#[inputs(crate = by_another_name)]
struct Pair<X>(X, [X; 2]);

#[test]
fn structures_of_inputs_keep_their_arrangement() {
    let tensor = |x: f64| wengert_core::Tensor::from(x);
    let pair = Pair(tensor(2.0), [tensor(3.0), tensor(5.0)]);
    let gradient = wengert_core::grad(
        |Pair(a, [b, c]): Pair<wengert_core::Var<f64>>| a * b.square() + c,
        &pair,
    );
    let Pair(a, [b, c]) = gradient;
    assert_eq!([a, b, c].map(|x| x.item()), [9.0, 12.0, 1.0]);
}

fn double<T: Real>(net: &mut Deep<T>) {
    for param in net.parameters_mut() {
        param.elements_mut().iter_mut().for_each(|x| *x += *x);
    }
}

#[test]
fn generic_functions_see_generic_models() {
    let rng = &mut MatlabRng::new(1);
    let mut net = Deep::<f64> {
        layers: (0..3).map(|_| Linear::new(2, 2, rng)).collect(),
        out: Linear::new(2, 1, rng).without_bias(),
    };
    let before = net.parameter_vector();
    double(&mut net);
    assert!(net.parameter_vector().iter().zip(&before).all(|(x, b)| *x == 2.0 * b));
    assert_eq!(names(&net).last().unwrap(), "out.weight");
    assert_eq!(names(&net)[5], "layers.2.bias");
}

/// The visit written by hand, for whoever prefers that.
struct ByHand {
    inner: Sequential<f32>,
}

impl Module<f32> for ByHand {
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<f32>)) {
        self.inner.visit(&path.field("inner"), f);
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: &Path<'_>,
        f: &mut dyn FnMut(&Path<'_>, &'a mut Param<f32>),
    ) {
        self.inner.visit_mut(&path.field("inner"), f);
    }
}

#[test]
fn a_visit_by_hand_nests_like_a_derived_one() {
    let linear = Linear::from_parts(Tensor::zeros([2, 2]), Tensor::zeros([2]));
    let net = ByHand { inner: sequential![Relu, linear] };
    assert_eq!(names(&net), ["inner.1.weight", "inner.1.bias"]);
}
