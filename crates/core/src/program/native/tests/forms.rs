//! Every form of an instruction, read by an independent disassembler.

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

use super::TESTS;
use crate::program::native::encode::{
    Address, Assembler, Base, FusedOrder, Place, Register, Width,
};
use crate::scalar::ir::{Binary, Precision, Rounding, Test};

/// The instructions of some bytes, as text.
fn disassembled(bytes: &[u8]) -> Vec<String> {
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_show_zero_displacements(false);
    formatter.options_mut().set_branch_leading_zeros(false);
    formatter.options_mut().set_memory_size_options(iced_x86::MemorySizeOptions::Never);
    let mut lines = Vec::new();
    for instruction in &mut Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE) {
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        lines.push(line);
    }
    lines
}

fn hexadecimal(number: u32) -> String {
    let digits = format!("{number:X}h");
    if digits.starts_with(|first: char| first.is_ascii_alphabetic()) {
        format!("0{digits}")
    } else {
        digits
    }
}

/// Where a jump goes, as the disassembler writes it.
fn branch(to: usize) -> String {
    if to < 10 { to.to_string() } else { hexadecimal(to as u32) }
}

/// Names of instructions and registers in one width and precision, as the manual has them.
struct Names {
    width: Width,
    precision: Precision,
}

impl Names {
    fn is_double(&self) -> bool {
        self.precision == Precision::Double
    }

    /// `ps`, `pd`, `ss` or `sd`.
    fn float(&self) -> &'static str {
        match (self.width == Width::Scalar, self.is_double()) {
            (true, false) => "ss",
            (true, true) => "sd",
            (false, _) => self.packed(),
        }
    }

    fn packed(&self) -> &'static str {
        if self.is_double() { "pd" } else { "ps" }
    }

    fn whole(&self) -> &'static str {
        if self.is_double() { "q" } else { "d" }
    }

    fn register(&self, Register(number): Register) -> String {
        let kind = match self.width {
            Width::Scalar => "xmm",
            Width::Bits256 => "ymm",
            Width::Bits512 => "zmm",
        };
        format!("{kind}{number}")
    }

    fn place(&self, place: Place) -> String {
        match place {
            Place::Register(register) => self.register(register),
            Place::Memory(Address { base, displacement, moves }) => {
                let base = match base {
                    Base::First => "rdi",
                    Base::Second => "rsi",
                    Base::Stack => "rsp",
                    Base::Fetched => "r10",
                };
                let index = if moves { "+rax" } else { "" };
                let displacement = match displacement {
                    0 => String::new(),
                    near @ 1..10 => format!("+{near}"),
                    near @ -9..0 => near.to_string(),
                    far @ ..0 => format!("-{}", hexadecimal(far.unsigned_abs())),
                    far => format!("+{}", hexadecimal(far.unsigned_abs())),
                };
                format!("[{base}{index}{displacement}]")
            }
        }
    }
}

/// Emits one instruction, and compares it with its text.
#[track_caller]
fn assert_form(names: &Names, emit: impl FnOnce(&mut Assembler), expected: &[String]) {
    let mut assembler = Assembler::new(names.width, names.precision);
    emit(&mut assembler);
    assert_eq!(disassembled(&assembler.bytes), expected, "{:x?}", assembler.bytes);
}

/// Registers below and above each bit of their number.
fn registers(width: Width) -> Vec<Register> {
    [0, 1, 7, 8, 15, 16, 23, 24, 31]
        .into_iter()
        .filter(|&number| number < width.registers())
        .map(|number| Register(number as u8))
        .collect()
}

fn addresses() -> Vec<Place> {
    let mut addresses = Vec::new();
    for base in [Base::First, Base::Second, Base::Stack, Base::Fetched] {
        for displacement in
            [0, 8, 64, 127, 128, 4096, 8128, 8192, -8, -64, -128, -192, -8192, -8256]
        {
            for moves in [false, true] {
                addresses.push(Place::Memory(Address { base, displacement, moves }));
            }
        }
    }
    addresses
}

fn everywhere(test: impl Fn(&Names, &[Register], &[Place])) {
    for width in [Width::Scalar, Width::Bits256, Width::Bits512] {
        for precision in [Precision::Single, Precision::Double] {
            let own = registers(width);
            let places: Vec<Place> =
                own.iter().map(|&own| Place::Register(own)).chain(addresses()).collect();
            test(&Names { width, precision }, &own, &places);
        }
    }
}

