//! The paper's small problem against numbers from elsewhere.
//!
//! The golden numbers were computed by other programs than this one: the start,
//! cost, gradient and Hessian with complex steps and extended precision, the
//! course of the training with a plain loop in C.

use support::paper::squares::{Residuals, solve, solve_by};
use support::paper::trainer::{Monitor, Trainer};
use support::paper::{Net, Points, code_cost, lemma, misclassified, network};
use wengert::nn::Module;
use wengert::nn::optim::LevenbergMarquardt;
use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

fn cost<'t>(points: &Points, parameters: [Var<'t, f64>; 6]) -> Var<'t, f64> {
    let x = parameters[0].tape().constant(points.inputs());
    code_cost(network(x, parameters), &points.targets()) * (0.5 / points.len() as f64)
}

/// The parameters as MATLAB orders them: matrices column by column.
fn columns(tensors: &[Tensor<f64>]) -> Vec<f64> {
    tensors.iter().flat_map(|tensor| tensor.transpose().to_vec()).collect()
}

#[track_caller]
fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance, "entry {i}: {a:e}, and {e:e} is expected");
    }
}

const START: [f64; 23] = [
    -0.186352174424076,
    -0.233230934964767,
    0.205109715856837,
    -0.803145034320578,
    0.231177048902782,
    0.419115915963323,
    0.349135019568862,
    -0.913247666943717,
    0.776768551364655,
    -0.896162062400765,
    -0.122129995317972,
    0.413375825691641,
    1.23672794081058,
    -0.022999514167749,
    -0.124999189164334,
    0.084833712987258,
    -0.774242298662459,
    0.17515318925387,
    -0.069613125936078,
    0.079050509307479,
    0.077898207121658,
    -0.249940080664584,
    0.432240371264996,
];

const GRADIENT: [f64; 23] = [
    6.510520139953e-04,
    2.176885653521e-03,
    3.128913642645e-04,
    3.501170158621e-04,
    9.299792262475e-04,
    2.038364404191e-03,
    1.788368620748e-05,
    1.281547799336e-03,
    2.793950439825e-03,
    2.691904144269e-05,
    1.038480560393e-02,
    1.363066730971e-02,
    1.574643637836e-02,
    2.199803762117e-02,
    1.155166115741e-02,
    1.525930008479e-02,
    7.536810777423e-04,
    7.953537015878e-04,
    2.642382152410e-03,
    7.168520717594e-03,
    -6.739475743481e-05,
    2.527535580926e-02,
    3.429685064688e-02,
];

#[test]
fn the_start_is_the_paper_s() {
    let net = Net::start(&mut MatlabRng::new(5000));
    let values = net.parameters().map(|parameter| parameter.value().clone());
    assert_close(&columns(&values), &START, 1e-15);

    let tape = Tape::new();
    let output = net.forward(tape.constant([0.1, 0.1])).value().to_vec();
    assert_close(&output, &[0.61100107, 0.64861566], 5e-9);
    let output = net.forward(tape.constant([0.7, 0.6])).value().to_vec();
    assert_close(&output, &[0.60215817, 0.65204003], 5e-9);
}

#[test]
fn the_gradient_at_the_start() {
    let net = Net::start(&mut MatlabRng::new(5000));
    let points = Points::ten();
    let values = net.parameters().map(|parameter| parameter.value());
    let (start, gradient) = value_and_grad(|parameters| cost(&points, parameters), values);
    assert_close(&[start], &[0.266440848495069], 1e-15);
    assert_close(&columns(&gradient), &GRADIENT, 1e-14);
    let norm = gradient.iter().map(|g| g.dot(g)).sum::<f64>().sqrt();
    assert_close(&[norm], &[0.057326568587641], 1e-15);
}

#[test]
fn the_gradient_is_lemma_1() {
    let points = Points::eleven();
    let net = Net::start(&mut MatlabRng::new(7));
    let values = net.parameters().map(|parameter| parameter.value());
    let gradient = grad(|parameters| cost(&points, parameters), values);
    let targets: Vec<_> = (0..points.len()).map(|point| points.target(point)).collect();
    let by_hand = lemma::gradient(&net.parameter_vector(), &points.positions, &targets);
    let gradient: Vec<f64> = gradient.iter().flat_map(|g| g.to_vec()).collect();
    assert_close(&gradient, &by_hand, 1e-16);
}

