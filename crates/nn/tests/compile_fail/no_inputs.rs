//! What `#[derive(Inputs)]` refuses.

use wengert_core::Inputs;

#[derive(Clone, Copy, Inputs)]
struct Fixed {
    weight: f64,
}

#[derive(Clone, Copy, Inputs)]
enum Either<X> {
    Left(X),
    Right(X),
}

#[derive(Clone, Copy, Inputs)]
#[inputs(skip)]
struct Line<X> {
    slope: X,
}

fn main() {}
