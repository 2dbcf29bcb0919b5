//! Images of every kind, with the pixels that other programs find in them.

use wengert_core::Tensor;
use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};
use wengert_nn::data::{Dataset, ImageFolder, read_image, with_channels};

use crate::files::{file, message, place};

/// Two pixels beside each other, as PNG.
pub fn png_of(color: png::ColorType, pixels: &[u8]) -> Vec<u8> {
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
        "at byte 0: expected an image: PNG, JPEG, PPM (P6) or PGM (P5), found `GI`: it is a GIF image"
    );
    assert_eq!(wrong(b"P6 2 x"), "at byte 5: expected a height, found `x`");
    assert_eq!(
        wrong(b"P6 2 1 65536 "),
        "at byte 6: expected the largest value, up to 65535, found 65536"
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

/// Pictures of 9 x 5 pixels that libjpeg has written, and what it reads at the corners and in
/// the middle. Decoders may round otherwise.
#[test]
fn jpeg() {
    const PLACES: [[usize; 2]; 5] = [[0, 0], [0, 8], [2, 4], [4, 0], [4, 8]];
    let near = |content: &[u8], channels: usize, expected: &[f32], room: f32| {
        let image = read_image::<f32>(file("image.jpg", content)).unwrap();
        assert_eq!(image.shape()[..], [channels, 5, 9]);
        let found: Vec<f32> = PLACES
            .iter()
            .flat_map(|[y, x]| (0..channels).map(|c| image.at(&[c, *y, *x])).collect::<Vec<_>>())
            .collect();
        let is_near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= room);
        assert!(is_near, "{found:?} and not {expected:?}");
    };
    #[rustfmt::skip]
    let colours = [
        42.0, 199.0, 92.0, 137.0, 199.0, 132.0, 88.0, 183.0, 119.0, 40.0, 165.0, 109.0, 135.0, 166.0, 150.0,
    ];
    near(include_bytes!("../data/colours.jpg"), 3, &colours, 2.0);
    #[rustfmt::skip]
    let progressive = [
        47.0, 195.0, 97.0, 137.0, 199.0, 136.0, 90.0, 182.0, 119.0, 42.0, 164.0, 107.0, 133.0, 168.0, 146.0,
    ];
    near(include_bytes!("../data/progressive.jpg"), 3, &progressive, 4.0);
    near(include_bytes!("../data/grey.jpg"), 1, &[40.0, 136.0, 103.0, 68.0, 164.0], 2.0);
    let cut = &include_bytes!("../data/colours.jpg")[..300];
    let cut = message(read_image::<f32>(file("cut.jpg", cut)));
    assert!(cut.contains("expected a JPEG image, found one that is damaged"), "{cut}");
}

#[test]
fn values_are_scaled_to_255() {
    let read = |content: &[u8]| read_image::<f64>(file("scaled.pgm", content)).unwrap().to_vec();
    assert_eq!(read(b"P5 3 1 15 \x00\x05\x0f"), [0.0, 85.0, 255.0]);
    assert_eq!(read(b"P5 2 1 65535 \x00\x00\xff\xff"), [0.0, 255.0]);
    assert_eq!(read(b"P5 2 1 255 \x07\xff"), [7.0, 255.0]);
}

/// A chunk of text without an end, as some programs write it.
#[test]
fn notes_that_are_wrong_do_not_matter() {
    let mut content = png_of(png::ColorType::Grayscale, &[7, 8]);
    let mut chunk = b"tEXt".to_vec();
    chunk.extend([0xff; 90]);
    let length = (chunk.len() as u32 - 4).to_be_bytes();
    let sum = crc(&chunk).to_be_bytes();
    content.splice(33..33, [&length[..], &chunk, &sum].concat());
    let image = read_image::<f64>(file("notes.png", &content)).unwrap();
    assert_eq!(image.to_vec(), [7.0, 8.0]);
}

#[test]
fn channels() {
    let grey = Tensor::from([[[10.0, 20.0]]]);
    let colours = Tensor::from([[[100.0]], [[50.0]], [[200.0]]]);
    let opaque = Tensor::from([[[100.0]], [[50.0]], [[200.0]], [[7.0]]]);
    let to = |image: &Tensor<f64>, channels| with_channels(image, channels).to_vec();
    assert_eq!(to(&grey, 1), [10.0, 20.0]);
    assert_eq!(to(&grey, 2), [10.0, 20.0, 255.0, 255.0]);
    assert_eq!(to(&grey, 3), [10.0, 20.0, 10.0, 20.0, 10.0, 20.0]);
    let luma = 0.299 * 100.0 + 0.587 * 50.0 + 0.114 * 200.0;
    assert!((to(&colours, 1)[0] - luma).abs() < 1e-12);
    assert_eq!(to(&colours, 4), [100.0, 50.0, 200.0, 255.0]);
    assert_eq!(to(&opaque, 3), [100.0, 50.0, 200.0]);
    assert_eq!(to(&opaque, 2)[1], 7.0);

    file("channels/a/1.ppm", b"P5 1 1 255 \x09");
    file("channels/a/2.ppm", b"P6 1 1 255 \x01\x01\x01");
    let folder = ImageFolder::<f64>::open(place("channels")).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let unlike = message(folder.batch(&[0, 1], &mut rng));
    assert!(unlike.ends_with("found [3, 1, 1]: `channels` makes them alike"), "{unlike}");
    let (images, _) = folder.channels(3).batch(&[0, 1], &mut rng).unwrap();
    assert_eq!(images.to_vec(), [9.0, 9.0, 9.0, 1.0, 1.0, 1.0]);
}

#[test]
fn hidden_files_are_no_images() {
    file("hidden/.cache/x.ppm", b"no image");
    file("hidden/a/._1.ppm", b"no image");
    file("hidden/a/1.ppm", b"P5 1 1 255 \x09");
    let folder = ImageFolder::<f64>::open(place("hidden")).unwrap();
    assert_eq!((folder.len(), folder.classes()), (1, &["a".to_owned()][..]));
}
