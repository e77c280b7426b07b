//! What an expression refers to, found in its syntax tree.

use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::{ExpressionError, LENGTH_MAX, order::in_order};

/// Comprehensions in comprehensions multiply their work: one level is what a runbook needs.
const COMPREHENSION_DEPTH_MAX: usize = 1;

/// Functions of CEL that can be called; operators and macros are not among them.
pub(crate) const FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "duration",
    "timestamp",
    "type",
    "dyn",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

/// A name with what follows it: `steps.find.outputs.xid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The name and its keys, as far as they are written out.
    pub(crate) path: Vec<String>,
    /// Where each segment is, in bytes of the expression's text.
    pub(crate) spans: Vec<(usize, usize)>,
}

/// What `compile` and the evaluation need to know of an expression.
#[derive(Debug)]
pub(crate) struct Analysis {
    /// What is evaluated; `None` where the whole expression is one plain reference, which needs none.
    pub(crate) tree: Option<IdedExpr>,
    /// Every reference, in the order of the tree.
    pub(crate) references: Vec<Reference>,
    /// Functions that do not exist, with their place.
    pub(crate) unknown_functions: Vec<String>,
    /// How many references stand in what is done for each item of a collection; `None` where no macro goes over one.
    pub(crate) loops: Option<usize>,
    /// The tree as it was written, with the place of each part; `None` where there is no `tree`.
    pub(super) program: Option<Program>,
}

/// Parses an expression and finds what it refers to.
pub(crate) fn analyse(text: &str) -> Result<Analysis, ExpressionError> {
    if text.len() > LENGTH_MAX {
        return Err(ExpressionError::new(format!("an expression may have at most {LENGTH_MAX} bytes")));
    }
    if text.trim().is_empty() {
        return Err(ExpressionError::new("the expression is empty"));
    }
    if let Some(reference) = plain_reference(text) {
        let (references, unknown_functions) = (vec![reference], Vec::new());
        return Ok(Analysis { tree: None, references, unknown_functions, loops: None, program: None });
    }
    nesting(text)?;
    let program = Program::compile(text).map_err(|errors| syntax_error(text, &errors))?;
    let mut walk = Walk { text, program: &program, references: Vec::new(), unknown: Vec::new(), loops: None };
    walk.expr(program.expression(), &mut Vec::new(), 0)?;
    let (references, unknown_functions, loops) = (walk.references, walk.unknown, walk.loops);
    let tree = Some(in_order(program.expression().clone()));
    Ok(Analysis { tree, references, unknown_functions, loops, program: Some(program) })
}

/// `steps.find.outputs.xid` alone: by far the most frequent form, read without CEL's parser, which is slow.
fn plain_reference(text: &str) -> Option<Reference> {
    let mut at = text.len() - text.trim_start().len();
    let (mut path, mut spans) = (Vec::new(), Vec::new());
    for segment in text.trim().split('.') {
        let mut chars = segment.chars();
        let starts_well = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if !starts_well || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        path.push(segment.to_owned());
        spans.push((at, at + segment.len()));
        at += segment.len() + 1;
    }
    let known = matches!(path[0].as_str(), "inputs" | "steps" | "targets" | "run");
    (known && path.len() > 1 || path[0] == "item").then_some(Reference { path, spans })
}

/// The parser recurses: what is nested too deep is refused before it sees it.
fn nesting(text: &str) -> Result<(), ExpressionError> {
    const DEPTH_MAX: usize = 32;
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' | b'?' | b'!' | b'-' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX * 8 {
            return Err(ExpressionError::new("the expression is nested too deep"));
        }
    }
    let brackets = text.bytes().fold((0_usize, 0_usize), |(depth, most), byte| match byte {
        b'(' | b'[' | b'{' => (depth + 1, most.max(depth + 1)),
        b')' | b']' | b'}' => (depth.saturating_sub(1), most),
        _ => (depth, most),
    });
    if brackets.1 > DEPTH_MAX { Err(ExpressionError::new("the expression is nested too deep")) } else { Ok(()) }
}

fn syntax_error(text: &str, errors: &cel::ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else { return ExpressionError::new("the expression cannot be read") };
    let (line, column) = (first.pos.0.max(1) as usize, first.pos.1.max(0) as usize);
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = &text[before.min(text.len())..];
    let at = before + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    let at = at.min(text.len());
    let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
    ExpressionError { message: sentence(text, at), at: Some((at, end)) }
}

/// What cannot stand in CEL and often does, with what stands for it. The first that is in the text counts.
const SLIPS: &[(&str, &str)] = &[
    ("${{", "`${{ … }}` cannot be nested inside an expression; remove it"),
    ("{{", "`{{ … }}` cannot be nested inside an expression; remove it"),
    ("===", "`===` is not an operator; use `==`"),
    ("!==", "`!==` is not an operator; use `!=`"),
    ("<>", "`<>` is not an operator; use `!=`"),
    (" and ", "`and` is not an operator; use `&&`"),
    (" or ", "`or` is not an operator; use `||`"),
    ("not ", "`not` is not an operator; use `!`"),
    (" is ", "`is` is not an operator; use `==`"),
    (" if ", "`if` is not an operator; write `condition ? this : that`"),
    ("=>", "`=>` is not an operator; use `>=`"),
    ("=<", "`=<` is not an operator; use `<=`"),
];

