//! What processes say to each other beside gradients, as bytes.
//!
//! Processes of one group run the same program, so what one writes the others read: a message that
//! ends too early is a fault of the engine, and a panic.

use wengert_core::Tensor;

use crate::train::Metrics;

/// Writes a message.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    pub(crate) fn float(&mut self, float: f64) {
        self.number(float.to_bits());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn metrics(&mut self, metrics: &Metrics) {
        let lists: Vec<(String, Tensor<f64>)> = metrics.state().collect();
        self.number(lists.len() as u64);
        for (name, numbers) in lists {
            self.text(&name);
            self.number(numbers.len() as u64);
            numbers.iter().for_each(|number| self.float(number));
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a message.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(count).expect("a message that is whole");
        self.0 = rest;
        taken
    }

    pub(crate) fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("eight bytes"))
    }

    pub(crate) fn float(&mut self) -> f64 {
        f64::from_bits(self.number())
    }

    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let count = self.number();
        self.take(count as usize)
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub(crate) fn metrics(&mut self) -> Metrics {
        let lists: Vec<(String, Tensor<f64>)> = (0..self.number())
            .map(|_| {
                let name = self.text();
                let numbers: Vec<f64> = (0..self.number()).map(|_| self.float()).collect();
                (name, Tensor::from(numbers))
            })
            .collect();
        Metrics::of_state(lists.into_iter()).expect("metrics as they were written")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut metrics = Metrics::default();
        metrics.mean("loss", f64::NAN, 3.0);
        metrics.mean("a.b.c", 0.1, 3.0);
        let mut writer = Writer::default();
        writer.number(u64::MAX);
        writer.float(f64::NEG_INFINITY);
        writer.text("é");
        writer.metrics(&metrics);
        let bytes = writer.finish();
        let mut reader = Reader(&bytes);
        assert_eq!((reader.number(), reader.float()), (u64::MAX, f64::NEG_INFINITY));
        assert_eq!(reader.text(), "é");
        let read = reader.metrics();
        assert!(reader.is_empty() && read.value("loss").unwrap().is_nan());
        assert_eq!(read.value("a.b.c"), metrics.value("a.b.c"));
    }
}
