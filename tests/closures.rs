//! Which closures the transforms take, and what the borrow checker forbids.

#[test]
fn forms_that_compile_and_forms_that_must_not() {
    let cases = trybuild::TestCases::new();
    cases.pass("../../tests/closures/pass/*.rs");
    cases.compile_fail("../../tests/closures/fail/*.rs");
}
