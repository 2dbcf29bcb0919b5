//! Ctrl-C as a request: the step that is under way is finished, and a second one kills.
//!
//! Signals belong to the process, and the system's own handling does not come back. So there is one
//! handler, made when a run first asks for it, and two flags tell it what to do: while a run listens, it
//! notes the request and is deadly from then on; at all other times it is deadly, as Ctrl-C is without a
//! handler.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

/// A run that listens for Ctrl-C, until it is dropped.
#[derive(Debug)]
pub(super) struct Interrupt(&'static Handler);

#[derive(Debug, Default)]
struct Handler {
    /// Whether Ctrl-C was pressed while a run listened.
    asked: Arc<AtomicBool>,
    /// Whether it ends the process.
    deadly: Arc<AtomicBool>,
    /// How many runs listen.
    runs: Mutex<usize>,
}

impl Interrupt {
    pub(super) fn listen() -> Self {
        static HANDLER: OnceLock<Handler> = OnceLock::new();
        let handler = HANDLER.get_or_init(Handler::new);
        handler.count(|runs| runs + 1);
        Self(handler)
    }

    /// Whether the run is to end.
    pub(super) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.count(|runs| runs - 1);
    }
}

impl Handler {
    fn new() -> Self {
        let handler = Self::default();
        // They are called in this order.
        flag::register_conditional_default(SIGINT, Arc::clone(&handler.deadly))
            .and_then(|_| flag::register(SIGINT, Arc::clone(&handler.asked)))
            .and_then(|_| flag::register(SIGINT, Arc::clone(&handler.deadly)))
            .expect("a process may handle SIGINT");
        handler
    }

    /// Changes the number of runs. The first one starts without a request, and after the last
    /// one Ctrl-C does what it did.
    fn count(&self, change: impl Fn(usize) -> usize) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *runs;
        *runs = change(before);
        if before == 0 {
            self.asked.store(false, Ordering::SeqCst);
            self.deadly.store(false, Ordering::SeqCst);
        }
        if *runs == 0 {
            self.deadly.store(true, Ordering::SeqCst);
        }
    }
}