#[test]
fn the_hessian_at_the_start() {
    let net = Net::start(&mut MatlabRng::new(5000));
    let points = Points::ten();
    let values = net.parameters().map(|parameter| parameter.value());
    let blocks = hessian(|parameters| cost(&points, parameters), values);
    let squares: f64 = blocks.iter().flatten().map(|block| block.dot(block)).sum();
    let trace: f64 = (0..6)
        .map(|i| {
            let count = values[i].len();
            let block = blocks[i][i].reshape([count, count]);
            (0..count).map(|k| block.at(&[k, k])).sum::<f64>()
        })
        .sum();
    assert_close(&[trace, squares.sqrt()], &[0.170911698368, 0.127156498585], 1e-12);
}

/// Trains as the listing does and returns the costs after the given steps.
fn train(points: &Points, seed: u32, at: &[usize], compiled: bool) -> Vec<f64> {
    let mut rng = MatlabRng::new(seed);
    let mut net = Net::start(&mut rng);
    let mut trainer = match compiled {
        true => Trainer::compiled(points, &net, 0.05).unwrap(),
        false => Trainer::recorded(points, 0.05),
    };
    let mut costs = vec![Monitor::new(points).cost(&net)];
    for step in 1..=at[at.len() - 1] {
        trainer.step(&mut net, rng.randi(points.len()) - 1);
        if at.contains(&step) {
            costs.push(trainer.cost(&net));
        }
    }
    trainer.finish(&mut net);
    assert_eq!(Monitor::new(points).cost(&net), costs[costs.len() - 1]);
    costs
}

#[test]
fn the_course_of_the_training() {
    let at = [1, 2, 3, 5, 10, 1000, 10_000];
    let costs = train(&Points::ten(), 5000, &at, false);
    let expected = [
        5.328816969901379,
        5.32431031504514,
        5.32006419474669,
        5.31601597767408,
        5.30864941264743,
        5.29368084387954,
        4.985510075664505,
        4.768706000400452,
    ];
    assert_close(&costs, &expected, 1e-12);
    assert_eq!(costs, train(&Points::ten(), 5000, &at, true), "compiled steps give the same bits");
}

#[test]
fn the_course_with_the_eleventh_point() {
    let costs = train(&Points::eleven(), 5000, &[10, 10_000], false);
    assert_close(&costs, &[5.813321718146236, 5.795706233851107, 5.265000517090602], 1e-12);
}

#[test]
fn the_sampled_points_are_the_paper_s() {
    let mut rng = MatlabRng::new(5000);
    Net::start(&mut rng);
    let indices: Vec<usize> = (0..20).map(|_| rng.randi(10)).collect();
    assert_eq!(indices, [1, 2, 3, 2, 4, 4, 7, 7, 10, 5, 6, 8, 2, 4, 4, 7, 4, 2, 1, 9]);
}

/// Section 2: from the paper's start, the twenty components are done within tens of steps.
#[test]
fn least_squares_tells_the_points_apart() {
    for points in [Points::ten(), Points::eleven()] {
        let mut net = Net::start(&mut MatlabRng::new(5000));
        let outcome = solve(&mut net, &points, Residuals::Components);
        assert!(outcome.steps < 100 && 2.0 * outcome.cost < 1e-3, "{outcome:?}");
        assert_eq!(misclassified(&net, &points), 0);
    }
}

/// Both forms of the residuals have the same sum of squares, and so the same gradient.
#[test]
fn norms_and_components_have_one_cost() {
    let points = Points::ten();
    let [norms, components] = [Residuals::Norms, Residuals::Components].map(|form| {
        let mut net = Net::start(&mut MatlabRng::new(5000));
        solve_by(&LevenbergMarquardt::lsqnonlin().budget(0), &mut net, &points, form)
    });
    assert_close(&[2.0 * norms.cost, 2.0 * components.cost], &[5.328816969901379; 2], 1e-14);
    // The gradient of the cost (6) is a tenth of it.
    let norm = 10.0 * 0.057326568587641;
    assert_close(&[norms.gradient_norm, components.gradient_norm], &[norm; 2], 1e-13);
}
