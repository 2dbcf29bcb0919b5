use std::collections::HashMap;

use wengert_nn::{Module, Param};

#[derive(Module)]
struct Net {
    weight: Param<f32>,
    by_name: HashMap<String, Param<f32>>,
    activation: for<'a> fn(&'a f32) -> f32,
}

fn main() {
    let net = Net { weight: Param::new(1.0), by_name: HashMap::new(), activation: |x| *x };
    net.parameter_count();
}
