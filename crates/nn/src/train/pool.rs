//! The threads that compute shards, and the tape of each shard.
//!
//! A shard is always on the same thread, since a tape cannot leave its own. Without the feature `threads`
//! that is the caller's.

#[cfg(feature = "threads")]
pub(super) use with_threads::{Pool, join};
#[cfg(not(feature = "threads"))]
pub(super) use without_threads::{Pool, join};

#[cfg(feature = "threads")]
mod with_threads {
    use std::any::Any;
    use std::cell::RefCell;
    use std::marker::PhantomData;
    use std::ops::Range;
    use std::sync::{Mutex, PoisonError};

    use rayon_core::{ThreadPool, ThreadPoolBuilder};
    use wengert_core::{Real, Tape};

    thread_local! {
        /// The tapes of the shards that a thread of a pool computes, one after another. The
        /// threads belong to one pool, so that the tapes are of its type.
        static TAPES: RefCell<Box<dyn Any>> = RefCell::new(Box::new(()));
    }

    /// Threads that belong to one [`DataParallel`](super::super::DataParallel).
    #[derive(Debug)]
    pub(in super::super) struct Pool<T> {
        threads: ThreadPool,
        /// The shards of this process.
        own: Range<usize>,
        number: PhantomData<T>,
    }

    impl<T: Real> Pool<T> {
        #[track_caller]
        pub(in super::super) fn new(own: Range<usize>, threads: usize) -> Self {
            let threads = threads.min(own.len().max(1));
            match ThreadPoolBuilder::new().num_threads(threads).build() {
                Ok(threads) => Self { threads, own, number: PhantomData },
                Err(error) => panic!("threads for shards: {error}"),
            }
        }

        /// Calls a function with each shard's number and tape, and gives what it gives in the
        /// order of the shards. Meanwhile calls another one on this thread.
        ///
        /// The first one is dropped when all shards are through, so that who listens to it hears the
        /// end, after a panic as well.
        pub(in super::super) fn on_each_shard<X: Send>(
            &self,
            f: impl Fn(usize, &mut Tape<T>) -> X + Send + Sync,
            meanwhile: impl FnOnce(),
        ) -> Vec<X> {
            let Range { start, end } = self.own;
            let results = Mutex::new(Vec::with_capacity(end - start));
            self.threads.in_place_scope(|scope| {
                let results = &results;
                scope.spawn_broadcast(move |_, thread| {
                    let own = (start + thread.index()..end).step_by(thread.num_threads());
                    TAPES.with_borrow_mut(|tapes| {
                        if !tapes.is::<Vec<Tape<T>>>() {
                            let new = own.clone().map(|_| Tape::<T>::new());
                            *tapes = Box::new(new.collect::<Vec<_>>());
                        }
                        let tapes: &mut Vec<Tape<T>> = tapes.downcast_mut().expect("as made above");
                        for (shard, tape) in own.zip(tapes) {
                            let result = (shard, f(shard, tape));
                            results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                        }
                    });
                });
                meanwhile();
            });
            let mut results: Vec<(usize, X)> =
                results.into_inner().unwrap_or_else(PoisonError::into_inner);
            results.sort_by_key(|&(shard, _)| shard);
            results.into_iter().map(|(_, result)| result).collect()
        }

        /// Calls a function on one of the threads, so that what it [`join`]s is shared out.
        pub(in super::super) fn install(&self, f: impl FnOnce() + Send) {
            self.threads.install(f);
        }
    }

    /// Both at a time on the threads of a pool, and one after the other elsewhere.
    pub(in super::super) fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        if rayon_core::current_thread_index().is_some() {
            rayon_core::join(a, b);
        } else {
            a();
            b();
        }
    }
}

#[cfg(not(feature = "threads"))]
mod without_threads {
    use std::cell::RefCell;
    use std::ops::Range;

    use wengert_core::{Real, Tape};

    /// The shards of this process, and their tapes.
    #[derive(Debug)]
    pub(in super::super) struct Pool<T: Real>(Range<usize>, RefCell<Vec<Tape<T>>>);

    impl<T: Real> Pool<T> {
        pub(in super::super) fn new(own: Range<usize>, _threads: usize) -> Self {
            let tapes = own.clone().map(|_| Tape::new()).collect();
            Self(own, RefCell::new(tapes))
        }

        pub(in super::super) fn on_each_shard<X: Send>(
            &self,
            f: impl Fn(usize, &mut Tape<T>) -> X + Send + Sync,
            meanwhile: impl FnOnce(),
        ) -> Vec<X> {
            let mut tapes = self.1.borrow_mut();
            let results =
                self.0.clone().zip(&mut *tapes).map(|(shard, tape)| f(shard, tape)).collect();
            drop(f);
            meanwhile();
            results
        }

        pub(in super::super) fn install(&self, f: impl FnOnce()) {
            f();
        }
    }

    /// One after the other.
    pub(in super::super) fn join(a: impl FnOnce(), b: impl FnOnce()) {
        a();
        b();
    }
}
