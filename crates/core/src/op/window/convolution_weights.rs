//! The adjoint of a convolution's filters, as an op of its own.

use super::convolution::{Convolution, SHAPES_PASSED, cost, for_each_case};
use crate::kernel::convolution::{self as kernel, Geometry};
use crate::op::knowledge::positions::{places, reads};
use crate::op::{Along, Bilinear, Cost, Dependence, Domain, Formula, Samples};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// The transpose of [`Conv2d`](crate::op::Conv2d) with respect to the filters: from images and a
/// cotangent of the result to the filters' adjoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dWeights {
    /// The convolution of which this is the transpose.
    pub convolution: Convolution,
    /// Height and width of the filters.
    pub window: [usize; 2],
}

impl Conv2dWeights {
    /// The shape of the filters.
    fn filters(&self, x: &Shape, y: &Shape) -> Result<[usize; 4], String> {
        let (&[_, channels, _, _], &[_, features, _, _]) = (&x[..], &y[..]) else {
            return Err(format!("{x} and {y} are not two shapes of four axes"));
        };
        let groups = self.convolution.groups;
        if groups == 0 || channels % groups != 0 {
            return Err(format!("{channels} channels do not divide into {groups} groups"));
        }
        let [height, width] = self.window;
        Ok([features, channels / groups, height, width])
    }

    fn geometry(&self, x: &Shape, y: &Shape) -> Result<Geometry, String> {
        self.convolution.geometry_with(x, &self.filters(x, y)?, y)
    }
}

impl Bilinear for Conv2dWeights {
    const NAME: &'static str = "conv2d_weights";
    const FORMULA: Formula = Formula::new(
        "the w-bar of x * w for y",
        "dw = weights(dx, y) + weights(x, dy)",
        r"\langle y,\, x * w \rangle = \langle \mathrm{result},\, w \rangle",
    );

    fn shape(&self, x: &Shape, y: &Shape) -> Result<Shape, String> {
        self.geometry(x, y)?;
        Ok(self.filters(x, y)?.into())
    }

    fn eval<T: Real>(&self, x: View<'_, T>, y: View<'_, T>, out: &mut [T]) {
        let geometry = self.geometry(x.shape(), y.shape()).expect(SHAPES_PASSED);
        kernel::weights(&geometry, x, y, out);
    }

    fn transpose_left<'t, T: Real>(&self, x: &Shape, y: Var<'t, T>, bar: Var<'t, T>) -> Var<'t, T> {
        y.conv_transpose2d(bar, self.convolution, [x[2], x[3]])
    }

    fn transpose_right<'t, T: Real>(
        &self,
        x: Var<'t, T>,
        _: &Shape,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        x.conv2d(bar, self.convolution)
    }

    fn cost(&self, x: &Shape, y: &Shape, _: &Shape) -> Cost {
        cost(self.geometry(x, y))
    }

    fn dependence(&self, args: &[&Shape], arg: usize, _: &Shape) -> Dependence {
        let geometry = self.geometry(args[0], args[1]).expect(SHAPES_PASSED);
        let Geometry { groups, channels, slides: [down, across], .. } = geometry;
        // The group follows the filter, which is another axis: all groups, then.
        let own = |c: usize| (0..groups).map(|group| group * channels + c).collect();
        Dependence::Axes(match arg {
            0 => vec![
                Along::All,
                Along::Listed(1, (0..channels).map(own).collect()),
                Along::Listed(2, reads(&down)),
                Along::Listed(3, reads(&across)),
            ],
            _ => vec![
                Along::All,
                Along::Same(0),
                Along::Listed(2, places(&down)),
                Along::Listed(3, places(&across)),
            ],
        })
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for_each_case(samples, |samples, convolution, x, w, y| {
            let op = Conv2dWeights { convolution, window: [w[2], w[3]] };
            samples.case(op, [(x, Domain::reals()), (y, Domain::reals())]);
        });
        let plain = Convolution::default();
        let two = |convolution| Conv2dWeights { convolution, window: [2, 2] };
        samples.error(
            two(plain),
            &[[1, 1, 4, 4].into(), [1, 1, 2, 2].into()],
            "the convolution of [1, 1, 4, 4] with [1, 1, 2, 2] is a [1, 1, 3, 3], not a [1, 1, 2, 2]",
        );
        samples.error(
            two(plain.groups(2)),
            &[[1, 3, 4, 4].into(), [1, 2, 3, 3].into()],
            "3 channels do not divide into 2 groups",
        );
        samples.error(two(plain), &[[3].into(), [3].into()], "not two shapes of four axes");
    }
}
