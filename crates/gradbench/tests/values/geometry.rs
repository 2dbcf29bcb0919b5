//! ba and ht.

use serde_json::{Value, json};

use crate::number::{Big, big, bigs, differences, floats};
use crate::{Draw, assert_close, numbers, output};

fn dot(a: &[Big], b: &[Big]) -> Big {
    crate::number::sum(a.iter().zip(b).map(|(a, b)| a * b))
}

fn cross(a: &[Big], b: &[Big]) -> Vec<Big> {
    (0..3)
        .map(|i| {
            let (j, k) = ((i + 1) % 3, (i + 2) % 3);
            &(&a[j] * &b[k]) - &(&a[k] * &b[j])
        })
        .collect()
}

/// The three errors of an observation: of a camera's 11 numbers, a point's 3, and the weight.
fn observation(own: &[Big], seen: &[f64], turns: bool) -> Vec<Big> {
    let (r, point) = (&own[..3], &own[11..14]);
    let x: Vec<Big> = (0..3).map(|i| &point[i] - &own[3 + i]).collect();
    let y: Vec<Big> = if turns {
        let angle = dot(r, r).sqrt();
        let axis: Vec<Big> = r.iter().map(|r| r / &angle).collect();
        let (across, along) = (cross(&axis, &x), dot(&axis, &x) * (big(1.0) - angle.cos()));
        (0..3)
            .map(|i| &x[i] * &angle.cos() + &across[i] * &angle.sin() + &axis[i] * &along)
            .collect()
    } else {
        cross(r, &x).iter().zip(&x).map(|(c, x)| c + x).collect()
    };
    let e = [&y[0] / &y[2], &y[1] / &y[2]];
    let square = dot(&e, &e);
    let distortion = big(1.0) + &own[9] * &square + &own[10] * &(&square * &square);
    let weight = &own[14];
    let error =
        |i: usize| weight * &((&own[6] * &(&distortion * &e[i])) + own[7 + i].clone() - seen[i]);
    let errors = [error(0), error(1)];
    [errors.to_vec(), vec![big(1.0) - weight * weight]].concat()
}

#[test]
fn bundles() {
    let cases = [
        (1, 1, 1, true),
        (2, 3, 4, true),
        (3, 5, 7, false),
        (5, 11, 512, true),
        (4, 9, 1100, true),
    ];
    for (n, m, p, turns) in cases {
        let mut draw = Draw((n * m * p) as u64);
        let mut camera = draw.vector(11);
        if !turns {
            camera[..3].fill(0.0);
        }
        let (x, w, seen) = (draw.vector(3), 0.75, draw.vector(2));
        let own = [&camera[..], &x, &[w]].concat();
        let input = json!({ "n": n, "m": m, "p": p, "cam": camera, "x": x, "w": w, "feat": seen });
        let errors = floats(&observation(&bigs(&own), &seen, turns));
        let objective = output("ba", "objective", &input);
        assert_close(&numbers(&objective["reproj_error"]["elements"]), &errors[..2], "ba");
        assert_close(&numbers(&objective["w_err"]["element"]), &errors[2..], "ba");
        let repeated = [&objective["reproj_error"]["repeated"], &objective["w_err"]["repeated"]];
        assert_eq!(repeated, [&json!(p); 2]);

        // The whole matrix, row by row.
        let partials = differences(|own| observation(own, &seen, turns), &own);
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for i in 0..p {
            for row in 0..2 {
                columns.extend((0..11).map(|j| i % n * 11 + j));
                columns.extend((0..3).map(|j| 11 * n + i % m * 3 + j));
                columns.push(11 * n + 3 * m + i);
                values.extend(partials.iter().map(|partial| partial[row]));
                starts.push(columns.len());
            }
        }
        for i in 0..p {
            columns.push(11 * n + 3 * m + i);
            values.push(-2.0 * w);
            starts.push(columns.len());
        }
        assert_eq!((starts.len(), columns.len()), (3 * p + 1, 31 * p));
        let jacobian = output("ba", "jacobian", &input);
        let whole =
            |list: &[usize]| excerpt(list).into_iter().map(|&x| x as f64).collect::<Vec<_>>();
        assert_eq!(numbers(&jacobian["rows"]), whole(&starts));
        assert_eq!(numbers(&jacobian["cols"]), whole(&columns));
        let values: Vec<f64> = excerpt(&values).into_iter().copied().collect();
        assert_close(&numbers(&jacobian["vals"]), &values, "ba");
    }
}

