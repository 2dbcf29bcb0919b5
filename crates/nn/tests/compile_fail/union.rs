#[derive(wengert_nn::Module)]
union Either {
    number: f32,
    bits: u32,
}

fn main() {}
