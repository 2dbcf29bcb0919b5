//! Ops that compute nothing: for each element of the result, where it comes from.

use std::any::Any;

use wengert_core::op::{BroadcastTo, Concat, Pad, Permute, Reshape, Slice, Stack, Triangle};

use crate::array::with;
use crate::estimate::exact;
use crate::{Array, What, indices};

/// The elements of a result, as a function of the index.
fn moved(shape: Vec<usize>, from: impl Fn(&[usize]) -> f64) -> Option<What> {
    let elements = indices(&shape).map(|index| exact(from(&index))).collect();
    Some((shape, elements).into())
}

/// The shape of `x` with another extent along an axis.
fn with_extent(x: &Array, axis: usize, extent: usize) -> Vec<usize> {
    with(&x.shape, axis, extent)
}

pub(crate) fn define(op: &dyn Any, args: &[Array]) -> Option<What> {
    let x = args.first()?;
    if let Some(BroadcastTo { shape }) = op.downcast_ref() {
        return moved(shape.to_vec(), |index| x.stretched_at(index));
    }
    if let Some(Reshape { shape }) = op.downcast_ref() {
        let elements = x.elements.iter().map(|&x| exact(x)).collect();
        return Some((shape.to_vec(), elements).into());
    }
    if let Some(Permute { order }) = op.downcast_ref() {
        let shape = order.iter().map(|&axis| x.shape[axis]).collect();
        return moved(shape, |index| {
            let mut from = vec![0; index.len()];
            order.iter().zip(index).for_each(|(&axis, &i)| from[axis] = i);
            x.at(&from)
        });
    }
    if let Some(&Slice { axis, start, count, step }) = op.downcast_ref() {
        return moved(with_extent(x, axis, count), |index| {
            let place = start as isize + step * index[axis] as isize;
            x.at(&with(index, axis, place as usize))
        });
    }
    if let Some(&Pad { axis, start, step, extent }) = op.downcast_ref() {
        let mut from = vec![None; extent];
        for i in 0..x.shape[axis] {
            from[(start as isize + step * i as isize) as usize] = Some(i);
        }
        return moved(with_extent(x, axis, extent), |index| {
            from[index[axis]].map_or(0.0, |i| x.at(&with(index, axis, i)))
        });
    }
    if let Some(&Concat { axis }) = op.downcast_ref() {
        let extent = args.iter().map(|arg| arg.shape[axis]).sum();
        return moved(with_extent(x, axis, extent), |index| {
            let mut i = index[axis];
            for arg in args {
                if i < arg.shape[axis] {
                    return arg.at(&with(index, axis, i));
                }
                i -= arg.shape[axis];
            }
            unreachable!("the extents of the operands add up")
        });
    }
    if let Some(&Stack { axis }) = op.downcast_ref() {
        let mut shape = x.shape.clone();
        shape.insert(axis, args.len());
        return moved(shape, |index| {
            let mut rest = index.to_vec();
            args[rest.remove(axis)].at(&rest)
        });
    }
    if let Some(&Triangle { upper, diagonal }) = op.downcast_ref() {
        return moved(x.shape.clone(), |index| {
            let [.., row, column] = index[..] else { panic!("a triangle of {:?}", x.shape) };
            let beyond = column as isize - row as isize - diagonal;
            if if upper { beyond >= 0 } else { beyond <= 0 } { x.at(index) } else { 0.0 }
        });
    }
    None
}
