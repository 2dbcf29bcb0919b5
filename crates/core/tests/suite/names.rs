//! What PyTorch, NumPy and JAX call what is here: the table of names in `docs/ops.md`, and the
//! aliases under which the documentation's search finds ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use wengert_core::op::registry;

/// A line of the table.
pub(crate) struct Name {
    /// The ops of the registry, by name.
    pub(crate) ops: &'static str,
    /// How they are written here.
    pub(crate) here: &'static str,
    /// The names in PyTorch, below `torch`.
    pub(crate) torch: &'static str,
    /// The names in NumPy, below `numpy`, or in SciPy.
    pub(crate) numpy: &'static str,
    /// The names in JAX, if they are not NumPy's below `jnp`.
    jax: &'static str,
}

impl Name {
    /// The names in JAX.
    pub(crate) fn jax(&self) -> String {
        if !self.jax.is_empty() {
            return self.jax.to_owned();
        }
        let below = |name: &str| {
            if name.is_empty() || name.contains('[') {
                name.to_owned()
            } else if name.starts_with("scipy") {
                format!("jax.{name}")
            } else {
                format!("jnp.{name}")
            }
        };
        listed(self.numpy).map(below).collect::<Vec<_>>().join(", ")
    }

    /// The bare names that are not ours.
    fn aliases(&self) -> BTreeSet<String> {
        let jax = self.jax();
        let columns = [self.torch, self.numpy, &jax];
        let all = columns.into_iter().flat_map(listed);
        let bare = all.filter_map(|name| name.split('(').next()?.rsplit('.').next());
        let is_name = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        bare.filter(is_name).filter(|name| *name != self.here).map(str::to_owned).collect()
    }
}

/// The names of a column. What stands in brackets is not split.
fn listed(column: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    column
        .split(move |c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ',' && depth == 0
        })
        .map(str::trim_start)
}

/// Ops that have no method: rules of others record them.
const OF_RULES: &str = "attention_adjoint avg_unpool2d conv2d_weights first_max gather_max2d \
    scatter_max2d cofactors over_gaps distinct_columns";

/// Methods that no array library has.
const OWN: &str = "tape with_value apply describe backward_with backward_each reverse_cumsum \
    reverse_linear_recurrence smooth_norm symmetric_function straight_through scale_gradient \
    clip_gradient clip_gradient_norm named adjoint_named solve_unit_lower_triangular solve_unit_upper_triangular";

macro_rules! names {
    ($($ops:literal $here:literal $torch:literal $numpy:literal $jax:literal;)*) => {
        pub(crate) const NAMES: &[Name] = &[$(Name {
            ops: $ops,
            here: $here,
            torch: $torch,
            numpy: $numpy,
            jax: $jax,
        },)*];
    };
}

