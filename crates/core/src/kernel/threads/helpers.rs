//! The threads that help, and the moment at which the caller lends them its work.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};

use rayon_core::{ThreadPool, ThreadPoolBuilder};

const VARIABLE: &str = "WENGERT_THREADS";
/// How often the caller looks whether helpers have finished before it sleeps: some
/// microseconds, for waking up takes as long.
const LOOKS: usize = 500;

/// The number of threads; 0 before anyone has asked.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The helpers, once they were needed.
static POOL: Mutex<Option<Arc<Pool>>> = Mutex::new(None);

thread_local! {
    /// Whether this thread takes part in some work at the moment.
    static IS_BUSY: Cell<bool> = const { Cell::new(false) };
}

struct Pool {
    helpers: usize,
    /// `None` if the system gives no threads: then callers have no help.
    threads: Option<ThreadPool>,
}

#[track_caller]
pub(super) fn count() -> usize {
    match COUNT.load(Ordering::Relaxed) {
        0 => {
            let count = default_count(std::env::var_os(VARIABLE).as_deref());
            // A call of `set` in the meantime goes first.
            match COUNT.compare_exchange(0, count, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => count,
                Err(set) => set,
            }
        }
        count => count,
    }
}

pub(super) fn set(count: usize) {
    COUNT.store(count, Ordering::Relaxed);
}

/// The number of threads, from the value of the environment variable.
#[track_caller]
fn default_count(value: Option<&std::ffi::OsStr>) -> usize {
    let Some(value) = value else {
        return thread::available_parallelism().map_or(1, usize::from);
    };
    match value.to_str().and_then(|value| value.trim().parse().ok()) {
        Some(count @ 1..) => count,
        _ => panic!("{VARIABLE} is {value:?}: expected a number of threads, 1 or more"),
    }
}

/// The pool, made again if it has another size.
fn pool(helpers: usize) -> Arc<Pool> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    match &*pool {
        Some(pool) if pool.helpers == helpers => Arc::clone(pool),
        _ => {
            let threads = ThreadPoolBuilder::new()
                .num_threads(helpers)
                .thread_name(|index| format!("wengert {}", index + 1))
                .build()
                .ok();
            Arc::clone(pool.insert(Arc::new(Pool { helpers, threads })))
        }
    }
}

/// Work that a caller lends out.
struct Loan {
    /// Whoever has joined may call it until they leave.
    participant: *const (dyn Fn() + Sync),
    /// Twice the number of helpers that have joined and not left, and 1 more once
    /// nobody may join.
    state: AtomicUsize,
    caller: Thread,
    /// What a helper panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

const CLOSED: usize = 1;
const HELPER: usize = 2;

// SAFETY: the participant is `Sync`, so any thread may call it, and a `Loan` hands
// it out to none but those for whom it is alive (see `help`); the rest is `Send`
// and `Sync` by itself.
#[expect(unsafe_code)]
unsafe impl Send for Loan {}
// SAFETY: what threads share of a `Loan` is the participant, which is `Sync` and alive while they may
// call it, an atomic number, a handle of a thread, and what a lock guards.
#[expect(unsafe_code)]
unsafe impl Sync for Loan {}

impl Loan {
    /// Takes part, unless the caller has closed the loan.
    fn help(&self) {
        let join = |state| (state & CLOSED == 0).then_some(state + HELPER);
        if self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, join).is_err() {
            return;
        }
        // SAFETY: the loan was open when this helper joined. The caller closes it
        // and waits for all that have joined before it lets go of the participant
        // (`Lender`), and this one leaves after the call only.
        #[expect(unsafe_code)]
        let participant = unsafe { &*self.participant };
        let result = catch_unwind(AssertUnwindSafe(|| busy(participant)));
        if let Err(panic) = result {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
        if self.state.fetch_sub(HELPER, Ordering::Release) == HELPER + CLOSED {
            self.caller.unpark();
        }
    }
}

/// The caller's side of a loan. When dropped, also by a panic, it closes the loan
/// and waits until the helpers have left.
struct Lender<'a>(&'a Loan);

impl Drop for Lender<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_or(CLOSED, Ordering::Relaxed);
        let mut looks = 0;
        while self.0.state.load(Ordering::Acquire) != CLOSED {
            looks += 1;
            if looks < LOOKS { std::hint::spin_loop() } else { thread::park() }
        }
    }
}

pub(super) fn is_busy() -> bool {
    IS_BUSY.get()
}

/// Calls `participant`, which shares nothing out itself.
fn busy(participant: &(dyn Fn() + Sync)) {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            IS_BUSY.set(self.0);
        }
    }
    let _reset = Reset(IS_BUSY.replace(true));
    participant();
}

/// Calls `participant` on this thread and on as many helpers as come in time.
pub(super) fn run(helpers: usize, participant: &(dyn Fn() + Sync)) {
    let pool = pool(count().saturating_sub(1).max(1));
    let Some(threads) = &pool.threads else { return participant() };
    let participant_pointer: *const (dyn Fn() + Sync + '_) = participant;
    // SAFETY: the types differ in the lifetime alone, and `Lender` makes sure that
    // nobody follows the pointer after this function.
    #[expect(unsafe_code)]
    let participant_pointer = unsafe {
        std::mem::transmute::<*const (dyn Fn() + Sync + '_), *const (dyn Fn() + Sync + 'static)>(
            participant_pointer,
        )
    };
    let loan = Arc::new(Loan {
        participant: participant_pointer,
        state: AtomicUsize::new(0),
        caller: thread::current(),
        panic: Mutex::new(None),
    });
    {
        let _lender = Lender(&loan);
        for _ in 0..helpers.min(pool.helpers) {
            let loan = Arc::clone(&loan);
            threads.spawn(move || loan.help());
        }
        busy(participant);
    }
    let panic = loan.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}
