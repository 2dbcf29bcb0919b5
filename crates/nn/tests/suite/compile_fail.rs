//! What `#[derive(Module)]` refuses, and what it says; and what the borrow checker
//! forbids around a tape. They stand together because each crate with such tests checks all of
//! its dependencies once more.

#[test]
fn refusals() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
