//! Runs that end within an epoch, by a panic, by SIGKILL and by Ctrl-C, and go on to the same bits.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use wengert_nn::train::{Best, Checkpoint, Report, Trainer};
use wengert_nn::{Adam, Module};

use crate::files::place;
use crate::training::{Net, bits, loaders, loss, trainer};

const EPOCHS: usize = 3;

/// A run with all that one can carry: dropout, a buffer, Adam's memory, an order, a best epoch, an
/// average, metrics.
fn run(trainer: Trainer<'_, Net>, shards: usize) -> (Vec<u64>, Vec<u64>, Report) {
    let (mut net, mut adam, (train, validation)) = (Net::new(), Adam::new(1.0), loaders());
    let mut trainer = trainer.average(0.8).keep_best(Best::lowest("validation loss")).accumulate(2);
    let data = (&train, &validation);
    let report = match shards {
        0 => trainer.fit(&mut net, &mut adam, data, loss),
        _ => trainer.fit_parallel(shards, &mut net, &mut adam, data, loss),
    };
    (bits(net.state_dict()), bits(adam.state_dict(&net)), report.unwrap())
}

/// Seven batches are four steps an epoch; a panic comes after each of the twelve in turn.
#[test]
fn a_run_goes_on_within_an_epoch() {
    let path = place("within.safetensors");
    for shards in [0, 2] {
        let (weights, memory, report) = run(trainer(EPOCHS), shards);
        let every: &[usize] = if shards == 0 { &[1, 3] } else { &[2] };
        for last in 0..12 {
            for &every in every {
                let _ = fs::remove_file(&path);
                let saving = || trainer(EPOCHS).checkpoint(&path).checkpoint_every(every).resume();
                let killed = catch_unwind(AssertUnwindSafe(|| {
                    run(saving().on_step(|_, at, _| assert!(at.step() < last, "killed")), shards)
                }));
                assert!(killed.is_err());
                if last == 2 && every == 1 {
                    let saved = Checkpoint::<f64>::load(&path).unwrap();
                    assert_eq!((saved.epochs, saved.batches, saved.steps), (0, 4, 2));
                    assert!(saved.metrics.value("accuracy").is_some());
                }
                let mut first = None;
                let hook = saving().on_step(|_, progress, _| {
                    first.get_or_insert(progress.step());
                });
                let (resumed, moments, again) = run(hook, shards);
                let case = format!("{last} {every} {shards}");
                assert!(first.unwrap() + every > last, "{case}: {first:?}");
                assert_eq!((resumed, moments), (weights.clone(), memory.clone()), "{case}");
                assert_eq!(again.history.to_csv(), report.history.to_csv(), "{case}");
                assert_eq!((again.epoch, again.reason), (report.epoch, report.reason), "{case}");
            }
        }
    }
    // By time: at once is after every step.
    let _ = fs::remove_file(&path);
    let saving = trainer(EPOCHS).checkpoint(&path).checkpoint_every(Duration::ZERO);
    let seen = saving.on_step(|_, progress, _| {
        if progress.step() > 0 {
            assert_eq!(Checkpoint::<f64>::load(&path).unwrap().steps, progress.step() as u64);
        }
    });
    run(seen, 0);
}

/// Tells a test that it is the process to be interrupted: what it does, and where its checkpoint is.
const CHILD: &str = "WENGERT_INTERRUPTED";

/// Trains, and waits for a line after each step and at the end.
fn child(path: &Path) {
    let say = |what: &str| {
        // Not by `println`, which the test program might keep to itself.
        let mut out = io::stdout();
        writeln!(out, "child: {what}").unwrap();
        out.flush().unwrap();
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).unwrap();
        // In this thread, so that it has come when the step ends, on a busy machine too.
        #[cfg(unix)]
        if answer.trim_end() == "ctrl-c" {
            signal_hook::low_level::raise(signal_hook::consts::SIGINT).unwrap();
        }
    };
    let (mut net, mut adam, (train, validation)) = (Net::new(), Adam::new(1.0), loaders());
    let rate = |epoch: usize| 0.05 * 0.8_f64.powi(epoch as i32);
    let report = Trainer::new(EPOCHS)
        .seed(9)
        .schedule(move |progress| rate(progress.epoch))
        .checkpoint(path)
        .checkpoint_every(2)
        .resume()
        .interruptible()
        .on_step(|_, progress, _| say(&format!("step {}", progress.step())))
        .fit(&mut net, &mut adam, (&train, &validation), loss)
        .unwrap();
    say(&format!("{:?} {:?}", report.reason, bits(net.state_dict())));
}

