use wengert_nn::{Module, Param};

#[derive(Module)]
struct Net {
    weight: Param<f32>,
    bias: Param<f64>,
}

fn main() {
    let net = Net { weight: Param::new(1.0), bias: Param::new(1.0) };
    Module::<f32>::parameter_count(&net);
}
