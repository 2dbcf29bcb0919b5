//! How a [`Trainer`] runs: recorded, in shards, on several processes, compiled.

use std::path::Path;
use std::time::Instant;

use wengert_core::{Real, Tape, Var};

use super::compiled::{BatchLoss, Compiled, TensorBatch, taken_in};
use super::exchange::{Alone, Exchange, Group, agreed};
use super::interrupt::Interrupt;
use super::outcome::not_empty;
use super::run::Run;
use super::screen::Screen;
use super::state::{SHARDS, State, options, same_options};
use super::steps::{OneTape, Shards, Steps};
use super::{Checkpoint, Loaders, Metrics, Report, TrainError, Trainer};
use crate::Module;
use crate::file::Lock;
use crate::optim::{Optimiser, Rule};

impl<M> Trainer<'_, M> {
    /// Trains the model. `loss` records the mean loss of a batch, and says what else to
    /// measure.
    ///
    /// # Errors
    /// If data cannot be read or there is none, a checkpoint cannot be read or written or is of
    /// another run, a loss is not finite, or the optimiser [refuses](Optimiser::step) a step.
    ///
    /// # Panics
    /// If a loss has more than one element or depends on no variable, or the history has no
    /// column by which the best epoch is to be told.
    #[track_caller]
    pub fn fit<T: Real, R: Rule, L: Loaders>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: L,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T>,
    ) -> Result<Report, TrainError>
    where
        M: Module<T>,
    {
        let steps = OneTape::new(&loss);
        self.run(net, optimiser, &loaders, &loss, steps)
    }

    /// As [`fit`](Self::fit), with batches that are cut into shards whose gradients are
    /// computed on several threads: see [`DataParallel`](super::DataParallel).
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    ///
    /// # Panics
    /// As [`fit`](Self::fit), and if there are no shards.
    #[track_caller]
    pub fn fit_parallel<T: Real, R: Rule, L: Loaders>(
        &mut self,
        shards: usize,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: L,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T> + Sync,
    ) -> Result<Report, TrainError>
    where
        M: Module<T> + Sync,
    {
        self.fit_on(Alone, shards, net, optimiser, loaders, loss)
    }

    /// As [`fit_parallel`](Self::fit_parallel), on several processes. Each of them calls this with a
    /// model, an optimiser and loaders that are made in the same way; the crate `wengert-mpi` starts
    /// them on the machines of a cluster.
    ///
    /// No bit depends on the number of processes, and so a checkpoint of four goes on with one. Each
    /// process makes and computes a run of the shards, and takes the same steps. Rank 0 resumes from the
    /// checkpoint, and the others begin with what it has: parameters, buffers, what the optimiser
    /// remembers, history. Rank 0 alone shows progress and writes the checkpoint.
    /// [Schedules](Self::schedule) and [hooks](Self::on_step) are called on every process, with the same
    /// arguments; a run ends if a hook of any of them says so. After each epoch, the processes compare
    /// their parameters.
    ///
    /// # Errors
    /// As [`fit`](Self::fit). If one process has an error, all end: the others with
    /// [`TrainError::Elsewhere`], which names it. And if a process is not as rank 0
    /// ([`TrainError::Differs`]).
    ///
    /// # Panics
    /// As [`fit_parallel`](Self::fit_parallel). The others then wait, unless what has started them
    /// ends them, as `wengert-mpi` does.
    #[track_caller]
    pub fn fit_on<T: Real, R: Rule, L: Loaders, E: Exchange<T>>(
        &mut self,
        exchange: E,
        shards: usize,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: L,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T> + Sync,
    ) -> Result<Report, TrainError>
    where
        M: Module<T> + Sync,
    {
        let steps = Shards::new(exchange, shards, self.bucket, &loss);
        self.run(net, optimiser, &loaders, &loss, steps)
    }

    /// As [`fit`](Self::fit), with steps that are [compiled](crate::TrainStep): small networks train
    /// several times as fast, with the same bits.
    ///
    /// Batches consist of [tensors](TensorBatch) alone. `loss` takes them as variables, and metrics where
    /// there are some: in validation. In training, the loss alone is measured. Batches of each
    /// shape have a program of their own, such as a smaller last one. All that the model is but parameters
    /// and buffers is taken as fixed until a [hook](Self::on_epoch) is called.
    ///
    /// Steps are recorded where they can't be compiled, because the loss reads a value and goes on, or
    /// a step [takes several batches](Self::accumulate). A line on standard error says so, unless
    /// [quiet](Self::quiet), and so does the [report](Report::recorded).
    ///
    /// ```
    /// use wengert_core::Tensor;
    /// use wengert_nn::data::DataLoader;
    /// use wengert_nn::loss::mse;
    /// use wengert_nn::train::Trainer;
    /// use wengert_nn::{Adam, Layer, Linear, random::seeded};
    ///
    /// let x = Tensor::from_fn([10, 1], |i| i as f64 / 10.0);
    /// let loader = DataLoader::new((x.clone(), x.map(|x| 3.0 * x - 1.0)), 4).shuffled(1);
    /// let (mut net, mut adam) = (Linear::new(1, 1, &mut seeded(1)), Adam::new(0.05));
    /// let report = Trainer::new(200).quiet().fit_compiled(
    ///     &mut net,
    ///     &mut adam,
    ///     &loader,
    ///     |net, (x, y), _| mse(net.forward(x), y),
    /// )?;
    /// assert!(report.history.last("train loss").unwrap() < 1e-4);
    /// assert_eq!(report.recorded, None);
    /// # Ok::<(), wengert_nn::train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit). Where a loss is not finite or a step is refused, the model has the weights
    /// that it had when it was last looked at, by a hook, an average or a checkpoint, or those of the
    /// epoch before.
    ///
    /// # Panics
    /// As [`fit`](Self::fit).
    #[track_caller]
    pub fn fit_compiled<T: Real, R: Rule, L: Loaders>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: L,
        loss: impl for<'t> BatchLoss<'t, M, T, L::Batch>,
    ) -> Result<Report, TrainError>
    where
        M: Module<T>,
        L::Batch: TensorBatch<T>,
    {
        let recorded = on_a_tape(|net, tape, batch, _| loss(net, taken_in(tape, batch), None));
        let measured =
            on_a_tape(|net, tape, batch, metrics| loss(net, taken_in(tape, batch), Some(metrics)));
        let steps = Compiled::new(&loss, &recorded, self.accumulate);
        self.run(net, optimiser, &loaders, &measured, steps)
    }

    /// Whether a run may begin or go on, for programs that prepare their data for long: that there
    /// are batches and, if it is to [resume](Self::resume), that the checkpoint is of a run with the
    /// same options. Nothing is trained; the loaders may be of data that is not prepared yet, if only
    /// their options are those of [`fit`](Self::fit). Shards are not looked at.
    ///
    /// # Errors
    /// If not, or the checkpoint can't be read.
    ///
    /// # Panics
    /// If the history will have no column by which the best epoch is to be told.
    #[track_caller]
    pub fn check<T: Real, R: Rule, L: Loaders>(
        &self,
        optimiser: &Optimiser<T, R>,
        loaders: L,
    ) -> Result<(), TrainError> {
        self.expect_data(&loaders)?;
        let Some(path) = self.resumed() else { return Ok(()) };
        let checkpoint = Checkpoint::<T>::load(path)?;
        let mut expected = options(self, &loaders, optimiser, 1);
        expected
            .extend(checkpoint.options.get_key_value(SHARDS).map(|(a, b)| (a.clone(), b.clone())));
        same_options(path, &expected, &checkpoint)
    }

    /// That there are batches, and a column to tell the best epoch by.
    #[track_caller]
    fn expect_data(&self, loaders: &impl Loaders) -> Result<(), TrainError> {
        not_empty("training", loaders.training())?;
        let validation = loaders.validation();
        validation.map_or(Ok(()), |loader| not_empty("validation", loader))?;
        if let Some(best) = &self.best {
            best.check(validation.is_some());
        }
        Ok(())
    }

    /// The checkpoint that the run goes on from, if there is one.
    pub(super) fn resumed(&self) -> Option<&Path> {
        self.checkpoint.as_deref().filter(|path| self.resumes && path.exists())
    }

    #[track_caller]
    fn run<T: Real, R: Rule, L: Loaders>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: &L,
        loss: &impl for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T>,
        steps: impl Steps<T, M, R, L::Batch>,
    ) -> Result<Report, TrainError>
    where
        M: Module<T>,
    {
        let (group, begun) = (steps.group(), Instant::now());
        // Two runs would write over each other.
        let locked = self.checkpoint.as_deref().filter(|_| group.is_first()).map(Lock::of);
        let ready = locked.transpose().map_err(TrainError::from).and_then(|lock| {
            self.expect_data(loaders)?;
            Ok(lock)
        });
        let _lock = agreed(group, ready)?;
        let options = options(self, loaders, optimiser, steps.shards());
        let state = State::of(self, group, options, net, optimiser)?;
        let (all, epochs) = (loaders.training().len(), state.history.epochs());
        let quiet = self.quiet || !group.is_first();
        let screen = Screen::new(quiet, self.epochs * all, epochs * all + state.batches);
        let interrupt = self.interruptible.then(Interrupt::listen);
        let (evaluation, since) = (Tape::new(), (0, Instant::now()));
        let trainer = self;
        let run = Run {
            trainer,
            net,
            optimiser,
            loaders,
            loss,
            steps,
            state,
            screen,
            interrupt,
            evaluation,
            since,
            begun,
        };
        run.finish()
    }
}

/// A closure as a loss on a tape: it says its type, which has a lifetime to choose.
fn on_a_tape<M, T: Real, B, F>(loss: F) -> F
where
    F: for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T>,
{
    loss
}
