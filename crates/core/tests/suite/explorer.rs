//! The explorer in a real browser: a script clicks and types as a reader does, and what the page then
//! shows is compared with the tape. Where there is no browser, the tests say so and end.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;
use wengert_core::trace::Trace;
use wengert_core::{Tape, Tensor, Var, trace_along};

/// One browser at a time: each takes the memory of many tests.
static ONE: Mutex<()> = Mutex::new(());

fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: there is no chromium on this machine");
    }
    found
}

/// What a script returns that runs on the page of a trace, opened at a fragment of its address. `None`
/// without a browser.
fn on_page(trace: &Trace, name: &str, fragment: &str, script: &str) -> Option<Value> {
    let browser = browser()?;
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = std::env::temp_dir().join(format!("wengert-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    let asks = format!(
        "<pre id=\"result\"></pre><script>\nlet said;\ntry {{ said = (() => {{ {script} }})(); }} \
         catch (error) {{ said = {{ error: String(error.stack) }}; }}\n\
         document.getElementById('result').textContent = JSON.stringify(said);\n</script>"
    );
    let page = trace.to_html("A page").replace("</body>", &format!("{asks}</body>"));
    let file = folder.join("page.html");
    std::fs::write(&file, page).expect("the page is written");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--window-size=1200,800"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--dump-dom", &format!("file://{}{fragment}", file.display())])
        .stderr(Stdio::null())
        .output()
        .expect("the browser runs");
    std::fs::remove_dir_all(&folder).ok();
    let dom = String::from_utf8(output.stdout).expect("a page is text");
    let said = dom.split("<pre id=\"result\">").nth(1).expect("the page has the result");
    let said = said.split("</pre>").next().unwrap_or_default();
    let said = said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("no JSON: {said}"));
    assert!(said.get("error").is_none(), "{}", said["error"]);
    Some(said)
}

fn first_example<'t>([x1, x2]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    let quotient = x1 / x2;
    let power = x2.exp();
    (quotient.sin() + quotient - power) * (quotient - power)
}

fn at(x: [f64; 2]) -> Trace {
    let [x, v] = [x, [1.0, -2.0]].map(|pair| pair.map(Tensor::from));
    trace_along(first_example, [&x[0], &x[1]], [&v[0], &v[1]])
}

#[test]
fn a_page_asks_for_nothing_else() {
    let page = at([1.5, 0.5]).to_html("<A & B>");
    assert!(page.contains("<title>&lt;A &amp; B&gt;</title>"));
    let addresses = page.matches("http").count();
    assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count());
    assert!(!page.contains("import ") && !page.contains("fetch("));
}

