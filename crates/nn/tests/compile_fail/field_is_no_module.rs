use wengert_nn::{Module, Param};

#[derive(Module)]
struct Net {
    weight: Param<f32>,
    started: std::time::Instant,
}

fn count(net: &impl Module<f32>) -> usize {
    net.parameter_count()
}

fn main() {
    let net = Net { weight: Param::new(1.0), started: std::time::Instant::now() };
    count(&net);
    net.parameter_count();
}
