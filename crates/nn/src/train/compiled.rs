//! Compiled steps of a [`Trainer`](super::Trainer): a program for each list of shapes that batches have.
//!
//! The newest parameters and states of the optimiser stand in one program at a time. The model gets them
//! when somebody looks at it: a hook, an average, a checkpoint, validation, the batch of another shape.
//! A loss that cannot be compiled is recorded from then on, which gives the same bits.

use wengert_core::{Real, Shape, Tape, Tensor, Var};

use super::steps::{Contents, Failure, OneTape, Part, Steps};
use super::{Alone, Metrics};
use crate::data::{DataLoader, Dataset};
use crate::optim::{Optimiser, Rule, StepError};
use crate::train_step::{NoStep, TrainStep};
use crate::{FileError, Module};

/// A batch of tensors alone, which a compiled step takes as its inputs.
///
/// A tensor is one, and so are arrays and tuples of such. Labels become inputs as rows of 0 and 1: see
/// [`cross_entropy_with`](crate::loss::cross_entropy_with).
#[diagnostic::on_unimplemented(
    message = "a compiled step takes no batch of type `{Self}`",
    label = "not a tensor, nor an arrangement of such",
    note = "a list of labels would be fixed in the program: give rows of 0 and 1 to `cross_entropy_with`, or record the steps by `Trainer::fit`"
)]
pub trait TensorBatch<T: Real> {
    /// The variables that stand for the tensors on a tape.
    type Vars<'t>
    where
        T: 't;

    /// Appends the tensors, in order, to a list.
    fn tensors(&self, list: &mut Vec<Tensor<T>>);

    /// Arranges variables, one for each tensor, like the batch.
    fn arrange<'t>(vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Self::Vars<'t>;
}

/// The loss of a batch that a compiled step takes, a function of a model and of the batch's variables;
/// metrics are there where they are measured.
///
/// It follows for every closure and `fn` of the right signature.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no loss of a compiled step",
    note = "it takes the model, the variables in the arrangement of the batch and `Option<&mut Metrics>`, and gives one `Var<{T}>`"
)]
pub trait BatchLoss<'t, M, T: Real, B: TensorBatch<T>>:
    Fn(&M, B::Vars<'t>, Option<&mut Metrics>) -> Var<'t, T>
where
    T: 't,
{
}

impl<'t, M, T: Real, B: TensorBatch<T>, F> BatchLoss<'t, M, T, B> for F where
    F: Fn(&M, B::Vars<'t>, Option<&mut Metrics>) -> Var<'t, T>
{
}

/// Takes a batch in as constants.
#[track_caller]
pub(super) fn taken_in<'t, T: Real, B: TensorBatch<T>>(
    tape: &'t Tape<T>,
    batch: &B,
) -> B::Vars<'t> {
    let mut tensors = Vec::new();
    batch.tensors(&mut tensors);
    B::arrange(&mut tensors.iter().map(|tensor| tape.constant(tensor)))
}

impl<T: Real> TensorBatch<T> for Tensor<T> {
    type Vars<'t> = Var<'t, T>;

    fn tensors(&self, list: &mut Vec<Tensor<T>>) {
        list.push(self.clone());
    }

    fn arrange<'t>(vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Var<'t, T> {
        vars.next().expect("a variable for each tensor")
    }
}

