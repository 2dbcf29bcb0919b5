//! Files within files: gzip, archives, and what stands in a file that is something else.

use indexmap::IndexMap;
use wengert_core::Tensor;
use wengert_nn::data::{Table, read_idx, read_image, read_text};
use wengert_nn::file::{limit_unpacked, unpacked_limit};
use wengert_nn::train::Checkpoint;
use wengert_nn::weights;

use crate::files::{file, message, packed, place, zip};

/// As `cat a.gz b.gz` and bgzip make them.
#[test]
fn all_that_gzip_has_packed() {
    let members = [packed(b"one, "), packed(b""), packed(b"two")].concat();
    assert_eq!(read_text(file("members.gz", &members)).unwrap(), "one, two");
    // Tapes and block devices fill up with zeros.
    let filled = [&members[..], &[0; 100]].concat();
    assert_eq!(read_text(file("filled.gz", &filled)).unwrap(), "one, two");
    let behind = [&members[..], b"garbage"].concat();
    let offset = members.len();
    assert_eq!(
        message(read_text(file("behind.gz", &behind))),
        format!(
            "at byte {offset}: expected the end of the packed file or more that gzip has packed, \
             found 7 bytes of something else"
        )
    );
    let cut = message(read_text(file("cut.gz", &members[..members.len() - 4])));
    assert!(cut.ends_with("expected more of what gzip has packed, found the end of the file"));
}

/// Ten megabytes of zeros in ten kilobytes. The limit is that of the process, and no other test
/// unpacks more.
#[test]
fn unpacking_has_a_limit() {
    let before = unpacked_limit();
    assert_eq!(before, 1 << 30);
    let zeros = vec![0; 10 << 20];
    let bomb = packed(&zeros);
    let path = file("bomb.gz", &bomb);
    limit_unpacked(9 << 20);
    let refused = message(read_text(&path));
    limit_unpacked(before);
    assert_eq!(
        refused,
        format!(
            "at byte 0: expected {} bytes that unpack to at most 9437184, found 9437185 or more: if \
             you trust the file, raise the limit by `limit_unpacked`",
            bomb.len()
        )
    );
    assert_eq!(read_text(&path).unwrap().len(), 10 << 20);
}

/// Two entries of a directory for the same bytes.
#[test]
fn files_of_an_archive_do_not_overlap() {
    let npy =
        b"\x93NUMPY\x01\0\x39\0{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\0\0\0\0";
    let archive = zip("w.npy", npy);
    let end = archive.len() - 22;
    let directory = archive.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    let mut twice = archive[..end].to_vec();
    twice.extend(&archive[directory..end]);
    let mut record = archive[end..].to_vec();
    (record[8], record[10]) = (2, 2);
    twice.extend(record);
    let refused = message(weights::load::<f32>(file("twice.npz", &twice)));
    assert_eq!(
        refused,
        "at byte 0: expected the end of `w.npy` before `w.npy`, found bytes that both have"
    );
    assert_eq!(weights::load::<f32>(file("once.npz", &archive)).unwrap()["w"].to_vec(), [0.0]);
}

#[test]
fn what_a_wrong_file_is() {
    let page = file("page", b"\n<!DOCTYPE html><html><body>Not found</body></html>");
    let pointer = file("pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n");
    let pickle = file("net.pt", &zip("archive/data.pkl", b"\x80\x02}q\x00."));
    let jpeg = file("photo", include_bytes!("../data/grey.jpg"));
    for (path, kind) in [
        (&page, "a page of HTML: the download has failed"),
        (&pointer, "a pointer of Git LFS and not the file: fetch it with `git lfs pull`"),
        (&jpeg, "a JPEG image"),
    ] {
        let kind = format!(": it is {kind}");
        for said in [
            message(weights::load::<f32>(path)),
            message(read_idx::<f32>(path)),
            message(Table::read(path)),
            message(Checkpoint::<f32>::load(path)),
        ] {
            assert!(said.ends_with(&kind), "{said}");
        }
    }
    for said in [message(read_image::<f32>(&page)), message(read_image::<f32>(&pointer))] {
        assert!(said.contains(": it is a p"), "{said}");
    }
    let said = message(weights::load::<f32>(&pickle));
    assert!(said.contains("a pickle of PyTorch, which only Python reads"), "{said}");
}

/// NumPy reads names beyond ASCII by the flag 0x0800.
#[test]
fn names_beyond_ascii() {
    let path = place("names.npz");
    let state: IndexMap<String, Tensor<f32>> =
        [("größe".to_owned(), Tensor::from([1.0, 2.0]))].into();
    weights::save(&path, &state).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[6..8], 0x0800_u16.to_le_bytes());
    assert_eq!(weights::load::<f32>(&path).unwrap(), state);
}

#[test]
fn text_beside_numbers() {
    let text =
        b"\x93NUMPY\x01\0\x39\0{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }a\0\0\0";
    let path = file("text.npz", &zip("names.npy", text));
    assert!(weights::load::<f32>(&path).unwrap().is_empty());
    let single = message(weights::read_npy::<f32>(file("text.npy", text)));
    assert_eq!(single, "at byte 0: expected an array of numbers, found text");
}

#[test]
fn single_arrays() {
    let path = place("single.npy");
    for tensor in [Tensor::from([[1.5, -2.0, 0.0]]), Tensor::from(7.0), Tensor::zeros([0, 3])] {
        weights::write_npy(&path, &tensor).unwrap();
        assert_eq!(weights::read_npy::<f64>(&path).unwrap(), tensor);
    }
    let said = message(weights::load::<f64>(&path));
    assert!(said.ends_with("it is an array of NumPy (.npy)"), "{said}");
}

/// By their bytes, and not by a hash; the format puts larger numbers first and then sorts.
#[test]
fn tensors_have_the_order_of_the_file() {
    let path = place("order.safetensors");
    let names: Vec<String> = (0..50).map(|i| format!("{:02}", i * 7 % 50)).collect();
    let state: IndexMap<String, Tensor<f32>> =
        names.iter().map(|name| (name.clone(), Tensor::from([1.0]))).collect();
    weights::save(&path, &state).unwrap();
    let mut sorted = names;
    sorted.sort();
    let loaded: Vec<String> = weights::load::<f32>(&path).unwrap().into_keys().collect();
    assert_eq!(loaded, sorted);
    let reserved = [("__metadata__".to_owned(), Tensor::from([1.0_f32]))].into();
    let refused = message(weights::save(&path, &reserved));
    assert!(refused.contains("expected tensors of other names than `__metadata__`"), "{refused}");
}