#[test]
fn a_reader_steps_looks_and_types() {
    let script = r##"
        const click = (id) => document.getElementById(id).click();
        const text = (id) => document.getElementById(id).textContent;
        const row = (n) => [...document.getElementById(`row${n}`).children].slice(1).map((cell) => cell.textContent);
        const key = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
        const said = { opened: location.hash, at_first: text("count") };
        click("first");
        said.start = [text("count"), row(0), document.querySelectorAll(".waiting").length];
        click("next"); click("next"); key("ArrowRight");
        said.third = [text("count"), text("step"), row(2)];
        key("End");
        said.end = [row(0), row(1)];
        said.products = text("products");
        explorer.goTo(14);
        said.partial = row(2)[2];
        explorer.choose(2, false);
        said.uses = [...document.querySelectorAll("#detail ul:first-of-type li")].map((li) => li.textContent);
        document.querySelector("#detail ul:first-of-type a").click();
        said.followed = explorer.state.row;
        said.lit = document.querySelector("#source .lit").textContent;
        click("numbers");
        said.numbers = document.getElementById("row2").firstChild.textContent;
        click("theme");
        said.theme = document.documentElement.dataset.theme;
        said.address = location.hash;
        const filter = document.getElementById("filter");
        filter.value = "exp"; filter.dispatchEvent(new Event("input"));
        said.found = [text("found"), document.querySelectorAll(".line.row").length];
        filter.value = ""; filter.dispatchEvent(new Event("input"));
        document.querySelector("#graph g[data-row='3']").dispatchEvent(new MouseEvent("click", { bubbles: true }));
        said.box = explorer.state.row;
        const controls = [...document.querySelectorAll("button, input, canvas, pre, [role=listbox]")];
        said.nameless = controls.filter((e) => !e.hasAttribute("aria-label") && !e.closest("label") && e.id !== "result" && !e.textContent.trim()).map((e) => e.id);
        return said;"##;
    let trace = at([1.5, 0.5]);
    let Some(said) = on_page(&trace, "clicks", "#step=5&row=3", script) else { return };
    let steps = trace.steps().count();
    assert_eq!(said["opened"], "#step=5&row=3");
    assert_eq!(said["at_first"], format!("5 / {steps}"));
    let rows = trace.rows().len();
    assert_eq!(said["start"], serde_json::json!([format!("0 / {steps}"), ["", "", ""], rows]));
    let third = format!("3 / {steps}");
    assert_eq!(
        said["third"],
        serde_json::json!([third, "down v2 = x1 / x2 = 1.5 / 0.5 = 3", ["3", "14", ""]])
    );
    assert_eq!(said["end"], serde_json::json!([["1.5", "1", "3.01184"], ["0.5", "-2", "-13.724"]]));
    assert!(
        said["products"].as_str().unwrap().ends_with("the same number"),
        "{}",
        said["products"]
    );
    // Of the three uses of v2, the first has passed something on.
    assert_eq!(said["partial"], "1.4924 ..");
    let uses =
        ["v7: v7 = 1.4924", "v5: v5 = 1.35128", "v4: v4 * cos(v2) = 1.35128 * cos(3) = -1.33776"];
    assert_eq!(said["uses"], serde_json::json!(uses.map(|term| format!("by {term}"))));
    assert_eq!(said["followed"], 7);
    assert!(
        said["lit"].as_str().unwrap().contains("(quotient.sin() + quotient"),
        "{}",
        said["lit"]
    );
    assert_eq!(said["numbers"], "v2 = 1.5 / 0.5");
    assert!(["dark", "light"].contains(&said["theme"].as_str().unwrap()));
    assert!(said["address"].as_str().unwrap().starts_with("#step=14&row="), "{}", said["address"]);
    assert!(said["address"].as_str().unwrap().contains("&numbers=1&theme="));
    assert_eq!(said["found"], serde_json::json!([format!("1 of {rows}"), 1]));
    assert_eq!(said["box"], 3);
    assert_eq!(said["nameless"], serde_json::json!([]));
}

/// A tape of single numbers, of operations that are drawn.
fn random<'t>(mut seed: u64, inputs: &[Var<'t, f64>]) -> Var<'t, f64> {
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut values = inputs.to_vec();
    for _ in 0..40 {
        let (a, b) = (values[draw(values.len())], values[draw(values.len())]);
        let c = draw(7) as f64 - 2.5;
        values.push(match draw(30) {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            3 => a / (1.0 + b.square()),
            4 => -a,
            5 => a.sin() + c,
            6 => a.cos() * c,
            7 => a.tanh(),
            8 => a.sigmoid(),
            9 => a.softplus(),
            10 => (0.1 * a).tanh().exp(),
            11 => (a.square() + 0.5).ln(),
            12 => (a.abs() + 0.5).sqrt(),
            13 => a.maximum(b),
            14 => a.minimum(c),
            15 => a.relu(),
            16 => a.tanh().powi(3),
            17 => (a.square() + 1.0).powf(-0.7),
            18 => a.atan(),
            19 => a.tanh().asin(),
            20 => a.hypot(b + 3.0),
            21 => a.tanh().sinh(),
            22 => a.tanh().expm1(),
            23 => a.square().ln1p(),
            24 => a.greater(b) * c + a,
            25 => a.asinh(),
            26 => a.atan2(b.square() + 1.0),
            27 => a.log_add_exp(b),
            28 => (1.0 / (a.square() + 1.0)).cbrt(),
            _ => a.tanh().cosh() - a.floor() * 0.1,
        });
    }
    values[inputs.len()..].iter().copied().reduce(|a, b| a + b.tanh()).expect("there are some")
}