names! {
    "add" "x + y" "add" "add" "";
    "sub" "x - y" "sub" "subtract" "";
    "mul" "x * y" "mul" "multiply" "";
    "div" "x / y" "div" "divide" "";
    "neg" "-x" "neg" "negative" "";
    "abs" "abs" "abs" "abs, absolute" "";
    "maximum" "maximum" "maximum, clamp_min" "maximum" "";
    "minimum" "minimum" "minimum, clamp_max" "minimum" "";
    "square" "square" "square" "square" "";
    "sqrt" "sqrt" "sqrt" "sqrt" "";
    "reciprocal" "reciprocal" "reciprocal" "reciprocal" "";
    "powi" "powi" "pow" "power" "";
    "powf" "powf" "pow" "power" "";
    "pow" "pow" "pow" "power" "";
    "cbrt" "cbrt" "" "cbrt" "";
    "hypot" "hypot" "hypot" "hypot" "";
    "exp" "exp" "exp" "exp" "";
    "expm1" "expm1" "expm1" "expm1" "";
    "ln" "ln" "log" "log" "";
    "ln1p" "ln1p" "log1p" "log1p" "";
    "exp2" "exp2" "exp2" "exp2" "";
    "log2" "log2" "log2" "log2" "";
    "log10" "log10" "log10" "log10" "";
    "log_add_exp" "log_add_exp" "logaddexp" "logaddexp" "";
    "xlogy" "xlogy" "xlogy" "scipy.special.xlogy" "";
    "sin" "sin" "sin" "sin" "";
    "cos" "cos" "cos" "cos" "";
    "tan" "tan" "tan" "tan" "";
    "asin" "asin" "asin" "arcsin" "";
    "acos" "acos" "acos" "arccos" "";
    "atan" "atan" "atan" "arctan" "";
    "atan2" "atan2" "atan2" "arctan2" "";
    "sinh" "sinh" "sinh" "sinh" "";
    "cosh" "cosh" "cosh" "cosh" "";
    "tanh" "tanh" "tanh" "tanh" "";
    "asinh" "asinh" "asinh" "arcsinh" "";
    "acosh" "acosh" "acosh" "arccosh" "";
    "atanh" "atanh" "atanh" "arctanh" "";
    "erf" "erf" "erf" "scipy.special.erf" "";
    "erfc" "erfc" "erfc" "scipy.special.erfc" "";
    "erf_inv" "erf_inv" "erfinv" "scipy.special.erfinv" "";
    "ln_gamma" "ln_gamma" "lgamma" "scipy.special.gammaln" "";
    "polygamma" "polygamma" "polygamma" "scipy.special.polygamma" "";
    "polygamma" "digamma" "digamma" "scipy.special.digamma" "";
    "sinc" "sinc" "sinc" "sinc" "";
    "floor" "floor" "floor" "floor" "";
    "ceil" "ceil" "ceil" "ceil" "";
    "round" "round" "round" "round" "";
    "trunc" "trunc" "trunc" "trunc" "";
    "sign" "sign" "sign" "sign" "";
    "remainder" "remainder" "remainder" "remainder, mod" "";
    "clamp" "clamp" "clamp" "clip" "";
    "sigmoid" "sigmoid" "sigmoid" "scipy.special.expit" "jax.nn.sigmoid";
    "softplus" "softplus" "nn.functional.softplus" "" "jax.nn.softplus";
    "relu" "relu" "relu" "" "jax.nn.relu";
    "leaky_relu" "leaky_relu" "nn.functional.leaky_relu" "" "jax.nn.leaky_relu";
    "elu" "elu" "nn.functional.elu" "" "jax.nn.elu";
    "elu" "selu" "selu" "" "jax.nn.selu";
    "elu" "celu" "celu" "" "jax.nn.celu";
    "log_sigmoid" "log_sigmoid" "nn.functional.logsigmoid" "scipy.special.log_expit" "jax.nn.log_sigmoid";
    "silu" "silu" "nn.functional.silu" "" "jax.nn.silu, jax.nn.swish";
    "gelu" "gelu" "nn.functional.gelu" "" "jax.nn.gelu(approximate=False)";
    "gelu_tanh" "gelu_tanh" "nn.functional.gelu(approximate='tanh')" "" "jax.nn.gelu";
    "mish" "mish" "nn.functional.mish" "" "jax.nn.mish";
    "softsign" "softsign" "nn.functional.softsign" "" "jax.nn.soft_sign";
    "clamp" "hardtanh" "nn.functional.hardtanh" "" "jax.nn.hard_tanh";
    "clamp" "hardsigmoid" "nn.functional.hardsigmoid" "" "jax.nn.hard_sigmoid";
    "clamp mul" "hardswish" "nn.functional.hardswish" "" "jax.nn.hard_silu";
    "greater" "greater" "gt" "greater" "";
    "greater_equal" "greater_equal" "ge" "greater_equal" "";
    "less" "less" "lt" "less" "";
    "less_equal" "less_equal" "le" "less_equal" "";
    "equal" "equal" "eq" "equal" "";
    "not_equal" "not_equal" "ne" "not_equal" "";
    "select" "select" "where" "where" "";
    "select" "masked_fill" "masked_fill" "where" "";
    "sum" "sum" "sum" "sum" "";
    "sum" "sum_over" "sum(dim)" "sum(axis)" "";
    "sum" "sum_keep" "sum(dim, keepdim=True)" "sum(axis, keepdims=True)" "";
    "mean" "mean" "mean" "mean" "";
    "mean" "mean_over" "mean(dim)" "mean(axis)" "";
    "mean" "mean_keep" "mean(dim, keepdim=True)" "mean(axis, keepdims=True)" "";
    "sum" "var_over" "var" "var" "";
    "sum" "var_keep" "var(dim, keepdim=True)" "var(axis, keepdims=True)" "";
    "norm" "std_over" "std" "std" "";
    "norm" "std_keep" "std(dim, keepdim=True)" "std(axis, keepdims=True)" "";
    "max" "max_over" "amax" "max, amax" "";
    "max" "max_keep" "amax(dim, keepdim=True)" "max(axis, keepdims=True)" "";
    "max" "min_over" "amin" "min, amin" "";
    "max" "min_keep" "amin(dim, keepdim=True)" "min(axis, keepdims=True)" "";
    "prod" "prod" "prod" "prod" "";
    "prod" "prod_over" "prod(dim)" "prod(axis)" "";
    "prod" "prod_keep" "prod(dim, keepdim=True)" "prod(axis, keepdims=True)" "";
    "log_sum_exp" "log_sum_exp" "logsumexp" "scipy.special.logsumexp" "";
    "log_sum_exp" "log_sum_exp_keep" "logsumexp(dim, keepdim=True)" "scipy.special.logsumexp(axis, keepdims=True)" "";
    "norm" "norm" "linalg.norm, linalg.vector_norm" "linalg.norm" "";
    "norm" "norm_keep" "linalg.vector_norm(dim, keepdim=True)" "linalg.norm(axis, keepdims=True)" "";
    "argsort" "median" "median" "median" "";
    "argsort" "median_keep" "median(dim, keepdim=True)" "median(axis, keepdims=True)" "";
    "argsort" "quantile" "quantile" "quantile" "";
    "argsort" "quantile_keep" "quantile(dim, keepdim=True)" "quantile(axis, keepdims=True)" "";
    "argsort" "argmax" "argmax" "argmax" "";
    "argsort" "argmin" "argmin" "argmin" "";
    "argsort" "argsort" "argsort" "argsort" "";
    "argsort take_along_axis" "sort" "sort" "sort" "";
    "argsort take_along_axis" "topk" "topk" "" "jax.lax.top_k";
    "softmax" "softmax" "softmax" "scipy.special.softmax" "jax.nn.softmax";
    "log_softmax" "log_softmax" "log_softmax" "scipy.special.log_softmax" "jax.nn.log_softmax";
    "softmax" "gumbel_softmax" "nn.functional.gumbel_softmax" "" "";
    "attention" "attention" "nn.functional.scaled_dot_product_attention" "" "jax.nn.dot_product_attention";
    "layer_norm" "layer_norm" "nn.functional.layer_norm" "" "jax.nn.standardize";
    "batch_norm" "batch_norm" "nn.functional.batch_norm" "" "";
    "channel_moments" "channel_moments" "var_mean" "" "";
    "cumsum" "cumsum" "cumsum" "cumsum" "";
    "linear_recurrence" "cumprod" "cumprod" "cumprod" "";
    "log_cumsum_exp" "log_cumsum_exp" "logcumsumexp" "" "jax.lax.cumlogsumexp";
    "linear_recurrence" "linear_recurrence" "" "" "jax.lax.associative_scan";
    "broadcast" "broadcast_to" "broadcast_to, expand" "broadcast_to" "";
    "sum_to" "sum_to" "Tensor.sum_to_size" "" "";
    "reshape" "reshape" "reshape, Tensor.view" "reshape" "";
    "reshape" "flatten" "flatten" "ravel" "";
    "reshape" "unsqueeze" "unsqueeze" "expand_dims, newaxis" "";
    "reshape" "squeeze" "squeeze" "squeeze" "";
    "permute" "permute" "permute" "transpose(axes)" "";
    "permute" "transpose" "Tensor.T" "transpose" "";
    "permute" "matrix_transpose" "Tensor.mT" "matrix_transpose" "";
    "permute" "swap_axes" "swapaxes, transpose" "swapaxes" "";
    "permute" "move_axis" "movedim" "moveaxis" "";
    "slice" "slice" "narrow" "x[a:b]" "jax.lax.slice_in_dim";
    "slice" "slice_by" "" "x[a:b:s]" "jax.lax.slice_in_dim";
    "slice" "flip" "flip" "flip" "";
    "slice concat" "roll" "roll" "roll" "";
    "slice" "split" "split" "split" "";
    "slice" "chunk" "chunk" "array_split" "";
    "slice" "diagonal" "diagonal" "diagonal" "";
    "pad" "diag_embed" "diag_embed" "diag" "";
    "slice sum" "trace" "trace" "trace" "";
    "pad" "pad" "nn.functional.pad" "pad" "";
    "concat" "concat" "cat" "concatenate" "";
    "stack" "stack" "stack" "stack" "";
    "broadcast" "tile" "tile, Tensor.repeat" "tile" "";
    "broadcast" "repeat" "repeat_interleave" "repeat" "";
    "gather" "gather" "index_select" "take" "";
    "scatter_add" "scatter_add" "index_add" "" "jax.ops.segment_sum";
    "take_along_axis" "take_along_axis" "gather, take_along_dim" "take_along_axis" "";
    "take_along_axis" "index_select" "index_select" "take" "";
    "scatter_along_axis" "scatter_along_axis" "scatter_add" "" "";
    "scatter_along_axis" "put_along_axis" "scatter" "put_along_axis" "";
    "equal" "one_hot" "nn.functional.one_hot" "" "jax.nn.one_hot";
    "triangle" "triu" "triu" "triu" "";
    "triangle" "tril" "tril" "tril" "";
    "matmul" "matmul" "matmul, mm, bmm, mv" "matmul, dot" "";
    "matmul_transposed" "matmul_transposed" "nn.functional.linear" "" "";
    "outer" "outer" "outer" "outer" "";
    "matmul" "einsum" "einsum" "einsum" "";
    "matmul" "tensordot" "tensordot" "tensordot" "";
    "mul" "kron" "kron" "kron" "";
    "conv2d" "conv1d" "nn.functional.conv1d" "" "jax.lax.conv_general_dilated";
    "conv2d" "conv2d" "nn.functional.conv2d" "scipy.signal.correlate2d" "jax.lax.conv_general_dilated";
    "conv2d" "conv3d" "nn.functional.conv3d" "" "jax.lax.conv_general_dilated";
    "conv_transpose2d" "conv_transpose1d" "nn.functional.conv_transpose1d" "" "jax.lax.conv_transpose";
    "conv_transpose2d" "conv_transpose2d" "nn.functional.conv_transpose2d" "" "jax.lax.conv_transpose";
    "conv_transpose2d" "conv_transpose3d" "nn.functional.conv_transpose3d" "" "jax.lax.conv_transpose";
    "max_pool2d" "max_pool1d" "nn.functional.max_pool1d" "" "jax.lax.reduce_window";
    "max_pool2d" "max_pool2d" "nn.functional.max_pool2d" "" "jax.lax.reduce_window";
    "max_pool2d" "max_pool3d" "nn.functional.max_pool3d" "" "jax.lax.reduce_window";
    "avg_pool2d" "avg_pool1d" "nn.functional.avg_pool1d" "" "jax.lax.reduce_window";
    "avg_pool2d" "avg_pool2d" "nn.functional.avg_pool2d" "" "jax.lax.reduce_window";
    "avg_pool2d" "avg_pool3d" "nn.functional.avg_pool3d" "" "jax.lax.reduce_window";
    "avg_pool2d" "adaptive_avg_pool1d" "nn.functional.adaptive_avg_pool1d" "" "";
    "avg_pool2d" "adaptive_avg_pool2d" "nn.functional.adaptive_avg_pool2d" "" "";
    "solve" "solve" "linalg.solve" "linalg.solve" "";
    "solve_triangular" "solve_lower_triangular" "linalg.solve_triangular" "scipy.linalg.solve_triangular" "";
    "solve_triangular" "solve_upper_triangular" "linalg.solve_triangular" "scipy.linalg.solve_triangular" "";
    "solve" "inverse" "linalg.inv" "linalg.inv" "";
    "pinv" "pinv" "linalg.pinv" "linalg.pinv" "";
    "det" "det" "linalg.det" "linalg.det" "";
    "log_abs_det" "log_abs_det" "linalg.slogdet" "linalg.slogdet" "";
    "sign_det" "sign_det" "linalg.slogdet" "linalg.slogdet" "";
    "cholesky" "cholesky" "linalg.cholesky" "linalg.cholesky" "";
    "eigh" "eigh" "linalg.eigh" "linalg.eigh" "";
    "qr" "qr" "linalg.qr" "linalg.qr" "";
    "svd" "svd" "linalg.svd" "linalg.svd" "";
    "expm" "expm" "linalg.matrix_exp" "scipy.linalg.expm" "";
    "symmetric_function" "logm" "" "scipy.linalg.logm" "";
    "symmetric_function" "sqrtm" "" "scipy.linalg.sqrtm" "";
    "" "stop_gradient" "Tensor.detach" "" "jax.lax.stop_gradient";
    "" "is_active" "Tensor.requires_grad" "" "";
    "" "shape" "Tensor.shape, Tensor.size" "shape" "";
    "" "rank" "Tensor.ndim, Tensor.dim" "ndim" "";
    "" "elements" "numel" "size" "";
    "" "value" "Tensor.data" "asarray" "";
    "" "item" "Tensor.item" "ndarray.item" "";
    "" "backward" "Tensor.backward" "" "";
    "" "grad" "autograd.grad, func.grad" "" "jax.grad";
    "" "value_and_grad" "func.grad_and_value" "" "jax.value_and_grad";
    "" "value_and_grad_aux" "func.grad_and_value(has_aux=True)" "" "jax.value_and_grad(has_aux=True)";
    "" "vjp" "func.vjp" "" "jax.vjp";
    "" "jvp" "func.jvp" "" "jax.jvp";
    "" "hvp" "autograd.functional.hvp" "" "";
    "" "jacobian" "func.jacrev, func.jacfwd" "" "jax.jacobian, jax.jacrev, jax.jacfwd";
    "" "hessian" "func.hessian" "" "jax.hessian";
    "" "taylor" "" "" "jax.experimental.jet";
    "" "vmap" "vmap" "" "jax.vmap";
    "" "compile" "compile" "" "jax.jit";
    "" "checkpoint" "utils.checkpoint" "" "jax.checkpoint, jax.remat";
    "" "custom_vjp" "autograd.Function" "" "jax.custom_vjp";
    "" "custom_jvp" "" "" "jax.custom_jvp";
    "" "variable" "tensor(requires_grad=True)" "" "";
    "" "constant" "as_tensor" "asarray" "";
    "" "without_gradients" "no_grad" "" "";
}

