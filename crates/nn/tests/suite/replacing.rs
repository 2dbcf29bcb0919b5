//! Files that are written: whole or not at all, where they were, and by one run at a time.

#[cfg(target_os = "linux")]
use std::env;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::process::Command;

use indexmap::IndexMap;
use wengert_core::Tensor;
use wengert_nn::data::DataLoader;
use wengert_nn::train::{Checkpoint, Multipliers, Trainer};
use wengert_nn::{Adam, Module, Param, weights};

use crate::files::{message, place};

/// An empty folder of a test.
fn folder(name: &str) -> PathBuf {
    let folder = place(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn names(folder: &PathBuf) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn state() -> IndexMap<String, Tensor<f32>> {
    [("w".to_owned(), Tensor::from([1.0, 2.0]))].into()
}

#[cfg(unix)]
#[test]
fn links_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = folder("replaced");
    let (target, link) = (folder.join("deep/target"), folder.join("link"));
    fs::create_dir(folder.join("deep")).unwrap();
    fs::write(&target, "earlier").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("deep/target", &link).unwrap();
    weights::save(&link, &state()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(weights::load::<f32>(&target).unwrap(), state());
    // A link to what is not there yet.
    symlink("deep/new", folder.join("ahead")).unwrap();
    weights::save(folder.join("ahead"), &state()).unwrap();
    assert_eq!(weights::load::<f32>(folder.join("deep/new")).unwrap(), state());
    assert_eq!(names(&folder), ["ahead", "deep", "link"]);
    assert_eq!(names(&folder.join("deep")), ["new", "target"]);
}

#[cfg(unix)]
#[test]
fn a_device_stays_one() {
    use std::os::unix::fs::FileTypeExt;

    weights::save("/dev/null", &state()).unwrap();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let folder = folder("failed");
    // A folder has the name, so that the last step fails.
    fs::create_dir(folder.join("net")).unwrap();
    let said = message(weights::save(folder.join("net"), &state()));
    assert!(said.contains("directory"), "{said}");
    assert_eq!(names(&folder), ["net"]);
}

/// A process that may write no more than 32 KB, as on a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_file_that_was_there() {
    const CHILD: &str = "WENGERT_TEST_FULL_DISK";
    if let Some(path) = env::var_os(CHILD) {
        let large = [("w".to_owned(), Tensor::<f32>::zeros([1 << 20]))].into();
        return println!("<<{}>>", message(weights::save(path, &large)));
    }
    let folder = folder("full");
    let path = folder.join("net");
    weights::save(&path, &state()).unwrap();
    let name = "replacing::a_full_disk_leaves_the_file_that_was_there";
    let script = format!("trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact {name} --nocapture");
    let mut child = Command::new("sh");
    child.args(["-c", &script]).arg(env::current_exe().unwrap()).env(CHILD, &path);
    let said = String::from_utf8(child.output().unwrap().stdout).unwrap();
    assert!(said.contains("<<File too large"), "{said}");
    assert_eq!(weights::load::<f32>(&path).unwrap(), state());
    assert_eq!(names(&folder), ["net"]);
    let said = message(weights::save("/dev/full", &state()));
    assert!(said.contains("No space left on device"), "{said}");
}

/// A process that was killed had the number of this one, as in a container.
#[test]
fn what_a_killed_run_left_does_not_matter() {
    let folder = folder("killed");
    let left = |number: u32| format!("net.{}-{number}.partial", std::process::id());
    for number in 0..10_000 {
        fs::write(folder.join(left(number)), "half").unwrap();
    }
    weights::save(folder.join("net"), &state()).unwrap();
    assert_eq!(weights::load::<f32>(folder.join("net")).unwrap(), state());
    assert_eq!(names(&folder).len(), 10_001);
}

#[test]
fn every_bit_of_a_checkpoint_counts() {
    let path = place("bits.safetensors");
    let net = (Param::new([1.0_f32, 2.0]).with_rate(0.5), Param::new(3.0).with_decay(0.0));
    let mut checkpoint = Checkpoint::of(&net, &Adam::new(0.1));
    checkpoint.epochs = 3;
    checkpoint.save(&path).unwrap();
    let content = fs::read(&path).unwrap();
    let loaded = Checkpoint::<f32>::load(&path).unwrap();
    assert_eq!(loaded.model, checkpoint.model);
    for at in 0..content.len() {
        let mut damaged = content.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).unwrap();
        // A blank of the head that became another blank says the same.
        if let Ok(other) = Checkpoint::<f32>::load(&path) {
            assert_eq!(format!("{other:?}"), format!("{loaded:?}"), "byte {at}");
        }
    }
    let mut damaged = content;
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&path, &damaged).unwrap();
    let said = message(Checkpoint::<f32>::load(&path));
    assert!(said.ends_with(": the file is damaged"), "{said}");
}

#[test]
fn multipliers_are_part_of_a_checkpoint() {
    let path = place("multipliers.safetensors");
    let mut net = (Param::new([1.0_f32, 2.0]).with_rate(0.1), Param::new(3.0));
    net.1.set_trainable(false);
    Checkpoint::of(&net, &Adam::new(0.1)).save(&path).unwrap();
    let mut fresh = (Param::new([0.0_f32, 0.0]), Param::new(0.0).with_decay(0.0));
    let checkpoint = Checkpoint::load(&path).unwrap();
    checkpoint.restore(&mut fresh, &mut Adam::new(0.1)).unwrap();
    assert_eq!(fresh.parameter_vector(), net.parameter_vector());
    assert_eq!((fresh.0.rate(), fresh.1.decay()), (0.1, 1.0));
    assert_eq!((fresh.0.is_trainable(), fresh.1.is_trainable()), (true, false));
    let saved = Multipliers { rate: 1.0, decay: 1.0, trainable: false };
    assert_eq!(checkpoint.multipliers["1"], saved);
}

#[test]
fn two_runs_do_not_share_a_checkpoint() {
    let path = place("shared.safetensors");
    let _ = fs::remove_file(&path);
    let loader = DataLoader::new(Tensor::from([[1.0_f64], [2.0]]), 2);
    let run = |hook: &mut dyn FnMut()| {
        let mut trainer = Trainer::new(1).quiet().checkpoint(&path).on_epoch(|_, _| {
            hook();
            ControlFlow::Continue(())
        });
        trainer.fit(&mut Param::new([1.0]), &mut Adam::new(0.1), &loader, |net, tape, x, _| {
            (net.on(tape) * tape.constant(x)).sum()
        })
    };
    let mut said = None;
    run(&mut || said = Some(message(run(&mut || {})))).unwrap();
    assert_eq!(said.unwrap(), "another run writes this checkpoint");
    run(&mut || {}).unwrap();
}
