//! What CEL says when an expression has no value, in words for people: its own quote the library's types and whole values.

use cel::{ExecutionError, Value as Cel};

/// Why an expression has no value.
pub(crate) fn why(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("it has no `{}`", brief(key)),
        ExecutionError::UndeclaredReference(name) => format!("`{}` is not known in expressions", brief(name)),
        ExecutionError::NoSuchOverload(overload) => {
            let types: Vec<_> = overload.argument_types().iter().map(|ty| format!("`{}`", brief(ty))).collect();
            format!("`{}` cannot be applied to {}", written(overload.function()), types.join(" and "))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            format!("`{}` cannot be applied to {} and {}", written(operator), kind(left), kind(right))
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} and {} cannot be compared", kind(left), kind(right))
        }
        ExecutionError::UnexpectedType { got, want } => {
            format!("expected a value of type `{}`, found one of type `{}`", brief(want), brief(got))
        }
        ExecutionError::UnsupportedIndex(index, of) => format!("{} cannot be indexed by {}", kind(of), shown(index)),
        ExecutionError::IndexOutOfBounds(index) => format!("the list has no item {}", shown(index)),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        ExecutionError::Overflow(operator, ..) => {
            format!("the result of `{}` overflows", written(operator))
        }
        ExecutionError::DuplicateKey(key) => format!("the key {} is given twice", shown(key)),
        ExecutionError::UnsupportedKeyType(value) => format!("{} cannot be a key", kind(value)),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("a function takes {expected} operands, but {actual} are given")
        }
        ExecutionError::MissingArgumentOrTarget => "a function is called without an operand".to_owned(),
        ExecutionError::UnsupportedTargetType { target } => format!("a function cannot be applied to {}", kind(target)),
        ExecutionError::NotSupportedAsMethod { method, target } => {
            format!("`{}` cannot be applied to {}", brief(method), kind(target))
        }
        ExecutionError::FunctionError { function, message } if is_of_the_value(message) => {
            format!("`{}` cannot convert the given value", written(function))
        }
        ExecutionError::FunctionError { function, .. } => {
            format!("`{}` cannot be applied to the given value", written(function))
        }
        _ => "it cannot be evaluated".to_owned(),
    }
}

/// Whether a function failed over this very value, where another one of its type would do.
fn is_of_the_value(message: &str) -> bool {
    ["onversion", "arsing", "premature", "bounds", "overflow", "range", "parse error", "invalid", "regex"]
        .iter()
        .any(|word| message.contains(word))
}

/// An operator as authors write it: CEL calls it `_+_`, `!_`, `@in`.
fn written(name: &str) -> String {
    match name {
        "add" => "+".to_owned(),
        "sub" | "negate" => "-".to_owned(),
        "mul" => "*".to_owned(),
        "div" => "/".to_owned(),
        "rem" => "%".to_owned(),
        "and" => "&&".to_owned(),
        "or" => "||".to_owned(),
        "not" => "!".to_owned(),
        "_[_]" => "[ ]".to_owned(),
        "_?_:_" => "?".to_owned(),
        name if name.starts_with(['_', '!', '-', '@']) || name.ends_with('_') => name.replace(['_', '@'], ""),
        name => brief(name),
    }
}

fn kind(value: &Cel) -> String {
    format!("a value of type `{}`", value.type_of())
}

/// A number or a short text, as an author would write it.
fn shown(value: &Cel) -> String {
    match value {
        Cel::Int(int) => format!("`{int}`"),
        Cel::UInt(uint) => format!("`{uint}`"),
        Cel::String(text) => format!("`{}`", brief(text)),
        other => kind(other),
    }
}

fn brief(text: &str) -> String {
    let short: String = text.chars().filter(|each| !each.is_control()).take(60).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