#[test]
fn arithmetic() {
    everywhere(|names, own, places| {
        let (float, packed, whole) = (names.float(), names.packed(), names.whole());
        let binary = [
            (Binary::Add, format!("vadd{float}")),
            (Binary::Sub, format!("vsub{float}")),
            (Binary::Mul, format!("vmul{float}")),
            (Binary::Div, format!("vdiv{float}")),
            (Binary::Max, format!("vmax{float}")),
            (Binary::Min, format!("vmin{float}")),
            (Binary::And, format!("vand{packed}")),
            (Binary::Or, format!("vor{packed}")),
            (Binary::Xor, format!("vxor{packed}")),
            (Binary::AddBits, format!("vpadd{whole}")),
            (Binary::SubBits, format!("vpsub{whole}")),
        ];
        let fused = [
            (FusedOrder::Order132, format!("vfmadd132{float}")),
            (FusedOrder::Order213, format!("vfmadd213{float}")),
            (FusedOrder::Order231, format!("vfmadd231{float}")),
        ];
        for (k, &target) in own.iter().enumerate() {
            let other = own[(k + 3) % own.len()];
            for &place in places {
                let operands = format!(
                    "{},{},{}",
                    names.register(target),
                    names.register(other),
                    names.place(place)
                );
                for (binary, name) in &binary {
                    let emit = |a: &mut Assembler| a.binary(*binary, target, other, place);
                    assert_form(names, emit, &[format!("{name} {operands}")]);
                }
                for (order, name) in &fused {
                    let emit = |a: &mut Assembler| a.fused(*order, target, other, place);
                    assert_form(names, emit, &[format!("{name} {operands}")]);
                }
                let source = match names.width {
                    Width::Scalar => format!("{},{}", names.register(target), names.place(place)),
                    _ => names.place(place),
                };
                let root = format!("vsqrt{float} {},{source}", names.register(target));
                assert_form(names, |a| a.sqrt(target, place), &[root]);
                let name = if names.width == Width::Bits512 { "vrndscale" } else { "vround" };
                for (rounding, number) in [
                    (Rounding::Nearest, "8"),
                    (Rounding::Down, "9"),
                    (Rounding::Up, "0Ah"),
                    (Rounding::ToZero, "0Bh"),
                ] {
                    let expected =
                        format!("{name}{float} {},{source},{number}", names.register(target));
                    assert_form(names, |a| a.round(rounding, target, place), &[expected]);
                }
            }
        }
    });
}

#[test]
fn moves_and_shifts() {
    everywhere(|names, own, places| {
        let (float, packed, whole) = (names.float(), names.packed(), names.whole());
        let moved = if names.width == Width::Scalar { "vmov" } else { "vmovu" };
        for (k, &target) in own.iter().enumerate() {
            let register = names.register(target);
            for &place in places {
                let text = names.place(place);
                match place {
                    Place::Register(_) => {
                        let expected = format!("vmova{packed} {register},{text}");
                        assert_form(names, |a| a.load(target, place), &[expected]);
                    }
                    Place::Memory(address) => {
                        let load = format!("{moved}{float} {register},{text}");
                        assert_form(names, |a| a.load(target, place), &[load]);
                        let store = format!("{moved}{float} {text},{register}");
                        assert_form(names, |a| a.store(address, target), &[store]);
                        let load = format!("vmovu{packed} {register},{text}");
                        assert_form(names, |a| a.load_whole(target, address), &[load]);
                    }
                }
            }
            let other = own[(k + 2) % own.len()];
            for (is_left, name) in [(true, "vpsll"), (false, "vpsrl")] {
                let expected = format!("{name}{whole} {register},{},5", names.register(other));
                assert_form(names, |a| a.shift(is_left, target, other, 5), &[expected]);
            }
        }
    });
}

/// What vectors beside single numbers need.
#[test]
fn parts_of_vectors() {
    everywhere(|names, own, places| {
        if names.width != Width::Bits512 {
            return;
        }
        let packed = names.packed();
        let single = if names.is_double() { "sd" } else { "ss" };
        for (k, &target) in own.iter().enumerate() {
            let Register(number) = target;
            let (register, other) = (names.register(target), own[(k + 2) % own.len()]);
            for &place in places {
                let Place::Memory(address) = place else { continue };
                let text = names.place(place);
                let broadcast = format!("vbroadcast{single} {register},{text}");
                assert_form(names, |a| a.broadcast(target, address), &[broadcast]);
                let store = format!("vmov{single} {text},xmm{number}");
                assert_form(names, |a| a.store_first(address, target), &[store]);
                let load = format!("vmovu{packed} {register}{{k2}},{text}");
                assert_form(names, |a| a.load_some(target, address), &[load]);
                let store = format!("vmovu{packed} {text}{{k2}},{register}");
                assert_form(names, |a| a.store_some(address, target), &[store]);
            }
            for displacement in [4, 8, 64, 4096, 8192] {
                let address = Address { base: Base::First, displacement, moves: false };
                let (whole, scale) = if names.is_double() { ("q", 8) } else { ("d", 4) };
                let index = names.register(other);
                let place = names.place(Place::Memory(address));
                let place = place.replace("rdi", &format!("rdi+{index}*{scale}"));
                let gather = format!("vgather{whole}{packed} {register},k2,{place}");
                assert_form(names, |a| a.gather(target, other, address), &[gather]);
            }
        }
        let expected = ["mov eax,0FFFh".to_owned(), "kmovw k2,eax".to_owned()];
        assert_form(names, |a| a.first_are(0xFFF), &expected);
    });
}

