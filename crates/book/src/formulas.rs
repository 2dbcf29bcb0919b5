//! Formulas of a page, from TeX to MathML: what a browser shows by itself, without a script or a font.

use pulldown_latex::config::{DisplayMode, RenderConfig};
use pulldown_latex::{Parser, Storage, push_mathml};

/// The page with its formulas, `$x$` and `$$x$$`, as MathML. Code is left alone, and `\$` is a dollar.
///
/// ```
/// let page = wengert_book::formulas::render("Let $x_1$ be `$1`.").unwrap();
/// assert_eq!(page, "Let <math display=\"inline\"><msub><mi>x</mi><mn>1</mn></msub></math> be `$1`.");
/// ```
///
/// # Errors
/// A formula that is not understood or does not end, with the formula.
pub fn render(page: &str) -> Result<String, String> {
    let (mut out, mut rest) = (String::with_capacity(2 * page.len()), page);
    while let Some(next) = rest.find(['`', '$', '\\']) {
        out.push_str(&rest[..next]);
        rest = &rest[next..];
        let mark = rest.chars().next().unwrap_or_default();
        let run = rest.len() - rest.trim_start_matches(mark).len();
        let (fence, body) = rest.split_at(run);
        match mark {
            '\\' => {
                let length = if rest.starts_with("\\$") { 2 } else { run };
                out.push_str(if rest.starts_with("\\$") { "$" } else { &rest[..length] });
                rest = &rest[length..];
                continue;
            }
            '`' => {
                let length = after_run(body, fence).map_or(run, |length| run + length);
                out.push_str(&rest[..length]);
                rest = &rest[length..];
            }
            _ => {
                let end = body.find(fence).ok_or_else(|| format!("`{rest:.40}` does not end"))?;
                let mathml = formula(&body[..end], run == 2)?;
                rest = &body[end + run..];
                // A comma behind a formula does not begin a line.
                let behind = rest.trim_start_matches([',', '.', ';', ':', ')', '?']);
                let (marks, behind) = rest.split_at(rest.len() - behind.len());
                if run == 2 || marks.is_empty() {
                    out.push_str(&mathml);
                } else {
                    out.push_str(&format!("<span class=\"formula-and\">{mathml}{marks}</span>"));
                    rest = behind;
                }
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// How long the text is up to the end of the next run of backticks that is just `fence`.
fn after_run(text: &str, fence: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find(fence)?;
        let length = text[start..].len() - text[start..].trim_start_matches('`').len();
        from = start + length;
        if length == fence.len() {
            return Some(from);
        }
    }
}

fn formula(tex: &str, displayed: bool) -> Result<String, String> {
    let storage = Storage::new();
    let events: Vec<_> = Parser::new(tex, &storage).collect();
    if let Some(Err(error)) = events.iter().find(|event| event.is_err()) {
        return Err(format!("the formula `{tex}`: {error}"));
    }
    let display_mode = if displayed { DisplayMode::Block } else { DisplayMode::Inline };
    let config = RenderConfig { display_mode, ..RenderConfig::default() };
    let mut mathml = String::new();
    push_mathml(&mut mathml, events.into_iter(), config)
        .map_err(|error| format!("the formula `{tex}`: {error}"))?;
    // `pulldown-latex` 0.7 leaves out a space before this attribute.
    let mathml = mathml.replace("\"minsize", "\" minsize");
    Ok(guarded(&mathml, displayed))
}

/// On one line, and without characters that Markdown would read as its own.
fn guarded(mathml: &str, displayed: bool) -> String {
    let mut out = String::with_capacity(mathml.len());
    for character in mathml.chars() {
        match character {
            '\n' => out.push(' '),
            '*' | '_' | '[' | ']' | '`' | '~' | '|' | '\\' => {
                out.push_str(&format!("&#{};", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    if displayed { format!("<div class=\"formula\">{out}</div>") } else { out }
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn code_is_left_alone() {
        let page =
            "`$a` and\n```rust\nlet a = \"$x$\";\n```\n``a ` $b``, \\alpha, a lone ` and the end";
        assert_eq!(render(page).unwrap(), page);
    }

    #[test]
    fn markdown_does_not_see_the_inside() {
        let page = render("$$a * b_{[1]}$$").unwrap();
        assert!(page.starts_with("<div class=\"formula\"><math display=\"block\">"), "{page}");
        assert!(page.contains("&#91;") && !page.contains('*') && !page.contains('_'), "{page}");
    }

    #[test]
    fn a_comma_stays_with_its_formula() {
        let page = render("$x$, and $y$").unwrap();
        let x = "<math display=\"inline\"><mi>x</mi></math>";
        assert!(
            page.starts_with(&format!("<span class=\"formula-and\">{x},</span> and ")),
            "{page}"
        );
        assert!(page.ends_with("<mi>y</mi></math>"), "{page}");
    }

    #[test]
    fn mistakes_are_told() {
        assert!(render("a $x").unwrap_err().contains("does not end"));
        assert!(render(r"$\nosuch$").unwrap_err().contains("nosuch"));
    }
}
