//! Readers of files: what they read, what they say of files that are not as they should
//! be, and that nothing makes them panic.

use std::fs;
use std::sync::LazyLock;

use indexmap::IndexMap;
use proptest::prelude::*;
use wengert_core::Tensor;
use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};
use wengert_nn::data::{
    Dataset, ImageFolder, Table, read_cifar, read_cifar100, read_idx, read_idx_labels, read_image,
    read_text,
};
use wengert_nn::train::Checkpoint;
use wengert_nn::{Adam, Param, weights};

use crate::files::{file, message, packed, place};

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

/// A zip archive of one stored file.
fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let checksum = !content.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    let size = (content.len() as u32).to_le_bytes();
    let entry = [&checksum.to_le_bytes()[..], &size, &size, &[name.len() as u8, 0, 0, 0]].concat();
    let local =
        [b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", &entry[..], name.as_bytes(), content].concat();
    let central =
        [b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0", &entry[..], &[0; 14], name.as_bytes()].concat();
    let [start, length] = [&local, &central].map(|part| (part.len() as u32).to_le_bytes());
    [&local[..], &central, b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length, &start, &[0; 2]].concat()
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
fn tables() {
    let content = "x,name,\"y, z\"\n1,\"a, b\",-2.5\n3e2,c,0\n";
    let table = Table::read(file("table.csv", &packed(content.as_bytes()))).unwrap();
    assert_eq!((table.len(), table.columns()), (2, &["x", "name", "y, z"].map(str::to_owned)[..]));
    let numbers: Tensor<f64> = table.numbers(&["y, z", "x"]).unwrap();
    assert_eq!(numbers, Tensor::from([[-2.5, 1.0], [0.0, 300.0]]));
    assert_eq!(table.text("name").unwrap(), ["a, b", "c"]);

    let read = |content: &str| Table::read(file("table-wrong.csv", content.as_bytes()));
    let wrong = |content: &str| message(read(content));
    assert_eq!(wrong(""), "at byte 0: expected a line of column names, found the end of the file");
    assert_eq!(wrong("a,b\n1,2\n3\n"), "at byte 8: expected 2 cells in line 3, found 1");
    let numbers = |content: &str| message(read(content).unwrap().numbers::<f32>(&["b"]));
    assert_eq!(numbers("a\n1\n"), "at byte 0: expected a column `b`, found the columns a");
    for (cell, found) in [("", "``"), ("two", "`two`"), ("NaN", "`NaN`"), ("inf", "`inf`")] {
        let expected = "at byte 8: expected a number in line 3, column `b`, found ";
        assert_eq!(numbers(&format!("a,b\n1,2\n3,{cell}\n")), format!("{expected}{found}"));
    }
    let labels = message(read("a\n1\n4\n").unwrap().labels("a", 4));
    assert_eq!(labels, "at byte 4: expected a label below 4 in line 3, column `a`, found `4`");
}

#[test]
fn texts() {
    assert_eq!(read_text(file("text", "naïve".as_bytes())).unwrap(), "naïve");
    let wrong = message(read_text(file("text-wrong", b"na\xefve")));
    assert_eq!(wrong, "at byte 2: expected text in UTF-8, found the byte 0xef");
}

/// Two pixels beside each other, as PNG.
fn png_of(color: png::ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut encoder = png::Encoder::new(&mut content, 2, 1);
    encoder.set_color(color);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    content
}

#[test]
fn images() {
    let read = |content: &[u8]| read_image::<f64>(file("image", content)).unwrap();
    let rgb = Tensor::new([3, 1, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(read(&png_of(png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6])), rgb);
    assert_eq!(read(b"P6\n# a comment\n2 1\n255\n\x01\x02\x03\x04\x05\x06"), rgb);
    let grey = Tensor::new([1, 1, 2], vec![7.0, 8.0]);
    assert_eq!(read(&png_of(png::ColorType::Grayscale, &[7, 8])), grey);
    assert_eq!(read(b"P5 2 1 255 \x07\x08"), grey);

    let wrong = |content: &[u8]| message(read_image::<f64>(file("image-wrong", content)));
    assert_eq!(
        wrong(b"GIF89a"),
        "at byte 0: expected an image: PNG, PPM (P6) or PGM (P5), found `GI`"
    );
    assert_eq!(wrong(b"P6 2 x"), "at byte 5: expected a height, found `x`");
    assert_eq!(
        wrong(b"P6 2 1 65535 "),
        "at byte 6: expected the largest value, up to 255, found 65535"
    );
    assert_eq!(
        wrong(b"P6 2 1 255 \x01"),
        "at byte 11: expected 6 bytes of an image of 2 x 1 pixels, found the end of the file after 1"
    );
    let png = png_of(png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6]);
    let cut = wrong(&png[..40]);
    assert!(cut.contains("expected more of a PNG image"), "{cut}");
    // A head that promises more than any file of that length could hold.
    let mut huge = png.clone();
    huge[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let sum = crc(&huge[12..29]);
    huge[29..33].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(
        wrong(&huge),
        "at byte 16: expected extents of a PNG image, found a head that says 65536 x 65536 pixels"
    );
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn folders_of_images() {
    for (name, content) in [("b/2.ppm", 5), ("b/10.ppm", 6), ("a/x.PPM", 7), ("a/notes.txt", 8)] {
        file(&format!("folder/{name}"), &[b"P5 1 1 255 ", &[content][..]].concat());
    }
    let folder = ImageFolder::<f32>::open(place("folder")).unwrap();
    assert_eq!((folder.len(), folder.classes()), (3, &["a".to_owned(), "b".to_owned()][..]));
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let (images, labels) = folder.batch(&[0, 1, 2], &mut rng).unwrap();
    assert_eq!((images.to_vec(), labels), (vec![7.0, 6.0, 5.0], vec![0, 1, 1]));

    file("folder-wrong/a/1.ppm", b"P5 1 1 255 \0");
    file("folder-wrong/a/2.ppm", b"P5 2 1 255 \0\0");
    let folder = ImageFolder::<f32>::open(place("folder-wrong")).unwrap();
    assert_eq!(
        message(folder.batch(&[0, 1], &mut rng)),
        "at byte 0: expected an image of shape [1, 1, 1], as the others of the batch, found [1, 1, 2]"
    );
    let none = message(ImageFolder::<f32>::open(place("folder/a")));
    assert_eq!(none, "at byte 0: expected a folder for each class, found none");
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
        png_of(png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6]),
        read(tensors),
        read(npz),
        read(checkpoint),
        include_bytes!("../data/stored.npz").to_vec(),
        include_bytes!("../data/deflated.npz").to_vec(),
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
            let _ = Checkpoint::<f32>::load(&path);
            if let Ok(table) = Table::read(&path) {
                let _ = table.numbers::<f32>(table.columns());
                let _ = table.labels("a", 4);
                let _ = table.categories("b");
            }
        }
    }
}
