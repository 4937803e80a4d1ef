//! Arrays as PostgreSQL writes them.

use datafusion::common::Result;

use crate::functions::arrays::check_dimensions;
use crate::functions::function::refuse;

/// The elements of `{1,{2,3},NULL}`: texts, NULLs and arrays.
#[derive(Debug, Clone)]
pub(crate) enum Element {
    Null,
    Text(String),
    Array(Vec<Element>),
}

/// Reads an array.
///
/// # Errors
/// 22P02 for what is none.
pub(crate) fn array(text: &str) -> Result<Vec<Element>> {
    let wrong = || refuse("22P02", format!("malformed array literal: {text:?}"));
    let mut body = text.trim();
    // `[2:4]={…}` says where counting starts; arrays here always start at 1.
    if body.starts_with('[') {
        body = body.split_once('=').ok_or_else(wrong)?.1.trim();
    }
    let mut stack: Vec<Vec<Element>> = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut escaped, mut expects) = (false, false, true);
    let mut letters = body.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '{' if expects && word.trim().is_empty() => {
                check_dimensions(stack.len() + 1)?;
                stack.push(Vec::new());
            }
            '"' if expects && word.trim().is_empty() && !quoted => {
                word.clear();
                quoted = true;
                loop {
                    match letters.next().ok_or_else(wrong)? {
                        '"' => break,
                        '\\' => word.push(letters.next().ok_or_else(wrong)?),
                        other => word.push(other),
                    }
                }
            }
            ',' | '}' => {
                let level = stack.last_mut().ok_or_else(wrong)?;
                let bare = if quoted || escaped { word.clone() } else { word.trim().to_owned() };
                if quoted || escaped || !bare.is_empty() {
                    let null = !quoted && !escaped && bare.eq_ignore_ascii_case("null");
                    level.push(if null { Element::Null } else { Element::Text(bare) });
                } else if expects && (letter == ',' || !level.is_empty()) {
                    return Err(wrong());
                }
                (quoted, escaped, expects) = (false, false, true);
                word.clear();
                if letter == '}' {
                    let done = stack.pop().ok_or_else(wrong)?;
                    expects = false;
                    match stack.last_mut() {
                        Some(above) => above.push(Element::Array(done)),
                        None if letters.as_str().trim().is_empty() => return Ok(done),
                        None => return Err(wrong()),
                    }
                }
            }
            _ if quoted && !letter.is_whitespace() => return Err(wrong()),
            _ if quoted => {}
            '\\' => {
                word.push(letters.next().ok_or_else(wrong)?);
                escaped = true;
            }
            _ if !expects && !letter.is_whitespace() => return Err(wrong()),
            _ if stack.is_empty() => return Err(wrong()),
            _ => word.push(letter),
        }
    }
    Err(wrong())
}
