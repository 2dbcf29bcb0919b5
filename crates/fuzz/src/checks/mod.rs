//! What must hold for every program.
//!
//! A check gets a program with its numbers and says whether it could be made: derivatives of a
//! program whose values overflow are not compared, but its bits are.

mod differences;
mod mapped;
mod repeated;
mod sweeps;
mod value;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use wengert_core::Tape;

use crate::measure::Subject;
use crate::program::{Precision, Program};

pub use value::Definition;

/// Whether a check was made, or what it found.
pub type Outcome = Result<Made, String>;

/// Whether a check could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was, and holds.
    Yes,
    /// It says nothing about this program.
    No,
}

/// What outlives a program: tapes that one program after the other is recorded on.
#[derive(Default)]
pub struct Session {
    single: RefCell<Tape<f32>>,
    double: RefCell<Tape<f64>>,
    /// Says what ops give that are not in the registry.
    pub definition: Option<Box<Definition>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("single", &self.single)
            .field("double", &self.double)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Takes new tapes.
    pub fn forget(&self) {
        *self.single.borrow_mut() = Tape::new();
        *self.double.borrow_mut() = Tape::new();
    }
}

/// A precision that has a tape in a session.
pub trait Kept: Precision {
    /// The tape.
    fn tape(session: &Session) -> &RefCell<Tape<Self>>;
}

impl Kept for f32 {
    fn tape(session: &Session) -> &RefCell<Tape<f32>> {
        &session.single
    }
}

impl Kept for f64 {
    fn tape(session: &Session) -> &RefCell<Tape<f64>> {
        &session.double
    }
}

/// The checks by name.
pub const NAMES: [&str; 14] = [
    "value",
    "fast",
    "forward",
    "second",
    "taylor",
    "precision",
    "differences",
    "vmap",
    "derivatives in vmap",
    "checkpoint",
    "compiled",
    "reused",
    "panic",
    "threads",
];

/// Makes the check of a name.
fn named<T: Kept>(name: &str, session: &Session, subject: &Subject<T>) -> Outcome {
    match name {
        "value" => value::each_step(session, subject),
        "fast" => sweeps::fast(subject),
        "forward" => sweeps::forward(subject),
        "second" => sweeps::second(subject),
        "taylor" => sweeps::taylor(subject),
        "precision" => sweeps::precision(subject),
        "differences" => differences::differences(subject),
        "vmap" => mapped::mapped(subject),
        "derivatives in vmap" => mapped::within(subject),
        "checkpoint" => repeated::checkpointed(subject),
        "compiled" => repeated::compiled(subject),
        "reused" => repeated::reused(session, subject),
        "panic" => repeated::interrupted(session, subject),
        "threads" => repeated::threads(subject),
        _ => unreachable!("there is no check `{name}`"),
    }
}

/// Something that does not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The name of the check.
    pub check: &'static str,
    /// What is wrong.
    pub message: String,
}

/// Makes some checks of a program: how many were made, and the first that fails.
pub fn run(
    session: &Session,
    program: &Program,
    checks: &[&'static str],
) -> (usize, Option<Failure>) {
    match program.single {
        true => run_in::<f32>(session, program, checks),
        false => run_in::<f64>(session, program, checks),
    }
}

fn run_in<T: Kept>(
    session: &Session,
    program: &Program,
    checks: &[&'static str],
) -> (usize, Option<Failure>) {
    let subject = Subject::<T>::new(program, 0);
    let mut made = 0;
    for &check in checks {
        match guarded(|| named(check, session, &subject)) {
            Ok(Made::Yes) => made += 1,
            Ok(Made::No) => {}
            Err(message) => return (made, Some(Failure { check, message })),
        }
    }
    (made, None)
}

/// Runs a check; a panic is a finding, and quiet.
pub fn guarded<R>(check: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if GUARDED.get() {
                PLACE.replace(info.location().map(ToString::to_string));
            } else {
                before(info);
            }
        }));
    });
    let was = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(check));
    GUARDED.set(was);
    outcome.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        let place = PLACE.take().map_or_else(String::new, |place| format!("\n  at {place}"));
        Err(format!("panicked: {}{place}", message.unwrap_or("without a message")))
    })
}

thread_local! {
    /// Whether a panic of this thread is a finding.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    /// Where the last one was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}
