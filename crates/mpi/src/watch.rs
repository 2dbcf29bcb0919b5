//! The watchdog: ends the job if nothing is exchanged for a time.
//!
//! A process that is stopped, or a machine whose link is down, sends no word. The others wait for it in
//! the library, where nothing can be cancelled; so a thread beside them looks at the clock.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::start::end;

/// The exit code of a job that the watchdog has ended: that of the command `timeout`.
const TIMEOUT: i32 = 124;
/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(50);
/// Each rank waits that much longer than the one before, so that one speaks.
const STAGGER: Duration = Duration::from_millis(50);
/// How long the library has to end the job.
const GRACE: Duration = Duration::from_secs(5);

/// What the watchdog looks at.
#[derive(Debug)]
pub(crate) struct Watch(Arc<State>);

#[derive(Debug)]
struct State {
    begun: Instant,
    /// When the last exchange began or ended, in milliseconds from the beginning.
    last: AtomicU64,
    /// How long it may be ago, in milliseconds.
    timeout: AtomicU64,
    /// What is exchanged now.
    call: Mutex<Option<&'static str>>,
    is_over: AtomicBool,
}

impl Watch {
    /// Looks on until it is dropped.
    pub(crate) fn start(rank: usize, timeout: Duration) -> Self {
        let state = Arc::new(State {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            timeout: AtomicU64::new(0),
            call: Mutex::new(None),
            is_over: AtomicBool::new(false),
        });
        let watch = Self(Arc::clone(&state));
        watch.set(timeout);
        thread::spawn(move || {
            while !state.is_over.load(Ordering::Relaxed) {
                thread::sleep(INTERVAL);
                state.look(rank);
            }
        });
        watch
    }

    pub(crate) fn set(&self, timeout: Duration) {
        self.0.timeout.store(timeout.as_millis() as u64, Ordering::Relaxed);
        self.0.touch(None);
    }

    /// Does an exchange, which is called `call` in messages.
    pub(crate) fn during<X>(&self, call: &'static str, exchange: impl FnOnce() -> X) -> X {
        self.0.touch(Some(call));
        let result = exchange();
        self.0.touch(None);
        result
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn touch(&self, call: Option<&'static str>) {
        *self.call.lock().unwrap_or_else(PoisonError::into_inner) = call;
        self.last.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn look(&self, rank: usize) {
        let now = self.begun.elapsed().as_millis() as u64;
        let idle = Duration::from_millis(now.saturating_sub(self.last.load(Ordering::Relaxed)));
        let timeout = Duration::from_millis(self.timeout.load(Ordering::Relaxed));
        if idle < timeout.saturating_add(STAGGER.saturating_mul(rank as u32))
            || self.is_over.load(Ordering::Relaxed)
        {
            return;
        }
        let call = *self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let what = match call {
            Some(call) => format!(
                "it waits in {call}: another process has stopped, its link is down, or it computes for \
                 longer than that"
            ),
            None => "it computes for longer than that, or has stopped".to_owned(),
        };
        eprintln!("rank {rank}: no step for {} s, so the job ends; {what}", timeout.as_secs_f64());
        // If the library cannot do it, this process ends at least, and its launcher sees to the others.
        thread::spawn(|| {
            thread::sleep(GRACE);
            process::abort();
        });
        end(TIMEOUT);
    }
}
