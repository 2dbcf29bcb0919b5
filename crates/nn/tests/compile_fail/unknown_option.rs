use wengert_nn::{Module, Param};

#[derive(Module)]
struct Net {
    #[module(ignore)]
    weight: Param<f32>,
}

#[derive(Module)]
#[module(skip)]
struct Other {
    weight: Param<f32>,
}

fn main() {}
