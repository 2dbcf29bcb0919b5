//! Elementwise functions at chosen points: values and three derivatives against numbers
//! from elsewhere, and what they do at the ends of the numbers.

use wengert_core::op::registry;
use wengert_core::{Real, Tape, Var};

type Function = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

/// Name, function, `x`, and the derivatives of order 0 to 3 there: by mpmath 1.3 with 60
/// digits, from the definitions of the functions and difference quotients.
type Golden = (&'static str, Function, f64, [f64; 4]);

/// `x` and the derivatives of order 0 to 3 of a function, each the recorded gradient of
/// the one before.
fn derivatives(f: Function, x: f64) -> [f64; 4] {
    let tape = Tape::new();
    let x = tape.variable(x);
    let mut y = f(x);
    std::array::from_fn(|order| {
        if order > 0 {
            [y] = y.grad([x]);
        }
        y.item()
    })
}

#[test]
fn values_and_three_derivatives() {
    #[rustfmt::skip]
    let golden: &[Golden] = &[
        ("tan", |x| x.tan(), 0.7, [0.8422883804630794, 1.7094497158631172, 2.8796992653148323, 10.695511122934484]),
        ("tan", |x| x.tan(), -1.2, [-2.5721516221263188, 7.615963967207052, -39.17882814461442, 317.55358702994886]),
        ("asin", |x| x.asin(), 0.45, [0.4667653390472964, 1.1197850219117085, 0.6318536173796475, 2.47371461488932]),
        ("asin", |x| x.asin(), -0.99, [-1.4292568534704693, 7.088812050083356, -352.65949394887014, 52989.3220642325]),
        ("acos", |x| x.acos(), 0.45, [1.1040309877476002, -1.1197850219117085, -0.6318536173796475, -2.47371461488932]),
        ("acos", |x| x.acos(), -0.99, [3.000053180265366, -7.088812050083356, 352.65949394887014, -52989.3220642325]),
        ("atan", |x| x.atan(), 0.7, [0.6107259643892086, 0.6711409395973155, -0.6306022251249944, 0.28416399406399545]),
        ("atan", |x| x.atan(), -30.0, [-1.5374753309166493, 0.0011098779134295228, 7.390973896312027e-05, 7.380036458063693e-06]),
        ("sinh", |x| x.sinh(), 1.3, [1.698382437292616, 1.9709142303266285, 1.698382437292616, 1.9709142303266285]),
        ("sinh", |x| x.sinh(), -20.0, [-242582597.70489514, 242582597.70489514, -242582597.70489514, 242582597.70489514]),
        ("cosh", |x| x.cosh(), 1.3, [1.9709142303266285, 1.698382437292616, 1.9709142303266285, 1.698382437292616]),
        ("cosh", |x| x.cosh(), -20.0, [242582597.70489514, -242582597.70489514, 242582597.70489514, -242582597.70489514]),
        ("asinh", |x| x.asinh(), 0.6, [0.5688248987322475, 0.8574929257125442, -0.3783057025202401, -0.129810780276553]),
        ("asinh", |x| x.asinh(), -1000.0, [-7.600902709541988, 0.000999999500000375, 9.99998500001875e-07, 1.99999400001125e-09]),
        ("acosh", |x| x.acosh(), 1.5, [0.9624236501192069, 0.8944271909999159, -1.0733126291998991, 3.148383712319704]),
        ("acosh", |x| x.acosh(), 40.0, [4.381870348040067, 0.025007816164017767, -0.0006255863955976928, 3.1308662481366706e-05]),
        ("atanh", |x| x.atanh(), 0.4, [0.42364893019360184, 1.1904761904761905, 1.1337868480725624, 4.994061116510097]),
        ("atanh", |x| x.atanh(), -0.95, [-1.8317808230648227, 10.256410256410248, -199.8685075608149, 8000.134864040168]),
        ("exp2", |x| x.exp2(), 2.5, [5.656854249492381, 3.921032573874189, 2.7178526734645994, 1.8838719177892969]),
        ("exp2", |x| x.exp2(), -40.25, [7.647908344131015e-13, 5.301126105915293e-13, 3.6744606141079076e-13, 2.5469420147474615e-13]),
        ("log2", |x| x.log2(), 0.3, [-1.7369655941662063, 4.8089834696298785, -16.02994489876626, 106.86629932510841]),
        ("log2", |x| x.log2(), 10000000000.0, [33.219280948873624, 1.4426950408889633e-10, -1.4426950408889633e-20, 2.885390081777927e-30]),
        ("log10", |x| x.log10(), 0.3, [-0.5228787452803376, 1.4476482730108395, -4.825494243369465, 32.1699616224631]),
        ("log10", |x| x.log10(), 10000000000.0, [10.0, 4.342944819032518e-11, -4.342944819032518e-21, 8.685889638065036e-31]),
        ("cbrt", |x| x.cbrt(), -2.7, [-1.3924766500838337, 0.17191069754121402, 0.04244708581264543, 0.026201904822620636]),
        ("cbrt", |x| x.cbrt(), 1e-06, [0.01, 3333.3333333333335, -2222222222.2222223, 3703703703703704.0]),
        ("erf", |x| x.erf(), 0.4, [0.42839235504666845, 0.9615412988393077, -0.7692330390714462, -1.3076961664214586]),
        ("erf", |x| x.erf(), -2.5, [-0.999593047982555, 0.0021782842303527095, 0.010891421151763548, 0.05010053729811233]),
        ("erfc", |x| x.erfc(), 0.4, [0.5716076449533315, -0.9615412988393077, 0.7692330390714462, 1.3076961664214586]),
        ("erfc", |x| x.erfc(), -1.0, [1.8427007929497148, -0.4151074974205947, -0.8302149948411894, -0.8302149948411894]),
        ("erfc", |x| x.erfc(), 6.0, [2.1519736712498913e-17, -2.617301239249265e-16, 3.1407614870991178e-15, -3.716567759733956e-14]),
        ("erfc", |x| x.erfc(), 20.0, [5.395865611607901e-176, -2.1610374743867984e-174, 8.644149897547193e-173, -3.453337884070104e-171]),
        ("erf_inv", |x| x.erf_inv(), 0.3, [0.2724627147267543, 0.9545203588405493, 0.496486526010743, 2.255831802388849]),
        ("erf_inv", |x| x.erf_inv(), 0.9, [1.1630871536766743, 3.428042811451841, 27.335985073827032, 516.5357333548197]),
        ("erf_inv", |x| x.erf_inv(), -0.9999, [-2.75106390571208, 1715.6895961763137, -16196012.753463957, 315879464975.21423]),
        ("erf_inv", |x| x.erf_inv(), 1e-09, [8.86226925452758e-10, 0.886226925452758, 1.392081999207927e-09, 1.392081999207927]),
        ("ln_gamma", |x| x.ln_gamma(), 0.3, [1.0957979948180756, -3.502524222200133, 12.245364546107732, -75.27253658872604]),
        ("ln_gamma", |x| x.ln_gamma(), 7.7, [7.926541356269005, 1.9748820949131018, 0.13866710857111123, -0.01919812143532196]),
        ("ln_gamma", |x| x.ln_gamma(), -1.6, [0.837499812222039, -0.2697178779184504, 10.443759368307377, -22.49158811431912]),
        ("ln_gamma", |x| x.ln_gamma(), 50.0, [144.5657439463449, 3.901989673427892, 0.020201333226697125, -0.0004080799893375969]),
        ("digamma", |x| x.digamma(), 0.3, [-3.502524222200133, 12.245364546107732, -75.27253658872604, 743.1417646550498]),
        ("digamma", |x| x.digamma(), 12.3, [2.468398400301138, 0.0846951702459164, -0.0071690031730383234, 0.0012129178351298368]),
        ("digamma", |x| x.digamma(), -2.4, [2.0903331670591916, 10.570024863646124, 22.160707362543427, 283.5247351822411]),
        ("polygamma 3", |x| x.polygamma(3), 0.7, [25.879149678427737, -144.70825364302465, 1025.3283541434719, -8761.04344307859]),
        ("polygamma 3", |x| x.polygamma(3), 25.0, [0.0001358846365082737, -1.662971425007893e-05, 2.7131757700038325e-06, -5.532496491858543e-07]),
        ("sinc", |x| x.sinc(), 0.0, [1.0, 0.0, -3.289868133696453, 0.0]),
        ("sinc", |x| x.sinc(), 1e-09, [1.0, -3.289868133696453e-09, -3.289868133696453, 1.9481818206800487e-08]),
        ("sinc", |x| x.sinc(), -0.001, [0.999998355066745, 0.0032898648867278964, -3.289858392793072, -0.01948179531659038]),
        ("sinc", |x| x.sinc(), 0.3, [0.8583936913341398, -0.9020281301388888, -2.4584852862661744, 5.24749315292437]),
        ("sinc", |x| x.sinc(), 1.0, [0.0, -1.0, 2.0, 3.8696044010893584]),
        ("sinc", |x| x.sinc(), 5.25, [-0.042872205531290765, -0.12652087155338224, 0.4713301356544662, 1.0599759605096155]),
        ("gelu", |x| x.gelu(), 0.0, [0.0, 0.5, 0.7978845608028654, 0.0]),
        ("gelu", |x| x.gelu(), -8.0, [-4.976768459417427e-15, -3.979607261086796e-14, -3.1324080717928733e-13, -2.4250901200977082e-12]),
        ("gelu", |x| x.gelu(), -0.5, [-0.15426876936299344, 0.13250487534383715, 0.6161143218375241, 0.6601224876830615]),
        ("gelu", |x| x.gelu(), 1.5, [1.399789198096713, 1.1274691922299795, -0.03237939891647293, -0.3399836886229658]),
        ("gelu_tanh", |x| x.gelu_tanh(), 0.0, [0.0, 0.5, 0.7978845608028654, 0.0]),
        ("gelu_tanh", |x| x.gelu_tanh(), -5.0, [-2.291796196629507e-07, -1.5463619875325953e-06, -9.934132224996206e-06, -6.03796757842588e-05]),
        ("gelu_tanh", |x| x.gelu_tanh(), 0.8, [0.6304316914364482, 1.0195837310573033, 0.39349744859307906, -0.7764872685211178]),
        ("silu", |x| x.silu(), 0.0, [0.0, 0.5, 0.5, 0.0]),
        ("silu", |x| x.silu(), -30.0, [-2.8072868906517896e-12, -2.713710660963134e-12, -2.620134431274233e-12, -2.526558201584851e-12]),
        ("silu", |x| x.silu(), 0.7, [0.46773144051771626, 0.8233867834733424, 0.3912205946779789, -0.2749950663881712]),
        ("mish", |x| x.mish(), 0.0, [0.0, 0.6, 0.64, -0.096]),
        ("mish", |x| x.mish(), -30.0, [-2.807286890651921e-12, -2.713710660963392e-12, -2.620134431274741e-12, -2.526558201585849e-12]),
        ("mish", |x| x.mish(), -0.5, [-0.22074377465173, 0.2895106779135122, 0.5639709231132666, 0.35304817993315263]),
        ("mish", |x| x.mish(), 2.0, [1.9439589595339946, 1.0693179342794896, -0.05772466740829406, -0.024006767434248677]),
        ("softsign", |x| x.softsign(), -0.5, [-0.3333333333333333, 0.4444444444444444, 0.5925925925925926, 1.1851851851851851]),
        ("softsign", |x| x.softsign(), 3.0, [0.75, 0.0625, -0.03125, 0.0234375]),
        ("log_sigmoid", |x| x.log_sigmoid(), -2.0, [-2.1269280110429727, 0.8807970779778824, -0.10499358540350652, -0.07996250105615306]),
        ("log_sigmoid", |x| x.log_sigmoid(), 40.0, [-4.248354255291589e-18, 4.248354255291589e-18, -4.248354255291589e-18, 4.248354255291589e-18]),
        ("elu 0.7", |x| x.elu(0.7), -1.5, [-0.543808887896099, 0.15619111210390088, 0.15619111210390088, 0.15619111210390088]),
        ("elu 0.7", |x| x.elu(0.7), 2.0, [2.0, 1.0, 0.0, 0.0]),
        ("selu", |x| x.selu(), -0.3, [-0.45566731537912203, 1.3024320254682547, 1.3024320254682547, 1.3024320254682547]),
        ("selu", |x| x.selu(), 0.4, [0.4202803949421922, 1.0507009873554805, 0.0, 0.0]),
        ("celu 1.3", |x| x.celu(1.3), -0.8, [-0.5974371045675058, 0.5404329964865341, 0.4157176896050262, 0.31978283815771247]),
        ("celu 1.3", |x| x.celu(1.3), 3.0, [3.0, 1.0, 0.0, 0.0]),
        ("hardswish", |x| x.hardswish(), -1.0, [-0.3333333333333333, 0.16666666666666666, 0.3333333333333333, 0.0]),
        ("hardswish", |x| x.hardswish(), 2.5, [2.2916666666666665, 1.3333333333333333, 0.3333333333333333, 0.0]),
    ];
    for &(name, f, x, expected) in golden {
        for (order, (y, exact)) in derivatives(f, x).into_iter().zip(expected).enumerate() {
            let error = (y - exact).abs();
            let allowed = 2e-13 * exact.abs();
            assert!(error <= allowed, "derivative {order} of {name} at {x}: {y}, not {exact}");
        }
    }
}

#[test]
fn nothing_overflows_where_the_result_is_finite() {
    const INF: f64 = f64::INFINITY;
    let cases: &[(&str, Function, f64, [f64; 2])] = &[
        ("gelu", |x| x.gelu(), -INF, [0.0, 0.0]),
        ("gelu", |x| x.gelu(), INF, [INF, 1.0]),
        ("gelu", |x| x.gelu(), -1e200, [0.0, 0.0]),
        ("gelu_tanh", |x| x.gelu_tanh(), -INF, [0.0, 0.0]),
        ("gelu_tanh", |x| x.gelu_tanh(), INF, [INF, 1.0]),
        ("gelu_tanh", |x| x.gelu_tanh(), -1e200, [0.0, 0.0]),
        ("gelu_tanh", |x| x.gelu_tanh(), 1e200, [1e200, 1.0]),
        ("silu", |x| x.silu(), -INF, [0.0, 0.0]),
        ("silu", |x| x.silu(), INF, [INF, 1.0]),
        ("mish", |x| x.mish(), -INF, [0.0, 0.0]),
        ("mish", |x| x.mish(), INF, [INF, 1.0]),
        ("mish", |x| x.mish(), 1e300, [1e300, 1.0]),
        ("softsign", |x| x.softsign(), -INF, [-1.0, 0.0]),
        ("softsign", |x| x.softsign(), f64::MAX, [1.0, 0.0]),
        ("log_sigmoid", |x| x.log_sigmoid(), -1e300, [-1e300, 1.0]),
        ("log_sigmoid", |x| x.log_sigmoid(), INF, [0.0, 0.0]),
        ("elu", |x| x.elu(1.0), 1e300, [1e300, 1.0]),
        ("elu", |x| x.elu(1.0), -INF, [-1.0, 0.0]),
        ("asinh", |x| x.asinh(), 0.0, [0.0, 1.0]),
        ("atan", |x| x.atan(), INF, [std::f64::consts::FRAC_PI_2, 0.0]),
        ("erf", |x| x.erf(), 1e200, [1.0, 0.0]),
        ("erfc", |x| x.erfc(), -1e200, [2.0, 0.0]),
        ("erf_inv", |x| x.erf_inv(), 1.0, [INF, INF]),
        ("cbrt", |x| x.cbrt(), 0.0, [0.0, INF]),
        ("ln_gamma", |x| x.ln_gamma(), INF, [INF, INF]),
        ("sinc", |x| x.sinc(), -INF, [0.0, 0.0]),
        ("clamp", |x| x.clamp(-1.0, INF), INF, [INF, 1.0]),
        ("clamp", |x| x.clamp(-1.0, 2.0), -1.0, [-1.0, 1.0]),
    ];
    for &(name, f, x, expected) in cases {
        let [y, slope, bend, _] = derivatives(f, x);
        assert_eq!([y, slope], expected, "{name} and its derivative at {x}");
        assert!(x.is_infinite() || slope.is_infinite() || !bend.is_nan(), "{name} at {x}: {bend}");
    }
}

/// The value and both derivatives of a function of two numbers.
fn partials(f: for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>, a: f64, b: f64) -> [f64; 3] {
    let tape = Tape::new();
    let (a, b) = (tape.variable(a), tape.variable(b));
    let y = f(a, b);
    let [da, db] = y.grad([a, b]);
    [y.item(), da.item(), db.item()]
}

#[test]
fn functions_of_two_numbers_at_their_edges() {
    const INF: f64 = f64::INFINITY;
    let ln_2 = std::f64::consts::LN_2;
    assert_eq!(partials(|a, b| a.log_add_exp(b), 1e308, 1e308), [1e308, 0.5, 0.5]);
    assert_eq!(partials(|a, b| a.log_add_exp(b), 3.0, 3.0), [3.0 + ln_2, 0.5, 0.5]);
    assert_eq!(partials(|a, b| a.log_add_exp(b), -INF, -INF), [-INF, 0.5, 0.5]);
    assert_eq!(partials(|a, b| a.log_add_exp(b), -INF, 7.0), [7.0, 0.0, 1.0]);
    assert_eq!(partials(|a, b| a.log_add_exp(b), INF, -INF), [INF, 1.0, 0.0]);
    assert_eq!(partials(|a, b| a.hypot(b), 3e300, -4e300), [5e300, 0.6, -0.8]);
    assert_eq!(partials(|a, b| a.hypot(b), 0.0, 0.0), [0.0; 3]);
    assert_eq!(partials(|a, b| a.atan2(b), 0.0, 0.0), [0.0; 3]);
    let [angle, dy, dx] = partials(|a, b| a.atan2(b), 1e-200, 1e-200);
    assert_eq!(angle, std::f64::consts::FRAC_PI_4);
    assert!((dy / 5e199 - 1.0).abs() < 1e-15 && dx == -dy);
    assert_eq!(partials(|a, b| a.xlogy(b), 0.0, 0.0), [0.0, -INF, 0.0]);
    assert_eq!(partials(|a, b| a.xlogy(b), 0.0, 2.0), [0.0, ln_2, 0.0]);
    assert!(partials(|a, b| a.xlogy(b), 0.0, f64::NAN)[0].is_nan());
    assert_eq!(partials(|a, b| a.pow(b), 0.0, 0.0), [1.0, 0.0, 0.0]);
    assert_eq!(partials(|a, b| a.pow(b), 0.0, 1.0), [0.0, 1.0, 0.0]);
    assert_eq!(partials(|a, b| a.pow(b), -2.0, 3.0)[..2], [-8.0, 12.0]);
    assert!(partials(|a, b| a.pow(b), -2.0, 3.0)[2].is_nan());
    // As in Python: the remainder has the sign of the divisor.
    assert_eq!(partials(|a, b| a.remainder(b), 5.5, 2.0), [1.5, 1.0, -2.0]);
    assert_eq!(partials(|a, b| a.remainder(b), -5.5, 2.0), [0.5, 1.0, 3.0]);
    assert_eq!(partials(|a, b| a.remainder(b), 5.5, -2.0), [-0.5, 1.0, 3.0]);
    assert_eq!(partials(|a, b| a.remainder(b), 4.0, 2.0), [0.0, 1.0, -2.0]);
    assert!(partials(|a, b| a.remainder(b), 4.0, 0.0)[0].is_nan());
}

#[test]
fn second_derivatives_survive_conventions() {
    // x / y has the mixed derivative 1 / y^2 for x = 0 as well, where xlogy is guarded.
    let tape = Tape::new();
    let (x, y) = (tape.variable(0.0), tape.variable(2.0));
    let [dy] = x.xlogy(y).grad([y]);
    let [dxdy] = dy.grad([x]);
    assert_eq!(dxdy.item(), 0.5);
    // So has log_add_exp its curvature where both are equal.
    let [da] = y.log_add_exp(y.tape().constant(2.0)).grad([y]);
    let [dada] = da.grad([y]);
    assert_eq!(dada.item(), 0.25);
    // And a^2 for a = 0.
    let [da] = x.pow(tape.constant(2.0)).grad([x]);
    let [dada] = da.grad([x]);
    assert_eq!(dada.item(), 2.0);
}

#[test]
fn roundings() {
    let tape = Tape::new();
    let xs = [-2.5, -1.5, -0.5, -0.2, 0.0, 0.5, 1.2, 2.5, 1e300];
    let x = tape.constant(xs);
    assert_eq!(x.floor().value().to_vec(), xs.map(f64::floor));
    assert_eq!(x.ceil().value().to_vec(), xs.map(f64::ceil));
    assert_eq!(x.round().value().to_vec(), xs.map(f64::round_ties_even));
    assert_eq!(x.trunc().value().to_vec(), xs.map(f64::trunc));
    assert_eq!(x.sign().value().to_vec(), [-1.0, -1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
}

#[test]
fn comparisons() {
    type Comparison =
        (for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>, fn(f64, f64) -> bool);
    let comparisons: [Comparison; 6] = [
        (|a, b| a.greater(b), |a, b| a > b),
        (|a, b| a.greater_equal(b), |a, b| a >= b),
        (|a, b| a.less(b), |a, b| a < b),
        (|a, b| a.less_equal(b), |a, b| a <= b),
        (|a, b| a.equal(b), |a, b| a == b),
        (|a, b| a.not_equal(b), |a, b| a != b),
    ];
    let xs = [f64::NEG_INFINITY, -1.0, -0.0, 0.0, 1.0, 1.0_f64.next_up(), f64::NAN];
    let tape = Tape::new();
    let x = tape.constant(xs);
    for (index, (op, expected)) in comparisons.into_iter().enumerate() {
        let found = op(x.unsqueeze(1), x).value();
        let expected = xs.iter().flat_map(|&a| xs.map(|b| f64::from(u8::from(expected(a, b)))));
        assert!(found.iter().eq(expected), "comparison {index}: {found}");
    }
}

#[test]
#[should_panic(expected = "the bounds 1 and -1 are not in order")]
fn bounds_in_the_wrong_order() {
    Tape::new().variable(0.0).clamp(1.0, -1.0);
}

/// Functions that answer a question about NaN, and `x^0`.
const ANSWERS: [&str; 7] =
    ["greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "powi"];

fn nan_goes_through<T: Real>() {
    let elementwise = registry::ops::<T>().into_iter().filter(|op| op.family == "elementwise");
    for entry in elementwise.filter(|op| !ANSWERS.contains(&op.name)) {
        for sample in &entry.samples.cases {
            let nans = vec![T::nan(); sample.args.len()];
            let Some(y) = sample.op.eval_scalar(&nans) else { continue };
            assert!(y.is_nan(), "{} of NaN is {y}, in {}", entry.name, T::NAME);
        }
    }
}

#[test]
fn nan_goes_through_every_function() {
    nan_goes_through::<f32>();
    nan_goes_through::<f64>();
}
