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

    pub(in super::super) use rayon_core::join;
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
        /// order of the shards.
        pub(in super::super) fn on_each_shard<X: Send>(
            &self,
            f: impl Fn(usize, &mut Tape<T>) -> X + Sync,
        ) -> Vec<X> {
            let Range { start, end } = self.own;
            let results = self.threads.broadcast(|thread| {
                let own = (start + thread.index()..end).step_by(thread.num_threads());
                TAPES.with_borrow_mut(|tapes| {
                    if !tapes.is::<Vec<Tape<T>>>() {
                        let new = own.clone().map(|_| Tape::<T>::new());
                        *tapes = Box::new(new.collect::<Vec<_>>());
                    }
                    let tapes: &mut Vec<Tape<T>> = tapes.downcast_mut().expect("as made above");
                    own.zip(tapes).map(|(shard, tape)| (shard, f(shard, tape))).collect::<Vec<_>>()
                })
            });
            let mut results: Vec<(usize, X)> = results.into_iter().flatten().collect();
            results.sort_by_key(|&(shard, _)| shard);
            results.into_iter().map(|(_, result)| result).collect()
        }

        /// Calls a function on one of the threads, so that what it [`join`]s is shared out.
        pub(in super::super) fn install(&self, f: impl FnOnce() + Send) {
            self.threads.install(f);
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
            f: impl Fn(usize, &mut Tape<T>) -> X + Sync,
        ) -> Vec<X> {
            let mut tapes = self.1.borrow_mut();
            self.0.clone().zip(&mut *tapes).map(|(shard, tape)| f(shard, tape)).collect()
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
