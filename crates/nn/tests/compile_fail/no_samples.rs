//! An op without samples does not compile: it could not be checked.

use wengert_core::op::Elementwise;
use wengert_core::Number;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Cube;

impl Elementwise<1> for Cube {
    const NAME: &'static str = "cube";
    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x * x * x
    }
    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.square() * x.constant(3.0)
    }
}

fn main() {}