/// The first thirty, and the last.
fn excerpt<X>(list: &[X]) -> Vec<&X> {
    list.iter().take(30).chain(list.last()).collect()
}

type Matrix = Vec<Vec<Big>>;

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let entry = |row: &[Big], j: usize| {
        crate::number::sum(row.iter().zip(b).map(|(x, other)| x * &other[j]))
    };
    a.iter().map(|row| (0..b[0].len()).map(|j| entry(row, j)).collect()).collect()
}

/// A rotation about an axis of the coordinates.
fn about(axis: usize, angle: &Big) -> Matrix {
    let mut matrix: Matrix =
        (0..4).map(|i| (0..4).map(|j| big(f64::from(i == j))).collect()).collect();
    let (i, j) = ((axis + 1) % 3, (axis + 2) % 3);
    (matrix[i][i], matrix[j][j]) = (angle.cos(), angle.cos());
    (matrix[i][j], matrix[j][i]) = (-angle.sin(), angle.sin());
    matrix
}

/// The skin's errors, of the pose and then the coordinates.
fn hand(p: &[Big], data: &Value, is_complicated: bool) -> Vec<Big> {
    let (theta, us) = p.split_at(26);
    let model = &data["model"];
    let matrices = |name: &str| -> Vec<Matrix> {
        let all = model[name].as_array().unwrap();
        all.iter()
            .map(|m| m.as_array().unwrap().iter().map(|row| bigs(&numbers(row))).collect())
            .collect()
    };
    let (relatives, inverses) = (matrices("base_relatives"), matrices("inverse_base_absolutes"));
    let parents = numbers(&model["parents"]);
    let mut angles = vec![[big(0.0), big(0.0), big(0.0)]; parents.len()];
    for f in 0..5 {
        let (k, bone) = (6 + 4 * f, 2 + 4 * f);
        angles[bone][0] = theta[k].clone();
        angles[bone][1] = theta[k + 1].clone();
        angles[bone + 1][0] = theta[k + 2].clone();
        angles[bone + 2][0] = theta[k + 3].clone();
    }
    let mut absolutes: Vec<Matrix> = Vec::new();
    for (bone, [a0, a1, a2]) in angles.iter().enumerate() {
        let turned = product(&about(2, a1), &product(&about(1, a2), &about(0, a0)));
        let relative = product(&relatives[bone], &turned);
        let parent = parents[bone];
        absolutes.push(if parent < 0.0 {
            relative
        } else {
            product(&absolutes[parent as usize], &relative)
        });
    }
    let transforms: Vec<Matrix> =
        absolutes.iter().zip(&inverses).map(|(a, b)| product(a, b)).collect();
    let whole = {
        let angle = dot(&theta[..3], &theta[..3]).sqrt();
        if angle.to_f64() < 1e-4 {
            None
        } else {
            let axis: Vec<Big> = theta[..3].iter().map(|t| t / &angle).collect();
            Some((axis, angle))
        }
    };
    let vertex = |v: usize| -> Vec<Big> {
        let position: Matrix =
            numbers(&model["base_positions"][v]).iter().map(|&x| vec![big(x)]).collect();
        let mut moved = vec![big(0.0); 3];
        for (transform, weight) in transforms.iter().zip(numbers(&model["weights"][v])) {
            let at = product(transform, &position);
            (0..3).for_each(|i| moved[i] = &moved[i] + &(at[i][0].clone() * weight));
        }
        if model["is_mirrored"] == json!(true) {
            moved[0] = -moved[0].clone();
        }
        if let Some((axis, angle)) = &whole {
            let (across, along) =
                (cross(axis, &moved), dot(axis, &moved) * (big(1.0) - angle.cos()));
            moved = (0..3)
                .map(|i| &moved[i] * &angle.cos() + &across[i] * &angle.sin() + &axis[i] * &along)
                .collect();
        }
        (0..3).map(|i| &moved[i] + &theta[3 + i]).collect()
    };
    let mut errors = Vec::new();
    for (i, of) in numbers(&data["correspondences"]).into_iter().enumerate() {
        let surface = if is_complicated {
            let corners: Vec<Vec<Big>> = numbers(&model["triangles"][of as usize])
                .into_iter()
                .map(|v| vertex(v as usize))
                .collect();
            let (u, v) = (&us[2 * i], &us[2 * i + 1]);
            let w = big(1.0) - u.clone() - v.clone();
            (0..3).map(|j| u * &corners[0][j] + v * &corners[1][j] + &w * &corners[2][j]).collect()
        } else {
            vertex(of as usize)
        };
        let measured = numbers(&data["points"][i]);
        errors.extend((0..3).map(|j| big(measured[j]) - surface[j].clone()));
    }
    errors
}

