//! Readers of files: what they read, what they say of files that are not as they should
//! be, and that nothing makes them panic.

use std::fs;
use std::sync::LazyLock;

use indexmap::IndexMap;
use proptest::prelude::*;
use wengert_core::Tensor;
use wengert_nn::data::{
    Table, read_cifar, read_cifar100, read_idx, read_idx_labels, read_image, read_text,
};
use wengert_nn::train::Checkpoint;
use wengert_nn::{Adam, Param, weights};

use crate::files::{file, message, packed, place, zip};

/// Two images of 2 x 3 pixels.
const IDX: &[u8] =
    &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255];
const LABELS: &[u8] = &[0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 9];

#[test]
fn idx() {
    let expected =
        Tensor::from([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[7.0, 8.0, 9.0], [10.0, 11.0, 255.0]]]);
    for content in [IDX.to_vec(), packed(IDX)] {
        assert_eq!(read_idx::<f64>(file("idx", &content)).unwrap(), expected);
    }
    let numbers =
        [&[0, 0, 0x0d, 1, 0, 0, 0, 2][..], &1.5_f32.to_be_bytes(), &(-2.0_f32).to_be_bytes()];
    assert_eq!(read_idx::<f32>(file("idx-f32", &numbers.concat())).unwrap().to_vec(), [1.5, -2.0]);
    assert_eq!(read_idx_labels(file("idx-labels", LABELS), 10).unwrap(), [2, 0, 9]);
}

#[test]
fn idx_files_that_are_wrong() {
    let read = |content: &[u8]| message(read_idx::<f32>(file("idx-wrong", content)));
    assert_eq!(
        read(&IDX[..20]),
        "at byte 16: expected 12 bytes of numbers of shape [2, 2, 3], found the end of the file after 4"
    );
    assert_eq!(
        read(&[IDX, &[0]].concat()),
        "at byte 28: expected the end of the file, found 1 more bytes"
    );
    assert_eq!(
        read(b"P6 1 2"),
        "at byte 0: expected the two zeros that an IDX file begins with, found 0x50 0x36"
    );
    assert_eq!(
        read(&[0, 0, 7, 1]),
        "at byte 2: expected a kind of numbers, one of 0x08, 0x09, 0x0b to 0x0e, found 0x07"
    );
    assert_eq!(
        read(&[0, 0, 8, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        "at byte 12: expected extents of a file, found the extents [4294967295, 4294967295]"
    );
    let packed = packed(&[0; 5000]);
    let cut = read(&packed[..packed.len() / 2]);
    assert!(
        cut.contains("expected more of what gzip has packed, found the end of the file"),
        "{cut}"
    );
    let path = file("idx-labels-wrong", LABELS);
    let error = read_idx_labels(&path, 9).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: at byte 10: expected a label below 9 for sample 2, found 9", path.display())
    );
    let missing = message(read_idx::<f32>(place("no such file")));
    assert!(missing.contains("No such file"), "{missing}");
}

/// Files without numbers, whose other extents have a product that wraps around: errors, and no
/// panics of arithmetic or of the tensors that are made of them.
#[test]
fn extents_that_no_memory_holds() {
    for extents in [[0, 1 << 62, 1 << 62], [1 << 62, 0, 1 << 62], [1 << 62, 1 << 62, 0_u64]] {
        let shape = format!("{extents:?}");
        let head = format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}}}"#);
        let content = [&(head.len() as u64).to_le_bytes()[..], head.as_bytes()].concat();
        let error = weights::load::<f32>(file("large.safetensors", &content)).unwrap_err();
        assert!(error.to_string().contains("expected"), "{error}");
        let shape = shape.replace(['[', ']'], "");
        for order in ["True", "False"] {
            let head =
                format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': ({shape}), }}");
            let magic = b"\x93NUMPY\x01\0";
            let npy = [magic, &(head.len() as u16).to_le_bytes()[..], head.as_bytes()].concat();
            let error = weights::load::<f32>(file("large.npz", &zip("w.npy", &npy))).unwrap_err();
            assert!(error.to_string().contains("extents of a file"), "{error}");
        }
    }
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 0][..], &[0xff; 8]].concat();
    let error = message(read_idx::<f32>(file("large.idx", &idx)));
    assert_eq!(
        error,
        "at byte 16: expected extents of a file, found the extents [0, 4294967295, 4294967295]"
    );
}