/// What is wrong at that place, in our own words.
fn sentence(text: &str, at: usize) -> String {
    let bare = without_texts(text);
    if let Some(quote) = unclosed_quote(text) {
        return format!("a string that begins with {quote} is not closed");
    }
    if let Some((_, said)) = SLIPS.iter().find(|(slip, _)| bare.contains(slip)) {
        return (*said).to_owned();
    }
    let single = |sign: char| {
        let around = |place: usize, c: char| bare[..place].ends_with(c) || bare[place + 1..].starts_with(c);
        let part = |place: usize| ['=', '!', '<', '>', '&', '|'].iter().any(|c| around(place, *c));
        bare.match_indices(sign).any(|(place, _)| !part(place))
    };
    for (sign, said) in [
        ('=', "`=` is not an operator; use `==`"),
        ('&', "`&` is not an operator; use `&&`"),
        ('|', "`|` is not an operator; use `||` (there are no filters)"),
    ] {
        if single(sign) {
            return said.to_owned();
        }
    }
    let rest: String = text[at..].trim().chars().take(20).collect();
    if rest.is_empty() {
        return "unexpected end of the expression; a value or a bracket is missing".to_owned();
    }
    format!("unexpected `{rest}`; an operator, a value or a bracket is missing before it")
}

/// The expression with the inside of its texts blanked out.
fn without_texts(text: &str) -> String {
    let mut quote = None;
    let mut escaped = false;
    text.chars()
        .map(|c| {
            let inside = quote.is_some();
            match (quote, c) {
                _ if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some(open), c) if open == c => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                _ => {}
            }
            if inside && quote.is_some() { '_' } else { c }
        })
        .collect()
}

fn unclosed_quote(text: &str) -> Option<char> {
    let bare = without_texts(text);
    ['"', '\''].into_iter().find(|quote| bare.matches(*quote).count() % 2 == 1)
}

struct Walk<'a> {
    text: &'a str,
    program: &'a Program,
    references: Vec<Reference>,
    unknown: Vec<String>,
    loops: Option<usize>,
}

impl Walk<'_> {
    fn expr(&mut self, node: &IdedExpr, bound: &mut Vec<String>, loops: usize) -> Result<(), ExpressionError> {
        if let Some((root, segments)) = path(node) {
            if !bound.contains(&segments[0]) && !segments[0].starts_with('@') {
                self.reference(root, segments);
            }
            return Ok(());
        }
        match &node.expr {
            Expr::Call(call) => self.call(call, bound, loops),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, bound, loops),
            Expr::List(list) => list.elements.iter().try_for_each(|item| self.expr(item, bound, loops)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| self.entry(&entry.expr, bound, loops)),
            Expr::Struct(object) => object.entries.iter().try_for_each(|entry| self.entry(&entry.expr, bound, loops)),
            Expr::Select(select) => self.expr(&select.operand, bound, loops),
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Ok(()),
        }
    }

    fn call(&mut self, call: &CallExpr, bound: &mut Vec<String>, loops: usize) -> Result<(), ExpressionError> {
        let word = call.func_name.starts_with(|c: char| c.is_ascii_alphabetic());
        if word && !FUNCTIONS.contains(&call.func_name.as_str()) {
            self.unknown.push(call.func_name.clone());
        }
        if let Some(target) = &call.target {
            self.expr(target, bound, loops)?;
        }
        call.args.iter().try_for_each(|argument| self.expr(argument, bound, loops))
    }

    fn comprehension(
        &mut self,
        comprehension: &ComprehensionExpr,
        bound: &mut Vec<String>,
        loops: usize,
    ) -> Result<(), ExpressionError> {
        if loops >= COMPREHENSION_DEPTH_MAX {
            return Err(ExpressionError::new("`all`, `exists`, `map` and `filter` are nested too deep"));
        }
        self.expr(&comprehension.iter_range, bound, loops)?;
        self.expr(&comprehension.accu_init, bound, loops)?;
        let before = bound.len();
        bound.push(comprehension.iter_var.clone());
        bound.extend(comprehension.iter_var2.clone());
        bound.push(comprehension.accu_var.clone());
        let outside = self.references.len();
        for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
            self.expr(part, bound, loops + 1)?;
        }
        self.loops = Some(self.loops.unwrap_or(0) + self.references.len() - outside);
        bound.truncate(before);
        Ok(())
    }

    fn entry(&mut self, entry: &EntryExpr, bound: &mut Vec<String>, loops: usize) -> Result<(), ExpressionError> {
        match entry {
            EntryExpr::StructField(field) => self.expr(&field.value, bound, loops),
            EntryExpr::MapEntry(entry) => {
                self.expr(&entry.key, bound, loops)?;
                self.expr(&entry.value, bound, loops)
            }
        }
    }

    /// The tree knows where the root begins (in characters); the segments after it are found in the text.
    fn reference(&mut self, root: &IdedExpr, path: Vec<String>) {
        let start = self.program.source_info().offset_for(root.id).map_or(0, |(start, _)| start as usize);
        let mut at = self.text.char_indices().nth(start).map_or(self.text.len(), |(at, _)| at);
        let mut spans = Vec::new();
        for segment in &path {
            let found = self.text[at..].find(segment.as_str()).map_or(at, |found| at + found);
            let end = (found + segment.len()).min(self.text.len());
            spans.push((found, end));
            at = end;
        }
        self.references.push(Reference { path, spans });
    }
}

/// The root and the segments of `a.b["c"].d`; `None` for any other form.
pub(super) fn path(node: &IdedExpr) -> Option<(&IdedExpr, Vec<String>)> {
    match &node.expr {
        Expr::Ident(name) => Some((node, vec![name.clone()])),
        Expr::Select(select) => {
            let (root, mut segments) = path(&select.operand)?;
            segments.push(select.field.clone());
            Some((root, segments))
        }
        Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
            let (root, mut segments) = path(&call.args[0])?;
            let Expr::Literal(LiteralValue::String(key)) = &call.args[1].expr else { return None };
            segments.push(key.inner().to_owned());
            Some((root, segments))
        }
        _ => None,
    }
}
