//! Where boxes stand: in layers from top to bottom, as Sugiyama, Tagawa and Toda lay graphs out ("Methods
//! for visual understanding of hierarchical system structures", IEEE Trans. SMC 11, 1981).
//!
//! A box stands below all that it reads. Arcs over several layers get a point in each, so that they
//! run between the boxes. Within a layer, boxes are ordered by the mean position of their neighbours, and
//! then moved towards it as far as there is room.

use std::collections::HashMap;

/// Sweeps over the layers to order them, and to move their boxes.
const ORDERINGS: usize = 12;
const MOVES: usize = 40;

/// Boxes and arcs in the plane.
pub(super) struct Layout {
    /// The middle of each box.
    pub(super) x: Vec<f64>,
    /// The layer of each box.
    pub(super) layer: Vec<usize>,
    /// Of each arc, the middles of the points that it runs through, one in each layer between its ends.
    pub(super) bends: Vec<Vec<f64>>,
    pub(super) layers: usize,
    /// The width of the whole; all boxes stand between 0 and this.
    pub(super) width: f64,
}

/// Boxes, and the points of long arcs.
struct Points {
    width: Vec<f64>,
    /// Neighbours above and below.
    near: [Vec<Vec<usize>>; 2],
    /// How hard each is to move away from where it wants to be.
    weight: Vec<f64>,
    /// The points of each layer, from left to right.
    layers: Vec<Vec<usize>>,
    x: Vec<f64>,
}

/// Boxes that read nothing stand beside those that read them, and do not draw them to their side.
const LEAF: f64 = 0.02;

/// Lays out boxes of the given widths, with a gap between them. Arcs lead to later boxes.
pub(super) fn layout(width: &[f64], arcs: &[(usize, usize)], gap: f64) -> Layout {
    let layer = layers(width.len(), arcs);
    let count = layer.iter().max().map_or(0, |last| last + 1);
    let mut points = Points {
        width: width.iter().map(|width| width + gap).collect(),
        near: [vec![Vec::new(); width.len()], vec![Vec::new(); width.len()]],
        weight: vec![LEAF; width.len()],
        layers: vec![Vec::new(); count],
        x: Vec::new(),
    };
    arcs.iter().for_each(|&(_, to)| points.weight[to] = 1.0);
    for (index, &layer) in layer.iter().enumerate() {
        points.layers[layer].push(index);
    }
    let mut bends = Vec::new();
    // Arcs of one source share their points.
    let mut shared: HashMap<(usize, usize), usize> = HashMap::new();
    for &(from, to) in arcs {
        let mut last = from;
        let mut own = Vec::new();
        for between in layer[from] + 1..layer[to] {
            let next = *shared.entry((from, between)).or_insert_with(|| points.bend(between, gap));
            points.join(last, next);
            own.push(next);
            last = next;
        }
        points.join(last, to);
        bends.push(own);
    }
    points.order();
    points.place();
    let half = |index: usize| points.width[index] / 2.0;
    let left = (0..width.len()).map(|i| points.x[i] - half(i)).fold(f64::INFINITY, f64::min);
    let right = (0..width.len()).map(|i| points.x[i] + half(i)).fold(0.0, f64::max);
    Layout {
        x: points.x[..width.len()].iter().map(|x| x - left).collect(),
        bends: bends
            .iter()
            .map(|bend| bend.iter().map(|&i| points.x[i] - left).collect())
            .collect(),
        layer,
        layers: count,
        width: right - left,
    }
}

/// The layer of each box: below what it reads; what reads nothing stands right above its first reader.
fn layers(count: usize, arcs: &[(usize, usize)]) -> Vec<usize> {
    let mut layer = vec![0; count];
    let mut sorted = arcs.to_vec();
    sorted.sort_by_key(|&(_, to)| to);
    for &(from, to) in &sorted {
        layer[to] = layer[to].max(layer[from] + 1);
    }
    let mut first_reader = vec![usize::MAX; count];
    let mut reads = vec![false; count];
    for &(from, to) in arcs {
        first_reader[from] = first_reader[from].min(layer[to]);
        reads[to] = true;
    }
    for index in (0..count).filter(|&index| !reads[index] && first_reader[index] < usize::MAX) {
        layer[index] = first_reader[index] - 1;
    }
    layer
}