/// An image whose k-th byte is k, without the highest bits.
fn image() -> impl Iterator<Item = u8> {
    (0..3072).map(|k| k as u8)
}

#[test]
fn cifar() {
    let ten: Vec<u8> = [3].into_iter().chain(image()).chain([8]).chain(image()).collect();
    let (images, labels) = read_cifar::<f32>(file("cifar10", &packed(&ten)), 9).unwrap();
    assert_eq!((&images.shape()[..], &labels[..]), (&[2, 3, 32, 32][..], &[3, 8][..]));
    assert_eq!(images.at(&[1, 2, 31, 30]), f32::from(3070_u16 as u8));
    let hundred: Vec<u8> = [19, 99].into_iter().chain(image()).collect();
    assert_eq!(read_cifar100::<f32>(file("cifar100", &hundred)).unwrap().1, [99]);

    let wrong =
        |content: &[u8], classes| message(read_cifar::<f32>(file("cifar-wrong", content), classes));
    assert_eq!(wrong(&ten, 8), "at byte 3073: expected a label below 8 for image 1, found 8");
    assert_eq!(
        wrong(&ten[..4000], 10),
        "at byte 3074: expected 3072 bytes of image 1, found the end of the file after 926"
    );
}

#[test]
fn texts() {
    assert_eq!(read_text(file("text", "naïve".as_bytes())).unwrap(), "naïve");
    let wrong = message(read_text(file("text-wrong", b"na\xefve")));
    assert_eq!(wrong, "at byte 2: expected text in UTF-8, found the byte 0xef");
}

/// Valid files of all kinds.
static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let state: IndexMap<String, Tensor<f32>> = [
        ("a.weight".into(), Tensor::from([[1.0, 2.0], [3.0, 4.0]])),
        ("b".into(), Tensor::from(5.0)),
    ]
    .into();
    let [tensors, npz, checkpoint] =
        ["valid.safetensors", "valid.npz", "valid-checkpoint"].map(place);
    weights::save(&tensors, &state).unwrap();
    weights::save(&npz, &state).unwrap();
    Checkpoint::<f32>::of(&Param::new([1.0, 2.0]), &Adam::new(0.1)).save(&checkpoint).unwrap();
    let read = |path| fs::read(path).unwrap();
    vec![
        IDX.to_vec(),
        packed(IDX),
        LABELS.to_vec(),
        [1].into_iter().chain(image()).collect(),
        b"a,b\n1,2\n3,\"x\"\n".to_vec(),
        b"P6 2 1 255 \x01\x02\x03\x04\x05\x06".to_vec(),
        crate::images::png_of(png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6]),
        read(tensors),
        read(npz),
        read(checkpoint),
        include_bytes!("../data/stored.npz").to_vec(),
        include_bytes!("../data/deflated.npz").to_vec(),
        include_bytes!("../data/colours.jpg").to_vec(),
        include_bytes!("../data/progressive.jpg").to_vec(),
    ]
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    /// Whatever becomes of a file, each reader gives a value or an error.
    #[test]
    fn mangled_files_make_nothing_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for content in &*VALID {
            let mut content = content.clone();
            for (place, byte, kind) in &changes {
                let place = place.index(content.len());
                match kind {
                    0 => content.insert(place, *byte),
                    1 if content.len() > 1 => drop(content.remove(place)),
                    // What is often looked at.
                    2 => content[place] = if byte % 2 == 0 { 0 } else { 0xff },
                    _ => content[place] = *byte,
                }
            }
            if let Some(cut) = cut {
                content.truncate(cut.index(content.len()));
            }
            let path = file("mangled", &content);
            let _ = read_idx::<f32>(&path);
            let _ = read_idx_labels(&path, 10);
            let _ = read_cifar::<f32>(&path, 10);
            let _ = read_cifar100::<f32>(&path);
            let _ = read_text(&path);
            let _ = read_image::<f32>(&path);
            let _ = weights::load::<f32>(&path);
            let _ = weights::read_npy::<f32>(&path);
            let _ = Checkpoint::<f32>::load(&path);
            if let Ok(table) = Table::read(&path) {
                let _ = table.numbers::<f32>(table.columns());
                let _ = table.numbers::<f32>(0..table.width());
                let _ = table.labels("a", 4);
                let _ = table.categories("b");
            }
        }
    }
}