#[test]
fn the_evaluator_agrees_with_the_tape() {
    let points = [[0.3, -0.8, 1.7], [-1.1, 0.4, 0.9]];
    for seed in 1..4 {
        let [before, after] = points.map(|point| {
            let tape = Tape::new();
            let inputs = point.map(|x| tape.variable(x));
            let y = random(seed, &inputs);
            // An input that is left out has no row.
            let directions: Vec<_> = tape
                .trace(y)
                .rows()
                .iter()
                .filter(|row| row.number < 3)
                .map(|row| (inputs[row.number], Tensor::from(1.0 - row.number as f64)))
                .collect();
            tape.trace_along(y, &directions)
        });
        let [.., x] = points;
        let script = format!(
            "if (!explorer.editable) return {{ error: 'unknown: ' + explorer.obstacle }};\n\
             {x:?}.forEach((x, row) => explorer.rows[row].number === row && explorer.edit(row, x));\n\
             const all = (of) => explorer.rows.map((row) => row[of] === null ? null : String(row[of].elements[0]));\n\
             return {{ value: all('value'), adjoint: all('adjoint'), tangent: all('tangent'), hash: location.hash }};"
        );
        let Some(said) = on_page(&before, &format!("random{seed}"), "", &script) else { return };
        for (i, row) in after.rows().iter().enumerate() {
            let expected = [
                ("value", Some(&row.value)),
                ("adjoint", row.adjoint.as_ref()),
                ("tangent", row.tangent.as_ref()),
            ];
            for (of, expected) in expected {
                let found = said[of][i].as_str().map(|x| x.parse::<f64>().unwrap());
                let expected = expected.and_then(|values| values.item());
                assert_eq!(found.is_some(), expected.is_some(), "{of} of {}", row.name);
                let (Some(found), Some(expected)) = (found, expected) else { continue };
                // The browser's functions and ours differ in last places, which subtraction enlarges.
                let same = (found - expected).abs() <= 1e-11 * (1.0 + expected.abs());
                assert!(
                    same,
                    "seed {seed}, {of} of {} = {}: {found} {expected}",
                    row.name, row.formula
                );
            }
        }
        assert!(said["hash"].as_str().unwrap().contains("in0=-1.1") || after.rows()[0].number != 0);
    }
}

#[test]
fn ten_thousand_rows_are_a_list_of_a_few() {
    let tape = Tape::new();
    let x = tape.variable(0.5);
    let mut y = x;
    for _ in 0..10_000 {
        y = y.sin();
    }
    let script = "const box = document.getElementById('list');\n\
        const few = document.querySelectorAll('.line.row').length;\n\
        explorer.goTo(5000);\n\
        const there = document.getElementById('row4999') !== null;\n\
        return { count: explorer.rows.length, few, there, adjoint: explorer.rows[0].adjoint.elements[0] };";
    let Some(said) = on_page(&tape.trace(y), "long", "", script) else { return };
    assert_eq!(said["count"], 10_001);
    assert!((1..200).contains(&said["few"].as_u64().unwrap()), "{said}");
    assert_eq!(said["there"], true);
    assert_eq!(said["adjoint"].as_f64(), Some(y.backward().wrt(x).item()));
}

#[test]
fn a_tensor_has_a_heat_map_and_a_histogram() {
    let tape = Tape::new();
    let x = tape.variable(Tensor::from_fn([10, 10], |i| i as f64 - 50.0)).named("image");
    let y = x.square().sum();
    let script = "explorer.choose(0, false);\n\
        const paint = document.querySelector('#detail canvas').getContext('2d');\n\
        const first = [...paint.getImageData(0, 0, 1, 1).data];\n\
        const last = [...paint.getImageData(9, 9, 1, 1).data];\n\
        const labels = [...document.querySelectorAll('canvas')].map((canvas) => canvas.getAttribute('aria-label'));\n\
        return { editable: explorer.editable, first, last, labels };";
    let Some(said) = on_page(&tape.trace(y), "tensor", "", script) else { return };
    assert_eq!(said["editable"], false);
    // Blue below zero, red above.
    assert_eq!(said["first"], serde_json::json!([0, 95, 255, 255]));
    assert!(said["last"][0] == 255 && said["last"][2].as_u64().unwrap() < 20, "{said}");
    let labels = said["labels"].as_array().unwrap();
    assert_eq!(labels.len(), 4);
    assert_eq!(labels[1], "histogram of the value from -50 to 49");
}