/// The comparison's text, into a register.
fn comparison(names: &Names, test: Test, into: &str, a: Register, b: Place) -> String {
    let (packed, whole) = (names.packed(), names.whole());
    let name = match test {
        Test::Less => format!("vcmplt_oq{packed}"),
        Test::LessEqual => format!("vcmple_oq{packed}"),
        Test::Equal => format!("vcmpeq{packed}"),
        Test::EqualBits => format!("vpcmpeq{whole}"),
    };
    format!("{name} {into},{},{}", names.register(a), names.place(b))
}

#[test]
fn comparisons() {
    everywhere(|names, own, places| {
        for (k, &target) in own.iter().enumerate() {
            let [spare, a, no] = [1, 2, 3].map(|by| own[(k + by) % own.len()]);
            for (&place, test) in places.iter().zip(TESTS.into_iter().cycle()) {
                assert_comparison(names, test, [target, spare, a, no], place);
            }
        }
    });
}

/// Selections and early ends by a comparison.
fn assert_comparison(names: &Names, test: Test, registers: [Register; 4], place: Place) {
    let [target, spare, a, no] = registers;
    let [target_text, spare_text, _, no_text] = registers.map(|own| names.register(own));
    let (packed, place_text) = (names.packed(), names.place(place));
    let is_masked = names.width == Width::Bits512;
    let into = if is_masked { "k1" } else { &spare_text };
    let compare = comparison(names, test, into, a, place);
    let blend = match is_masked {
        true => format!("vblendm{packed} {target_text}{{k1}},{no_text},{place_text}"),
        false => format!("vblendv{packed} {target_text},{no_text},{place_text},{spare_text}"),
    };
    let emit = |assembler: &mut Assembler| {
        assembler.select(test, [target, spare], (a, place), (place, no));
    };
    assert_form(names, emit, &[compare.clone(), blend]);
    let mut assembler = Assembler::new(names.width, names.precision);
    let jump = assembler.leave_unless(test, spare, a, place);
    assembler.land(jump);
    let end = branch(assembler.bytes.len());
    let mut expected = vec![compare];
    let lanes = names.width.bytes(names.precision) / names.precision.bytes();
    match (names.width, names.precision) {
        (Width::Bits512, Precision::Single) => expected.push("kortestw k1,k1".to_owned()),
        (Width::Bits512, Precision::Double) => expected.push("kortestb k1,k1".to_owned()),
        _ => {
            expected.push(format!("vmovmsk{packed} ecx,{spare_text}"));
            if names.width == Width::Scalar {
                expected.push("and ecx,1".to_owned());
            }
            expected.push(match (1_u32 << lanes) - 1 {
                low @ ..10 => format!("cmp ecx,{low}"),
                high => format!("cmp ecx,{}", hexadecimal(high)),
            });
        }
    }
    expected.push(format!("{} {end}", if is_masked { "jae" } else { "jne" }));
    assert_eq!(disassembled(&assembler.bytes), expected);
    if names.width == Width::Scalar {
        for (or_equal, jump) in [(true, "jb"), (false, "jbe")] {
            let mut assembler = Assembler::new(names.width, names.precision);
            let place = assembler.leave_unless_less(or_equal, place, a);
            assembler.land(place);
            let end = branch(assembler.bytes.len());
            let compare = format!("vucomis{} {},{place_text}", &packed[1..], names.register(a));
            assert_eq!(disassembled(&assembler.bytes), [compare, format!("{jump} {end}")]);
        }
    }
}

#[test]
fn what_stands_around_a_loop() {
    for width in [Width::Scalar, Width::Bits256, Width::Bits512] {
        for precision in [Precision::Single, Precision::Double] {
            let mut assembler = Assembler::new(width, precision);
            assembler.enter(192);
            let start = assembler.begin();
            assembler.fetch(3);
            assembler.repeat(start);
            assembler.leave(192, true);
            let bytes = match width.bytes(precision) {
                near @ ..10 => near.to_string(),
                far => hexadecimal(far as u32),
            };
            let mut expected = vec![
                "sub rsp,0C0h".to_owned(),
                "xor eax,eax".to_owned(),
                "mov r10,[rdi+18h]".to_owned(),
                format!("add rax,{bytes}"),
                "cmp rax,rdx".to_owned(),
                format!("jb {}", branch(start)),
                "add rsp,0C0h".to_owned(),
            ];
            if width != Width::Scalar {
                expected.push("vzeroupper".to_owned());
            }
            expected.extend(["mov eax,1".to_owned(), "ret".to_owned()]);
            assert_eq!(disassembled(&assembler.bytes), expected);
        }
    }
}