impl Points {
    fn bend(&mut self, layer: usize, gap: f64) -> usize {
        let index = self.width.len();
        self.width.push(gap);
        self.weight.push(1.0);
        self.near.iter_mut().for_each(|near| near.push(Vec::new()));
        self.layers[layer].push(index);
        index
    }

    fn join(&mut self, above: usize, below: usize) {
        if !self.near[1][above].contains(&below) {
            self.near[1][above].push(below);
            self.near[0][below].push(above);
        }
    }

    /// Orders each layer by the mean position of its neighbours, downwards and upwards in turns.
    fn order(&mut self) {
        let mut position = vec![0.0; self.width.len()];
        let set = |layer: &[usize], position: &mut [f64]| {
            for (i, &index) in layer.iter().enumerate() {
                position[index] = i as f64 - (layer.len() as f64 - 1.0) / 2.0;
            }
        };
        self.layers.iter().for_each(|layer| set(layer, &mut position));
        for sweep in 0..ORDERINGS {
            let side = sweep % 2;
            let mut turn: Vec<usize> = (0..self.layers.len()).collect();
            if side == 1 {
                turn.reverse();
            }
            for layer in turn {
                let mean = |index: usize| {
                    let near = &self.near[side][index];
                    match near.len() {
                        0 => position[index],
                        count => near.iter().map(|&i| position[i]).sum::<f64>() / count as f64,
                    }
                };
                let mut keyed: Vec<(f64, usize)> =
                    self.layers[layer].iter().map(|&index| (mean(index), index)).collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.layers[layer] = keyed.into_iter().map(|(_, index)| index).collect();
                set(&self.layers[layer], &mut position);
            }
        }
    }

    /// Moves each point towards its neighbours; points of a layer stay apart and in order.
    fn place(&mut self) {
        self.x = vec![0.0; self.width.len()];
        for layer in &self.layers {
            let total: f64 = layer.iter().map(|&index| self.width[index]).sum();
            let mut left = -total / 2.0;
            for &index in layer {
                self.x[index] = left + self.width[index] / 2.0;
                left += self.width[index];
            }
        }
        for sweep in 0..MOVES {
            let mut turn: Vec<usize> = (0..self.layers.len()).collect();
            if sweep % 2 == 1 {
                turn.reverse();
            }
            for layer in turn {
                let wanted: Vec<f64> = self.layers[layer]
                    .iter()
                    .map(|&index| {
                        let near = self.near.iter().flat_map(|near| &near[index]);
                        let (sum, weight) = near.fold((0.0, 0.0), |(sum, weight), &i| {
                            (sum + self.weight[i] * self.x[i], weight + self.weight[i])
                        });
                        if weight > 0.0 { sum / weight } else { self.x[index] }
                    })
                    .collect();
                self.settle(layer, &wanted);
            }
        }
    }

    /// Puts a layer as near to where it wants to be as the order and the widths allow, in least squares: what
    /// would overlap is joined to blocks, which stand at the mean of what their boxes want.
    fn settle(&mut self, layer: usize, wanted: &[f64]) {
        let row = &self.layers[layer];
        // Where the box would stand if all that is left of it stood side by side, from 0 on.
        let mut offsets = Vec::new();
        let mut left = 0.0;
        for &index in row {
            offsets.push(left + self.width[index] / 2.0);
            left += self.width[index];
        }
        // Sum of weights and of weighted places, and the number of boxes.
        let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
        for ((&index, wanted), offset) in row.iter().zip(wanted).zip(&offsets) {
            let weight = self.weight[index];
            let mut block = (weight, weight * (wanted - offset), 1);
            while let Some(before) = blocks.pop_if(|before| before.1 / before.0 > block.1 / block.0)
            {
                block = (before.0 + block.0, before.1 + block.1, before.2 + block.2);
            }
            blocks.push(block);
        }
        let places = blocks
            .iter()
            .flat_map(|&(weight, sum, count)| std::iter::repeat_n(sum / weight, count));
        for ((&index, place), offset) in row.iter().zip(places).zip(&offsets) {
            self.x[index] = place + offset;
        }
    }
}
