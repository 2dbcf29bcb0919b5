//! What `#[derive(Module)]` refuses, and what it says.

#[test]
fn refusals() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