/// A test of this file as a process of its own.
struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(test: &str, path: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([&format!("interruptions::{test}"), "--exact", "--nocapture"])
            .env(CHILD, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, stdin, stdout: BufReader::new(stdout) }
    }

    /// What it says next; nothing at its end.
    fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some((_, words)) = line.trim_end().split_once("child: ") {
                return Some(words.to_owned());
            }
        }
    }

    /// Waits until it says something, and lets it go on after all that is said before.
    fn wait_for(&mut self, what: &str) -> String {
        loop {
            let words = self.hear().expect("it speaks");
            if words.starts_with(what) {
                return words;
            }
            self.answer();
        }
    }

    fn answer(&mut self) {
        writeln!(self.stdin).unwrap();
    }

    /// What it wrote to standard error, after its end.
    fn errors(mut self) -> String {
        drop(self.stdin);
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        self.child.wait().unwrap();
        text
    }
}

#[test]
fn kill_9_within_an_epoch_changes_no_bit() {
    if let Some(path) = env::var_os(CHILD) {
        return child(Path::new(&path));
    }
    let path = place("killed-within.safetensors");
    let _ = fs::remove_file(&path);
    let start = || Process::start("kill_9_within_an_epoch_changes_no_bit", &path);
    let mut last = 0;
    for step in [3, 5, 10, 16] {
        let mut process = start();
        let first = process.wait_for("step");
        let first: usize = first.strip_prefix("step ").unwrap().parse().unwrap();
        assert!(first >= last, "{first} {last}");
        process.answer();
        process.wait_for(&format!("step {step}"));
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        // Steps 0 to `step - 1` are done for sure, and every second of an epoch is written.
        last = if step % 7 < 2 { step - step % 7 } else { step - 2 };
    }
    let mut process = start();
    let said = process.wait_for("Epochs");
    process.answer();
    assert_eq!(said, format!("Epochs {:?}", whole()));
}

/// The bits of the child's run without any interruption.
fn whole() -> Vec<u64> {
    let (mut net, mut adam, (train, validation)) = (Net::new(), Adam::new(1.0), loaders());
    trainer(EPOCHS).fit(&mut net, &mut adam, (&train, &validation), loss).unwrap();
    bits(net.state_dict())
}

#[cfg(unix)]
mod signals {
    use std::os::unix::process::ExitStatusExt;
    use std::thread::sleep;

    use super::*;

    const SIGINT: i32 = 2;

    impl Process {
        fn press_ctrl_c(&self) {
            let id = self.child.id().to_string();
            let status = Command::new("kill").args(["-INT", &id]).status();
            assert!(status.unwrap().success());
        }

        /// Presses Ctrl-C again and again, and gives the signal that the process ends by. Signals
        /// that come before the first was looked at are one.
        fn ends_by(mut self) -> Option<i32> {
            for _ in 0..500 {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.signal();
                }
                self.press_ctrl_c();
                sleep(Duration::from_millis(20));
            }
            self.child.kill().unwrap();
            panic!("it lives on");
        }
    }

    #[test]
    fn ctrl_c_ends_the_step_and_writes_a_checkpoint() {
        if let Some(path) = env::var_os(CHILD) {
            return child(Path::new(&path));
        }
        let path = place("interrupted.safetensors");
        let _ = fs::remove_file(&path);
        let start =
            || Process::start("signals::ctrl_c_ends_the_step_and_writes_a_checkpoint", &path);
        for step in [4, 7, 12] {
            let mut process = start();
            process.wait_for(&format!("step {step}"));
            writeln!(process.stdin, "ctrl-c").unwrap();
            let said = process.wait_for("Interrupted");
            assert!(said.starts_with("Interrupted ["), "{said}");
            let saved = Checkpoint::<f64>::load(&path).unwrap();
            assert_eq!(saved.steps, step + 1);
            process.answer();
            let said = process.errors();
            let place = format!(
                "interrupted in epoch {}, after {} of 7 batches; ",
                saved.epochs + 1,
                saved.batches
            );
            let line = said.lines().find(|line| line.starts_with(&place));
            let line = line.unwrap_or_else(|| panic!("{said}"));
            assert_eq!(&line[place.len()..], format!("`resume` goes on from {}", path.display()));
        }
        let mut process = start();
        let said = process.wait_for("Epochs");
        process.answer();
        assert_eq!(said, format!("Epochs {:?}", whole()));
    }

    #[test]
    fn a_second_ctrl_c_kills_and_so_does_one_after_the_run() {
        if let Some(path) = env::var_os(CHILD) {
            return child(Path::new(&path));
        }
        let path = place("twice.safetensors");
        let _ = fs::remove_file(&path);
        let test = "signals::a_second_ctrl_c_kills_and_so_does_one_after_the_run";
        let mut process = Process::start(test, &path);
        process.wait_for("step 1");
        assert_eq!(process.ends_by(), Some(SIGINT));
        let mut process = Process::start(test, &path);
        process.wait_for("Epochs");
        assert_eq!(process.ends_by(), Some(SIGINT));
    }
}
