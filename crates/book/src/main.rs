//! A preprocessor of mdBook: formulas as MathML.
//!
//! mdBook writes the book as JSON, `[context, book]`, and reads the book back.

use std::io::Read;

use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `supports RENDERER` asks by the exit status; MathML is for all of them.
    if std::env::args().nth(1).is_some_and(|argument| argument == "supports") {
        return Ok(());
    }
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let mut input: Value = serde_json::from_str(&input)?;
    let mut book = input[1].take();
    render(&mut book)?;
    println!("{book}");
    Ok(())
}

/// Every chapter, and the chapters below it.
fn render(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(render),
        Value::Object(fields) => {
            if let Some(Value::String(content)) = fields.get_mut("content") {
                *content = wengert_book::formulas::render(content)?;
            }
            fields.values_mut().try_for_each(render)
        }
        _ => Ok(()),
    }
}