impl<T: Real, B: TensorBatch<T>, const N: usize> TensorBatch<T> for [B; N] {
    type Vars<'t>
        = [B::Vars<'t>; N]
    where
        T: 't;

    fn tensors(&self, list: &mut Vec<Tensor<T>>) {
        self.iter().for_each(|batch| batch.tensors(list));
    }

    fn arrange<'t>(vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Self::Vars<'t> {
        std::array::from_fn(|_| B::arrange(vars))
    }
}

macro_rules! tuples {
    ($(($($batch:ident $index:tt),*))*) => {$(
        impl<T: Real, $($batch: TensorBatch<T>),*> TensorBatch<T> for ($($batch,)*) {
            type Vars<'t> = ($($batch::Vars<'t>,)*) where T: 't;

            fn tensors(&self, list: &mut Vec<Tensor<T>>) {
                $(self.$index.tensors(list);)*
            }

            fn arrange<'t>(vars: &mut dyn Iterator<Item = Var<'t, T>>) -> Self::Vars<'t> {
                ($($batch::arrange(vars),)*)
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

/// Steps that are compiled, or recorded where they can't be.
pub(super) struct Compiled<'f, T: Real, R, F, G> {
    programs: Vec<(Vec<Shape>, TrainStep<T, R>)>,
    /// Which program has the newest parameters, if one has them.
    newest: Option<usize>,
    /// Whether the model lacks them.
    is_ahead: bool,
    loss: &'f F,
    recorded: OneTape<'f, T, G>,
    /// Why steps are recorded, if they are.
    refusal: Option<String>,
}

impl<'f, T: Real, R, F, G> Compiled<'f, T, R, F, G> {
    /// Steps on a loss, which is said once for programs and once for a tape. A step of more than one
    /// batch is recorded.
    pub(super) fn new(loss: &'f F, recorded: &'f G, batches: usize) -> Self {
        let several = "a step takes several batches (`accumulate`)";
        Self {
            programs: Vec::new(),
            newest: None,
            is_ahead: false,
            loss,
            recorded: OneTape::new(recorded),
            refusal: (batches > 1).then(|| several.to_owned()),
        }
    }
}

impl<T: Real, R: Rule, F, G> Compiled<'_, T, R, F, G> {
    /// The program for a batch, with the newest parameters; none if the loss can't be compiled.
    fn program<M, B>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        tensors: &[Tensor<T>],
    ) -> Result<Option<&mut TrainStep<T, R>>, StepError>
    where
        M: Module<T>,
        B: TensorBatch<T>,
        F: for<'t> BatchLoss<'t, M, T, B>,
    {
        let fits = |shapes: &[Shape]| {
            shapes.iter().zip(tensors).all(|(shape, tensor)| shape == tensor.shape())
        };
        let found = self.programs.iter().position(|(shapes, _)| fits(shapes));
        if found.is_none() || found != self.newest {
            self.give_back(net, optimiser);
        }
        let index = match found {
            Some(index) => {
                if self.newest != Some(index) {
                    self.programs[index].1.load(net, optimiser);
                }
                index
            }
            None => {
                let loss = self.loss;
                let step = TrainStep::build(
                    net,
                    optimiser,
                    tensors,
                    |vars| loss(net, B::arrange(&mut vars.into_iter()), None),
                    |_| None,
                );
                match step {
                    Ok(step) => {
                        let shapes = tensors.iter().map(|tensor| tensor.shape().clone());
                        self.programs.push((shapes.collect(), step));
                        self.programs.len() - 1
                    }
                    Err(NoStep::Refused(error)) => return Err(error),
                    Err(NoStep::NotCompiled(error)) => {
                        self.refusal = Some(error.to_string());
                        self.programs.clear();
                        return Ok(None);
                    }
                }
            }
        };
        self.newest = Some(index);
        Ok(Some(&mut self.programs[index].1))
    }

    /// Gives the model the newest parameters, and the optimiser its states.
    fn give_back<M: Module<T>>(&mut self, net: &mut M, optimiser: &mut Optimiser<T, R>) {
        if let Some(index) = self.newest.filter(|_| self.is_ahead) {
            self.programs[index].1.store(net, optimiser);
        }
        self.is_ahead = false;
    }
}

impl<T, M, R, B, F, G> Steps<T, M, R, B> for Compiled<'_, T, R, F, G>
where
    T: Real,
    M: Module<T>,
    R: Rule,
    B: TensorBatch<T> + Send + 'static,
    F: for<'t> BatchLoss<'t, M, T, B>,
    G: for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T>,
{
    type Group = Alone;
    type Content = B;

    fn group(&self) -> &Alone {
        &Alone
    }

    fn shards(&self) -> usize {
        1
    }

    fn contents<D: Dataset<Batch = B>>(
        &self,
        loader: &DataLoader<D>,
        epoch: u64,
        first: usize,
    ) -> Contents<B> {
        Box::new(loader.epoch_from(epoch, first))
    }

    fn add(
        &mut self,
        net: &M,
        optimiser: &Optimiser<T, R>,
        content: Result<B, FileError>,
        part: Part,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure> {
        self.recorded.add(net, optimiser, content, part, metrics)
    }

    fn take(&mut self, net: &mut M, optimiser: &mut Optimiser<T, R>) -> Result<(), Failure> {
        Steps::<T, M, R, B>::take(&mut self.recorded, net, optimiser)
    }

    fn step(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        content: Result<B, FileError>,
        seed: u64,
        metrics: &mut Metrics,
    ) -> Result<f64, Failure> {
        let (batch, mut tensors) = (content?, Vec::new());
        batch.tensors(&mut tensors);
        let program = match self.refusal {
            None => self.program::<M, B>(net, optimiser, &tensors)?,
            Some(_) => None,
        };
        let Some(program) = program else {
            return self.recorded.step(net, optimiser, Ok(batch), seed, metrics);
        };
        for (index, tensor) in tensors.iter().enumerate() {
            program.set_input(index, tensor);
        }
        program.set_rate(optimiser.rate());
        program.seed(seed);
        let taken = program.try_step();
        let loss = program.loss().as_f64();
        self.is_ahead = true;
        if taken.is_err() || !loss.is_finite() {
            // What the program made is lost, and the model has what it was given last.
            (self.newest, self.is_ahead) = (None, false);
        }
        match taken {
            Err(error) if loss.is_finite() => Err(error.into()),
            _ => Ok(loss),
        }
    }

    fn settle(&mut self, net: &mut M, optimiser: &mut Optimiser<T, R>) {
        self.give_back(net, optimiser);
    }

    fn forget(&mut self) {
        self.programs.clear();
        self.newest = None;
    }

    fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    fn first_non_finite(&self) -> Option<String> {
        let recorded = &self.recorded;
        self.refusal.as_ref().and_then(|_| Steps::<T, M, R, B>::first_non_finite(recorded))
    }
}
