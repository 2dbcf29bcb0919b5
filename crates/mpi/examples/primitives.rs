//! What `crates/mpi/ci` asks of the exchange itself: that bytes and numbers come where they belong, also
//! where a call of the library takes less than there is.

use std::process::ExitCode;

use wengert::nn::train::{Exchange, Group};
use wengert_mpi::Cluster;

/// What a rank has at a place.
fn x(rank: usize, i: usize) -> f64 {
    (1000 * rank + i) as f64
}

fn check(cluster: &Cluster) -> Result<(), String> {
    let (rank, size) = (cluster.rank(), cluster.size());
    let own: Vec<u8> = (0..3 * rank).map(|i| (rank + i) as u8).collect();
    for (of, bytes) in cluster.gather(&own).into_iter().enumerate() {
        let expected: Vec<u8> = (0..3 * of).map(|i| (of + i) as u8).collect();
        if bytes != expected {
            return Err(format!("gather: expected {expected:?} of rank {of}, got {bytes:?}"));
        }
    }
    let first: Vec<u8> = (0..=255).collect();
    let own = if rank == 0 { first.clone() } else { vec![7; rank] };
    if cluster.broadcast(own) != first {
        return Err("broadcast: expected the bytes of rank 0".to_owned());
    }
    // Rank `a` sends `a + b` numbers to rank `b`.
    let sent: Vec<usize> = (0..size).map(|to| rank + to).collect();
    let own: Vec<f64> = (0..sent.iter().sum()).map(|i| x(rank, i)).collect();
    let mut all = vec![0.0; sent.iter().sum()];
    cluster.all_to_all(&own, &sent, &mut all, &sent);
    let of = |from: usize| {
        let start: usize = (0..rank).map(|to| from + to).sum();
        (start..start + from + rank).map(move |i| x(from, i))
    };
    if all != (0..size).flat_map(of).collect::<Vec<f64>>() {
        return Err(format!("all-to-all: got {all:?}"));
    }
    let lengths: Vec<usize> = (0..size).map(|rank| 2 * rank + 1).collect();
    let own: Vec<f64> = (0..lengths[rank]).map(|i| x(rank, i)).collect();
    let mut all = vec![0.0; lengths.iter().sum()];
    cluster.all_gather(&own, &mut all, &lengths);
    let expected = (0..size).flat_map(|rank| (0..2 * rank + 1).map(move |i| x(rank, i)));
    if all != expected.collect::<Vec<f64>>() {
        return Err(format!("all-gather: got {all:?}"));
    }
    cluster.barrier();
    Ok(())
}

fn main() -> ExitCode {
    let mut cluster = match wengert_mpi::start() {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut checked = Ok(());
    for limit in [i32::MAX as usize, 1000, 7, 1] {
        cluster = cluster.limit(limit);
        checked = checked.and_then(|()| check(&cluster));
    }
    if checked.is_ok() && cluster.is_first() {
        println!("all is where it belongs, on {} processes", cluster.size());
    }
    cluster.finish(checked)
}
