//! Files as they should be, small, from which damage begins, and what wraps others.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use indexmap::IndexMap;
use wengert_core::Tensor;
use wengert_nn::train::Checkpoint;
use wengert_nn::{Adam, Param, weights};

/// What `write` writes to a file in a folder.
fn written(
    folder: &Path,
    write: impl FnOnce(&Path) -> Result<(), wengert_nn::FileError>,
) -> Vec<u8> {
    let path = folder.join("seed");
    write(&path).expect("a folder that can be written");
    fs::read(&path).expect("the file that was written")
}

/// The content as gzip packs it.
pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

/// An npz of one array.
pub(super) fn npz(content: &[u8]) -> Vec<u8> {
    let checksum = crc(content).to_le_bytes();
    let size = (content.len() as u32).to_le_bytes();
    let entry = [&checksum[..], &size, &size, b"\x05\0\0\0"].concat();
    let local = [b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", &entry[..], b"x.npy", content].concat();
    let central =
        [b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0", &entry[..], &[0; 14], b"x.npy"].concat();
    let [start, length] = [&local, &central].map(|part| (part.len() as u32).to_le_bytes());
    [&local[..], &central, b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length, &start, &[0; 2]].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The PNG with the checksums that its parts ask for, so that damage gets further than these.
pub(super) fn sealed_png(png: &[u8]) -> Vec<u8> {
    let mut png = png.to_vec();
    let mut start = 8;
    while let Some(head) = png.get(start..start + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(end) = (start + 8).checked_add(length).filter(|end| end + 4 <= png.len()) else {
            break;
        };
        let sum = crc(&png[start + 4..end]).to_be_bytes();
        png[end..end + 4].copy_from_slice(&sum);
        start = end + 4;
    }
    png
}

/// Pictures of 3 x 2 pixels: of one, two, three and four channels, of 8 and 16 bits, and of a palette.
pub(super) fn png() -> Vec<Vec<u8>> {
    use png::{BitDepth, ColorType};
    let one = |color: ColorType, depth: BitDepth, size: usize| {
        let mut content = Vec::new();
        let mut encoder = png::Encoder::new(&mut content, 3, 2);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![1, 2, 3, 40, 50, 60]);
        }
        encoder.add_text_chunk("Title".to_owned(), "a picture".to_owned()).expect("a short text");
        let mut writer = encoder.write_header().expect("memory");
        let pixels: Vec<u8> = (0..size)
            .map(|i| if color == ColorType::Indexed { 0x40 } else { (i * 37) as u8 })
            .collect();
        writer.write_image_data(&pixels).expect("as many bytes as pixels need");
        writer.finish().expect("memory");
        content
    };
    vec![
        one(ColorType::Grayscale, BitDepth::Eight, 6),
        one(ColorType::GrayscaleAlpha, BitDepth::Eight, 12),
        one(ColorType::Rgb, BitDepth::Sixteen, 36),
        one(ColorType::Rgba, BitDepth::Eight, 24),
        one(ColorType::Indexed, BitDepth::One, 2),
    ]
}

pub(super) fn pnm() -> Vec<Vec<u8>> {
    vec![
        b"P6\n# a comment\n2 1\n255\n\x01\x02\x03\x04\x05\x06".to_vec(),
        b"P5 2 1 65535 \x00\x07\x00\x08".to_vec(),
    ]
}

pub(super) fn jpeg() -> Vec<Vec<u8>> {
    let pictures: [&[u8]; 3] = [
        include_bytes!("../../../nn/tests/data/colours.jpg"),
        include_bytes!("../../../nn/tests/data/progressive.jpg"),
        include_bytes!("../../../nn/tests/data/grey.jpg"),
    ];
    pictures.map(<[u8]>::to_vec).to_vec()
}

pub(super) fn idx() -> Vec<Vec<u8>> {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[7; 12]].concat();
    let numbers = [&[0, 0, 0x0d, 1, 0, 0, 0, 2][..], &1.5_f32.to_be_bytes(), &[0; 4]].concat();
    vec![images, numbers, vec![0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 9]]
}

pub(super) fn cifar() -> Vec<Vec<u8>> {
    let image = |labels: &[u8]| [labels, &[100; 3072]].concat();
    vec![image(&[3]), [image(&[9]), image(&[0])].concat(), image(&[7, 42])]
}

pub(super) fn tables() -> Vec<Vec<u8>> {
    let texts = [
        "x,y,kind\n1,2.5,a\n-3e2,nan,\"b \"\"quoted\"\"\"\n",
        "x;y\n1;2\n# a comment\n3;\n",
        "1,2,3\n4,5,6\n",
        "\u{feff}name\tvalue\r\nß\t1\r\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

fn state() -> IndexMap<String, Tensor<f32>> {
    IndexMap::from([
        ("0.weight".to_owned(), Tensor::from([[1.0, -2.0, 3.5], [0.0, f32::MIN_POSITIVE, 1e30]])),
        ("0.bias".to_owned(), Tensor::from([0.5, 0.25])),
        ("scale".to_owned(), Tensor::from(2.0)),
    ])
}

pub(super) fn npy(folder: &Path) -> Vec<Vec<u8>> {
    let matrix = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let numbers = |head: &str, content: &[u8]| {
        let padded = format!("{head:<117}\n");
        [b"\x93NUMPY\x01\0\x76\0", padded.as_bytes(), content].concat()
    };
    vec![
        written(folder, |path| weights::write_npy(path, &matrix)),
        written(folder, |path| weights::write_npy(path, &Tensor::<f32>::from(1.0))),
        numbers(
            "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 2), }",
            &[1, 0, 2, 0, 3, 0, 4, 0],
        ),
        numbers("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", &[1, 0, 1]),
        numbers(
            "{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }",
            &[65, 0, 0, 0, 66, 0, 0, 0],
        ),
    ]
}

pub(super) fn weights_of_networks(folder: &Path) -> Vec<Vec<u8>> {
    ["seed.npz", "seed.safetensors"]
        .map(|name| {
            let path = folder.join(name);
            weights::save(&path, &state()).expect("a folder that can be written");
            fs::read(&path).expect("the file that was written")
        })
        .to_vec()
}

pub(super) fn checkpoints(folder: &Path) -> Vec<Vec<u8>> {
    let net = Param::new([[0.5_f64, 0.25], [1.0, -1.0]]);
    let adam = Adam::new(0.01);
    let mut checkpoint = Checkpoint::of(&net, &adam);
    let plain = written(folder, |path| checkpoint.save(path));
    checkpoint.best = Some(checkpoint.model.clone());
    checkpoint.options.insert("batch".to_owned(), "32".to_owned());
    vec![plain, written(folder, |path| checkpoint.save(path))]
}