/// A hand of few vertices.
fn small_hand(draw: &mut Draw, is_mirrored: bool, is_complicated: bool) -> Value {
    let (bones, vertices, n) = (22, 6, 4);
    let matrices = |draw: &mut Draw| -> Vec<Vec<Vec<f64>>> {
        (0..bones)
            .map(|_| {
                let mut matrix = draw.matrix(3, 4);
                matrix.push(vec![0.0, 0.0, 0.0, 1.0]);
                matrix
            })
            .collect()
    };
    let parents: Vec<i64> = (0..bones)
        .map(|b| {
            if b < 2 {
                b - 1
            } else if b % 4 == 2 {
                0
            } else {
                b - 1
            }
        })
        .collect();
    let mut positions = draw.matrix(vertices, 3);
    positions.iter_mut().for_each(|position| position.push(1.0));
    let below = if is_complicated { 3 } else { vertices };
    json!({
        "model": {
            "bone_count": bones,
            "bone_names": vec!["bone"; bones as usize],
            "parents": parents,
            "base_relatives": matrices(draw),
            "inverse_base_absolutes": matrices(draw),
            "base_positions": positions,
            "weights": draw.matrix(vertices, bones as usize),
            "triangles": [[0, 1, 2], [3, 5, 4], [2, 4, 0]],
            "is_mirrored": is_mirrored,
        },
        "correspondences": (0..n).map(|i| (5 * i + 1) % below).collect::<Vec<_>>(),
        "points": draw.matrix(n, 3),
    })
}

#[test]
fn hands() {
    for (case, [is_mirrored, is_complicated, turns]) in
        [[false, true, true], [true, false, true], [true, true, false]].into_iter().enumerate()
    {
        let mut draw = Draw(case as u64 + 1);
        let mut theta = draw.vector(26);
        if !turns {
            theta[..3].fill(1e-6);
        }
        let data = small_hand(&mut draw, is_mirrored, is_complicated);
        let us = if is_complicated { draw.matrix(4, 2) } else { Vec::new() };
        let input = json!({ "theta": theta, "us": us, "data": data });
        let parameters = [theta, us.concat()].concat();
        let f = |p: &[Big]| hand(p, &data, is_complicated);
        let errors = floats(&f(&bigs(&parameters)));
        assert_close(&numbers(&output("ht", "objective", &input)), &errors, "ht");
        let by_input = differences(f, &parameters);
        let expected: Vec<f64> = (0..12)
            .flat_map(|row| {
                let own = (0..us.len().min(1) * 2).map(move |k| 26 + row / 3 * 2 + k);
                own.chain(0..26).map(|input| by_input[input][row]).collect::<Vec<_>>()
            })
            .collect();
        let jacobian = output("ht", "jacobian", &input);
        assert_eq!(jacobian.as_array().unwrap().len(), 12);
        assert_close(&numbers(&jacobian), &expected, "ht");
    }
}