/// The sources of the crate.
fn sources() -> Vec<String> {
    let mut sources = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the crate's sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push(fs::read_to_string(path).expect("a source"));
            }
        }
    }
    sources
}

/// What stands before a bracket or a space.
fn first_word(text: &str) -> &str {
    text.split(['(', '<', ' ']).next().unwrap_or_default()
}

/// The names that stand between quotation marks.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned)
}

/// The functions of a source with their aliases: those written out, and those of lines of the
/// registry.
fn read(source: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let mut aliases = BTreeSet::new();
    for line in source.lines().map(str::trim_start) {
        let of_registry = line.split_once(": unary ").or_else(|| line.split_once(": binary "));
        if let Some(list) = line.strip_prefix("#[doc(alias") {
            aliases.extend(quoted(list));
        } else if let Some(rest) = line.strip_prefix("pub fn ") {
            found.entry(first_word(rest).to_owned()).or_default().append(&mut aliases);
        } else if let Some((_, rest)) = of_registry {
            let list = rest.split_once(']').map_or("", |(list, _)| list);
            found.entry(first_word(rest).to_owned()).or_default().extend(quoted(list));
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            aliases.clear();
        }
    }
}

#[test]
fn every_op_and_method_has_a_line() {
    let words = |text: &'static str| text.split_whitespace().collect::<BTreeSet<_>>();
    let named: BTreeSet<&str> = NAMES.iter().flat_map(|name| name.ops.split(' ')).collect();
    let of_rules = words(OF_RULES);
    for op in registry::ops::<f64>() {
        let is_named = named.contains(op.name) || of_rules.contains(op.name);
        assert!(is_named, "the op {} has no line in the table of names", op.name);
    }
    let here: BTreeSet<&str> = NAMES.iter().map(|name| name.here).collect();
    let (own, mut count) = (words(OWN), 0);
    for source in sources() {
        for part in source.split("\nimpl<").skip(1) {
            let (head, body) = part.split_once(" {\n").unwrap_or_default();
            if !head.starts_with("'t, T: Real> Var<'t, T>") && head != "T: Real> Var<'_, T>" {
                continue;
            }
            let body = body.split("\n}").next().unwrap_or_default();
            for method in body.split("\n    pub fn ").skip(1).map(first_word) {
                let is_named = here.contains(method) || own.contains(method);
                assert!(is_named, "the method {method} has no line in the table of names");
                count += 1;
            }
        }
    }
    assert!(count > 120, "only {count} methods were found");
}

#[test]
fn names_from_elsewhere_are_aliases() {
    let mut functions = BTreeMap::new();
    sources().iter().for_each(|source| read(source, &mut functions));
    for name in NAMES.iter().filter(|name| !name.here.contains(['+', '-', '*', '/'])) {
        let found = functions.get(name.here);
        let found = found.unwrap_or_else(|| panic!("there is no {} any more", name.here));
        let missing: Vec<_> = name.aliases().difference(found).cloned().collect();
        assert!(missing.is_empty(), "{} lacks #[doc(alias)] of {missing:?}", name.here);
    }
}
